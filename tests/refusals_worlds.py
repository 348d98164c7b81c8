"""What the program refuses while a world is uploaded: name of the error, and the call."""

from __future__ import annotations

import hashlib

from onchain import World
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from stages import STRANGER, Call, by, fresh_account, refuses

from awm_kit.chain import instructions as I


@refuses("UnknownInstruction")
def unknown_tag(s):
    return Instruction(I.PROGRAM_ID, b"\xff", []), []


@refuses("TooManyAccounts")
def more_accounts_than_there_can_be(s):
    return Instruction(I.PROGRAM_ID, b"\x05", [AccountMeta(s.world.manifest, False, False)] * 73), []


@refuses("HeaderNotZero")
def manifest_initialised_twice(s):
    w = s.uploaded
    size = len(w.cartridge.manifest_bytes)
    return by(w.authority, I.init_manifest(w.manifest, w.authority.pubkey(), size))


@refuses("HeaderNotZero")
def frozen_shard_initialised_again(s):
    w, u = s.world, s.uploaded
    size = len(w.cartridge.shards[0])
    return by(u.authority, I.init_shard(w.shards[0], u.manifest, u.authority.pubkey(), size, 0))


@refuses("ContentLength")
def manifest_longer_than_its_account(s):
    return by(STRANGER, I.init_manifest(fresh_account(s, 64), STRANGER.pubkey(), 65))


@refuses("ContentLength")
def shard_shorter_than_its_account(s):
    owner = s.uploaded.authority
    return by(owner, I.init_shard(fresh_account(s, 64), s.uploaded.manifest, owner.pubkey(), 63, 0))


@refuses("ContentLength")
def account_too_small_for_a_header(s):
    key = s.chain.put(Pubkey.new_unique(), bytes(100))
    return by(STRANGER, I.init_manifest(key, STRANGER.pubkey(), 2**64 - 28))


@refuses("WrongAuthority")
def shard_for_somebody_else_s_manifest(s):
    return by(STRANGER, I.init_shard(fresh_account(s, 64), s.uploaded.manifest, STRANGER.pubkey(), 64, 0))


@refuses("AlreadyFrozen")
def shard_for_a_frozen_world(s):
    owner = s.world.authority
    return by(owner, I.init_shard(fresh_account(s, 64), s.world.manifest, owner.pubkey(), 64, 0))


@refuses("WrongAuthority")
def write_by_a_stranger(s):
    return by(STRANGER, I.write(s.uploaded.shards[0], STRANGER.pubkey(), 0, b"x"))


@refuses("AlreadyFrozen")
def write_to_a_frozen_shard(s):
    return by(s.world.authority, I.write(s.world.shards[0], s.world.authority.pubkey(), 0, b"x"))


@refuses("AlreadyFrozen")
def write_to_a_frozen_manifest(s):
    return by(s.world.authority, I.write(s.world.manifest, s.world.authority.pubkey(), 0, b"x"))


@refuses("WriteOutOfBounds")
def write_past_the_end(s):
    w = s.uploaded
    return by(
        w.authority, I.write(w.shards[0], w.authority.pubkey(), len(w.cartridge.shards[0]) - 3, b"1234")
    )


@refuses("WriteOutOfBounds")
def write_at_the_largest_offset(s):
    return by(
        s.uploaded.authority, I.write(s.uploaded.manifest, s.uploaded.authority.pubkey(), 2**32 - 1, b"1")
    )


@refuses("NotContent")
def write_to_a_session(s):
    return by(STRANGER, I.write(s.active.keys.session, STRANGER.pubkey(), 0, b"x"))


@refuses("NotContent")
def retire_a_session(s):
    return by(STRANGER, I.retire(s.active.keys.session, STRANGER.pubkey(), s.active.host.pubkey()))


@refuses("HashMismatch")
def shard_with_another_hash(s):
    w = s.uploaded
    return by(w.authority, I.finalise_shard(w.shards[0], w.manifest, w.authority.pubkey(), bytes(32)))


@refuses("HashMismatch")
def manifest_with_another_hash(s):
    w = s.shards_frozen
    return by(w.authority, I.finalise_manifest(w.manifest, w.authority.pubkey(), w.shards, bytes(32)))


@refuses("WrongAuthority")
def shard_finalised_by_a_stranger(s):
    w = s.uploaded
    return by(STRANGER, I.finalise_shard(w.shards[0], w.manifest, STRANGER.pubkey(), bytes(32)))


@refuses("WrongAuthority")
def manifest_finalised_by_a_stranger(s):
    w = s.shards_frozen
    return by(STRANGER, I.finalise_manifest(w.manifest, STRANGER.pubkey(), w.shards, w.hash))


@refuses("AlreadyFrozen")
def shard_finalised_twice(s):
    w = s.world
    digest = hashlib.sha256(w.cartridge.shards[0]).digest()
    return by(w.authority, I.finalise_shard(w.shards[0], w.manifest, w.authority.pubkey(), digest))


@refuses("AlreadyFrozen")
def manifest_finalised_twice(s):
    w = s.world
    return by(w.authority, I.finalise_manifest(w.manifest, w.authority.pubkey(), w.shards, w.hash))


@refuses("ShardOfOtherWorld")
def shard_finalised_under_another_manifest(s):
    w = s.uploaded
    digest = hashlib.sha256(w.cartridge.shards[0]).digest()
    return by(w.authority, I.finalise_shard(w.shards[0], s.world.manifest, w.authority.pubkey(), digest))


def finalise(w: World, shards: list[Pubkey]) -> Call:
    return by(w.authority, I.finalise_manifest(w.manifest, w.authority.pubkey(), shards, w.hash))


@refuses("ShardCount")
def manifest_without_a_shard(s):
    return finalise(s.shards_frozen, s.shards_frozen.shards[:1])


@refuses("ShardCount")
def manifest_with_a_shard_too_many(s):
    return finalise(s.shards_frozen, [*s.shards_frozen.shards, s.shards_frozen.shards[0]])


@refuses("ShardIndex")
def manifest_with_shards_swapped(s):
    return finalise(s.shards_frozen, s.shards_frozen.shards[::-1])


@refuses("ShardNotFrozen")
def manifest_with_an_unfinished_shard(s):
    return finalise(s.uploaded, s.uploaded.shards)


@refuses("ShardOfOtherWorld")
def manifest_with_another_world_s_shard(s):
    return finalise(s.shards_frozen, [s.shards_frozen.shards[0], s.world.shards[1]])


@refuses("NotShard")
def manifest_as_its_own_shard(s):
    return finalise(s.shards_frozen, [s.shards_frozen.shards[0], s.world.manifest])


@refuses("WrongAuthority")
def retired_by_a_stranger(s):
    return by(STRANGER, I.retire(s.world.manifest, STRANGER.pubkey(), STRANGER.pubkey()))


@refuses("SameRecipient")
def retired_into_itself(s):
    w = s.world
    return by(w.authority, I.retire(w.manifest, w.authority.pubkey(), w.manifest))
