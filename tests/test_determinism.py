"""The same match on every home and every backend of this CPU: equal state hashes after every 60th frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from awm_kit.bench.homes import HOMES, play_everywhere
from awm_kit.errors import ModelFileError, VerificationError
from awm_kit.kernel import available_backends
from awm_kit.play.engine import Engine, NativeEngine
from awm_kit.play.engines import make_engine
from awm_kit.quant.cartridge import Cartridge
from awm_kit.worlds import load_world

FOUR_MINUTES = 14_400


@pytest.fixture(scope="module")
def world() -> Cartridge:
    try:
        return load_world("scuffle")
    except ModelFileError:
        pytest.skip("no shipped world in this checkout")


def makers(world: Cartridge) -> dict[str, Callable[[np.ndarray], Engine]]:
    """Every home, the native one once for each backend: NumPy, C, SBF in the Solana VM, WebAssembly."""
    engines: dict[str, Callable[[np.ndarray], Engine]] = {
        home: partial(make_engine, home, world) for home in HOMES if home != "native"
    }
    for backend in available_backends():
        engines[backend] = partial(NativeEngine, world, backend=backend)
    return engines


def agree(world: Cartridge, frames: int) -> None:
    runs, matches = play_everywhere(world, makers(world), frames, seed=7)
    assert {"reference", "chain", "wasm", "portable", "swar"} <= set(runs)
    for name, run in runs.items():
        assert run.hashes == runs["reference"].hashes, name
        # a match that moves: no hash comes twice, and there is one for every second of every match
        assert len(set(run.hashes)) == len(run.hashes)
        assert frames // 60 <= len(run.hashes) <= frames // 60 + matches


def test_ten_seconds_on_every_home(world: Cartridge) -> None:
    agree(world, 600)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_four_minutes_on_every_home(world: Cartridge) -> None:
    """All 14,400 frames on all homes, the Solana VM and the NumPy reference too."""
    agree(world, FOUR_MINUTES)


def test_one_wrong_bit_is_found(world: Cartridge) -> None:
    class Disturbed(NativeEngine):
        def step(self, inputs: np.ndarray) -> np.ndarray:
            frame = super().step(inputs)
            if frame["frame"] == 120:  # where a hash is taken: a small difference may fade within a frame
                self._state[-2] ^= 1
            return frame

    engines = {"right": partial(NativeEngine, world), "wrong": partial(Disturbed, world)}
    play_everywhere(world, engines, 60)
    with pytest.raises(VerificationError, match="disagree at hash 1"):
        play_everywhere(world, engines, 120)
