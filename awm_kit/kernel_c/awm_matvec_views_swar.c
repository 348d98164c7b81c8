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
 * of a word.
 *
 * Activations are seldom as large as that, and then lanes hold many more columns before they are taken out. A run is two
 * or more blocks of eight columns of which each lane's sum of |x| is at most 520: |sum (w - 64) x| <= 63 * 520 = 32,760 <
 * 2^15. Its blocks' words, W = w0 .. w7 and W' = w1 + w3 2^16 + w5 2^32 + w7 2^48, are not halved either:
 *
 *     W E + W' (O - 2^8 E) + (W >> 32) (E1 - 2^32 E) + (W' >> 32) (O1 - 2^8 E1 - 2^32 (O - 2^8 E))
 *
 * has the products of columns 4..7 with their own E1 and O1, as what the first two terms make of them is taken off. These add
 * up, modulo 2^64, until the run's last block; with what was added to the first (of all its blocks, but 2^15 once) the lanes are what
 * they are above. Lane 2 is of both views, w0 x2' + w1 x3' + w2 x0 + w3 x1 + ..., and is measured too; lane 0 has a part of
 * lane 1's x.
 *
 * With the 2^15 of each time that lanes were taken out taken off, and AWM_RAISE added when it begins, both halves of a row's
 * sum stay positive, and it ends as
 *
 *     s = (AWM_RAISE + sum (w - 64) x) + 2^32 (AWM_RAISE + sum (w - 64) x'),
 *
 * which awm_store_views_sbf.c requantises: |sums| <= 63 * 128 * 4096 < 2^25.
 * Weight bytes outside of 1..127 may overflow a lane: then s is some word. */
#include "awm_ops.h"

#define EVEN_BYTES 0x00FF00FF00FF00FFu
#define EVEN_LANES 0x0000FFFF0000FFFFu
#define SIGNS 0x8080808080808080u
#define ONES 0x0101010101010101u
#define LANES 0x0001000100010001u
#define BOTH 0x0000000100000001u
#define HALVES (32768 * LANES)
#define MOST (520 * LANES) /* of |x| in the lanes of a run */

/* Words of a block. In a run E1, O1 and the two that are added are E1 - 2^32 E, the same of O1, what is added if this block's
 * lanes are taken out alone and, in its first block, what is added for all of it. O stands for O - 2^8 E. */
enum { E, O, E1, O1, ADD, ADD1, KIND = 7, BLOCK = 8 };
enum { SPLIT, FIRST, NEXT, LAST }; /* kinds: halves taken out one by one; a run's blocks */

/* Four columns of both views, bytes x3..x0, x3'..x0'; a signed byte is (v ^ 128) - 128. */
AWM_INLINE void spread(uint64_t *even_odd, uint64_t *add, uint64_t bytes) {
    const uint64_t raised = bytes ^ SIGNS;
    const uint64_t even = (raised >> 8 & EVEN_BYTES) - 128 * LANES, odd = (raised & EVEN_BYTES) - 128 * LANES;
    even_odd[0] = even;
    even_odd[1] = odd - (even << 8);
    *add = HALVES - 64 * 65537 * (even + odd);
}

/* |x2| + |x3|, |x0| + |x1|, the same of x' in lanes. */
AWM_INLINE uint64_t pairs(uint64_t bytes) {
    const uint64_t negative = bytes >> 7 & ONES, size = (bytes ^ negative * 255) + negative;
    return (size & EVEN_BYTES) + (size >> 8 & EVEN_BYTES);
}

AWM_INLINE void join(uint64_t *block) {
    block[E1] -= block[E] << 32;
    block[O1] -= block[O] << 32;
    block[ADD] += block[ADD1] - HALVES;
}

/* Prepares eight words for eight columns, and what sums of rows begin with. */
void awm_views_begin_swar(awm_views_args *a) {
    const uint8_t *x = (const uint8_t *)a->x[0], *other = (const uint8_t *)a->x[1], *end = x + a->cols;
    const uint64_t blocks = a->cols / 8;
    uint64_t *block = a->lanes, *first = block, run = 2 * MOST, runs = 0, split = blocks;
    for (; x != end; x += 8, other += 8, block += BLOCK) {
        const uint64_t v = __builtin_bswap64(awm_load64(x)), v1 = __builtin_bswap64(awm_load64(other));
        const uint64_t low = v >> 32 | (v1 >> 32) << 32, high = (uint32_t)v | v1 << 32;
        const uint64_t sizes = pairs(low) + pairs(high), size = sizes + (sizes >> 16); /* of lanes 1, 2, 3; 3's of four */
        spread(block + E, block + ADD, low);
        spread(block + E1, block + ADD1, high);
        block[KIND] = SPLIT;
        run += size;
        if ((run + (32767 * LANES - MOST)) & HALVES) { /* more than the most in any lane */
            run = size;
            continue;
        }
        split--;
        join(block);
        block[KIND] = LAST;
        if (block[KIND - BLOCK] == SPLIT) {
            split--;
            runs++;
            first = block - BLOCK;
            join(first);
            first[ADD1] = first[ADD];
            first[KIND] = FIRST;
        } else {
            block[KIND - BLOCK] = NEXT;
        }
        first[ADD1] += block[ADD] - HALVES;
    }
    a->start = (AWM_RAISE - (2 * split + runs) * 32768) * BOTH;
    a->alone = (AWM_RAISE - (split + blocks) * 32768) * BOTH;
}

#ifdef __bpf__
#define LOAD(to, at) #to " = *(u64 *)(" at ")\n"
#define STORE(at, from) "*(u64 *)(" at ") = " #from "\n"
#define EVEN_BYTES_IN(r) #r " = 0x00FF00FF00FF00FF ll\n"
#define EVEN_LANES_IN(r) #r " = 0x0000FFFF0000FFFF ll\n"

/* The halves of a word of weights, r6, make a word of lanes each, in r7 and r8: e, o and add multiply by or add one of the
 * prepared words. LLVM would spill. */
#define LOWER(e, o, add) "w8 = w6\n" e(r7, r8, 0) "r8 >>= 8\nr8 &= 0x00FF00FF\n" o(r8, 1) "r7 += r8\n" add(r7, 4)
#define UPPER(e, o, add) "r6 >>= 32\n" e(r8, r6, 2) "r6 >>= 8\nr6 &= 0x00FF00FF\n" o(r6, 3) "r8 += r6\n" add(r8, 5)

/* Sixteen rows, their sums on the stack, then what runs have made so far: the words of eight columns stay in r0 to r5 for
 * all of them, so that a row takes three loads and stores a word of weights, or two or four at a run's ends. In runs r4 is
 * EVEN_BYTES, at their ends r5 EVEN_LANES. r9 weights; below all that are sums, lanes, the end of the first row. */
#define ROWS 16
#define SUM(r) "r10 - 8 - 8 * " #r
#define SO_FAR(r) "r10 - 136 - 8 * " #r
#define WEIGHTS(cols, r) LOAD(r6, "r9 + " #cols " * " #r)
#define BEGIN(cols, r) STORE(SUM(r), r5)

#define PUT_E(to, w, k) #to " = " #w "\n" #to " *= r" #k "\n"
#define PUT_O(w, k) #w " *= r" #k "\n"
#define PUT_ADD(to, k) #to " += r" #k "\n"
#define SPLIT_ROW(cols, r) \
    __asm__ volatile(WEIGHTS(cols, r) LOWER(PUT_E, PUT_O, PUT_ADD) UPPER(PUT_E, PUT_O, PUT_ADD) \
                     EVEN_LANES_IN(r6) "r7 >>= 16\nr7 &= r6\nr8 >>= 16\nr8 &= r6\nr7 += r8\n" \
                     LOAD(r6, SUM(r)) "r6 += r7\n" STORE(SUM(r), r6));

#define RUN(cols, r) \
    WEIGHTS(cols, r) "r7 = r6\nr7 *= r0\nr8 = r6\nr8 >>= 8\nr8 &= r4\nr6 >>= 32\nr6 *= r2\nr7 += r6\n" \
    "r6 = r8\nr6 *= r1\nr7 += r6\nr8 >>= 32\nr8 *= r3\nr7 += r8\n"
#define FIRST_ROW(cols, r) __asm__ volatile(RUN(cols, r) "r7 += r5\n" STORE(SO_FAR(r), r7));
#define NEXT_ROW(cols, r) __asm__ volatile(RUN(cols, r) LOAD(r6, SO_FAR(r)) "r6 += r7\n" STORE(SO_FAR(r), r6));
#define LAST_ROW(cols, r) \
    __asm__ volatile(RUN(cols, r) LOAD(r6, SO_FAR(r)) "r7 += r6\nr7 >>= 16\nr7 &= r5\n" LOAD(r6, SUM(r)) "r6 += r7\n" \
                     STORE(SUM(r), r6));

#define FINISH(cols, r) LOAD(r7, SUM(r)) STORE("r6 + 8 * " #r, r7)
#define EACH_ROW(f, cols) \
    f(cols, 0) f(cols, 1) f(cols, 2) f(cols, 3) f(cols, 4) f(cols, 5) f(cols, 6) f(cols, 7) f(cols, 8) f(cols, 9) \
    f(cols, 10) f(cols, 11) f(cols, 12) f(cols, 13) f(cols, 14) f(cols, 15)
#define WORD(to, k) LOAD(to, "r6 + 8 * " #k)

/* 2, 3, 4: where the kinds of blocks are; 5: what ends each. */
#define DEFINE_ROWS(cols) \
    __attribute__((naked, noinline)) static void rows_##cols(uint64_t *sums, const uint8_t *w, const uint64_t *lanes, \
                                                             const uint8_t *end, uint64_t start) { \
        __asm__ volatile(STORE("r10 - 264", r1) STORE("r10 - 272", r3) STORE("r10 - 280", r4) "r9 = r2\n" \
                         EACH_ROW(BEGIN, cols) \
                         "1:\n" LOAD(r6, "r10 - 272") WORD(r0, 0) WORD(r1, 1) WORD(r2, 2) WORD(r3, 3) WORD(r5, 5) \
                         WORD(r7, 7) "r6 += 64\n" STORE("r10 - 272", r6) "if r7 == 0 goto 4f\n" EVEN_BYTES_IN(r4) \
                         "if r7 == 2 goto 2f\nif r7 == 3 goto 3f\n"); \
        EACH_ROW(FIRST_ROW, cols) \
        __asm__ volatile("goto 5f\n2:\n"); \
        EACH_ROW(NEXT_ROW, cols) \
        __asm__ volatile("goto 5f\n3:\n" EVEN_LANES_IN(r5)); \
        EACH_ROW(LAST_ROW, cols) \
        __asm__ volatile("goto 5f\n4:\n" LOAD(r4, "r6 - 32")); \
        EACH_ROW(SPLIT_ROW, cols) \
        __asm__ volatile("5:\nr9 += 8\n" LOAD(r6, "r10 - 280") "if r9 != r6 goto 1b\n" LOAD(r6, "r10 - 264") \
                         EACH_ROW(FINISH, cols) "exit\n"); \
    }
