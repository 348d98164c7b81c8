/* awm_store_views_sbf.c: requantisation of both views' rows, which share bias and multiplier, and of one view's; for SBF.
 *
 * Of two views a row's sums, AWM_RAISE added to make them positive, are two 32-bit numbers: the halves of a word or, of 4-bit
 * weights, elements of two arrays. Of each, (sum mul + ((bias - AWM_RAISE) mul + half)) >> shift, modulo 2^64 until the shift;
 * by awm_ops.h the total fits. mul is an int32, of matrices never negative. Sums of taps are 65,534 larger instead.
 * bias - AWM_RAISE is an int32 too, as no bias is below AWM_LEAST_BIAS: one addition takes the raise off and extends the sign.
 *
 * SBPF v0 defines 32-bit additions to extend the sign of their sum: `w += 0` makes an int32 of what was loaded, where LLVM
 * knows only two shifts. */
#include "awm_ops.h"

#ifdef __bpf__

/* r1 sums, r2 biases, r3 multipliers, r4 and r5 where the views' rows go, r9 the shift; r0 a sum, r6 the multiplier, r7 what
 * is added, r8 half, or what `put` needs. On the stack: half, the end of the sums. */
#define CLAMP(most) "if r0 s< " most " + 1 goto 2f\nr0 = " most "\n2:\nif r0 s> -" most " - 1 goto 2f\nr0 = -" most "\n2:\n"
#define PUT(at, size, most) CLAMP(most) "*(" size " *)(" at ") = r0\n"
#define ADD(at, size, most) "r8 = *(" size " *)(" at ")\nw8 += 0\nr0 += r8\n" PUT(at, size, most)
#define ADD_ONE(at, size, most) "r7 = *(" size " *)(" at ")\nw7 += 0\nr0 += r7\n" PUT(at, size, most)
/* 127 was added with half: negative numbers are large ones too. */
#define LOOK_UP(at, size, most) \
    "if r0 < 255 goto 2f\nr0 s>>= 63\nr0 += 1\nr0 *= 254\n2:\nr0 += r8\nr0 = *(u8 *)(r0 - 127)\n*(u8 *)(" at ") = r0\n"
#define HALF "r7 *= r6\nr7 += r8\n"
#define LOAD_HALF "r7 *= r6\nr0 = *(u64 *)(r10 - 8)\nr7 += r0\n"
#define SIGNED_LOAD_HALF "w6 += 0\n" LOAD_HALF
#define IN_HALVES(i) "r1 + 8 * " #i
#define IN_ARRAYS(i) "r1 + 4 * " #i
#define VIEW(sum, put, at, size, most) \
    "r0 = *(u32 *)(" sum ")\nr0 *= r6\nr0 += r7\nr0 s>>= r9\n" put(at, size, most)
