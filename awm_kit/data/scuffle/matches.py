"""Synthetic replays: scripted players in scuffle, many matches at once, each fixed by its seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle.dice import hash32
from awm_kit.data.scuffle.game import initial_frame
from awm_kit.data.scuffle.params import FOX, MARTH, Params, physics
from awm_kit.data.scuffle.players import ScriptedPlayers
from awm_kit.data.scuffle.state import Pad, State
from awm_kit.data.scuffle.step import step
from awm_kit.data.scuffle.styles import STYLE_NAMES
from awm_kit.schema import CONTROLLER, FRAME, STATUS_PLAYING

CHUNK = 1024
_MATCHUPS = ((FOX, MARTH), (MARTH, FOX), (FOX, FOX), (MARTH, MARTH))


def generate(
    seeds: Iterable[int], n_frames: int, params: Params | None = None, processes: int = 1
) -> list[Replay]:
    """One scripted match per seed.

    A seed fixes characters, styles, start and every input, whatever other seeds are asked for.

    Parameters
    ----------
    seeds : iterable of int
        0..2**32-1.
    n_frames : int
        The longest that a replay gets; a match that is decided sooner is shorter.
    params : Params, optional
    processes : int
        Worker processes; each takes chunks of at most `CHUNK` seeds.

    Returns
    -------
    list of Replay
        In the order of ``seeds``; ``meta`` names the teacher, seed, styles and characters.
    """
    if n_frames < 1:
        raise ValueError(f"expected n_frames of at least 1 (got {n_frames})")
    params = params or Params()
    numbers = [int(seed) for seed in seeds]
    size = min(CHUNK, -(-len(numbers) // max(processes, 1))) or 1
    chunks = [numbers[i : i + size] for i in range(0, len(numbers), size)]
    if processes <= 1 or len(chunks) <= 1:
        return [replay for chunk in chunks for replay in _generate_chunk(chunk, n_frames, params)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        parts = pool.map(_generate_chunk, chunks, [n_frames] * len(chunks), [params] * len(chunks))
        return [replay for part in parts for replay in part]


def match_setup(seed: int) -> tuple[tuple[int, int], tuple[str, str]]:
    """Characters and styles of the match that a seed stands for."""
    characters = _MATCHUPS[int(hash32(seed, 1)) % len(_MATCHUPS)]
    first, second = (int(hash32(seed, salt)) % len(STYLE_NAMES) for salt in (2, 3))
    return characters, (STYLE_NAMES[first], STYLE_NAMES[second])


def scripted_matches(seeds: Sequence[int], params: Params) -> tuple[np.ndarray, ScriptedPlayers]:
    """Start frames, FRAME of shape (n,), and players of the matches that seeds stand for."""
    setups = [match_setup(seed) for seed in seeds]
    starts = np.zeros(len(seeds), FRAME)
    for i, (seed, setup) in enumerate(zip(seeds, setups, strict=True)):
        starts[i] = initial_frame(seed, None, setup[0], params)
    styles = np.array([[STYLE_NAMES.index(name) for name in setup[1]] for setup in setups]).T
    return starts, ScriptedPlayers(styles, np.array(seeds, np.uint32))


def _generate_chunk(seeds: list[int], n_frames: int, params: Params) -> list[Replay]:
    setups = [match_setup(seed) for seed in seeds]
    starts, players = scripted_matches(seeds, params)
    state = State.from_frames(starts)
    frames = np.zeros((n_frames, len(seeds)), FRAME)
    inputs = np.zeros((n_frames, len(seeds), 2), CONTROLLER)
    state.write(frames[0])
    lengths = np.full(len(seeds), n_frames)
    alive = np.arange(len(seeds))  # columns still playing; the rest is cut away now and then
    k = physics(params)
    for t in range(1, n_frames):
        pad = players.act(state)
        step(state, pad, k)
        _record(frames[t], inputs[t], alive, state, pad, t)
        over = state.status != STATUS_PLAYING
        if over.any():
            lengths[alive[over]] = t + 1
            keep = np.flatnonzero(~over)
            state, players, alive = state.take(keep), players.take(keep), alive[keep]
            if not len(alive):
                break
    return [
        Replay(
            _column(frames, n, i),
            _column(inputs, n, i),
            f"scuffle:{seed}",
            {"teacher": "scuffle", "seed": seed, "characters": list(setup[0]), "styles": list(setup[1])},
        )
        for i, (seed, setup, n) in enumerate(zip(seeds, setups, lengths, strict=True))
    ]


def _column(rows: np.ndarray, n: int, i: int) -> np.ndarray:
    """The first ``n`` rows of match ``i``; padding bytes are zero, which a plain copy does not promise."""
    column = np.zeros((n, *rows.shape[2:]), rows.dtype)
    column[...] = rows[:n, i]
    return column


def _record(
    frames: np.ndarray, inputs: np.ndarray, alive: np.ndarray, state: State, pad: Pad, t: int
) -> None:
    """One row of the recording; only the columns ``alive`` are written."""
    if len(alive) == len(frames):
        state.write(frames)
        pad.write(inputs)
        inputs["sequence"] = t
        return
    frames[alive] = state.to_frames()
    row = pad.to_inputs()
    row["sequence"] = t
    inputs[alive] = row
