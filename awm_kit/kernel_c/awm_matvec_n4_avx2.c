/* awm_matvec_n4_avx2.c: a block's 16 rows side by side in int16, four columns at a time with maddubs.
 *
 * Masked to its low nibbles a lane has the bytes N_0, N_2, its high ones N_1, N_3: maddubs adds two products, at most
 * 2 * 15 * 128 in size, without saturation. Adding them may wrap; what awm_matvec_n4.h says of a chunk's total holds. */
#include "awm_matvec_n4.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/* Where a view's prepared columns are, and the words for its chunks. */
AWM_INLINE const uint8_t *columns_of(const awm_n4_args *a, uint32_t view) {
    return (const uint8_t *)(a->lanes + view * (a->cols / 4 + awm_n4_chunks(a)));
}

AVX2 AWM_INLINE __m256i pair_of(const uint8_t *x) {
    int32_t v;
    __builtin_memcpy(&v, x, 4);
    return _mm256_set1_epi32(v);
}

AVX2 AWM_INLINE __m256i multiplied(__m256i sum, __m256i even, __m256i odd, const uint8_t *x) {
    even = _mm256_maddubs_epi16(even, pair_of(x));
    odd = _mm256_maddubs_epi16(odd, pair_of(x + 4));
    return _mm256_add_epi16(sum, _mm256_add_epi16(even, odd));
}

typedef struct totals {
    __m256i even, odd; /* rows 0, 1 and rows 2, 3 of the quads */
} totals;

/* Lanes below 2^16 and scales are multiplied in 32 bits. */
AVX2 AWM_INLINE void add_chunk(totals *t, __m256i sum, uint64_t start, const uint8_t *scales) {
    const __m256i first = _mm256_setr_epi32(0, 0, 2, 2, 4, 4, 6, 6), second = _mm256_setr_epi32(1, 1, 3, 3, 5, 5, 7, 7);
    const __m256i scale = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)scales));
    sum = _mm256_add_epi16(sum, _mm256_set1_epi16((int16_t)start));
    t->even = _mm256_add_epi32(t->even, _mm256_mullo_epi32(_mm256_and_si256(sum, _mm256_set1_epi32(0xFFFF)),
                                                           _mm256_permutevar8x32_epi32(scale, first)));
    t->odd = _mm256_add_epi32(t->odd, _mm256_mullo_epi32(_mm256_srli_epi32(sum, 16),
                                                         _mm256_permutevar8x32_epi32(scale, second)));
}

AVX2 AWM_INLINE void store(int32_t *acc, totals t) {
    const __m256i even = _mm256_permute4x64_epi64(t.even, 0xD8), odd = _mm256_permute4x64_epi64(t.odd, 0xD8);
    _mm256_storeu_si256((__m256i *)(void *)acc, _mm256_unpacklo_epi64(even, odd));
    _mm256_storeu_si256((__m256i *)(void *)(acc + 8), _mm256_unpackhi_epi64(even, odd));
}

AVX2 AWM_INLINE void block(const awm_n4_args *a, int32_t *acc, uint32_t views) {
    const __m256i low = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    const uint8_t *words = a->words, *scales = a->scales, *x = columns_of(a, 0), *y = columns_of(a, views - 1);
    const uint64_t *x_start = (const uint64_t *)(const void *)(x + 2 * a->cols);
    const uint64_t *y_start = (const uint64_t *)(const void *)(y + 2 * a->cols);
    totals t = {zero, zero}, u = t;
    uint32_t left = a->cols;
    for (; left; scales += 8) {
        const uint32_t cols = left > AWM_N4_CHUNK ? AWM_N4_CHUNK : left;
        const uint8_t *end = words + 8 * cols;
        __m256i sum = zero, other = zero;
        for (; words != end; words += 32, x += 8, y += 8) {
            const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)words);
            const __m256i even = _mm256_and_si256(v, low), odd = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
            sum = multiplied(sum, even, odd, x);
            if (views == 2) other = multiplied(other, even, odd, y);
        }
        add_chunk(&t, sum, *x_start++, scales);
        if (views == 2) add_chunk(&u, other, *y_start++, scales);
        left -= cols;
    }
    store(acc, t);
    if (views == 2) store(acc + AWM_CHUNK, u);
}

/* View by view: of every 4 columns the bytes x0 x2 x0 x2 x1 x3 x1 x3, then for every chunk a word of 32768 - 8 sum x,
 * modulo 2^16. */
void awm_n4_begin_avx2(const awm_n4_args *a) {
    uint8_t *to = (uint8_t *)(void *)a->lanes;
    uint32_t view;
    for (view = 0; view < a->views; view++) {
        const int8_t *x = a->x[view], *end = x + a->cols;
        uint64_t *start = (uint64_t *)(void *)(to + 2 * a->cols);
        while (x != end) {
            const int8_t *stop = end - x > AWM_N4_CHUNK ? x + AWM_N4_CHUNK : end;
            int32_t sum = 0;
            for (; x != stop; x += 4, to += 8) {
                to[0] = to[2] = (uint8_t)x[0];
                to[1] = to[3] = (uint8_t)x[2];
                to[4] = to[6] = (uint8_t)x[1];
                to[5] = to[7] = (uint8_t)x[3];
                sum += x[0] + x[1] + x[2] + x[3];
            }
            *start++ = (uint16_t)(32768 - 8 * sum);
        }
        to = (uint8_t *)(void *)start;
    }
}

AVX2 void awm_n4_avx2(const awm_n4_args *a) {
    awm_n4_args at = *a;
    for (; at.rows >= AWM_N4_BLOCK; at.rows -= AWM_N4_BLOCK, at.acc += AWM_N4_BLOCK) {
        if (a->views == 1)
            block(&at, at.acc, 1);
        else
            block(&at, at.acc, 2);
        awm_n4_skip(&at, AWM_N4_BLOCK);
    }
    awm_n4_portable(&at);
}

#else
AWM_STATIC_ASSERT(this_target_has_no_n4_avx2, 1);
#endif
