"""A display list that every painter understands: filled polygons, then text, in pixels.

Strokes, discs and limbs become polygons here, so that a layer is one batched call on a Jupyter
canvas and the same picture comes out of Pillow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from awm_kit.play.palette import INK, Color

Anchor = Literal["left", "center", "right"]
Point = np.ndarray | tuple[float, float]
Points = np.ndarray | Sequence[Point]


@lru_cache(maxsize=16)
def unit_circle(n: int) -> np.ndarray:
    """``n`` points of the unit circle, counter-clockwise from (1, 0); float32, shape (n, 2)."""
    angle = np.arange(n) * (2 * np.pi / n)
    return np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)


def capsules(a: np.ndarray, b: np.ndarray, ra: np.ndarray, rb: np.ndarray, n: int = 12) -> np.ndarray:
    """Outlines of limbs: a disc around each end, and what lies between.

    Parameters
    ----------
    a, b : ndarray, shape (k, 2)
        Ends in pixels.
    ra, rb : ndarray, shape (k,)
        Radii at the ends in pixels.
    n : int
        Points per outline, even.

    Returns
    -------
    ndarray of float32, shape (k, n, 2)
    """
    axis = b - a
    length = np.hypot(axis[:, 0], axis[:, 1])[:, None]
    along = np.where(length > 1e-9, axis / np.maximum(length, 1e-9), (1.0, 0.0))
    across = along[:, ::-1] * (-1, 1)
    arc = _half_circle(n // 2)
    rim = arc[:, :1] * along[:, None] + arc[:, 1:] * across[:, None]
    end, start = b[:, None] + rb[:, None, None] * rim, a[:, None] - ra[:, None, None] * rim
    return np.concatenate([end, start], 1).astype(np.float32)


@lru_cache(maxsize=8)
def _half_circle(n: int) -> np.ndarray:
    angle = np.linspace(-np.pi / 2, np.pi / 2, n)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


class Text(NamedTuple):
    """One line of text; ``y`` is its baseline."""

    text: str
    x: float
    y: float
    size: int
    color: Color
    anchor: Anchor
    outline: Color | None


@dataclass
class Drawing:
    """What one layer shows, in painting order."""

    polygons: list[np.ndarray] = field(default_factory=list)
    colors: list[Color] = field(default_factory=list)
    alphas: list[float] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def polygon(self, points: Points, color: Color, alpha: float = 1.0) -> None:
        """Fill a polygon; ``points`` of shape (n, 2), n at least 3."""
        self.polygons.append(np.asarray(points, np.float32))
        self.colors.append(color)
        self.alphas.append(alpha)

    def rect(self, x: float, y: float, width: float, height: float, color: Color, alpha: float = 1.0) -> None:
        """Fill a rectangle from its upper left corner."""
        self.polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], color, alpha)

    def disc(
        self,
        center: Point,
        radius: float | tuple[float, float],
        color: Color,
        alpha: float = 1.0,
        n: int = 20,
    ) -> None:
        """Fill a disc, or an ellipse if ``radius`` is a pair."""
        self.polygon(
            np.asarray(center, np.float32) + unit_circle(n) * np.asarray(radius, np.float32), color, alpha
        )

    def ring(self, center: Point, radius: float, width: float, color: Color, alpha: float = 1.0) -> None:
        """Fill the band of ``width`` pixels inside a circle."""
        circle = np.concatenate([unit_circle(28), unit_circle(28)[:1]])
        inner = max(radius - width, 0.0)
        band = np.concatenate([circle * np.float32(radius), circle[::-1] * np.float32(inner)])
        self.polygon(np.asarray(center, np.float32) + band, color, alpha)

    def limbs(
        self,
        a: np.ndarray,
        b: np.ndarray,
        ra: np.ndarray,
        rb: np.ndarray,
        colors: Sequence[Color],
        alpha: float,
    ) -> None:
        """Fill one capsule per row, see `capsules`."""
        for outline, color in zip(capsules(a, b, ra, rb), colors, strict=True):
            self.polygon(outline, color, alpha)

    def line(self, a: Point, b: Point, width: float, color: Color, alpha: float = 1.0) -> None:
        """Fill a straight stroke with round ends."""
        ends = np.asarray([a, b], np.float32)
        radius = np.full(1, width / 2)
        self.limbs(ends[:1], ends[1:], radius, radius, [color], alpha)

    def write(
        self,
        text: str,
        x: float,
        y: float,
        size: int,
        color: Color,
        anchor: Anchor = "left",
        outline: Color | None = INK,
    ) -> None:
        """Add a line of text with its baseline at ``y``."""
        self.texts.append(Text(text, x, y, size, color, anchor, outline))
