"""Whole matches on MagicBlock's real rollup above the development L1: lent, played, settled, verified."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onchain import controllers, tiny_cartridge, tiny_model
from solders.keypair import Keypair
from typer.testing import CliRunner

from awm_kit.chain import delegation, inputlog, rollup_session
from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import (
    LOG_HEADER,
    PROGRAM_ID,
    EndReason,
    SessionKeys,
    Winner,
    entries_of,
    frame_of,
    session_keys,
)
from awm_kit.chain.deploy import deploy
from awm_kit.chain.frame_stream import FrameStream
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, MAX_COMPUTE_UNITS
from awm_kit.chain.match_record import record_from_session
from awm_kit.chain.results import read_result
from awm_kit.chain.rollup import delegate_match, open_match, restore_entries, settle_match, wait_for
from awm_kit.chain.rollup_post import Parcel
from awm_kit.chain.rollup_session import LOOK_AFTER, RollupSession, local_match
from awm_kit.chain.rpc import RpcLedger
from awm_kit.chain.sbf.build import SYSCALL_OUTPUT
from awm_kit.chain.session import ChainSession
from awm_kit.chain.verify import verify
from awm_kit.chain.worlds import World
from awm_kit.cli import app
from awm_kit.data.replay import clean_frame
from awm_kit.data.scuffle import initial_frame
from awm_kit.errors import LedgerError, ProgramError
from awm_kit.kernel import NativeWorld
from awm_kit.quant import reference
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_model
from awm_kit.schema import CONTROLLER, FIGHTER
from validator import launch

pytestmark = pytest.mark.rollup


@dataclass
class Stack:
    """Both ledgers, a world, and two funded wallets."""

    l1: RpcLedger
    rollup: RpcLedger
    world: World
    host: Keypair
    guest: Keypair
    network: launch.Localnet
    matches: int = 0


@contextmanager
def started(program: Path | None = None) -> Iterator[Stack]:
    with launch.running(slot_ms=50, program=program) as network:
        l1, rollup = RpcLedger(network.l1), RpcLedger(network.rollup, preflight=False)
        owner, host, guest = Keypair(), Keypair(), Keypair()
        for wallet in (owner, host, guest):
            l1.airdrop(wallet.pubkey(), 100 * LAMPORTS_PER_SOL)
        world = deploy(l1, tiny_cartridge(), owner, progress=False)
        yield Stack(l1, rollup, world, host, guest, network)
        l1.close()
        rollup.close()


@pytest.fixture(scope="module")
def stack(rollup_package: Any) -> Iterator[Stack]:
    with started() as stack:
        yield stack


@dataclass
class Lent:
    """A match that was delegated; nothing has happened in the rollup yet."""

    stack: Stack
    keys: SessionKeys
    crank: Keypair
    players: list[Keypair]

    def open(self, kind: type[ChainSession] = ChainSession) -> ChainSession:
        """Begin it in the rollup, this process playing both sides."""
        open_match(self.stack.rollup, self.keys, self.crank, self.stack.world.key)
        players = dict(enumerate(self.players))
        session = kind(self.stack.rollup, self.keys, self.crank, players, self.crank)
        session.ready()
        return session


def lend(stack: Stack, log_kib: int = 32) -> Lent:
    stack.matches += 1
    crank, players = Keypair(), [Keypair(), Keypair()]
    keys = session_keys(stack.host.pubkey(), stack.matches)
    create = ix.create_session(
        keys, stack.host.pubkey(), stack.world.key, crank.pubkey(), players[0].pubkey(), stack.matches,
        clean_frame(initial_frame(3)), log_kib=log_kib,
    )  # fmt: skip
    stack.l1.send([create], stack.host, compute_units=MAX_COMPUTE_UNITS)
    stack.l1.send([ix.join(keys, stack.guest.pubkey(), players[1].pubkey())], stack.guest)
    delegate_match(stack.l1, keys, stack.host)
    return Lent(stack, keys, crank, players)


def play(
    session: ChainSession, inputs: np.ndarray, cartridge: Cartridge | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Frames equal to the native kernel's, one by one; returns the last one and the recurrent state."""
    native = NativeWorld(cartridge or tiny_cartridge())
    state, frame = native.initial_state(), session.start_frame
    for pads in inputs:
        frame = native.step(state, frame, pads)
        assert session.step(pads).tobytes() == frame.tobytes()
    return frame, state


