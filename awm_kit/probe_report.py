"""What physics probes measured, as a table, as JSON and as a figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from awm_kit.characters import character_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEARNED, REFERENCE = "#0072B2", "#D55E00"
ENOUGH = 0.03


@dataclass(frozen=True)
class ProbeResult:
    """What one probe measured.

    Attributes
    ----------
    reference : float or None
        The value in the teacher or in recorded games; None without either.
    percent : float or None
        Of the one who is hit, in a probe of knockback.
    shows, courses
        A field and its trajectories in real units: the learned and, with a teacher, the taught.
    """

    name: str
    character: int
    unit: str
    learned: float
    reference: float | None = None
    percent: float | None = None
    shows: str = ""
    courses: tuple[np.ndarray, ...] = field(default=(), repr=False, compare=False)

    @property
    def who(self) -> str:
        """The character's name."""
        return character_name(self.character)

    @property
    def error(self) -> float | None:
        """Relative error of the learned value."""
        if self.reference is None:
            return None
        return abs(self.learned - self.reference) / max(abs(self.reference), 1e-9)


class ProbeReport(list[ProbeResult]):
    """All results; prints as a table.

    Parameters
    ----------
    results : iterable of ProbeResult
    against : str
        What the references are, as the head of their column says it: ``"taught"`` by a teacher, or as they
        are ``"in games"``; empty if there are none.
    """

    def __init__(self, results: Iterable[ProbeResult], against: str = "") -> None:
        super().__init__(results)
        self.against = against

    def __repr__(self) -> str:
        columns = f"{self.against:>10}{'error':>8}" if self.against else ""
        width = max(map(len, ("character", *(r.who for r in self))))
        lines = [f"{'probe':24}{'character':{width}}{'learned':>10}{columns}  unit"]
        for r in self:
            columns = "" if r.reference is None else f"{r.reference:10.3f}{r.error:8.1%}"
            lines.append(f"{r.name:24}{r.who:{width}}{r.learned:10.3f}{columns}  {r.unit}")
        return "\n".join(lines)

    def to_json(self) -> list[dict[str, Any]]:
        """A row a probe, JSON-able, without the courses."""
        column = self.against.replace(" ", "_")
        return [
            {
                "name": r.name,
                "character": r.character,
                "character_name": r.who,
                "unit": r.unit,
                "learned": r.learned,
                **({column: r.reference, "error": r.error} if column else {}),
            }
            for r in self
        ]

    def plot(self) -> Figure:
        """Relative error of every probe, courses of the first character, launch speeds of the first two."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13, max(4.0, 0.24 * len(self) + 1.4)), layout="constrained")
        grid = figure.add_gridspec(1, 2, width_ratios=(1, 1.4))
        if self.against:
            self._plot_errors(figure.add_subfigure(grid[0]).subplots())
        right = figure.add_subfigure(grid[1] if self.against else grid[:])
        characters = list(dict.fromkeys(r.character for r in self))
        courses = [r for r in self if r.courses and r.character == characters[0]]
        blows = [[r for r in self if r.percent is not None and r.character == c] for c in characters[:2]]
        blows = [results for results in blows if results]
        panels = list(right.subplots(-(-(len(courses) + len(blows)) // 2), 2, squeeze=False).flat)
        for axis, result in zip(panels, courses, strict=False):
            self._plot_course(axis, result)
        for axis, results in zip(panels[len(courses) :], blows, strict=False):
            self._plot_knockback(axis, results)
        for axis in panels[len(courses) + len(blows) :]:
            axis.set_visible(False)
        right.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        return figure

    def _plot_errors(self, axis: Axes) -> None:
        results = [(r, r.error) for r in self if r.error is not None]
        errors = [error for _, error in results]
        bars = axis.barh([f"{r.name} ({r.who})" for r, _ in results], errors, color=LEARNED)
        axis.bar_label(bars, ["exact" if e == 0 else f"{e:.1%}" for e in errors], padding=3, fontsize=7)
        axis.axvline(ENOUGH, color="0.5", linestyle=":", label=f"{ENOUGH:.0%}")
        axis.set_xscale("symlog", linthresh=0.01)
        axis.set(xlabel=f"error, learned against {self.against}", xlim=(0, 4 * max(0.1, *errors)))
        axis.invert_yaxis()
        axis.legend(fontsize=8, loc="lower right")

    def _plot_course(self, axis: Axes, result: ProbeResult) -> None:
        who = (("learned", LEARNED, "-"), (self.against, REFERENCE, "--"))
        for course, (label, color, style) in zip(result.courses, who, strict=False):
            axis.plot(course, style, color=color, label=label)
        axis.set_title(f"{result.name} ({result.who})", fontsize=9)
        axis.set_xlabel("frame", fontsize=8)
        axis.set_ylabel(result.shows, fontsize=8)

    def _plot_knockback(self, axis: Axes, results: Sequence[ProbeResult]) -> None:
        percents = [r.percent for r in results if r.percent is not None]
        references = [r.reference for r in results if r.reference is not None]
        axis.plot(percents, [r.learned for r in results], "o-", color=LEARNED)
        if references:
            axis.plot(percents, references, "s--", color=REFERENCE)
        axis.set_title(f"launch speed ({results[0].who})", fontsize=9)
        axis.set_xlabel("percent", fontsize=8)
        axis.set_ylabel("units/frame", fontsize=8)
