/* Replays: a recorded match's frame 0 and inputs, kept by whoever pays for them. Their hash is the result's, so it does not
 * matter who brings them. */
#include "checks.h"
#include "world.h"

static uint64_t check_result(const struct wm_call *call, const struct sol_account *account)
{
    const struct wm_result *result = (const struct wm_result *)account->data;

    WM_REQUIRE(sol_same_key(account->owner, call->program_id), WM_WRONG_OWNER);
    WM_REQUIRE(account->data_len == sizeof *result && result->magic == WM_MAGIC_RESULT, WM_NOT_RESULT);
    return 0;
}

uint64_t wm_init_replay(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 3, 1 + 8));
    const struct sol_account *result = &call->accounts[1];
    uint64_t content_len = *(const uint64_t *)(call->data + 1);
    WM_TRY(wm_check_signer(&call->accounts[2]));
    WM_TRY(wm_check_fresh(call, &call->accounts[0], content_len));
    WM_TRY(check_result(call, result));
    WM_REQUIRE(content_len == sizeof(struct wm_frame) + ((const struct wm_result *)result->data)->log_len,
               WM_CONTENT_LENGTH);

    struct wm_content *content = (struct wm_content *)call->accounts[0].data;
    content->magic = WM_MAGIC_REPLAY;
    content->version = WM_VERSION;
    content->state = WM_WRITING;
    content->content_len = content_len;
    content->authority = *call->accounts[2].key;
    content->link = *result->key;
    return 0;
}

uint64_t wm_finalise_replay(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 3, 1));
    const struct sol_account *replay = &call->accounts[0], *result = &call->accounts[1];
    struct wm_content *content = (struct wm_content *)replay->data;
    WM_TRY(wm_check_replay(call, replay));
    WM_TRY(wm_check_open(call, replay, &call->accounts[2]));
    WM_TRY(check_result(call, result));
    WM_REQUIRE(sol_same_key(&content->link, result->key), WM_REPLAY_OF_OTHER_MATCH);
    WM_TRY(wm_hash_content(content, &((const struct wm_result *)result->data)->log_hash));

    content->state = WM_FROZEN;
    return 0;
}
