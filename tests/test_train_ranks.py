"""Two processes that train together compute what one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from awm_kit.model.checkpoint import load_checkpoint
from awm_kit.model.plots import read_log
from awm_kit.model.ranks import Ranks

RECIPE = """
name = "tiny"
[data]
seeds = [0, 6]
n_frames = 160
[model]
d_model = 32
n_layers = 2
d_state = 8
headdim = 16
chunk = 16
[train]
steps = 5
lanes = 6
length = 24
lr = 1e-3
precision = "fp32"
self_forcing = [[2, 3]]
threads = 1
"""


def train(recipe: Path, out: Path, *launcher: str) -> None:
    command = [sys.executable, *launcher, "-m", "awm_kit.cli", "train", recipe, "--out", out, "--no-progress"]
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    train(recipe, tmp_path / "one")
    train(recipe, tmp_path / "two", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    one, two = (read_log(tmp_path / name / "log.csv") for name in ("one", "two"))
    assert list(one) == list(two) and one["step"].tolist() == two["step"].tolist() == [1, 2, 3, 4, 5]
    for name in one:
        assert np.allclose(one[name], two[name], rtol=2e-3, atol=2e-4), name
    (single, _), (double, notes) = (
        load_checkpoint(tmp_path / name / "last.safetensors") for name in ("one", "two")
    )
    assert notes["step"] == 5
    moved = [(p - q).abs().mean() for p, q in zip(single.parameters(), double.parameters(), strict=True)]
    assert max(moved) < 2e-5, moved  # five steps of 1e-3 each move a weight by up to 5e-3


def test_lanes_are_shared_out_without_remainder() -> None:
    assert [Ranks(r, 3).lanes(12) for r in range(3)] == [slice(0, 4), slice(4, 8), slice(8, 12)]
    with pytest.raises(ValueError, match="multiple of the 3 processes"):
        Ranks(0, 3).lanes(10)


def test_alone_nothing_is_exchanged() -> None:
    alone = Ranks.joined(torch.device("cpu"))
    assert alone == Ranks(0, 1) and alone.first
    assert alone.balanced(torch.ones(3)) == 1.0 and alone.from_first(lambda: 7) == 7
    values = torch.tensor([1.0, 2.0])
    alone.average([values])
    assert values.tolist() == [1.0, 2.0]
