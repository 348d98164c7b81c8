"""The input log: every change of a controller, frame by frame, as the program writes it (see ACCOUNTS.md).

An entry is ``player << 7 | gap`` (frames since that player's last entry, at first since frame 0), a mask of
the controller bytes that changed, and those bytes. A gap of 127 stands alone and advances 127 frames.
Frames count from 1: frame 1 is the first one computed. A log plus its start frame *is* the match.
"""

from __future__ import annotations

import numpy as np

from awm_kit.errors import VerificationError
from awm_kit.schema import CONTROLLER, N_PLAYERS

#: Bytes of a controller that act on the game; the rest is the client's sequence number.
PHYSICAL_BYTES = 8
ADVANCE = 127
#: A day. What a record claims is not to decide how much memory reading it takes.
MAX_FRAMES = 24 * 3600 * 60


def encode(inputs: np.ndarray) -> bytes:
    """Entries for a match's controllers.

    Parameters
    ----------
    inputs : ndarray of CONTROLLER, shape (T, 2)
        ``inputs[i]`` is what frame ``i + 1`` was computed with. Sequence numbers are not logged.

    Returns
    -------
    bytes
        What an InputLog account holds after its header.
    """
    raw = physical(inputs)
    before = np.concatenate([np.zeros_like(raw[:1]), raw[:-1]])
    changed = raw != before
    out = bytearray()
    last = [0] * N_PLAYERS
    for i, player in np.argwhere(changed.any(axis=2)).tolist():
        advances, gap = divmod(i + 1 - last[player], ADVANCE)
        last[player] = i + 1
        out += bytes([player << 7 | ADVANCE]) * advances
        bits = changed[i, player]
        out += bytes([player << 7 | gap, np.packbits(bits, bitorder="little")[0]])
        out += raw[i, player][bits].tobytes()
    return bytes(out)


def decode(entries: bytes, frames: int) -> np.ndarray:
    """Controllers of a match from its log entries; the inverse of `encode`.

    Parameters
    ----------
    entries : bytes
        The used bytes after the InputLog account's header.
    frames : int
        Number T of frames that were computed.

    Returns
    -------
    ndarray of CONTROLLER, shape (T, 2)
        With sequence numbers 0.

    Raises
    ------
    VerificationError
        The bytes are not what a match of ``frames`` frames writes.
    """
    if not 0 <= frames <= MAX_FRAMES:
        raise VerificationError(f"expected a match of 0 to {MAX_FRAMES:,} frames (got {frames:,})")
    changes = np.zeros((frames, N_PLAYERS, PHYSICAL_BYTES), np.uint8)
    now = np.zeros((N_PLAYERS, PHYSICAL_BYTES), np.uint8)
    last, at = [0] * N_PLAYERS, 0
    while at < len(entries):
        player, gap = entries[at] >> 7, entries[at] & 127
        last[player] += gap
        at += 1
        if gap == ADVANCE:
            continue
        if at >= len(entries):
            raise VerificationError(f"input log is cut short: an entry at byte {at - 1} has no mask")
        bits = np.unpackbits(np.uint8(entries[at]), bitorder="little").astype(bool)
        body = entries[at + 1 : at + 1 + int(bits.sum())]
        if len(body) < bits.sum() or not 1 <= last[player] <= frames:
            raise VerificationError(
                f"input log entry at byte {at - 1}: expected {bits.sum()} bytes for a frame of 1..{frames} "
                f"(got {len(body)} bytes for frame {last[player]})"
            )
        value = np.frombuffer(body, np.uint8)
        # Differences by exclusive or: their running sum restores the held controllers in one sweep.
        changes[last[player] - 1, player, bits] = now[player, bits] ^ value
        now[player, bits] = value
        at += 1 + len(body)
    inputs = np.zeros((frames, N_PLAYERS), CONTROLLER)
    raw = inputs.view(np.uint8).reshape(frames, N_PLAYERS, CONTROLLER.itemsize)
    raw[..., :PHYSICAL_BYTES] = np.bitwise_xor.accumulate(changes, axis=0) if frames else changes
    if encode(inputs) != entries:
        raise VerificationError("input log is not in the form that the program writes")
    return inputs


def physical(inputs: np.ndarray) -> np.ndarray:
    """The acting bytes of controllers, uint8 of shape (T, 2, 8)."""
    if inputs.dtype != CONTROLLER or inputs.shape[1:] != (N_PLAYERS,):
        raise ValueError(
            f"expected controllers of shape (T, {N_PLAYERS}) (got {inputs.dtype}, {inputs.shape})"
        )
    raw = np.ascontiguousarray(inputs).view(np.uint8).reshape(len(inputs), N_PLAYERS, CONTROLLER.itemsize)
    return raw[..., :PHYSICAL_BYTES]
