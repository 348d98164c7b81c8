"""Fixtures that several test files share, and what keeps runs alike on every machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before torch or numpy is imported, here and in every process that a test starts: two workers on two
# cores, each with a thread per core, are slower than with one or two.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "2")
# Nobody's Jupyter, IPython or key settings take part in a test.
_settings = tempfile.mkdtemp(prefix="awm-kit-settings-")
for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "AWM_CONFIG_DIR"):
    os.environ[variable] = os.path.join(_settings, variable.lower())
# Kernels are compiled in the checkout: a clean one starts from its sources, whatever a home folder holds.
REPO_ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("AWM_CACHE_DIR", str(REPO_ROOT / "build" / "cache"))

import numpy as np  # noqa: E402  (after the thread limits)
import pytest  # noqa: E402
import torch  # noqa: E402

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def in_ci() -> bool:
    """Whether this run must not skip what a developer's machine may lack."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def pytest_sessionstart() -> None:
    torch.set_num_threads(2)


def pytest_sessionfinish() -> None:
    shutil.rmtree(_settings, ignore_errors=True)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def slp_dir() -> Path:
    """Real Slippi games, which are not part of the repository (AWM_SLP_DIR names another place)."""
    folder = Path(os.environ.get("AWM_SLP_DIR", REPO_ROOT.parent / "shared" / "data" / "slp"))
    if not (folder / "train").is_dir():
        pytest.skip(
            "real .slp games are not beside this checkout (AWM_SLP_DIR names a folder with train/ and odd/)"
        )
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20261123)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium for Playwright's ``executable_path``."""
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        reason = "no Chromium on the PATH (scripts/setup-system.sh chromium installs Debian's)"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session", autouse=True)
def _no_stray_settings() -> Iterator[None]:
    """Run every test away from a proxy that the shell may name: nothing here talks to the internet."""
    saved = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")}
    yield
    os.environ.update(saved)


@pytest.fixture(scope="session")
def rollup_package() -> Any:
    """MagicBlock's validator (`validator.rollup_package.RollupPackage`), downloaded once into the cache."""
    from awm_kit.errors import ValidatorError
    from validator.rollup_package import install

    try:
        return install()
    except ValidatorError as error:
        if os.environ.get("CI"):  # where nobody reads why tests were skipped
            raise
        pytest.skip(str(error))
