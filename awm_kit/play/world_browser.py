"""The arcade's shelf in a notebook: a card for every world on a ledger, to play it or to fork it."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import ipywidgets as widgets
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain.fork import deploy_fork
from awm_kit.chain.ledger import Ledger, sol
from awm_kit.chain.worlds import World, WorldInfo, WorldList, list_worlds, open_world
from awm_kit.errors import LedgerError
from awm_kit.play.app import PlayApp, play
from awm_kit.play.cards import CSS, facts
from awm_kit.play.errand import Errands
from awm_kit.play.games import has_gravity
from awm_kit.play.places import Place, open_place
from awm_kit.play.portraits import postcard
from awm_kit.wording import counted

_CARD = widgets.Layout(width="270px", margin="6px")


class WorldBrowser(widgets.VBox):  # type: ignore[misc]
    """Cards of the worlds on a ledger. ``awm worlds`` prints the same.

    Parameters
    ----------
    ledger : Ledger, Place or str, optional
        As `awm_kit.play.places.open_place` takes it.
    wallet : Keypair, optional
        Pays for forks and becomes their authority; without one a fork has a wallet of its own, filled by
        airdrop where the chain gives any.
    on_play : callable, optional
        Called with the chosen `World` instead of showing the game below the cards.

    Attributes
    ----------
    worlds : WorldList
        As last read.
    selected : WorldInfo or None
        The world that was played or forked last.
    app : PlayApp or None
        The game below the cards.

    Raises
    ------
    LedgerError
        The ledger cannot be read.
    """

    def __init__(
        self,
        ledger: Place | Ledger | str | None = None,
        wallet: Keypair | None = None,
        on_play: Callable[[World], object] | None = None,
    ) -> None:
        self.place, self.wallet, self._on_play = open_place(ledger), wallet, on_play
        self.worlds = WorldList()
        self.selected: WorldInfo | None = None
        self.app: PlayApp | None = None
        self._line = widgets.HTML()
        self._again = widgets.Button(
            description="Refresh", icon="refresh", layout=widgets.Layout(width="auto")
        )
        self.errands = Errands(self._line, [self._again])
        self._again.on_click(lambda _: self.errands.run("reading the ledger", self.refresh))
        self._title = widgets.HTML()
        self._cards = widgets.Box(layout=widgets.Layout(flex_flow="row wrap", align_items="stretch"))
        self._below = widgets.VBox()
        head = widgets.HBox([self._title, self._again], layout=widgets.Layout(align_items="center"))
        super().__init__([widgets.HTML(CSS), head, self._cards, self._line, self._below])
        self.add_class("awm-browser")
        self.refresh()

    def __repr__(self) -> str:
        return f"<WorldBrowser of {counted(len(self.worlds), 'world')} on {self.place.name}>"

    def refresh(self) -> None:
        """Read the worlds again."""
        self.worlds = list_worlds(self.place.ledger)
        names = {world.key: world.name for world in self.worlds}
        count = counted(len(self.worlds), "world")
        self._title.value = f"<b>{count}</b> on {html.escape(self.place.name)}"
        self._cards.children = [self._card(world, names) for world in self.worlds]

    def play(self, key: Pubkey) -> PlayApp | None:
        """Read a world back, check it, and show the game below the cards (or call ``on_play``).

        Raises
        ------
        LedgerError, VerificationError
            It is not there, or not what was committed.
        """
        self._select(key)
        world = open_world(self.place.ledger, key)
        if self._on_play is not None:
            self._on_play(world)
            return None
        if self.app is not None:
            self.app.loop.stop()
        self.app = play(world, ledger=self.place)
        self._below.children = [self.app]
        return self.app

    def fork(
        self, key: Pubkey, name: str, gravity: float = 1.0, steps: int = 400, matches: int = 64
    ) -> World:
        """Read a world back, train it on under another gravity, and deploy the child.

        Parameters
        ----------
        key : Pubkey
            Of the parent.
        name : str
            Of the child.
        gravity : float
            As a factor of the teacher's.
        steps : int
            Of training; 400 take minutes.
        matches : int
            Of the teacher, to learn from.

        Raises
        ------
        ModelFileError
            The world has no built-in teacher.
        InsufficientFundsError
            The wallet cannot pay the deposit.
        """
        # Training loads torch, which nobody needs for looking.
        from awm_kit.quant.fork import fork, physics_recipe

        self._select(key)
        parent = open_world(self.place.ledger, key)
        recipe = physics_recipe(parent.cartridge, name, {"gravity_scale": gravity}, (0, matches))
        recipe = replace(recipe, train=replace(recipe.train, steps=steps))
        with tempfile.TemporaryDirectory(prefix="awm-fork-") as folder:
            child = fork(parent.cartridge, recipe, Path(folder), progress=False)
        wallet = self.wallet or Keypair()
        if self.wallet is None:
            self.place.fund(wallet)
        world = deploy_fork(self.place.ledger, parent, child, wallet, progress=False)
        self.refresh()
        return world

    def _select(self, key: Pubkey) -> None:
        self.selected = next((world for world in self.worlds if world.key == key), None)
        if self.selected is None:
            raise LedgerError(f"there is no world {key} on {self.place.name}; refresh the browser")
        for card, world in zip(self._cards.children, self.worlds, strict=True):
            (card.add_class if world.key == key else card.remove_class)("awm-chosen")

    def _card(self, world: WorldInfo, names: dict[Pubkey, str]) -> widgets.VBox:
        half = widgets.Layout(width="50%")
        start = widgets.Button(description="Play", icon="play", button_style="success", layout=half)
        split = widgets.Button(description="Fork", icon="code-fork", layout=half)
        start.on_click(lambda _: self.errands.run(f"loading {world.name}", partial(self.play, world.key)))
        split.on_click(lambda _: self._ask_fork(world))
        if not has_gravity(world.notes):
            split.disabled = True
            split.tooltip = "no built-in teacher knows other physics for it: fork it with a recipe"
        buttons = widgets.HBox([start, split], layout=widgets.Layout(margin="0 8px"))
        card = widgets.VBox(
            [widgets.HTML(card_html(world, names)), buttons],
            layout=_CARD,
        )
        card.add_class("awm-card")
        return card

    def _ask_fork(self, world: WorldInfo) -> None:
        name = widgets.Text(f"{world.name}-moon", description="name")
        gravity = widgets.FloatSlider(0.4, min=0.2, max=2.0, step=0.05, description="gravity ×")
        steps = widgets.IntSlider(400, min=50, max=1000, step=50, description="steps")
        go = widgets.Button(description="Train and deploy", icon="code-fork", button_style="warning")

        def begin(_: object) -> None:
            work = partial(self.fork, world.key, name.value, gravity.value, steps.value)
            self.errands.run(f"training {name.value}; this takes minutes", work)

        go.on_click(begin)
        text = (
            f"A child of <b>{html.escape(world.name)}</b> that learns other physics from its teacher. It is "
            f"deployed with a deposit of about {sol(world.rent)}, which retiring it returns."
        )
        self._below.children = [widgets.HTML(text), name, gravity, steps, go]


def card_html(world: WorldInfo, names: dict[Pubkey, str]) -> str:
    """What a world's manifest says, as a card.

    Parameters
    ----------
    world : WorldInfo
    names : dict of Pubkey to str
        Of the worlds that may be its parent.
    """
    parent = "an original" if world.parent is None else names.get(world.parent, f"{world.parent} (retired)")
    rows = [
        ("parameters", f"{world.params:,}"),
        ("layers", f"{world.layers} × {world.d_model}"),
        ("size", f"{world.size:,} bytes"),
        ("deposit", sol(world.rent)),
        ("a frame", counted(world.transactions_per_frame, "transaction")),
        ("forked from", parent),
        ("played", counted(world.plays, "time")),
        ("key", f"{str(world.key)[:12]}…"),
    ]
    taught = html.escape(world.trained_on or "its maker does not say what it learned from")
    head = f"{postcard(world.game, world.world_hash)}<h3>{html.escape(world.name)}</h3><p>{taught}</p>"
    return f"<div class='awm-facts' title='{world.key}'>{head}{facts(rows)}</div>"