def test_a_match_from_l1_to_rollup_and_back(stack: Stack) -> None:
    lent, inputs = lend(stack), controllers(120)
    session = lent.open()
    frame, state = play(session, inputs)
    assert session.hidden_state().tobytes() == state.tobytes()
    assert session.tx_per_frame == len(tiny_cartridge().manifest.segments) > 1
    session.quit(1)
    record = record_from_session(stack.rollup, session)
    entries = entries_of(stack.rollup.account(lent.keys.log).data)
    assert entries == inputlog.encode(inputs)
    settle_match(stack.rollup, stack.l1, lent.keys, lent.players[0])

    on_l1 = stack.l1.accounts([lent.keys.session, lent.keys.input, lent.keys.hidden, lent.keys.log])
    assert frame_of(on_l1[0].data).tobytes() == frame.tobytes()
    assert [len(account.data) for account in on_l1] == [256, 32, 256, LOG_HEADER.itemsize]
    restore_entries(stack.l1, lent.keys, stack.guest, stack.world.key, entries)
    assert entries_of(stack.l1.account(lent.keys.log).data) == entries
    order = ix.record_result(lent.keys, stack.host.pubkey(), stack.world.key)
    stack.l1.send([order], stack.host)
    result = read_result(stack.l1, lent.keys.session)
    assert (result.winner, result.reason, result.frames) == (Winner.PLAYER_0, EndReason.PLAYER_1_QUIT, 120)
    assert result.state_hash == reference.state_hash(frame, state)
    assert verify(record, tiny_cartridge()).ok

    before = stack.l1.balance(stack.host.pubkey())
    stack.l1.send([ix.close_session(lent.keys, stack.host.pubkey())], stack.host)
    rent = sum(account.lamports for account in on_l1)
    assert stack.l1.balance(stack.host.pubkey()) == before + rent - stack.l1.fee()


def test_frames_in_real_time_are_the_same(stack: Stack) -> None:
    lent, inputs = lend(stack), controllers(120, seed=2)
    with lent.open(RollupSession) as session:
        frame, state = play(session, inputs)
        assert session.state_hash() == reference.state_hash(frame, state)
        assert inputlog.encode(inputs) == entries_of(stack.rollup.account(lent.keys.log).data)
        session.end()
    settle_match(stack.rollup, stack.l1, lent.keys, lent.crank)
    assert frame_of(stack.l1.account(lent.keys.session).data).tobytes() == frame.tobytes()


@pytest.mark.parametrize(("doubts", "frames"), [(1, 20), (LOOK_AFTER, 3)])
def test_a_frame_sent_again_runs_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, doubts: int, frames: int
) -> None:
    """The crank believes so often a frame that nothing came, and sends everything again, or looks at last."""
    wait, doubted = FrameStream.wait_frame, Counter[int]()

    def doubt(stream: FrameStream, number: int, *patience: float) -> np.ndarray | None:
        frame = wait(stream, number, *patience)
        doubted[number] += 1
        return frame if doubted[number] > doubts else None

    monkeypatch.setattr(FrameStream, "wait_frame", doubt)
    with lend(stack).open(RollupSession) as session:
        play(session, controllers(frames, seed=3))
        assert session.retries >= frames * min(doubts, LOOK_AFTER - 1)
        assert frame_of(stack.rollup.account(session.keys.session).data)["frame"] == frames


