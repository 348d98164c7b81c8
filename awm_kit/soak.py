"""Long free runs of a world: what goes wrong in them, and whether as much happens as in real games."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from awm_kit.data.bumper import BUMPER
from awm_kit.data.replay import Replay, check_games
from awm_kit.data.teachers import Teacher, teacher_for, teacher_of
from awm_kit.impossible import Normal, impossible_events
from awm_kit.impossible_carts import impossible_cart_events
from awm_kit.kernel import NativeWorld
from awm_kit.model.intervals import Estimate, Sums, pool
from awm_kit.model.metrics import events_of
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import FIGHTER, STATUS_PLAYING, Schema
from awm_kit.wording import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRAMES_PER_MINUTE = 3600
FIRST_SEED = 1_000_000


@dataclass(frozen=True)
class Rate:
    """How often something happens a minute: in the world and in the games it is compared with."""

    world: Estimate
    reference: Estimate

    @property
    def ratio(self) -> float:
        """The world's rate over the reference's; NaN where that is zero."""
        return self.world.value / self.reference.value if self.reference.value else float("nan")


@dataclass(frozen=True)
class SoakReport:
    """Impossible events and rates of free-running play.

    Attributes
    ----------
    minutes, matches
        Played by the world; both players together count once.
    events : dict
        Kind of `impossible_events`, or of `impossible_cart_events` -> count.
    reference_minutes, reference_events
        The same of the teacher's matches or the real games.
    rates : dict
        Those of ``hit``, ``ko``, ``respawn``, ``edge_grab`` that the game has, and ``match_end`` -> `Rate`.
    """

    minutes: float
    matches: int
    events: dict[str, int]
    reference_minutes: float
    reference_events: dict[str, int]
    rates: dict[str, Rate]

    def to_json(self) -> dict[str, Any]:
        """JSON-able form; ``ratios`` is null where the reference has none."""
        flat: dict[str, Any] = {}
        for name, rate in self.rates.items():
            flat[f"{name}s_per_minute"] = rate.world.value
            flat[f"reference_{name}s_per_minute"] = rate.reference.value
        return {
            "minutes": round(self.minutes, 3),
            "matches": self.matches,
            "impossible_events": self.events,
            "reference_minutes": round(self.reference_minutes, 3),
            "reference_impossible_events": self.reference_events,
            **flat,
            "ratios": {n: None if np.isnan(r.ratio) else r.ratio for n, r in self.rates.items()},
            "intervals": {
                n: {"world": r.world[1:], "reference": r.reference[1:]} for n, r in self.rates.items()
            },
        }

    def __repr__(self) -> str:
        lines = [f"{self.minutes:.1f} minutes in {counted(self.matches, 'match', 'matches')}"]
        lines.append(f"{'a minute':16}{'world':>26}{'reference':>26}{'ratio':>8}")
        for name, rate in self.rates.items():
            ratio = "-" if np.isnan(rate.ratio) else f"{rate.ratio:.2f}"
            lines.append(f"{name:16}{rate.world:>8.2f}{rate.reference:>8.2f}{ratio:>8}")
        lines.append("impossible: " + ", ".join(f"{kind} {n}" for kind, n in self.events.items()))
        return "\n".join(lines)

    def plot(self) -> Figure:
        """Rates beside the reference's with 95 % intervals, and impossible events a minute."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        y = np.arange(len(self.rates))
        for shift, who, color in ((-0.2, "world", "#D55E00"), (0.2, "reference", "0.6")):
            estimates = np.array([getattr(rate, who) for rate in self.rates.values()])
            reach = np.abs(estimates[:, 1:] - estimates[:, :1]).T
            left.barh(y + shift, estimates[:, 0], 0.4, xerr=reach, color=color, label=who)
        left.set_yticks(y, list(self.rates))
        left.set(title="a minute", xscale="symlog")
        left.legend()
        right.barh(list(self.events), [n / self.minutes for n in self.events.values()], color="#D55E00")
        right.set(title="impossible frames a minute", xscale="symlog")
        return figure


