/* awm_matvec_avx512vnni.c: 64 columns at a time with dpbusd, which sums four products in int32 without saturation.
 *
 * From memory the loads of the weights are what takes the time. Two views that want the same rows share them, and a
 * block of rows is read as four streams, a quarter of it each, which the prefetchers follow better than one. */
#include "awm_ops.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

enum { AHEAD = 4096 }; /* bytes; a prefetch beyond the shard is no access */

/* cols is a multiple of 8: the last word is cut short by masks, not read past. */
AWM_INLINE __mmask64 columns(uint32_t left) {
    return left >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
}

VNNI void awm_matvec_avx512vnni(const awm_matvec_args *a) {
    const uint32_t cols = a->cols;
    const uint8_t *w = a->w;
    uint32_t r, k;
    for (r = 0; r < a->rows; r++, w += cols) {
        __m512i sum = _mm512_setzero_si512();
        for (k = 0; k < cols; k += 64) {
            const __mmask64 mask = columns(cols - k);
            _mm_prefetch((const char *)(w + k + AHEAD), _MM_HINT_T0);
            sum = _mm512_dpbusd_epi32(sum, _mm512_maskz_loadu_epi8(mask, w + k),
                                      _mm512_maskz_loadu_epi8(mask, a->x + k));
        }
        a->acc[r] = _mm512_reduce_add_epi32(sum) - a->bias64;
    }
}

/* The sums of four words. */
VNNI AWM_INLINE __m128i totals(__m512i a, __m512i b, __m512i c, __m512i d) {
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    const __m512i s = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i h = _mm256_add_epi32(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64(s, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
}

VNNI AWM_INLINE void scatter(const awm_matvec_args *a, uint32_t r, uint32_t quarter, __m128i sums) {
    sums = _mm_sub_epi32(sums, _mm_set1_epi32(a->bias64));
    a->acc[r] = _mm_cvtsi128_si32(sums);
    a->acc[r + quarter] = _mm_extract_epi32(sums, 1);
    a->acc[r + 2 * quarter] = _mm_extract_epi32(sums, 2);
    a->acc[r + 3 * quarter] = _mm_extract_epi32(sums, 3);
}

/* One word of both views against a row of each stream. */
#define FOUR(load) \
    v = load(a->x + k), u = load(b->x + k); \
    word = load(w + k), s0 = _mm512_dpbusd_epi32(s0, word, v), t0 = _mm512_dpbusd_epi32(t0, word, u); \
    word = load(w1 + k), s1 = _mm512_dpbusd_epi32(s1, word, v), t1 = _mm512_dpbusd_epi32(t1, word, u); \
    word = load(w2 + k), s2 = _mm512_dpbusd_epi32(s2, word, v), t2 = _mm512_dpbusd_epi32(t2, word, u); \
    word = load(w3 + k), s3 = _mm512_dpbusd_epi32(s3, word, v), t3 = _mm512_dpbusd_epi32(t3, word, u);
#define MASKED(p) _mm512_maskz_loadu_epi8(mask, p)

VNNI void awm_matvec_pair_avx512vnni(const awm_matvec_args *a, const awm_matvec_args *b) {
    const uint32_t cols = a->cols, whole = cols & ~63u, quarter = a->rows / 4;
    const __mmask64 mask = columns(cols - whole);
    const size_t stream = (size_t)quarter * cols;
    const uint8_t *w = a->w;
    awm_matvec_args rest;
    uint32_t r, k;
    for (r = 0; r < quarter; r++, w += cols) {
        const uint8_t *w1 = w + stream, *w2 = w1 + stream, *w3 = w2 + stream;
        __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0, v, u, word;
        for (k = 0; k < whole; k += 64) {
            FOUR(_mm512_loadu_si512)
        }
        if (mask) {
            FOUR(MASKED)
        }
        scatter(a, r, quarter, totals(s0, s1, s2, s3));
        scatter(b, r, quarter, totals(t0, t1, t2, t3));
    }
    rest = *a;
    rest.w += 4 * stream;
    rest.rows -= 4 * quarter;
    rest.acc += 4 * quarter;
    awm_matvec_avx512vnni(&rest);
    rest.acc = b->acc + 4 * quarter;
    rest.x = b->x;
    rest.bias64 = b->bias64;
    awm_matvec_avx512vnni(&rest);
}

#else
AWM_STATIC_ASSERT(this_target_has_no_avx512vnni, 1);
#endif
