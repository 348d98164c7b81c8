/*
 * What the Solana VM gives a program: memory regions, the account records that system calls take,
 * and the system calls used here.
 *
 * SBF loads and stores need no alignment, so arguments inside instruction data are read in place
 * through pointers of their type.
 */
#ifndef SOLANA_H
#define SOLANA_H

#include <stdbool.h>
#include <stdint.h>

/* 32 KB by default, zeroed, nothing of ours lives longer than one instruction. */
#define SOL_HEAP_START 0x300000000ULL
/* The loader reserves this behind each account's data, so that it can grow in place. */
#define SOL_GROWTH_RESERVE 10240

/* A public key or a SHA-256 digest. */
struct sol_key {
    uint64_t word[4];
};

/* SolAccountInfo of the C ABI. */
struct sol_account {
    const struct sol_key *key;
    uint64_t *lamports;
    uint64_t data_len;
    uint8_t *data;
    struct sol_key *owner;
    uint64_t rent_epoch;
    uint8_t is_signer;
    uint8_t is_writable;
    uint8_t executable;
};

struct sol_account_meta {
    const struct sol_key *key;
    uint8_t is_writable;
    uint8_t is_signer;
};

struct sol_instruction {
    const struct sol_key *program_id;
    struct sol_account_meta *accounts;
    uint64_t n_accounts;
    const void *data;
    uint64_t data_len;
};

/* A seed of a derived address, and a piece of what sol_sha256 hashes. */
struct sol_bytes {
    const void *data;
    uint64_t len;
};

struct sol_signer {
    const struct sol_bytes *seeds;
    uint64_t n_seeds;
};

struct sol_clock {
    uint64_t slot;
    int64_t epoch_start_time;
    uint64_t epoch;
    uint64_t leader_schedule_epoch;
    int64_t unix_time;
};

struct sol_rent {
    uint64_t lamports_per_byte_year;
    uint64_t exemption_threshold; /* bits of a double: years */
    uint64_t burn_percent;
};

_Static_assert(sizeof(struct sol_account) == 56, "account record size");
_Static_assert(sizeof(struct sol_account_meta) == 16, "account meta size");
_Static_assert(sizeof(struct sol_instruction) == 40, "instruction record size");
_Static_assert(sizeof(struct sol_clock) == 40, "clock size");

extern uint64_t sol_memcpy_(void *to, const void *from, uint64_t len);
extern uint64_t sol_memset_(void *to, uint8_t value, uint64_t len);
extern uint64_t sol_sha256(const struct sol_bytes *pieces, uint64_t n, struct sol_key *digest);
extern uint64_t sol_get_clock_sysvar(struct sol_clock *clock);
extern uint64_t sol_get_rent_sysvar(struct sol_rent *rent);
extern uint64_t sol_create_program_address(const struct sol_bytes *seeds, uint64_t n,
                                           const struct sol_key *program_id, struct sol_key *address);
extern uint64_t sol_try_find_program_address(const struct sol_bytes *seeds, uint64_t n,
                                             const struct sol_key *program_id, struct sol_key *address,
                                             uint8_t *bump);
extern uint64_t sol_invoke_signed_c(const struct sol_instruction *instruction, const struct sol_account *accounts,
                                    uint64_t n_accounts, const struct sol_signer *signers, uint64_t n_signers);

static inline bool sol_same_key(const struct sol_key *a, const struct sol_key *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
           a->word[3] == b->word[3];
}

/* Resize an account of ours in place; the runtime takes the length from the word before the data. */
static inline void sol_resize(struct sol_account *account, uint64_t len)
{
    ((uint64_t *)account->data)[-1] = len;
    account->data_len = len;
}

/* Lengths change under a cross-program call; read them again. */
static inline void sol_reload(struct sol_account *account)
{
    account->data_len = ((const uint64_t *)account->data)[-1];
}

/* The system program's id is all zeros. */
static inline bool sol_is_system_id(const struct sol_key *key)
{
    return (key->word[0] | key->word[1] | key->word[2] | key->word[3]) == 0;
}

#endif
