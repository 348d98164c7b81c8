/* The frame loop: controllers in, one piece of a frame at a time out. */
#include "awm_format.h"
#include "chain.h"
#include "checks.h"
#include "input_log.h"
#include "result.h"
#include "world.h"

uint64_t wm_submit_input(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 3, 1 + 1 + sizeof(struct wm_controller)));
    struct sol_account *session = &call->accounts[1], *input = &call->accounts[2];
    const struct wm_session *record = (const struct wm_session *)session->data;
    uint8_t player = call->data[1];
    const struct wm_controller *controller = (const struct wm_controller *)(call->data + 2);
    WM_TRY(wm_check_writable(input));
    WM_TRY(wm_check_session(call, session));
    WM_TRY(wm_check_player(&call->accounts[0], record, player));
    WM_TRY(wm_check_input(call, input, session));
    WM_REQUIRE(record->phase == WM_ACTIVE, WM_NOT_ACTIVE);
    struct wm_controller *slot = &((struct wm_input *)input->data)->controllers[player];
    WM_REQUIRE(controller->sequence > slot->sequence, WM_OLD_SEQUENCE);

    *slot = *controller;
    return 0;
}

/* Accounts of WM_RUN_INFERENCE and WM_RUN_NEXT; the shards that its ops read follow. */
enum { CRANK, SESSION, INPUT, HIDDEN, LOG, MANIFEST, FIRST_SHARD };

static uint64_t check_run(const struct wm_call *call)
{
    const struct sol_account *a = call->accounts;
    const struct wm_session *session = (const struct wm_session *)a[SESSION].data;

    WM_TRY(wm_check_writable(&a[SESSION]));
    WM_TRY(wm_check_writable(&a[HIDDEN]));
    WM_TRY(wm_check_session(call, &a[SESSION]));
    WM_REQUIRE(sol_same_key(a[CRANK].key, &session->authority), WM_WRONG_CRANK);
    WM_REQUIRE(session->phase == WM_ACTIVE, WM_NOT_ACTIVE);
    WM_REQUIRE(session->frame.status == 0, WM_MATCH_DECIDED);
    WM_TRY(wm_check_hidden(call, &a[HIDDEN], &a[SESSION]));
    WM_REQUIRE(((const struct wm_hidden *)a[HIDDEN].data)->state == WM_HIDDEN_READY, WM_HIDDEN_NOT_READY);
    return 0;
}

/* The world is the one that the match began on. */
static uint64_t check_world(const struct wm_call *call)
{
    const struct sol_account *a = call->accounts;
    const struct wm_session *session = (const struct wm_session *)a[SESSION].data;
    const struct wm_hidden *hidden = (const struct wm_hidden *)a[HIDDEN].data;

    WM_REQUIRE(sol_same_key(a[MANIFEST].key, &session->world), WM_WRONG_WORLD);
    WM_TRY(wm_check_manifest(call, &a[MANIFEST]));
    /* Set when the content was frozen and found sound; what sits at this address now must be the same. */
    WM_REQUIRE(sol_same_key(&((const struct wm_content *)a[MANIFEST].data)->sha256, &hidden->world_hash),
               WM_WORLD_CHANGED);
    return 0;
}

/* A frame begins: at most one per slot, with the controllers of this moment. No other piece of it reads INPUT and LOG. */
static uint64_t latch(const struct wm_call *call)
{
    const struct sol_account *a = call->accounts;
    struct wm_hidden *hidden = (struct wm_hidden *)a[HIDDEN].data;
    struct wm_log *log = (struct wm_log *)a[LOG].data;
    const struct wm_input *input = (const struct wm_input *)a[INPUT].data;
    const struct wm_session *session = (const struct wm_session *)a[SESSION].data;
    uint32_t frame = session->frame.frame + 1;
    struct sol_clock clock;

    WM_TRY(wm_check_writable(&a[LOG]));
    WM_TRY(wm_check_input(call, &a[INPUT], &a[SESSION]));
    WM_TRY(wm_check_log(call, &a[LOG], &a[SESSION]));
    sol_get_clock_sysvar(&clock);
    WM_REQUIRE(clock.slot > hidden->last_slot, WM_TOO_EARLY);
    WM_REQUIRE(!wm_log_is_full(log, a[LOG].data_len, frame), WM_LOG_FULL);

    hidden->last_slot = clock.slot;
    hidden->last_time = (uint32_t)clock.unix_time;
    if (frame == 1)
        log->start = session->frame;
    for (int i = 0; i < 2; i++) {
        bool heard = input->controllers[i].sequence != hidden->inputs[i].sequence;
        if (heard)
            hidden->silent[i] = 0;
        else if (hidden->silent[i] < WM_FORFEIT_FRAMES)
            hidden->silent[i]++;
        hidden->inputs[i] = input->controllers[i];
    }
    wm_log_append(log, hidden->inputs, frame);
    return 0;
}

