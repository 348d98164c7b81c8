"""What bumper's world learns from beside matches: drills, and its teacher's corrections of free runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_model import TINY

from awm_kit.data.bumper import BUMPER, brinks, crashes, generate, step
from awm_kit.data.bumper.game import ONE, TABLE_RADIUS
from awm_kit.data.replay import Replay
from awm_kit.data.teachers import Teacher
from awm_kit.errors import RecipeError
from awm_kit.feature_table import FeatureTable
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.heads import fit_heads
from awm_kit.model.practice import TeacherPractice
from awm_kit.model.recipe_file import load_recipe
from awm_kit.model.world import WorldModel


def share(drills: list[Replay], field: str, sign: int) -> float:
    """How many of the drills hold a change of a field in one direction within a second."""
    steps = [sign * np.diff(d.frames["players"][field][:60].astype(int), axis=0) for d in drills]
    return float(np.mean([(step > 0).any() for step in steps]))


def test_drills_show_what_they_are_named_after() -> None:
    crashed, brink = crashes(range(60)), brinks(range(60))
    for drill in (*crashed, *brink):
        drill.validate(BUMPER)
        start = drill.frames["players"][0]
        assert (np.hypot(*(start[axis].astype(float) for axis in ("x", "y"))) <= TABLE_RADIUS * ONE).all()
    assert share(crashed, "percent", 1) > 0.6 and share(brink, "stocks", -1) > 0.5
    matches = generate(range(60), 60)
    assert share(matches, "percent", 1) < 0.4 and share(matches, "stocks", -1) < 0.2


def test_the_teacher_corrects_a_network_of_carts() -> None:
    torch.manual_seed(0)
    heads = fit_heads(BUMPER, *PackedReplays(BUMPER, generate(range(4), 400)).transitions())
    network = WorldModel(TINY, BUMPER, heads)
    lessons = TeacherPractice(Teacher("bumper"), matches=3, n_frames=40).lessons(network, turn=0)
    wrong = 0
    for run, right in zip(lessons.runs, lessons.corrections, strict=True):
        assert right is not None and run.frames.dtype == BUMPER.frame_dtype
        again = step(run.frames[:-1], run.inputs[1:])["players"]
        for item in BUMPER.player_fields:
            assert np.array_equal(again[item.name], right["players"][item.name][1:]), item.name
        wrong += int((run.frames["players"]["vx"] != right["players"]["vx"]).sum())
    assert len(lessons.runs) == 3 and wrong > 0, "an untrained network makes mistakes"


def test_the_table_and_a_touch_are_linear_in_the_features() -> None:
    """Squared distances, which decide falls and hits, from piecewise linear features of either axis."""
    table = FeatureTable(BUMPER)
    for relative, reach, most in ((False, 64, 16.0), (True, 8, 1.0)):
        rows = [
            f for f in table.features
            if f.mode == "linear" and f.slot == "self" and f.field.name == "x" and f.relative == relative
        ]  # fmt: skip
        x = np.arange(-reach * ONE, reach * ONE + 1, 8)
        seen = [np.clip((x - f.bias) * f.mul + (1 << 23) >> 24, -127, 127) for f in rows]
        basis = np.stack([*seen, np.ones_like(x)], 1).astype(float)
        square = (x / ONE) ** 2
        fitted = basis @ np.linalg.lstsq(basis, square, rcond=None)[0]
        assert np.abs(fitted - square).max() < most


def test_the_recipe_practises_and_has_drills(tmp_path: Path) -> None:
    recipe = load_recipe("bumper")
    assert recipe.train.practice_from > 0 and recipe.crashes > 0 and recipe.brinks > 0
    short = replace(recipe, seeds=(0, 2), n_frames=100, crashes=3, brinks=2)
    trainer = short.trainer(tmp_path, progress=False, steps=1, lanes=2, length=16, threads=1, compiled=False)
    assert isinstance(trainer.practice, TeacherPractice) and trainer.practice.teacher == Teacher("bumper")
    assert len(trainer.data) == 2 + 3 + 2
    trainer.run(progress=False)
    assert (tmp_path / "last.safetensors").exists()


def test_drills_of_another_game_are_named(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text('name = "wrong"\n[data]\nkind = "bumper"\nstrikes = 4\n')
    with pytest.raises(RecipeError, match=r"strikes: expected drills of bumper, \['crashes', 'brinks'\]"):
        load_recipe(file)
    with pytest.raises(ValueError, match=r"expected drills of scuffle.*got \['brinks'\]"):
        Teacher("scuffle").drills({"brinks": 1})
