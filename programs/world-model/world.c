#include "world.h"

#include "awm_format.h"
#include "checks.h"

static const uint8_t *content_bytes(const struct sol_account *account)
{
    return account->data + sizeof(struct wm_content);
}

static uint64_t content_len(const struct sol_account *account)
{
    return ((const struct wm_content *)account->data)->content_len;
}

static uint64_t kernel_error(int error)
{
    if (error == AWM_ERR_SHARD_MISSING)
        return WM_SHARD_MISSING;
    return error == AWM_OK ? 0 : (uint64_t)(WM_KERNEL + error);
}

uint64_t wm_hash_content(struct wm_content *content, const struct sol_key *expected)
{
    const struct sol_bytes bytes = {content + 1, content->content_len};
    struct sol_key digest;

    sol_sha256(&bytes, 1, &digest);
    WM_REQUIRE(sol_same_key(&digest, expected), WM_HASH_MISMATCH);
    content->sha256 = digest;
    return 0;
}

/* A frozen shard of this manifest, with the content that the manifest's table lists under its number. A number
 * and a link alone would not do: a retired world can leave old shards behind under the same manifest address. */
static uint64_t check_shard(const struct wm_call *call, const struct sol_account *manifest,
                            const struct sol_account *shard)
{
    const struct wm_content *content = (const struct wm_content *)shard->data;
    const awm_shard *table = AWM_SECTION(awm_shard, content_bytes(manifest), shards);

    WM_TRY(wm_check_shard(call, shard));
    WM_REQUIRE(sol_same_key(&content->link, manifest->key), WM_SHARD_OF_OTHER_WORLD);
    WM_REQUIRE(content->state == WM_FROZEN, WM_SHARD_NOT_FROZEN);
    WM_REQUIRE(content->index < AWM_HEADER(content_bytes(manifest))->n_shards, WM_SHARD_INDEX);
    WM_REQUIRE(content->content_len == table[content->index].length, WM_SHARD_LENGTH);
    WM_REQUIRE(sol_same_key(&content->sha256, (const struct sol_key *)table[content->index].sha256), WM_SHARD_HASH);
    return 0;
}

uint64_t wm_check_world(const struct wm_call *call, const struct sol_account *manifest, uint64_t first_shard)
{
    WM_TRY(kernel_error(awm_check(content_bytes(manifest), content_len(manifest))));
    uint64_t n = AWM_HEADER(content_bytes(manifest))->n_shards;
    WM_REQUIRE(call->n_accounts - first_shard == n, WM_SHARD_COUNT);
    for (uint64_t i = 0; i < n; i++) {
        const struct sol_account *shard = &call->accounts[first_shard + i];
        WM_TRY(check_shard(call, manifest, shard));
        WM_REQUIRE(((const struct wm_content *)shard->data)->index == i, WM_SHARD_INDEX);
    }
    return 0;
}

static uint64_t open_range(const struct sol_account *manifest, uint32_t begin, uint32_t end)
{
    struct wm_heap *heap = WM_HEAP;

    heap->files.manifest = content_bytes(manifest);
    heap->files.manifest_len = content_len(manifest);
    heap->files.shards = heap->shards;
    heap->files.shard_lens = heap->shard_lens;
    heap->files.n_shards = AWM_HEADER(content_bytes(manifest))->n_shards;
    return kernel_error(awm_open_range(&heap->model, &heap->files, begin, end));
}

uint64_t wm_world_size(const struct sol_account *manifest, struct wm_world_size *size)
{
    WM_TRY(open_range(manifest, 0, 0));
    size->state_bytes = awm_state_bytes(&WM_HEAP->model);
    size->scratch_bytes = awm_scratch_bytes(&WM_HEAP->model);
    return 0;
}

uint64_t wm_open_ops(const struct wm_call *call, const struct sol_account *manifest, uint64_t first_shard,
                     uint32_t begin, uint32_t end)
{
    uint32_t next = 0;

    for (uint64_t i = first_shard; i < call->n_accounts; i++) {
        const struct sol_account *shard = &call->accounts[i];
        WM_TRY(check_shard(call, manifest, shard));
        uint16_t index = ((const struct wm_content *)shard->data)->index;
        WM_REQUIRE(index >= next, WM_SHARD_INDEX);
        next = index + 1u;
        WM_HEAP->shards[index] = content_bytes(shard);
        WM_HEAP->shard_lens[index] = content_len(shard);
    }
    return open_range(manifest, begin, end);
}
