/* awm_ops_avx512.c: everything but the matrices eight or sixteen at a time: requantisation, norms, convolution, scan.
 *
 * The products that NUMERICS.md bounds by 2^63 are exact in 64-bit lanes (mullo), shifts are arithmetic (sra). */
#include "awm_ops.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")))
#define WIDE_INLINE WIDE static inline __attribute__((always_inline))

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

WIDE_INLINE __m512i bytes8(const int8_t *p) {
    return _mm512_cvtepi8_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p));
}

/* ---------------------------------------------------------------- rows of a matrix */

WIDE void awm_store_avx512(const awm_store_args *a) {
    uint32_t r;
    for (r = 0; r < a->rows; r += 8) {
        const __mmask8 mask = (__mmask8)(a->rows - r >= 8 ? 255 : (1 << (a->rows - r)) - 1);
        __m512i t = _mm512_add_epi64(load8(mask, a->acc + r), load8(mask, a->bias + r));
        t = scaled(t, load8(mask, a->mul + r), a->shift);
        switch (a->kind) {
        case AWM_STORE_I8: _mm512_mask_cvtepi64_storeu_epi8((int8_t *)a->out + r, mask, clamp64(t, a->limit)); break;
        case AWM_STORE_I16: _mm512_mask_cvtepi64_storeu_epi16((int16_t *)a->out + r, mask, clamp64(t, a->limit)); break;
        case AWM_ADD_I32: t = _mm512_add_epi64(t, load8(mask, (int32_t *)a->out + r)); /* fall through */
        default: _mm512_mask_cvtepi64_storeu_epi32((int32_t *)a->out + r, mask, clamp64(t, a->limit)); break;
        }
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

/* ---------------------------------------------------------------- convolution */

/* dpbusd wants unsigned weights: sum (w + 128) s - 128 sum s. Channels that do not fill sixteen are left to the
 * caller, who gets their number. */
WIDE uint32_t awm_conv_avx512(const awm_conv_args *a) {
    const int8_t *lut = a->lut + 128;
    int8_t sums[16];
    uint32_t c, i;
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
            _mm512_mask_cvtepi64_storeu_epi8(sums + 8 * i, 255, clamp64(q, 127));
        }
        for (i = 0; i < 16; i++) a->out[c + i] = lut[sums[i]];
    }
    return c;
}

/* ---------------------------------------------------------------- selective scan */

/* One channel: new states, and sixteen products of C a word summed in pairs. bc holds int16 B, then C. */
WIDE_INLINE __m256i channel(int16_t *h, const awm_scan_args *a, int32_t x) {
    const int16_t *b = (const int16_t *)(const void *)a->bc, *c = b + a->d_state;
    const __m512i decay = _mm512_set1_epi32((int32_t)a->decay), in = _mm512_set1_epi32(x);
    __m256i y = _mm256_setzero_si256();
    uint32_t n;
    for (n = 0; n < a->d_state; n += 16) {
        const __mmask16 mask = (__mmask16)(a->d_state - n >= 16 ? 0xFFFF : (1 << (a->d_state - n)) - 1);
        const __m512i old = _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(mask, h + n));
        const __m512i from = _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(mask, b + n));
        __m512i t = _mm512_add_epi32(_mm512_mullo_epi32(old, decay), _mm512_mullo_epi32(from, in));
        __m256i now;
        t = _mm512_srai_epi32(_mm512_add_epi32(t, _mm512_set1_epi32(16384)), 15);
        now = _mm512_cvtepi32_epi16(t);
        _mm256_mask_storeu_epi16(h + n, mask, now);
        y = _mm256_add_epi32(y, _mm256_madd_epi16(now, _mm256_maskz_loadu_epi16(mask, c + n)));
    }
    return y;
}

/* The eight sums of eight words. */
WIDE_INLINE __m256i totals(const __m256i *y) {
    const __m256i low = _mm256_hadd_epi32(_mm256_hadd_epi32(y[0], y[1]), _mm256_hadd_epi32(y[2], y[3]));
    const __m256i high = _mm256_hadd_epi32(_mm256_hadd_epi32(y[4], y[5]), _mm256_hadd_epi32(y[6], y[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
}

WIDE void awm_scan_avx512(const awm_scan_args *a) {
    const __m512i gain = _mm512_set1_epi64(a->gain), y_mul = _mm512_set1_epi64(a->y_mul);
    const __m512i x_mul = _mm512_set1_epi64(a->x_mul);
    const int16_t *z_lut = a->z_lut + 128;
    int16_t *h = a->h;
    uint32_t p, i;
    for (p = 0; p + 8 <= a->headdim; p += 8) {
        const __m512i x = bytes8(a->x + p);
        const int8_t *z = a->z + p;
        int32_t in[8];
        __m256i y[8], gate;
        __m512i v;
        _mm512_mask_cvtepi64_storeu_epi32(in, 255, clamp64(scaled(x, gain, a->x_shift), a->limit));
        AWM_UNROLL(8)
        for (i = 0; i < 8; i++, h += a->d_state) y[i] = channel(h, a, in[i]);
        v = _mm512_add_epi64(_mm512_mullo_epi64(_mm512_cvtepi32_epi64(totals(y)), y_mul), _mm512_mullo_epi64(x, x_mul));
        v = clamp64(scaled(v, _mm512_set1_epi64(1), a->y_shift), 32767);
        gate = _mm256_setr_epi32(z_lut[z[0]], z_lut[z[1]], z_lut[z[2]], z_lut[z[3]], z_lut[z[4]], z_lut[z[5]],
                                 z_lut[z[6]], z_lut[z[7]]);
        gate = _mm256_add_epi32(_mm256_mullo_epi32(gate, _mm512_cvtepi64_epi32(v)), _mm256_set1_epi32(128));
        _mm256_storeu_si256((__m256i *)(void *)(a->v + p), _mm256_srai_epi32(gate, 8));
    }
    if (p < a->headdim) {
        awm_scan_args rest = *a;
        rest.h = h;
        rest.x += p;
        rest.z += p;
        rest.v += p;
        rest.headdim -= p;
        awm_scan_avx2(&rest);
    }
}

#else
AWM_STATIC_ASSERT(this_target_has_no_avx512, 1);
#endif
