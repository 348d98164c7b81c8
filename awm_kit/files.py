"""Files by name or path, and files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from awm_kit.errors import AwmError

#: What comes with the package: worlds, the recipes that made them, players.
SHIPPED = Path(__file__).parent / "worlds"


def shipped_names(ending: str) -> list[str]:
    """Names of the shipped files that end so, without the ending."""
    return sorted(path.name.removesuffix(ending) for path in SHIPPED.glob(f"*{ending}"))


def find_file(name: Path | str, ending: str, what: str, error: type[AwmError]) -> Path:
    """The file that ``name`` means: a path, or the name of a shipped one.

    Parameters
    ----------
    name : path or str
    ending : str
        Of the shipped files' names, with its dot.
    what : str
        What the file is, for messages.
    error : type of AwmError
        Raised if there is no such file.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        raise error(f"expected the file of a {what} (got the folder {str(name)!r})")
    named = SHIPPED / f"{path}{ending}"
    if path.suffix or len(path.parts) > 1 or not named.is_file():
        raise error(
            f"no {what} {str(name)!r}; shipped are {shipped_names(ending)}, or give the path of a file"
        )
    return named


def check_writable(path: str | os.PathLike[str]) -> None:
    """See that a file can be written before the work that fills it, missing folders above being made.

    Raises
    ------
    OSError
        Naming ``path``, if a folder or a device is there, or its folder cannot be made or written to.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        raise FileExistsError(errno.EEXIST, "expected a file (got a folder or a device)", str(path))
    _check_above(target, path)


def check_folder(path: str | os.PathLike[str]) -> None:
    """See that a folder is there, or can be made, before the work that fills it.

    Raises
    ------
    OSError
        Naming ``path``, if something else is there, or it cannot be made.
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "expected a folder (got a file)", str(path))
    _check_above(target / "file", path)


def _check_above(target: Path, named: str | os.PathLike[str]) -> None:
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder", str(named))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"no permission to write in {folder}", str(named))


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Where to write a file that takes the place of ``path`` when the block ends, and is gone if it fails.

    The place has the same name, in a folder beside ``path`` that exists while the block runs; missing
    folders above are made.

    Raises
    ------
    OSError
        As `check_writable`, before the block begins.
    """
    check_writable(path)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".awm-") as folder:
        part = Path(folder) / target.name
        yield part
        os.replace(part, target)
