"""The syscall build computes the native kernel's frames, within the units that they are planned with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from onchain import Chain, Match, World, controllers
from sbf_vm import Interpreted

from awm_kit.chain import accounts as A
from awm_kit.chain.frame_plan import syscall_units
from awm_kit.kernel import NativeWorld
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, in_four_bits, random_model
from awm_kit.quant.syscall_costs import CU_TRANSACTION
from awm_kit.schema import FIGHTER

SHAPES = {
    "two views": Shape(d_model=64, nheads=4, headdim=32, d_state=16, n_layers=2),
    "one view": Shape(d_model=64, nheads=4, headdim=32, d_state=16, n_layers=2, n_views=1),
    "several parts of a convolution": Shape(
        d_model=160, nheads=5, headdim=64, d_state=16, n_layers=1, n_views=1
    ),
    "rows and channels that are no eights": Shape(
        d_model=72, nheads=3, headdim=24, d_state=12, n_layers=2, n_views=1
    ),
    "four bits": Shape(d_model=64, nheads=4, headdim=32, d_state=16, n_layers=1),
}


@pytest.mark.parametrize("name", SHAPES)
def test_frames_are_the_native_kernel_s(name: str, tmp_path: Path) -> None:
    model = random_model(5, SHAPES[name], schema=replace(FIGHTER, end_field=""))
    cartridge = pack(in_four_bits(model, 5) if name == "four bits" else model)
    match = Match(World(Chain(), cartridge).upload().finalise()).begin()
    there, native = Interpreted(match, tmp_path), NativeWorld(cartridge)
    state, frame = native.initial_state(), match.first_frame
    planned = syscall_units(cartridge.manifest)
    for pads in controllers(20):
        there.submit(pads)
        units = there.frame()
        frame = native.step(state, frame, pads)
        assert A.frame_of(there.data[match.keys.session]).tobytes() == frame.tobytes()
        assert A.state_of(there.data[match.keys.hidden]) == state.tobytes()
        for piece, spent in zip(there.plan, units, strict=True):
            assert spent <= CU_TRANSACTION + planned[piece.begin : piece.end].sum()
