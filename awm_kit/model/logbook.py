"""The figures of a training run, a row a step: ``log.csv`` always, TensorBoard where it is installed."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import Any


class Logbook:
    """Appends to the log of a run's folder; use it as a context.

    Parameters
    ----------
    folder : Path
        Of the run; TensorBoard's files go into its ``tensorboard/``.
    step : int
        Where the run stands. What a killed run logged beyond it, TensorBoard shows no more; in the CSV the
        later of two rows of a step counts.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.csv"
        self._empty = not path.exists() or not path.stat().st_size
        self._file = path.open("a", newline="")
        self._rows = csv.writer(self._file)
        self._board = _board(folder / "tensorboard", step)

    def write(self, step: int, row: dict[str, float]) -> None:
        """Add the figures of a step."""
        if self._empty:
            self._rows.writerow(["step", *row])
            self._empty = False
        self._rows.writerow([step, *(f"{v:.6g}" for v in row.values())])
        if self._board is not None:
            for name, value in row.items():
                self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Make sure that readers see what was written."""
        self._file.flush()
        if self._board is not None:
            self._board.flush()

    def __enter__(self) -> Logbook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def _board(folder: Path, step: int) -> Any:
    """TensorBoard's writer, or None without it."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
