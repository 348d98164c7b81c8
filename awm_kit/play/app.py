"""The game in a notebook: canvas, controller, menus and status in one widget.

Nothing blocks and nothing runs before somebody clicks, so a notebook that shows it also runs
without a browser.
"""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from solders.keypair import Keypair

from awm_kit.chain.ledger import Ledger
from awm_kit.chain.match_record import MatchRecord
from awm_kit.chain.results import MatchResult
from awm_kit.chain.rollup_session import RollupSession
from awm_kit.chain.session import ChainSession
from awm_kit.chain.worlds import World
from awm_kit.errors import AwmError
from awm_kit.play import nodelay
from awm_kit.play.app_bar import FRIEND, Bar
from awm_kit.play.beat import Beat
from awm_kit.play.cards import CSS
from awm_kit.play.controllers import OPPONENTS, Controller, KeyboardMap
from awm_kit.play.engine import Engine, TeacherEngine, name_of
from awm_kit.play.engines import (
    ENGINES,
    make_engine,
    open_cartridge,
    place_of,
    release,
    settle,
    start_frame,
)
from awm_kit.play.errand import Errands
from awm_kit.play.games import WORDS, script
from awm_kit.play.keymap_menu import KeyMenu
from awm_kit.play.loop import FrameLoop
from awm_kit.play.match import Match
from awm_kit.play.pad import Pad
from awm_kit.play.places import Place
from awm_kit.play.result_card import YOU, frame_html, result_html
from awm_kit.play.view import MatchView, View
from awm_kit.quant.cartridge import Cartridge
from awm_kit.wording import counted

COUNTDOWN_FRAMES = 90
STATUS_SECONDS = 0.5


