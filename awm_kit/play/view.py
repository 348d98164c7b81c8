"""The live view: the scene of a match on a Jupyter canvas, one message per frame."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from ipycanvas import Canvas, MultiCanvas, hold_canvas

from awm_kit.play.drawing import Drawing, Text
from awm_kit.play.painters import LAYERS
from awm_kit.play.palette import Color
from awm_kit.play.scene import HEIGHT, WIDTH, Scene

# `hold_canvas` collects the calls of the whole process, so two views must not draw at once.
_DRAWING = threading.Lock()
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
    """Paints on an ipycanvas; remembers the layers, for pages that open later.

    Parameters
    ----------
    width, height : int
        Pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.canvas = MultiCanvas(len(LAYERS), width=width, height=height)
        self.canvas.layout.max_width = "100%"
        self._layers: dict[str, Drawing] = {}
        self.canvas.on_client_ready(self.repaint)

    def paint(self, layers: Mapping[str, Drawing]) -> None:
        """Replace the given layers, by name, in one message."""
        with _DRAWING:
            self._layers.update(layers)
            self._send(layers)

    def repaint(self) -> None:
        """Send every layer again: a page that was reloaded, or a second one, starts blank."""
        with _DRAWING:
            self._send(self._layers)

    def _send(self, layers: Mapping[str, Drawing]) -> None:
        # A page that missed the message which named the canvas would ignore all that follow:
        # forgetting the current one makes ipycanvas name it in every message.
        self.canvas._canvas_manager._current_canvas = None
        with hold_canvas():
            for index, name in enumerate(LAYERS):
                if name in layers:
                    _draw(self.canvas[index], layers[name])


class MatchView:
    """A canvas that shows frames.

    Parameters
    ----------
    names : sequence of str
        What the players are called.
    width, height : int
        Pixels.
    """

    def __init__(self, names: Sequence[str] = ("P1", "P2"), width: int = WIDTH, height: int = HEIGHT) -> None:
        self.scene = Scene(names, width, height)
        self.painter = CanvasPainter(width, height)
        self.painter.paint(self.scene.backdrop())

    def __repr__(self) -> str:
        return f"<MatchView {' against '.join(self.scene.names)}>"

    @property
    def widget(self) -> MultiCanvas:
        """What to display."""
        return self.painter.canvas

    def show(self, frame: np.ndarray, ghost: np.ndarray | None = None) -> None:
        """Draw a frame, a `FRAME` scalar, and behind it the same moment of another trajectory."""
        self.painter.paint(self.scene.compose(frame, ghost))

    def skip(self, frame: np.ndarray) -> None:
        """Let a frame pass undrawn: the camera and the effects go on."""
        self.scene.advance(frame)


def _draw(canvas: Canvas, drawing: Drawing) -> None:
    canvas.clear()
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
