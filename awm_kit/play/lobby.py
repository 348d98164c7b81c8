"""The arcade's lobby in a notebook: open a match, invite somebody, join one, play it, see the result.

What a button does, a method does too; methods raise, buttons show the error by its name.
"""

from __future__ import annotations

import html
import secrets
from collections.abc import Callable

import ipywidgets as widgets
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain.accounts import Phase
from awm_kit.chain.instructions import KEEP_CHARACTER
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, Ledger
from awm_kit.chain.replays import publish_replay, verify_match
from awm_kit.chain.results import MatchResult
from awm_kit.chain.verify import VerifyReport, check_result, verify
from awm_kit.chain.worlds import World
from awm_kit.errors import LedgerError
from awm_kit.play.bout import Bout
from awm_kit.play.cards import CSS
from awm_kit.play.controllers import Controller, KeyboardMap
from awm_kit.play.errand import Errands
from awm_kit.play.games import game_of, script
from awm_kit.play.lobby_invite import Invitation, InviteCard
from awm_kit.play.lobby_pages import Desk, Room, Score
from awm_kit.play.lobby_worlds import Choice, first_frame, offer_worlds, open_choice
from awm_kit.play.loop import FrameLoop
from awm_kit.play.places import Place, open_place
from awm_kit.play.result_card import YOU, result_html
from awm_kit.play.seat import Seat
from awm_kit.play.table import TableState, read_table, seat_script
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import FIGHTER

#: How often the room looks who has come, a second.
LOOKS = 4
_GUEST_FUNDS = LAMPORTS_PER_SOL // 10


