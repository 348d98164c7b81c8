"""Engines: whatever computes the next frame from the two controllers. Play cannot tell them apart."""

from __future__ import annotations

import hashlib
from typing import Protocol, runtime_checkable

import numpy as np

from awm_kit.data.replay import as_record, clean_frame
from awm_kit.data.scuffle import Params, Scuffle
from awm_kit.kernel import NativeWorld
from awm_kit.quant import reference
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.manifest import unpack
from awm_kit.schema import CONTROLLER, N_PLAYERS


@runtime_checkable
class Engine(Protocol):
    """One match, advanced frame by frame. `awm_kit.chain.session.ChainSession` is one too."""

    @property
    def frame(self) -> np.ndarray:
        """The current frame, a `FRAME` scalar; not a view of anything that changes."""
        ...

    def step(self, inputs: np.ndarray) -> np.ndarray:
        """Apply both controllers, shape (2,) of `CONTROLLER`, and return the next frame."""
        ...

    def state_hash(self) -> str:
        """SHA-256 (hex) of the frame record and the hidden state."""
        ...


class _WorldEngine:
    """What the two engines that run a cartridge in this process have in common."""

    name = "world"

    def __init__(self, cartridge: Cartridge, start_frame: np.ndarray) -> None:
        self.cartridge = cartridge
        self._frame = clean_frame(start_frame)
        self._state = np.zeros(self._state_bytes(), np.uint8)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} of {self.cartridge.manifest.name!r}, frame {int(self._frame['frame'])}>"
        )

    @property
    def frame(self) -> np.ndarray:
        """The current frame."""
        return self._frame

    @property
    def state(self) -> np.ndarray:
        """A copy of the hidden state, uint8."""
        return self._state.copy()

    def step(self, inputs: np.ndarray) -> np.ndarray:
        """Apply both controllers, shape (2,) of `CONTROLLER`, and return the next frame."""
        self._frame = self._next(check_inputs(inputs))
        return self._frame

    def state_hash(self) -> str:
        """SHA-256 (hex) of the frame record and the hidden state: what a match commits to."""
        return reference.state_hash(self._frame, self._state)

    def _state_bytes(self) -> int:
        raise NotImplementedError

    def _next(self, inputs: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class NativeEngine(_WorldEngine):
    """The C kernel in this process: the default.

    Parameters
    ----------
    cartridge : Cartridge
        The world.
    start_frame : ndarray, `FRAME` scalar
    backend : str
        ``auto``, or one of the kernel's backends.

    Raises
    ------
    KernelError
        If the kernel cannot be built or refuses the world.
    """

    def __init__(self, cartridge: Cartridge, start_frame: np.ndarray, backend: str = "auto") -> None:
        self._world = NativeWorld(cartridge, backend=backend)
        self.name = f"native ({self._world.backend})"
        super().__init__(cartridge, start_frame)

    def _state_bytes(self) -> int:
        return self._world.state_bytes

    def _next(self, inputs: np.ndarray) -> np.ndarray:
        return as_record(self._world.step(self._state, self._frame, inputs))


class ReferenceEngine(_WorldEngine):
    """The normative NumPy step: slow, and what all others must equal."""

    name = "reference (NumPy)"

    def __init__(self, cartridge: Cartridge, start_frame: np.ndarray) -> None:
        self._model = unpack(cartridge)
        super().__init__(cartridge, start_frame)

    def _state_bytes(self) -> int:
        return reference.state_bytes(self._model)

    def _next(self, inputs: np.ndarray) -> np.ndarray:
        return as_record(reference.step(self._model, self._state, self._frame, inputs))


class TeacherEngine:
    """`scuffle` itself, the game that taught the shipped world: for comparisons."""

    name = "teacher (scuffle)"

    def __init__(self, params: Params, start_frame: np.ndarray) -> None:
        self._game = Scuffle.from_frames(clean_frame(start_frame), params)
        self._frame = clean_frame(self._game.frames[0, ...])

    def __repr__(self) -> str:
        return f"<TeacherEngine, frame {int(self._frame['frame'])}>"

    @property
    def frame(self) -> np.ndarray:
        """The current frame."""
        return self._frame

    def step(self, inputs: np.ndarray) -> np.ndarray:
        """Apply both controllers, shape (2,) of `CONTROLLER`, and return the next frame."""
        self._frame = clean_frame(self._game.step(check_inputs(inputs)[None])[0, ...])
        return self._frame

    def state_hash(self) -> str:
        """SHA-256 (hex) of the frame record; the teacher has no hidden state."""
        return hashlib.sha256(self._frame.tobytes()).hexdigest()


def name_of(engine: Engine) -> str:
    """What computes the frames, for the status line and for records."""
    name = getattr(engine, "name", None)
    if isinstance(name, str):
        return name
    ledger = getattr(engine, "ledger", None)
    return f"chain ({ledger.name})" if ledger is not None else type(engine).__name__


def check_inputs(inputs: np.ndarray) -> np.ndarray:
    """The controllers as a contiguous array; ``ValueError`` unless shape (2,) of `CONTROLLER`."""
    if inputs.shape != (N_PLAYERS,) or inputs.dtype != CONTROLLER:
        raise ValueError(f"expected {N_PLAYERS} controllers (got shape {inputs.shape}, dtype {inputs.dtype})")
    return np.ascontiguousarray(inputs)
