"""Scripted players: they see the frame, decide a few times a second, and hold their controllers like people.

A decision is a controller state held for some frames: sticks stay put, buttons go up again after
a few. What is decided depends on the situation (offstage, on the ledge, holding the other, near,
far, …), on the player's `Style` and on hashes of (seed, player, frame), so a player is a
deterministic function of what it has seen, whoever else plays beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from awm_kit.data.scuffle.actions import FLAGS, Act, Flag
from awm_kit.data.scuffle.params import FOX, SPEED_ONE, Params
from awm_kit.data.scuffle.stage import stage_tables
from awm_kit.data.scuffle.state import PAD_FIELDS, Pad, State
from awm_kit.schema import CONTROLLER, Button


@dataclass(frozen=True)
class Style:
    """Weights (0..1 each) of what a player likes to do, and how well it plays.

    Attributes
    ----------
    strike, grab, shield, dodge : float
        How often a close opponent is answered so.
    approach, leap, dance, camp : float
        Ways to spend time apart: run in, jump in, dash back and forth, keep away.
    chase : float
        Following the opponent off the stage.
    recover : float
        How reliably it comes back to the stage.
    noise : float
        Share of decisions that are random controls.
    pace : int
        Frames that a decision is held, at least.
    """

    strike: float = 0.75
    grab: float = 0.15
    shield: float = 0.1
    dodge: float = 0.1
    approach: float = 0.7
    leap: float = 0.25
    dance: float = 0.15
    camp: float = 0.05
    chase: float = 0.2
    recover: float = 0.97
    noise: float = 0.04
    pace: int = 4


STYLES: dict[str, Style] = {
    "balanced": Style(),
    "rusher": Style(
        strike=0.8, approach=0.8, leap=0.2, dance=0.05, shield=0.04, dodge=0.05, chase=0.3, pace=3
    ),
    "grabber": Style(strike=0.3, grab=0.55, shield=0.2, approach=0.6),
    "turtle": Style(strike=0.35, grab=0.2, shield=0.5, dodge=0.2, approach=0.2, camp=0.4, pace=6),
    "camper": Style(strike=0.5, approach=0.1, leap=0.2, camp=0.7, dodge=0.25),
    "jumper": Style(strike=0.6, approach=0.15, leap=0.8, dance=0.05, chase=0.5),
    "guard": Style(strike=0.7, chase=0.8, approach=0.4, recover=0.99, pace=3),
    "dancer": Style(strike=0.5, dance=0.7, approach=0.3, dodge=0.2),
    "novice": Style(strike=0.4, grab=0.1, approach=0.4, recover=0.85, noise=0.2, pace=9),
    "reckless": Style(strike=0.7, approach=0.5, leap=0.5, chase=0.9, recover=0.85, noise=0.1),
    "masher": Style(noise=0.7, recover=0.8, pace=3),
    "idler": Style(
        strike=0.15, grab=0.05, approach=0.1, leap=0.1, camp=0.3, noise=0.05, pace=14, recover=0.9
    ),
}
STYLE_NAMES = tuple(STYLES)
_STYLE_TABLE = {
    f.name: np.array([getattr(style, f.name) for style in STYLES.values()], np.float32) for f in fields(Style)
}

_EDGE_MARGIN = 8 * SPEED_ONE
_MIX = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35))


def hash32(*values: np.ndarray | int) -> np.ndarray:
    """Mix integers (arrays broadcast) into one uniform uint32 each; the same everywhere."""
    h = np.zeros((), np.uint32)
    with np.errstate(over="ignore"):
        for value in values:
            h = (h ^ np.asarray(value).astype(np.uint32)) * _MIX[0]
            h = (h ^ (h >> np.uint32(15))) * _MIX[1]
            h = (h ^ (h >> np.uint32(13))) * _MIX[2]
            h = h ^ (h >> np.uint32(16))
    return h


class _Dice:
    """Independent uniform numbers for the deciding players, in a fixed order of calls."""

    def __init__(self, key: np.ndarray) -> None:
        self._key = key
        self._n = 0

    def roll(self) -> np.ndarray:
        """Uniform in [0, 1), float32."""
        self._n += 1
        with np.errstate(over="ignore"):
            counter = self._key + np.uint32(self._n * 0x9E3779B1 & 0xFFFFFFFF)
        return (hash32(counter) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)

    def below(self, n: int) -> np.ndarray:
        """Uniform integers 0..n-1, int32."""
        return (self.roll() * n).astype(np.int32)


class _View:
    """What the deciding players see: 1-D arrays over them; ``o_`` is the opponent."""

    def __init__(self, s: State, player: np.ndarray, match: np.ndarray) -> None:
        other = 1 - player
        geometry = stage_tables()
        stage = s.stage[match]
        self.edge = geometry.right[0, stage]
        for name in (
            "x",
            "y",
            "vx",
            "vy",
            "action",
            "age",
            "facing",
            "ground",
            "jumps",
            "character",
            "percent",
        ):
            values = getattr(s, name)
            setattr(self, name, values[player, match])
            setattr(self, "o_" + name, values[other, match])
        self.flags, self.o_flags = FLAGS[self.action], FLAGS[self.o_action]
        self.dx, self.dy = self.o_x - self.x, self.o_y - self.y
        self.toward = np.where(self.dx >= 0, 1, -1)
        self.distance = np.abs(self.dx)
        self.home = np.where(self.x > 0, -1, 1)
        self.offstage = (self.ground == 0) & ((np.abs(self.x) > self.edge) | (self.y < -SPEED_ONE))
        self.o_offstage = (self.o_ground == 0) & (np.abs(self.o_x) > self.edge)

    x: np.ndarray
    y: np.ndarray
    vx: np.ndarray
    vy: np.ndarray
    action: np.ndarray
    age: np.ndarray
    facing: np.ndarray
    ground: np.ndarray
    jumps: np.ndarray
    character: np.ndarray
    percent: np.ndarray
    o_x: np.ndarray
    o_y: np.ndarray
    o_vx: np.ndarray
    o_vy: np.ndarray
    o_action: np.ndarray
    o_age: np.ndarray
    o_ground: np.ndarray
    o_percent: np.ndarray


class _Plan:
    """A controller for each deciding player, how long it is held, and when its buttons go up."""

    def __init__(self, n: int, dice: _Dice, pace: np.ndarray) -> None:
        for name in PAD_FIELDS:
            setattr(self, name, np.zeros(n, np.int32))
        self.hold = pace.astype(np.int32) + dice.below(6)
        self.press = 2 + dice.below(4)

    sx: np.ndarray
    sy: np.ndarray
    cx: np.ndarray
    cy: np.ndarray
    left: np.ndarray
    right: np.ndarray
    buttons: np.ndarray

    def put(self, mask: np.ndarray, **values: np.ndarray | int) -> None:
        """Set parts of the plan where ``mask``."""
        for name, value in values.items():
            np.copyto(getattr(self, name), value, where=mask, casting="unsafe")


class ScriptedPlayers:
    """The players of N matches, shape (2, N).

    Parameters
    ----------
    styles : ndarray of int, shape (2, N)
        Indices into `STYLE_NAMES`.
    seeds : ndarray of int, shape (N,)
        One per match.
    """

    def __init__(self, styles: np.ndarray, seeds: np.ndarray) -> None:
        self.styles = np.asarray(styles, np.int32)
        n = self.styles.shape[1]
        self.key = np.stack([hash32(seeds, 101), hash32(seeds, 202)])
        self.skill = {name: table[self.styles] for name, table in _STYLE_TABLE.items()}
        # How hard a person pushes the stick differs between people: 0.75..1 of full.
        self.strength = 0.75 + 0.25 * np.minimum((hash32(self.key, 7) % 8) / np.float32(4), 1)
        self.pad = Pad(n)
        self.wait = np.zeros((2, n), np.int32)
        self.press = np.zeros((2, n), np.int32)
        self.seen = np.full((2, n), -1, np.int32)

    def take(self, keep: np.ndarray) -> ScriptedPlayers:
        """The players of matches ``keep`` (indices or mask), copied."""
        part = object.__new__(ScriptedPlayers)
        for name in ("styles", "key", "strength", "wait", "press", "seen"):
            setattr(part, name, getattr(self, name)[:, keep])
        part.skill = {name: table[:, keep] for name, table in self.skill.items()}
        part.pad = self.pad.take(keep)
        return part

    def act(self, s: State) -> Pad:
        """Controllers for the step that follows the frames ``s``; a new `Pad` that may be kept."""
        self.wait -= 1
        self.press -= 1
        pad = self.pad.copy()
        np.copyto(pad.buttons, 0, where=self.press <= 0)
        for name in ("cx", "cy"):
            np.copyto(getattr(pad, name), 0, where=self.press <= 0)
        # A new situation of one's own (hit, landed, grabbed, …) is noticed a little later.
        changed = (s.action != self.seen) & ((FLAGS[s.action] & Flag.SHIELDING) == 0)
        self.wait = np.where(changed, np.minimum(self.wait, 3), self.wait)
        self.seen = s.action.copy()
        player, match = np.nonzero(self.wait <= 0)
        if len(player):
            self._decide(s, pad, player, match)
        self.pad = pad
        return pad

    def _decide(self, s: State, pad: Pad, player: np.ndarray, match: np.ndarray) -> None:
        view = _View(s, player, match)
        dice = _Dice(hash32(self.key[player, match], s.frame[match]))
        skill = {name: table[player, match] for name, table in self.skill.items()}
        plan = _Plan(len(player), dice, skill["pace"])
        _move_about(plan, view, dice, skill)
        _fight(plan, view, dice, skill)
        _special_situations(plan, view, dice)
        _recover(plan, view, dice, skill)
        _random_controls(plan, dice, dice.roll() < skill["noise"] * np.where(view.offstage, 0.3, 1))
        strength = self.strength[player, match]
        for name in ("sx", "sy"):
            values = getattr(plan, name) * strength + (dice.below(5) - 2) * (getattr(plan, name) != 0)
            getattr(pad, name)[player, match] = np.clip(np.round(values), -80, 80)
        for name in ("cx", "cy", "left", "right", "buttons"):
            getattr(pad, name)[player, match] = getattr(plan, name)
        self.wait[player, match] = plan.hold
        self.press[player, match] = plan.press


def _full(dice: _Dice) -> np.ndarray:
    """Stick deflections: mostly all the way, sometimes partly."""
    partial = 24 + dice.below(56)
    return np.where(dice.roll() < 0.75, 86, partial)


def _jump_button(dice: _Dice) -> np.ndarray:
    return np.where(dice.roll() < 0.5, Button.X, Button.Y)


def _shield(plan: _Plan, mask: np.ndarray, dice: _Dice) -> None:
    """Hold a trigger: digitally, or only its analog part."""
    digital = dice.roll() < 0.6
    on_left = dice.roll() < 0.5
    amount = np.where(digital, 140, 50 + dice.below(90))
    plan.put(mask & on_left, left=amount, buttons=np.where(digital, Button.L, 0))
    plan.put(mask & ~on_left, right=amount, buttons=np.where(digital, Button.R, 0))
    plan.put(mask, press=plan.hold)


def _move_about(plan: _Plan, v: _View, dice: _Dice, skill: dict[str, np.ndarray]) -> None:
    """Footwork away from the opponent; stays on the stage unless it chases."""
    total = skill["approach"] + skill["leap"] + skill["dance"] + skill["camp"] + 0.25
    choice = dice.roll() * total
    reach = _full(dice)
    approach = choice < skill["approach"]
    choice = choice - skill["approach"]
    leap = ~approach & (choice < skill["leap"])
    choice = choice - skill["leap"]
    dance = ~approach & ~leap & (choice < skill["dance"])
    choice = choice - skill["dance"]
    camp = ~approach & ~leap & ~dance & (choice < skill["camp"])
    plan.put(approach | leap, sx=v.toward * reach)
    plan.put(leap & (dice.roll() < np.where(v.ground == 1, 0.6, 0.15)), buttons=_jump_button(dice))
    plan.put(dance, sx=np.where(dice.roll() < 0.5, 1, -1) * 86)
    plan.put(camp, sx=-v.toward * reach * (v.distance < 70 * SPEED_ONE))
    hop = camp & (v.ground == 1) & (dice.roll() < 0.15)
    plan.put(hop, buttons=_jump_button(dice))

    above = approach & (v.dy > 18 * SPEED_ONE) & (v.distance < 40 * SPEED_ONE)
    plan.put(above & (dice.roll() < np.where(v.ground == 1, 0.6, 0.25)), buttons=_jump_button(dice), press=5)
    below = (v.ground == 1) & (v.y > 0) & (v.dy < -15 * SPEED_ONE) & (dice.roll() < 0.7)
    plan.put(below, sy=-86, sx=0, hold=8)
    fast_fall = (v.ground == 0) & (v.vy < 0) & (dice.roll() < 0.3)
    plan.put(fast_fall, sy=-86)

    # Where running or drifting on for a third of a second would lead.
    ahead = np.abs(v.x + 20 * v.vx) > v.edge - _EDGE_MARGIN
    leaving = (np.abs(v.x) < v.edge + _EDGE_MARGIN) & ahead & ((plan.sx * v.x > 0) | (v.vx * v.x > 0))
    leaving &= dice.roll() > skill["chase"] * 0.5 * v.o_offstage + 0.01
    turn_back = np.abs(v.x) > v.edge - _EDGE_MARGIN
    plan.put(leaving, sx=np.where(turn_back | (v.ground == 0), v.home * 86, 0), hold=3)


def _fight(plan: _Plan, v: _View, dice: _Dice, skill: dict[str, np.ndarray]) -> None:
    """Attack, grab, shield or dodge when the opponent is close; wait while it cannot be hit."""
    # Where the opponent will be when an attack begun now comes out.
    soon = np.abs(v.dx + 6 * (v.o_vx - v.vx))
    arm = np.where(v.character == FOX, 17, 20) * SPEED_ONE
    near = (soon < arm) & (v.distance < 30 * SPEED_ONE) & (np.abs(v.dy) < 20 * SPEED_ONE)
    in_range = (v.distance < 15 * SPEED_ONE) & (np.abs(v.dy) < 14 * SPEED_ONE)
    threat = (v.o_action >= Act.JAB) & (v.o_action <= Act.D_AIR)
    total = skill["strike"] + skill["grab"] + skill["shield"] + skill["dodge"] + 0.1
    choice = dice.roll() * total
    strike = near & (choice < skill["strike"])
    choice = choice - skill["strike"]
    grab = in_range & ~strike & (choice >= 0) & (choice < skill["grab"])
    choice = choice - skill["grab"]
    guard = near & (v.ground == 1) & ~strike & ~grab & (choice >= 0) & (choice < skill["shield"])
    choice = choice - skill["shield"]
    dodge = near & ~strike & ~grab & ~guard & (choice >= 0) & (choice < skill["dodge"])
    guard |= near & threat & (v.ground == 1) & (dice.roll() < skill["shield"])

    _strike(plan, v, dice, strike)
    grounded = v.ground == 1
    plan.put(grab & grounded, buttons=Button.Z, sx=np.where(dice.roll() < 0.5, v.toward * 40, 0), sy=0)
    dodge &= (v.ground == 1) | ((np.abs(v.x) < v.edge) & (dice.roll() < 0.4))
    plan.put(guard | dodge, sx=0, sy=0, buttons=0)
    plan.put(guard, hold=np.where(dice.roll() < 0.06, 240, plan.hold + dice.below(24)))
    _shield(plan, guard | dodge, dice)
    roll = dodge & (dice.roll() < 0.6)
    plan.put(roll, sx=np.where(v.ground == 0, v.home, np.where(dice.roll() < 0.5, 1, -1)) * 86)
    plan.put(dodge & ~roll, sy=-86)
    shielding = (v.flags & Flag.SHIELDING) != 0
    out = shielding & (dice.roll() < 0.3)
    plan.put(out & in_range, buttons=Button.A, left=0, right=0, sx=0, sy=0)


def _strike(plan: _Plan, v: _View, dice: _Dice, mask: np.ndarray) -> None:
    """An attack in the opponent's direction, with A, B or the C-stick."""
    kind = dice.roll()
    high = v.dy > 8 * SPEED_ONE
    low = v.dy < -8 * SPEED_ONE
    plan.put(mask, buttons=Button.A, sx=0, sy=0)
    tilt = 30 + dice.below(20)
    plan.put(mask & (kind < 0.35), sx=v.toward * tilt)
    smash = mask & (kind >= 0.35) & (kind < 0.55)
    plan.put(smash, sx=v.toward * 86)
    down = mask & (kind >= 0.55) & (kind < 0.68)
    plan.put(down, sy=-tilt)
    c = mask & (kind >= 0.8)
    c_up = high | (dice.roll() < 0.15)
    c_down = ~c_up & (low | (dice.roll() < 0.2))
    size = 60 + dice.below(21)
    plan.put(c, buttons=0, cx=np.where(c_up | c_down, 0, v.toward * size))
    plan.put(c, cy=np.where(c_up, size, np.where(c_down, -size, 0)))
    upward = mask & high & ~c & (dice.roll() < 0.7)
    plan.put(upward, sx=0, sy=np.where(dice.roll() < 0.5, 86, tilt))
    downward = mask & low & (v.ground == 0) & ~c & (dice.roll() < 0.6)
    plan.put(downward, sx=0, sy=-tilt)
    jump_first = mask & (v.ground == 1) & (dice.roll() < 0.22)
    plan.put(jump_first, buttons=_jump_button(dice), sx=v.toward * 86, sy=0, cx=0, cy=0, hold=3)
    plan.put(mask & (dice.roll() < 0.05), buttons=Button.B)


