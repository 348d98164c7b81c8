"""Quantising a small trained network: the integer step must predict what the float one does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_model import TINY, falling

from awm_kit.errors import ModelFileError, QuantizationError
from awm_kit.model.calibrate import calibrate
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.evaluate import TorchRunner
from awm_kit.model.heads import LOGIT_ONE, fit_heads
from awm_kit.model.train import Trainer
from awm_kit.model.train_config import TrainConfig
from awm_kit.model.world import WorldModel
from awm_kit.quant.dequantize import dequantize
from awm_kit.quant.integer_model import IntegerModel
from awm_kit.quant.layout import FeatureMode
from awm_kit.quant.manifest import unpack
from awm_kit.quant.pack import pack
from awm_kit.quant.quantize import _norm, quantize
from awm_kit.quant.reference import forward, initial_state, rms_norm, step
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


@pytest.fixture(scope="module")
def loud() -> WorldModel:
    """Untrained, and nothing in it is near the identity: a gain or a bias that got lost shows."""
    torch.manual_seed(3)
    data = PackedReplays(FIGHTER, [falling(s) for s in range(8)])
    model = WorldModel(TINY, FIGHTER, fit_heads(FIGHTER, *data.transitions())).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name or name.endswith(".D"):
                weight.uniform_(0.5, 2.0)
            elif name.startswith("choice.") or (name.endswith("bias") and "dt" not in name):
                weight.normal_(0, 0.4)
            elif "tables" in name:
                weight.normal_(0, 3.0)  # a third of them beyond what int8 holds
            elif name.endswith("A_log"):
                weight.fill_(-2.0)  # a memory of dozens of frames, and most of what a layer says
            elif name.endswith("dt_bias"):
                weight.add_(2.0)
    return model


def test_logits_of_a_loud_network_survive(loud: WorldModel) -> None:
    ranges = calibrate(loud, PackedReplays(FIGHTER, [falling(s) for s in range(8)]), 8, 3, 24)
    integer, game = quantize(loud, ranges, "loud"), falling(77, 60)
    spare = integer.notes["scales"]["residual"] * 2**23 / ranges.residual
    assert 16 <= spare < 32, "four bits are left for what calibration did not see"
    layer, unit = integer.layers[0], integer.notes["scales"]["layers"][0][1]
    reach = float(loud.layers[0].D[0].detach()) * unit * 2.0**layer.y_shift / layer.x_mul[0] * 32767
    assert reach == pytest.approx(1.25 * ranges.layers[0].y, rel=1e-3), "a quarter is left for the scan"
    g, p, c = TorchRunner(loud)._tensors(game)
    state, memory = loud.initial_state(1), initial_state(integer)
    got, wanted = [], []
    for t in range(40):
        got.append(forward(integer, memory, game.frames[t], game.inputs[t + 1]) / LOGIT_ONE)
        chosen = torch.from_numpy(got[-1][:, : loud.n_lead].argmax(1))
        with torch.no_grad():
            raw = loud.views(g[t, None], p[t, None], c[t + 1, None])
            logits, state = loud.step(raw, state, chosen)
        wanted.append(logits.numpy())
    for rows, most in ((slice(loud.n_lead), 0.052), (slice(loud.n_lead, None), 0.046)):
        off, true = np.array(got)[..., rows] - np.array(wanted)[..., rows], np.array(wanted)[..., rows]
        assert np.sqrt((off**2).mean()) / true.std() < most  # 0.045 and 0.041: what eight bits cost here


def test_a_norm_of_next_to_nothing_is_kept_small_by_its_epsilon() -> None:
    x, unit, scale, eps = np.arange(-32, 32) * 40, 1e-6, 0.02, 1e-5
    real = x * unit  # a mean square of about eps / 20
    expected = real / np.sqrt((real**2).mean() + eps) / scale
    assert np.abs(expected).max() > 8
    assert np.abs(rms_norm(_norm(len(x), scale, unit, eps), x) - expected).max() <= 0.51


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


def test_worlds_whose_features_are_not_their_schema_s_cannot_be_forked(integer: IntegerModel) -> None:
    """A fork's features come from the schema: it would read others than the weights were trained for."""
    other = unpack(pack(integer))
    turned = np.flatnonzero((other.features["mode"] == FeatureMode.LINEAR) & (other.features["operand"] > 0))
    other.features["operand"][turned[0]] = 0
    with pytest.raises(ModelFileError, match="do not follow from the schema"):
        dequantize(other)
