/*
 * A match moves to MagicBlock's rollup and comes back: its four accounts are handed to the delegation program, cloned
 * and written there, and committed through the rollup's Magic program. Accounts move while they are small; HiddenState
 * and InputLog grow in the rollup and shrink to their headers before they return, because only some hundred bytes of an
 * account can be committed.
 */
#include "checks.h"
#include "system.h"

#define DELEGATE 0                      /* instruction of the delegation program, a u64 */
#define NO_REGULAR_COMMITS 0xffffffffu  /* interval in milliseconds */
#define COMMIT 1u                       /* instructions of the Magic program */
#define COMMIT_AND_UNDELEGATE 2u
#define ACCOUNTS_OF_MATCH 4

/* DELeGGvXpWV2fqJUhqcF5ZSYMS4JTLjteaAMARRSaeSh */
static const struct sol_key delegation_program = {
    {0xc03a57f2e100b7b5, 0x97cf4a34012206cc, 0x9819e58ceb0635b8, 0x3ea78093187e62cc}};
/* Magic11111111111111111111111111111111111111 */
static const struct sol_key magic_program = {
    {0x9570dab024b44505, 0x28d777c3ded6b9ec, 0xd612ea928ee7b691, 0x403abbdf}};
static const struct sol_key system_id;

/* WM_DELEGATE's accounts; for each of the four accounts a buffer, a record and a metadata account follow. */
enum { HOST, SESSION, INPUT, HIDDEN, LOG, PROGRAM, SYSTEM, DELEGATION, FIRST_HELPER };
enum { BUFFER, RECORD, METADATA, HELPERS };

static uint64_t invoke_signed(const struct wm_call *call, const struct sol_instruction *instruction,
                              const struct wm_seeds *seeds)
{
    const struct sol_signer signer = {seeds->seed, seeds->n};

    return sol_invoke_signed_c(instruction, call->accounts, call->n_accounts, &signer, 1);
}

/* Give an empty account of ours to the delegation program. */
static __attribute__((noinline)) uint64_t assign(const struct wm_call *call, struct sol_account *account,
                                                 const struct wm_seeds *seeds)
{
    struct sol_account_meta meta = {account->key, 1, 1};
    uint32_t data[9] = {1}; /* the system program's Assign */
    const struct sol_instruction instruction = {&system_id, &meta, 1, data, sizeof data};

    *(struct sol_key *)&data[1] = delegation_program;
    *account->owner = system_id; /* only allowed because its data is zero */
    return invoke_signed(call, &instruction, seeds);
}

/* The delegation program takes the account, fills it from its buffer and notes whose it is: u64 0, commit interval,
 * the address's seeds without the bump, the validator that may write it. */
static __attribute__((noinline)) uint64_t delegate(const struct wm_call *call, const struct sol_account *account,
                                                   const struct sol_account *helpers, const struct wm_seeds *seeds)
{
    const struct sol_account *a = call->accounts;
    struct sol_account_meta metas[7] = {
        {a[HOST].key, 1, 1},          {account->key, 1, 1},          {a[PROGRAM].key, 0, 0}, {helpers[BUFFER].key, 1, 0},
        {helpers[RECORD].key, 1, 0}, {helpers[METADATA].key, 1, 0}, {a[SYSTEM].key, 0, 0},
    };
    uint8_t data[128], *at = data;

    *(uint64_t *)at = DELEGATE;
    *(uint32_t *)(at + 8) = NO_REGULAR_COMMITS;
    *(uint32_t *)(at + 12) = (uint32_t)(seeds->n - 1);
    at += 16;
    for (uint64_t i = 0; i + 1 < seeds->n; i++) {
        *(uint32_t *)at = (uint32_t)seeds->seed[i].len;
        sol_memcpy_(at + 4, seeds->seed[i].data, seeds->seed[i].len);
        at += 4 + seeds->seed[i].len;
    }
    *at = 1; /* there is a validator */
    *(struct sol_key *)(at + 1) = *(const struct sol_key *)(call->data + 1);
    at += 1 + sizeof(struct sol_key);
    const struct sol_instruction instruction = {&delegation_program, metas, 7, data, (uint64_t)(at - data)};
    return invoke_signed(call, &instruction, seeds);
}

