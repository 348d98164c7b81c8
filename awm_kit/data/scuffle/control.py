"""What the controllers and the clock make the characters do: every change of action but hits and landings."""

from __future__ import annotations

import numpy as np

from awm_kit.data.scuffle.actions import (
    DURATION,
    FLAGS,
    NEXT,
    REBIRTH_FRAMES,
    SPECIAL_HI,
    Act,
    Flag,
)
from awm_kit.data.scuffle.params import PERCENT_ONE, SHIELD_ONE, SPEED_ONE, Physics
from awm_kit.data.scuffle.state import JUMP_BUTTONS, MASH_BUTTONS, SHIELD_BUTTONS, Pad, State
from awm_kit.schema import Button

# Stick thresholds, 1/80.
DEAD_ZONE, DASH, SMASH_Y, TILT, UP, DOWN, C_STICK = 20, 64, 56, 24, 53, -50, 40
DIAGONAL = 724  # cos 45°, Q10


class Press:
    """What the controllers do this frame, and what of it is new (edges)."""

    def __init__(self, pad: Pad, held: Pad) -> None:
        new = pad.buttons & ~held.buttons
        self.pad = pad
        self.sx, self.sy = pad.sx, pad.sy
        self.abs_x, self.abs_y = np.abs(pad.sx), np.abs(pad.sy)
        self.side = np.sign(pad.sx) * (self.abs_x >= DEAD_ZONE)
        self.a = (new & Button.A) != 0
        self.b = (new & Button.B) != 0
        self.z = (new & Button.Z) != 0
        self.dodge = (new & SHIELD_BUTTONS) != 0
        self.mash = (new & MASH_BUTTONS) != 0
        self.jump_button = (new & JUMP_BUTTONS) != 0
        self.jump = self.jump_button | ((pad.sy >= UP) & (held.sy < UP))
        self.jump_held = ((pad.buttons & JUMP_BUTTONS) != 0) | (pad.sy >= UP)
        self.shield = pad.shielding
        self.wiggle = (self.abs_x >= DASH) & (np.abs(held.sx) < DASH)
        c_now = np.maximum(np.abs(pad.cx), np.abs(pad.cy)) >= C_STICK
        self.c = c_now & (np.maximum(np.abs(held.cx), np.abs(held.cy)) < C_STICK)
        self.c_side = np.abs(pad.cx) >= np.abs(pad.cy)


def run_clock(s: State, p: Press, k: Physics, active: np.ndarray) -> None:
    """End the actions whose time is up."""
    a, age = s.action, s.age
    squat_done = active & (a == Act.KNEE_BEND) & (age >= k.by_character["jump_squat"][s.character])
    dizzy_done = active & (a == Act.FURA_FURA) & (age >= k.params.dizzy_frames)
    flags = FLAGS[a]
    stunned = active & ((flags & Flag.HITSTUN) != 0) & (age >= k.params.hitstun_min)
    stunned &= np.maximum(np.abs(s.kx), np.abs(s.ky)) <= k.speed("hitstun_speed")
    shield_stun_done = active & (a == Act.GUARD_SET_OFF) & (s.kx == 0)
    reborn = active & ((flags & Flag.DEAD) != 0) & (age >= DURATION[a]) & (s.stocks > 0)
    over = active & (age >= DURATION[a]) & ((flags & Flag.DEAD) == 0)
    run_on = over & (a == Act.DASH) & (p.sx * s.facing >= SMASH_Y)
    drop = over & (a == Act.SQUAT) & (p.sy <= DOWN) & (s.y > 0)
    cliff_jump = over & (a == Act.CLIFF_JUMP)

    s.enter(over, NEXT[a])
    s.enter(run_on, Act.RUN)
    s.enter(drop, Act.PASS)
    s.assign(drop, ground=0, jumps=1, vy=0)
    s.enter(dizzy_done, Act.WAIT)
    s.enter(shield_stun_done, np.where(p.shield, Act.GUARD, Act.GUARD_OFF))
    tumbling = (flags & Flag.TUMBLE) != 0
    s.enter(stunned, np.where(tumbling, Act.DAMAGE_FALL, np.where(s.ground == 1, Act.WAIT, Act.FALL)))
    leap = active & ((flags & Flag.SPECIAL) != 0) & (age == k.by_character["special_start"][s.character])
    s.assign(leap, ground=0, facing=np.where(p.side != 0, p.side, s.facing))
    _take_off(s, p, k, squat_done, cliff_jump)
    _be_reborn(s, k, reborn)


