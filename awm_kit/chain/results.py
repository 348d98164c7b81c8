"""Match results: the small permanent accounts that say who won, on which world, with which hashes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from solders.pubkey import Pubkey

from awm_kit.chain.accounts import MATCH_RESULT, EndReason, Winner, derive, key_of, parse
from awm_kit.chain.ledger import AccountInfo, Filter, Ledger
from awm_kit.errors import LedgerError
from awm_kit.schema import FIGHTER

_RESULT_MAGIC = b"AWMR"
_WORLD_OFFSET = 32
_WALLET_OFFSETS = (64, 96)


@dataclass(frozen=True)
class MatchResult:
    """What a MatchResult account holds.

    Attributes
    ----------
    key : Pubkey
        The account.
    frames : int
        Frames computed.
    time : int
        Unix seconds of the ledger's clock when it was recorded.
    world : Pubkey
        Manifest account of the world.
    wallets : (Pubkey, Pubkey)
    chain_hash, state_hash, log_hash : str
        Hex digests: over every frame and input, of the last frame and state, of the input log's entries.
    percents : (float, float)
        Damage at the end.
    """

    key: Pubkey
    winner: Winner
    reason: EndReason
    session_id: int
    frames: int
    seed: int
    stage: int
    time: int
    world: Pubkey
    wallets: tuple[Pubkey, Pubkey]
    chain_hash: str
    state_hash: str
    log_hash: str
    log_bytes: int
    stocks: tuple[int, int]
    characters: tuple[int, int]
    percents: tuple[float, float]

    def __repr__(self) -> str:
        end = f"{self.winner.name} by {self.reason.name} after {self.frames} frames"
        score = " : ".join(f"{n} ({p:.1f} %)" for n, p in zip(self.stocks, self.percents, strict=True))
        return f"<MatchResult {end}, stocks {score}, chain {self.chain_hash[:16]}>"


def read_result(ledger: Ledger, match: Pubkey) -> MatchResult:
    """The recorded result of a match.

    Parameters
    ----------
    ledger : Ledger
    match : Pubkey
        The match's SessionState account, which may be closed by now, or the result's own.

    Raises
    ------
    LedgerError
        No result was recorded.
    """
    found = find_result(ledger, match)
    if found is None:
        raise LedgerError(f"match {match} has no recorded result on {ledger.name}")
    return found


def find_result(ledger: Ledger, match: Pubkey) -> MatchResult | None:
    """Like `read_result`, but None if there is no result."""
    for account in ledger.accounts([derive(ledger.program_id, b"result", bytes(match)), match]):
        if account and account.owner == ledger.program_id and account.data.startswith(_RESULT_MAGIC):
            return _result(account)
    return None


def list_results(
    ledger: Ledger, world: Pubkey | None = None, wallet: Pubkey | None = None
) -> list[MatchResult]:
    """Recorded results, oldest first: all, or those of a world (its manifest account), a wallet, or both."""
    filters: list[Filter] = [MATCH_RESULT.itemsize, (0, _RESULT_MAGIC)]
    if world is not None:
        filters.append((_WORLD_OFFSET, bytes(world)))
    seats: list[list[Filter]] = [[(at, bytes(wallet))] for at in _WALLET_OFFSETS] if wallet else [[]]
    accounts = {a.key: a for seat in seats for a in ledger.program_accounts([*filters, *seat])}
    return sorted(map(_result, accounts.values()), key=lambda result: (result.time, str(result.key)))


def count_results(ledger: Ledger) -> Counter[Pubkey]:
    """How many matches of each world (by its manifest account) have a recorded result."""
    found = ledger.program_accounts([(0, _RESULT_MAGIC)], data_slice=(_WORLD_OFFSET, 32))
    return Counter(Pubkey.from_bytes(account.data) for account in found)


def _result(account: AccountInfo) -> MatchResult:
    record = parse(account.data, MATCH_RESULT)
    percent = FIGHTER.player("percent")
    return MatchResult(
        key=account.key,
        winner=Winner(int(record["winner"])),
        reason=EndReason(int(record["reason"])),
        session_id=int(record["session_id"]),
        frames=int(record["frames"]),
        seed=int(record["seed"]),
        stage=int(record["stage"]),
        time=int(record["time"]),
        world=key_of(record, "world"),
        wallets=(
            Pubkey.from_bytes(record["wallets"][0].tobytes()),
            Pubkey.from_bytes(record["wallets"][1].tobytes()),
        ),
        chain_hash=record["chain"].tobytes().hex(),
        state_hash=record["state_hash"].tobytes().hex(),
        log_hash=record["log_hash"].tobytes().hex(),
        log_bytes=int(record["log_len"]),
        stocks=(int(record["stocks"][0]), int(record["stocks"][1])),
        characters=(int(record["characters"][0]), int(record["characters"][1])),
        percents=(float(percent.to_real(record["percent"][0])), float(percent.to_real(record["percent"][1]))),
    )
