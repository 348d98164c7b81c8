/* awm_ops_avx512.c: everything but the matrices eight or more at a time: requantisation, norms, choice,
 * convolution. */
#include "awm_ops.h"

#if defined(__x86_64__)
#include "awm_avx512.h"

/* ---------------------------------------------------------------- rows of a matrix */

WIDE void awm_store_avx512(const awm_store_args *a) {
    uint32_t r;
    for (r = 0; r < a->rows; r += 8) {
        const __mmask8 mask = first8(a->rows - r);
        store8(a, r, _mm256_maskz_loadu_epi32(mask, a->acc + r), mask);
    }
}

/* ---------------------------------------------------------------- RMSNorm */

/* floor(sqrt(v)), v < 2^62: the CPU's root of the nearest double is off by one at most. */
WIDE_INLINE uint64_t root_of(uint64_t v) {
    uint64_t root = (uint64_t)_mm_cvtsd_f64(_mm_sqrt_pd(_mm_set_sd((double)v)));
    root -= root * root > v;
    return root + ((root + 1) * (root + 1) <= v);
}

/* Sixteen values, limited to +-127: narrowing saturates, but to -128. */
WIDE_INLINE void store_i8(int8_t *to, __mmask16 mask, __m512i t) {
    _mm512_mask_cvtsepi32_storeu_epi8(to, mask, _mm512_max_epi32(t, _mm512_set1_epi32(-127)));
}

WIDE_INLINE uint64_t sum_of_squares(const int32_t *x, uint32_t n) {
    __m512i even = _mm512_setzero_si512(), odd = even;
    uint32_t i;
    for (i = 0; i < n; i += 16) {
        const __m512i v = _mm512_maskz_loadu_epi32(first16(n - i), x + i), w = odd_lanes(v);
        even = _mm512_add_epi64(even, _mm512_mul_epi32(v, v));
        odd = _mm512_add_epi64(odd, _mm512_mul_epi32(w, w));
    }
    return (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(even, odd));
}

WIDE void awm_norm_avx512(int8_t *u, const int32_t *x, const awm_norm_args *a) {
    const uint64_t root = root_of(sum_of_squares(x, a->n) + a->eps), m = a->num / (root ? root : 1);
    const uint32_t raise = raise_of(a->shift);
    const __m512i mul = _mm512_set1_epi64((int64_t)(m << raise));
    uint32_t i;
    if (raise > 31 || m >> (31 - raise)) { /* not an int32 once it is raised */
        for (i = 0; i < a->n; i += 8) {
            const __m512i t = scaled(load8(255, x + i), _mm512_set1_epi64((int64_t)m), a->shift);
            _mm512_mask_cvtepi64_storeu_epi8(u + i, 255, clamp64(t, 127));
        }
        return;
    }
    for (i = 0; i < a->n; i += 16) {
        const __mmask16 mask = first16(a->n - i);
        const __m512i t = divided(_mm512_maskz_loadu_epi32(mask, x + i), mul, mul, a->shift + raise);
        store_i8(u + i, mask, t);
    }
}

/* ---------------------------------------------------------------- choice */

WIDE void awm_shift_residual_avx512(int32_t *r, const int8_t *mine, const int8_t *theirs, const awm_op *op) {
    const uint64_t offsets = 2 * (uint64_t)op->cols * op->rows; /* from a gate to its offset */
    const __m512i one = _mm512_set1_epi64(128), mul = _mm512_set1_epi64(op->params);
    uint32_t i;
    for (i = 0; i < op->cols; i += 8, mine += 8, theirs += 8) {
        const __m512i gate = _mm512_add_epi64(one, _mm512_add_epi64(bytes8(mine), bytes8(theirs)));
        const __m512i offset = _mm512_add_epi64(bytes8(mine + offsets), bytes8(theirs + offsets));
        const __m512i t = _mm512_add_epi64(scaled(load8(255, r + i), gate, 7), scaled(offset, mul, op->shift));
        _mm512_mask_cvtepi64_storeu_epi32(r + i, 255, clamp64(t, AWM_RESIDUAL_MAX));
    }
}

