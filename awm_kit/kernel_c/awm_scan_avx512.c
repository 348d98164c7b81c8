/* awm_scan_avx512.c: the selective scan with sixteen states a channel, two channels a word of 512 bits.
 *
 * (h D + B X + 2^14) >> 15 = (h 2D + B 2X + 2^15) >> 16, and upper halves of sums need no shift. With 2D = 2^16 top +
 * d, d in int16, that is ((h d + B 2X + 2^15) >> 16) + top h modulo 2^16, and the new h fits int16 (awm_ops.h). Even
 * states are sums of their own, odd ones too: dot products of neighbours with (d, 0) and (0, d). |X| < 2^30, so that 2X
 * fits int32; sums may wrap.
 *
 * Heads are taken together, all inputs, then all states, then all outputs, so that none waits for another's latency. */
#include "awm_ops.h"

#if defined(__x86_64__)
#include "awm_avx512.h"

enum {
    STATES = 16,
    HEADS = 8,      /* at once */
    CHANNELS = 512  /* of them together */
};
#define ODD_WORDS ((__mmask32)0xAAAAAAAA)

WIDE_INLINE __m512i bytes16(__mmask16 mask, const int8_t *p) {
    return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, p));
}

/* ---------------------------------------------------------------- inputs */

/* 2 X of a head's channels. A gain need not be larger than what brings x = 1 to the limit; below 2^23 products, and
 * their halves, fit int32. */
WIDE_INLINE void inputs(int32_t *x2, const awm_scan_args *a) {
    const uint32_t far = a->x_shift > 30;
    const int64_t most = far ? INT64_MAX : (a->limit + 1) << a->x_shift, gain = a->gain < most ? a->gain : most;
    const int wide = far || gain >> 23 != 0;
    const __m512i limit = _mm512_set1_epi32((int32_t)a->limit), low = _mm512_set1_epi32((int32_t)-a->limit);
    const __m512i g = wide ? _mm512_set1_epi64(gain) : _mm512_set1_epi32((int32_t)gain);
    const __m512i half = _mm512_set1_epi32((int32_t)a->x_half);
    const __m128i shift = _mm_cvtsi32_si128((int)a->x_shift);
    uint32_t p;
    for (p = 0; !wide && p < a->headdim; p += 16) {
        const __mmask16 mask = first16(a->headdim - p);
        const __m512i t = _mm512_add_epi32(_mm512_mullo_epi32(bytes16(mask, a->x + p), g), half);
        const __m512i x = _mm512_max_epi32(_mm512_min_epi32(_mm512_sra_epi32(t, shift), limit), low);
        _mm512_mask_storeu_epi32(x2 + p, mask, _mm512_add_epi32(x, x));
    }
    for (p = 0; wide && p < a->headdim; p += 8) {
        const __m512i q = clamp64(scaled(bytes8(a->x + p), g, a->x_shift), a->limit);
        _mm512_mask_cvtepi64_storeu_epi32(x2 + p, 255, _mm512_add_epi64(q, q));
    }
}

/* ---------------------------------------------------------------- states */

/* The eight sums of neighbouring eights of lanes. */
WIDE_INLINE __m256i totals(const __m512i *y) {
    const __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(y[0], y[1]), _mm512_unpackhi_epi32(y[0], y[1]));
    const __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(y[2], y[3]), _mm512_unpackhi_epi32(y[2], y[3]));
    __m512i s = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    s = _mm512_add_epi32(s, _mm512_shuffle_i64x2(s, s, 0xB1)); /* sums 0 2 4 6 in quarter 0, 1 3 5 7 in quarter 2 */
    s = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 0, 0, 0, 0, 0, 0, 0, 0), s);
    return _mm512_castsi512_si256(s);
}

/* A head's new states, and the y of its channels. Meanwhile memory, otherwise idle, is read ahead; beyond the end of an
 * object a prefetch is no access. */