AWM_FOR_EACH_COLS(DEFINE_ROWS)

/* One row of any column count. r0 the sum, r1 weights, r2 lanes, r3 their end, r4 what begins the sum, then EVEN_LANES,
 * r5 EVEN_BYTES. */
#define OF(k) "r2 + 8 * " #k
#define LOAD_E(to, w, k) LOAD(to, OF(k)) #to " *= " #w "\n"
#define LOAD_O(w, k) LOAD(r9, OF(k)) #w " *= r9\n"
#define LOAD_ADD(to, k) LOAD(r9, OF(k)) #to " += r9\n"
#define KEEP_LANES(r) #r " >>= 16\n" #r " &= r4\nr0 += " #r "\n"
__attribute__((naked, noinline)) static uint64_t one_row(const uint8_t *w, const uint64_t *lanes, const uint64_t *end,
                                                         uint64_t start) {
    __asm__ volatile("r0 = r4\n" EVEN_LANES_IN(r4) EVEN_BYTES_IN(r5) "1:\n" LOAD(r6, "r1 + 0") LOAD(r9, OF(7))
                     "if r9 == 0 goto 2f\n"
                     LOAD_E(r7, r6, 0) "r8 = r6\nr8 >>= 8\nr8 &= r5\nr6 >>= 32\n" LOAD_O(r6, 2) "r7 += r6\n"
                     LOAD_E(r6, r8, 1) "r7 += r6\nr8 >>= 32\n" LOAD_O(r8, 3) "r7 += r8\n" LOAD_ADD(r7, 4)
                     KEEP_LANES(r7) "goto 3f\n2:\n"
                     LOWER(LOAD_E, LOAD_O, LOAD_ADD) KEEP_LANES(r7) UPPER(LOAD_E, LOAD_O, LOAD_ADD) KEEP_LANES(r8)
                     "3:\nr1 += 8\nr2 += 64\nif r2 != r3 goto 1b\nexit\n");
}

