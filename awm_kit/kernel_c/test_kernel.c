/* test_kernel.c: mutates a world's bytes and checks that each mutant is refused or runs; build with sanitizers.
 *
 *   test_kernel SEED COUNT MANIFEST SHARD...
 *
 * Not part of the kernel. Every buffer is a heap block of its exact size, so that AddressSanitizer sees one byte
 * too many. tests/test_kernel.py runs it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "awm.h"

typedef struct blob {
    uint8_t *bytes;
    uint64_t len;
} blob;

static uint64_t rng_state;

static uint64_t rng(uint64_t below) {
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (rng_state >> 11) % below;
}

static blob read_file(const char *path) {
    blob b = {0, 0};
    FILE *f = fopen(path, "rb");
    long len;
    if (!f || fseek(f, 0, SEEK_END) || (len = ftell(f)) < 0 || fseek(f, 0, SEEK_SET)) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    b.len = (uint64_t)len;
    b.bytes = malloc(b.len + 1);
    if (fread(b.bytes, 1, b.len, f) != b.len) exit(2);
    fclose(f);
    return b;
}

static blob copy(blob from, uint64_t len) {
    blob b;
    b.len = len;
    b.bytes = malloc(len ? len : 1);
    memcpy(b.bytes, from.bytes, len);
    return b;
}

/* Changes a byte, a bit, or a 16- or 32-bit word, mostly to values next to limits. */
static void mutate(blob b, uint64_t first, uint64_t span) {
    static const uint32_t words[] = {0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF,
                                     0x80000000u, 0xFFFFFFF8u, 0xFFFFFFFFu};
    uint64_t at = first + rng(span), size = (uint64_t)1 << rng(3);
    uint32_t value = words[rng(sizeof words / sizeof *words)];
    if (rng(3) == 0) {
        b.bytes[at] ^= (uint8_t)(1u << rng(8));
        return;
    }
    if (rng(3) == 0) value = (uint32_t)rng(4096);
    at -= at % size;
    if (at + size <= b.len) memcpy(b.bytes + at, &value, size);
}

static void run(awm_model *model, uint32_t begin, uint32_t end) {
    static const uint32_t backends[] = {AWM_BACKEND_PORTABLE, AWM_BACKEND_SWAR, AWM_BACKEND_AVX2,
                                        AWM_BACKEND_AVX512VNNI, AWM_BACKEND_NEON};
    uint32_t i, k;
    for (i = 0; i < 5; i++) {
        awm_match match;
        uint8_t *inputs = malloc(2 * AWM_CONTROLLER_BYTES), *blocks = 0;
        if (awm_set_backend(model, backends[i]) == AWM_OK) {
            uint64_t size = awm_blocks_bytes(model);
            if (size && rng(2)) {
                blocks = malloc(size);
                awm_make_blocks(model, blocks);
            }
            match.state = malloc(awm_state_bytes(model));
            match.scratch = calloc(awm_scratch_bytes(model), 1);
            match.frame = malloc(AWM_FRAME_BYTES);
            match.inputs = inputs;
            for (k = 0; k < awm_state_bytes(model); k++) match.state[k] = (uint8_t)rng(256);
            for (k = 0; k < AWM_FRAME_BYTES; k++) match.frame[k] = (uint8_t)rng(256);
            for (k = 0; k < 2 * AWM_CONTROLLER_BYTES; k++) inputs[k] = (uint8_t)rng(256);
            for (k = 0; k < 2; k++) {
                if (awm_run(model, &match, begin, end) != AWM_OK) abort();
            }
            free(match.state);
            free(match.scratch);
            free(match.frame);
            free(blocks);
        }
        free(inputs);
    }
}

int main(int argc, char **argv) {
    enum { MAX_PARTS = 65, HEADER = 256 };
    blob original[MAX_PARTS], part[MAX_PARTS];
    const uint8_t *shards[MAX_PARTS];
    uint64_t lens[MAX_PARTS];
    unsigned long refused = 0, ran = 0, count, n;
    int i, n_parts = argc - 3;
    if (n_parts < 2 || n_parts > MAX_PARTS) return 2;
    rng_state = 0x9E3779B97F4A7C15u + strtoul(argv[1], 0, 10);
    count = strtoul(argv[2], 0, 10);
    for (i = 0; i < n_parts; i++) original[i] = read_file(argv[3 + i]);
    for (n = 0; n < count; n++) {
        awm_files files;
        awm_model model;
        uint64_t changes = n ? 1 + rng(3) : 0;
        for (i = 0; i < n_parts; i++) {
            int cut = n && rng(40) == 0;
            part[i] = copy(original[i], cut ? rng(original[i].len) : original[i].len);
        }
        for (; changes; changes--) {
            blob b = part[rng(2) ? 0 : rng((uint64_t)n_parts)];
            uint64_t head = rng(2) && b.len > HEADER ? HEADER : b.len;
            if (b.len) mutate(b, 0, head);
        }
        for (i = 1; i < n_parts; i++) {
            shards[i - 1] = part[i].bytes;
            lens[i - 1] = part[i].len;
        }
        files.manifest = part[0].bytes;
        files.manifest_len = part[0].len;
        files.shards = shards;
        files.shard_lens = lens;
        files.n_shards = (uint64_t)n_parts - 1;
        if (awm_open(&model, &files) == AWM_OK) {
            ran++;
            (void)awm_check_weights(&model, 0, awm_n_ops(&model));
            run(&model, 0, awm_n_ops(&model));
        } else {
            uint32_t begin = (uint32_t)rng(20), end = begin + (uint32_t)rng(12);
            refused++;
            if (n % 8 == 0) shards[rng(files.n_shards)] = 0;
            if (awm_open_range(&model, &files, begin, end) == AWM_OK) run(&model, begin, end);
        }
        for (i = 0; i < n_parts; i++) free(part[i].bytes);
    }
    for (i = 0; i < n_parts; i++) free(original[i].bytes);
    printf("refused=%lu ran=%lu\n", refused, ran);
    return 0;
}
