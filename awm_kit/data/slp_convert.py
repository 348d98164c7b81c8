"""Slippi's columns to a `Replay`: rollback, units, and what old versions lack. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from awm_kit.data.replay import Replay
from awm_kit.errors import ReplayCorruptError, ReplayUnsupportedError
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME, N_PLAYERS, STATUS_DECIDED, STATUS_TIMEOUT

#: To be raised when `convert` changes, so that cached results are made anew.
REVISION = 1
#: Slippi numbers frames from -123; nobody can act before -39, and the clock starts at 0.
FIRST_FRAME = -39
#: Two seconds of play; anything shorter was quit before or just after GO.
MIN_FRAMES = 120
#: Action states in which x and y are not play: dying (0..10), nothing (11), respawning (12, 13).
LAST_DEAD_STATE = 13
#: Jumps, second jumps and falls, in which only gravity and the stick act.
FIRST_JUMP_STATE, LAST_FALL_STATE = 25, 34

CPU = 1
BUTTON_MASK = 0x1FFF
BUTTON_Z, BUTTON_A = 0x10, 0x100

SPEEDS = ("speed_air_x", "speed_ground_x", "speed_y", "speed_attack_x", "speed_attack_y")
_STATE = ("x", "y", "percent", "shield", "stocks", "action_state", "animation_age", "facing",
          "airborne", "jumps_left", "character", "in_hitlag", "in_hitstun", "in_fast_fall")  # fmt: skip
_INPUT = ("stick_x", "stick_y", "cstick_x", "cstick_y", "trigger", "trigger_l", "trigger_r",
          "buttons", "buttons_processed")  # fmt: skip
COLUMNS = _STATE + _INPUT

Columns = dict[str, np.ndarray]


@dataclass
class Recording:
    """One game as the file has it: a row per simulated frame, rolled-back ones included.

    ``players`` holds, per player, `COLUMNS` in real units, ``hitlag`` from version 3.8 and `SPEEDS`
    from 3.5; ``kinds`` is 0 for a human and 1 for a CPU.
    """

    version: tuple[int, int, int]
    stage: int
    timer_seconds: int
    seed: int
    kinds: tuple[int, ...]
    frame_ids: np.ndarray
    players: tuple[Columns, ...]
    end: str = ""


def convert(recording: Recording, source: str = "") -> Replay:
    """Make a replay of the controllable frames, numbered from 0.

    Fields that the version lacks are derived: speeds by `derive_speeds`, hitlag by `count_down`.
    ``state_age`` is `state_ages`, not the animation's frame. Positions of dead players are kept as
    they are, clipped to the schema. A CPU has no physical controller, so its processed one is taken.

    Raises
    ------
    ReplayCorruptError
        If rows are missing or not finite.
    ReplayUnsupportedError
        If the game is too short, or holds what the schema does not (a transformation, over 4 stocks).
    """
    rows, ids = _last_rows(recording.frame_ids)
    players = [{name: column[rows] for name, column in p.items()} for p in recording.players]
    for player in players:
        _check(player)
    kept = ids >= FIRST_FRAME
    count = int(kept.sum())
    if count < MIN_FRAMES:
        raise ReplayUnsupportedError(f"expected at least {MIN_FRAMES} controllable frames (got {count})")

    frames = np.zeros(count, FRAME)
    inputs = np.zeros((count, N_PLAYERS), CONTROLLER)
    for index, (player, kind) in enumerate(zip(players, recording.kinds, strict=True)):
        for name, values in _state_fields(player).items():
            frames["players"][name][:, index] = FIGHTER.player(name).to_stored(values[kept])
        for name, values in _input_fields(player, kind).items():
            inputs[name][:, index] = values[kept]
    inputs[0] = np.zeros((), CONTROLLER)
    _fill_globals(frames, recording, int(ids[kept][0]))
    absent = [name for name in ("hitlag", *SPEEDS) if name not in players[0]]
    meta = {
        "version": ".".join(map(str, recording.version)),
        "cpu": [kind == CPU for kind in recording.kinds],
        "end": recording.end,
        "rolled_back_rows": len(recording.frame_ids) - len(ids),
        "derived": absent,
    }
    return Replay(frames, inputs, source, meta).validate()


def _last_rows(frame_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and number of each frame as it was finally simulated: after a rollback numbers repeat."""
    if not len(frame_ids):
        raise ReplayUnsupportedError(f"expected at least {MIN_FRAMES} controllable frames (got none)")
    ids, from_end = np.unique(frame_ids[::-1], return_index=True)
    if (np.diff(ids) != 1).any():
        raise ReplayCorruptError(f"{int((np.diff(ids) - 1).sum())} frames are missing")
    return len(frame_ids) - 1 - from_end, ids


