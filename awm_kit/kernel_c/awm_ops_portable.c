/* awm_ops_portable.c: the variants as plain loops, for compilers to vectorise. */
#include "awm_ops.h"

int32_t awm_sum_portable(const int8_t *x, uint32_t cols) {
    int32_t sum = 0;
    uint32_t k;
    for (k = 0; k < cols; k++) sum += x[k];
    return sum;
}

void awm_matvec_portable(const awm_matvec_args *a) {
    const uint8_t *w = a->w;
    uint32_t r, k;
    for (r = 0; r < a->rows; r++, w += a->cols) {
        int32_t sum = 0;
        for (k = 0; k < a->cols; k++) sum += w[k] * a->x[k];
        a->acc[r] = sum - a->bias64;
    }
}

void awm_scan_begin_portable(uint64_t *bc, const int8_t *b, const int8_t *c, uint32_t d_state) {
    int16_t *to = (int16_t *)(void *)bc;
    uint32_t n;
    for (n = 0; n < d_state; n++) {
        to[n] = b[n];
        to[d_state + n] = c[n];
    }
}

#define AWM_SCAN void awm_scan_portable
#include "awm_scan_body.h"
