/* awm_matvec_avx512vnni.c: 64 columns at a time with dpbusd, which sums four products in int32 without saturation.
 *
 * A row at a time, so that the weights are one stream. They are fetched ahead into the next rows and, when two views
 * want the same rows, loaded once for both: from memory the loads are what takes the time. */
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

VNNI void awm_matvec_pair_avx512vnni(const awm_matvec_args *a, const awm_matvec_args *b) {
    const uint32_t cols = a->cols, whole = cols & ~63u;
    const __mmask64 mask = columns(cols - whole);
    const uint8_t *w = a->w;
    uint32_t r, k;
    for (r = 0; r < a->rows; r++, w += cols) {
        __m512i s = _mm512_setzero_si512(), t = s, word;
        for (k = 0; k < whole; k += 64) {
            word = _mm512_loadu_si512(w + k);
            _mm_prefetch((const char *)(w + k + AHEAD), _MM_HINT_T0);
            s = _mm512_dpbusd_epi32(s, word, _mm512_loadu_si512(a->x + k));
            t = _mm512_dpbusd_epi32(t, word, _mm512_loadu_si512(b->x + k));
        }
        if (mask) {
            word = _mm512_maskz_loadu_epi8(mask, w + k);
            s = _mm512_dpbusd_epi32(s, word, _mm512_maskz_loadu_epi8(mask, a->x + k));
            t = _mm512_dpbusd_epi32(t, word, _mm512_maskz_loadu_epi8(mask, b->x + k));
        }
        a->acc[r] = _mm512_reduce_add_epi32(s) - a->bias64;
        b->acc[r] = _mm512_reduce_add_epi32(t) - b->bias64;
    }
}

#else
AWM_STATIC_ASSERT(this_target_has_no_avx512vnni, 1);
#endif
