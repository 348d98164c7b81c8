"""Rounding matrices to 4 bits, and training with rounded weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from awm_kit.cli import app
from awm_kit.data.scuffle import generate
from awm_kit.model.calibrate import calibrate
from awm_kit.model.checkpoint import load_checkpoint, save_checkpoint
from awm_kit.model.config import ModelConfig
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.heads import fit_heads
from awm_kit.model.qat import TUNING, tune
from awm_kit.model.rounding import (
    CHUNK,
    FOUR_BITS,
    MATRICES,
    SCALE_MAX,
    WEIGHT_MAX,
    four_bits,
    matrices,
    rounded,
)
from awm_kit.model.world import WorldModel
from awm_kit.quant import n4
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.dequantize import dequantize
from awm_kit.quant.layout import FORMAT_N4
from awm_kit.quant.manifest import unpack
from awm_kit.quant.pack import pack
from awm_kit.quant.quantize import quantize
from awm_kit.schema import FIGHTER


@pytest.fixture(scope="module")
def data() -> PackedReplays:
    return PackedReplays(FIGHTER, generate(range(3), 200))


@pytest.fixture
def model(data: PackedReplays) -> WorldModel:
    torch.manual_seed(0)
    config = ModelConfig(d_model=40, n_layers=1, d_state=8, headdim=16)
    model = WorldModel(config, FIGHTER, fit_heads(FIGHTER, *data.transitions()))
    for parameter in model.parameters():
        if parameter.ndim == 1:  # gains that differ, as training leaves them
            parameter.data *= 1 + 0.3 * torch.rand_like(parameter)
    return model


def test_the_trainer_and_the_format_agree() -> None:
    assert (CHUNK, WEIGHT_MAX, SCALE_MAX) == (n4.CHUNK, n4.WEIGHT_MAX, n4.SCALE_MAX)


@pytest.mark.parametrize("shape", [(1, 8), (7, 40), (33, 128), (16, 256)])
def test_a_rounded_matrix_is_of_the_format(shape: tuple[int, int]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1)).double()
    weight[0] *= 1e-3
    weight[-1, 8:32] = 0
    part = four_bits(weight)
    q, scales = part.weight.numpy(), part.scales.numpy()
    assert q.shape == shape and scales.shape == (shape[0], n4.n_chunks(shape[1]))
    assert np.array_equal(q, q.round()) and abs(q).max() <= WEIGHT_MAX
    assert np.array_equal(scales, scales.round()) and scales.min() >= 1 and scales.max() <= SCALE_MAX
    raw = n4.pack_weights(q.astype(np.int8), scales.astype(np.uint8))  # refuses pairs that differ
    assert len(raw) == n4.words_bytes(*shape) + n4.scales_bytes(*shape)
    error = float((part.real - weight).square().sum() / weight.square().sum()) ** 0.5
    assert error < 0.13, error
    rows = (part.real - weight).norm(dim=1) / weight.norm(dim=1).clamp(min=1e-9)
    assert float(rows.max()) < 0.3  # a small row beside a large one keeps its own unit


def test_chunks_get_better_scales_than_rows() -> None:
    weight = torch.randn((64, 128), generator=torch.Generator().manual_seed(2))
    weight[:, 32:64] *= 0.1
    by_row = weight.abs().amax(1, keepdim=True) / WEIGHT_MAX
    plain = (weight / by_row).round() * by_row
    assert (four_bits(weight).real - weight)[:, 32:64].norm() < 0.3 * (plain - weight)[:, 32:64].norm()


def test_training_rounds_what_quantising_rounds(model: WorldModel, data: PackedReplays) -> None:
    """A network whose weights are rounded already loses nothing more: the same integers, the same floats."""
    ranges = calibrate(model, data, lanes=3, windows=1)
    plain = quantize(model, ranges, "x", four_bits=FOUR_BITS)
    with rounded(model, FOUR_BITS, lambda weight: four_bits(weight).real):
        expected = model.head.weight.detach() * model.final_norm.weight.detach()
    lead = model.n_lead
    got = plain.head.factors[:lead] * (plain.head.mul / 2.0**plain.head.shift)[:lead, None]
    ratio = got / np.where(np.abs(expected[:lead].numpy()) > 1e-9, expected[:lead].numpy(), np.nan)
    assert np.nanstd(ratio) < 1e-4 * np.nanmean(ratio)


def test_updates_reach_the_true_weights(model: WorldModel) -> None:
    weight = model.head.weight
    before = weight.detach().clone()
    with rounded(model, ("head",), lambda weight: four_bits(weight).real):
        assert not torch.equal(weight, before)
        with torch.no_grad():
            weight += 0.5
    assert torch.allclose(weight, before + 0.5, atol=1e-6)


def test_names_of_matrices_are_checked(model: WorldModel, data: PackedReplays) -> None:
    with pytest.raises(ValueError, match="matrices"):
        list(matrices(model, ["conv"]))
    with pytest.raises(ValueError, match="matrices"):
        quantize(model, calibrate(model, data, lanes=3, windows=1), "x", four_bits=["conv"])
    covered: dict[int, Tensor] = {}
    for weight, rows, _ in matrices(model, MATRICES):
        covered.setdefault(id(weight), torch.zeros(len(weight)))[rows] += 1
    assert len(covered) == 2 + 2 * len(model.layers)
    assert all(bool((rows == 1).all()) for rows in covered.values())


def test_tuning_lowers_the_loss_of_the_rounded_network(
    model: WorldModel, data: PackedReplays, tmp_path: Path
) -> None:
    """And the run is an ordinary one: it resumes, and its checkpoint loads."""
    config = replace(TUNING, steps=25, lanes=4, length=32, lr=2e-3, self_forcing=((0, 0),), threads=1)
    tuned = tune(model, data, tmp_path / "run", MATRICES, config, progress=False)
    loss = np.genfromtxt(tmp_path / "run" / "log.csv", delimiter=",", names=True)["loss"]
    assert len(loss) == 25 and loss[-5:].mean() < 0.8 * loss[:3].mean()
    again, notes = load_checkpoint(tmp_path / "run" / "last.safetensors")
    assert notes["step"] == 25
    assert all(torch.equal(a, b) for a, b in zip(tuned.parameters(), again.parameters(), strict=True))


def test_a_4_bit_world_can_be_forked(model: WorldModel, data: PackedReplays) -> None:
    """Integers back to floats, in 4 bits too: what comes out rounds to the same integers."""
    ranges = calibrate(model, data, lanes=3, windows=1)
    world = unpack(pack(quantize(model, ranges, "x", four_bits=FOUR_BITS)))
    back = dequantize(world)
    with rounded(model, FOUR_BITS, lambda weight: four_bits(weight).real):
        assert torch.allclose(back.head.weight, model.head.weight * _gains(model), rtol=1e-3, atol=1e-5)


def _gains(model: WorldModel) -> Tensor:
    gains = model.final_norm.weight.detach().expand(len(model.head.weight), -1).clone()
    if model.choice is not None:
        gains[model.n_lead :] = model.choice.norm.weight.detach()
    return gains


def test_the_command_line_makes_a_4_bit_world(model: WorldModel, tmp_path: Path) -> None:
    notes = {"data": {"kind": "scuffle", "params": {}, "seeds": [0, 2], "n_frames": 120}}
    checkpoint, out = tmp_path / "small.safetensors", tmp_path / "small.awm"
    save_checkpoint(checkpoint, model, notes)
    command = ["quantize", str(checkpoint), "--out", str(out), "--no-progress"]
    done = CliRunner().invoke(app, [*command, "--format", "n4", "--tune", "2"])
    assert done.exit_code == 0, done.output
    manifest = Cartridge.load(out).manifest
    assert manifest.format == FORMAT_N4 and manifest.notes["four_bit_steps"] == 2
    refused = CliRunner().invoke(app, [*command, "--tune", "2"])
    assert refused.exit_code != 0 and "--format n4" in f"{refused.output}{refused.exception}"