/* An account can change owner only while its data is zero, so the data waits in a buffer. */
static uint64_t hand_over(const struct wm_call *call, struct sol_account *account, struct sol_account *helpers,
                          const struct wm_seeds *seeds)
{
    struct sol_account *buffer = &helpers[BUFFER];
    struct wm_seeds buffer_seeds;

    wm_session_seeds(&buffer_seeds, "buffer", 6, account->key);
    WM_TRY(wm_find_address(call, buffer, &buffer_seeds, WM_WRONG_BUFFER));
    WM_TRY(wm_create(call, &call->accounts[HOST], buffer, &buffer_seeds, account->data_len));
    sol_memcpy_(buffer->data, account->data, account->data_len);
    sol_memset_(account->data, 0, account->data_len);
    WM_TRY(assign(call, account, seeds));
    return delegate(call, account, helpers, seeds);
}

static uint64_t hand_over_part(const struct wm_call *call, uint64_t i, const char *name, uint64_t name_len)
{
    struct wm_seeds seeds;

    wm_session_seeds(&seeds, name, name_len, call->accounts[SESSION].key);
    WM_TRY(wm_find_address(call, &call->accounts[i], &seeds, WM_WRONG_DELEGATED_ADDRESS));
    return hand_over(call, &call->accounts[i], &call->accounts[FIRST_HELPER + (i - SESSION) * HELPERS], &seeds);
}

static uint64_t hand_over_session(const struct wm_call *call)
{
    struct sol_account *session = &call->accounts[SESSION];
    const uint64_t id = ((const struct wm_session *)session->data)->session_id; /* the data is zero for a while */
    struct wm_seeds seeds = {
        .seed = {{"session", 7}, {call->accounts[HOST].key, sizeof(struct sol_key)}, {&id, sizeof id}},
        .n = 3,
    };

    WM_TRY(wm_find_address(call, session, &seeds, WM_WRONG_SESSION_ADDRESS)); /* the signer is the host */
    return hand_over(call, session, &call->accounts[FIRST_HELPER], &seeds);
}

uint64_t wm_delegate(const struct wm_call *call)
{
    WM_TRY(wm_check_call(call, FIRST_HELPER + ACCOUNTS_OF_MATCH * HELPERS, 1 + sizeof(struct sol_key)));
    const struct sol_account *a = call->accounts;
    WM_TRY(wm_check_signer(&a[HOST]));
    for (uint64_t i = HOST; i <= LOG; i++)
        WM_TRY(wm_check_writable(&a[i]));
    WM_TRY(wm_check_session(call, &a[SESSION]));
    WM_TRY(wm_check_input(call, &a[INPUT], &a[SESSION]));
    WM_TRY(wm_check_hidden(call, &a[HIDDEN], &a[SESSION]));
    WM_TRY(wm_check_log(call, &a[LOG], &a[SESSION]));
    WM_REQUIRE(sol_same_key(a[PROGRAM].key, call->program_id), WM_NOT_THIS_PROGRAM);
    WM_REQUIRE(sol_is_system_id(a[SYSTEM].key), WM_WRONG_SYSTEM_PROGRAM);
    WM_REQUIRE(sol_same_key(a[DELEGATION].key, &delegation_program), WM_WRONG_DELEGATION_PROGRAM);
    WM_REQUIRE(((const struct wm_session *)a[SESSION].data)->phase < WM_ACTIVE, WM_ALREADY_BEGAN);
    WM_REQUIRE(a[HIDDEN].data_len <= WM_MAX_GROWTH && a[LOG].data_len <= WM_MAX_GROWTH, WM_GROWN_TOO_EARLY);

    WM_TRY(hand_over_part(call, LOG, "log", 3));
    WM_TRY(hand_over_part(call, HIDDEN, "hidden", 6));
    WM_TRY(hand_over_part(call, INPUT, "input", 5));
    WM_TRY(hand_over_session(call));
    /* Only now: a call of another program sees lamports that moved by hand as lost. */
    for (uint64_t i = 0; i < ACCOUNTS_OF_MATCH; i++)
        wm_close(&call->accounts[FIRST_HELPER + i * HELPERS + BUFFER], &call->accounts[HOST]);
    return 0;
}

