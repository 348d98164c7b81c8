/* awm_blocks_avx512vnni.c: products with a matrix in blocks of 64 rows, four columns of each after another.
 *
 * A lane of dpbusd then sums a row: nothing is left to add across lanes, sums go to requantisation in registers, and
 * the weights are one stream, read once for both views. A block of fewer rows, the last, is as many groups of sixteen
 * as hold them; what fills up the last group is not stored.
 *
 *     byte (c / 4 * G + g) * 64 + i * 4 + c % 4 of a block of G groups is column c of row 16 g + i
 */
#include "awm_ops.h"

#if defined(__x86_64__)
#include "awm_avx512.h"

enum { ROWS = AWM_BLOCK_ROWS, GROUP = 16 };

uint64_t awm_blocks_bytes_avx512vnni(uint32_t rows, uint32_t cols) {
    return (uint64_t)((rows + GROUP - 1u) & ~(GROUP - 1u)) * cols;
}

void awm_blocks_fill_avx512vnni(uint8_t *to, const uint8_t *w, uint32_t rows, uint32_t cols) {
    uint32_t first, c, i;
    for (first = 0; first < rows; first += ROWS) {
        const uint32_t left = rows - first, n = left < ROWS ? (left + GROUP - 1u) & ~(GROUP - 1u) : ROWS;
        for (c = 0; c < cols; c += 4) {
            for (i = 0; i < n; i++, to += 4) {
                const uint8_t *from = w + (uint64_t)(first + (i < left ? i : left - 1)) * cols + c;
                to[0] = from[0], to[1] = from[1], to[2] = from[2], to[3] = from[3];
            }
        }
    }
}

WIDE_INLINE __m512i four_columns(const int8_t *x) {
    int32_t v;
    __builtin_memcpy(&v, x, 4);
    return _mm512_set1_epi32(v);
}

WIDE_INLINE int32_t sum_of(const int8_t *x, uint32_t cols) {
    __m512i sum = _mm512_setzero_si512();
    uint32_t k;
    for (k = 0; k < cols; k += 64) {
        const __mmask64 mask = cols - k >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (cols - k)) - 1;
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), _mm512_maskz_loadu_epi8(mask, x + k));
    }
    return _mm512_reduce_add_epi32(sum);
}

/* Rows r .. r + 15 of V views, requantised but for clamps. The op is narrow: sums and multipliers are raised so that
 * the quotient is one by 2^33 or more. */
WIDE_INLINE void quotients(const awm_blocks_args *a, uint32_t r, __mmask16 mask, __m512i *sum, const uint32_t V) {
    const awm_store_args *to = a->to;
    const uint32_t raise = raise_of(to->shift), up = a->narrow - 1;
    const __m128i sum_up = _mm_cvtsi32_si128((int)up), mul_up = _mm_cvtsi32_si128((int)(raise - up));
    const __m512i bias = _mm512_maskz_loadu_epi32(mask, to->bias + r);
    const __m512i mul = _mm512_sll_epi32(_mm512_maskz_loadu_epi32(mask, to->mul + r), mul_up), odd_mul = odd_lanes(mul);
    uint32_t v;
    AWM_UNROLL(2)
    for (v = 0; v < V; v++) {
        const __m512i t = _mm512_sll_epi32(_mm512_add_epi32(sum[v], bias), sum_up);
        sum[v] = divided(t, mul, odd_mul, to->shift + raise);
    }
}

/* Stores rows r .. r + 15 of a view, clamped. Narrowing saturates at the limits of bytes and words, but for the lowest. */
WIDE_INLINE void put16(const awm_store_args *to, uint32_t r, __mmask16 mask, __m512i t) {
    const __m512i most = _mm512_set1_epi32((int32_t)to->limit), least = _mm512_set1_epi32((int32_t)-to->limit);
    int32_t *word = (int32_t *)to->out + r;
    if (to->kind == AWM_ADD_I32) t = _mm512_add_epi32(t, _mm512_maskz_loadu_epi32(mask, word));
    t = _mm512_max_epi32(t, least);
    switch (to->kind) {
    case AWM_STORE_I8: _mm_mask_storeu_epi8((int8_t *)to->out + r, mask, _mm512_cvtsepi32_epi8(t)); break;
    case AWM_STORE_I16: _mm256_mask_storeu_epi16((int16_t *)to->out + r, mask, _mm512_cvtsepi32_epi16(t)); break;
    default: _mm512_mask_storeu_epi32(word, mask, _mm512_min_epi32(t, most)); break;
    }
}

