"""A player for recorded matches: scrub, step, slow down, jump to hits, compare two trajectories."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np

from awm_kit.chain.verify import MatchRecord
from awm_kit.data.replay import Replay
from awm_kit.kernel import NativeWorld
from awm_kit.play.loop import FrameLoop
from awm_kit.play.view import MatchView
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import FRAME

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
# The slider is a trait: ten times a second is enough for the eye and cheap for the kernel.
_SLIDER_EVERY = 6


def frames_of(recording: np.ndarray | Replay | MatchRecord, cartridge: Cartridge | None = None) -> np.ndarray:
    """The frames of anything that was recorded.

    Parameters
    ----------
    recording : ndarray of `FRAME`, Replay or MatchRecord
    cartridge : Cartridge, optional
        The world of a `MatchRecord`, which holds inputs only and is played again.

    Returns
    -------
    ndarray of `FRAME`, shape (T,)

    Raises
    ------
    ValueError
        If it is empty, or a record comes without the world that it names.
    """
    if isinstance(recording, MatchRecord):
        if cartridge is None or cartridge.world_hash != recording.world_hash:
            raise ValueError(f"expected the cartridge of world {recording.world_hash[:16]}…")
        world = NativeWorld(cartridge)
        frames = np.zeros(recording.frames + 1, FRAME)
        frames[0] = recording.start_frame
        frames[1:] = world.run(world.initial_state(), recording.start_frame, recording.inputs)
    else:
        frames = recording.frames if isinstance(recording, Replay) else recording
    if frames.dtype != FRAME or frames.ndim != 1 or not len(frames):
        raise ValueError(f"expected frames, at least one (got {frames.dtype}, shape {frames.shape})")
    return frames


def find_events(frames: np.ndarray) -> np.ndarray:
    """Indices of the frames in which somebody is hit or loses a stock, int64, rising."""
    players = frames["players"]
    hit = np.diff(players["percent"].astype(int), axis=0) > 0
    lost = np.diff(players["stocks"].astype(int), axis=0) < 0
    return np.flatnonzero((hit | lost).any(1)) + 1


class ReplayPlayer(widgets.VBox):  # type: ignore[misc]
    """Shows a recording.

    Parameters
    ----------
    recording : ndarray of `FRAME`, Replay or MatchRecord
    overlay : ndarray of `FRAME` or Replay, optional
        A second trajectory, drawn translucent at the same frames: another world under the same
        inputs, or the teacher beside the learner. It may be shorter.
    cartridge : Cartridge, optional
        The world of a `MatchRecord`.
    names : sequence of str

    Attributes
    ----------
    position : int
        Index of the frame on the screen.
    """

    def __init__(
        self,
        recording: np.ndarray | Replay | MatchRecord,
        overlay: np.ndarray | Replay | None = None,
        cartridge: Cartridge | None = None,
        names: Sequence[str] = ("P1", "P2"),
    ) -> None:
        self.frames = frames_of(recording, cartridge)
        self.overlay = None if overlay is None else frames_of(overlay)
        self.events = find_events(self.frames)
        self.view = MatchView(names)
        self.loop = FrameLoop(self._tick)
        self._at = 0.0
        self._ticks = 0
        self._make_controls()
        buttons = [self._run, *self._steps, self._speed]
        super().__init__([self.view.widget, self._slider, widgets.HBox(buttons)])
        self.add_class("awm-play")
        self.seek(0)

    def __repr__(self) -> str:
        return f"<ReplayPlayer {len(self.frames)} frames, {len(self.events)} events>"

    @property
    def position(self) -> int:
        """Index of the frame on the screen."""
        return int(self._at)

    def seek(self, index: int) -> None:
        """Show a frame; beyond the ends, the first or the last."""
        self._at = float(min(max(index, 0), len(self.frames) - 1))
        self._show()
        self._slider.value = self.position

    def next_event(self) -> None:
        """Go to the next hit or lost stock, or to the end."""
        later = self.events[self.events > self.position]
        self.seek(int(later[0]) if len(later) else len(self.frames) - 1)

    def previous_event(self) -> None:
        """Go to the hit or lost stock before, or to the start."""
        earlier = self.events[self.events < self.position]
        self.seek(int(earlier[-1]) if len(earlier) else 0)

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
        ]
        self._speed = widgets.SelectionSlider(
            options=[(f"{s:g}×", s) for s in SPEEDS], value=1.0, description="speed"
        )
        moves = (self.previous_event, self._back, self._on, self.next_event)
        for item, move in zip(self._steps, moves, strict=True):
            item.on_click(lambda _, move=move: move())
        self._run.on_click(lambda _: self.toggle())
        self._slider.observe(self._slid, "value")

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
