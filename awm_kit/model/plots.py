"""Plots of a training run."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from awm_kit.errors import ModelFileError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSS_COLOR, ACTION_COLOR = "#0072B2", "#D55E00"


def read_log(path: Path | str) -> dict[str, np.ndarray]:
    """Columns of a run's ``log.csv``, float64, one row a step.

    Steps that a killed run had logged but not saved are there twice; the later row counts.

    Raises
    ------
    ModelFileError
        If the file holds no steps.
    """
    with Path(path).open(newline="") as file:
        reader = csv.reader(file)
        names = next(reader, [])
        # The last row of a killed run may be cut short.
        rows = {row[0]: row for row in reader if len(row) == len(names)}
    if not rows:
        raise ModelFileError(f"{Path(path).name}: expected a header and at least one step (got none)")
    table = np.array(sorted(([float(v) for v in row] for row in rows.values()), key=lambda row: row[0]))
    return dict(zip(names, table.T, strict=True))


def plot_training(log: dict[str, np.ndarray]) -> Figure:
    """Loss and the share of action states that are right against the step, raw and smoothed.

    Parameters
    ----------
    log : dict of ndarray
        From `read_log`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _curve(left, log["step"], log["loss"], LOSS_COLOR)
    left.set(title="training loss", xlabel="step", yscale="log")
    _curve(right, log["step"], log["action_acc"], ACTION_COLOR)
    right.set(title="next action state right", xlabel="step")
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def save_training_plot(folder: Path | str) -> Path:
    """Plot ``log.csv`` of a run's folder into its ``loss.png``."""
    target = Path(folder) / "loss.png"
    plot_training(read_log(Path(folder) / "log.csv")).savefig(target, dpi=120)
    return target


def _curve(axis: Axes, steps: np.ndarray, values: np.ndarray, color: str) -> None:
    axis.plot(steps, values, color=color, alpha=0.25, linewidth=0.6)
    width = max(1, len(values) // 100)
    if len(values) >= 2 * width > 2:
        smooth = np.convolve(values, np.ones(width) / width, "valid")
        axis.plot(steps[width - 1 :], smooth, color=color, linewidth=1.6)
