"""The format N4: weights in 4 bits, pairs of rows share a scale in each chunk of 32 columns.

``kernel_c/awm_matvec_n4.h`` draws the layout, NUMERICS.md says why nothing overflows. Here are its bytes, its
product in NumPy (the normative one) and how a real matrix becomes one.
"""

from __future__ import annotations

import numpy as np

from awm_kit.errors import ModelFileError

CHUNK = 32  # columns that share a scale
BLOCK = 16  # rows that lie side by side
QUAD = 4  # rows in a word
WEIGHT_MAX = 7
SCALE_MAX = 255
MAX_COLS = 2048
#: What each chunk adds to its sum before it is multiplied by the scale.
CHUNK_BIAS = 1 << 15

#: Row of a quad in each 16-bit lane of a word.
_ROW_OF_LANE = (0, 2, 1, 3)


def n_chunks(cols: int) -> int:
    """Chunks of a row."""
    return -(-cols // CHUNK)


def n_pairs(rows: int) -> int:
    """Pairs of rows that share scales; of whole quads."""
    return -(-rows // QUAD) * 2


def words_bytes(rows: int, cols: int) -> int:
    """Bytes of a matrix's weights."""
    return -(-rows // QUAD) * QUAD * cols // 2


def scales_bytes(rows: int, cols: int) -> int:
    """Bytes of a matrix's scales, a multiple of 8."""
    return -(-n_pairs(rows) * n_chunks(cols) // 8) * 8


def sums(weight: np.ndarray, scales: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Scaled sums of products: ``sum over chunks of scale * (sum of w x)``, exact.

    Parameters
    ----------
    weight : ndarray of int8, shape (rows, cols), in -7..7
    scales : ndarray of uint8, shape (rows, n_chunks(cols))
    x : ndarray of int64, shape (cols,), in -128..127

    Returns
    -------
    ndarray of int64, shape (rows,)
    """
    rows, cols = weight.shape
    padded = np.zeros((rows, n_chunks(cols) * CHUNK), np.int64)
    padded[:, :cols] = weight * x.astype(np.int64)
    chunked = padded.reshape(rows, -1, CHUNK).sum(2)
    return np.asarray((chunked * scales).sum(1))


def bias_offset(scales: np.ndarray) -> np.ndarray:
    """What the kernel's sums are larger by, and the biases on file smaller: int64, shape (rows,)."""
    return np.asarray(scales.sum(1, dtype=np.int64) * CHUNK_BIAS)


def expand(weight: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Each weight times its scale: int64, shape (rows, cols)."""
    full = scales.astype(np.int64).repeat(CHUNK, 1)[:, : weight.shape[1]]
    return np.asarray(weight * full)


def pack_weights(weight: np.ndarray, scales: np.ndarray) -> bytes:
    """Words and scales of a matrix as they lie in a shard; `unpack_weights` is the inverse.

    Parameters
    ----------
    weight : ndarray of int8, shape (rows, cols), in -7..7; cols a multiple of 8
    scales : ndarray of uint8, shape (rows, n_chunks(cols)); rows 2 i and 2 i + 1 have the same

    Raises
    ------
    ModelFileError : if the rows of a pair differ in their scales
    """
    rows, cols = weight.shape
    if not np.array_equal(scales[: rows // 2 * 2 : 2], scales[1::2]):
        raise ModelFileError("expected the same scales for the rows 2 i and 2 i + 1 of a 4-bit matrix")
    nibbles = np.full((n_pairs(rows) * 2, cols), 8, np.uint16)
    nibbles[:rows] += weight.astype(np.int16).view(np.uint16)
    lanes = nibbles.reshape(-1, QUAD, cols // 4, 4)[:, _ROW_OF_LANE]
    words = lanes[..., 0] | lanes[..., 1] << 4 | lanes[..., 2] << 8 | lanes[..., 3] << 12
    words = words.transpose(0, 2, 1)  # (quads, cols / 4, lanes)
    by_pair = np.zeros((n_pairs(rows), n_chunks(cols)), np.uint8)
    by_pair[: -(-rows // 2)] = scales[::2]
    by_quad = by_pair.reshape(-1, 2, n_chunks(cols)).transpose(0, 2, 1)  # (quads, chunks, pairs)
    whole = rows // BLOCK * (BLOCK // QUAD)
    parts = [
        _side_by_side(words[:whole]), words[whole:].astype("<u2").tobytes(),
        _side_by_side(by_quad[:whole]), by_quad[whole:].tobytes(),
    ]  # fmt: skip
    return b"".join(parts).ljust(words_bytes(rows, cols) + scales_bytes(rows, cols), b"\0")


def unpack_weights(data: bytes, rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (int8, -8..7) and scales of a matrix's bytes; shapes as in `pack_weights`."""
    quads, whole, chunks = n_pairs(rows) // 2, rows // BLOCK * (BLOCK // QUAD), n_chunks(cols)
    raw = np.frombuffer(data, "<u2", quads * QUAD * cols // 4)
    words = _one_by_one(raw, (quads, cols // 4, QUAD), whole)
    lanes = np.stack([words >> shift & 15 for shift in (0, 4, 8, 12)], axis=-1)
    by_row = lanes.transpose(0, 2, 1, 3)[:, np.argsort(_ROW_OF_LANE)].reshape(quads * QUAD, cols)
    raw = np.frombuffer(data, np.uint8, quads * 2 * chunks, words_bytes(rows, cols))
    scales = _one_by_one(raw, (quads, chunks, 2), whole).transpose(0, 2, 1).reshape(-1, chunks)
    return (by_row[:rows].astype(np.int8) - 8), scales.repeat(2, 0)[:rows]


def _side_by_side(quads: np.ndarray) -> bytes:
    """The quads of each block next to each other: (quads, n, k) to (blocks, n, 4, k)."""
    _, n, k = quads.shape
    blocks = quads.reshape(-1, BLOCK // QUAD, n, k).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(blocks, blocks.dtype.newbyteorder("<")).tobytes()


def _one_by_one(flat: np.ndarray, shape: tuple[int, int, int], whole: int) -> np.ndarray:
    """The inverse of `_side_by_side` for the first ``whole`` quads; the others lie one by one."""
    _, n, k = shape
    size = whole * n * k
    blocks = flat[:size].reshape(-1, n, BLOCK // QUAD, k).transpose(0, 2, 1, 3).reshape(whole, n, k)
    return np.concatenate([blocks, flat[size:].reshape(-1, n, k)])
