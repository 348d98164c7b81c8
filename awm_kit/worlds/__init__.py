"""What is shipped with the package, by name: worlds, the recipes that made them, and players for them."""

from __future__ import annotations

from pathlib import Path

from awm_kit.errors import ModelFileError
from awm_kit.files import find_file, shipped_names
from awm_kit.model.policy import Policy
from awm_kit.quant.cartridge import Cartridge


def shipped() -> list[str]:
    """Names of the shipped worlds."""
    return shipped_names(".awm")


def find_world(name: Path | str) -> Path:
    """The file that ``name`` means: a path, or the name of a shipped world.

    Raises
    ------
    ModelFileError
        If there is no such file or world.
    """
    return find_file(name, ".awm", "world", ModelFileError)


def load_world(name: Path | str) -> Cartridge:
    """Load a shipped world by name, or any cartridge by path.

    Raises
    ------
    ModelFileError
        If there is no such world, or the file is not a sound cartridge.
    """
    return Cartridge.load(find_world(name))


def load_policy(name: Path | str) -> Policy:
    """A player: the shipped one of a world by the world's name, or any by the path of its file.

    Raises
    ------
    ModelFileError
        If there is no such player, or the file is damaged.
    """
    return Policy.load(find_file(name, "-player.npz", "player", ModelFileError))
