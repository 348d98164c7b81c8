"""Replays on the ledger: frame 0 and the inputs of a recorded match, in an account that anybody may pay for.

The program freezes it only if its SHA-256 is the one in the match's result. With the world's accounts that is
all it takes to play the match again and compare every hash, without trusting whoever brought it.
"""

from __future__ import annotations

import hashlib

import numpy as np
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import (
    CONTENT_HEADER,
    CONTENT_OFFSET,
    REPLAY_MAGIC,
    ContentState,
    content_of,
    key_of,
    keys_of_session,
    parse,
    replay_seed,
)
from awm_kit.chain.deploy import carry_out, require_funds
from awm_kit.chain.deploy_plan import (
    WRITE_UNITS,
    DeployPlan,
    PlannedAccount,
    Stage,
    chunk_size,
    differing,
)
from awm_kit.chain.ledger import MAX_COMPUTE_UNITS, AccountInfo, Ledger
from awm_kit.chain.match_record import MatchRecord, read_inputs, record_from_session
from awm_kit.chain.results import MatchResult, read_result
from awm_kit.chain.verify import VerifyReport, check_result, verify
from awm_kit.chain.worlds import fetch_world
from awm_kit.errors import LedgerError, VerificationError
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import FRAME

_LINK_OFFSET = 80  # in the content header
_FROZEN = REPLAY_MAGIC + bytes([1, ContentState.FROZEN])


def plan_replay(ledger: Ledger, record: MatchRecord, match: Pubkey, payer: Keypair) -> DeployPlan:
    """Work out what it takes to put a match's replay on the ledger; sends nothing.

    Parameters
    ----------
    ledger : Ledger
    record : MatchRecord
    match : Pubkey
        Its SessionState account, which may be closed by now, or its result.
    payer : Keypair
        Pays, and may take the deposit back: `deploy.retire` with the replay's key.

    Raises
    ------
    LedgerError
        The match has no recorded result.
    VerificationError
        The record is not of this match.
    """
    result = read_result(ledger, match)
    check_result(record, result)
    me, program, content = payer.pubkey(), ledger.program_id, record.replay
    seed = replay_seed(result.log_hash)
    key = Pubkey.create_with_seed(me, seed, program)
    account = ledger.account(key)
    if account:
        _check_own(account, result, len(content), program)
    there = content_of(account.data) if account else bytes(len(content))
    rent = ledger.rent_exempt(CONTENT_OFFSET + len(content))
    make = [
        ix.create_content(me, key, seed, len(content), rent, program_id=program),
        ix.init_replay(key, result.key, me, len(content), program_id=program),
    ]
    writes = [
        [ix.write(key, me, at, chunk, program_id=program)]
        for at, chunk in differing(there, content, chunk_size(ledger, payer))
    ]
    frozen = account is not None and account.data.startswith(_FROZEN)
    last = ix.finalise_replay(key, result.key, me, program_id=program)
    stages = [
        Stage("create", 2 * WRITE_UNITS, [] if account else [make]),
        Stage("write", WRITE_UNITS, writes),
        Stage("finalise replay", MAX_COMPUTE_UNITS, [] if frozen else [[last]]),
    ]
    stages = [stage for stage in stages if stage.batches]
    missing = sum(len(order.data) - 5 for (order,) in writes)
    planned = PlannedAccount("replay", key, CONTENT_OFFSET + len(content), rent, account is not None, missing)
    fees = sum(len(s.batches) * ledger.fee(1, s.compute_units) for s in stages)
    return DeployPlan(f"replay of {match}", ledger.name, key, [planned], stages, 0 if account else rent, fees)


def publish_replay(
    ledger: Ledger, record: MatchRecord, match: Pubkey, payer: Keypair, progress: bool = True
) -> Pubkey:
    """Put a match's replay on the ledger; call again after an interruption to go on.

    Parameters
    ----------
    ledger, record, match, payer
        As in `plan_replay`.
    progress : bool

    Returns
    -------
    Pubkey
        The replay's account.

    Raises
    ------
    InsufficientFundsError
        The payer cannot pay for all of it; nothing was sent.
    LedgerError, VerificationError
        As in `plan_replay`.
    """
    plan = plan_replay(ledger, record, match, payer)
    require_funds(ledger, plan, payer)
    carry_out(ledger, plan, payer, progress)
    return plan.world


def find_replay(ledger: Ledger, result: MatchResult) -> AccountInfo | None:
    """The frozen replay of a match, whoever brought it; None if nobody did."""
    found = ledger.program_accounts([(0, _FROZEN), (_LINK_OFFSET, bytes(result.key))])
    return found[0] if found else None


def fetch_record(ledger: Ledger, match: Pubkey) -> MatchRecord:
    """A recorded match, whole, read from the ledger.

    Parameters
    ----------
    ledger : Ledger
    match : Pubkey
        Its SessionState account or its result.

    Raises
    ------
    LedgerError
        It has no result, nobody published its replay and its own accounts are closed, or its world is gone.
    VerificationError
        The bytes on the ledger do not have the committed hash.
    """
    result = read_result(ledger, match)
    return _record(ledger, match, result, fetch_world(ledger, result.world).world_hash)


def verify_match(ledger: Ledger, match: Pubkey, cartridge: Cartridge | None = None) -> VerifyReport:
    """Play a recorded match again from what is on the ledger and compare every hash.

    Parameters
    ----------
    ledger, match
        As in `fetch_record`.
    cartridge : Cartridge, optional
        The world, e.g. because it was retired; by default it is read from the ledger.

    Raises
    ------
    LedgerError, VerificationError
        As in `fetch_record`.
    """
    result = read_result(ledger, match)
    cartridge = fetch_world(ledger, result.world) if cartridge is None else cartridge
    record = _record(ledger, match, result, cartridge.world_hash)
    check_result(record, result)
    return verify(record, cartridge)


def _record(ledger: Ledger, match: Pubkey, result: MatchResult, world_hash: str) -> MatchRecord:
    account = find_replay(ledger, result)
    if account is None:
        if ledger.account(keys_of_session(match, ledger.program_id).log) is None:
            raise LedgerError(f"nobody published the replay of match {match} on {ledger.name}")
        return record_from_session(ledger, match)
    content = content_of(account.data)
    if hashlib.sha256(content).hexdigest() != result.log_hash:
        raise VerificationError(f"replay {account.key} does not have the hash in result {result.key}")
    if not any(content[: FRAME.itemsize]):
        raise LedgerError(f"match {match} ended before its first frame: there is nothing to play again")
    inputs, unfinished = read_inputs(content[FRAME.itemsize :], result.frames, result.state_hash)
    return MatchRecord(
        world_hash=world_hash,
        start_frame=np.frombuffer(content, FRAME, 1).reshape(()),
        inputs=inputs,
        unfinished=unfinished,
        winner=result.winner,
        reason=result.reason,
        chain_hash=result.chain_hash,
        state_hash=result.state_hash,
        meta={
            "ledger": ledger.name,
            "result": str(result.key),
            "world": str(result.world),
            "wallets": list(map(str, result.wallets)),
        },
    )


def _check_own(account: AccountInfo, result: MatchResult, length: int, program: Pubkey) -> None:
    """Refuse what an upload of this replay cannot have left."""
    if account.owner != program:
        raise LedgerError(f"account {account.key} belongs to {account.owner}, not to the world program")
    header = parse(account.data, CONTENT_HEADER)
    if key_of(header, "link") != result.key or int(header["content_len"]) != length:
        raise LedgerError(f"account {account.key} was begun for another match: retire it first")
