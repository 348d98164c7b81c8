"""How true a world is: teacher-forced and free-running error against recorded games, beside baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from tqdm.auto import tqdm

from awm_kit.data.replay import Replay, check_games
from awm_kit.model.dataset import columns
from awm_kit.model.intervals import Estimate, pool
from awm_kit.model.mamba2 import LayerState
from awm_kit.model.metrics import event_counts, forced_sums, free_sums, up_to
from awm_kit.model.world import WorldModel
from awm_kit.schema import Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HORIZONS = (1, 5, 10, 20, 60)


class Runner(Protocol):
    """Something that predicts frames: the float network or an integer engine."""

    name: str
    schema: Schema

    def run(self, replay: Replay, starts: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Teacher-forced over the whole replay, and free-running from ``starts``.

        Returns
        -------
        forced : ndarray of FRAME, shape (T - 1,)
            Prediction of frame t + 1 from true frames up to t.
        free : ndarray of FRAME, shape (len(starts), horizon)
            Frames start + 1 ... start + horizon under the true inputs.
        """


class TorchRunner:
    """The float network, memory carried from the first frame on."""

    name = "fp32"

    def __init__(self, model: WorldModel) -> None:
        self.model, self.schema = model.eval(), model.schema

    @torch.no_grad()
    def run(self, replay: Replay, starts: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Runner.run`."""
        g, p, c = self._tensors(replay)
        forced, states, state = [], [], self.model.initial_state(1)
        cuts = [*(int(s) for s in starts), len(replay.frames) - 1]
        at = 0
        for cut in cuts:
            if cut > at:
                raw = self.model.views(g[None, at:cut], p[None, at:cut], c[None, at + 1 : cut + 1])
                logits, state = self.model(raw, state)
                rows = logits.transpose(0, 1).flatten(0, 1)  # time-major, views inside
                forced.append(self._decode_rows(rows, p[at:cut]))
                at = cut
            states.append(state)
        free = self._free(g, p, c, states[:-1], starts, horizon)
        return _with_players(replay.frames[:-1], torch.cat(forced), self.schema), free

    def _decode_rows(self, rows: torch.Tensor, players: torch.Tensor) -> torch.Tensor:
        v = self.model.config.n_views
        by_view = torch.cat([rows[i::v] for i in range(v)])
        return self.model.decode(by_view, players)

    def _free(
        self,
        g: torch.Tensor,
        p: torch.Tensor,
        c: torch.Tensor,
        states: list[Any],
        starts: np.ndarray,
        horizon: int,
    ) -> np.ndarray:
        v, first = self.model.config.n_views, torch.from_numpy(starts)
        state = [_stack_states(layer, v) for layer in zip(*states, strict=True)]
        players, out = p[first], []
        for k in range(horizon):
            raw = self.model.views(g[first + k], players, c[first + k + 1])
            logits, state = self.model.step(raw, state)
            players = self.model.decode(logits, players)
            out.append(players)
        frames = np.zeros((len(starts), horizon), self.schema.frame_dtype)
        return _with_players(frames, torch.stack(out, 1), self.schema)

    def _tensors(self, replay: Replay) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        s = self.schema
        groups = (
            (replay.frames, s.global_fields),
            (replay.frames["players"], s.player_fields),
            (replay.inputs, s.controller_fields),
        )
        g, p, c = (torch.from_numpy(columns(a, [f.name for f in fs]).astype(np.int64)) for a, fs in groups)
        return g, p, c


def _stack_states(states: Sequence[LayerState], n_views: int) -> LayerState:
    """One match each to a batch, view by view."""

    def stack(parts: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat([part[i : i + 1] for i in range(n_views) for part in parts])

    return LayerState(stack([s.conv for s in states]), stack([s.ssm for s in states]))


def _with_players(frames: np.ndarray, players: torch.Tensor, schema: Schema) -> np.ndarray:
    out = frames.copy()
    for i, item in enumerate(schema.player_fields):
        out["players"][item.name] = players[..., i].numpy()
    return out


@dataclass(frozen=True)
class Evaluation:
    """Figures of one world over games.

    Attributes
    ----------
    engine : str
        Whose arithmetic predicted: ``int8`` or ``fp32``.
    games, frames : int
        Judged.
    free : dict
        K -> figure -> mean over distances 1..K of free runs, games and both players.
    teacher_forced : dict
        Figure -> mean over single steps from true frames; see `metrics.forced_sums`.
    intervals : dict
        The same keys -> 95 % interval (low, high) by bootstrap over games: ``free`` K -> figure, and
        ``teacher_forced`` figure.
    curve : dict
        Figure -> estimates at every K from 1 to the longest, for plots.
    events : dict
        Event -> how often it happens in these games: what recall is out of.
    """

    engine: str
    games: int
    free: dict[int, dict[str, float]]
    teacher_forced: dict[str, float]
    frames: int = 0
    intervals: dict[str, Any] = field(default_factory=dict)
    curve: dict[str, list[Estimate]] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-able form: horizons as strings, null for what these games hold no case of."""
        plain: dict[str, Any] = _json_numbers(
            {
                "engine": self.engine,
                "games": self.games,
                "frames": self.frames,
                "free": self.free,
                "teacher_forced": self.teacher_forced,
                "intervals": self.intervals,
                "events": self.events,
            }
        )
        return plain

    def plot(self, beside: Evaluation | None = None) -> Figure:
        """Free-running figures against K with baselines and intervals, and events at single steps."""
        from awm_kit.model.plots import plot_evaluation

        return plot_evaluation([self] if beside is None else [self, beside])


def choose_starts(n_frames: int, horizon: int, count: int = 300) -> np.ndarray:
    """Evenly spread start frames that leave ``horizon`` true frames to compare with."""
    last = n_frames - 1 - horizon
    if last < 1:
        return np.zeros(0, np.int64)
    return np.unique(np.linspace(1, last, min(count, last)).astype(np.int64))


def evaluate(
    runner: Runner,
    replays: Sequence[Replay],
    horizons: Sequence[int] = HORIZONS,
    starts: int = 300,
    progress: bool = True,
) -> Evaluation:
    """Evaluate on whole games under their true inputs.

    ``rc`` at K is the mean error of the positions (game units) over distances 1..K and both players;
    ``action_acc`` and ``percent_err`` likewise. Frozen and constant-velocity baselines stand beside, and
    intervals by bootstrap over games.

    Raises
    ------
    ValueError
        If no game is longer than the largest horizon.
    ReplayUnsupportedError
        If a game is not the world's.
    """
    check_games(runner.schema, replays)
    longest = max(horizons)
    free_games, forced_games, used = [], [], []
    for replay in tqdm(replays, disable=not progress, unit="game"):
        first = choose_starts(replay.n_frames, longest, starts)
        if not len(first):
            continue
        one_step, free = runner.run(replay, first, longest)
        sums = free_sums(runner.schema, replay, first, free)
        free_games.append([up_to(sums, len(first), k) for k in range(1, longest + 1)])
        forced_games.append(forced_sums(runner.schema, replay, one_step))
        used.append(replay)
    if not used:
        raise ValueError(f"expected games longer than {longest + 2} frames")
    along = [pool([game[k] for game in free_games]) for k in range(longest)]
    forced = pool(forced_games)
    return Evaluation(
        runner.name,
        len(used),
        {k: _values(along[k - 1]) for k in horizons},
        _values(forced),
        sum(r.n_frames for r in used),
        {"free": {k: _ends(along[k - 1]) for k in horizons}, "teacher_forced": _ends(forced)},
        {name: [at[name] for at in along] for name in along[0]},
        event_counts(runner.schema, used),
    )


def _values(estimates: dict[str, Estimate]) -> dict[str, float]:
    return {name: e.value for name, e in estimates.items()}


def _ends(estimates: dict[str, Estimate]) -> dict[str, tuple[float, float]]:
    return {name: (e.low, e.high) for name, e in estimates.items()}


def _json_numbers(item: Any) -> Any:
    """Keys as strings, tuples as lists, NaN (which JSON lacks) as None."""
    if isinstance(item, dict):
        return {str(k): _json_numbers(v) for k, v in item.items()}
    if isinstance(item, list | tuple):
        return [_json_numbers(v) for v in item]
    return None if isinstance(item, float) and math.isnan(item) else item
