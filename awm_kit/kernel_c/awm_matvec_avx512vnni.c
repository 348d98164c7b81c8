/* awm_matvec_avx512vnni.c: 64 columns at a time with dpbusd, which sums four products in int32 without saturation. */
#include "awm_ops.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

VNNI static __m512i word(const uint8_t *w, uint32_t k, __mmask64 mask) {
    return _mm512_maskz_loadu_epi8(mask, w + k);
}

VNNI void awm_matvec_avx512vnni(const awm_matvec_args *a) {
    const uint32_t cols = a->cols;
    const uint8_t *w = a->w;
    uint32_t r = 0, k;
    for (; r + 8 <= a->rows; r += 8, w += 8 * (size_t)cols) {
        __m512i s[8];
        uint32_t i;
        AWM_UNROLL(8)
        for (i = 0; i < 8; i++) s[i] = _mm512_setzero_si512();
        for (k = 0; k < cols; k += 64) {
            /* cols is a multiple of 8: the last word is cut short by masks, not read past */
            __mmask64 mask = cols - k >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (cols - k)) - 1;
            __m512i x = _mm512_maskz_loadu_epi8(mask, a->x + k);
            AWM_UNROLL(8)
            for (i = 0; i < 8; i++) s[i] = _mm512_dpbusd_epi32(s[i], word(w + (size_t)i * cols, k, mask), x);
        }
        AWM_UNROLL(8)
        for (i = 0; i < 8; i++) a->acc[r + i] = _mm512_reduce_add_epi32(s[i]) - a->bias64;
    }
    for (; r < a->rows; r++, w += cols) {
        __m512i sum = _mm512_setzero_si512();
        for (k = 0; k < cols; k += 64) {
            __mmask64 mask = cols - k >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (cols - k)) - 1;
            sum = _mm512_dpbusd_epi32(sum, word(w, k, mask), _mm512_maskz_loadu_epi8(mask, a->x + k));
        }
        a->acc[r] = _mm512_reduce_add_epi32(sum) - a->bias64;
    }
}

#else
AWM_STATIC_ASSERT(this_target_has_no_avx512vnni, 1);
#endif
