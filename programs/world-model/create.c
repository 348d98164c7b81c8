/* A match's accounts: made together, grown, closed together. */
#include "checks.h"
#include "system.h"
#include "world.h"

/* The arguments of WM_CREATE_SESSION. */
struct create_args {
    uint64_t session_id;
    uint32_t seed;
    uint32_t time_limit;
    uint8_t stage;
    uint8_t log_kib;
    struct sol_key authority;
    struct sol_key session_key;
    struct wm_frame frame;
} __attribute__((packed));

_Static_assert(sizeof(struct create_args) == 162, "arguments are packed");

/* Frame 0 is the host's to choose; everyone sees it before joining, and the hash chain starts from it. */
static uint64_t check_args(const struct create_args *args)
{
    WM_REQUIRE(args->frame.frame == 0 && args->frame.status == 0, WM_INITIAL_FRAME);
    /* Hashed and carried along like all of it, but no reader's record has these bytes: nobody could verify the match. */
    WM_REQUIRE((args->frame.padding[0] | args->frame.padding[1]) == 0, WM_INITIAL_FRAME);
    WM_REQUIRE(args->frame.stage == args->stage && args->frame.seed == args->seed &&
                   args->frame.time_limit == args->time_limit,
               WM_INITIAL_SETTINGS);
    WM_REQUIRE(args->log_kib >= 1 && args->log_kib <= WM_MAX_LOG_KIB, WM_LOG_SIZE);
    return 0;
}

static uint64_t create_input(const struct wm_call *call)
{
    struct sol_account *host = &call->accounts[0], *session = &call->accounts[1], *input = &call->accounts[2];
    struct wm_seeds seeds;

    wm_session_seeds(&seeds, "input", 5, session->key);
    WM_TRY(wm_find_address(call, input, &seeds, WM_WRONG_INPUT_BUFFER));
    WM_TRY(wm_create(call, host, input, &seeds, sizeof(struct wm_input)));
    struct wm_input *record = (struct wm_input *)input->data;
    record->magic = WM_MAGIC_INPUT;
    record->bump = seeds.bump;
    return 0;
}

static uint64_t create_hidden(const struct wm_call *call, const struct wm_world_size *size)
{
    struct sol_account *host = &call->accounts[0], *session = &call->accounts[1], *hidden = &call->accounts[3];
    uint64_t total = sizeof(struct wm_hidden) + size->state_bytes + size->scratch_bytes;
    struct wm_seeds seeds;

    wm_session_seeds(&seeds, "hidden", 6, session->key);
    WM_TRY(wm_find_address(call, hidden, &seeds, WM_WRONG_HIDDEN_STATE));
    WM_TRY(wm_create(call, host, hidden, &seeds, total < WM_MAX_GROWTH ? total : WM_MAX_GROWTH));
    struct wm_hidden *record = (struct wm_hidden *)hidden->data;
    record->magic = WM_MAGIC_HIDDEN;
    record->version = WM_VERSION;
    record->state = hidden->data_len == total ? WM_HIDDEN_READY : WM_GROWING;
    record->state_bytes = size->state_bytes;
    record->scratch_bytes = size->scratch_bytes;
    record->wallets[0] = *host->key;
    record->bump = seeds.bump;
    record->session = *session->key;
    return 0;
}

static uint64_t create_log(const struct wm_call *call, uint64_t total)
{
    struct sol_account *host = &call->accounts[0], *session = &call->accounts[1], *log = &call->accounts[4];
    struct wm_seeds seeds;

    wm_session_seeds(&seeds, "log", 3, session->key);
    WM_TRY(wm_find_address(call, log, &seeds, WM_WRONG_INPUT_LOG));
    WM_TRY(wm_create(call, host, log, &seeds, total < WM_MAX_GROWTH ? total : WM_MAX_GROWTH));
    struct wm_log *record = (struct wm_log *)log->data;
    record->magic = WM_MAGIC_LOG;
    record->version = WM_VERSION;
    record->bump = seeds.bump;
    record->capacity = (uint32_t)(total - sizeof *record);
    return 0;
}

/* A result is for ever: a second match at its address could have none of its own, and be closed on the first one's. */
static uint64_t check_number(const struct wm_call *call)
{
    const struct sol_account *session = &call->accounts[1], *result = &call->accounts[5];
    struct wm_seeds seeds;

    wm_session_seeds(&seeds, "result", 6, session->key);
    WM_TRY(wm_find_address(call, result, &seeds, WM_WRONG_RESULT));
    WM_REQUIRE(!sol_same_key(result->owner, call->program_id), WM_NUMBER_USED);
    return 0;
}

