/* awm_store_views_sbf.c: requantisation of both views' rows, which share their bias and multiplier; what SBF runs.
 *
 * A row's sums come in one word, that of view 0 in the lower half, 2^31 added, that of view 1 in the upper one; or, of
 * 4-bit weights, in two arrays. Of each,
 * (sum mul + (bias mul + half)) >> shift, modulo 2^64 until the shift; by awm_ops.h the total fits.
 *
 * SBPF v0 defines 32-bit additions to extend the sign of their sum. So `w += 0` makes an int32 of what was loaded, and
 * adding -2^31 to the lower half takes off its 2^31, each in one instruction where LLVM knows only two shifts. */
#include "awm_ops.h"

#ifdef __bpf__

/* r1 sums, r2 biases, r3 multipliers, r4 and r5 where the views' rows go, r9 the shift; r0 and r8 the row's sums, r6 its
 * multiplier, r7 its bias. On the stack: half, the end of the sums, the table. */
#define CLAMP(r, most) \
    "if " #r " s< " most " + 1 goto 2f\n" #r " = " most "\n2:\nif " #r " s> -" most " - 1 goto 2f\n" #r " = -" most "\n2:\n"
#define REQUANTIZE(r) #r " *= r6\n" #r " += r7\n" #r " s>>= r9\n"
#define PUT(r, at, size, most) CLAMP(r, most) "*(" size " *)(" at ") = " #r "\n"
#define ADD(r, at, size, most) "r7 = *(" size " *)(" at ")\nw7 += 0\n" #r " += r7\n" PUT(r, at, size, most)
#define LOOK_UP(r, at, size, most) CLAMP(r, most) "r7 = *(u64 *)(r10 - 24)\n" #r " += r7\n" #r " = *(u8 *)(" #r " + 0)\n" \
    "*(u8 *)(" at ") = " #r "\n"
