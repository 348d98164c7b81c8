"""The built-in games that worlds can learn from, by the name that recipes and manifests give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from awm_kit.data import bumper, scuffle
from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import Params, Scuffle
from awm_kit.data.scuffle import drills as scuffle_drills
from awm_kit.data.scuffle.matches import scripted_matches
from awm_kit.data.scuffle.state import State
from awm_kit.errors import ModelFileError
from awm_kit.schema import FIGHTER, Schema

TEACHERS = ("scuffle", "bumper")

#: Game -> names of its drills; recipes say how many of each.
DRILLS = {
    "scuffle": ("fights", "strikes", "swings", "throws", "moves", "exits", "strays"),
    "bumper": ("crashes", "brinks"),
}

#: Frames, shape (n,), to the controllers of both players, shape (n, 2).
Players = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Teacher:
    """One built-in game under some physics.

    Parameters
    ----------
    name : str
        One of `TEACHERS`.
    params : dict
        Physics that differ from the game's own; only scuffle has any.
    """

    name: str
    params: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in TEACHERS:
            raise ValueError(f"expected a built-in game of {TEACHERS} (got {self.name!r})")
        if self.params and self.name != "scuffle":
            raise ValueError(f"{self.name} has no physics to change (got {self.params})")
        Params.of(self.params)

    @property
    def schema(self) -> Schema:
        """What its frames and controllers are."""
        return FIGHTER if self.name == "scuffle" else bumper.BUMPER

    def generate(self, seeds: Iterable[int], n_frames: int) -> list[Replay]:
        """One scripted match per seed, at most ``n_frames`` long."""
        if self.name == "bumper":
            return bumper.generate(seeds, n_frames)
        return scuffle.generate(seeds, n_frames, Params.of(self.params))

    def scripted(self, seeds: Sequence[int]) -> tuple[np.ndarray, Players]:
        """Start frames of the matches that seeds stand for, and who plays them, wherever they go."""
        if self.name == "bumper":
            starts, drivers = bumper.scripted_matches(seeds)
            return starts, drivers.act
        starts, players = scripted_matches(seeds, Params.of(self.params))
        return starts, lambda frames: players.act(State.from_frames(frames)).to_inputs()

    def next_frames(self, frames: np.ndarray, held: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """What follows after any frames, those of a network too.

        Parameters
        ----------
        frames : ndarray of the schema's frame dtype, shape (n,)
        held : ndarray of its controller dtype, shape (n, 2)
            The controllers that led to them: what is pressed anew depends on it.
        inputs : ndarray, shape (n, 2)
            The controllers that lead on.
        """
        if self.name == "bumper":
            return bumper.step(frames, inputs)
        return Scuffle.from_frames(frames, Params.of(self.params), held).step(inputs)

    def drills(self, counts: Mapping[str, int]) -> list[Replay]:
        """Short matches set up to show one thing: as many of each of the game's `DRILLS` as ``counts`` says.

        Raises
        ------
        ValueError
            If another game's are asked for.
        """
        if unknown := [name for name, n in counts.items() if n and name not in DRILLS[self.name]]:
            raise ValueError(f"expected drills of {self.name}, {list(DRILLS[self.name])} (got {unknown})")
        return [replay for name, n in counts.items() if n for replay in self._drill(name)(range(n))]

    def _drill(self, name: str) -> Callable[[range], list[Replay]]:
        if self.name == "bumper":
            return {"crashes": bumper.crashes, "brinks": bumper.brinks}[name]
        play: Callable[..., list[Replay]] = getattr(scuffle_drills, name)
        return partial(play, params=Params.of(self.params))

    def initial_frame(self, seed: int) -> np.ndarray:
        """First frame of a match, a scalar of the schema's frame dtype."""
        if self.name == "bumper":
            return bumper.initial_frame(seed)
        return scuffle.initial_frame(seed, params=Params.of(self.params))


def teacher_of(notes: dict[str, Any]) -> Teacher | None:
    """The built-in game that a world's notes say it learned from; None if it learned from recordings.

    Raises
    ------
    ModelFileError
        If they name physics that the game does not have: notes are whatever the world's maker wrote.
    """
    data = notes.get("data")
    if not isinstance(data, dict) or data.get("kind") not in TEACHERS:
        return None
    params = data.get("params", {})
    try:
        if not isinstance(params, dict):
            raise ValueError(f"expected a table of physics (got {params!r})")
        return Teacher(str(data["kind"]), dict(params))
    except ValueError as error:
        raise ModelFileError(f"the world's notes cannot be read: {error}") from error


def teacher_for(schema: Schema) -> Teacher:
    """The built-in game whose matches begin as those of this schema can.

    Raises
    ------
    ValueError
        If there is none: a world of another schema needs a start frame of its own.
    """
    for name in TEACHERS:
        if Teacher(name).schema.name == schema.name:
            return Teacher(name)
    raise ValueError(f"expected a world of a built-in game's schema (got {schema.name!r})")
