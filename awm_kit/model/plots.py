"""Plots of training runs and evaluations, and how a plot is kept."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from awm_kit.errors import ModelFileError
from awm_kit.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from awm_kit.model.evaluate import Evaluation

LOSS_COLOR, ACTION_COLOR = "#0072B2", "#D55E00"
#: Of the first and the second evaluation in a plot.
ENGINE_COLORS = (ACTION_COLOR, LOSS_COLOR)


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


def save_figure(figure: Figure, path: Path | str, dpi: int = 120) -> Path:
    """Write a figure in the format that the ending of ``path`` names; returns ``path``."""
    with written_whole(path) as part:
        figure.savefig(part, dpi=dpi)
    return Path(path)


def save_training_plot(folder: Path | str) -> Path:
    """Plot ``log.csv`` of a run's folder into its ``loss.png``."""
    return save_figure(plot_training(read_log(Path(folder) / "log.csv")), Path(folder) / "loss.png")


def plot_evaluation(evaluations: Sequence[Evaluation]) -> Figure:
    """Free-running errors with baselines and 95 % intervals, and single steps' events.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        Of one world on the same games, one an engine, at most two.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.1))
    plot_free_runs(left, middle, evaluations)
    _event_bars(right, evaluations, ENGINE_COLORS)
    return figure


def plot_free_runs(left: Axes, right: Axes, evaluations: Sequence[Evaluation]) -> None:
    """Position error (log) and share of right actions against K, with baselines and 95 % bands.

    Parameters
    ----------
    left, right : Axes
        Drawn on.
    evaluations : sequence of Evaluation
        As in `plot_evaluation`; the first one's games give the baselines.
    """
    first = evaluations[0]
    for axis, name, title in ((left, "rc", "position error (units)"), (right, "action_acc", "action right")):
        for baseline, style in ((f"frozen_{name}", ":"), (f"velocity_{name}", "--")):
            if baseline in first.curve:
                _estimates(axis, first, baseline, "0.5", style, baseline.split("_")[0], band=False)
        for evaluation, color, style in zip(evaluations, ENGINE_COLORS, ("-", "--"), strict=False):
            if name in evaluation.curve:
                _estimates(axis, evaluation, name, color, style, evaluation.engine)
        axis.set(title=f"free-running: {title}", xlabel="mean over 1..K frames")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    left.set_yscale("log")


def _estimates(
    axis: Axes, evaluation: Evaluation, name: str, color: str, style: str, label: str, band: bool = True
) -> None:
    values = np.array(evaluation.curve[name])
    k = np.arange(1, len(values) + 1)
    axis.plot(k, values[:, 0], style, color=color, label=label)
    if band:
        axis.fill_between(k, values[:, 1], values[:, 2], color=color, alpha=0.2, linewidth=0)


def _event_bars(axis: Axes, evaluations: Sequence[Evaluation], colors: Sequence[str]) -> None:
    names = [n for n in evaluations[0].teacher_forced if n.endswith(("_recall", "_precision", "action_acc"))]
    y, height = np.arange(len(names)), 0.8 / len(evaluations)
    for i, (evaluation, color) in enumerate(zip(evaluations, colors, strict=False)):
        value = np.array([evaluation.teacher_forced[n] for n in names])
        ends = np.array([evaluation.intervals["teacher_forced"][n] for n in names]).T
        reach = np.clip(np.stack([value - ends[0], ends[1] - value]), 0, None)
        axis.barh(y + i * height, value, height, xerr=reach, color=color, alpha=0.8, label=evaluation.engine)
    labels = [f"{n.replace('_', ' ')} ({evaluations[0].events.get(n.rsplit('_', 1)[0], '')})" for n in names]
    axis.set_yticks(y, [text.removesuffix(" ()") for text in labels], fontsize=8)
    axis.set(title="one frame ahead", xlim=(0, 1))
    axis.invert_yaxis()
    axis.legend(fontsize=8, loc="lower left")


def _curve(axis: Axes, steps: np.ndarray, values: np.ndarray, color: str) -> None:
    axis.plot(steps, values, color=color, alpha=0.25, linewidth=0.6)
    width = max(1, len(values) // 100)
    if len(values) >= 2 * width > 2:
        smooth = np.convolve(values, np.ones(width) / width, "valid")
        axis.plot(steps[width - 1 :], smooth, color=color, linewidth=1.6)