/* The last op has written the new frame. */
static void publish(struct wm_session *session, struct wm_hidden *hidden)
{
    hidden->next_op = 0;
    wm_chain_extend(session, hidden->inputs);
    if (session->frame.status != 0)
        session->winner = wm_leader(&session->frame);
}

static const uint8_t *manifest_of(const struct wm_call *call)
{
    return call->accounts[MANIFEST].data + sizeof(struct wm_content);
}

/* Run the tape from the cursor up to `end`. Where it is cut changes no byte of the result. */
static uint64_t run(const struct wm_call *call, uint32_t end)
{
    const struct sol_account *a = call->accounts;
    struct wm_session *session = (struct wm_session *)a[SESSION].data;
    struct wm_hidden *hidden = (struct wm_hidden *)a[HIDDEN].data;
    uint32_t begin = hidden->next_op, n_ops = AWM_HEADER(manifest_of(call))->n_ops;
    WM_REQUIRE(end > begin && end <= n_ops, WM_WRONG_SEGMENT);
    WM_TRY(wm_open_ops(call, &a[MANIFEST], FIRST_SHARD, begin, end));
    if (begin == 0)
        WM_TRY(latch(call));

    uint8_t *state = (uint8_t *)(hidden + 1);
    const awm_match match = {state, state + hidden->state_bytes, (uint8_t *)&session->frame,
                             (const uint8_t *)hidden->inputs};
    int error = awm_run(&WM_HEAP->model, &match, begin, end);
    WM_REQUIRE(error == AWM_OK, (uint64_t)(WM_KERNEL + error));
    if (end == n_ops)
        publish(session, hidden);
    else
        hidden->next_op = (uint16_t)end;
    return 0;
}

uint64_t wm_run_inference(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, FIRST_SHARD, 1 + 4 + 2 + 2));
    const struct sol_account *a = call->accounts;
    WM_TRY(wm_check_signer(&a[CRANK]));
    WM_TRY(check_run(call));
    WM_REQUIRE(*(const uint32_t *)(call->data + 1) == ((const struct wm_session *)a[SESSION].data)->frame.frame,
               WM_WRONG_FRAME);
    WM_REQUIRE(*(const uint16_t *)(call->data + 5) == ((const struct wm_hidden *)a[HIDDEN].data)->next_op,
               WM_WRONG_SEGMENT);
    WM_TRY(check_world(call));
    return run(call, *(const uint16_t *)(call->data + 7));
}

/* The crank's word that anybody may run the frames up to this number; 0 takes it back. */
uint64_t wm_license(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 3, 1 + 4));
    const struct sol_account *crank = &call->accounts[0], *session = &call->accounts[1], *hidden = &call->accounts[2];
    const struct wm_session *record = (const struct wm_session *)session->data;
    WM_TRY(wm_check_signer(crank));
    WM_TRY(wm_check_writable(hidden));
    WM_TRY(wm_check_session(call, session));
    WM_TRY(wm_check_hidden(call, hidden, session));
    WM_REQUIRE(sol_same_key(crank->key, &record->authority), WM_WRONG_CRANK);
    WM_REQUIRE(record->phase != WM_ENDED, WM_NOT_ACTIVE);

    ((struct wm_hidden *)hidden->data)->licence = *(const uint32_t *)(call->data + 1);
    return 0;
}

/* Where the manifest's plan, which holds on every cluster, ends the transaction that begins at this op or before. */
static uint32_t segment_end(const struct wm_call *call, uint32_t op)
{
    const uint16_t *end = AWM_SECTION(uint16_t, manifest_of(call), segments);

    while (*end <= op) /* the last one is the number of ops */
        end++;
    return *end;
}

/*
 * For a rollup's task scheduler, which repeats one instruction that it cannot sign for anybody. What will be in order later,
 * a match that has not begun, a slot that has its frame, is no error: a task that fails is dropped.
 */
uint64_t wm_run_next(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, FIRST_SHARD, 1));
    const struct sol_account *a = call->accounts;
    const struct wm_session *session = (const struct wm_session *)a[SESSION].data;
    const struct wm_hidden *hidden = (const struct wm_hidden *)a[HIDDEN].data;
    struct sol_clock clock;
    WM_TRY(wm_check_session(call, &a[SESSION]));
    if (session->phase < WM_ACTIVE)
        return 0;
    WM_TRY(check_run(call));
    WM_REQUIRE(session->frame.frame < hidden->licence, WM_NO_LICENCE);
    sol_get_clock_sysvar(&clock);
    if (hidden->next_op == 0 && clock.slot <= hidden->last_slot)
        return 0;
    WM_TRY(check_world(call));
    return run(call, segment_end(call, hidden->next_op));
}
