"""What breaks on the real stack, and what is lost by it: `validator/README.md` states each outcome."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onchain import controllers, tiny_cartridge
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from test_duel import awm, wallet_file

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import EndReason, Winner, entries_of, frame_of
from awm_kit.chain.deploy import deploy
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.results import MatchResult, read_result
from awm_kit.chain.rollup import restore_entries, settle_match
from awm_kit.chain.rollup_session import RollupSession, local_match
from awm_kit.chain.rpc import RpcLedger
from awm_kit.errors import LedgerError
from awm_kit.kernel import NativeWorld
from validator import launch
from validator.process import Process

pytestmark = pytest.mark.rollup


class Twin:
    """A match and what the native kernel computes of it, frame by frame."""

    def __init__(self, session: RollupSession) -> None:
        self.session, self.native = session, NativeWorld(tiny_cartridge())
        self.state, self.frame = self.native.initial_state(), session.start_frame
        self.inputs: list[np.ndarray] = []

    def play(self, inputs: np.ndarray) -> None:
        for pads in inputs:
            self.frame = self.native.step(self.state, self.frame, pads)
            assert self.session.step(pads).tobytes() == self.frame.tobytes()

    def holds(self) -> None:
        assert self.session.hidden_state().tobytes() == self.state.tobytes()


@pytest.fixture
def network(rollup_package: Any, tmp_path: Path) -> Iterator[launch.Localnet]:
    with launch.running(slot_ms=100, state=tmp_path) as network:
        yield network


@pytest.fixture
def twin(network: launch.Localnet) -> Iterator[Twin]:
    l1, rollup, owner = RpcLedger(network.l1), RpcLedger(network.rollup, preflight=False), Keypair()
    l1.airdrop(owner.pubkey(), 100 * LAMPORTS_PER_SOL)
    world = deploy(l1, tiny_cartridge(), owner, progress=False)
    with local_match(l1, rollup, world) as session:
        yield Twin(session)
    rollup.close()
    l1.close()


def kill(process: Process) -> None:
    """The server itself, not only what started it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in [*map(int, children), process.pid]:
        os.kill(pid, signal.SIGKILL)
    give_up = time.monotonic() + 20
    while process.alive and time.monotonic() < give_up:
        time.sleep(0.02)


def test_a_killed_rollup_goes_on_where_it_was(network: launch.Localnet, twin: Twin) -> None:
    """Nothing is lost: its accounts are in files, and the cursor says where the frame stood."""
    twin.play(controllers(40))
    kill(network.processes[1])
    with pytest.raises(LedgerError):
        twin.session.step(controllers(41)[40])
    network.revive()
    twin.session.reconnect()
    assert int(twin.session.frame["frame"]) == 40
    inputs = controllers(80, seed=5)[40:]
    twin.play(inputs)
    twin.holds()


def test_a_rollup_killed_in_the_middle_of_a_frame(network: launch.Localnet, twin: Twin) -> None:
    """The frame that had begun is finished, with the inputs that it began with."""
    session, pads = twin.session, controllers(1)[0]
    orders, signers = session._submissions(pads)
    first = session._plan[0]
    run = ix.run_inference(
        session.keys, session.crank.pubkey(), session.world, first.shards, 0, first.begin, first.end
    )
    session.ledger.send([*orders, run], session.crank, signers, compute_units=1_400_000)
    kill(network.processes[1])
    network.revive()
    session.reconnect()
    frame = session.step(controllers(1, seed=9)[0])
    twin.frame = twin.native.step(twin.state, twin.frame, pads)
    assert frame.tobytes() == twin.frame.tobytes()
    twin.play(controllers(20, seed=3)[1:])
    twin.holds()


def test_a_dropped_websocket_is_opened_again(twin: Twin) -> None:
    twin.play(controllers(10))
    for i in range(3):
        stream = twin.session.stream
        stream._socket.socket.shutdown(socket.SHUT_RDWR)
        twin.play(controllers(20 + 10 * i, seed=i)[10 + 10 * i :])
        assert twin.session.stream is not stream
    twin.holds()


