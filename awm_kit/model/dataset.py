"""Replays as integer tensors, served as parallel streams that carry the network's memory along."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from awm_kit.data.replay import Replay
from awm_kit.schema import Schema


@dataclass(frozen=True)
class Batch:
    """A window of frames in ``n`` lanes; time is axis 1.

    ``frames`` t = 0..length and ``inputs`` t = 1..length: ``inputs[:, t-1]`` leads from frame t-1 to t.
    ``fresh`` marks lanes that start anew and need an empty memory.
    """

    globals: Tensor  # int64 (n, length + 1, n_global_fields)
    players: Tensor  # int64 (n, length + 1, 2, n_player_fields)
    targets: Tensor  # int64, like players: what frame t should have been, given frame t - 1
    inputs: Tensor  # int64 (n, length, 2, n_controller_fields)
    fresh: Tensor  # bool (n,)


class PackedReplays:
    """All frames of many replays end to end.

    Attributes
    ----------
    globals, players, inputs : ndarray of int32
        Shapes (frames, g), (frames, 2, p), (frames, 2, c), columns in schema order.
    targets : ndarray of int32, shape of ``players``
        What each frame should have been after the one before; the frame itself, but for corrected runs.
    starts : ndarray of int64, shape (n + 1,)
        Replay i is rows ``starts[i]:starts[i + 1]``.
    weights : ndarray of float64, shape (n,)
        How often each replay is walked, relative to the others.

    Parameters
    ----------
    schema : Schema
    replays : sequence of Replay
    corrections : sequence of ndarray of FRAME or None, optional
        For a run of a learned world, the teacher's next frame in place of the world's own.
    """

    def __init__(
        self,
        schema: Schema,
        replays: Sequence[Replay],
        corrections: Sequence[np.ndarray | None] | None = None,
    ) -> None:
        if not replays:
            raise ValueError("expected at least one replay (got none)")
        self.schema = schema
        frames = np.concatenate([r.frames for r in replays])
        inputs = np.concatenate([r.inputs for r in replays])
        self.globals = columns(frames, [f.name for f in schema.global_fields])
        self.players = columns(frames["players"], [f.name for f in schema.player_fields])
        self.inputs = columns(inputs, [f.name for f in schema.controller_fields])
        self.starts = np.concatenate([[0], np.cumsum([r.n_frames for r in replays])])
        self.weights = np.ones(len(replays))
        self.targets = self.players
        if corrections is not None and any(c is not None for c in corrections):
            self.targets = self.players.copy()
            names = [f.name for f in schema.player_fields]
            for start, frames_of_run in zip(self.starts, corrections, strict=False):
                if frames_of_run is not None:
                    rows = slice(start, start + len(frames_of_run))
                    self.targets[rows] = columns(frames_of_run["players"], names)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def joined(self, other: PackedReplays, share: float) -> PackedReplays:
        """These and others, such that ``share`` of the replays that are walked are the others'."""
        both = copy(self)
        for name in ("globals", "players", "targets", "inputs"):
            setattr(both, name, np.concatenate([getattr(self, name), getattr(other, name)]))
        both.starts = np.concatenate([self.starts, self.starts[-1] + other.starts[1:]])
        both.weights = np.concatenate(
            [
                self.weights * (1 - share) / self.weights.sum(),
                other.weights * share / other.weights.sum(),
            ]
        )
        return both

    @property
    def n_frames(self) -> int:
        """Frames in all."""
        return int(self.starts[-1])

    def transitions(self, limit: int = 2_000_000) -> tuple[np.ndarray, np.ndarray]:
        """Player records before and after each frame, both players, at most about ``limit`` rows."""
        inside = np.ones(self.n_frames, bool)
        inside[self.starts[1:] - 1] = False
        rows = np.flatnonzero(inside)
        rows = rows[:: max(1, 2 * len(rows) // limit)]
        width = self.players.shape[-1]
        old = self.players[rows].reshape(-1, width).astype(np.int64)
        return old, self.targets[rows + 1].reshape(-1, width).astype(np.int64)

    def sha256(self) -> str:
        """Hash of all frames and inputs, recorded in checkpoints."""
        digest = hashlib.sha256()
        for array in (self.globals, self.players, self.targets, self.inputs, self.starts):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def columns(records: np.ndarray, names: list[str]) -> np.ndarray:
    """Fields of a structured array as a trailing int32 axis (unsigned 32-bit values wrap)."""
    return np.stack([records[n].astype(np.int64).astype(np.int32) for n in names], -1)


class Streams:
    """``n`` lanes that walk through replays window by window, each starting a random one when done.

    Lanes start at random places, so that they are never in step; every later replay is
    walked from its first frame, as it will be when played.
    """

    def __init__(self, data: PackedReplays, n: int, length: int, seed: int) -> None:
        self.data, self.length = data, length
        self.rng = np.random.default_rng(seed)
        sizes = np.diff(data.starts)
        self.usable = np.flatnonzero(sizes > length)
        if not len(self.usable):
            raise ValueError(f"expected a replay longer than {length} frames (the longest has {sizes.max()})")
        self.replay = self._choose(self.usable, n)
        self.position = self.rng.integers(0, np.diff(data.starts)[self.replay] - length)
        self.fresh = np.ones(n, bool)

    def next(self, ahead: int = 0) -> Batch:
        """The next window, with ``ahead`` more frames beyond it that the walk will see again."""
        span = self.length + ahead
        sizes = np.diff(self.data.starts)
        done = self.position + span >= sizes[self.replay]
        if done.any():
            longer = self.usable[sizes[self.usable] > span]
            self.replay[done] = self._choose(longer, int(done.sum()))
            self.position[done] = 0
            self.fresh[done] = True
        first = self.data.starts[self.replay] + self.position
        rows = first[:, None] + np.arange(span + 1)
        batch = Batch(
            torch.from_numpy(self.data.globals[rows].astype(np.int64)),
            torch.from_numpy(self.data.players[rows].astype(np.int64)),
            torch.from_numpy(self.data.targets[rows].astype(np.int64)),
            torch.from_numpy(self.data.inputs[rows[:, 1:]].astype(np.int64)),
            torch.from_numpy(self.fresh.copy()),
        )
        self.position = self.position + self.length
        self.fresh[:] = False
        return batch

    def _choose(self, replays: np.ndarray, n: int) -> np.ndarray:
        weights = self.data.weights[replays]
        return self.rng.choice(replays, n, p=weights / weights.sum())
