/* awm_matvec_views_swar.c: a matrix against both views' activations; what SBF and WASM run where a world has two views.
 *
 * The activations of a column are one word, X = x + x' 2^32 (x of view 0, x' of view 1, modulo 2^64). A weight is a byte,
 * loaded without a mask, and w X = w x + w x' 2^32: two products from a load, a multiplication and an addition, 1.5
 * instructions a product where awm_matvec_swar.c needs 1.9. Summed over a row's columns:
 *   - the lower half is |sum w x| <= 4096 * 255 * 128 < 2^27 for any bytes, so that with 2^31 added it stays in
 *     0..2^32-1 and the upper half needs no correction;
 *   - the upper half is sum w x', exact in int32.
 * sum X is a word of the same kind, so that a row that begins with 2^31 - 64 sum X ends as
 *
 *     s = (2^31 + sum (w - 64) x) + 2^32 sum (w - 64) x'.
 *
 * Column counts are compile-time constants so that six rows have one pointer. Requantisation, below, takes both sums of
 * a row at once: they share the row's bias and multiplier. */
#include "awm_ops.h"

#define HALF_WORD 0x80000000u
#define SIGNS 0x0000008000000080u

/* Prepares a word for each column; returns what the sums of rows begin with. A signed byte is (v ^ 128) - 128. */
uint64_t awm_views_begin_swar(const awm_views_args *a) {
    const uint8_t *x = (const uint8_t *)a->x[0], *other = (const uint8_t *)a->x[1], *end = x + a->cols;
    uint64_t *lanes = a->lanes, total = 0;
    for (; x != end; x += 8, other += 8, lanes += 8) {
        int k;
        AWM_UNROLL(8)
        for (k = 0; k < 8; k++) {
            const uint64_t word = ((x[k] | (uint64_t)other[k] << 32) ^ SIGNS) - SIGNS;
            total += word;
            lanes[k] = word;
        }
    }
    return HALF_WORD - 64 * total;
}

/* sum += byte at w + offset * x. LLVM's BPF back end spills if it may order this. */
#ifdef __bpf__
#define KEEP(v) __asm__ volatile("" : "+r"(v))
#define BYTE(sum, w, offset) \
    __asm__ volatile("%1 = *(u8 *)(%2 + %4)\n%1 *= %3\n%0 += %1" : "+r"(sum), "=&r"(t) : "r"(w), "r"(x), "i"(offset));
#else
#define KEEP(v) ((void)0)
#define BYTE(sum, w, offset) (t = (w)[offset], sum += t * x);
#endif

#define COLUMN(cols, k) \
    x = lanes[k]; \
    BYTE(s0, w, k) BYTE(s1, w, (cols) + k) BYTE(s2, w, 2 * (cols) + k) \
    BYTE(s3, w, 3 * (cols) + k) BYTE(s4, w, 4 * (cols) + k) BYTE(s5, w, 5 * (cols) + k)
#define EIGHT(f, cols, k) \
    f(cols, k) f(cols, k + 1) f(cols, k + 2) f(cols, k + 3) f(cols, k + 4) f(cols, k + 5) f(cols, k + 6) f(cols, k + 7)
#define STEP(cols) ((cols) % 16 == 0 ? 16 : 8)

#define DEFINE_SIXES(cols) \
    static AWM_NOINLINE void sixes_##cols(uint64_t *sums, const uint64_t *stop, const uint8_t *w, \
                                          const uint64_t *first, uint64_t start) { \
        for (; sums != stop; sums += 6, w += 5 * (cols)) { \
            uint64_t s0 = start, s1 = start, s2 = start, s3 = start, s4 = start, s5 = start, x, t; \
            const uint64_t *lanes = first, *last = first + (cols); \
            do { \
                EIGHT(COLUMN, cols, 0) \
                if (STEP(cols) == 16) { \
                    EIGHT(COLUMN, cols, 8) \
                } \
                w += STEP(cols); \
                lanes += STEP(cols); \
                KEEP(lanes); \
            } while (lanes != last); \
            sums[0] = s0; \
            sums[1] = s1; \
            sums[2] = s2; \
            sums[3] = s3; \
            sums[4] = s4; \
            sums[5] = s5; \
        } \
    }