WIDE_INLINE const char *states(int32_t *y, const int32_t *x2, const awm_scan_args *a, const char *ahead) {
    const int16_t *bc = (const int16_t *)(const void *)a->bc;
    const __m512i b = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)bc));
    const __m512i c = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)(bc + STATES)));
    const __m512i even_b = _mm512_srai_epi32(_mm512_slli_epi32(b, 16), 16), odd_b = _mm512_srai_epi32(b, 16);
    const __m512i d = _mm512_set1_epi32((int32_t)(2 * a->decay & 0xFFFF)), high_d = _mm512_slli_epi32(d, 16);
    const __m512i round = _mm512_set1_epi32(1 << 15);
    const __mmask32 top = a->decay >> 14 ? ~(__mmask32)0 : 0;
    int16_t *h = a->h;
    uint32_t p, j;
    for (p = 0; p < a->headdim; p += 8, h += 8 * STATES) {
        __m512i part[4];
        AWM_UNROLL(4)
        for (j = 0; j < 4; j++) {
            const int32_t *two = x2 + p + 2 * j;
            const __m512i x = _mm512_mask_set1_epi32(_mm512_set1_epi32(two[0]), 0xFF00, two[1]);
            const __m512i old = _mm512_loadu_si512(h + 2 * STATES * j);
            const __m512i even = _mm512_add_epi32(_mm512_mullo_epi32(even_b, x), round);
            const __m512i odd = _mm512_add_epi32(_mm512_mullo_epi32(odd_b, x), round);
            const __m512i t = _mm512_srli_epi32(_mm512_dpwssd_epi32(even, old, d), 16);
            __m512i now = _mm512_mask_blend_epi16(ODD_WORDS, t, _mm512_dpwssd_epi32(odd, old, high_d));
            now = _mm512_mask_add_epi16(now, top, now, old);
            _mm512_storeu_si512(h + 2 * STATES * j, now);
            part[j] = _mm512_madd_epi16(now, c);
            _mm_prefetch(ahead, _MM_HINT_T1);
            _mm_prefetch(ahead + 64, _MM_HINT_T1);
            ahead += AWM_SCAN_AHEAD * STATES;
        }
        _mm256_storeu_si256((__m256i *)(void *)(y + p), totals(part));
    }
    return ahead;
}

/* ---------------------------------------------------------------- outputs */

/* Heads whose products then are exact: |y y_mul 2^raise| < 2^61, |x 2^raise x_mul| < 2^61. */
WIDE static int fits(const awm_scan_args *a) {
    const uint32_t raise = raise_of(a->y_shift);
    const int64_t y_mul = a->y_mul * ((int64_t)1 << raise);
    return a->d_state == STATES && a->headdim % 8 == 0 && a->headdim <= CHANNELS && raise <= 23
        && y_mul == (int32_t)y_mul;
}

/* v of a head's channels p .. p + 15. */
WIDE_INLINE void outputs16(const awm_scan_args *a, const int32_t *from, uint32_t p, __m512i gate) {
    const uint32_t raise = raise_of(a->y_shift);
    const __mmask16 mask = first16(a->headdim - p);
    const __m128i shift = _mm_cvtsi32_si128((int)(a->y_shift + raise - 32));
    const __m512i y_mul = _mm512_set1_epi64(a->y_mul * ((int64_t)1 << raise)), x_mul = _mm512_set1_epi64(a->x_mul);
    const __m512i half = _mm512_set1_epi32((int32_t)(a->y_half << raise >> 32));
    const __m512i y = _mm512_maskz_loadu_epi32(mask, from + p);
    const __m512i x = _mm512_sll_epi32(bytes16(mask, a->x + p), _mm_cvtsi32_si128((int)raise));
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(y, y_mul), _mm512_mul_epi32(x, x_mul));
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(odd_lanes(y), y_mul), _mm512_mul_epi32(odd_lanes(x), x_mul));
    __m512i t = _mm512_sra_epi32(_mm512_add_epi32(upper_halves(even, odd), half), shift);
    t = _mm512_max_epi32(_mm512_min_epi32(t, _mm512_set1_epi32(32767)), _mm512_set1_epi32(-32767));
    t = _mm512_add_epi32(_mm512_mullo_epi32(t, gate), _mm512_set1_epi32(128));
    _mm512_mask_storeu_epi32(a->v + p, mask, _mm512_srai_epi32(t, 8));
}

WIDE_INLINE void outputs(const awm_scan_args *a, const int32_t *y) {
    uint32_t p;
    for (p = 0; p < a->headdim; p += 32) {
        const uint32_t left = a->headdim - p;
        const __mmask32 mask = left >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << left) - 1;
        const __m256i z = _mm256_xor_si256(_mm256_maskz_loadu_epi8(mask, a->z + p), _mm256_set1_epi8(-128));
        const __m512i gate = look_up(a->z_lut, _mm512_cvtepu8_epi16(z));
        outputs16(a, y, p, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(gate)));
        if (left > 16) outputs16(a, y, p + 16, _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(gate, 1)));
    }
}

/* ---------------------------------------------------------------- heads */

/* n heads of the same size that all fit. */
WIDE static const char *scan_heads(const awm_scan_args *a, uint32_t n, const char *ahead) {
    int32_t x2[CHANNELS], y[CHANNELS];
    uint32_t i;
    for (i = 0; i < n; i++) inputs(x2 + i * a->headdim, a + i);
    for (i = 0; i < n; i++) ahead = states(y + i * a->headdim, x2 + i * a->headdim, a + i, ahead);
    for (i = 0; i < n; i++) outputs(a + i, y + i * a->headdim);
    return ahead;
}

WIDE void awm_scan_avx512(const awm_scan_args *a) {
    if (fits(a))
        scan_heads(a, 1, (const char *)a->h);
    else
        awm_scan_avx2(a);
}