def _special_situations(plan: _Plan, v: _View, dice: _Dice) -> None:
    """Holding, held, on the ledge, lying, tumbling, reborn, dead."""
    holding = v.action == Act.CATCH_WAIT
    horizontal = dice.roll() < 0.6
    sign = np.where(dice.roll() < 0.6, 1, -1)
    plan.put(holding, buttons=0, cx=0, cy=0, left=0, right=0)
    holding &= (v.age > 8) & (dice.roll() < 0.75)
    plan.put(holding, sx=np.where(horizontal, v.facing * sign * 86, 0), sy=np.where(horizontal, 0, sign * 86))

    mash = ((v.flags & Flag.HELD) != 0) | (v.action == Act.FURA_FURA)
    mash &= dice.roll() < 0.8
    button = np.array([Button.A, Button.B, Button.X, Button.Y], np.int32)[dice.below(4)]
    plan.put(mash, buttons=button, hold=4 + dice.below(4), press=2)

    hanging = (v.action == Act.CLIFF_WAIT) | (v.action == Act.CLIFF_CATCH)
    option = dice.roll()
    plan.put(hanging, sx=0, sy=0, cx=0, cy=0, buttons=0, left=0, right=0, hold=6 + dice.below(16))
    hanging &= v.action == Act.CLIFF_WAIT
    plan.put(hanging & (option < 0.3), sx=v.facing * 86)
    plan.put(hanging & (option >= 0.3) & (option < 0.5), buttons=_jump_button(dice), sx=v.facing * 60)
    plan.put(hanging & (option >= 0.5) & (option < 0.65), buttons=Button.A)
    plan.put(hanging & (option >= 0.65) & (option < 0.8), buttons=Button.R, right=140)
    plan.put(hanging & (option >= 0.8) & (option < 0.9), sy=-86, hold=5)

    lying = v.action == Act.DOWN_WAIT
    option = dice.roll()
    plan.put(lying, sx=0, sy=0, cx=0, cy=0, buttons=0, left=0, right=0)
    plan.put(lying & (option < 0.3), buttons=Button.A)
    plan.put(lying & (option >= 0.3) & (option < 0.65), sx=np.where(dice.roll() < 0.5, 86, -86))
    plan.put(lying & (option >= 0.65) & (option < 0.9), sy=86)

    tumbling = (v.flags & Flag.TUMBLE) != 0
    plan.put(tumbling, buttons=0, cx=0, cy=0, sx=v.home * 86, sy=0)
    tech = (
        tumbling
        & (v.y < 40 * SPEED_ONE)
        & (np.abs(v.x) < v.edge - _EDGE_MARGIN)
        & (v.vy < 0)
        & (dice.roll() < 0.5)
    )
    _shield(plan, tech, dice)
    plan.put(tumbling & ~tech & (dice.roll() < 0.2), sx=-v.home * 86)

    resting = ((v.flags & Flag.DEAD) != 0) | (v.action == Act.REBIRTH)
    waiting = (v.action == Act.REBIRTH_WAIT) & (dice.roll() < 0.7)
    plan.put(resting | waiting, sx=0, sy=0, cx=0, cy=0, buttons=0, left=0, right=0, hold=8 + dice.below(10))


