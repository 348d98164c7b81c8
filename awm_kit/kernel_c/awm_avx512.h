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

WIDE_INLINE __m512i odd_lanes(__m512i v) {
    return _mm512_srli_epi64(v, 32);
}

/* The upper halves of 64-bit lanes: even lanes from one word, odd ones from the other. */
WIDE_INLINE __m512i upper_halves(__m512i even, __m512i odd) {
    return _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
}

/* (v * mul + 2^(shift - 1)) >> shift of sixteen, shift >= 33: even and odd lanes are 64-bit products of their own. Their upper
 * halves are at most 2^30, whatever v and mul are; the half added to these is at most 2^29 and has no lower part. */
WIDE_INLINE __m512i divided(__m512i v, __m512i mul, __m512i odd_mul, uint32_t shift) {
    const __m512i half = _mm512_set1_epi32((int32_t)1 << (shift - 33));
    const __m512i top = upper_halves(_mm512_mul_epi32(v, mul), _mm512_mul_epi32(odd_lanes(v), odd_mul));
    return _mm512_sra_epi32(_mm512_add_epi32(top, half), _mm_cvtsi32_si128((int)shift - 32));
}

/* By how much a factor must be raised for divided to do with a shift: at most 32. */
WIDE_INLINE uint32_t raise_of(uint32_t shift) {
    return shift < 33 ? 33 - shift : 0;
}

WIDE_INLINE __m512i load8(__mmask8 mask, const int32_t *p) {
    return _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(mask, p));
}

WIDE_INLINE __m512i bytes8(const int8_t *p) {
    return _mm512_cvtepi8_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p));
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

/* 32 values of a table of 256, indexed by an int8 + 128: four quarters looked up, two bits choose between them. */
WIDE_INLINE __m512i look_up(const int16_t *table, __m512i index) {
    const __mmask32 high = _mm512_movepi16_mask(_mm512_slli_epi16(index, 8));
    const __mmask32 odd = _mm512_movepi16_mask(_mm512_slli_epi16(index, 9));
    __m512i quarter[4];
    uint32_t i;
    AWM_UNROLL(4)
    for (i = 0; i < 4; i++)
        quarter[i] = _mm512_permutex2var_epi16(_mm512_loadu_si512(table + 64 * i), index,
                                               _mm512_loadu_si512(table + 64 * i + 32));
    return _mm512_mask_blend_epi16(high, _mm512_mask_blend_epi16(odd, quarter[0], quarter[1]),
                                   _mm512_mask_blend_epi16(odd, quarter[2], quarter[3]));
}

/* The lowest n of eight. */
WIDE_INLINE __mmask8 first8(uint32_t n) {
    return (__mmask8)(n >= 8 ? 255 : (1 << n) - 1);
}

WIDE_INLINE __mmask16 first16(uint32_t n) {
    return (__mmask16)(n >= 16 ? 0xFFFF : (1 << n) - 1);
}

#endif
