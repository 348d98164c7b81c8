"""A match on MagicBlock's rollup in real time, frame by frame."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any

import numpy as np
from solders.keypair import Keypair
from solders.signature import Signature

from awm_kit.bench.kernel import SIZES
from awm_kit.chain.deploy import deploy
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.rollup_session import RollupSession, local_match
from awm_kit.chain.rpc import RpcLedger
from awm_kit.errors import ValidatorError
from awm_kit.machine import machine
from awm_kit.play.duel import FRAMES_A_SECOND
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import in_four_bits, random_inputs, random_model
from awm_kit.schema import FIGHTER, STATUS_PLAYING
from awm_kit.worlds import load_world

BUILDS = ("sbf", "syscall")
#: Random worlds by size: what a frame costs does not depend on what was learned. A frame of a trained world
#: is two passes of the network, one for each player; 15M is one pass of 19 million products, 15Mx2 two.
SHAPES = {**SIZES, "15M": replace(SIZES["15M"], n_views=1), "15Mx2": SIZES["15M"]}
FOUR_BITS = "-n4"  # behind a size: with all matrices in 4 bits
#: What is measured unless asked otherwise: world and build of the program.
CASES = (("1M", "sbf"), ("1M", "syscall"), ("4M", "syscall"), ("15M", "syscall"))
_LOG = logging.getLogger(__name__)


def measure_rollup(
    cases: Sequence[tuple[str, str]] = CASES, seconds: float = 10.0, seed: int = 0
) -> dict[str, Any]:
    """Play random inputs on the local network, 60 frames a second.

    Parameters
    ----------
    cases : sequence of (str, str)
        World and build of the program. A world is a cartridge, the name of a shipped one, or a random one of
        `SHAPES`, with ``-n4`` behind it in 4 bits; a build is one of `BUILDS`.
    seconds : float
        For each.
    seed : int
        Of random worlds and inputs.

    Returns
    -------
    dict
        ``machine``, and ``worlds``, for each: ``name``, ``build``, ``params`` (entries of all matrices),
        ``macs`` (multiply-accumulates of a frame's matrices), ``frames``, ``fps``, ``interval_p50_ms``,
        ``interval_p99_ms`` (between notifications of new frames), ``latency_p50_ms``, ``latency_p99_ms`` (an
        input's submission with its frame to the notification), ``tx_per_frame``, ``cu_per_frame``,
        ``retries`` and ``dropped`` (60ths of a second that passed without a new frame).

    Raises
    ------
    ValidatorError
        The local network does not start here.
    """
    wrong = [build for _, build in cases if build not in BUILDS]
    if wrong:
        raise ValueError(f"expected a build of {', '.join(BUILDS)} (got {wrong[0]!r})")
    rows = []
    for build in dict.fromkeys(build for _, build in cases):
        with (
            network(build) as local,
            closing(RpcLedger(local.l1)) as l1,
            closing(RpcLedger(local.rollup, preflight=False)) as rollup,
        ):
            owner = Keypair()
            l1.airdrop(owner.pubkey(), 1_000 * LAMPORTS_PER_SOL)
            for name in (name for name, of in cases if of == build):
                cartridge = cartridge_of(name, seed)
                world = deploy(l1, cartridge, owner, progress=False)
                row = {"name": name, "build": build, **_size(cartridge)}
                _LOG.info(f"{name}, {build}: {seconds:g} seconds of play")
                with local_match(l1, rollup, world, seed) as session:
                    rows.append(row | _play(session, rollup, seconds, seed))
    return {"machine": machine(), "worlds": rows}


def _play(session: RollupSession, rollup: RpcLedger, seconds: float, seed: int) -> dict[str, Any]:
    inputs = random_inputs(np.random.default_rng(seed), int(seconds * FRAMES_A_SECOND * 2))
    sent: dict[int, float] = {}
    signatures: list[str] = []
    first, begun = session.begun + 1, time.perf_counter()
    due = begun
    for pads in inputs:
        # Where frames come late the next ones follow at once, until the clock is caught up with.
        time.sleep(max(0.0, due - time.perf_counter()))
        due += 1 / FRAMES_A_SECOND
        sent.setdefault(session.begun + 1, time.perf_counter())
        retries = session.retries
        frame = session.hasten(pads)
        if session.retries == retries:  # else they may be those of a needless second attempt
            signatures = session.last_signatures
        if frame["status"] != STATUS_PLAYING or time.perf_counter() - begun > seconds:
            break
    last = int(session.finish()["frame"])
    told = {number: at for number, at in session.stream.arrivals if first <= number <= last}
    gaps = np.diff(list(told.values()))
    latency = np.array([at - sent[number] for number, at in told.items() if number in sent])
    return {
        "frames": len(told),
        "fps": round(len(gaps) / float(gaps.sum()), 2),
        "interval_p50_ms": _percentile(gaps, 50),
        "interval_p99_ms": _percentile(gaps, 99),
        "latency_p50_ms": _percentile(latency, 50),
        "latency_p99_ms": _percentile(latency, 99),
        "tx_per_frame": len(signatures),
        "cu_per_frame": sum(rollup.compute_units(Signature.from_string(s)) for s in signatures),
        "retries": session.retries,
        "dropped": int(np.maximum(np.rint(gaps * FRAMES_A_SECOND) - 1, 0).sum()),
    }


def _percentile(seconds: np.ndarray, q: int) -> float:
    return round(float(np.percentile(seconds, q)) * 1e3, 2)


def cartridge_of(name: str, seed: int = 0) -> Cartridge:
    """The random world of a size, of `SHAPES`, in 4 bits if its name says so; or else a cartridge by name."""
    shape = SHAPES.get(name.removesuffix(FOUR_BITS))
    if shape is None:
        return load_world(name)
    # Random play must not end before the measurement does.
    model = random_model(seed, shape, schema=replace(FIGHTER, end_field=""))
    return pack(in_four_bits(model, seed) if name.endswith(FOUR_BITS) else model)


def _size(cartridge: Cartridge) -> dict[str, int]:
    macs = cartridge.manifest.macs_per_frame
    return {"params": macs // cartridge.manifest.n_views, "macs": macs}


def network(build: str = "sbf") -> AbstractContextManager[Any]:
    """A local network with this build of the world program (`validator.launch.running`).

    Raises
    ------
    ValidatorError
        This is no checkout, or it does not start here.
    """
    try:
        from validator import launch
    except ModuleNotFoundError as error:
        raise ValidatorError(f"the rollup is started from a checkout of awm-kit ({error})") from error
    started: AbstractContextManager[Any] = launch.running(program=launch.BUILDS[build])
    return started
