"""The weights that a run keeps are an average of its steps', and a run that is resumed goes on with both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_model import TINY, falling

from awm_kit.model.average import averaged
from awm_kit.model.checkpoint import load_checkpoint
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.heads import fit_heads
from awm_kit.model.train import Trainer
from awm_kit.model.train_config import TrainConfig
from awm_kit.model.world import WorldModel
from awm_kit.schema import FIGHTER

CONFIG = TrainConfig(steps=6, average=3, lanes=4, length=16, threads=1, save_every=3, model=TINY)


@pytest.fixture(scope="module")
def data() -> PackedReplays:
    return PackedReplays(FIGHTER, [falling(s) for s in range(8)])


def equal(a: WorldModel, b: WorldModel) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_an_average_follows_over_its_horizon(data: PackedReplays) -> None:
    model = WorldModel(TINY, FIGHTER, fit_heads(FIGHTER, *data.transitions()))
    average, values = averaged(model, 4), []
    for step in range(7):
        with torch.no_grad():
            model.embed.bias.fill_(float(2**step))
        average.update_parameters(model)
        values.append(float(average.module.embed.bias.detach()[0]))
    assert values[:4] == pytest.approx([1, 3 / 2, 7 / 3, 15 / 4])  # means
    assert values[4] == pytest.approx(values[3] + (16 - values[3]) / 4)
    assert values[6] == pytest.approx(values[5] + (64 - values[5]) / 4)


def test_a_run_keeps_the_average_of_its_steps(data: PackedReplays, tmp_path: Path) -> None:
    trainer = Trainer(data, CONFIG, tmp_path)
    seen = []
    for _ in trainer._steps():
        seen.append([p.detach().clone() for p in trainer.model.parameters()])
    trainer.save()
    expected = seen[0]
    for n, weights in enumerate(seen[1:], 1):
        share = max(1 / 3, 1 / (n + 1))
        expected = [a + share * (b - a) for a, b in zip(expected, weights, strict=True)]
    kept = load_checkpoint(tmp_path / "last.safetensors")[0]
    for got, wanted in zip(kept.parameters(), expected, strict=True):
        torch.testing.assert_close(got, wanted)
    assert not equal(kept, trainer.model)


def test_a_finished_run_returns_what_it_kept(data: PackedReplays, tmp_path: Path) -> None:
    model = Trainer(data, CONFIG, tmp_path).run(progress=False)
    assert equal(model, load_checkpoint(tmp_path / "last.safetensors")[0])


def test_a_resumed_run_goes_on_with_its_own_weights(data: PackedReplays, tmp_path: Path) -> None:
    first = Trainer(data, CONFIG, tmp_path)
    steps = first._steps()
    for _ in range(3):
        next(steps)
    again = Trainer(data, CONFIG, tmp_path)
    assert again.step == 3
    assert equal(again.model, first.model)
    assert again.average is not None and first.average is not None
    assert equal(again.average.module, first.average.module)
    assert int(again.average.n_averaged) == 3
    (tmp_path / "optimizer.pt").unlink()
    assert equal(Trainer(data, CONFIG, tmp_path).model, first.average.module)


def test_the_average_begins_anew_when_outliers_are_spread(data: PackedReplays, tmp_path: Path) -> None:
    """Before and after, the same network has other weights."""
    trainer = Trainer(data, replace(CONFIG, finish=2), tmp_path)
    steps = trainer._steps()
    for _ in range(5):
        next(steps)
    assert trainer.average is not None
    assert int(trainer.average.n_averaged) == 1
    assert equal(trainer.average.module, trainer.model)


def test_less_than_no_step_is_refused() -> None:
    with pytest.raises(ValueError, match=r"average of 0 or more steps \(got -1\)"):
        TrainConfig(average=-1)
