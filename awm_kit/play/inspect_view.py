"""The inspector as a widget: any frame of a match from inside, and what would happen if it were different."""

from __future__ import annotations

import io
from collections.abc import Mapping
from html import escape

import ipywidgets as widgets
import numpy as np

from awm_kit.play.games import state_name
from awm_kit.play.inspect_plots import heat_image, memory_maps
from awm_kit.play.inspector import Head, Inspection, Inspector
from awm_kit.play.palette import LIVERIES
from awm_kit.play.recordings import Recording
from awm_kit.play.reruns import Physics
from awm_kit.play.view import MatchView
from awm_kit.play.whatif import WhatIf, edit_frame, what_if
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import FIGHTER, N_PLAYERS

LIFT = 0.25
_PLAYERS = [(f"P{i + 1}", i) for i in range(N_PLAYERS)]


class InspectView(widgets.VBox):  # type: ignore[misc]
    """Scrub through a match and look into the world that computes it; nothing runs before a click.

    Parameters
    ----------
    world : Cartridge
    recording : Recording
        See `awm_kit.play.recordings.open_recording`.
    forks : mapping of str to Cartridge or Params, optional
        Other physics that a "what if" may run under, by the name in the menu.

    Attributes
    ----------
    inspector : Inspector
    inspection : Inspection
        Of the frame on the screen.
    edits : dict
        What "what if" will change, as `awm_kit.play.whatif.edit_frame` takes it.
    branch : WhatIf or None
        The last one that was run.
    """

    def __init__(
        self, world: Cartridge, recording: Recording, forks: Mapping[str, Physics] | None = None
    ) -> None:
        self.inspector = Inspector(world, recording)
        self._physics: dict[str, Physics] = {world.manifest.name: world, **(forks or {})}
        self.edits: dict[int, dict[str, float | str]] = {}
        self.branch: WhatIf | None = None
        self._schema = world.manifest.schema
        self.view = MatchView(game=self.inspector.game)
        self._slider = widgets.IntSlider(
            0, 0, len(self.inspector) - 1, description="frame", layout=widgets.Layout(width="98%")
        )
        self._state, self._heads = widgets.HTML(), widgets.HTML()
        self._maps = [widgets.Image(format="png") for _ in range(len(self.inspector.model.layers))]
        self._who = widgets.ToggleButtons(options=_PLAYERS)
        self._who.style.button_width = "auto"
        self._change = widgets.Checkbox(False, description="only what this frame changes", indent=False)
        for control in (self._slider, self._who, self._change):
            control.observe(lambda _: self._refresh(), "value")
        tabs = widgets.Tab([self._state, self._heads, self._memory_page(), self._what_if_page()])
        tabs.titles = ("State", "Heads", "Memory", "What if")
        self.view.widget.layout.max_width = "100%"
        left = widgets.VBox([self.view.widget, self._slider, self._who])
        left.layout.flex, tabs.layout.flex = "1 1 400px", "1 1 560px"  # beside each other where there is room
        both = widgets.HBox([left, tabs], layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([both, self._result])
        self.add_class("awm-play")
        self._refresh()

    def __repr__(self) -> str:
        return f"<InspectView of {self.inspector.world.manifest.name!r}, {len(self.inspector)} frames>"

    def seek(self, index: int) -> None:
        """Show a frame; beyond the ends, the first or the last."""
        self._slider.value = min(max(index, 0), len(self.inspector) - 1)

    def set(self, player: int, field: str, value: float | str) -> None:
        """Have "what if" start with another value of a field; `ValueError` if it may not be."""
        edit_frame(self.inspection.frame, {player: {field: value}}, self._schema)
        self.edits.setdefault(player, {})[field] = value
        self._tell_edits()

    def run_on(self) -> WhatIf:
        """Let the chosen physics run on from the frame on the screen, with the edits; shows both beside."""
        self.branch = what_if(
            self._physics[self._world.value], self.inspector, self._slider.value, self.edits,
            self._lift.value, self._seconds.value * 60,
        )  # fmt: skip
        for old in self._result.children:
            old.loop.stop()
            old.close()
        self._result.children = (self.branch.player(),)
        return self.branch

    def _memory_page(self) -> widgets.VBox:
        lines = [
            widgets.HTML("What the scan of each layer remembers: states (down) of every channel (across).")
        ]
        for index, image in enumerate(self._maps):
            image.layout.width, image.layout.height = "99%", "72px"
            lines.append(widgets.VBox([widgets.Label(f"layer {index}"), image]))
        return widgets.VBox([self._change, *lines])

    def _what_if_page(self) -> widgets.VBox:
        fields = [f.name for f in self._schema.player_fields]
        self._field = widgets.Dropdown(options=fields, value="percent", description="field")
        self._value = widgets.Text("100", description="value", placeholder="a number, or an action's name")
        self._set = widgets.Button(description="Set", icon="pencil")
        self._clear = widgets.Button(description="Clear", icon="eraser")
        self._lift = widgets.FloatSlider(0, min=-LIFT, max=LIFT, step=0.01, description="lift")
        self._lift.disabled = self.inspector.game != FIGHTER.name
        self._world = widgets.Dropdown(options=list(self._physics), description="physics")
        self._seconds = widgets.IntSlider(5, 1, 30, description="seconds")
        self._run = widgets.Button(description="Run on", icon="play", button_style="success")
        self._edited, self._result = widgets.HTML(), widgets.VBox()
        self._set.on_click(lambda _: self._set_clicked())
        self._clear.on_click(lambda _: self._clear_clicked())
        self._run.on_click(lambda _: self.run_on())
        rows = [
            [self._field, self._value, self._set, self._clear],
            [self._lift, self._world],
            [self._seconds, self._run],
        ]
        return widgets.VBox([*map(widgets.HBox, rows), self._edited])

    def _set_clicked(self) -> None:
        text: str = self._value.value.strip()
        try:
            self.set(self._who.value, self._field.value, _number(text))
        except ValueError as error:
            self._edited.value = escape(str(error))

    def _clear_clicked(self) -> None:
        self.edits.clear()
        self._tell_edits()

    def _tell_edits(self) -> None:
        said = (
            f"P{player + 1} {name} = {value}"
            for player, values in self.edits.items()
            for name, value in values.items()
        )
        self._edited.value = escape(", ".join(said))

    def _refresh(self) -> None:
        self.inspection = self.inspector.at(self._slider.value)
        self.view.show(self.inspection.frame)
        player: int = self._who.value
        self._state.value = state_html(self.inspection)
        self._heads.value = heads_html(self.inspection, player)
        if player < self.inspector.model.n_views:
            for image, values in zip(
                self._maps, memory_maps(self.inspection, player, self._change.value), strict=True
            ):
                image.value = _png(heat_image(values.T, 3))


def state_html(inspection: Inspection) -> str:
    """The state table of both players; what the world gets wrong is marked."""
    rows = inspection.table()
    half = len(rows) // N_PLAYERS
    lines = []
    for row, other in zip(rows[:half], rows[half:], strict=True):
        cells = []
        for one in (row, other):
            wrong = one.truth is not None and one.predicted != one.truth
            mark = " style='color:#d55e00;font-weight:bold'" if wrong else ""
            values = (one.now, one.predicted, one.truth)
            now, predicted, truth = (_shown(inspection.game, one.field, value) for value in values)
            cells.append(f"<td>{now}</td><td{mark}>{predicted}</td><td>{truth}</td>")
        lines.append(f"<tr><th>{escape(row.field)}</th>{''.join(cells)}<td>{escape(row.unit)}</td></tr>")
    heads = "".join(f"<th>P{i + 1} now</th><th>predicted</th><th>recorded</th>" for i in range(N_PLAYERS))
    body = f"<tr><th></th>{heads}</tr>{''.join(lines)}"
    return f"<table style='line-height:1.15;font-size:11px;text-align:right'>{body}</table>"


def _shown(game: str, field: str, value: float | None) -> str:
    if value is None:
        return ""
    return escape(state_name(game, int(value))) if field == "action_state" else f"{value:.6g}"


def heads_html(inspection: Inspection, player: int, top: int = 3) -> str:
    """Bars of the likeliest classes of every head of a player."""
    color = "#{:02x}{:02x}{:02x}".format(*LIVERIES[player].main)
    cells = [_head_html(head, color, top) for head in inspection.heads if head.player == player]
    style = "display:grid;grid-template-columns:repeat(3,1fr);gap:4px;font-size:11px"
    return f"<div style='{style}'>{''.join(cells)}</div>"


def _head_html(head: Head, color: str, top: int) -> str:
    bars = "".join(
        f"<div style='background:linear-gradient(90deg,{color}55 {p:.1%},transparent {p:.1%});"
        f"white-space:nowrap;overflow:hidden'>{escape(label)} <small>{p:.1%}</small></div>"
        for label, p in head.top(top)
    )
    title = f"<b>{escape(head.field)}</b> <small>{head.entropy:.2f} bits</small>"
    return f"<div style='line-height:1.25'>{title}{bars}</div>"


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _png(picture: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
