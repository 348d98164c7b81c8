"""A player for recorded matches: scrub, step, slow down, jump to hits, compare two trajectories."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import ipywidgets as widgets
import numpy as np

from awm_kit.chain.ledger import Ledger
from awm_kit.data.scuffle import Params
from awm_kit.play.beat import Beat
from awm_kit.play.errand import Errands
from awm_kit.play.film import Film, Take
from awm_kit.play.gif import render_gif
from awm_kit.play.interpolation import between
from awm_kit.play.loop import FPS, FrameLoop
from awm_kit.play.recordings import Recording, find_hits, find_knockouts, game_of, open_recording, players_of
from awm_kit.play.reruns import Physics, rerun
from awm_kit.play.video import render_mp4
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
    recording : ndarray of `FRAME`, Replay, MatchRecord, Pubkey or path
        See `awm_kit.play.recordings.open_recording`.
    overlay : the same, or Cartridge or Params, optional
        A second trajectory, drawn translucent at the same frames. It may be shorter. A world, or the
        teacher's `Params`, runs under the recording's inputs, at first from its first frame;
        `overlay_from_here` starts it anew.
    world : Cartridge, optional
        The world of a `MatchRecord`.
    names : sequence of str, optional
        What the players are called; by default as the match was saved.
    ledger : Ledger, optional
        Where the match of a key is.
    layout : str
        ``ghost`` draws the overlay behind the players, ``beside`` on a canvas of its own.
    titles : sequence of str, optional
        Of the recording and of the overlay; by default the latter is called after its world.

    Attributes
    ----------
    frames : ndarray of `FRAME`, shape (T,)
    position : int
        Index of the frame on the screen.
    errands : Errands
        What the export buttons do.
    """

    def __init__(
        self,
        recording: Recording,
        overlay: Recording | Physics | None = None,
        world: Cartridge | None = None,
        names: Sequence[str] | None = None,
        ledger: Ledger | None = None,
        layout: Literal["ghost", "beside"] = "ghost",
        titles: tuple[str, str] | None = None,
    ) -> None:
        if layout not in ("ghost", "beside"):
            raise ValueError(f"expected layout ghost or beside (got {layout!r})")
        self.replay = open_recording(recording, world, ledger)
        self.frames = self.replay.frames
        self.physics: Physics | None = None
        self.overlay: np.ndarray | None = None
        if isinstance(overlay, (Cartridge, Params)):
            self.physics, self.overlay = overlay, rerun(overlay, self.replay)
        elif overlay is not None:
            self.overlay = open_recording(overlay, world, ledger).frames
        self.hits, self.knockouts = find_hits(self.frames), find_knockouts(self.frames)
        game, names = game_of(self.replay), names or players_of(self.replay)
        self.view = MatchView(names, game=game)
        self.second: MatchView | None = None
        self.titles: tuple[str, str] = ("", "")
        if self.overlay is not None:
            self.titles = first, other = titles or ("recorded", _title(overlay))
            if layout == "beside":
                self.second = MatchView(names, game=game)
            else:
                self.view.scene.note = f"{first}; translucent: {other}"
        self.loop, self.beat = FrameLoop(self._tick), Beat()
        self.beat.on_slack(self.loop.follow)
        self._at = 0.0
        self._ticks = 0
        self._make_controls()
        anew = [self._anew] if self.physics is not None else []
        buttons = [self._run, *self._steps, self._speed, *anew, self._seconds, *self._exports]
        picture = self.view.widget if self.second is None else _beside([self.view, self.second], self.titles)
        bar = widgets.HBox(buttons, layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([picture, self.beat, self._slider, bar, self._status])
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
            self._skip(before)
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

    def previous_knockout(self) -> None:
        """Go to the lost stock before, or to the start."""
        self._jump(self.knockouts, forward=False)

    def overlay_from_here(self) -> None:
        """Start the overlay's world anew from the frame on the screen.

        Raises
        ------
        ValueError
            If the overlay is a recording, or there is none.
        """
        if self.physics is None:
            raise ValueError("expected an overlay that is a world or Params (got a recording or none)")
        self.overlay = rerun(self.physics, self.replay, start=self.position)
        self._show()

    def to_gif(self, path: Path | str, seconds: float = 10.0) -> Path:
        """Write an animation of what follows the frame on the screen."""
        render_gif(self._film(seconds, scale=0.5), path)
        return Path(path)

    def to_mp4(self, path: Path | str, seconds: float = 10.0) -> Path:
        """Write a film of what follows the frame on the screen; `VideoError` without PyAV."""
        return render_mp4(self._film(seconds, scale=1.0), path)

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
            button("undo", "previous knock-out"),
            button("fast-backward", "previous hit"),
            button("step-backward", "one frame back"),
            button("step-forward", "one frame on"),
            button("fast-forward", "next hit"),
            button("star", "next knock-out"),
        ]
        self._anew = button("crosshairs", "start the overlay anew from here")
        self._anew.on_click(lambda _: self.overlay_from_here())
        self._seconds = widgets.BoundedIntText(
            10, 1, 600, description="seconds", layout=widgets.Layout(width="130px"),
            style={"description_width": "initial"},
        )  # fmt: skip
        self._exports = [widgets.Button(description=kind, icon="download") for kind in ("GIF", "MP4")]
        for item in self._exports:
            item.layout.width = "auto"
            item.on_click(self._export)
        self._status = widgets.HTML()
        self.errands = Errands(self._status, self._exports)
        self._speed = widgets.SelectionSlider(
            options=[(f"{s:g}×", s) for s in SPEEDS], value=1.0, description="speed",
            layout=widgets.Layout(width="240px", margin="2px 2px 2px 14px"),
            style={"description_width": "initial"},
        )  # fmt: skip
        moves = (
            self.previous_knockout, self.previous_hit, self._back, self._on, self.next_hit, self.next_knockout
        )  # fmt: skip
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

    def _film(self, seconds: float, scale: float) -> Film:
        span = slice(self.position, self.position + max(round(seconds * FPS), 1))
        frames, others = self.frames[span], (self.frames[:0] if self.overlay is None else self.overlay[span])
        take = partial(Take, names=self.view.scene.names, game=game_of(self.replay))
        if not len(others):  # an overlay that has ended is no reason to export nothing
            takes = [take(frames)]
        elif self.second is not None:
            takes = [take(frames, self.titles[0]), take(others, self.titles[1])]
        else:
            takes = [take(frames[: len(others)], ghosts=others)]
        return Film(takes, scale, self._tell_progress)

    def _export(self, pressed: widgets.Button) -> None:
        kind, seconds = pressed.description, self._seconds.value
        path = Path(f"replay-{self.position}.{kind.lower()}")
        write = self.to_gif if kind == "GIF" else self.to_mp4

        def work() -> str:
            write(path, seconds)
            return f"<code>{path}</code>, {path.stat().st_size:,} bytes"

        self.errands.run(f"writing {path}", work)

    def _tell_progress(self, share: float) -> None:
        percent = f"{10 * int(10 * share)} %"
        if any(button.disabled for button in self._exports) and percent not in self._status.value:
            self._status.value = f"<i>drawing … {percent}</i>"

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
        at, before = self._at, self.position
        last = len(self.frames) - 1
        self._at = min(self._at + self._speed.value, float(last))
        # Frames that are jumped over still move the camera and raise sparks.
        for index in range(before + 1, self.position):
            self._skip(index)
        if self._at != at and (self.beat.picture_wanted() or self.position == last):
            self._show()
            self.beat.picture_sent()
        elif self.position != before:
            self._skip(self.position)
        self._ticks += 1
        if self._ticks % _SLIDER_EVERY == 0 or self.position == last:
            self._slider.value = self.position
        if self.position == last:
            self.loop.stop()
            self._run.icon = "play"

    def _skip(self, index: int) -> None:
        self.view.skip(self.frames[index])
        if self.second is not None and self.overlay is not None and index < len(self.overlay):
            self.second.skip(self.overlay[index])

    def _show(self) -> None:
        other = None
        if self.overlay is not None and (self.position < len(self.overlay) or self.second is not None):
            other = self.overlay[min(self.position, len(self.overlay) - 1)]
        frame, share = self.frames[self.position], self._at - self.position
        if share:  # in slow motion
            frame = between(frame, self.frames[self.position + 1], share)
        self.view.show(frame, None if self.second is not None else other)
        if self.second is not None and other is not None:
            self.second.show(other)


def _beside(views: Sequence[MatchView], titles: Sequence[str]) -> widgets.HBox:
    half = widgets.Layout(width=f"{100 // len(views)}%")
    columns = [
        widgets.VBox([widgets.HTML(f"<b>{html.escape(title)}</b>"), view.widget], layout=half)
        for view, title in zip(views, titles, strict=True)
    ]
    return widgets.HBox(columns)


def _title(overlay: Recording | Physics | None) -> str:
    if isinstance(overlay, Cartridge):
        return f"{overlay.manifest.name}, learned"
    return "teacher" if isinstance(overlay, Params) else "the other recording"