def _recover(plan: _Plan, v: _View, dice: _Dice, skill: dict[str, np.ndarray]) -> None:
    """Off the stage: steer home, then the second jump, then the upwards special."""
    able = (v.flags & (Flag.DRIFT | Flag.SPECIAL)) != 0
    off = v.offstage & able & (dice.roll() < skill["recover"])
    chasing = v.o_offstage & ((v.x > 0) == (v.o_x > 0)) & (v.jumps > 0) & (v.y > 8 * SPEED_ONE)
    off &= ~(chasing & (dice.roll() < skill["chase"]))
    out = np.abs(v.x) - v.edge
    plan.put(off, sx=v.home * 86, sy=0, cx=0, cy=0, buttons=0, left=0, right=0, hold=2 + dice.below(3))
    sinking = off & (v.vy <= 0) & (v.y < 14 * SPEED_ONE - (out >> 3))
    jump = sinking & (v.jumps > 0)
    plan.put(jump, buttons=_jump_button(dice))
    depth = np.where(v.character == FOX, -12, -20) * SPEED_ONE
    special = sinking & (v.jumps == 0) & (v.y < depth + (out >> 1)) & (v.action != Act.FALL_SPECIAL)
    plan.put(special, buttons=Button.B, sx=v.home * 30, sy=86, hold=4)
    rising = off & ((v.flags & Flag.SPECIAL) != 0)
    plan.put(rising, sx=v.home * 86, sy=0, buttons=0)
    air_dodge = off & (out < 20 * SPEED_ONE) & (np.abs(v.y) < 12 * SPEED_ONE) & (dice.roll() < 0.04)
    plan.put(air_dodge, sx=v.home * 86, sy=np.where(v.y < 0, 86, 0), buttons=Button.L, left=140)


