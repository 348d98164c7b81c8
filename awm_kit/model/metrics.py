"""What is measured on one game: errors of a free run and of single steps, and events seen or missed.

Everything follows from the schema: positions are the fields that velocities advance, the action is the field
decoded as a class. Events that a schema has no field for are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from awm_kit.action_states import id_of
from awm_kit.data.replay import Replay
from awm_kit.model.intervals import Sums
from awm_kit.schema import FIGHTER, Field, Schema

REBIRTH, CLIFF_CATCH = id_of("Rebirth"), id_of("CliffCatch")


@dataclass(frozen=True)
class Event:
    """Something that happens to a player between one frame and the next.

    ``happened(before, after)`` takes player records of equal shape, structured arrays or tensors by field
    name, and returns bools of that shape.
    """

    name: str
    happened: Callable[[Any, Any], Any]


def _enters(state: int) -> Callable[[Any, Any], Any]:
    return lambda a, b: (b["action_state"] == state) & (a["action_state"] != state)


def events_of(schema: Schema) -> tuple[Event, ...]:
    """The events that games of this schema can hold."""
    found = []
    names = {f.name for f in schema.player_fields}
    if "percent" in names:
        found.append(Event("hit", lambda a, b: b["percent"] > a["percent"]))
    if "stocks" in names:
        found.append(Event("ko", lambda a, b: b["stocks"] < a["stocks"]))
    if schema.name == FIGHTER.name:
        found += [Event("respawn", _enters(REBIRTH)), Event("edge_grab", _enters(CLIFF_CATCH))]
    return tuple(found)


def free_sums(schema: Schema, replay: Replay, starts: np.ndarray, free: np.ndarray) -> dict[str, np.ndarray]:
    """Errors of free runs under the true inputs, summed over starts.

    Parameters
    ----------
    free : ndarray of FRAME, shape (len(starts), horizon)
        From `Runner.run`.

    Returns
    -------
    dict
        Name -> float64 of shape (horizon,): at each distance, the sum over starts of the mean over both
        players (and, for ``rc``, over the positions).
    """
    horizon = free.shape[1]
    rows = starts[:, None] + np.arange(1, horizon + 1)
    true, begin = replay.frames["players"][rows], replay.frames["players"][starts][:, None]
    got, k = free["players"], np.arange(1, horizon + 1)[None, :, None]
    table: dict[str, np.ndarray] = {}
    positions = [f for f in schema.player_fields if f.update.velocities]
    if positions:
        stays, moves, missed = [], [], []
        for item in positions:
            truth, start = item.to_real(true[item.name]), item.to_real(begin[item.name])
            speed = _speed(schema, item, begin)
            missed.append(np.abs(item.to_real(got[item.name]) - truth))
            stays.append(np.abs(start - truth))
            moves.append(np.abs(start + k * speed - truth))
        table |= {"rc": np.mean(missed, (0, 3)), "frozen_rc": np.mean(stays, (0, 3))}
        table["velocity_rc"] = np.mean(moves, (0, 3))
    if (action := action_of(schema)) is not None:
        table["action_acc"] = (got[action] == true[action]).mean(2)
        table["frozen_action_acc"] = (begin[action] == true[action]).mean(2)
    if any(f.name == "percent" for f in schema.player_fields):
        percent = schema.player("percent")
        table["percent_err"] = np.abs(
            percent.to_real(got["percent"]) - percent.to_real(true["percent"])
        ).mean(2)
    return {name: values.sum(0) for name, values in table.items()}


def up_to(sums: dict[str, np.ndarray], starts: int, horizon: int) -> Sums:
    """The mean over distances 1..horizon, as sums over starts."""
    return {name: (float(v[:horizon].mean()), float(starts)) for name, v in sums.items()}


def forced_sums(schema: Schema, replay: Replay, one_step: np.ndarray) -> Sums:
    """How often single steps from true frames are right, field by field and event by event.

    Parameters
    ----------
    one_step : ndarray of FRAME, shape (T - 1,)
        From `Runner.run`.

    Returns
    -------
    dict
        ``FIELD_exact``, ``action_acc``, ``action_change_acc``, and for every event of `events_of`
        ``EVENT_recall`` and ``EVENT_precision``; ``percent_step_err`` is the mean error of the percent
        of a hit that happened and was predicted, in percent.
    """
    true, before, got = replay.frames["players"][1:], replay.frames["players"][:-1], one_step["players"]
    sums = {f"{f.name}_exact": _share(got[f.name] == true[f.name]) for f in schema.player_fields}
    if (action := action_of(schema)) is not None:
        same = got[action] == true[action]
        sums |= {"action_acc": _share(same)}
        sums["action_change_acc"] = _share(same[true[action] != before[action]])
    for event in events_of(schema):
        happened, guessed = event.happened(before, true), event.happened(before, got)
        sums[f"{event.name}_recall"] = _share(guessed[happened])
        sums[f"{event.name}_precision"] = _share(happened[guessed])
        if event.name == "hit":
            both, one = happened & guessed, 1 << schema.player("percent").frac_bits
            missed = np.abs(got["percent"][both].astype(np.int64) - true["percent"][both]) / one
            sums["percent_step_err"] = (float(missed.sum()), float(missed.size))
    return sums


def action_of(schema: Schema) -> str | None:
    """Name of the first field that is decoded as a class."""
    return next((f.name for f in schema.player_fields if f.update.kind == "class"), None)


def event_counts(schema: Schema, replays: list[Replay]) -> dict[str, int]:
    """How often each event of `events_of` happens in games: what recall is out of."""
    return {e.name: sum(_count(e, r) for r in replays) for e in events_of(schema)}


def _count(event: Event, replay: Replay) -> int:
    players = replay.frames["players"]
    return int(event.happened(players[:-1], players[1:]).sum())


def _speed(schema: Schema, item: Field, begin: np.ndarray) -> np.ndarray:
    speed: np.ndarray = np.sum([schema.player(v).to_real(begin[v]) for v in item.update.velocities], 0)
    return speed


def _share(hits: np.ndarray) -> tuple[float, float]:
    return float(hits.sum()), float(hits.size)
