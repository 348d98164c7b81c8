"""Between a page that is ahead and a match that goes on elsewhere: keys go there, frames come back.

The match does not wait for the page, as it does for a `Referee`'s. So the page must be as far ahead as its
keys take to get there: each ruling tells it by how many frames they were too early, and its clock follows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from awm_kit.chain.witness import Witness
from awm_kit.errors import InputBatchError
from awm_kit.play.instant import HASH_EVERY, Ruling, read_batch
from awm_kit.schema import CONTROLLER, N_PLAYERS

#: A page this far ahead of the match is mistaken about where it stands.
MAX_AHEAD = 60
#: A page from which nothing came for so long has let go of everything: its tab is hidden, or gone.
HELD_SECONDS = 0.5
_EASE = 0.1


class Relay:
    """Carries controllers from a page to a match, and frames back.

    Parameters
    ----------
    witness : Witness
        Sees the match.
    people : sequence of int
        Players who sit at the page.
    clock : callable
        Seconds; for tests.

    Attributes
    ----------
    epoch : int
        As a `Referee`'s.
    live : bool
        Whether the match goes on without the page: here, yes.
    """

    live = True

    def __init__(
        self, witness: Witness, people: Sequence[int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.witness, self.people, self.epoch, self._clock = witness, tuple(people), 0, clock
        self._lock = threading.Lock()
        self._coming: dict[int, np.ndarray] = {}
        self._held = np.zeros(N_PLAYERS, CONTROLLER)
        self._newest, self._heard = witness.number, clock()
        # At which frame something was sent first, and what was sent last.
        self._sent: dict[bytes, int] = {}
        self._last = self._own(self._held)
        self._latency = 0.0

    @property
    def delay(self) -> int:
        """Frames that begin between a frame's being seen here and the arrival of what is sent then."""
        return round(self._latency)

    def standing(self) -> tuple[int, bytes, bytes]:
        """Where the match stands: number of frames, frame record, recurrent state."""
        with self._lock:
            self._coming.clear()
            self._newest = self.witness.number
        return self.witness.number, self.witness.frame.tobytes(), self.witness.state

    def judge(self, message: bytes) -> None:
        """Keep a batch of controllers until their frames are due.

        Raises
        ------
        InputBatchError
            If it is malformed, of another beginning, of frames that came before, or too far ahead.
        """
        first, pads = read_batch(message, self.epoch)
        last, most = first + len(pads) - 1, self.witness.number + MAX_AHEAD
        with self._lock:
            if first <= self._newest or last > most:
                raise InputBatchError(
                    f"expected frames of {self._newest + 1} to {most} (got {first} to {last})"
                )
            self._coming.update(enumerate(pads, first))
            self._newest, self._heard = last, self._clock()

    def press(self) -> np.ndarray:
        """What the page pressed for the frame that is reached by what is sent now.

        Returns
        -------
        ndarray of CONTROLLER, shape (2,)
            Of players who do not sit at the page, whatever it guessed.
        """
        due = self._due
        with self._lock:
            for number in sorted(number for number in self._coming if number <= due):
                self._held = self._coming.pop(number)
            if self._clock() - self._heard > HELD_SECONDS:
                self._held = np.zeros(N_PLAYERS, CONTROLLER)
        if (pressed := self._own(self._held)) != self._last:
            self._last, self._sent[pressed] = pressed, self.witness.number
        return self._held

    def news(self) -> Ruling | None:
        """What has become of the match since the last time; None if nothing has.

        Raises
        ------
        LedgerError, VerificationError
            As `awm_kit.chain.witness.Witness.look`.
        """
        before = self.witness.inputs
        guess = before.copy()
        guess[list(self.people)] = self._held[list(self.people)]
        steps = self.witness.look([guess])
        if not steps:
            return None
        records, first = bytearray(), int(steps[0][1]["frame"])
        for number, (inputs, frame) in enumerate(steps, first):
            records += inputs.tobytes() + frame.tobytes()
            self._learn(self._own(before), self._own(inputs), number)
            before = inputs
        due = any(number % HASH_EVERY == 0 for number in range(first, first + len(steps)))
        margin = self._newest - self._due
        return Ruling(first, bytes(records), self.witness.state_hash() if due else "", margin)

    @property
    def _due(self) -> int:
        return self.witness.number + 1 + self.delay

    def _learn(self, before: bytes, now: bytes, number: int) -> None:
        """Note how late something reached the match that was sent when another frame was the newest."""
        seen = None if before == now else self._sent.pop(now, None)
        if seen is None:
            return
        late = min(max(number - seen - 1, 0), MAX_AHEAD // 2)
        self._latency += _EASE * (late - self._latency)

    def _own(self, inputs: np.ndarray) -> bytes:
        """What acts on the game of this page's controllers."""
        return b"".join(inputs[player].tobytes()[:8] for player in self.people)
