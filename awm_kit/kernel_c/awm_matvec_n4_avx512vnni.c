/* awm_matvec_n4_avx512vnni.c: eight columns of a block at a time with dpbusd, which sums four products in int32.
 *
 * Two words of 16 rows and 4 columns become one of the even lanes' rows and one of the odd lanes' rows, 8 columns each;
 * their low nibbles are the columns 0 2 4 6, the high ones 1 3 5 7. Words of 256 bits: those of 512 take twice as long
 * where their halves are computed one after the other, and the unpacking is most of the work. */
#include "awm_matvec_n4.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define VNNI __attribute__((target("avx2,avx512f,avx512vl,avx512vnni")))

enum { AHEAD = 4096 }; /* bytes; a prefetch beyond the shard is no access */

typedef struct pair {
    __m256i even, odd; /* rows 0, 1 and rows 2, 3 of the quads */
} pair;

VNNI AWM_INLINE __m256i load(const uint8_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* x: the columns 0 2 4 6, then 1 3 5 7. */
VNNI AWM_INLINE __m256i dot(__m256i sum, __m256i rows, const uint8_t *x) {
    const __m256i low = _mm256_set1_epi8(15);
    int32_t even, odd;
    __builtin_memcpy(&even, x, 4);
    __builtin_memcpy(&odd, x + 4, 4);
    sum = _mm256_dpbusd_epi32(sum, _mm256_and_si256(rows, low), _mm256_set1_epi32(even));
    return _mm256_dpbusd_epi32(sum, _mm256_and_si256(_mm256_srli_epi16(rows, 4), low), _mm256_set1_epi32(odd));
}

VNNI AWM_INLINE void add_chunk(pair *t, pair sum, const uint8_t *scales) {
    const __m256i first = _mm256_setr_epi32(0, 0, 2, 2, 4, 4, 6, 6), second = _mm256_setr_epi32(1, 1, 3, 3, 5, 5, 7, 7);
    const __m256i scale = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)scales));
    t->even = _mm256_add_epi32(t->even, _mm256_mullo_epi32(sum.even, _mm256_permutevar8x32_epi32(scale, first)));
    t->odd = _mm256_add_epi32(t->odd, _mm256_mullo_epi32(sum.odd, _mm256_permutevar8x32_epi32(scale, second)));
}

VNNI AWM_INLINE void store(int32_t *acc, pair t) {
    const __m256i even = _mm256_permute4x64_epi64(t.even, 0xD8), odd = _mm256_permute4x64_epi64(t.odd, 0xD8);
    _mm256_storeu_si256((__m256i *)(void *)acc, _mm256_unpacklo_epi64(even, odd));
    _mm256_storeu_si256((__m256i *)(void *)(acc + 8), _mm256_unpackhi_epi64(even, odd));
}

VNNI AWM_INLINE void block(const awm_n4_args *a, int32_t *acc, uint32_t views) {
    const uint8_t *words = a->words, *scales = a->scales;
    const uint8_t *x = (const uint8_t *)a->lanes, *y = x + (views - 1) * awm_n4_lanes(a->cols, 1);
    pair t = {_mm256_setzero_si256(), _mm256_setzero_si256()}, u = t;
    uint32_t left = a->cols;
    for (; left; scales += 8) {
        const uint32_t cols = left > AWM_N4_CHUNK ? AWM_N4_CHUNK : left;
        const uint8_t *end = words + 8 * cols;
        const __m256i start = _mm256_set1_epi32(*(const int32_t *)(const void *)x);
        const __m256i other = _mm256_set1_epi32(*(const int32_t *)(const void *)y);
        pair sum = {start, start}, more = {other, other};
        for (x += 8, y += 8; words != end; words += 64, x += 8, y += 8) {
            const __m256i v = load(words), w = load(words + 32);
            const __m256i even = _mm256_blend_epi16(v, _mm256_slli_epi32(w, 16), 0xAA);
            const __m256i odd = _mm256_blend_epi16(_mm256_srli_epi32(v, 16), w, 0xAA);
            _mm_prefetch((const char *)(words + AHEAD), _MM_HINT_T0);
            sum.even = dot(sum.even, even, x), sum.odd = dot(sum.odd, odd, x);
            if (views == 2) more.even = dot(more.even, even, y), more.odd = dot(more.odd, odd, y);
        }
        add_chunk(&t, sum, scales);
        if (views == 2) add_chunk(&u, more, scales);
        left -= cols;
    }
    store(acc, t);
    if (views == 2) store(acc + AWM_CHUNK, u);
}

/* For each chunk of a view: 32768 - 8 sum x in a word, then for every 8 columns the bytes 0 2 4 6 1 3 5 7. */
void awm_n4_begin_avx512vnni(const awm_n4_args *a) {
    uint32_t view, k;
    for (view = 0; view < a->views; view++) {
        const int8_t *x = a->x[view], *end = x + a->cols;
        uint8_t *to = (uint8_t *)a->lanes + view * awm_n4_lanes(a->cols, 1);
        while (x != end) {
            const int8_t *stop = end - x > AWM_N4_CHUNK ? x + AWM_N4_CHUNK : end;
            int32_t *start = (int32_t *)(void *)to;
            *start = 32768;
            for (to += 8; x != stop; x += 8, to += 8) {
                for (k = 0; k < 8; k++) {
                    to[k / 2 + 4 * (k & 1)] = (uint8_t)x[k];
                    *start -= 8 * x[k];
                }
            }
        }
    }
}

VNNI void awm_n4_avx512vnni(const awm_n4_args *a) {
    awm_n4_args at = *a;
    for (; at.rows >= AWM_N4_BLOCK; at.rows -= AWM_N4_BLOCK, at.acc += AWM_N4_BLOCK) {
        if (a->views == 1)
            block(&at, at.acc, 1);
        else
            block(&at, at.acc, 2);
        awm_n4_skip(&at, AWM_N4_BLOCK);
    }
    awm_n4_portable(&at);
}

#else
AWM_STATIC_ASSERT(this_target_has_no_n4_avx512vnni, 1);
#endif
