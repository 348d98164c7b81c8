"""The linters are tests: ruff, mypy --strict on awm_kit, and the C warnings, as `make lint` runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.parametrize("linter", ["ruff", "mypy", "c"])
def test_lint(repo_root: Path, linter: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    # A make that runs these tests must not hand its own flags down.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    done = subprocess.run(
        ["make", f"lint-{linter}"],
        cwd=repo_root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
