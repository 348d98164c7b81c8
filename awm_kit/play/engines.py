"""Engines by name: what a menu offers, and how each is made from a world and a start frame."""

from __future__ import annotations

import numpy as np
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain.deploy import deploy
from awm_kit.chain.ledger import Ledger
from awm_kit.chain.results import MatchResult
from awm_kit.chain.rollup_session import RollupSession
from awm_kit.chain.session import ChainSession
from awm_kit.chain.worlds import World, list_worlds, open_world
from awm_kit.data.replay import as_record
from awm_kit.data.scuffle import Params
from awm_kit.data.teachers import teacher_for, teacher_of
from awm_kit.play.engine import Engine, NativeEngine, ReferenceEngine, TeacherEngine
from awm_kit.play.places import LOCALNET, Place, open_place
from awm_kit.play.table import finish_match, host_match, seat_script
from awm_kit.play.web.engine import WasmEngine
from awm_kit.quant.cartridge import Cartridge
from awm_kit.worlds import load_world

#: What `make_engine` knows, with a line for menus.
ENGINES = {
    "native": "native C kernel",
    "chain": "Solana program",
    "rollup": "Solana program on a rollup",
    "teacher": "teacher game (scuffle)",
    "wasm": "WebAssembly (wasmtime)",
    "reference": "NumPy reference (slow)",
}


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
    """The physics that a world was taught, as its notes tell; scuffle's own where they do not.

    Raises
    ------
    ModelFileError
        If they name physics that there are not.
    """
    teacher = teacher_of(cartridge.manifest.notes)
    return Params.of(teacher.params if teacher else {})


def start_frame(cartridge: Cartridge, seed: int) -> np.ndarray:
    """The first frame of a match in this world: its teacher's stage, stocks and time limit.

    Returns
    -------
    ndarray, `FRAME` scalar

    Raises
    ------
    ModelFileError
        If its notes name physics that there are not.
    ValueError
        If no built-in game has its schema.
    """
    manifest = cartridge.manifest
    teacher = teacher_of(manifest.notes) or teacher_for(manifest.schema)
    return as_record(teacher.initial_frame(seed))


def make_engine(
    name: str,
    world: World | Cartridge,
    start_frame: np.ndarray,
    ledger: Place | Ledger | str | None = None,
    wallet: Keypair | None = None,
) -> Engine:
    """A fresh match of a world on the engine called ``name``.

    Parameters
    ----------
    name : str
        One of `ENGINES`.
    world : World or Cartridge
        For ``chain`` and ``rollup``: where it is not on the ledger yet it is deployed first.
    start_frame : ndarray, `FRAME` scalar
    ledger : Place, Ledger or str, optional
        Where ``chain`` and ``rollup`` play, as `awm_kit.play.places.open_place` takes it. By default
        ``chain`` has a ledger of its own, gone with this process, and ``rollup`` the local network.
    wallet : Keypair, optional
        Pays there; by default a new one, filled by airdrop.

    Raises
    ------
    ValueError
        If there is no such engine, or no rollup at ``ledger``.
    InsufficientFundsError
        The wallet is too poor, and the ledger gives no airdrop.
    ValidatorError
        The local network does not run.
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
    place = place_of(name, ledger)
    if place is None:
        raise ValueError(f"expected an engine of {list(ENGINES)} (got {name!r})")
    return _on_chain(place, cartridge, start_frame, wallet)


def place_of(name: str, ledger: Place | Ledger | str | None = None) -> Place | None:
    """Where the engine called ``name`` plays; None if it computes in this process. As in `make_engine`."""
    if name == "chain":
        return Place(open_place(ledger).ledger)
    if name != "rollup":
        return None
    place = open_place(ledger or LOCALNET)
    if place.rollup is None:
        raise ValueError(f"expected a place with a rollup, e.g. {LOCALNET!r} (got {place.name!r})")
    return place


def settle(engine: Engine, place: Place | None) -> MatchResult | None:
    """End an engine's match where it stands, and bring it home; None if no ledger keeps it."""
    if place is None or not isinstance(engine, ChainSession):
        return None
    return finish_match(place, engine)


def release(engine: Engine) -> None:
    """Close what connections an engine has; it cannot step afterwards."""
    if isinstance(engine, RollupSession):
        engine.disconnect()


def deployed(place: Place, cartridge: Cartridge, wallet: Keypair) -> World:
    """A cartridge's world on the place's ledger, deployed at the wallet's cost if nobody has done so."""
    key = find_deployed(place, cartridge)
    if key is not None:
        return open_world(place.ledger, key)
    return deploy(place.ledger, cartridge, wallet, progress=False)


def find_deployed(place: Place, cartridge: Cartridge) -> Pubkey | None:
    """Manifest account of a cartridge's world on the place's ledger, whosever it is; None without one."""
    found = (info.key for info in list_worlds(place.ledger) if info.world_hash == cartridge.world_hash)
    return next(found, None)


def _on_chain(
    place: Place, cartridge: Cartridge, start_frame: np.ndarray, wallet: Keypair | None
) -> ChainSession:
    if wallet is None:
        wallet = Keypair()
        place.fund(wallet)
    session = host_match(place, deployed(place, cartridge, wallet), wallet, start_frame)
    seat_script(session)
    session.ready()
    return session
