"""What the program refuses from the creation of a match to its end: name of the error, and the call."""

from __future__ import annotations

import numpy as np
from onchain import Match
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from stages import CASES, STRANGER, Call, Stages, by, changed, pad, refuses

from awm_kit.chain import accounts as A
from awm_kit.chain import instructions as I


@refuses("ManifestNotFrozen")
def session_on_an_unfinished_world(s):
    return by(s.new.host, s.new.create_instruction(manifest=s.shards_frozen.manifest))


def first_frame(s: Stages, **fields: int) -> Call:
    """The new match's call with its frame changed behind the builder's back."""
    call = by(s.new.host, s.new.create_instruction())
    frame = s.new.first_frame.copy()
    for name, value in fields.items():
        frame[name] = value
    return changed(call, data=bytes(call[0].data)[:-80] + frame.tobytes())


for _fields, _error in (
    ({"frame": 1}, "InitialFrame"),
    ({"status": 1}, "InitialFrame"),
    ({"stage": 3}, "InitialSettings"),
    ({"seed": 3}, "InitialSettings"),
    ({"time_limit": 3}, "InitialSettings"),
):
    CASES.append((_error, f"first_frame_{_fields}", lambda s, f=_fields: first_frame(s, **f)))

for _at in (6, 7):

    @refuses("InitialFrame")
    def first_frame_with_something_between_its_fields(s, at=_at):
        """Records read from the ledger would not have it: the match could never be verified."""
        call = by(s.new.host, s.new.create_instruction())
        data = bytearray(call[0].data)
        data[len(data) - 80 + at] = 1
        return changed(call, data=bytes(data))


for _kib in (0, 65):
    CASES.append(
        ("LogSize", f"log_of_{_kib}", lambda s, n=_kib: by(s.new.host, s.new.create_instruction(log_kib=n)))
    )


@refuses("AddressInUse")
def session_created_twice(s):
    return by(s.active.host, s.active.create_instruction())


@refuses("NumberUsed")
def session_under_a_number_that_has_a_result(s):
    """Its own result could not be recorded, and the host could close it on the old one's."""
    return by(s.closed.host, s.closed.create_instruction())


@refuses("WrongResult")
def session_that_hides_its_result(s):
    return changed(by(s.closed.host, s.closed.create_instruction()), result=s.new.keys.result)


@refuses("WrongSessionAddress")
def session_with_another_id(s):
    return by(s.new.host, s.new.create_instruction(session_id=5))


@refuses("WrongSessionAddress")
def session_of_another_host(s):
    return by(STRANGER, s.new.create_instruction(host=STRANGER.pubkey()))


def grow(s: Stages, match: Match, target: Pubkey) -> Call:
    return I.grow(match.keys, s.chain.payer.pubkey(), target, s.world.manifest), []


@refuses("FullyGrown")
def hidden_state_grown_enough(s):
    return grow(s, s.active, s.active.keys.hidden)


@refuses("FullyGrown")
def log_grown_enough(s):
    return grow(s, s.active, s.active.keys.log)


@refuses("NotGrowable")
def input_buffer_grown(s):
    return grow(s, s.active, s.active.keys.input)


@refuses("WrongHiddenState")
def another_match_s_memory_grown(s):
    return grow(s, s.active, s.created.keys.hidden)


@refuses("WrongInputLog")
def another_match_s_log_grown(s):
    return grow(s, s.active, s.created.keys.log)


def join(match: Match) -> Call:
    return by(STRANGER, I.join(match.keys, STRANGER.pubkey(), STRANGER.pubkey()))


@refuses("NotOpen")
def seat_taken(s):
    return join(s.joined)


@refuses("NotOpen")
def joined_while_running(s):
    return join(s.active)


@refuses("NotOpen")
def joined_after_the_end(s):
    return join(s.ended)


def pick(match: Match, signer: Keypair, player: int) -> Call:
    return by(signer, I.pick_character(match.keys, signer.pubkey(), player, 1))


@refuses("AlreadyBegan")
def character_changed_in_the_match(s):
    return pick(s.active, s.active.players[0], 0)


@refuses("WrongSessionKey")
def character_of_the_other_player(s):
    return pick(s.joined, s.joined.players[0], 1)


@refuses("PlayerIndex")
def character_of_a_third_player(s):
    return pick(s.joined, s.joined.players[0], 2)


def ready(match: Match, signer: Keypair, player: int) -> Call:
    return by(signer, I.ready(match.keys, signer.pubkey(), player, match.world.manifest))


@refuses("NotJoined")
def ready_without_an_opponent(s):
    return ready(s.created, s.created.players[0], 0)


