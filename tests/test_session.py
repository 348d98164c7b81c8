"""Matches on the embedded ledger: equal to the other engines, recorded, verified, and hard to falsify."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fragile import Fragile, PowerCut
from onchain import controllers, tiny_cartridge, tiny_model
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import inputlog
from awm_kit.chain.accounts import ABANDON_SECONDS, FORFEIT_FRAMES, EndReason, Phase, Winner
from awm_kit.chain.deploy import deploy, retire
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.match_record import NO_HASH, MatchRecord, record_from_session
from awm_kit.chain.resimulation import leading, record_match, winner_for
from awm_kit.chain.results import list_results, read_result
from awm_kit.chain.session import HEARTBEAT_FRAMES, ChainSession
from awm_kit.chain.session_entry import create_session, join_session, local_match, resume_session
from awm_kit.chain.verify import check_result, verify
from awm_kit.chain.worlds import World, open_world
from awm_kit.data import load_slp
from awm_kit.data.scuffle import initial_frame
from awm_kit.errors import InsufficientFundsError, LedgerError, ProgramError, VerificationError
from awm_kit.kernel import NativeWorld
from awm_kit.quant import reference
from awm_kit.schema import CONTROLLER, FRAME, neutral_inputs


def wallet(ledger: EmbeddedLedger) -> Keypair:
    key = Keypair()
    ledger.airdrop(key.pubkey(), 10 * LAMPORTS_PER_SOL)
    return key


def open_ledger(endless: bool = True) -> tuple[Fragile, World]:
    ledger = Fragile()
    return ledger, deploy(ledger, tiny_cartridge(0, endless), wallet(ledger), progress=False)


@pytest.fixture
def chain() -> tuple[Fragile, World]:
    """A ledger and a world in which nobody ever wins."""
    return open_ledger()


def play(session: ChainSession, inputs: np.ndarray) -> list[bytes]:
    return [session.step(pair).tobytes() for pair in inputs]


def test_three_engines_give_one_match(chain: tuple[Fragile, World]) -> None:
    ledger, world = chain
    session = local_match(ledger, world, seed=5)
    native, model = NativeWorld(world.cartridge), tiny_model()
    state_c, state_py = native.initial_state(), reference.initial_state(model)
    frame_c = frame_py = session.start_frame
    for inputs in controllers(100):
        frame_c = native.step(state_c, frame_c, inputs)
        frame_py = reference.step(model, state_py, frame_py, inputs)
        assert session.step(inputs).tobytes() == frame_c.tobytes() == frame_py.tobytes()
    assert session.hidden_state().tobytes() == state_c.tobytes() == state_py.tobytes()
    hashes = {session.state_hash(), reference.state_hash(frame_c, state_c)}
    assert hashes == {reference.state_hash(frame_py, state_py)}
    assert int(session.frame["frame"]) == session.frames == 100
    assert repr(session) == "<ChainSession of player 0 and player 1, frame 100, on embedded>"
    assert session.tx_per_frame == len(world.cartridge.manifest.segments) > 1
    assert 50_000 < session.cu_per_frame < 1_400_000 * session.tx_per_frame


def test_a_thousand_frames_of_real_inputs(chain: tuple[Fragile, World], slp_dir: Path) -> None:
    ledger, world = chain
    inputs = load_slp(min((slp_dir / "train").glob("*.slp"))).inputs[1:1001]
    session = local_match(ledger, world, seed=1)
    for pair in inputs:
        session.step(pair)
    native, model, frame = NativeWorld(world.cartridge), tiny_model(), session.start_frame
    state_c, state_py = native.initial_state(), reference.initial_state(model)
    last = native.run(state_c, frame, inputs)[-1, ...]
    for pair in inputs:
        frame = reference.step(model, state_py, frame, pair)
    expected = reference.state_hash(frame, state_py)
    assert session.state_hash() == expected
    assert reference.state_hash(session.frame, state_c) == expected
    assert last == session.frame
    session.end()
    record = record_from_session(ledger, session)
    assert len(inputlog.encode(record.inputs)) > 1_000
    assert verify(record, world.cartridge).ok


def test_undefined_padding_of_a_first_frame_is_cleared(chain: tuple[Fragile, World]) -> None:
    raw = bytearray(initial_frame(1).tobytes())
    raw[6:8] = b"\xaa\xbb"  # between status and time limit
    dirty = np.frombuffer(raw, FRAME).reshape(())
    session = local_match(*chain, start_frame=dirty)
    assert session.start_frame.tobytes() == initial_frame(1).tobytes()
    native = record_match(tiny_cartridge(), dirty, controllers(2))
    assert native.start_frame.tobytes() == initial_frame(1).tobytes()


def test_a_match_is_recorded_saved_and_verified(chain: tuple[Fragile, World], tmp_path: Path) -> None:
    ledger, world = chain
    session = local_match(ledger, world, seed=5)
    inputs = controllers(100)
    play(session, inputs)
    assert session.end() == Winner.DRAW
    assert session.phase == Phase.ENDED
    record = record_from_session(ledger, session)
    assert record.reason == EndReason.STOPPED
    assert inputlog.encode(record.inputs) == inputlog.encode(inputs)
    assert record.meta["session"] == str(session.keys.session)
    report = verify(record, world.cartridge).check()
    assert report.ok
    assert report.frames == 100
    assert report.first_bad_frame is None

    result = session.record_result()
    check_result(record, result)
    assert (result.frames, result.seed, result.stage) == (100, 5, 31)
    session.close()
    assert read_result(ledger, session.keys.session) == result
    assert list_results(ledger) == list_results(ledger, world.key) == [result]
    assert list_results(ledger, Pubkey.new_unique()) == []

    again = MatchRecord.load(record.save(tmp_path / "match.awmatch"))
    assert verify(again, world.cartridge).ok
    check_result(again, result)
    assert [p.name for p in tmp_path.iterdir()] == ["match.awmatch"]


def test_a_native_match_gives_the_record_that_the_program_gives(chain: tuple[Fragile, World]) -> None:
    ledger, world = chain
    session, inputs = local_match(ledger, world, seed=9), controllers(20, seed=2)
    play(session, inputs)
    session.end()
    onchain = record_from_session(ledger, session.keys.session)
    native = record_match(world.cartridge, session.start_frame, inputs)
    assert (native.chain_hash, native.state_hash) == (onchain.chain_hash, onchain.state_hash)
    assert (native.winner, native.reason) == (onchain.winner, onchain.reason)
    assert native.start_frame.tobytes() == onchain.start_frame.tobytes()
    assert session.chain_hash() == native.chain_hash


@pytest.fixture(scope="module")
def record() -> MatchRecord:
    """A native match of 60 frames, with a trace."""
    start = initial_frame(4, 31, (1, 18))
    return record_match(tiny_cartridge(), start, controllers(60))


@pytest.mark.parametrize("frame", [1, 30, 60])
@pytest.mark.parametrize("field", ["buttons", "stick_x"])
def test_one_flipped_input_bit_is_found(record: MatchRecord, frame: int, field: str) -> None:
    inputs = record.inputs.copy()
    inputs[field][frame - 1, 1] ^= 1
    report = verify(replace(record, inputs=inputs), tiny_cartridge())
    assert not report.ok
    assert report.first_bad_frame == frame
    with pytest.raises(VerificationError, match=f"frame {frame} differs"):
        report.check()
    without = verify(replace(record, inputs=inputs, trace=np.zeros(0, np.uint32)), tiny_cartridge())
    assert not without.ok
    assert "NOT VERIFIED" in repr(without)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"winner": Winner.PLAYER_0}, "expected winner DRAW"),
        ({"reason": EndReason.DECIDED}, "status is 0"),
        ({"reason": EndReason.PLAYER_0_QUIT}, "expected winner PLAYER_1"),
        ({"state_hash": "11" * 32}, "expected state hash 11"),
        ({"chain_hash": "11" * 32}, "expected chain hash 11"),
        ({"world_hash": "11" * 32}, "expected world 11"),
    ],
)
def test_false_claims_are_found(record: MatchRecord, change: dict[str, Any], why: str) -> None:
    with pytest.raises(VerificationError, match=why):
        verify(replace(record, **change), tiny_cartridge()).check()


def test_another_start_or_another_length_is_found(record: MatchRecord) -> None:
    start = record.start_frame.copy()
    start["players"]["x"][0] += 1
    cases = [
        replace(record, start_frame=start),
        replace(record, inputs=record.inputs[:-1]),
        replace(record, inputs=np.concatenate([record.inputs, neutral_inputs(1)])),
    ]
    assert not any(verify(case, tiny_cartridge()).ok for case in cases)
    assert verify(record, tiny_cartridge()).ok
    assert verify(replace(record, state_hash=NO_HASH), tiny_cartridge()).ok


def test_a_file_of_before_unfinished_frames_were_kept(record: MatchRecord, tmp_path: Path) -> None:
    path = record.save(tmp_path / "match.awmatch")
    with np.load(path) as file:
        fields = {name: file[name] for name in file.files if name != "begun"}
    with path.open("wb") as old:
        np.savez_compressed(old, **fields)
    assert MatchRecord.load(path).replay == record.replay


NO_TRACE = np.zeros(0, np.uint32)


@pytest.mark.parametrize(
    "claim",
    [
        *({"frames": -1, "trace": NO_TRACE}, {"frames": 3, "trace": NO_TRACE}, {"trace": np.float64(1)}),
        {"frames": 1 << 40, "begun": 1 << 40, "trace": NO_TRACE},
        {"facts": '{"format": 1, "world": 1, "chain": "", "state": "", "meta": {}}'},
    ],
)
def test_a_record_that_claims_what_cannot_be(
    record: MatchRecord, tmp_path: Path, claim: dict[str, object]
) -> None:
    path = record.save(tmp_path / "match.awmatch")
    with np.load(path) as file:
        fields = {name: file[name] for name in file.files} | {k: np.array(n) for k, n in claim.items()}
    with path.open("wb") as false:
        np.savez_compressed(false, **fields)
    with pytest.raises(VerificationError, match=r"match\.awmatch is damaged or no match record: expected"):
        MatchRecord.load(path)


def test_a_damaged_record_is_named(record: MatchRecord, tmp_path: Path) -> None:
    path = record.save(tmp_path / "match.awmatch")
    raw = path.read_bytes()
    for damaged in (raw[: len(raw) // 2], b"", b"PK" + raw[5:], raw[:300] + b"\xff" * 40 + raw[340:]):
        path.write_bytes(damaged)
        with pytest.raises(VerificationError, match=r"match\.awmatch"):
            MatchRecord.load(path)
    with path.open("wb") as file:
        np.savez(file, other=1)
    with pytest.raises(VerificationError, match="no match record"):
        MatchRecord.load(path)
    with pytest.raises(FileNotFoundError):
        MatchRecord.load(tmp_path / "none")


def test_a_decided_match_ends_and_goes_no_further() -> None:
    ledger, world = open_ledger(endless=False)
    session = local_match(ledger, world)
    for inputs in controllers(200):
        if session.step(inputs)["status"]:
            break
    assert session.frame["status"] == 1
    with pytest.raises(ProgramError, match="MatchDecided"):
        session.step(neutral_inputs()[0])
    winner = session.end()
    assert winner == leading(session.frame) != Winner.NONE_YET
    record = record_from_session(ledger, session)
    assert record.reason == EndReason.DECIDED
    assert verify(record, world.cartridge).ok
    longer = replace(record, inputs=np.concatenate([record.inputs, neutral_inputs(2)]))
    report = verify(longer, world.cartridge)
    assert "the record goes on" in report.problems[0]
    assert report.first_bad_frame == record.frames + 1


def test_time_runs_out(chain: tuple[Fragile, World]) -> None:
    ledger, world = chain
    session = local_match(ledger, world, time_limit=3)
    assert [int(session.step(pair)["status"]) for pair in neutral_inputs(3)] == [0, 0, 2]
    assert session.end() == leading(session.frame)
    record = record_from_session(ledger, session.keys.session)
    assert record.reason == EndReason.TIMEOUT
    assert verify(record, world.cartridge).ok


def test_who_quits_loses(chain: tuple[Fragile, World]) -> None:
    ledger, world = chain
    for player, winner in ((0, Winner.PLAYER_1), (1, Winner.PLAYER_0)):
        session = local_match(ledger, world)
        session.step(controllers(1)[0])
        assert session.quit(player) == winner == winner_for(EndReason(3 + player), Winner.DRAW)
        assert verify(record_from_session(ledger, session), world.cartridge).ok


def test_unchanged_inputs_are_not_sent_again(chain: tuple[Fragile, World]) -> None:
    ledger, world = chain
    session = local_match(ledger, world)
    pair = controllers(1)[0]
    for _ in range(5):
        session.step(pair)
    session.end()
    record = record_from_session(ledger, session)
    assert len(inputlog.encode(record.inputs)) == len(inputlog.encode(pair[None]))
    assert [int(n) for n in session._held["sequence"]] == [1, 1]


def test_a_held_controller_is_repeated_now_and_then(chain: tuple[Fragile, World]) -> None:
    session = local_match(*chain)
    for _ in range(2 * HEARTBEAT_FRAMES + 2):
        session.step(neutral_inputs()[0])
    assert session.silence(0) == session.silence(1) == 1
    assert [int(n) for n in session._held["sequence"]] == [2, 2]
    with pytest.raises(ProgramError, match="NotSilent"):
        session.claim_forfeit(1)
    session.end()
    assert inputlog.encode(record_from_session(chain[0], session).inputs) == b""


def test_a_guest_that_leaves_without_a_word_loses(chain: tuple[Fragile, World]) -> None:
    """The guest's process is gone; the host plays on alone, and after a while claims the match."""
    ledger, world = chain
    host = create_session(ledger, world, wallet(ledger), initial_frame(1))
    join_session(ledger, host.keys.session, wallet(ledger)).ready()
    host.ready()
    for _ in range(FORFEIT_FRAMES):
        host.step(neutral_inputs()[0])
    assert host.silence(0) < HEARTBEAT_FRAMES < host.silence(1) == FORFEIT_FRAMES
    assert host.claim_forfeit(1) == Winner.PLAYER_0 == winner_for(EndReason.PLAYER_1_VANISHED, Winner.DRAW)
    record = record_from_session(ledger, host)
    assert record.reason == EndReason.PLAYER_1_VANISHED
    assert verify(record, world.cartridge).ok
    check_result(record, host.record_result())


