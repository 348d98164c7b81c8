/* How a match ends, and what remains of it. */
#include "result.h"

#include "chain.h"
#include "checks.h"
#include "input_log.h"
#include "system.h"

uint8_t wm_leader(const struct wm_frame *frame)
{
    const struct wm_player *a = &frame->players[0], *b = &frame->players[1];

    if (a->stocks != b->stocks)
        return a->stocks > b->stocks ? 0 : 1;
    if (a->percent != b->percent)
        return a->percent < b->percent ? 0 : 1;
    return WM_DRAW;
}

/* Reason and winner; the crank comes first if its key is also a player's. */
static uint64_t judge(const struct sol_account *signer, struct wm_session *session, struct wm_hidden *hidden,
                      const struct sol_account *log)
{
    bool crank = sol_same_key(signer->key, &session->authority);
    int player = sol_same_key(signer->key, &session->session_keys[0]) ? 0 : 1;

    WM_REQUIRE(crank || sol_same_key(signer->key, &session->session_keys[player]), WM_MAY_NOT_END);
    if (session->frame.status != 0) {
        hidden->reason = session->frame.status == 1 ? WM_REASON_DECIDED : WM_REASON_TIMEOUT;
    } else if (!crank) {
        hidden->reason = (uint8_t)(WM_REASON_QUIT + player);
        session->winner = (uint8_t)(1 - player);
    } else if (wm_log_is_full((const struct wm_log *)log->data, log->data_len, session->frame.frame + 1)) {
        hidden->reason = WM_REASON_LOG_FULL;
        session->winner = wm_leader(&session->frame);
    } else { /* a crank that stops for its own reasons must not choose who leads */
        hidden->reason = WM_REASON_STOPPED;
        session->winner = WM_DRAW;
    }
    return 0;
}

/* A rollup that gave up a running match may have brought no state or entries: their hashes stay zero then. */
void wm_finish(struct wm_session *session, struct wm_hidden *hidden, const struct sol_account *log)
{
    const struct wm_log *header = (const struct wm_log *)log->data;
    const struct sol_bytes replay = {&header->start, sizeof header->start + header->used};

    if (sizeof *header + header->used <= log->data_len)
        sol_sha256(&replay, 1, &hidden->log_hash);
    if (hidden->next_op == 0 && hidden->state == WM_HIDDEN_READY) /* in mid-frame the state is that of no frame */
        wm_hash_state(session, hidden);
    hidden->state = WM_HIDDEN_ENDED;
    session->phase = WM_ENDED;
}

uint64_t wm_end_session(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 4, 1));
    struct sol_account *signer = &call->accounts[0], *session = &call->accounts[1];
    struct sol_account *hidden = &call->accounts[2], *log = &call->accounts[3];
    struct wm_session *record = (struct wm_session *)session->data;
    struct wm_hidden *memory = (struct wm_hidden *)hidden->data;
    WM_TRY(wm_check_signer(signer));
    WM_TRY(wm_check_writable(session));
    WM_TRY(wm_check_writable(hidden));
    WM_TRY(wm_check_session(call, session));
    WM_TRY(wm_check_hidden(call, hidden, session));
    WM_TRY(wm_check_log(call, log, session));
    WM_REQUIRE(record->phase == WM_ACTIVE, WM_NOT_ACTIVE);
    WM_TRY(judge(signer, record, memory, log));

    wm_finish(record, memory, log);
    return 0;
}

static void fill_result(struct wm_result *result, const struct wm_session *session, const struct wm_hidden *hidden,
                        uint32_t log_len)
{
    struct sol_clock clock;

    sol_get_clock_sysvar(&clock);
    result->magic = WM_MAGIC_RESULT;
    result->version = WM_VERSION;
    result->winner = session->winner;
    result->reason = hidden->reason;
    result->session_id = session->session_id;
    result->frames = session->frame.frame;
    result->seed = session->frame.seed;
    result->time = clock.unix_time;
    result->world = session->world;
    result->chain = session->chain;
    result->state_hash = hidden->state_hash;
    result->log_hash = hidden->log_hash;
    result->log_len = log_len;
    result->stage = session->frame.stage;
    for (int i = 0; i < 2; i++) {
        const struct wm_player *player = &session->frame.players[i];
        result->wallets[i] = hidden->wallets[i];
        result->stocks[i] = player->stocks;
        result->characters[i] = player->character;
        result->percent[i] = player->percent;
    }
}

uint64_t wm_record_result(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 7, 1));
    struct sol_account *payer = &call->accounts[0], *result = &call->accounts[1], *session = &call->accounts[2];
    struct sol_account *hidden = &call->accounts[3], *log = &call->accounts[4];
    const struct wm_session *record = (const struct wm_session *)session->data;
    struct wm_seeds seeds;
    WM_TRY(wm_check_signer(payer));
    WM_TRY(wm_check_writable(payer));
    WM_TRY(wm_check_session(call, session));
    WM_TRY(wm_check_hidden(call, hidden, session));
    WM_TRY(wm_check_log(call, log, session));
    WM_REQUIRE(sol_same_key(call->accounts[5].key, &record->world), WM_WRONG_WORLD);
    WM_REQUIRE(sol_is_system_id(call->accounts[6].key), WM_WRONG_SYSTEM_PROGRAM);
    WM_REQUIRE(record->phase == WM_ENDED, WM_NOT_ENDED);
    wm_session_seeds(&seeds, "result", 6, session->key);
    WM_TRY(wm_find_address(call, result, &seeds, WM_WRONG_RESULT));

    WM_TRY(wm_create(call, payer, result, &seeds, sizeof(struct wm_result)));
    fill_result((struct wm_result *)result->data, record, (const struct wm_hidden *)hidden->data,
                ((const struct wm_log *)log->data)->used);
    return 0;
}
