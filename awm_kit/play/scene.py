"""From frames to layers: the camera, the effects and what they leave for the painters."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from awm_kit.action_states import Family, family_of
from awm_kit.play.camera import Camera
from awm_kit.play.draw_fighter import Figure, draw_afterimage, draw_fighter
from awm_kit.play.draw_hud import draw_captions, draw_panels, panels_key
from awm_kit.play.draw_stage import draw_sky, draw_stage
from awm_kit.play.drawing import Drawing
from awm_kit.play.effects import Effects

WIDTH, HEIGHT = 960, 540
# Whoever moves faster than this many units a frame leaves afterimages of so many frames ago.
FAST, TRAIL_FRAMES = 2.1, (3, 6)


class Scene:
    """Composes one picture after another; frames in order give moving camera and effects.

    Parameters
    ----------
    names : sequence of str
        What the players are called.
    width, height : int
        Size of the picture in pixels.
    """

    def __init__(self, names: Sequence[str] = ("P1", "P2"), width: int = WIDTH, height: int = HEIGHT) -> None:
        self.names: Sequence[str] = tuple(names)
        self.camera = Camera(width, height)
        self.effects = Effects()
        self.note = ""
        self.banner = ""
        self._hud: tuple[tuple[object, ...], Drawing] = ((), Drawing())
        self._last_frame: int | None = None
        self._trail: deque[list[Figure]] = deque(maxlen=TRAIL_FRAMES[-1] + 1)

    def backdrop(self) -> dict[str, Drawing]:
        """The layer that never changes."""
        out = Drawing()
        draw_sky(out, self.camera.width, self.camera.height)
        return {"background": out}

    def compose(self, frame: np.ndarray, ghost: np.ndarray | None = None) -> dict[str, Drawing]:
        """The moving layers of a frame.

        Parameters
        ----------
        frame : ndarray, `FRAME` scalar
        ghost : ndarray, `FRAME` scalar, optional
            The same moment of another trajectory, drawn translucent behind the players.

        Returns
        -------
        dict of str to Drawing
            ``stage``, ``fighters`` and ``hud``, the last the same object while it looks the same.
        """
        self.advance(frame)
        stage, fighters = Drawing(), Drawing()
        draw_stage(stage, self.camera, int(frame["stage"]))
        if ghost is not None:
            for index in range(2):
                draw_fighter(fighters, self.camera, Figure.of(ghost["players"][index], index), alpha=0.35)
        self._draw_afterimages(fighters)
        for index in (1, 0):
            draw_fighter(fighters, self.camera, self._trail[-1][index])
        self.effects.draw(fighters, self.camera, int(frame["frame"]))
        draw_captions(fighters, self.camera, frame, self.names, self.banner)
        return {"stage": stage, "fighters": fighters, "hud": self._compose_hud(frame)}

    def advance(self, frame: np.ndarray) -> None:
        """Move the camera and the effects on to a frame; `compose` does so by itself."""
        now = int(frame["frame"])
        step = None if self._last_frame is None else now - self._last_frame
        self._last_frame = now
        self.effects.observe(frame)
        if step == 0:
            self._trail.pop()
        elif step != 1:
            self._trail.clear()
        self._trail.append([Figure.of(frame["players"][index], index) for index in range(2)])
        if step != 0:
            self.camera.follow(self._targets(frame), snap=step is None or not 0 < step <= 8)
        self.camera.shake = self.effects.shake * (-1.0) ** now

    def _compose_hud(self, frame: np.ndarray) -> Drawing:
        """The same object as long as it looks the same: painters need not paint it again."""
        key = panels_key(frame, self.names, self.note)
        if key != self._hud[0]:
            self._hud = key, Drawing()
            draw_panels(self._hud[1], self.camera, frame, self.names, self.note)
        return self._hud[1]

    def _draw_afterimages(self, out: Drawing) -> None:
        for age, alpha in zip(TRAIL_FRAMES, (0.3, 0.15), strict=True):
            if age >= len(self._trail):
                continue
            for now, past in zip(self._trail[-1], self._trail[-1 - age], strict=True):
                if np.hypot(now.x - past.x, now.y - past.y) > FAST * age:
                    draw_afterimage(out, self.camera, past, alpha)

    def _targets(self, frame: np.ndarray) -> np.ndarray:
        """The living, and for a while the places where somebody was knocked out."""
        alive = [p for p in frame["players"] if family_of(int(p["action_state"])) is not Family.DEAD]
        points = [(int(p["x"]) / 1024, int(p["y"]) / 1024 + 6) for p in alive]
        points += [(p.x, p.y) for p in self.effects.particles if p.kind == "burst"]
        return np.array(points, np.float64).reshape(-1, 2)
