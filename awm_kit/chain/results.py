"""Match results: the small permanent accounts that say who won, on which world, with which hashes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from solders.pubkey import Pubkey

from awm_kit.chain.accounts import MATCH_RESULT, EndReason, Winner, derive, key_of, parse
from awm_kit.chain.ledger import AccountInfo, Ledger
from awm_kit.errors import LedgerError
from awm_kit.schema import FIGHTER

_RESULT_MAGIC = b"AWMR"
_WORLD_OFFSET = 32


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


def read_result(ledger: Ledger, session: Pubkey) -> MatchResult:
    """The recorded result of a match.

    Parameters
    ----------
    ledger : Ledger
    session : Pubkey
        The match's SessionState account, which may be closed by now.

    Raises
    ------
    LedgerError
        No result was recorded.
    """
    account = ledger.account(derive(ledger.program_id, b"result", bytes(session)))
    if account is None or account.owner != ledger.program_id:
        raise LedgerError(f"match {session} has no recorded result on {ledger.name}")
    return _result(account)


def list_results(ledger: Ledger, world: Pubkey | None = None) -> list[MatchResult]:
    """All recorded results, of one world if ``world`` (its manifest account) is given, oldest first."""
    of_world = [] if world is None else [(_WORLD_OFFSET, bytes(world))]
    found = [_result(account) for account in ledger.program_accounts([(0, _RESULT_MAGIC), *of_world])]
    return sorted(found, key=lambda result: (result.time, str(result.key)))


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
