"""How strong players are: shares of games won against scripted ones, in the teacher and in a world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from awm_kit.data.scuffle import FOX, MARTH, STYLE_NAMES, Params, Scuffle, initial_frame
from awm_kit.data.scuffle.players import ScriptedPlayers
from awm_kit.data.scuffle.state import State
from awm_kit.kernel import NativeWorld
from awm_kit.model.policy import PolicyPlayers
from awm_kit.play.controllers import CLONED, LEVELS
from awm_kit.probe import check_fighter
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import CONTROLLER, FRAME, N_PLAYERS, STATUS_PLAYING
from awm_kit.worlds import load_policy

#: One player of many matches: frames to controllers.
Side = Callable[[np.ndarray], np.ndarray]
#: Many matches, one step: frames and controllers to frames.
Home = Callable[[np.ndarray, np.ndarray], np.ndarray]
_MATCHUPS = ((FOX, MARTH), (MARTH, FOX), (FOX, FOX), (MARTH, MARTH))
_SEED = 9000


def measure_players(
    cartridge: Cartridge | None = None,
    player: str = CLONED,
    opponents: Sequence[str] = LEVELS,
    matches: int = 32,
    frames: int = 3600,
) -> dict[str, Any]:
    """Share of games that ``player`` wins against each opponent; one cut short counts by stocks and percent.

    Parameters
    ----------
    cartridge : Cartridge, optional
        A scuffle world to play in as well.
    player : str
        ``cloned`` or a style of `awm_kit.data.scuffle.STYLES`.
    opponents : sequence of str
    matches : int
        Against each opponent; sides and characters alternate.
    frames : int
        Longest game.

    Returns
    -------
    dict
        ``player``, ``matches``, ``frames`` and, for ``teacher`` and the world's name, the share of each
        opponent; a draw is half a game. The standard error of a share near one half is 0.5 / sqrt(matches).

    Raises
    ------
    ValueError
        If the world is no fighter, or there is no such player.
    """
    if cartridge is not None:
        check_fighter(cartridge)
    result: dict[str, Any] = {"player": player, "matches": matches, "frames": frames}
    result["teacher"] = {other: _share(_teacher, player, other, matches, frames) for other in opponents}
    if cartridge is not None:
        result[cartridge.manifest.name] = {
            other: _share(_world(cartridge), player, other, matches, frames) for other in opponents
        }
    return result


def _teacher(starts: np.ndarray) -> Home:
    game = Scuffle.from_frames(starts, Params())
    return lambda frames, pads: game.step(pads)


def _world(cartridge: Cartridge) -> Callable[[np.ndarray], Home]:
    native = NativeWorld(cartridge)

    def begin(starts: np.ndarray) -> Home:
        states = native.initial_state(len(starts))

        def step(frames: np.ndarray, pads: np.ndarray) -> np.ndarray:
            new = native.step_many(states, frames, pads)
            over = frames["status"] != STATUS_PLAYING
            new[over] = frames[over]
            return new

        return step

    return begin


def _share(
    home: Callable[[np.ndarray], Home], player: str, opponent: str, matches: int, frames: int
) -> float:
    now: np.ndarray = np.zeros(matches, FRAME)
    for i in range(matches):
        now[i] = initial_frame(_SEED + i, None, _MATCHUPS[i // 2 % len(_MATCHUPS)])
    step, seats = home(now), np.arange(matches) % N_PLAYERS  # where ``player`` sits
    sides = [[_side(who, seat, matches) for seat in range(N_PLAYERS)] for who in (player, opponent)]
    pads: np.ndarray = np.zeros((matches, N_PLAYERS), CONTROLLER)
    for _ in range(frames):
        for role, mine in enumerate(sides):
            for seat, side in enumerate(mine):
                rows = seats == (seat if role == 0 else 1 - seat)
                pads[rows, seat] = side(now)[rows]
        now = step(now, pads)
        if (now["status"] != STATUS_PLAYING).all():
            break
    score = now["players"]["stocks"].astype(np.int64) * 100_000 - now["players"]["percent"].astype(np.int64)
    lead = score[np.arange(matches), seats] - score[np.arange(matches), 1 - seats]
    return round(float((np.sign(lead) + 1).mean() / 2), 3)


def _side(name: str, seat: int, matches: int) -> Side:
    seeds = np.arange(matches, dtype=np.uint32)
    if name == CLONED:
        return PolicyPlayers(load_policy("scuffle"), seat, seeds).act
    if name not in STYLE_NAMES:
        raise ValueError(f"expected {CLONED} or a style of {STYLE_NAMES} (got {name!r})")
    styles = np.full((N_PLAYERS, matches), STYLE_NAMES.index(name))
    scripts = ScriptedPlayers(styles, seeds + 77)
    return lambda frames: scripts.act(State.from_frames(frames)).to_inputs()[:, seat]
