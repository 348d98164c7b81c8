/* Somebody left without a word: the other player need not wait for ever, nor lose by quitting first. */
#include "checks.h"
#include "result.h"

/* A running match whose four accounts these are: signer, session, hidden, log. */
static uint64_t check_claim(const struct wm_call *call)
{
    const struct sol_account *session = &call->accounts[1];

    WM_TRY(wm_check_signer(&call->accounts[0]));
    WM_TRY(wm_check_writable(session));
    WM_TRY(wm_check_writable(&call->accounts[2]));
    WM_TRY(wm_check_session(call, session));
    WM_TRY(wm_check_hidden(call, &call->accounts[2], session));
    WM_TRY(wm_check_log(call, &call->accounts[3], session));
    WM_REQUIRE(((const struct wm_session *)session->data)->phase == WM_ACTIVE, WM_NOT_ACTIVE);
    WM_REQUIRE(((const struct wm_session *)session->data)->frame.status == 0, WM_MATCH_DECIDED);
    return 0;
}

static bool speaks_for(const struct sol_account *signer, const struct wm_session *session,
                       const struct wm_hidden *hidden, uint8_t player)
{
    return sol_same_key(signer->key, &session->session_keys[player]) ||
           sol_same_key(signer->key, &hidden->wallets[player]);
}

uint64_t wm_claim_forfeit(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 4, 1 + 1));
    const struct sol_account *signer = &call->accounts[0];
    struct wm_session *session = (struct wm_session *)call->accounts[1].data;
    struct wm_hidden *hidden = (struct wm_hidden *)call->accounts[2].data;
    uint8_t absent = call->data[1];
    WM_TRY(check_claim(call));
    WM_REQUIRE(absent < 2, WM_PLAYER_INDEX);
    WM_REQUIRE(hidden->silent[absent] >= WM_FORFEIT_FRAMES, WM_NOT_SILENT);
    if (!speaks_for(signer, session, hidden, 1 - absent)) {
        WM_REQUIRE(sol_same_key(signer->key, &session->authority), WM_MAY_NOT_CLAIM);
        /* Else the crank could choose who wins. */
        WM_REQUIRE(hidden->silent[1 - absent] < WM_FORFEIT_FRAMES, WM_BOTH_SILENT);
    }

    hidden->reason = (uint8_t)(WM_REASON_VANISHED + absent);
    session->winner = (uint8_t)(1 - absent);
    wm_finish(session, hidden, &call->accounts[3]);
    return 0;
}

/* A draw, like a match that the crank stops: leaving must not pay more than stopping. */
uint64_t wm_claim_abandoned(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 4, 1));
    const struct sol_account *signer = &call->accounts[0];
    struct wm_session *session = (struct wm_session *)call->accounts[1].data;
    struct wm_hidden *hidden = (struct wm_hidden *)call->accounts[2].data;
    struct sol_clock clock;
    WM_TRY(check_claim(call));
    WM_REQUIRE(speaks_for(signer, session, hidden, 0) || speaks_for(signer, session, hidden, 1), WM_MAY_NOT_CLAIM);
    sol_get_clock_sysvar(&clock);
    WM_REQUIRE(clock.unix_time >= (int64_t)hidden->last_time + WM_ABANDON_SECONDS, WM_CRANK_ACTIVE);

    hidden->reason = WM_REASON_ABANDONED;
    session->winner = WM_DRAW;
    wm_finish(session, hidden, &call->accounts[3]);
    return 0;
}
