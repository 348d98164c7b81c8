/* awm_matvec_views_swar.c: a matrix against both views' activations; what SBF runs where a world has two views.
 *
 * The VM checks each load and store by a call, which takes as long as 20 other instructions. So eight weights are loaded in
 * one word and taken apart by shifts, and one multiplication makes products of two columns and two views. Of columns 0..3
 *
 *     E = x2 + x0 2^16 + x2' 2^32 + x0' 2^48,  O the same of x1 and x3    (x of view 0, x' of view 1, modulo 2^64)
 *     (w0 + w2 2^16) E + (w1 + w3 2^16) O                                 four lanes of 16 bits,
 *
 * of which lane 1 is sum w x of the four columns and lane 3 sum w x'; lanes 0 and 2 are of no use. The lower half of the
 * weights' word is w0 + w1 2^8 + w2 2^16 + w3 2^24, hence needs no mask: times E it has w1 and w3 times 2^8 E too many, which
 * O - 2^8 E takes off. Added is
 *
 *     2^15 in each lane - 64 (1 + 2^16) (E + O),
 *
 * which makes w - 64 of the weights and all lanes positive: |sum of four (w - 64) x| <= 4 * 63 * 128 = 32,256 < 2^15. So no
 * lane disturbs another, and after a shift by 16 the masked lanes 1 and 3 are added to a row's sum, which lies in the halves
 * of a word. With the lanes' 2^15, cols / 4 times, taken off and AWM_RAISE added when it begins, both halves stay positive,
 * and it ends as
 *
 *     s = (AWM_RAISE + sum (w - 64) x) + 2^32 (AWM_RAISE + sum (w - 64) x'),
 *
 * which awm_store_views_sbf.c requantises: |sums| <= 63 * 128 * 4096 < 2^25.
 * Weight bytes outside of 1..127 may overflow a lane: then s is some word. */
#include "awm_ops.h"

#define EVEN_BYTES 0x00FF00FF00FF00FFu
#define EVEN_LANES 0x0000FFFF0000FFFFu
#define SIGNS 0x8080808080808080u
#define LANES 0x0001000100010001u
#define BOTH 0x0000000100000001u

/* Four columns: E, O - 2^8 E, and what is added. Bytes are x0..x3, x0'..x3'; a signed byte is (v ^ 128) - 128. */
AWM_INLINE void spread(uint64_t *lanes, uint64_t bytes) {
    const uint64_t raised = bytes ^ SIGNS, swapped = (raised >> 16 & EVEN_LANES) | (raised & EVEN_LANES) << 16;
    const uint64_t even = (swapped & EVEN_BYTES) - 128 * LANES, odd = (swapped >> 8 & EVEN_BYTES) - 128 * LANES;
    lanes[0] = even;
    lanes[1] = odd - (even << 8);
    lanes[2] = 32768 * LANES - 64 * 65537 * (even + odd);
}

/* Prepares six words for eight columns; returns what the sums of rows begin with. */
uint64_t awm_views_begin_swar(const awm_views_args *a) {
    const uint8_t *x = (const uint8_t *)a->x[0], *other = (const uint8_t *)a->x[1], *end = x + a->cols;
    uint64_t *lanes = a->lanes;
    for (; x != end; x += 8, other += 8, lanes += 6) {
        const uint64_t v = awm_load64(x), v1 = awm_load64(other);
        spread(lanes, (uint32_t)v | v1 << 32);
        spread(lanes + 3, v >> 32 | (v1 >> 32) << 32);
    }
    return (AWM_RAISE - a->cols / 4 * (uint64_t)32768) * BOTH;
}

#ifdef __bpf__
/* The halves of a word of weights, r6, make a word of lanes each, in r7 and r8: e, o and add multiply by or add one of the six
 * prepared words. LLVM would spill. */
#define LOWER(e, o, add) "w8 = w6\n" e(r7, r8, 0) "r8 >>= 8\nr8 &= 0x00FF00FF\n" o(r8, 1) "r7 += r8\n" add(r7, 2)
#define UPPER(e, o, add) "r6 >>= 32\n" e(r8, r6, 3) "r6 >>= 8\nr6 &= 0x00FF00FF\n" o(r6, 4) "r8 += r6\n" add(r8, 5)

/* Sixteen rows, their sums on the stack: the six words of eight columns stay in r0 to r5 for all of them, so that a row takes
 * three loads and stores a word of weights. r9 weights; below the sums are sums, lanes, the end of the first row. */
