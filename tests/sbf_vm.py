"""Frames of the syscall build in an interpreter: LiteSVM lacks ``sol_matmul_i8``, and counts no loads.

The match begins in LiteSVM with the other build, which has the same accounts; they are copied from there.
"""

from __future__ import annotations

import ctypes
import hashlib
import struct
from pathlib import Path

import numpy as np
from onchain import Match
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from awm_kit.chain import accounts as A
from awm_kit.chain import instructions as I
from awm_kit.chain.frame_plan import Piece, frame_plan
from awm_kit.chain.sbf import link
from awm_kit.chain.sbf.build import SYSCALL_OUTPUT, zig_cc

SOURCE = Path(__file__).with_suffix(".c")
#: Those that the interpreter knows itself, by its numbers; others are numbered from 4 on and answered here.
KNOWN = {"sol_matmul_i8": 1, "sol_memset_": 2, "sol_memcpy_": 3}
STACK, HEAP, REGION = 64 * 4096, 32 * 1024, 1 << 32
#: Operations that load or store; a load's lower three bits are 1, a store's 2 or 3.
MEMORY_OPS = (1, 2, 3)


class _Region(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("len", ctypes.c_uint64)]


_Call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint64))


class _Machine(ctypes.Structure):
    _fields_ = [
        ("regions", _Region * 5),
        ("first", ctypes.c_uint64),
        ("n", ctypes.c_uint64),
        ("entry", ctypes.c_uint64),
        ("executed", ctypes.c_void_p),
        ("result", ctypes.c_uint64),
        ("units", ctypes.c_uint64),
        ("call", _Call),
    ]


