"""Link eBPF objects, as clang writes them, into the shared object that Solana's loader accepts (SBPF v0).

LLVM stops at ``.o`` files for BPF, and the loader wants a shared object: one text section, nothing
writable, file offsets equal to virtual addresses, and relocations only for syscalls and for
addresses of read-only data. That is little enough to do here:

- every ``.text*`` and ``.rodata*`` section that the entry point reaches is laid out, the rest is dropped;
- a call to one of our functions becomes a relative instruction offset, resolved now;
- a call to an undefined ``sol_*`` symbol stays a relocation that names the syscall;
- an ``lddw`` of read-only data gets its address, and a relocation that makes the loader rebase it; so does
  a pointer inside read-only data.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from awm_kit.errors import ProgramBuildError

EM_BPF, ET_DYN = 247, 3
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_DYNAMIC, SHT_REL, SHT_DYNSYM = 1, 2, 3, 6, 9, 11
SHF_WRITE, SHF_ALLOC, SHF_EXEC = 1, 2, 4
STT_SECTION = 3
R_BPF_64_64, R_BPF_64_ABS64, R_BPF_64_RELATIVE, R_BPF_64_32 = 1, 2, 8, 10
PT_LOAD, PT_DYNAMIC, PF_X, PF_R = 1, 2, 1, 4
DT_NULL, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT = 0, 5, 6, 10, 11
DT_REL, DT_RELSZ, DT_RELENT, DT_TEXTREL = 0x11, 0x12, 0x13, 0x16

EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
PHDR = struct.Struct("<IIQQQQQQ")
SHDR = struct.Struct("<IIQQQQIIQQ")
SYM = struct.Struct("<IBBHQQ")
REL = struct.Struct("<QQ")
IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)
INSTRUCTION = 8
N_PROGRAM_HEADERS = 3
SECTIONS = ("", ".text", ".rodata", ".dynamic", ".dynsym", ".dynstr", ".rel.dyn", ".shstrtab")


class Function(NamedTuple):
    """A function in the shared object: its virtual address there, and its length."""

    name: str
    address: int
    instructions: int


class _Place(NamedTuple):
    """A section of one of the input objects."""

    obj: int
    section: int


@dataclass(frozen=True)
class _Symbol:
    name: str
    place: _Place | None  # None: undefined here
    value: int
    is_global: bool
    is_section: bool


@dataclass(frozen=True)
class _Relocation:
    offset: int
    kind: int
    symbol: _Symbol


@dataclass
class _Section:
    name: str
    flags: int
    align: int
    data: bytes
    relocations: list[_Relocation] = field(default_factory=list)

    @property
    def is_text(self) -> bool:
        return bool(self.flags & SHF_EXEC)


@dataclass
class _Layout:
    """Where the kept sections go: virtual address of each, and the bytes of both output sections."""

    address: dict[_Place, int]
    text_at: int
    text: bytearray
    rodata_at: int
    rodata: bytearray


def link(objects: Sequence[bytes], entry: str = "entrypoint") -> bytes:
    """Link objects into an SBPF v0 shared object.

    Parameters
    ----------
    objects : sequence of bytes
        Relocatable ELF64 eBPF objects. The output depends on their order and contents only.
    entry : str
        The global function that the loader starts.

    Raises
    ------
    ProgramBuildError
        If an object is not eBPF, writes to static data, or a symbol is missing or defined twice.
    """
    sections, defined, start, layout = _laid_out(objects, entry)
    relocations, syscalls = _relocate(layout, sections, defined)
    return _write(layout, layout.address[_placed(start)] + start.value, relocations, syscalls, entry)


def functions(objects: Sequence[bytes], entry: str = "entrypoint") -> list[Function]:
    """Where `link` puts the functions that it keeps, of objects compiled with one in a section.

    Parameters and errors are those of `link`.
    """
    sections, _, _, layout = _laid_out(objects, entry)
    return [
        Function(sections[place].name.removeprefix(".text."), at, len(sections[place].data) // INSTRUCTION)
        for place, at in layout.address.items()
        if sections[place].is_text
    ]


def _laid_out(
    objects: Sequence[bytes], entry: str
) -> tuple[dict[_Place, _Section], dict[str, _Symbol], _Symbol, _Layout]:
    """Sections and global symbols of all objects, the entry point, and the places of what that reaches."""
    sections: dict[_Place, _Section] = {}
    defined: dict[str, _Symbol] = {}
    for number, blob in enumerate(objects):
        _read_object(number, blob, sections, defined)
    if entry not in defined:
        raise ProgramBuildError(f"no object defines the entry point {entry!r}")
    kept = _reachable(defined[entry], sections, defined)
    return sections, defined, defined[entry], _lay_out([p for p in sections if p in kept], sections)


def _read_object(
    number: int, blob: bytes, sections: dict[_Place, _Section], defined: dict[str, _Symbol]
) -> None:
    """Add one object's loadable sections and global symbols."""
    if blob[:7] != IDENT[:7] or len(blob) < EHDR.size or EHDR.unpack_from(blob)[2] != EM_BPF:
        raise ProgramBuildError(f"object {number} is not a 64-bit little-endian eBPF object")
    ehdr = EHDR.unpack_from(blob)
    headers = [SHDR.unpack_from(blob, ehdr[6] + i * SHDR.size) for i in range(ehdr[12])]
    strings = headers[ehdr[13]][4]
    for i, h in enumerate(headers):
        name = _string(blob, strings + h[0])
        if h[2] & SHF_ALLOC and (h[5] or h[2] & SHF_EXEC):
            sections[_Place(number, i)] = _Section(name, h[2], max(h[8], 1), blob[h[4] : h[4] + h[5]])
    symbols = _read_symbols(number, blob, headers)
    for symbol in symbols:
        if symbol.is_global and symbol.place is not None:
            if symbol.name in defined:
                raise ProgramBuildError(f"symbol {symbol.name!r} is defined twice")
            defined[symbol.name] = symbol
    for h in headers:
        target = sections.get(_Place(number, h[7]))
        if target is None or h[1] != SHT_REL:
            continue
        for at in range(h[4], h[4] + h[5], REL.size):
            offset, info = REL.unpack_from(blob, at)
            target.relocations.append(_Relocation(offset, info & 0xFFFFFFFF, symbols[info >> 32]))


