"""Who has the last word when a page computes frames ahead: checks what it sends and steps the real match.

The page (`web/instant.js`) runs the same kernel and shows a frame in the picture after a key. What it
computed counts for nothing here: it sends only controllers, and every frame that it is told is one that
the match's engine, native or on chain, has computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from awm_kit.chain.session import ChainSession
from awm_kit.errors import InputBatchError
from awm_kit.play.engine import Engine
from awm_kit.play.loop import FPS
from awm_kit.play.match import Match
from awm_kit.schema import CONTROLLER, N_PLAYERS

#: What a batch begins with; the controllers of ``count`` frames follow. instant.js writes the same.
BATCH = np.dtype([("client", "<u4"), ("epoch", "<u4"), ("first", "<u4"), ("count", "<u4")])
_PADS = np.dtype((CONTROLLER, N_PLAYERS))
#: Frames in one batch. A page that draws computes one to four at a time.
MAX_BATCH = 8
#: Frames a page may be ahead of the clock: what a slow connection holds back and then delivers at once.
MAX_BURST = 60
# Two clocks never agree quite.
_RATE = FPS * 1.02
#: So often pages are told a hash of everything, hidden state included.
HASH_EVERY = 60


@dataclass(frozen=True)
class Ruling:
    """What happened: the answer to a batch.

    Attributes
    ----------
    first : int
        Number of the first frame; the start frame is 0.
    records : bytes
        For each frame the 24 bytes of both controllers and the 80 bytes of the frame.
    state_hash : str
        Of the last frame and its hidden state, hex; now and then, else empty.
    margin : int or None
        How many frames too early the page's controllers come, in a match that does not wait for them.
    """

    first: int
    records: bytes
    state_hash: str = ""
    margin: int | None = None


class Judge(Protocol):
    """Who knows what is true of a match that a page computes ahead.

    Attributes
    ----------
    people : tuple of int
        Players who sit at the page.
    epoch : int
        Batches must name it: it tells this beginning from those before.
    live : bool
        Whether the match goes on without the page.
    """

    people: tuple[int, ...]
    epoch: int
    live: bool

    def standing(self) -> tuple[int, bytes, bytes]:
        """Where the match stands: number of frames, frame record, hidden state."""
        ...

    def judge(self, message: bytes) -> Ruling | None:
        """Take a batch; `InputBatchError` if it may not be. The answer, unless it comes later."""
        ...


class Referee:
    """Steps a match with the controllers that one page sends, if it may send them.

    Parameters
    ----------
    match : Match
        The controllers of ``people`` are replaced by the page's; the others stay.
    people : sequence of int
        Players who sit at the page.
    epoch : int
        As a `Judge`'s.
    clock : callable
        Seconds; for tests.
    """

    live = False

    def __init__(
        self, match: Match, people: Sequence[int], epoch: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.match, self.people, self.epoch, self._clock = match, tuple(people), epoch, clock
        self._held = np.zeros(N_PLAYERS, CONTROLLER)
        self._budget, self._counted = float(MAX_BURST), clock()
        for player in self.people:
            match.controllers[player] = self._reader(player)

    def standing(self) -> tuple[int, bytes, bytes]:
        """Where the match stands: number of frames, frame record, hidden state."""
        return self.match.n_frames, self.match.frame.tobytes(), hidden_state(self.match.engine)

    def judge(self, message: bytes) -> Ruling:
        """Check a batch and play it.

        Raises
        ------
        InputBatchError
            If it is malformed, of another beginning, does not go on where the match stands, counts its
            frames wrongly, or comes faster than time passes. Nothing of it has been played then.
        """
        pads = self._check(message)
        first, records = self.match.n_frames + 1, bytearray()
        for inputs in pads:
            if self.match.over:
                break
            self._held = inputs
            frame = self.match.step()
            records += self.match.last_inputs.tobytes() + frame.tobytes()
        due = any((first + i) % HASH_EVERY == 0 for i in range(len(pads)))
        return Ruling(first, bytes(records), self.match.engine.state_hash() if due else "")

    def _check(self, message: bytes) -> np.ndarray:
        """The controllers of a batch, shape (count, 2)."""
        first, pads = read_batch(message, self.epoch)
        if first != self.match.n_frames + 1:
            raise InputBatchError(f"expected frame {self.match.n_frames + 1} next (got {first})")
        self._spend(len(pads))
        return pads

    def _spend(self, frames: int) -> None:
        now = self._clock()
        self._budget = min(self._budget + (now - self._counted) * _RATE, MAX_BURST)
        self._counted = now
        if frames > self._budget:
            raise InputBatchError(f"expected {FPS} frames a second (got {frames} more than time has passed)")
        self._budget -= frames

    def _reader(self, player: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda frame: self._held[player]


def read_batch(message: bytes, epoch: int) -> tuple[int, np.ndarray]:
    """The number of a batch's first frame, and the controllers, ndarray of CONTROLLER, shape (count, 2).

    Raises
    ------
    InputBatchError
        If it is malformed, too long, or of another beginning than ``epoch``.
    """
    body = len(message) - BATCH.itemsize
    if body <= 0 or body % _PADS.itemsize:
        raise InputBatchError(f"expected controllers after {BATCH.itemsize} bytes (got {body} bytes)")
    header = np.frombuffer(message, BATCH, 1)[0]
    pads = np.frombuffer(message, CONTROLLER, offset=BATCH.itemsize).reshape(-1, N_PLAYERS)
    if int(header["count"]) != len(pads) or len(pads) > MAX_BATCH:
        raise InputBatchError(f"expected {header['count']} frames, at most {MAX_BATCH} (got {len(pads)})")
    if int(header["epoch"]) != epoch:
        raise InputBatchError(f"expected beginning {epoch} (got {header['epoch']})")
    numbers = int(header["first"]) + np.arange(len(pads))
    if (pads["sequence"] != numbers[:, None]).any():
        raise InputBatchError(f"expected controllers of frames {numbers[0]} to {numbers[-1]}")
    return int(header["first"]), pads


def hidden_state(engine: Engine) -> bytes:
    """The recurrent state of the match on an engine, as a page's kernel takes it.

    Raises
    ------
    ValueError
        If the engine plays no world and so has none, as the teacher.
    """
    if isinstance(engine, ChainSession):
        return engine.hidden_state().tobytes()
    state = getattr(engine, "state", None)
    if not isinstance(state, np.ndarray):
        raise ValueError(f"expected an engine that plays a world (got {engine!r})")
    return state.tobytes()
