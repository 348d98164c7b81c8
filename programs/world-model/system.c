#include "system.h"

#include "checks.h"

#define ACCOUNT_OVERHEAD 128             /* bytes that rent counts beside the data */
#define TWO_YEARS 0x4000000000000000ULL  /* 2.0 as a double's bits; the only other value in use is 1.0 */

enum system_instruction { SYSTEM_ASSIGN = 1, SYSTEM_TRANSFER = 2, SYSTEM_ALLOCATE = 8 };

static const struct sol_key system_id;

static uint64_t rent_for(uint64_t size)
{
    struct sol_rent rent;

    sol_get_rent_sysvar(&rent);
    return (size + ACCOUNT_OVERHEAD) * rent.lamports_per_byte_year *
           (rent.exemption_threshold == TWO_YEARS ? 2 : 1);
}

/* A call of the system program about these accounts; the last one may be signed for with seeds. */
static uint64_t invoke(const struct wm_call *call, struct sol_account_meta *metas, uint64_t n_metas,
                       const struct sol_bytes *data, const struct wm_seeds *seeds)
{
    const struct sol_instruction instruction = {&system_id, metas, n_metas, data->data, data->len};
    const struct sol_signer signer = {seeds ? seeds->seed : 0, seeds ? seeds->n : 0};

    return sol_invoke_signed_c(&instruction, call->accounts, call->n_accounts, &signer, seeds ? 1 : 0);
}

static uint64_t pay_rent(const struct wm_call *call, const struct sol_account *payer,
                         const struct sol_account *account, uint64_t size)
{
    uint64_t needed = rent_for(size);
    if (*account->lamports >= needed)
        return 0;
    struct sol_account_meta metas[2] = {{payer->key, 1, 1}, {account->key, 1, 0}};
    const uint32_t transfer[3] = {SYSTEM_TRANSFER, (uint32_t)(needed - *account->lamports),
                                  (uint32_t)((needed - *account->lamports) >> 32)};
    return invoke(call, metas, 2, &(struct sol_bytes){transfer, sizeof transfer}, 0);
}

void wm_session_seeds(struct wm_seeds *seeds, const char *name, uint64_t name_len, const struct sol_key *session)
{
    seeds->seed[0] = (struct sol_bytes){name, name_len};
    seeds->seed[1] = (struct sol_bytes){session, sizeof *session};
    seeds->n = 2;
}

uint64_t wm_find_address(const struct wm_call *call, const struct sol_account *account, struct wm_seeds *seeds,
                         uint64_t wrong_address)
{
    struct sol_key address;

    WM_REQUIRE(sol_try_find_program_address(seeds->seed, seeds->n, call->program_id, &address, &seeds->bump) == 0 &&
                   sol_same_key(&address, account->key),
               wrong_address);
    seeds->seed[seeds->n++] = (struct sol_bytes){&seeds->bump, 1};
    return 0;
}

/* In three steps, because somebody may have sent lamports there first; CreateAccount would then fail. */
uint64_t wm_create(const struct wm_call *call, const struct sol_account *payer, struct sol_account *account,
                   const struct wm_seeds *seeds, uint64_t size)
{
    WM_TRY(wm_check_writable(account));
    WM_REQUIRE(sol_is_system_id(account->owner) && account->data_len == 0, WM_ADDRESS_IN_USE);
    WM_TRY(pay_rent(call, payer, account, size));

    struct sol_account_meta meta = {account->key, 1, 1};
    const uint32_t allocate[3] = {SYSTEM_ALLOCATE, (uint32_t)size, (uint32_t)(size >> 32)};
    WM_TRY(invoke(call, &meta, 1, &(struct sol_bytes){allocate, sizeof allocate}, seeds));
    uint32_t assign[9] = {SYSTEM_ASSIGN};
    *(struct sol_key *)&assign[1] = *call->program_id;
    WM_TRY(invoke(call, &meta, 1, &(struct sol_bytes){assign, sizeof assign}, seeds));
    sol_reload(account);
    return 0;
}

uint64_t wm_extend(const struct wm_call *call, const struct sol_account *payer, struct sol_account *account,
                   uint64_t total)
{
    uint64_t size = account->data_len + WM_MAX_GROWTH;

    WM_REQUIRE(account->data_len < total, WM_FULLY_GROWN);
    if (size > total)
        size = total;
    WM_TRY(pay_rent(call, payer, account, size));
    sol_resize(account, size); /* the runtime zeroes what is new */
    return 0;
}

void wm_close(struct sol_account *account, struct sol_account *recipient)
{
    *recipient->lamports += *account->lamports;
    *account->lamports = 0;
    sol_resize(account, 0);
    *account->owner = system_id;
}
