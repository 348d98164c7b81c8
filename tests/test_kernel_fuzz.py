"""Bytes that nobody packed: fuzz_kernel.c under sanitizers, guided by the edges that it reaches."""

from __future__ import annotations

import importlib.util
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from awm_kit.kernel_build import KERNEL_C, WARNINGS, sources
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Flavor, Shape, random_model

_spec = importlib.util.spec_from_file_location(
    "vectors_generate", Path(__file__).parent / "vectors" / "generate.py"
)
assert _spec and _spec.loader
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

FLAGS = (
    "-std=c99", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
    "-fsanitize-coverage=trace-pc", "-fno-strict-aliasing", *WARNINGS,
)  # fmt: skip
SEEDS: tuple[tuple[Shape, Flavor], ...] = (
    (Shape(16, 3, 8, 8, 2, 2), "plain"),
    (Shape(24, 2, 8, 16, 1, 2), "extreme"),
    (Shape(8, 1, 8, 4, 1, 1), "plain"),
)


def seed_inputs() -> list[bytes]:
    """Worlds that the kernel accepts, as fuzz_kernel.c reads them: with blocks, cut at op 1, 2, ..."""
    inputs = []
    for number, (shape, flavor) in enumerate(SEEDS):
        model = random_model(number, shape, flavor, generate.MIRRORED_CARTS, n_classes=6)
        cartridge = pack(model, shard_limit=1500)
        parts = [cartridge.manifest_bytes, *cartridge.shards]
        choices = len(cartridge.shards) | 64 * (1 + 2 * (number + 1))
        lengths = struct.pack(f"<{len(parts) + 1}I", choices, *map(len, parts))
        inputs.append(lengths + b"".join(parts) + bytes(range(200)))
    return inputs


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    program, probe = folder / "fuzz_kernel", folder / "probe.c"
    probe.write_text("void __sanitizer_cov_trace_pc(void) {}\nint main(void) { return 0; }\n")
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc here")
    command = [compiler, *FLAGS, "-Wno-error", "-o", str(program)]
    if subprocess.run([*command, str(probe)], capture_output=True, check=False).returncode:
        pytest.skip("this gcc has no sanitizers")
    files = [KERNEL_C / "fuzz_kernel.c", KERNEL_C / "fuzz_main.c", *sources()]
    subprocess.run([*command, *map(str, files)], check=True)
    for number, data in enumerate(seed_inputs()):
        (folder / f"seed{number}").write_bytes(data)
    return program


def fuzz(program: Path, seed: int, executions: int) -> dict[str, int]:
    inputs = sorted(map(str, program.parent.glob("seed?")))
    command = [str(program), str(seed), str(executions), *inputs]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return {name: int(n) for name, n in (pair.split("=") for pair in done.stdout.split())}


def test_hostile_bytes_reach_new_code_and_break_nothing(fuzzer: Path) -> None:
    """A few thousand; the seeds alone run the whole step, and what is found beyond are refusals."""
    found = fuzz(fuzzer, 1, 5000)
    assert found["seed_edges"] > 500 and found["new_edges"] > 0 and found["corpus"] > len(SEEDS)


@pytest.mark.slow
def test_half_a_million_hostile_inputs_break_nothing(fuzzer: Path) -> None:
    assert fuzz(fuzzer, 2, 500_000)["corpus"] > 3 * len(SEEDS)