@refuses("NotJoined")
def ready_in_a_running_match(s):
    return ready(s.active, s.active.players[0], 0)


@refuses("AlreadyReady")
def ready_twice(s):
    return ready(s.half_ready, s.half_ready.players[0], 0)


@refuses("WrongSessionKey")
def ready_for_the_other_player(s):
    return ready(s.joined, s.joined.players[0], 1)


@refuses("WrongSessionKey")
def ready_by_the_wallet(s):
    return ready(s.joined, s.joined.host, 0)


@refuses("PlayerIndex")
def ready_as_a_third_player(s):
    return ready(s.joined, s.joined.players[0], 2)


@refuses("WrongWorld")
def ready_for_another_world(s):
    return changed(ready(s.joined, s.joined.players[0], 0), manifest=s.other_world.manifest)


@refuses("HiddenNotReady")
def ready_with_too_little_memory(s):
    match = s.match().create().join()
    return ready(match, match.players[0], 0)


def submit(match: Match, signer: Keypair, player: int, sequence: int = 9) -> Call:
    return by(signer, I.submit_input(match.keys, signer.pubkey(), player, pad(sequence)))


@refuses("OldSequence")
def input_sent_again(s):
    return submit(s.active, s.active.players[0], 0, sequence=1)


@refuses("OldSequence")
def input_from_the_past(s):
    return submit(s.active, s.active.players[0], 0, sequence=0)


@refuses("WrongSessionKey")
def input_for_the_other_player(s):
    return submit(s.active, s.active.players[0], 1)


@refuses("WrongSessionKey")
def input_by_a_stranger(s):
    return submit(s.active, STRANGER, 0)


@refuses("WrongSessionKey")
def input_by_the_crank(s):
    return submit(s.active, s.active.crank, 0)


@refuses("WrongSessionKey")
def input_by_the_key_of_another_match(s):
    return submit(s.active, s.ended.players[0], 0)


@refuses("PlayerIndex")
def input_for_a_third_player(s):
    return submit(s.active, s.active.players[0], 2)


@refuses("NotActive")
def input_before_the_match(s):
    return submit(s.half_ready, s.half_ready.players[0], 0)


@refuses("NotActive")
def input_after_the_match(s):
    return submit(s.ended, s.ended.players[0], 0)


def run(match: Match, segment: int = 0, signer: Keypair | None = None, **arguments: object) -> Call:
    signer = signer or match.crank
    return by(signer, match.segment_instruction(segment, authority=signer.pubkey(), **arguments))


@refuses("WrongCrank")
def frame_by_a_player(s):
    return run(s.active, signer=s.active.players[0])


@refuses("NotActive")
def frame_before_the_match(s):
    return run(s.half_ready)


@refuses("NotActive")
def frame_after_the_match(s):
    return run(s.ended)


@refuses("MatchDecided")
def frame_after_the_decision(s):
    return run(s.decided)


@refuses("WrongFrame")
def frame_run_twice(s):
    return run(s.active, frame=1)


@refuses("WrongFrame")
def frame_skipped(s):
    return run(s.active, frame=3)


@refuses("WrongFrame")
def last_segment_repeated(s):
    return run(s.active, len(s.active.segments) - 1, frame=1)


@refuses("WrongSegment")
def segment_run_twice(s):
    return run(s.mid_frame, 0)


@refuses("WrongSegment")
def segment_skipped(s):
    return run(s.mid_frame, 2)


@refuses("WrongSegment")
def nothing_to_run(s):
    return run(s.active, begin=0, end=0)


@refuses("WrongSegment")
def begun_in_the_middle(s):
    return run(s.active, begin=1, end=2)


@refuses("WrongSegment")
def segment_out_of_range(s):
    call = run(s.active)
    return changed(call, data=bytes(call[0].data)[:-2] + b"\xff\xff")


@refuses("TooEarly")
def two_frames_in_a_slot(s):
    match = s.match().begin()
    match.run_frame()
    return run(match)


@refuses("WrongWorld")
def frame_of_another_world(s):
    return run(s.active, manifest=s.other_world.manifest)


@refuses("ShardOfOtherWorld")
def frame_with_another_world_s_shard(s):
    return run(s.active, shards=[s.world.shards[0], s.other_world.shards[1]])


@refuses("ShardIndex")
def frame_with_shards_swapped(s):
    return run(s.active, shards=s.world.shards[::-1])


@refuses("ShardIndex")
def frame_with_a_shard_twice(s):
    return run(s.active, shards=[s.world.shards[0]] * 2)


@refuses("ShardMissing")
def frame_with_a_shard_missing(s):
    return run(s.mid_frame, 1, shards=s.world.shards[:1])


