"""What differs from game to game on the page: characters, names of states, players who need nobody."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from solders.pubkey import Pubkey

from awm_kit.action_states import id_of, name_of
from awm_kit.chain.accounts import content_of
from awm_kit.chain.ledger import Ledger
from awm_kit.data.bumper.players import Drivers
from awm_kit.data.bumper.schema import FRAME as BUMPER_FRAME
from awm_kit.data.bumper.schema import SCHEMA_NAME as BUMPER
from awm_kit.data.bumper.schema import Act
from awm_kit.data.scuffle import FOX, MARTH
from awm_kit.data.teachers import teacher_of
from awm_kit.errors import LedgerError, ModelFileError
from awm_kit.play.controllers import Controller, neutral, opponent
from awm_kit.quant.manifest import Manifest
from awm_kit.schema import FIGHTER

#: What a game's characters are called, by the name of its schema.
CHARACTERS = {
    FIGHTER.name: {"runner": FOX, "swordsman": MARTH},
    BUMPER: {"light cart": 0, "heavy cart": 1},
}
#: What a game calls the actions of a controller, where they are not a fighter's.
WORDS = {
    BUMPER: {"left": "steer", "right": "steer", "attack": "throttle", "special": "brake", "jump": "boost"},
}


def character_name(game: str, character: int) -> str:
    """What a game calls a character."""
    names = {number: name for name, number in CHARACTERS.get(game, {}).items()}
    return names.get(character, f"character {character}")


def state_name(game: str, number: int) -> str:
    """What a game calls an action state."""
    if game != BUMPER:
        return name_of(number)
    return Act(number).name.title() if 0 <= number < len(Act) else f"Act{number}"


def state_number(game: str, name: str) -> int:
    """The action state that a game calls so; ``KeyError`` if there is none."""
    return int(Act[name.upper()]) if game == BUMPER else id_of(name)


@lru_cache(maxsize=32)
def game_of(ledger: Ledger, world: Pubkey) -> str:
    """The name of a deployed world's schema; `LedgerError` if it is gone."""
    account = ledger.account(world)
    if account is None:
        raise LedgerError(f"the match's world {world} is no longer on {ledger.name}")
    return Manifest.parse(content_of(account.data)).schema.name


def has_gravity(notes: dict[str, Any]) -> bool:
    """Whether a world's teacher, as its notes tell, is built in and can teach it other physics."""
    try:
        teacher = teacher_of(notes)
    except ModelFileError:
        return False
    return teacher is not None and teacher.schema.name == FIGHTER.name


def script(game: str, name: str, player: int, seed: int) -> Controller:
    """A player who needs nobody.

    Parameters
    ----------
    game : str
        Name of the world's schema.
    name : str
        One of `awm_kit.play.controllers.OPPONENTS`; the drivers of bumper have styles by their seeds instead.
    player : int
    seed : int
    """
    if game != BUMPER:
        return opponent(name, player, seed)
    drivers = Drivers([seed])

    def drive(frame: np.ndarray) -> np.ndarray:
        pressed = drivers.act(np.frombuffer(frame.tobytes(), BUMPER_FRAME))[0, player]
        pad = neutral()
        for name in pressed.dtype.names:
            pad[name] = pressed[name]
        return pad

    return drive
