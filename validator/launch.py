"""Start, check and stop the local network: the development L1 and MagicBlock's rollup above it.

`running` is for programs and tests: all processes end with the block, even if this process is killed.
`up`, `status` and `down` are for people: the processes stay until told, and are known by a file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import string
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from awm_kit.chain import embedded
from awm_kit.chain.embedded import data_dir
from awm_kit.chain.rpc_node import pubsub_url
from awm_kit.errors import ValidatorError
from validator.l1 import free_port
from validator.l1_choice import AUTO, BUILT_IN, L1Plan, check_remote, choose, command, is_url
from validator.process import Process, spawn, start_time
from validator.rollup_package import RollupPackage, install

CONFIG = Path(__file__).with_name("rollup.toml")
TEMPORARY = "awm-localnet-"
#: Images of the world program's two builds; the second one needs the rollup's system call for frames.
BUILDS = {
    "sbf": Path(embedded.__file__).with_name("world_model.so"),
    "syscall": Path(embedded.__file__).with_name("world_model_syscall.so"),
}
START_SECONDS = 90.0


@dataclass(frozen=True)
class Localnet:
    """Where the local network answers, and what runs it.

    Attributes
    ----------
    l1, rollup : str
        JSON-RPC URLs; each one's WebSocket is on the next port. ``rollup`` is empty without one.
    folder : str
        Logs, and the rollup's storage.
    processes : list of Process
    tied : bool
        Whether they end with the process that started them.
    """

    l1: str
    rollup: str
    folder: str
    processes: list[Process]
    tied: bool = False

    @property
    def alive(self) -> bool:
        """Whether all processes run."""
        return all(process.alive for process in self.processes)

    def revive(self) -> None:
        """Start again what has died, where it was: a rollup goes on from its storage, an L1 from its state.

        Raises
        ------
        ValidatorError
            The L1 has died and was not kept in a folder; or something does not start.
        """
        for i, process in enumerate(self.processes):
            if process.alive:
                continue
            is_l1 = process.name == "l1"
            if is_l1 and not {"--state", "--ledger"} & set(process.command):
                raise ValidatorError("the L1 has died with its accounts: only one with --state comes back")
            url, method = (self.l1, "getHealth") if is_l1 else (self.rollup, "getVersion")
            self.processes[i] = spawn(process.name, process.command, Path(self.folder), self.tied)
            _await(url, method, self.processes[i], Path(self.folder) / f"{process.name}.log")

    def stop(self) -> None:
        """End all processes, the last one first, and delete the storage."""
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running(
    *,
    rollup: bool = True,
    slot_ms: int = 400,
    program: Path | None = None,
    l1: str = BUILT_IN,
    state: Path | None = None,
) -> Iterator[Localnet]:
    """A network for the block's duration, on free ports.

    Parameters
    ----------
    rollup : bool
        Whether to start MagicBlock's validator too.
    slot_ms : int
        Length of an L1 slot.
    program : Path, optional
        Image of the world program, e.g. one of `BUILDS`; by default pure SBF.
    l1 : str
        ``built-in``, ``solana-test-validator`` or ``surfpool`` from the PATH, ``auto`` (one of these if it is
        there), or the URL of an L1 that runs already.
    state : Path, optional
        Folder in which the L1 keeps its accounts, to go on from the next time; by default they are lost.

    Raises
    ------
    ValidatorError
        Something is missing or does not start; the message says what and how to get it.
    """
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY))
    (folder / "owner").write_text(f"{os.getpid()} {start_time(os.getpid())}")
    network = _start(folder, _Wishes(rollup, slot_ms, program, l1, state, tied=True))
    try:
        yield network
    finally:
        network.stop()


def sweep() -> None:
    """Delete folders of networks whose owner was killed: nobody else could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError, ValueError):
            pid, started = (folder / "owner").read_text().split()
            if not Process("owner", int(pid), started).alive:
                shutil.rmtree(folder, ignore_errors=True)


def up(
    *,
    rollup: bool = True,
    slot_ms: int = 400,
    program: Path | None = None,
    l1: str = AUTO,
    state: Path | None = None,
) -> Localnet:
    """Start a network that stays until `down`; the one that runs already, if any. See `running`.

    If only its rollup has died, that is started again and its matches go on.
    """
    with _one_at_a_time():
        if found := status():
            if bool(found.rollup) == rollup and any(p.alive for p in found.processes if p.name == "l1"):
                found.revive()
                return _remember(found)
            _down(found)
        folder = data_dir() / "localnet"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        wishes = _Wishes(rollup, slot_ms, program, l1, state, tied=False)
        try:
            return _remember(_start(folder, wishes, _remember))
        except BaseException:
            _state_file().unlink(missing_ok=True)
            raise