def _random_controls(plan: _Plan, dice: _Dice, mask: np.ndarray) -> None:
    """Anything at all: what nobody plans, a world must still survive."""
    for name in ("sx", "sy"):
        mode = dice.roll()
        value = np.where(
            mode < 0.4, 0, np.where(mode < 0.7, dice.below(173) - 86, np.where(mode < 0.85, 86, -86))
        )
        plan.put(mask, **{name: value})
    for name in ("cx", "cy"):
        plan.put(mask, **{name: np.where(dice.roll() < 0.85, 0, dice.below(161) - 80)})
    bits = np.array(
        [0, 0, 0, Button.A, Button.A, Button.B, Button.X, Button.Y, Button.Z, Button.L, Button.R,
         Button.A | Button.X, Button.B | Button.Y, Button.R | Button.A, Button.X, Button.B],
        np.int32,
    )  # fmt: skip
    buttons = bits[dice.below(len(bits))]
    plan.put(mask, buttons=buttons)
    plan.put(
        mask, left=np.where((buttons & Button.L) != 0, 140, np.where(dice.roll() < 0.9, 0, dice.below(141)))
    )
    plan.put(
        mask, right=np.where((buttons & Button.R) != 0, 140, np.where(dice.roll() < 0.9, 0, dice.below(141)))
    )


