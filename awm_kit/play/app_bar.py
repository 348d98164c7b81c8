"""The row of controls under a game: start, rematch, where it is computed, who plays against one, save."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets as widgets

from awm_kit.play.controllers import OPPONENTS
from awm_kit.play.engines import ENGINES

FRIEND = "a friend (same keyboard)"


class Bar(widgets.HBox):  # type: ignore[misc]
    """Controls without consequences; `awm_kit.play.app` says what they do.

    Parameters
    ----------
    engines : sequence of str
        Names of `ENGINES` that the menu has.
    engine, opponent : str
        What the menus say at first.
    """

    def __init__(self, engines: Sequence[str], engine: str, opponent: str) -> None:
        small = widgets.Layout(width="auto")
        self.run = widgets.Button(description="Start", icon="play", button_style="success", layout=small)
        self.again = widgets.Button(description="Rematch", icon="refresh", layout=small)
        self.save = widgets.Button(description="Save match", icon="download", layout=small)
        choices = [(ENGINES[name], name) for name in engines]
        self.engine = widgets.Dropdown(options=choices, value=engine, layout=small)
        self.opponent = widgets.Dropdown(options=[*OPPONENTS, FRIEND], value=opponent, layout=small)
        super().__init__(
            [self.run, self.again, self.engine, self.opponent, self.save],
            layout=widgets.Layout(flex_flow="row wrap"),
        )

    def on_change(self, changed: Callable[[], object]) -> None:
        """Call back when a menu says something else."""
        for menu in (self.engine, self.opponent):
            menu.observe(lambda _: changed(), "value")

    def offer_pause(self, running: bool) -> None:
        """Let the first button say what a click on it does."""
        self.run.description, self.run.icon = ("Pause", "pause") if running else ("Start", "play")
