"""What the program refuses of claims, new keys, licences and replays: name of the error, and the call."""

from __future__ import annotations

from onchain import Match
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from stages import STRANGER, Call, Stages, by, changed, fresh_account, next_segment, refuses

from awm_kit.chain import accounts as A
from awm_kit.chain import instructions as I


def forfeit(match: Match, signer: Keypair, absent: int = 1) -> Call:
    return by(signer, I.claim_forfeit(match.keys, signer.pubkey(), absent))


@refuses("NotSilent")
def forfeit_of_a_player_who_is_there(s):
    return forfeit(s.active, s.active.players[0])


@refuses("NotSilent")
def forfeit_one_frame_too_early(s):
    match = s.with_hidden(s.match().begin(), silent=(0, A.FORFEIT_FRAMES - 1))
    return forfeit(match, match.players[0])


@refuses("NotSilent")
def forfeit_of_the_one_who_waits(s):
    return forfeit(s.silent, s.silent.players[1], absent=0)


@refuses("MayNotClaim")
def forfeit_claimed_by_a_stranger(s):
    return forfeit(s.silent, STRANGER)


@refuses("MayNotClaim")
def forfeit_claimed_by_the_absent_player(s):
    return forfeit(s.silent, s.silent.players[1])


@refuses("BothSilent")
def winner_chosen_by_the_crank(s):
    return forfeit(s.both_silent, s.both_silent.crank)


@refuses("PlayerIndex")
def forfeit_of_a_third_player(s):
    return forfeit(s.silent, s.silent.players[0], absent=2)


@refuses("NotActive")
def forfeit_before_the_match(s):
    return forfeit(s.half_ready, s.half_ready.players[0])


@refuses("NotActive")
def forfeit_after_the_match(s):
    return forfeit(s.ended, s.ended.players[0])


@refuses("MatchDecided")
def forfeit_of_a_decided_match(s):
    return forfeit(s.decided, s.decided.players[0])


def abandon(match: Match, signer: Keypair) -> Call:
    return by(signer, I.claim_abandoned(match.keys, signer.pubkey()))


@refuses("CrankActive")
def abandoned_by_a_crank_that_is_there(s):
    return abandon(s.active, s.active.players[1])


@refuses("CrankActive")
def abandoned_one_second_too_early(s):
    now = s.chain.svm.get_clock().unix_timestamp
    match = s.with_hidden(s.match().begin(), last_time=now - A.ABANDON_SECONDS + 1)
    return abandon(match, match.players[0])


@refuses("MayNotClaim")
def abandonment_claimed_by_the_crank(s):
    return abandon(s.abandoned, s.abandoned.crank)


@refuses("MatchDecided")
def abandonment_of_a_decided_match(s):
    return abandon(s.decided, s.decided.players[0])


def renew(match: Match, signer: Keypair, player: int) -> Call:
    return by(signer, I.renew_key(match.keys, signer.pubkey(), player, STRANGER.pubkey()))


@refuses("WrongWallet")
def key_renewed_by_a_stranger(s):
    return renew(s.active, STRANGER, 0)


@refuses("WrongWallet")
def key_of_the_other_player_renewed(s):
    return renew(s.active, s.active.guest, 0)


@refuses("WrongWallet")
def key_renewed_by_the_old_key(s):
    return renew(s.active, s.active.players[0], 0)


@refuses("WrongWallet")
def key_of_a_seat_that_nobody_took(s):
    return renew(s.created, s.created.host, 1)


@refuses("PlayerIndex")
def key_of_a_third_player(s):
    return renew(s.active, s.active.host, 2)


def license_frames(match: Match, signer: Keypair) -> Call:
    return by(signer, I.license_frames(match.keys, signer.pubkey(), 100))


@refuses("WrongCrank")
def licence_by_a_player(s):
    return license_frames(s.active, s.active.players[0])


