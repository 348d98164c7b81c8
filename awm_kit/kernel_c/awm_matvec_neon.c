/* awm_matvec_neon.c: 16 columns at a time with sdot, which sums four signed products in int32 (Armv8.2 and later).
 *
 * Weight bytes 1..127 are the same signed and unsigned. */
#include "awm_ops.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#if defined(__clang__)
#define DOTPROD __attribute__((target("dotprod")))
#else
#define DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#endif

DOTPROD static int32_t row(const int8_t *w, const int8_t *x, uint32_t cols) {
    int32x4_t sum = vdupq_n_s32(0);
    uint32_t k = 0;
    for (; k + 16 <= cols; k += 16) sum = vdotq_s32(sum, vld1q_s8(w + k), vld1q_s8(x + k));
    if (k < cols) sum = vdotq_s32(sum, vcombine_s8(vld1_s8(w + k), vdup_n_s8(0)), vcombine_s8(vld1_s8(x + k), vdup_n_s8(0)));
    return vaddvq_s32(sum);
}

DOTPROD void awm_matvec_neon(const awm_matvec_args *a) {
    const uint32_t cols = a->cols, whole = cols & ~15u;
    const int8_t *w = (const int8_t *)a->w, *x = a->x;
    uint32_t r = 0, i, k;
    for (; r + 4 <= a->rows; r += 4, w += 4 * (size_t)cols) {
        int32x4_t s[4];
        for (i = 0; i < 4; i++) s[i] = vdupq_n_s32(0);
        for (k = 0; k < whole; k += 16) {
            const int8x16_t v = vld1q_s8(x + k);
            AWM_UNROLL(4)
            for (i = 0; i < 4; i++) s[i] = vdotq_s32(s[i], vld1q_s8(w + (size_t)i * cols + k), v);
        }
        for (i = 0; i < 4; i++) {
            int32_t sum = vaddvq_s32(s[i]);
            if (whole < cols) sum += row(w + (size_t)i * cols + whole, x + whole, cols - whole);
            a->acc[r + i] = sum - a->bias64;
        }
    }
    for (; r < a->rows; r++, w += cols) a->acc[r] = row(w, x, cols) - a->bias64;
}

#else
AWM_STATIC_ASSERT(this_target_has_no_neon, 1);
#endif
