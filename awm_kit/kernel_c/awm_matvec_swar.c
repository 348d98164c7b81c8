/* awm_matvec_swar.c: dot products inside 64-bit multiplications; what SBF and WASM run.
 *
 * Eight columns are four pairs (k, k + 4), k = 0..3. A weight word, masked to bytes 0 and 4 after a shift by k
 * bytes, is W_k = w[k] + w[k+4] 2^32. The activations' word is X_k = x[k+4] + x[k] 2^32, so that modulo 2^64
 *
 *     W_k X_k = w[k] x[k+4] + (w[k] x[k] + w[k+4] x[k+4]) 2^32
 *
 * and the wanted sum of two products sits in the upper half. Summing over all pairs of a row:
 *   - the lower half is L = sum w x of cols / 2 terms, |L| <= 2048 * 255 * 128 < 2^27, so adding 2^31 keeps it in
 *     0..2^32-1 and the upper half needs no other correction;
 *   - the upper half is sum w x, |.| <= 4096 * 255 * 128 < 2^31 for any bytes: exact in int32.
 * Then sum (w - 64) x = sum w x - 64 sum x.
 *
 * The k = 0 word is not masked: the unmasked word is sum_k W_k 2^(8k), so the surplus X_0 W_k 2^(8k) is taken off
 * by preparing X_k - X_0 2^(8k) for k > 0. The shift by k bytes is an unaligned load, k bytes further on: that
 * is why AWM_WEIGHT_TAIL bytes must follow a matrix.
 *
 * Column counts are compile-time constants so that four rows have one pointer: four sums, two pointers, the
 * end, two words and the mask are the ten registers of BPF.
 */
#include "awm_ops.h"

#define PAIR_MASK 0x000000FF000000FFu
#define HALF_WORD 0x80000000u

/* Prepares x as the X_k above (word 4 g + k is pair k of group g) and returns its sum. */
int32_t awm_spread_swar(uint64_t *lanes, const int8_t *x, uint32_t cols) {
    const int8_t *end = x + cols;
    uint64_t total = 0;
    for (; x != end; x += 8, lanes += 4) {
        uint64_t first = (uint64_t)(int64_t)x[4] + ((uint64_t)(int64_t)x[0] << 32);
        uint64_t second = (uint64_t)(int64_t)x[5] + ((uint64_t)(int64_t)x[1] << 32);
        uint64_t third = (uint64_t)(int64_t)x[6] + ((uint64_t)(int64_t)x[2] << 32);
        uint64_t fourth = (uint64_t)(int64_t)x[7] + ((uint64_t)(int64_t)x[3] << 32);
        total += first + second + third + fourth;
        lanes[0] = first;
        lanes[1] = second - (first << 8);
        lanes[2] = third - (first << 16);
        lanes[3] = fourth - (first << 24);
    }
    /* total is low + high 2^32 with |low|, |high| <= 2^18 */
    return (int32_t)((uint32_t)total + (uint32_t)((total + HALF_WORD) >> 32));
}

AWM_INLINE int32_t finish(uint64_t sum, int32_t bias64) {
    return (int32_t)(uint32_t)((sum + HALF_WORD) >> 32) - bias64;
}

/* One word of activations against four rows. */
#define WORD(cols, g, k, load) \
    x = lanes[4 * (g) + (k)]; \
    a0 += load(w + 8 * (g) + (k)) * x; \
    a1 += load(w + (cols) + 8 * (g) + (k)) * x; \
    a2 += load(w + 2 * (cols) + 8 * (g) + (k)) * x; \
    a3 += load(w + 3 * (cols) + 8 * (g) + (k)) * x;
#define WHOLE(p) awm_load64(p)
#define PAIR(p) (awm_load64(p) & mask)
#define GROUP(cols, g) WORD(cols, g, 0, WHOLE) WORD(cols, g, 1, PAIR) WORD(cols, g, 2, PAIR) WORD(cols, g, 3, PAIR)

#define DEFINE_FOUR_ROWS(cols) \
    static AWM_NOINLINE void four_rows_##cols(int32_t *acc, const uint8_t *w, const uint64_t *lanes, int32_t bias64) { \
        uint64_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, x, mask = PAIR_MASK; \
        const uint64_t *end = lanes + (cols) / 2; \
        do { \
            GROUP(cols, 0) GROUP(cols, 1) GROUP(cols, 2) GROUP(cols, 3) \
            w += 32; \
            lanes += 16; \
        } while (lanes != end); \
        acc[0] = finish(a0, bias64); \
        acc[1] = finish(a1, bias64); \
        acc[2] = finish(a2, bias64); \
        acc[3] = finish(a3, bias64); \
    }

#define FOR_EACH_COLS(f) f(64) f(96) f(128) f(160) f(192) f(256) f(320) f(384) f(512) f(640) f(768) f(1024)
FOR_EACH_COLS(DEFINE_FOUR_ROWS)

/* Any multiple of 8 columns, one row. */
static AWM_NOINLINE int32_t one_row(const uint8_t *w, const uint64_t *lanes, uint32_t cols, int32_t bias64) {
    const uint64_t mask = PAIR_MASK, *end = lanes + cols / 2;
    uint64_t sum = 0;
    for (; lanes != end; lanes += 4, w += 8) {
        sum += awm_load64(w) * lanes[0];
        sum += (awm_load64(w + 1) & mask) * lanes[1];
        sum += (awm_load64(w + 2) & mask) * lanes[2];
        sum += (awm_load64(w + 3) & mask) * lanes[3];
    }
    return finish(sum, bias64);
}

#define CASE_FOUR_ROWS(n) \
    case n: \
        for (; r + 4 <= a->rows; r += 4, w += 4 * (n)) four_rows_##n(a->acc + r, w, a->lanes, a->bias64); \
        break;

void awm_matvec_swar(const awm_matvec_args *a) {
    const uint8_t *w = a->w;
    uint32_t r = 0;
    switch (a->cols) {
        FOR_EACH_COLS(CASE_FOUR_ROWS)
    default: break;
    }
    for (; r < a->rows; r++, w += a->cols) a->acc[r] = one_row(w, a->lanes, a->cols, a->bias64);
}