def _take_off(s: State, p: Press, k: Physics, squat_done: np.ndarray, cliff_jump: np.ndarray) -> None:
    by = k.by_character
    rise = np.where(p.jump_held, by["jump_speed"][s.character], by["hop_speed"][s.character])
    limit = by["air_speed"][s.character]
    s.enter(squat_done, np.where(p.side * s.facing >= 0, Act.JUMP_F, Act.JUMP_B))
    s.assign(squat_done, vy=rise, vx=np.clip(s.vx, -limit, limit), ground=0, jumps=1)
    s.assign(cliff_jump, vy=by["jump_speed"][s.character], vx=s.facing * (limit >> 1), jumps=1)


def _be_reborn(s: State, k: Physics, reborn: np.ndarray) -> None:
    """Back above the stage, players 0 and 1 left and right of the middle, facing it."""
    side = np.array([[-1], [1]], np.int32)
    height = k.speed("respawn_height") + REBIRTH_FRAMES * (SPEED_ONE * 3 // 2)
    s.enter(reborn, Act.REBIRTH)
    s.assign(
        reborn, x=side * (24 * SPEED_ONE), y=height, facing=-side, jumps=1, ground=0, shield=60 * SHIELD_ONE
    )


def choose_actions(s: State, p: Press, k: Physics, active: np.ndarray) -> None:
    """Start what the players ask for, where their current action lets them."""
    flags = FLAGS[s.action]
    on_ground = s.ground == 1
    free = active & ((flags & Flag.GROUND_FREE) != 0) & on_ground
    free_air = active & ((flags & Flag.AIR_FREE) != 0) & ~on_ground
    _ground_attacks(s, p, free)
    _jump_squat(s, p, active)
    _guard(s, p, active)
    free &= (FLAGS[s.action] & Flag.GROUND_FREE) != 0
    _ground_moves(s, p, free)
    _air(s, p, k, free_air)
    _ledge(s, p, active)
    _lying(s, p, active)
    _held(s, p, k, active)


def _ground_attacks(s: State, p: Press, free: np.ndarray) -> None:
    a = s.action
    dashing = ((a == Act.DASH) & (s.age >= 3)) | (a == Act.RUN)
    sideways = p.abs_x >= p.abs_y
    want = np.where(p.sy >= TILT, Act.U_TILT, np.where(p.sy <= -TILT, Act.D_TILT, Act.JAB))
    np.copyto(want, Act.U_SMASH, where=p.sy >= SMASH_Y)
    np.copyto(want, Act.D_SMASH, where=p.sy <= -DASH)
    np.copyto(want, Act.F_TILT, where=sideways & (p.abs_x >= TILT))
    np.copyto(want, Act.F_SMASH, where=sideways & (p.abs_x >= DASH))
    np.copyto(want, Act.D_TILT, where=(a == Act.SQUAT) | (a == Act.SQUAT_WAIT))
    np.copyto(want, Act.DASH_ATTACK, where=dashing)
    by_c = np.where(p.c_side, Act.F_SMASH, np.where(p.pad.cy > 0, Act.U_SMASH, Act.D_SMASH))
    np.copyto(want, by_c, where=p.c)
    by_b = np.where(p.sy >= C_STICK, SPECIAL_HI[s.character], Act.F_SMASH)
    np.copyto(want, by_b, where=p.b)
    grab = free & p.z
    attack = free & (p.a | p.b | p.c) & ~grab
    forward = (want == Act.F_TILT) | (want == Act.F_SMASH)
    side = np.where(p.c & ~p.b & p.c_side, np.sign(p.pad.cx), p.side)
    s.assign(attack & forward & (side != 0), facing=side)
    s.enter(attack, want)
    s.enter(grab, np.where(dashing, Act.CATCH_DASH, Act.CATCH))


def _jump_squat(s: State, p: Press, active: np.ndarray) -> None:
    squat = active & (s.action == Act.KNEE_BEND)
    s.enter(squat & p.a & (p.sy >= SMASH_Y), Act.U_SMASH)
    s.enter(squat & p.b & (p.sy >= C_STICK), SPECIAL_HI[s.character])


def _guard(s: State, p: Press, active: np.ndarray) -> None:
    a = s.action
    up = active & ((a == Act.GUARD_ON) | (a == Act.GUARD))
    grab = up & (p.a | p.z)
    spot = up & ~grab & p.shield & (p.sy <= -SMASH_Y)
    roll = up & ~grab & p.shield & ~spot & (p.abs_x >= SMASH_Y)
    jump = up & ~grab & ~spot & ~roll & p.jump
    drop = up & ~grab & ~spot & ~roll & ~jump & (a == Act.GUARD) & ~p.shield
    s.enter(grab, Act.CATCH)
    s.enter(spot, Act.ESCAPE)
    s.enter(roll, np.where(p.side * s.facing > 0, Act.ESCAPE_F, Act.ESCAPE_B))
    s.enter(jump, Act.KNEE_BEND)
    s.enter(drop, Act.GUARD_OFF)


def _ground_moves(s: State, p: Press, free: np.ndarray) -> None:
    a = s.action
    jump = free & p.jump
    s.enter(jump, Act.KNEE_BEND)
    free = free & ~jump
    shield = free & p.shield
    s.enter(shield, Act.GUARD_ON)
    free = free & ~shield

    squatting = (a == Act.SQUAT) | (a == Act.SQUAT_WAIT)
    down = free & (p.sy <= DOWN) & (p.abs_x < DASH)
    s.enter(down & ~squatting & (a != Act.DASH) & (a != Act.TURN_RUN), Act.SQUAT)
    s.enter(free & squatting & (p.sy > DOWN), Act.SQUAT_RV)
    free = free & ~down & ~squatting

    running = (a == Act.RUN) | (a == Act.DASH)
    ahead = p.side * s.facing
    strong = p.abs_x >= DASH
    turn_back = free & (a == Act.RUN) & strong & (ahead < 0)
    brake = free & (a == Act.RUN) & ~turn_back & ((ahead <= 0) | (p.abs_x < 48))
    s.enter(turn_back, Act.TURN_RUN)
    s.enter(brake, Act.RUN_BRAKE)
    braking = ((a == Act.RUN_BRAKE) & (s.age < 8)) | (a == Act.TURN_RUN)
    dash = free & strong & ~braking & (~running | ((a == Act.DASH) & (ahead < 0)))
    s.enter(dash, Act.DASH)
    np.copyto(s.facing, p.side, where=dash | turn_back)

    walking = (a >= Act.WALK_SLOW) & (a <= Act.WALK_FAST)
    idle = free & ~dash & ((a == Act.WAIT) | walking)
    turn = idle & (ahead < 0)
    s.enter(turn, Act.TURN)
    s.assign(turn, facing=-s.facing)
    level = np.where(p.abs_x < 36, Act.WALK_SLOW, np.where(p.abs_x < 50, Act.WALK_MIDDLE, Act.WALK_FAST))
    s.enter(idle & (ahead > 0) & (a != level), level)
    s.enter(idle & (ahead == 0) & walking, Act.WAIT)


def _air(s: State, p: Press, k: Physics, free: np.ndarray) -> None:
    a = s.action
    use_c = p.c
    sx = np.where(use_c, p.pad.cx, p.sx)
    sy = np.where(use_c, p.pad.cy, p.sy)
    sideways = (np.abs(sx) >= np.abs(sy)) & (np.abs(sx) >= TILT)
    want = np.where(sy >= TILT, Act.U_AIR, np.where(sy <= -TILT, Act.D_AIR, Act.N_AIR))
    np.copyto(want, np.where(sx * s.facing > 0, Act.F_AIR, Act.B_AIR), where=sideways)
    np.copyto(want, np.where(p.sy >= C_STICK, SPECIAL_HI[s.character], Act.F_AIR), where=p.b)
    attack = free & (p.a | p.b | p.c | p.z)
    special = attack & ((FLAGS[want] & Flag.SPECIAL) != 0)
    s.enter(attack, want)
    s.assign(special, vx=0, vy=0)
    free = free & ~attack

    jump = free & p.jump & (s.jumps > 0)
    by = k.by_character
    s.enter(jump, np.where(p.side * s.facing >= 0, Act.JUMP_AERIAL_F, Act.JUMP_AERIAL_B))
    s.assign(jump, vy=by["double_jump_speed"][s.character], jumps=0)
    s.assign(jump & (p.side != 0), vx=p.side * by["air_speed"][s.character])
    free = free & ~jump

    dodge = free & p.dodge
    side_x = p.side
    side_y = np.sign(p.sy) * (p.abs_y >= DEAD_ZONE)
    straight = k.speed("air_dodge_speed")
    speed = np.where((side_x != 0) & (side_y != 0), straight * DIAGONAL >> 10, straight)
    s.enter(dodge, Act.ESCAPE_AIR)
    s.assign(dodge, vx=side_x * speed, vy=side_y * speed)
    free = free & ~dodge

    s.enter(free & (a == Act.DAMAGE_FALL) & p.wiggle, Act.FALL)
    jumping = (a >= Act.JUMP_F) & (a <= Act.JUMP_AERIAL_B)
    s.enter(free & jumping & (s.vy < 0), Act.FALL)


def _ledge(s: State, p: Press, active: np.ndarray) -> None:
    hang = active & (s.action == Act.CLIFF_WAIT) & (s.age >= 4)
    inward = p.sx * s.facing
    options = (
        (p.jump_button, Act.CLIFF_JUMP),
        (p.a | p.b | p.c, Act.CLIFF_ATTACK),
        (p.dodge, Act.CLIFF_ESCAPE),
        ((inward >= DASH) | (p.sy >= C_STICK), Act.CLIFF_CLIMB),
        ((inward <= -DASH) | (p.sy <= DOWN), Act.FALL),
    )
    for asked, act in options:
        chosen = hang & asked
        s.enter(chosen, act)
        hang = hang & ~chosen
        if act == Act.FALL:
            s.assign(chosen, vy=-(SPEED_ONE * 3 // 2))


def _lying(s: State, p: Press, active: np.ndarray) -> None:
    down = active & (s.action == Act.DOWN_WAIT)
    attack = down & (p.a | p.b | p.c)
    roll = down & ~attack & (p.abs_x >= SMASH_Y)
    stand = down & ~attack & ~roll & ((p.sy >= C_STICK) | p.shield | p.jump)
    s.enter(attack, Act.DOWN_ATTACK)
    s.enter(roll, np.where(p.side * s.facing > 0, Act.DOWN_FORWARD, Act.DOWN_BACK))
    s.enter(stand, Act.DOWN_STAND)
    moved = (p.abs_x >= C_STICK) | (p.abs_y >= C_STICK) | p.mash
    s.enter(active & (s.action == Act.REBIRTH_WAIT) & moved, Act.FALL)


def _held(s: State, p: Press, k: Physics, active: np.ndarray) -> None:
    """Throws, and escapes from grabs. A grab whose other half is missing lets go."""
    hold = active & (s.action == Act.CATCH_WAIT)
    ahead = p.sx * s.facing
    sideways = p.abs_x >= p.abs_y
    throw = np.where(ahead > 0, Act.THROW_F, Act.THROW_B)
    throw = np.where(sideways, throw, np.where(p.sy > 0, Act.THROW_HI, Act.THROW_LW))
    captive = s.action[::-1] == Act.CAPTURE_WAIT
    throws = hold & captive & (np.maximum(p.abs_x, p.abs_y) >= C_STICK)
    thrown_as = (throw + (Act.THROWN_F - Act.THROW_F))[::-1]
    s.enter(throws, throw)
    s.enter(throws[::-1], thrown_as)

    limit = (
        k.params.grab_frames + (s.percent * round(k.params.grab_frames_per_percent * 256) >> 8) // PERCENT_ONE
    )
    captive = active & (s.action == Act.CAPTURE_WAIT)
    free = captive & (((s.age >= limit) & p.mash) | (s.age >= 2 * limit))
    flags = FLAGS[s.action]
    held, holding = (flags & Flag.HELD) != 0, (flags & Flag.HOLDING) != 0
    free |= held & ~holding[::-1]
    lost = (
        holding & (~held[::-1] | free[::-1]) & ((s.action == Act.CATCH_PULL) | (s.action == Act.CATCH_WAIT))
    )
    s.enter(free, Act.CAPTURE_CUT)
    s.enter(lost, Act.CATCH_CUT)
    s.assign(free | lost, kx=-s.facing * SPEED_ONE)
