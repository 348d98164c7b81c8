/* Manifests and weight shards: made, written in pieces, given back. */
#include "checks.h"
#include "system.h"
#include "world.h"

uint64_t wm_check_fresh(const struct wm_call *call, const struct sol_account *account, uint64_t content_len)
{
    const uint64_t *words = (const uint64_t *)account->data;
    uint64_t used = 0;

    WM_TRY(wm_check_writable(account));
    WM_REQUIRE(sol_same_key(account->owner, call->program_id), WM_WRONG_OWNER);
    WM_REQUIRE(account->data_len >= sizeof(struct wm_content) &&
                   account->data_len - sizeof(struct wm_content) == content_len,
               WM_CONTENT_LENGTH);
    for (uint64_t i = 0; i < sizeof(struct wm_content) / 8; i++)
        used |= words[i];
    WM_REQUIRE(used == 0, WM_HEADER_NOT_ZERO);
    return 0;
}

uint64_t wm_check_open(const struct wm_call *call, const struct sol_account *target,
                       const struct sol_account *authority)
{
    const struct wm_content *content = (const struct wm_content *)target->data;

    WM_TRY(wm_check_signer(authority));
    WM_TRY(wm_check_writable(target));
    WM_TRY(wm_check_content(call, target));
    WM_REQUIRE(sol_same_key(&content->authority, authority->key), WM_WRONG_AUTHORITY);
    WM_REQUIRE(content->state == WM_WRITING, WM_ALREADY_FROZEN);
    return 0;
}

uint64_t wm_init_manifest(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 2, 1 + 8 + 32));
    struct sol_account *manifest = &call->accounts[0], *authority = &call->accounts[1];
    uint64_t content_len = *(const uint64_t *)(call->data + 1);
    WM_TRY(wm_check_signer(authority));
    WM_TRY(wm_check_fresh(call, manifest, content_len));

    struct wm_content *content = (struct wm_content *)manifest->data;
    content->magic = WM_MAGIC_MANIFEST;
    content->version = WM_VERSION;
    content->state = WM_WRITING;
    content->content_len = content_len;
    content->authority = *authority->key;
    content->link = *(const struct sol_key *)(call->data + 9);
    return 0;
}

uint64_t wm_init_shard(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 3, 1 + 8 + 2));
    struct sol_account *shard = &call->accounts[0], *manifest = &call->accounts[1];
    struct sol_account *authority = &call->accounts[2];
    uint64_t content_len = *(const uint64_t *)(call->data + 1);
    const struct wm_content *world = (const struct wm_content *)manifest->data;
    WM_TRY(wm_check_signer(authority));
    WM_TRY(wm_check_fresh(call, shard, content_len));
    WM_TRY(wm_check_manifest(call, manifest));
    WM_REQUIRE(sol_same_key(&world->authority, authority->key), WM_WRONG_AUTHORITY);
    WM_REQUIRE(world->state == WM_WRITING, WM_ALREADY_FROZEN);

    struct wm_content *content = (struct wm_content *)shard->data;
    content->magic = WM_MAGIC_SHARD;
    content->version = WM_VERSION;
    content->state = WM_WRITING;
    content->index = *(const uint16_t *)(call->data + 9);
    content->content_len = content_len;
    content->authority = *authority->key;
    content->link = *manifest->key;
    return 0;
}

uint64_t wm_write(const struct wm_call *call)
{
    WM_REQUIRE(call->n_accounts >= 2, WM_ACCOUNTS_MISSING);
    WM_REQUIRE(call->data_len >= 1 + 4, WM_INSTRUCTION_DATA);
    struct sol_account *target = &call->accounts[0];
    uint64_t offset = *(const uint32_t *)(call->data + 1), len = call->data_len - 5;
    WM_TRY(wm_check_open(call, target, &call->accounts[1]));
    struct wm_content *content = (struct wm_content *)target->data;
    /* Both below 2^33: the sum cannot wrap. */
    WM_REQUIRE(offset + len <= content->content_len, WM_WRITE_OUT_OF_BOUNDS);

    sol_memcpy_((uint8_t *)(content + 1) + offset, call->data + 5, len);
    return 0;
}

uint64_t wm_finalise_shard(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 3, 1 + 32));
    struct sol_account *shard = &call->accounts[0], *manifest = &call->accounts[1];
    WM_TRY(wm_check_shard(call, shard));
    WM_TRY(wm_check_open(call, shard, &call->accounts[2]));
    WM_TRY(wm_check_manifest(call, manifest));
    struct wm_content *content = (struct wm_content *)shard->data;
    WM_REQUIRE(sol_same_key(&content->link, manifest->key), WM_SHARD_OF_OTHER_WORLD);
    WM_TRY(wm_hash_content(content, (const struct sol_key *)(call->data + 1)));

    content->state = WM_FROZEN;
    return 0;
}

uint64_t wm_finalise_manifest(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 2, 1 + 32));
    struct sol_account *manifest = &call->accounts[0];
    WM_TRY(wm_check_manifest(call, manifest));
    WM_TRY(wm_check_open(call, manifest, &call->accounts[1]));
    struct wm_content *content = (struct wm_content *)manifest->data;
    WM_TRY(wm_hash_content(content, (const struct sol_key *)(call->data + 1)));
    WM_TRY(wm_check_world(call, manifest, 2));

    content->state = WM_FROZEN;
    return 0;
}

/* At any time: a world is a deposit. Sessions on it notice, because they keep its SHA-256. */
uint64_t wm_retire(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 3, 1));
    struct sol_account *target = &call->accounts[0], *authority = &call->accounts[1];
    struct sol_account *recipient = &call->accounts[2];
    const struct wm_content *content = (const struct wm_content *)target->data;
    WM_TRY(wm_check_signer(authority));
    WM_TRY(wm_check_writable(target));
    WM_TRY(wm_check_writable(recipient));
    WM_TRY(wm_check_content(call, target));
    WM_REQUIRE(sol_same_key(&content->authority, authority->key), WM_WRONG_AUTHORITY);
    WM_REQUIRE(!sol_same_key(target->key, recipient->key), WM_SAME_RECIPIENT);

    wm_close(target, recipient);
    return 0;
}