def free_run(world: NativeWorld, starts: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Frames of many matches under given inputs.

    Parameters
    ----------
    starts : ndarray of the schema's frame dtype, shape (n,)
    inputs : ndarray of its controller dtype, shape (n, T, 2)
        ``inputs[:, 0]`` is unused.

    Returns
    -------
    ndarray like ``starts``, shape (n, T)
    """
    n, length = inputs.shape[:2]
    states = np.zeros((n, world.state_bytes), np.uint8)
    frames = np.zeros((n, length), starts.dtype)
    frames[:, 0] = starts
    for t in range(1, length):
        frames[:, t] = world.step_many(states, frames[:, t - 1].copy(), np.ascontiguousarray(inputs[:, t]))
    return frames


def soak_replays(cartridge: Cartridge, replays: Sequence[Replay], progress: bool = True) -> SoakReport:
    """Free-run whole recorded games from their first frames under their true inputs.

    Inputs that were meant for another course of the match save nobody: the teacher of ``scuffle`` itself,
    started a unit off, has two thirds more knock-outs under them (``tests/bench_open_loop.py``).
    `soak_scripted` has players who see what the world does, as people do.

    Raises
    ------
    ValueError
        If the world's rules are not known here, or there are no games.
    ReplayUnsupportedError
        If a game is not the world's.
    """
    schema = _teacher(cartridge).schema
    world = NativeWorld(cartridge)
    check_games(schema, replays)
    if not replays:
        raise ValueError("expected recorded games, at least one (got none)")
    bar = tqdm(replays, disable=not progress, unit="game")
    runs = [free_run(world, r.frames[:1], r.inputs[None])[0] for r in bar]
    return report([_until_decided(f) for f in runs], [r.frames for r in replays], schema)


def soak_scripted(
    cartridge: Cartridge,
    minutes: float,
    seed: int = FIRST_SEED,
    matches: int | None = None,
    progress: bool = True,
) -> SoakReport:
    """Let scripted players play in the world, and the same players in the teacher for comparison.

    Parameters
    ----------
    cartridge : Cartridge
    minutes : float
        Of play in all, above 0; matches that are decided make room for further ones.
    seed : int
        Of the first match; the others follow.
    matches : int, optional
        Played side by side; none lasts longer than ``minutes / matches``. By default at most 16, each
        of up to two minutes or more: in less, few are decided.

    Raises
    ------
    ValueError
        If the world's rules are not known here, or there is nothing to play.
    """
    wanted = round(minutes * FRAMES_PER_MINUTE)
    if wanted < 1 or (matches is not None and matches < 1):
        raise ValueError(f"expected minutes and matches to play (got {minutes:g} minutes, {matches} matches)")
    teacher = _teacher(cartridge)
    world = NativeWorld(cartridge)
    matches = matches or max(1, min(16, round(minutes / 2)))
    length = max(2, -(-wanted // matches))
    runs: list[np.ndarray] = []
    reference: list[np.ndarray] = []
    with tqdm(total=wanted, disable=not progress, unit="frame", unit_scale=True) as bar:
        while (played := sum(map(len, runs))) < wanted:
            count = min(matches, -(-(wanted - played) // length))
            seeds = range(seed + len(runs), seed + len(runs) + count)
            new = [_until_decided(f) for f in _scripted_run(world, seeds, length, teacher, bar.update)]
            runs += new
            reference += [r.frames for r in teacher.generate(seeds, length)]
    return report(runs, reference, teacher.schema)


def report(
    runs: Sequence[np.ndarray], reference: Sequence[np.ndarray], schema: Schema = FIGHTER
) -> SoakReport:
    """Count what happened in ``runs`` and, for comparison, in ``reference``, sequences of frame arrays."""
    ours, true = (pool([_happenings(r, schema) for r in games]) for games in (runs, reference))
    judge = _judge(schema, reference)
    return SoakReport(
        _minutes(runs),
        len(runs),
        _total(runs, judge),
        _minutes(reference),
        _total(reference, judge),
        {name: Rate(ours[name], true[name]) for name in ours},
    )


def _teacher(cartridge: Cartridge) -> Teacher:
    """The game whose rules a world goes by: its own teacher, or the one of its schema."""
    return teacher_of(cartridge.manifest.notes) or teacher_for(cartridge.manifest.schema)


Judge = Callable[[np.ndarray], dict[str, int]]


def _judge(schema: Schema, reference: Sequence[np.ndarray]) -> Judge:
    """What counts the impossible events of a match of this schema."""
    if schema.name == BUMPER.name:
        return impossible_cart_events
    normal = Normal.of(reference)
    return lambda frames: impossible_events(frames, normal)


def _scripted_run(
    world: NativeWorld, seeds: range, length: int, teacher: Teacher, done: Callable[[int], object]
) -> np.ndarray:
    """Frames of one match a seed, shape (len(seeds), length); ``done`` is told how many were played."""
    starts, play = teacher.scripted(seeds)
    states = np.zeros((len(seeds), world.state_bytes), np.uint8)
    frames = np.zeros((len(seeds), length), starts.dtype)
    frames[:, 0] = starts
    for t in range(1, length):
        inputs = np.ascontiguousarray(play(frames[:, t - 1]))
        frames[:, t] = world.step_many(states, frames[:, t - 1].copy(), inputs)
        done(int((frames["status"][:, t - 1] == STATUS_PLAYING).sum()))
    return frames


def _until_decided(frames: np.ndarray) -> np.ndarray:
    over = np.flatnonzero(frames["status"] != STATUS_PLAYING)
    return frames[: over[0] + 1] if len(over) else frames


def _total(games: Sequence[np.ndarray], judge: Judge) -> dict[str, int]:
    counts = [judge(frames) for frames in games]
    return {kind: sum(c[kind] for c in counts) for kind in counts[0]}


def _happenings(frames: np.ndarray, schema: Schema) -> Sums:
    """Events of one match with the minutes it took, for `pool`."""
    minutes, players = len(frames) / FRAMES_PER_MINUTE, frames["players"]
    sums = {e.name: (float(e.happened(players[:-1], players[1:]).sum()), minutes) for e in events_of(schema)}
    sums["match_end"] = (float((players[schema.end_field][-1] == schema.end_value).any()), minutes)
    return sums


def _minutes(games: Sequence[np.ndarray]) -> float:
    return sum(len(frames) for frames in games) / FRAMES_PER_MINUTE
