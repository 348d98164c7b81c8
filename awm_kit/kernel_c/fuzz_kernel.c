/* fuzz_kernel.c: opens and runs any bytes as a world. A libFuzzer target; not part of the kernel.
 *
 *   clang -g -fsanitize=fuzzer,address,undefined fuzz_kernel.c awm*.c        with a corpus from fuzz_main.c's seeds
 *   gcc -g -fsanitize=address,undefined -fsanitize-coverage=trace-pc fuzz_kernel.c fuzz_main.c awm*.c
 *
 * An input is u32 of choices (6 bits: number of shards; 1 bit: whether to use blocks; the rest: the op to cut a frame
 * at), u32 length of the manifest and of each shard, then their bytes, then the bytes that fill state, frame and
 * controllers, again and again. Lengths are cut to what is there. Every buffer is a heap block of its exact size, so
 * that AddressSanitizer sees one byte too many. */
#include <stdlib.h>
#include <string.h>

#include "awm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct cursor {
    const uint8_t *at;
    size_t left;
} cursor;

static uint32_t take_u32(cursor *c) {
    uint32_t v = 0;
    size_t n = c->left < 4 ? c->left : 4;
    memcpy(&v, c->at, n);
    c->at += n;
    c->left -= n;
    return v;
}

static uint8_t *take(cursor *c, uint64_t *len) {
    uint8_t *p;
    if (*len > c->left) *len = c->left;
    p = malloc(*len ? *len : 1);
    memcpy(p, c->at, *len);
    c->at += *len;
    c->left -= *len;
    return p;
}

static uint8_t *filled(const cursor *c, uint32_t len) {
    uint8_t *p = calloc(len ? len : 1, 1);
    uint32_t i;
    for (i = 0; i < len && c->left; i++) p[i] = c->at[i % c->left];
    return p;
}

/* Two frames, cut at any op, with each backend of this CPU. */
static void run(awm_model *model, const cursor *rest, uint32_t choices) {
    uint32_t backend, k, n_ops = awm_n_ops(model), in_blocks = choices % 2, cut = choices / 2 % (n_ops + 1);
    for (backend = AWM_BACKEND_PORTABLE; backend <= AWM_BACKEND_NEON; backend++) {
        uint8_t *inputs = filled(rest, 2 * AWM_CONTROLLER_BYTES), *blocks = 0;
        awm_match match;
        if (awm_set_backend(model, backend) == AWM_OK) {
            uint64_t size = in_blocks ? awm_blocks_bytes(model) : 0;
            if (size) {
                blocks = malloc(size);
                awm_make_blocks(model, blocks);
            }
            match.state = filled(rest, awm_state_bytes(model));
            match.scratch = filled(rest, awm_scratch_bytes(model));
            match.frame = filled(rest, AWM_FRAME_BYTES);
            match.inputs = inputs;
            for (k = 0; k < 2; k++) {
                if (awm_run(model, &match, 0, cut) || awm_run(model, &match, cut, n_ops)) abort();
            }
            free(match.state);
            free(match.scratch);
            free(match.frame);
        }
        free(blocks);
        free(inputs);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cursor c = {data, size};
    uint8_t *manifest, *shards[AWM_MAX_SHARDS];
    uint64_t manifest_len, lens[AWM_MAX_SHARDS];
    uint32_t i, head = take_u32(&c), n = head % AWM_MAX_SHARDS;
    awm_files files;
    awm_model model;
    manifest_len = take_u32(&c);
    for (i = 0; i < n; i++) lens[i] = take_u32(&c);
    manifest = take(&c, &manifest_len);
    for (i = 0; i < n; i++) shards[i] = take(&c, lens + i);
    files.manifest = manifest;
    files.manifest_len = manifest_len;
    files.shards = (const uint8_t *const *)shards;
    files.shard_lens = lens;
    files.n_shards = n;
    (void)awm_check(manifest, manifest_len);
    if (awm_open(&model, &files) == AWM_OK) {
        (void)awm_check_weights(&model, 0, awm_n_ops(&model));
        run(&model, &c, head / AWM_MAX_SHARDS);
    }
    for (i = 0; i < n; i++) free(shards[i]);
    free(manifest);
    return 0;
}
