"""The C kernel built once per machine, by whichever compiler there is.

The shared object is made on first use from ``kernel_c/*.c`` and kept in a cache folder under a name that
holds the sources, the compiler and the flags, so that a change of any of them makes a new one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from awm_kit.errors import CompilerMissingError, KernelError
from awm_kit.files import written_whole

KERNEL_C = Path(__file__).with_name("kernel_c")
WARNINGS = ("-Wall", "-Wextra", "-pedantic", "-Werror")
FLAGS = ("-std=c99", "-O3", "-fno-strict-aliasing", *WARNINGS)
PATIENCE = 600.0  # seconds; a kernel takes some
_LOG = logging.getLogger(__name__)


def sources() -> list[Path]:
    """The kernel's C files."""
    return sorted(KERNEL_C.glob("awm*.c"))


def find_compiler() -> list[str]:
    """The command of a C compiler: ``$CC``, else cc, gcc or clang, else zig from the ziglang package.

    Raises
    ------
    CompilerMissingError : saying what to install
    """
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return [path]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise CompilerMissingError(
        "no C compiler found (looked for $CC, cc, gcc, clang and the ziglang package): "
        "run `pip install ziglang`, or install gcc (`apt install gcc`) "
        "or Xcode's tools (`xcode-select --install`)"
    )


def cache_dir() -> Path:
    """Where built kernels are kept: ``$AWM_CACHE_DIR``, else awm-kit in the user's cache folder."""
    if root := os.environ.get("AWM_CACHE_DIR"):
        return Path(root)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "awm-kit"


def build(flags: Sequence[str] = FLAGS, files: Sequence[Path] | None = None) -> Path:
    """Build the shared object unless the cache has it.

    Parameters
    ----------
    flags : sequence of str
    files : sequence of Path, optional
        C files; the kernel's by default.

    Returns
    -------
    Path : of the shared object

    Raises
    ------
    CompilerMissingError : if there is no compiler
    KernelError : with the compiler's output, if it fails, or if it does not come to an end
    """
    compiler = find_compiler()
    files = sources() if files is None else files
    digest = hashlib.sha256(repr((compiler, _version(tuple(compiler)), tuple(flags))).encode())
    for path in [*files, *sorted(KERNEL_C.glob("*.h"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    name = f"awm-kernel-{digest.hexdigest()[:24]}.so"
    if (kept := cache_dir() / name).exists():  # also in a folder that others filled
        return kept
    target = _writable(cache_dir()) / name
    if target.exists():
        return target
    _LOG.info("building the native kernel, once for this machine")
    with written_whole(target) as built:
        _run([*compiler, *flags, "-fPIC", "-shared", "-o", str(built), *map(str, files)])
    return target


def _writable(folder: Path) -> Path:
    """``folder``, or a private temporary one where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(_private_folder().name)


@lru_cache(maxsize=1)
def _private_folder() -> tempfile.TemporaryDirectory[str]:
    """One a process, and gone with it."""
    return tempfile.TemporaryDirectory(prefix="awm-kit-")


@lru_cache(maxsize=8)
def _version(compiler: tuple[str, ...]) -> str:
    return _run([*compiler, "--version"])


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except OSError as error:
        raise CompilerMissingError(f"cannot run the C compiler {command[0]!r}: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise KernelError(f"the C compiler took more than {PATIENCE:g} s: {' '.join(command)}") from error
    if done.returncode:
        raise KernelError(f"building the kernel failed: {' '.join(command)}\n{done.stderr[-4000:]}")
    return done.stdout
