"""One slow thing at a time, done beside the notebook: buttons wait, a line says how it goes."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Sequence

import ipywidgets as widgets

from awm_kit.errors import AwmError

_BAD = "color:#d55e00"


class Errands:
    """Runs what a click asks for in a thread of its own, and shows its failure by name.

    Parameters
    ----------
    line : HTML
        Where to say what is going on.
    buttons : sequence of widgets
        Disabled meanwhile.
    after : callable, optional
        Called after every errand, e.g. to disable buttons that make no sense any more.

    Attributes
    ----------
    error : Exception or None
        Of the last errand.
    """

    def __init__(
        self,
        line: widgets.HTML,
        buttons: Sequence[widgets.Widget] = (),
        after: Callable[[], object] | None = None,
    ) -> None:
        self._line, self._buttons, self._after = line, list(buttons), after
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None
        self.error: Exception | None = None

    def run(self, what: str, work: Callable[[], object], queue: bool = False) -> None:
        """Begin ``work``, called ``what``, in a thread.

        While another errand is under way it is ignored, as a second click should be; or it waits, with
        ``queue``. A string that it returns is shown as HTML.
        """
        if not queue and self._busy.locked():
            return
        self._thread = threading.Thread(target=self._do, args=(what, work), name="awm-errand", daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> None:
        """Until the errand under way, if any, is done; `TimeoutError` if that takes longer."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise TimeoutError(f"the errand is not done after {timeout:g} s")

    def show(self, error: Exception) -> None:
        """Say what went wrong."""
        self.error = error
        self._line.value = error_html(error)

    def _do(self, what: str, work: Callable[[], object]) -> None:
        with self._busy:
            self.error = None
            self._line.value = f"<i>{html.escape(what)} …</i>"
            for button in self._buttons:
                button.disabled = True
            try:
                said = work()
                self._line.value = said if isinstance(said, str) else ""
            except (AwmError, ValueError, OSError) as error:
                self.show(error)
            finally:
                for button in self._buttons:
                    button.disabled = False
                if self._after is not None:
                    self._after()


def error_html(error: Exception) -> str:
    """An error's name and message as one line of HTML."""
    return f"<b style='{_BAD}'>{type(error).__name__}</b> {html.escape(str(error))}"