def _check(player: Columns) -> None:
    for name in (*_STATE, *(s for s in SPEEDS if s in player)):
        if not np.isfinite(player[name]).all():
            raise ReplayCorruptError(f"{name}: {int((~np.isfinite(player[name])).sum())} values are missing")
    for name in ("action_state", "stocks", "character"):
        top = int(player[name].max())
        if top > FIGHTER.player(name).hi:
            raise ReplayUnsupportedError(f"{name}: expected at most {FIGHTER.player(name).hi} (got {top})")
    if (player["character"] != player["character"][0]).any():
        raise ReplayUnsupportedError("a character transforms (Zelda and Sheik); a world's are fixed")


def _state_fields(p: Columns) -> Columns:
    speeds = {name: p[name] for name in SPEEDS} if SPEEDS[0] in p else derive_speeds(p)
    same = ("x", "y", "percent", "shield", "stocks", "action_state", "facing", "jumps_left", "character")
    return {
        **{name: p[name] for name in same},
        **speeds,
        "hitlag": p["hitlag"] if "hitlag" in p else count_down(p["in_hitlag"] > 0),
        "on_ground": p["airborne"] == 0,
        "state_age": state_ages(p["action_state"], p["animation_age"]),
    }


def _input_fields(p: Columns, kind: int) -> Columns:
    sticks = {n: np.round(80 * p[n]) for n in ("stick_x", "stick_y", "cstick_x", "cstick_y")}
    if kind == CPU:
        buttons = p["buttons_processed"].astype(np.int64) & BUTTON_MASK
        # The game adds A to a processed Z; a controller has only Z.
        buttons &= np.where(buttons & BUTTON_Z, ~BUTTON_A, -1)
        triggers = {"trigger_l": p["trigger"], "trigger_r": np.zeros_like(p["trigger"])}
    else:
        buttons = p["buttons"].astype(np.int64) & BUTTON_MASK
        triggers = {"trigger_l": p["trigger_l"], "trigger_r": p["trigger_r"]}
    whole = {n: np.clip(np.nan_to_num(v), -80, 80) for n, v in sticks.items()}
    return {**whole, **{n: _trigger(v) for n, v in triggers.items()}, "buttons": buttons}


def _trigger(real: np.ndarray) -> np.ndarray:
    """1/140ths; uninitialised memory (old files have 1e22 there) counts as released."""
    sane = np.isfinite(real) & (real >= 0) & (real <= 2)
    return np.round(140 * np.clip(np.where(sane, real, 0), 0, 1))


def _fill_globals(frames: np.ndarray, recording: Recording, first_id: int) -> None:
    frames["frame"] = np.arange(len(frames))
    frames["stage"] = recording.stage
    frames["seed"] = recording.seed & 0xFFFFFFFF
    limit = recording.timer_seconds * 60 - first_id if recording.timer_seconds > 0 else 0
    frames["time_limit"] = limit
    if limit:
        frames["status"][frames["frame"] >= limit] = STATUS_TIMEOUT
    frames["status"][(frames["players"]["stocks"] == 0).any(axis=1)] = STATUS_DECIDED


def state_ages(action_state: np.ndarray, animation_age: np.ndarray) -> np.ndarray:
    """Whole frames since the action was entered, 0 on its first; int64, shape (T,).

    The animation's own frame number is fractional, stands still in hitlag and may start at -2; here
    it only tells when the same action is entered again: it falls.
    """
    index = np.arange(len(action_state))
    entered = np.ones(len(action_state), bool)
    entered[1:] = (action_state[1:] != action_state[:-1]) | (animation_age[1:] < animation_age[:-1])
    ages: np.ndarray = index - np.maximum.accumulate(np.where(entered, index, 0))
    return ages


