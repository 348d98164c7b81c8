"""The same inputs somewhere else: what a world, or the teacher, makes of a recording's controllers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from awm_kit.data.replay import Replay, without_padding
from awm_kit.data.scuffle import Params, Scuffle
from awm_kit.kernel import NativeWorld
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import FRAME, STATUS_PLAYING

#: What can compute the next frame of a recording: a world, or the teacher under given physics.
Physics = Cartridge | Params


def rerun(physics: Physics, replay: Replay, start: int = 0, renew: int = 0) -> np.ndarray:
    """Frames that a recording's inputs lead to under other physics.

    Up to ``start`` they are the recording's, and a world's memory is filled with them; from there on
    every frame follows from the one computed before it.

    Parameters
    ----------
    physics : Cartridge or Params
        A world, or the teacher's constants.
    replay : Replay
    start : int
        The last frame that is taken from the recording.
    renew : int
        Go back to the recording's frame every so many frames after ``start``; 0 is never.

    Returns
    -------
    ndarray, shape (T,), of the recording's dtype
        As long as the recording; a match that is over stays on its last frame.

    Raises
    ------
    ValueError
        If ``start`` is no frame of the recording, or ``renew`` is negative.
    KernelError
        If the kernel refuses the world.
    """
    if not 0 <= start < len(replay):
        raise ValueError(f"expected a start of 0..{len(replay) - 1} (got {start})")
    if renew < 0:
        raise ValueError(f"expected renew of at least 0 (got {renew})")
    frames = without_padding(replay.frames)
    runner: Callable[[Replay, int, int], np.ndarray] = (
        _World(physics).run if isinstance(physics, Cartridge) else _Teacher(physics).run
    )
    last = len(frames) - 1
    for begin in range(start, last, renew or last + 1):
        end = min(begin + renew, last) if renew else last
        frames[begin + 1 : end + 1] = runner(replay, begin, end)
    return frames


class _World:
    """Fills its memory with a recording as far as it is asked for, then runs free from a copy of it."""

    def __init__(self, cartridge: Cartridge) -> None:
        self.world = NativeWorld(cartridge)
        self.memory, self.seen = self.world.initial_state(), 0

    def run(self, replay: Replay, begin: int, end: int) -> np.ndarray:
        for t in range(self.seen, begin):
            self.world.step(self.memory, replay.frames[t], replay.inputs[t + 1])
        self.seen = begin
        state = self.memory.copy()
        frame, out = replay.frames[begin], np.zeros(end - begin, replay.frames.dtype)
        for t in range(begin, end):
            if t == begin or frame["status"] == STATUS_PLAYING:
                frame = self.world.step(state, frame, replay.inputs[t + 1])
            out[t - begin] = np.asarray(frame).view(out.dtype)
        return out


class _Teacher:
    """The game that taught: it has no memory but the buttons held before."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def run(self, replay: Replay, begin: int, end: int) -> np.ndarray:
        game = Scuffle.from_frames(replay.frames[begin], self.params, replay.inputs[begin])
        out = np.zeros(end - begin, FRAME)
        for t in range(begin, end):
            out[t - begin] = game.step(replay.inputs[t + 1 : t + 2])[0]
        return out