@refuses("NotActive")
def licence_after_the_match(s):
    return license_frames(s.ended, s.ended.crank)


@refuses("NoLicence")
def frame_without_a_licence(s):
    return next_segment(s.active), []


@refuses("NoLicence")
def frame_after_the_licensed_ones(s):
    match = s.with_hidden(s.match().begin(), licence=1)
    match.run_frame()
    s.chain.next_slot()
    return next_segment(match), []


@refuses("WrongCrank")
def licensed_frame_in_somebody_else_s_name(s):
    return changed((next_segment(s.licensed), []), authority=STRANGER.pubkey())


@refuses("NotActive")
def licensed_frame_after_the_match(s):
    return next_segment(s.ended), []


@refuses("MatchDecided")
def licensed_frame_after_the_decision(s):
    return next_segment(s.decided), []


@refuses("ShardOfOtherWorld")
def licensed_frame_with_another_world_s_shard(s):
    match, shards = s.licensed, [s.world.shards[0], s.other_world.shards[1]]
    return I.run_next(match.keys, match.crank.pubkey(), match.world.manifest, shards), []


def init_replay(s: Stages, content_len: int, result: Pubkey) -> Call:
    key = fresh_account(s, content_len)
    return by(STRANGER, I.init_replay(key, result, STRANGER.pubkey(), content_len))


def finalise_replay(replay: Pubkey, result: Pubkey, signer: Keypair = STRANGER) -> Call:
    return by(signer, I.finalise_replay(replay, result, signer.pubkey()))


@refuses("ContentLength")
def replay_longer_than_the_match(s):
    return init_replay(s, 81, s.recorded.keys.result)


@refuses("NotResult")
def replay_of_a_match_without_a_result(s):
    return init_replay(s, 80, s.ended.keys.session)


@refuses("WrongOwner")
def replay_of_a_forged_result(s):
    forged = s.chain.put(Pubkey.new_unique(), s.chain.data(s.recorded.keys.result), STRANGER.pubkey())
    return init_replay(s, 80, forged)


@refuses("NotReplay")
def shard_finalised_as_a_replay(s):
    return finalise_replay(s.uploaded.shards[0], s.recorded.keys.result, s.uploaded.authority)


@refuses("NotShard")
def replay_finalised_as_a_shard(s):
    order = I.finalise_shard(s.replay, s.uploaded.manifest, STRANGER.pubkey(), bytes(32))
    return by(STRANGER, order)


@refuses("WrongOwner")
def forged_replay_finalised(s):
    forged = s.chain.put(Pubkey.new_unique(), s.chain.data(s.replay), STRANGER.pubkey())
    return finalise_replay(forged, s.recorded.keys.result)


@refuses("WrongAuthority")
def replay_finalised_by_somebody_else(s):
    return finalise_replay(s.replay, s.recorded.keys.result, s.recorded.host)


@refuses("ReplayOfOtherMatch")
def replay_finalised_for_another_match(s):
    other = s.match().begin()
    other.end(other.crank)
    other.record()
    return finalise_replay(s.replay, other.keys.result)


@refuses("HashMismatch")
def replay_with_one_bit_flipped(s):
    content = bytearray(A.replay_of(s.chain.data(s.recorded.keys.log)))
    content[-1] ^= 1
    return finalise_replay(s.write_replay(bytes(content)), s.recorded.keys.result)


@refuses("AlreadyFrozen")
def replay_written_after_it_was_frozen(s):
    key = s.write_replay(A.replay_of(s.chain.data(s.recorded.keys.log)))
    call, signers = finalise_replay(key, s.recorded.keys.result)
    s.chain.send(call, signers=signers)
    return by(STRANGER, I.write(key, STRANGER.pubkey(), 0, b"x"))


@refuses("WrongAuthority")
def replay_retired_by_somebody_else(s):
    return by(s.recorded.host, I.retire(s.replay, s.recorded.host.pubkey(), s.recorded.host.pubkey()))
