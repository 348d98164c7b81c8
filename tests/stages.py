"""A ledger with a world or match at every point of its life, and the calls that it would accept or refuse."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property

import numpy as np
import pytest
from onchain import Chain, Match, Refused, World, controllers, keypair, tiny_cartridge
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import accounts as A
from awm_kit.chain import instructions as I
from awm_kit.schema import CONTROLLER

Call = tuple[Instruction, list[Keypair]]
STRANGER = keypair("stranger")
# From tag 30 on the rollup's: tests/test_delegation.py
INSTRUCTIONS = {i["name"]: i for i in A.IDL["instructions"] if i["discriminator"][0] < 30}


class Stages:
    """One ledger with a world or match at every point of its life; refusals leave them as they are."""

    def __init__(self) -> None:
        self.chain = Chain()
        self.chain.next_slot()  # before the first one the clock stands at 0
        self.chain.svm.airdrop(STRANGER.pubkey(), 10**12)
        self.ids = iter(range(100, 1000))

    @cached_property
    def empty(self) -> World:
        """Created in the same transaction as it is initialised; here only its name is known."""
        return World(self.chain, tiny_cartridge(1))

    @cached_property
    def uploaded(self) -> World:
        return World(self.chain, tiny_cartridge(2)).upload()

    @cached_property
    def shards_frozen(self) -> World:
        return World(self.chain, tiny_cartridge(3)).upload().finalise_shards()

    @cached_property
    def world(self) -> World:
        return World(self.chain, tiny_cartridge()).upload().finalise()

    @cached_property
    def other_world(self) -> World:
        return World(self.chain, tiny_cartridge(4)).upload().finalise()

    def match(self) -> Match:
        return Match(self.world, session_id=next(self.ids))

    @cached_property
    def new(self) -> Match:
        return self.match()

    @cached_property
    def created(self) -> Match:
        return self.match().create()

    @cached_property
    def joined(self) -> Match:
        return self.match().create().grow().join()

    @cached_property
    def half_ready(self) -> Match:
        return self.match().create().grow().join().ready(0)

    @cached_property
    def active(self) -> Match:
        """Two frames done, controllers in, a new slot."""
        match = self.match().begin()
        for player, controller in enumerate(controllers(1)[0]):
            match.submit(player, controller)
        match.run_frame()
        match.run_frame()
        self.chain.next_slot()
        return match

    @cached_property
    def mid_frame(self) -> Match:
        match = self.match().begin()
        match.run_frame()
        self.chain.next_slot()
        match.run_segment(0)
        return match

    @cached_property
    def decided(self) -> Match:
        match = self.match()
        match.first_frame["time_limit"] = 1
        match.begin().run_frame()
        self.chain.next_slot()
        return match

    @cached_property
    def ended(self) -> Match:
        match = self.match().begin()
        match.end(match.crank)
        return match

    @cached_property
    def recorded(self) -> Match:
        match = self.match().begin()
        match.end(match.crank)
        match.record()
        return match

    @cached_property
    def closed(self) -> Match:
        match = self.match().begin()
        match.end(match.crank)
        match.record()
        match.close()
        return match

    @cached_property
    def silent(self) -> Match:
        """Player 1 has let 600 frames begin without an input."""
        return self.with_hidden(self.match().begin(), silent=(0, A.FORFEIT_FRAMES))

    @cached_property
    def both_silent(self) -> Match:
        return self.with_hidden(self.match().begin(), silent=(A.FORFEIT_FRAMES, A.FORFEIT_FRAMES))

    @cached_property
    def abandoned(self) -> Match:
        """The crank's last frame is a minute old."""
        now = self.chain.svm.get_clock().unix_timestamp
        return self.with_hidden(self.match().begin(), last_time=now - A.ABANDON_SECONDS)

    @cached_property
    def licensed(self) -> Match:
        match = self.match().begin()
        crank = match.crank
        self.chain.send(I.license_frames(match.keys, crank.pubkey(), 2**32 - 1), signers=[crank])
        self.chain.next_slot()
        return match

    @cached_property
    def replay(self) -> Pubkey:
        """The replay of `recorded`, written by a stranger and not frozen."""
        return self.write_replay(A.replay_of(self.chain.data(self.recorded.keys.log)))

    def write_replay(self, content: bytes) -> Pubkey:
        key, me = fresh_account(self, len(content)), STRANGER.pubkey()
        result = self.recorded.keys.result
        self.chain.send(I.init_replay(key, result, me, len(content)), signers=[STRANGER])
        self.chain.send(I.write(key, me, 0, content), signers=[STRANGER])
        return key

    def with_hidden(self, match: Match, **fields: object) -> Match:
        """Some fields of HiddenState as they would be much later."""
        data = bytearray(self.chain.data(match.keys.hidden))
        for name, value in fields.items():
            np.frombuffer(data, A.HIDDEN_HEADER, 1)[name][0] = value
        self.chain.put(match.keys.hidden, bytes(data))
        return match


