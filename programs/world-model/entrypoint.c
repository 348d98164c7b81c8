#include "checks.h"
#include "heap.h"

#define NOT_DUPLICATE 0xff

/*
 * Read the loader's parameters: u64 count, the accounts, u64 length, instruction data, program id.
 * An account is eight flag bytes, key, owner, lamports, data length, data with room to grow, padding to 8,
 * rent epoch; or, if it came before, its number in eight bytes.
 */
static uint64_t parse(uint8_t *at, struct wm_call *call)
{
    struct sol_account *accounts = WM_HEAP->accounts;
    uint64_t n = *(uint64_t *)at;

    WM_REQUIRE(n <= WM_MAX_ACCOUNTS, WM_TOO_MANY_ACCOUNTS);
    at += 8;
    for (uint64_t i = 0; i < n; i++) {
        struct sol_account *account = &accounts[i];
        if (at[0] != NOT_DUPLICATE) {
            *account = accounts[at[0]];
            at += 8;
            continue;
        }
        account->is_signer = at[1];
        account->is_writable = at[2];
        account->executable = at[3];
        account->key = (const struct sol_key *)(at + 8);
        account->owner = (struct sol_key *)(at + 40);
        account->lamports = (uint64_t *)(at + 72);
        account->data_len = *(uint64_t *)(at + 80);
        account->data = at + 88;
        at = (uint8_t *)(((uint64_t)account->data + account->data_len + SOL_GROWTH_RESERVE + 7) & ~7ULL);
        account->rent_epoch = *(uint64_t *)at;
        at += 8;
    }
    call->accounts = accounts;
    call->n_accounts = n;
    call->data_len = *(uint64_t *)at;
    call->data = at + 8;
    call->program_id = (const struct sol_key *)(call->data + call->data_len);
    return 0;
}

uint64_t entrypoint(uint8_t *input)
{
    struct wm_call *call = &WM_HEAP->call;

    WM_TRY(parse(input, call));
    WM_REQUIRE(call->data_len >= 1, WM_INSTRUCTION_DATA);
    switch (call->data[0]) {
    case WM_INIT_MANIFEST:
        return wm_init_manifest(call);
    case WM_INIT_SHARD:
        return wm_init_shard(call);
    case WM_WRITE:
        return wm_write(call);
    case WM_FINALISE_SHARD:
        return wm_finalise_shard(call);
    case WM_FINALISE_MANIFEST:
        return wm_finalise_manifest(call);
    case WM_RETIRE:
        return wm_retire(call);
    case WM_INIT_REPLAY:
        return wm_init_replay(call);
    case WM_FINALISE_REPLAY:
        return wm_finalise_replay(call);
    case WM_CREATE_SESSION:
        return wm_create_session(call);
    case WM_GROW:
        return wm_grow(call);
    case WM_JOIN:
        return wm_join(call);
    case WM_READY:
        return wm_ready(call);
    case WM_SUBMIT_INPUT:
        return wm_submit_input(call);
    case WM_RUN_INFERENCE:
        return wm_run_inference(call);
    case WM_PICK_CHARACTER:
        return wm_pick_character(call);
    case WM_END_SESSION:
        return wm_end_session(call);
    case WM_RECORD_RESULT:
        return wm_record_result(call);
    case WM_CLOSE_SESSION:
        return wm_close_session(call);
    case WM_CLAIM_FORFEIT:
        return wm_claim_forfeit(call);
    case WM_CLAIM_ABANDONED:
        return wm_claim_abandoned(call);
    case WM_RENEW_KEY:
        return wm_renew_key(call);
    case WM_LICENSE:
        return wm_license(call);
    case WM_RUN_NEXT:
        return wm_run_next(call);
    case WM_DELEGATE:
        return wm_delegate(call);
    case WM_COMMIT:
        return wm_commit(call);
    case WM_UNDELEGATE:
        return wm_undelegate(call);
    case WM_RESTORE_LOG:
        return wm_restore_log(call);
    case (uint8_t)WM_UNDELEGATED:
        return wm_undelegated(call);
    default:
        return WM_UNKNOWN_INSTRUCTION;
    }
}
