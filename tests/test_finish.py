"""The end of a training: outliers of the residual spread, and everything on the integer step's grids."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_model import TINY, falling
from torch import Tensor

from awm_kit.data.replay import Replay
from awm_kit.model.calibrate import calibrate, on_grids
from awm_kit.model.checkpoint import load_checkpoint
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.evaluate import TorchRunner
from awm_kit.model.heads import fit_heads
from awm_kit.model.rounding import MATRICES, rounded
from awm_kit.model.spread import BLOCK, channel_sizes, spread_outliers
from awm_kit.model.train import Trainer
from awm_kit.model.train_config import TrainConfig
from awm_kit.model.world import WorldModel, seven_bits
from awm_kit.quant.quantize import quantize
from awm_kit.quant.reference import forward, initial_state
from awm_kit.schema import FIGHTER

OUTLIER = 5


@pytest.fixture(scope="module")
def data() -> PackedReplays:
    return PackedReplays(FIGHTER, [falling(s) for s in range(8)])


PLAIN = replace(TINY, conv_reach=0.0)


@pytest.fixture
def model(data: PackedReplays) -> WorldModel:
    """Untrained, with gains, gates and one channel of the residual that drowns the others."""
    torch.manual_seed(3)
    model = WorldModel(PLAIN, FIGHTER, fit_heads(FIGHTER, *data.transitions())).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 2.0)
            elif name == "choice.offset":
                weight.normal_(0, 0.2)
        model.embed.bias[OUTLIER] = 9.0
    return model


def with_conv_on_its_grid(model: WorldModel) -> WorldModel:
    same = WorldModel(TINY, FIGHTER, model.heads).eval()
    same.load_state_dict(model.state_dict())
    return same


def logits(model: WorldModel, game: Replay, chosen: Tensor | None = None) -> Tensor:
    g, p, c = TorchRunner(model)._tensors(game)
    with torch.no_grad():
        out, _ = model(model.views(g[None, :-1], p[None, :-1], c[None, 1:]), model.initial_state(1), chosen)
    return out


def test_spreading_changes_no_logit_and_takes_the_outlier_apart(
    model: WorldModel, data: PackedReplays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("awm_kit.model.world.seven_bits", lambda weight: weight)
    spread = spread_outliers(model, data)
    before, after = channel_sizes(model, data), channel_sizes(spread, data)
    assert before[0, OUTLIER] > 3
    assert after.max() < 1.2 * before[:, OUTLIER].max() / BLOCK**0.5
    game = falling(77)
    torch.testing.assert_close(logits(spread, game), logits(model, game), rtol=1e-3, atol=1e-3)
    again = spread_outliers(spread, data)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), spread.parameters(), strict=True))


def test_channels_that_share_an_outlier_take_its_gates(model: WorldModel, data: PackedReplays) -> None:
    assert model.choice is not None
    with torch.no_grad():
        model.choice.gate.uniform_(-0.5, 0.5)
    spread = spread_outliers(model, data)
    assert spread.choice is not None
    gate, old = spread.choice.gate.detach(), model.choice.gate.detach()
    same = [c for c in range(TINY.d_model) if torch.equal(gate[..., c], old[..., OUTLIER])]
    assert len(same) == BLOCK
    assert OUTLIER in same
    kept = [c for c in range(TINY.d_model) if c not in same]
    assert torch.equal(gate[..., kept], old[..., kept])


def test_a_network_on_the_grids_is_nearer_to_the_integer_step(model: WorldModel, data: PackedReplays) -> None:
    """What is left between them is the int16 state, its tables and the weights of the convolution."""
    model = with_conv_on_its_grid(model)
    ranges = calibrate(model, data, 8, 3, 24)
    integer, game = quantize(model, ranges, "loud"), falling(77, 40)
    memory, got = initial_state(integer), []
    for t in range(game.n_frames - 1):
        got.append(forward(integer, memory, game.frames[t], game.inputs[t + 1]) / 4096)
    exact = torch.from_numpy(np.array(got).swapaxes(0, 1)).float()
    chosen = exact[..., : model.n_lead].argmax(-1)
    plain = logits(model, game, chosen)
    grids = deepcopy(model)
    on_grids(grids, ranges)
    with rounded(grids, MATRICES, seven_bits):
        near = logits(grids, game, chosen)
    off = (near - exact).square().mean().sqrt(), (plain - exact).square().mean().sqrt()
    assert off[0] < 0.6 * off[1], f"{off[0]:.4f} on the grids, {off[1]:.4f} without"


def test_a_run_finishes_on_the_grids_and_keeps_true_weights(data: PackedReplays, tmp_path: Path) -> None:
    config = TrainConfig(steps=4, finish=2, lanes=4, length=16, threads=1, save_every=3, model=TINY)
    trainer = Trainer(data, config, tmp_path)
    steps = trainer._steps()
    next(steps), next(steps)
    assert not trainer.finishing
    assert not trainer.model.final_norm.reach
    next(steps)
    assert trainer.finishing
    assert trainer.model.final_norm.reach > 0
    assert all(layer.reach is not None for layer in trainer.model.mixers)
    weight = trainer.model.mixers[0].out_proj.weight.detach()
    assert not torch.equal(seven_bits(weight), weight), "the weights kept are those behind the rounded ones"
    resumed = Trainer(data, config, tmp_path)
    assert resumed.step == 3
    next(resumed._steps())
    assert resumed.finishing
    list(steps)
    trainer.save()
    assert load_checkpoint(tmp_path / "last.safetensors")[1]["step"] == 4