class PlayApp(widgets.VBox):  # type: ignore[misc]
    """A match that people and scripts play; made by `play`.

    Parameters
    ----------
    cartridge : Cartridge
        The world, for saving and verifying matches.
    new_engine : callable
        Makes the engine of a menu entry from a start frame.
    engine, opponent : str
        First choices of the menus.
    start : callable
        Gives a start frame for a seed.
    seed : int
        Of the first match; each rematch takes the next.
    keyboard : KeyboardMap, optional
        Instead of the built-in keys.
    settle : callable, optional
        Brings an engine's match home when it is over or given up; returns what a ledger keeps of it.

    Attributes
    ----------
    match : Match
        The match on the screen.
    result : MatchResult or None
        What a ledger keeps of it, once it is over.
    view : View
    bar : Bar
    pad : Pad
    loop : FrameLoop
    """

    #: Names of those in the menu.
    engines = tuple(ENGINES)

    match: Match

    def __init__(
        self,
        cartridge: Cartridge,
        new_engine: Callable[[str, np.ndarray], Engine],
        engine: str,
        opponent: str,
        start: Callable[[int], np.ndarray],
        seed: int = 0,
        keyboard: KeyboardMap | None = None,
        settle: Callable[[Engine], MatchResult | None] = lambda engine: None,
    ) -> None:
        self._settle = settle
        self.result: MatchResult | None = None
        self._home: Engine | None = None
        self.cartridge, self._new_engine, self._start_frame, self.seed = cartridge, new_engine, start, seed
        self.keyboard = keyboard
        self._change = threading.RLock()
        self._countdown = 0
        self._told = 0.0
        self.view = self._new_view()
        self.beat = Beat()
        self.pad = Pad(words=WORDS.get(self.game))
        self.key_menu = KeyMenu(self._use_keys, gamepad_chosen=self.pad.remap_gamepad)
        self.loop = FrameLoop(self._tick, on_error=self._show_error)
        self._status, self._line, self._card = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.bar = Bar(self.engines, engine, opponent)
        self.errands = Errands(self._line)
        self.rematch(advance_seed=False)
        self.pad.on_click(self._clicked)
        self.bar.run.on_click(lambda _: self.pause() if self.loop.running else self.start())
        self.bar.again.on_click(lambda _: self.rematch())
        self.bar.save.on_click(lambda _: self._save_clicked())
        self.bar.on_change(lambda: self.rematch(advance_seed=False))
        self._keep_step()
        card = [widgets.HTML(CSS), self._line, self._card]
        keys = [] if keyboard else [widgets.Accordion([self.key_menu], titles=("Keys and gamepad",))]
        super().__init__([self.view.widget, self.beat, self.bar, self.pad, self._status, *card, *keys])
        self.add_class("awm-play")

    def __repr__(self) -> str:
        return f"<PlayApp {' against '.join(self.view.scene.names)} on {name_of(self.match.engine)}>"

    @property
    def game(self) -> str:
        """Name of the world's schema."""
        return str(self.cartridge.manifest.schema.name)

    def start(self) -> None:
        """Play, after a countdown if the match has not begun."""
        with self._change:
            if self.match.over:
                self.rematch()
            if self.match.n_frames == 0:
                self._countdown = COUNTDOWN_FRAMES
            self.view.scene.banner = ""
            self.loop.start()
            self.bar.offer_pause(True)

    def pause(self) -> None:
        """Stop the clock; `start` goes on from the same frame."""
        self.loop.stop()
        self.bar.offer_pause(False)
        self._show_banner("PAUSED")

    def rematch(self, advance_seed: bool = True) -> None:
        """A new match with what the menus say; it waits for `start`."""
        with self._change:
            self.loop.stop()
            self.seed += advance_seed
            try:
                engine = self._new_engine(self.bar.engine.value, self._start_frame(self.seed))
            except (AwmError, ValueError) as error:
                if not hasattr(self, "match"):
                    raise
                self._show_error(error)
                return
            before = getattr(self, "match", None)
            self.match, self.result, self._card.value = Match(engine, self._seats()), None, ""
            if before is not None:
                self._put_away(before.engine)
            self.view.scene.names = self._names()
            self.bar.offer_pause(False)
            self._begin()
            self._show_banner("CLICK TO PLAY")
            self._tell()

    def record(self) -> MatchRecord:
        """The match so far, for saving and verifying."""
        return self.match.record(self.cartridge, players=list(self.view.scene.names), seed=self.seed)

    def save(self, path: Path | str) -> Path:
        """Write the match so far as an ``.awmatch`` file."""
        return self.record().save(path)

    def _seats(self) -> list[Controller]:
        friend = self.bar.opponent.value == FRIEND
        self.key_menu.show("shared" if friend else "solo")
        if friend:
            return [self.pad.controller(0), self.pad.controller(1)]
        return [self.pad.controller(0), script(self.game, self.bar.opponent.value, 1, self.seed)]

    def _use_keys(self, chosen: KeyboardMap) -> None:
        self.pad.remap(self.keyboard or chosen)

    def _names(self) -> tuple[str, str]:
        return ("P1", "P2") if self.bar.opponent.value == FRIEND else (YOU, self.bar.opponent.value.upper())

    def _clicked(self) -> None:
        if not self.loop.running and not self.match.over:
            self.start()

    def _tick(self) -> None:
        if self._countdown > 0:
            self._countdown -= 1
            count = -(-self._countdown * 3 // COUNTDOWN_FRAMES)
            self._show_banner(str(count) if count else "")
        else:
            self._advance()
        if self.match.over:
            self.loop.stop()
            self.bar.offer_pause(False)
            self.errands.run("reading the result", partial(self._conclude, self.match), queue=True)
        if self.match.over or time.monotonic() - self._told > STATUS_SECONDS:
            self._tell()

    def _conclude(self, match: Match) -> None:
        """Bring a match that is over home, and show how it ended."""
        names, state, verdict = self.view.scene.names, match.engine.state_hash(), ""
        if not isinstance(match.engine, TeacherEngine):
            same = match.record(self.cartridge).state_hash == state
            verdict = "re-simulated natively: " + ("the same last bit" if same else "ANOTHER END")
        result, self._home = self._settle(match.engine), match.engine
        if match is not self.match:
            return
        self.result = result
        if result is None:
            self._card.value = frame_html(match.frame, names, state, verdict, self.game)
        else:
            self._card.value = result_html(result, names, verdict=verdict, game=self.game)

    def _put_away(self, engine: Engine) -> None:
        """Give up an engine's match; one that a ledger keeps is closed there, which takes a moment."""

        def close() -> None:
            if self._home is not engine:
                self._settle(engine)
            release(engine)

        if isinstance(engine, ChainSession):
            self.errands.run("closing the match before", close, queue=True)

    def _new_view(self) -> View:
        return MatchView(game=self.game)

    def _keep_step(self) -> None:
        """Have pictures come when the page wants them."""
        self.beat.on_slack(self.loop.follow)

    def _begin(self) -> None:
        """Called with every new match, for those who drive it in another way."""

    def _advance(self) -> None:
        frame = self.match.step()
        if self.beat.picture_wanted() or self.match.over:
            self.view.show(frame)
            self.beat.picture_sent()
        else:
            self.view.skip(frame)

    def _show_banner(self, text: str) -> None:
        self.view.scene.banner = text
        self.view.show(self.match.frame)

    def _show_error(self, error: Exception) -> None:
        self.bar.offer_pause(False)
        self._told = time.monotonic()
        text = html.escape(f"{type(error).__name__}: {error}")
        self._status.value = f"<b style='color:#d55e00'>stopped</b> {text}"
        if hasattr(self, "match"):
            self._show_banner("STOPPED: SEE BELOW")

    def _tell(self) -> None:
        self._told = time.monotonic()
        stats = self.loop.stats()
        facts = [self.cartridge.manifest.name, name_of(self.match.engine), f"frame {self.match.n_frames}"]
        if stats.fps:
            facts += [
                f"{stats.fps:.0f} fps",
                f"{stats.cost_ms:.1f} ms a frame",
                f"{stats.cpu_share:.0%} of a core",
            ]
        if isinstance(self.match.engine, ChainSession) and self.match.n_frames:
            spent = self.match.engine
            facts.append(
                f"{spent.cu_per_frame / 1e6:.2f}M CU in {counted(spent.tx_per_frame, 'transaction')} a frame"
            )
        note = "" if nodelay.is_active() else f"<br><small>{html.escape(nodelay.NOTE)}</small>"
        self._status.value = " · ".join(html.escape(fact) for fact in facts) + note

    def _save_clicked(self) -> None:
        path = Path(f"match-{self.cartridge.manifest.name}-{self.seed}.awmatch")
        try:
            self.save(path)
        except (AwmError, OSError) as error:
            self._show_error(error)
            return
        self._line.value = f"saved {self.match.n_frames} frames as <code>{html.escape(str(path))}</code>"


def play(
    world: World | Cartridge | str | None = None,
    engine: str = "native",
    opponent: str | None = "balanced",
    characters: tuple[int, int] | None = None,
    stage: int | None = None,
    seed: int = 0,
    ledger: Place | Ledger | str | None = None,
    time_limit: int | None = None,
    keyboard: KeyboardMap | None = None,
    instant: bool = False,
    smooth: bool = False,
    wallet: Keypair | None = None,
) -> PlayApp:
    """Play a world in the notebook.

    Parameters
    ----------
    world : World, Cartridge or str, optional
        A deployed world, a cartridge, the name of a shipped world or the path of a file; the shipped
        ``scuffle`` by default.
    engine : str
        Where frames are computed at first, one of `awm_kit.play.engines.ENGINES`; a menu changes it.
    opponent : str, optional
        Who plays against you, one of `awm_kit.play.controllers.OPPONENTS`; None is a second
        person on the same keyboard.
    characters : tuple of int
        Melee internal character ids; by default the game's own choice.
    stage : int, optional
        Melee stage id; by default the world's own.
    seed : int
        Start positions and the opponent's moods; the same seed and keys give the same match.
    ledger : Place, Ledger or str, optional
        Where ``chain`` and ``rollup`` play: a ledger, ``"embedded"``, ``"localnet"``, the URL of a cluster,
        or the URLs of a cluster and a rollup with a comma between. By default ``chain`` plays on an
        embedded ledger and ``rollup`` on the local network.
    time_limit : int, optional
        Frames, 0 for none; by default the world's own.
    keyboard : KeyboardMap, optional
        Other keys than the built-in ones and those chosen in the menu below the game.
    instant : bool
        The page computes and draws the match itself, a picture after each key, ahead of the engine,
        which still decides: what differs is taken back. Not with the ``teacher`` engine.
    smooth : bool
        Draw between frames, one frame late: for engines that do not keep 60 frames a second.
    wallet : Keypair, optional
        Pays on a ledger that gives no airdrop.

    Returns
    -------
    PlayApp
        Shown when it is the last value of a cell.

    Raises
    ------
    ModelFileError
        If there is no such world.
    ValueError
        If there is no such engine or opponent.
    LedgerError, ValidatorError
        If ``engine`` is ``chain`` or ``rollup`` and there is none at ``ledger``; see `make_engine`.
    """
    chosen = FRIEND if opponent is None else opponent
    if engine not in ENGINES:
        raise ValueError(f"expected an engine of {list(ENGINES)} (got {engine!r})")
    if chosen not in (*OPPONENTS, FRIEND):
        raise ValueError(f"expected an opponent of {list(OPPONENTS)} or None (got {opponent!r})")
    cartridge = open_cartridge(world)

    def start(number: int) -> np.ndarray:
        frame = start_frame(cartridge, number)
        if characters is not None:
            frame["players"]["character"] = characters
        if stage is not None:
            frame["stage"] = stage
        if time_limit is not None:
            frame["time_limit"] = time_limit
        return frame

    @cache
    def place(name: str) -> Place | None:
        return place_of(name, ledger)

    def bring_home(played: Engine) -> MatchResult | None:
        if not isinstance(played, ChainSession):
            return None
        return settle(played, place("rollup" if isinstance(played, RollupSession) else "chain"))

    def new_engine(name: str, frame: np.ndarray) -> Engine:
        return make_engine(name, cartridge, frame, place(name), wallet)

    if instant:
        from awm_kit.play.instant_app import InstantApp

        if engine == "teacher":
            raise ValueError("expected an engine that plays a world (got 'teacher')")
        return InstantApp(cartridge, new_engine, engine, chosen, start, seed, keyboard, bring_home)
    if smooth:
        from awm_kit.play.smooth import SmoothApp

        return SmoothApp(cartridge, new_engine, engine, chosen, start, seed, keyboard, bring_home)
    return PlayApp(cartridge, new_engine, engine, chosen, start, seed, keyboard, bring_home)
