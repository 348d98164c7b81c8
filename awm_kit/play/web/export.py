"""A world as one HTML file: kernel, weights, pictures and controls, played from a disk, offline."""

from __future__ import annotations

import html
import json
import os
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

from awm_kit.data.scuffle import FOX, MARTH, initial_frame
from awm_kit.errors import ModelFileError
from awm_kit.files import written_whole
from awm_kit.play.engines import teacher_params
from awm_kit.play.web.build import OUTPUT, WEB
from awm_kit.play.web.bundle import bundle
from awm_kit.play.web.tables import page_tables
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import FIGHTER

#: The page's scripts: each imports only from those before it.
SCRIPTS = (
    "kernel", "sha256", "records", "clock", "pads", "bot", "paint", "skeleton", "fighter", "stage", "hud",
    "scene", "page",
)  # fmt: skip
#: Who can meet whom, as the menu says it.
MATCHUPS = {
    "runner and swordsman": (FOX, MARTH),
    "swordsman and runner": (MARTH, FOX),
    "two runners": (FOX, FOX),
    "two swordsmen": (MARTH, MARTH),
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
        If the cartridge is not sound, or of a game that the page has no opponents for.
    """
    cartridge.verify()
    manifest = cartridge.manifest
    if manifest.schema.name != FIGHTER.name:
        raise ModelFileError(f"expected a world of {FIGHTER.name}s to export (got {manifest.schema.name})")
    template = (WEB / "page.html").read_text(encoding="utf-8")
    options = (f'<option value="{i}">{html.escape(name)}</option>' for i, name in enumerate(MATCHUPS))
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
    physics = teacher_params(cartridge)
    starts = [
        [_text(initial_frame(seed + i, None, pair, physics).tobytes()) for i in range(_ROUNDS)]
        for pair in MATCHUPS.values()
    ]
    return {
        "name": cartridge.manifest.name,
        "kernel": _text(OUTPUT.read_bytes()),
        "manifest": _text(cartridge.manifest_bytes),
        "shards": [_text(shard) for shard in cartridge.shards],
        "starts": starts,
        "tables": page_tables(),
    }


def _text(data: bytes) -> str:
    return b64encode(data).decode()
