"""Pictures in step with the pages that show them: not more than they can paint, and between two refreshes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget

from awm_kit.play.pad import take_messages_on_the_senders_thread

#: A beat goes out every so many pictures; three unanswered ones mean that
#: pages are 8 to 12 pictures late. After PATIENCE seconds there may be no page at all.
BEAT_EVERY, MAX_BEATS_WAITING, PATIENCE = 4, 3, 1.0


class Backlog:
    """Whether pages keep up with the pictures: a beat is sent now and then, and every page answers it.

    A page that cannot draw 60 pictures a second would fall further and further behind; skipping
    pictures while beats are unanswered bounds the delay.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent = self._answered = 0
        self._last_sent = 0.0

    def beat(self) -> int:
        """The number of the next beat to send."""
        self._sent += 1
        self._last_sent = self._clock()
        return self._sent

    def answer(self, number: int) -> None:
        """A page has drawn everything up to a beat."""
        self._answered = max(self._answered, min(number, self._sent))

    @property
    def behind(self) -> bool:
        """Whether to skip a picture. Without any answer for a second there may be no page: then never."""
        waiting = self._sent - self._answered >= MAX_BEATS_WAITING
        return waiting and self._clock() - self._last_sent < PATIENCE


class Beat(anywidget.AnyWidget):
    """An invisible widget to put beside a canvas whose pictures a loop draws."""

    _esm = Path(__file__).with_name("beat.js")

    def __init__(self) -> None:
        super().__init__()
        self._backlog = Backlog()
        self._pictures = 0
        self._on_slack: list[Callable[[float, float], object]] = []
        self.on_msg(self._receive)
        take_messages_on_the_senders_thread(self)

    def __repr__(self) -> str:
        return f"<Beat after {self._pictures} pictures>"

    def on_slack(self, callback: Callable[[float, float], object]) -> None:
        """Call back a few times a second with how long before a refresh of the page pictures reach it.

        The callback is given that time and the one between refreshes, in milliseconds.
        """
        self._on_slack.append(callback)

    def picture_wanted(self) -> bool:
        """Whether to send the next picture; False while pages have yet to draw earlier ones."""
        return not self._backlog.behind

    def picture_sent(self) -> None:
        """Count a picture that was sent; has pages tell, now and then, when they got so far."""
        self._pictures += 1
        if self._pictures % BEAT_EVERY == 0:
            self.send({"beat": self._backlog.beat()})

    def _receive(self, _: object, content: dict[str, Any], buffers: list[Any]) -> None:
        if "beat" in content:
            self._backlog.answer(int(content["beat"]))
            for hear in self._on_slack:
                hear(float(content.get("slack", -1)), float(content.get("refresh", 0)))
