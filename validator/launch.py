"""Start, check and stop the local network: the development L1 and MagicBlock's rollup above it.

`running` is for programs and tests: all processes end with the block, even if this process is killed.
`up`, `status` and `down` are for people: the processes stay until told, and are known by a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from awm_kit.chain.accounts import PROGRAM_ID
from awm_kit.chain.embedded import data_dir
from awm_kit.errors import ValidatorError
from validator.l1 import free_port
from validator.rollup_package import RollupPackage, install

CHECKOUT = Path(__file__).resolve().parent.parent
CONFIG = Path(__file__).with_name("rollup.toml")
START_SECONDS = 90.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """A process by id and start time: an id alone may have been given to another one since."""

    name: str
    pid: int
    started: str

    @classmethod
    def of(cls, name: str, pid: int) -> Process:
        return cls(name, pid, start_time(pid))

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


@dataclass(frozen=True)
class Localnet:
    """Where the local network answers, and what runs it.

    Attributes
    ----------
    l1, rollup : str
        JSON-RPC URLs; each one's WebSocket is on the next port. ``rollup`` is empty without one.
    folder : str
        Logs, and the rollup's storage.
    """

    l1: str
    rollup: str
    folder: str
    processes: tuple[Process, ...]

    @property
    def alive(self) -> bool:
        """Whether all processes run."""
        return all(process.alive for process in self.processes)

    def stop(self) -> None:
        """End all processes, the last one first, and delete the storage."""
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running(*, rollup: bool = True, slot_ms: int = 400, program: Path | None = None) -> Iterator[Localnet]:
    """A network for the block's duration, on free ports.

    Parameters
    ----------
    rollup : bool
        Whether to start MagicBlock's validator too.
    slot_ms : int
        Length of an L1 slot.
    program : Path, optional
        Image of the world program; by default the package's pure SBF build.

    Raises
    ------
    ValidatorError
        Something is missing or does not start; the message says what and how to get it.
    """
    network = _start(Path(tempfile.mkdtemp(prefix="awm-localnet-")), rollup, slot_ms, program, tied=True)
    try:
        yield network
    finally:
        network.stop()


def up(*, rollup: bool = True, slot_ms: int = 400, program: Path | None = None) -> Localnet:
    """Start a network that stays until `down`; the one that runs already, if any. See `running`."""
    if found := status():
        if found.alive and bool(found.rollup) == rollup:
            return found
        down()
    folder = data_dir() / "localnet"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    network = _start(folder, rollup, slot_ms, program, tied=False)
    part = _state_file().with_suffix(".part")
    part.write_text(json.dumps(asdict(network)))
    os.replace(part, _state_file())
    return network


def status() -> Localnet | None:
    """The network that `up` started, whether or not it still runs."""
    try:
        raw = json.loads(_state_file().read_text())
    except FileNotFoundError:
        return None
    processes = tuple(Process(**process) for process in raw.pop("processes"))
    return Localnet(**raw, processes=processes)


def down() -> bool:
    """Stop what `up` started; False if there was nothing."""
    found = status()
    if found is None:
        return False
    found.stop()
    _state_file().unlink(missing_ok=True)
    return True


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


def _state_file() -> Path:
    return data_dir() / "localnet.json"


def _start(folder: Path, rollup: bool, slot_ms: int, program: Path | None, *, tied: bool) -> Localnet:
    processes: list[Process] = []
    try:
        package = install() if rollup else None
        l1_port = free_port()
        processes.append(_start_l1(folder, l1_port, slot_ms, program, package, tied))
        l1 = f"http://127.0.0.1:{l1_port}"
        _await(l1, "getHealth", processes[-1], folder / "l1.log")
        url = ""
        if package:
            port = free_port()
            processes.append(_start_rollup(folder, port, l1_port, package, tied))
            url = f"http://127.0.0.1:{port}"
            _await(url, "getVersion", processes[-1], folder / "rollup.log")
        return Localnet(l1, url, str(folder), tuple(processes))
    except BaseException:
        for process in reversed(processes):
            process.stop()
        raise


def _start_l1(
    folder: Path, port: int, slot_ms: int, program: Path | None, package: RollupPackage | None, tied: bool
) -> Process:
    command = [sys.executable, "-m", "validator.l1", "--port", str(port), "--slot-ms", str(slot_ms)]
    if program:
        command += ["--program", f"{PROGRAM_ID}={program.resolve()}"]
    if package:
        command += ["--dumps", str(package.dumps)]
    return _spawn("l1", [*command, *(["--while-stdin"] if tied else [])], folder, tied)


def _start_rollup(folder: Path, port: int, l1_port: int, package: RollupPackage, tied: bool) -> Process:
    settings = {
        "l1_port": l1_port,
        "l1_pubsub_port": l1_port + 1,
        "port": port,
        "metrics_port": free_port(),
        "storage": folder / "rollup",
    }
    config = folder / "rollup.toml"
    config.write_text(string.Template(CONFIG.read_text()).substitute(settings))
    terminal = [sys.executable, "-m", "validator.terminal", *(["--while-stdin"] if tied else [])]
    screen = str(folder / "rollup-screen.log")
    return _spawn("rollup", [*terminal, screen, *package.command, str(config)], folder, tied)


def _spawn(name: str, command: list[str], folder: Path, tied: bool) -> Process:
    """Start a server in a session of its own, with its log in the folder."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm", "RUST_LOG": "info"}
    with open(folder / f"{name}.log", "wb") as log:
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
    return Process.of(name, child.pid)


# Popen objects close their pipe when collected, which would end a tied server.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


def _await(url: str, method: str, process: Process, log: Path) -> None:
    """Wait until a server answers."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=2) as answer:
            if "result" in json.loads(answer.read()):
                return
        if not process.alive:
            break
        time.sleep(0.05)
    lines = log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"]
    raise ValidatorError(f"the {process.name} did not start: {lines[-1]}")
