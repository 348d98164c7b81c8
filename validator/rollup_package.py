"""MagicBlock's ephemeral validator from npm, pinned by hash, made to run on this machine.

Version 0.8.3 is the last one with the ``sol_matmul_i8`` system call.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from awm_kit.errors import ValidatorError
from awm_kit.kernel_build import cache_dir

VERSION = "0.8.3"
PACKAGES = {
    "@magicblock-labs/ephemeral-validator": (
        "wbjIrh9HQeSgDVxnjuykDoAB7Mi9w4VGmSs8Yu83jYU3F3IR1+8WDo0x32Wg8biCy5AFHxeMrpaHDsmdOtbpOA=="
    ),
    "@magicblock-labs/ephemeral-validator-linux-x64": (
        "/IJLb61Qt5ZhMbYqSrVCYiN9cbgO0JGygCM3uOL8KWeNT9b8oZdc/w7lD+VACsTFgAwKN8bTBZuU3M7okC+bzA=="
    ),
}
# glibc 2.39 or newer, and what was built against it.
LIBRARIES = ("libc6", "libgcc-s1", "libstdc++6", "libssl3t64", "libzstd1", "zlib1g")
LIBRARY_SUITE = "trixie"
LIBRARY_FOLDER = Path("usr/lib/x86_64-linux-gnu")
# Each transaction's accounts are copied into a buffer of a megabyte and more. By itself glibc may ask the
# system for each of these and give it back, a tenth of an executor's time; so memory stays with the program.
MALLOC = ":".join(
    f"glibc.malloc.{name}={size}"
    for name, size in {
        "arena_max": 1,
        "mmap_threshold": 32 << 20,
        "trim_threshold": 1 << 30,
        "top_pad": 64 << 20,
    }.items()
)
SHIM = Path(__file__).with_name("rollup_shim.c")


@dataclass(frozen=True)
class RollupPackage:
    """How to start the validator, and the folder of accounts that its L1 must have."""

    command: tuple[str, ...]
    dumps: Path


def install() -> RollupPackage:
    """Download and unpack what the cache lacks: some 27 MB, once.

    Raises
    ------
    ValidatorError
        The machine is of another kind, a tool is missing, or a download fails or is not what was pinned.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ValidatorError(
            f"MagicBlock's validator {VERSION} is started here on Linux x86-64 only "
            f"(this is {platform.system()} {platform.machine()}); matches run on the L1 without it"
        )
    root = cache_dir() / f"rollup-{VERSION}"
    root.mkdir(parents=True, exist_ok=True)
    parts = [_npm(root, name) for name in PACKAGES]
    dumps = parts[0] / "bin" / "local-dumps"
    binary = parts[1] / "bin" / "ephemeral-validator"
    shim = _shim(root)
    memory = ("env", f"GLIBC_TUNABLES={MALLOC}")
    if _runs_here(binary):
        return RollupPackage((*memory, f"LD_PRELOAD={shim}", str(binary)), dumps)
    libraries = _libraries(root)
    loader = libraries / "ld-linux-x86-64.so.2"
    start = (*memory, str(loader), "--preload", str(shim), "--library-path", str(libraries), str(binary))
    return RollupPackage(start, dumps)


def _npm(root: Path, name: str) -> Path:
    """One npm package, unpacked."""
    folder = root / name.rpartition("/")[2]
    if folder.is_dir():
        return folder
    _need("npm", "install Node.js (`apt install npm`)")
    with tempfile.TemporaryDirectory(dir=root) as temporary:
        work = Path(temporary)
        _run(["npm", "pack", "--silent", f"{name}@{VERSION}"], work, "npm pack")
        archive = next(work.glob("*.tgz"))
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != PACKAGES[name]:
            raise ValidatorError(f"{name} {VERSION} from npm is not the pinned one (sha512-{digest})")
        with tarfile.open(archive) as packed:
            packed.extractall(work, filter="data")
        binary = work / "package" / "bin" / "ephemeral-validator"
        if binary.exists():
            binary.chmod(0o755)
        _move(work / "package", folder)
    return folder


def _libraries(root: Path) -> Path:
    """Libraries of a newer Debian, beside the system's; apt checks their signatures."""
    folder = root / "libraries"
    if not folder.is_dir():
        for tool in ("apt-get", "dpkg-deb"):
            _need(tool, "use Debian or Ubuntu, or a system with glibc 2.39, libssl 3 and libzstd")
        with tempfile.TemporaryDirectory(dir=root) as temporary:
            work = Path(temporary)
            # apt's unprivileged user cannot enter a private folder
            work.chmod(0o755)
            apt = ["apt-get", *_apt_options(work)]
            _run([*apt, "update"], work, "apt-get update")
            _run([*apt, "download", *LIBRARIES], work, "apt-get download")
            for package in work.glob("*.deb"):
                _run(["dpkg-deb", "-x", str(package), "unpacked"], work, "dpkg-deb")
            _move(work / "unpacked", folder)
    return folder / LIBRARY_FOLDER


def _apt_options(work: Path) -> list[str]:
    """Make apt read another suite from this system's own mirror, and touch nothing of the system's."""
    listing = _run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(SUITE)"], work, "apt-get")
    mirrors = [line.split()[0] for line in listing.splitlines() if line.strip()]
    mirrors = [uri for uri in mirrors if uri.rstrip("/").endswith("/debian")]
    if not mirrors:
        raise ValidatorError(
            "MagicBlock's validator needs glibc 2.39: this system is older and has no Debian mirror in its "
            "apt sources to take one from; upgrade it, or run in a Debian 13 container"
        )
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (work / "sources.list").write_text(f"deb [signed-by={keyring}] {mirrors[0]} {LIBRARY_SUITE} main\n")
    settings = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": work / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": work / "cache",
        "Acquire::Languages": "none",
    }
    return [f"-o{name}={value}" for name, value in settings.items()]


def _shim(root: Path) -> Path:
    source = SHIM.read_bytes()
    shim = root / f"shim-{hashlib.sha256(source).hexdigest()[:16]}.so"
    if shim.exists():
        return shim
    if importlib.util.find_spec("ziglang") is None:
        raise ValidatorError("the rollup's shim is compiled with zig: pip install ziglang")
    with tempfile.TemporaryDirectory(dir=root) as temporary:
        out = Path(temporary) / "shim.so"
        flags = ["-target", "x86_64-linux-gnu.2.35", "-O2", "-shared", "-fPIC", "-o", str(out), str(SHIM)]
        _run([sys.executable, "-m", "ziglang", "cc", *flags], Path(temporary), "zig cc")
        os.replace(out, shim)
    return shim


def _runs_here(binary: Path) -> bool:
    """Whether the system's own libraries are new enough."""
    done = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "not found" not in done.stdout + done.stderr


def _need(tool: str, advice: str) -> None:
    if shutil.which(tool) is None:
        raise ValidatorError(
            f"{tool} is needed to fetch MagicBlock's validator and is not installed: {advice}"
        )


def _run(command: list[str], folder: Path, what: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise ValidatorError(f"{what} failed while fetching MagicBlock's validator: {complaint}")
    return done.stdout


def _move(source: Path, target: Path) -> None:
    """Put a finished folder in place; another process may have been faster."""
    try:
        os.rename(source, target)
    except OSError:
        if not target.is_dir():
            raise
