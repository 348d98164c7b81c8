"""A folder of replays: every file that can be used, and why the others cannot."""

from __future__ import annotations

import hashlib
import os
import queue
import tempfile
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from tqdm.auto import tqdm

from awm_kit.data.replay import FORMAT, Replay
from awm_kit.data.slp import SlpParser, load_slp, read_header
from awm_kit.data.slp_convert import REVISION
from awm_kit.errors import ReplayCorruptError, ReplayError, ReplayUnsupportedError
from awm_kit.schema import FIGHTER
from awm_kit.wording import counted

SUFFIXES = (".slp", ".npz")


@dataclass(frozen=True)
class Skipped:
    """A file that could not be used: the error's class name and what it says."""

    path: Path
    error: str
    message: str

    def __str__(self) -> str:
        return f"{self.path.name}: {self.error}: {self.message}"


@dataclass
class FolderReport:
    """What `load_folder` found, both lists in the order of the files' paths."""

    replays: list[Replay] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def n_frames(self) -> int:
        """Frames of all replays together."""
        return sum(replay.n_frames for replay in self.replays)

    def summary(self) -> str:
        """One line of totals, then one a skipped file."""
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(Counter(s.error for s in self.skipped).items()))
        head = counted(len(self.replays), "replay")
        head += f", {self.n_frames:,} frames ({self.n_frames / 3600:.1f} min)"
        tail = f"{len(self.skipped)} skipped" + (f" ({kinds})" if kinds else "")
        return "\n".join([f"{head}; {tail}", *map(str, self.skipped)])


def load_any(path: str | os.PathLike[str]) -> Replay:
    """Load one ``.slp`` or ``.npz`` replay.

    Raises
    ------
    ReplayUnsupportedError
        If the name ends otherwise, and for what `load_slp` says.
    ReplayCorruptError
        If the file is damaged.
    """
    if Path(path).suffix.lower() == ".slp":
        return load_slp(path)
    if _is_npz(Path(path)):
        return Replay.load_npz(path)
    raise ReplayUnsupportedError(f"expected a file ending {' or '.join(SUFFIXES)} (got {Path(path).name!r})")


def load_folder(
    path: str | os.PathLike[str], workers: int | None = None, progress: bool = True, cache: bool = True
) -> FolderReport:
    """Load every ``.slp`` and ``.npz`` file below a folder, in parallel; bad ones are reported and skipped.

    Parameters
    ----------
    path : path-like
        The folder; its subfolders are searched too.
    workers : int, optional
        Files parsed at a time, each in a process of its own; by default one a usable CPU.
    progress : bool
        Show a progress bar.
    cache : bool
        Keep parsed ``.slp`` files under ``$XDG_CACHE_HOME/awm-kit/replays`` (by default ``~/.cache``),
        named by the SHA-256 of the file, so that the next time takes a fraction.

    Raises
    ------
    NotADirectoryError
        If ``path`` is not a folder.
    ModuleNotFoundError
        If there are ``.slp`` files and peppi-py is not installed.
    """
    files = _files(path)
    report = FolderReport()
    with closing(iter_folder(path, workers, cache)) as outcomes:
        for outcome in tqdm(outcomes, "replays", len(files), disable=not progress):
            if isinstance(outcome, Replay):
                report.replays.append(outcome)
            else:
                report.skipped.append(outcome)
    return report


def iter_folder(
    path: str | os.PathLike[str], workers: int | None = None, cache: bool = True
) -> Generator[Replay | Skipped, None, None]:
    """What `load_folder` finds, file by file, without keeping it; arguments and errors are the same."""
    if workers is not None and workers < 1:
        raise ValueError(f"expected at least 1 worker (got {workers})")
    # Closing cancels what is still queued when the user interrupts.
    with closing(_load_all(_files(path), workers or _usable_cpus(), cache)) as outcomes:
        yield from outcomes


def _files(path: str | os.PathLike[str]) -> list[Path]:
    folder = Path(path)
    if not folder.is_dir():
        raise NotADirectoryError(f"expected a folder of replays (got {str(path)!r})")
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())


def _load_all(files: list[Path], workers: int, cache: bool) -> Generator[Replay | Skipped, None, None]:
    """Outcomes in the order of ``files``; one parser process a worker, handed from file to file."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = (_cache_folder() if cache else None) or scratch
        idle: queue.SimpleQueue[SlpParser] = queue.SimpleQueue()
        for _ in range(workers):
            idle.put(stack.enter_context(SlpParser()))
        pool = stack.enter_context(ThreadPoolExecutor(workers))

        def load(file: Path) -> Replay | Skipped:
            parser = idle.get()
            try:
                return Replay.load_npz(file) if _is_npz(file) else _load_slp(file, parser, store)
            except (ReplayError, OSError) as error:
                return Skipped(file, type(error).__name__, str(error))
            finally:
                idle.put(parser)

        yield from pool.map(load, files)


def _load_slp(file: Path, parser: SlpParser, store: Path) -> Replay:
    read_header(file).check()
    with open(file, "rb") as stream:
        parsed = store / f"{hashlib.file_digest(stream, 'sha256').hexdigest()}.npz"
    try:
        replay = Replay.load_npz(parsed)
    except (FileNotFoundError, ReplayCorruptError):
        replay = parser.parse(file, parsed)
    replay.source = file.name
    return replay


def _cache_folder() -> Path | None:
    """Where parsed files of this code's revision and schema are kept; None if it cannot be written."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    schema = hashlib.sha256(FIGHTER.to_json().encode()).hexdigest()[:12]
    folder = Path(home, "awm-kit", "replays", f"{FORMAT}.{REVISION}-{schema}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _is_npz(file: Path) -> bool:
    return file.suffix.lower() == ".npz"


def _usable_cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
