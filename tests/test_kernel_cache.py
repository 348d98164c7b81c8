"""Where built kernels are kept, and what happens where nothing can be."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from awm_kit import kernel_build
from awm_kit.errors import KernelError
from awm_kit.kernel_build import build


@pytest.fixture
def tiny(tmp_path: Path) -> list[Path]:
    """C that is compiled in no time."""
    source = tmp_path / "tiny.c"
    source.write_text("int tiny(void) { return 1; }\n")
    return [source]


def test_a_kernel_is_built_once_and_one_is_told(
    tiny: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWM_CACHE_DIR", str(tmp_path / "cache"))
    with caplog.at_level(logging.INFO, "awm_kit"):
        built = [build(files=tiny) for _ in range(2)]
    assert built[0] == built[1] and built[0].parent == tmp_path / "cache"
    assert [record.message for record in caplog.records] == [
        "building the native kernel, once for this machine"
    ]


def test_without_a_place_to_keep_it_it_is_built_once_a_process(
    tiny: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWM_CACHE_DIR", "/proc/nowhere")
    with caplog.at_level(logging.INFO, "awm_kit"):
        built = [build(files=tiny) for _ in range(2)]
    assert built[0] == built[1] and built[0].is_file() and len(caplog.records) == 1


def test_a_compiler_that_hangs_is_given_up(
    tiny: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "my tools" / "slow cc"
    compiler.parent.mkdir()
    compiler.write_text('#!/bin/sh\nif [ "$1" = --version ]; then echo slow; else exec sleep 60; fi\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", f"'{compiler}'")
    monkeypatch.setenv("AWM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_build, "PATIENCE", 0.5)
    with pytest.raises(KernelError, match=r"took more than 0\.5 s: .*my tools/slow cc"):
        build(files=tiny)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_others_filled_serves_where_one_may_not_write(
    tiny: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWM_CACHE_DIR", str(tmp_path / "cache"))
    built = build(files=tiny)
    monkeypatch.setattr(kernel_build, "_writable", lambda folder: tmp_path / "elsewhere")
    assert build(files=tiny) == built