def _read_symbols(number: int, blob: bytes, headers: list[tuple[int, ...]]) -> list[_Symbol]:
    table = next((h for h in headers if h[1] == SHT_SYMTAB), None)
    if table is None:
        raise ProgramBuildError(f"object {number} has no symbol table")
    names = headers[table[6]][4]
    symbols = []
    for at in range(table[4], table[4] + table[5], SYM.size):
        name, info, _, section, value, _ = SYM.unpack_from(blob, at)
        place = _Place(number, section) if section else None
        symbols.append(
            _Symbol(_string(blob, names + name), place, value, info >> 4 != 0, info & 15 == STT_SECTION)
        )
    return symbols


def _string(blob: bytes, at: int) -> str:
    return blob[at : blob.index(b"\0", at)].decode()


def _placed(symbol: _Symbol) -> _Place:
    if symbol.place is None:
        raise ProgramBuildError(f"symbol {symbol.name!r} is used but defined nowhere")
    return symbol.place


def _resolve(symbol: _Symbol, defined: dict[str, _Symbol]) -> _Symbol | None:
    """The definition behind a reference; None for a syscall."""
    if symbol.place is not None:
        return symbol
    if symbol.name in defined:
        return defined[symbol.name]
    if symbol.name.startswith("sol_"):
        return None
    raise ProgramBuildError(f"symbol {symbol.name!r} is used but defined nowhere, and is no syscall")


def _reachable(start: _Symbol, sections: dict[_Place, _Section], defined: dict[str, _Symbol]) -> set[_Place]:
    kept: set[_Place] = set()
    todo = [_placed(start)]
    while todo:
        place = todo.pop()
        if place in kept:
            continue
        if place not in sections:
            raise ProgramBuildError(f"object {place.obj}: a relocation points at no loadable section")
        section = sections[place]
        if section.flags & SHF_WRITE:
            raise ProgramBuildError(f"object {place.obj}: {section.name} is writable: no globals, please")
        kept.add(place)
        targets = (_resolve(r.symbol, defined) for r in section.relocations)
        todo += [_placed(t) for t in targets if t is not None]
    return kept


