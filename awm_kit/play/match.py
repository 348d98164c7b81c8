"""A match: an engine, two controllers, and a recording of everything that was pressed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from awm_kit.chain.match_record import MatchRecord
from awm_kit.chain.resimulation import record_match
from awm_kit.data.replay import Replay
from awm_kit.play.controllers import Controller
from awm_kit.play.engine import Engine, name_of
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import CONTROLLER, FRAME, N_PLAYERS, STATUS_PLAYING


class Match:
    """Steps an engine with what two controllers press, and remembers it.

    Parameters
    ----------
    engine : Engine
    controllers : sequence of two callables
        Each is given the current frame and returns its player's `CONTROLLER`.
    on_frame : sequence of callables
        Called with every new frame, in the thread that steps.
    """

    def __init__(
        self,
        engine: Engine,
        controllers: Sequence[Controller],
        on_frame: Sequence[Callable[[np.ndarray], object]] = (),
    ) -> None:
        if len(controllers) != N_PLAYERS:
            raise ValueError(f"expected {N_PLAYERS} controllers (got {len(controllers)})")
        self.engine = engine
        self.controllers = list(controllers)
        self.on_frame = list(on_frame)
        self._lock = threading.Lock()
        self._frames = [engine.frame]
        self._inputs = [np.zeros(N_PLAYERS, CONTROLLER)]

    def __repr__(self) -> str:
        return f"<Match on {name_of(self.engine)}, {self.n_frames} frames>"

    @property
    def frame(self) -> np.ndarray:
        """The current frame."""
        return self._frames[-1]

    @property
    def n_frames(self) -> int:
        """Frames computed so far; the start frame does not count."""
        return len(self._frames) - 1

    @property
    def last_inputs(self) -> np.ndarray:
        """Both controllers that led to the current frame, shape (2,) of `CONTROLLER`."""
        return self._inputs[-1]

    @property
    def over(self) -> bool:
        """Whether the match is decided."""
        return int(self.frame["status"]) != STATUS_PLAYING

    def step(self) -> np.ndarray:
        """Compute one frame, unless the match is over; returns the current frame."""
        if self.over:
            return self.frame
        inputs = np.zeros(N_PLAYERS, CONTROLLER)
        for player, controller in enumerate(self.controllers):
            inputs[player] = controller(self.frame)
        # The program wants every player's counter to rise; the frame number does.
        inputs["sequence"] = self.n_frames + 1
        frame = self.engine.step(inputs)
        with self._lock:
            self._frames.append(frame)
            self._inputs.append(inputs)
        for callback in self.on_frame:
            callback(frame)
        return frame

    def run_headless(self, n_frames: int) -> Replay:
        """Compute up to ``n_frames`` frames as fast as possible, fewer if the match ends.

        Returns
        -------
        Replay
            Everything so far, see `replay`.
        """
        for _ in range(n_frames):
            if self.over:
                break
            self.step()
        return self.replay()

    def replay(self) -> Replay:
        """What was played so far; ``inputs[t]`` led to ``frames[t]``, which starts with the start frame."""
        with self._lock:
            # Joined as bytes: np.stack would drop the padding from the dtype.
            frames = bytearray().join(frame.tobytes() for frame in self._frames)
            inputs = bytearray().join(pair.tobytes() for pair in self._inputs)
        pads = np.frombuffer(inputs, CONTROLLER).reshape(-1, N_PLAYERS)
        return Replay(np.frombuffer(frames, FRAME), pads, source=name_of(self.engine))

    def record(self, cartridge: Cartridge, **meta: Any) -> MatchRecord:
        """The match as inputs and hashes: what is saved, shared and verified.

        Parameters
        ----------
        cartridge : Cartridge
            The world it was played in; the inputs are re-simulated to find the hashes.
        **meta
            JSON-able facts to keep with it.
        """
        replay = self.replay()
        facts = {"engine": replay.source, **meta}
        return record_match(cartridge, replay.frames[0, ...], replay.inputs[1:], meta=facts)
