"""How fast one core reads a block of memory of a given size: the limit of whatever must read that much."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from awm_kit.kernel import FLAGS, build

NATIVE_FLAGS = (*FLAGS, "-march=native")
_SOURCE = Path(__file__).with_name("read.c")
_STEP = 512  # bytes that the loop reads at a time


class Reader:
    """Reads the same block again and again, as a frame does with its weights.

    Parameters
    ----------
    n_bytes : int
        Rounded up to what the loop takes at a time.

    Raises
    ------
    CompilerMissingError : if there is no compiler
    """

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = -(-n_bytes // _STEP) * _STEP
        self._block = np.ones(self.n_bytes + _STEP, np.uint8)
        address = -(-self._block.ctypes.data // _STEP) * _STEP
        #: Reads the block once.
        self.run: Callable[[], object] = partial(_function(), address, self.n_bytes // 64)


@lru_cache(maxsize=1)
def _function() -> Callable[[int, int], int]:
    lib = ctypes.CDLL(str(build(NATIVE_FLAGS, [_SOURCE])))
    read: Callable[[int, int], int] = lib.awm_read
    lib.awm_read.restype, lib.awm_read.argtypes = ctypes.c_uint64, [ctypes.c_void_p, ctypes.c_uint64]
    return read
