"""The world program's accounts: record types, parsers, addresses and error names.

Everything comes from ``idl.json``, the machine-readable half of ``programs/world-model/ACCOUNTS.md``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from importlib import resources
from typing import Any

import numpy as np
from solders.pubkey import Pubkey

from awm_kit.errors import LedgerError, ProgramError
from awm_kit.quant.layout import OpKind
from awm_kit.quant.manifest import Manifest
from awm_kit.schema import CONTROLLER, FRAME, PLAYER

IDL: dict[str, Any] = json.loads((resources.files("awm_kit.chain") / "idl.json").read_text("utf-8"))
PROGRAM_ID = Pubkey.from_string(IDL["address"])

ERROR_NAMES: dict[int, str] = {e["code"]: e["name"] for e in IDL["errors"]}
ERROR_MESSAGES: dict[int, str] = {e["code"]: e["msg"] for e in IDL["errors"]}
#: The kernel's own refusals of a world are this plus the kernel's code (see ``awm.h``).
KERNEL_ERRORS = 6200

_SCALARS = {"u8": "u1", "i8": "i1", "u16": "<u2", "i16": "<i2", "u32": "<u4", "i32": "<i4", "u64": "<u8",
            "i64": "<i8", "pubkey": "V32"}  # fmt: skip


def _field(kind: Any) -> np.dtype[Any]:
    """The dtype of one IDL type."""
    if isinstance(kind, str):
        return np.dtype(_SCALARS[kind])
    if "array" in kind:
        element, count = kind["array"]
        if element == "u8" and count != 2:
            return np.dtype(f"V{count}")
        return np.dtype((_field(element), (count,)))
    return _RECORDS.get(kind["defined"]["name"]) or record_type(kind["defined"]["name"])


_RECORDS: dict[str, np.dtype[Any]] = {"Frame": FRAME, "Player": PLAYER, "Controller": CONTROLLER}


def record_type(name: str) -> np.dtype[Any]:
    """The packed dtype of an IDL type, field by field."""
    fields = next(t["type"]["fields"] for t in IDL["types"] if t["name"] == name)
    return np.dtype([(f["name"], _field(f["type"])) for f in fields])


CONTENT_HEADER = record_type("Content")
SESSION_STATE = record_type("SessionState")
INPUT_BUFFER = record_type("InputBuffer")
HIDDEN_HEADER = record_type("HiddenState")
LOG_HEADER = record_type("InputLog")
MATCH_RESULT = record_type("MatchResult")

MANIFEST_MAGIC, SHARD_MAGIC, REPLAY_MAGIC = b"AWMM", b"AWMW", b"AWMP"
CONTENT_OFFSET = CONTENT_HEADER.itemsize
STATE_OFFSET = HIDDEN_HEADER.itemsize
ENTRIES_OFFSET = LOG_HEADER.itemsize
MAX_GROWTH = 10_240  # bytes that one instruction may add to an account
MAX_LOG_KIB = 64
#: A player for whom so many frames in a row begin without a new input may be made to forfeit.
FORFEIT_FRAMES = 600
#: A crank that begins no frame for so long has abandoned the match.
ABANDON_SECONDS = 60

_MAGICS = {
    SESSION_STATE: b"AWMS",
    INPUT_BUFFER: b"AWMI",
    HIDDEN_HEADER: b"AWMH",
    LOG_HEADER: b"AWML",
    MATCH_RESULT: b"AWMR",
}


class ContentState(IntEnum):
    """``state`` of a manifest or shard."""

    WRITING = 1
    FROZEN = 2


class Phase(IntEnum):
    """``phase`` of a session."""

    CREATED = 1
    JOINED = 2
    ACTIVE = 3
    ENDED = 4


class HiddenPhase(IntEnum):
    """``state`` of a hidden state."""

    GROWING = 1
    READY = 2
    ENDED = 3


class Winner(IntEnum):
    """``winner`` of a session or result."""

    PLAYER_0 = 0
    PLAYER_1 = 1
    DRAW = 2
    NONE_YET = 255


class EndReason(IntEnum):
    """Why a match ended."""

    DECIDED = 1
    TIMEOUT = 2
    PLAYER_0_QUIT = 3
    PLAYER_1_QUIT = 4
    LOG_FULL = 5
    STOPPED = 6
    PLAYER_0_VANISHED = 7
    PLAYER_1_VANISHED = 8
    ABANDONED = 9


def parse(data: bytes, record: np.dtype[Any]) -> np.void:
    """Read the record at the start of an account.

    Parameters
    ----------
    data : bytes
        The account's data.
    record : dtype
        One of this module's record types.

    Returns
    -------
    np.void of ``record``
        A read-only view.

    Raises
    ------
    LedgerError
        If the data is too short or has another magic.
    """
    if len(data) < record.itemsize:
        raise LedgerError(f"expected an account of at least {record.itemsize} bytes (got {len(data)})")
    found: np.void = np.frombuffer(data, record, 1)[0]
    magic = found["magic"].tobytes()
    known = (MANIFEST_MAGIC, SHARD_MAGIC, REPLAY_MAGIC) if record == CONTENT_HEADER else (_MAGICS[record],)
    if magic not in known:
        raise LedgerError(f"expected an account that starts with {known} (got {magic!r})")
    return found


def key_of(record: np.void, field: str) -> Pubkey:
    """A public-key field of a record."""
    return Pubkey.from_bytes(record[field].tobytes())


def content_of(data: bytes) -> bytes:
    """What a manifest, shard or replay holds after its header; raises `LedgerError` as `parse` does."""
    length = int(parse(data, CONTENT_HEADER)["content_len"])
    if len(data) != CONTENT_OFFSET + length:
        raise LedgerError(f"expected {CONTENT_OFFSET + length} bytes of account data (got {len(data)})")
    return data[CONTENT_OFFSET:]


def frame_of(data: bytes) -> np.ndarray:
    """The frame in a SessionState, a FRAME scalar of shape ()."""
    # A view, not a copy: NumPy's copies leave padding bytes undefined, and the record is hashed.
    frame: np.ndarray = np.frombuffer(parse(data, SESSION_STATE)["frame"].tobytes(), FRAME).reshape(())
    return frame


def state_of(data: bytes) -> bytes:
    """The recurrent state in a HiddenState: what the library's engines hash with the frame."""
    header = parse(data, HIDDEN_HEADER)
    return data[STATE_OFFSET : STATE_OFFSET + int(header["state_bytes"])]


