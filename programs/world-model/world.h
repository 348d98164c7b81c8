/* A world as accounts: what binds shards to their manifest, and both to the kernel. */
#ifndef WORLD_H
#define WORLD_H

#include "heap.h"

struct wm_world_size {
    uint32_t state_bytes;
    uint32_t scratch_bytes;
};

/* The content has this SHA-256; notes it in the header. */
uint64_t wm_hash_content(struct wm_content *content, const struct sol_key *expected);

/* The kernel accepts the manifest, and the accounts from first_shard on are all its shards, in order. */
uint64_t wm_check_world(const struct wm_call *call, const struct sol_account *manifest, uint64_t first_shard);

/* How much memory a match on this finalised world takes. */
uint64_t wm_world_size(const struct sol_account *manifest, struct wm_world_size *size);

/* Open ops [begin, end) with the shards in the accounts from first_shard on, in ascending order. */
uint64_t wm_open_ops(const struct wm_call *call, const struct sol_account *manifest, uint64_t first_shard,
                     uint32_t begin, uint32_t end);

#endif
