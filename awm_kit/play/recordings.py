"""Recordings from anywhere, as frames: saved matches, matches on a ledger, replays, real Melee games."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from solders.pubkey import Pubkey

from awm_kit.chain.ledger import Ledger
from awm_kit.chain.match_record import MatchRecord, record_from_session
from awm_kit.chain.replays import fetch_record
from awm_kit.chain.results import find_result
from awm_kit.chain.worlds import fetch_world
from awm_kit.data.bumper.schema import FRAME as BUMPER_FRAME
from awm_kit.data.bumper.schema import SCHEMA_NAME as BUMPER
from awm_kit.data.folder import load_any
from awm_kit.data.replay import Replay, without_padding
from awm_kit.errors import ModelFileError
from awm_kit.kernel import NativeWorld
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME, N_PLAYERS
from awm_kit.worlds import load_world, shipped

Recording = np.ndarray | Replay | MatchRecord | Pubkey | Path | str


def open_recording(source: Recording, world: Cartridge | None = None, ledger: Ledger | None = None) -> Replay:
    """The frames and inputs of anything that was recorded.

    Parameters
    ----------
    source : ndarray of `FRAME` or of bumper's, Replay, MatchRecord, Pubkey, or path
        A path may name an ``.awmatch``, ``.npz`` or ``.slp`` file; a key is the SessionState account of
        an ended match, or its result.
    world : Cartridge, optional
        The world of a `MatchRecord`, which holds inputs only and is played again; by default the
        one that it names, on the ledger or among the shipped.
    ledger : Ledger, optional
        Where the match of a key is.

    Returns
    -------
    Replay
        Of `FRAME` records whatever the game, which ``meta["game"]`` names where it is known: see `game_of`.

    Raises
    ------
    ReplayError, VerificationError
        If the file cannot be read, or a match's inputs are not the committed ones.
    LedgerError
        If there is no such match, it is still running, or it was closed and nobody published its replay.
    ModelFileError
        If a record's world is not at hand.
    ValueError
        If there is no frame in it, or a key comes without its ledger.
    """
    if isinstance(source, Pubkey):
        if ledger is None:
            raise ValueError(f"expected the ledger that match {source} is on (got none)")
        settled = find_result(ledger, source) is not None
        source = fetch_record(ledger, source) if settled else record_from_session(ledger, source)
    if isinstance(source, (str, Path)):
        path = Path(source)
        source = MatchRecord.load(path) if path.suffix == ".awmatch" else load_any(path)
    if isinstance(source, MatchRecord):
        source = _played_again(source, world or _world_of(source, ledger))
    if isinstance(source, np.ndarray):
        source = Replay(source, np.zeros((len(source), N_PLAYERS), CONTROLLER))
    frames = source.frames
    if frames.dtype == BUMPER_FRAME:
        frames, inputs = without_padding(frames).view(FRAME), without_padding(source.inputs)
        source = Replay(frames, inputs.view(CONTROLLER), source.source, {**source.meta, "game": BUMPER})
    if frames.dtype != FRAME or frames.ndim != 1 or not len(frames):
        raise ValueError(f"expected frames, at least one (got {frames.dtype}, shape {frames.shape})")
    return source


def game_of(replay: Replay) -> str:
    """The name of a recording's schema."""
    return str(replay.meta.get("game", FIGHTER.name))


def players_of(replay: Replay) -> tuple[str, str]:
    """What the players of a recording are called."""
    named = replay.meta.get("players")
    return (str(named[0]), str(named[1])) if isinstance(named, list) and len(named) == 2 else ("P1", "P2")


def find_hits(frames: np.ndarray) -> np.ndarray:
    """Indices of the frames in which somebody takes damage, int64, rising."""
    return np.flatnonzero((np.diff(frames["players"]["percent"].astype(int), axis=0) > 0).any(1)) + 1


def find_knockouts(frames: np.ndarray) -> np.ndarray:
    """Indices of the frames in which somebody loses a stock, int64, rising."""
    return np.flatnonzero((np.diff(frames["players"]["stocks"].astype(int), axis=0) < 0).any(1)) + 1


def _played_again(record: MatchRecord, world: Cartridge) -> Replay:
    if world.world_hash != record.world_hash:
        raise ModelFileError(f"expected world {record.world_hash[:16]}… (got {world.world_hash[:16]}…)")
    native = NativeWorld(world)
    frames = np.zeros(record.frames + 1, FRAME)
    frames[0] = record.start_frame
    frames[1:] = native.run(native.initial_state(), record.start_frame, record.inputs).view(FRAME)
    inputs = np.zeros((record.frames + 1, N_PLAYERS), CONTROLLER)
    inputs[1:] = record.inputs
    return Replay(frames, inputs, meta={**record.meta, "game": world.manifest.schema.name})


def _world_of(record: MatchRecord, ledger: Ledger | None) -> Cartridge:
    if ledger is not None and "world" in record.meta:
        return fetch_world(ledger, Pubkey.from_string(record.meta["world"]))
    worlds = (load_world(name) for name in shipped())
    found = next((world for world in worlds if world.world_hash == record.world_hash), None)
    if found is None:
        raise ModelFileError(
            f"the match was played in world {record.world_hash[:16]}…, which is not shipped: give it"
        )
    return found
