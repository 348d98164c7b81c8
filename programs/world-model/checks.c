#include "checks.h"

/* A program owns only what it initialised: with the right owner, a magic cannot be forged. */
static uint64_t check_record(const struct wm_call *call, const struct sol_account *account, uint64_t size,
                             uint32_t magic, uint64_t error)
{
    WM_REQUIRE(sol_same_key(account->owner, call->program_id), WM_WRONG_OWNER);
    WM_REQUIRE(account->data_len >= size && *(const uint32_t *)account->data == magic, error);
    return 0;
}

uint64_t wm_check_manifest(const struct wm_call *call, const struct sol_account *account)
{
    return check_record(call, account, sizeof(struct wm_content), WM_MAGIC_MANIFEST, WM_NOT_MANIFEST);
}

uint64_t wm_check_shard(const struct wm_call *call, const struct sol_account *account)
{
    return check_record(call, account, sizeof(struct wm_content), WM_MAGIC_SHARD, WM_NOT_SHARD);
}

uint64_t wm_check_content(const struct wm_call *call, const struct sol_account *account)
{
    uint64_t error = wm_check_manifest(call, account);

    if (error == WM_NOT_MANIFEST && (wm_check_shard(call, account) == 0 || wm_check_replay(call, account) == 0))
        return 0;
    return error == WM_NOT_MANIFEST ? WM_NOT_CONTENT : error;
}

uint64_t wm_check_replay(const struct wm_call *call, const struct sol_account *account)
{
    return check_record(call, account, sizeof(struct wm_content), WM_MAGIC_REPLAY, WM_NOT_REPLAY);
}

uint64_t wm_check_session(const struct wm_call *call, const struct sol_account *account)
{
    return check_record(call, account, sizeof(struct wm_session), WM_MAGIC_SESSION, WM_NOT_SESSION);
}

uint64_t wm_check_hidden(const struct wm_call *call, const struct sol_account *account,
                         const struct sol_account *session)
{
    WM_TRY(check_record(call, account, sizeof(struct wm_hidden), WM_MAGIC_HIDDEN, WM_NOT_HIDDEN_STATE));
    const struct wm_hidden *hidden = (const struct wm_hidden *)account->data;
    WM_REQUIRE(sol_same_key(&hidden->session, session->key), WM_WRONG_HIDDEN_STATE);
    return 0;
}

/* 1,500 compute units, where hidden's stored key costs 15: the small accounts have no room for a key. */
static uint64_t check_derived(const struct wm_call *call, const struct sol_account *account,
                              const struct sol_account *session, const struct sol_bytes *name, const uint8_t *bump)
{
    const struct sol_bytes seeds[3] = {*name, {session->key, sizeof *session->key}, {bump, 1}};
    struct sol_key address;

    return sol_create_program_address(seeds, 3, call->program_id, &address) != 0 ||
           !sol_same_key(&address, account->key);
}

uint64_t wm_check_input(const struct wm_call *call, const struct sol_account *account,
                        const struct sol_account *session)
{
    const struct wm_input *input = (const struct wm_input *)account->data;
    const struct sol_bytes name = {"input", 5};

    WM_REQUIRE(sol_same_key(account->owner, call->program_id), WM_WRONG_OWNER);
    WM_REQUIRE(account->data_len == sizeof *input && input->magic == WM_MAGIC_INPUT, WM_NOT_INPUT_BUFFER);
    WM_REQUIRE(check_derived(call, account, session, &name, &input->bump) == 0, WM_WRONG_INPUT_BUFFER);
    return 0;
}

uint64_t wm_check_log(const struct wm_call *call, const struct sol_account *account,
                      const struct sol_account *session)
{
    const struct wm_log *log = (const struct wm_log *)account->data;
    const struct sol_bytes name = {"log", 3};

    WM_TRY(check_record(call, account, sizeof *log, WM_MAGIC_LOG, WM_NOT_INPUT_LOG));
    WM_REQUIRE(check_derived(call, account, session, &name, &log->bump) == 0, WM_WRONG_INPUT_LOG);
    return 0;
}

uint64_t wm_check_player(const struct sol_account *signer, const struct wm_session *session, uint8_t player)
{
    WM_TRY(wm_check_signer(signer));
    WM_REQUIRE(player < 2, WM_PLAYER_INDEX);
    WM_REQUIRE(sol_same_key(signer->key, &session->session_keys[player]), WM_WRONG_SESSION_KEY);
    return 0;
}