def _lay_out(places: list[_Place], sections: dict[_Place, _Section]) -> _Layout:
    """Text first, read-only data behind it, each in input order."""
    text_at = _align(EHDR.size + N_PROGRAM_HEADERS * PHDR.size, 16)
    address: dict[_Place, int] = {}
    blobs = []
    at = text_at
    for wants_text in (True, False):
        at = base = _align(at, 16)
        blob = bytearray()
        for place in places:
            section = sections[place]
            if section.is_text == wants_text:
                blob += bytes(_align(base + len(blob), section.align) - base - len(blob))
                address[place] = base + len(blob)
                blob += section.data
        blobs.append((base, blob))
        at = base + len(blob)
    return _Layout(address, blobs[0][0], blobs[0][1], blobs[1][0], blobs[1][1])


def _relocate(
    layout: _Layout, sections: dict[_Place, _Section], defined: dict[str, _Symbol]
) -> tuple[list[tuple[int, int, int]], list[str]]:
    """Patch both sections; returns what the loader must still do, as (address, kind, symbol number)."""
    left: list[tuple[int, int, int]] = []
    syscalls: list[str] = []
    for place, base in layout.address.items():
        section = sections[place]
        for relocation in section.relocations:
            address = base + relocation.offset
            target = _resolve(relocation.symbol, defined)
            if target is None:
                if relocation.kind != R_BPF_64_32:
                    raise ProgramBuildError(f"{relocation.symbol.name!r} is a syscall: it has no address")
                left.append(
                    (address, R_BPF_64_32, _call_syscall(layout, address, relocation.symbol.name, syscalls))
                )
                continue
            to = layout.address[_placed(target)] + target.value
            if relocation.kind == R_BPF_64_32:
                _call(layout, address, to, target.is_section)
            elif relocation.kind in (R_BPF_64_64, R_BPF_64_ABS64):
                _point(layout, address, to, section.is_text)
                left.append((address, R_BPF_64_RELATIVE, 0))
            else:
                name = relocation.symbol.name
                raise ProgramBuildError(f"relocation kind {relocation.kind} of {name!r} is unknown")
    return left, syscalls


def _call_syscall(layout: _Layout, address: int, name: str, syscalls: list[str]) -> int:
    """Mark a call as a system call; returns the symbol's number."""
    if name not in syscalls:
        syscalls.append(name)
    at = address - layout.text_at
    # The loader looks for an immediate of -1 and no "relative call" mark in the source register.
    struct.pack_into("<Bxxi", layout.text, at + 1, layout.text[at + 1] & 0x0F, -1)
    return syscalls.index(name) + 1


