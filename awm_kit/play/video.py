"""A match as an MP4 film: H.264, which every browser and messenger plays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from awm_kit.errors import VideoError
from awm_kit.files import written_whole
from awm_kit.play.film import Film, Take
from awm_kit.play.loop import FPS

if TYPE_CHECKING:
    from PIL.Image import Image

#: x264's constant quality: 18 cannot be told from the original, 28 is visibly worse.
QUALITY = 23
#: Its index before the pictures: a page shows it before all of it has come.
OPTIONS = {"movflags": "faststart"}


def render_mp4(
    frames: np.ndarray | Film,
    path: str | os.PathLike[str],
    every: int = 1,
    scale: float = 1.0,
    names: Sequence[str] = ("P1", "P2"),
    ghosts: np.ndarray | None = None,
) -> Path:
    """Write an MP4 file at the speed of the game; needs the extra ``video`` (PyAV).

    Parameters
    ----------
    frames : ndarray of `FRAME`, shape (T,), or Film
        As `awm_kit.play.gif.render_gif` takes them.
    path : path
        The file, replaced once it is complete.
    every : int
        Shows one frame of so many (2: 30 pictures a second).
    scale : float
        Size relative to 960 × 540.
    ghosts : ndarray of `FRAME`, shape (T,), optional
        A second trajectory, drawn translucent.

    Returns
    -------
    Path

    Raises
    ------
    VideoError
        If PyAV is not installed, or built without H.264.
    ValueError
        If there is no frame, ``every`` is less than 1, or ``ghosts`` has another length.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise VideoError("an MP4 needs PyAV: pip install 'awm-kit[video]', or write a .gif") from error
    film = frames if isinstance(frames, Film) else Film([Take(frames, names=names, ghosts=ghosts)], scale)
    path = Path(path)
    try:
        with written_whole(path) as part, av.open(str(part), "w", options=OPTIONS) as file:
            stream = None
            for picture in film.pictures(every):
                if stream is None:
                    stream = file.add_stream("libx264", rate=_rate(every), options={"crf": str(QUALITY)})
                    stream.width, stream.height = (side & ~1 for side in picture.size)
                    stream.pix_fmt = "yuv420p"
                file.mux(stream.encode(av.VideoFrame.from_ndarray(_even(picture), "rgb24")))
            if stream is not None:
                file.mux(stream.encode(None))
    except av.error.FFmpegError as error:
        raise VideoError(f"cannot write {path.name}: {error}") from error
    return path


def _rate(every: int) -> Fraction:
    return Fraction(FPS, every)


def _even(picture: Image) -> np.ndarray:
    """RGB without a last odd row or column: H.264 halves the resolution of its colours."""
    width, height = picture.size
    return np.ascontiguousarray(np.asarray(picture)[: height & ~1, : width & ~1])