#else
static uint64_t one_row(const uint8_t *w, const uint64_t *lanes, const uint64_t *end, uint64_t start) {
    for (; lanes != end; lanes += BLOCK, w += 8) {
        const uint64_t v = awm_load64(w), odd = v >> 8 & EVEN_BYTES;
        const uint64_t low = (lanes[KIND] == SPLIT ? (uint32_t)v : v) * lanes[E] +
                             (lanes[KIND] == SPLIT ? (uint32_t)odd : odd) * lanes[O] + lanes[ADD];
        const uint64_t high = (v >> 32) * lanes[E1] + (odd >> 32) * lanes[O1];
        if (lanes[KIND] == SPLIT)
            start += (low >> 16 & EVEN_LANES) + ((high + lanes[ADD1]) >> 16 & EVEN_LANES);
        else
            start += (low + high) >> 16 & EVEN_LANES;
    }
    return start;
}
#endif

void awm_views_matvec_swar(const awm_views_args *a) {
    const uint64_t cols = a->cols, rows = a->rows;
    const uint64_t *end = a->lanes + cols / 8 * BLOCK;
    const uint8_t *w = a->w;
    uint64_t r = 0;
#ifdef __bpf__
#define CASE_ROWS(n) \
    case n: for (; r + ROWS <= rows; r += ROWS, w += ROWS * n) rows_##n(a->sums + r, w, a->lanes, w + n, a->start); break;
    switch (a->cols) {
        AWM_FOR_EACH_COLS(CASE_ROWS)
    default: break;
    }
#endif
    for (; r < rows; r++, w += cols) a->sums[r] = one_row(w, a->lanes, end, a->alone);
}
