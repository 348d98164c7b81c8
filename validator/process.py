"""Servers as processes: started, known again by id and start time, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """A process by id and start time: an id alone may have been given to another one since."""

    name: str
    pid: int
    started: str
    command: Sequence[str] = ()

    @classmethod
    def of(cls, name: str, pid: int, command: Sequence[str] = ()) -> Process:
        return cls(name, pid, start_time(pid), tuple(command))

    @property
    def alive(self) -> bool:
        return bool(self.started) and start_time(self.pid) == self.started

    def stop(self) -> None:
        """SIGTERM, then SIGKILL."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            give_up = time.monotonic() + STOP_SECONDS
            with contextlib.suppress(ProcessLookupError):
                if self.alive:
                    os.kill(self.pid, number)
            while self.alive and time.monotonic() < give_up:
                time.sleep(0.05)
        if child := _CHILDREN.pop(self.pid, None):
            child.communicate()


def spawn(name: str, command: Sequence[str], folder: Path, tied: bool) -> Process:
    """Start a server in a session of its own, its log in the folder; if tied, it ends with this process."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm", "RUST_LOG": "info"}
    with open(folder / f"{name}.log", "ab") as log:
        child = subprocess.Popen(
            command,
            # Nobody ever writes: a tied server ends when this process does, and the pipe with it.
            stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    _CHILDREN[child.pid] = child
    return Process.of(name, child.pid, command)


# Popen objects close their pipe when collected, which would end a tied server.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


def start_time(pid: int) -> str:
    """When a process started, in a form to compare; empty if there is none (or only its corpse)."""
    if not Path("/proc/self/stat").exists():
        ps = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
