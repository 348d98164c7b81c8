"""A recorded match: the frames of both players and the controllers that led from one to the next."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from awm_kit.errors import ReplayCorruptError, ReplayUnsupportedError
from awm_kit.files import written_whole
from awm_kit.schema import FIGHTER, FRAME, Schema

FORMAT = 1


@dataclass
class Replay:
    """One match, frame by frame.

    Parameters
    ----------
    frames : ndarray of `schema.FRAME`, shape (T,)
        State after each frame, in stored integers; frame numbers rise by one.
    inputs : ndarray of `schema.CONTROLLER`, shape (T, 2)
        ``inputs[t]`` is what was applied to go from ``frames[t-1]`` to ``frames[t]``;
        ``inputs[0]`` is unused.
    source : str
        Where it comes from: a file name, or a teacher and its seed.
    meta : dict
        JSON-able facts about the recording.
    """

    frames: np.ndarray
    inputs: np.ndarray
    source: str = ""
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, span: slice) -> Replay:
        """Cut out the frames of ``span`` (step 1 only), as views."""
        if not isinstance(span, slice) or span.step not in (None, 1):
            raise ValueError(f"expected a slice with step 1 (got {span!r})")
        return Replay(self.frames[span], self.inputs[span], self.source, dict(self.meta))

    def sha256(self) -> str:
        """Hex digest of frames then inputs; padding bytes count as zero, source and meta do not count."""
        digest = hashlib.sha256(without_padding(self.frames).tobytes())
        digest.update(without_padding(self.inputs).tobytes())
        return digest.hexdigest()

    def validate(self, schema: Schema = FIGHTER) -> Replay:
        """Check dtypes, shapes, frame numbers and the range of every field.

        Returns
        -------
        Replay
            Itself, so that calls chain.

        Raises
        ------
        ReplayCorruptError
            Naming the first thing that is wrong.
        """
        _check_arrays(self.frames, self.inputs, schema)
        steps = np.diff(self.frames["frame"].astype(np.int64))
        if (steps != 1).any():
            at = int(np.argmax(steps != 1))
            raise ReplayCorruptError(f"expected frame numbers to rise by 1 (got {steps[at]} after row {at})")
        _check_ranges(self.frames, schema.global_fields)
        _check_ranges(self.frames["players"], schema.player_fields)
        _check_ranges(self.inputs, schema.controller_fields)
        return self

    def save_npz(self, path: str | os.PathLike[str]) -> Path:
        """Write a compressed ``.npz`` at exactly ``path``; a reader never sees half a file."""
        target = Path(path)
        header = json.dumps({"format": FORMAT, "source": self.source, "meta": self.meta})
        with written_whole(target) as part, open(part, "wb") as out:
            np.savez_compressed(
                out,
                header=np.frombuffer(header.encode(), np.uint8),
                frames=without_padding(self.frames),
                inputs=without_padding(self.inputs),
            )
        return target

    @classmethod
    def load_npz(cls, path: str | os.PathLike[str], schema: Schema = FIGHTER) -> Replay:
        """Read and `validate` what `save_npz` wrote.

        Raises
        ------
        ReplayCorruptError
            If the file is truncated, not such an archive, or inconsistent.
        FileNotFoundError
            If there is no such file.
        """
        try:
            archive = read_npz(path)
            header = json.loads(archive["header"].tobytes())
            replay = cls(archive["frames"], archive["inputs"], header["source"], header["meta"])
            version = header["format"]
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReplayCorruptError(f"not a complete replay archive ({error})") from error
        if version != FORMAT:
            raise ReplayCorruptError(f"expected format {FORMAT} (got {version!r})")
        return replay.validate(schema)


#: What zipfile, zlib and NumPy's reader of array headers make of bytes that are not theirs.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError, SyntaxError, EOFError, OSError),
    *(KeyError, TypeError, OverflowError, MemoryError, RuntimeError),  # e.g. "File is encrypted"
)


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file by name.

    Raises
    ------
    ValueError
        If it is none, or damaged. (NumPy, which takes any other file for a pickle, would advise to trust it.)
    OSError
        If it cannot be read.
    """
    raw = io.BytesIO(Path(path).read_bytes())
    if not zipfile.is_zipfile(raw):
        raise ValueError("expected a zip archive, whole to its end")
    raw.seek(0)
    try:
        with np.load(raw, allow_pickle=False) as archive:
            arrays = dict(archive)
    except _DAMAGED as error:
        raise ValueError(str(error) or type(error).__name__) from error
    if strange := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"expected arrays (got something else as {strange})")
    return arrays


def _check_arrays(frames: np.ndarray, inputs: np.ndarray, schema: Schema) -> None:
    if frames.dtype != schema.frame_dtype:
        raise ReplayCorruptError(f"frames: expected dtype {schema.frame_dtype} (got {frames.dtype})")
    if inputs.dtype != schema.controller_dtype:
        raise ReplayCorruptError(f"inputs: expected dtype {schema.controller_dtype} (got {inputs.dtype})")
    if frames.ndim != 1 or not len(frames):
        raise ReplayCorruptError(f"frames: expected shape (T,) with T > 0 (got {frames.shape})")
    if inputs.shape != (len(frames), 2):
        raise ReplayCorruptError(f"inputs: expected shape {(len(frames), 2)} (got {inputs.shape})")


def check_games(schema: Schema, replays: Iterable[Replay]) -> None:
    """See that replays are of a world's game.

    Raises
    ------
    ReplayUnsupportedError
        If one has other records than the schema's.
    """
    for replay in replays:
        if replay.frames.dtype != schema.frame_dtype:
            raise ReplayUnsupportedError(
                f"expected games of {schema.name!r} (got another game's frames in {replay.source or 'one'})"
            )


def _check_ranges(array: np.ndarray, fields: tuple[Any, ...]) -> None:
    for spec in fields:
        stored = array[spec.name]
        low, high = (round(bound * (1 << spec.frac_bits)) for bound in (spec.lo, spec.hi))
        if stored.min() < low or stored.max() > high:
            real = spec.to_real(stored)
            raise ReplayCorruptError(
                f"{spec.name}: expected {spec.lo:g}..{spec.hi:g} (got {real.min():g}..{real.max():g})"
            )


def without_padding(array: np.ndarray) -> np.ndarray:
    """Contiguous copy of records whose bytes between fields are zero.

    NumPy leaves those undefined when it copies; records that are hashed or sent must not hold them.
    """
    clean: np.ndarray = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names or ():
        nested = array[name]
        clean[name] = nested if nested.dtype.names is None else without_padding(nested)
    return clean


def as_record(frame: np.ndarray) -> np.ndarray:
    """A frame of any schema as the `FRAME` scalar of the same 80 bytes.

    `FRAME` has a field for every byte of a player, so it can carry any game's frame: engines, sessions
    and ledgers hold frames in it.
    """
    raw = bytearray(without_padding(np.atleast_1d(frame)).tobytes())
    record: np.ndarray = np.frombuffer(raw, FRAME)[0, ...]
    return record


def clean_frame(frame: np.ndarray) -> np.ndarray:
    """A copy of one frame record with its padding zero; ``ValueError`` unless a `FRAME` scalar."""
    if frame.shape != () or frame.dtype != FRAME:
        raise ValueError(f"expected one frame record (got shape {frame.shape}, dtype {frame.dtype})")
    return without_padding(frame)
