"""The match that a seat belongs to, on a canvas: what came is drawn, what is pressed goes out."""

from __future__ import annotations

import contextlib
import html
import time
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
import numpy as np

from awm_kit.chain.accounts import Phase
from awm_kit.chain.witness import Witness
from awm_kit.errors import LedgerError
from awm_kit.play.beat import Beat
from awm_kit.play.controllers import Controller, KeyboardMap
from awm_kit.play.games import WORDS
from awm_kit.play.instant_view import InstantView
from awm_kit.play.keymap import seated
from awm_kit.play.loop import FrameLoop
from awm_kit.play.pad import Pad
from awm_kit.play.relay import Relay
from awm_kit.play.seat import Seat, is_over
from awm_kit.play.view import MatchView
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import CONTROLLER, N_PLAYERS

STATUS_SECONDS = 0.5
#: How long a picture may stand before it is looked up whether the match still goes on.
DOUBT_SECONDS = 0.5
COUNTDOWN_FRAMES = 90


class Bout(widgets.VBox):  # type: ignore[misc]
    """Canvas, controller and status of a running match.

    Parameters
    ----------
    seat : Seat
    names : sequence of str
        What the players are called.
    on_over : callable
        Called once, in the loop's thread, when the match has ended.
    on_error : callable
        Called with what stopped the loop.
    scripts : mapping of int to Controller
        Who presses for players of this seat instead of the person.
    keyboard : KeyboardMap, optional
        Instead of the saved keys.
    world : Cartridge, optional
        The match's world: with it the page computes the match itself, ahead of what comes, and takes back
        what came otherwise. Spectators have no keys to be ahead with: they see what comes.
    """

    def __init__(
        self,
        seat: Seat,
        names: Sequence[str],
        on_over: Callable[[], object],
        on_error: Callable[[Exception], object],
        scripts: Mapping[int, Controller] | None = None,
        keyboard: KeyboardMap | None = None,
        world: Cartridge | None = None,
    ) -> None:
        self.seat, self._on_over = seat, on_over
        keys, gamepad = seated(seat.player or 0)
        self.pad = Pad(keyboard or keys, WORDS.get(seat.game))
        self.pad.remap_gamepad(gamepad)
        self._controllers = {player: self.pad.controller(player) for player in seat.session.players}
        self._controllers.update(scripts or {})
        self.relay: Relay | None = None
        self.view: MatchView | InstantView = MatchView(names, game=seat.game)
        if world is not None and seat.player is not None:
            self._look_ahead(world, names, seat.player)
        self._on_error = on_error
        self.loop = FrameLoop(self._tick, on_error=self._failed)
        self.pad.on_click(self._resume)
        self.beat = Beat()
        self.beat.on_slack(self.loop.follow)
        self._over = False
        self._shown = seat.session.frame
        self._countdown = COUNTDOWN_FRAMES if seat.session.crank is not None and not self.frames else 0
        self._came = self._told = 0.0
        self._status = widgets.HTML()
        shown = [self.view.widget, self.beat, *([self.pad] if seat.player is not None else []), self._status]
        super().__init__(shown)
        self.add_class("awm-play")
        self._banner("3" if self._countdown else "")

    def __repr__(self) -> str:
        return f"<Bout of {self.seat}, frame {self.frames}>"

    @property
    def frames(self) -> int:
        """Number of the newest frame."""
        return int(self._shown["frame"])

    def start(self) -> None:
        """Go on playing or watching."""
        self._over, self._came = False, time.monotonic()
        self.loop.start()

    def stop(self) -> None:
        """Stop, until `start`; the host's stopping stops the match for everybody."""
        self._over = True
        self.loop.stop()

    def _look_ahead(self, world: Cartridge, names: Sequence[str], player: int) -> None:
        """Have the page compute the match."""
        relay = self.relay = Relay(Witness(self.seat.session, world), [player])
        self.view = view = InstantView(world)
        view.names, view.on_error = list(names), self._failed
        view.follow(relay)
        self._controllers[player] = lambda frame: relay.press()[player]

    def _resume(self) -> None:
        if not self.loop.running and not self._over:
            self.start()

    def _failed(self, error: Exception) -> None:
        self._banner("STOPPED: CLICK TO TRY AGAIN")
        self._on_error(error)

    def _tick(self) -> None:
        if self._countdown > 0:
            self._countdown -= 1
            if self._countdown % (COUNTDOWN_FRAMES // 3) == 0:
                self._banner(str(self._countdown * 3 // COUNTDOWN_FRAMES or ""))
            return
        frame = self._next()
        if frame is None or is_over(frame):
            self._over = True
            self.loop.stop()
            self.conclude()
            self._on_over()
        elif time.monotonic() - self._told > STATUS_SECONDS:
            self._tell()

    def _next(self) -> np.ndarray | None:
        """The frame now shown; None if the match has ended without another one."""
        if isinstance(self.view, InstantView) and not self.view.running:
            # A guest's page waits for the host's first frame.
            self.view.running = self.seat.session.crank is not None or self.frames > 0
        inputs = np.zeros(N_PLAYERS, CONTROLLER)
        for player, controller in self._controllers.items():
            inputs[player] = controller(self._shown)
        try:
            frame = self.seat.step(inputs)
        except LedgerError:
            if self._ended():
                return None
            raise
        if int(frame["frame"]) > self.frames:
            self._came, self._shown = time.monotonic(), frame
            self.view.scene.banner = ""
            self._draw(frame)
        elif time.monotonic() - self._came > DOUBT_SECONDS:
            if self._ended():
                return None
            self._came = time.monotonic()
            self._banner("WAITING FOR THE HOST" if self.frames else "GET READY")
        return frame

    def _banner(self, text: str) -> None:
        self.view.scene.banner = text
        self.view.show(self._shown)

    def conclude(self) -> None:
        """Show the last frame, whatever a page has guessed beyond it; the match must be over."""
        if isinstance(self.view, InstantView) and self.relay is not None:
            # The accounts may be closed already: then the frame before has to do.
            with contextlib.suppress(LedgerError):
                self.view.tell(self.relay.news)
                last, doubt = int(self.seat.look().frame["frame"]), time.monotonic() + DOUBT_SECONDS
                # What a subscription tells is a little behind what can be read.
                while self.relay.witness.number < last and time.monotonic() < doubt:
                    time.sleep(0.01)
                    self.view.tell(self.relay.news)
            self.view.conclude()

    def _draw(self, frame: np.ndarray) -> None:
        if isinstance(self.view, InstantView) and self.relay is not None:
            self.view.tell(self.relay.news)
            return
        if self.beat.picture_wanted() or is_over(frame):
            self.view.show(frame)
            self.beat.picture_sent()
        else:
            self.view.skip(frame)

    def _ended(self) -> bool:
        """Whether the match is over; also if it was closed meanwhile."""
        try:
            return self.seat.look().phase == Phase.ENDED
        except LedgerError:
            return self.seat.has_result()

    def _tell(self) -> None:
        self._told = time.monotonic()
        stats, session = self.loop.stats(), self.seat.session
        told = [session.name, f"frame {self.frames}", f"{stats.fps:.0f} fps"]
        if session.crank is not None:
            told.append("this kernel runs the frames")
        if isinstance(self.view, InstantView) and self.relay is not None:
            told.append(
                f"guessed wrong {self.view.rollbacks} times, keys arrive {self.relay.delay} frames late"
            )
        self._status.value = " · ".join(html.escape(part) for part in told)