/* WM_COMMIT and WM_UNDELEGATE: one account each, because more do not fit the rollup's transaction on the L1. */
enum { SIGNER, OF_SESSION, TARGET, CONTEXT, MAGIC, SETTLE_ACCOUNTS };

/* Ask the rollup to write the target to the L1. */
static uint64_t schedule(const struct wm_call *call, uint32_t kind)
{
    const struct sol_account *a = call->accounts;
    struct sol_account_meta metas[3] = {{a[SIGNER].key, 1, 1}, {a[CONTEXT].key, 1, 0}, {a[TARGET].key, 1, 0}};
    const struct sol_instruction instruction = {&magic_program, metas, 3, &kind, sizeof kind};

    WM_REQUIRE(sol_same_key(a[MAGIC].key, &magic_program), WM_WRONG_MAGIC_PROGRAM);
    return sol_invoke_signed_c(&instruction, a, call->n_accounts, 0, 0);
}

/* The crank or a player; nobody pays, but the Magic program wants its payer to sign and be writable. */
static uint64_t check_settler(const struct wm_call *call)
{
    const struct sol_account *a = call->accounts;
    const struct wm_session *session = (const struct wm_session *)a[OF_SESSION].data;

    WM_TRY(wm_check_call(call, SETTLE_ACCOUNTS, 1));
    WM_TRY(wm_check_signer(&a[SIGNER]));
    WM_TRY(wm_check_writable(&a[SIGNER]));
    WM_TRY(wm_check_writable(&a[TARGET]));
    WM_TRY(wm_check_writable(&a[CONTEXT]));
    WM_TRY(wm_check_session(call, &a[OF_SESSION]));
    WM_REQUIRE(sol_same_key(a[SIGNER].key, &session->authority) ||
                   sol_same_key(a[SIGNER].key, &session->session_keys[0]) ||
                   sol_same_key(a[SIGNER].key, &session->session_keys[1]),
               WM_MAY_NOT_SETTLE);
    return 0;
}

uint64_t wm_commit(const struct wm_call *call)
{
    WM_TRY(check_settler(call));
    const struct sol_account *session = &call->accounts[OF_SESSION], *target = &call->accounts[TARGET];
    if (!sol_same_key(target->key, session->key))
        WM_TRY(wm_check_input(call, target, session));
    return schedule(call, COMMIT);
}

/* Leave what fits a commit: of HiddenState and InputLog their headers. */
static uint64_t shrink(const struct wm_call *call, struct sol_account *target, const struct sol_account *session)
{
    struct wm_hidden *hidden = (struct wm_hidden *)target->data;
    struct wm_log *log = (struct wm_log *)target->data;

    if (sol_same_key(target->key, session->key) || wm_check_input(call, target, session) == 0)
        return 0;
    if (wm_check_hidden(call, target, session) == 0) {
        if (hidden->state != WM_HIDDEN_ENDED)
            hidden->state = WM_GROWING;
        sol_resize(target, sizeof *hidden);
        return 0;
    }
    WM_TRY(wm_check_log(call, target, session));
    if (log->used > 0)
        log->flags |= WM_LOG_CUT;
    sol_resize(target, sizeof *log);
    return 0;
}

uint64_t wm_undelegate(const struct wm_call *call)
{
    WM_TRY(check_settler(call));
    struct sol_account *session = &call->accounts[OF_SESSION], *target = &call->accounts[TARGET];
    WM_REQUIRE(((const struct wm_session *)session->data)->phase != WM_ACTIVE, WM_STILL_PLAYING);
    WM_TRY(shrink(call, target, session));
    return schedule(call, COMMIT_AND_UNDELEGATE);
}

