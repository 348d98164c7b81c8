"""One core for the two threads that every transaction of the rollup passes through.

The validator's scheduler gives an executor one transaction at a time and waits for word that it has run: two
wake-ups between any two transactions. Of a thread on another core, which has gone to sleep meanwhile, one
takes 25 to 50 microseconds on a virtual machine; on the same core it is a switch. So while an executor is
busy the scheduler is kept where that runs. It must not interrupt it there: the executor looks at the rollup's
clock only when it finds no transaction waiting, and without a new slot the next frame is too early. As a
batch thread it does not.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

LOOK_SECONDS = 0.05
BUSY = 0.1  # of the time between two looks


class SharedCore:
    """Puts a validator's scheduler where its busiest executor is, from one `look` to the next.

    Neither thread has a name: they bear the program's. The executor is the one of these that runs longest,
    the scheduler the one of the others that runs most often.

    Parameters
    ----------
    pid : int
        The validator.

    Attributes
    ----------
    scheduler : int
        Id of the thread that was placed last, or 0.
    """

    def __init__(self, pid: int) -> None:
        self._tasks = Path(f"/proc/{pid}/task")
        self._main = str(pid)
        self._all = os.sched_getaffinity(0)
        self._before: dict[str, tuple[int, int]] = {}
        self.scheduler = 0

    def look(self, seconds: float = LOOK_SECONDS) -> None:
        """Place the scheduler by what has run in the ``seconds`` since the last look."""
        with contextlib.suppress(OSError, ValueError, IndexError):  # a thread, or the validator, is gone
            self._place(seconds)

    def _place(self, seconds: float) -> None:
        now = self._unnamed()
        ran = {t: (now[t][0] - was[0], now[t][1] - was[1]) for t, was in self._before.items() if t in now}
        self._before = now
        if len(ran) < 2:
            return
        executor = max(ran, key=lambda thread: ran[thread][0])
        if ran[executor][0] < BUSY * seconds * 1e9:
            self._release()
            return
        scheduler = int(max(ran.keys() - {executor}, key=lambda thread: ran[thread][1]))
        if scheduler != self.scheduler:
            self._release()
            os.sched_setscheduler(scheduler, os.SCHED_BATCH, os.sched_param(0))
            self.scheduler = scheduler
        os.sched_setaffinity(scheduler, {self._core(executor)})

    def _release(self) -> None:
        """Let the scheduler run anywhere: a core that others need may keep it waiting."""
        if self.scheduler:
            os.sched_setaffinity(self.scheduler, self._all)

    def _unnamed(self) -> dict[str, tuple[int, int]]:
        """Nanoseconds that each of these threads has run, and how often it was given a core."""
        program = (self._tasks / self._main / "comm").read_text()
        found = {}
        for thread in os.listdir(self._tasks):
            folder = self._tasks / thread
            if thread != self._main and (folder / "comm").read_text() == program:
                ran, _, times = (folder / "schedstat").read_text().split()
                found[thread] = int(ran), int(times)
        return found

    def _core(self, thread: str) -> int:
        """Where it runs, or ran last."""
        return int((self._tasks / thread / "stat").read_text().rpartition(")")[2].split()[36])