/* Rows r .. r + 63 of a view as bytes: quarters of the sums are woven by narrowing, then put in order. */
WIDE_INLINE void put64(int8_t *out, __m512i p, __m512i q, __m512i s, __m512i t) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(p, q), _mm512_packs_epi32(s, t));
    _mm512_storeu_si512(out, _mm512_permutexvar_epi32(order, _mm512_max_epi8(bytes, _mm512_set1_epi8(-127))));
}

/* Requantises and stores a block of 64 rows that is narrow. */
WIDE_INLINE void store_block(const awm_blocks_args *a, uint32_t r, __m512i (*sum)[2], const uint32_t V) {
    const __mmask16 all = 0xFFFF;
    uint32_t v, g;
    AWM_UNROLL(4)
    for (g = 0; g < 4; g++) quotients(a, r + GROUP * g, all, sum[g], V);
    AWM_UNROLL(2)
    for (v = 0; v < V; v++) {
        if (a->to[v].kind == AWM_STORE_I8) {
            put64((int8_t *)a->to[v].out + r, sum[0][v], sum[1][v], sum[2][v], sum[3][v]);
            continue;
        }
        AWM_UNROLL(4)
        for (g = 0; g < 4; g++) put16(&a->to[v], r + GROUP * g, all, sum[g][v]);
    }
}

WIDE_INLINE void store_group(const awm_blocks_args *a, uint32_t r, __m512i *sum, const uint32_t V) {
    const uint32_t left = a->rows - r;
    uint32_t v;
    if (a->narrow) {
        quotients(a, r, first16(left), sum, V);
        for (v = 0; v < V; v++) put16(&a->to[v], r, first16(left), sum[v]);
        return;
    }
    for (v = 0; v < V; v++) {
        store8(&a->to[v], r, _mm512_castsi512_si256(sum[v]), first8(left));
        if (left > 8) store8(&a->to[v], r + 8, _mm512_extracti64x4_epi64(sum[v], 1), first8(left - 8));
    }
}

/* G groups of a block against V views. Few groups leave too few sums to hide the latency: then columns 4 to 7 of
 * each eight have sums of their own. */
WIDE_INLINE void block(const awm_blocks_args *a, const uint8_t *w, uint32_t row, const uint32_t G, const uint32_t V) {
    __m512i sum[2][4][2];
    const uint32_t two = G * V <= 4;
    uint32_t v, g, k, i;
    for (i = 0; i <= two; i++)
        for (v = 0; v < V; v++)
            for (g = 0; g < G; g++) sum[i][g][v] = _mm512_set1_epi32(i ? 0 : -a->bias64[v]);
    for (k = 0; k < a->cols; k += 8) {
        AWM_UNROLL(2)
        for (i = 0; i < 2; i++, w += 64 * G) {
            __m512i x[2];
            AWM_UNROLL(2)
            for (v = 0; v < V; v++) x[v] = four_columns(a->x[v] + k + 4 * i);
            AWM_UNROLL(4)
            for (g = 0; g < G; g++) {
                const __m512i word = _mm512_loadu_si512(w + 64 * g);
                AWM_UNROLL(2)
                for (v = 0; v < V; v++) sum[i & two][g][v] = _mm512_dpbusd_epi32(sum[i & two][g][v], word, x[v]);
            }
        }
    }
    for (g = 0; two && g < G; g++)
        for (v = 0; v < V; v++) sum[0][g][v] = _mm512_add_epi32(sum[0][g][v], sum[1][g][v]);
    if (G == 4 && a->narrow && a->rows - row >= ROWS)
        store_block(a, row, sum[0], V);
    else
        for (g = 0; g < G; g++) store_group(a, row + GROUP * g, sum[0][g], V);
}

#define BLOCKS(V) \
    for (; a->end - row >= ROWS; row += ROWS, w += (uint64_t)ROWS * a->cols) block(a, w, row, 4, V); \
    switch ((a->end - row + GROUP - 1) / GROUP) { \
    case 1: block(a, w, row, 1, V); break; \
    case 2: block(a, w, row, 2, V); break; \
    case 3: block(a, w, row, 3, V); break; \
    case 4: block(a, w, row, 4, V); break; \
    }

WIDE void awm_blocks_avx512vnni(awm_blocks_args *a) {
    const uint8_t *w = a->w + (uint64_t)a->first * a->cols;
    uint32_t row = a->first, v;
    for (v = 0; v < a->n_views; v++) a->bias64[v] = AWM_WEIGHT_BIAS * sum_of(a->x[v], a->cols);
    if (a->n_views == 2) {
        BLOCKS(2)
    } else {
        BLOCKS(1)
    }
}

#else
AWM_STATIC_ASSERT(this_target_has_no_blocks, 1);
#endif
