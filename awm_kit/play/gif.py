"""Stills and animations of a match, for notebooks and pages where no canvas lives."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from awm_kit.files import written_whole
from awm_kit.play.film import Film, Take
from awm_kit.play.palette import INK, LIVERIES, ORANGE, WHITE, YELLOW

if TYPE_CHECKING:
    from PIL.Image import Image

GIF_COLORS = 112
# GIF counts time in hundredths of a second; browsers slow down what is under 2.
_FRAME_CS = 100 / 60


def render_still(frame: np.ndarray, scale: float = 1.0, names: Sequence[str] = ("P1", "P2")) -> Image:
    """The picture of one frame, a Pillow image of 960 × 540 times ``scale``.

    Parameters
    ----------
    frame : ndarray, `FRAME` scalar
    """
    return Film([Take(np.asarray(frame)[None], names=names)], scale).still(0)


def render_gif(
    frames: np.ndarray | Film,
    path: str | os.PathLike[str] | None = None,
    every: int = 3,
    scale: float = 0.5,
    names: Sequence[str] = ("P1", "P2"),
    ghosts: np.ndarray | None = None,
) -> bytes:
    """An animated GIF at the speed of the game.

    Parameters
    ----------
    frames : ndarray of `FRAME`, shape (T,), or Film
        Consecutive frames of a match; a `Film` shows several side by side and has its own scale, names
        and ghosts.
    path : path, optional
        Where to write it as well.
    every : int
        Shows one frame of so many (3: 20 pictures a second).
    scale : float
        Size relative to 960 × 540.
    ghosts : ndarray of `FRAME`, shape (T,), optional
        A second trajectory, drawn translucent.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ValueError
        If there is no frame, ``every`` is less than 1, or ``ghosts`` has another length.
    """
    film = frames if isinstance(frames, Film) else Film([Take(frames, names=names, ghosts=ghosts)], scale)
    from PIL.Image import Dither

    palette: Image | None = None
    pictures: list[Image] = []
    for picture in film.pictures(every):
        palette = palette or _palette(film, picture)
        pictures.append(picture.quantize(palette=palette, dither=Dither.NONE))
    data = _encode(pictures, every)
    if path is not None:
        with written_whole(path) as part:
            part.write_bytes(data)
    return data


def _palette(film: Film, first: Image) -> Image:
    """One palette for the whole film, from pictures spread over it: stable colours, small deltas."""
    from PIL import Image as PillowImage

    samples = [first, *(film.still(int(i)) for i in np.linspace(0, len(film) - 1, 5)[1:])]
    width, height = first.size
    sheet = PillowImage.new("RGB", (width, height * len(samples)))
    for row, sample in enumerate(samples):
        sheet.paste(sample, (0, row * height))
    # Median cut goes by area and would lose the players' colours, which are few pixels: they are given.
    given = [c for livery in LIVERIES for c in livery] + [WHITE, INK, YELLOW, ORANGE]
    room = GIF_COLORS - len(given)
    found = sheet.quantize(room, PillowImage.Quantize.MEDIANCUT, dither=PillowImage.Dither.NONE)
    colors = np.array(found.getpalette(), np.uint8)[: 3 * room]
    palette = PillowImage.new("P", (1, 1))
    palette.putpalette([*np.ravel(given).tolist(), *colors.tolist()])
    return palette


def _encode(pictures: Sequence[Image], every: int) -> bytes:
    """Write the pictures with every pixel that did not change made transparent: long runs pack well."""
    from PIL import Image as PillowImage

    clear = GIF_COLORS
    palette = pictures[0].getpalette()
    shown = np.asarray(pictures[0])
    frames = [pictures[0]]
    for picture in pictures[1:]:
        pixels = np.asarray(picture)
        delta = PillowImage.fromarray(np.where(pixels == shown, np.uint8(clear), pixels))
        delta.putpalette(palette or [])
        frames.append(delta)
        shown = pixels
    marks = np.round(np.arange(len(pictures) + 1) * every * _FRAME_CS)
    durations = (np.diff(marks) * 10).astype(int).tolist()
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0,
        transparency=clear, disposal=1, optimize=False,
    )  # fmt: skip
    return buffer.getvalue()