AWM_FOR_EACH_COLS(DEFINE_SIXES)

/* Any column count, and rows that are left over: three rows at once, then one. */
#define COLUMN3(cols, k) \
    x = lanes[k]; \
    BYTE(s0, w, k) BYTE(s1, w1, k) BYTE(s2, w2, k)
static AWM_NOINLINE void three_rows(uint64_t *sums, const uint8_t *w, const uint64_t *lanes, uint64_t cols, uint64_t start) {
    const uint64_t *last = lanes + cols;
    const uint8_t *w1 = w + cols, *w2 = w1 + cols;
    uint64_t s0 = start, s1 = start, s2 = start, x, t;
    do {
        EIGHT(COLUMN3, cols, 0)
        w += 8, w1 += 8, w2 += 8, lanes += 8;
        KEEP(lanes);
    } while (lanes != last);
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
}

#define COLUMN1(cols, k) \
    x = lanes[k]; \
    BYTE(start, w, k)
static AWM_NOINLINE uint64_t one_row(const uint8_t *w, const uint64_t *lanes, uint64_t cols, uint64_t start) {
    const uint64_t *last = lanes + cols;
    uint64_t x, t;
    do {
        EIGHT(COLUMN1, cols, 0)
        w += 8, lanes += 8;
    } while (lanes != last);
    return start;
}

#define CASE_SIXES(n) \
    case n: sixes_##n(a->sums, a->sums + r, w, a->lanes, start); break;

void awm_views_matvec_swar(const awm_views_args *a, uint64_t start) {
    const uint64_t cols = a->cols, rows = a->rows;
    const uint8_t *w = a->w;
    uint64_t r = rows - rows % 6;
    switch (r ? a->cols : 0) {
        AWM_FOR_EACH_COLS(CASE_SIXES)
    default: r = 0; break;
    }
    for (w += r * cols; r + 3 <= rows; r += 3, w += 3 * cols) three_rows(a->sums + r, w, a->lanes, cols, start);
    for (; r < rows; r++, w += cols) a->sums[r] = one_row(w, a->lanes, cols, start);
}

/* ---------------------------------------------------------------- requantisation of both views */

/* Per row of both views: (acc mul + (bias mul + half)) >> shift, modulo 2^64 until the shift; by awm_ops.h the total fits.
 *
 * SBPF v0 defines 32-bit additions to extend the sign of their sum. So `w += 0` makes an int32 of what was loaded, and
 * adding -2^31 to the lower half takes off its 2^31, each in one instruction where LLVM knows only two shifts. */
#ifdef __bpf__

/* r1 sums, r2 biases, r3 multipliers, r4 and r5 where the views' rows go, r9 the shift; r0 and r8 the row's sums, r6 its
 * multiplier, r7 its bias. On the stack: half, and the end of the sums. */
#define CLAMP(r, most) \
    "if " #r " s< " most " + 1 goto 2f\n" #r " = " most "\n2:\nif " #r " s> -" most " - 1 goto 2f\n" #r " = -" most "\n2:\n"
