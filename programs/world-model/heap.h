/* What an instruction needs beside its accounts: BPF stack frames hold 512 bytes, programs have no globals. */
#ifndef HEAP_H
#define HEAP_H

#include "awm.h"
#include "world_model.h"

#define WM_MAX_ACCOUNTS 72 /* a run_inference with every shard that a world may have */

struct wm_heap {
    struct wm_call call;
    struct sol_account accounts[WM_MAX_ACCOUNTS];
    awm_model model;
    awm_files files;
    const uint8_t *shards[AWM_MAX_SHARDS];
    uint64_t shard_lens[AWM_MAX_SHARDS];
};

_Static_assert(sizeof(struct wm_heap) <= 32 * 1024, "fits the heap that every transaction has");

#define WM_HEAP ((struct wm_heap *)SOL_HEAP_START)

#endif
