"""Products with 4-bit weights: one set of cases over every backend, and what they cost on SBF."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from n4_cases import ACC, VECTORS, Case, cases, random_scales, text
from onchain import keypair
from solders.account import Account
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import AccountMeta, Instruction
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_metadata import TransactionMetadata

from awm_kit import kernel
from awm_kit.chain.sbf.build import KERNEL, compile_object
from awm_kit.chain.sbf.link import link
from awm_kit.kernel import BACKENDS
from awm_kit.kernel_build import FLAGS, KERNEL_C
from awm_kit.kernel_library import Kernel
from awm_kit.quant import n4

CASES = list(cases())
NATIVE = [name for name in BACKENDS if name != "auto"]


def lanes_bytes(cols: int, views: int) -> int:
    return 8 * views * (cols + n4.n_chunks(cols))


# ---------------------------------------------------------------- the definition


def test_committed_vectors_are_what_the_definition_says() -> None:
    assert VECTORS.read_text() == text()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_packing_has_an_inverse(case: Case) -> None:
    rows, cols = case.weight.shape
    data = case.data
    assert len(data) == n4.words_bytes(rows, cols) + n4.scales_bytes(rows, cols)
    weight, scales = n4.unpack_weights(data, rows, cols)
    assert np.array_equal(weight, case.weight) and np.array_equal(scales, case.scales)


def test_words_lie_as_the_header_draws_them() -> None:
    """Rows 0 to 3 of a quad at bits 0, 32, 16, 48; columns from the lowest nibble; blocks of four quads."""
    weight = np.zeros((20, 8), np.int8)
    weight[0, 0], weight[1, 1], weight[2, 2], weight[3, 3], weight[7, 4], weight[16, 5] = 1, 2, 3, 4, 5, 6
    words = np.frombuffer(n4.pack_weights(weight, np.zeros((20, 1), np.uint8)), "<u8", 10)
    zero = 0x8888888888888888
    assert words[0] - zero == 1 + (2 << 36) + (3 << 24) + (4 << 60)
    assert words[4 + 1] - zero == 5 << 48  # second unit of the block, second quad
    assert words[8 + 1] - zero == 6 << 4  # second unit of the quad that is left over
    assert {int(words[i]) for i in (1, 2, 3, 4, 6, 7, 8)} == {zero}


def test_the_definition_is_a_plain_sum() -> None:
    case = CASES[-2]
    expected = n4.expand(case.weight, case.scales) @ case.x[0].astype(int)
    assert np.array_equal(n4.sums(case.weight, case.scales, case.x[0]), expected)


# ---------------------------------------------------------------- native


class _Args(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("acc", "words", "scales", "x", "other", "lanes")),
        *((name, ctypes.c_uint32) for name in ("rows", "cols", "views", "backend")),
    )


@pytest.mark.parametrize("backend", NATIVE)
@pytest.mark.parametrize("views", [1, 2])
def test_native(backend: str, views: int) -> None:
    if backend not in kernel.available_backends():
        pytest.skip(f"this CPU has no {backend}")
    lib = Kernel.load().lib
    for case in CASES:
        rows, cols = case.weight.shape
        data = np.frombuffer(case.data + bytes(-len(case.data) % 8), np.uint64).copy()
        acc, lanes = np.zeros(ACC, np.uint64), np.zeros(lanes_bytes(cols, views) // 8, np.uint64)
        words = data.ctypes.data
        scales = words + n4.words_bytes(rows, cols)
        x, other = case.x[0].copy(), case.x[1].copy()
        pointers = (acc.ctypes.data, words, scales, x.ctypes.data, other.ctypes.data, lanes.ctypes.data)
        args = _Args(*pointers, rows, cols, views, BACKENDS[backend])
        lib.awm_n4_begin(ctypes.byref(args))
        lib.awm_n4_matvec(ctypes.byref(args))
        for view in range(views):
            got = acc.view(np.int32)[ACC * view :][:rows]
            assert np.array_equal(got, case.sums(view)), f"{case.name}, view {view}"


# ---------------------------------------------------------------- AArch64 under qemu

NEON_DRIVER = """
#include <stdio.h>
#include <stdlib.h>

#include "awm_matvec_n4.h"

int main(int argc, char **argv) {
    uint32_t n[3];
    (void)argc;
    while (fread(n, 4, 3, stdin) == 3) {
        awm_n4_args a = {0};
        uint8_t *data = malloc(n[2]), *x = malloc(2 * n[1]);
        if (fread(data, 1, n[2], stdin) != n[2] || fread(x, 1, 2 * n[1], stdin) != 2 * n[1]) return 1;
        a.rows = n[0], a.cols = n[1], a.views = 2, a.backend = (uint32_t)atoi(argv[1]);
        a.words = data, a.scales = data + awm_n4_words(n[0], n[1]);
        a.x[0] = (int8_t *)x, a.x[1] = a.x[0] + n[1];
        a.acc = calloc(2 * AWM_CHUNK, 4), a.lanes = calloc(awm_n4_lanes(n[1], 2), 1);
        awm_n4_begin(&a);
        awm_n4_matvec(&a);
        fwrite(a.acc, 4, n[0], stdout);
        fwrite(a.acc + AWM_CHUNK, 4, n[0], stdout);
    }
    return 0;
}
"""


def test_neon(tmp_path: Path) -> None:
    qemu = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if qemu is None:
        pytest.skip("no qemu-aarch64 on the PATH")
    (tmp_path / "driver.c").write_text(NEON_DRIVER)
    files = [str(tmp_path / "driver.c"), *map(str, sorted(KERNEL_C.glob("awm_matvec_n4*.c")))]
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", "-static", *FLAGS]
    done = subprocess.run(
        [*command, f"-I{KERNEL_C}", *files, "-o", str(tmp_path / "driver")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    given, expected = b"", b""
    for case in CASES:
        given += struct.pack("<3I", *case.weight.shape, len(case.data)) + case.data + case.x.tobytes()
        expected += case.sums(0).tobytes() + case.sums(1).tobytes()
    for backend in ("neon", "portable"):
        run = [qemu, "-cpu", "max", str(tmp_path / "driver"), str(BACKENDS[backend])]
        assert subprocess.run(run, input=given, capture_output=True, check=True).stdout == expected, backend


# ---------------------------------------------------------------- SBF

RAISE = 1 << 28  # AWM_RAISE, which the sums of two views begin with

SBF_DRIVER = """
#include "awm_matvec_n4.h"