#define REQUANTIZE(r) #r " *= r6\n" #r " += r7\n" #r " s>>= r9\n"
#define PUT(r, at, size, most) CLAMP(r, most) "*(" size " *)(" at ") = " #r "\n"
#define ADD(r, at, size, most) "r7 = *(" size " *)(" at ")\nw7 += 0\n" #r " += r7\n" PUT(r, at, size, most)
#define ROW(i, put, bytes, size, most) \
    "r0 = *(u64 *)(r1 + 8 * " #i ")\nr7 = *(u32 *)(r2 + 4 * " #i ")\nw7 += 0\nr6 = *(u32 *)(r3 + 4 * " #i ")\nw6 += 0\n" \
    "r7 *= r6\nr8 = *(u64 *)(r10 - 8)\nr7 += r8\nr8 = r0\nr8 s>>= 32\nw0 += -2147483648\n" \
    REQUANTIZE(r0) REQUANTIZE(r8) \
    put(r0, "r4 + " bytes " * " #i, size, most) put(r8, "r5 + " bytes " * " #i, size, most)

typedef struct store_rest {
    void *other;
    uint64_t half, shift;
    const uint64_t *end;
} store_rest;

/* Four rows at a time, or one; there is at least one turn. */
#define STORE(name, turn, rows, bytes) \
    __attribute__((naked, noinline)) static void name(const uint64_t *sums, const int32_t *bias, const int32_t *mul, \
                                                      void *out, const store_rest *rest) { \
        __asm__ volatile("r9 = *(u64 *)(r5 + 8)\n*(u64 *)(r10 - 8) = r9\nr9 = *(u64 *)(r5 + 24)\n*(u64 *)(r10 - 16) = r9\n" \
                         "r9 = *(u64 *)(r5 + 16)\nr5 = *(u64 *)(r5 + 0)\n" \
                         "1:\n" turn "r1 += 8 * " rows "\nr2 += 4 * " rows "\nr3 += 4 * " rows "\nr4 += " bytes " * " rows \
                         "\nr5 += " bytes " * " rows "\nr8 = *(u64 *)(r10 - 16)\nif r1 != r8 goto 1b\nexit\n"); \
    }
#define STORES(name, put, bytes, size, most) \
    STORE(name##_four, ROW(0, put, bytes, size, most) ROW(1, put, bytes, size, most) ROW(2, put, bytes, size, most) \
          ROW(3, put, bytes, size, most), "4", bytes) \
    STORE(name##_one, ROW(0, put, bytes, size, most), "1", bytes)
STORES(put_i8, PUT, "1", "u8", "127")
STORES(put_i16, PUT, "2", "u16", "32767")
STORES(put_residual, PUT, "4", "u32", "8388607")
STORES(put_logits, PUT, "4", "u32", "16777215")
STORES(add_residual, ADD, "4", "u32", "8388607")

AWM_STATIC_ASSERT(limits_are_those_of_the_stores, AWM_RESIDUAL_MAX == 8388607 && AWM_LOGIT_MAX == 16777215);

void awm_views_store_swar(const uint64_t *sums, const awm_store_args *a, void *other) {
    const uint64_t fours = a->rows & ~3u;
    const int32_t *bias = a->bias, *mul = a->mul;
    uint8_t *out = a->out;
    store_rest rest = {other, (uint64_t)1 << (a->shift - 1), a->shift, sums + fours};
#define CASE(name, bytes) { \
        if (fours) name##_four(sums, bias, mul, out, &rest); \
        if (a->rows == fours) return; \
        rest.other = (uint8_t *)other + bytes * fours; \
        rest.end = sums + a->rows; \
        name##_one(sums + fours, bias + fours, mul + fours, out + bytes * fours, &rest); \
        return; }
    if (a->kind == AWM_STORE_I8) CASE(put_i8, 1)
    if (a->kind == AWM_STORE_I16) CASE(put_i16, 2)
    if (a->kind == AWM_ADD_I32) CASE(add_residual, 4)
    if (a->limit == AWM_LOGIT_MAX) CASE(put_logits, 4)
    CASE(put_residual, 4)
}

#else

/* For tests of the arithmetic above on other machines: both views' sums are taken apart, then stored as usual. */
void awm_views_store_swar(const uint64_t *sums, const awm_store_args *a, void *other) {
    int32_t acc[2][AWM_CHUNK];
    awm_store_args store = *a;
    uint32_t r;
    for (r = 0; r < a->rows; r++) {
        acc[0][r] = (int32_t)((uint32_t)sums[r] ^ HALF_WORD);
        acc[1][r] = (int32_t)(uint32_t)(sums[r] >> 32);
    }
    store.acc = acc[0];
    awm_store(&store, AWM_BACKEND_SWAR);
    store.acc = acc[1];
    store.out = other;
    awm_store(&store, AWM_BACKEND_SWAR);
}

#endif
