"""Frames that MagicBlock's own task scheduler runs, under a licence, on the real rollup."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from onchain import small_cartridge
from solders.keypair import Keypair
from test_rollup import Lent, Stack, lend, started

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import EndReason, frame_of
from awm_kit.chain.deploy import deploy
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.match_record import record_from_session
from awm_kit.chain.rollup import open_match, settle_match
from awm_kit.chain.rollup_session import RollupSession
from awm_kit.chain.scheduler import cancel_frames, follow_scheduled, schedule_frames, schedule_task
from awm_kit.chain.session_setup import manifest_of
from awm_kit.chain.verify import verify
from awm_kit.errors import LedgerError, ProgramError
from awm_kit.schema import CONTROLLER

pytestmark = pytest.mark.rollup


@pytest.fixture(scope="module")
def stack(rollup_package: Any) -> Iterator[Stack]:
    with started() as stack:
        yield stack


@pytest.fixture(scope="module")
def small(stack: Stack) -> Stack:
    """The same network with a world of one transaction per frame."""
    owner = Keypair()
    stack.l1.airdrop(owner.pubkey(), 100 * LAMPORTS_PER_SOL)
    world = deploy(stack.l1, small_cartridge(), owner, progress=False)
    return replace(stack, world=world, matches=1_000)


def opened(lent: Lent, kind: type[RollupSession] = RollupSession) -> RollupSession:
    """Both players here, the crank elsewhere; not ready yet."""
    open_match(lent.stack.rollup, lent.keys, lent.crank, lent.stack.world.key)
    return kind(lent.stack.rollup, lent.keys, lent.players[0], dict(enumerate(lent.players)))


def frame_number(stack: Stack, lent: Lent) -> int:
    return int(frame_of(stack.rollup.account(lent.keys.session).data)["frame"])


def rested(stack: Stack, lent: Lent) -> int:
    """The frame at which the match stands still."""
    time.sleep(0.2)  # what is under way
    before = frame_number(stack, lent)
    time.sleep(0.5)
    assert frame_number(stack, lent) == before
    return before


def pads(stick: int) -> np.ndarray:
    held = np.zeros(2, CONTROLLER)
    held["stick_x"] = stick
    return held


@pytest.mark.parametrize("which", ["small", "stack"])
def test_the_rollup_runs_licensed_frames(which: str, request: pytest.FixtureRequest) -> None:
    stack: Stack = request.getfixturevalue(which)
    lent = lend(stack)
    with opened(lent) as session:
        task = schedule_frames(stack.rollup, lent.keys, lent.crank, stack.world.key, 10_000)
        time.sleep(0.2)
        assert frame_number(stack, lent) == 0, "the task waits for the players"
        session.ready()
        last = 0
        for stick in range(40):
            session.submit(pads(stick))
            number = int(follow_scheduled(session, lent.crank.pubkey())["frame"])
            assert number > last
            last = number
        cancel_frames(stack.rollup, lent.keys, lent.crank, task)
        with pytest.raises(LedgerError, match="used up"):
            follow_scheduled(session, lent.crank.pubkey(), patience=0.05)
        rested(stack, lent)
        session.quit(0)
        record = record_from_session(stack.rollup, session.keys.session)
        assert record.frames >= 40
        assert len({int(n) for n in record.inputs["stick_x"][:, 1]}) > 20
        assert verify(record, stack.world.cartridge).ok
    settle_match(stack.rollup, stack.l1, lent.keys, lent.players[0])


def test_it_stops_where_the_licence_ends(small: Stack) -> None:
    lent = lend(small)
    with opened(lent) as session:
        session.ready()
        schedule_frames(small.rollup, lent.keys, lent.crank, small.world.key, 25)
        while session.frame["frame"] < 25:
            follow_scheduled(session, lent.crank.pubkey())
        assert rested(small, lent) == 25


def test_nobody_else_can_have_frames_run(small: Stack) -> None:
    """A stranger's task goes in, because anybody may schedule one; without a licence it runs nothing."""
    lent, stranger, rollup = lend(small), Keypair(), small.rollup
    with opened(lent) as session:
        session.ready()
        with pytest.raises(ProgramError, match="WrongCrank"):
            schedule_frames(rollup, lent.keys, stranger, small.world.key, 100)
        _, shards = manifest_of(rollup, small.world.key)
        run = ix.run_next(lent.keys, lent.crank.pubkey(), small.world.key, shards)
        rollup.send([schedule_task(stranger.pubkey(), 77, 5, 1_000, [run])], stranger)
        assert rested(small, lent) == 0
        # Nor can a task sign for the crank, or for a player.
        for signer in (lent.crank, lent.players[0]):
            end = ix.end_session(lent.keys, signer.pubkey())
            with pytest.raises(LedgerError, match="MissingRequiredSignature"):
                rollup.send([schedule_task(stranger.pubkey(), 78, 5, 1, [end])], stranger)


def test_a_stranger_s_task_cannot_give_a_slot_two_frames(small: Stack) -> None:
    lent, stranger, rollup = lend(small), Keypair(), small.rollup
    with opened(lent) as session:
        session.ready()
        schedule_frames(rollup, lent.keys, lent.crank, small.world.key, 120)
        _, shards = manifest_of(rollup, small.world.key)
        run = ix.run_next(lent.keys, lent.crank.pubkey(), small.world.key, shards)
        rollup.send([schedule_task(stranger.pubkey(), 79, 1, 100_000, [run])], stranger)
        first = follow_scheduled(session, lent.crank.pubkey())
        began = rollup.slot()
        while session.frame["frame"] < 120:
            follow_scheduled(session, lent.crank.pubkey())
        assert rollup.slot() - began >= 120 - int(first["frame"]) - 2
        assert rested(small, lent) == 120
        session.quit(1)
        record = record_from_session(rollup, session.keys.session)
    assert (record.reason, record.frames) == (EndReason.PLAYER_1_QUIT, 120)
    assert verify(record, small_cartridge()).ok