/* Read the address's seeds from borsh Vec<Vec<u8>>. */
static uint64_t read_seeds(const uint8_t *at, const uint8_t *end, struct wm_seeds *seeds)
{
    WM_REQUIRE(end - at >= 4 && *(const uint32_t *)at <= WM_MAX_SEEDS, WM_INSTRUCTION_DATA);
    seeds->n = *(const uint32_t *)at;
    at += 4;
    for (uint64_t i = 0; i < seeds->n; i++) {
        WM_REQUIRE(end - at >= 4, WM_INSTRUCTION_DATA);
        uint64_t len = *(const uint32_t *)at;
        at += 4;
        WM_REQUIRE((uint64_t)(end - at) >= len, WM_INSTRUCTION_DATA);
        seeds->seed[i] = (struct sol_bytes){at, len};
        at += len;
    }
    return 0;
}

/* How to know an account that was lent: its seed's name, its header, and where in it magic and bump (0: none) stand. */
struct kind {
    char name[8];
    uint16_t name_len, size;
    uint32_t magic;
    uint16_t magic_at, bump_at;
    bool grows;
};

static const struct kind LENT[ACCOUNTS_OF_MATCH] = {
    {"session", 7, sizeof(struct wm_session), WM_MAGIC_SESSION, 0, 0, false},
    {"input", 5, sizeof(struct wm_input), WM_MAGIC_INPUT, offsetof(struct wm_input, magic),
     offsetof(struct wm_input, bump), false},
    {"hidden", 6, sizeof(struct wm_hidden), WM_MAGIC_HIDDEN, 0, offsetof(struct wm_hidden, bump), true},
    {"log", 3, sizeof(struct wm_log), WM_MAGIC_LOG, 0, offsetof(struct wm_log, bump), true},
};

static const struct kind *kind_of(const struct sol_bytes *name)
{
    for (const struct kind *kind = LENT; kind != LENT + ACCOUNTS_OF_MATCH; kind++) {
        uint64_t i = 0;
        while (i < kind->name_len && name->len == kind->name_len && ((const char *)name->data)[i] == kind->name[i])
            i++;
        if (i == kind->name_len)
            return kind;
    }
    return 0;
}

/*
 * The rollup's validator may say of a match that was lent to it what it likes. It must not say that this is an account of
 * another kind or of another match: owner and magic, and here nothing else, tell the other handlers what they have.
 */
static uint64_t check_returned(const struct sol_account *buffer, const struct wm_seeds *seeds, const struct kind *kind)
{
    const uint8_t *data = buffer->data;

    WM_REQUIRE(buffer->data_len == kind->size || (kind->grows && buffer->data_len > kind->size), WM_NOT_AS_LENT);
    WM_REQUIRE(*(const uint32_t *)(data + kind->magic_at) == kind->magic, WM_NOT_AS_LENT);
    WM_REQUIRE(kind->bump_at == 0 || data[kind->bump_at] == seeds->bump, WM_NOT_AS_LENT);
    if (kind->magic == WM_MAGIC_SESSION)
        WM_REQUIRE(seeds->seed[2].len == sizeof(uint64_t) &&
                       *(const uint64_t *)seeds->seed[2].data == ((const struct wm_session *)data)->session_id,
                   WM_NOT_AS_LENT);
    if (kind->magic == WM_MAGIC_HIDDEN)
        WM_REQUIRE(seeds->seed[1].len == sizeof(struct sol_key) &&
                       sol_same_key(seeds->seed[1].data, &((const struct wm_hidden *)data)->session),
                   WM_NOT_AS_LENT);
    return 0;
}

/* The delegation program gives an account back: it was closed, and its data is in a buffer that only that program can
 * sign for. Accounts: account w, buffer s, payer ws, system program. */
