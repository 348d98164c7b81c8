/*
 * The selective scan of 16 states and channels in eights, for the build whose products are the system call's: what is left of a
 * frame there is mostly loads and stores, each of which the VM makes by a call that takes as long as forty additions. This one
 * has half of awm_scan_swar.c's, for half as many instructions more. The arithmetic is that file's, but for this: B and C of
 * four states are one word of bytes, to each of which 128 was added. In T the 128 X2 too many, X2 = 2 X, are taken off with c,
 *
 *     T = s D2 + (B + 128) X2 + c,  c = (2^31 + 2^15 - 2^15 D2 - 128 X2) in both halves,  D2 = 2 D
 *
 * and in y the 128 (s even + s odd) after every word. A channel's X2, y and v follow each other in v, at a multiple of four.
 */
#include "awm_ops.h"
#include "syscall_loops.h"

#define WORDS 4 /* of four states */

static uint64_t raised(int8_t v)
{
    return (uint64_t)((uint8_t)v ^ 128);
}

/* The bytes of a word: B0 B1 C2 C3 B2 B3 C0 C1. In both halves it begins with what lanes 0 and 2 want, B and, halves exchanged,
 * C, each before what 1 and 3 want. Behind the words: 2^15 sum C. */
void awm_scan_begin_syscall(uint64_t *bc, const int8_t *b, const int8_t *c)
{
    int64_t sum = 0;

    for (int n = 0; n < WORDS; n++, b += 4, c += 4) {
        bc[n] = raised(b[0]) | raised(b[1]) << 8 | raised(c[2]) << 16 | raised(c[3]) << 24 | raised(b[2]) << 32 |
                raised(b[3]) << 40 | raised(c[0]) << 48 | raised(c[1]) << 56;
        sum += c[0] + c[1] + c[2] + c[3];
    }
    bc[WORDS] = (uint64_t)(sum * 32768);
}

typedef struct input_rule {
    int64_t gain, start, limit;
    uint64_t shift_and_end;
} input_rule;

typedef struct output_rule {
    int64_t start, y_mul, x_mul;
    uint64_t shift_and_end;
    const int16_t *z_lut;
    int64_t x_from_v, z_from_v; /* bytes where v has words: what is to be added to a quarter of an address in v */
} output_rule;

/*
 * X2 of every channel, an int32 since |X| <= 2^30, eight channels a turn: r0 and r9 two of them, r1 v, r2 x, r3 gain, r4 what is
 * added, r5 limit, r6 -limit, r7 the shift and the end of v, r8 eight x, 128 added to each.
 */
#define INPUT(r) \
    #r " = r8\n" #r " &= 255\nr8 >>= 8\n" #r " *= r3\n" #r " += r4\n" #r " s>>= r7\n" \
    "if " #r " s<= r5 goto 2f\n" #r " = r5\n2:\nif " #r " s>= r6 goto 2f\n" #r " = r6\n2:\n"
#define TWO_INPUTS(k) INPUT(r0) INPUT(r9) "r0 <<= 33\nr0 >>= 32\nr9 <<= 33\nr0 |= r9\n" STORE("r1 + 8 * " #k, r0)

__attribute__((naked)) static AWM_NOINLINE void inputs(int32_t *v, const int8_t *x, const input_rule *rule)
{
    __asm__ volatile(LOAD(r4, "r3 + 8") LOAD(r5, "r3 + 16") LOAD(r7, "r3 + 24") LOAD(r3, "r3 + 0") "r6 = r5\nr6 = -r6\n"
                     "1:\n" LOAD(r8, "r2 + 0") "r0 = 0x8080808080808080 ll\nr8 ^= r0\n" TWO_INPUTS(0) TWO_INPUTS(1));
    __asm__ volatile(TWO_INPUTS(2) TWO_INPUTS(3) "r1 += 32\nr2 += 8\n" UNTIL_END(r7, r0) "exit\n");
}

/*
 * Four channels a turn. r0 y, r1 h, r2 D2, r3 c, r4 what is needed for a moment, constants above all, r5 X2, r6 and r7 the even
 * and the odd lanes, r8 a word of B and C, r9 where in v the turn is. On the stack, where r10 reaches it: those words, v's end.
 */
