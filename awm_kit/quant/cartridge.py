"""A cartridge: a world as one file whose parts are exactly the bytes of its Solana accounts.

File layout (little endian): magic ``AWMCART1``, u32 version, u32 number of parts, then per part u64 offset,
u64 length and SHA-256; the parts follow without gaps, the manifest first, then the shards.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from awm_kit.errors import ModelFileError
from awm_kit.files import written_whole
from awm_kit.quant.manifest import Manifest
from awm_kit.wording import counted

FILE_MAGIC = b"AWMCART1"
FILE_VERSION = 1
_HEAD = np.dtype([("magic", "S8"), ("version", "<u4"), ("n_parts", "<u4")])
_PART = np.dtype([("offset", "<u8"), ("length", "<u8"), ("sha256", "V32")])
_MAX_PARTS = 1 << 10


class Cartridge:
    """A packed world.

    Parameters
    ----------
    manifest : bytes
        Content of the ModelManifest account.
    shards : sequence of bytes
        Content of each WeightShard account.
    """

    def __init__(self, manifest: bytes, shards: Sequence[bytes]) -> None:
        self.manifest_bytes = bytes(manifest)
        self.shards = [bytes(s) for s in shards]

    def __repr__(self) -> str:
        shards = counted(len(self.shards), "shard")
        return f"<Cartridge {self.manifest.name!r} {self.nbytes:,} bytes, {shards}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cartridge):
            return NotImplemented
        return self.manifest_bytes == other.manifest_bytes and self.shards == other.shards

    def __hash__(self) -> int:
        return hash(self.manifest_bytes)

    @cached_property
    def manifest(self) -> Manifest:
        """Parsed view of the manifest; raises `ModelFileError` on first use if it is not sound."""
        return Manifest.parse(self.manifest_bytes)

    @property
    def world_hash(self) -> str:
        """SHA-256 of the manifest, hex: it holds the shards' hashes, so it names the whole world."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()

    @property
    def nbytes(self) -> int:
        """Bytes of account data."""
        return len(self.manifest_bytes) + sum(map(len, self.shards))

    def verify(self) -> None:
        """Check the shards against the manifest's shard table.

        Raises
        ------
        ModelFileError : if a shard is missing, has another length or another hash
        """
        table = self.manifest.shard_table
        if len(table) != len(self.shards):
            raise ModelFileError(f"expected {len(table)} shards (got {len(self.shards)})")
        for i, (row, shard) in enumerate(zip(table, self.shards, strict=True)):
            if row["length"] != len(shard):
                raise ModelFileError(f"shard {i}: expected {row['length']} bytes (got {len(shard)})")
            _check_hash(f"shard {i}", shard, row["sha256"].tobytes())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file atomically: readers see the old or the new one, never half of it.

        Returns
        -------
        Path : where it was written
        """
        target = Path(path)
        parts = [self.manifest_bytes, *self.shards]
        table = np.zeros(len(parts), _PART)
        table["length"] = [len(p) for p in parts]
        start = _HEAD.itemsize + table.nbytes
        table["offset"] = start + np.concatenate([[0], np.cumsum(table["length"])[:-1]]).astype(np.uint64)
        table["sha256"] = [np.void(hashlib.sha256(p).digest()) for p in parts]
        head = np.array((FILE_MAGIC, FILE_VERSION, len(parts)), _HEAD)
        with written_whole(target) as part:
            part.write_bytes(b"".join([head.tobytes(), table.tobytes(), *parts]))
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Cartridge:
        """Read a file and check every hash in it.

        Raises
        ------
        ModelFileError : if it is not a cartridge, truncated, corrupt or of another version
        FileNotFoundError : if there is no such file
        """
        raw = Path(path).read_bytes()
        try:
            cartridge = cls._parse(raw)
            cartridge.verify()
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from error
        return cartridge

    @classmethod
    def _parse(cls, raw: bytes) -> Cartridge:
        if len(raw) < _HEAD.itemsize:
            raise ModelFileError(f"truncated: expected at least {_HEAD.itemsize} bytes (got {len(raw)})")
        head = np.frombuffer(raw, _HEAD, 1)[0]
        if head["magic"] != FILE_MAGIC:
            raise ModelFileError(f"not a cartridge: expected magic {FILE_MAGIC!r} (got {raw[:8]!r})")
        if head["version"] != FILE_VERSION:
            raise ModelFileError(f"expected file version {FILE_VERSION} (got {head['version']})")
        count = int(head["n_parts"])
        if not 2 <= count <= _MAX_PARTS:
            raise ModelFileError(f"expected 2..{_MAX_PARTS} parts (got {count})")
        end = _HEAD.itemsize + count * _PART.itemsize
        if len(raw) < end:
            raise ModelFileError(f"truncated: expected a part table of {end} bytes (got {len(raw)})")
        parts = []
        for i, row in enumerate(np.frombuffer(raw, _PART, count, _HEAD.itemsize)):
            start, length = int(row["offset"]), int(row["length"])
            if start != end:
                raise ModelFileError(f"part {i}: expected offset {end} (got {start})")
            end = start + length
            if end > len(raw):
                raise ModelFileError(f"truncated: part {i} ends at {end} (file has {len(raw)} bytes)")
            parts.append(raw[start:end])
            _check_hash(f"part {i}", parts[-1], row["sha256"].tobytes())
        if end != len(raw):
            raise ModelFileError(f"expected {end} bytes (got {len(raw)})")
        return cls(parts[0], parts[1:])


def _check_hash(what: str, data: bytes, expected: bytes) -> None:
    digest = hashlib.sha256(data).digest()
    if digest != expected:
        raise ModelFileError(f"{what} is corrupt: expected SHA-256 {expected.hex()} (got {digest.hex()})")
