"""Which scene draws which game, by the name of its schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from awm_kit.data.bumper.schema import SCHEMA_NAME
from awm_kit.play.bumper_scene import BumperScene
from awm_kit.play.drawing import Drawing
from awm_kit.play.scene import HEIGHT, WIDTH, Scene


class AnyScene(Protocol):
    """What draws frames: the fighters' `Scene`, or another game's."""

    names: Sequence[str]
    note: str
    banner: str
    camera: Any

    def backdrop(self) -> dict[str, Drawing]:
        """The layer that never changes."""
        ...

    def compose(self, frame: np.ndarray, ghost: np.ndarray | None = None) -> dict[str, Drawing]:
        """The moving layers of a frame."""
        ...

    def advance(self, frame: np.ndarray) -> None:
        """Let a frame pass undrawn."""
        ...


def make_scene(
    game: str = "fighter", names: Sequence[str] = ("P1", "P2"), width: int = WIDTH, height: int = HEIGHT
) -> AnyScene:
    """The scene for a schema's name; a game that nobody draws yet looks like fighters."""
    return (BumperScene if game == SCHEMA_NAME else Scene)(names, width, height)
