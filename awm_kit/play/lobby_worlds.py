"""The worlds that a lobby can open a match in: those on its ledger, and others, deployed there first."""

from __future__ import annotations

from functools import lru_cache

import ipywidgets as widgets
import numpy as np
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain.ledger import Ledger
from awm_kit.chain.worlds import World, list_worlds, open_world
from awm_kit.play.engines import deployed, start_frame
from awm_kit.play.games import CHARACTERS
from awm_kit.play.places import Place
from awm_kit.quant.cartridge import Cartridge
from awm_kit.worlds import load_world, shipped

#: A world on the ledger, open or by its key; or one to be deployed, as it is or by its name.
Choice = World | Cartridge | Pubkey | str

#: A finished world never changes, and takes a while to read.
_open_once = lru_cache(maxsize=4)(open_world)


def offer_worlds(menu: widgets.Dropdown, ledger: Ledger, first: Choice | None) -> None:
    """Fill the menu: what was asked for, the ledger's worlds, and shipped ones that it lacks."""
    found = list_worlds(ledger)
    options: list[tuple[str, object]] = [(info.name, info.key) for info in found]
    keys = {info.name: info.key for info in found}
    options += [(f"{name} (deployed first)", name) for name in shipped() if name not in keys]
    if isinstance(first, str):
        first = keys.get(first, first)
    if first is not None and first not in [value for _, value in options]:
        options.insert(0, (_name(first), first))
    menu.options = options
    menu.value = next((v for _, v in options if v == first), options[0][1])


def open_choice(place: Place, choice: Choice, wallet: Keypair) -> World:
    """The world that is meant, deployed at the wallet's cost if the place lacks it."""
    if isinstance(choice, World):
        return choice
    if isinstance(choice, Pubkey):
        return _open_once(place.ledger, choice)
    return deployed(place, choice if isinstance(choice, Cartridge) else load_world(choice), wallet)


def first_frame(cartridge: Cartridge, character: int | None, seed: int) -> np.ndarray:
    """A start frame in which the host has a character, and the other seat one that the host has not."""
    frame = start_frame(cartridge, seed % 2**32)
    if character is not None:
        others = CHARACTERS.get(cartridge.manifest.schema.name, {}).values()
        frame["players"]["character"] = character, next((c for c in others if c != character), character)
    return frame


def _name(world: Choice) -> str:
    if isinstance(world, (Pubkey, str)):
        return str(world)
    cartridge = world.cartridge if isinstance(world, World) else world
    return str(cartridge.manifest.name)
