"""A report measures each world once, keeps what it measured, and says what it left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from awm_kit import report
from awm_kit.files import SHIPPED
from awm_kit.report import Effort, make_report
from awm_kit.report_page import SHOWN
from awm_kit.worlds import find_world, load_world, shipped

TINY = Effort(games=1, starts=4, minutes=0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("report")
    make_report(["scuffle"], place, TINY, said=lambda line: None)
    return place


def test_the_page_holds_every_figure_and_links_its_plots(folder: Path) -> None:
    page = (folder / "REPORT.md").read_text()
    for words in ("## `scuffle`", "velocity", "frozen", "FP32", "edge grab recall", "knockback at 60 %"):
        assert words in page, words
    assert "--games 1 --starts 4 --minutes 0.1" in page and "nan" not in page and "None" not in page
    for image in ("accuracy", "soak", "probes"):
        assert f"(scuffle-{image}.png)" in page
        assert (folder / f"scuffle-{image}.png").read_bytes().startswith(b"\x89PNG")


def test_the_json_holds_both_engines_and_intervals(folder: Path) -> None:
    facts = json.loads((folder / "report.json").read_text())["worlds"]["scuffle"]
    assert facts["facts"]["parameters"] > 100_000 and facts["facts"]["step"] > 0
    for engine in ("int8", "fp32"):
        assert facts["accuracy"][engine]["free"]["60"]["rc"] > 0
        assert len(facts["accuracy"][engine]["intervals"]["free"]["60"]["rc"]) == 2
    assert set(facts["soak"]["ratios"]) == {"hit", "ko", "respawn", "edge_grab", "match_end"}
    assert len(facts["probes"]["probes"]) > 20


def test_what_was_measured_is_not_measured_again(folder: Path) -> None:
    said: list[str] = []
    before = (folder / "REPORT.md").read_text()
    (folder / "REPORT.md").unlink()
    make_report(["scuffle"], folder, TINY, said.append)
    assert said == [] and (folder / "REPORT.md").read_text() == before


def test_an_interrupted_report_goes_on(folder: Path) -> None:
    for part in (folder / "parts").glob("scuffle-probes-*"):
        part.unlink()
    said: list[str] = []
    make_report(["scuffle"], folder, TINY, said.append)
    assert said == ["scuffle: probes"]


def test_worlds_without_games_here_say_so(tmp_path: Path) -> None:
    alone = tmp_path / "alone.awm"
    alone.write_bytes(find_world("scuffle").read_bytes())
    subject = report.Subject.of(str(alone))
    assert subject.recipe is None and subject.unseen(3) == []
    for section in ("accuracy", "probes"):
        facts, figure = report.SECTIONS[section](subject, TINY, False)
        assert "no recipe" in facts["left_out"] and figure is None


def test_two_worlds_of_one_name_would_be_one_on_the_page(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "twin.awm").write_bytes(find_world("bumper").read_bytes())
    twins = [str(tmp_path / folder / "twin.awm") for folder in ("a", "b")]
    with pytest.raises(ValueError, match=r"files have different names \(got \['twin'\] twice\)"):
        make_report(twins, tmp_path / "out", TINY)
    assert not (tmp_path / "out").exists()


def test_a_world_of_recorded_games_is_played_too() -> None:
    """Recorded players do not see what the world does; scripted ones do."""
    facts, figure = report.SECTIONS["play"](report.Subject.of("melee"), TINY, False)
    assert facts["players"] == "scripted" and facts["minutes"] >= 0.1 and figure is not None
    assert "scripted players" in SHOWN["play"](facts)
    assert report.SECTIONS["play"](report.Subject.of("scuffle"), TINY, False) == ({}, None)


def test_the_committed_page_is_about_the_shipped_worlds() -> None:
    page = (SHIPPED / "REPORT.md").read_text()
    for name in shipped():
        assert f"## `{name}`" in page
        assert load_world(name).world_hash in page, f"measure again: awm report {name}"
