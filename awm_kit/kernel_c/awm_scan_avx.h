/* awm_scan_avx.h: the states of the selective scan in int16, for AVX2; awm_scan_avx512.c has another form.
 *
 * AWM_TARGET is the functions' attribute, AWM_DOT(sum, a, b) adds the products of neighbouring int16 to int32 lanes.
 * d_state is a multiple of 16, channels come in eights; bc holds int16 B, then C, as awm_scan_begin_portable made them.
 *
 * X = 2^15 hi + lo with -2^14 <= lo < 2^14, so that (h D + B X + 2^14) >> 15 = ((h D + B lo + 2^14) >> 15) + B hi.
 * The first is one dot product of (h, B) and (D, lo), |h D + B lo| < 2^31; the rest is exact modulo 2^16, and the
 * new h fits int16 (awm_ops.h). Even and odd states are dot products of their own: each sum's bits 15..30 are the
 * new state, moved to the half word where the old one was. */

/* A block of channels: what they multiply by, (D, lo), (lo, D) and (hi, hi) as words to broadcast, and their y. */
enum { AWM_SCAN_BLOCK = 32 };
typedef struct awm_scan_block {
    int32_t even[AWM_SCAN_BLOCK], odd[AWM_SCAN_BLOCK], hi[AWM_SCAN_BLOCK], y[AWM_SCAN_BLOCK];
} awm_scan_block;

#define AWM_LOAD256(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define AWM_STORE256(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)

/* Channels p .. p + 7 of a block, from their X. */
AWM_TARGET static inline void awm_scan_factor(awm_scan_block *k, uint32_t p, __m256i x, int64_t decay) {
    const __m256i half = _mm256_set1_epi32(1 << 14), raised = _mm256_add_epi32(x, half);
    const __m256i lo = _mm256_sub_epi32(_mm256_and_si256(raised, _mm256_set1_epi32(0x7FFF)), half);
    const __m256i d = _mm256_set1_epi32((int32_t)decay);
    __m256i hi;
    AWM_STORE256(k->even + p, _mm256_or_si256(d, _mm256_slli_epi32(lo, 16)));
    AWM_STORE256(k->odd + p, _mm256_blend_epi16(_mm256_slli_epi32(d, 16), lo, 0x55));
    hi = _mm256_srai_epi32(raised, 15);
    AWM_STORE256(k->hi + p, _mm256_blend_epi16(hi, _mm256_slli_epi32(hi, 16), 0xAA));
}

/* Sixteen states of a channel: their new values, and their products with C added to y. */
AWM_TARGET static inline __m256i awm_scan_update(__m256i y, int16_t *h, const awm_scan_block *k, uint32_t p,
                                                 __m256i b, __m256i c) {
    const __m256i round = _mm256_set1_epi32(1 << 14), old = AWM_LOAD256(h);
    const __m256i even = _mm256_blend_epi16(old, _mm256_slli_epi32(b, 16), 0xAA);
    const __m256i odd = _mm256_blend_epi16(old, _mm256_srli_epi32(b, 16), 0x55);
    const __m256i t = AWM_DOT(round, even, _mm256_set1_epi32(k->even[p]));
    const __m256i u = AWM_DOT(round, odd, _mm256_set1_epi32(k->odd[p]));
    __m256i now = _mm256_blend_epi16(_mm256_srli_epi32(t, 15), _mm256_slli_epi32(u, 1), 0xAA);
    now = _mm256_add_epi16(now, _mm256_mullo_epi16(b, _mm256_set1_epi32(k->hi[p])));
    AWM_STORE256(h, now);
    return AWM_DOT(y, now, c);
}

/* The eight sums of eight words. */
AWM_TARGET static inline __m256i awm_scan_totals(const __m256i *y) {
    const __m256i low = _mm256_hadd_epi32(_mm256_hadd_epi32(y[0], y[1]), _mm256_hadd_epi32(y[2], y[3]));
    const __m256i high = _mm256_hadd_epi32(_mm256_hadd_epi32(y[4], y[5]), _mm256_hadd_epi32(y[6], y[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
}

/* All states of n channels, which lie one after another at h, and y. */
AWM_TARGET static inline void awm_scan_states(awm_scan_block *k, int16_t *h, const awm_scan_args *a, uint32_t n) {
    const int16_t *b = (const int16_t *)(const void *)a->bc, *c = b + a->d_state;
    const uint32_t d_state = a->d_state;
    uint32_t p, i, s;
    __asm__("" : "+m"(*k)); /* else GCC takes each word out of its register, instead of broadcasting it from memory */
    for (p = 0; p < n; p += 8, h += 8 * d_state) {
        __m256i y[8];
        for (i = 0; i < 8; i++) y[i] = _mm256_setzero_si256();
        for (s = 0; s < d_state; s += 16) {
            const __m256i from = AWM_LOAD256(b + s), to = AWM_LOAD256(c + s);
            AWM_UNROLL(8)
            for (i = 0; i < 8; i++) y[i] = awm_scan_update(y[i], h + i * d_state + s, k, p + i, from, to);
        }
        AWM_STORE256(k->y + p, awm_scan_totals(y));
    }
}
