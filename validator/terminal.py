"""Run a command in a terminal of its own: MagicBlock's validator draws on one and ends at once without.

    python -m validator.terminal [--while-stdin] LOG COMMAND...

Passes SIGTERM on. With ``--while-stdin`` the command also ends when standard input does, so that it never
outlives who holds the other end. LOG keeps the last part of what was drawn. On Linux its scheduler is kept
beside its executor (`shared_core`).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from typing import IO

from validator.shared_core import LOOK_SECONDS, SharedCore

LOG_BYTES = 1 << 20
PATIENCE_SECONDS = 5
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the command to its end; returns its exit code."""
    arguments = sys.argv[1:]
    watched = [0] if arguments[0] == "--while-stdin" else []
    path, *command = arguments[len(watched) :]
    pid, screen = pty.fork()
    if pid == 0:
        _die_with_parent()
        os.execvp(command[0], command)
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    signal.signal(signal.SIGTERM, lambda *_: _end(pid))
    core, looked = SharedCore(pid), time.monotonic()
    with open(path, "wb", buffering=0) as log:
        while True:
            if (passed := time.monotonic() - looked) >= LOOK_SECONDS:
                core.look(passed)
                looked += passed
            for source in select.select([screen, *watched], [], [], LOOK_SECONDS)[0]:
                if source == screen and not _copy(screen, log):
                    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                if source != screen and not os.read(source, 4096):
                    watched = []
                    _end(pid)


def _die_with_parent() -> None:
    """Linux: be killed when this program is, even by SIGKILL; elsewhere the terminal's hang-up must do."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _copy(screen: int, log: IO[bytes]) -> bool:
    """Append to the log what was drawn; False when the terminal has closed."""
    try:
        drawn = os.read(screen, 1 << 16)
    except OSError:  # Linux: EIO when the last process has left the terminal
        return False
    if log.tell() > LOG_BYTES:
        log.seek(0)
        log.truncate()
    log.write(drawn)
    return bool(drawn)


def _end(pid: int) -> None:
    """SIGTERM now, SIGKILL if that has not done after a while."""
    signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
    signal.alarm(PATIENCE_SECONDS)
    os.kill(pid, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
