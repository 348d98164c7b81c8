"""How fast the native kernel computes frames: backend by backend, and next to memory and to its peers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from awm_kit.bench.bandwidth import NATIVE_FLAGS, Reader
from awm_kit.bench.op_times import OpTimes
from awm_kit.bench.timing import alternate, best_seconds
from awm_kit.data.scuffle import initial_frame
from awm_kit.kernel import NativeWorld, available_backends
from awm_kit.machine import machine
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_inputs, random_model

#: Random worlds by about their number of parameters; 15M is the shape that issue and literature name.
SIZES = {
    "1M": Shape(d_model=192, nheads=12, headdim=32, d_state=16, n_layers=4),
    "4M": Shape(d_model=384, nheads=24, headdim=32, d_state=16, n_layers=4),
    "15M": Shape(d_model=512, nheads=16, headdim=64, d_state=16, n_layers=12),
}


def measure_kernel(cartridge: Cartridge, frames: int = 300, repeats: int = 5) -> dict[str, Any]:
    """Microseconds a frame of one match on one thread, for every backend that this CPU has.

    Returns
    -------
    dict
        ``macs_per_frame``; ``backends``: name to ``us_per_frame``, ``frames_per_second`` and
        ``gmac_per_second`` (matrix multiply-accumulates; everything else a frame does is in the time).
    """
    inputs = random_inputs(np.random.default_rng(1), frames)
    start, macs = initial_frame(1), cartridge.manifest.macs_per_frame
    backends = {}
    for name in available_backends():
        world = NativeWorld(cartridge, name)
        seconds = best_seconds(partial(_play, world, start, inputs), repeats) / frames
        backends[name] = {
            "us_per_frame": round(1e6 * seconds, 2),
            "frames_per_second": round(1 / seconds),
            "gmac_per_second": round(macs / seconds / 1e9, 3),
        }
    return {"macs_per_frame": macs, "backends": backends}


def _play(world: NativeWorld, start: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    return world.run(world.initial_state(), start, inputs)


def measure_sizes(names: tuple[str, ...] = tuple(SIZES), rounds: int = 12) -> dict[str, Any]:
    """The kernel, a plain read of as many bytes, and its peers, in turn, each on one thread.

    A frame is two views; random weights take as long as trained ones. `TrunkFrame` says what the peers
    compute; ``c_loop`` is the kernel's portable backend, plain loops, compiled with ``-O3 -march=native``.

    Parameters
    ----------
    names : tuple of str
        Of `SIZES`.
    rounds : int
        How often every contestant takes its turn; the fastest turn of each counts.

    Returns
    -------
    dict
        ``read_gbps``: gigabytes a second that one core reads, by size, from a block as long as shards and
        state.
        ``sizes``: for each ``name``, ``params``, ``fps`` (frames a second), ``fps_two_threads`` (by
        two threads that share each frame; everything else is of one), ``gmacs`` (10^9
        multiply-accumulates of matrices a second), ``bandwidth_share`` (the time that the bytes which a frame
        moves would take at that rate, over the frame's: all shards once, the state once in and once out),
        ``weights_share`` (the same of the shards alone, as if the state moved for nothing), ``matvec_share``
        (the same of the matrices alone), ``parts_us`` (microseconds by kind of op, of each op its least),
        ``speedup_over`` (a peer's time over the kernel's; None where the peer is not
        installed).
        ``machine``: what it was measured on.
    """
    rows, rates = [], {}
    for name in names:
        rates[name], row = _measure_size(name, rounds)
        rows.append(row)
    return {"read_gbps": rates, "sizes": rows, "machine": machine()}


def _measure_size(name: str, rounds: int) -> tuple[float, dict[str, Any]]:
    from awm_kit.bench.peers import make_peers, one_thread
    from awm_kit.model.config import ModelConfig

    shape = SIZES[name]
    cartridge = pack(random_model(1, shape))
    manifest, kernel = cartridge.manifest, NativeWorld(cartridge)
    weights = sum(map(len, cartridge.shards))
    held = weights + kernel.state_bytes
    config = ModelConfig(
        d_model=shape.d_model, n_layers=shape.n_layers, d_state=shape.d_state, headdim=shape.headdim
    )
    start, pads = initial_frame(1), random_inputs(np.random.default_rng(1), 1)[0]
    reader = Reader(held)
    parts = OpTimes(kernel, start, pads)
    with one_thread():
        peers = make_peers(config, manifest.d_feat, manifest.n_logits)
        peers["c_loop"] = NativeWorld(cartridge, "portable", NATIVE_FLAGS).in_place(start, pads)
        team = NativeWorld(cartridge, n_threads=2).in_place(start, pads)
        runs = {"kernel": kernel.in_place(start, pads), "team": team, "parts": parts.run, **reader.runs}
        runs |= {peer: run for peer, run in peers.items() if run}
        seconds = alternate(runs, rounds)
    frame, rate = seconds["kernel"], reader.n_bytes / min(seconds[name] for name in reader.runs)
    return round(rate / 1e9, 1), {
        "name": name,
        "params": manifest.n_params,
        "fps": round(1 / frame),
        "fps_two_threads": round(1 / seconds["team"]),
        "gmacs": round(manifest.macs_per_frame / frame / 1e9, 1),
        "bandwidth_share": round((held + kernel.state_bytes) / rate / frame, 3),
        "weights_share": round(weights / rate / frame, 3),
        "matvec_share": round(manifest.macs_per_frame / manifest.n_views / rate / parts.seconds("matvec"), 3),
        "parts_us": parts.microseconds(),
        "speedup_over": {
            peer: round(seconds[peer] / frame, 2) if peer in seconds else None for peer in peers
        },
    }
