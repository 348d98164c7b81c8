"""Scuffle as a game: many matches at once, one frame per step."""

from __future__ import annotations

from typing import Any

import numpy as np

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle.actions import Act
from awm_kit.data.scuffle.params import FOX, MARTH, SHIELD_ONE, SPEED_ONE, Params, physics
from awm_kit.data.scuffle.state import Pad, State
from awm_kit.data.scuffle.step import step
from awm_kit.schema import CONTROLLER, FRAME, STATUS_PLAYING


def initial_frame(
    seed: int = 0,
    stage: int | None = None,
    characters: tuple[int, int] = (FOX, MARTH),
    params: Params | None = None,
) -> np.ndarray:
    """The frame that a match starts from.

    Both characters stand on the main floor on opposite sides, facing each other; the seed chooses
    how far from the middle, and who is on the left.

    Parameters
    ----------
    seed : int
        0..2**32-1; also recorded in the frame.
    stage : int, optional
        A key of `stage.STAGES`; by default the one of ``params``.
    characters : tuple of int
        Melee internal character ids.
    params : Params, optional

    Returns
    -------
    ndarray of `schema.FRAME`, shape ()
    """
    params = params or Params()
    frame = np.zeros((), FRAME)
    frame["stage"] = params.stage if stage is None else stage
    frame["status"] = STATUS_PLAYING
    frame["time_limit"] = params.time_limit
    frame["seed"] = seed
    players = frame["players"]
    distance = 24 + 4 * (seed % 8)
    side = -1 if (seed >> 3) % 2 == 0 else 1
    for i, sign in enumerate((side, -side)):
        players["x"][i] = sign * distance * SPEED_ONE
        players["facing"][i] = -sign
        players["character"][i] = characters[i]
    players["shield"] = 60 * SHIELD_ONE
    players["stocks"] = params.stocks
    players["action_state"] = Act.WAIT
    players["on_ground"] = 1
    players["jumps_left"] = 2
    return frame


class Scuffle:
    """N independent matches.

    Parameters
    ----------
    n_matches : int
    params : Params
        The physics.
    seed : int
        Match i starts from ``initial_frame(seed + i)``.

    Attributes
    ----------
    frames : ndarray of `schema.FRAME`, shape (N,)
        The current frames.
    """

    def __init__(self, n_matches: int, params: Params | None = None, seed: int = 0) -> None:
        if n_matches < 1:
            raise ValueError(f"expected at least one match (got {n_matches})")
        self.params = params or Params()
        self.n_matches = n_matches
        self.reset(seed)

    @classmethod
    def from_frames(
        cls, frames: np.ndarray, params: Params | None = None, held: np.ndarray | None = None
    ) -> Scuffle:
        """Matches that continue from visible frames.

        Parameters
        ----------
        frames : ndarray of `schema.FRAME`, shape (N,) or ()
        params : Params, optional
        held : ndarray of `schema.CONTROLLER`, shape (N, 2), optional
            The controllers that led to those frames: the only state that a frame does not show (a
            button held since then is no new press). Neutral by default.
        """
        frames = np.atleast_1d(frames)
        game = cls(len(frames), params)
        game._state = State.from_frames(frames, None if held is None else held.reshape(len(frames), 2))
        return game

    def reset(self, seed: int = 0, characters: tuple[int, int] = (FOX, MARTH)) -> np.ndarray:
        """Start all matches anew; returns `frames`."""
        start = [
            initial_frame(seed + i, characters=characters, params=self.params) for i in range(self.n_matches)
        ]
        self._state = State.from_frames(np.stack(start))
        return self.frames

    @property
    def frames(self) -> np.ndarray:
        """The current frames, shape (N,), a copy."""
        return self._state.to_frames()

    def step(self, inputs: np.ndarray) -> np.ndarray:
        """Advance one frame; matches that are over stay as they are.

        Parameters
        ----------
        inputs : ndarray of `schema.CONTROLLER`, shape (N, 2)

        Returns
        -------
        ndarray of `schema.FRAME`, shape (N,)
        """
        if inputs.shape != (self.n_matches, 2):
            raise ValueError(f"expected inputs of shape {(self.n_matches, 2)} (got {inputs.shape})")
        step(self._state, Pad.from_inputs(inputs), physics(self.params))
        return self.frames


def play(
    params: Params, inputs: np.ndarray, start_frame: np.ndarray, held: np.ndarray | None = None
) -> Replay:
    """What the teacher does under given inputs.

    Parameters
    ----------
    params : Params
    inputs : ndarray of `schema.CONTROLLER`, shape (T, 2)
        ``inputs[t]`` leads to frame t; ``inputs[0]`` is unused.
    start_frame : ndarray of `schema.FRAME`, shape ()
    held : ndarray of `schema.CONTROLLER`, shape (2,), optional
        See `Scuffle.from_frames`.

    Returns
    -------
    Replay
        T frames, fewer if the match is decided before.
    """
    game = Scuffle.from_frames(start_frame, params, held)
    frames = np.zeros(len(inputs), FRAME)
    frames[0] = start_frame
    n = 1
    while n < len(inputs) and frames[n - 1]["status"] == STATUS_PLAYING:
        frames[n] = game.step(inputs[n : n + 1])[0]
        n += 1
    meta: dict[str, Any] = {"teacher": "scuffle"}
    kept = np.asarray(inputs[:n], CONTROLLER).copy()
    return Replay(frames[:n], kept, "scuffle", meta)
