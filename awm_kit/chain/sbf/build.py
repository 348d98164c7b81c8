"""Compile ``programs/world-model`` and the kernel with the pinned zig, link them, write the package data.

Run ``python -m awm_kit.chain.sbf.build`` after a change to the C sources. The results are committed, and a
test builds them again and compares the bytes: ``awm_kit/chain/world_model.so`` is pure SBF and runs on every
cluster, ``world_model_syscall.so`` wants one that has ``sol_matmul_i8``.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from awm_kit.chain.sbf.link import link
from awm_kit.errors import CompilerMissingError, ProgramBuildError

CHAIN = Path(__file__).resolve().parents[1]
KERNEL = CHAIN.parent / "kernel_c"
PROGRAM = CHAIN.parents[1] / "programs" / "world-model"
OUTPUT = CHAIN / "world_model.so"
SYSCALL_OUTPUT = CHAIN / "world_model_syscall.so"

SOURCES = (
    *(PROGRAM / name for name in (
        "entrypoint.c", "checks.c", "content.c", "create.c", "lobby.c", "inference.c", "input_log.c",
        "result.c", "forfeit.c", "replay.c", "system.c", "world.c", "delegation.c",
    )),
    *(KERNEL / name for name in (
        "awm_model.c", "awm_codec.c", "awm_step.c", "awm_matvec_swar.c", "awm_scan_swar.c", "awm_dispatch.c",
        "awm_matvec_views_swar.c", "awm_store_views_sbf.c", "awm_conv_views_sbf.c", "awm_matvec_n4.c",
        "awm_matvec_n4_swar.c",
    )),
)  # fmt: skip

# What the syscall build links instead, and besides.
SWAR_MATVEC, SYSCALL_MATVEC = "awm_matvec_swar.c", PROGRAM / "matvec_syscall.c"
SYSCALL_SOURCES = (PROGRAM / "scan_syscall.c", PROGRAM / "store_syscall.c")

# v2 is the newest instruction set that SBPF v0 shares with BPF. Without -g and with -fno-ident no path or
# version gets in.
# -fno-builtin keeps LLVM from turning loops into calls of memcpy, which nothing here defines.
FLAGS = (
    "-target", "bpfel-freestanding", "-mcpu=v2", "-std=c11", "-O3", "-ffreestanding", "-fno-builtin",
    "-fno-ident", "-fno-strict-aliasing", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables",
    "-ffunction-sections", "-fdata-sections",
    "-Wall", "-Wextra", "-pedantic", "-Werror", "-DAWM_PORTABLE_ONLY",
)  # fmt: skip


def compile_object(source: Path, extra: Sequence[str] = ()) -> bytes:
    """Compile one C file to an eBPF object.

    Parameters
    ----------
    source : Path
    extra : sequence of str
        More compiler arguments.

    Raises
    ------
    CompilerMissingError
        If the ``ziglang`` package is not installed.
    ProgramBuildError
        With the compiler's messages, if it refuses the source.
    """
    return zig_cc((*FLAGS, *extra, f"-I{PROGRAM}", f"-I{KERNEL}", "-c", str(source)), source.name)


def zig_cc(arguments: Sequence[str], what: str) -> bytes:
    """Run the pinned zig's C compiler and return the file that it writes.

    Parameters
    ----------
    arguments : sequence of str
        All but ``-o``.
    what : str
        What is compiled, for messages.

    Raises
    ------
    CompilerMissingError
        If the ``ziglang`` package is not installed.
    ProgramBuildError
        With the compiler's messages, if it refuses.
    """
    if importlib.util.find_spec("ziglang") is None:
        raise CompilerMissingError(f"{what} is compiled with zig: pip install ziglang")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.o"
        command = [sys.executable, "-m", "ziglang", "cc", *arguments, "-o", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not out.exists():
            raise ProgramBuildError(f"cannot compile {what}:\n{done.stderr}")
        return out.read_bytes()


def build(extra: Sequence[str] = (), *, syscall: bool = False) -> bytes:
    """The program as a shared object, from the sources of this checkout.

    Parameters
    ----------
    extra : sequence of str
        More compiler arguments.
    syscall : bool
        Multiply matrices with ``sol_matmul_i8``.

    Raises
    ------
    ProgramBuildError
        If this is not a checkout, or a file does not compile or link.
    """
    return link(objects(extra, syscall=syscall))


def objects(extra: Sequence[str] = (), *, syscall: bool = False) -> list[bytes]:
    """What `build` links; parameters and errors are its own."""
    sources = [SYSCALL_MATVEC if syscall and s.name == SWAR_MATVEC else s for s in SOURCES]
    sources += SYSCALL_SOURCES if syscall else ()
    missing = [source.name for source in sources if not source.is_file()]
    if missing:
        raise ProgramBuildError(f"the program is built from a checkout; missing here: {', '.join(missing)}")
    flags = [*extra, "-DAWM_SYSCALL"] if syscall else extra
    return [compile_object(source, flags) for source in sources]


if __name__ == "__main__":
    for output, with_syscall in ((OUTPUT, False), (SYSCALL_OUTPUT, True)):
        output.write_bytes(build(syscall=with_syscall))
        print(f"{output.name}: {output.stat().st_size} bytes")