def count_down(flag: np.ndarray) -> np.ndarray:
    """Frames left of each run of ``flag``, this one included: 3 2 1 for three; int64, shape (T,).

    Equal to Slippi's hitlag counter but where a second hit renews the freeze.
    """
    index = np.arange(len(flag))
    end = np.minimum.accumulate(np.where(flag, len(flag), index)[::-1])[::-1]
    return np.where(flag, end - index, 0)


def derive_speeds(p: Columns) -> Columns:
    """Speeds from how positions moved, for versions before 3.5; real units, shape (T,) each.

    In hitstun all horizontal motion is knockback and the vertical one is knockback plus the fall since
    the hit, by the gravity that `fall_constants` finds in the same game. Otherwise all motion is
    self-induced, which is wrong while knockback outlasts hitstun. In hitlag nobody moves: a victim has
    the speed with which it will fly, an attacker the one it had. On the ground there is no vertical
    speed; the dead and respawning have none at all.
    """
    in_hitlag, in_hitstun = p["in_hitlag"] > 0, p["in_hitstun"] > 0
    grounded, dead = p["airborne"] == 0, p["action_state"] <= LAST_DEAD_STATE
    dx, dy = _motion(p)
    index, end = np.arange(len(dx)), len(dx) - 1
    before = np.maximum.accumulate(np.where(in_hitlag, 0, index))
    after = np.minimum.accumulate(np.where(in_hitlag, end, index)[::-1])[::-1]
    hurt = in_hitstun[after] & (in_hitlag | in_hitstun)
    # A victim may shift itself on the first frame after hitlag; the second shows the launch.
    launch = np.where(in_hitstun[np.minimum(after + 1, end)], np.minimum(after + 1, end), after)
    moving = np.where(in_hitlag, np.where(hurt, launch, before), index)

    gravity, terminal = fall_constants(p)
    struck = in_hitlag | ~in_hitstun | grounded
    fallen = index - np.maximum.accumulate(np.where(struck, index, 0))
    fall = np.where(hurt & ~in_hitlag, -np.minimum(gravity * fallen, terminal), 0)

    alive, reach = ~(dead | np.roll(dead, 1)), FIGHTER.player("speed_y").hi
    vx = np.clip(np.where(alive, dx[moving], 0), -reach, reach)
    vy = np.clip(np.where(alive & ~grounded[moving], dy[moving], 0), -reach, reach)
    own_x, own_y = np.where(hurt, 0, vx), np.where(hurt, np.where(alive, fall, 0), vy)
    return {
        "speed_air_x": own_x,
        "speed_ground_x": np.where(grounded, own_x, 0),
        "speed_y": own_y,
        "speed_attack_x": np.where(hurt, vx, 0),
        "speed_attack_y": np.where(hurt, vy - own_y, 0),
    }


def fall_constants(p: Columns) -> tuple[float, float]:
    """Gravity (units/frame^2) and terminal speed (units/frame) seen in a player's jumps and falls.

    Medians over undisturbed frames; 0 and infinity where a game shows none.
    """
    _, dy = _motion(p)
    state = p["action_state"]
    falls = (state >= FIRST_JUMP_STATE) & (state <= LAST_FALL_STATE) & (p["in_hitlag"] == 0)
    steady = falls & np.roll(falls & (p["in_fast_fall"] == 0), 1) & (p["in_fast_fall"] == 0)
    gain = np.roll(dy, 1) - dy
    # Gravity is 0.064 (Jigglypuff) to 0.23 (Fox); the rest is jumping, landing and being carried.
    pulled = gain[steady & (gain > 0.03) & (gain < 0.4)]
    falling = -dy[steady & (np.abs(gain) < 1e-3) & (dy < -0.5)]
    gravity = float(np.median(pulled)) if len(pulled) else 0.0
    return gravity, float(np.median(falling)) if len(falling) else np.inf


def _motion(p: Columns) -> tuple[np.ndarray, np.ndarray]:
    dx, dy = (np.diff(p[name].astype(np.float64), prepend=p[name][:1]) for name in ("x", "y"))
    return dx, dy
