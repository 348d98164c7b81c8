/* awm_matvec_n4.c: products with 4-bit weights as plain loops for compilers to vectorise, and which variant runs. */
#include "awm_matvec_n4.h"

#ifdef AWM_PORTABLE_ONLY

void awm_n4_begin(const awm_n4_args *a) {
    awm_n4_begin_swar(a);
}

void awm_n4_matvec(const awm_n4_args *a) {
    awm_n4_swar(a);
}

#else

/* A block of quads words a unit; sums are modulo 2^16. */
AWM_INLINE void sum_block(const awm_n4_args *a, const int8_t *x, int32_t *acc, uint32_t quads) {
    static const uint8_t row_of_lane[4] = {0, 2, 1, 3};
    const uint8_t *words = a->words, *scales = a->scales;
    const int8_t *end = x + a->cols;
    uint32_t r;
    for (r = 0; r < 4 * quads; r++) acc[r] = 0;
    for (; x != end; scales += 2 * quads) {
        const int8_t *stop = end - x > AWM_N4_CHUNK ? x + AWM_N4_CHUNK : end;
        uint16_t sum[AWM_N4_BLOCK] = {0}, v[AWM_N4_BLOCK];
        uint32_t start = 32768;
        for (; x != stop; x += 4, words += 8 * quads) {
            start -= 8u * (uint32_t)(x[0] + x[1] + x[2] + x[3]);
            __builtin_memcpy(v, words, 8 * quads);
            for (r = 0; r < 4 * quads; r++)
                sum[r] = (uint16_t)(sum[r] + (v[r] & 15) * x[0] + (v[r] >> 4 & 15) * x[1] + (v[r] >> 8 & 15) * x[2]
                                    + (v[r] >> 12) * x[3]);
        }
        for (r = 0; r < 4 * quads; r++) {
            const uint32_t at = (r & ~3u) + row_of_lane[r & 3];
            acc[at] += (uint16_t)(sum[r] + start) * scales[r / 4 * 2 + (r & 1)];
        }
    }
}

void awm_n4_portable(const awm_n4_args *a) {
    awm_n4_args at = *a;
    uint32_t row = 0, view;
    for (; row + AWM_N4_BLOCK <= a->rows; row += AWM_N4_BLOCK, awm_n4_skip(&at, AWM_N4_BLOCK)) {
        for (view = 0; view < a->views; view++) sum_block(&at, a->x[view], a->acc + view * AWM_CHUNK + row, 4);
    }
    for (; row < a->rows; row += 4, awm_n4_skip(&at, 4)) {
        for (view = 0; view < a->views; view++) sum_block(&at, a->x[view], a->acc + view * AWM_CHUNK + row, 1);
    }
}

void awm_n4_begin(const awm_n4_args *a) {
    switch (a->backend) {
#if defined(__x86_64__)
    case AWM_BACKEND_AVX512VNNI: awm_n4_begin_avx512vnni(a); break;
    case AWM_BACKEND_AVX2: awm_n4_begin_avx2(a); break;
#endif
    case AWM_BACKEND_SWAR: awm_n4_begin_swar(a); break;
    default: break;
    }
}

void awm_n4_matvec(const awm_n4_args *a) {
    switch (a->backend) {
#if defined(__x86_64__)
    case AWM_BACKEND_AVX512VNNI: awm_n4_avx512vnni(a); break;
    case AWM_BACKEND_AVX2: awm_n4_avx2(a); break;
#elif defined(__aarch64__)
    case AWM_BACKEND_NEON: awm_n4_neon(a); break;
#endif
    case AWM_BACKEND_SWAR: awm_n4_swar(a); break;
    default: awm_n4_portable(a); break;
    }
}

#endif
