"""Geometry of the legal Melee stages, as `scuffle` plays it and the views draw it.

Units are game units, y upwards, the main floor at y = 0. The main body is solid down to the
bottom blast zone (a simplification: real stages have undersides); platforms are one-way.
Fountain's and Stadium's moving parts and Yoshi's slopes are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from awm_kit.schema import FIGHTER

MAX_FLOORS = 4


@dataclass(frozen=True)
class Floor:
    """A horizontal segment that can be stood on, from ``left`` to ``right`` at height ``y``."""

    left: float
    right: float
    y: float


@dataclass(frozen=True)
class Stage:
    """A stage: the main floor, one-way platforms, and where characters are knocked out.

    Attributes
    ----------
    blast : tuple of float
        Blast zones as (left, right, top, bottom); crossing one costs a stock.
    """

    stage_id: int
    name: str
    floor: Floor
    platforms: tuple[Floor, ...]
    blast: tuple[float, float, float, float]

    @property
    def ledges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The two corners (x, y) that can be grabbed, left first."""
        return (self.floor.left, self.floor.y), (self.floor.right, self.floor.y)

    @property
    def floors(self) -> tuple[Floor, ...]:
        """Main floor first, then the platforms, lowest first."""
        return (self.floor, *self.platforms)


def _stage(
    stage_id: int, name: str, edge: float, platforms: tuple[tuple[float, float, float], ...],
    blast: tuple[float, float, float, float],
) -> Stage:  # fmt: skip
    return Stage(stage_id, name, Floor(-edge, edge, 0.0), tuple(Floor(*p) for p in platforms), blast)


BATTLEFIELD = 31

STAGES: dict[int, Stage] = {
    stage.stage_id: stage
    for stage in (
        _stage(
            2, "Fountain of Dreams", 63.35,
            ((-49.5, -21.0, 16.125), (21.0, 49.5, 16.125), (-14.25, 14.25, 42.75)),
            (-198.75, 198.75, 202.5, -146.25),
        ),
        _stage(
            3, "Pokemon Stadium", 87.75, ((-55.0, -25.0, 25.0), (25.0, 55.0, 25.0)),
            (-230.0, 230.0, 180.0, -111.0),
        ),
        _stage(
            8, "Yoshi's Story", 56.0,
            ((-59.5, -28.0, 23.45), (28.0, 59.5, 23.45), (-15.75, 15.75, 42.0)),
            (-175.7, 173.6, 168.0, -91.0),
        ),
        _stage(
            28, "Dream Land", 77.27,
            ((-61.4, -31.7, 30.14), (31.7, 63.07, 30.24), (-19.02, 19.02, 51.43)),
            (-255.0, 255.0, 250.0, -123.0),
        ),
        _stage(
            31, "Battlefield", 68.4,
            ((-57.6, -20.0, 27.2), (20.0, 57.6, 27.2), (-18.8, 18.8, 54.4)),
            (-224.0, 224.0, 200.0, -108.8),
        ),
        _stage(32, "Final Destination", 85.57, (), (-246.0, 246.0, 188.0, -140.0)),
    )
}  # fmt: skip


@dataclass(frozen=True)
class StageTables:
    """Geometry in stored integers, indexed by stage id (0..63).

    ``left``, ``right``, ``y`` have shape (MAX_FLOORS, 64); absent floors have left > right.
    ``blast`` has shape (4, 64): left, right, top, bottom.
    """

    left: np.ndarray
    right: np.ndarray
    y: np.ndarray
    blast: np.ndarray


@lru_cache(maxsize=1)
def stage_tables() -> StageTables:
    """The geometry of all `STAGES` in the schema's position units, int32."""
    one = 1 << FIGHTER.player("x").frac_bits
    left = np.full((MAX_FLOORS, 64), 1, np.int32)
    right = np.zeros((MAX_FLOORS, 64), np.int32)
    y = np.full((MAX_FLOORS, 64), -(1 << 24), np.int32)
    blast = np.zeros((4, 64), np.int32)
    for stage_id, stage in STAGES.items():
        for k, floor in enumerate(stage.floors):
            left[k, stage_id] = round(floor.left * one)
            right[k, stage_id] = round(floor.right * one)
            y[k, stage_id] = round(floor.y * one)
        blast[:, stage_id] = [round(edge * one) for edge in stage.blast]
    return StageTables(left, right, y, blast)
