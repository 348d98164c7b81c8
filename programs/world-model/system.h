/* Lamports, rent and new accounts. */
#ifndef SYSTEM_H
#define SYSTEM_H

#include "world_model.h"

#define WM_MAX_SEEDS 3

/* What an account's address is derived from, less the bump. */
struct wm_seeds {
    struct sol_bytes seed[WM_MAX_SEEDS + 1];
    uint64_t n;
    uint8_t bump; /* set by wm_find_address */
};

/* ["input" | "hidden" | "log" | "result", session]. */
void wm_session_seeds(struct wm_seeds *seeds, const char *name, uint64_t name_len, const struct sol_key *session);

/* Find the bump; wrong_address if this is not the derived account. */
uint64_t wm_find_address(const struct wm_call *call, const struct sol_account *account, struct wm_seeds *seeds,
                         uint64_t wrong_address);

/* Make the account at the derived address ours, with size zero bytes and their rent. */
uint64_t wm_create(const struct wm_call *call, const struct sol_account *payer, struct sol_account *account,
                   const struct wm_seeds *seeds, uint64_t size);

/* Grow by at most WM_MAX_GROWTH bytes up to a size of total; the payer adds the rent. */
uint64_t wm_extend(const struct wm_call *call, const struct sol_account *payer, struct sol_account *account,
                   uint64_t total);

/* Empty the account and give it back to the system; the recipient gets its lamports. */
void wm_close(struct sol_account *account, struct sol_account *recipient);

#endif
