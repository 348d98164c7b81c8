"""Learning from one's own mistakes: free runs of a network under training, corrected frame by frame.

A network trained on recordings has never seen where its own errors lead. Here it plays, and somebody
who knows says what should have come next (DAgger: Ross, Gordon and Bagnell, "A reduction of
imitation learning and structured prediction to no-regret online learning", 2011). The rules are used
in training only: what is deployed is the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from awm_kit.action_states import LAST_RESPAWN_STATE
from awm_kit.data.replay import Replay
from awm_kit.data.scuffle.actions import Act
from awm_kit.data.scuffle.stage import STAGES
from awm_kit.data.teachers import Teacher
from awm_kit.model.dataset import columns
from awm_kit.model.metrics import events_of
from awm_kit.model.world import WorldModel
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME, STATUS_DECIDED, STATUS_PLAYING, Schema

DEAD_DOWN, DEAD_LEFT, DEAD_RIGHT, DEAD_UP = 0, 1, 2, 4
LAST_DEATH = 10  # actions up to it are of somebody knocked out
_ALIVE, _REBIRTH = -1, 12
#: Only characters that were hit upwards are knocked out at the top, and a jump may pass it.
_TOP_MARGIN, _SIDE_MARGIN = 60.0, 1.0
_FLOOR_MARGIN = 12.0  # units from the main floor within which real stages have ground
_SLIPS = 0.5  # such frames a game that are slips of the recording; Yoshi's cloud is three a game
_NEAR = 8.0  # units about a place where a life goes on that are still that place
_STOPPED = (
    *("speed_air_x", "speed_ground_x", "speed_y", "speed_attack_x", "speed_attack_y"),
    *("hitlag", "on_ground"),
)


@dataclass
class Lessons:
    """Free runs, and for each what its frames should have been (None: what they are)."""

    runs: list[Replay] = field(default_factory=list)
    corrections: list[np.ndarray | None] = field(default_factory=list)


class Practice(Protocol):
    """Somebody who lets a network play and corrects it."""

    def lessons(self, model: WorldModel, turn: int) -> Lessons:
        """Corrected free runs of ``model``; ``turn`` seeds them."""


@dataclass(frozen=True)
class TeacherPractice:
    """Scripted players play in the network's world; the teacher, restarted from every frame, corrects it.

    Parameters
    ----------
    teacher : Teacher
    matches, n_frames : int
        How many matches a turn, and how long each at most.
    """

    teacher: Teacher = field(default_factory=lambda: Teacher("scuffle"))
    matches: int = 48
    n_frames: int = 1500
    first_seed: int = 400_000

    def lessons(self, model: WorldModel, turn: int) -> Lessons:
        """See `Practice.lessons`."""
        first = self.first_seed + turn * self.matches
        starts, play = self.teacher.scripted(range(first, first + self.matches))
        inputs = np.zeros((self.n_frames, self.matches, 2), self.teacher.schema.controller_dtype)
        right = np.zeros((self.n_frames, self.matches), starts.dtype)
        right[0] = starts

        def act(t: int, before: np.ndarray) -> np.ndarray:
            pads = play(before)
            inputs[t] = pads
            right[t] = self.teacher.next_frames(before, inputs[t - 1], pads)
            return pads

        frames = free_runs(model, starts, self.n_frames, act)
        lessons = Lessons()
        for i in range(self.matches):
            kept = slice(0, _end(frames[:, i]))
            lessons.runs.append(Replay(frames[kept, i].copy(), inputs[kept, i].copy(), "practice"))
            lessons.corrections.append(right[kept, i].copy())
        return lessons


@dataclass(frozen=True)
class KnockoutPractice:
    """Free runs under recorded inputs, for games whose rules nobody here knows but one.

    Whoever leaves the blast zones alive is knocked out there and then, a knock-out costs one life and nothing
    else does, whoever comes back does so at a place where somebody did in the recorded games, and whoever
    stands beside the stage falls: the frames about these moments are the lessons.

    Parameters
    ----------
    games : sequence of Replay
    n_frames : int
        Length of a run, from a random frame of its game.
    before, after : int
        Frames kept about a knock-out. Little is kept after it: from there on nobody corrects, and a network
        that learned its own mistakes was seen to lose stock after stock without returning.
    """

    games: Sequence[Replay]
    n_frames: int = 2400
    before: int = 90
    after: int = 2

    def lessons(self, model: WorldModel, turn: int) -> Lessons:
        """See `Practice.lessons`."""
        rng = np.random.default_rng(turn)
        first = [int(rng.integers(0, max(1, g.n_frames - self.n_frames))) for g in self.games]
        starts = np.zeros(len(self.games), FRAME)
        inputs = np.zeros((self.n_frames, len(self.games), 2), CONTROLLER)
        for i, (game, at) in enumerate(zip(self.games, first, strict=True)):
            starts[i] = game.frames[at]
            given = game.inputs[at : at + self.n_frames]
            inputs[: len(given), i] = given
        corrected = np.zeros((self.n_frames, len(self.games)), bool)
        places, paid = return_places(self.games), starts["players"]["action_state"] <= LAST_DEATH
        firm = stages_without_more_ground(self.games)

        def correct(t: int, before: np.ndarray, after: np.ndarray) -> None:
            wrong = knock_out(before, after) | count_lives(before, after, paid)
            corrected[t] = (wrong | bring_back(before, after, places) | drop(after, firm)).any(1)

        frames = free_runs(model, starts, self.n_frames, lambda t, _: inputs[t], correct)
        lessons = Lessons()
        for i, (game, at) in enumerate(zip(self.games, first, strict=True)):
            end = min(_end(frames[:, i]), game.n_frames - at)
            for kept in _about(np.flatnonzero(corrected[:end, i]), self.before, self.after, end):
                lessons.runs.append(Replay(frames[kept, i].copy(), inputs[kept, i].copy(), "practice"))
                lessons.corrections.append(None)
        return lessons


def _about(moments: np.ndarray, before: int, after: int, end: int) -> list[slice]:
    """The frames about moments; of moments that follow at once, in one piece."""
    pieces: list[slice] = []
    for t in moments.tolist():
        follows = pieces and t <= pieces[-1].stop
        first = pieces.pop().start if follows else max(0, t - before)
        pieces.append(slice(first, min(end, t + after)))
    return pieces


@torch.no_grad()
def free_runs(
    model: WorldModel,
    starts: np.ndarray,
    n_frames: int,
    act: Callable[[int, np.ndarray], np.ndarray],
    correct: Callable[[int, np.ndarray, np.ndarray], None] | None = None,
) -> np.ndarray:
    """Let a float network play many matches at once from their first frames on.

    Parameters
    ----------
    model : WorldModel
    starts : ndarray of the schema's frame dtype, shape (n,)
    n_frames : int
    act : callable
        ``act(t, frames t - 1)`` gives the controllers, shape (n, 2), that lead to frame t.
    correct : callable, optional
        ``correct(t, frames t - 1, frames t)`` may change frames t in place.

    Returns
    -------
    ndarray like ``starts``, shape (n_frames, n)
    """
    schema, training = model.schema, model.training
    model.eval()
    frames = np.zeros((n_frames, len(starts)), schema.frame_dtype)
    frames[0] = starts
    state = model.initial_state(len(starts))
    device = state[0].conv.device
    names = [
        [f.name for f in fields]
        for fields in (schema.global_fields, schema.player_fields, schema.controller_fields)
    ]
    for t in range(1, n_frames):
        before, pads = frames[t - 1], act(t, frames[t - 1].copy())
        records = (before, before["players"], pads)
        g, p, c = (
            torch.from_numpy(columns(r, n).astype(np.int64)).to(device)
            for r, n in zip(records, names, strict=True)
        )
        logits, state = model.step(model.views(g, p, c), state)
        players = model.decode(logits, p).cpu().numpy()
        frames[t] = before
        for i, name in enumerate(names[1]):
            frames["players"][name][t] = players[..., i]
        frames["frame"][t] += 1
        if correct is not None:
            correct(t, before, frames[t])
        over = (frames["players"][schema.end_field][t] == schema.end_value).any(1)
        frames["status"][t] = np.where(over, STATUS_DECIDED, STATUS_PLAYING)
    model.train(training)
    return frames


def knock_out(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Knock out, in place, whoever is alive beyond the blast zones.

    Parameters
    ----------
    before, after : ndarray of FRAME, shape (n,)
        Consecutive frames; ``after`` is changed.

    Returns
    -------
    ndarray of bool, shape (n, 2)
        Who was.
    """
    players = after["players"]
    way = beyond(after)
    out: np.ndarray = (
        (way != _ALIVE) & (players["action_state"] > LAST_RESPAWN_STATE) & (before["players"]["stocks"] > 0)
    )
    players["action_state"][out] = way[out]
    players["stocks"][out] = before["players"]["stocks"][out] - 1
    for name in ("state_age", *_STOPPED):
        players[name][out] = 0
    return out


