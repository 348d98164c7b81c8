"""The worlds shipped with the package: a cartridge and the recipe that made it, by name."""

from __future__ import annotations

from pathlib import Path

from awm_kit.errors import ModelFileError
from awm_kit.quant.cartridge import Cartridge

FOLDER = Path(__file__).parent


def shipped() -> list[str]:
    """Names of the shipped worlds."""
    return sorted(p.stem for p in FOLDER.glob("*.awm"))


def load_world(name: Path | str) -> Cartridge:
    """Load a shipped world by name, or any cartridge by path.

    Raises
    ------
    ModelFileError
        If there is no such world, or the file is not a sound cartridge.
    """
    path = Path(name)
    if path.suffix != ".awm":
        path = FOLDER / f"{name}.awm"
    if not path.exists():
        raise ModelFileError(f"no world {str(name)!r}; shipped are {shipped()}, or give the path of an .awm file")
    return Cartridge.load(path)