def test_a_refused_frame_is_sent_again_at_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent in the slot of the frame before, it is too early, of which the rollup tells whoever watches.

    A refusal may come before the watch does, which goes another way; then silence tells: rarely.
    """
    monkeypatch.setattr(rollup_session, "SILENCE_SECONDS", 2.0)
    with lend(stack).open(RollupSession) as session:
        monkeypatch.setattr(session.stream, "wait_slot", lambda *_: None)
        wait, silences = session.stream.wait_frame, []

        def timed(*args: float) -> np.ndarray | None:
            begun, frame = time.monotonic(), wait(*args)
            if frame is None and time.monotonic() - begun >= 2.0:
                silences.append(args[0])
            return frame

        monkeypatch.setattr(session.stream, "wait_frame", timed)
        play(session, controllers(40, seed=3))
        assert session.retries >= 5
        assert len(silences) <= 1


def check_against_its_log(session: RollupSession, last: np.ndarray) -> None:
    """The newest frame and the state are those that the logged inputs lead to."""
    native = NativeWorld(tiny_cartridge())
    state, expected = native.initial_state(), session.start_frame
    entries = entries_of(session.ledger.account(session.keys.log).data)
    for pads in inputlog.decode(entries, int(last["frame"])):
        expected = native.step(state, expected, pads)
    assert last.tobytes() == expected.tobytes()
    assert session.state_hash() == reference.state_hash(last, state)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames as short as these are not waited for either."""
    monkeypatch.setattr(rollup_session, "HASTE_SECONDS", (0.0, 60.0))
    monkeypatch.setattr(rollup_session, "LEAD_SECONDS", 0.02)


@pytest.mark.usefixtures("hasty")
def test_frames_that_are_begun_ahead_are_the_same(stack: Stack) -> None:
    """They may be too early, behind the one before in its slot: those are sent again."""
    with lend(stack).open(RollupSession) as session:
        ahead = 0
        for pads in controllers(60, seed=4):
            newest = session.hasten(pads)
            ahead += session.begun > int(newest["frame"])
        last = session.finish()
        assert ahead >= 20 and int(last["frame"]) == session.begun >= 30
        check_against_its_log(session, last)
        assert int(session.step(pads)["frame"]) == int(last["frame"]) + 1


