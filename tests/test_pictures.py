"""The README's pictures can be retaken."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

MAX_PICTURE, MAX_FILM = 300_000, 1_600_000


@pytest.fixture
def pictures(repo_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", repo_root / "scripts" / "pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_ones_are_all_there_and_small(pictures: ModuleType, repo_root: Path) -> None:
    media = repo_root / "notebooks" / "media"
    sizes = {path.name: path.stat().st_size for path in media.iterdir()}
    assert {f"{name}.png" for name in pictures.PICTURES} | {"bumper.gif", "match.gif"} == set(sizes)
    assert all(size <= (MAX_FILM if name.endswith(".gif") else MAX_PICTURE) for name, size in sizes.items())
    readme = (repo_root / "README.md").read_text()
    for name in ("jupyterlab", "lobby", "worlds", "replay"):
        assert f"notebooks/media/{name}.png" in readme


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["jupyterlab", "lobby"])
def test_one_is_taken(
    pictures: ModuleType, chromium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(pictures, "MEDIA", tmp_path)
    pictures.main([name])
    colors = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colors, axis=0)) > 100
