"""Replays published on the ledger, and matches verified from nothing but what is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fragile import Fragile, PowerCut
from onchain import controllers, tiny_cartridge
from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from typer.testing import CliRunner

from awm_kit.chain.accounts import CONTENT_OFFSET, EndReason, session_keys
from awm_kit.chain.deploy import deploy, retire
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.leaderboard import history, leaderboard
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.match_record import NO_HASH, MatchRecord, record_from_session
from awm_kit.chain.replays import fetch_record, find_replay, plan_replay, publish_replay, verify_match
from awm_kit.chain.results import read_result
from awm_kit.chain.rpc import RpcLedger
from awm_kit.chain.session import ChainSession
from awm_kit.chain.session_entry import local_match
from awm_kit.chain.verify import check_result
from awm_kit.chain.worlds import World
from awm_kit.cli import app
from awm_kit.errors import InsufficientFundsError, LedgerError, ProgramError, VerificationError
from validator import l1, l1_chain


def funded(ledger: EmbeddedLedger) -> Keypair:
    key = Keypair()
    ledger.airdrop(key.pubkey(), 10 * LAMPORTS_PER_SOL)
    return key


@pytest.fixture
def ledger() -> Fragile:
    return Fragile()


@pytest.fixture
def world(ledger: Fragile) -> World:
    return deploy(ledger, tiny_cartridge(), funded(ledger), progress=False)


@pytest.fixture
def played(ledger: Fragile, world: World) -> tuple[Pubkey, MatchRecord]:
    """A match that was recorded and closed; the record is what a player kept."""
    return play(ledger, world)


def play(
    ledger: EmbeddedLedger, world: World, seed: int = 0, close: bool = True
) -> tuple[Pubkey, MatchRecord]:
    session = local_match(ledger, world, seed=seed)
    for pads in controllers(150, seed):
        session.step(pads)
    session.quit(1)
    record = record_from_session(ledger, session)
    session.record_result()
    if close:
        session.close()
    return session.keys.session, record


def test_anybody_keeps_a_replay_and_anybody_verifies_it(
    ledger: Fragile, world: World, played: tuple[Pubkey, MatchRecord]
) -> None:
    match, record = played
    with pytest.raises(LedgerError, match="nobody published"):
        verify_match(ledger, match)
    stranger = funded(ledger)
    key = publish_replay(ledger, record, match, stranger, progress=False)
    result = read_result(ledger, match)
    assert find_replay(ledger, result).key == key
    for name in (match, result.key):
        report = verify_match(ledger, name).check()
        assert (report.frames, report.chain_hash) == (150, record.chain_hash)
    found = fetch_record(ledger, match)
    assert found.start_frame.tobytes() == record.start_frame.tobytes()
    assert found.inputs.tobytes() == record.inputs.tobytes()
    assert (found.world_hash, found.state_hash) == (record.world_hash, record.state_hash)
    assert found.reason == EndReason.PLAYER_1_QUIT
    assert plan_replay(ledger, record, match, stranger).transactions == 0
    before = ledger.balance(stranger.pubkey())
    rent = ledger.rent_exempt(CONTENT_OFFSET + len(record.replay))
    assert retire(ledger, key, stranger) == rent
    assert ledger.balance(stranger.pubkey()) == before + rent - ledger.fee()
    assert find_replay(ledger, result) is None


def test_the_cost_is_known_before(ledger: Fragile, played: tuple[Pubkey, MatchRecord]) -> None:
    match, record = played
    payer = funded(ledger)
    plan, before = plan_replay(ledger, record, match, payer), ledger.balance(payer.pubkey())
    assert plan.transactions == 4
    publish_replay(ledger, record, match, payer, progress=False)
    assert before - ledger.balance(payer.pubkey()) == plan.total
    with pytest.raises(InsufficientFundsError, match="nothing was sent"):
        publish_replay(ledger, record, match, Keypair(), progress=False)


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_an_interrupted_upload_goes_on(ledger: Fragile, played: tuple[Pubkey, MatchRecord], cut: int) -> None:
    match, record = played
    payer = funded(ledger)
    whole = plan_replay(ledger, record, match, payer).transactions
    ledger.cut_after(cut - 1)
    with pytest.raises(PowerCut):
        publish_replay(ledger, record, match, payer, progress=False)
    assert plan_replay(ledger, record, match, payer).transactions == whole - cut + 1
    if cut > 1:
        assert find_replay(ledger, read_result(ledger, match)) is None, "half a replay is none"
        with pytest.raises(LedgerError, match="nobody published"):
            verify_match(ledger, match)
    publish_replay(ledger, record, match, payer, progress=False)
    assert verify_match(ledger, match).ok


def test_another_match_s_replay_is_not_taken(
    ledger: Fragile, world: World, played: tuple[Pubkey, MatchRecord]
) -> None:
    match, record = played
    other, _ = play(ledger, world, seed=1)
    payer = funded(ledger)
    with pytest.raises(VerificationError, match="replay: expected"):
        publish_replay(ledger, record, other, payer, progress=False)
    inputs = record.inputs.copy()
    inputs["buttons"][77, 1] ^= 1
    forged = replace(record, inputs=inputs)
    with pytest.raises(VerificationError, match="replay: expected"):
        publish_replay(ledger, forged, match, payer, progress=False)
    with pytest.raises(LedgerError, match="no recorded result"):
        publish_replay(ledger, record, Pubkey.new_unique(), payer, progress=False)


def test_a_flipped_bit_on_the_ledger_is_found(ledger: Fragile, played: tuple[Pubkey, MatchRecord]) -> None:
    """The program would never do so; a node that lies might."""
    match, record = played
    key = publish_replay(ledger, record, match, funded(ledger), progress=False)
    account = ledger.account(key)
    data = bytearray(account.data)
    data[-1] ^= 1
    ledger._svm.set_account(key, Account(account.lamports, bytes(data), account.owner))
    with pytest.raises(VerificationError, match="does not have the hash"):
        verify_match(ledger, match)


def test_an_open_match_needs_no_published_replay(ledger: Fragile, world: World) -> None:
    match, record = play(ledger, world, close=False)
    assert verify_match(ledger, match).check().chain_hash == record.chain_hash


def test_a_retired_world_can_be_brought_along(ledger: Fragile) -> None:
    owner = funded(ledger)
    world = deploy(ledger, tiny_cartridge(), owner, progress=False)
    match, record = play(ledger, world)
    publish_replay(ledger, record, match, owner, progress=False)
    retire(ledger, world, owner)
    with pytest.raises(LedgerError, match="no world"):
        verify_match(ledger, match)
    assert verify_match(ledger, match, tiny_cartridge()).ok
    assert not verify_match(ledger, match, tiny_cartridge(1)).ok


def test_somebody_else_cannot_retire_a_replay(ledger: Fragile, played: tuple[Pubkey, MatchRecord]) -> None:
    match, record = played
    key = publish_replay(ledger, record, match, funded(ledger), progress=False)
    with pytest.raises(ProgramError, match="WrongAuthority"):
        retire(ledger, key, funded(ledger))


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with EmbeddedLedger.opened(tmp_path / "kept") as ledger:
        world = deploy(ledger, tiny_cartridge(), funded(ledger), progress=False)
        match, record = play(ledger, world)
    wallets = record.meta["wallets"]
    file = record.save(tmp_path / "match.awmatch")

    def awm(*words: str, code: int = 0) -> Any:
        done = CliRunner().invoke(app, [*words, "--embedded", str(tmp_path / "kept"), "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if code == 0 else done.output

    assert "nobody published" in awm("verify", str(match), code=2)
    dry = awm("publish", str(file), "--dry-run", "--no-progress")
    assert dry["published"] is False and dry["total"] > dry["rent"] > 0
    assert awm("publish", str(file), "--no-progress")["published"] is True
    verified = awm("verify", str(match))
    assert (verified["ok"], verified["kind"], verified["frames"]) == (True, "match", 150)
    assert verified["chain_hash"] == record.chain_hash
    board = awm("leaderboard", str(world.key))
    assert [(s["rank"], s["wallet"], s["won"], s["lost"]) for s in board] == [
        (1, wallets[0], 1, 0),
        (2, wallets[1], 0, 1),
    ]
    (by_world,), (by_wallet,), (of_all,) = (
        awm("history", str(world.key)),
        awm("history", wallets[1]),
        awm("history"),
    )
    assert by_world == by_wallet == of_all
    assert (by_world["winner"], by_world["frames"]) == ("player_0", 150)
    assert awm("verify", by_world["result"])["ok"] is True
    assert awm("history", str(Pubkey.new_unique())) == []
    assert "no world" in awm("leaderboard", "nothing", code=2)


def test_result_and_match_name_the_same(ledger: Fragile, played: tuple[Pubkey, MatchRecord]) -> None:
    result = read_result(ledger, played[0])
    assert read_result(ledger, result.key) == result
    assert result.key != session_keys(Pubkey.new_unique(), 0).result


def test_over_http_too() -> None:
    """What a cluster is asked: filters by size and bytes, slices, many small transactions."""
    with l1.running(l1_chain.Chain(), slot_ms=20) as url:
        ledger = RpcLedger(url)
        payer = Keypair()
        ledger.airdrop(payer.pubkey(), 10 * LAMPORTS_PER_SOL)
        world = deploy(ledger, tiny_cartridge(), payer, progress=False)
        session = local_match(ledger, world)
        for pads in controllers(5):
            session.step(pads)
        session.quit(0)
        record = record_from_session(ledger, session)
        session.record_result()
        session.close()
        match = session.keys.session
        publish_replay(ledger, record, match, payer, progress=False)
        assert verify_match(ledger, match).check().frames == 5
        board = leaderboard(ledger, world.key)
        assert [str(s.wallet) for s in board] == record.meta["wallets"][::-1]
        assert [r.frames for r in history(ledger, board[0].wallet)] == [5]
        ledger.close()


@pytest.mark.parametrize("frames", [0, 3])
@pytest.mark.parametrize("leave", [lambda s: s.quit(1), lambda s: s.end()], ids=["quit", "stopped"])
def test_a_match_that_ended_in_mid_frame_is_verified(
    ledger: Fragile, world: World, tmp_path: Path, frames: int, leave: Callable[[ChainSession], Any]
) -> None:
    """The unfinished frame's inputs are in the log; that must not make the proof impossible."""
    session, inputs = local_match(ledger, world), controllers(frames + 1)
    for pads in inputs[:frames]:
        session.step(pads)
    ledger.cut_after(1)  # inputs and first piece land, the second one does not
    with pytest.raises(PowerCut):
        session.step(inputs[frames])
    leave(session)
    record = record_from_session(ledger, session)
    assert (record.frames, len(record.unfinished), record.state_hash) == (frames, 1, NO_HASH)
    result = session.record_result()
    record = MatchRecord.load(record.save(tmp_path / "match.awmatch"))
    check_result(record, result)
    publish_replay(ledger, record, session.keys.session, funded(ledger), progress=False)
    session.close()
    verify_match(ledger, session.keys.session, world.cartridge).check()
    found = fetch_record(ledger, result.key)
    assert found.replay == record.replay
    assert found.inputs.tobytes() == record.inputs.tobytes()


def test_a_match_without_a_frame_has_nothing_to_verify(ledger: Fragile, world: World) -> None:
    """It does not fail, either: frame 0 comes into the log with the first frame only."""
    session = local_match(ledger, world)
    session.quit(0)
    record = record_from_session(ledger, session)
    session.record_result()
    assert verify_match(ledger, session.keys.session).check().frames == 0, "while it is open"
    publish_replay(ledger, record, session.keys.session, funded(ledger), progress=False)
    session.close()
    with pytest.raises(LedgerError, match="before its first frame"):
        verify_match(ledger, session.keys.session)
