/*
 * Stands in for MagicBlock's delegation program in a test VM: gives an account back with whatever seeds the caller wants.
 * Data: the buffer's bump, then the data of the call. Accounts: account w, buffer, payer ws, system program, world program.
 */
#include "solana.h"

enum { ACCOUNT, BUFFER, PAYER, SYSTEM, WORLD, N };

static uint8_t *parse(uint8_t *at, struct sol_account *accounts)
{
    at += 8;
    for (int i = 0; i < N; i++) {
        struct sol_account *account = &accounts[i];
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
    return at;
}

uint64_t entrypoint(uint8_t *input);

uint64_t entrypoint(uint8_t *input)
{
    struct sol_account *a = (struct sol_account *)SOL_HEAP_START;
    uint8_t *data = parse(input, a);
    const struct sol_bytes seeds[3] = {
        {"undelegate-buffer", 17}, {a[ACCOUNT].key, sizeof *a[ACCOUNT].key}, {data + 8, 1}};
    const struct sol_signer signer = {seeds, 3};
    struct sol_account_meta metas[4] = {
        {a[ACCOUNT].key, 1, 0}, {a[BUFFER].key, 0, 1}, {a[PAYER].key, 1, 1}, {a[SYSTEM].key, 0, 0}};
    const struct sol_instruction call = {a[WORLD].key, metas, 4, data + 9, *(uint64_t *)data - 1};

    return sol_invoke_signed_c(&call, a, N, &signer, 1);
}
