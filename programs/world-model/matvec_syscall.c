/*
 * The matrix products of a cluster that has the system call sol_matmul_i8 (MagicBlock's rollup 0.8.3), one compute unit
 * a multiplication at native speed. Linked instead of the kernel's own in world_model_syscall.so; the sums are equal.
 */
#include "awm_ops.h"

/* output[row] = sum of weights[row][k] * input[k], both signed bytes, the sums in 32 bits. */
extern uint64_t sol_matmul_i8(const int8_t *weights, const int8_t *input, int32_t *output, uint64_t rows,
                              uint64_t cols);

#define GROUPS 128
#define EVEN_BYTES 0x00FF00FF00FF00FFULL
#define SIGN_BITS 0x8080808080808080ULL

/* 64 sum x, eight columns at once: as bytes plus 128 in four 16-bit lanes, which hold 128 such groups. */
void awm_matvec_begin(awm_matvec_args *a)
{
    const int8_t *x = a->x, *end = x + a->cols;
    int64_t sum = -128 * (int64_t)a->cols;

    while (x != end) {
        const int8_t *stop = end - x > 8 * GROUPS ? x + 8 * GROUPS : end;
        uint64_t lanes = 0;
        for (; x != stop; x += 8) {
            uint64_t word = awm_load64((const uint8_t *)x) ^ SIGN_BITS;
            lanes += (word & EVEN_BYTES) + (word >> 8 & EVEN_BYTES);
        }
        sum += (int64_t)((lanes & 0xFFFF) + (lanes >> 16 & 0xFFFF) + (lanes >> 32 & 0xFFFF) + (lanes >> 48));
    }
    a->bias64 = 64 * sum;
}

/*
 * Stored weights are 1..127, so as signed bytes they are what they are as unsigned ones: the weight plus 64. That the sums
 * are larger by bias64 is made good when they are requantised, since an access to memory takes the VM longer than 20 other
 * instructions.
 */
void awm_matvec(const awm_matvec_args *a)
{
    sol_matmul_i8((const int8_t *)a->w, a->x, a->acc, a->rows, a->cols);
}
