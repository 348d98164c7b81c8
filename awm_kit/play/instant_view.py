"""A view that computes the match in the page, a picture after each key, and asks Python what is true."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import anywidget
import numpy as np
import traitlets

from awm_kit.errors import InputBatchError
from awm_kit.play.instant import BATCH, Judge, Referee, Ruling, hidden_state
from awm_kit.play.match import Match
from awm_kit.play.pad import take_messages_on_the_senders_thread
from awm_kit.play.web.build import OUTPUT
from awm_kit.play.web.bundle import bundle
from awm_kit.play.web.tables import page_tables
from awm_kit.quant.cartridge import Cartridge

_SCRIPTS = (
    "kernel", "sha256", "records", "clock", "rollback", "pads", "paint", "skeleton", "fighter", "stage",
    "hud", "scene", "table", "instant",
)  # fmt: skip


class InstantView(anywidget.AnyWidget):
    """Shows a match like `awm_kit.play.view.MatchView`, but the page is ahead of it.

    One page steers, the one that was clicked last; others follow what has been confirmed.

    Parameters
    ----------
    cartridge : Cartridge
        The world; pages get a copy when they open.

    Attributes
    ----------
    running : bool
        Whether time passes.
    names, banner, note : list of str, str, str
        As of `awm_kit.play.scene.Scene`.
    driver : int
        The page that steers; 0 before any does.
    refused : list of str
        Why batches were refused, those of a page that was just told to begin anew aside.
    rollbacks : int
        How often the page that steers guessed wrong, by its own account.
    on_error : callable or None
        Given what the engine raises, in the thread that steps the match.
    """

    _esm = bundle(_SCRIPTS) + "\n\nexport default { render: instant_js.render };\n"

    running = traitlets.Bool(False).tag(sync=True)
    names = traitlets.List(traitlets.Unicode(), ["P1", "P2"]).tag(sync=True)
    banner = traitlets.Unicode("").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    driver = traitlets.Int(0).tag(sync=True)

    def __init__(self, cartridge: Cartridge) -> None:
        super().__init__()
        self.cartridge = cartridge
        self.refused: list[str] = []
        self.on_error: Callable[[Exception], object] | None = None
        self._referee: Judge | None = None
        self.rollbacks = 0
        self._epoch = 0
        self._lock = threading.RLock()
        # One thread, so that batches are played in order while whoever delivers them goes on.
        self._judge = ThreadPoolExecutor(1, thread_name_prefix="awm-referee")
        self.on_msg(self._receive)
        take_messages_on_the_senders_thread(self)

    def __repr__(self) -> str:
        return f"<InstantView of {self.cartridge.manifest.name!r}>"

    @property
    def scene(self) -> InstantView:
        """What has names and banner: here the view itself."""
        return self

    @property
    def widget(self) -> InstantView:
        """What to display."""
        return self

    def show(self, frame: np.ndarray, ghost: np.ndarray | None = None) -> None:
        """Nothing: pages draw what they compute."""

    def skip(self, frame: np.ndarray) -> None:
        """Nothing, as `show`."""

    def oversee(self, match: Match, people: Sequence[int]) -> None:
        """Referee a match from now on; every page begins with its current frame.

        Parameters
        ----------
        people : sequence of int
            Players who sit at the page.

        Raises
        ------
        ValueError
            If the match's engine plays no world.
        """
        hidden_state(match.engine)
        self.follow(Referee(match, people, self._epoch))

    def follow(self, judge: Judge) -> None:
        """Show a match of which somebody else knows what is true; every page begins where it stands."""
        with self._lock:
            self._referee = judge
            self._begin()

    def tell(self, news: Callable[[], Ruling | None]) -> None:
        """Tell pages what has become of a match that goes on without them.

        Parameters
        ----------
        news : callable
            Gives it; called while no page can begin anew.
        """
        with self._lock:
            ruling = news()
            if ruling is not None:
                self._confirm(ruling)

    def conclude(self) -> None:
        """No more frames: pages show the last one that was told, not what they guessed beyond it."""
        self.running = False
        self._do(self._begin)

    def settle(self, timeout: float = 10.0) -> None:
        """Wait until everything that has arrived is played."""
        self._judge.submit(lambda: None).result(timeout)

    def _receive(self, _: object, content: dict[str, Any], buffers: list[Any]) -> None:
        if "batch" in content and buffers:
            self.rollbacks = int(content.get("rollbacks", 0))
            self._do(partial(self._play, bytes(buffers[0])))
        if "take" in content:
            self.driver = int(content["take"])
        if "hello" in content:
            self._do(self._welcome)
        if "lost" in content:
            self._do(self._begin)

    def _do(self, work: Callable[[], object]) -> None:
        """Do something in the referee's thread, and stop the match if it fails."""
        self._judge.submit(work).add_done_callback(self._look_at)

    def _look_at(self, done: Future[object]) -> None:
        error = done.exception()
        if isinstance(error, Exception):
            self.running = False
            if self.on_error is not None:
                self.on_error(error)

    def _play(self, message: bytes) -> None:
        with self._lock:
            referee = self._referee
            if referee is None or len(message) < BATCH.itemsize:
                return
            header = np.frombuffer(message, BATCH, 1)[0]
            if int(header["client"]) != self.driver or int(header["epoch"]) != self._epoch:
                return
            try:
                ruling = referee.judge(message)
            except InputBatchError as error:
                self.refused.append(str(error))
                self._begin()
                return
            if ruling is not None:
                self._confirm(ruling)

    def _confirm(self, ruling: Ruling) -> None:
        order: dict[str, Any] = {"confirm": self._epoch, "first": ruling.first, "hash": ruling.state_hash}
        if ruling.margin is not None:
            order["margin"] = ruling.margin
        self.send(order, [ruling.records])

    def _welcome(self) -> None:
        cartridge = self.cartridge
        order = {"world": cartridge.world_hash, "tables": page_tables(cartridge.manifest.schema)}
        self.send(order, [OUTPUT.read_bytes(), cartridge.manifest_bytes, *cartridge.shards])
        self._begin()

    def _begin(self) -> None:
        """Tell every page where the match stands; what was under way from before does not count."""
        with self._lock:
            if self._referee is None:
                return
            judge = self._referee
            self._epoch += 1
            judge.epoch = self._epoch
            number, frame, state = judge.standing()
            order = {"begin": self._epoch, "number": number, "players": judge.people, "live": judge.live}
            self.send(order, [frame, state])
