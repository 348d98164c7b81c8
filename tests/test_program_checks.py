"""Everything that the world program refuses, each with its own error code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from onchain import Chain, Match, Refused, World, controllers, keypair, tiny_cartridge
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import accounts as A
from awm_kit.chain import instructions as I
from awm_kit.quant import layout as L
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_model
from awm_kit.schema import CONTROLLER

Call = tuple[Instruction, list[Keypair]]
STRANGER = keypair("stranger")
# From tag 30 on the rollup's: tests/test_delegation.py
INSTRUCTIONS = {i["name"]: i for i in A.IDL["instructions"] if i["discriminator"][0] < 30}


class Stages:
    """One ledger with a world or match at every point of its life; refusals leave them as they are."""

    def __init__(self) -> None:
        self.chain = Chain()
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


@pytest.fixture(scope="module")
def stages() -> Stages:
    return Stages()


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
        "close_session": (I.close_session(s.recorded.keys, s.recorded.host.pubkey()), [s.recorded.host]),
    }


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


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_the_unchanged_call_succeeds(stages, name):
    call, signers = good_calls(stages)[name]
    stages.chain.simulate(call, signers=signers)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_truncated_data(stages, name):
    call = good_calls(stages)[name]
    data = bytes(call[0].data)
    lengths = range(5) if name == "write" else range(len(data))
    for length in lengths:
        assert refused(stages, changed(call, data=data[:length])) == "InstructionData"


@pytest.mark.parametrize("name", [n for n in INSTRUCTIONS if n != "write"])
def test_data_too_long(stages, name):
    call = good_calls(stages)[name]
    assert refused(stages, changed(call, data=bytes(call[0].data) + b"\0")) == "InstructionData"


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_missing_accounts(stages, name):
    instruction, signers = good_calls(stages)[name]
    for n in range(len(INSTRUCTIONS[name]["accounts"])):
        metas = instruction.accounts[:n]
        kept = [k for k in signers if any(m.pubkey == k.pubkey() and m.is_signer for m in metas)]
        call = Instruction(instruction.program_id, instruction.data, metas), kept
        assert refused(stages, call) == "AccountsMissing"


def cases(flag: str) -> Iterator[tuple[str, str]]:
    return ((n, a["name"]) for n, i in INSTRUCTIONS.items() for a in i["accounts"] if a.get(flag))


@pytest.mark.parametrize(("name", "role"), list(cases("signer")))
def test_missing_signature(stages, name, role):
    """Everybody knows the right key; who does not hold it cannot sign."""
    call = good_calls(stages)[name]
    roles = [a["name"] for a in INSTRUCTIONS[name]["accounts"]]
    meta = call[0].accounts[roles.index(role)]
    key = meta.pubkey
    if key == stages.chain.payer.pubkey():  # who pays the fee has signed: let somebody else be meant
        key = STRANGER.pubkey()
    instruction, signers = changed(call, **{role: AccountMeta(key, False, meta.is_writable)})
    assert refused(stages, (instruction, [k for k in signers if k.pubkey() != key])) == "SignatureMissing"


@pytest.mark.parametrize(("name", "role"), list(cases("writable")))
def test_read_only_account(stages, name, role):
    call = good_calls(stages)[name]
    roles = [a["name"] for a in INSTRUCTIONS[name]["accounts"]]
    meta = call[0].accounts[roles.index(role)]
    if meta.pubkey == stages.chain.payer.pubkey():  # who pays the fee is writable: let somebody else pay
        instruction, signers = changed(call, **{role: AccountMeta(STRANGER.pubkey(), meta.is_signer, False)})
        call = instruction, [*signers, STRANGER]
    else:
        call = changed(call, **{role: AccountMeta(meta.pubkey, meta.is_signer, False)})
    assert refused(stages, call) == "NotWritable"


OURS = ("manifest", "shard", "session", "input", "hidden", "log", "target")
#: The session names its world: another manifest is refused before it is looked at.
KNOWN_BY_KEY = {(n, "manifest") for n in ("run_inference", "record_result", "grow")}
CREATED = {("create_session", r) for r in OURS if r != "manifest"}


def our_accounts() -> Iterator[tuple[str, str]]:
    for name, instruction in INSTRUCTIONS.items():
        for account in instruction["accounts"]:
            if account["name"] in OURS and (name, account["name"]) not in CREATED:
                yield name, account["name"]


@pytest.mark.parametrize(("name", "role"), list(our_accounts()))
def test_forged_account(stages, name, role):
    """An exact copy that belongs to another program: whatever it says, nobody has checked it."""
    call = good_calls(stages)[name]
    roles = [a["name"] for a in INSTRUCTIONS[name]["accounts"]]
    real = call[0].accounts[roles.index(role)].pubkey
    forged = stages.chain.put(Pubkey.new_unique(), stages.chain.data(real), STRANGER.pubkey())
    expected = "WrongWorld" if (name, role) in KNOWN_BY_KEY else "WrongOwner"
    assert refused(stages, changed(call, **{role: forged})) == expected


KINDS = {
    "manifest": "NotManifest",
    "shard": "NotShard",
    "session": "NotSession",
    "input": "NotInputBuffer",
    "hidden": "NotHiddenState",
    "log": "NotInputLog",
}


@pytest.mark.parametrize(
    ("name", "role"), [c for c in our_accounts() if c[1] in KINDS and c not in KNOWN_BY_KEY]
)
def test_account_of_another_kind(stages, name, role):
    call = good_calls(stages)[name]
    if (name, role) in {("init_manifest", "manifest"), ("init_shard", "shard")}:
        assert refused(stages, changed(call, **{role: stages.active.keys.session})) == "ContentLength"
        return
    wrong = stages.world.shards[0] if role == "manifest" else stages.world.manifest
    assert refused(stages, changed(call, **{role: wrong})) == KINDS[role]


THEIRS = {"input": "WrongInputBuffer", "hidden": "WrongHiddenState", "log": "WrongInputLog"}


@pytest.mark.parametrize(
    ("name", "role"),
    [(n, r) for n, r in our_accounts() if r in THEIRS] + [("create_session", r) for r in THEIRS],
)
def test_account_of_another_match(stages, name, role):
    theirs = getattr(stages.half_ready.keys, role)
    assert refused(stages, changed(good_calls(stages)[name], **{role: theirs})) == THEIRS[role]


@pytest.mark.parametrize("name", ["create_session", "grow", "record_result"])
def test_wrong_system_program(stages, name):
    assert refused(stages, changed(good_calls(stages)[name], system=I.PROGRAM_ID)) == "WrongSystemProgram"


# The checks that are one instruction's own: what is tried, and the error.

CASES: list[tuple[str, str, Callable[[Stages], Call]]] = []


def refuses(error: str) -> Callable[[Callable[[Stages], Call]], Callable[[Stages], Call]]:
    def add(build: Callable[[Stages], Call]) -> Callable[[Stages], Call]:
        CASES.append((error, build.__name__, build))
        return build

    return add


def by(signer: Keypair, instruction: Instruction) -> Call:
    return instruction, [signer]


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

for _kib in (0, 65):
    CASES.append(
        ("LogSize", f"log_of_{_kib}", lambda s, n=_kib: by(s.new.host, s.new.create_instruction(log_kib=n)))
    )


@refuses("AddressInUse")
def session_created_twice(s):
    return by(s.active.host, s.active.create_instruction())


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
    return run(s.active, shards=s.world.shards[:1])


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


@pytest.mark.parametrize(("error", "build"), [(e, b) for e, _, b in CASES], ids=[n for _, n, _ in CASES])
def test_refused(stages, error, build):
    assert refused(stages, build(stages)) == error


# Worlds that are not what they say.


@dataclass
class Hostile:
    """A cartridge changed after packing; its hashes are right again, so only checks can stop it."""

    manifest: bytearray
    shards: list[bytes]

    def header(self) -> np.ndarray:
        return np.frombuffer(self.manifest, L.HEADER, 1)

    def section(self, name: str, record: np.dtype, count: str) -> np.ndarray:
        header = self.header()[0]
        return np.frombuffer(self.manifest, record, int(header[count]), int(header[name]))

    def ops(self) -> np.ndarray:
        return self.section("off_ops", L.OP, "n_ops")


def set_header(name: str, value: object) -> Callable[[Hostile], None]:
    def change(h: Hostile) -> None:
        h.header()[name] = value

    return change


def set_op(kind: L.OpKind, name: str, value: int) -> Callable[[Hostile], None]:
    def change(h: Hostile) -> None:
        ops = h.ops()
        ops[name][np.flatnonzero(ops["kind"] == kind)[0]] = value

    return change


def set_row(section: str, record: np.dtype, count: str, name: str, value: int) -> Callable[[Hostile], None]:
    def change(h: Hostile) -> None:
        h.section(section, record, count)[name][0] = value

    return change


BAD_MANIFESTS: dict[str, Callable[[Hostile], None]] = {
    "another magic": set_header("magic", b"AWMMODEX"),
    "a later version": set_header("version", 99),
    "another length": set_header("total_len", 8),
    "no dimensions": set_header("d_model", 0),
    "huge state": set_header("d_state", 60000),
    "no layers": set_header("n_layers", 0),
    "three views": set_header("n_views", 3),
    "too many shards": set_header("n_shards", 65535),
    "ops outside": set_header("off_ops", 2**32 - 8),
    "heads unaligned": set_header("off_heads", 257),
    "more features than there are": set_header("n_features", 65535),
    "weights outside": set_op(L.OpKind.MATVEC, "weights", 2**32 - 8),
    "more rows than the layer has": set_op(L.OpKind.MATVEC, "rows", 65535),
    "columns beyond the vector": set_op(L.OpKind.MATVEC, "cols", 4096),
    "a shard that is not there": set_op(L.OpKind.MATVEC, "shard", 60),
    "shift by nothing": set_op(L.OpKind.MATVEC, "shift", 0),
    "an unknown op": set_op(L.OpKind.CONV, "kind", 77),
    "a layer that is not there": set_op(L.OpKind.SSM, "layer", 50),
    "a feature written outside": set_row("off_features", L.FEATURE, "n_features", "out", 65000),
    "a feature read outside": set_row("off_features", L.FEATURE, "n_features", "offset", 250),
    "a head written outside": set_row("off_heads", L.HEAD, "n_heads", "offset", 250),
    "a head's logits outside": set_row("off_heads", L.HEAD, "n_heads", "row0", 65000),
    "a convolution outside": set_row("off_layers", L.LAYER, "n_layers", "conv_w", 2**31),
    "a table outside": set_row("off_layers", L.LAYER, "n_layers", "z_lut", 2**31),
    "no tape": set_header("n_ops", 0),
    "no segments": set_header("n_segments", 0),
}


@pytest.mark.parametrize("name", BAD_MANIFESTS)
def test_hostile_manifest(name):
    """The kernel checks every bound before a manifest is frozen; its code is passed on."""
    cartridge = tiny_cartridge()
    hostile = Hostile(bytearray(cartridge.manifest_bytes), cartridge.shards)
    BAD_MANIFESTS[name](hostile)
    world = World(Chain(), Cartridge(bytes(hostile.manifest), hostile.shards)).upload().finalise_shards()
    with pytest.raises(Refused) as caught:
        world.send(I.finalise_manifest(world.manifest, world.authority.pubkey(), world.shards, world.hash))
    assert caught.value.name.startswith("Kernel"), caught.value


@pytest.mark.parametrize("size", [0, 7, 128, 255])
def test_manifest_too_short_for_a_header(size):
    cartridge = tiny_cartridge()
    world = (
        World(Chain(), Cartridge(cartridge.manifest_bytes[:size], cartridge.shards))
        .upload()
        .finalise_shards()
    )
    with pytest.raises(Refused, match="Kernel"):
        world.send(I.finalise_manifest(world.manifest, world.authority.pubkey(), world.shards, world.hash))


@pytest.mark.parametrize(
    ("alter", "error"),
    [(lambda b: b[:-1] + bytes([b[-1] ^ 1]), "ShardHash"), (lambda b: b + bytes(8), "ShardLength")],
)
def test_shard_that_the_manifest_does_not_list(alter, error):
    cartridge = tiny_cartridge()
    shards = [cartridge.shards[0], alter(cartridge.shards[1])]
    world = World(Chain(), Cartridge(cartridge.manifest_bytes, shards)).upload().finalise_shards()
    with pytest.raises(Refused) as caught:
        world.send(I.finalise_manifest(world.manifest, world.authority.pubkey(), world.shards, world.hash))
    assert caught.value.name == error


# An authority that swaps its world under a match: all with real instructions.


class Impostor(World):
    """Another world at the addresses of an old one, which its authority has retired."""

    def __init__(self, old: World, cartridge: Cartridge) -> None:
        super().__init__(old.chain, cartridge, old.authority)
        self.true_hash, self.hash = self.hash, old.hash
        self.manifest, self.shards = old.manifest, old.shards
        for target in (old.manifest, *old.shards):
            old.send(I.retire(target, old.authority.pubkey(), old.chain.payer.pubkey()))

    def finalise(self) -> World:
        self.finalise_shards()
        owner = self.authority.pubkey()
        self.send(I.finalise_manifest(self.manifest, owner, self.shards, self.true_hash))
        return self


def test_world_swapped_under_a_running_match():
    match = Match(World(Chain(), tiny_cartridge()).upload().finalise()).begin()
    match.run_frame()
    Impostor(match.world, tiny_cartridge(1)).upload().finalise()
    match.chain.next_slot()
    with pytest.raises(Refused) as caught:
        match.run_segment(0)
    assert caught.value.name == "WorldChanged"


def test_world_retired_under_a_running_match():
    match = Match(World(Chain(), tiny_cartridge()).upload().finalise()).begin()
    world = match.world
    world.send(I.retire(world.manifest, world.authority.pubkey(), world.chain.payer.pubkey()))
    with pytest.raises(Refused) as caught:
        match.run_segment(0)
    assert caught.value.name == "WrongOwner"
    match.end(match.players[0])  # the players are not trapped
    match.record()
    match.close()


def test_unfinished_world_in_place_of_the_chosen_one():
    match = Match(World(Chain(), tiny_cartridge()).upload().finalise()).create().grow().join()
    Impostor(match.world, tiny_cartridge(1)).upload()
    with pytest.raises(Refused) as caught:
        match.ready()
    assert caught.value.name == "ManifestNotFrozen"


def test_bigger_world_in_place_of_the_chosen_one():
    """Its scratch would not fit into the memory that the match has."""
    match = Match(World(Chain(), tiny_cartridge()).upload().finalise()).create().grow().join()
    shape = Shape(d_model=64, nheads=4, headdim=16, d_state=32, n_layers=1)
    Impostor(match.world, pack(random_model(1, shape, n_classes=8), shard_limit=40_000)).upload().finalise()
    with pytest.raises(Refused) as caught:
        match.ready()
    assert caught.value.name == "WorldChanged"


def test_shard_left_behind_by_an_older_world():
    """It is frozen, has the right number and names the right manifest; only its hash gives it away."""
    chain = Chain()
    old = World(chain, tiny_cartridge()).upload().finalise()
    old_shards = [chain.data(k) for k in old.shards]
    new = Impostor(old, tiny_cartridge(1)).upload().finalise()
    match = Match(new, session_id=3).begin()
    stale = chain.put(Pubkey.new_unique(), old_shards[0])
    chain.next_slot()
    with pytest.raises(Refused) as caught:
        chain.send(match.segment_instruction(0, shards=[stale, new.shards[1]]), signers=[match.crank])
    assert caught.value.name == "ShardHash"


def test_every_error_code_is_tried():
    tried = {error for error, _, _ in CASES} | set(KINDS.values()) | set(THEIRS.values())
    tried |= {"InstructionData", "AccountsMissing", "SignatureMissing", "NotWritable", "WrongOwner"}
    tried |= {"WrongSystemProgram", "ShardLength", "ShardHash", "WorldChanged", "ManifestNotFrozen"}
    of_the_rollup = {name for code, name in A.ERROR_NAMES.items() if 6120 <= code < A.KERNEL_ERRORS}
    assert set(A.ERROR_NAMES.values()) - tried == of_the_rollup
