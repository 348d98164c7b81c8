"""What a match needs before its first frame: a clean start, accounts of full size, the world's plan."""

from __future__ import annotations

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import (
    CONTENT_HEADER,
    ENTRIES_OFFSET,
    HIDDEN_HEADER,
    LOG_HEADER,
    MANIFEST_MAGIC,
    MAX_GROWTH,
    STATE_OFFSET,
    SessionKeys,
    content_keys,
    content_of,
    key_of,
    parse,
)
from awm_kit.chain.frame_plan import Piece, frame_plan, has_syscall
from awm_kit.chain.ledger import MAX_COMPUTE_UNITS, Ledger
from awm_kit.errors import LedgerError
from awm_kit.quant.manifest import Manifest

#: A growth pays its rent by a call; a transaction has at most 64 instructions and calls, budget included.
_GROWTHS_PER_TRANSACTION = 30


def grow_accounts(
    ledger: Ledger, keys: SessionKeys, host: Keypair, world: Pubkey, *, hidden_too: bool = True
) -> None:
    """Bring hidden state and log, created at most 10,240 bytes long, to their sizes."""
    hidden, log = ledger.accounts([keys.hidden, keys.log])
    if hidden is None or log is None:
        raise LedgerError(f"{ledger.name} does not show the match's accounts that it confirmed")
    header = parse(hidden.data, HIDDEN_HEADER)
    sizes = {
        keys.hidden: STATE_OFFSET + int(header["state_bytes"]) + int(header["scratch_bytes"]),
        keys.log: ENTRIES_OFFSET + int(parse(log.data, LOG_HEADER)["capacity"]),
    }
    orders = [
        ix.grow(keys, host.pubkey(), account.key, world, program_id=ledger.program_id)
        for account in ((hidden, log) if hidden_too else (log,))
        for _ in range(-(-(sizes[account.key] - len(account.data)) // MAX_GROWTH))
    ]
    for at in range(0, len(orders), _GROWTHS_PER_TRANSACTION):
        part = orders[at : at + _GROWTHS_PER_TRANSACTION]
        ledger.send(part, host, compute_units=MAX_COMPUTE_UNITS, label="grow")


def plan_of(ledger: Ledger, world: Pubkey) -> list[Piece]:
    """The transactions of a frame with the program on this ledger; `LedgerError` if the world is gone."""
    manifest, shards = manifest_of(ledger, world)
    return frame_plan(manifest, shards, syscall=has_syscall(ledger))


def manifest_of(ledger: Ledger, world: Pubkey) -> tuple[Manifest, list[Pubkey]]:
    """A world's manifest and its shard accounts, in order; `LedgerError` if the world is gone."""
    account = ledger.account(world)
    if account is None:
        raise LedgerError(f"the match's world {world} is no longer on {ledger.name}")
    header = parse(account.data, CONTENT_HEADER)
    if header["magic"].tobytes() != MANIFEST_MAGIC:
        raise LedgerError(f"{world} is not a world's manifest")
    manifest = Manifest.parse(content_of(account.data))
    world_hash = header["sha256"].tobytes().hex()
    _, shards = content_keys(key_of(header, "authority"), world_hash, manifest.n_shards, ledger.program_id)
    return manifest, shards
