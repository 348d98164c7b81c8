"""Real Melee games: Project Slippi's ``.slp`` files, read by peppi-py in a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from awm_kit import errors
from awm_kit.data.replay import Replay

PACKAGE_ROOT = str(Path(errors.__file__).parents[1])
READABLE_VERSIONS = "2.x (without speeds: they are derived) and 3.7 or newer"

# The file opens with UBJSON's {"raw": [bytes, then a big-endian length, then Slippi's events.
_MAGIC = b"{U\x03raw[$U#l"
_EVENTS_AT = 15
_EVENT_PAYLOADS, _GAME_START = 0x35, 0x36
# Offsets within the game start event, of Slippi's specification.
_IS_TEAMS, _PLAYER_KIND, _PLAYER_BYTES = 0x0D, 0x66, 0x24
_EMPTY_PORT = 3


@dataclass(frozen=True)
class SlpHeader:
    """What the start of the file tells without parsing it: Slippi version, teams, players."""

    version: tuple[int, int, int]
    is_teams: bool
    n_players: int

    def check(self) -> None:
        """Refuse what cannot become a replay.

        Raises
        ------
        ReplayVersionError
            For versions before 2.0, and 3.0 to 3.6, on which peppi-py panics.
        ReplayUnsupportedError
            Unless it is one player against one other.
        """
        if self.version < (2,) or (3,) <= self.version < (3, 7):
            got = ".".join(map(str, self.version))
            raise errors.ReplayVersionError(f"Slippi version {got} cannot be read; {READABLE_VERSIONS} can")
        if self.n_players != 2 or self.is_teams:
            got = f"{self.n_players} player(s){' in teams' if self.is_teams else ''}"
            raise errors.ReplayUnsupportedError(f"expected one against one (got {got})")


def read_header(path: str | os.PathLike[str]) -> SlpHeader:
    """Read the version and the players from the first bytes of a ``.slp`` file.

    Raises
    ------
    ReplayCorruptError
        If it does not begin as such files do.
    """
    with open(path, "rb") as file:
        head = file.read(1024)
    if not head.startswith(_MAGIC):
        raise errors.ReplayCorruptError("an empty file" if not head else "not a Slippi file")
    start_at = _EVENTS_AT + 1 + (head[_EVENTS_AT + 1] if len(head) > _EVENTS_AT + 1 else 0)
    start = head[start_at : start_at + _PLAYER_KIND + 4 * _PLAYER_BYTES]
    complete = len(start) == _PLAYER_KIND + 4 * _PLAYER_BYTES
    if not complete or head[_EVENTS_AT] != _EVENT_PAYLOADS or start[0] != _GAME_START:
        raise errors.ReplayCorruptError("the game start event is missing or cut short")
    kinds = [start[_PLAYER_KIND + port * _PLAYER_BYTES] for port in range(4)]
    return SlpHeader(
        version=(start[1], start[2], start[3]),
        is_teams=bool(start[_IS_TEAMS]),
        n_players=sum(kind != _EMPTY_PORT for kind in kinds),
    )


class SlpParser:
    """A child process that parses one file after another; it starts with the first that needs it.

    A context manager. Not to be shared between threads.
    """

    def __init__(self, timeout: float = 60.0) -> None:
        self.timeout = timeout
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> SlpParser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def parse(self, path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Replay:
        """Parse ``path``, keep the result at ``out`` as npz, and return it.

        Raises
        ------
        ReplayCorruptError
            If the file is damaged, or parsing it crashes or takes longer than ``timeout`` seconds.
        ReplayVersionError, ReplayUnsupportedError
            See `SlpHeader.check` and `slp_convert.convert`.
        """
        read_header(path).check()
        answer = self._ask({"path": os.path.abspath(path), "out": os.path.abspath(out)})
        if answer["error"] == "ModuleNotFoundError":
            raise ModuleNotFoundError(f"{answer['message']}; .slp files need it: pip install 'awm-kit[slp]'")
        if answer["error"]:
            kind = getattr(errors, answer["error"], OSError)
            raise kind(answer["message"])
        return Replay.load_npz(out)

    def _ask(self, request: dict[str, str]) -> dict[str, str]:
        child = self._start()
        stdin, stdout = child.stdin, child.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the parser has no pipes")
        late = threading.Event()

        def expire() -> None:
            late.set()
            child.kill()

        alarm = threading.Timer(self.timeout, expire)
        alarm.start()
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if late.is_set() or not line:
            self.close()
        if line.endswith("\n"):
            answer: dict[str, str] = json.loads(line)
            return answer
        why = (
            f"took longer than {self.timeout:g} s" if late.is_set() else f"crashed (exit {child.returncode})"
        )
        raise errors.ReplayCorruptError(f"the parser {why}")

    def _start(self) -> subprocess.Popen[str]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "awm_kit.data.slp_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "PYTHONPATH": _search_path()},
                start_new_session=True,
            )
        return self._child


def _search_path() -> str:
    """Let the child find this very package, installed or not."""
    return os.pathsep.join(filter(None, [PACKAGE_ROOT, os.environ.get("PYTHONPATH")]))


def load_slp(path: str | os.PathLike[str], timeout: float = 60.0) -> Replay:
    """Load a one-against-one game, from the first frame on which players can act.

    Rolled-back frames are resolved. Stage and character are Melee's ids (the character's internal
    one). No name or tag of a player is kept.

    Raises
    ------
    ReplayCorruptError
        If the file is damaged or parsing takes longer than ``timeout`` seconds.
    ReplayVersionError
        If its version is not among `READABLE_VERSIONS`.
    ReplayUnsupportedError
        If it is not one against one, shorter than two seconds, or has a transforming character.
    FileNotFoundError
        If there is no such file.
    """
    with SlpParser(timeout) as parser, tempfile.TemporaryDirectory() as folder:
        return parser.parse(path, Path(folder, "replay.npz"))
