"""Replays as integer tensors, served as parallel streams that carry the network's memory along."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from awm_kit.data.replay import Replay
from awm_kit.files import written_whole
from awm_kit.schema import Schema

STORED = ("globals", "players", "inputs")
TABLES = (*STORED, "targets")
HASHED_ROWS = 1 << 18


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


class Chained:
    """Arrays end to end, joined only where they are read: memory stays as it is.

    Parameters
    ----------
    arrays : sequence of ndarray
        Of one dtype and, but for the first axis, one shape.
    """

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.arrays = list(arrays)
        self.ends = np.cumsum([len(a) for a in self.arrays])
        self.shape: tuple[int, ...] = (int(self.ends[-1]), *self.arrays[0].shape[1:])

    @classmethod
    def of(cls, *parts: np.ndarray | Chained) -> Chained:
        """Chain arrays and chains."""
        return cls([a for part in parts for a in (part.arrays if isinstance(part, Chained) else [part])])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Rows by number, any shape, as an array."""
        which = np.searchsorted(self.ends, rows, side="right")
        out = np.empty((*rows.shape, *self.shape[1:]), self.arrays[0].dtype)
        for i, array in enumerate(self.arrays):
            here = which == i
            if here.any():
                out[here] = array[rows[here] - (self.ends[i] - len(array))]
        return out


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

    globals: np.ndarray | Chained
    players: np.ndarray | Chained
    inputs: np.ndarray | Chained
    targets: np.ndarray | Chained

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
        self._sha256: str | None = None
        if corrections is not None and any(c is not None for c in corrections):
            self.targets = targets = self.players.copy()
            names = [f.name for f in schema.player_fields]
            for start, frames_of_run in zip(self.starts, corrections, strict=False):
                if frames_of_run is not None:
                    rows = slice(start, start + len(frames_of_run))
                    targets[rows] = columns(frames_of_run["players"], names)

    @classmethod
    def stored(
        cls, schema: Schema, batches: Iterable[Sequence[Replay]], folder: Path, key: str = ""
    ) -> PackedReplays:
        """Replays kept in a folder and read from there window by window, however many they are.

        Parameters
        ----------
        schema : Schema
        batches : iterable of sequences of Replay
            Only one is in memory at a time; not asked for if the folder already holds them.
        folder : Path
            Written once.
        key : str
            What the replays are. A folder with another key is written anew.
        """
        wanted = {"key": key, "schema": hashlib.sha256(schema.to_json().encode()).hexdigest()}
        index = folder / "index.json"
        known = json.loads(index.read_text()) if index.exists() else {}
        if {k: known.get(k) for k in wanted} != wanted:
            known = {**wanted, "sizes": _write_tables(schema, batches, folder)}
            with written_whole(index) as part:
                part.write_text(json.dumps(known))
        data = cls.__new__(cls)
        data.schema, data._sha256 = schema, None
        data.starts = np.concatenate([[0], np.cumsum(np.array(known["sizes"], np.int64))])
        data.weights = np.ones(len(data))
        widths = (
            (len(schema.global_fields),), (2, len(schema.player_fields)), (2, len(schema.controller_fields)),
        )  # fmt: skip
        for name, width in zip(STORED, widths, strict=True):
            shape = (data.n_frames, *width)
            setattr(data, name, np.memmap(folder / f"{name}.i32", "<i4", "r", shape=shape))
        data.targets = data.players
        return data

    def __len__(self) -> int:
        return len(self.starts) - 1

    def joined(self, other: PackedReplays, share: float) -> PackedReplays:
        """These and others, such that ``share`` of the replays that are walked are the others'."""
        both = copy(self)
        for name in TABLES:
            setattr(both, name, Chained.of(getattr(self, name), getattr(other, name)))
        both._sha256 = None
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

    @property
    def mean_walk(self) -> float:
        """Frames of a replay that is walked, on average."""
        return float(np.average(np.diff(self.starts), weights=self.weights))

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
        if self._sha256 is None:
            digest = hashlib.sha256()
            for array in (self.globals, self.players, self.targets, self.inputs, self.starts):
                for first in range(0, len(array), HASHED_ROWS):
                    rows = np.arange(first, min(first + HASHED_ROWS, len(array)))
                    digest.update(array[rows].tobytes())
            self._sha256 = digest.hexdigest()
        return self._sha256


def columns(records: np.ndarray, names: list[str]) -> np.ndarray:
    """Fields of a structured array as a trailing int32 axis (unsigned 32-bit values wrap)."""
    return np.stack([records[n].astype(np.int64).astype(np.int32) for n in names], -1)


def _write_tables(schema: Schema, batches: Iterable[Sequence[Replay]], folder: Path) -> list[int]:
    """Append all replays to the folder's files; returns how long each is."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").unlink(missing_ok=True)
    sizes: list[int] = []
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / f"{name}.i32").open("wb")) for name in STORED}
        for batch in batches:
            if batch:
                part = PackedReplays(schema, batch)
                sizes += np.diff(part.starts).tolist()
                for name, file in files.items():
                    file.write(getattr(part, name).astype("<i4").tobytes())
    if not sizes:
        raise ValueError("expected at least one replay (got none)")
    return sizes


class Streams:
    """``n`` lanes that walk through replays window by window, each starting a random one when done.

    Lanes start at random places, so that they are never in step; every later replay is
    walked from its first frame, as it will be when played. Several processes all keep account of all
    lanes, and each reads the ``share`` that is its own.
    """

    def __init__(
        self, data: PackedReplays, n: int, length: int, seed: int, share: slice = slice(None)
    ) -> None:
        self.data, self.length, self.share = data, length, share
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
        first = (self.data.starts[self.replay] + self.position)[self.share]
        rows = first[:, None] + np.arange(span + 1)
        batch = Batch(
            torch.from_numpy(self.data.globals[rows].astype(np.int64)),
            torch.from_numpy(self.data.players[rows].astype(np.int64)),
            torch.from_numpy(self.data.targets[rows].astype(np.int64)),
            torch.from_numpy(self.data.inputs[rows[:, 1:]].astype(np.int64)),
            torch.from_numpy(self.fresh[self.share].copy()),
        )
        self.position = self.position + self.length
        self.fresh[:] = False
        return batch

    def _choose(self, replays: np.ndarray, n: int) -> np.ndarray:
        weights = self.data.weights[replays]
        return self.rng.choice(replays, n, p=weights / weights.sum())
