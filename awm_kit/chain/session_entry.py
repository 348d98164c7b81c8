"""The ways into a match: open one, join one, take one up again, or play both sides of one.

Each gives a `ChainSession` that holds the session keys it made.
"""

from __future__ import annotations

import secrets

import numpy as np
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import MAX_LOG_KIB, keys_of_session, session_keys
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, MAX_COMPUTE_UNITS, Ledger
from awm_kit.chain.session import ChainSession
from awm_kit.chain.session_setup import grow_accounts
from awm_kit.chain.worlds import World
from awm_kit.data.replay import clean_frame
from awm_kit.data.scuffle import initial_frame
from awm_kit.errors import LedgerError


def create_session(
    ledger: Ledger,
    world: World | Pubkey,
    host: Keypair,
    start_frame: np.ndarray,
    *,
    crank: Keypair | None = None,
    session_id: int | None = None,
    log_kib: int = MAX_LOG_KIB,
) -> ChainSession:
    """Open a match as its host and player 0.

    Parameters
    ----------
    ledger : Ledger
    world : World or Pubkey
        A finalised world or its manifest account.
    host : Keypair
        Wallet of player 0; pays rent and fees, and gets the rent back when the match is closed.
    start_frame : ndarray of FRAME, shape ()
        Frame 0, e.g. `awm_kit.data.scuffle.initial_frame`. It names stage, seed and time limit.
    crank : Keypair, optional
        Who runs frames; by default the host.
    session_id : int, optional
        0..2**64-1, not used by this host before; by default random.
    log_kib : int
        Size of the input log in KiB, 1..64; a full log ends the match.

    Raises
    ------
    ProgramError
        The world is not finalised, or the start frame is not one.
    InsufficientFundsError
        The host cannot pay the rent.
    """
    key = world.key if isinstance(world, World) else world
    session_id = secrets.randbits(64) if session_id is None else session_id
    player, crank = Keypair(), crank or host
    program = ledger.program_id
    keys = session_keys(host.pubkey(), session_id, program)
    create = ix.create_session(
        keys, host.pubkey(), key, crank.pubkey(), player.pubkey(), session_id, clean_frame(start_frame),
        log_kib=log_kib, program_id=program,
    )  # fmt: skip
    ledger.send([create], host, compute_units=MAX_COMPUTE_UNITS, label="create session")
    grow_accounts(ledger, keys, host, key)
    return ChainSession(ledger, keys, host, {0: player}, crank)


def join_session(
    ledger: Ledger, session: Pubkey, wallet: Keypair, character: int = ix.KEEP_CHARACTER
) -> ChainSession:
    """Join an open match as player 1.

    Parameters
    ----------
    ledger : Ledger
    session : Pubkey
        The match's SessionState account.
    wallet : Keypair
        Pays this player's fees.
    character : int
        Melee internal character id; by default the one in the match's first frame.

    Raises
    ------
    ProgramError
        Somebody has joined already.
    LedgerError
        There is no such match.
    """
    keys = keys_of_session(session, ledger.program_id)
    player = Keypair()
    joined = ChainSession(ledger, keys, wallet, {1: player})
    order = ix.join(keys, wallet.pubkey(), player.pubkey(), character, program_id=ledger.program_id)
    ledger.send([order], wallet, label="join")
    joined.refresh()
    return joined


def resume_session(
    ledger: Ledger, session: Pubkey, wallet: Keypair, crank: Keypair | None = None
) -> ChainSession:
    """Take up a match again whose session key was lost with the process that held it.

    The wallet authorises a new one, once for each seat that it has; the old one is then worthless.

    Parameters
    ----------
    ledger : Ledger
    session : Pubkey
        The match's SessionState account.
    wallet : Keypair
        Of a player; pays the fees.
    crank : Keypair, optional
        The session's authority, if this process is to run frames.

    Raises
    ------
    LedgerError
        There is no such match, or the wallet has no seat in it.
    """
    keys = keys_of_session(session, ledger.program_id)
    resumed = ChainSession(ledger, keys, wallet, {}, crank)
    seats = enumerate(resumed.wallets)
    resumed.players = {player: Keypair() for player, owner in seats if owner == wallet.pubkey()}
    if not resumed.players:
        raise LedgerError(f"{wallet.pubkey()} does not play in match {session}")
    orders = [
        ix.renew_key(keys, wallet.pubkey(), player, key.pubkey(), program_id=ledger.program_id)
        for player, key in resumed.players.items()
    ]
    ledger.send(orders, wallet, label="renew key")
    return resumed


def local_match(
    ledger: Ledger,
    world: World | Pubkey,
    seed: int = 0,
    stage: int = 31,
    characters: tuple[int, int] = (1, 18),
    time_limit: int = 0,
    start_frame: np.ndarray | None = None,
) -> ChainSession:
    """A match in which this process plays both sides, with throw-away keys; ready to `ChainSession.step`.

    Parameters
    ----------
    ledger : Ledger
        A development ledger: both wallets are funded by airdrop.
    world : World or Pubkey
    seed, stage, characters
        As in `awm_kit.data.scuffle.initial_frame`.
    time_limit : int
        Frames after which the match ends; 0 for none.
    start_frame : ndarray of FRAME, shape (), optional
        Used instead of all these.
    """
    if start_frame is None:
        start_frame = initial_frame(seed, stage, characters)
        start_frame["time_limit"] = time_limit
    host, guest = Keypair(), Keypair()
    ledger.airdrop(host.pubkey(), 10 * LAMPORTS_PER_SOL)
    ledger.airdrop(guest.pubkey(), LAMPORTS_PER_SOL)
    session = create_session(ledger, world, host, start_frame)
    joined = join_session(ledger, session.keys.session, guest)
    session.players.update(joined.players)
    session.ready()
    return session
