"""A LiteSVM with the world program on it, and worlds and matches brought to any point of their life."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from solders.account import Account
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_metadata import FailedTransactionMetadata
from solders.transaction_status import InstructionErrorCustom

from awm_kit.chain import accounts as A
from awm_kit.chain import instructions as I
from awm_kit.chain.frame_plan import frame_plan
from awm_kit.chain.sbf.build import OUTPUT
from awm_kit.data.scuffle import initial_frame
from awm_kit.quant import reference
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.integer_model import IntegerModel
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_frame, random_inputs, random_model
from awm_kit.schema import CONTROLLER, FIGHTER, STATUS_PLAYING

CHUNK = 860
MAX_UNITS = 1_400_000


def keypair(name: str) -> Keypair:
    return Keypair.from_seed(hashlib.sha256(name.encode()).digest())


class Refused(Exception):
    """A transaction failed; ``name`` is the program's error, or what the runtime says."""

    def __init__(self, name: str, logs: Sequence[str]) -> None:
        super().__init__(name + "\n" + "\n".join(logs))
        self.name = name


def refusal_of(result: FailedTransactionMetadata) -> Refused:
    error = getattr(result.err(), "err", result.err())
    name = str(error)
    if isinstance(error, InstructionErrorCustom):
        name = A.program_error(error.code).name or name
    return Refused(name, result.meta().logs())


class Chain:
    """The ledger. Every transaction keeps to a real cluster's limits."""

    def __init__(self) -> None:
        self.svm = LiteSVM()
        self.svm.add_program(I.PROGRAM_ID, OUTPUT.read_bytes())
        self.payer = keypair("payer")
        self.svm.airdrop(self.payer.pubkey(), 10**14)
        self.slot = 1

    def send(self, *instructions: Instruction, signers: Sequence[Keypair] = ()) -> int:
        """Run one transaction; returns its compute units."""
        result = self.svm.send_transaction(self._transaction(instructions, signers))
        if isinstance(result, FailedTransactionMetadata):
            raise refusal_of(result)
        return result.compute_units_consumed()

    def simulate(self, *instructions: Instruction, signers: Sequence[Keypair] = ()) -> None:
        """Like `send`, but nothing changes."""
        result = self.svm.simulate_transaction(self._transaction(instructions, signers))
        if isinstance(result, FailedTransactionMetadata):
            raise refusal_of(result)

    def _transaction(self, instructions: Sequence[Instruction], signers: Sequence[Keypair]) -> Transaction:
        self.svm.expire_blockhash()
        message = Message([set_compute_unit_limit(MAX_UNITS), *instructions], self.payer.pubkey())
        wanted = message.account_keys[: message.header.num_required_signatures]
        known = {s.pubkey(): s for s in (self.payer, *signers)}
        transaction = Transaction([known[key] for key in wanted], message, self.svm.latest_blockhash())
        assert len(bytes(transaction)) <= 1232
        return transaction

    def next_slot(self) -> None:
        self.slot += 1
        clock = self.svm.get_clock()
        clock.slot, clock.unix_timestamp = self.slot, 1_800_000_000 + self.slot
        self.svm.set_clock(clock)

    def data(self, key: Pubkey) -> bytes:
        account = self.svm.get_account(key)
        return b"" if account is None else bytes(account.data)

    def put(self, key: Pubkey, data: bytes, owner: Pubkey = I.PROGRAM_ID) -> Pubkey:
        """Place an account without asking the program."""
        self.svm.set_account(key, Account(10**10, data, owner, False, 0))
        return key

    def lamports(self, key: Pubkey) -> int:
        return self.svm.get_balance(key) or 0

    def rent(self, size: int) -> int:
        return self.svm.minimum_balance_for_rent_exemption(size)


