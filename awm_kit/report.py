"""Every figure of a world in one place: a page with baselines and intervals, its plots, and the same as JSON.

A report is made of sections, each kept under the world's hash as soon as it is measured: whoever interrupts a
long report goes on from there, and only worlds that changed are measured again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awm_kit.data.replay import Replay
from awm_kit.data.teachers import TEACHERS, Teacher
from awm_kit.fidelity import open_runners
from awm_kit.files import SHIPPED, written_whole
from awm_kit.model.evaluate import Evaluation, evaluate
from awm_kit.model.plots import save_figure
from awm_kit.model.recipe import Recipe
from awm_kit.model.recipe_file import load_recipe
from awm_kit.probe import run_probes
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import FIGHTER
from awm_kit.soak import soak_replays, soak_scripted
from awm_kit.worlds import find_world

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REVISION = 2  # of what sections hold; a new one measures all worlds again


@dataclass(frozen=True)
class Effort:
    """How much is measured: unseen games, free runs from each, minutes of free-running play."""

    games: int = 20
    starts: int = 200
    minutes: float = 60.0


QUICK = Effort(4, 40, 4.0)

Section = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """A world to report on.

    Attributes
    ----------
    name : str
    path : Path
        Of its cartridge.
    cartridge : Cartridge
    recipe : Recipe or None
        That made it, where one is known: it says which games are unseen.
    """

    name: str
    path: Path
    cartridge: Cartridge
    recipe: Recipe | None

    @classmethod
    def of(cls, name: str) -> Subject:
        """The shipped world of that name, or a cartridge by path; its recipe is the one of the same stem."""
        path = find_world(name)
        beside = path.with_suffix(".toml")
        shipped = SHIPPED / f"{path.stem}.toml"
        recipe = beside if beside.is_file() else shipped
        return cls(path.stem, path, Cartridge.load(path), load_recipe(recipe) if recipe.is_file() else None)

    def unseen(self, count: int) -> list[Replay]:
        """At most ``count`` games that it never saw; empty if they are not on this machine."""
        return self.recipe.unseen(count) if self.recipe else []


def make_report(
    names: Sequence[str],
    folder: Path,
    effort: Effort | None = None,
    said: Callable[[str], None] = print,
    progress: bool = False,
) -> dict[str, Any]:
    """Measure worlds and write ``REPORT.md``, ``report.json`` and plots into ``folder``.

    Parameters
    ----------
    names : sequence of str
        Shipped worlds or cartridges, each with another file name.
    folder : Path
        Made if missing; holds ``parts/``, from which an interrupted report goes on.
    effort : Effort, optional
    said : callable
        Gets a line a section.
    progress : bool
        Show how far a section is.

    Returns
    -------
    dict
        What ``report.json`` holds: world -> section -> figures.

    Raises
    ------
    ModelFileError
        If there is no such world.
    ValueError
        If two files have one name, by which the page would call both.
    """
    from awm_kit.report_page import page

    effort = effort or Effort()
    subjects = [Subject.of(name) for name in names]
    called = [subject.name for subject in subjects]
    if twice := sorted({name for name in called if called.count(name) > 1}):
        raise ValueError(f"expected worlds whose files have different names (got {twice} twice)")
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    worlds: dict[str, dict[str, Section]] = {}
    for subject in subjects:
        worlds[subject.name] = {}
        for title, work in SECTIONS.items():
            part = _part(folder, subject, title, effort)
            if not part.exists():
                said(f"{subject.name}: {title}")
                facts, figure = work(subject, effort, progress)
                _keep(part, facts, figure, folder / f"{subject.name}-{title}.png")
            worlds[subject.name][title] = json.loads(part.read_text())
    result = {"effort": asdict(effort), "worlds": worlds}
    _write(folder / "report.json", json.dumps(result, indent=1) + "\n")
    _write(folder / "REPORT.md", page(result, folder))
    return result


Measured = tuple[Section, "Figure | None"]


def _facts(subject: Subject, effort: Effort, progress: bool) -> Measured:
    manifest, notes = subject.cartridge.manifest, subject.cartridge.manifest.notes
    return {
        "world_hash": subject.cartridge.world_hash,
        "parameters": manifest.n_params,
        "bytes": subject.cartridge.nbytes,
        "macs_per_frame": manifest.macs_per_frame,
        "transactions_per_frame": len(manifest.segments),
        **{key: notes[key] for key in ("trained_on", *TRAINING) if key in notes},
    }, None


#: Of a world's training notes.
TRAINING = ("step", "seconds", "frames", "replays", "data_sha256", "machine")


def _accuracy(subject: Subject, effort: Effort, progress: bool) -> Measured:
    games = subject.unseen(effort.games)
    if not games:
        return _without_games(subject), None
    runners, _, _ = open_runners(str(subject.path), "both")
    results: list[Evaluation] = [evaluate(r, games, starts=effort.starts, progress=progress) for r in runners]
    return {r.engine: r.to_json() for r in results}, results[0].plot(*results[1:])


def _soak(subject: Subject, effort: Effort, progress: bool) -> Measured:
    if not _rules_known(subject):
        return {"left_out": "its rules are not known here"}, None
    if subject.recipe is None or subject.recipe.teacher:
        return _played(subject, effort, progress)
    if not (games := subject.unseen(effort.games)):
        return _without_games(subject), None
    report = soak_replays(subject.cartridge, games, progress=progress)
    return {"players": "recorded", **report.to_json()}, report.plot()


def _play(subject: Subject, effort: Effort, progress: bool) -> Measured:
    """A world of recorded games under players who see what it does, as people do; see `soak_replays`."""
    if subject.recipe is None or subject.recipe.teacher or not _rules_known(subject):
        return {}, None
    return _played(subject, effort, progress)


def _without_games(subject: Subject) -> Section:
    if subject.recipe is None:
        return {"left_out": "no recipe lies beside it to say which games it never saw"}
    return {"left_out": "the games that it never saw are not on this machine"}


def _rules_known(subject: Subject) -> bool:
    return subject.cartridge.manifest.schema.name in {Teacher(name).schema.name for name in TEACHERS}


def _played(subject: Subject, effort: Effort, progress: bool) -> Measured:
    report = soak_scripted(subject.cartridge, effort.minutes, progress=progress)
    return {"players": "scripted", **report.to_json()}, report.plot()


def _probes(subject: Subject, effort: Effort, progress: bool) -> Measured:
    if subject.cartridge.manifest.schema.name != FIGHTER.name:
        return {"left_out": "its game has none"}, None
    taught = subject.recipe is not None and subject.recipe.teacher
    games = None if taught else subject.unseen(effort.games)
    if games == []:
        return _without_games(subject), None
    report = run_probes(subject.cartridge, games=games)
    return {"probes": report.to_json()}, report.plot()


#: Title -> what measures it, in the order of the page.
SECTIONS: dict[str, Callable[[Subject, Effort, bool], Measured]] = {
    "facts": _facts,
    "accuracy": _accuracy,
    "soak": _soak,
    "play": _play,
    "probes": _probes,
}


def _part(folder: Path, subject: Subject, title: str, effort: Effort) -> Path:
    key = json.dumps([REVISION, subject.cartridge.world_hash, title, asdict(effort)])
    return folder / "parts" / f"{subject.name}-{title}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"


def _keep(part: Path, facts: Section, figure: Figure | None, image: Path) -> None:
    if figure is not None:
        save_figure(figure, image, dpi=100)
        facts = {**facts, "plot": image.name}
    _write(part, json.dumps(facts))


def _write(path: Path, text: str) -> None:
    with written_whole(path) as part:
        part.write_text(text)
