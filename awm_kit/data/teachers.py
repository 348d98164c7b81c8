"""The built-in games that worlds can learn from, by the name that recipes and manifests give them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from awm_kit.data import bumper, scuffle
from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import Params
from awm_kit.schema import FIGHTER, Schema

TEACHERS = ("scuffle", "bumper")


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

    def initial_frame(self, seed: int) -> np.ndarray:
        """First frame of a match, a scalar of the schema's frame dtype."""
        if self.name == "bumper":
            return bumper.initial_frame(seed)
        return scuffle.initial_frame(seed, params=Params.of(self.params))


def teacher_of(notes: dict[str, Any]) -> Teacher | None:
    """The built-in game that a world's notes say it learned from; None if it learned from recordings."""
    data = notes.get("data")
    if not isinstance(data, dict) or data.get("kind") not in TEACHERS:
        return None
    return Teacher(str(data["kind"]), dict(data.get("params", {})))


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