class Interpreted:
    """Computes a match's frames with an image of the world program.

    Attributes
    ----------
    executed : ndarray of uint64
        How often each instruction of the text was executed, from the start.
    ops : ndarray of uint8
        Their operations.
    data : dict
        Bytes of the match's and the world's accounts.
    """

    def __init__(self, match: Match, folder: Path, image: bytes = SYSCALL_OUTPUT.read_bytes()) -> None:
        library = folder / "sbf_vm.so"
        library.write_bytes(zig_cc(["-O2", "-shared", "-fPIC", str(SOURCE)], SOURCE.name))
        self._vm, self.match, self.slot = ctypes.CDLL(str(library)), match, 1 << 20
        self._vm.sbf_vm_memory.restype = ctypes.c_void_p
        self._vm.sbf_vm_memory.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
        self._calls = dict[int, str]()
        self._image = self._load(image)
        manifest = match.world.cartridge.manifest
        self.plan = frame_plan(manifest, match.world.shards, syscall=True)
        keys = (match.keys.session, match.keys.input, match.keys.hidden, match.keys.log)
        self.data = {key: match.chain.data(key) for key in (*keys, match.world.manifest, *match.world.shards)}

    def _load(self, image: bytes) -> ctypes.Array[ctypes.c_char]:
        """Do what Solana's loader does: rebase addresses, and give each system call its number."""
        loaded = bytearray(image)
        header = link.EHDR.unpack_from(image)
        _, text, _, _, symbols, strings, table, _ = (
            link.SHDR.unpack_from(image, header[6] + i * link.SHDR.size) for i in range(header[12])
        )
        self._text, self._entry = (text[4], text[5] // 8), (header[4] - text[4]) // 8
        self.executed = np.zeros(self._text[1], np.uint64)
        self.ops = np.frombuffer(image, np.uint8, text[5], text[4])[::8]
        numbers = dict(KNOWN)
        for at in range(table[4], table[4] + table[5], link.REL.size):
            address, info = link.REL.unpack_from(image, at)
            if info & 0xFFFFFFFF == link.R_BPF_64_32:
                name_at = (
                    strings[4] + link.SYM.unpack_from(image, symbols[4] + (info >> 32) * link.SYM.size)[0]
                )
                name = image[name_at : image.index(b"\0", name_at)].decode()
                struct.pack_into("<I", loaded, address + 4, numbers.setdefault(name, len(numbers) + 1))
            elif text[4] <= address < text[4] + text[5]:  # the upper half of an lddw
                struct.pack_into("<I", loaded, address + 12, 1)
            else:
                struct.pack_into("<I", loaded, address, struct.unpack_from("<I", image, address + 4)[0])
                struct.pack_into("<I", loaded, address + 4, 1)
        self._calls = {number: name for name, number in numbers.items()}
        return ctypes.create_string_buffer(bytes(loaded), len(loaded))

    def submit(self, pads: np.ndarray) -> None:
        """Both players' controllers, numbered with the slot."""
        buffer = np.frombuffer(self.data[self.match.keys.input], A.INPUT_BUFFER).copy()
        pads = pads.copy()
        pads["sequence"] = self.slot
        buffer["controllers"] = pads.astype(buffer["controllers"].dtype)
        self.data[self.match.keys.input] = buffer.tobytes()

    def frame(self) -> list[int]:
        """The next frame; returns the units of each transaction."""
        self.slot += 1
        number = int(A.frame_of(self.data[self.match.keys.session])["frame"])
        return [self.run(self._order(piece, number)) for piece in self.plan]

    def _order(self, piece: Piece, number: int) -> Instruction:
        match = self.match
        return I.run_inference(
            match.keys,
            match.crank.pubkey(),
            match.world.manifest,
            piece.shards,
            number,
            piece.begin,
            piece.end,
        )

    def run(self, order: Instruction) -> int:
        """Execute one instruction; returns its units, and `RuntimeError` if it fails."""
        parameters, places = self._parameters(order.accounts)
        parameters += struct.pack("<Q", len(order.data)) + order.data + bytes(order.program_id)
        given = ctypes.create_string_buffer(bytes(parameters), len(parameters))
        memory = [self._image, ctypes.create_string_buffer(STACK), ctypes.create_string_buffer(HEAP), given]
        machine = _Machine(first=self._text[0], n=self._text[1], entry=self._entry)
        machine.executed = self.executed.ctypes.data
        for i, part in enumerate(memory, 1):
            machine.regions[i] = _Region(ctypes.addressof(part), len(part))
        machine.call = _Call(lambda number, arguments: self._answer(machine, self._calls[number], arguments))
        error = self._vm.sbf_vm_run(ctypes.byref(machine))
        if error or machine.result:
            raise RuntimeError(f"interpreter {error}, program {machine.result}")
        for key, (at, meta) in places.items():
            after = given.raw[at : at + len(self.data[key])]
            if not meta.is_writable and after != self.data[key]:
                raise RuntimeError(f"{key} is to be read only")
            self.data[key] = after
        return int(machine.units)

    def _parameters(
        self, metas: list[AccountMeta]
    ) -> tuple[bytearray, dict[Pubkey, tuple[int, AccountMeta]]]:
        """What the loader gives a program, and where in it the data of our accounts is."""
        out = bytearray(struct.pack("<Q", len(metas)))
        first, places = dict[Pubkey, int](), dict[Pubkey, tuple[int, AccountMeta]]()
        for i, meta in enumerate(metas):
            if meta.pubkey in first:
                out += struct.pack("<Q", first[meta.pubkey])
                continue
            first[meta.pubkey] = i
            data, owner = self.data.get(meta.pubkey, b""), bytes(I.PROGRAM_ID)
            out += (
                struct.pack("<4B4x", 0xFF, meta.is_signer, meta.is_writable, 0) + bytes(meta.pubkey) + owner
            )
            out += struct.pack("<QQ", 1, len(data))
            if meta.pubkey in self.data:
                places[meta.pubkey] = len(out), meta
            out += data + bytes(A.MAX_GROWTH - len(data) % -8) + bytes(8)
        return out, places

    def _answer(self, machine: _Machine, name: str, arguments: ctypes._Pointer[ctypes.c_uint64]) -> int:
        a, b, c, d = (int(arguments[i]) for i in range(4))
        if name == "sol_get_clock_sysvar":
            self._write(machine, a, struct.pack("<5Q", self.slot, 0, 0, 0, 1_800_000_000))
        elif name == "sol_sha256":
            pieces = struct.unpack(f"<{2 * b}Q", self._read(machine, a, 16 * b))
            whole = b"".join(self._read(machine, *pieces[i : i + 2]) for i in range(0, 2 * b, 2))
            self._write(machine, c, hashlib.sha256(whole).digest())
        elif name == "sol_create_program_address":
            pieces = struct.unpack(f"<{2 * b}Q", self._read(machine, a, 16 * b))
            seeds = [self._read(machine, *pieces[i : i + 2]) for i in range(0, 2 * b, 2)]
            program = Pubkey.from_bytes(self._read(machine, c, 32))
            self._write(machine, d, bytes(Pubkey.create_program_address(seeds, program)))
        else:
            return 1
        return 0

    def _read(self, machine: _Machine, address: int, size: int) -> bytes:
        return ctypes.string_at(self._vm.sbf_vm_memory(ctypes.byref(machine), address, size), size)

    def _write(self, machine: _Machine, address: int, data: bytes) -> None:
        ctypes.memmove(self._vm.sbf_vm_memory(ctypes.byref(machine), address, len(data)), data, len(data))

    def loads_and_stores(self) -> np.ndarray:
        """Of each instruction of the text, how often it reached memory, uint64."""
        return np.where(np.isin(self.ops & 7, MEMORY_OPS), self.executed, 0)
