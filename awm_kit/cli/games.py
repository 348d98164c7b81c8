"""Which games a verb works on: a folder of replays, or the world's own teacher."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from awm_kit.cli.app import note
from awm_kit.errors import ModelFileError

if TYPE_CHECKING:
    from awm_kit.data.replay import Replay

LONGEST = 3600 * 60  # frames, an hour: no match of a built-in game takes as long


def parse_seeds(text: str) -> range:
    """``"A:B"`` as a range; ``ValueError`` unless 0 <= A < B."""
    first, colon, end = text.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise ValueError(f"expected seeds as A:B with 0 <= A < B (got {text!r})")
    return range(int(first), int(end))


def taught_seeds(notes: dict[str, Any]) -> range | None:
    """Seeds of the teacher's games that a world learned from; None if no built-in teacher taught it.

    Raises
    ------
    ModelFileError
        If the notes, which are whatever the world's maker wrote, say something else of them.
    """
    from awm_kit.data.teachers import teacher_of

    if teacher_of(notes) is None:
        return None
    seeds = notes["data"].get("seeds", [0, 0])
    if not (isinstance(seeds, list | tuple) and len(seeds) == 2 and all(type(n) is int for n in seeds)):
        raise ModelFileError(f"the world's notes cannot be read: expected seeds as [A, B] (got {seeds!r})")
    return range(*seeds)


def choose_games(
    notes: dict[str, Any], replays: Path | None, seeds: str | None, progress: bool
) -> list[Replay]:
    """The games that ``--replays`` or ``--seeds`` mean for a world with these notes.

    Raises
    ------
    ValueError
        If not exactly one of the two is given, the world has no teacher, or the folder has no games.
    """
    if (replays is None) == (seeds is None):
        raise ValueError("expected either --replays DIR or --seeds A:B")
    if replays is None:
        return teacher_games(notes, parse_seeds(seeds or ""))
    from awm_kit.data import load_folder

    report = load_folder(replays, progress=progress)
    if report.skipped:
        note(report.summary())
    if not report.replays:
        raise ValueError(f"expected at least one usable replay in {replays} (got none)")
    return report.replays


def teacher_games(notes: dict[str, Any], seeds: range) -> list[Replay]:
    """Games of the teacher that taught a world, with the physics that it was taught.

    Raises
    ------
    ValueError
        If the notes name no built-in teacher.
    ModelFileError
        If they say of its games what cannot be.
    """
    from awm_kit.data.teachers import teacher_of

    teacher = teacher_of(notes)
    if teacher is None:
        raise ValueError(
            "this world learned from recorded games, no teacher plays more: give it recorded ones"
        )
    frames = notes["data"].get("n_frames", 3600)
    if type(frames) is not int or not 0 < frames <= LONGEST:
        raise ModelFileError(
            f"the world's notes cannot be read: expected n_frames of 1 to {LONGEST:,} (got {frames!r})"
        )
    return teacher.generate(seeds, frames)