/* table[i] + (table[i + 1] - table[i]) fraction / 256, and half of what is dropped. */
WIDE_INLINE __m512i interpolate(const uint32_t *table, __m512i i, __m512i fraction, int64_t half) {
    const __m512i from = _mm512_cvtepu32_epi64(_mm512_i64gather_epi32(i, table, 4));
    const __m512i to = _mm512_cvtepu32_epi64(_mm512_i64gather_epi32(i, table + 1, 4));
    const __m512i rest = _mm512_sub_epi64(_mm512_set1_epi64(256), fraction);
    const __m512i sum = _mm512_add_epi64(_mm512_mul_epu32(from, rest), _mm512_mul_epu32(to, fraction));
    return _mm512_srli_epi64(_mm512_add_epi64(sum, _mm512_set1_epi64(half)), 8);
}

/* awm_discretize for eight heads, of which n are wanted, and the limits of their inputs.
 *
 * The quotient of k < 2^30 by bmax <= 2^s is exact: (k ceil(2^(30 + s) / bmax)) >> (30 + s) errs by less than
 * k / 2^(30 + s) < 1 / bmax. */
WIDE static void discretize8(awm_scan_args *a, const awm_heads_args *h, uint32_t first, uint32_t n) {
    const __m512i low_byte = _mm512_set1_epi64(255), one = _mm512_set1_epi64(1);
    const __m512i j = _mm512_add_epi64(_mm512_cvtepi16_epi64(_mm_maskz_loadu_epi16(first8(n), h->dt + first)),
                                       _mm512_set1_epi64(32768));
    const __m512i at = _mm512_slli_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), 1);
    const __m512i rates = _mm512_mask_i64gather_epi64(one, first8(n), at, h->heads + first, 8);
    const __m512i sp = interpolate(h->softplus, _mm512_srli_epi64(j, 8), _mm512_and_si512(j, low_byte), 128);
    const __m512i last = _mm512_set1_epi64(31 * 65536 + 65535);
    const __m512i e = _mm512_min_epu64(_mm512_srli_epi64(_mm512_mul_epu32(sp, rates), 24), last);
    const __m512i whole = _mm512_srli_epi64(e, 16), index = _mm512_and_si512(_mm512_srli_epi64(e, 8), low_byte);
    const __m512i power = interpolate(h->exp2, index, _mm512_and_si512(e, low_byte), 0);
    const __m512i shift = _mm512_add_epi64(whole, _mm512_set1_epi64(15));
    const __m512i half = _mm512_srli_epi64(_mm512_sllv_epi64(one, shift), 1);
    __m512i gain = _mm512_mul_epu32(sp, _mm512_srli_epi64(rates, 32)), decay, limit;
    int64_t decays[HEADS], gains[HEADS], limits[HEADS], inverse;
    uint32_t s = 0, i;
    while ((1u << s) < h->bmax) s++;
    inverse = (int64_t)((((uint64_t)1 << (30 + s)) + h->bmax - 1) / h->bmax);
    gain = _mm512_min_epu64(_mm512_srl_epi64(gain, _mm_cvtsi32_si128(h->gain_shift)), _mm512_set1_epi64(0x7FFFFFFF));
    decay = _mm512_srlv_epi64(_mm512_add_epi64(power, half), shift);
    decay = _mm512_min_epu64(decay, _mm512_set1_epi64(32767));
    limit = _mm512_mullo_epi64(_mm512_sub_epi64(_mm512_set1_epi64(32768), decay), _mm512_set1_epi64(32767));
    limit = _mm512_mullo_epi64(limit, _mm512_set1_epi64(inverse));
    _mm512_storeu_si512(decays, decay);
    _mm512_storeu_si512(gains, gain);
    _mm512_storeu_si512(limits, _mm512_srl_epi64(limit, _mm_cvtsi32_si128((int)(30 + s))));
    for (i = 0; i < n; i++) {
        a[i].decay = decays[i];
        a[i].gain = gains[i];
        a[i].limit = limits[i];
        a[i].y_mul = h->heads[first + i].y_mul;
        a[i].x_mul = h->heads[first + i].x_mul;
    }
}

WIDE void awm_scan_heads_avx512(const awm_scan_args *first, const awm_heads_args *h) {
    const uint32_t room = CHANNELS / first->headdim, most = room < 1 ? 1 : room < HEADS ? room : HEADS;
    awm_scan_args a[HEADS];
    const char *ahead = h->ahead ? (const char *)h->ahead : (const char *)first->h;
    uint32_t i, k, n;
    for (i = 0; i < h->n; i += n) {
        int all = 1;
        n = h->n - i < most ? h->n - i : most;
        for (k = 0; k < n; k++) {
            const uint32_t p = (i + k) * first->headdim;
            a[k] = *first;
            a[k].h += p * first->d_state;
            a[k].x += p;
            a[k].z += p;
            a[k].v += p;
        }
        discretize8(a, h, i, n);
        for (k = 0; k < n; k++) all &= fits(a + k);
        if (all)
            ahead = scan_heads(a, n, ahead);
        else
            for (k = 0; k < n; k++) awm_scan_avx512(a + k);
    }
}

#else
AWM_STATIC_ASSERT(this_target_has_no_avx512_scan, 1);
#endif
