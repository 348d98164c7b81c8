"""Worlds run by the C kernel: one match or many, on one thread or several, always to the same bytes."""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from awm_kit.kernel_build import FLAGS
from awm_kit.kernel_library import Batch, Files, Kernel, Match
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.reference import frame_bytes
from awm_kit.schema import CONTROLLER_BYTES, FRAME, FRAME_BYTES

BACKENDS = {"auto": 0, "portable": 1, "swar": 2, "avx2": 3, "avx512vnni": 4, "neon": 5}
_ALIGN = 8
_LINE, _HUGE_PAGE = 64, 1 << 21


class _Team:
    """Threads that share each frame of one world; they end with this object.

    Raises
    ------
    KernelError : if the system gives no more threads
    """

    def __init__(self, kernel: Kernel, n_threads: int) -> None:
        self._memory, self._lock = huge_pages(int(kernel.lib.awm_team_bytes())), threading.Lock()
        self._at, self._lib = self._memory.ctypes.data, kernel.lib
        kernel.check(self._lib.awm_team_start(self._at, n_threads), f"{n_threads} threads")
        weakref.finalize(self, _stop_team, self._lib, self._memory)

    def step(self, model: int, match: Any) -> int:
        """What ``awm_step`` does; one frame at a time, whoever calls."""
        with self._lock:
            return int(self._lib.awm_team_step(self._at, model, match))


def _stop_team(lib: ctypes.CDLL, memory: np.ndarray) -> None:
    lib.awm_team_stop(memory.ctypes.data)