@pytest.mark.usefixtures("hasty")
def test_a_frame_lost_with_another_behind_it(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last piece never arrives, when the next frame is on its way: both are sent again, as others."""
    with lend(stack).open(RollupSession) as session:
        post, posts = session._post.post, itertools.count()

        def lossy(parcels: Sequence[Parcel]) -> None:
            post(parcels[:-1] if next(posts) % 7 == 6 and len(parcels) == len(session._plan) else parcels)

        monkeypatch.setattr(session._post, "post", lossy)
        for pads in controllers(40, seed=5):
            session.hasten(pads)
        last = session.finish()
        assert session.retries >= 3 and int(last["frame"]) >= 30
        check_against_its_log(session, last)


def test_a_dead_rollup_is_noticed(rollup_package: Any) -> None:
    with started() as stack:
        session = lend(stack).open(RollupSession)
        with session:
            play(session, controllers(3))
            stack.network.processes[1].stop()
            with pytest.raises(LedgerError):
                session.step(controllers(1)[0])


def test_a_commit_shows_the_running_match_on_the_l1(stack: Stack) -> None:
    lent = lend(stack)
    session = lent.open()
    frame, _ = play(session, controllers(5))
    for target in (lent.keys.session, lent.keys.input):
        order = delegation.commit(lent.keys, lent.crank.pubkey(), target)
        stack.rollup.send([order], lent.crank)
    wanted = stack.rollup.accounts([lent.keys.session, lent.keys.input])

    def shown() -> bool:
        found = stack.l1.accounts([lent.keys.session, lent.keys.input])
        assert all(a.owner == delegation.DELEGATION_PROGRAM_ID for a in found)
        return [a.data for a in found] == [a.data for a in wanted]

    wait_for(shown, 20, "the commit is not on the L1")
    assert frame_of(stack.l1.account(lent.keys.session).data).tobytes() == frame.tobytes()
    assert session.step(np.zeros(2, CONTROLLER))["frame"] == 6


def test_a_running_match_stays(stack: Stack) -> None:
    lent = lend(stack)
    lent.open()
    with pytest.raises(ProgramError, match="StillPlaying"):
        settle_match(stack.rollup, stack.l1, lent.keys, lent.crank)
    with pytest.raises(ProgramError, match="WrongOwner"):
        stack.l1.send([ix.close_session(lent.keys, stack.host.pubkey())], stack.host)


@pytest.mark.parametrize("first", ["session", "log"])
def test_one_account_sent_home_alone_does_not_keep_the_others(stack: Stack, first: str) -> None:
    """As the loser's client may do, before the winner's has had its turn."""
    lent = lend(stack)
    session = lent.open()
    play(session, controllers(2))
    session.quit(1)
    loser = lent.players[1]
    order = delegation.undelegate(lent.keys, loser.pubkey(), getattr(lent.keys, first))
    stack.rollup.send([order], loser)
    settle_match(stack.rollup, stack.l1, lent.keys, lent.crank)
    order = ix.record_result(lent.keys, stack.guest.pubkey(), stack.world.key)
    stack.l1.send([order], stack.guest)
    assert read_result(stack.l1, lent.keys.session).winner == Winner.PLAYER_0
    stack.l1.send([ix.close_session(lent.keys, stack.host.pubkey())], stack.host)


def test_everybody_may_settle_at_once(stack: Stack) -> None:
    lent = lend(stack)
    lent.open().quit(0)
    with ThreadPoolExecutor(3) as pool:
        who = [lent.crank, *lent.players]
        list(pool.map(lambda key: settle_match(stack.rollup, stack.l1, lent.keys, key), who))
    assert stack.l1.account(lent.keys.session).owner == PROGRAM_ID


def test_a_match_that_never_began_comes_home(stack: Stack) -> None:
    lent = lend(stack)
    open_match(stack.rollup, lent.keys, lent.crank, stack.world.key)
    settle_match(stack.rollup, stack.l1, lent.keys, lent.players[1])
    stack.l1.send([ix.close_session(lent.keys, stack.host.pubkey())], stack.host)
    assert stack.l1.account(lent.keys.session) is None


def test_it_can_be_lent_again(stack: Stack) -> None:
    lent = lend(stack)
    open_match(stack.rollup, lent.keys, lent.crank, stack.world.key)
    settle_match(stack.rollup, stack.l1, lent.keys, lent.crank)
    delegate_match(stack.l1, lent.keys, stack.host)
    play(lent.open(), controllers(3))


def test_nobody_else_s_accounts_can_be_written_in_the_rollup(stack: Stack) -> None:
    """The match is on the L1: the rollup clones it, but may not write it."""
    stack.matches += 1
    keys, player = session_keys(stack.host.pubkey(), stack.matches), Keypair()
    create = ix.create_session(
        keys, stack.host.pubkey(), stack.world.key, player.pubkey(), player.pubkey(), stack.matches,
        clean_frame(initial_frame(1)),
    )  # fmt: skip
    stack.l1.send([create], stack.host, compute_units=MAX_COMPUTE_UNITS)
    assert stack.rollup.account(keys.session) is not None
    with pytest.raises(LedgerError):
        stack.rollup.send([ix.pick_character(keys, player.pubkey(), 0, 4)], player)
    assert frame_of(stack.l1.account(keys.session).data)["players"]["character"][0] != 4


def test_the_model_itself_agrees(stack: Stack) -> None:
    """The NumPy reference, not only the C kernel that both sides share."""
    session = lend(stack).open()
    frame, state = session.start_frame, reference.initial_state(tiny_model())
    for pads in controllers(10, seed=4):
        frame = reference.step(tiny_model(), state, frame, pads)
        assert session.step(pads).tobytes() == frame.tobytes()


def test_the_syscall_program_computes_the_same(rollup_package: Any) -> None:
    """The other build of the program: matrix products by the rollup's own system call."""
    with started(SYSCALL_OUTPUT) as stack:
        lent = lend(stack)
        session = lent.open()
        frame, state = play(session, controllers(20, seed=9))
        assert session.state_hash() == reference.state_hash(frame, state)
        units = session.cu_per_frame
        session.end()
        settle_match(stack.rollup, stack.l1, lent.keys, lent.crank)
        assert frame_of(stack.l1.account(lent.keys.session).data).tobytes() == frame.tobytes()
        plays_with_fewer_loads(stack)
    assert units < 190_000  # 230,000 without it


def plays_with_fewer_loads(stack: Stack) -> None:
    """Worlds of one view and of two whose scan that build has its own of, which `tiny_model`'s is not."""
    owner = Keypair()
    stack.l1.airdrop(owner.pubkey(), 100 * LAMPORTS_PER_SOL)
    for views in (1, 2):
        shape = Shape(d_model=64, nheads=3, headdim=24, d_state=16, n_layers=2, n_views=views)
        cartridge = pack(random_model(views, shape, schema=replace(FIGHTER, end_field="")))
        world = deploy(stack.l1, cartridge, owner, progress=False)
        with local_match(stack.l1, stack.rollup, world, seed=5) as session:
            frame, state = play(session, controllers(10, seed=5), cartridge)
            assert session.state_hash() == reference.state_hash(frame, state)


def test_a_local_match_begins_and_comes_home(stack: Stack) -> None:
    with local_match(stack.l1, stack.rollup, stack.world, seed=5) as session:
        play(session, controllers(10, seed=5))
        session.end()
    settle_match(stack.rollup, stack.l1, session.keys, session.crank)
    order = ix.record_result(session.keys, session.host.pubkey(), stack.world.key)
    close = ix.close_session(session.keys, session.host.pubkey())
    stack.l1.send([order, close], session.host)
    assert read_result(stack.l1, session.keys.session).frames == 10


def test_bench_rollup(rollup_package: Any) -> None:
    order = ["bench", "rollup", "scuffle", "--build", "sbf", "--seconds", "1", "--json"]
    (row,) = json.loads(CliRunner().invoke(app, order).stdout)["worlds"]
    assert row["build"] == "sbf" and row["params"] > 100_000 and row["tx_per_frame"] >= 1
    assert row["frames"] > 1 and 0 < row["interval_p50_ms"] <= row["interval_p99_ms"]
    assert 0 < row["cu_per_frame"] <= 1_400_000 * row["tx_per_frame"]


def test_bench_lifecycle(rollup_package: Any) -> None:
    """What was deposited comes back, but for what stays on the L1 for good: the result and the replay."""
    found = json.loads(CliRunner().invoke(app, ["bench", "lifecycle", "--frames", "30", "--json"]).stdout)
    assert found["frames"] == 30
    steps = {step["name"]: step for step in found["steps"]}
    kept = steps["record the result"]["deposit"] + steps["publish the replay"]["deposit"]
    assert sum(step["deposit"] for step in steps.values()) == kept > 0
    free = [name for name, step in steps.items() if step["fees"] == 0]
    assert free == ["open in the rollup", "join", "ready", "30 frames", "end"]
    assert all(steps[name]["l1_transactions"] == 0 for name in free)
    assert steps["deploy"]["deposit"] == -steps["retire"]["deposit"]
    assert steps["create"]["l1_transactions"] == steps["delegate"]["l1_transactions"] == 1
    assert steps["commit and undelegate"]["l1_transactions"] == 4
