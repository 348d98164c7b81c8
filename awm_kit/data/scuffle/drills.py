"""Drills: short matches set up to show one thing plainly that ordinary matches seldom or never show alone.

In a match most attacks meet a shield, a dodge or another attack, and nobody walks for a second with the
stick half tilted. `fights` put a scripted player before one who stands still, `strikes` single attacks
at somebody close by, `swings` attacks that just reach somebody or just do not, `throws` what follows a grab,
`moves` two players who hold their sticks for a while and let go, `exits` players on their way over the
blast zones, `strays` the way back from where no match ever is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle.actions import FLAGS, Act, Flag
from awm_kit.data.scuffle.game import Scuffle, initial_frame
from awm_kit.data.scuffle.matches import scripted_matches
from awm_kit.data.scuffle.params import FOX, MARTH, Params
from awm_kit.data.scuffle.stage import STAGES
from awm_kit.data.scuffle.state import State
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME, STATUS_PLAYING, Button

MOST_PERCENT, NEAREST, FURTHEST = 150, 4, 30
FULL_TILT, FULL_PRESS = 80, 140


def fights(seeds: Iterable[int], n_frames: int = 500, params: Params | None = None) -> list[Replay]:
    """One scripted player against one who stands still; one replay per seed, in the order of the seeds."""
    params, numbers = params or Params(), [int(seed) for seed in seeds]
    starts, players = scripted_matches(numbers, params)
    idle = np.zeros((len(numbers), 2), bool)
    for i, seed in enumerate(numbers):
        rng = np.random.default_rng([11, seed])
        _face_off(starts[i], rng, rng.uniform(NEAREST, FURTHEST))
        idle[i] = np.arange(2) == rng.integers(2)

    def act(t: int, frames: np.ndarray) -> np.ndarray:
        pads = players.act(State.from_frames(frames)).to_inputs()
        for item in FIGHTER.controller_fields:
            pads[item.name][idle] = 0
        return pads

    return _recorded(starts, n_frames, params, act, [f"fight {seed}" for seed in numbers])


def strikes(seeds: Iterable[int], n_frames: int = 130, params: Params | None = None) -> list[Replay]:
    """One attack after another at somebody who stands still within reach, at any percent."""
    return _scripted("strike", seeds, n_frames, params, _strike)


def swings(seeds: Iterable[int], n_frames: int = 44, params: Params | None = None) -> list[Replay]:
    """One attack, on the ground or in the air, that only just reaches somebody or only just does not."""
    return _scripted("swing", seeds, n_frames, params, _swing)


def throws(seeds: Iterable[int], n_frames: int = 120, params: Params | None = None) -> list[Replay]:
    """Grabs that reach somebody or just do not, and what is done to who is held."""
    return _scripted("throw", seeds, n_frames, params, _throw)


def moves(seeds: Iterable[int], n_frames: int = 300, params: Params | None = None) -> list[Replay]:
    """Two players who walk, run, jump, drift, fall and shield, each control held for a while."""
    return _scripted("move", seeds, n_frames, params, _move)


def exits(seeds: Iterable[int], n_frames: int = 130, params: Params | None = None) -> list[Replay]:
    """Players who fly or fall towards a blast zone, near it already, and come back if they can."""
    return _scripted("exit", seeds, n_frames, params, _exit)


def strays(seeds: Iterable[int], n_frames: int = 40, params: Params | None = None) -> list[Replay]:
    """Players on the ground in an action of the air or in the air in one of the ground, as networks err."""
    return _scripted("stray", seeds, n_frames, params, _stray)


Script = Callable[[np.ndarray, np.ndarray, np.random.Generator], None]


def _scripted(
    name: str, seeds: Iterable[int], n_frames: int, params: Params | None, script: Script
) -> list[Replay]:
    """Drills whose controllers are fixed beforehand: ``script`` sets up a start frame and its pads (T, 2)."""
    params, numbers = params or Params(), [int(seed) for seed in seeds]
    starts = np.zeros(len(numbers), FRAME)
    pads = np.zeros((n_frames, len(numbers), 2), CONTROLLER)
    for i, seed in enumerate(numbers):
        rng = np.random.default_rng([13, seed])
        characters = int(rng.choice([FOX, MARTH])), int(rng.choice([FOX, MARTH]))
        starts[i] = initial_frame(seed, None, characters, params)
        script(starts[i], pads[:, i], rng)
    return _recorded(starts, n_frames, params, lambda t, _: pads[t], [f"{name} {seed}" for seed in numbers])


def _recorded(
    starts: np.ndarray,
    n_frames: int,
    params: Params,
    act: Callable[[int, np.ndarray], np.ndarray],
    names: list[str],
) -> list[Replay]:
    """Play from ``starts`` with the controllers ``act(t, frames t - 1)``; each replay ends with its match."""
    frames = np.zeros((n_frames, len(starts)), FRAME)
    inputs = np.zeros((n_frames, len(starts), 2), CONTROLLER)
    frames[0] = starts
    game = Scuffle.from_frames(starts, params)
    for t in range(1, n_frames):
        inputs[t] = act(t, frames[t - 1])
        frames[t] = game.step(inputs[t])
    over = (frames["status"] != STATUS_PLAYING).argmax(0)
    ends = [int(at) + 1 if at else n_frames for at in over]
    return [
        Replay(frames[:end, i].copy(), inputs[:end, i].copy(), name)
        for i, (name, end) in enumerate(zip(names, ends, strict=True))
    ]


def _face_off(start: np.ndarray, rng: np.random.Generator, gap: float) -> None:
    """Put the players ``gap`` units apart somewhere on the floor, damaged by any amount."""
    percent, x = FIGHTER.player("percent"), FIGHTER.player("x")
    start["players"]["percent"] = percent.to_stored(rng.integers(0, MOST_PERCENT, 2))
    middle, side = rng.integers(-40, 40), rng.choice([-1, 1])
    start["players"]["x"] = x.to_stored(np.array([middle, middle + gap * side]))
    start["players"]["facing"] = side, -side


def _strike(start: np.ndarray, pads: np.ndarray, rng: np.random.Generator) -> None:
    _face_off(start, rng, rng.uniform(5, 16))
    if rng.random() < 0.2:
        start["players"]["facing"] = rng.choice([-1, 1], 2)
    attacker = int(rng.integers(2))
    apart = start["players"]["x"][1 - attacker] - start["players"]["x"][attacker]
    pad, at = pads[:, attacker], int(rng.integers(8, 60))
    while at < len(pad) - 20:
        toward = int(np.sign(apart)) if rng.random() < 0.85 else -int(np.sign(apart))
        _attack(pad, at, toward, rng)
        at += int(rng.integers(35, 70))


def _attack(pad: np.ndarray, at: int, toward: int, rng: np.random.Generator) -> None:
    """One of the ground attacks, or a jump and an attack in the air."""
    held = slice(at, at + int(rng.integers(1, 5)))
    kind = int(rng.integers(8))
    if kind <= 2:
        pad["cstick_x"][held] = FULL_TILT * toward
    elif kind == 3:
        pad["cstick_y"][held] = FULL_TILT * int(rng.choice([-1, 1]))
    elif kind <= 6:
        pad["buttons"][held] = Button.A
        pad["stick_x"][held] = (0, FULL_TILT // 2, FULL_TILT)[kind - 4] * toward
    else:
        pad["buttons"][at : at + 2] = Button.X
        pad["buttons"][at + 8 : at + 10] = Button.A


def _swing(start: np.ndarray, pads: np.ndarray, rng: np.random.Generator) -> None:
    in_air = rng.random() < 0.55
    _face_off(start, rng, rng.uniform(0, 26) if in_air else rng.uniform(NEAREST, 36))
    attacker = int(rng.integers(2))
    record, target = start["players"][attacker], start["players"][1 - attacker]
    toward = int(record["facing"])
    if rng.random() < 0.2:
        record["facing"] = -toward
    target["facing"] = rng.choice([-1, 1])
    if in_air:
        _float(record, rng)
    if rng.random() < 0.5:
        _float(target, rng)
    at = int(rng.integers(1, 10))
    if rng.random() < 0.6:
        _hold(pads[:, 1 - attacker], rng)
    if rng.random() < 0.5:
        pads["stick_x"][:at, attacker] = toward * int(rng.integers(20, FULL_TILT + 1))
    if in_air:
        _attack_in_air(pads[:, attacker], at, rng)
    else:
        _attack(pads[:, attacker], at, toward if rng.random() < 0.9 else -toward, rng)


def _float(record: np.ndarray, rng: np.random.Generator) -> None:
    """A few units above the floor, rising or falling, drifting a little."""
    x = FIGHTER.player("x").to_real(record["x"])
    _put(record, float(x), float(rng.uniform(0.5, 34)), (0.0, 0.0), float(rng.uniform(-2.5, 2.5)))
    record["speed_air_x"] = FIGHTER.player("speed_air_x").to_stored(float(rng.uniform(-0.9, 0.9)))
    record["jumps_left"] = rng.integers(2)


def _attack_in_air(pad: np.ndarray, at: int, rng: np.random.Generator) -> None:
    """One of the attacks in the air: neutral, or where the C-stick points."""
    held = slice(at, at + int(rng.integers(1, 5)))
    kind = int(rng.integers(5))
    if kind == 4:
        pad["buttons"][held] = Button.A
    else:
        pad[("cstick_x", "cstick_y")[kind % 2]][held] = FULL_TILT * (1 - kind // 2 * 2)


def _throw(start: np.ndarray, pads: np.ndarray, rng: np.random.Generator) -> None:
    _face_off(start, rng, rng.uniform(2, 18))
    catcher = int(rng.integers(2))
    start["players"]["facing"][1 - catcher] = rng.choice([-1, 1])
    pad, at = pads[:, catcher], int(rng.integers(2, 14))
    pad["buttons"][at : at + 2] = Button.Z
    # Caught 6 to 8 frames later, held firmly 4 frames after that; some let the captive escape.
    at += int(rng.integers(8, 70 if rng.random() < 0.3 else 24))
    name = ("stick_x", "stick_y")[int(rng.integers(2))]
    pad[name][at : at + int(rng.integers(3, 12))] = int(rng.choice([-1, 1])) * FULL_TILT
    captive = pads[:, 1 - catcher]
    if rng.random() < 0.4:
        captive["buttons"][int(rng.integers(10, 40)) :: int(rng.integers(4, 9))] = Button.A
    elif rng.random() < 0.5:
        _hold(captive[int(rng.integers(30, 90)) :], rng)


def _move(start: np.ndarray, pads: np.ndarray, rng: np.random.Generator) -> None:
    start["players"]["percent"] = FIGHTER.player("percent").to_stored(rng.integers(0, MOST_PERCENT, 2))
    for player in range(2):
        at = int(rng.integers(0, 40))
        while at < len(pads):
            end = at + int(rng.integers(4, 70))
            _hold(pads[at:end, player], rng)
            at = end + int(rng.integers(0, 25))


def _hold(pad: np.ndarray, rng: np.random.Generator) -> None:
    """A tilt of the stick, often with a jump; now and then a shield or a crouch instead."""
    kind = rng.random()
    if kind < 0.1:
        pad["buttons"] = Button.L
        pad["trigger_l"] = FULL_PRESS
    elif kind < 0.2:
        pad["stick_y"] = -FULL_TILT
    else:
        tilt = FULL_TILT if rng.random() < 0.4 else int(rng.integers(20, FULL_TILT))
        pad["stick_x"] = int(rng.choice([-1, 0, 1], p=[0.45, 0.1, 0.45])) * tilt
    if kind >= 0.1 and rng.random() < 0.45:
        pad["buttons"][: int(rng.choice([1, 12]))] = Button.X
        if rng.random() < 0.3:
            pad["buttons"][20:26] = Button.X
        if rng.random() < 0.3:
            pad["stick_y"][int(rng.integers(15, 40)) :] = -FULL_TILT


def _exit(start: np.ndarray, pads: np.ndarray, rng: np.random.Generator) -> None:
    left, right, top, bottom = STAGES[int(start["stage"])].blast
    for player in range(2):
        record, pad = start["players"][player], pads[:, player]
        x, y = rng.uniform(left, right), rng.uniform(bottom, top)
        away, speed = rng.exponential(25), rng.uniform(0.3, 6)
        kind = int(rng.integers(5))
        if kind == 0:
            continue  # somebody has to stay where most of a match is
        if kind == 1:
            y, flies, falls = top - away, (0.0, speed), 0.0
        elif kind <= 3:
            side = 2 * kind - 5
            x, flies, falls = (
                (left + away, right - away)[kind - 2],
                (side * speed, rng.uniform(-1, 2)),
                rng.uniform(-2, 0),
            )
        else:
            edge = abs(STAGES[int(start["stage"])].floor.right)
            x, y = rng.choice([-1, 1]) * rng.uniform(edge, 1.6 * edge), bottom + away
            flies, falls = (0.0, 0.0), rng.uniform(-3.5, 1)
        _put(record, x, y, flies, falls)
        record["percent"] = FIGHTER.player("percent").to_stored(float(rng.integers(0, MOST_PERCENT)))
        record["stocks"] = rng.integers(1, record["stocks"] + 1)
        at = int(rng.integers(0, 20))
        while at < len(pad):
            end = at + int(rng.integers(4, 40))
            _hold(pad[at:end], rng)
            at = end


_OF_THE_AIR, _OF_THE_GROUND = (np.flatnonzero(FLAGS & flag) for flag in (Flag.DRIFT, Flag.GROUND_FREE))


def _stray(start: np.ndarray, pads: np.ndarray, rng: np.random.Generator) -> None:
    _face_off(start, rng, rng.uniform(NEAREST, 3 * FURTHEST))
    astray = rng.random(2) < (0.9, 0.3)
    for player in np.flatnonzero(astray):
        record = start["players"][player]
        lands = rng.random() < 0.7
        record["action_state"] = rng.choice(_OF_THE_AIR if lands else _OF_THE_GROUND)
        if lands and rng.random() < 0.5:
            record["action_state"] = Act.FALL
        record["state_age"] = min(int(rng.exponential(60)), 4000)
        record["on_ground"] = lands
        record["y"] = 0 if lands else FIGHTER.player("y").to_stored(rng.uniform(1, 60))
        if rng.random() < 0.5:
            _hold(pads[int(rng.integers(20)) :, player], rng)


def _put(record: np.ndarray, x: float, y: float, flies: tuple[float, float], falls: float) -> None:
    """Into the air: hit, if it flies, else falling."""
    names = ("x", "y", "speed_attack_x", "speed_attack_y", "speed_y")
    for name, value in zip(names, (x, y, *flies, falls), strict=True):
        record[name] = FIGHTER.player(name).to_stored(value)
    record["action_state"] = Act.DAMAGE_FLY_N if any(flies) else Act.FALL
    record["on_ground"] = record["speed_ground_x"] = 0