@refuses("ShardMissing")
def frame_without_shards(s):
    return run(s.active, shards=[])


@refuses("NotShard")
def frame_with_a_manifest_as_shard(s):
    return run(s.active, shards=[s.world.manifest])


@refuses("WrongOwner")
def frame_with_a_forged_shard(s):
    forged = s.chain.put(Pubkey.new_unique(), s.chain.data(s.world.shards[0]), STRANGER.pubkey())
    return run(s.active, shards=[forged, s.world.shards[1]])


def altered_shard(s: Stages, **fields: object) -> Call:
    """A shard such as the program never leaves behind: what if it did?"""
    data = bytearray(s.chain.data(s.world.shards[0]))
    header = np.frombuffer(data, A.CONTENT_HEADER, 1)
    for name, value in fields.items():
        header[name] = value
    return run(s.active, shards=[s.chain.put(Pubkey.new_unique(), bytes(data)), s.world.shards[1]])


for _name, _value, _error in (
    ("state", A.ContentState.WRITING, "ShardNotFrozen"),
    ("index", 2, "ShardIndex"),
    ("content_len", 8, "ShardLength"),
    ("sha256", np.void(bytes(32)), "ShardHash"),
):
    CASES.append((_error, f"shard_{_name}", lambda s, n=_name, v=_value: altered_shard(s, **{n: v})))


@refuses("LogFull")
def log_without_room(s):
    match = s.match().begin()
    s.chain.next_slot()
    data = bytearray(s.chain.data(match.keys.log))
    header = np.frombuffer(data, A.LOG_HEADER, 1)
    header["used"] = header["capacity"] - 19
    s.chain.put(match.keys.log, bytes(data))
    return run(match)


@refuses("LogFull")
def log_that_was_never_grown(s):
    match = Match(s.world, session_id=next(s.ids), log_kib=64).create()
    while A.parse(s.chain.data(match.keys.hidden), A.HIDDEN_HEADER)["state"] == A.HiddenPhase.GROWING:
        s.chain.send(I.grow(match.keys, s.chain.payer.pubkey(), match.keys.hidden, s.world.manifest))
    match.join().ready()
    s.chain.next_slot()
    data = bytearray(s.chain.data(match.keys.log))
    np.frombuffer(data, A.LOG_HEADER, 1)["used"] = len(data) - A.ENTRIES_OFFSET - 19
    s.chain.put(match.keys.log, bytes(data))
    return run(match)


def end(match: Match, signer: Keypair) -> Call:
    return by(signer, I.end_session(match.keys, signer.pubkey()))


@refuses("MayNotEnd")
def ended_by_a_stranger(s):
    return end(s.active, STRANGER)


@refuses("MayNotEnd")
def ended_by_a_wallet(s):
    return end(s.active, s.active.host)


@refuses("NotActive")
def ended_before_it_began(s):
    return end(s.joined, s.joined.players[0])


@refuses("NotActive")
def ended_twice(s):
    return end(s.ended, s.ended.crank)


def record(s: Stages, match: Match) -> Call:
    return I.record_result(match.keys, s.chain.payer.pubkey(), s.world.manifest), []


@refuses("HiddenNotReady")
def frame_without_the_memory_of_the_frames_before(s):
    """As of a running match that a rollup gave up."""
    return run(s.with_hidden(s.match().begin(), state=A.HiddenPhase.GROWING))


@refuses("NotEnded")
def result_of_a_running_match(s):
    return record(s, s.active)


@refuses("NotEnded")
def result_of_a_decided_match_that_was_not_ended(s):
    return record(s, s.decided)


@refuses("AddressInUse")
def result_recorded_twice(s):
    return record(s, s.recorded)


@refuses("WrongResult")
def result_at_another_match_s_address(s):
    return changed(record(s, s.ended), result=s.active.keys.result)


@refuses("WrongWorld")
def result_for_another_world(s):
    return changed(record(s, s.ended), manifest=s.other_world.manifest)


def close(match: Match, host: Keypair | None = None) -> Call:
    host = host or match.host
    return by(host, I.close_session(match.keys, host.pubkey()))


@refuses("NotHost")
def closed_by_a_stranger(s):
    return close(s.recorded, STRANGER)


@refuses("NotHost")
def closed_by_the_guest(s):
    s.chain.svm.airdrop(s.recorded.guest.pubkey(), 10**9)
    return close(s.recorded, s.recorded.guest)


@refuses("StillPlaying")
def running_match_closed(s):
    return close(s.active)


@refuses("NotRecorded")
def closed_without_a_result(s):
    return close(s.ended)


@refuses("WrongResult")
def closed_with_another_match_s_result(s):
    return changed(close(s.ended), result=s.recorded.keys.result)