#define FROM_HALVES(i) "r0 = *(u64 *)(r1 + 8 * " #i ")\nr8 = r0\nr8 s>>= 32\nw0 += -2147483648\n"
#define FROM_ARRAYS(i) "r0 = *(u32 *)(r1 + 4 * " #i ")\nw0 += 0\nr8 = *(u32 *)(r1 + 640 + 4 * " #i ")\nw8 += 0\n"
#define ROW(i, from, put, bytes, size, most) \
    "r7 = *(u32 *)(r2 + 4 * " #i ")\nw7 += 0\nr6 = *(u32 *)(r3 + 4 * " #i ")\nw6 += 0\n" \
    "r7 *= r6\nr8 = *(u64 *)(r10 - 8)\nr7 += r8\n" from(i) \
    REQUANTIZE(r0) REQUANTIZE(r8) \
    put(r0, "r4 + " bytes " * " #i, size, most) put(r8, "r5 + " bytes " * " #i, size, most)

typedef struct store_rest {
    void *other;
    uint64_t half, shift;
    const void *end;
    const int8_t *table; /* at 0 */
} store_rest;

/* Four rows at a time, or one; there is at least one turn. A row's sums take `step` bytes. */
#define STORE(name, before, turn, rows, step, bytes) \
    __attribute__((naked, noinline)) static void name(const void *sums, const int32_t *bias, const int32_t *mul, \
                                                      void *out, const store_rest *rest) { \
        __asm__ volatile("r9 = *(u64 *)(r5 + 8)\n*(u64 *)(r10 - 8) = r9\nr9 = *(u64 *)(r5 + 24)\n*(u64 *)(r10 - 16) = r9\n" \
                         before "r9 = *(u64 *)(r5 + 16)\nr5 = *(u64 *)(r5 + 0)\n" \
                         "1:\n" turn "r1 += " step " * " rows "\nr2 += 4 * " rows "\nr3 += 4 * " rows "\nr4 += " bytes " * " \
                         rows "\nr5 += " bytes " * " rows "\nr8 = *(u64 *)(r10 - 16)\nif r1 != r8 goto 1b\nexit\n"); \
    }
#define FOURS(name, before, from, step, put, bytes, size, most) \
    STORE(name##_four, before, ROW(0, from, put, bytes, size, most) ROW(1, from, put, bytes, size, most) \
          ROW(2, from, put, bytes, size, most) ROW(3, from, put, bytes, size, most), "4", step, bytes)
#define STORES(name, from, step, put, bytes, size, most) \
    FOURS(name, "", from, step, put, bytes, size, most) \
    STORE(name##_one, "", ROW(0, from, put, bytes, size, most), "1", step, bytes)
#define EACH_KIND(from, step) \
    STORES(i8_##from, from, step, PUT, "1", "u8", "127") \
    STORES(i16_##from, from, step, PUT, "2", "u16", "32767") \
    STORES(residual_##from, from, step, PUT, "4", "u32", "8388607") \
    STORES(logits_##from, from, step, PUT, "4", "u32", "16777215") \
    STORES(added_##from, from, step, ADD, "4", "u32", "8388607")
EACH_KIND(FROM_HALVES, "8")
EACH_KIND(FROM_ARRAYS, "4")
FOURS(look_up, "r9 = *(u64 *)(r5 + 32)\n*(u64 *)(r10 - 24) = r9\n", FROM_HALVES, "8", LOOK_UP, "1", "u8", "127")

AWM_STATIC_ASSERT(limits_are_those_of_the_stores, AWM_RESIDUAL_MAX == 8388607 && AWM_LOGIT_MAX == 16777215);

AWM_STATIC_ASSERT(the_other_array_is_640_bytes_on, 4 * AWM_CHUNK == 640);

/* sums: of type, see FROM_HALVES and FROM_ARRAYS. */
#define CASE(name, bytes) { \
        if (fours) name##_four(sums, bias, mul, out, &rest); \
        if (a->rows == fours) return; \
        rest.other = (uint8_t *)other + bytes * fours; \
        rest.end = sums + a->rows; \
        name##_one(sums + fours, bias + fours, mul + fours, out + bytes * fours, &rest); \
        return; }
#define EVERY_CASE(from) { \
    const uint64_t fours = a->rows & ~(uint64_t)3; \
    const int32_t *bias = a->bias, *mul = a->mul; \
    uint8_t *out = a->out; \
    store_rest rest = {other, (uint64_t)1 << (a->shift - 1), a->shift, sums + fours, 0}; \
    if (a->kind == AWM_STORE_I8) CASE(i8_##from, 1) \
    if (a->kind == AWM_STORE_I16) CASE(i16_##from, 2) \
    if (a->kind == AWM_ADD_I32) CASE(added_##from, 4) \
    if (a->limit == AWM_LOGIT_MAX) CASE(logits_##from, 4) \
    CASE(residual_##from, 4) \
}

void awm_store_views_sbf(const uint64_t *sums, const awm_store_args *a, void *other) EVERY_CASE(FROM_HALVES)

void awm_store_arrays_sbf(const int32_t *sums, const awm_store_args *a, void *other) EVERY_CASE(FROM_ARRAYS)

void awm_look_up_views_sbf(const uint64_t *sums, const awm_conv_args *a, int8_t *other) {
    const store_rest rest = {other, (uint64_t)1 << (a->shift - 1), a->shift, sums + a->n, a->lut + 128};
    look_up_four(sums, a->bias, a->mul, a->out, &rest);
}

#else

/* For tests of the arithmetic above on other machines: both views' sums are taken apart, then stored as usual. */
void awm_store_views_sbf(const uint64_t *sums, const awm_store_args *a, void *other) {
    int32_t acc[2][AWM_CHUNK];
    awm_store_args store = *a;
    uint32_t r;
    for (r = 0; r < a->rows; r++) {
        acc[0][r] = (int32_t)((uint32_t)sums[r] ^ 0x80000000u);
        acc[1][r] = (int32_t)(uint32_t)(sums[r] >> 32);
    }
    store.acc = acc[0];
    awm_store(&store, AWM_BACKEND_SWAR);
    store.acc = acc[1];
    store.out = other;
    awm_store(&store, AWM_BACKEND_SWAR);
}

#endif
