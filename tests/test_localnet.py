"""The launcher: servers start, are found again, and never outlive who started them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from awm_kit.cli import app
from awm_kit.errors import ValidatorError
from validator import l1, launch, rollup_package
from validator.launch import Process
from validator.rollup_package import VERSION


def ask(url: str, method: str, *params: Any) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())["result"]


def gone(process: Process) -> bool:
    give_up = time.monotonic() + 20
    while process.alive and time.monotonic() < give_up:
        time.sleep(0.05)
    return not process.alive


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path


def test_an_l1_for_a_while():
    with launch.running(rollup=False, slot_ms=20) as network:
        assert network.alive and network.rollup == ""
        first = ask(network.l1, "getSlot")
        time.sleep(0.2)
        assert ask(network.l1, "getSlot") > first
    assert not network.alive
    assert not Path(network.folder).exists()


def test_a_network_until_down(home):
    run = CliRunner().invoke
    assert run(app, ["localnet", "status"]).exit_code == 1
    started = json.loads(run(app, ["localnet", "up", "--no-rollup", "--json"]).stdout)
    try:
        assert started["alive"] and started["rollup"] is None
        assert launch.up(rollup=False).l1 == started["l1"]
        assert started["l1"] in run(app, ["localnet", "status"]).stdout
        processes = launch.status().processes
    finally:
        assert run(app, ["localnet", "down"]).stdout == "stopped\n"
    assert all(gone(process) for process in processes)
    assert run(app, ["localnet", "down"]).stdout == "nothing was running\n"
    assert not any(home.rglob("*.log"))


def test_what_a_crash_left_is_noticed(home):
    network = launch.up(rollup=False)
    try:
        os.kill(network.processes[0].pid, signal.SIGKILL)
        assert gone(network.processes[0])
        assert CliRunner().invoke(app, ["localnet", "status"]).exit_code == 1
        again = launch.up(rollup=False)
        assert again.alive
    finally:
        launch.down()


HALFWAY = """
import os, signal
from validator import launch
launch._await = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
launch.up(rollup=False)
"""


def test_a_start_that_was_killed_halfway_is_known(home):
    """Its server runs already, and nobody else could end it."""
    assert subprocess.run([sys.executable, "-c", HALFWAY], check=False).returncode == -signal.SIGKILL
    [process] = launch.status().processes
    assert process.alive
    assert launch.down()
    assert gone(process)


def test_a_start_that_fails_leaves_nothing(home):
    with pytest.raises(ValidatorError, match="no L1 answers"):
        launch.up(rollup=False, l1=f"http://127.0.0.1:{l1.free_port()}")
    assert launch.status() is None


def test_two_starts_at_once_give_one_network(home):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: launch.up(rollup=False), range(2))
    try:
        assert first.alive
        assert first.processes == second.processes
    finally:
        launch.down()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"processes": [5]}', '{"processes": []}'])
def test_a_damaged_note_is_named(home, text):
    (home / "awm-kit").mkdir()
    (home / "awm-kit" / "localnet.json").write_text(text)
    for call in (launch.status, launch.down, lambda: launch.up(rollup=False)):
        with pytest.raises(ValidatorError, match=r"localnet\.json is damaged"):
            call()


def test_another_process_with_the_same_id_is_left_alone():
    me = Process("me", os.getpid(), "another time")
    assert not me.alive
    me.stop()


# A program that dies by SIGKILL runs no handler: only what its death itself does can end the servers.
VICTIM = """
import sys, time
from validator import launch
with launch.running(rollup=sys.argv[1] == "rollup") as network:
    print(network.folder, *[f"{p.name}:{p.pid}:{p.started}" for p in network.processes], flush=True)
    time.sleep(600)
"""


def killed(kind: str) -> tuple[str, list[Process]]:
    """Its folder and its processes."""
    victim = subprocess.Popen([sys.executable, "-c", VICTIM, kind], stdout=subprocess.PIPE, text=True)
    line = victim.stdout.readline()
    victim.kill()
    victim.communicate()
    folder, *rest = line.split()
    return folder, [Process(name, int(pid), when) for name, pid, when in (p.split(":") for p in rest)]


def test_nothing_is_left_when_the_owner_is_killed():
    folder, processes = killed("l1")
    assert [p.name for p in processes] == ["l1"]
    assert gone(processes[0])
    shutil.rmtree(folder)


@pytest.mark.rollup
def test_no_rollup_is_left_when_the_owner_is_killed(rollup_package):
    folder, processes = killed("rollup")
    assert [p.name for p in processes] == ["l1", "rollup"]
    assert all(gone(process) for process in processes)
    assert not any(folder in line for line in command_lines()), "the validator inside the terminal"
    shutil.rmtree(folder)


def command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # gone meanwhile
            yield path.read_text(errors="replace")


@pytest.mark.rollup
def test_the_rollup_answers_at_once(rollup_package):
    with launch.running(slot_ms=100) as network:
        assert ask(network.rollup, "getVersion")["magicblock-core"] == VERSION
        assert ask(network.rollup, "getIdentity")["identity"].startswith("mAGic")
        first, give_up = ask(network.rollup, "getSlot"), time.monotonic() + 10  # 66 a second when idle
        while ask(network.rollup, "getSlot") - first <= 20:
            assert time.monotonic() < give_up
            time.sleep(0.1)


def test_a_strange_machine_is_told_so(monkeypatch):
    monkeypatch.setattr(rollup_package.platform, "machine", lambda: "riscv64")
    with pytest.raises(ValidatorError, match="riscv64"):
        rollup_package.install()


def test_another_package_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("AWM_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(rollup_package.platform, "machine", lambda: "x86_64")

    def pack(command: list[str], folder: Path, what: str) -> str:
        (folder / "x.tgz").write_bytes(b"not what was pinned")
        return ""

    monkeypatch.setattr(rollup_package, "_run", pack)
    monkeypatch.setattr(rollup_package, "_need", lambda *_: None)
    with pytest.raises(ValidatorError, match="not the pinned one"):
        rollup_package.install()
    assert not any(tmp_path.rglob("bin"))
