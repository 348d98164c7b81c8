/* awm_scan_swar.c: the selective scan with two states in the 32-bit halves of a word; what SBF and WASM run.
 *
 * A word holds four int16 states. Toggling their top bits gives s = h + 2^15 in 0..65535; states 0 and 2 are its even
 * lanes, 1 and 3 its odd ones. For a pair in the halves of a word, all doubled so that the new s ends in bits 16..31:
 *
 *     T = s 2 D + 2 B X + c,  c = 2^31 + 2^15 - 2^16 D,  hence  T = 2 (h D + B X + 2^14 + 2^30)
 *
 * in each half. By awm_ops.h h D + B X is at least -2^30 + 2^15 - D (h = -2^15) and at most 2^30 - 2^15, so that
 * 0 < T < 2^32: the halves never disturb each other, although B X is negative at times (arithmetic is modulo 2^64,
 * only the total must fit). T >> 16 is the new s; what lies below is masked away.
 *
 * y is summed as in awm_matvec_swar.c: (p + q 2^32) (Cq + Cp 2^32) has p Cp + q Cq in its upper half. The lower
 * half sums p Cq: |.| <= 65535 * 128 * 128 < 2^31. The upper one is sum s C, |.| <= 65535 * 128 * 256 < 2^31, of which
 * 2^15 sum C is taken off with what is added to y y_mul; the true |y| <= 2^30. The even lanes are not taken out of the new
 * word for it: that word is even + odd 2^16, and the surplus odd 2^16 C(even) is taken off by preparing C(odd) - 2^16 C(even)
 * for the odd lanes.
 */
#include "awm_ops.h"

#define TOP_BITS 0x8000800080008000u
#define ODD_LANES 0xFFFF0000FFFF0000u
#define BOTH 0x0000000100000001u
#define HALF_WORD 0x80000000u

static uint64_t pack(int64_t low, int64_t high) {
    return (uint64_t)low + ((uint64_t)high << 32);
}

/* Per four states: 2 B of the even pair, 2 B of the odd pair, then C of both, halves exchanged, of the odd pair less
 * 2^16 times that of the even one. Last, 2^15 sum C. */
void awm_scan_begin_swar(uint64_t *bc, const int8_t *b, const int8_t *c, uint32_t d_state) {
    int64_t sum = 0;
    uint32_t n;
    for (n = 0; n < d_state; n += 4, bc += 4, b += 4, c += 4) {
        bc[0] = 2 * pack(b[0], b[2]);
        bc[1] = 2 * pack(b[1], b[3]);
        bc[2] = pack(c[2], c[0]);
        bc[3] = pack(c[3], c[1]) - (bc[2] << 16);
        sum += c[0] + c[1] + c[2] + c[3];
    }
    *bc = (uint64_t)(sum * 32768);
}

/* Up to BLOCK channels of one head: their X before, y + 2^15 sum C in their upper halves after. */
enum { BLOCK = 32 };
typedef struct scan_block {
    uint64_t decay2, c, *end; /* decay2: 2 D */
    uint64_t sums[BLOCK];
} scan_block;

static AWM_NOINLINE void each_channel(uint64_t *h, const uint64_t *b_c, const uint64_t *end, const scan_block *block) {
    const uint64_t decay2 = block->decay2, c = block->c;
    uint64_t *sum = (uint64_t *)block->sums;
    for (; sum != block->end; sum++) {
        const uint64_t x = *sum, *bc;
        uint64_t y = HALF_WORD;
        for (bc = b_c; bc != end; bc += 4, h++) {
            uint64_t even = *h ^ TOP_BITS, odd = even & ODD_LANES;
            even = ((even ^ odd) * decay2 + bc[0] * x + c) & ODD_LANES;
            odd = ((odd >> 16) * decay2 + bc[1] * x + c) & ODD_LANES;
            even = even >> 16 | odd;
            y += even * bc[2] + (odd >> 16) * bc[3];
            *h = even ^ TOP_BITS;
        }
        *sum = y;
    }
}

#ifdef __bpf__
/* The same for 16, 32 and 64 states, 29 instructions a word; LLVM would spill. TOP_BITS, the eleventh value that a
 * word needs, has a register because B and C are copied to the stack, where r10 reaches them; below them are the end and
 * the current sum. Two channels a turn; of an odd number the first turn has the second one only. r0 is y, r1 h, r2 2 D, r3 c,
 * r4 what is loaded, r5 X, r6 and r7 the even and the odd lanes, r8 ODD_LANES, r9 TOP_BITS. */
#define LOAD(to, at) #to " = *(u64 *)(" at ")\n"
#define STORE(at, from) "*(u64 *)(" at ") = " #from "\n"
#define TABLE(s, n) "r10 - 8 * " #s " + 8 * (" #n ")"
#define END(s) "r10 - 8 * " #s " - 8"
#define SUM(s) "r10 - 8 * " #s " - 16"

