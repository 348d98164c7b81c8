"""What a scripted player decides in a situation: move about, fight, get up, come back, or anything at all.

Each part of `decide` writes over what those before it wrote. All roll the `Dice` in a fixed order, whoever
the numbers are for: another order would make other players.
"""

from __future__ import annotations

import numpy as np

from awm_kit.data.scuffle.actions import FLAGS, Act, Flag
from awm_kit.data.scuffle.dice import Dice
from awm_kit.data.scuffle.params import FOX, SPEED_ONE
from awm_kit.data.scuffle.stage import stage_tables
from awm_kit.data.scuffle.state import PAD_FIELDS, PadParts, State
from awm_kit.schema import Button

_EDGE_MARGIN = 8 * SPEED_ONE


class View:
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


class Plan(PadParts):
    """A controller for each deciding player, how long it is held, and when its buttons go up."""

    def __init__(self, n: int, dice: Dice, pace: np.ndarray) -> None:
        for name in PAD_FIELDS:
            setattr(self, name, np.zeros(n, np.int32))
        self.hold = pace.astype(np.int32) + dice.below(6)
        self.press = 2 + dice.below(4)

    def put(self, mask: np.ndarray, **values: np.ndarray | int) -> None:
        """Set parts of the plan where ``mask``."""
        for name, value in values.items():
            np.copyto(getattr(self, name), value, where=mask, casting="unsafe")


def decide(view: View, dice: Dice, skill: dict[str, np.ndarray]) -> Plan:
    """What every deciding player does next; ``skill`` holds the weights of their styles by name."""
    plan = Plan(len(view.x), dice, skill["pace"])
    _move_about(plan, view, dice, skill)
    _fight(plan, view, dice, skill)
    _special_situations(plan, view, dice)
    _recover(plan, view, dice, skill)
    _random_controls(plan, dice, dice.roll() < skill["noise"] * np.where(view.offstage, 0.3, 1))
    return plan


def _full(dice: Dice) -> np.ndarray:
    """Stick deflections: mostly all the way, sometimes partly."""
    partial = 24 + dice.below(56)
    return np.where(dice.roll() < 0.75, 86, partial)


def _jump_button(dice: Dice) -> np.ndarray:
    return np.where(dice.roll() < 0.5, Button.X, Button.Y)


def _shield(plan: Plan, mask: np.ndarray, dice: Dice) -> None:
    """Hold a trigger: digitally, or only its analog part."""
    digital = dice.roll() < 0.6
    on_left = dice.roll() < 0.5
    amount = np.where(digital, 140, 50 + dice.below(90))
    plan.put(mask & on_left, left=amount, buttons=np.where(digital, Button.L, 0))
    plan.put(mask & ~on_left, right=amount, buttons=np.where(digital, Button.R, 0))
    plan.put(mask, press=plan.hold)


def _move_about(plan: Plan, v: View, dice: Dice, skill: dict[str, np.ndarray]) -> None:
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


def _fight(plan: Plan, v: View, dice: Dice, skill: dict[str, np.ndarray]) -> None:
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


def _strike(plan: Plan, v: View, dice: Dice, mask: np.ndarray) -> None:
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


def _special_situations(plan: Plan, v: View, dice: Dice) -> None:
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


def _recover(plan: Plan, v: View, dice: Dice, skill: dict[str, np.ndarray]) -> None:
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


def _random_controls(plan: Plan, dice: Dice, mask: np.ndarray) -> None:
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
