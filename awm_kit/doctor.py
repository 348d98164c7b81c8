"""Is this machine ready? Every part that a world needs, tried out, with what to do where one is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from awm_kit.errors import AwmError

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
SELF_CHECK_FRAMES = 16


@dataclass(frozen=True)
class Check:
    """One part: whether it works, what was found, and what to do if it does not.

    ``essential`` parts are needed to play and deploy the shipped world.
    """

    name: str
    ok: bool
    detail: str
    essential: bool = True
    advice: str = ""

    def __str__(self) -> str:
        state = "ok" if self.ok else "MISSING" if self.essential else "missing"
        line = f"{state:8}{self.name:12}{self.detail}"
        return line if self.ok or not self.advice else f"{line}\n{'':20}-> {self.advice}"


class Diagnosis(list[Check]):
    """All checks."""

    @property
    def ok(self) -> bool:
        """Whether every essential part works."""
        return all(check.ok for check in self if check.essential)

    def to_json(self) -> dict[str, Any]:
        """``{"ok": …, "checks": [{"name", "ok", "detail", "essential", "advice"}, …]}``."""
        return {"ok": self.ok, "checks": [asdict(check) for check in self]}

    def __repr__(self) -> str:
        return "\n".join(map(str, self))


def diagnose() -> Diagnosis:
    """Try every part out; takes some seconds the first time, when the kernel is built."""
    return Diagnosis(_run(check) for check in CHECKS)


def _run(check: Callable[[], Check]) -> Check:
    """A part may break in any way on a strange machine; that is what a doctor reports."""
    try:
        return check()
    except Exception as error:
        name = check.__name__.removeprefix("check_").replace("_", " ")
        advice = "" if isinstance(error, AwmError) else "run `make setup`, or report this as a bug"
        return Check(name, False, f"{type(error).__name__}: {error}", advice=advice)


def check_python() -> Check:
    """The interpreter that the pinned packages are for."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info[:2] == (3, 11), version, advice="use Python 3.11")


def check_torch() -> Check:
    """PyTorch: needed to train, quantise and fork, not to play."""
    return _package("torch", "torch", "needed to train, quantise and fork: pip install 'awm-kit[train]'")


def check_compiler() -> Check:
    """A compiler for the native kernel: the system's, or zig's."""
    from awm_kit.kernel_build import find_compiler

    command = find_compiler()
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60)
    said = (done.stdout or done.stderr).partition("\n")[0]
    return Check(
        "compiler", done.returncode == 0, said or " ".join(command), advice="name a C compiler in CC"
    )


def check_zig() -> Check:
    """The compiler of the onchain program, whose built image comes with the package."""
    return _package("zig", "ziglang", "needed to rebuild the onchain program: pip install ziglang")


def check_world() -> Check:
    """The shipped worlds."""
    from awm_kit.worlds import load_world, shipped

    worlds = [load_world(name) for name in shipped()]
    detail = ", ".join(f"{w.manifest.name} ({w.nbytes:,} bytes)" for w in worlds)
    return Check("world", bool(worlds), detail or "no shipped world", advice="reinstall the package")


def check_kernel() -> Check:
    """The native kernel: built, and equal to the NumPy reference on a random world."""
    from awm_kit.kernel import NativeWorld, available_backends
    from awm_kit.quant import reference
    from awm_kit.quant.pack import pack
    from awm_kit.quant.random_model import random_frame, random_inputs, random_model

    model, rng = random_model(seed=7), np.random.default_rng(7)
    world = NativeWorld(pack(model))
    states = np.zeros(world.state_bytes, np.uint8), reference.initial_state(model)
    frames = [random_frame(rng)] * 2
    for inputs in random_inputs(rng, SELF_CHECK_FRAMES):
        frames = [
            world.step(states[0], frames[0], inputs),
            reference.step(model, states[1], frames[1], inputs),
        ]
    got, expected = (reference.state_hash(f, s) for f, s in zip(frames, states, strict=True))
    detail = f"{SELF_CHECK_FRAMES} frames equal to the NumPy reference; {', '.join(available_backends())}"
    if got != expected:
        detail = f"differs from the NumPy reference: {got[:12]}, not {expected[:12]}"
    return Check(
        "kernel", got == expected, detail, advice="a compiler bug, or a bug of ours: please report it"
    )


def check_program() -> Check:
    """The onchain program, loaded into the embedded Solana VM."""
    from awm_kit.chain.embedded import EmbeddedLedger, program_image

    image = program_image()
    EmbeddedLedger(image)
    return Check("program", True, f"{len(image):,} bytes, loads into LiteSVM {metadata.version('solders')}")


def check_jupyter() -> Check:
    """JupyterLab with the server extension that halves the delay between key and frame."""
    extension = "awm_kit.play.nodelay"
    advice = "run `make setup`: without it the notebooks work, but keys take twice as long"
    if find_spec("jupyterlab") is None or find_spec("jupyter_core") is None:
        return Check("jupyter", False, "jupyterlab is not installed", False, "pip install 'awm-kit[play]'")
    from jupyter_core.paths import jupyter_config_path

    configs = [Path(folder) / "jupyter_server_config.d" / "awm_kit.json" for folder in jupyter_config_path()]
    enabled = any(path.is_file() and extension in path.read_text() for path in configs)
    ok = enabled and find_spec(extension) is not None
    state = "enabled" if ok else "not enabled"
    return Check(
        "jupyter", ok, f"JupyterLab {metadata.version('jupyterlab')}, {extension} {state}", False, advice
    )


def check_chromium() -> Check:
    """A browser for the tests of the notebooks' widgets."""
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    return Check(
        "chromium", found is not None, found or "not on the PATH", False, "needed by the browser tests only"
    )


def check_peppi() -> Check:
    """The reader of real games; those of the built-in teachers need none."""
    return _package("peppi-py", "peppi-py", "needed to read .slp files: pip install 'awm-kit[slp]'")


def _package(name: str, distribution: str, advice: str) -> Check:
    try:
        return Check(name, True, metadata.version(distribution), essential=False)
    except metadata.PackageNotFoundError:
        return Check(name, False, "not installed", False, advice)


#: In the order in which they are shown.
CHECKS = (
    *(check_python, check_torch, check_compiler, check_zig, check_world, check_kernel),
    *(check_program, check_jupyter, check_chromium, check_peppi),
)
