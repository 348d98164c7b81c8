"""Recipes in TOML: what is right is read as it stands, what is wrong is named before a game is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from awm_kit.errors import RecipeError
from awm_kit.files import shipped_names
from awm_kit.model.recipe_file import load_recipe

GOOD = """
name = "tiny"
[data]
seeds = [0, 8]
n_frames = 600
rare_events = ["ko"]
params = { gravity_scale = 0.5, dizzy_frames = 100 }
[model]
d_model = 64
n_layers = 2
[train]
steps = 60
lr = 1
self_forcing = [[40, 4]]
rare_weights = [["hit", 2]]
"""

#: What is changed in the recipe, and what its error must say.
WRONG = (
    ("steps = 60", "stepz = 60", r"unknown key \[train\] 'stepz'; known are \["),
    ("[model]", "[mdel]", "unknown key 'mdel'"),
    ("[model]\n", "[model]\nmodel = 1\n", r"unknown key \[model\] 'model'"),
    ("steps = 60", 'steps = "60"', r"\[train\] steps: expected a whole number \(got '60'\)"),
    ("steps = 60", "steps = 60.5", "steps: expected a whole number"),
    ("steps = 60", "steps = true", "steps: expected a whole number"),
    ("lr = 1", 'lr = "fast"', "lr: expected a number"),
    ("seeds = [0, 8]", "seeds = 8", r"seeds: expected \[a whole number, a whole number\] \(got 8\)"),
    ("seeds = [0, 8]", "seeds = [8]", "seeds: expected"),
    ("seeds = [0, 8]", "seeds = [8, 0]", r"0 <= first < end \(got \[8, 0\]\)"),
    ("seeds = [0, 8]", 'kind = "skuffle"', r"kind: expected one of .* \(got 'skuffle'\)"),
    ("seeds = [0, 8]", 'kind = "replays"', "folders: expected at least one"),
    ("n_frames = 600", "n_frames = 1", "n_frames: expected at least 2"),
    ("gravity_scale", "gravity_scle", "expected physics of"),
    ("gravity_scale = 0.5", 'gravity_scale = "low"', "expected a number for gravity_scale"),
    ('rare_events = ["ko"]', 'rare_events = "ko"', "rare_events: expected a list, each a text"),
    ("self_forcing = [[40, 4]]", "self_forcing = [40, 4]", "self_forcing: expected a list"),
    ("d_model = 64", "d_model = -64", "expected d_model of at least 1"),
    ("d_model = 64", "d_model = 65", "headdim 32 does not divide"),
    ("steps = 60", "lanes = 0", "expected lanes of at least 1"),
    ("steps = 60", "save_every = 0", "expected save_every of at least 1"),
    ("steps = 60", 'precision = "fp16"', "expected precision auto, bf16 or fp32"),
    ("steps = 60", "unimix = 1.0", r"expected unimix in \[0, 1\)"),
    ("lr = 1", "lr = 0", "expected lr and clip above 0"),
    ('name = "tiny"', "", "expected a name"),
    ('name = "tiny"', 'name = "tiny"\nseeds = [0, 3]', "expected each key once"),
    ('name = "tiny"', "name = = 3", r"line 2, column 8"),
)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(text)
    return path


def test_a_recipe_is_read_as_it_stands(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, GOOD))
    assert (recipe.name, recipe.kind) == ("tiny", "scuffle")
    assert (recipe.seeds, recipe.rare_events) == ((0, 8), ("ko",))
    assert recipe.params["gravity_scale"] == 0.5 and recipe.train.model.d_model == 64
    assert recipe.train.self_forcing == ((40, 4),) and recipe.train.rare_weights == (("hit", 2.0),)
    assert recipe.train.lr == 1.0 and type(recipe.train.lr) is float


@pytest.mark.parametrize(("old", "new", "says"), WRONG)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(RecipeError, match=rf"^tiny\.toml: .*{says}"):
        load_recipe(written(tmp_path, GOOD.replace(old, new, 1)))


def test_shipped_recipes_are_found_by_name(tmp_path: Path) -> None:
    assert "scuffle-4m" in shipped_names(".toml")
    for name in shipped_names(".toml"):
        assert load_recipe(name).name
    for nowhere in ("scufle", str(tmp_path / "scuffle"), "scuffle.json", str(tmp_path)):
        with pytest.raises(RecipeError, match=r"shipped are|got the folder"):
            load_recipe(nowhere)
