"""The WebAssembly kernel in this process: what a page runs, where a test can reach it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from awm_kit.data.replay import clean_frame
from awm_kit.errors import KernelError
from awm_kit.play.engine import check_inputs
from awm_kit.play.web.build import OUTPUT
from awm_kit.quant import reference
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import CONTROLLER_BYTES, FRAME, FRAME_BYTES, N_PLAYERS

_PAGE = 1 << 16


class WasmEngine:
    """A match in a WebAssembly instance of its own, run by wasmtime.

    Parameters
    ----------
    cartridge : Cartridge
        The world.
    start_frame : ndarray, `FRAME` scalar

    Raises
    ------
    KernelError
        If wasmtime is not installed or the kernel refuses the world.
    """

    name = "wasm (wasmtime)"

    def __init__(self, cartridge: Cartridge, start_frame: np.ndarray) -> None:
        self.cartridge = cartridge
        self._frame = clean_frame(start_frame)
        self._instance = _Instance()
        self._model = self._open(cartridge)
        call = self._instance.call
        self._state_bytes = call("state_bytes", self._model)
        self._at_state = self._instance.reserve(self._state_bytes)
        self._at_scratch = self._instance.reserve(call("scratch_bytes", self._model))
        self._at_frame = self._instance.place(self._frame.tobytes())
        self._at_inputs = self._instance.reserve(N_PLAYERS * CONTROLLER_BYTES)

    @property
    def frame(self) -> np.ndarray:
        """The current frame."""
        return self._frame

    @property
    def state(self) -> np.ndarray:
        """A copy of the hidden state, uint8."""
        return np.frombuffer(self._instance.read(self._at_state, self._state_bytes), np.uint8).copy()

    def step(self, inputs: np.ndarray) -> np.ndarray:
        """Apply both controllers, shape (2,) of `CONTROLLER`, and return the next frame."""
        self._instance.write(self._at_inputs, check_inputs(inputs).tobytes())
        places = self._at_state, self._at_scratch, self._at_frame, self._at_inputs
        _check(self._instance.call("step", self._model, *places), "a step")
        self._frame = np.frombuffer(self._instance.read(self._at_frame, FRAME_BYTES), FRAME).copy()[0, ...]
        return self._frame

    def state_hash(self) -> str:
        """SHA-256 (hex) of the frame record and the hidden state: what a match commits to."""
        return reference.state_hash(self._frame, self.state)

    def _open(self, cartridge: Cartridge) -> int:
        here = self._instance
        model = here.reserve(here.call("model_bytes"))
        manifest = here.place(cartridge.manifest_bytes)
        shards = np.array([here.place(shard) for shard in cartridge.shards], "<u4")
        lengths = np.array([len(shard) for shard in cartridge.shards], "<u8")
        tables = here.place(shards.tobytes()), here.place(lengths.tobytes())
        code = here.call("open", model, manifest, len(cartridge.manifest_bytes), *tables, len(shards))
        _check(code, "the cartridge")
        return model


class _Instance:
    """The module and its memory, handed out from the bottom; as in kernel.js."""

    def __init__(self) -> None:
        wasmtime, engine, module = _module()
        self._store = wasmtime.Store(engine)
        self._exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        self._memory = self._exports["memory"]
        self._top: int = self._exports["__heap_base"].value(self._store)

    def call(self, name: str, *arguments: int) -> int:
        result: int = self._exports[name](self._store, *arguments)
        return result

    def reserve(self, size: int) -> int:
        """Zeroed bytes at a multiple of 8."""
        at = -(-self._top // 8) * 8
        self._top = at + size
        missing = self._top - self._memory.data_len(self._store)
        if missing > 0:
            self._memory.grow(self._store, -(-missing // _PAGE))
        return at

    def place(self, data: bytes) -> int:
        at = self.reserve(len(data))
        self.write(at, data)
        return at

    def write(self, at: int, data: bytes) -> None:
        self._memory.write(self._store, data, at)

    def read(self, at: int, size: int) -> bytes:
        data: bytes = self._memory.read(self._store, at, at + size)
        return bytes(data)


@lru_cache(maxsize=1)
def _module() -> tuple[Any, Any, Any]:
    """Wasmtime and the compiled module; once per process."""
    try:
        import wasmtime
    except ModuleNotFoundError as error:
        raise KernelError("this engine needs wasmtime: pip install wasmtime") from error
    engine = wasmtime.Engine()
    return wasmtime, engine, wasmtime.Module(engine, OUTPUT.read_bytes())


def _check(code: int, what: str) -> None:
    if code:
        raise KernelError(f"the kernel refused {what} (AWM_ERR_ code {code} of awm.h)")
