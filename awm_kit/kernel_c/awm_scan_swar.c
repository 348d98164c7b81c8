/* awm_scan_swar.c: the selective scan with two states in the 32-bit halves of a word; what SBF and WASM run.
 *
 * A word holds four int16 states. Toggling their top bits gives h + 2^15 in 0..65535; states 0 and 2 are its even
 * lanes, 1 and 3 its odd ones. For a pair (p, q) in the halves of a word:
 *
 *     t = (h + 2^15) D + B X + c,  c = 2^30 + 2^14 - 2^15 D,  hence  t = h D + B X + 2^14 + 2^30
 *
 * in each half. |h D + B X| <= 2^30 (awm_ops.h), so 0 < t < 2^32: the halves never disturb each other, although
 * B X is negative at times (arithmetic is modulo 2^64, only the total must fit). t >> 15 is the new h + 2^15.
 *
 * y is summed as in awm_matvec_swar.c: (p + q 2^32) (Cq + Cp 2^32) has p Cp + q Cq in its upper half. The lower
 * half sums p Cq: |.| <= 65535 * 128 * 128 < 2^31. The upper one is sum (h + 2^15) C modulo 2^32, of which
 * 2^15 sum C is taken off; the true |y| <= 2^30.
 */
#include "awm_ops.h"

#define TOP_BITS 0x8000800080008000u
#define LOW_LANES 0x0000FFFF0000FFFFu
#define BOTH 0x0000000100000001u
#define HALF_WORD 0x80000000u

static uint64_t pack(int64_t low, int64_t high) {
    return (uint64_t)low + ((uint64_t)high << 32);
}

/* Per four states: B of the even pair, B of the odd pair, then C of both, halves exchanged. Last, 2^15 sum C. */
void awm_scan_begin_swar(uint64_t *bc, const int8_t *b, const int8_t *c, uint32_t d_state) {
    int64_t sum = 0;
    uint32_t n;
    for (n = 0; n < d_state; n += 4, bc += 4, b += 4, c += 4) {
        bc[0] = pack(b[0], b[2]);
        bc[1] = pack(b[1], b[3]);
        bc[2] = pack(c[2], c[0]);
        bc[3] = pack(c[3], c[1]);
        sum += c[0] + c[1] + c[2] + c[3];
    }
    *bc = (uint64_t)(sum * 32768);
}

/* Updates the four states at h[i] and adds to y. With ten registers LLVM spills; for SBF they are spelled out: the
 * word becomes odd, even is split off it, t holds what is loaded. */
#ifdef __bpf__
#define FOUR_STATES(i) \
    __asm__ volatile("%[odd] = *(u64 *)(%[h] + %c[at])\n%[t] = %[top] ll\n%[odd] ^= %[t]\n%[even] = %[odd]\n" \
                     "%[even] &= %[low]\n%[even] *= %[decay]\n" \
                     "%[t] = *(u64 *)(%[bc] + 4 * %c[at])\n%[t] *= %[x]\n%[even] += %[t]\n" \
                     "%[even] += %[c]\n%[even] >>= 15\n%[even] &= %[low]\n" \
                     "%[odd] >>= 16\n%[odd] &= %[low]\n%[odd] *= %[decay]\n" \
                     "%[t] = *(u64 *)(%[bc] + 4 * %c[at] + 8)\n%[t] *= %[x]\n%[odd] += %[t]\n" \
                     "%[odd] += %[c]\n%[odd] >>= 15\n%[odd] &= %[low]\n" \
                     "%[t] = *(u64 *)(%[bc] + 4 * %c[at] + 16)\n%[t] *= %[even]\n%[y] += %[t]\n" \
                     "%[t] = *(u64 *)(%[bc] + 4 * %c[at] + 24)\n%[t] *= %[odd]\n%[y] += %[t]\n" \
                     "%[odd] <<= 16\n%[odd] |= %[even]\n%[t] = %[top] ll\n%[odd] ^= %[t]\n" \
                     "*(u64 *)(%[h] + %c[at]) = %[odd]" \
                     : [y] "+r"(y), [even] "=&r"(even), [odd] "=&r"(odd), [t] "=&r"(t) \
                     : [h] "r"(h), [bc] "r"(bc), [decay] "r"(decay), [x] "r"(x), [low] "r"(low), [c] "r"(c), \
                       [at] "i"(8 * (i)), [top] "i"((int64_t)TOP_BITS) \
                     : "memory")
#else
#define FOUR_STATES(i) \
    t = h[i] ^ TOP_BITS; \
    even = ((t & low) * decay + bc[4 * (i)] * x + c) >> 15 & low; \
    odd = ((t >> 16 & low) * decay + bc[4 * (i) + 1] * x + c) >> 15 & low; \
    y += even * bc[4 * (i) + 2] + odd * bc[4 * (i) + 3]; \
    h[i] = (even | odd << 16) ^ TOP_BITS
#endif

AWM_INLINE uint64_t constant(uint64_t decay) {
    return (((uint64_t)1 << 30) + (1u << 14) - (decay << 15)) * BOTH;
}

/* One channel: updates its states, returns the upper and lower sums of y. Here sixteen, the d_state of every preset,
 * without a loop. */
static AWM_NOINLINE uint64_t channel16(uint64_t *h, const uint64_t *bc, uint64_t decay, uint64_t c, uint64_t x) {
    const uint64_t low = LOW_LANES;
    uint64_t y = 0, even, odd, t;
    FOUR_STATES(0);
    FOUR_STATES(1);
    FOUR_STATES(2);
    FOUR_STATES(3);
    return y;
}

static AWM_NOINLINE uint64_t channel(uint64_t *h, const uint64_t *bc, const uint64_t *end, uint64_t decay,
                                     uint64_t x) {
    const uint64_t c = constant(decay), low = LOW_LANES;
    uint64_t y = 0, even, odd, t;
    if ((end - bc) % 8) {
        FOUR_STATES(0);
        h += 1;
        bc += 4;
    }
    for (; bc != end; bc += 8, h += 2) {
        FOUR_STATES(0);
        FOUR_STATES(1);
    }
    return y;
}

void awm_scan_swar(const awm_scan_args *a) {
    const uint64_t *bc = a->bc, *end = bc + a->d_state, bias = *end, stride = a->d_state / 4;
    const uint64_t decay = (uint64_t)a->decay, c = constant(decay);
    const int8_t *in = a->x, *z = a->z;
    uint64_t *h = (uint64_t *)(void *)a->h;
    int32_t *v = a->v, *stop = v + a->headdim;
    for (; v != stop; v++, in++, z++, h += stride) {
        int64_t x = *in;
        uint64_t in = (uint64_t)awm_scan_input(a, x);
        uint64_t sums = stride == 4 ? channel16(h, bc, decay, c, in) : channel(h, bc, end, decay, in);
        int64_t y = (int32_t)((uint32_t)((sums + HALF_WORD) >> 32) - (uint32_t)bias);
        *v = awm_scan_output(a, y, x, *z);
    }
}
