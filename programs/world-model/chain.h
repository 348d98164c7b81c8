/* The hash chain over a match, and the hash of its state: what a replay is verified against. */
#ifndef CHAIN_H
#define CHAIN_H

#include "world_model.h"

/* chain = SHA256("awm-chain-1" | the manifest's SHA-256 | frame 0) */
static inline void wm_chain_begin(struct wm_session *session, const struct sol_key *world_hash)
{
    const struct sol_bytes pieces[3] = {
        {WM_CHAIN_DOMAIN, sizeof WM_CHAIN_DOMAIN - 1},
        {world_hash, sizeof *world_hash},
        {&session->frame, sizeof session->frame},
    };
    sol_sha256(pieces, 3, &session->chain);
}

/* chain = SHA256(chain | new frame | both controllers' physical bytes) */
static inline void wm_chain_extend(struct wm_session *session, const struct wm_controller latched[2])
{
    const struct sol_bytes pieces[4] = {
        {&session->chain, sizeof session->chain},
        {&session->frame, sizeof session->frame},
        {latched[0].physical, WM_PHYSICAL_BYTES},
        {latched[1].physical, WM_PHYSICAL_BYTES},
    };
    sol_sha256(pieces, 4, &session->chain);
}

/* SHA256(frame | state): what the library calls state_hash. */
static inline void wm_hash_state(const struct wm_session *session, struct wm_hidden *hidden)
{
    const struct sol_bytes pieces[2] = {
        {&session->frame, sizeof session->frame},
        {hidden + 1, hidden->state_bytes},
    };
    sol_sha256(pieces, 2, &hidden->state_hash);
}

#endif
