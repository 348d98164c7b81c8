/* awm_blocks.c: a copy of the matrices in a backend's own order, for callers with memory to spare: not SBF, not WASM.
 *
 * First a word for each op, where its block begins, plus 1 if it is narrow; then the blocks, in the tape's order. */
#include "awm_ops.h"

#ifndef AWM_PORTABLE_ONLY

static uint64_t align64(uint64_t n) {
    return (n + 63) & ~(uint64_t)63;
}

static int has_blocks(const awm_model *model, const awm_op *op) {
    return model->backend == AWM_BACKEND_AVX512VNNI && op->kind == AWM_MATVEC
        && op->format == AWM_FORMAT_I8;
}

/* |acc| < 2^25, so |acc + bias| < 2^31 where |bias| <= 2^31 - 2^25; the quotient is below 2^31 |mul| / 2^shift + 1. */
static int is_narrow(const awm_model *model, const awm_op *op) {
    const int32_t *bias = (const int32_t *)(const void *)(model->shards[op->shard] + op->params);
    const int32_t *mul = bias + op->rows, most = INT32_MAX - (1 << 25);
    uint32_t i;
    for (i = 0; i < op->rows; i++) {
        const int64_t m = mul[i] < 0 ? -(int64_t)mul[i] : mul[i];
        if (bias[i] > most || bias[i] < -most || m >= ((int64_t)1 << op->shift) >> 2) return 0;
    }
    return 1;
}

uint64_t awm_blocks_bytes(const awm_model *model) {
    const awm_op *ops = AWM_SECTION(awm_op, model->manifest, ops);
    const awm_shard *shards = AWM_SECTION(awm_shard, model->manifest, shards);
    const uint32_t n_shards = AWM_HEADER(model->manifest)->n_shards;
    uint64_t held = 0, bytes = 0;
    uint32_t i;
    for (i = 0; i < n_shards; i++) held += shards[i].length;
    for (i = model->first_op; i < model->last_op; i++) {
        if (has_blocks(model, ops + i)) bytes += align64(awm_blocks_bytes_of(ops[i].rows, ops[i].cols));
    }
    /* sixteen rows for one is the most that filling up adds */
    return bytes && bytes <= 16 * held ? bytes + align64(8 * (uint64_t)model->last_op) : 0;
}

void awm_make_blocks(awm_model *model, uint8_t *memory) {
    const awm_op *ops = AWM_SECTION(awm_op, model->manifest, ops);
    uint64_t *at = (uint64_t *)(void *)memory, next = align64(8 * (uint64_t)model->last_op);
    uint32_t i;
    for (i = 0; i < model->last_op; i++) {
        at[i] = 0;
        if (i < model->first_op || !has_blocks(model, ops + i)) continue;
        awm_blocks_fill(memory + next, model->shards[ops[i].shard] + ops[i].weights, ops[i].rows, ops[i].cols);
        at[i] = next + (uint64_t)is_narrow(model, ops + i);
        next += align64(awm_blocks_bytes_of(ops[i].rows, ops[i].cols));
    }
    model->blocks = memory;
}

const uint8_t *awm_blocks_of(const awm_model *model, uint32_t op, int *narrow) {
    const uint64_t at = model->blocks ? ((const uint64_t *)(const void *)model->blocks)[op] : 0;
    *narrow = (int)(at & 1);
    return at ? model->blocks + (at & ~(uint64_t)1) : 0;
}

#else
AWM_STATIC_ASSERT(this_target_has_no_memory_to_spare, 1);
#endif
