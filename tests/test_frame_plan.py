"""Where a frame is cut into transactions: any cut gives the same bytes; plans cover the tape and fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from onchain import Chain, Match, World, controllers, tiny_cartridge
from solders.pubkey import Pubkey

from awm_kit.chain import accounts as A
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.frame_plan import frame_plan, has_syscall, left_of, syscall_units
from awm_kit.chain.sbf.build import SYSCALL_OUTPUT
from awm_kit.kernel import NativeWorld
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.layout import OpKind
from awm_kit.quant.pack import LARGE, pack
from awm_kit.quant.random_model import Shape, in_four_bits, random_model
from awm_kit.quant.syscall_costs import CU_LIMIT, CU_TRANSACTION
from awm_kit.schema import FIGHTER


@pytest.fixture(scope="module")
def large() -> Cartridge:
    """A frame of several full transactions, with the system call too."""
    shape = Shape(d_model=256, nheads=8, headdim=64, d_state=16, n_layers=4)
    return pack(random_model(1, shape, schema=replace(FIGHTER, end_field="")))


def keys_of(cartridge: Cartridge) -> list[Pubkey]:
    return [Pubkey.new_unique() for _ in cartridge.shards]


def cut(match: Match, ends: Sequence[int]) -> None:
    """One frame in these pieces."""
    match.chain.next_slot()
    manifest, begin = match.world.cartridge.manifest, 0
    for end in ends:
        shards = [match.world.shards[i] for i in A.shards_of_ops(manifest, begin, end)]
        order = match.segment_instruction(0, begin=begin, end=end, shards=shards)
        match.chain.send(order, signers=[match.crank])
        begin = end


def test_any_cut_gives_the_same_frames(rng: np.random.Generator) -> None:
    match = Match(World(Chain(), tiny_cartridge()).upload().finalise()).begin()
    native, n_ops = NativeWorld(tiny_cartridge()), len(tiny_cartridge().manifest.ops)
    state, frame = native.initial_state(), match.first_frame
    for pads in controllers(12):
        for player in range(2):
            match.submit(player, pads[player])
        inner = rng.choice(np.arange(1, n_ops), int(rng.integers(2, n_ops)), replace=False)
        cut(match, [*sorted(inner.tolist()), n_ops])
        frame = native.step(state, frame, pads)
        assert match.frame().tobytes() == frame.tobytes()
        assert match.state() == state.tobytes()


@pytest.mark.parametrize("syscall", [False, True])
def test_a_plan_covers_the_tape_with_the_shards_that_it_reads(large: Cartridge, syscall: bool) -> None:
    manifest, keys = large.manifest, keys_of(large)
    plan = frame_plan(manifest, keys, syscall=syscall)
    assert [p.begin for p in plan] == [0, *(p.end for p in plan[:-1])] and plan[-1].end == len(manifest.ops)
    for piece in plan:
        read = manifest.ops[piece.begin : piece.end]
        matrices = {keys[int(op["shard"])] for op in read if op["kind"] == OpKind.MATVEC}
        assert matrices <= set(piece.shards)
        assert list(piece.shards) == sorted(piece.shards, key=keys.index)


def test_the_system_call_takes_fewer_transactions(large: Cartridge) -> None:
    units, keys = syscall_units(large.manifest), keys_of(large)
    plan = frame_plan(large.manifest, keys, syscall=True)
    spent = [CU_TRANSACTION + units[p.begin : p.end].sum() for p in plan]
    assert max(spent) <= CU_LIMIT
    assert len(plan) < len(frame_plan(large.manifest, keys))


def test_a_large_world_s_shards_end_with_the_system_call_s_transactions() -> None:
    """Each shard that a transaction names is copied whole; cut at 1 MiB these are copied three times."""
    shape = Shape(d_model=384, nheads=12, headdim=64, d_state=16, n_layers=4)
    cartridge = pack(random_model(1, shape, schema=replace(FIGHTER, end_field="")))
    assert cartridge.manifest.n_params >= LARGE
    keys, weights = keys_of(cartridge), sum(len(shard) for shard in cartridge.shards)
    plan = frame_plan(cartridge.manifest, keys, syscall=True)
    read = sum(len(cartridge.shards[keys.index(key)]) for piece in plan for key in piece.shards)
    assert read < 1.2 * weights
    units = syscall_units(cartridge.manifest)
    spent = [CU_TRANSACTION + units[p.begin : p.end].sum() for p in plan]
    assert min(spent[:-1]) > CU_LIMIT - 40_000 and max(spent) <= CU_LIMIT


def test_four_bit_weights_are_not_the_system_call_s() -> None:
    shape = Shape(d_model=256, nheads=8, headdim=64, d_state=16, n_layers=2)
    bytes_, four_bits = (
        syscall_units(pack(model).manifest)
        for model in (random_model(1, shape), in_four_bits(random_model(1, shape), 1, 1.0))
    )
    assert four_bits.sum() > 1.1 * bytes_.sum()


def test_what_is_left_of_a_frame_that_another_plan_has_cut(large: Cartridge) -> None:
    plan = frame_plan(large.manifest, keys_of(large))
    assert left_of(plan, 0) == plan
    assert left_of(plan, plan[1].begin) == plan[1:]
    first, *rest = left_of(plan, plan[1].begin + 1)
    assert (first.begin, first.end, first.shards) == (plan[1].begin + 1, plan[1].end, plan[1].shards)
    assert rest == plan[2:]


def test_the_build_is_told_by_the_program() -> None:
    assert not has_syscall(EmbeddedLedger())
    assert has_syscall(EmbeddedLedger(SYSCALL_OUTPUT.read_bytes()))
