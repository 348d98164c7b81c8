"""The kernel's AArch64 build under qemu-user: the matvec vectors and whole frames on NEON's dot products."""

from __future__ import annotations

import importlib.util
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from awm_kit.kernel import BACKENDS
from awm_kit.kernel_build import FLAGS, KERNEL_C, sources
from awm_kit.quant.reference import state_hash
from awm_kit.schema import FRAME

VECTORS = Path(__file__).parent / "vectors"
_spec = importlib.util.spec_from_file_location("vectors_generate", VECTORS / "generate.py")
assert _spec and _spec.loader
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

# Reads requests from stdin until it ends, each a kind and four sizes: `m` multiplies a matrix, `f` plays
# frames and tells frame record and state after each. Fails with a number that says where.
DRIVER = """
#include <stdio.h>
#include <stdlib.h>

#include "awm_ops.h"

static uint8_t *take(uint32_t n) {
    uint8_t *p = calloc(n + 16, 1);
    if (!p || fread(p, 1, n, stdin) != n) exit(3);
    return p;
}

static void matvec(uint32_t backend, uint32_t rows, uint32_t cols) {
    awm_matvec_args a = {0};
    a.rows = rows, a.cols = cols, a.backend = backend;
    a.w = take(rows * cols), a.x = (const int8_t *)take(cols);
    a.acc = calloc(rows, 4), a.lanes = calloc(cols, 8);
    awm_matvec_begin(&a);
    awm_matvec(&a);
    fwrite(a.acc, 4, rows, stdout);
}

static void frames(uint32_t backend, const uint32_t *n) {
    const uint8_t *manifest = take(n[1]), *shard = take(n[2]);
    uint8_t *frame = take(AWM_FRAME_BYTES);
    uint64_t len = n[2];
    awm_files files = {manifest, n[1], &shard, &len, 1};
    awm_model model;
    awm_match match;
    uint32_t t;
    if (awm_open(&model, &files) || awm_set_backend(&model, backend)) exit(4);
    match.state = calloc(awm_state_bytes(&model), 1);
    match.scratch = calloc(awm_scratch_bytes(&model), 1);
    match.frame = frame;
    for (t = 0; t < n[3]; t++) {
        match.inputs = take(2 * AWM_CONTROLLER_BYTES);
        if (awm_step(&model, &match)) exit(5);
        fwrite(frame, 1, AWM_FRAME_BYTES, stdout);
        fwrite(match.state, 1, awm_state_bytes(&model), stdout);
    }
}

int main(int argc, char **argv) {
    uint32_t backend = (uint32_t)atoi(argv[argc - 1]), n[5];
    while (fread(n, 4, 5, stdin) == 5) {
        if (n[0] == 'm') matvec(backend, n[1], n[2]);
        else frames(backend, n);
    }
    return 0;
}
"""


class Emulated:
    """The driver, built for AArch64 and run by qemu."""

    def __init__(self, folder: Path, qemu: str) -> None:
        (folder / "driver.c").write_text(DRIVER)
        self.program, self.qemu = folder / "driver", qemu
        command = [
            *(sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", "-static", *FLAGS),
            *(f"-I{KERNEL_C}", str(folder / "driver.c"), *map(str, sources()), "-o", str(self.program)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def run(self, backend: str, requests: list[bytes], cpu: str = "max") -> bytes:
        command = [self.qemu, "-cpu", cpu, str(self.program), str(BACKENDS[backend])]
        done = subprocess.run(
            command, input=b"".join(requests), capture_output=True, check=False, timeout=300
        )
        assert done.returncode == 0, (done.returncode, done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    qemu = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if qemu is None:
        pytest.skip("no qemu-aarch64 on the PATH (scripts/setup-system.sh qemu installs Debian's qemu-user)")
    return Emulated(tmp_path_factory.mktemp("neon"), qemu)


def request(kind: str, *sizes: int) -> bytes:
    return struct.pack("<5I", ord(kind), *sizes, *[0] * (4 - len(sizes)))


@pytest.mark.parametrize("backend", ["neon", "portable", "swar"])
def test_matvec_vectors(emulated: Emulated, backend: str) -> None:
    vectors = generate.read("matvec.txt")
    requests = [request("m", len(acc) // 4, len(x)) + w + x for _, (w, x, acc) in vectors]
    out = emulated.run(backend, requests)
    for comment, (_, _, acc) in vectors:
        assert out[: len(acc)] == acc, comment
        out = out[len(acc) :]
    assert not out


@pytest.mark.parametrize("backend", ["auto", "neon", "portable", "swar"])
def test_frame_vectors(emulated: Emulated, backend: str) -> None:
    for comment, (manifest, shard, first, pads, hashes) in generate.read("frames.txt"):
        n = len(hashes) // 32
        sizes = request("f", len(manifest), len(shard), n)
        out = emulated.run(backend, [sizes, manifest, shard, first, pads])
        record = len(out) // n
        for t in range(n):
            now = out[record * t : record * (t + 1)]
            frame = np.frombuffer(now, FRAME, 1)[0:1].reshape(())
            state = np.frombuffer(now, np.uint8)[FRAME.itemsize :]
            assert state_hash(frame, state) == hashes[32 * t :][:32].hex(), f"{comment}, frame {t}"


def test_a_cpu_without_dot_products_refuses_neon_and_plays(emulated: Emulated) -> None:
    manifest, shard, first, pads, hashes = generate.read("frames.txt")[0][1]
    given = [request("f", len(manifest), len(shard), len(hashes) // 32), manifest, shard, first, pads]
    assert emulated.run("auto", given, cpu="cortex-a57") == emulated.run("neon", given)
    with pytest.raises(AssertionError, match="4"):
        emulated.run("neon", given, cpu="cortex-a57")