#define COPY(s, n) LOAD(r6, "r2 + 8 * (" #n ")") STORE(TABLE(s, n), r6)
#define COPY4(s, n) __asm__ volatile(COPY(s, n) COPY(s, n + 1) COPY(s, n + 2) COPY(s, n + 3));
#define COPY16(s, n) COPY4(s, n) COPY4(s, n + 4) COPY4(s, n + 8) COPY4(s, n + 12)
#define COPY32(s, n) COPY16(s, n) COPY16(s, n + 16)
#define COPY64(s, n) COPY32(s, n) COPY32(s, n + 32)

#define SPLIT(at) LOAD(r7, at) "r7 ^= r9\nr6 = r7\nr7 &= r8\nr6 ^= r7\nr7 >>= 16\n"
#define UPDATE(r, b) #r " *= r2\n" LOAD(r4, b) "r4 *= r5\n" #r " += r4\n" #r " += r3\n" #r " &= r8\n"
#define JOIN "r6 >>= 16\nr6 |= r7\nr7 >>= 16\n"
#define SUM_UP(r, c) LOAD(r4, c) "r4 *= " #r "\nr0 += r4\n"
#define WORD(s, h, n) \
    __asm__ volatile(SPLIT(h " + 8 * (" #n ")") UPDATE(r6, TABLE(s, 4 * (n))) UPDATE(r7, TABLE(s, 4 * (n) + 1)) JOIN \
                     SUM_UP(r6, TABLE(s, 4 * (n) + 2)) SUM_UP(r7, TABLE(s, 4 * (n) + 3)) \
                     "r6 ^= r9\n" STORE(h " + 8 * (" #n ")", r6));
#define STATES16(s, h, n) WORD(s, h, n) WORD(s, h, n + 1) WORD(s, h, n + 2) WORD(s, h, n + 3)
#define STATES32(s, h, n) STATES16(s, h, n) STATES16(s, h, n + 4)
#define STATES64(s, h, n) STATES32(s, h, n) STATES32(s, h, n + 8)
#define CHANNEL(s, h, at) \
    __asm__ volatile(LOAD(r5, "r4 + " at) "r0 = 0x80000000 ll\n"); \
    STATES##s(s, h, 0) \
    __asm__ volatile(LOAD(r4, SUM(s)) STORE("r4 + " at, r0));

#define DEFINE_CHANNELS(s) \
    __attribute__((naked)) static AWM_NOINLINE void channels##s(uint64_t *h, const uint64_t *bc, scan_block *block) { \
        COPY##s(s, 0) \
        __asm__ volatile(LOAD(r6, "r3 + 16") STORE(END(s), r6) "r4 = r3\nr4 += 24\n" LOAD(r2, "r3 + 0") LOAD(r3, "r3 + 8") \
                         "r8 = 0xFFFF0000FFFF0000 ll\nr9 = 0x8000800080008000 ll\n" \
                         "r6 -= r4\nr6 &= 8\nif r6 == 0 goto 1f\n" \
                         "r4 -= 8\nr1 -= 2 * " #s "\n" STORE(SUM(s), r4) "goto 2f\n1:\n" STORE(SUM(s), r4)); \
        CHANNEL(s, "r1", "0") \
        __asm__ volatile("2:\n"); \
        CHANNEL(s, "r1 + 2 * " #s, "8") \
        __asm__ volatile("r1 += 4 * " #s "\nr4 += 16\n" LOAD(r6, END(s)) "if r4 != r6 goto 1b\nexit"); \
    }
DEFINE_CHANNELS(16)
DEFINE_CHANNELS(32)
DEFINE_CHANNELS(64)
#endif

static void channels(uint64_t *h, const uint64_t *bc, const uint64_t *end, scan_block *block) {
#ifdef __bpf__
    switch (end - bc) {
    case 16: channels16(h, bc, block); return;
    case 32: channels32(h, bc, block); return;
    case 64: channels64(h, bc, block); return;
    }
#endif
    each_channel(h, bc, end, block);
}

/* An int8 as 0..255: its 128 too many are taken off what is added to its product. */
AWM_INLINE int64_t raised(int8_t v) {
    return (int64_t)((uint8_t)v ^ 128);
}

/* X of n channels, or up to three more: x is followed by B and C, sums by nothing that counts. */
static AWM_NOINLINE void inputs(uint64_t *sums, const awm_scan_args *a, const int8_t *x, const uint64_t *end) {
    const int64_t gain = a->gain, start = a->x_half - 128 * gain, limit = a->limit, least = -limit;
    const uint64_t shift = a->x_shift;
    do {
        int k;
        AWM_UNROLL(4)
        for (k = 0; k < 4; k++) {
            int64_t in = (raised(x[k]) * gain + start) >> shift;
            if (in > limit) in = limit;
            if (in < least) in = least;
            sums[k] = (uint64_t)in;
        }
        x += 4;
        sums += 4;
    } while (sums < end);
}

typedef struct scan_output {
    const uint64_t *sums, *end;
    const int8_t *x, *z;
    int32_t *v;
} scan_output;

#ifdef __bpf__
typedef struct scan_rule {
    int64_t y_mul, x_mul, start;
    uint64_t shift;
    const int16_t *z_lut;
    const uint64_t *end;
} scan_rule;

/* What OUTPUT is below, in 22 instructions a channel, four at a time; LLVM would load again what does not change. A value of
 * the table is the top of the eight bytes that end with it: those before the table are the manifest's header at least.
 * r1 sums, r2 x, r3 z, r4 v, r5 y_mul, r6 x_mul, r7 the shift, r8 the table, r0 y. On the stack: start, end. */
#define OUTPUT(k) \
    LOAD(r0, "r1 + 8 * " #k) "r0 s>>= 32\nr0 *= r5\nr9 = *(u8 *)(r2 + " #k ")\nr9 ^= 128\nr9 *= r6\nr0 += r9\n" \
    LOAD(r9, "r10 - 8") "r0 += r9\nr0 s>>= r7\n" \
    "if r0 s< 32768 goto 2f\nr0 = 32767\n2:\nif r0 s> -32768 goto 2f\nr0 = -32767\n2:\n" \
    "r9 = *(u8 *)(r3 + " #k ")\nr9 ^= 128\nr9 <<= 1\nr9 += r8\n" LOAD(r9, "r9 - 6") "r9 s>>= 48\n" \
    "r0 *= r9\nr0 += 128\nr0 >>= 8\n*(u32 *)(r4 + 4 * " #k ") = r0\n"

__attribute__((naked)) static AWM_NOINLINE void outputs4(const uint64_t *sums, const int8_t *x, const int8_t *z, int32_t *v,
                                                         const scan_rule *rule) {
    __asm__ volatile(LOAD(r6, "r5 + 16") STORE("r10 - 8", r6) LOAD(r6, "r5 + 40") STORE("r10 - 16", r6)
                     LOAD(r6, "r5 + 8") LOAD(r7, "r5 + 24") LOAD(r8, "r5 + 32") LOAD(r5, "r5 + 0")
                     "1:\n" OUTPUT(0) OUTPUT(1) OUTPUT(2) OUTPUT(3) "r1 += 32\nr2 += 4\nr3 += 4\nr4 += 16\n"
                     LOAD(r9, "r10 - 16") "if r1 != r9 goto 1b\nexit\n");
}
#undef OUTPUT
#endif

static AWM_NOINLINE void outputs(const awm_scan_args *a, const scan_output *o) {
    const uint64_t *sum = o->sums, *end = o->end;
    const int8_t *x = o->x, *z = o->z;
    const int64_t y_mul = a->y_mul, x_mul = a->x_mul;
    const int64_t start = a->y_half - 128 * x_mul - (int64_t)a->bc[a->d_state] * y_mul;
    const uint32_t shift = a->y_shift;
    int32_t *v = o->v;
#define OUTPUT(k) { \
        int64_t y = (((int64_t)sum[k] >> 32) * y_mul + raised(x[k]) * x_mul + start) >> shift; \
        if (y > 32767) y = 32767; \
        if (y < -32767) y = -32767; \
        v[k] = (int32_t)((y * a->z_lut[raised(z[k])] + 128) >> 8); }
#ifdef __bpf__
    const uint64_t fours = (uint64_t)(end - sum) & ~(uint64_t)3;
    const scan_rule rule = {y_mul, x_mul, start, shift, a->z_lut, sum + fours};
    if (fours) outputs4(sum, x, z, v, &rule);
    sum += fours, x += fours, z += fours, v += fours;
#else
    for (; end - sum >= 4; sum += 4, x += 4, z += 4, v += 4) {
        int k;
        AWM_UNROLL(4)
        for (k = 0; k < 4; k++) OUTPUT(k)
    }
#endif
    for (; sum != end; sum++, x++, z++, v++) OUTPUT(0)
}

void awm_scan_swar(const awm_scan_args *a) {
    const uint64_t *bc = a->bc, *end = bc + a->d_state, stride = a->d_state / 4;
    uint64_t *h = (uint64_t *)(void *)a->h, left = a->headdim, n;
    scan_block block;
    scan_output out = {block.sums, 0, a->x, a->z, a->v};
    block.decay2 = 2 * (uint64_t)a->decay;
    block.c = (((uint64_t)1 << 31) + (1u << 15) - ((uint64_t)a->decay << 16)) * BOTH;
    for (; left; left -= n, h += n * stride, out.x += n, out.z += n, out.v += n) {
        n = left < BLOCK ? left : BLOCK;
        out.end = block.end = block.sums + n;
        inputs(block.sums, a, out.x, block.end);
        channels(h, bc, end, &block);
        outputs(a, &out);
    }
}
