/* Guards: every handler begins with these. Each returns 0 or the error code of the check that failed. */
#ifndef CHECKS_H
#define CHECKS_H

#include "world_model.h"

#define WM_REQUIRE(condition, code) \
    do {                            \
        if (!(condition))           \
            return (code);          \
    } while (0)

#define WM_TRY(call)               \
    do {                           \
        uint64_t error_ = (call);  \
        if (error_ != 0)           \
            return error_;         \
    } while (0)

/* At least n accounts, and exactly data_len bytes of data (tag included). */
static inline uint64_t wm_check_call(const struct wm_call *call, uint64_t n_accounts, uint64_t data_len)
{
    WM_REQUIRE(call->n_accounts >= n_accounts, WM_ACCOUNTS_MISSING);
    WM_REQUIRE(call->data_len == data_len, WM_INSTRUCTION_DATA);
    return 0;
}

static inline uint64_t wm_check_signer(const struct sol_account *account)
{
    WM_REQUIRE(account->is_signer, WM_SIGNATURE_MISSING);
    return 0;
}

static inline uint64_t wm_check_writable(const struct sol_account *account)
{
    WM_REQUIRE(account->is_writable, WM_NOT_WRITABLE);
    return 0;
}

/* Ours, and the kind of account it should be. None of these looks at signatures. */
uint64_t wm_check_manifest(const struct wm_call *call, const struct sol_account *account);
uint64_t wm_check_shard(const struct wm_call *call, const struct sol_account *account);
uint64_t wm_check_content(const struct wm_call *call, const struct sol_account *account);
uint64_t wm_check_replay(const struct wm_call *call, const struct sol_account *account);
uint64_t wm_check_session(const struct wm_call *call, const struct sol_account *account);

/* A new account for exactly this much content, never used before: the rent that was paid shows the size. */
uint64_t wm_check_fresh(const struct wm_call *call, const struct sol_account *account, uint64_t content_len);

/* The account holds content that this signer may still change. */
uint64_t wm_check_open(const struct wm_call *call, const struct sol_account *target,
                       const struct sol_account *authority);

/* Also: belongs to this session. */
uint64_t wm_check_hidden(const struct wm_call *call, const struct sol_account *account,
                         const struct sol_account *session);
uint64_t wm_check_input(const struct wm_call *call, const struct sol_account *account,
                        const struct sol_account *session);
uint64_t wm_check_log(const struct wm_call *call, const struct sol_account *account,
                      const struct sol_account *session);

/* The signer holds this player's session key. */
uint64_t wm_check_player(const struct sol_account *signer, const struct wm_session *session, uint8_t player);

#endif