class ScriptedPlayer:
    """One scripted player for a live match, in any world: it reads nothing but the visible frame.

    Parameters
    ----------
    style : str
        One of `STYLE_NAMES`.
    player_index : int
        0 or 1.
    seed : int
    params : Params, optional
        Kept for callers that vary it; the scripts look at the frame only.
    """

    def __init__(
        self, style: str = "balanced", player_index: int = 1, seed: int = 0, params: Params | None = None
    ) -> None:
        if style not in STYLES:
            raise ValueError(f"expected a style of {', '.join(STYLE_NAMES)} (got {style!r})")
        if player_index not in (0, 1):
            raise ValueError(f"expected player_index 0 or 1 (got {player_index})")
        self.style, self.player_index, self.params = style, player_index, params or Params()
        styles = np.full((2, 1), STYLE_NAMES.index(style))
        self._players = ScriptedPlayers(styles, np.array([seed], np.uint32))

    def controller(self, frame: np.ndarray) -> np.ndarray:
        """The controller to apply after ``frame``.

        Parameters
        ----------
        frame : ndarray of `schema.FRAME`, shape ()

        Returns
        -------
        ndarray of `schema.CONTROLLER`, shape ()
        """
        pad = self._players.act(State.from_frames(np.asarray(frame).reshape(1)))
        controller = np.zeros((), CONTROLLER)
        controller[...] = pad.to_inputs()[0, self.player_index]
        controller["sequence"] = frame["frame"] + 1
        return controller