class Lobby(widgets.VBox):  # type: ignore[misc]
    """Two people, one match, wherever they are.

    Parameters
    ----------
    place : Place, Ledger or str, optional
        As `awm_kit.play.places.open_place` takes it.
    world : World, Cartridge or str, optional
        What is played first in the menu: a world on the place's ledger, or one to be deployed there.
    wallet : Keypair, optional
        Pays for matches that are opened; by default a new one, filled by airdrop where the chain gives any.
    keyboard : KeyboardMap, optional
        Instead of the built-in keys.
    instant : bool
        The page computes and draws the match itself, ahead of the ledger, whose frames decide: what it
        guessed wrong is taken back.

    Attributes
    ----------
    place : Place
        Where the present match is; an invitation may lead to another one.
    seat : Seat or None
    table : TableState or None
        As last seen.
    bout : Bout or None
        The match on the screen.
    result : MatchResult or None
        Of the match before.
    errands : Errands
        What the buttons do.
    """

    def __init__(
        self,
        place: Place | Ledger | str | None = None,
        world: World | Cartridge | str | None = None,
        wallet: Keypair | None = None,
        keyboard: KeyboardMap | None = None,
        instant: bool = False,
    ) -> None:
        self.place, self._keyboard, self._instant = open_place(place), keyboard, instant
        self.wallet, self._own_wallet = wallet or Keypair(), wallet is not None
        self.seat: Seat | None = None
        self.table: TableState | None = None
        self.bout: Bout | None = None
        self.result: MatchResult | None = None
        self._scripts: dict[int, Controller] = {}
        self._style = ""
        self.invite = InviteCard()
        self.desk, self.room, self.score = Desk(self.invite), Room(self.invite), Score()
        self._line, self._title, self._stage = widgets.HTML(), widgets.HTML(), widgets.VBox()
        self._quit = widgets.Button(description="Leave", icon="sign-out", layout=widgets.Layout(width="auto"))
        self._claim = widgets.Button(
            description="They left", icon="hourglass-end", layout=widgets.Layout(width="auto")
        )
        buttons = [*self.desk.buttons, *self.room.buttons, *self.score.buttons, self._quit, self._claim]
        self.errands = Errands(self._line, buttons, self._show_room)
        self._watcher = FrameLoop(self._look, fps=LOOKS, on_error=self._lost)
        self._wire()
        offer_worlds(self.desk.world, self.place.ledger, world)
        super().__init__([widgets.HTML(CSS), self._title, self._stage, self._line])
        self.add_class("awm-lobby")
        self._go(self.desk)

    def __repr__(self) -> str:
        return f"<Lobby at {self.place.name}, {self.seat or 'nobody is seated'}>"

    def create(
        self,
        world: World | Cartridge | str | None = None,
        character: int | None = None,
        seed: int | None = None,
    ) -> Pubkey:
        """Open a match and show the invitation to it.

        Parameters
        ----------
        world : World, Cartridge or str, optional
            By default the menu's.
        character : int, optional
            Melee internal character id; by default the menu's.
        seed : int, optional
            Of the start positions; by default random.

        Returns
        -------
        Pubkey
            The match's ID.

        Raises
        ------
        InsufficientFundsError
            The wallet cannot pay the rent.
        LedgerError, ProgramError
            As `awm_kit.play.table.host_match`.
        """
        if not self._own_wallet:
            self.place.fund(self.wallet)
        chosen = self._open(self.desk.world.value if world is None else world)
        mine = self._character(chosen.cartridge.manifest.schema.name, character)
        frame = first_frame(chosen.cartridge, mine, secrets.randbits(31) if seed is None else seed)
        self._sit(Seat.host(self.place, chosen, self.wallet, frame))
        return self._seated.key

    def join(self, invitation: str | Pubkey, character: int | None = None) -> None:
        """Sit down at somebody's match.

        Parameters
        ----------
        invitation : str or Pubkey
            The match's ID, or an invitation as text or link; the latter two name the place too.
        character : int, optional
            By default the menu's.

        Raises
        ------
        ValueError
            It is no invitation.
        ProgramError
            The match is full, or over.
        LedgerError
            There is no such match.
        """
        session = self._follow(invitation)
        if self.place.rollup is None and not self._own_wallet:
            self.place.fund(self.wallet, _GUEST_FUNDS)
        world = read_table(self.place.arena, session).world
        mine = self._character(game_of(self.place.arena, world), character)
        self._sit(Seat.join(self.place, session, self.wallet, KEEP_CHARACTER if mine is None else mine))

    def watch(self, invitation: str | Pubkey) -> None:
        """Look at somebody's match without a seat; raises as `join`."""
        self._sit(Seat.watch(self.place, self._follow(invitation)))

    def seat_script(self, style: str = "balanced") -> None:
        """Let a player who needs nobody take the other seat of the match that one has opened.

        Parameters
        ----------
        style : str
            One of `awm_kit.play.controllers.OPPONENTS`.
        """
        seat = self._seated
        player = script(seat.game, style, 1, int(seat.session.frame["seed"]))
        seat_script(seat.session)
        self._scripts, self._style = {1: player}, style

    def pick(self, character: int) -> None:
        """Change one's character before the match begins."""
        self._seated.pick(character)

    def ready(self) -> None:
        """Say that one is ready; the match begins when both are."""
        self._seated.ready()

    def leave(self) -> None:
        """Give the match up: the other one wins, if it has begun. Back to the desk."""
        seat, bout = self._seated, self.bout
        if bout is not None and seat.player is not None:
            bout.stop()
            try:
                seat.leave()
            except LedgerError:
                bout.start()
                raise
            self._settle()
            return
        if seat.player == 0:
            seat.withdraw()
        self._home()

    def rematch(self) -> None:
        """The same two again: the host opens the next match, the others wait for it and sit down."""
        seat, result = self._seated, self.result
        if result is None:
            raise ValueError("expected a match that has ended (got none): create one or join one")
        world = self._open(seat.session.world)
        frame = first_frame(world.cartridge, result.characters[0], result.seed + 1)
        frame["players"]["character"][1] = result.characters[1]
        self._sit(seat.rematch(frame, world, result))

    def verify(self) -> VerifyReport:
        """Re-simulate the match that ended, and compare with what the ledger keeps.

        Raises
        ------
        VerificationError
            They differ.
        LedgerError
            Its inputs were gone before this page could read them, and nobody has published them.
        """
        seat = self._seated
        if self.result is None or seat.record is None:
            report = verify_match(self.place.ledger, seat.key)
        else:
            report = verify(seat.record, self._open(seat.session.world).cartridge)
            check_result(seat.record, self.result)
        self._show_score(repr(report.check()))
        return report

    def publish(self) -> Pubkey:
        """Put the inputs of the match that ended on the ledger, for anybody to verify it; one pays oneself.

        Returns
        -------
        Pubkey
            The replay's account, whose deposit `awm_kit.chain.deploy.retire` returns.

        Raises
        ------
        LedgerError
            The match has not ended, or its inputs were gone before this page could read them.
        InsufficientFundsError
            The wallet cannot pay the deposit.
        """
        seat = self._seated
        if seat.record is None:
            raise LedgerError(f"there are no inputs of match {seat.key} here to publish")
        if not self._own_wallet:
            self.place.fund(self.wallet, _GUEST_FUNDS)
        key = publish_replay(self.place.ledger, seat.record, seat.key, self.wallet, progress=False)
        self._show_score(f"the replay is published as {key}")
        return key

    def close(self) -> None:
        """Stop looking and playing; shown widgets stay as they are."""
        self._watcher.stop()
        if self.bout is not None:
            self.bout.stop()
        if self.seat is not None:
            self.seat.disconnect()

    @property
    def _seated(self) -> Seat:
        if self.seat is None:
            raise ValueError("expected to sit at a match (got none): create one or join one")
        return self.seat

    def _wire(self) -> None:
        desk, room, score = self.desk, self.room, self.score
        self._on(desk.create, "opening a match", self.create)
        self._on(desk.join, "joining", lambda: self.join(desk.text.value))
        self._on(desk.watch, "looking for the match", lambda: self.watch(desk.text.value))
        self._on(room.ready, "saying so", self.ready)
        self._on(room.script, "seating a script", lambda: self.seat_script(room.style.value))
        self._on(room.leave, "leaving", self.leave)
        self._on(self._quit, "leaving", self.leave)
        self._on(self._claim, "looking whether they are there", self._end_for_absent)
        self._on(score.verify, "re-simulating the match", lambda: self.verify() and None)
        self._on(score.publish, "publishing the replay", self.publish)
        self._on(score.again, "waiting for the rematch", self.rematch)
        self._on(score.done, "going back", self._home)
        room.character.observe(lambda change: self._picked(change["new"]), "value")
        self.invite.observe(lambda change: self._arrive(change["new"]), "arrived")

    def _on(self, button: widgets.Button, what: str, work: Callable[[], object]) -> None:
        button.on_click(lambda _: self.errands.run(what, lambda: work() and None))

    def _picked(self, character: int) -> None:
        seat, table = self.seat, self.table
        if seat is None or seat.player is None or table is None:
            return
        if int(table.frame["players"][seat.player]["character"]) != character:
            self.errands.run("changing your character", lambda: self.pick(character))

    def _open(self, world: Choice) -> World:
        return open_choice(self.place, world, self.wallet)

    def _character(self, game: str, asked: int | None) -> int | None:
        """Who is played in a game: whom one asked for, or the menu's fighter; None leaves it to the game."""
        return self.desk.character.value if asked is None and game == FIGHTER.name else asked

    def _follow(self, invitation: str | Pubkey) -> Pubkey:
        """The match that is meant; goes to its place if that is another one."""
        if isinstance(invitation, Pubkey):
            return invitation
        found = Invitation.parse(invitation)
        if found.place and found.place != self.place.name:
            self.place = open_place(found.place)
        return found.session

    def _arrive(self, invitation: str) -> None:
        """Somebody opened the page by a link: fill in what it says, they only have to join."""
        if invitation and self.seat is None:
            self.desk.text.value = invitation
            self._line.value = "You were invited: pick a character and join."

    def _sit(self, seat: Seat) -> None:
        self.seat, self.bout, self.result, self.table = seat, None, None, None
        self._scripts = {}
        if self._instant:
            self._open(seat.session.world)  # read before the match begins
        self.invite.show(Invitation.to(seat.key, self.place.name))
        if seat.player is not None:
            self.room.offer(seat.game, int(seat.look().frame["players"][seat.player]["character"]))
        self._go(self.room)
        self._watcher.start()

    def _look(self) -> None:
        """See who has come, and whether it has begun."""
        seat = self._seated
        table = seat.look()
        if table != self.table:
            self.table = table
            self._show_room()
        if table.phase >= Phase.ACTIVE:
            self._watcher.stop()
            self._begin(seat)

    def _show_room(self) -> None:
        if self.seat is not None and self.table is not None:
            self.room.show(self.table, self.seat.player, set(self.seat.session.players))

    def _lost(self, error: Exception) -> None:
        self.errands.show(error)

    def _begin(self, seat: Seat) -> None:
        names = ["P1", "P2"]
        if seat.player is not None:
            names[seat.player] = YOU
        for player in self._scripts:
            names[player] = self._style.upper()
        world = self._open(seat.session.world).cartridge if self._instant else None
        self.bout = Bout(seat, names, self._over, self._lost, self._scripts, self._keyboard, world)
        bar = [self._quit, self._claim] if seat.player is not None else [self.score.done]
        self._go(self.bout, widgets.HBox(bar))
        self.bout.start()

    def _over(self) -> None:
        self.errands.run("the match is over; bringing the result home", self._settle, queue=True)

    def _end_for_absent(self) -> None:
        self._seated.claim()
        self._settle()

    def _settle(self) -> None:
        if self.bout is not None:
            self.bout.stop()
            self.bout.conclude()
        self.result = self._seated.finish()
        self._show_score()

    def _show_score(self, verdict: str = "") -> None:
        if self.result is not None and self.bout is not None:
            names = self.bout.view.scene.names
            self.score.card.value = result_html(
                self.result, names, self.place.ledger.name, verdict, self._seated.game
            )
            self._go(self.bout, self.score)

    def _home(self) -> None:
        self.close()
        self.seat = self.bout = self.table = self.result = None
        self.invite.show(None)
        self._go(self.desk)
        offer_worlds(self.desk.world, self.place.ledger, self.desk.world.value)

    def _go(self, *pages: widgets.Widget) -> None:
        where = html.escape(self.place.name)
        self._title.value = f"<div class='awm-head'><b>ARCADE</b><code>{where}</code></div>"
        self._stage.children = list(pages)