def test_an_l1_that_is_away_at_the_end(network: launch.Localnet, twin: Twin) -> None:
    """Play goes on without it; nothing is sent to where nobody answers; when it is back the match settles."""
    session, l1 = twin.session, RpcLedger(network.l1)
    twin.play(controllers(10))
    time.sleep(1.5)  # what it has seen, it has kept
    kill(network.processes[0])
    twin.play(controllers(40, seed=2)[10:])
    session.quit(1)
    entries = entries_of(session.ledger.account(session.keys.log).data)
    with pytest.raises(LedgerError):
        settle_match(session.ledger, l1, session.keys, session.crank)
    twin.holds()  # still on the rollup, whole
    l1.close()
    network.revive()
    l1 = RpcLedger(network.l1)
    settle_match(session.ledger, l1, session.keys, session.crank)
    settle_match(session.ledger, l1, session.keys, session.crank)  # it is home: nothing to do
    restore_entries(l1, session.keys, session.host, session.world, entries)
    l1.send([ix.record_result(session.keys, session.host.pubkey(), session.world)], session.host)
    assert (read_result(l1, session.keys.session).winner, l1.slot() > 0) == (Winner.PLAYER_0, True)
    l1.close()


def test_an_l1_that_was_not_kept_does_not_come_back(tmp_path: Path) -> None:
    with launch.running(rollup=False) as network:
        kill(network.processes[0])
        with pytest.raises(launch.ValidatorError, match="--state"):
            network.revive()


def begun(
    folder: Path, network: launch.Localnet
) -> tuple[subprocess.Popen[str], subprocess.Popen[str], Pubkey]:
    """Host and guest as processes, playing."""
    path, at = tiny_cartridge().save(folder / "tiny.awm"), f"{network.l1},{network.rollup}"
    l1 = RpcLedger(network.l1)
    (_, mine), (_, yours) = wallet_file(folder, "host", l1), wallet_file(folder, "guest", l1)
    l1.close()
    host = awm("host", str(path), "--at", at, "--keypair", str(mine), "--yes", "--time-limit", "36000")
    while not (found := re.match(r"match (\w+)$", line := host.stderr.readline())):
        assert line, host.communicate()
    guest = awm("join", found[1], "--at", at, "--keypair", str(yours), "--yes", "--publish")
    rollup, key = RpcLedger(network.rollup, preflight=False), Pubkey.from_string(found[1])
    give_up = time.monotonic() + 120
    while frame_number(rollup, key) < 60:
        assert time.monotonic() < give_up, "no match began"
        time.sleep(0.2)
    rollup.close()
    return host, guest, key


def frame_number(rollup: RpcLedger, match: Pubkey) -> int:
    found = rollup.account(match)
    return int(frame_of(found.data)["frame"]) if found else 0


def result_of(network: launch.Localnet, match: Pubkey) -> MatchResult:
    l1 = RpcLedger(network.l1)
    try:
        return read_result(l1, match)
    finally:
        l1.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_guest_loses(network: launch.Localnet, tmp_path: Path) -> None:
    host, guest, match = begun(tmp_path, network)
    guest.kill()
    guest.communicate()
    _, errors = host.communicate(timeout=600)
    assert host.returncode == 0, errors
    result = result_of(network, match)
    assert (result.winner, result.reason) == (Winner.PLAYER_0, EndReason.PLAYER_1_VANISHED)
    assert result.frames > 600


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_without_its_host_a_match_is_a_draw(network: launch.Localnet, tmp_path: Path) -> None:
    """After a minute the guest ends it, brings it home and publishes it; the rent waits for the host."""
    host, guest, match = begun(tmp_path, network)
    host.kill()
    host.communicate()
    _, errors = guest.communicate(timeout=600)
    assert guest.returncode == 0, errors
    result = result_of(network, match)
    assert (result.winner, result.reason) == (Winner.DRAW, EndReason.ABANDONED)
