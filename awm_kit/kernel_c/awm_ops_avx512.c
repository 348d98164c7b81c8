/* awm_ops_avx512.c: everything but the matrices eight or more at a time: requantisation, norms, convolution, scan. */
#include "awm_ops.h"

#if defined(__x86_64__)
#include "awm_avx512.h"

#define AWM_TARGET WIDE
#define AWM_DOT(sum, a, b) _mm256_dpwssd_epi32(sum, a, b)
#include "awm_scan_avx.h"

WIDE_INLINE __m512i bytes8(const int8_t *p) {
    return _mm512_cvtepi8_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p));
}

/* ---------------------------------------------------------------- rows of a matrix */

WIDE void awm_store_avx512(const awm_store_args *a) {
    uint32_t r;
    for (r = 0; r < a->rows; r += 8) {
        const __mmask8 mask = first8(a->rows - r);
        store8(a, r, _mm256_maskz_loadu_epi32(mask, a->acc + r), mask);
    }
}

/* ---------------------------------------------------------------- RMSNorm */

WIDE void awm_norm_avx512(int8_t *u, const int32_t *x, const awm_norm_args *a) {
    __m512i sum = _mm512_setzero_si512();
    uint64_t root;
    uint32_t i;
    for (i = 0; i < a->n; i += 8) {
        const __m512i v = load8(255, x + i);
        sum = _mm512_add_epi64(sum, _mm512_mul_epi32(v, v));
    }
    root = awm_isqrt((uint64_t)_mm512_reduce_add_epi64(sum) + a->eps);
    {
        const __m512i m = _mm512_set1_epi64((int64_t)(a->num / (root ? root : 1)));
        for (i = 0; i < a->n; i += 8) {
            _mm512_mask_cvtepi64_storeu_epi8(u + i, 255, clamp64(scaled(load8(255, x + i), m, a->shift), 127));
        }
    }
}

/* ---------------------------------------------------------------- tables */

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

/* ---------------------------------------------------------------- convolution */

/* dpbusd wants unsigned weights: sum (w + 128) s - 128 sum s. Channels that do not fill sixteen are left to the
 * caller, who gets their number. */
WIDE uint32_t awm_conv_avx512(const awm_conv_args *a) {
    int16_t lut[256];
    uint32_t c, i;
    for (i = 0; i < 256; i += 32)
        _mm512_storeu_si512(lut + i, _mm512_cvtepi8_epi16(AWM_LOAD256(a->lut + i)));
    for (c = 0; c + 16 <= a->n; c += 16) {
        const __m512i newest = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(a->next + c)));
        const __m512i s = _mm512_or_si512(_mm512_srli_epi32(_mm512_loadu_si512(a->samples + c), 8),
                                          _mm512_slli_epi32(newest, 24));
        const __m512i w = _mm512_xor_si512(_mm512_loadu_si512(a->w + c), _mm512_set1_epi8(-128));
        const __m512i surplus = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), s);
        const __m512i sum = _mm512_sub_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), w, s),
                                             _mm512_slli_epi32(surplus, 7));
        _mm512_storeu_si512(a->samples + c, s);
        for (i = 0; i < 2; i++) {
            const __m256i half = i ? _mm512_extracti64x4_epi64(sum, 1) : _mm512_castsi512_si256(sum);
            const __m512i t = _mm512_add_epi64(_mm512_cvtepi32_epi64(half), load8(255, a->bias + c + 8 * i));
            const __m512i q = scaled(t, load8(255, a->mul + c + 8 * i), a->shift);
            _mm512_mask_cvtepi64_storeu_epi8(a->out + c + 8 * i, 255, clamp64(q, 127));
        }
    }
    for (i = 0; i < c; i += 32) {
        const __mmask32 mask = c - i >= 32 ? ~(__mmask32)0 : 0xFFFF;
        const __m256i s = _mm256_xor_si256(_mm256_maskz_loadu_epi8(mask, a->out + i), _mm256_set1_epi8(-128));
        _mm512_mask_cvtepi16_storeu_epi8(a->out + i, mask, look_up(lut, _mm512_cvtepu8_epi16(s)));
    }
    return c;
}

/* ---------------------------------------------------------------- selective scan */


/* Word 2 j of a factor in the lower half, word 2 j + 1 in the upper one. */
WIDE_INLINE __m512i two(const int32_t *factor, int j) {
    const __m512i index = _mm512_inserti64x4(_mm512_set1_epi32(2 * j), _mm256_set1_epi32(2 * j + 1), 1);
    return _mm512_permutexvar_epi32(index, _mm512_castsi256_si512(AWM_LOAD256(factor)));
}

