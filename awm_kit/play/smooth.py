"""Pictures between two frames, for matches whose frames come at another pace than pictures do.

Not the default: an engine that keeps 60 frames a second is best drawn as it is, for a picture in between is
one frame old, and shows keys a frame later. Motion from one that gives 30 is more than twice as even (the
spread of the steps between refreshes 0.4 of their mean instead of 1.0), and so is a replay's in slow motion.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from awm_kit.play.app import PlayApp
from awm_kit.play.beat import Beat
from awm_kit.play.interpolation import between
from awm_kit.play.loop import FPS, FrameLoop
from awm_kit.play.scene import HEIGHT, WIDTH
from awm_kit.play.view import MatchView
from awm_kit.schema import FIGHTER

# Seconds between frames that pictures are spread over.
_SHORTEST, _LONGEST = 1 / 240, 1 / 8
_IDLE_SECONDS = 0.5
#: Frames that pictures may be behind what has come; more are left out.
MOST_BEHIND = 3


class SmoothView(MatchView):
    """A view that draws 60 times a second, whenever frames come, and is one frame late.

    Parameters
    ----------
    names, width, height, game
        As of `MatchView`.
    clock : callable
        Seconds; for tests.

    Attributes
    ----------
    beat : Beat or None
        What pictures keep step with.
    """

    beat: Beat | None = None

    def __init__(
        self,
        names: Sequence[str] = ("P1", "P2"),
        width: int = WIDTH,
        height: int = HEIGHT,
        game: str = FIGHTER.name,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(names, width, height, game)
        self.loop = FrameLoop(self.draw)
        self._clock = clock
        self._lock = threading.Lock()
        self._frames: deque[np.ndarray] = deque(maxlen=MOST_BEHIND + 2)
        self._ghost: np.ndarray | None = None
        self._came = self._drew = clock()
        self._interval = 1 / FPS
        self._behind = 0.0

    def show(self, frame: np.ndarray, ghost: np.ndarray | None = None) -> None:
        """Head for a frame; the pictures on the way are drawn by a thread of this view."""
        now = self._clock()
        with self._lock:
            if self._frames and int(frame["frame"]) == int(self._frames[-1]["frame"]) + 1:
                passed = min(max(now - self._came, _SHORTEST), _LONGEST)
                self._interval += 0.1 * (passed - self._interval)
                self._behind = min(self._behind + 1, MOST_BEHIND)
            else:
                self._frames.clear()
                self._behind = 0.0
            self._frames.append(frame)
            self._ghost, self._came = ghost, now
        self.loop.start()

    def skip(self, frame: np.ndarray) -> None:
        """Head for a frame, as `show`: how many pictures it gets does not hang on the match's pace."""
        self.show(frame)

    def draw(self) -> None:
        """Draw where the match is at this moment; rests when nothing has come for a while."""
        now = self._clock()
        with self._lock:
            if not self._frames:
                return
            # At the pace that frames come, and a little faster or slower to stay one frame behind them.
            passed = (now - self._drew) / self._interval * (1 + 0.25 * (self._behind - 1))
            self._behind = max(self._behind - max(passed, 0.0), 0.0)
            self._drew = now
            after = len(self._frames) - 1 - int(self._behind)
            frame, ghost = self._frames[after], self._ghost
            if after > 0:
                frame = between(self._frames[after - 1], frame, 1 - self._behind % 1)
            rest = self._behind == 0 and now - self._came > _IDLE_SECONDS
        if rest or self.beat is None or self.beat.picture_wanted():
            super().show(frame, ghost)
            if self.beat is not None:
                self.beat.picture_sent()
        if rest:
            self.loop.stop()


class SmoothApp(PlayApp):
    """A game that is drawn by a `SmoothView`; ``play(..., smooth=True)``."""

    view: SmoothView

    def _new_view(self) -> SmoothView:
        return SmoothView(game=self.cartridge.manifest.schema.name)

    def _keep_step(self) -> None:
        self.view.beat = self.beat
        self.beat.on_slack(self.view.loop.follow)

    def _advance(self) -> None:
        self.view.show(self.match.step())