/* ---------------------------------------------------------------- convolution */

/* Eight quotients of any sums. */
WIDE_INLINE void conv_store8(const awm_conv_args *a, uint32_t c, __m256i sum) {
    const __m512i t = _mm512_add_epi64(_mm512_cvtepi32_epi64(sum), load8(255, a->bias + c));
    const __m512i q = scaled(t, load8(255, a->mul + c), a->shift);
    _mm512_mask_cvtepi64_storeu_epi8(a->out + c, 255, clamp64(q, 127));
}

/* Sixteen: as halves of products where sum + bias and the raised multipliers fit int32; |sum| <= 2^16. */
WIDE_INLINE void conv_store16(const awm_conv_args *a, uint32_t c, __m512i sum) {
    const uint32_t raise = raise_of(a->shift);
    const __m512i bias = _mm512_loadu_si512(a->bias + c), mul = _mm512_loadu_si512(a->mul + c);
    const __mmask16 far = _mm512_cmpgt_epu32_mask(_mm512_abs_epi32(bias), _mm512_set1_epi32(INT32_MAX - (1 << 16)));
    const __m512i most = _mm512_set1_epi32((int32_t)((uint64_t)INT32_MAX >> raise));
    const __mmask16 large = _mm512_cmpgt_epu32_mask(_mm512_abs_epi32(mul), most);
    if (far | large) {
        conv_store8(a, c, _mm512_castsi512_si256(sum));
        conv_store8(a, c + 8, _mm512_extracti64x4_epi64(sum, 1));
    } else {
        const __m512i up = _mm512_sll_epi32(mul, _mm_cvtsi32_si128((int)raise));
        const __m512i t = divided(_mm512_add_epi32(sum, bias), up, odd_lanes(up), a->shift + raise);
        store_i8(a->out + c, ~(__mmask16)0, t);
    }
}

/* dpbusd wants unsigned weights: sum (w + 128) s - 128 sum s. Channels that do not fill sixteen are left to the
 * caller, who gets their number. */
WIDE uint32_t awm_conv_avx512(const awm_conv_args *a) {
    const __m256i *from = (const __m256i *)(const void *)a->lut;
    int16_t lut[256];
    uint32_t c, i;
    for (i = 0; i < 8; i++) _mm512_storeu_si512(lut + 32 * i, _mm512_cvtepi8_epi16(_mm256_loadu_si256(from + i)));
    for (c = 0; c + 16 <= a->n; c += 16) {
        const __m512i newest = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(a->next + c)));
        const __m512i s = _mm512_or_si512(_mm512_srli_epi32(_mm512_loadu_si512(a->samples + c), 8),
                                          _mm512_slli_epi32(newest, 24));
        const __m512i w = _mm512_xor_si512(_mm512_loadu_si512(a->w + c), _mm512_set1_epi8(-128));
        const __m512i surplus = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), s);
        const __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), w, s);
        _mm512_storeu_si512(a->samples + c, s);
        conv_store16(a, c, _mm512_sub_epi32(sum, _mm512_slli_epi32(surplus, 7)));
    }
    for (i = 0; i < c; i += 32) {
        const __mmask32 mask = c - i >= 32 ? ~(__mmask32)0 : 0xFFFF;
        const __m256i s = _mm256_xor_si256(_mm256_maskz_loadu_epi8(mask, a->out + i), _mm256_set1_epi8(-128));
        _mm512_mask_cvtepi16_storeu_epi8(a->out + i, mask, look_up(lut, _mm512_cvtepu8_epi16(s)));
    }
    return c;
}

#else
AWM_STATIC_ASSERT(this_target_has_no_avx512, 1);
#endif
