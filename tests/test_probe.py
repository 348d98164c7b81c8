"""Physics probes beside a teacher, beside recorded games, and alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from awm_kit.cli import app
from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import FOX, MARTH, Params, generate
from awm_kit.errors import ReplayUnsupportedError
from awm_kit.game_physics import measure_games
from awm_kit.probe import PROBES, run_probes
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import random_model
from awm_kit.worlds import load_world


@pytest.fixture(scope="module")
def games() -> list[Replay]:
    return generate(range(73_000, 73_008), 1500)


@pytest.fixture(scope="module")
def untaught() -> Cartridge:
    """A fighter without notes on who taught it."""
    return pack(random_model(7))


def test_games_show_the_physics_that_made_them() -> None:
    scale = 0.5
    params = Params(gravity_scale=scale)
    measured = measure_games(generate(range(74_000, 74_008), 1500, params))
    assert set(measured) == {FOX, MARTH}
    for character, found in measured.items():
        true = params.characters[character]
        assert found["gravity"] == scale * true.gravity
        assert found["fall speed"] == scale * true.fall_speed
        assert found["fast-fall speed"] == scale * true.fast_fall_speed
        assert found["run speed"] == true.run_speed and found["air drift"] == true.air_speed
    assert measured[FOX]["full hop apex"] > measured[FOX]["short hop apex"] > 5 / scale


def test_games_and_teacher_agree_on_what_they_measure(games: list[Replay]) -> None:
    world = load_world("scuffle")
    taught = {(r.name, r.character): r.reference for r in run_probes(world)}
    beside = run_probes(world, games=games)
    assert beside.against == "in games" and len(beside) >= 10
    for row in beside:
        assert row.reference == taught[row.name, row.character], row


def test_a_world_without_a_teacher_is_compared_with_none(untaught: Cartridge, tmp_path: Path) -> None:
    alone = run_probes(untaught)
    assert len(alone) == 2 * len(PROBES) and alone.against == ""
    assert all(r.reference is None and r.error is None for r in alone)
    assert set(alone.to_json()[0]) == {"name", "character", "character_name", "unit", "learned"}
    assert "taught" not in repr(alone) and "error" not in repr(alone)
    assert {line[24:33].strip() for line in repr(alone).splitlines()[1:]} == {"Fox", "Marth"}
    said = CliRunner().invoke(app, ["probe", str(untaught.save(tmp_path / "alone.awm"))])
    assert said.stdout.startswith("probe ") and "no teacher to compare with: --replays DIR" in said.stderr


def test_games_say_nothing_of_characters_hardly_seen(games: list[Replay]) -> None:
    with pytest.raises(ValueError, match="that show a character for 3600 frames"):
        measure_games([games[0][:900]])
    with pytest.raises(ValueError, match="got 0 of at most 0"):
        measure_games([])


def test_only_games_of_fighters_are_measured() -> None:
    from awm_kit.data import bumper

    with pytest.raises(ReplayUnsupportedError, match="expected games of 'fighter'"):
        measure_games(bumper.generate([1], 60))


def test_every_way_of_comparing_can_be_drawn(
    untaught: Cartridge, games: list[Replay], tmp_path: Path
) -> None:
    taught = run_probes(untaught, Params())
    assert taught.against == "taught" and all(np.isfinite(r.error or 0) for r in taught)
    for number, report in enumerate((taught, run_probes(untaught), run_probes(untaught, games=games))):
        path = tmp_path / f"{number}.png"
        report.plot().savefig(path)
        assert path.stat().st_size > 10_000