static uint64_t create_session(const struct wm_call *call, const struct create_args *args)
{
    struct sol_account *host = &call->accounts[0], *session = &call->accounts[1], *manifest = &call->accounts[6];
    struct wm_seeds seeds = {
        .seed = {{"session", 7}, {host->key, sizeof *host->key}, {args, sizeof args->session_id}},
        .n = 3,
    };

    WM_TRY(wm_find_address(call, session, &seeds, WM_WRONG_SESSION_ADDRESS));
    WM_TRY(wm_create(call, host, session, &seeds, sizeof(struct wm_session)));
    struct wm_session *record = (struct wm_session *)session->data;
    record->magic = WM_MAGIC_SESSION;
    record->version = WM_VERSION;
    record->phase = WM_CREATED;
    record->winner = WM_NONE_YET;
    record->session_id = args->session_id;
    record->session_keys[0] = args->session_key;
    record->world = *manifest->key;
    record->authority = args->authority;
    record->frame = args->frame;
    return 0;
}

uint64_t wm_create_session(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 8, 1 + sizeof(struct create_args)));
    const struct create_args *args = (const struct create_args *)(call->data + 1);
    struct sol_account *host = &call->accounts[0], *manifest = &call->accounts[6];
    struct wm_world_size size;
    WM_TRY(wm_check_signer(host));
    WM_TRY(wm_check_writable(host));
    WM_TRY(wm_check_manifest(call, manifest));
    WM_REQUIRE(((const struct wm_content *)manifest->data)->state == WM_FROZEN, WM_MANIFEST_NOT_FROZEN);
    WM_REQUIRE(sol_is_system_id(call->accounts[7].key), WM_WRONG_SYSTEM_PROGRAM);
    WM_TRY(check_args(args));
    WM_TRY(check_number(call));
    WM_TRY(wm_world_size(manifest, &size));

    WM_TRY(create_session(call, args));
    WM_TRY(create_input(call));
    WM_TRY(create_hidden(call, &size));
    return create_log(call, (uint64_t)args->log_kib << 10);
}

uint64_t wm_grow(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 5, 1));
    struct sol_account *payer = &call->accounts[0], *session = &call->accounts[1], *target = &call->accounts[2];
    WM_TRY(wm_check_signer(payer));
    WM_TRY(wm_check_writable(payer));
    WM_TRY(wm_check_writable(target));
    WM_TRY(wm_check_session(call, session));
    WM_REQUIRE(sol_same_key(call->accounts[3].key, &((const struct wm_session *)session->data)->world), WM_WRONG_WORLD);
    WM_REQUIRE(sol_is_system_id(call->accounts[4].key), WM_WRONG_SYSTEM_PROGRAM);

    uint64_t error = wm_check_hidden(call, target, session);
    if (error == 0) {
        struct wm_hidden *hidden = (struct wm_hidden *)target->data;
        uint64_t total = sizeof *hidden + hidden->state_bytes + hidden->scratch_bytes;
        WM_TRY(wm_extend(call, payer, target, total));
        /* Of a match that has begun the memory is what it was; of one that came back from a rollup it is not. */
        if (target->data_len == total && ((const struct wm_session *)session->data)->phase < WM_ACTIVE)
            hidden->state = WM_HIDDEN_READY;
        return 0;
    }
    WM_REQUIRE(error == WM_NOT_HIDDEN_STATE, error);
    error = wm_check_log(call, target, session);
    WM_REQUIRE(error == 0, error == WM_NOT_INPUT_LOG ? WM_NOT_GROWABLE : error);
    return wm_extend(call, payer, target, sizeof(struct wm_log) + ((const struct wm_log *)target->data)->capacity);
}

/* After the result is recorded, or when nothing was ever at stake. */
static uint64_t check_closable(const struct wm_call *call, const struct sol_account *session)
{
    uint8_t phase = ((const struct wm_session *)session->data)->phase;
    const struct sol_account *result = &call->accounts[5];
    struct wm_seeds seeds;

    WM_REQUIRE(phase != WM_ACTIVE, WM_STILL_PLAYING);
    if (phase != WM_ENDED)
        return 0;
    wm_session_seeds(&seeds, "result", 6, session->key);
    WM_TRY(wm_find_address(call, result, &seeds, WM_WRONG_RESULT));
    WM_REQUIRE(sol_same_key(result->owner, call->program_id), WM_NOT_RECORDED);
    return 0;
}

uint64_t wm_close_session(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, 6, 1));
    struct sol_account *host = &call->accounts[0], *session = &call->accounts[1], *hidden = &call->accounts[3];
    WM_TRY(wm_check_signer(host));
    for (uint64_t i = 0; i < 5; i++)
        WM_TRY(wm_check_writable(&call->accounts[i]));
    WM_TRY(wm_check_session(call, session));
    WM_TRY(wm_check_input(call, &call->accounts[2], session));
    WM_TRY(wm_check_hidden(call, hidden, session));
    WM_TRY(wm_check_log(call, &call->accounts[4], session));
    WM_REQUIRE(sol_same_key(&((const struct wm_hidden *)hidden->data)->wallets[0], host->key), WM_NOT_HOST);
    WM_TRY(check_closable(call, session));

    for (uint64_t i = 1; i < 5; i++)
        wm_close(&call->accounts[i], host);
    return 0;
}
