"""A match of two processes with a wallet each, played by scripts in real time and settled.

The host runs the frames at the game's pace; the guest needs the match's ID only. Each sends what changed in
its own controller, and sees what the ledger tells.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import (
    FORFEIT_FRAMES,
    HIDDEN_HEADER,
    INPUT_BUFFER,
    EndReason,
    Phase,
    parse,
)
from awm_kit.chain.replays import publish_replay
from awm_kit.chain.results import MatchResult, read_result
from awm_kit.chain.rollup import settle_match
from awm_kit.errors import LedgerError
from awm_kit.play.controllers import Controller
from awm_kit.play.seat import Seat, is_over
from awm_kit.schema import CONTROLLER, N_PLAYERS

FRAMES_A_SECOND = 60
#: A match may be hosted long before somebody comes.
PATIENCE_SECONDS = 600.0
#: The program lets a guest end a match without its crank after a minute; clocks differ a little.
ABANDONED_SECONDS = 65.0


@dataclass
class Rhythm:
    """When a player saw which frame: what playing felt like."""

    numbers: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def saw(self, frame: np.ndarray) -> None:
        """Note that a frame was seen now."""
        self.numbers.append(int(frame["frame"]))
        self.times.append(time.perf_counter())

    def report(self) -> dict[str, Any]:
        """The last frame's number, seconds, frames a second, intervals in ms, and frames that were skipped.

        A frame is skipped when a later one came before it was looked at.
        """
        gaps = np.diff(self.times)
        seconds = float(gaps.sum())
        numbers = np.array(self.numbers)
        return {
            "frames": self.numbers[-1] if self.numbers else 0,
            "seconds": round(seconds, 2),
            "fps": round(int(numbers[-1] - numbers[0]) / seconds, 2) if seconds else 0.0,
            "interval_p50_ms": round(float(np.percentile(gaps, 50)) * 1e3, 2) if len(gaps) else 0.0,
            "interval_p99_ms": round(float(np.percentile(gaps, 99)) * 1e3, 2) if len(gaps) else 0.0,
            "skipped": int((np.diff(numbers) - 1).sum()),
        }


def play_seat(seat: Seat, controller: Controller, frames: int | None = None) -> Rhythm:
    """Play a seat's part, from before both are ready to the match's end.

    A guest who has vanished loses; without its host a match ends as a draw.

    Parameters
    ----------
    seat : Seat
        Of the host, who waits for a guest first, or of a guest.
    controller : callable
        Gets the newest frame, returns what the seat's player presses.
    frames : int, optional
        For the host: stop after so many; by default when the match is decided.

    Raises
    ------
    LedgerError
        Nobody joined within ten minutes.
    """
    if seat.player is None:
        raise ValueError("a spectator has nothing to play")
    if seat.player == 0:
        seat.session.wait(Phase.JOINED, PATIENCE_SECONDS)
    seat.ready()
    seat.session.wait(Phase.ACTIVE, PATIENCE_SECONDS)
    rhythm = Rhythm()
    if seat.session.crank is None:
        _follow(seat, controller, rhythm)
    else:
        _lead(seat, controller, frames, rhythm)
    return rhythm


def finish_seat(seat: Seat, *, publish: bool) -> MatchResult:
    """See a match to its end on the ledger; ``publish`` puts its replay there too, at this seat's cost.

    A guest whose host has vanished brings the match home; its accounts stay until the host closes them.

    Raises
    ------
    LedgerError
        There is no result, or its inputs could not be read before the match was closed.
    """
    result = _rescue(seat) if _is_abandoned(seat) else seat.finish()
    if publish:
        if seat.record is None:
            raise LedgerError(f"the inputs of match {seat.key} were gone before they were read")
        publish_replay(seat.place.ledger, seat.record, seat.key, seat.wallet, progress=False)
    return result


def _lead(seat: Seat, controller: Controller, frames: int | None, rhythm: Rhythm) -> None:
    session, due = seat.session, time.perf_counter()
    frame, guest = session.frame, _Pulse(seat, 1)
    while not is_over(frame) and (frames is None or session.begun < frames):
        due = max(due + 1 / FRAMES_A_SECOND, time.perf_counter() - 1.0)  # catches up after a short stall only
        time.sleep(max(0.0, due - time.perf_counter()))
        newest = session.hasten(_inputs(seat, controller, frame))
        if int(newest["frame"]) == int(frame["frame"]):
            continue
        frame = newest
        rhythm.saw(frame)
        if int(frame["frame"]) % FRAMES_A_SECOND == 0 and guest.silent(int(frame["frame"])):
            session.finish()
            seat.claim()
            return
    last = session.finish()
    if int(last["frame"]) > int(frame["frame"]):
        rhythm.saw(last)


def _follow(seat: Seat, controller: Controller, rhythm: Rhythm) -> None:
    frame, heard = seat.session.frame, time.monotonic()
    while not is_over(frame):
        try:
            newest = seat.step(_inputs(seat, controller, frame))
        except LedgerError:
            if _has_ended(seat):
                return
            raise
        if int(newest["frame"]) > int(frame["frame"]):
            rhythm.saw(newest)
            heard = time.monotonic()
        elif _has_ended(seat):
            return
        elif time.monotonic() - heard > ABANDONED_SECONDS:
            seat.claim()
            return
        frame = newest


class _Pulse:
    """Whether a player still sends inputs, from the smallest account of a match."""

    def __init__(self, seat: Seat, player: int) -> None:
        self._seat, self._player = seat, player
        self._sequence = self._heard = 0

    def silent(self, frame: int) -> bool:
        """Whether the player may be taken for gone at this frame."""
        found = self._seat.place.arena.account(self._seat.session.keys.input)
        if found:
            sequence = int(parse(found.data, INPUT_BUFFER)["controllers"][self._player]["sequence"])
            if sequence != self._sequence:
                self._sequence, self._heard = sequence, frame
        # Counted from the last look, so that the program, which counts each frame, agrees.
        return frame - self._heard > FORFEIT_FRAMES + FRAMES_A_SECOND


def _is_abandoned(seat: Seat) -> bool:
    hidden = seat.place.arena.account(seat.session.keys.hidden)
    return hidden is not None and parse(hidden.data, HIDDEN_HEADER)["reason"] == EndReason.ABANDONED


def _rescue(seat: Seat) -> MatchResult:
    """Bring a match home without its host."""
    place, session = seat.place, seat.session
    seat.keep_record()
    if place.rollup:
        settle_match(place.rollup, place.ledger, session.keys, session.players[1])
    if not seat.has_result():
        program = place.ledger.program_id
        order = ix.record_result(session.keys, seat.wallet.pubkey(), session.world, program_id=program)
        place.ledger.send([order], seat.wallet, label="record result")
    return read_result(place.ledger, seat.key)


def _has_ended(seat: Seat) -> bool:
    try:
        return seat.session.phase == Phase.ENDED
    except LedgerError:
        return seat.has_result()  # closed by the host, who was faster


def _inputs(seat: Seat, controller: Controller, frame: np.ndarray) -> np.ndarray:
    inputs = np.zeros(N_PLAYERS, CONTROLLER)
    inputs[seat.player or 0] = controller(frame)
    return inputs
