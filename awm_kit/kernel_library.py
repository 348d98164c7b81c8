"""The C kernel's shared object: its functions with their types, and the structures that they take."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from awm_kit.errors import KernelError
from awm_kit.kernel_build import FLAGS, build


class Files(ctypes.Structure):
    """``awm_files``: the bytes of a cartridge."""

    _fields_ = (
        ("manifest", ctypes.c_void_p),
        ("manifest_len", ctypes.c_uint64),
        ("shards", ctypes.c_void_p),
        ("shard_lens", ctypes.c_void_p),
        ("n_shards", ctypes.c_uint64),
    )


class Match(ctypes.Structure):
    """``awm_match``: what a step reads and writes."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("state", "scratch", "frame", "inputs"))


class Batch(ctypes.Structure):
    """``awm_batch``: many matches side by side."""

    _fields_ = (
        ("n", ctypes.c_uint64),
        *((name, ctypes.c_void_p) for name in ("states", "scratch", "frames", "inputs", "logits")),
    )


@dataclass(frozen=True)
class Kernel:
    """The loaded shared object.

    Attributes
    ----------
    path : Path
    lib : ctypes.CDLL
    """

    path: Path
    lib: ctypes.CDLL

    @classmethod
    def load(cls, flags: Sequence[str] = FLAGS) -> Kernel:
        """Build if needed, then load; once per process.

        Raises
        ------
        KernelError : if it cannot be built or loaded
        """
        return _load(build(flags))

    def error_name(self, code: int) -> str:
        """Name of an ``AWM_ERR_`` code."""
        name: bytes = self.lib.awm_error_name(code)
        return name.decode()

    def check(self, code: int, what: str) -> None:
        """Raise `KernelError` unless ``code`` is 0."""
        if code:
            raise KernelError(f"the kernel refused {what}: {self.error_name(code)} (code {code})")


@lru_cache(maxsize=4)
def _load(path: Path) -> Kernel:
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as error:
        raise KernelError(f"cannot load the kernel {path}: {error}") from error
    pointer, u32 = ctypes.c_void_p, ctypes.c_uint32
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "awm_open": (ctypes.c_int, [pointer, pointer]),
        "awm_check": (ctypes.c_int, [pointer, ctypes.c_uint64]),
        "awm_open_range": (ctypes.c_int, [pointer, pointer, u32, u32]),
        "awm_check_weights": (ctypes.c_int, [pointer, u32, u32]),
        "awm_set_backend": (ctypes.c_int, [pointer, u32]),
        "awm_blocks_bytes": (ctypes.c_uint64, [pointer]),
        "awm_make_blocks": (None, [pointer, pointer]),
        "awm_run": (ctypes.c_int, [pointer, pointer, u32, u32]),
        "awm_step": (ctypes.c_int, [pointer, pointer]),
        "awm_step_many": (ctypes.c_int, [pointer, pointer]),
        "awm_team_bytes": (u32, []),
        "awm_team_start": (ctypes.c_int, [pointer, u32]),
        "awm_team_stop": (None, [pointer]),
        "awm_team_step": (ctypes.c_int, [pointer, pointer, pointer]),
        "awm_logits": (pointer, [pointer, pointer, u32]),
        "awm_error_name": (ctypes.c_char_p, [ctypes.c_int]),
        **{f"awm_{name}": (u32, [pointer]) for name in ("n_ops", "state_bytes", "scratch_bytes")},
        "awm_model_bytes": (u32, []),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return Kernel(path, lib)
