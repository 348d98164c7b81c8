"""The committed program is what its sources and the pinned zig make, byte for byte, wherever they lie."""

import shutil

from awm_kit.chain.sbf import build


def test_committed_program_is_what_the_sources_make():
    assert build.build() == build.OUTPUT.read_bytes(), (
        "sources have changed: run `python -m awm_kit.chain.sbf.build` and commit the new world_model.so"
    )


def test_committed_syscall_program_is_what_the_sources_make():
    assert build.build(syscall=True) == build.SYSCALL_OUTPUT.read_bytes()


def test_only_the_syscall_program_calls_it():
    assert b"sol_matmul_i8" in build.SYSCALL_OUTPUT.read_bytes()
    assert b"sol_matmul_i8" not in build.OUTPUT.read_bytes()


def test_the_checkout_s_place_leaves_no_trace(tmp_path, monkeypatch):
    program, kernel = tmp_path / "elsewhere" / "program", tmp_path / "elsewhere" / "kernel"
    shutil.copytree(build.PROGRAM, program)
    shutil.copytree(build.KERNEL, kernel, ignore=shutil.ignore_patterns("__pycache__"))
    moved = [(program if s.parent == build.PROGRAM else kernel) / s.name for s in build.SOURCES]
    monkeypatch.setattr(build, "SOURCES", moved)
    monkeypatch.setattr(build, "PROGRAM", program)
    monkeypatch.setattr(build, "KERNEL", kernel)
    made = build.build()
    assert made == build.OUTPUT.read_bytes()
    assert str(tmp_path).encode() not in made