def count_lives(before: np.ndarray, after: np.ndarray, paid: np.ndarray) -> np.ndarray:
    """Give back, in place, lives that were lost outside a knock-out or more than once in one.

    Parameters
    ----------
    before, after : ndarray of FRAME, shape (n,)
        Consecutive frames; ``after`` is changed.
    paid : ndarray of bool, shape (n, 2)
        Who is knocked out and has lost the life; changed in place. Who flies off the top loses it later.

    Returns
    -------
    ndarray of bool, shape (n, 2)
        Who was given some back.
    """
    stocks, held = after["players"]["stocks"], before["players"]["stocks"]
    dead = after["players"]["action_state"] <= LAST_DEATH
    pays = dead & ~paid & (stocks < held)
    right = held - pays
    wrong: np.ndarray = stocks != right
    stocks[wrong] = right[wrong]
    paid[:] = dead & (paid | pays)
    return wrong


def return_places(games: Sequence[Replay]) -> dict[int, np.ndarray]:
    """Where lives go on in recorded games, by stage: stored x and y, (places, 2), the commonest first."""
    found: dict[int, list[np.ndarray]] = {}
    for game in games:
        players = game.frames["players"]
        returns = _returns(players[:-1]["action_state"], players[1:]["action_state"])
        came = players[1:][returns]
        found.setdefault(int(game.frames["stage"][0]), []).append(np.stack([came["x"], came["y"]], 1))
    places = {}
    for stage, seen in found.items():
        where, counts = np.unique(np.concatenate(seen), axis=0, return_counts=True)
        places[stage] = where[np.argsort(-counts)]
    return {stage: where for stage, where in places.items() if len(where)}


