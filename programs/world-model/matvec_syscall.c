/*
 * The matrix products of a cluster that has the system call sol_matmul_i8 (MagicBlock's rollup 0.8.3), one compute unit
 * a multiplication at native speed. Linked instead of the kernel's own in world_model_syscall.so; the sums are equal.
 */
#include "awm_ops.h"
#include "solana.h"

/* output[row] = sum of weights[row][k] * input[k], both signed bytes, the sums in 32 bits. */
extern uint64_t sol_matmul_i8(const int8_t *weights, const int8_t *input, int32_t *output, uint64_t rows,
                              uint64_t cols);

/* 64 sum x: a row of its own, times a vector of 64 where the sums of the matrix will be. */
void awm_matvec_begin(awm_matvec_args *a)
{
    sol_memset_(a->lanes, 64, a->cols);
    sol_matmul_i8(a->x, (const int8_t *)a->lanes, &a->bias64, 1, a->cols);
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