@dataclass
class World:
    """One world's accounts, uploaded as far as the caller wants."""

    chain: Chain
    cartridge: Cartridge
    authority: Keypair = field(default_factory=lambda: keypair("authority"))

    def __post_init__(self) -> None:
        self.hash = hashlib.sha256(self.cartridge.manifest_bytes).digest()
        owner = self.authority.pubkey()
        self.manifest, self.shards = A.content_keys(owner, self.hash.hex(), len(self.cartridge.shards))

    def send(self, *instructions: Instruction) -> int:
        return self.chain.send(*instructions, signers=[self.authority])

    def init_manifest(self) -> None:
        size, owner = len(self.cartridge.manifest_bytes), self.authority.pubkey()
        lamports = self.chain.rent(A.CONTENT_OFFSET + size)
        seed = A.manifest_seed(self.hash.hex())
        create = I.create_content(owner, self.manifest, seed, size, lamports, payer=self.chain.payer.pubkey())
        self.send(create, I.init_manifest(self.manifest, owner, size))

    def create_shard(self, i: int) -> Instruction:
        size, owner = len(self.cartridge.shards[i]), self.authority.pubkey()
        lamports = self.chain.rent(A.CONTENT_OFFSET + size)
        seed = A.shard_seed(self.hash.hex(), i)
        return I.create_content(owner, self.shards[i], seed, size, lamports, payer=self.chain.payer.pubkey())

    def init_shard(self, i: int) -> None:
        size, owner = len(self.cartridge.shards[i]), self.authority.pubkey()
        self.send(self.create_shard(i), I.init_shard(self.shards[i], self.manifest, owner, size, i))

    def write(self, target: Pubkey, content: bytes) -> None:
        for at in range(0, len(content), CHUNK):
            self.send(I.write(target, self.authority.pubkey(), at, content[at : at + CHUNK]))

    def upload(self) -> World:
        """Everything is written, nothing is frozen."""
        self.init_manifest()
        self.write(self.manifest, self.cartridge.manifest_bytes)
        for i, content in enumerate(self.cartridge.shards):
            self.init_shard(i)
            self.write(self.shards[i], content)
        return self

    def finalise_shards(self) -> World:
        for key, content in zip(self.shards, self.cartridge.shards, strict=True):
            digest = hashlib.sha256(content).digest()
            self.send(I.finalise_shard(key, self.manifest, self.authority.pubkey(), digest))
        return self

    def finalise(self) -> World:
        self.finalise_shards()
        self.send(I.finalise_manifest(self.manifest, self.authority.pubkey(), self.shards, self.hash))
        return self


@dataclass
class Match:
    """One match's accounts and keys."""

    world: World
    session_id: int = 7
    log_kib: int = 4
    host: Keypair = field(default_factory=lambda: keypair("host"))
    guest: Keypair = field(default_factory=lambda: keypair("guest"))
    crank: Keypair = field(default_factory=lambda: keypair("crank"))

    def __post_init__(self) -> None:
        self.chain = self.world.chain
        self.players = [keypair(f"session key {p} of {self.session_id}") for p in range(2)]
        self.keys = A.session_keys(self.host.pubkey(), self.session_id)
        self.segments = frame_plan(self.world.cartridge.manifest, self.world.shards)
        self.first_frame = first_frame()
        if self.chain.lamports(self.host.pubkey()) == 0:
            self.chain.svm.airdrop(self.host.pubkey(), 10**12)

    def create_instruction(self, frame: np.ndarray | None = None, **changes: object) -> Instruction:
        given = {
            "keys": self.keys,
            "host": self.host.pubkey(),
            "manifest": self.world.manifest,
            "authority": self.crank.pubkey(),
            "session_key": self.players[0].pubkey(),
            "session_id": self.session_id,
            "frame": self.first_frame if frame is None else frame,
            "log_kib": self.log_kib,
            **changes,
        }
        return I.create_session(**given)

    def create(self) -> Match:
        self.chain.send(self.create_instruction(), signers=[self.host])
        return self

    def grow(self) -> Match:
        header = A.parse(self.chain.data(self.keys.hidden), A.HIDDEN_HEADER)
        total = A.STATE_OFFSET + int(header["state_bytes"]) + int(header["scratch_bytes"])
        for target, size in ((self.keys.hidden, total), (self.keys.log, self.log_kib << 10)):
            while len(self.chain.data(target)) < size:
                payer = self.chain.payer.pubkey()
                self.chain.send(I.grow(self.keys, payer, target, self.world.manifest))
        return self

    def join(self, character: int = I.KEEP_CHARACTER) -> Match:
        call = I.join(self.keys, self.guest.pubkey(), self.players[1].pubkey(), character)
        self.chain.send(call, signers=[self.guest])
        return self

    def ready(self, *players: int) -> Match:
        for p in players or (0, 1):
            call = I.ready(self.keys, self.players[p].pubkey(), p, self.world.manifest)
            self.chain.send(call, signers=[self.players[p]])
        return self

    def begin(self) -> Match:
        return self.create().grow().join().ready()

    def submit(self, player: int, controller: np.ndarray) -> int:
        call = I.submit_input(self.keys, self.players[player].pubkey(), player, controller)
        return self.chain.send(call, signers=[self.players[player]])

    def segment_instruction(self, segment: int, **changes: object) -> Instruction:
        """The instruction for a segment of the present frame, with some arguments changed."""
        piece = self.segments[segment]
        given = {
            "keys": self.keys,
            "authority": self.crank.pubkey(),
            "manifest": self.world.manifest,
            "shards": piece.shards,
            "frame": int(self.frame()["frame"]),
            "begin": piece.begin,
            "end": piece.end,
            **changes,
        }
        return I.run_inference(**given)

    def run_segment(self, segment: int) -> int:
        return self.chain.send(self.segment_instruction(segment), signers=[self.crank])

    def run_frame(self) -> list[int]:
        """All segments of a frame in a slot of its own; returns their compute units."""
        self.chain.next_slot()
        return [self.run_segment(s) for s in range(len(self.segments))]

    def end(self, signer: Keypair) -> None:
        self.chain.send(I.end_session(self.keys, signer.pubkey()), signers=[signer])

    def record(self) -> None:
        self.chain.send(I.record_result(self.keys, self.chain.payer.pubkey(), self.world.manifest))

    def close(self) -> None:
        self.chain.send(I.close_session(self.keys, self.host.pubkey()), signers=[self.host])

    def frame(self) -> np.ndarray:
        return A.frame_of(self.chain.data(self.keys.session))

    def state(self) -> bytes:
        return A.state_of(self.chain.data(self.keys.hidden))

    def session(self) -> np.void:
        return A.parse(self.chain.data(self.keys.session), A.SESSION_STATE)

    def hidden(self) -> np.void:
        return A.parse(self.chain.data(self.keys.hidden), A.HIDDEN_HEADER)


