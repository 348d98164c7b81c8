"""What the lobby shows, page by page: widgets and their texts; `lobby` says what they do."""

from __future__ import annotations

import html

import ipywidgets as widgets
from solders.pubkey import Pubkey

from awm_kit.chain.accounts import Phase
from awm_kit.play.cards import face
from awm_kit.play.controllers import OPPONENTS
from awm_kit.play.games import CHARACTERS, character_name
from awm_kit.play.keymap_menu import KeyMenu
from awm_kit.play.lobby_invite import InviteCard
from awm_kit.play.portraits import portrait
from awm_kit.play.table import TableState
from awm_kit.schema import FIGHTER


class Desk(widgets.VBox):  # type: ignore[misc]
    """Where one opens a match or asks for one; the card is here to tell by which link one came."""

    def __init__(self, invite: InviteCard) -> None:
        self.world = widgets.Dropdown(layout=widgets.Layout(width="260px"))
        self.character = _characters()
        self.create = _button("Create match", "plus", "success")
        self.text = widgets.Text(
            placeholder="match ID, invitation or link", layout=widgets.Layout(width="430px")
        )
        self.join = _button("Join", "sign-in", "success")
        self.watch = _button("Watch", "eye")
        super().__init__(
            [
                widgets.HTML("<b>Your character</b>"),
                _row([self.character]),
                widgets.HTML("<b>Open a match</b> and invite somebody"),
                _row([self.world, self.create]),
                widgets.HTML("<b>Join a match</b> that somebody opened"),
                _row([self.text, self.join, self.watch]),
                invite,
                widgets.Accordion([KeyMenu()], titles=("Keys and gamepad",)),
            ]
        )

    @property
    def buttons(self) -> list[widgets.Button]:
        """Those that act."""
        return [self.create, self.join, self.watch]


class Room(widgets.VBox):  # type: ignore[misc]
    """Where two wait for each other."""

    def __init__(self, invite: InviteCard) -> None:
        self.game = FIGHTER.name
        self.seats = widgets.HTML()
        self.character = _characters()
        self.ready = _button("Ready", "check", "success")
        self.style = widgets.Dropdown(options=OPPONENTS, value="balanced", layout=_auto())
        self.script = _button("Seat a script", "android")
        self.leave = _button("Leave", "sign-out")
        self._mine = _row([self.character, self.ready])
        self._scripts = _row([self.style, self.script])
        bar = _row([self._mine, self._scripts, self.leave])
        super().__init__([invite, self.seats, bar])

    @property
    def buttons(self) -> list[widgets.Button]:
        """Those that act."""
        return [self.ready, self.script, self.leave]

    def offer(self, game: str, character: int) -> None:
        """Offer a game's characters, one of them picked."""
        self.game, names = game, CHARACTERS.get(game, {})
        there = {character_name(game, character): character}
        self.character.options = list({**names, **there}.items())
        self.character.value = character

    def show(self, table: TableState, player: int | None, mine: set[int]) -> None:
        """Bring seats and buttons up to date.

        Parameters
        ----------
        table : TableState
        player : int or None
            Whose page it is.
        mine : set of int
            Players whose keys this process holds.
        """
        self.seats.value = seats_html(table, player, self.game)
        self._mine.layout.display = "none" if player is None else None
        alone = player == 0 and table.phase == Phase.CREATED
        self._scripts.layout.display = None if alone else "none"
        self.ready.disabled = table.phase != Phase.JOINED or all(table.ready[p] for p in mine)
        self.ready.tooltip = "wait until somebody has joined" if alone else ""


class Score(widgets.VBox):  # type: ignore[misc]
    """How it ended, and what may follow."""

    def __init__(self) -> None:
        self.card = widgets.HTML()
        self.verify = _button("Verify", "check-circle")
        self.publish = _button("Publish replay", "cloud-upload")
        self.again = _button("Rematch", "refresh", "success")
        self.done = _button("Back to the lobby", "home")
        super().__init__([self.card, _row([self.again, self.verify, self.publish, self.done])])

    @property
    def buttons(self) -> list[widgets.Button]:
        """Those that act."""
        return [self.verify, self.publish, self.again, self.done]


def seats_html(table: TableState, player: int | None, game: str) -> str:
    """Who sits where, with which character, and who is ready."""
    panels = []
    for index, wallet in enumerate(table.wallets):
        there = index == 0 or table.phase > Phase.CREATED
        character = int(table.frame["players"][index]["character"])
        who = _short(wallet) + (" (you)" if index == player else "") if there else "nobody yet"
        state = ("ready" if table.ready[index] else "choosing") if there else "invited"
        lines = [f"<b>P{index + 1} · {html.escape(who)}</b>"]
        if there:
            lines.append(f"{html.escape(character_name(game, character))}<br>")
        picture = portrait(game, character, index)
        panels.append(face(picture, index, f"{''.join(lines)}{state}", lost=not there))
    seats = f"<div class='awm-faces'>{''.join(panels)}</div>"
    return f"<div class='awm-facts'>{seats}<b>{phase_text(table)}</b></div>"


def phase_text(table: TableState) -> str:
    """What the match waits for."""
    if table.phase == Phase.CREATED:
        return "Waiting for somebody to join."
    if table.phase == Phase.JOINED:
        waiting = [f"P{player + 1}" for player in (0, 1) if not table.ready[player]]
        return f"Waiting for {' and '.join(waiting)} to be ready."
    return "The match runs." if table.phase == Phase.ACTIVE else "The match is over."


def _short(key: Pubkey) -> str:
    text = str(key)
    return f"{text[:4]}…{text[-4:]}"


def _characters() -> widgets.Dropdown:
    return widgets.Dropdown(options=list(CHARACTERS[FIGHTER.name].items()), layout=_auto())


def _row(children: list[widgets.Widget]) -> widgets.HBox:
    return widgets.HBox(children, layout=widgets.Layout(align_items="center", flex_flow="row wrap"))


def _auto() -> widgets.Layout:
    # One for each widget: to hide one of several that share a layout hides them all.
    return widgets.Layout(width="auto")


def _button(text: str, icon: str, style: str = "") -> widgets.Button:
    return widgets.Button(description=text, icon=icon, button_style=style, layout=_auto())
