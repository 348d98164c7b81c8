"""A match of two people: one opens a table at a place, the other sits down, anybody may watch.

Each function returns this process's hold on the match, a `ChainSession`, whatever the place is. On a rollup
the match is lent there before anybody has joined, so a guest needs the rollup only, and no funds.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import (
    HIDDEN_HEADER,
    MAX_LOG_KIB,
    SESSION_STATE,
    Phase,
    SessionKeys,
    Winner,
    frame_of,
    key_of,
    keys_of_session,
    parse,
    session_keys,
)
from awm_kit.chain.delegation import DELEGATION_PROGRAM_ID
from awm_kit.chain.ledger import MAX_COMPUTE_UNITS, Ledger
from awm_kit.chain.results import MatchResult, find_result, read_result
from awm_kit.chain.rollup import delegate_match, open_match, settle_match
from awm_kit.chain.rollup_session import RollupSession
from awm_kit.chain.session import ChainSession
from awm_kit.chain.session_entry import create_session, join_session
from awm_kit.chain.worlds import World
from awm_kit.data.replay import clean_frame
from awm_kit.errors import LedgerError, ProgramError
from awm_kit.play.places import Place


@dataclass(frozen=True)
class TableState:
    """What the accounts of a match say, read at one moment.

    Attributes
    ----------
    phase : Phase
    ready : (bool, bool)
    winner : Winner
    world : Pubkey
        Manifest account.
    session_id : int
        The host's number for the match.
    wallets : (Pubkey, Pubkey)
        The second is the default key until somebody joins.
    frame : ndarray of FRAME, shape ()
    """

    phase: Phase
    ready: tuple[bool, bool]
    winner: Winner
    world: Pubkey
    session_id: int
    wallets: tuple[Pubkey, Pubkey]
    frame: np.ndarray


def read_table(ledger: Ledger, session: Pubkey) -> TableState:
    """Who sits at a match, and how far it is.

    Raises
    ------
    LedgerError
        There is no such match on the ledger.
    """
    keys = keys_of_session(session, ledger.program_id)
    state, hidden = ledger.accounts([keys.session, keys.hidden])
    if state is None or hidden is None:
        raise LedgerError(f"there is no match {session} on {ledger.name}: is the ID whole, is it over?")
    record, memory = parse(state.data, SESSION_STATE), parse(hidden.data, HIDDEN_HEADER)
    wallets = [Pubkey.from_bytes(wallet.tobytes()) for wallet in memory["wallets"]]
    return TableState(
        phase=Phase(int(record["phase"])),
        ready=(bool(record["ready"] & 1), bool(record["ready"] & 2)),
        winner=Winner(int(record["winner"])),
        world=key_of(record, "world"),
        session_id=int(record["session_id"]),
        wallets=(wallets[0], wallets[1]),
        frame=frame_of(state.data),
    )


def host_match(
    place: Place,
    world: World | Pubkey,
    wallet: Keypair,
    start_frame: np.ndarray,
    session_id: int | None = None,
) -> ChainSession:
    """Open a match as its host, player 0, who also runs its frames.

    Parameters
    ----------
    place : Place
    world : World or Pubkey
        On the place's ledger.
    wallet : Keypair
        Pays the rent, which `finish_match` brings back.
    start_frame : ndarray of FRAME, shape ()
    session_id : int, optional
        By default random.

    Raises
    ------
    InsufficientFundsError
        The wallet cannot pay.
    LedgerError, ProgramError
        As `create_session`; or the rollup does not take the match.
    """
    if place.rollup is None:
        return create_session(place.ledger, world, wallet, start_frame, session_id=session_id)
    ledger, rollup = place.ledger, place.rollup
    manifest = world.key if isinstance(world, World) else world
    session_id = secrets.randbits(64) if session_id is None else session_id
    player, crank = Keypair(), Keypair()
    keys = session_keys(wallet.pubkey(), session_id, ledger.program_id)
    create = ix.create_session(
        keys, wallet.pubkey(), manifest, crank.pubkey(), player.pubkey(), session_id,
        clean_frame(start_frame), log_kib=MAX_LOG_KIB, program_id=ledger.program_id,
    )  # fmt: skip
    ledger.send([create], wallet, compute_units=MAX_COMPUTE_UNITS, label="create session")
    delegate_match(ledger, keys, wallet, place.validator)
    open_match(rollup, keys, crank, manifest)
    session = RollupSession(rollup, keys, crank, {0: player}, crank)
    session.host = wallet
    return session


def join_match(
    place: Place, session: Pubkey, wallet: Keypair, character: int = ix.KEEP_CHARACTER
) -> ChainSession:
    """Sit down at a match as player 1.

    Parameters
    ----------
    place : Place
    session : Pubkey
        The match's ID: its SessionState account.
    wallet : Keypair
        Pays the fees, which are nothing on a rollup.
    character : int
        Melee internal character id; by default the one in the match's first frame.

    Raises
    ------
    ProgramError
        Somebody has joined already, or it is over.
    LedgerError
        There is no such match.
    """
    read_table(place.arena, session)
    if place.rollup is None:
        return join_session(place.ledger, session, wallet, character)
    rollup, player = place.rollup, Keypair()
    keys = keys_of_session(session, rollup.program_id)
    order = ix.join(keys, wallet.pubkey(), player.pubkey(), character, program_id=rollup.program_id)
    rollup.send([order], wallet, label="join")
    return RollupSession(rollup, keys, wallet, {1: player})


def watch_match(place: Place, session: Pubkey) -> ChainSession:
    """Look at a match without a seat; `LedgerError` if there is none."""
    read_table(place.arena, session)
    keys = keys_of_session(session, place.arena.program_id)
    if place.rollup is None:
        return ChainSession(place.ledger, keys, Keypair(), {})
    return RollupSession(place.rollup, keys, Keypair(), {})


def seat_script(session: ChainSession) -> None:
    """Take the other seat too, of a match that one has just opened, with a throw-away key."""
    player, guest = Keypair(), Keypair()
    join = ix.join(session.keys, guest.pubkey(), player.pubkey(), program_id=session.ledger.program_id)
    session.ledger.send([join], session.payer, [guest], label="join")
    session.players[1] = player


def next_match(result: MatchResult, place: Place) -> tuple[SessionKeys, int]:
    """Where the same host's rematch is, or will be: its keys and session ID follow from the match before."""
    number = (result.session_id + 1) % 2**64
    return session_keys(result.wallets[0], number, place.arena.program_id), number


