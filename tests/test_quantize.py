"""Quantising a small trained network: the integer step must predict what the float one does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_model import TINY, falling

from awm_kit.errors import ModelFileError, QuantizationError
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.train import TrainConfig, Trainer
from awm_kit.model.world import WorldModel
from awm_kit.quant.calibrate import calibrate
from awm_kit.quant.dequantize import dequantize
from awm_kit.quant.integer_model import IntegerModel
from awm_kit.quant.manifest import unpack
from awm_kit.quant.pack import pack
from awm_kit.quant.quantize import quantize
from awm_kit.quant.reference import initial_state, step
from awm_kit.schema import FIGHTER


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[WorldModel, PackedReplays]:
    data = PackedReplays(FIGHTER, [falling(s) for s in range(16)])
    config = TrainConfig(steps=250, lanes=16, length=32, lr=5e-3, model=TINY)
    return Trainer(data, config, tmp_path_factory.mktemp("run")).run(progress=False).eval(), data


@pytest.fixture(scope="module")
def integer(trained: tuple[WorldModel, PackedReplays]) -> IntegerModel:
    model, data = trained
    return quantize(model, calibrate(model, data, lanes=8, windows=3), "falling")


def agreement(model: WorldModel, integer: IntegerModel) -> float:
    """Share of player fields on which teacher-forced predictions agree."""
    from awm_kit.model.evaluate import TorchRunner

    replay = falling(77)
    forced, _ = TorchRunner(model).run(replay, np.array([5]), 2)
    state, same = initial_state(integer), []
    for t in range(1, replay.n_frames):
        got = step(integer, state, replay.frames[t - 1], replay.inputs[t])
        same.append(
            [got["players"][f.name] == forced[t - 1]["players"][f.name] for f in FIGHTER.player_fields]
        )
    return float(np.mean(same))


def test_integers_predict_what_floats_do(
    trained: tuple[WorldModel, PackedReplays], integer: IntegerModel
) -> None:
    assert agreement(trained[0], integer) > 0.985


def test_a_fork_starts_from_the_same_function(integer: IntegerModel) -> None:
    again = dequantize(unpack(pack(integer))).eval()
    assert agreement(again, integer) > 0.985


def test_fork_requantises_to_nearly_the_same_integers(
    trained: tuple[WorldModel, PackedReplays], integer: IntegerModel
) -> None:
    again = dequantize(integer).eval()
    twice = quantize(again, calibrate(again, trained[1], lanes=8, windows=3), "falling")
    assert np.abs(twice.head.weight.astype(int) - integer.head.weight).max() <= 1


def test_diverged_networks_are_refused(trained: tuple[WorldModel, PackedReplays]) -> None:
    model, data = trained
    ranges = calibrate(model, data, lanes=4, windows=1)
    broken = WorldModel(model.config, model.schema, model.heads)
    with torch.no_grad():
        broken.head.weight[0, 0] = torch.nan
    with pytest.raises(QuantizationError, match="diverged"):
        quantize(broken, ranges, "broken")


def test_worlds_without_scales_cannot_be_forked(integer: IntegerModel) -> None:
    bare = unpack(pack(integer))
    bare.notes = {}
    with pytest.raises(ModelFileError, match="scales"):
        dequantize(bare)
