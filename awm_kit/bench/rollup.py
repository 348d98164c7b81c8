"""A match on MagicBlock's rollup in real time, frame by frame."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from solders.keypair import Keypair
from solders.signature import Signature

from awm_kit.bench.timing import machine
from awm_kit.chain import embedded
from awm_kit.chain.deploy import deploy
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.rollup_session import RollupSession, local_match
from awm_kit.chain.rpc import RpcLedger
from awm_kit.errors import ValidatorError
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.layout import OpKind
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_inputs, random_model
from awm_kit.schema import FIGHTER, STATUS_PLAYING
from awm_kit.worlds import load_world

FRAMES_A_SECOND = 60
BUILDS = ("sbf", "syscall")
#: Random worlds by size: what a frame costs does not depend on what was learned.
SHAPES = {
    "1M": Shape(d_model=192, nheads=6, headdim=64, d_state=32, n_layers=4),
    "4M": Shape(d_model=320, nheads=10, headdim=64, d_state=32, n_layers=6),
    "15M": Shape(d_model=512, nheads=16, headdim=64, d_state=32, n_layers=12),
}


def measure_rollup(
    worlds: list[str], builds: list[str], seconds: float = 10.0, seed: int = 0
) -> dict[str, Any]:
    """Play random inputs on the local network, at most one frame a slot.

    Parameters
    ----------
    worlds : list of str
        Cartridges, names of shipped worlds, or ``1M``, ``4M``, ``15M``: random ones of that many parameters.
    builds : list of str
        Of ``sbf`` and ``syscall``: the program's two builds.
    seconds : float
        For each.
    seed : int
        Of random worlds and inputs.

    Returns
    -------
    dict
        ``machine``, and ``worlds``, for each: ``name``, ``build``, ``params`` (entries of all matrices),
        ``frames``, ``fps``, ``interval_p50_ms``, ``interval_p99_ms`` (between notifications of new frames),
        ``latency_p50_ms``, ``latency_p99_ms`` (from an input's submission with its frame to the notification;
        waiting for the slot included), ``tx_per_frame``, ``cu_per_frame``, ``retries`` and ``dropped``
        (60ths of a second that passed without a new frame).

    Raises
    ------
    ValidatorError
        The local network does not start here.
    """
    rows = []
    for build in builds:
        with _network(build) as network:
            l1, rollup = RpcLedger(network.l1), RpcLedger(network.rollup, preflight=False)
            owner = Keypair()
            l1.airdrop(owner.pubkey(), 1_000 * LAMPORTS_PER_SOL)
            for name in worlds:
                cartridge = _cartridge(name, seed)
                world = deploy(l1, cartridge, owner, progress=False)
                with local_match(l1, rollup, world, seed) as session:
                    rows.append({"name": f"{name} {build}", "build": build, "params": _params(cartridge)})
                    rows[-1] |= _play(session, rollup, seconds, seed)
            l1.close()
            rollup.close()
    return {"machine": machine(), "worlds": rows}


def _play(session: RollupSession, rollup: RpcLedger, seconds: float, seed: int) -> dict[str, Any]:
    inputs = random_inputs(np.random.default_rng(seed), int(seconds * FRAMES_A_SECOND * 2))
    begun, sent, arrived = time.perf_counter(), [], []
    signatures: list[str] = []
    for pads in inputs:
        sent.append(time.perf_counter())
        retries = session.retries
        frame = session.step(pads)
        arrived.append(session.stream.arrived)
        if session.retries == retries:  # else they may be those of a needless second attempt
            signatures = session.last_signatures
        if frame["status"] != STATUS_PLAYING or time.perf_counter() - begun > seconds:
            break
    gaps = np.diff(arrived)
    latency = np.array(arrived) - sent
    return {
        "frames": len(arrived),
        "fps": round(len(gaps) / float(gaps.sum()), 2),
        "interval_p50_ms": _percentile(gaps, 50),
        "interval_p99_ms": _percentile(gaps, 99),
        "latency_p50_ms": _percentile(latency, 50),
        "latency_p99_ms": _percentile(latency, 99),
        "tx_per_frame": session.tx_per_frame,
        "cu_per_frame": sum(rollup.compute_units(Signature.from_string(s)) for s in signatures),
        "retries": session.retries,
        "dropped": int(np.maximum(np.rint(gaps * FRAMES_A_SECOND) - 1, 0).sum()),
    }


def _percentile(seconds: np.ndarray, q: int) -> float:
    return round(float(np.percentile(seconds, q)) * 1e3, 2)


def _cartridge(name: str, seed: int) -> Cartridge:
    if name not in SHAPES:
        return load_world(name)
    # Random play must not end before the measurement does.
    return pack(random_model(seed, SHAPES[name], schema=replace(FIGHTER, end_field="")))


def _params(cartridge: Cartridge) -> int:
    products = cartridge.manifest.ops[cartridge.manifest.ops["kind"] == OpKind.MATVEC]
    return int((products["rows"].astype(np.int64) * products["cols"]).sum())


def _network(build: str) -> AbstractContextManager[Any]:
    if build not in BUILDS:
        raise ValueError(f"expected a build of {', '.join(BUILDS)} (got {build!r})")
    try:
        from validator import launch
    except ModuleNotFoundError as error:
        raise ValidatorError(f"the rollup is started from a checkout of awm-kit ({error})") from error
    image = Path(embedded.__file__).with_name("world_model_syscall.so")
    return launch.running(program=image if build == "syscall" else None)