def bring_back(before: np.ndarray, after: np.ndarray, places: dict[int, np.ndarray]) -> np.ndarray:
    """Put, in place, whoever comes back elsewhere to the commonest place of the stage.

    Parameters
    ----------
    before, after : ndarray of FRAME, shape (n,)
        Consecutive frames; ``after`` is changed.
    places : dict
        From `return_places`.

    Returns
    -------
    ndarray of bool, shape (n, 2)
        Who was.
    """
    players = after["players"]
    lost = np.zeros(players.shape, bool)
    near = _NEAR * (1 << FIGHTER.player("x").frac_bits)
    for i, j in np.argwhere(_returns(before["players"]["action_state"], players["action_state"])):
        known = places.get(int(after["stage"][i]))
        if known is None:
            continue
        at = np.array([players["x"][i, j], players["y"][i, j]], np.int64)
        if np.abs(known - at).max(1).min() > near:
            players["x"][i, j], players["y"][i, j] = known[0]
            lost[i, j] = True
    return lost


def _returns(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    back: np.ndarray = (after == _REBIRTH) & (before != _REBIRTH)
    return back


def drop(after: np.ndarray, stages: Collection[int]) -> np.ndarray:
    """Let fall, in place, whoever stands beside one of ``stages``; bool, shape (n, 2): who does.

    Parameters
    ----------
    after : ndarray of FRAME, shape (n,)
    stages : collection of int
        Stage ids.
    """
    players = after["players"]
    falls: np.ndarray = beside(after) & np.isin(after["stage"], list(stages))[:, None]
    players["action_state"][falls], players["speed_air_x"][falls] = Act.FALL, players["speed_ground_x"][falls]
    for name in ("state_age", "on_ground", "speed_ground_x"):
        players[name][falls] = 0
    return falls


def stages_without_more_ground(games: Sequence[Replay]) -> set[int]:
    """Stages on which recorded games show next to nobody on the ground beside what `STAGES` knows of."""
    seen = Counter[int]()
    for game in games:
        seen[int(game.frames["stage"][0])] += int(beside(game.frames).sum())
    return {stage for stage, frames in seen.items() if stage in STAGES and frames <= _SLIPS * len(games)}


def beside(frames: np.ndarray) -> np.ndarray:
    """Who is alive and on the ground where a stage's main floor has ended long ago; bool, shape (n, 2)."""
    players = frames["players"]
    x, y = (FIGHTER.player(axis).to_real(players[axis]) for axis in ("x", "y"))
    edge = np.array([STAGES.get(int(s), STAGES[31]).floor.right for s in frames["stage"]])[:, None]
    away = (np.abs(x) > edge + _FLOOR_MARGIN) | (y < -_FLOOR_MARGIN)
    out: np.ndarray = away & (players["on_ground"] == 1) & (players["action_state"] > LAST_RESPAWN_STATE)
    return out


def beyond(frames: np.ndarray) -> np.ndarray:
    """Action state of the knock-out that each position calls for, -1 within the blast zones; shape (n, 2)."""
    players = frames["players"]
    x, y = (FIGHTER.player(axis).to_real(players[axis]) for axis in ("x", "y"))
    blast = np.array([STAGES.get(int(s), STAGES[31]).blast for s in frames["stage"]])
    left, right, top, bottom = blast.T[:, :, None]
    conditions = [
        y < bottom - _SIDE_MARGIN,
        x < left - _SIDE_MARGIN,
        x > right + _SIDE_MARGIN,
        y > top + _TOP_MARGIN,
    ]
    return np.select(conditions, [DEAD_DOWN, DEAD_LEFT, DEAD_RIGHT, DEAD_UP], _ALIVE)


def rare_segments(
    games: Sequence[Replay],
    before: int = 60,
    after: int = 130,
    schema: Schema = FIGHTER,
    events: Sequence[str] = ("ko",),
) -> list[Replay]:
    """The frames about rare events, as replays: a few in ten thousand, and a match turns on them.

    Parameters
    ----------
    games : sequence of Replay
    before, after : int
        Frames kept about each.
    schema : Schema
        Of the games.
    events : sequence of str
        Names of `awm_kit.model.metrics.events_of`; the frames about a lost stock hold death and return.

    Raises
    ------
    ValueError
        If an event is unknown.
    """
    known = {event.name: event for event in events_of(schema)}
    for name in events:
        if name not in known:
            raise ValueError(f"expected events of {sorted(known)} (got {name!r})")
    segments = []
    for game in games:
        players = game.frames["players"]
        happened = np.any([known[name].happened(players[:-1], players[1:]) for name in events], axis=(0, 2))
        for t in np.flatnonzero(happened):
            kept = slice(max(0, int(t) - before), int(t) + after)
            segments.append(Replay(game.frames[kept].copy(), game.inputs[kept].copy(), "rare"))
    return segments


def _end(frames: np.ndarray) -> int:
    over = np.flatnonzero(frames["status"] != STATUS_PLAYING)
    return int(over[0]) + 1 if len(over) else len(frames)
