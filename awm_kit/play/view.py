"""The live view: the scene of a match on a Jupyter canvas, one message per frame."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from ipycanvas import Canvas, hold_canvas

from awm_kit.play.draw_hud import PANELS
from awm_kit.play.drawing import Drawing, Text
from awm_kit.play.painters import LAYERS
from awm_kit.play.palette import Color
from awm_kit.play.scene import HEIGHT, WIDTH
from awm_kit.play.scenes import make_scene
from awm_kit.schema import FIGHTER

# `hold_canvas` collects the calls of the whole process, so two views must not draw at once.
_DRAWING = threading.Lock()
#: Layers that a page keeps until they change, and the share of the picture, from below, that they cover.
KEPT = {"background": 1.0, "hud": PANELS}
FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"


class Captions(Protocol):
    """What a view writes over the game."""

    names: Sequence[str]
    banner: str
    note: str


class View(Protocol):
    """Something that shows frames in a notebook."""

    @property
    def scene(self) -> Captions:
        """What is written over the game."""
        ...

    @property
    def widget(self) -> Any:
        """What to display."""
        ...

    def show(self, frame: np.ndarray, ghost: np.ndarray | None = None) -> None:
        """Draw a frame, a `FRAME` scalar."""
        ...

    def skip(self, frame: np.ndarray) -> None:
        """Let a frame pass undrawn."""
        ...


class CanvasPainter:
    """Paints layers on an ipycanvas; remembers them, for pages that open later.

    Layers that seldom change are canvases of their own, which the page keeps; the others are drawn between
    them. A `MultiCanvas` would put all layers together anew for each that changed, and in browsers that
    draw without a graphics card it is copying whole pictures that costs.

    Parameters
    ----------
    width, height : int
        Pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.canvas = Canvas(width=width, height=height)
        self.canvas.layout.max_width = "100%"
        self._kept = {name: Canvas(width=width, height=round(height * share)) for name, share in KEPT.items()}
        self._layers: dict[str, Drawing] = {}
        for canvas in (self.canvas, *self._kept.values()):
            canvas.on_client_ready(self.repaint)

    def paint(self, layers: Mapping[str, Drawing]) -> None:
        """Replace the given layers, by name, in one message; a kept layer only if it is another object."""
        with _DRAWING:
            changed = [name for name in KEPT if name in layers and layers[name] is not self._layers.get(name)]
            self._layers.update(layers)
            self._send(changed)

    def repaint(self) -> None:
        """Send every layer again: a page that was reloaded, or a second one, starts blank."""
        with _DRAWING:
            self._send(list(KEPT))

    def _send(self, changed: Sequence[str]) -> None:
        # A page that missed the message which named the canvas would ignore all that follow:
        # forgetting the current one makes ipycanvas name it in every message.
        self.canvas._canvas_manager._current_canvas = None
        with hold_canvas():
            for name in changed:
                if name in self._layers:
                    self._keep(self._kept[name], self._layers[name])
            for name in LAYERS:
                if name in self._kept:
                    kept = self._kept[name]
                    self.canvas.draw_image(kept, 0, self.canvas.height - kept.height)
                elif name in self._layers:
                    _draw(self.canvas, self._layers[name])
            # Pages show the canvas that is current when a message begins as well as those that it names:
            # ending on one that is not on display saves showing the picture twice.
            self._kept["hud"].begin_path()

    def _keep(self, canvas: Canvas, drawing: Drawing) -> None:
        top = self.canvas.height - canvas.height
        canvas.clear()
        canvas.translate(0, -top)
        _draw(canvas, drawing)
        canvas.translate(0, top)


class MatchView:
    """A canvas that shows frames.

    Parameters
    ----------
    names : sequence of str
        What the players are called.
    width, height : int
        Pixels.
    game : str
        Name of the world's schema, which says what is drawn.
    """

    def __init__(
        self,
        names: Sequence[str] = ("P1", "P2"),
        width: int = WIDTH,
        height: int = HEIGHT,
        game: str = FIGHTER.name,
    ) -> None:
        self.scene = make_scene(game, names, width, height)
        self.painter = CanvasPainter(width, height)
        self.painter.paint(self.scene.backdrop())

    def __repr__(self) -> str:
        return f"<MatchView {' against '.join(self.scene.names)}>"

    @property
    def widget(self) -> Canvas:
        """What to display."""
        return self.painter.canvas

    def show(self, frame: np.ndarray, ghost: np.ndarray | None = None) -> None:
        """Draw a frame, a `FRAME` scalar, and behind it the same moment of another trajectory."""
        self.painter.paint(self.scene.compose(frame, ghost))

    def skip(self, frame: np.ndarray) -> None:
        """Let a frame pass undrawn: the camera and the effects go on."""
        self.scene.advance(frame)


def _draw(canvas: Canvas, drawing: Drawing) -> None:
    if drawing.polygons:
        counts = np.array([len(p) for p in drawing.polygons], np.uint32)
        canvas.fill_styled_polygons(
            np.concatenate(drawing.polygons),
            np.array(drawing.colors, np.uint8),
            np.array(drawing.alphas, np.float32),
            counts,
        )
    styles = groupby(sorted(drawing.texts, key=_style), key=_style)
    for (size, anchor, outline), texts in styles:
        canvas.font = f"bold {size}px {FONT}"
        canvas.text_align = anchor
        if outline:
            canvas.line_width = max(size * 0.16, 2.0)
            canvas.line_join = "round"
        for text in texts:
            _write(canvas, text)


def _style(text: Text) -> tuple[int, str, bool]:
    return text.size, text.anchor, text.outline is not None


def _write(canvas: Canvas, text: Text) -> None:
    if text.outline is not None:
        canvas.stroke_style = _css(text.outline)
        canvas.stroke_text(text.text, text.x, text.y)
    canvas.fill_style = _css(text.color)
    canvas.fill_text(text.text, text.x, text.y)


def _css(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
