/*
 * What one view's products and convolution end with, for the build whose products are the system call's: two rows are
 * loaded at a time, and as many stored as make a word, since an access to memory takes the VM longer than the additions that
 * it spares. The arithmetic is awm_store_views_sbf.c's; (v + 2^(s - 1)) >> s is ((v >> (s - 1)) + 1) >> 1.
 */
#include "awm_ops.h"
#include "solana.h"
#include "syscall_loops.h"

/*
 * r1 sums, r2 biases, r3 multipliers, r5 what a sum is too large by, r9 the shift less one and, above the six bits that a shift
 * looks at, where the sums end; r8 and r0 an even and an odd row. SBPF v0 defines 32-bit additions to extend the sign of their
 * sum: `w += 0` makes an int32 of a word's lower half.
 */
#define CLAMP(r, most) \
    "if r" #r " s< " most " + 1 goto 2f\nr" #r " = " most "\n2:\nif r" #r " s> -" most " - 1 goto 2f\nr" #r " = -" most "\n2:\n"
#define PAIR(k) \
    LOAD(r0, "r1 + 8 * " #k) LOAD(r7, "r2 + 8 * " #k) "r8 = r0\nw8 += 0\nr6 = r7\nw6 += 0\nr8 += r6\nr0 s>>= 32\n" \
    "r7 s>>= 32\nr0 += r7\nr8 -= r5\nr0 -= r5\n" \
    LOAD(r6, "r3 + 8 * " #k) "r7 = r6\nw7 += 0\nr8 *= r7\nr6 s>>= 32\nr0 *= r6\n" \
    "r8 s>>= r9\nr8 += 1\nr8 s>>= 1\nr0 s>>= r9\nr0 += 1\nr0 s>>= 1\n"

/* A byte each: r4 is the word of eight rows, and where they go, less a quarter of r1, is on the stack. */
#define PUSH "r8 <<= 48\nr0 <<= 56\nr4 >>= 16\nr4 |= r8\nr4 |= r0\n"
#define BYTES(k) PAIR(k) CLAMP(8, "127") CLAMP(0, "127") "r8 &= 255\n" PUSH
/* An int32 each, what is there already added to it; r4 is where. */
#define ADDED(k) \
    PAIR(k) LOAD(r7, "r4 + 8 * " #k) "r6 = r7\nw6 += 0\nr8 += r6\nr7 s>>= 32\nr0 += r7\n" CLAMP(8, "8388607") \
    CLAMP(0, "8388607") "r8 <<= 32\nr8 >>= 32\nr0 <<= 32\nr0 |= r8\n" STORE("r4 + 8 * " #k, r0)

typedef struct store_rule {
    int64_t excess;
    uint64_t shift_and_end;
} store_rule;

/* Eight rows a turn, one turn at least. */
#define ROWS(name, before, row, after) \
    __attribute__((naked, noinline)) static void name(const int32_t *sums, const int32_t *bias, const int32_t *mul, \
                                                      void *out, const store_rule *rule) \
    { \
        __asm__ volatile(LOAD(r9, "r5 + 8") LOAD(r5, "r5 + 0") before "1:\n" row(0) row(1)); \
        __asm__ volatile(row(2) row(3) after "r1 += 32\nr2 += 32\nr3 += 32\n" UNTIL_END(r9, r0) "exit\n"); \
    }
#define QUARTER "r0 = r1\nr0 >>= 2\n"
#define OUT_FROM_SUMS QUARTER "r4 -= r0\n" STORE("r10 - 8", r4)
#define PUT_EIGHT QUARTER LOAD(r7, "r10 - 8") "r7 += r0\n" STORE("r7 + 0", r4)
ROWS(bytes, OUT_FROM_SUMS, BYTES, PUT_EIGHT)
ROWS(added, "", ADDED, "r4 += 32\n")

AWM_STATIC_ASSERT(limit_is_that_of_added, AWM_RESIDUAL_MAX == 8388607);

void awm_store_syscall(const awm_store_args *a, int64_t excess)
{
    const uint32_t eights = a->kind == AWM_STORE_I8 || a->kind == AWM_ADD_I32 ? a->rows & ~7u : 0;
    const store_rule rule = {excess, shift_and(a->shift - 1, a->acc + eights)};

    if (eights && a->kind == AWM_STORE_I8)
        bytes(a->acc, a->bias, a->mul, a->out, &rule);
    else if (eights)
        added(a->acc, a->bias, a->mul, a->out, &rule);
    if (eights == a->rows)
        return;
    awm_store_args rest = *a;
    rest.acc += eights;
    rest.bias += eights;
    rest.mul += eights;
    rest.out = (uint8_t *)a->out + (a->kind == AWM_STORE_I8 ? eights : 4 * eights);
    rest.rows -= eights;
    awm_store_sbf(rest.acc, &rest, excess);
}

/*
 * Samples of eight channels a turn move down by one; their products with the taps are summed, requantised and looked up: r1
 * samples, r2 taps, and biases and multipliers at fixed distances, r3 the newest samples, and behind those still to be used
 * what comes of the others, r4 the shift less one and, above the six bits that a shift looks at, the table's middle, r5 the
 * taps and r8 the samples of two channels, r0 and r9 their sums. On the stack: the end of the samples, and what is to be added
 * to a quarter of r1 for the newest ones and for where the results go.
 */
enum { PART = 128 }; /* channels */
AWM_STATIC_ASSERT(there_is_room_for_three, 3 * PART == AWM_CONV_ROOM);
#define BIASES "4 * 128"
#define MULTIPLIERS "8 * 128"
#define TAP(sum, at) "r6 = r8\nr6 <<= " #at "\nr6 s>>= 56\nr7 = r5\nr7 <<= " #at "\nr7 s>>= 56\nr6 *= r7\n" sum " r6\n"
#define SHIFT(r) #r " s>>= r4\n" #r " += 1\n" #r " s>>= 1\n"
#define TWO_CHANNELS(k) \
    LOAD(r8, "r1 + 8 * " #k) "r6 = 0x00FFFFFF00FFFFFF ll\nr8 >>= 8\nr8 &= r6\nr6 = r3\nr6 &= 255\nr6 <<= 24\nr8 |= r6\n" \
    "r6 = r3\nr6 >>= 8\nr6 <<= 56\nr8 |= r6\nr3 >>= 16\n" STORE("r1 + 8 * " #k, r8) LOAD(r5, "r2 + 8 * " #k) \
    TAP("r0 =", 56) TAP("r0 +=", 48) TAP("r0 +=", 40) TAP("r0 +=", 32) \
    TAP("r9 =", 24) TAP("r9 +=", 16) TAP("r9 +=", 8) "r8 s>>= 56\nr5 s>>= 56\nr8 *= r5\nr9 += r8\n" \
    LOAD(r5, "r2 + " BIASES " + 8 * " #k) "r6 = r5\nw6 += 0\nr0 += r6\nr5 s>>= 32\nr9 += r5\n" \
    LOAD(r5, "r2 + " MULTIPLIERS " + 8 * " #k) "r6 = r5\nw6 += 0\nr0 *= r6\nr5 s>>= 32\nr9 *= r5\n" \
    SHIFT(r0) SHIFT(r9) CLAMP(0, "127") CLAMP(9, "127") ABOVE_SHIFT(r6, r4) "r0 += r6\nr0 = *(u8 *)(r0 + 0)\nr9 += r6\n" \
    "r9 = *(u8 *)(r9 + 0)\nr0 <<= 48\nr9 <<= 56\nr3 |= r0\nr3 |= r9\n"

typedef struct conv_rule {
    int64_t next_from_samples, out_from_samples;
    const uint32_t *end;
} conv_rule;
#define KEEP(slot, at) LOAD(r0, at) STORE(slot, r0)
#define AT(slot) "r5 = r1\nr5 >>= 2\n" LOAD(r6, slot) "r5 += r6\n"

__attribute__((naked, noinline)) static void convolve(uint32_t *samples, const uint32_t *taps, const conv_rule *rule,
                                                      uint64_t shift_and_table)
{
    __asm__ volatile(KEEP("r10 - 8", "r3 + 0") KEEP("r10 - 16", "r3 + 8") KEEP("r10 - 24", "r3 + 16")
                     "1:\n" AT("r10 - 8") LOAD(r3, "r5 + 0") TWO_CHANNELS(0) TWO_CHANNELS(1));
    __asm__ volatile(TWO_CHANNELS(2) TWO_CHANNELS(3) AT("r10 - 16") STORE("r5 + 0", r3) "r1 += 32\nr2 += 32\n"
                     LOAD(r5, "r10 - 24") "if r1 != r5 goto 1b\nexit\n");
}

void awm_conv_syscall(const awm_conv_args *a, int32_t *room)
{
    const int64_t quarter = (int64_t)((uint64_t)a->samples >> 2);
    conv_rule rule = {(int64_t)a->next - quarter, (int64_t)a->out - quarter, 0};

    for (uint32_t done = 0, n; done < a->n; done += n) {
        n = a->n - done < PART ? a->n - done : PART;
        sol_memcpy_(room, a->w + done, 4 * n);
        sol_memcpy_(room + PART, a->bias + done, 4 * n);
        sol_memcpy_(room + 2 * PART, a->mul + done, 4 * n);
        rule.end = a->samples + done + n;
        convolve(a->samples + done, (const uint32_t *)room, &rule, shift_and(a->shift - 1, a->lut + 128));
    }
}
