"""A match on MagicBlock's rollup: it moves there with its accounts, is played, and returns with its result.

L1       `delegate_match`   the delegation program takes the four accounts, with the rent of their full size
rollup   `open_match`       they are cloned on first sight and grown; then the match is like one on any ledger
rollup   `settle_match`     the ended match is committed to the L1 and given back: headers, hashes, last frame
L1       `restore_entries`  the input log, checked against its hash; then record the result and close as ever
"""

from __future__ import annotations

import time
from collections.abc import Callable

from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from awm_kit.chain import delegation
from awm_kit.chain.accounts import (
    ENTRIES_OFFSET,
    HIDDEN_HEADER,
    LOG_HEADER,
    STATE_OFFSET,
    SessionKeys,
    parse,
)
from awm_kit.chain.ledger import MAX_COMPUTE_UNITS, Ledger, Receipt
from awm_kit.chain.session_setup import grow_accounts
from awm_kit.errors import LedgerError, ProgramError, TransactionError

SETTLE_SECONDS = 30.0
CLONE_SECONDS = 10.0
_ENTRY_CHUNK = 900  # bytes of the log in one transaction
_LOCKED = "InvalidWritableAccount"  # what the rollup says of an account that is not lent to it, or no more


def delegate_match(
    l1: Ledger, keys: SessionKeys, host: Keypair, validator: Pubkey = delegation.LOCAL_VALIDATOR
) -> Receipt:
    """Hand a created (or joined) match to a rollup, in one transaction.

    Parameters
    ----------
    l1 : Ledger
    keys : SessionKeys
        Of a match whose accounts have not been grown.
    host : Keypair
        Pays the rent of the accounts' full size now, because nothing can be paid in the rollup.
    validator : Pubkey
        The rollup's validator; only it may write the accounts until they are back.

    Raises
    ------
    ProgramError
        The match has begun, has been grown, or is another host's.
    """
    orders: list[Instruction] = []
    for key, size in _full_sizes(l1, keys).items():
        account = l1.account(key)
        missing = l1.rent_exempt(size) - (account.lamports if account else 0)
        if missing > 0:
            orders.append(
                transfer(TransferParams(from_pubkey=host.pubkey(), to_pubkey=key, lamports=missing))
            )
    orders.append(delegation.delegate(keys, host.pubkey(), validator, program_id=l1.program_id))
    # A rollup that has had a match of this program before is told of new ones when they are made, and takes
    # no other news of them from the same slot: it would never learn that this one was lent to it.
    l1.next_slot()
    return l1.send(orders, host, compute_units=MAX_COMPUTE_UNITS, label="delegate")


def open_match(rollup: Ledger, keys: SessionKeys, payer: Keypair, world: Pubkey) -> None:
    """Have the rollup clone a delegated match, its world and the program, and grow the accounts there.

    Parameters
    ----------
    payer : Keypair
        Signs; pays nothing.

    Raises
    ------
    LedgerError
        The rollup does not show the accounts, e.g. because the match is delegated to another validator.
    """
    wanted = [rollup.program_id, world, keys.session, keys.input, keys.hidden, keys.log]
    wait_for(
        lambda: all(rollup.accounts(wanted)),
        CLONE_SECONDS,
        f"{rollup.name} does not show match {keys.session}",
    )
    give_up = time.monotonic() + CLONE_SECONDS
    while True:
        try:
            return grow_accounts(rollup, keys, payer, world)
        except TransactionError as error:
            # Of a match that was here before, the rollup learns only a moment later that it was lent again.
            if _LOCKED not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.05)


def settle_match(rollup: Ledger, l1: Ledger, keys: SessionKeys, signer: Keypair) -> None:
    """Commit a match that does not run to the L1 and wait until it is back there; nothing if it is already.

    Read the input log first (`accounts.entries_of`): it does not come back by itself. While the L1 does not
    answer nothing is sent, because the rollup does not repeat a commit that failed, and the match would be
    nowhere: call again when it does. Crank and players may all call it, also at once: what one of them has
    sent home already, even a single account of the four, the others leave out.

    Parameters
    ----------
    signer : Keypair
        The crank, or a player's session key.

    Raises
    ------
    ProgramError
        The match still runs.
    LedgerError
        The L1 does not answer; or the match is not back there after 30 s.
    """
    held = [keys.log, keys.hidden, keys.input, keys.session]
    program = rollup.program_id

    def returned() -> bool:
        return all(
            account and account.owner == program
            for ledger in (l1, rollup)
            for account in ledger.accounts(held)
        )

    if returned():
        return
    give_up = time.monotonic() + SETTLE_SECONDS
    while lent := [k for k, a in zip(held, l1.accounts(held), strict=True) if not a or a.owner != program]:
        orders = [delegation.undelegate(keys, signer.pubkey(), key, program_id=program) for key in lent]
        try:
            rollup.send(orders, signer, compute_units=MAX_COMPUTE_UNITS, label="undelegate")
            break
        except (TransactionError, ProgramError) as error:
            if not _is_leaving(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.1)
    wait_for(returned, SETTLE_SECONDS, f"{rollup.name} has not written match {keys.session} to {l1.name}")
    # The rollup takes no news of an account from the slot that it has seen already: were the match lent again
    # in this one, it would never notice.
    l1.next_slot()


def restore_entries(
    l1: Ledger, keys: SessionKeys, wallet: Keypair, world: Pubkey, entries: bytes
) -> list[Receipt]:
    """Write the input log of a settled match to the L1, unless it is there; its rent is already.

    Parameters
    ----------
    wallet : Keypair
        Of a player; pays the fees.
    entries : bytes
        The log's entries, as read from the rollup.

    Raises
    ------
    ProgramError
        These are not the match's entries.
    """
    log = l1.account(keys.log)
    if log and not parse(log.data, LOG_HEADER)["flags"] & delegation.LOG_CUT:
        return []  # nothing was logged, or the other player has brought it
    grow_accounts(l1, keys, wallet, world, hidden_too=False)
    batches = [
        [
            delegation.restore_log(
                keys, wallet.pubkey(), at, entries[at : at + _ENTRY_CHUNK], program_id=l1.program_id
            )
        ]
        for at in range(0, len(entries), _ENTRY_CHUNK)
    ]
    receipts = l1.send_many(batches[:-1], wallet, label="restore log")
    return receipts + l1.send_many(batches[-1:], wallet, label="restore log")


def _is_leaving(error: LedgerError) -> bool:
    """Whether somebody else has sent an account home that the L1 does not show yet."""
    return _LOCKED in str(error) or (isinstance(error, ProgramError) and error.name == "WrongOwner")


def _full_sizes(ledger: Ledger, keys: SessionKeys) -> dict[Pubkey, int]:
    hidden, log = ledger.accounts([keys.hidden, keys.log])
    if hidden is None or log is None:
        raise LedgerError(f"there is no match {keys.session} on {ledger.name}")
    header = parse(hidden.data, HIDDEN_HEADER)
    return {
        keys.hidden: STATE_OFFSET + int(header["state_bytes"]) + int(header["scratch_bytes"]),
        keys.log: ENTRIES_OFFSET + int(parse(log.data, LOG_HEADER)["capacity"]),
    }


def wait_for(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    """Look every 20 ms until a condition holds; `LedgerError` with the complaint if it takes too long."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise LedgerError(f"{complaint} after {seconds:g} s")
        time.sleep(0.02)