uint64_t entrypoint(uint8_t *in) {
    uint8_t *account = in + 8, *d = account + 88;
    uint64_t len = *(uint64_t *)(account + 80);
    const uint64_t *n = (const uint64_t *)(((uint64_t)d + len + 10240 + 7 & ~7ULL) + 16);
    awm_n4_args a = {0};
    a.rows = n[0], a.cols = n[1], a.views = n[2];
    a.acc = (int32_t *)(d + n[3]), a.words = d + n[4], a.x[0] = (const int8_t *)(d + n[5]);
    a.x[1] = a.x[0] + a.cols, a.lanes = (uint64_t *)(d + n[6]);
    a.scales = a.words + awm_n4_words(a.rows, a.cols);
    awm_n4_begin(&a);
    awm_n4_matvec(&a);
    return 0;
}
"""


class Vm:
    """The products as SBF bytecode, one transaction a call."""

    def __init__(self, folder: Path) -> None:
        source = folder / "driver.c"
        source.write_text(SBF_DRIVER)
        files = [KERNEL / name for name in ("awm_matvec_n4.c", "awm_matvec_n4_swar.c")]
        objects = [compile_object(source, ["-Wno-parentheses"]), *map(compile_object, files)]
        self.svm, self.program, self.payer = LiteSVM(), Pubkey.new_unique(), keypair("payer")
        self.svm.add_program(self.program, link(objects))
        self.svm.airdrop(self.payer.pubkey(), 10**12)

    def call(self, case: Case, views: int) -> np.ndarray:
        """Both views' sums: int32, shape (2, ACC)."""
        rows, cols = case.weight.shape
        fields = [bytes(8 * ACC), case.data, case.x.tobytes(), bytes(lanes_bytes(cols, views))]
        data, at = bytearray(), []
        for field in fields:
            at.append(len(data))
            data += field + bytes(-len(field) % 8)
        account = Pubkey.new_unique()
        self.svm.set_account(account, Account(10**12, bytes(data), self.program, False, 0))
        numbers = struct.pack("<7Q", rows, cols, views, *at)
        call = Instruction(self.program, numbers, [AccountMeta(account, False, True)])
        message = Message([set_compute_unit_limit(1_400_000), call], self.payer.pubkey())
        self.svm.expire_blockhash()
        done = self.svm.send_transaction(Transaction([self.payer], message, self.svm.latest_blockhash()))
        assert isinstance(done, TransactionMetadata), done.meta().logs()
        self.units = done.compute_units_consumed()
        return np.frombuffer(self.svm.get_account(account).data, "<i4", 2 * ACC).reshape(2, ACC)


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Vm:
    return Vm(tmp_path_factory.mktemp("sbf"))


@pytest.mark.parametrize("views", [1, 2])
def test_sbf(vm: Vm, views: int) -> None:
    for case in CASES:
        got = vm.call(case, views)
        for view in range(views):
            sums = case.sums(view) + (RAISE if views == 2 else 0)
            assert np.array_equal(got[view][: len(case.weight)], sums), f"{case.name}, view {view}"


def random_case(rows: int, cols: int) -> Case:
    rng = np.random.default_rng(rows)
    weight = rng.integers(-7, 8, (rows, cols)).astype(np.int8)
    return Case(
        "", weight, random_scales(rng, rows, cols), rng.integers(-127, 128, (2, cols)).astype(np.int8)
    )


# What one transaction costs today, exactly, of one view and of two; lower them when code gets better.
CEILINGS = {
    (160, 128): (28_094, 49_842),
    (160, 200): (44_288, 78_809),
    (160, 256): (55_574, 98_642),
    (80, 512): (58_209, 103_872),
    (8, 128): (3_656, 5_973),
}


@pytest.mark.parametrize("shape", CEILINGS, ids=str)
def test_no_product_costs_more_than_it_did(vm: Vm, shape: tuple[int, int]) -> None:
    units = []
    for views in (1, 2):
        vm.call(random_case(*shape), views)
        units.append(vm.units)
    assert all(got <= most for got, most in zip(units, CEILINGS[shape], strict=True)), units


def test_units_per_multiplication(vm: Vm) -> None:
    """What a multiply-accumulate adds: below 1.3 in one view, 1.15 where two share the unpacking."""
    for cols in (128, 256, 512):
        for views, most in ((1, 1.3), (2, 1.15)):
            units = []
            for rows in (32, 64):
                vm.call(random_case(rows, cols), views)
                units.append(vm.units)
            assert (units[1] - units[0]) / (32 * cols * views) < most, (cols, views)
