/* awm_avx512.h: what the AVX-512 files share: 64-bit lanes, in which the products that NUMERICS.md bounds by 2^63 are
 * exact (mullo) and shifts are arithmetic (sra). */
#ifndef AWM_AVX512_H
#define AWM_AVX512_H

#include "awm_ops.h"

#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")))
#define WIDE_INLINE WIDE static inline __attribute__((always_inline, unused))

WIDE_INLINE __m512i clamp64(__m512i v, int64_t limit) {
    return _mm512_max_epi64(_mm512_min_epi64(v, _mm512_set1_epi64(limit)), _mm512_set1_epi64(-limit));
}

/* (v * mul + 2^(shift - 1)) >> shift */
WIDE_INLINE __m512i scaled(__m512i v, __m512i mul, uint32_t shift) {
    const __m512i half = _mm512_set1_epi64((int64_t)1 << (shift - 1));
    return _mm512_sra_epi64(_mm512_add_epi64(_mm512_mullo_epi64(v, mul), half), _mm_cvtsi32_si128((int)shift));
}

WIDE_INLINE __m512i load8(__mmask8 mask, const int32_t *p) {
    return _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(mask, p));
}

/* Eight sums of rows r.. to where a says. */
WIDE_INLINE void store8(const awm_store_args *a, uint32_t r, __m256i sums, __mmask8 mask) {
    __m512i t = _mm512_add_epi64(_mm512_cvtepi32_epi64(sums), load8(mask, a->bias + r));
    t = scaled(t, load8(mask, a->mul + r), a->shift);
    switch (a->kind) {
    case AWM_STORE_I8: _mm512_mask_cvtepi64_storeu_epi8((int8_t *)a->out + r, mask, clamp64(t, a->limit)); break;
    case AWM_STORE_I16: _mm512_mask_cvtepi64_storeu_epi16((int16_t *)a->out + r, mask, clamp64(t, a->limit)); break;
    case AWM_ADD_I32: t = _mm512_add_epi64(t, load8(mask, (int32_t *)a->out + r)); /* fall through */
    default: _mm512_mask_cvtepi64_storeu_epi32((int32_t *)a->out + r, mask, clamp64(t, a->limit)); break;
    }
}

/* The lowest n of eight. */
WIDE_INLINE __mmask8 first8(uint32_t n) {
    return (__mmask8)(n >= 8 ? 255 : (1 << n) - 1);
}

#endif
