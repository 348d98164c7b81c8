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
 * Column counts are compile-time constants so that five rows have one pointer: five sums, two pointers, two words
 * and the mask are the ten registers of BPF.
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

/* What a sum begins with, so that its upper half ends as sum w x - 64 sum x. */
AWM_INLINE uint64_t start_at(int64_t bias64) {
    return HALF_WORD - ((uint64_t)bias64 << 32);
}

AWM_INLINE int32_t finish(uint64_t sum) {
    return (int32_t)(uint32_t)(sum >> 32);
}

/* sum += (word at w + offset) * x, the word masked for PAIR. LLVM's BPF back end spills the sums of such code when
 * it may order it, 3.3 instructions a product instead of 2; for SBF the order and the registers are spelled out. */
#ifdef __bpf__
#define KEEP(v) __asm__ volatile("" : "+r"(v))
#define WHOLE(sum, w, offset, x) \
    __asm__ volatile("%1 = *(u64 *)(%2 + %4)\n%1 *= %3\n%0 += %1" : "+r"(sum), "=&r"(t) : "r"(w), "r"(x), "i"(offset))
#define PAIR(sum, w, offset, x) \
    __asm__ volatile("%1 = *(u64 *)(%2 + %5)\n%1 &= %4\n%1 *= %3\n%0 += %1" \
                     : "+r"(sum), "=&r"(t) : "r"(w), "r"(x), "r"(mask), "i"(offset))
#else
#define KEEP(v) ((void)0)
#define WHOLE(sum, w, offset, x) (t = awm_load64((w) + (offset)), sum += t * (x))
#define PAIR(sum, w, offset, x) (t = awm_load64((w) + (offset)) & mask, sum += t * (x))
#endif

/* One word of activations against five rows; the four words of a group of eight columns. */
#define WORD5(cols, g, k, multiply) \
    x = lanes[4 * (g) + (k)]; \
    multiply(a0, w, 8 * (g) + (k), x); \
    multiply(a1, w, (cols) + 8 * (g) + (k), x); \
    multiply(a2, w, 2 * (cols) + 8 * (g) + (k), x); \
    multiply(a3, w, 3 * (cols) + 8 * (g) + (k), x); \
    multiply(a4, w, 4 * (cols) + 8 * (g) + (k), x);
#define GROUP5(cols, g) \
    WORD5(cols, g, 0, WHOLE) WORD5(cols, g, 1, PAIR) WORD5(cols, g, 2, PAIR) WORD5(cols, g, 3, PAIR)

#define STEP(cols) ((cols) % 16 == 0 ? 16 : 8)
#define DEFINE_FIVES(cols) \
    static AWM_NOINLINE void fives_##cols(int32_t *acc, const int32_t *end, const uint8_t *w, \
                                          const uint64_t *first, uint64_t start) { \
        for (; acc != end; acc += 5, w += 4 * (cols)) { \
            uint64_t a0 = start, a1 = start, a2 = start, a3 = start, a4 = start, x, t, mask = PAIR_MASK; \
            const uint64_t *lanes = first, *last = first + (cols) / 2; \
            do { \
                GROUP5(cols, 0) \
                if (STEP(cols) == 16) { \
                    GROUP5(cols, 1) \
                } \
                w += STEP(cols); \
                lanes += STEP(cols) / 2; \
                KEEP(lanes); \
            } while (lanes != last); \
            acc[0] = finish(a0); \
            acc[1] = finish(a1); \
            acc[2] = finish(a2); \
            acc[3] = finish(a3); \
            acc[4] = finish(a4); \
        } \
    }

AWM_FOR_EACH_COLS(DEFINE_FIVES)

/* Any multiple of 8 columns: two rows at once, w1 behind w. */
#define WORD2(k, multiply) \
    x = lanes[k]; \
    multiply(a0, w, k, x); \
    multiply(a1, w1, k, x);
static AWM_NOINLINE void two_rows(int32_t *acc, const uint8_t *w, const uint64_t *lanes, uint64_t cols, uint64_t start) {
    const uint64_t *last = lanes + cols / 2;
    const uint8_t *w1 = w + cols;
    uint64_t a0 = start, a1 = start, x, t, mask = PAIR_MASK;
    for (; lanes != last; lanes += 4, w += 8, w1 += 8) {
        WORD2(0, WHOLE) WORD2(1, PAIR) WORD2(2, PAIR) WORD2(3, PAIR)
    }
    acc[0] = finish(a0);
    acc[1] = finish(a1);
}

static AWM_NOINLINE int32_t one_row(const uint8_t *w, const uint64_t *lanes, uint64_t cols, uint64_t start) {
    const uint64_t *last = lanes + cols / 2;
    uint64_t sum = start, t, mask = PAIR_MASK;
    for (; lanes != last; lanes += 4, w += 8) {
        WHOLE(sum, w, 0, lanes[0]);
        PAIR(sum, w, 1, lanes[1]);
        PAIR(sum, w, 2, lanes[2]);
        PAIR(sum, w, 3, lanes[3]);
    }
    return finish(sum);
}

#define CASE_FIVES(n) \
    case n: fives_##n(a->acc, a->acc + r, w, a->lanes, start); break;

void awm_matvec_swar(const awm_matvec_args *a) {
    const uint64_t cols = a->cols, rows = a->rows, start = start_at(a->bias64);
    const uint8_t *w = a->w;
    uint64_t r = rows - rows % 5;
    switch (a->cols) {
        AWM_FOR_EACH_COLS(CASE_FIVES)
    default: r = 0; break;
    }
    for (w += r * cols; r + 2 <= rows; r += 2, w += 2 * cols) two_rows(a->acc + r, w, a->lanes, cols, start);
    if (r < rows) a->acc[r] = one_row(w, a->lanes, cols, start);
}
