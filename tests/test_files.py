"""Files found by name or path, and files that are written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from awm_kit.errors import ModelFileError, RecipeError
from awm_kit.files import SHIPPED, check_folder, check_writable, find_file, shipped_names, written_whole


def test_a_shipped_file_is_found_by_its_name_and_any_by_its_path(tmp_path: Path) -> None:
    assert find_file("scuffle", ".awm", "world", ModelFileError) == SHIPPED / "scuffle.awm"
    assert find_file("scuffle-4m", ".toml", "recipe", RecipeError) == SHIPPED / "scuffle-4m.toml"
    mine = tmp_path / "scuffle"
    mine.touch()
    assert find_file(mine, ".awm", "world", ModelFileError) == mine
    assert "scuffle" in shipped_names("-player.npz")


@pytest.mark.parametrize(
    "name", ["scufle", "somewhere/scuffle", "../worlds/scuffle", "scuffle.awn", "scuffle.awm"]
)
def test_what_is_not_there_is_named_with_what_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match=rf"no world '{name}'; shipped are .*'scuffle'"):
        find_file(name, ".awm", "world", ModelFileError)


@pytest.mark.parametrize("name", [".", ""])
def test_a_folder_is_no_file(name: str) -> None:
    with pytest.raises(RecipeError, match="file of a recipe"):
        find_file(name, ".toml", "recipe", RecipeError)


def test_a_file_is_replaced_when_its_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "file.txt"
    with written_whole(target) as part:
        part.write_text("new")
        assert part.name == target.name
        assert not target.exists()
    assert target.read_text() == "new"
    assert os.listdir(target.parent) == ["file.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("problem", [KeyboardInterrupt, ValueError])
def test_an_interrupted_file_leaves_the_old_one(tmp_path: Path, problem: type[BaseException]) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(problem), written_whole(target) as part:
        part.write_text("half")
        raise problem
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_place_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_writable(tmp_path / "file")
    check_writable(tmp_path / "new" / "deeper" / "file")
    for path in (tmp_path, "/dev/null", tmp_path / "file" / "below"):
        with pytest.raises(OSError) as caught:
            check_writable(path)
        assert caught.value.filename == str(path)


def test_a_folder_that_cannot_be_made_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_folder(tmp_path)
    check_folder(tmp_path / "new" / "deeper")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError) as caught:
            check_folder(path)
        assert caught.value.filename == str(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="no permission"), written_whole(tmp_path / "file"):
        pass