def _call(layout: _Layout, address: int, to: int, is_section: bool) -> None:
    at = address - layout.text_at + 4
    if is_section:
        # The immediate counts instructions from the section's start, less one.
        to += (struct.unpack_from("<i", layout.text, at)[0] + 1) * INSTRUCTION
    struct.pack_into("<i", layout.text, at, (to - address) // INSTRUCTION - 1)


def _point(layout: _Layout, address: int, to: int, in_text: bool) -> None:
    """Write an address where the loader rebases it."""
    if in_text:  # lddw: the halves are the immediates of two instructions
        at = address - layout.text_at
        to += struct.unpack_from("<i", layout.text, at + 4)[0]
        struct.pack_into("<I", layout.text, at + 4, to & 0xFFFFFFFF)
        struct.pack_into("<I", layout.text, at + INSTRUCTION + 4, to >> 32)
    else:  # data: SBPF v0 takes the address from the upper half of the word
        at = address - layout.rodata_at
        to += struct.unpack_from("<q", layout.rodata, at)[0]
        struct.pack_into("<II", layout.rodata, at, 0, to)


def _write(
    layout: _Layout, entry_at: int, relocations: list[tuple[int, int, int]], syscalls: list[str], entry: str
) -> bytes:
    """The shared object's bytes."""
    names = bytearray(b"\0")
    symbols = bytearray(SYM.size)
    for name in syscalls:
        symbols += SYM.pack(len(names), 0x10, 0, 0, 0, 0)
        names += name.encode() + b"\0"
    symbols += SYM.pack(len(names), 0x12, 0, 1, entry_at, 0)
    names += entry.encode() + b"\0"
    table = b"".join(REL.pack(at, symbol << 32 | kind) for at, kind, symbol in relocations)

    dynamic_at = _align(layout.rodata_at + len(layout.rodata), 8)
    n_dynamic = 9 if table else 6
    symbols_at = dynamic_at + n_dynamic * 16
    names_at = symbols_at + len(symbols)
    table_at = _align(names_at + len(names), 8)
    end = table_at + len(table)
    dynamic = struct.pack(
        f"<{2 * n_dynamic}Q",
        # The loader refuses an empty table, so name it only if there is one.
        *((DT_REL, table_at, DT_RELSZ, len(table), DT_RELENT, REL.size) if table else ()),
        *(DT_SYMTAB, symbols_at, DT_SYMENT, SYM.size, DT_STRTAB, names_at, DT_STRSZ, len(names)),
        *(DT_TEXTREL, 0, DT_NULL, 0),
    )
    titles = b"".join(name.encode() + b"\0" for name in SECTIONS)
    title = dict(zip(SECTIONS, _starts(SECTIONS), strict=True))
    headers_at = _align(end + len(titles), 8)

    def header(name: str, kind: int, flags: int, at: int, size: int, *rest: int) -> bytes:
        return SHDR.pack(title[name], kind, flags, at if flags else 0, at, size, *rest)

    alloc = SHF_ALLOC
    headers = [
        bytes(SHDR.size),
        header(".text", SHT_PROGBITS, alloc | SHF_EXEC, layout.text_at, len(layout.text), 0, 0, 8, 0),
        header(".rodata", SHT_PROGBITS, alloc, layout.rodata_at, len(layout.rodata), 0, 0, 16, 0),
        header(".dynamic", SHT_DYNAMIC, alloc | SHF_WRITE, dynamic_at, len(dynamic), 5, 0, 8, 16),
        header(".dynsym", SHT_DYNSYM, alloc, symbols_at, len(symbols), 5, 1, 8, SYM.size),
        header(".dynstr", SHT_STRTAB, alloc, names_at, len(names), 0, 0, 1, 0),
        header(".rel.dyn", SHT_REL, alloc, table_at, len(table), 4, 0, 8, REL.size),
        header(".shstrtab", SHT_STRTAB, 0, end, len(titles), 0, 0, 1, 0),
    ]

    def segment(kind: int, flags: int, at: int, size: int, align: int) -> bytes:
        return PHDR.pack(kind, flags, at, at, at, size, size, align)

    out = bytearray(headers_at)
    pieces = {
        0: EHDR.pack(
            IDENT, ET_DYN, EM_BPF, 1, entry_at, EHDR.size, headers_at, 0,
            EHDR.size, PHDR.size, N_PROGRAM_HEADERS, SHDR.size, len(headers), len(headers) - 1,
        ),
        EHDR.size: segment(PT_LOAD, PF_R | PF_X, layout.text_at, len(layout.text), 4096)
        + segment(PT_LOAD, PF_R, layout.rodata_at, end - layout.rodata_at, 4096)
        + segment(PT_DYNAMIC, PF_R, dynamic_at, len(dynamic), 8),
        layout.text_at: layout.text, layout.rodata_at: layout.rodata, dynamic_at: dynamic,
        symbols_at: symbols, names_at: names, table_at: table, end: titles,
    }  # fmt: skip
    for at, piece in pieces.items():
        out[at : at + len(piece)] = piece
    return bytes(out) + b"".join(headers)


def _starts(names: Sequence[str]) -> list[int]:
    """Offset of each name in a string table that holds them in order."""
    starts, at = [], 0
    for name in names:
        starts.append(at)
        at += len(name) + 1
    return starts


def _align(value: int, to: int) -> int:
    return -(-value // to) * to