#define ROWS 16
#define PUT_E(to, w, k) #to " = " #w "\n" #to " *= r" #k "\n"
#define PUT_O(w, k) #w " *= r" #k "\n"
#define PUT_ADD(to, k) #to " += r" #k "\n"
#define SUM(r) "*(u64 *)(r10 - 8 - 8 * " #r ")"
#define BEGIN(cols, r) SUM(r) " = r5\n"
#define ADD(cols, r) \
    __asm__ volatile("r6 = *(u64 *)(r9 + " #cols " * " #r ")\n" LOWER(PUT_E, PUT_O, PUT_ADD) UPPER(PUT_E, PUT_O, PUT_ADD) \
                     "r6 = 0x0000FFFF0000FFFF ll\nr7 >>= 16\nr7 &= r6\nr8 >>= 16\nr8 &= r6\nr7 += r8\n" \
                     "r6 = " SUM(r) "\nr6 += r7\n" SUM(r) " = r6\n");
#define FINISH(cols, r) "r7 = " SUM(r) "\n*(u64 *)(r6 + 8 * " #r ") = r7\n"
#define EACH_ROW(f, cols) \
    f(cols, 0) f(cols, 1) f(cols, 2) f(cols, 3) f(cols, 4) f(cols, 5) f(cols, 6) f(cols, 7) f(cols, 8) f(cols, 9) \
    f(cols, 10) f(cols, 11) f(cols, 12) f(cols, 13) f(cols, 14) f(cols, 15)
#define X(k) "r" #k " = *(u64 *)(r6 + 8 * " #k ")\n"

#define DEFINE_ROWS(cols) \
    __attribute__((naked, noinline)) static void rows_##cols(uint64_t *sums, const uint8_t *w, const uint64_t *lanes, \
                                                             const uint8_t *end, uint64_t start) { \
        __asm__ volatile("*(u64 *)(r10 - 136) = r1\n*(u64 *)(r10 - 144) = r3\n*(u64 *)(r10 - 152) = r4\nr9 = r2\n" \
                         EACH_ROW(BEGIN, cols) "1:\nr6 = *(u64 *)(r10 - 144)\n" X(0) X(1) X(2) X(3) X(4) X(5) \
                         "r6 += 48\n*(u64 *)(r10 - 144) = r6\n"); \
        EACH_ROW(ADD, cols) \
        __asm__ volatile("r9 += 8\nr6 = *(u64 *)(r10 - 152)\nif r9 != r6 goto 1b\nr6 = *(u64 *)(r10 - 136)\n" \
                         EACH_ROW(FINISH, cols) "exit\n"); \
    }
AWM_FOR_EACH_COLS(DEFINE_ROWS)

/* One row of any column count. r0 the sum, r1 weights, r2 lanes, r3 their end, r4 what begins the sum, then the mask. */
#define LOAD_E(to, w, k) #to " = *(u64 *)(r2 + 8 * " #k ")\n" #to " *= " #w "\n"
#define LOAD_O(w, k) "r9 = *(u64 *)(r2 + 8 * " #k ")\n" #w " *= r9\n"
#define LOAD_ADD(to, k) "r9 = *(u64 *)(r2 + 8 * " #k ")\n" #to " += r9\n"
#define KEEP_LANES(r) #r " >>= 16\n" #r " &= r4\nr0 += " #r "\n"
__attribute__((naked, noinline)) static uint64_t one_row(const uint8_t *w, const uint64_t *lanes, const uint64_t *end,
                                                         uint64_t start) {
    __asm__ volatile("r0 = r4\nr4 = 0x0000FFFF0000FFFF ll\n1:\nr6 = *(u64 *)(r1 + 0)\n" LOWER(LOAD_E, LOAD_O, LOAD_ADD)
                     KEEP_LANES(r7) UPPER(LOAD_E, LOAD_O, LOAD_ADD) KEEP_LANES(r8)
                     "r1 += 8\nr2 += 48\nif r2 != r3 goto 1b\nexit\n");
}

#else
AWM_INLINE uint64_t four_columns(uint64_t w, const uint64_t *lanes) {
    return (w * lanes[0] + (w >> 8 & 0x00FF00FF) * lanes[1] + lanes[2]) >> 16 & EVEN_LANES;
}

static uint64_t one_row(const uint8_t *w, const uint64_t *lanes, const uint64_t *end, uint64_t start) {
    for (; lanes != end; lanes += 6, w += 8) {
        const uint64_t v = awm_load64(w);
        start += four_columns((uint32_t)v, lanes) + four_columns(v >> 32, lanes + 3);
    }
    return start;
}
#endif

void awm_views_matvec_swar(const awm_views_args *a, uint64_t start) {
    const uint64_t cols = a->cols, rows = a->rows;
    const uint64_t *end = a->lanes + cols / 4 * 3;
    const uint8_t *w = a->w;
    uint64_t r = 0;
#ifdef __bpf__
#define CASE_ROWS(n) \
    case n: for (; r + ROWS <= rows; r += ROWS, w += ROWS * n) rows_##n(a->sums + r, w, a->lanes, w + n, start); break;
    switch (a->cols) {
        AWM_FOR_EACH_COLS(CASE_ROWS)
    default: break;
    }
#endif
    for (; r < rows; r++, w += cols) a->sums[r] = one_row(w, a->lanes, end, start);
}
