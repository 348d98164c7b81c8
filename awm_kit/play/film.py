"""Pictures of a match, or of two side by side, one after another: what GIF and MP4 are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from awm_kit.play.painters import ImagePainter
from awm_kit.play.palette import INK, PAPER
from awm_kit.play.scenes import make_scene
from awm_kit.schema import FIGHTER

if TYPE_CHECKING:
    from PIL.Image import Image

TITLE_SIZE = 26
_GAP = 4


@dataclass(frozen=True)
class Take:
    """One trajectory and how it is shown.

    Parameters
    ----------
    frames : ndarray of `FRAME`, shape (T,)
        Consecutive frames of a match, at least one.
    title : str
        Written in the upper left corner.
    names : sequence of str
        What the players are called.
    ghosts : ndarray of `FRAME`, shape (T,), optional
        A second trajectory, drawn translucent.
    game : str
        Name of the schema: whose scene draws it.

    Raises
    ------
    ValueError
        If there is no frame, or ``ghosts`` has another length.
    """

    frames: np.ndarray
    title: str = ""
    names: Sequence[str] = ("P1", "P2")
    ghosts: np.ndarray | None = None
    game: str = FIGHTER.name

    def __post_init__(self) -> None:
        if not len(self.frames):
            raise ValueError("expected frames, at least one (got none)")
        if self.ghosts is not None and len(self.ghosts) != len(self.frames):
            raise ValueError(
                f"expected as many ghosts as frames, {len(self.frames)} (got {len(self.ghosts)})"
            )


class Film:
    """One or more takes side by side; a take that ends sooner stays on its last frame.

    Parameters
    ----------
    takes : sequence of Take
        From left to right.
    scale : float
        Size of each take relative to 960 × 540.
    progress : callable, optional
        Told how far the pictures have come, from 0 to 1.
    """

    def __init__(
        self,
        takes: Sequence[Take],
        scale: float = 1.0,
        progress: Callable[[float], object] = lambda share: None,
    ) -> None:
        if not takes:
            raise ValueError("expected at least one take (got none)")
        self.takes, self.scale, self.progress = tuple(takes), scale, progress

    def __len__(self) -> int:
        return max(len(take.frames) for take in self.takes)

    def pictures(self, every: int = 1) -> Iterator[Image]:
        """One picture of every so many frames, Pillow images of mode RGB.

        Raises
        ------
        ValueError
            If ``every`` is less than 1.
        """
        if every < 1:
            raise ValueError(f"expected every >= 1 (got {every})")
        screens = [_Screen(take, self.scale) for take in self.takes]
        for index in range(len(self)):
            if index % every == 0:
                self.progress(index / len(self))
                yield _joined([screen.picture(index) for screen in screens])
            else:
                for screen in screens:
                    screen.skip(index)

    def still(self, index: int) -> Image:
        """The picture of one frame alone, without the camera's and the effects' past."""
        return _joined([_Screen(take, self.scale).picture(index) for take in self.takes])


class _Screen:
    """The scene and the painter of one take."""

    def __init__(self, take: Take, scale: float) -> None:
        self.take = take
        self.scene = make_scene(take.game, take.names)
        self.painter = ImagePainter(self.scene.camera.width, self.scene.camera.height, scale)
        self.painter.paint(self.scene.backdrop())

    def picture(self, index: int) -> Image:
        at = min(index, len(self.take.frames) - 1)
        ghost = None if self.take.ghosts is None else self.take.ghosts[at]
        layers = self.scene.compose(self.take.frames[at], ghost)
        if self.take.title:
            layers["hud"].write(self.take.title, 16, 40, TITLE_SIZE, PAPER)
        self.painter.paint(layers)
        return self.painter.image

    def skip(self, index: int) -> None:
        if index < len(self.take.frames):
            self.scene.advance(self.take.frames[index])


def _joined(pictures: Sequence[Image]) -> Image:
    if len(pictures) == 1:
        return pictures[0]
    from PIL import Image as PillowImage

    width = sum(p.width for p in pictures) + _GAP * (len(pictures) - 1)
    sheet = PillowImage.new("RGB", (width, pictures[0].height), INK)
    x = 0
    for picture in pictures:
        sheet.paste(picture, (x, 0))
        x += picture.width + _GAP
    return sheet
