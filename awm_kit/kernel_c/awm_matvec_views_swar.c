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
 * Column counts are compile-time constants so that six rows have one pointer. awm_store_views_sbf.c requantises. */
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
