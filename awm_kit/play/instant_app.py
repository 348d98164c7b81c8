"""The game of `awm_kit.play.app`, computed in the page and judged in Python."""

from __future__ import annotations

from awm_kit.play.app import PlayApp
from awm_kit.play.app_bar import FRIEND
from awm_kit.play.engines import ENGINES
from awm_kit.play.instant_view import InstantView


class InstantApp(PlayApp):
    """A match that the page shows at once and Python or the chain confirms; ``play(..., instant=True)``."""

    #: The teacher is ordinary code, which pages do not have.
    engines = tuple(name for name in ENGINES if name != "teacher")

    view: InstantView

    def pause(self) -> None:
        """Stop the clock; `start` goes on from the same frame."""
        super().pause()
        # Not before: a tick under way would set it again.
        self.view.running = False

    def _new_view(self) -> InstantView:
        view = InstantView(self.cartridge)
        view.on_error = self._show_error
        return view

    def _begin(self) -> None:
        self.view.running = False
        self.view.oversee(self.match, (0, 1) if self.bar.opponent.value == FRIEND else (0,))

    def _advance(self) -> None:
        self.view.running = not self.match.over
