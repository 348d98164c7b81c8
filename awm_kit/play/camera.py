"""A camera that keeps both players in the picture and never changes the aspect ratio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Game units. A player may go anywhere; the camera looks no further than this around the stage.
LOOK_X, LOOK_LOW, LOOK_HIGH = 175.0, -75.0, 150.0
MARGIN_X, MARGIN_Y, MIN_WIDTH, MAX_WIDTH = 42.0, 30.0, 150.0, 330.0
EASE = 0.09
#: The panels hide the lower edge: so much of the span the camera looks further down than the middle.
HUD_SHARE = 0.03


@dataclass
class Camera:
    """Maps game units (y up) to pixels (y down) of a picture of ``width`` × ``height``."""

    width: int
    height: int
    x: float = 0.0
    y: float = 14.0
    span: float = 220.0
    shake: float = 0.0

    @property
    def zoom(self) -> float:
        """Pixels per game unit."""
        return self.width / self.span

    def project(self, points: np.ndarray) -> np.ndarray:
        """Game units to pixels, shape (…, 2)."""
        shifted = (np.asarray(points, np.float64) - (self.x, self.y + self.shake)) * (self.zoom, -self.zoom)
        return shifted + (self.width / 2, self.height / 2)

    def follow(self, targets: np.ndarray, snap: bool = False) -> None:
        """Ease towards a picture that holds every target.

        Parameters
        ----------
        targets : ndarray, shape (n, 2)
            Points in game units; without one, the middle of the stage.
        snap : bool
            Go there at once, as after a cut.
        """
        points = np.asarray(targets, np.float64).reshape(-1, 2)
        points = np.clip(points, (-LOOK_X, LOOK_LOW), (LOOK_X, LOOK_HIGH))
        if not len(points):
            points = np.zeros((1, 2))
        low, high = points.min(0), points.max(0)
        aspect = self.width / self.height
        need = max(high[0] - low[0] + 2 * MARGIN_X, (1.25 * (high[1] - low[1]) + 2 * MARGIN_Y) * aspect)
        span = min(max(need, MIN_WIDTH), MAX_WIDTH)
        middle = (low + high) / 2
        goal = np.array([middle[0] * 0.9, middle[1] - HUD_SHARE * span, span])
        now = np.array([self.x, self.y, self.span])
        self.x, self.y, self.span = (goal if snap else now + EASE * (goal - now)).tolist()
