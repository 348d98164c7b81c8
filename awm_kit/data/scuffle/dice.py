"""Chance that is the same everywhere: uniform numbers from hashes of integers."""

from __future__ import annotations

import numpy as np

_MIX = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35))


def hash32(*values: np.ndarray | int) -> np.ndarray:
    """Mix integers (arrays broadcast) into one uniform uint32 each; the same everywhere."""
    h = np.zeros((), np.uint32)
    with np.errstate(over="ignore"):
        for value in values:
            h = (h ^ np.asarray(value).astype(np.uint32)) * _MIX[0]
            h = (h ^ (h >> np.uint32(15))) * _MIX[1]
            h = (h ^ (h >> np.uint32(13))) * _MIX[2]
            h = h ^ (h >> np.uint32(16))
    return h


class Dice:
    """Independent uniform numbers for the deciding players, in a fixed order of calls."""

    def __init__(self, key: np.ndarray) -> None:
        self._key = key
        self._n = 0

    def roll(self) -> np.ndarray:
        """Uniform in [0, 1), float32."""
        self._n += 1
        with np.errstate(over="ignore"):
            counter = self._key + np.uint32(self._n * 0x9E3779B1 & 0xFFFFFFFF)
        return (hash32(counter) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)

    def below(self, n: int) -> np.ndarray:
        """Uniform integers 0..n-1, int32."""
        return (self.roll() * n).astype(np.int32)
