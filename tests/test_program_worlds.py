"""Worlds that are not what they say, and authorities that swap them under a match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from onchain import Chain, Match, Refused, World, tiny_cartridge
from solders.pubkey import Pubkey

from awm_kit.chain import instructions as I
from awm_kit.quant import layout as L
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_model


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
    Impostor(match.world, pack(random_model(1, shape, n_classes=8), shard_limit=48_000)).upload().finalise()
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
