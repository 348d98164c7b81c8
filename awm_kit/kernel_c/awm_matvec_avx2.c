/* awm_matvec_avx2.c: 32 columns at a time with maddubs.
 *
 * Exact for weight bytes 1..127: a pair's sum is at most 2 * 127 * 128 = 32512 and does not saturate int16.
 */
#include "awm_ops.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

AVX2 static int32_t total(__m256i v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}

AVX2 static __m256i dot(__m256i sum, __m256i w, __m256i x) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}

/* The last cols % 32 columns, eight at a time. */
AVX2 static int32_t tail(const uint8_t *w, const int8_t *x, uint32_t n) {
    __m128i sum = _mm_setzero_si128();
    uint32_t k;
    for (k = 0; k < n; k += 8) {
        __m128i v = _mm_loadl_epi64((const __m128i *)(const void *)(x + k));
        __m128i u = _mm_loadl_epi64((const __m128i *)(const void *)(w + k));
        sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_maddubs_epi16(u, v), _mm_set1_epi16(1)));
    }
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    return _mm_cvtsi128_si32(sum);
}

#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))

AVX2 void awm_matvec_avx2(const awm_matvec_args *a) {
    const uint32_t cols = a->cols, whole = cols & ~31u;
    const uint8_t *w = a->w;
    uint32_t r = 0, k;
    for (; r + 4 <= a->rows; r += 4, w += 4 * (size_t)cols) {
        __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
        for (k = 0; k < whole; k += 32) {
            __m256i x = LOAD(a->x + k);
            s0 = dot(s0, LOAD(w + k), x);
            s1 = dot(s1, LOAD(w + cols + k), x);
            s2 = dot(s2, LOAD(w + 2 * cols + k), x);
            s3 = dot(s3, LOAD(w + 3 * cols + k), x);
        }
        a->acc[r] = total(s0) + tail(w + whole, a->x + whole, cols - whole) - a->bias64;
        a->acc[r + 1] = total(s1) + tail(w + cols + whole, a->x + whole, cols - whole) - a->bias64;
        a->acc[r + 2] = total(s2) + tail(w + 2 * cols + whole, a->x + whole, cols - whole) - a->bias64;
        a->acc[r + 3] = total(s3) + tail(w + 3 * cols + whole, a->x + whole, cols - whole) - a->bias64;
    }
    for (; r < a->rows; r++, w += cols) {
        __m256i sum = _mm256_setzero_si256();
        for (k = 0; k < whole; k += 32) sum = dot(sum, LOAD(w + k), LOAD(a->x + k));
        a->acc[r] = total(sum) + tail(w + whole, a->x + whole, cols - whole) - a->bias64;
    }
}

/* ---------------------------------------------------------------- selective scan */

#define AWM_TARGET AVX2
#define AWM_DOT(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
#include "awm_scan_avx.h"

#define AWM_SCAN AVX2 static void scan_any
#include "awm_scan_body.h"

AVX2 void awm_scan_avx2(const awm_scan_args *a) {
    uint32_t p, i, n;
    if (a->d_state % 16 || a->headdim % 8) {
        scan_any(a);
        return;
    }
    for (p = 0; p < a->headdim; p += n) {
        int32_t in[AWM_SCAN_BLOCK];
        awm_scan_block k;
        n = a->headdim - p < AWM_SCAN_BLOCK ? a->headdim - p : AWM_SCAN_BLOCK;
        for (i = 0; i < n; i++) in[i] = (int32_t)awm_scan_input(a, a->x[p + i]);
        for (i = 0; i < n; i += 8) awm_scan_factor(&k, i, LOAD(in + i), a->decay);
        awm_scan_states(&k, a->h + p * a->d_state, a, n);
        for (i = 0; i < n; i++) a->v[p + i] = awm_scan_output(a, k.y[i], a->x[p + i], a->z[p + i]);
    }
}

#else
AWM_STATIC_ASSERT(this_target_has_no_avx2, 1);
#endif
