/* module.c: the kernel as a WebAssembly module. It imports nothing and holds nothing: whoever loads it lays out
 * the memory from __heap_base on, and kernel.js and engine.py do. Pointers are 32 bits wide here. */
#include "awm.h"

#define EXPORT(name) __attribute__((export_name(#name)))

EXPORT(model_bytes) uint32_t web_model_bytes(void) {
    return sizeof(awm_model);
}

/* shards: n pointers; lengths: n of 64 bits. Both must stay, like what they point to. */
EXPORT(open)
int web_open(awm_model *model, const uint8_t *manifest, uint32_t manifest_len, const uint8_t *const *shards,
             const uint64_t *lengths, uint32_t n) {
    awm_files files;
    int error;
    files.manifest = manifest;
    files.manifest_len = manifest_len;
    files.shards = shards;
    files.shard_lens = lengths;
    files.n_shards = n;
    error = awm_open(model, &files);
    return error ? error : awm_check_weights(model, 0, awm_n_ops(model));
}

EXPORT(state_bytes) uint32_t web_state_bytes(const awm_model *model) {
    return awm_state_bytes(model);
}

EXPORT(scratch_bytes) uint32_t web_scratch_bytes(const awm_model *model) {
    return awm_scratch_bytes(model);
}

EXPORT(step)
int web_step(const awm_model *model, uint8_t *state, uint8_t *scratch, uint8_t *frame, const uint8_t *inputs) {
    awm_match match;
    match.state = state;
    match.scratch = scratch;
    match.frame = frame;
    match.inputs = inputs;
    return awm_step(model, &match);
}
