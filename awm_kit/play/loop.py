"""A clock that calls a function 60 times a second from a thread of its own.

Deadlines are absolute, so that errors do not add up; after a stall the clock starts anew instead
of catching up, because a burst of frames is worse to watch than a pause.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Frames of a match per second.
FPS = 60

#: What is left of a refresh of the page when the message behind a picture reaches it: more would show keys
#: later, less would let pictures miss their refresh. And how fast the loop moves there.
SLACK, GAIN, MAX_SHIFT_MS = 0.42, 0.15, 0.7

#: Seconds after which a thread that computes lets another one run, while a loop ticks. A tick and its
#: picture wait for that several times: with Python's 5 ms a cell that computes leaves the game 20 pictures
#: a second.
SWITCH_SECONDS = 0.0005


class _QuickSwitches:
    """Has threads take turns quickly while any loop of the process runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loops, self._before = 0, 0.0

    def __enter__(self) -> None:
        with self._lock:
            self._loops += 1
            if self._loops == 1:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(self._before, SWITCH_SECONDS))

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._loops -= 1
            if self._loops == 0:
                sys.setswitchinterval(self._before)


_quick_switches = _QuickSwitches()


class Pacer:
    """When the next tick is due.

    Parameters
    ----------
    interval : float
        Seconds between ticks.
    start : float
        Time of the first tick, on the same clock as the ``now`` of `delay`.
    """

    def __init__(self, interval: float, start: float) -> None:
        self.interval = interval
        self.missed = 0
        self._due = start

    def shift(self, seconds: float) -> None:
        """Tick so much later from now on."""
        self._due += seconds

    def delay(self, now: float) -> float:
        """Seconds to sleep before the next tick; ticks that were slept through are dropped, not repeated."""
        self._due += self.interval
        if now > self._due:
            self.missed += int((now - self._due) / self.interval)
            # Up to one interval late, keep the old grid; beyond, tick now and start a new grid.
            if now - self._due > self.interval:
                self._due = now
        return max(self._due - now, 0.0)


@dataclass(frozen=True)
class LoopStats:
    """How well the loop keeps time, over the last few seconds.

    Attributes
    ----------
    ticks : int
        All ticks so far.
    fps : float
        Mean rate.
    interval_p99_ms, cost_ms : float
        99th percentile of the time between ticks; mean time that a tick takes.
    cpu_share : float
        Processor time of the loop's thread as a share of one core.
    missed : int
        Ticks that were dropped because the one before took too long.
    """

    ticks: int = 0
    fps: float = 0.0
    interval_p99_ms: float = 0.0
    cost_ms: float = 0.0
    cpu_share: float = 0.0
    missed: int = 0


class FrameLoop:
    """Calls ``tick`` at a fixed rate in a daemon thread until told to stop.

    An exception in ``tick`` stops the loop, is kept in `error` and given to ``on_error``.

    Parameters
    ----------
    tick : callable
    fps : float
        Rate; may be changed while running.
    on_error : callable, optional
        Called in the loop's thread, with the exception.
    """

    def __init__(
        self,
        tick: Callable[[], object],
        fps: float = FPS,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        self.tick, self.fps, self.on_error = tick, fps, on_error
        self.error: Exception | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._change = threading.Lock()
        self._ticks = self._missed = 0
        self._shift = 0.0
        self._marks: deque[tuple[float, float, float]] = deque(maxlen=600)

    @property
    def running(self) -> bool:
        """Whether the thread is ticking."""
        return self._thread is not None and self._thread.is_alive() and not self._stop.is_set()

    def start(self) -> None:
        """Start ticking; does nothing if it does already."""
        with self._change:
            if self.running:
                return
            self.error = None
            self._stop = threading.Event()
            self._marks.clear()
            self._thread = threading.Thread(
                target=self._run, args=(self._stop,), name="awm-frame-loop", daemon=True
            )
            self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Stop ticking and wait for the tick under way; safe to call from ``tick`` itself."""
        with self._change:
            self._stop.set()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def follow(self, slack_ms: float, refresh_ms: float) -> None:
        """Shift the ticks until pictures reach the page about halfway between two of its refreshes.

        There, lateness and earliness of nearly half a refresh do no harm; where they arrive just as the
        page refreshes, some refreshes would show nothing new and others lose a picture.

        Parameters
        ----------
        slack_ms, refresh_ms : float
            How long before a refresh a picture was there, and the time between refreshes. Pages that
            refresh at another rate than the loop's have no such point, and are ignored.
        """
        interval = 1e3 / self.fps
        if abs(refresh_ms - interval) > 1.0 or abs(slack_ms) > 2 * interval:
            return
        error = (slack_ms - SLACK * interval + interval / 2) % interval - interval / 2
        self._shift = min(max(GAIN * error, -MAX_SHIFT_MS), MAX_SHIFT_MS) / 1e3

    def stats(self) -> LoopStats:
        """Timing of the last ten seconds."""
        marks = np.array(self._marks)
        if len(marks) < 2:
            return LoopStats(ticks=self._ticks, missed=self._missed)
        span = marks[-1, 0] - marks[0, 0]
        return LoopStats(
            ticks=self._ticks,
            fps=float((len(marks) - 1) / span),
            interval_p99_ms=float(np.percentile(np.diff(marks[:, 0]), 99)) * 1e3,
            cost_ms=float(marks[:, 1].mean()) * 1e3,
            cpu_share=float((marks[-1, 2] - marks[0, 2]) / span),
            missed=self._missed,
        )

    def _run(self, stop: threading.Event) -> None:
        with _quick_switches:
            self._tick_until(stop)

    def _tick_until(self, stop: threading.Event) -> None:
        pacer = Pacer(1.0 / self.fps, time.perf_counter())
        while not stop.is_set():
            begun = time.perf_counter()
            try:
                self.tick()
            except Exception as error:
                stop.set()
                self.error = error
                if self.on_error is not None:
                    self.on_error(error)
                return
            ended = time.perf_counter()
            self._ticks += 1
            self._marks.append((begun, ended - begun, time.thread_time()))
            pacer.interval = 1.0 / self.fps
            pacer.shift(self._shift)
            self._shift = 0.0
            stop.wait(pacer.delay(ended))
            self._missed = pacer.missed