def is_open(place: Place, keys: SessionKeys) -> bool:
    """Whether a match is there to be joined; a rollup is not asked for one that was not lent to it yet."""
    account = place.ledger.account(keys.log)
    if account is None:
        return False
    return place.rollup is None or account.owner == DELEGATION_PROGRAM_ID


def withdraw_match(place: Place, session: ChainSession, wallet: Keypair) -> None:
    """Close a match that has not begun, as its host; the rent comes back. Raises as `finish_match`."""
    if place.rollup is not None and session.crank is not None:
        settle_match(place.rollup, place.ledger, session.keys, session.crank)
    close = ix.close_session(session.keys, wallet.pubkey(), program_id=place.ledger.program_id)
    place.ledger.send([close], wallet, compute_units=MAX_COMPUTE_UNITS, label="close session")


def end_match(session: ChainSession) -> None:
    """End a match as its crank, if that has not been done: decided, timed out, or stopped as it stands."""
    if session.phase != Phase.ENDED:
        session.end()


def finish_match(place: Place, session: ChainSession, wallet: Keypair | None = None) -> MatchResult:
    """Bring a match home as its host: ended, result recorded on the ledger, accounts closed, rent back.

    Whatever the other player's client has done of this already is left out. The inputs stay in the rollup:
    read them before (`verify.record_from_session`) for a replay to publish.

    Parameters
    ----------
    place : Place
    session : ChainSession
        Of the host, who is also the crank.
    wallet : Keypair, optional
        The host's, where the session does not know it.

    Raises
    ------
    LedgerError
        The rollup does not give it back.
    """
    end_match(session)
    if wallet is None:
        known = session.host if isinstance(session, RollupSession) else None
        wallet = known or session.payer
    keys, ledger, program = session.keys, place.ledger, place.ledger.program_id
    if place.rollup is not None:
        settle_match(place.rollup, ledger, keys, session.crank or session.players[0])
    record = ix.record_result(keys, wallet.pubkey(), session.world, program_id=program)
    close = ix.close_session(keys, wallet.pubkey(), program_id=program)
    orders = [close] if find_result(ledger, keys.session) else [record, close]
    try:
        ledger.send(orders, wallet, compute_units=MAX_COMPUTE_UNITS, label="record and close")
    except ProgramError as error:
        if error.name != "AddressInUse":
            raise
        # Somebody was a moment faster: anybody may record a result.
        ledger.send([close], wallet, compute_units=MAX_COMPUTE_UNITS, label="close session")
    return read_result(ledger, keys.session)