/* awm_scan_states for sixteen states, the d_state of every preset: two channels a word, eight channels a turn. */
WIDE_INLINE void states16(awm_scan_block *k, int16_t *h, const awm_scan_args *a, uint32_t n) {
    const int16_t *bc = (const int16_t *)(const void *)a->bc;
    const __m512i b = _mm512_broadcast_i64x4(AWM_LOAD256(bc)), c = _mm512_broadcast_i64x4(AWM_LOAD256(bc + 16));
    const __m512i from = _mm512_slli_epi32(b, 16), to = _mm512_srli_epi32(b, 16), round = _mm512_set1_epi32(1 << 14);
    const __mmask32 odd_words = 0xAAAAAAAA;
    uint32_t p;
    int j;
    for (p = 0; p < n; p += 8, h += 128) {
        __m512i y[4], s;
        __m128i evens, odds;
        AWM_UNROLL(4)
        for (j = 0; j < 4; j++) {
            const __m512i old = _mm512_loadu_si512(h + 32 * j), hi = two(k->hi + p, j);
            const __m512i even = _mm512_mask_blend_epi16(odd_words, old, from);
            const __m512i odd = _mm512_mask_blend_epi16(odd_words, to, old);
            const __m512i t = _mm512_dpwssd_epi32(round, even, two(k->even + p, j));
            const __m512i u = _mm512_dpwssd_epi32(round, odd, two(k->odd + p, j));
            __m512i now = _mm512_mask_blend_epi16(odd_words, _mm512_srli_epi32(t, 15), _mm512_slli_epi32(u, 1));
            now = _mm512_add_epi16(now, _mm512_mullo_epi16(b, hi));
            _mm512_storeu_si512(h + 32 * j, now);
            y[j] = _mm512_madd_epi16(now, c);
        }
        y[0] = _mm512_add_epi32(_mm512_unpacklo_epi32(y[0], y[1]), _mm512_unpackhi_epi32(y[0], y[1]));
        y[2] = _mm512_add_epi32(_mm512_unpacklo_epi32(y[2], y[3]), _mm512_unpackhi_epi32(y[2], y[3]));
        s = _mm512_add_epi32(_mm512_unpacklo_epi64(y[0], y[2]), _mm512_unpackhi_epi64(y[0], y[2]));
        s = _mm512_add_epi32(s, _mm512_shuffle_i64x2(s, s, 0xB1)); /* channels 0 2 4 6 in quarter 0, 1 3 5 7 in 2 */
        evens = _mm512_castsi512_si128(s);
        odds = _mm512_extracti32x4_epi32(s, 2);
        _mm_storeu_si128((__m128i *)(void *)(k->y + p), _mm_unpacklo_epi32(evens, odds));
        _mm_storeu_si128((__m128i *)(void *)(k->y + p + 4), _mm_unpackhi_epi32(evens, odds));
    }
}

/* Channels p .. p + n - 1, n <= AWM_SCAN_BLOCK: inputs, states, outputs, each for all of them, to hide latencies. */
WIDE static void scan_block(const awm_scan_args *a, uint32_t p, uint32_t n) {
    const __m512i gain = _mm512_set1_epi64(a->gain), y_mul = _mm512_set1_epi64(a->y_mul);
    const __m512i x_mul = _mm512_set1_epi64(a->x_mul), one = _mm512_set1_epi64(1);
    const __mmask32 mask = n == 32 ? ~(__mmask32)0 : ((__mmask32)1 << n) - 1;
    const __m256i z = _mm256_xor_si256(_mm256_maskz_loadu_epi8(mask, a->z + p), _mm256_set1_epi8(-128));
    int16_t gate[AWM_SCAN_BLOCK];
    awm_scan_block k;
    uint32_t i;
    for (i = 0; i < n; i += 8) {
        const __m512i in = clamp64(scaled(bytes8(a->x + p + i), gain, a->x_shift), a->limit);
        awm_scan_factor(&k, i, _mm512_cvtepi64_epi32(in), a->decay);
    }
    if (a->d_state == 16)
        states16(&k, a->h + 16 * p, a, n);
    else
        awm_scan_states(&k, a->h + p * a->d_state, a, n);
    _mm512_storeu_si512(gate, look_up(a->z_lut, _mm512_cvtepu8_epi16(z)));
    for (i = 0; i < n; i += 8) {
        const __m512i y = _mm512_mullo_epi64(load8(255, k.y + i), y_mul);
        const __m512i v = _mm512_add_epi64(y, _mm512_mullo_epi64(bytes8(a->x + p + i), x_mul));
        const __m256i y16 = _mm512_cvtepi64_epi32(clamp64(scaled(v, one, a->y_shift), 32767));
        const __m256i g = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(gate + i)));
        const __m256i gated = _mm256_add_epi32(_mm256_mullo_epi32(g, y16), _mm256_set1_epi32(128));
        AWM_STORE256(a->v + p + i, _mm256_srai_epi32(gated, 8));
    }
}

WIDE void awm_scan_avx512(const awm_scan_args *a) {
    uint32_t p;
    if (a->d_state % 16 || a->headdim % 8) {
        awm_scan_avx2(a);
        return;
    }
    for (p = 0; p < a->headdim; p += AWM_SCAN_BLOCK)
        scan_block(a, p, a->headdim - p < AWM_SCAN_BLOCK ? a->headdim - p : AWM_SCAN_BLOCK);
}

#else
AWM_STATIC_ASSERT(this_target_has_no_avx512, 1);
#endif
