"""Native speed of the kernel: ``python tests/bench_kernel.py`` prints JSON; one thread.

``frames`` are whole frames through `NativeWorld.step`; ``matvec_gmac_per_s`` are the matrices alone, 256
columns, 1 and 15 MB of weights. ``portable`` is the plain C loop, vectorised by the compiler for any CPU.
"""

from __future__ import annotations

import ctypes
import json
import platform
import time
from collections.abc import Callable

import numpy as np

from awm_kit.kernel import BACKENDS, NativeWorld, available_backends
from awm_kit.kernel_library import Kernel
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_frame, random_inputs, random_model

SIZES = {
    "small": Shape(128, 8, 32, 16, 3, 2),
    "middle": Shape(256, 16, 32, 16, 6, 2),
    "large": Shape(512, 16, 64, 16, 8, 2),
}


class _Matvec(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("acc", "w", "x", "lanes")),
        *((name, ctypes.c_uint32) for name in ("rows", "cols")),
        ("bias64", ctypes.c_int32),
        ("backend", ctypes.c_uint32),
    )


def best_seconds(run: Callable[[], object], target: float = 0.5) -> float:
    """Shortest of the runs that fit into ``target`` seconds (at least three)."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < target:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def matvec_gmacs(backend: str, megabytes: float, cols: int = 256) -> float:
    lib = Kernel.load().lib
    rows = int(megabytes * 2**20) // cols
    rng = np.random.default_rng(0)
    w = rng.integers(1, 128, rows * cols + 8, np.uint8)
    x, acc, lanes = (
        rng.integers(-127, 128, cols, np.int8),
        np.zeros(rows, np.int32),
        np.zeros(cols, np.uint64),
    )
    pointers = (a.ctypes.data for a in (acc, w, x, lanes))
    args = _Matvec(*pointers, rows, cols, 0, BACKENDS[backend])
    lib.awm_matvec_begin(ctypes.byref(args))
    return rows * cols / best_seconds(lambda: lib.awm_matvec(ctypes.byref(args))) / 1e9


def frames_per_second(shape: Shape, backend: str) -> tuple[float, int]:
    world = NativeWorld(pack(random_model(0, shape)), backend)
    rng = np.random.default_rng(0)
    frame, pads, state = random_frame(rng), random_inputs(rng, 1)[0], world.initial_state()
    return 1 / best_seconds(lambda: world.step(state, frame, pads)), world.manifest.macs_per_frame


def main() -> None:
    frames = {}
    for size, shape in SIZES.items():
        rates = {}
        for backend in available_backends():
            rate, macs = frames_per_second(shape, backend)
            rates[backend] = {"frames_per_s": round(rate), "gmac_per_s": round(rate * macs / 1e9, 2)}
        frames[size] = {"macs_per_frame": macs, **rates}
    matvec = {
        f"{megabytes} MB": {name: round(matvec_gmacs(name, megabytes), 1) for name in available_backends()}
        for megabytes in (1, 15)
    }
    print(
        json.dumps({"machine": platform.machine(), "frames": frames, "matvec_gmac_per_s": matvec}, indent=1)
    )


if __name__ == "__main__":
    main()
