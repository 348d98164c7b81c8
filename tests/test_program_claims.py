"""Players and cranks that leave, keys that are lost, frames that anybody may run, replays that stay."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from onchain import (
    Chain,
    Match,
    Refused,
    World,
    controllers,
    keypair,
    small_cartridge,
    tiny_cartridge,
    tiny_model,
)
from stages import STRANGER, Stages, next_segment, pad

from awm_kit.chain import accounts as A
from awm_kit.chain import instructions as I
from awm_kit.quant import reference


@pytest.fixture
def match() -> Match:
    return Match(World(Chain(), small_cartridge()).upload().finalise()).begin()


@pytest.fixture(scope="module")
def stages() -> Stages:
    return Stages()


def refusal(match: Match, *orders, signers) -> str:
    with pytest.raises(Refused) as caught:
        match.chain.simulate(*orders, signers=signers)
    return caught.value.name


def silence(match: Match) -> list[int]:
    return match.hidden()["silent"].tolist()


def test_a_player_who_is_silent_for_600_frames_forfeits(match: Match):
    """Player 0 holds one controller all the time and repeats it now and then; player 1 sends nothing."""
    claim = I.claim_forfeit(match.keys, match.players[0].pubkey(), 1)
    for frame in range(A.FORFEIT_FRAMES):
        assert silence(match) == [frame % 120, frame]
        if frame % 120 == 119:
            match.submit(0, pad(1 + frame // 120))
        if frame % 200 == 199:
            assert refusal(match, claim, signers=[match.players[0]]) == "NotSilent"
        match.run_frame()
    assert A.entries_of(match.chain.data(match.keys.log)) == b"", "a repeated controller is no new entry"
    match.chain.send(claim, signers=[match.players[0]])
    session, hidden = match.session(), match.hidden()
    assert (session["phase"], session["winner"]) == (A.Phase.ENDED, A.Winner.PLAYER_0)
    assert hidden["reason"] == A.EndReason.PLAYER_1_VANISHED
    assert hidden["state_hash"].tobytes().hex() == reference.state_hash(match.frame(), match.state())
    match.record()
    match.close()


def test_a_late_sign_of_life_saves_the_match(match: Match):
    data = bytearray(match.chain.data(match.keys.hidden))
    np.frombuffer(data, A.HIDDEN_HEADER, 1)["silent"] = A.FORFEIT_FRAMES
    match.chain.put(match.keys.hidden, bytes(data))
    match.submit(1, pad(1))
    match.run_frame()
    assert silence(match) == [A.FORFEIT_FRAMES, 0]
    claim = I.claim_forfeit(match.keys, match.crank.pubkey(), 1)
    assert refusal(match, claim, signers=[match.crank]) == "NotSilent"


@pytest.mark.parametrize("by", ["key", "wallet", "crank"])
@pytest.mark.parametrize("absent", [0, 1])
def test_who_may_claim_a_forfeit(stages: Stages, by: str, absent: int):
    match = stages.match().begin()
    quiet = [A.FORFEIT_FRAMES if p == absent else 3 for p in range(2)]
    stages.with_hidden(match, silent=tuple(quiet))
    there = 1 - absent
    signer = {"key": match.players[there], "wallet": (match.host, match.guest)[there], "crank": match.crank}[
        by
    ]
    match.chain.send(I.claim_forfeit(match.keys, signer.pubkey(), absent), signers=[signer])
    assert match.session()["winner"] == there
    assert match.hidden()["reason"] == A.EndReason.PLAYER_0_VANISHED + absent


def test_a_player_may_claim_though_silent_too(stages: Stages):
    """Who signs is there; only the crank must not choose between two that are silent."""
    match = stages.with_hidden(stages.match().begin(), silent=(A.FORFEIT_FRAMES, A.FORFEIT_FRAMES))
    signer = match.players[1]
    match.chain.send(I.claim_forfeit(match.keys, signer.pubkey(), 0), signers=[signer])
    assert match.session()["winner"] == A.Winner.PLAYER_1


def test_frames_that_do_not_run_make_nobody_silent(match: Match):
    for _ in range(A.FORFEIT_FRAMES + 10):
        match.chain.next_slot()
    match.run_frame()
    assert silence(match) == [1, 1]


@pytest.mark.parametrize("mid_frame", [False, True])
def test_a_match_without_a_crank_is_a_draw(mid_frame: bool):
    chain = Chain()
    match = Match(World(chain, tiny_cartridge()).upload().finalise()).begin()
    match.run_frame()
    if mid_frame:
        chain.next_slot()
        match.run_segment(0)
    claim = I.claim_abandoned(match.keys, match.players[1].pubkey())
    assert refusal(match, claim, signers=[match.players[1]]) == "CrankActive"
    for _ in range(A.ABANDON_SECONDS):  # a slot is a second here
        chain.next_slot()
    chain.send(claim, signers=[match.players[1]])
    assert match.session()["winner"] == A.Winner.DRAW
    assert match.hidden()["reason"] == A.EndReason.ABANDONED
    assert (match.hidden()["state_hash"].tobytes() == bytes(32)) == mid_frame
    match.record()
    match.close()


def test_a_crank_that_never_came_is_no_trap(match: Match):
    for _ in range(A.ABANDON_SECONDS):
        match.chain.next_slot()
    match.chain.send(I.claim_abandoned(match.keys, match.host.pubkey()), signers=[match.host])
    match.record()
    assert A.parse(match.chain.data(match.keys.result), A.MATCH_RESULT)["frames"] == 0


def test_a_wallet_replaces_its_session_key(match: Match):
    old, new = match.players[1], keypair("new session key")
    match.submit(1, pad(5))
    order = I.renew_key(match.keys, match.guest.pubkey(), 1, new.pubkey())
    match.chain.send(order, signers=[match.guest])
    late = I.submit_input(match.keys, old.pubkey(), 1, pad(6))
    assert refusal(match, late, signers=[old]) == "WrongSessionKey"
    assert refusal(match, I.end_session(match.keys, old.pubkey()), signers=[old]) == "MayNotEnd"
    copied = I.submit_input(match.keys, new.pubkey(), 1, pad(5))
    assert refusal(match, copied, signers=[new]) == "OldSequence"
    match.chain.send(I.submit_input(match.keys, new.pubkey(), 1, pad(6)), signers=[new])
    match.submit(0, pad(1))  # the other's key is as it was
    match.end(new)
    assert match.session()["winner"] == A.Winner.PLAYER_0


def test_licensed_frames_are_the_same_frames():
    """Nobody signs for the crank; several transactions a frame, each with every shard of the world."""
    chain = Chain()
    match = Match(World(chain, tiny_cartridge()).upload().finalise()).create().grow().join()
    crank, run = match.crank, next_segment(match)
    chain.send(I.license_frames(match.keys, crank.pubkey(), 6), signers=[crank])
    chain.send(run)
    assert match.frame()["frame"] == 0, "it waits for the players"
    match.ready()
    frame, state, inputs = match.frame(), reference.initial_state(tiny_model()), controllers(5)
    for pads in inputs:
        for player in range(2):
            match.submit(player, pads[player])
        chain.next_slot()
        for _ in range(len(match.segments) + 3):  # the last three come in a slot that has its frame
            chain.send(run)
        frame = reference.step(tiny_model(), state, frame, pads)
        assert match.frame().tobytes() == frame.tobytes()
        assert match.state() == state.tobytes()
    match.run_frame()  # the crank's own word needs no licence
    assert match.frame()["frame"] == 6
    chain.next_slot()
    assert refusal(match, run, signers=[]) == "NoLicence"


def test_a_licence_is_for_frames_only_and_can_be_withdrawn(match: Match):
    crank, chain = match.crank, match.chain
    chain.send(I.license_frames(match.keys, crank.pubkey(), 1_000), signers=[crank])
    chain.next_slot()
    chain.send(next_segment(match))
    end = I.end_session(match.keys, STRANGER.pubkey())
    assert refusal(match, end, signers=[STRANGER]) == "MayNotEnd"
    chain.send(I.license_frames(match.keys, crank.pubkey(), 0), signers=[crank])
    chain.next_slot()
    assert refusal(match, next_segment(match), signers=[]) == "NoLicence"


def test_a_replay_stays_after_the_match_is_closed():
    chain = Chain()
    match = Match(World(chain, tiny_cartridge()).upload().finalise()).begin()
    inputs = controllers(12)
    for pads in inputs:
        for player in range(2):
            match.submit(player, pads[player])
        match.run_frame()
    content = A.replay_of(chain.data(match.keys.log))
    match.end(match.crank)
    match.record()
    match.close()
    owner, result = keypair("archivist"), match.keys.result
    chain.svm.airdrop(owner.pubkey(), 10**12)
    log_hash = hashlib.sha256(content).hexdigest()
    seed, me = A.replay_seed(log_hash), owner.pubkey()
    key = I.Pubkey.create_with_seed(me, seed, I.PROGRAM_ID)
    rent = chain.rent(A.CONTENT_OFFSET + len(content))
    make = I.create_content(me, key, seed, len(content), rent)
    chain.send(make, I.init_replay(key, result, me, len(content)), signers=[owner])
    half = len(content) // 2
    chain.send(I.write(key, me, half, content[half:]), signers=[owner])
    finalise = I.finalise_replay(key, result, me)
    assert refusal(match, finalise, signers=[owner]) == "HashMismatch"
    chain.send(I.write(key, me, 0, content[:half]), signers=[owner])
    chain.send(finalise, signers=[owner])
    header = A.parse(chain.data(key), A.CONTENT_HEADER)
    assert header["state"] == A.ContentState.FROZEN
    assert header["sha256"].tobytes().hex() == log_hash
    assert A.key_of(header, "link") == result
    assert A.content_of(chain.data(key)) == content
    before = chain.lamports(me)
    chain.send(I.retire(key, me, me), signers=[owner])
    assert chain.lamports(me) == before + rent
