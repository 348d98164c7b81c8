"""Products with 4-bit weights that attack the format, and the bytes that a kernel reads of them.

``python tests/n4_cases.py`` writes the smaller ones as ``vectors/n4.txt``; test_n4_kernel.py compares it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from awm_kit.quant import n4

ACC = 160  # AWM_CHUNK: sums of the second view are so many words behind the first's


VECTORS = Path(__file__).parent / "vectors" / "n4.txt"
_LARGEST = 4096  # bytes of a matrix in the vectors


@dataclass
class Case:
    """A matrix, its scales, and the activations of both views."""

    name: str
    weight: np.ndarray
    scales: np.ndarray
    x: np.ndarray

    @property
    def data(self) -> bytes:
        """The matrix in a shard."""
        return n4.pack_weights(self.weight, self.scales)

    def sums(self, view: int) -> np.ndarray:
        """What a kernel's accumulators must be, by definition: int32, shape (rows,)."""
        exact = n4.sums(self.weight, self.scales, self.x[view]) + n4.bias_offset(self.scales)
        return exact.astype(np.int32)


def random_scales(rng: np.random.Generator, rows: int, cols: int) -> np.ndarray:
    """Any scales, the same for two rows."""
    return rng.integers(0, 256, (n4.n_pairs(rows), n4.n_chunks(cols))).astype(np.uint8).repeat(2, 0)[:rows]


def cases() -> Iterator[Case]:
    """Extremes first, then sizes around blocks, quads, chunks and SIMD words."""
    rng = np.random.default_rng(3)

    def case(name: str, weight: np.ndarray, x: np.ndarray, scales: np.ndarray | None = None) -> Case:
        if scales is None:
            scales = random_scales(rng, *weight.shape)
        scales = np.broadcast_to(scales, (len(weight), n4.n_chunks(weight.shape[1])))
        return Case(name, weight.astype(np.int8), scales.astype(np.uint8), x.astype(np.int8))

    def full(rows: int, cols: int, w: int, x: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full((rows, cols), w), np.full((2, cols), x)

    top = np.array(255)
    yield case("the largest sum there is", *full(16, 2048, 7, 127), top)
    yield case("the smallest, 2^15 - 28672 a chunk", *full(16, 2048, 7, -128), top)
    yield case("-7 and -128: 28672 a chunk, next to a lane's end", *full(20, 64, -7, -128), top)
    yield case("scales of zero forget their chunk", *full(16, 96, 7, 127), np.array([0, 255, 0]))
    lanes = np.tile([[7], [-7], [-7], [7]], (4, 64))
    yield case("neighbouring lanes at opposite ends", lanes, np.full((2, 64), -128), top)
    signs = rng.choice([-1, 1], 512)
    yield case(
        "aligned signs", 7 * signs * rng.choice([-1, 1], (32, 1)), np.stack([127 * signs, -128 * signs])
    )
    only = np.zeros((2, 64), int)
    only[0, 37], only[1, 2] = 127, -128
    yield case("one column each", rng.integers(-7, 8, (17, 64)), only)
    for rows, cols in ((1, 8), (4, 16), (5, 24), (15, 32), (16, 40), (17, 56), (33, 64), (31, 72), (48, 96),
                       (7, 200), (160, 128), (128, 200), (98, 128), (64, 256), (23, 1024)):  # fmt: skip
        weight = rng.integers(-7, 8, (rows, cols))
        yield case(f"{rows} x {cols}", weight, rng.integers(-128, 128, (2, cols)))


def text() -> str:
    """The vectors' file: hex fields that end with a colon, little endian."""
    head = (
        "# Fields: words and scales, activations (i8) of two views, their sums (i32) with 2^15 a chunk.\n\n"
    )
    parts = []
    for case in cases():
        if len(case.data) > _LARGEST:
            continue
        rows, cols = case.weight.shape
        sums = [case.sums(view).astype("<i4").tobytes() for view in range(2)]
        fields = [case.data, case.x.tobytes(), *sums]
        parts.append("\n".join([f"# {case.name}: {rows} x {cols}", *(f"{f.hex()}:" for f in fields)]) + "\n")
    return head + "\n".join(parts)


if __name__ == "__main__":
    VECTORS.write_text(text())
    print(f"{VECTORS.name}: {VECTORS.stat().st_size} bytes")