#define WORD_OF_BC(n) "r10 - 32 + 8 * " #n
#define END "r10 - 40"
#define EVEN_LANES "r4 = 0x0000FFFF0000FFFF ll\n"
#define TOP_BITS "r4 = 0x8000800080008000 ll\n"
#define SPLIT(at) LOAD(r6, at) "r6 ^= r4\n" EVEN_LANES "r7 = r6\nr7 >>= 16\nr7 &= r4\nr6 &= r4\n"
#define DECAY "r6 *= r2\nr7 *= r2\nr6 += r3\nr7 += r3\n"
#define TAKE "r4 = 0x000000FF000000FF ll\nr4 &= r8\n"
#define INPUTS TAKE "r4 *= r5\nr6 += r4\nr8 >>= 8\n" TAKE "r4 *= r5\nr7 += r4\nr8 >>= 8\n"
#define SHIFT EVEN_LANES "r6 >>= 16\nr6 &= r4\nr7 >>= 16\nr7 &= r4\n"
#define SUM_UP TAKE "r4 *= r6\nr0 += r4\nr8 >>= 8\n" TAKE "r4 *= r7\nr0 += r4\n"
#define TAKE_OFF "r8 = r6\nr8 += r7\nr4 = 0x0000008000000080 ll\nr8 *= r4\nr0 -= r8\n"
#define JOIN(at) "r7 <<= 16\nr6 |= r7\n" TOP_BITS "r6 ^= r4\n" STORE(at, r6)
#define FOUR_STATES(k, n) \
    __asm__ volatile(SPLIT("r1 + 32 * " #k " + 8 * " #n) DECAY LOAD(r8, WORD_OF_BC(n)) INPUTS SHIFT SUM_UP TAKE_OFF \
                     JOIN("r1 + 32 * " #k " + 8 * " #n));
/* c is -128 (256 D2 + X2) and the rest, whose bits are those of TOP_BITS, which SPLIT finds in r4; y begins in mid-word, as
 * awm_scan_swar.c's does. */
#define CHANNEL(k) \
    __asm__ volatile("r5 = *(u32 *)(r9 + 4 * " #k ")\nw5 += 0\nr3 = r2\nr3 <<= 8\nr3 += r5\n" \
                     "r4 = 0xFFFFFF7FFFFFFF80 ll\nr3 *= r4\n" TOP_BITS "r3 += r4\nr0 = 0x80000000 ll\n"); \
    FOUR_STATES(k, 0) FOUR_STATES(k, 1) FOUR_STATES(k, 2) FOUR_STATES(k, 3) \
    __asm__ volatile("r0 >>= 32\n*(u32 *)(r9 + 4 * " #k ") = r0\n");
#define COPY(n) LOAD(r6, "r2 + 8 * " #n) STORE(WORD_OF_BC(n), r6)

__attribute__((naked)) static AWM_NOINLINE void channels(int16_t *h, const uint64_t *bc, int32_t *v, const int32_t *end,
                                                         int64_t decay2)
{
    __asm__ volatile(COPY(0) COPY(1) COPY(2) COPY(3) STORE(END, r4) "r2 = r5\nr9 = r3\n1:\n");
    CHANNEL(0) CHANNEL(1) CHANNEL(2) CHANNEL(3)
    __asm__ volatile("r1 += 128\nr9 += 16\n" LOAD(r4, END) "if r9 != r4 goto 1b\nexit\n");
}

/*
 * y to v, eight channels a turn. A value of the table is the top of the eight bytes that end with it: those before the table
 * are the manifest's header at least. r0 y, r1 v, r2 and r3 eight x and z, 128 added to each, r4 what is added, r5 y_mul,
 * r6 x_mul, r7 the shift and the end of v, r8 the table. On the stack: x_from_v and z_from_v.
 */
#define OUTPUT(k) \
    "r0 = *(u32 *)(r1 + 4 * " #k ")\nw0 += 0\nr0 *= r5\nr9 = r2\nr9 &= 255\nr2 >>= 8\nr9 *= r6\nr0 += r9\n" \
    "r0 += r4\nr0 s>>= r7\n" \
    "if r0 s< 32768 goto 2f\nr0 = 32767\n2:\nif r0 s> -32768 goto 2f\nr0 = -32767\n2:\n" \
    "r9 = r3\nr9 &= 255\nr3 >>= 8\nr9 <<= 1\nr9 += r8\n" LOAD(r9, "r9 - 6") "r9 s>>= 48\n" \
    "r0 *= r9\nr0 += 128\nr0 >>= 8\n*(u32 *)(r1 + 4 * " #k ") = r0\n"
#define EIGHT_BYTES(to, slot) LOAD(to, slot) #to " += r9\n" LOAD(to, #to " + 0") #to " ^= r0\n"
#define KEEP(slot, at) LOAD(r9, at) STORE(slot, r9)

__attribute__((naked)) static AWM_NOINLINE void outputs(int32_t *v, const output_rule *rule)
{
    __asm__ volatile(KEEP("r10 - 8", "r2 + 40") KEEP("r10 - 16", "r2 + 48") LOAD(r4, "r2 + 0")
                     LOAD(r5, "r2 + 8") LOAD(r6, "r2 + 16") LOAD(r7, "r2 + 24") LOAD(r8, "r2 + 32")
                     "1:\nr0 = 0x8080808080808080 ll\nr9 = r1\nr9 >>= 2\n" EIGHT_BYTES(r2, "r10 - 8")
                     EIGHT_BYTES(r3, "r10 - 16") OUTPUT(0) OUTPUT(1) OUTPUT(2) OUTPUT(3));
    __asm__ volatile(OUTPUT(4) OUTPUT(5) OUTPUT(6) OUTPUT(7) "r1 += 32\n" UNTIL_END(r7, r9) "exit\n");
}

void awm_scan_syscall(const awm_scan_args *a)
{
    const int32_t *end = a->v + a->headdim;
    const int64_t quarter = (int64_t)((uint64_t)a->v >> 2);
    const input_rule in = {a->gain, a->x_half - 128 * a->gain, a->limit, shift_and(a->x_shift, end)};
    const output_rule out = {a->y_half - 128 * a->x_mul - (int64_t)a->bc[WORDS] * a->y_mul, a->y_mul, a->x_mul,
                             shift_and(a->y_shift, end), a->z_lut, (int64_t)a->x - quarter, (int64_t)a->z - quarter};

    inputs(a->v, a->x, &in);
    channels(a->h, a->bc, a->v, end, 2 * a->decay);
    outputs(a->v, &out);
}