@cache
def tiny_model(seed: int = 0, endless: bool = True) -> IntegerModel:
    """A world in which nobody wins unless ``endless`` is false; then somebody soon does."""
    shape = Shape(d_model=32, nheads=4, headdim=16, d_state=32, n_layers=1)
    if endless:
        schema = replace(FIGHTER, end_field="")
        return random_model(seed, shape, schema=schema, n_classes=8)
    worlds = (random_model(other, shape, n_classes=8) for other in range(seed, seed + 100))
    return next(world for world in worlds if _is_soon_decided(world))


def _is_soon_decided(model: IntegerModel, frames: int = 100) -> bool:
    """Whether matches are decided, both from where a `Match` and from where a fighting match begins."""
    for frame, inputs in (
        (first_frame(), np.zeros((frames, 2), CONTROLLER)),
        (initial_frame(), controllers(frames)),
    ):
        state = reference.initial_state(model)
        for pair in inputs:
            frame = reference.step(model, state, frame, pair)
        if frame["status"] == STATUS_PLAYING:
            return False
    return True


def first_frame() -> np.ndarray:
    """Where a `Match` begins: random players."""
    frame = random_frame(np.random.default_rng(3))
    frame["seed"], frame["stage"] = 12, 32
    return frame


@cache
def tiny_cartridge(seed: int = 0, endless: bool = True) -> Cartridge:
    """Some 70 KB in two shards, a frame in several transactions."""
    return pack(tiny_model(seed, endless), shard_limit=32_000, cu_limit=100_000)


@cache
def small_cartridge() -> Cartridge:
    """A frame is one short transaction; nobody ever wins."""
    shape = Shape(d_model=16, nheads=1, headdim=8, d_state=4, n_layers=1, n_views=1)
    return pack(replace(random_model(5, shape, n_classes=4), schema=replace(FIGHTER, end_field="")))


def controllers(n: int, seed: int = 0) -> np.ndarray:
    """Random controllers with rising sequence numbers, shape (n, 2)."""
    inputs = random_inputs(np.random.default_rng(seed), n)
    assert inputs.dtype == CONTROLLER
    inputs["sequence"] = 1 + np.arange(n)[:, None]
    return inputs