def _remember(network: Localnet) -> Localnet:
    part = _state_file().with_suffix(".part")
    part.write_text(json.dumps(asdict(network)))
    os.replace(part, _state_file())
    return network


def status() -> Localnet | None:
    """The network that `up` started, whether or not it still runs.

    Raises
    ------
    ValidatorError
        The file that says so is damaged.
    """
    try:
        raw = json.loads(_state_file().read_text())
        noted = raw.pop("processes")
        processes = [Process(**{**process, "command": tuple(process["command"])}) for process in noted]
        return Localnet(**raw, processes=processes)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValidatorError(
            f"{_state_file()} is damaged ({error}): end its processes, if any, and delete it"
        ) from error


def down() -> bool:
    """Stop what `up` started; False if there was nothing."""
    with _one_at_a_time():
        found = status()
        if found is not None:
            _down(found)
        return found is not None


def _down(found: Localnet) -> None:
    found.stop()
    _state_file().unlink(missing_ok=True)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Of two that start a network at once the second finds the first's, and does not delete its storage."""
    _state_file().parent.mkdir(parents=True, exist_ok=True)
    with open(_state_file().with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _state_file() -> Path:
    return data_dir() / "localnet.json"


@dataclass(frozen=True)
class _Wishes:
    """What was asked of `running` or `up`; ``tied`` processes end with this one."""

    rollup: bool
    slot_ms: int
    program: Path | None
    l1: str
    state: Path | None
    tied: bool


def _start(
    folder: Path, wishes: _Wishes, note: Callable[[Localnet], object] = lambda network: None
) -> Localnet:
    """Start what is wished for; ``note`` hears of each process as soon as it is there."""
    processes: list[Process] = []
    try:
        kind = choose(wishes.l1)
        package = install() if wishes.rollup else None
        if is_url(kind):
            l1 = kind.rstrip("/")
            check_remote(l1, wishes.rollup)
        else:
            process, l1 = _start_l1(folder, kind, wishes, package)
            processes.append(process)
            note(Localnet(l1, "", str(folder), processes, wishes.tied))
            _await(l1, "getHealth", process, folder / "l1.log")
        url = ""
        if package:
            port = free_port()
            processes.append(_start_rollup(folder, port, l1, package, wishes.tied))
            url = f"http://127.0.0.1:{port}"
            note(Localnet(l1, url, str(folder), processes, wishes.tied))
            _await(url, "getVersion", processes[-1], folder / "rollup.log")
        return Localnet(l1, url, str(folder), processes, wishes.tied)
    except BaseException:
        for process in reversed(processes):
            process.stop()
        if wishes.tied:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _start_l1(folder: Path, kind: str, wishes: _Wishes, package: RollupPackage | None) -> tuple[Process, str]:
    image = (wishes.program or BUILDS["sbf"]).resolve()
    if not image.is_file():
        raise ValidatorError(f"there is no image of the world program at {image}")
    port = free_port()
    if wishes.state:
        wishes.state.mkdir(parents=True, exist_ok=True)
    plan = L1Plan(
        folder=folder,
        port=port,
        slot_ms=wishes.slot_ms,
        state=wishes.state.resolve() if wishes.state else None,
        program=image,
        dumps=package.dumps if package else None,
        tied=wishes.tied,
    )
    return spawn("l1", command(kind, plan), folder, wishes.tied), f"http://127.0.0.1:{port}"


def _start_rollup(folder: Path, port: int, l1: str, package: RollupPackage, tied: bool) -> Process:
    settings = {
        "l1": l1,
        "l1_pubsub": pubsub_url(l1),
        "port": port,
        "metrics_port": free_port(),
        "storage": folder / "rollup",
    }
    config = folder / "rollup.toml"
    config.write_text(string.Template(CONFIG.read_text()).substitute(settings))
    terminal = [sys.executable, "-m", "validator.terminal", *(["--while-stdin"] if tied else [])]
    screen = str(folder / "rollup-screen.log")
    return spawn("rollup", [*terminal, screen, *package.command, str(config)], folder, tied)


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
