"""What each kind of op takes of a frame in the native kernel."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from awm_kit.kernel import NativeWorld
from awm_kit.kernel_build import build
from awm_kit.quant.layout import OpKind

_SOURCE = Path(__file__).with_name("ops.c")


class OpTimes:
    """Runs frames an op at a time and keeps the least that each op took.

    Parameters
    ----------
    world : NativeWorld
    frame : ndarray of the frame dtype, shape ()
    inputs : ndarray of the controller dtype, shape (2,)

    Raises
    ------
    CompilerMissingError : if there is no compiler
    """

    def __init__(self, world: NativeWorld, frame: np.ndarray, inputs: np.ndarray) -> None:
        self._kinds = world.manifest.ops["kind"]
        self._least = np.full(world.n_ops + 1, np.iinfo(np.uint64).max, np.uint64)
        run, least = ctypes.cast(world.kernel.lib.awm_run, ctypes.c_void_p), self._least.ctypes.data
        #: Runs one frame.
        self.run: Callable[[], int] = world.in_place(
            frame, inputs, lambda model, match: int(_timer()(run, model, match, world.n_ops, least))
        )

    def seconds(self, kind: str) -> float:
        """Of all ops of a kind, `OpKind`'s in lower case: the least of each, less what timing it takes."""
        ops, idle = self._least[:-1].astype(float), float(self._least[-1])
        return float(np.maximum(ops - idle, 0)[self._kinds == OpKind[kind.upper()]].sum()) / 1e9

    def microseconds(self) -> dict[str, float]:
        """Of every kind that the frame has."""
        names = [kind.name.lower() for kind in OpKind if (self._kinds == kind).any()]
        return {name: round(1e6 * self.seconds(name), 2) for name in names}


@lru_cache(maxsize=1)
def _timer() -> Any:
    timer = ctypes.CDLL(str(build(files=[_SOURCE]))).awm_time_ops
    pointer = ctypes.c_void_p
    timer.restype, timer.argtypes = ctypes.c_int, [pointer, pointer, pointer, ctypes.c_uint32, pointer]
    return timer
