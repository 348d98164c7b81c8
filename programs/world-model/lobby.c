/* From an open session to a running match. */
#include "chain.h"
#include "checks.h"
#include "world.h"

uint64_t wm_join(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 3, 1 + 32 + 1));
    struct sol_account *wallet = &call->accounts[0], *session = &call->accounts[1], *hidden = &call->accounts[2];
    struct wm_session *record = (struct wm_session *)session->data;
    uint8_t character = call->data[33];
    WM_TRY(wm_check_signer(wallet));
    WM_TRY(wm_check_writable(session));
    WM_TRY(wm_check_writable(hidden));
    WM_TRY(wm_check_session(call, session));
    WM_TRY(wm_check_hidden(call, hidden, session));
    WM_REQUIRE(record->phase == WM_CREATED, WM_NOT_OPEN);

    record->phase = WM_JOINED;
    record->session_keys[1] = *(const struct sol_key *)(call->data + 1);
    if (character != WM_KEEP_CHARACTER)
        record->frame.players[1].character = character;
    ((struct wm_hidden *)hidden->data)->wallets[1] = *wallet->key;
    return 0;
}

uint64_t wm_renew_key(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 3, 1 + 1 + 32));
    struct sol_account *wallet = &call->accounts[0], *session = &call->accounts[1], *hidden = &call->accounts[2];
    struct wm_session *record = (struct wm_session *)session->data;
    uint8_t player = call->data[1];
    WM_TRY(wm_check_signer(wallet));
    WM_TRY(wm_check_writable(session));
    WM_TRY(wm_check_session(call, session));
    WM_TRY(wm_check_hidden(call, hidden, session));
    WM_REQUIRE(player < 2, WM_PLAYER_INDEX);
    WM_REQUIRE(sol_same_key(wallet->key, &((const struct wm_hidden *)hidden->data)->wallets[player]), WM_WRONG_WALLET);

    record->session_keys[player] = *(const struct sol_key *)(call->data + 2);
    return 0;
}

uint64_t wm_pick_character(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 2, 1 + 1 + 1));
    struct sol_account *session = &call->accounts[1];
    struct wm_session *record = (struct wm_session *)session->data;
    uint8_t player = call->data[1];
    WM_TRY(wm_check_writable(session));
    WM_TRY(wm_check_session(call, session));
    WM_TRY(wm_check_player(&call->accounts[0], record, player));
    WM_REQUIRE(record->phase < WM_ACTIVE, WM_ALREADY_BEGAN);

    record->frame.players[player].character = call->data[2];
    return 0;
}

/* Both are ready: the world is pinned by its hash, the memory is empty, the chain begins. */
static uint64_t begin(const struct sol_account *manifest, struct wm_session *session, struct wm_hidden *hidden)
{
    const struct wm_content *content = (const struct wm_content *)manifest->data;
    struct wm_world_size size;
    struct sol_clock clock;

    WM_TRY(wm_world_size(manifest, &size));
    /* The authority may have put another world at this address since the session was created. */
    WM_REQUIRE(size.state_bytes == hidden->state_bytes && size.scratch_bytes == hidden->scratch_bytes,
               WM_WORLD_CHANGED);
    session->phase = WM_ACTIVE;
    hidden->world_hash = content->sha256;
    sol_get_clock_sysvar(&clock);
    hidden->last_time = (uint32_t)clock.unix_time;
    sol_memset_(hidden + 1, 0, hidden->state_bytes);
    wm_chain_begin(session, &content->sha256);
    return 0;
}

uint64_t wm_ready(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 4, 1 + 1));
    struct sol_account *session = &call->accounts[1], *hidden = &call->accounts[2];
    struct sol_account *manifest = &call->accounts[3];
    struct wm_session *record = (struct wm_session *)session->data;
    struct wm_hidden *memory = (struct wm_hidden *)hidden->data;
    uint8_t player = call->data[1];
    WM_TRY(wm_check_writable(session));
    WM_TRY(wm_check_writable(hidden));
    WM_TRY(wm_check_session(call, session));
    WM_TRY(wm_check_player(&call->accounts[0], record, player));
    WM_TRY(wm_check_hidden(call, hidden, session));
    WM_TRY(wm_check_manifest(call, manifest));
    WM_REQUIRE(sol_same_key(manifest->key, &record->world), WM_WRONG_WORLD);
    WM_REQUIRE(((const struct wm_content *)manifest->data)->state == WM_FROZEN, WM_MANIFEST_NOT_FROZEN);
    WM_REQUIRE(record->phase == WM_JOINED, WM_NOT_JOINED);
    WM_REQUIRE(memory->state == WM_HIDDEN_READY, WM_HIDDEN_NOT_READY);
    WM_REQUIRE((record->ready & 1u << player) == 0, WM_ALREADY_READY);

    record->ready |= (uint8_t)(1u << player);
    return record->ready == 3 ? begin(manifest, record, memory) : 0;
}
