/* awm_blocks.c: a copy of the matrices in a backend's own order, for callers with memory to spare: not SBF, not WASM.
 *
 * First a word for each op, where its block begins, plus what narrow_of says; then the blocks, in the tape's order. */
#include "awm_ops.h"

#ifndef AWM_PORTABLE_ONLY

static uint64_t align64(uint64_t n) {
    return (n + 63) & ~(uint64_t)63;
}

static int has_blocks(const awm_model *model, const awm_op *op) {
    return model->backend == AWM_BACKEND_AVX512VNNI && op->kind == AWM_MATVEC
        && op->format == AWM_FORMAT_I8;
}

/* How requantisation may be computed in halves of 64-bit products: 0 if it may not, else 1 plus the bits by which sums
 * are raised, so that raised multipliers fit int32 and shift plus both raises is 33 or more.
 *
 * |acc| <= 63 * 128 cols; |acc + bias|, raised, must be below 2^31, its quotient below 2^30: 2^23 may be added. */
static uint32_t narrow_of(const awm_model *model, const awm_op *op) {
    const int32_t *bias = (const int32_t *)(const void *)(model->shards[op->shard] + op->params);
    const int32_t *mul = bias + op->rows;
    const uint32_t raise = op->shift < 33 ? 33u - op->shift : 0;
    uint64_t most_sum = 0, most_mul = 0, most_product = 0;
    uint32_t up = 0, i;
    for (i = 0; i < op->rows; i++) {
        const uint64_t m = (uint64_t)(mul[i] < 0 ? -(int64_t)mul[i] : mul[i]);
        const uint64_t s = 63u * 128u * (uint64_t)op->cols + (uint64_t)(bias[i] < 0 ? -(int64_t)bias[i] : bias[i]);
        if (s > most_sum) most_sum = s;
        if (m > most_mul) most_mul = m;
        if (s >> 31 || m >> 31) return 0;
        if (s * m > most_product) most_product = s * m;
    }
    while (up < raise && most_mul << (raise - up) >> 31) up++;
    return most_sum << up >> 31 || most_mul << (raise - up) >> 31 || most_product >> op->shift >> 30 ? 0 : 1 + up;
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
        at[i] = next + narrow_of(model, ops + i);
        next += align64(awm_blocks_bytes_of(ops[i].rows, ops[i].cols));
    }
    model->blocks = memory;
}

const uint8_t *awm_blocks_of(const awm_model *model, uint32_t op, uint32_t *narrow) {
    const uint64_t at = model->blocks ? ((const uint64_t *)(const void *)model->blocks)[op] : 0;
    *narrow = (uint32_t)at & 63;
    return at ? model->blocks + (at & ~(uint64_t)63) : 0;
}

/* So many bytes behind the begin of the matrix that follows op, or NULL. */
const uint8_t *awm_blocks_after(const awm_model *model, const awm_op *op, uint64_t bytes) {
    const uint32_t last = model->blocks ? model->last_op : 0;
    uint32_t i, narrow;
    for (i = (uint32_t)(op - AWM_SECTION(awm_op, model->manifest, ops)) + 1; i < last; i++) {
        const uint8_t *w = awm_blocks_of(model, i, &narrow);
        if (w) return w + bytes;
    }
    return 0;
}

#else
AWM_STATIC_ASSERT(this_target_has_no_memory_to_spare, 1);
#endif
