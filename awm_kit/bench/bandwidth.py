"""How fast one core reads a block of memory of a given size: the limit of whatever must read that much."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

from awm_kit.kernel import huge_pages
from awm_kit.kernel_build import FLAGS, build

NATIVE_FLAGS = (*FLAGS, "-march=native")
_SOURCE = Path(__file__).with_name("read.c")
_STEP = 512  # bytes that the loop reads at a time


class Reader:
    """Reads the same block again and again, as a frame does with its weights, from huge pages as they are.

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
        self._block = huge_pages(self.n_bytes)
        self._block[:] = 1
        #: Ways to read the block once: from its begin to its end, and its quarters side by side.
        self.runs: dict[str, Callable[[], object]] = {
            name: partial(_function(name), self._block.ctypes.data, self.n_bytes // 64)
            for name in ("awm_read", "awm_read_quarters")
        }


@lru_cache(maxsize=2)
def _function(name: str) -> Callable[[int, int], int]:
    lib = ctypes.CDLL(str(build(NATIVE_FLAGS, [_SOURCE])))
    read: Callable[[int, int], int] = getattr(lib, name)
    read.restype, read.argtypes = ctypes.c_uint64, [ctypes.c_void_p, ctypes.c_uint64]  # type: ignore[attr-defined]
    return read