def entries_of(data: bytes) -> bytes:
    """The entries in an InputLog."""
    used = int(parse(data, LOG_HEADER)["used"])
    return data[ENTRIES_OFFSET : ENTRIES_OFFSET + used]


def replay_of(data: bytes) -> bytes:
    """The replay in an InputLog: frame 0 and the entries, as ``log_hash`` covers them."""
    header = parse(data, LOG_HEADER)
    start: bytes = header["start"].tobytes()
    return start + entries_of(data)


def program_error(code: int, logs: tuple[str, ...] = ()) -> ProgramError:
    """The error for a code that the program returned."""
    name = ERROR_NAMES.get(code, f"Kernel{code - KERNEL_ERRORS}" if code > KERNEL_ERRORS else "")
    return ProgramError(code, name, logs, ERROR_MESSAGES.get(code, ""))


@dataclass(frozen=True)
class SessionKeys:
    """Addresses of one match's accounts."""

    session: Pubkey
    input: Pubkey
    hidden: Pubkey
    log: Pubkey
    result: Pubkey


def session_keys(host: Pubkey, session_id: int, program_id: Pubkey = PROGRAM_ID) -> SessionKeys:
    """Derive all addresses of a host's match."""
    session = derive(program_id, b"session", bytes(host), session_id.to_bytes(8, "little"))
    return keys_of_session(session, program_id)


def keys_of_session(session: Pubkey, program_id: Pubkey = PROGRAM_ID) -> SessionKeys:
    """The other addresses of a match, from its SessionState's."""
    names = (b"input", b"hidden", b"log", b"result")
    return SessionKeys(session, *(derive(program_id, name, bytes(session)) for name in names))


def derive(program_id: Pubkey, *seeds: bytes) -> Pubkey:
    """Program-derived address of the seeds."""
    return Pubkey.find_program_address(list(seeds), program_id)[0]


def manifest_seed(world_hash: str) -> str:
    """Seed of a manifest's address.

    Parameters
    ----------
    world_hash : str
        SHA-256 of the manifest's content, hex.
    """
    return "m" + world_hash[:28]


def shard_seed(world_hash: str, index: int) -> str:
    """Seed of a shard's address; ``world_hash`` is the manifest's."""
    return f"s{index:02x}{world_hash[:24]}"


def replay_seed(log_hash: str) -> str:
    """Seed of a replay's address.

    Parameters
    ----------
    log_hash : str
        The match result's, hex.
    """
    return "r" + log_hash[:28]


def content_keys(
    authority: Pubkey, world_hash: str, n_shards: int, program_id: Pubkey = PROGRAM_ID
) -> tuple[Pubkey, list[Pubkey]]:
    """Addresses of a world's manifest and shards, fixed by authority and content: uploads can resume."""
    shards = [
        Pubkey.create_with_seed(authority, shard_seed(world_hash, i), program_id) for i in range(n_shards)
    ]
    return Pubkey.create_with_seed(authority, manifest_seed(world_hash), program_id), shards


def shards_of_ops(manifest: Manifest, begin: int, end: int) -> list[int]:
    """Which shards ops ``[begin, end)`` of a frame read, in ascending order."""
    return sorted({int(i) for op in manifest.ops[begin:end] for i in _shards_of(manifest, op)})


def _shards_of(manifest: Manifest, op: np.void) -> list[int]:
    kind = OpKind(int(op["kind"]))
    if kind == OpKind.FEATURES:
        return [manifest.embed_shard]
    if kind in (OpKind.MATVEC, OpKind.CHOOSE):
        return [int(op["shard"])]
    if kind in (OpKind.CONV, OpKind.SSM):
        return [int(manifest.layers[int(op["layer"])]["shard"])]
    return []
