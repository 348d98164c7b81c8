"""Recipes as TOML files: every key and value is checked before a single game is made."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from awm_kit.data.teachers import DRILLS, TEACHERS, Teacher
from awm_kit.errors import RecipeError
from awm_kit.files import find_file
from awm_kit.model.config import ModelConfig
from awm_kit.model.recipe import Recipe
from awm_kit.model.train_config import TrainConfig

REPLAYS = "replays"
_TABLES = {"data": Recipe, "model": ModelConfig, "train": TrainConfig}
_SAID = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", dict: "a table"}


def load_recipe(path: Path | str) -> Recipe:
    """Read a recipe file, or the shipped recipe of that name.

    Raises
    ------
    RecipeError
        If there is none, it is no TOML, or a key or value is not what a recipe holds; the message names it.
    """
    file = find_file(path, ".toml", "recipe", RecipeError)
    try:
        return _recipe(tomllib.loads(file.read_text()))
    except ValueError as error:  # bad TOML and bad UTF-8 are
        raise RecipeError(f"{file.name}: {error}") from error


def _recipe(raw: dict[str, Any]) -> Recipe:
    tables = {name: raw.pop(name, {}) for name in _TABLES}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ValueError(f"expected a table [{name}] (got {table!r})")
    if "name" not in raw:
        raise ValueError('expected a name = "…" above the tables (got none)')
    if twice := sorted(set(raw) & set(tables["data"])):
        raise ValueError(f"expected each key once (got {twice} above [data] and in it)")
    model = ModelConfig(**_checked("[model] ", tables["model"], ModelConfig))
    train = TrainConfig(**_checked("[train] ", tables["train"], TrainConfig, "model"), model=model)
    given = _checked("", raw, Recipe, "train") | _checked("[data] ", tables["data"], Recipe, "train")
    recipe = Recipe(**given, train=train)
    _check_data(recipe)
    return recipe


def _checked(where: str, given: dict[str, Any], wanted: type, without: str = "") -> dict[str, Any]:
    """The keys of a table as fields of the dataclass ``wanted``, all but one of which a file may give."""
    hints = {name: hint for name, hint in get_type_hints(wanted).items() if name != without}
    values = {}
    for key, value in given.items():
        if key not in hints:
            raise ValueError(f"unknown key {where}{key!r}; known are {sorted(hints)}")
        try:
            values[key] = _as(hints[key], value)
        except TypeError:
            raise ValueError(f"{where}{key}: expected {_said(hints[key])} (got {value!r})") from None
    return values


def _as(hint: Any, value: Any) -> Any:
    """What TOML gave as what an annotation asks for: lists as tuples, whole numbers as floats too."""
    if (kind := get_origin(hint) or hint) is tuple:
        items = get_args(hint)
        if not isinstance(value, list):
            raise TypeError
        if items[-1] is Ellipsis:
            items = items[:1] * len(value)
        if len(items) != len(value):
            raise TypeError
        return tuple(_as(item, each) for item, each in zip(items, value, strict=True))
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError
    return value


def _said(hint: Any) -> str:
    """An annotation in the words of somebody who writes TOML."""
    if get_origin(hint) is not tuple:
        return _SAID[get_origin(hint) or hint]
    items = get_args(hint)
    if items[-1] is Ellipsis:
        return f"a list, each {_said(items[0])}"
    return f"[{', '.join(map(_said, items))}]"


def _check_data(recipe: Recipe) -> None:
    kinds = (*TEACHERS, REPLAYS)
    if recipe.kind not in kinds:
        raise ValueError(f"[data] kind: expected one of {list(kinds)} (got {recipe.kind!r})")
    if recipe.kind == REPLAYS:
        if not recipe.folders:
            raise ValueError("[data] folders: expected at least one folder of replays (got none)")
        return
    Teacher(recipe.kind, recipe.params)
    known = DRILLS[recipe.kind]
    if unknown := [name for name, count in recipe.drills.items() if count and name not in known]:
        raise ValueError(
            f"[data] {unknown[0]}: expected drills of {recipe.kind}, {list(known)} (got {unknown})"
        )
    first, end = recipe.seeds
    if not 0 <= first < end:
        raise ValueError(f"[data] seeds: expected [first, end] with 0 <= first < end (got {[first, end]})")
    if recipe.n_frames < 2:
        raise ValueError(f"[data] n_frames: expected at least 2 (got {recipe.n_frames})")