class NativeWorld:
    """A cartridge opened by the native kernel. Holds no match: any number may be stepped, from any thread.

    Parameters
    ----------
    cartridge : Cartridge
    backend : str
        One of `BACKENDS`; all give the same bytes. ``"auto"`` is the fastest of this CPU.
    flags : sequence of str
        What the kernel is compiled with.
    reorder : bool
        Keep a second copy of the matrices in the order that the backend reads fastest, if it has one.
    n_threads : int
        How many share each frame of a match, 1 to 16, the caller among them; the bytes are the same. Worth it
        for worlds of millions of parameters on idle cores, with a backend that has an order of its own:
        without, one thread multiplies all matrices. Not to be taken through a fork.

    Raises
    ------
    KernelError : if the kernel refuses the bytes, this CPU lacks the backend, or the system the threads
    """

    def __init__(
        self,
        cartridge: Cartridge,
        backend: str = "auto",
        flags: Sequence[str] = FLAGS,
        reorder: bool = True,
        n_threads: int = 1,
    ) -> None:
        if backend not in BACKENDS:
            raise ValueError(f"expected a backend of {list(BACKENDS)} (got {backend!r})")
        self.kernel = Kernel.load(flags)
        self.backend = backend
        lib = self.kernel.lib
        # The model points into these: they live as long as it does.
        self._manifest = _aligned(cartridge.manifest_bytes)
        self._shards = _in_one_block(cartridge.shards)
        self._pointers = np.array([s.ctypes.data for s in self._shards], np.uint64)
        self._lengths = np.array([len(s) for s in cartridge.shards], np.uint64)
        self._model = np.zeros(lib.awm_model_bytes(), np.uint8)
        files = Files(
            self._manifest.ctypes.data, len(cartridge.manifest_bytes), self._pointers.ctypes.data,
            self._lengths.ctypes.data, len(self._shards),
        )  # fmt: skip
        model = self._model.ctypes.data
        self.kernel.check(lib.awm_open(model, ctypes.byref(files)), "the cartridge")
        self.n_ops = int(lib.awm_n_ops(model))
        self.kernel.check(lib.awm_check_weights(model, 0, self.n_ops), "the weights")
        self.kernel.check(lib.awm_set_backend(model, BACKENDS[backend]), f"the backend {backend!r}")
        if reorder and (size := int(lib.awm_blocks_bytes(model))):
            self._blocks = huge_pages(size)
            lib.awm_make_blocks(model, self._blocks.ctypes.data)
        self._step_frame: Callable[[int, Any], int] = (
            lib.awm_step if n_threads == 1 else _Team(self.kernel, n_threads).step
        )
        #: Bytes of one match's recurrent state.
        self.state_bytes = int(lib.awm_state_bytes(model))
        #: Bytes of intermediates; on chain they live beside the state.
        self.scratch_bytes = int(lib.awm_scratch_bytes(model))
        self.manifest = cartridge.manifest
        self.frame_dtype = self.manifest.schema.frame_dtype
        self.controller_dtype = self.manifest.schema.controller_dtype

    def initial_state(self, n: int | None = None) -> np.ndarray:
        """Zeros: ndarray of uint8, shape (state_bytes,) or (n, state_bytes)."""
        return np.zeros(self.state_bytes if n is None else (n, self.state_bytes), np.uint8)

    def step(self, state: np.ndarray, frame: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Advance one match by a frame.

        Parameters
        ----------
        state : ndarray of uint8, shape (state_bytes,); updated in place
        frame : ndarray of the frame dtype, shape (); not changed
        inputs : ndarray of the controller dtype, shape (2,)

        Returns
        -------
        ndarray of the frame dtype, shape ()

        Raises
        ------
        ValueError : if an argument has another size, or the state cannot be written in place
        """
        new, _ = self._step(state, frame, inputs)
        return new

    def step_logits(
        self, state: np.ndarray, frame: np.ndarray, inputs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Like `step`, and the logits: ndarray of int32, shape (n_views, n_logits), Q12."""
        new, scratch = self._step(state, frame, inputs)
        base = scratch.ctypes.data
        views = [
            int(self.kernel.lib.awm_logits(self._model.ctypes.data, base, v)) - base
            for v in range(self.manifest.n_views)
        ]
        size = 4 * self.manifest.n_logits
        return new, np.stack([scratch[at : at + size].view(np.int32) for at in views])

    def logits(self, state: np.ndarray, frame: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """The logits of the next frame, int32, shape (n_views, n_logits), Q12; ``state`` is not changed."""
        return self.step_logits(state.copy(), frame, inputs)[1]

    def run(self, state: np.ndarray, frame: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Step through many inputs.

        Parameters
        ----------
        inputs : ndarray of the controller dtype, shape (T, 2)

        Returns
        -------
        ndarray of the frame dtype, shape (T,): the frame after each step
        """
        frames = np.zeros(len(inputs), self.frame_dtype)
        for t, pads in enumerate(inputs):
            frame = frames[t] = self.step(state, frame, pads)
        return frames

    def in_place(
        self, frame: np.ndarray, inputs: np.ndarray, advance: Callable[[int, Any], int] | None = None
    ) -> Callable[[], int]:
        """A match whose every call is a frame with the same controllers, without copies: for measurements.

        Parameters
        ----------
        frame : ndarray of the frame dtype, shape ()
        inputs : ndarray of the controller dtype, shape (2,)
        advance : callable, optional
            Called instead of ``awm_step``, with pointers to model and match.

        Returns
        -------
        callable
            Returns an ``AWM_ERR_`` code, always 0.
        """
        memory = (
            self.initial_state(),
            np.zeros(self.scratch_bytes, np.uint8),
            _copied(frame, self.frame_dtype),
            _as_records(inputs, self.controller_dtype),
        )

        match = Match(*(part.ctypes.data for part in memory))
        match.held = memory, self  # lives as long as what points into it
        return partial(advance or self._step_frame, self._model.ctypes.data, ctypes.byref(match))

    def step_many(
        self,
        states: np.ndarray,
        frames: np.ndarray,
        inputs: np.ndarray,
        n_threads: int = 1,
        logits: np.ndarray | None = None,
    ) -> np.ndarray:
        """Advance N independent matches by a frame.

        Parameters
        ----------
        states : ndarray of uint8, shape (N, state_bytes), C-contiguous; updated in place
        frames : ndarray of the frame dtype, shape (N,); not changed
        inputs : ndarray of the controller dtype, shape (N, 2)
        n_threads : int
        logits : ndarray of int32, shape (N, n_views, n_logits), optional; filled

        Returns
        -------
        ndarray of the frame dtype, shape (N,)

        Raises
        ------
        ValueError : if an argument has another shape or dtype, or the states cannot be written in place
        """
        n = len(frames)
        self._check_state(states, (n, self.state_bytes))
        new = _copied(frames, self.frame_dtype)
        pads = _as_records(inputs, self.controller_dtype)
        if new.shape != (n,) or pads.shape != (n, 2):
            raise ValueError(f"expected frames ({n},) and inputs ({n}, 2) (got {new.shape} and {pads.shape})")
        wanted = (n, self.manifest.n_views, self.manifest.n_logits)
        if logits is not None and not (
            logits.shape == wanted and logits.dtype == np.int32 and logits.flags.c_contiguous
        ):
            raise ValueError(f"expected contiguous int32 logits {wanted} (got {logits.dtype} {logits.shape})")
        cuts = np.linspace(0, n, max(1, min(n_threads, n)) + 1).astype(int)

        def part(start: int, stop: int) -> int:
            scratch = np.zeros(self.scratch_bytes, np.uint8)
            batch = Batch(
                stop - start, states[start:].ctypes.data, scratch.ctypes.data, new[start:].ctypes.data,
                pads[start:].ctypes.data, None if logits is None else logits[start:].ctypes.data,
            )  # fmt: skip
            return int(self.kernel.lib.awm_step_many(self._model.ctypes.data, ctypes.byref(batch)))

        if len(cuts) == 2:
            self.kernel.check(part(0, n), "the matches")
            return new
        with ThreadPoolExecutor(len(cuts) - 1) as pool:
            for code in pool.map(part, cuts[:-1].tolist(), cuts[1:].tolist()):
                self.kernel.check(code, "the matches")
        return new

    def _step(
        self, state: np.ndarray, frame: np.ndarray, inputs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        self._check_state(state, (self.state_bytes,))
        new = _copied(frame, self.frame_dtype)
        pads = _as_records(inputs, self.controller_dtype)
        if new.nbytes != FRAME_BYTES or pads.nbytes != 2 * CONTROLLER_BYTES:
            raise ValueError(f"expected one frame and two controllers (got {new.shape} and {pads.shape})")
        scratch = np.zeros(self.scratch_bytes, np.uint8)
        match = Match(state.ctypes.data, scratch.ctypes.data, new.ctypes.data, pads.ctypes.data)
        self.kernel.check(self._step_frame(self._model.ctypes.data, ctypes.byref(match)), "the match")
        return new, scratch

    @staticmethod
    def _check_state(state: np.ndarray, shape: tuple[int, ...]) -> None:
        ok = state.dtype == np.uint8 and state.shape == shape and state.flags.c_contiguous
        if not (ok and state.flags.writeable and state.ctypes.data % _ALIGN == 0):
            raise ValueError(
                f"expected writable, contiguous uint8 state {shape}, aligned to {_ALIGN} "
                f"(got {state.dtype} {state.shape})"
            )


def _copied(frames: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """A writable copy with zeros between fields: NumPy's own leave anything there, yet records are hashed."""
    if frames.dtype.names != dtype.names:
        raise ValueError(f"expected frames with fields {dtype.names} (got {frames.dtype.names})")
    if frames.dtype != FRAME:  # which carries the frames of any game
        frames = frames.astype(dtype, copy=False)  # np.stack and np.concatenate give records without gaps
    return np.frombuffer(bytearray(frame_bytes(frames)), dtype).reshape(frames.shape)


def _in_one_block(parts: Sequence[bytes]) -> list[np.ndarray]:
    """Copies that start at cache lines of one block."""
    starts = np.cumsum([0, *(len(part) // _LINE * _LINE + _LINE for part in parts)])
    block = huge_pages(int(starts[-1]))
    copies = [block[at : at + len(p)] for at, p in zip(starts.tolist(), parts, strict=False)]
    for copy, part in zip(copies, parts, strict=True):
        copy[:] = np.frombuffer(part, np.uint8)
    return copies


def huge_pages(size: int) -> np.ndarray:
    """Zeros, uint8, that start at a cache line: NumPy asks for huge pages for big ones.

    With pages of 4 KB a frame of 19 MB of weights misses the TLB at every page.
    """
    block = np.zeros(size + _HUGE_PAGE, np.uint8)
    begin = -block.ctypes.data % (_HUGE_PAGE if len(block) > 2 * _HUGE_PAGE else _LINE)
    return block[begin : begin + size]


def _aligned(data: bytes) -> np.ndarray:
    """A copy of ``data`` that starts at a multiple of 8 and has at least one byte."""
    words = np.zeros(len(data) // 8 + 1, np.uint64)
    copy = words.view(np.uint8)
    copy[: len(data)] = np.frombuffer(data, np.uint8)
    return copy


def available_backends() -> list[str]:
    """Names of the backends that this CPU and build have, without ``"auto"``."""
    kernel = Kernel.load()
    scratch = np.zeros(kernel.lib.awm_model_bytes(), np.uint8)
    return [
        name
        for name, code in BACKENDS.items()
        if code and kernel.lib.awm_set_backend(scratch.ctypes.data, code) == 0
    ]


def _as_records(inputs: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Contiguous controllers of ``dtype``; those of another game are taken byte for byte."""
    inputs = np.ascontiguousarray(inputs)
    if inputs.dtype == dtype:
        return inputs
    if inputs.dtype.itemsize != dtype.itemsize:
        raise ValueError(f"expected controllers of {dtype.itemsize} bytes each (got {inputs.dtype})")
    return inputs.view(dtype)
