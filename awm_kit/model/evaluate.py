"""How true a world is: teacher-forced and free-running error against recorded games, beside baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from tqdm.auto import tqdm

from awm_kit.data.replay import Replay
from awm_kit.model.dataset import columns
from awm_kit.model.mamba2 import LayerState
from awm_kit.model.world import WorldModel
from awm_kit.schema import Schema

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
    """Figures of one world over games; ``free`` is keyed by horizon."""

    engine: str
    games: int
    free: dict[int, dict[str, float]]
    teacher_forced: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """JSON-able form, horizons as strings."""
        free = {str(k): v for k, v in self.free.items()}
        return {
            "engine": self.engine,
            "games": self.games,
            "free": free,
            "teacher_forced": self.teacher_forced,
        }


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

    ``rc`` at K is the mean of the x and y errors (game units) over horizons 1..K and both players;
    ``action_acc`` and ``percent_err`` likewise. Frozen and constant-velocity baselines stand beside.

    Raises
    ------
    ValueError
        If no game is longer than the largest horizon.
    """
    longest = max(horizons)
    tables, forced = [], []
    for replay in tqdm(replays, disable=not progress, unit="game"):
        first = choose_starts(replay.n_frames, longest, starts)
        if not len(first):
            continue
        one_step, free = runner.run(replay, first, longest)
        tables.append(_free_errors(runner.schema, replay, first, free))
        forced.append(_forced_errors(runner.schema, replay, one_step))
    if not tables:
        raise ValueError(f"expected games longer than {longest + 2} frames")
    pooled = {k: np.concatenate([t[k] for t in tables]) for k in tables[0]}
    free_rows = {k: {name: float(v[:, :k].mean()) for name, v in pooled.items()} for k in horizons}
    weights = np.array([f.pop("frames") for f in forced])
    mean = {k: float(np.average([f[k] for f in forced], weights=weights)) for k in forced[0]}
    return Evaluation(runner.name, len(tables), free_rows, mean)


def _free_errors(
    schema: Schema, replay: Replay, starts: np.ndarray, free: np.ndarray
) -> dict[str, np.ndarray]:
    horizon = free.shape[1]
    rows = starts[:, None] + np.arange(1, horizon + 1)
    true, begin = replay.frames["players"][rows], replay.frames["players"][starts][:, None]
    got = free["players"]
    k = np.arange(1, horizon + 1)[None, :, None]

    def real(records: np.ndarray, name: str) -> np.ndarray:
        return schema.player(name).to_real(records[name])

    moving = {"x": ("speed_air_x", "speed_attack_x"), "y": ("speed_y", "speed_attack_y")}
    rc, frozen, velocity = [], [], []
    for axis, speeds in moving.items():
        truth, start = real(true, axis), real(begin, axis)
        rc.append(np.abs(real(got, axis) - truth))
        frozen.append(np.abs(start - truth))
        velocity.append(np.abs(start + k * sum(real(begin, s) for s in speeds) - truth))
    return {
        "rc": np.mean(rc, (0, 3)),
        "action_acc": (got["action_state"] == true["action_state"]).mean(2),
        "percent_err": np.abs(real(got, "percent") - real(true, "percent")).mean(2),
        "frozen_rc": np.mean(frozen, (0, 3)),
        "velocity_rc": np.mean(velocity, (0, 3)),
        "frozen_action_acc": (begin["action_state"] == true["action_state"]).mean(2),
    }


def _forced_errors(schema: Schema, replay: Replay, one_step: np.ndarray) -> dict[str, float]:
    true, before, got = replay.frames["players"][1:], replay.frames["players"][:-1], one_step["players"]
    changed = true["action_state"] != before["action_state"]
    hit = true["percent"] > before["percent"]
    guessed = got["percent"] > before["percent"]
    result = {f"{f.name}_exact": float((got[f.name] == true[f.name]).mean()) for f in schema.player_fields}
    same = got["action_state"] == true["action_state"]
    return {
        **result,
        "action_acc": float(same.mean()),
        "action_change_acc": float(same[changed].mean()) if changed.any() else 1.0,
        "hit_recall": float(guessed[hit].mean()) if hit.any() else 1.0,
        "hit_precision": float(hit[guessed].mean()) if guessed.any() else 1.0,
        "frames": float(len(true)),
    }