#define ROW(i, in, other, half, put, bytes, size, most) RAISED_ROW("268435456", i, in, other, half, put, bytes, size, most)
#define TAPS_ROW(i, in, other, half, put, bytes, size, most) RAISED_ROW("65534", i, in, other, half, put, bytes, size, most)
#define RAISED_ROW(raise, i, in, other, half, put, bytes, size, most) \
    "r7 = *(u32 *)(r2 + 4 * " #i ")\nw7 += -" raise "\nr6 = *(u32 *)(r3 + 4 * " #i ")\n" half \
    VIEW(in(i), put, "r4 + " bytes " * " #i, size, most) VIEW(in(i) " + " other, put, "r5 + " bytes " * " #i, size, most)

/* One view: sums are int32, and larger by r5 than they should be; r7 is a bias. */
#define ROW_ONE(i, put, bytes, size, most) \
    "r0 = *(u32 *)(r1 + 4 * " #i ")\nw0 += 0\nr7 = *(u32 *)(r2 + 4 * " #i ")\nw7 += 0\nr0 += r7\nr0 -= r5\n" \
    "r6 = *(u32 *)(r3 + 4 * " #i ")\nr0 *= r6\nr0 += r8\nr0 s>>= r9\n" put("r4 + " bytes " * " #i, size, most)

typedef struct store_rest {
    void *other; /* of one view: what its sums are too large by */
    uint64_t half, shift;
    const void *end;
    const int8_t *table; /* at 0 */
} store_rest;

/* Eight rows at a time, or one; there is at least one turn. A row's sums take `step` bytes. */
#define STORE(name, r8_at, step, rows, bytes, turn, other_too) \
    __attribute__((naked, noinline)) static void name(const void *sums, const int32_t *bias, const int32_t *mul, \
                                                      void *out, const store_rest *rest) { \
        __asm__ volatile("r9 = *(u64 *)(r5 + 8)\n*(u64 *)(r10 - 8) = r9\nr9 = *(u64 *)(r5 + 24)\n*(u64 *)(r10 - 16) = r9\n" \
                         "r8 = *(u64 *)(r5 + " r8_at ")\nr9 = *(u64 *)(r5 + 16)\nr5 = *(u64 *)(r5 + 0)\n1:\n"); \
        turn \
        __asm__ volatile("r1 += " step " * " rows "\nr2 += 4 * " rows "\nr3 += 4 * " rows "\nr4 += " bytes " * " rows "\n" \
                         other_too("r5 += " bytes " * " rows "\n") "r7 = *(u64 *)(r10 - 16)\nif r1 != r7 goto 1b\nexit\n"); \
    }
#define TWO(row, i, k, ...) __asm__ volatile(row(i, __VA_ARGS__) row(k, __VA_ARGS__));
#define EIGHT(row, ...) \
    TWO(row, 0, 1, __VA_ARGS__) TWO(row, 2, 3, __VA_ARGS__) TWO(row, 4, 5, __VA_ARGS__) TWO(row, 6, 7, __VA_ARGS__)
#define ONE(row, ...) __asm__ volatile(row(0, __VA_ARGS__));
#define YES(code) code
#define NO(code)
#define STORES(name, in, other, step, half, put, bytes, size, most) \
    STORE(name##_eight, "8", step, "8", bytes, EIGHT(ROW, in, other, half, put, bytes, size, most), YES) \
    STORE(name##_one, "8", step, "1", bytes, ONE(ROW, in, other, half, put, bytes, size, most), YES)
#define STORES_ONE(name, put, bytes, size, most) \
    STORE(name##_eight, "8", "4", "8", bytes, EIGHT(ROW_ONE, put, bytes, size, most), NO) \
    STORE(name##_one, "8", "4", "1", bytes, ONE(ROW_ONE, put, bytes, size, most), NO)
#define EACH_KIND(in, other, step) \
    STORES(i8_##in, in, other, step, HALF, PUT, "1", "u8", "127") \
    STORES(i16_##in, in, other, step, HALF, PUT, "2", "u16", "32767") \
    STORES(residual_##in, in, other, step, HALF, PUT, "4", "u32", "8388607") \
    STORES(logits_##in, in, other, step, HALF, PUT, "4", "u32", "16777215") \
    STORES(added_##in, in, other, step, LOAD_HALF, ADD, "4", "u32", "8388607")
EACH_KIND(IN_HALVES, "4", "8")
EACH_KIND(IN_ARRAYS, "640", "4")
STORE(look_up, "32", "8", "8", "1", EIGHT(TAPS_ROW, IN_HALVES, "4", SIGNED_LOAD_HALF, LOOK_UP, "1", "u8", "127"), YES)
STORES_ONE(i8_ALONE, PUT, "1", "u8", "127")
STORES_ONE(i16_ALONE, PUT, "2", "u16", "32767")
STORES_ONE(residual_ALONE, PUT, "4", "u32", "8388607")
STORES_ONE(logits_ALONE, PUT, "4", "u32", "16777215")
STORES_ONE(added_ALONE, ADD_ONE, "4", "u32", "8388607")

AWM_STATIC_ASSERT(limits_are_those_of_the_stores, AWM_RESIDUAL_MAX == 8388607 && AWM_LOGIT_MAX == 16777215);
AWM_STATIC_ASSERT(raised_by_what_is_taken_off, AWM_RAISE == 268435456);
AWM_STATIC_ASSERT(the_other_array_is_640_bytes_on, 4 * AWM_CHUNK == 640);

/* sums: see IN_HALVES, IN_ARRAYS and ROW_ONE. */
#define CASE(name, bytes, other_too) { \
        if (eights) name##_eight(sums, bias, mul, out, &rest); \
        if (a->rows == eights) return; \
        other_too(rest.other = (uint8_t *)other + bytes * eights;) \
        rest.end = sums + a->rows; \
        name##_one(sums + eights, bias + eights, mul + eights, out + bytes * eights, &rest); \
        return; }
#define EVERY_CASE(in, other_too) { \
    const uint64_t eights = a->rows & ~(uint64_t)7; \
    const int32_t *bias = a->bias, *mul = a->mul; \
    uint8_t *out = a->out; \
    store_rest rest = {other, (uint64_t)1 << (a->shift - 1), a->shift, sums + eights, 0}; \
    if (a->kind == AWM_STORE_I8) CASE(i8_##in, 1, other_too) \
    if (a->kind == AWM_STORE_I16) CASE(i16_##in, 2, other_too) \
    if (a->kind == AWM_ADD_I32) CASE(added_##in, 4, other_too) \
    if (a->limit == AWM_LOGIT_MAX) CASE(logits_##in, 4, other_too) \
    CASE(residual_##in, 4, other_too) \
}

void awm_store_views_sbf(const uint64_t *sums, const awm_store_args *a, void *other) EVERY_CASE(IN_HALVES, YES)

void awm_store_arrays_sbf(const int32_t *sums, const awm_store_args *a, void *other) EVERY_CASE(IN_ARRAYS, YES)

void awm_store_sbf(const int32_t *sums, const awm_store_args *a, int64_t excess) {
    void *const other = (void *)excess;
    EVERY_CASE(ALONE, NO)
}

void awm_look_up_views_sbf(const uint64_t *sums, const awm_conv_args *a, int8_t *other) {
    const uint64_t half = ((uint64_t)1 << (a->shift - 1)) + ((uint64_t)127 << a->shift);
    const store_rest rest = {other, half, a->shift, sums + a->n, a->lut + 128};
    look_up(sums, a->bias, a->mul, a->out, &rest);
}

#else

/* For tests of the arithmetic above on other machines: both views' sums are taken apart, then stored as usual. */
void awm_store_views_sbf(const uint64_t *sums, const awm_store_args *a, void *other) {
    int32_t acc[2][AWM_CHUNK];
    awm_store_args store = *a;
    uint32_t r;
    for (r = 0; r < a->rows; r++) {
        acc[0][r] = (int32_t)((uint32_t)sums[r] - AWM_RAISE);
        acc[1][r] = (int32_t)((uint32_t)(sums[r] >> 32) - AWM_RAISE);
    }
    store.acc = acc[0];
    awm_store(&store, AWM_BACKEND_SWAR);
    store.acc = acc[1];
    store.out = other;
    awm_store(&store, AWM_BACKEND_SWAR);
}

#endif
