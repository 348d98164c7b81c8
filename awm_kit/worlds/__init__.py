"""What is shipped with the package, by name: worlds, the recipes that made them, and players for them."""

from __future__ import annotations

from pathlib import Path

from awm_kit.errors import ModelFileError
from awm_kit.model.policy import Policy
from awm_kit.quant.cartridge import Cartridge

FOLDER = Path(__file__).parent


def shipped() -> list[str]:
    """Names of the shipped worlds."""
    return sorted(p.stem for p in FOLDER.glob("*.awm"))


def find_world(name: Path | str) -> Path:
    """The file that ``name`` means: a path, or the name of a shipped world.

    Raises
    ------
    ModelFileError
        If there is no such file or world.
    """
    path = Path(name)
    if path.is_file():
        return path
    named = FOLDER / f"{path}.awm"
    if path.suffix or len(path.parts) > 1 or not named.is_file():
        raise ModelFileError(f"no world {str(name)!r}; shipped are {shipped()}, or give the path of a file")
    return named


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
    path = Path(name)
    if not path.is_file():
        path = FOLDER / f"{name}-player.npz"
    if not path.is_file():
        raise ModelFileError(f"no player {str(name)!r}: give the path of a file that `awm clone` wrote")
    return Policy.load(path)
