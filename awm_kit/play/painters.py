"""Painters put display lists on a surface: a Pillow image here, a Jupyter canvas in `view`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from awm_kit.play.drawing import Drawing, Text

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

#: Back to front. Panels stand behind the fighters: one who falls low must not vanish behind them.
LAYERS = ("background", "stage", "hud", "fighters")


class ImagePainter:
    """Paints on a Pillow image, antialiased by painting larger and shrinking.

    Parameters
    ----------
    width, height : int
        Pixels of the coordinates that drawings use.
    scale : float
        Size of the image relative to them.
    """

    def __init__(self, width: int, height: int, scale: float = 1.0) -> None:
        self.size = (max(round(width * scale), 1), max(round(height * scale), 1))
        self._fine = 2 if scale > 1 / 3 else 3
        self._ratio = self.size[0] * self._fine / width
        self._layers: dict[str, Drawing] = {}

    def paint(self, layers: Mapping[str, Drawing]) -> None:
        """Replace the given layers, by name."""
        self._layers.update(layers)

    @property
    def image(self) -> Image:
        """The picture so far, mode RGB."""
        from PIL import Image, ImageDraw

        fine = Image.new("RGB", (self.size[0] * self._fine, self.size[1] * self._fine))
        pencil = ImageDraw.Draw(fine, "RGBA")
        for name in LAYERS:
            if name in self._layers:
                self._draw(pencil, self._layers[name])
        return fine.resize(self.size, Image.Resampling.BOX)

    def _draw(self, pencil: ImageDraw, drawing: Drawing) -> None:
        rows = zip(drawing.polygons, drawing.colors, drawing.alphas, strict=True)
        for polygon, color, alpha in rows:
            ink = (*color, round(255 * min(max(alpha, 0.0), 1.0)))
            pencil.polygon((polygon * np.float32(self._ratio)).ravel().tolist(), fill=ink)
        for text in drawing.texts:
            self._write(pencil, text)

    def _write(self, pencil: ImageDraw, text: Text) -> None:
        anchor = {"left": "ls", "center": "ms", "right": "rs"}[text.anchor]
        size = max(round(text.size * self._ratio), 6)
        pencil.text(
            (text.x * self._ratio, text.y * self._ratio),
            text.text,
            fill=text.color,
            font=_font(size),
            anchor=anchor,
            stroke_width=round(size * 0.1) if text.outline else 0,
            stroke_fill=text.outline,
        )


@lru_cache(maxsize=32)
def _font(size: int) -> FreeTypeFont:
    from PIL import ImageFont
    from PIL.ImageFont import FreeTypeFont

    font = ImageFont.load_default(size)
    if not isinstance(font, FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, which text in pictures needs")
    return font
