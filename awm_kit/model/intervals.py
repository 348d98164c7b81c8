"""Ratios over games with bootstrap confidence intervals: a game is the unit that is drawn anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

DRAWS = 2000
COVERAGE = 0.95


class Estimate(NamedTuple):
    """A figure and the ends of its 95 % interval; NaN where no game holds such a case."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


#: Of one game: name of a figure -> (sum, how many cases were summed).
Sums = Mapping[str, tuple[float, float]]


def pool(games: Sequence[Sums], draws: int = DRAWS, seed: int = 0) -> dict[str, Estimate]:
    """Means over all cases of all games, with percentile bootstrap intervals over games.

    Frames of one game resemble each other, so games, not frames, are drawn with replacement. One game
    alone has an interval of no width: it says nothing about others.

    Parameters
    ----------
    games : sequence of mapping
        All with the same names.
    draws : int
        Resamples.
    seed : int
        Of the resampling; the same games give the same intervals.

    Raises
    ------
    ValueError
        If there are no games, or their figures differ.
    """
    if not games:
        raise ValueError("expected at least one game (got none)")
    names = list(games[0])
    for game in games:
        if list(game) != names:
            raise ValueError(f"expected the figures {names} of every game (got {list(game)})")
    table = np.array([[game[name] for name in names] for game in games], np.float64)
    sums, cases = table[..., 0], table[..., 1]
    times = np.random.default_rng(seed).multinomial(len(games), np.full(len(games), 1 / len(games)), draws)
    value = _ratio(sums.sum(0), cases.sum(0))
    drawn = _ratio(times @ sums, times @ cases)
    # A draw without a single case says nothing; NaN only where no draw has one.
    drawn = np.where(np.isnan(drawn), value, drawn)
    low, high = np.quantile(drawn, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], axis=0)
    return {
        n: Estimate(*map(float, row))
        for n, row in zip(names, zip(value, low, high, strict=True), strict=True)
    }


def _ratio(sums: np.ndarray, cases: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = np.divide(sums, cases, out=np.full(sums.shape, np.nan), where=cases > 0)
    return ratio
