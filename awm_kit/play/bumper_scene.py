"""The picture of a match of `bumper`: a round table from above, and two carts on it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from awm_kit.data.bumper.game import CART_RADIUS, FALL_FRAMES, ONE, TABLE_RADIUS
from awm_kit.data.bumper.schema import BUMPER, DIRECTIONS, FRAME, Act
from awm_kit.play.draw_hud import draw_banner
from awm_kit.play.drawing import Drawing
from awm_kit.play.loop import FPS
from awm_kit.play.palette import INK, LIVERIES, ORANGE, PAPER, WHITE, YELLOW, Color, heat, mix
from awm_kit.play.scene import HEIGHT, WIDTH
from awm_kit.schema import STATUS_DECIDED

#: Units around the table.
MARGIN = 8
_FLOOR: Color = (62, 70, 112)
_GLOW: Color = (110, 92, 190)
# Outlines of a cart's body and of a wheel in radii, forward and to the right.
LIGHT = ((0.86, 0.0), (0.5, 0.38), (-0.6, 0.44), (-0.72, 0.0), (-0.6, -0.44), (0.5, -0.38))
HEAVY = ((0.82, 0.3), (0.62, 0.5), (-0.7, 0.5), (-0.7, -0.5), (0.62, -0.5), (0.82, -0.3))
WHEEL = ((-0.2, -0.1), (0.2, -0.1), (0.2, 0.14), (-0.2, 0.14))


class BumperScene:
    """Composes pictures, as `awm_kit.play.scene.Scene` does of fighters; the camera stands still."""

    def __init__(self, names: Sequence[str] = ("P1", "P2"), width: int = WIDTH, height: int = HEIGHT) -> None:
        self.names: Sequence[str] = tuple(names)
        self.camera = SimpleNamespace(width=width, height=height)
        self.note = ""
        self.banner = ""
        self._hud: tuple[tuple[object, ...], Drawing] = ((), Drawing())
        #: Pixels of a unit.
        self.scale = height / (2 * (TABLE_RADIUS + MARGIN))

    def backdrop(self) -> dict[str, Drawing]:
        """The layer that never changes: floor and table."""
        out, (width, height) = Drawing(), (self.camera.width, self.camera.height)
        out.rect(0, 0, width, height, INK)
        middle, radius = self._at(0, 0), TABLE_RADIUS * self.scale
        for step in range(12):  # light from below the table
            out.disc(middle, radius * (1.3 - 0.025 * step), _GLOW, 0.035, n=96)
        out.disc(middle + (0, 0.03 * radius), radius * 1.02, mix(_FLOOR, INK, 0.7), n=96)
        out.disc(middle, radius, YELLOW, n=96)
        out.disc(middle, radius * 0.975, INK, n=96)
        out.disc(middle, radius * 0.96, _FLOOR, n=96)
        for share, color, alpha in ((0.8, WHITE, 0.05), (0.34, YELLOW, 0.09)):
            out.disc(middle, radius * share, color, alpha, n=96)
        for spoke in range(12):
            angle = 2 * np.pi * spoke / 12
            way = np.array([np.cos(angle), np.sin(angle)]) * radius
            out.line(middle + way * 0.34, middle + way * 0.8, 1.5, WHITE, 0.1)
        return {"background": out}

    def compose(self, frame: np.ndarray, ghost: np.ndarray | None = None) -> dict[str, Drawing]:
        """The moving layers of a frame record, and of a translucent other one."""
        carts = Drawing()
        for record, alpha in ((ghost, 0.35), (frame, 1.0)):
            if record is not None:
                for index, player in enumerate(_players(record)):
                    self.draw_cart(carts, player, index, alpha)
                    if alpha == 1.0:
                        self._draw_tag(carts, player, index)
        self._draw_captions(carts, frame)
        return {"stage": Drawing(), "fighters": carts, "hud": self._panels(frame)}

    def advance(self, frame: np.ndarray) -> None:
        """Let a frame pass undrawn; nothing here has a past."""

    def _at(self, x: float, y: float) -> np.ndarray:
        return np.array([self.camera.width / 2 + x * self.scale, self.camera.height / 2 - y * self.scale])

    def draw_cart(self, out: Drawing, player: np.ndarray, index: int, alpha: float) -> None:
        """Draw one player's cart, a player record of bumper's."""
        act, age = int(player["action_state"]), int(player["state_age"])
        size = CART_RADIUS * self.scale
        if act == Act.FALL:
            size *= max(0.0, 1 - age / FALL_FRAMES)
        if size < 1:
            return
        livery, heavy = LIVERIES[index], bool(player["character"])
        center = self._at(int(player["x"]) / ONE, int(player["y"]) / ONE)
        angle = 2 * np.pi * int(player["heading"]) / DIRECTIONS
        ahead = np.array([np.cos(angle), -np.sin(angle)]) * size
        across = np.array([-ahead[1], ahead[0]])

        def placed(outline: Sequence[tuple[float, float]]) -> list[np.ndarray]:
            return [center + ahead * x + across * y for x, y in outline]

        out.disc(center + (0.12 * size, 0.25 * size), size * 1.08, INK, 0.35 * alpha)
        if act == Act.BOOST:
            for long, wide, color in (
                (2.3 + 0.3 * (age % 3), 0.55, ORANGE),
                (1.7 + 0.2 * (age % 2), 0.3, YELLOW),
            ):
                out.polygon(placed([(-0.6, wide), (-long, 0), (-0.6, -wide)]), color, 0.85 * alpha)
        out.disc(center, size, INK, alpha)
        out.disc(center, size * 0.93, livery.dark if heavy else livery.main, alpha)
        out.ring(center, size * 0.93, size * (0.2 if heavy else 0.12), livery.accent, alpha)
        for wheel in (-1, 1):
            for axle in (-0.42, 0.42):
                spot = [(axle + dx, wheel * (0.52 + dy)) for dx, dy in WHEEL]
                out.polygon(placed(spot), INK, alpha)
        out.polygon(placed(HEAVY if heavy else LIGHT), INK, alpha)
        inner = [(x * 0.86, y * 0.8) for x, y in (HEAVY if heavy else LIGHT)]
        out.polygon(placed(inner), livery.main if heavy else livery.light, alpha)
        out.polygon(placed([(0.78, 0), (0.3, 0.26), (0.3, -0.26)]), WHITE, alpha)
        out.disc(center - ahead * 0.12, size * 0.24, INK, alpha)
        out.disc(center - ahead * 0.12, size * 0.16, livery.accent, alpha)
        if act in (Act.SPIN, Act.RETURN):
            out.ring(center, size * 1.4, 3, YELLOW if act == Act.SPIN else WHITE, 0.6 * alpha)

    def _draw_tag(self, out: Drawing, player: np.ndarray, index: int) -> None:
        if int(player["action_state"]) != Act.FALL:
            x, y = self._at(int(player["x"]) / ONE, int(player["y"]) / ONE + CART_RADIUS + 1.2).tolist()
            out.write(f"P{index + 1}", x, y, 13, LIVERIES[index].light, "center")

    def _draw_captions(self, out: Drawing, frame: np.ndarray) -> None:
        width, height = self.camera.width, self.camera.height
        now, limit = int(frame["frame"]), int(frame["time_limit"])
        seconds = (max(limit - now, 0) if limit else now) // FPS
        out.write(f"{seconds // 60}:{seconds % 60:02d}", width - 14, 62, 34, WHITE, "right")
        out.write(f"frame {now}", width - 14, 24, 13, PAPER, "right")
        if text := self.banner or self._result(frame):
            draw_banner(out, text, width, height, self._bodies(frame))

    def _bodies(self, frame: np.ndarray) -> list[tuple[float, float]]:
        """Upper and lower ends of the carts on the table, and of their tags, pixels."""
        spans = []
        for player in _players(frame)[_players(frame)["action_state"] != Act.FALL]:
            x, y = int(player["x"]) / ONE, int(player["y"]) / ONE
            top, low = (float(self._at(x, y + d)[1]) for d in (CART_RADIUS + 2.5, -CART_RADIUS))
            spans.append((top, low))
        return spans

    def _panels(self, frame: np.ndarray) -> Drawing:
        """The same object as long as it looks the same, in the part of the picture that `PANELS` is."""
        shown = _players(frame)[["percent", "stocks", "fuel"]].tolist()
        key = (*self.names, self.note, *shown)
        if key != self._hud[0]:
            self._hud = key, Drawing()
            for index, player in enumerate(_players(frame)):
                self._draw_panel(self._hud[1], player, index)
            if self.note:
                at = self.camera.width / 2, self.camera.height - 8
                self._hud[1].write(self.note, *at, 12, PAPER, "center")
        return self._hud[1]

    def _draw_panel(self, out: Drawing, player: np.ndarray, index: int) -> None:
        """Name, damage, lives and fuel, in the lower corners beside the table."""
        livery, wide, high = LIVERIES[index], 190, 92
        x = 16 if index == 0 else self.camera.width - wide - 16
        y = self.camera.height - high - 14
        percent = int(player["percent"]) / 64
        out.rect(x, y, wide, high, mix(INK, _FLOOR, 0.3), 0.9)
        out.rect(x, y, 7, high, livery.main)
        out.write(f"{int(percent)}", x + 104, y + 50, 44, heat(percent), "right")
        out.write("%", x + 108, y + 50, 22, heat(percent))
        out.write(self.names[index], x + 18, y + 72, 14, livery.light)
        for life in range(int(player["stocks"])):
            center = (x + 144 + 16 * (life % 3), y + 24 + 16 * (life // 3))
            out.disc(center, 7, INK)
            out.disc(center, 5.6, livery.accent)
        long = (wide - 36) * int(player["fuel"]) / BUMPER.player("fuel").hi
        out.rect(x + 18, y + high - 13, wide - 36, 5, WHITE, 0.15)
        out.rect(x + 18, y + high - 13, long, 5, YELLOW)

    def _result(self, frame: np.ndarray) -> str:
        if int(frame["status"]) != STATUS_DECIDED:
            return ""
        alive = [i for i, p in enumerate(_players(frame)) if p["stocks"]]
        return f"{self.names[alive[0]]} WINS" if alive else "DRAW"


def _players(frame: np.ndarray) -> np.ndarray:
    """Player records of a frame that may be held in another game's record of the same bytes."""
    frame = np.asarray(frame)
    players: np.ndarray = (frame if frame.dtype == FRAME else frame.view(FRAME))["players"]
    return players
