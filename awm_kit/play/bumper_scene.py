"""The picture of a match of `bumper`: a round table from above, and two carts on it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from awm_kit.data.bumper.game import CART_RADIUS, FALL_FRAMES, ONE, TABLE_RADIUS
from awm_kit.data.bumper.schema import BUMPER, DIRECTIONS, FRAME, Act
from awm_kit.play.drawing import Drawing
from awm_kit.play.palette import GREY, INK, LIVERIES, PAPER, WHITE, YELLOW, heat, mix
from awm_kit.play.scene import HEIGHT, WIDTH
from awm_kit.schema import STATUS_DECIDED

_MARGIN = 8  # units around the table


class BumperScene:
    """Composes pictures, as `awm_kit.play.scene.Scene` does of fighters; the camera stands still."""

    def __init__(self, names: Sequence[str] = ("P1", "P2"), width: int = WIDTH, height: int = HEIGHT) -> None:
        self.names: Sequence[str] = tuple(names)
        self.camera = SimpleNamespace(width=width, height=height)
        self.note = ""
        self.banner = ""
        self._scale = height / (2 * (TABLE_RADIUS + _MARGIN))

    def backdrop(self) -> dict[str, Drawing]:
        """The layer that never changes: floor and table."""
        out = Drawing()
        out.rect(0, 0, self.camera.width, self.camera.height, INK)
        middle = self._at(0, 0)
        out.disc(middle, TABLE_RADIUS * self._scale + 4, YELLOW, 0.8, n=96)
        out.disc(middle, TABLE_RADIUS * self._scale, mix(GREY, INK, 0.45), n=96)
        out.disc(middle, TABLE_RADIUS / 3 * self._scale, mix(GREY, INK, 0.35), n=64)
        return {"background": out}

    def compose(self, frame: np.ndarray, ghost: np.ndarray | None = None) -> dict[str, Drawing]:
        """The moving layers of a frame record, and of a translucent other one."""
        carts, hud = Drawing(), Drawing()
        for record, alpha in ((ghost, 0.35), (frame, 1.0)):
            if record is not None:
                for index, player in enumerate(_players(record)):
                    self._draw_cart(carts, player, index, alpha)
        self._draw_panels(hud, frame)
        return {"stage": Drawing(), "fighters": carts, "hud": hud}

    def advance(self, frame: np.ndarray) -> None:
        """Let a frame pass undrawn; nothing here has a past."""

    def _at(self, x: float, y: float) -> np.ndarray:
        return np.array([self.camera.width / 2 + x * self._scale, self.camera.height / 2 - y * self._scale])

    def _draw_cart(self, out: Drawing, player: np.ndarray, index: int, alpha: float) -> None:
        act, age = int(player["action_state"]), int(player["state_age"])
        size = CART_RADIUS * self._scale
        if act == Act.FALL:
            size *= max(0.0, 1 - age / FALL_FRAMES)
        if size < 1:
            return
        livery = LIVERIES[index]
        center = self._at(int(player["x"]) / ONE, int(player["y"]) / ONE)
        angle = 2 * np.pi * int(player["heading"]) / DIRECTIONS
        ahead = np.array([np.cos(angle), -np.sin(angle)])
        across = np.array([-ahead[1], ahead[0]])
        if act == Act.BOOST:
            tail = center - ahead * size * (2.0 + 0.3 * (age % 3))
            out.polygon(
                [center + across * size * 0.5, tail, center - across * size * 0.5], YELLOW, 0.8 * alpha
            )
        out.disc(center, size, livery.dark if player["character"] else livery.main, alpha)
        out.ring(center, size, size * 0.25, livery.main if player["character"] else livery.light, alpha)
        nose = [center + ahead * size * 0.8, center + across * size * 0.35, center - across * size * 0.35]
        out.polygon(nose, WHITE, alpha)
        if act in (Act.SPIN, Act.RETURN):
            out.ring(center, size * 1.4, 3, YELLOW if act == Act.SPIN else WHITE, 0.6 * alpha)

    def _draw_panels(self, out: Drawing, frame: np.ndarray) -> None:
        width, height = self.camera.width, self.camera.height
        fuel_full = BUMPER.player("fuel").hi
        for index, player in enumerate(_players(frame)):
            x, anchor = (24.0, "left") if index == 0 else (width - 24.0, "right")
            percent, side = int(player["percent"]) / 64, 1 if index == 0 else -1
            out.write(self.names[index], x, height - 96, 18, LIVERIES[index].light, anchor)  # type: ignore[arg-type]
            out.write(f"{percent:.0f}%", x, height - 56, 36, heat(percent), anchor)  # type: ignore[arg-type]
            for life in range(int(player["stocks"])):
                out.disc((x + side * (8 + 22 * life), height - 36), 8, LIVERIES[index].main)
            long = 120 * int(player["fuel"]) / fuel_full
            out.rect(x if side > 0 else x - long, height - 20, long, 6, YELLOW)
        out.write(f"{int(frame['frame']) / 60:.1f} s", width - 24, 40, 20, PAPER, "right")
        if self.note:
            out.write(self.note, width / 2, height - 8, 12, PAPER, "center")
        banner = self.banner
        if not banner and int(frame["status"]) == STATUS_DECIDED:
            alive = [i for i, p in enumerate(_players(frame)) if p["stocks"]]
            banner = f"{self.names[alive[0]]} stays on" if alive else "both fell"
        if banner:
            out.write(banner, width / 2, height / 2, 48, WHITE, "center")


def _players(frame: np.ndarray) -> np.ndarray:
    """Player records of a frame that may be held in another game's record of the same bytes."""
    frame = np.asarray(frame)
    players: np.ndarray = (frame if frame.dtype == FRAME else frame.view(FRAME))["players"]
    return players