uint64_t wm_undelegated(const struct wm_call *call)
{
    WM_REQUIRE(call->n_accounts >= 4, WM_ACCOUNTS_MISSING);
    WM_REQUIRE(call->data_len >= 8 && *(const uint64_t *)call->data == WM_UNDELEGATED, WM_UNKNOWN_INSTRUCTION);
    struct sol_account *account = &call->accounts[0], *buffer = &call->accounts[1];
    const struct sol_bytes buffer_seeds[2] = {{"undelegate-buffer", 17}, {account->key, sizeof *account->key}};
    struct sol_key address;
    struct wm_seeds seeds = {.n = 0};
    uint8_t bump;
    WM_TRY(wm_check_signer(buffer));
    WM_REQUIRE(sol_try_find_program_address(buffer_seeds, 2, &delegation_program, &address, &bump) == 0 &&
                   sol_same_key(&address, buffer->key),
               WM_WRONG_UNDELEGATION_BUFFER);
    WM_TRY(read_seeds(call->data + 8, call->data + call->data_len, &seeds));
    WM_TRY(wm_find_address(call, account, &seeds, WM_WRONG_DELEGATED_ADDRESS));
    const struct kind *kind = kind_of(&seeds.seed[0]);
    WM_REQUIRE(kind != 0, WM_NOT_AS_LENT);
    WM_TRY(check_returned(buffer, &seeds, kind));

    /* Memory must never be called ready that was not grown, and measured against its world, here. */
    uint64_t size = kind->magic == WM_MAGIC_HIDDEN ? kind->size : buffer->data_len;
    WM_TRY(wm_create(call, &call->accounts[2], account, &seeds, size));
    sol_memcpy_(account->data, buffer->data, size);
    struct wm_hidden *hidden = (struct wm_hidden *)account->data;
    if (kind->magic == WM_MAGIC_HIDDEN && hidden->state != WM_HIDDEN_ENDED)
        hidden->state = WM_GROWING;
    return 0;
}

uint64_t wm_restore_log(const struct wm_call *call)
{
    WM_REQUIRE(call->n_accounts >= 4, WM_ACCOUNTS_MISSING);
    WM_REQUIRE(call->data_len > 1 + sizeof(uint32_t), WM_INSTRUCTION_DATA);
    const struct sol_account *signer = &call->accounts[0], *session = &call->accounts[1], *hidden = &call->accounts[2];
    struct sol_account *log = &call->accounts[3];
    uint64_t offset = *(const uint32_t *)(call->data + 1), len = call->data_len - 1 - sizeof(uint32_t);
    WM_TRY(wm_check_signer(signer));
    WM_TRY(wm_check_writable(log));
    WM_TRY(wm_check_session(call, session));
    WM_TRY(wm_check_hidden(call, hidden, session));
    WM_TRY(wm_check_log(call, log, session));
    const struct wm_hidden *memory = (const struct wm_hidden *)hidden->data;
    struct wm_log *entries = (struct wm_log *)log->data;
    WM_REQUIRE(sol_same_key(signer->key, &memory->wallets[0]) || sol_same_key(signer->key, &memory->wallets[1]),
               WM_NOT_A_PLAYER);
    WM_REQUIRE(((const struct wm_session *)session->data)->phase == WM_ENDED, WM_NOT_ENDED);
    WM_REQUIRE(entries->flags & WM_LOG_CUT, WM_LOG_NOT_CUT);
    WM_REQUIRE(offset + len <= entries->used && sizeof *entries + offset + len <= log->data_len, WM_WRITE_OUT_OF_BOUNDS);

    sol_memcpy_((uint8_t *)(entries + 1) + offset, call->data + 1 + sizeof(uint32_t), len);
    if (offset + len < entries->used)
        return 0;
    const struct sol_bytes replay = {&entries->start, sizeof entries->start + entries->used};
    struct sol_key digest;
    sol_sha256(&replay, 1, &digest);
    WM_REQUIRE(sol_same_key(&digest, &memory->log_hash), WM_HASH_MISMATCH);
    entries->flags &= (uint8_t)~WM_LOG_CUT;
    return 0;
}
