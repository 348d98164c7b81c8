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

    Attributes
    ----------
    error : Exception or None
        Of the last errand.
    """

    def __init__(self, line: widgets.HTML, buttons: Sequence[widgets.Widget] = ()) -> None:
        self._line, self._buttons = line, list(buttons)
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None
        self.error: Exception | None = None

    def run(self, what: str, work: Callable[[], object]) -> None:
        """Begin ``work``, called ``what``; ignored while another errand is under way."""
        if not self._busy.acquire(blocking=False):
            return
        self._line.value = f"<i>{html.escape(what)} …</i>"
        self._thread = threading.Thread(target=self._do, args=(work,), name="awm-errand", daemon=True)
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

    def _do(self, work: Callable[[], object]) -> None:
        was = [button.disabled for button in self._buttons]
        try:
            self.error = None
            for button in self._buttons:
                button.disabled = True
            said = work()
            self._line.value = said if isinstance(said, str) else ""
        except (AwmError, ValueError, OSError) as error:
            self.show(error)
        finally:
            for button, before in zip(self._buttons, was, strict=True):
                button.disabled = before
            self._busy.release()


def error_html(error: Exception) -> str:
    """An error's name and message as one line of HTML."""
    return f"<b style='{_BAD}'>{type(error).__name__}</b> {html.escape(str(error))}"
