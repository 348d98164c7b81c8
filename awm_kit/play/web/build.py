"""Compile the kernel to WebAssembly with the pinned zig: the package data ``kernel.wasm``.

Run ``python -m awm_kit.play.web.build`` after a change to the C sources; the result is committed, and a
test builds it again and compares the bytes.
"""

from __future__ import annotations

from pathlib import Path

from awm_kit.chain.sbf.build import KERNEL, zig_cc

WEB = Path(__file__).parent
OUTPUT = WEB / "kernel.wasm"

SOURCES = (
    WEB / "module.c",
    WEB / "ops_simd.c",
    *(KERNEL / name for name in (
        "awm_model.c", "awm_codec.c", "awm_step.c", "awm_matvec_n4.c", "awm_matvec_n4_swar.c",
    )),
)  # fmt: skip

# No -g and no names: nothing of the place or time of the build gets in.
# -fno-builtin keeps LLVM from turning loops into calls of memcpy, which nothing here defines.
FLAGS = (
    "-target", "wasm32-freestanding", "-msimd128", "-std=c11", "-O3", "-ffreestanding", "-fno-builtin",
    "-fno-ident", "-fno-strict-aliasing", "-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all",
    "-Wl,--export=__heap_base", "-Wall", "-Wextra", "-pedantic", "-Werror", "-DAWM_PORTABLE_ONLY",
)  # fmt: skip


def build() -> bytes:
    """The module, from the sources of this installation.

    Raises
    ------
    CompilerMissingError
        If the ``ziglang`` package is not installed.
    ProgramBuildError
        If a file does not compile or link.
    """
    return zig_cc((*FLAGS, f"-I{KERNEL}", *map(str, SOURCES)), OUTPUT.name)


if __name__ == "__main__":
    OUTPUT.write_bytes(build())
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size} bytes")
