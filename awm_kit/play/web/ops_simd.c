/* ops_simd.c: the two operations that have variants, for WebAssembly's 128-bit vectors; see awm_ops.h.
 * Every browser since Safari 16.4 (2023) has them. */
#include "awm_ops.h"

#include <wasm_simd128.h>

/* lanes: the inputs as int16, which is what the dot product of pairs takes. */
void awm_matvec_begin(awm_matvec_args *a) {
    v128_t *to = (v128_t *)(void *)a->lanes, sum = wasm_i32x4_const_splat(0);
    uint32_t k;
    for (k = 0; k < a->cols; k += 8) {
        v128_t x = wasm_i16x8_load8x8(a->x + k);
        wasm_v128_store(to++, x);
        sum = wasm_i32x4_add(sum, wasm_i32x4_extadd_pairwise_i16x8(x));
    }
    a->bias64 = 64 * (wasm_i32x4_extract_lane(sum, 0) + wasm_i32x4_extract_lane(sum, 1)
                      + wasm_i32x4_extract_lane(sum, 2) + wasm_i32x4_extract_lane(sum, 3));
}

/* Lane i is the sum of the lanes of row i. */
static v128_t sums(v128_t a, v128_t b, v128_t c, v128_t d) {
    v128_t ab = wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), wasm_i32x4_shuffle(a, b, 2, 6, 3, 7));
    v128_t cd = wasm_i32x4_add(wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), wasm_i32x4_shuffle(c, d, 2, 6, 3, 7));
    return wasm_i32x4_add(wasm_i32x4_shuffle(ab, cd, 0, 1, 4, 5), wasm_i32x4_shuffle(ab, cd, 2, 3, 6, 7));
}

#define DOT(acc, row, x) wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(wasm_u16x8_load8x8(row), x))

/* Four rows share each load of the inputs. A lane sums cols / 4 products, at most 255 * 128 * 1024 < 2^25. */
void awm_matvec(const awm_matvec_args *a) {
    const uint8_t *w = a->w;
    const uint32_t cols = a->cols;
    const v128_t zero = wasm_i32x4_const_splat(0), bias = wasm_i32x4_splat(a->bias64);
    uint32_t r, k;
    for (r = 0; r + 4 <= a->rows; r += 4, w += 4 * cols) {
        const v128_t *x = (const v128_t *)(const void *)a->lanes;
        v128_t s0 = zero, s1 = zero, s2 = zero, s3 = zero;
        for (k = 0; k < cols; k += 8) {
            v128_t in = wasm_v128_load(x++);
            s0 = DOT(s0, w + k, in);
            s1 = DOT(s1, w + cols + k, in);
            s2 = DOT(s2, w + 2 * cols + k, in);
            s3 = DOT(s3, w + 3 * cols + k, in);
        }
        wasm_v128_store(a->acc + r, wasm_i32x4_sub(sums(s0, s1, s2, s3), bias));
    }
    for (; r < a->rows; r++, w += cols) {
        const v128_t *x = (const v128_t *)(const void *)a->lanes;
        v128_t s = zero;
        for (k = 0; k < cols; k += 8) s = DOT(s, w + k, wasm_v128_load(x++));
        a->acc[r] = wasm_i32x4_extract_lane(wasm_i32x4_sub(sums(s, zero, zero, zero), bias), 0);
    }
}

void awm_scan_begin(uint64_t *bc, const int8_t *b, const int8_t *c, uint32_t d_state, uint32_t backend) {
    int16_t *to = (int16_t *)(void *)bc;
    uint32_t n;
    (void)backend;
    for (n = 0; n < d_state; n++) {
        to[n] = b[n];
        to[d_state + n] = c[n];
    }
}

#define AWM_SCAN void awm_scan
#include "awm_scan_body.h"