def test_a_host_that_leaves_with_the_crank_ends_in_a_draw(
    chain: tuple[Fragile, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, world = chain
    host = create_session(ledger, world, wallet(ledger), initial_frame(1))
    guest = join_session(ledger, host.keys.session, wallet(ledger))
    guest.ready()
    host.ready()
    host.step(neutral_inputs()[0])
    with pytest.raises(ProgramError, match="CrankActive"):
        guest.claim_abandoned()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + ABANDON_SECONDS)
    ledger.next_slot()
    assert guest.claim_abandoned() == Winner.DRAW == winner_for(EndReason.ABANDONED, Winner.PLAYER_0)
    record = record_from_session(ledger, guest)
    assert record.reason == EndReason.ABANDONED
    assert verify(record, world.cartridge).ok
    with pytest.raises(ValueError, match="only a player"):
        ChainSession(ledger, host.keys, host.payer, {}).claim_abandoned()
    with pytest.raises(ValueError, match="only player 1 or the crank"):
        ChainSession(ledger, host.keys, host.payer, {}).claim_forfeit(0)


def test_a_client_that_lost_its_key_takes_its_seat_again(chain: tuple[Fragile, World]) -> None:
    ledger, world = chain
    host_wallet, guest_wallet = wallet(ledger), wallet(ledger)
    host = create_session(ledger, world, host_wallet, initial_frame(1))
    lost = join_session(ledger, host.keys.session, guest_wallet)
    lost.ready()
    host.ready()
    inputs = controllers(6)
    for pair in inputs[:3]:
        lost.submit(pair)
        host.step(pair)
    again = resume_session(ledger, host.keys.session, guest_wallet)
    assert list(again.players) == [1] and again.crank is None
    with pytest.raises(ProgramError, match="WrongSessionKey"):
        lost.submit(inputs[3])
    for pair in inputs[3:]:
        again.submit(pair)
        host.step(pair)
    crank = resume_session(ledger, host.keys.session, host_wallet, crank=host_wallet)
    crank.step(inputs[5])
    crank.end()
    record = record_from_session(ledger, crank)
    expected = inputlog.encode(np.concatenate([inputs, inputs[5:]]))
    assert inputlog.encode(record.inputs) == expected
    assert verify(record, world.cartridge).ok
    with pytest.raises(LedgerError, match="does not play"):
        resume_session(ledger, host.keys.session, wallet(ledger))


def test_two_processes_share_a_match(chain: tuple[Fragile, World]) -> None:
    """Host and guest each know only their own session key; the guest waits for the host's frames."""
    ledger, world = chain
    host, inputs = create_session(ledger, world, wallet(ledger), initial_frame(1)), controllers(12)
    frames: list[bytes] = []

    def guest() -> None:
        joined = join_session(ledger, host.keys.session, wallet(ledger), character=2)
        joined.ready()
        joined.wait(Phase.ACTIVE)
        while len(frames) < 12:
            joined.step(inputs[len(frames)])
            frames.append(joined.frame.tobytes())

    thread = threading.Thread(target=guest)
    thread.start()
    host.wait(Phase.JOINED)
    host.pick_character(0, 9)
    host.ready()
    host.wait(Phase.ACTIVE)
    assert [int(p["character"]) for p in host.start_frame["players"]] == [9, 2]
    while thread.is_alive():
        host.step(inputs[0])
    host.end()
    record = record_from_session(ledger, host)
    assert verify(record, world.cartridge).ok
    assert (record.inputs["buttons"][:, 0] == inputs["buttons"][0, 0]).all()
    seen = {record.inputs[i, 1]["buttons"] for i in range(record.frames)}
    assert seen <= {0, *inputs["buttons"][:, 1].tolist()}
    assert len(seen) > 1


@pytest.mark.parametrize("lost", [0, 1])
def test_a_frame_that_was_interrupted_is_finished(chain: tuple[Fragile, World], lost: int) -> None:
    ledger, world = chain
    session, inputs = local_match(ledger, world), controllers(6)
    play(session, inputs[:3])
    ledger.cut_after(lost)
    with pytest.raises(PowerCut):
        session.step(inputs[3])
    play(session, inputs[3:])
    session.end()
    record = record_from_session(ledger, session)
    assert record.frames == 6
    assert verify(record, world.cartridge).ok


def test_a_match_outlives_its_process(chain: tuple[Fragile, World]) -> None:
    ledger, world = chain
    session, inputs = local_match(ledger, world), controllers(8)
    play(session, inputs[:4])
    again = ChainSession(ledger, session.keys, session.payer, session.players, session.crank)
    play(again, inputs[4:])
    again.end()
    assert verify(record_from_session(ledger, session), world.cartridge).ok


def test_a_full_log_ends_the_match(chain: tuple[Fragile, World]) -> None:
    ledger, world = chain
    host = wallet(ledger)
    session = create_session(ledger, world, host, initial_frame(1), log_kib=1)
    guest = join_session(ledger, session.keys.session, wallet(ledger))
    session.players.update(guest.players)
    session.ready()
    inputs = controllers(300)
    inputs["stick_x"] = np.arange(600).reshape(300, 2) % 80
    with pytest.raises(ProgramError, match="LogFull"):
        play(session, inputs)
    assert 50 < session.frames < 300
    assert session.end() == leading(session.frame)
    record = record_from_session(ledger, session)
    assert record.reason == EndReason.LOG_FULL
    assert verify(record, world.cartridge).ok


def test_rent_returns_to_the_host(chain: tuple[Fragile, World]) -> None:
    ledger, world = chain
    host = wallet(ledger)
    session = create_session(ledger, world, host, initial_frame(1))
    before = ledger.balance(host.pubkey())
    assert before < 10 * LAMPORTS_PER_SOL - session.close() + 100_000
    assert ledger.balance(host.pubkey()) > 10 * LAMPORTS_PER_SOL - 100_000
    with pytest.raises(LedgerError, match="was it closed"):
        session.state_hash()


def test_what_a_session_refuses(chain: tuple[Fragile, World]) -> None:
    ledger, world = chain
    session = local_match(ledger, world)
    with pytest.raises(ValueError, match="controllers"):
        session.step(np.zeros(3, CONTROLLER))
    with pytest.raises(LedgerError, match="still running"):
        record_from_session(ledger, session)
    with pytest.raises(LedgerError, match="no recorded result"):
        read_result(ledger, session.keys.session)
    with pytest.raises(ProgramError, match="StillPlaying"):
        session.close()
    with pytest.raises(ProgramError, match="NotEnded"):
        session.record_result()
    with pytest.raises(ProgramError, match="NotOpen"):
        join_session(ledger, session.keys.session, wallet(ledger))
    with pytest.raises(LedgerError, match="there is no match"):
        join_session(ledger, Pubkey.new_unique(), wallet(ledger))
    for key in (session.keys.session, session.keys.input, session.keys.log):
        with pytest.raises(LedgerError, match="a match's account"):
            open_world(ledger, key)
    stranger = ChainSession(ledger, session.keys, wallet(ledger), {0: Keypair()}, session.crank)
    with pytest.raises(ProgramError, match="WrongSessionKey"):
        stranger.step(controllers(1)[0])
    usurper = ChainSession(ledger, session.keys, wallet(ledger), {}, Keypair())
    with pytest.raises(ProgramError, match="WrongCrank"):
        usurper.step(controllers(1)[0])
    with pytest.raises(ValueError, match="only the crank"):
        ChainSession(ledger, session.keys, wallet(ledger), {}).end()
    session.end()
    with pytest.raises(ProgramError, match="NotRecorded"):
        session.close()


def test_sessions_need_funds_a_world_and_a_first_frame(chain: tuple[Fragile, World]) -> None:
    ledger, world = chain
    with pytest.raises(InsufficientFundsError):
        create_session(ledger, world, Keypair(), initial_frame(1))
    late = np.frombuffer(bytearray(initial_frame(1).tobytes()), FRAME).reshape(())
    late["frame"] = 4
    with pytest.raises(ProgramError, match="InitialFrame"):
        create_session(ledger, world, wallet(ledger), late)
    with pytest.raises(ProgramError, match="WrongOwner"):
        create_session(ledger, Pubkey.new_unique(), wallet(ledger), initial_frame(1))
    host = wallet(ledger)
    create_session(ledger, world, host, initial_frame(1), session_id=3)
    with pytest.raises(ProgramError, match="AddressInUse"):
        create_session(ledger, world, host, initial_frame(1), session_id=3)


def test_a_retired_world_stops_its_matches(chain: tuple[Fragile, World]) -> None:
    ledger = EmbeddedLedger()
    owner = wallet(ledger)
    world = deploy(ledger, tiny_cartridge(), owner, progress=False)
    session = local_match(ledger, world)
    play(session, controllers(3))
    retire(ledger, world, owner)
    with pytest.raises(ProgramError, match="WrongOwner"):
        session.step(neutral_inputs()[0])
    session.end()
    assert verify(record_from_session(ledger, session), world.cartridge).ok
