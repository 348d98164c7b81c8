"""A player for recorded matches: scrub, step, slow down, jump to hits, compare two trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ipywidgets as widgets
import numpy as np

from awm_kit.play.gif import render_gif
from awm_kit.play.loop import FPS, FrameLoop
from awm_kit.play.recordings import Recording, find_hits, find_knockouts, open_recording
from awm_kit.play.view import MatchView
from awm_kit.quant.cartridge import Cartridge

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
# The slider is a trait: ten times a second is enough for the eye and cheap for the kernel.
_SLIDER_EVERY = 6
LEAD_IN = 45


class ReplayPlayer(widgets.VBox):  # type: ignore[misc]
    """Shows a recording.

    Parameters
    ----------
    recording : ndarray of `FRAME`, Replay, MatchRecord or path
        See `awm_kit.play.recordings.open_recording`.
    overlay : the same, optional
        A second trajectory, drawn translucent at the same frames: another world under the same
        inputs, or the teacher beside the learner. It may be shorter.
    world : Cartridge, optional
        The world of a `MatchRecord`.
    names : sequence of str

    Attributes
    ----------
    frames : ndarray of `FRAME`, shape (T,)
    position : int
        Index of the frame on the screen.
    """

    def __init__(
        self,
        recording: Recording,
        overlay: Recording | None = None,
        world: Cartridge | None = None,
        names: Sequence[str] = ("P1", "P2"),
    ) -> None:
        self.frames = open_recording(recording, world).frames
        self.overlay = None if overlay is None else open_recording(overlay, world).frames
        self.hits, self.knockouts = find_hits(self.frames), find_knockouts(self.frames)
        self.view = MatchView(names)
        self.loop = FrameLoop(self._tick)
        self._at = 0.0
        self._ticks = 0
        self._make_controls()
        buttons = [self._run, *self._steps, self._speed, self._gif]
        super().__init__([self.view.widget, self._slider, widgets.HBox(buttons)])
        self.add_class("awm-play")
        self.seek(0)

    def __repr__(self) -> str:
        counts = f"{len(self.hits)} hits, {len(self.knockouts)} knock-outs"
        return f"<ReplayPlayer {len(self.frames)} frames, {counts}>"

    @property
    def position(self) -> int:
        """Index of the frame on the screen."""
        return int(self._at)

    def seek(self, index: int) -> None:
        """Show a frame; beyond the ends, the first or the last."""
        self._at = float(min(max(index, 0), len(self.frames) - 1))
        # The moments before it bring camera and sparks to where they would be when it plays.
        for before in range(max(self.position - LEAD_IN, 0), self.position):
            self.view.skip(self.frames[before])
        self._show()
        self._slider.value = self.position

    def next_hit(self) -> None:
        """Go to the next hit, or to the end."""
        self._jump(self.hits, forward=True)

    def previous_hit(self) -> None:
        """Go to the hit before, or to the start."""
        self._jump(self.hits, forward=False)

    def next_knockout(self) -> None:
        """Go to the next lost stock, or to the end."""
        self._jump(self.knockouts, forward=True)

    def to_gif(self, path: Path | str, seconds: float = 10.0) -> Path:
        """Write an animation of what follows the frame on the screen."""
        span = slice(self.position, self.position + max(round(seconds * FPS), 1))
        ghosts = None if self.overlay is None else self.overlay[span]
        frames = self.frames[span] if ghosts is None else self.frames[span][: len(ghosts)]
        render_gif(frames, path, names=self.view.scene.names, ghosts=ghosts)
        return Path(path)

    def toggle(self) -> None:
        """Play or pause; at the end, play from the start."""
        if self.loop.running:
            self.loop.stop()
            self._run.icon = "play"
            return
        if self.position >= len(self.frames) - 1:
            self.seek(0)
        self._run.icon = "pause"
        self.loop.start()

    def _make_controls(self) -> None:
        def button(icon: str, tooltip: str) -> widgets.Button:
            return widgets.Button(icon=icon, tooltip=tooltip, layout=widgets.Layout(width="44px"))

        last = len(self.frames) - 1
        self._slider = widgets.IntSlider(0, 0, last, description="frame", layout=widgets.Layout(width="98%"))
        self._run = button("play", "play or pause")
        self._steps = [
            button("fast-backward", "previous hit"),
            button("step-backward", "one frame back"),
            button("step-forward", "one frame on"),
            button("fast-forward", "next hit"),
            button("star", "next knock-out"),
        ]
        self._gif = widgets.Button(description="GIF", icon="download", tooltip="the next ten seconds")
        self._gif.layout.width = "auto"
        self._gif.on_click(lambda _: self._save_gif())
        self._speed = widgets.SelectionSlider(
            options=[(f"{s:g}×", s) for s in SPEEDS], value=1.0, description="speed"
        )
        moves = (self.previous_hit, self._back, self._on, self.next_hit, self.next_knockout)
        for item, move in zip(self._steps, moves, strict=True):
            item.on_click(lambda _, move=move: move())
        self._run.on_click(lambda _: self.toggle())
        self._slider.observe(self._slid, "value")

    def _jump(self, places: np.ndarray, forward: bool) -> None:
        if forward:
            later = places[places > self.position]
            self.seek(int(later[0]) if len(later) else len(self.frames) - 1)
        else:
            earlier = places[places < self.position]
            self.seek(int(earlier[-1]) if len(earlier) else 0)

    def _save_gif(self) -> None:
        self._gif.description = "writing"
        self._gif.tooltip = str(self.to_gif(f"replay-{self.position}.gif"))
        self._gif.description = "GIF"

    def _back(self) -> None:
        self.seek(self.position - 1)

    def _on(self) -> None:
        self.seek(self.position + 1)

    def _slid(self, change: dict[str, int]) -> None:
        # The loop moves the slider too, and then it is already where it should be.
        if abs(change["new"] - self.position) > _SLIDER_EVERY * max(SPEEDS) or (
            not self.loop.running and change["new"] != self.position
        ):
            self.seek(change["new"])

    def _tick(self) -> None:
        before = self.position
        last = len(self.frames) - 1
        self._at = min(self._at + self._speed.value, float(last))
        # Frames that are jumped over still move the camera and raise sparks.
        for index in range(before + 1, self.position):
            self.view.skip(self.frames[index])
        if self.position != before:
            self._show()
        self._ticks += 1
        if self._ticks % _SLIDER_EVERY == 0 or self.position == last:
            self._slider.value = self.position
        if self.position == last:
            self.loop.stop()
            self._run.icon = "play"

    def _show(self) -> None:
        ghost = None
        if self.overlay is not None and self.position < len(self.overlay):
            ghost = self.overlay[self.position]
        self.view.show(self.frames[self.position], ghost)
