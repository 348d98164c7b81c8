"""A world as one HTML file: kernel, weights, pictures and controls, played from a disk, offline."""

from __future__ import annotations

import html
import json
import os
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np

from awm_kit.data.bumper.game import initial_frame as bumper_frame
from awm_kit.data.bumper.schema import SCHEMA_NAME as BUMPER
from awm_kit.data.scuffle import FOX, MARTH, initial_frame
from awm_kit.errors import ModelFileError
from awm_kit.files import written_whole
from awm_kit.play.engines import teacher_params
from awm_kit.play.games import WORDS
from awm_kit.play.web.build import OUTPUT, WEB
from awm_kit.play.web.bundle import bundle
from awm_kit.play.web.tables import page_tables
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import FIGHTER

#: The page's scripts: each imports only from those before it.
SCRIPTS = (
    "kernel", "sha256", "records", "clock", "pads", "bot", "paint", "skeleton", "fighter", "stage", "hud",
    "scene", "table", "driver", "page",
)  # fmt: skip
#: Who can meet whom, as the menu says it, in the games that the page can draw and play against.
MATCHUPS = {
    FIGHTER.name: {
        "runner and swordsman": (FOX, MARTH),
        "swordsman and runner": (MARTH, FOX),
        "two runners": (FOX, FOX),
        "two swordsmen": (MARTH, MARTH),
    },
    BUMPER: {
        "light cart and heavy cart": (0, 1),
        "heavy cart and light cart": (1, 0),
        "two light carts": (0, 0),
        "two heavy carts": (1, 1),
    },
}
_ROUNDS = 8


def page(cartridge: Cartridge, seed: int = 0) -> str:
    """The HTML text.

    Parameters
    ----------
    cartridge : Cartridge
    seed : int
        Of the first match; rematches take the next ones.

    Raises
    ------
    ModelFileError
        If the cartridge is not sound, or of a game that the page has no pictures and opponents for.
    """
    cartridge.verify()
    manifest = cartridge.manifest
    if manifest.schema.name not in MATCHUPS:
        raise ModelFileError(f"expected a world of {list(MATCHUPS)} to export (got {manifest.schema.name!r})")
    template = (WEB / "page.html").read_text(encoding="utf-8")
    options = (
        f'<option value="{i}">{html.escape(name)}</option>'
        for i, name in enumerate(MATCHUPS[manifest.schema.name])
    )
    parts = {
        "title": html.escape(manifest.name),
        "facts": f"a game as {manifest.n_params:,} integers, learned from recordings · "
        f"world {cartridge.world_hash[:16]}",
        "characters": "".join(options),
        "kernel": f"{OUTPUT.stat().st_size / 1024:.0f} KB",
        # A "</script>" inside of a string would end the block.
        "data": json.dumps(_data(cartridge, seed), separators=(",", ":")).replace("<", "\\u003c"),
        "code": script(),
    }
    return re.sub(r"@(\w+)@", lambda match: parts[match[1]], template)


def export(cartridge: Cartridge, path: str | os.PathLike[str], seed: int = 0) -> Path:
    """Write `page` to a file; its arguments and errors.

    Returns
    -------
    Path : where it was written
    """
    target = Path(path)
    with written_whole(target) as part:
        part.write_text(page(cartridge, seed), encoding="utf-8")
    return target


def script() -> str:
    """All scripts as one, see `bundle`."""
    return bundle(SCRIPTS)


def _data(cartridge: Cartridge, seed: int) -> dict[str, Any]:
    game = cartridge.manifest.schema
    starts = [
        [_text(_start(cartridge, seed + i, pair).tobytes()) for i in range(_ROUNDS)]
        for pair in MATCHUPS[game.name].values()
    ]
    return {
        "name": cartridge.manifest.name,
        "words": WORDS.get(game.name),
        "kernel": _text(OUTPUT.read_bytes()),
        "manifest": _text(cartridge.manifest_bytes),
        "shards": [_text(shard) for shard in cartridge.shards],
        "starts": starts,
        "tables": page_tables(game),
    }


def _start(cartridge: Cartridge, seed: int, characters: tuple[int, int]) -> np.ndarray:
    if cartridge.manifest.schema.name == BUMPER:
        return bumper_frame(seed, characters)
    return initial_frame(seed, None, characters, teacher_params(cartridge))


def _text(data: bytes) -> str:
    return b64encode(data).decode()