def pad(sequence: int) -> np.ndarray:
    controller = np.zeros((), CONTROLLER)
    controller["sequence"] = sequence
    return controller


def fresh_account(s: Stages, content_len: int) -> Pubkey:
    return s.chain.put(Pubkey.new_unique(), bytes(A.CONTENT_OFFSET + content_len))


# One call per instruction that succeeds, with the accounts in the order of the IDL.


def good_calls(s: Stages) -> dict[str, Call]:
    owner = s.uploaded.authority
    key, payer = owner.pubkey(), s.chain.payer.pubkey()
    shard_hash = hashlib.sha256(s.uploaded.cartridge.shards[0]).digest()
    frozen, active = s.shards_frozen, s.active
    return {
        "init_manifest": (I.init_manifest(fresh_account(s, 64), key, 64), [owner]),
        "init_shard": (I.init_shard(fresh_account(s, 64), s.uploaded.manifest, key, 64, 0), [owner]),
        "write": (I.write(s.uploaded.shards[0], key, 8, b"12345678"), [owner]),
        "finalise_shard": (
            I.finalise_shard(s.uploaded.shards[0], s.uploaded.manifest, key, shard_hash),
            [owner],
        ),
        "finalise_manifest": (I.finalise_manifest(frozen.manifest, key, frozen.shards, frozen.hash), [owner]),
        "retire": (I.retire(s.uploaded.shards[1], key, STRANGER.pubkey()), [owner]),
        "create_session": (s.new.create_instruction(), [s.new.host]),
        "grow": (I.grow(s.created.keys, payer, s.created.keys.hidden, s.world.manifest), []),
        "join": (I.join(s.created.keys, s.created.guest.pubkey(), key), [s.created.guest]),
        "ready": (
            I.ready(s.joined.keys, s.joined.players[0].pubkey(), 0, s.world.manifest),
            [s.joined.players[0]],
        ),
        "submit_input": (
            I.submit_input(active.keys, active.players[1].pubkey(), 1, pad(9)),
            [active.players[1]],
        ),
        "run_inference": (active.segment_instruction(0), [active.crank]),
        "pick_character": (
            I.pick_character(s.joined.keys, s.joined.players[1].pubkey(), 1, 3),
            [s.joined.players[1]],
        ),
        "end_session": (I.end_session(active.keys, active.players[0].pubkey()), [active.players[0]]),
        "record_result": (I.record_result(s.ended.keys, payer, s.world.manifest), []),
        "init_replay": (
            I.init_replay(fresh_account(s, 80), s.recorded.keys.result, STRANGER.pubkey(), 80),
            [STRANGER],
        ),
        "finalise_replay": (
            I.finalise_replay(s.replay, s.recorded.keys.result, STRANGER.pubkey()),
            [STRANGER],
        ),
        "claim_forfeit": (
            I.claim_forfeit(s.silent.keys, s.silent.players[0].pubkey(), 1),
            [s.silent.players[0]],
        ),
        "claim_abandoned": (
            I.claim_abandoned(s.abandoned.keys, s.abandoned.guest.pubkey()),
            [s.abandoned.guest],
        ),
        "renew_key": (I.renew_key(active.keys, active.guest.pubkey(), 1, key), [active.guest]),
        "license": (I.license_frames(active.keys, active.crank.pubkey(), 9), [active.crank]),
        "run_next": (next_segment(s.licensed), []),
        "close_session": (I.close_session(s.recorded.keys, s.recorded.host.pubkey()), [s.recorded.host]),
    }


def next_segment(match: Match) -> Instruction:
    """With every shard of the world, as a task scheduler would send it."""
    return I.run_next(match.keys, match.crank.pubkey(), match.world.manifest, match.world.shards)


def refused(s: Stages, call: Call) -> str:
    """Name of the error; the ledger is as before."""
    with pytest.raises(Refused) as caught:
        s.chain.simulate(call[0], signers=call[1])
    return caught.value.name


def changed(call: Call, data: bytes | None = None, **roles: Pubkey | AccountMeta) -> Call:
    """The call with other data, or other accounts in some roles of the IDL."""
    instruction, signers = call
    tag = instruction.data[0]
    names = [a["name"] for i in INSTRUCTIONS.values() if i["discriminator"] == [tag] for a in i["accounts"]]
    metas = list(instruction.accounts)
    for role, new in roles.items():
        old = metas[names.index(role)]
        meta = AccountMeta(new, old.is_signer, old.is_writable) if isinstance(new, Pubkey) else new
        metas[names.index(role)] = meta
    return Instruction(instruction.program_id, instruction.data if data is None else data, metas), signers


# The checks that are one instruction's own: what is tried, and the error.

CASES: list[tuple[str, str, Callable[[Stages], Call]]] = []


def refuses(error: str) -> Callable[[Callable[[Stages], Call]], Callable[[Stages], Call]]:
    def add(build: Callable[[Stages], Call]) -> Callable[[Stages], Call]:
        CASES.append((error, build.__name__, build))
        return build

    return add


def by(signer: Keypair, instruction: Instruction) -> Call:
    return instruction, [signer]
