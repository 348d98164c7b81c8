"""Engines by name: what a menu offers, and how each is made from a world and a start frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from solders.keypair import Keypair

from awm_kit.chain.deploy import deploy
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, Ledger
from awm_kit.chain.session import ChainSession
from awm_kit.chain.worlds import World
from awm_kit.data.scuffle import Params, initial_frame
from awm_kit.play.engine import Engine, NativeEngine, ReferenceEngine, TeacherEngine
from awm_kit.play.web.engine import WasmEngine
from awm_kit.quant.cartridge import Cartridge
from awm_kit.worlds import load_world

#: What `make_engine` knows, with a line for menus.
ENGINES = {
    "native": "native C kernel",
    "chain": "Solana program (embedded)",
    "teacher": "teacher game (scuffle)",
    "wasm": "WebAssembly (wasmtime)",
    "reference": "NumPy reference (slow)",
}
_FUNDS = 100 * LAMPORTS_PER_SOL


def open_cartridge(world: World | Cartridge | str | None) -> Cartridge:
    """The cartridge that ``world`` means: a deployed world, a name, a path, or the shipped world.

    Raises
    ------
    ModelFileError
        If there is no such world, or the file is not sound.
    """
    if isinstance(world, World):
        return world.cartridge
    return world if isinstance(world, Cartridge) else load_world(world or "scuffle")


def teacher_params(cartridge: Cartridge) -> Params:
    """The physics that a world was taught, as its notes tell; the teacher's own where they do not."""
    data: dict[str, Any] = cartridge.manifest.notes.get("data", {})
    return Params(**data.get("params", {})) if data.get("kind") == "scuffle" else Params()


def start_frame(cartridge: Cartridge, seed: int) -> np.ndarray:
    """The first frame of a match in this world: its teacher's stage, stocks and time limit.

    Returns
    -------
    ndarray, `FRAME` scalar
    """
    return initial_frame(seed, params=teacher_params(cartridge))


def make_engine(
    name: str,
    world: World | Cartridge,
    start_frame: np.ndarray,
    ledger: Ledger | None = None,
) -> Engine:
    """A fresh match of a world on the engine called ``name``.

    Parameters
    ----------
    name : str
        One of `ENGINES`.
    world : World or Cartridge
        For ``chain``, a deployed world is used where it is; a cartridge is deployed first.
    start_frame : ndarray, `FRAME` scalar
    ledger : Ledger, optional
        Where ``chain`` plays; an embedded one, gone with this process, by default.

    Raises
    ------
    ValueError
        If there is no such engine, or a deployed world comes without its ledger.
    """
    cartridge = world.cartridge if isinstance(world, World) else world
    if name == "native":
        return NativeEngine(cartridge, start_frame)
    if name == "wasm":
        return WasmEngine(cartridge, start_frame)
    if name == "reference":
        return ReferenceEngine(cartridge, start_frame)
    if name == "teacher":
        return TeacherEngine(teacher_params(cartridge), start_frame)
    if name == "chain":
        return _on_chain(world, start_frame, ledger)
    raise ValueError(f"expected an engine of {list(ENGINES)} (got {name!r})")


def _on_chain(world: World | Cartridge, start_frame: np.ndarray, ledger: Ledger | None) -> ChainSession:
    if isinstance(world, World):
        if ledger is None:
            raise ValueError(f"expected the ledger that {world} is deployed on (got none)")
        return ChainSession.local(ledger, world, start_frame=start_frame)
    chain = ledger or EmbeddedLedger()
    payer = Keypair()
    chain.airdrop(payer.pubkey(), _FUNDS)
    deployed = deploy(chain, world, payer, progress=False)
    return ChainSession.local(chain, deployed, start_frame=start_frame)
