"""Sparks, dust, smoke and knock-out bursts, found by comparing a frame with the one before.

Nothing here is random: the same frames give the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from awm_kit.action_states import Family, family_of, id_of
from awm_kit.play.camera import LOOK_HIGH, LOOK_LOW, LOOK_X, Camera
from awm_kit.play.drawing import Drawing
from awm_kit.play.palette import LIVERIES, ORANGE, WHITE, YELLOW, mix

#: Frames that each kind lives.
LIFE = {"spark": 12, "dust": 18, "smoke": 26, "burst": 45}
GOLDEN = 2.39996
# Dashes, turns at a run, and jumps off the air.
_KICKS_UP_DUST = frozenset(map(id_of, ("Dash", "TurnRun", "RunBrake", "JumpAerialF", "JumpAerialB")))


class Particle(NamedTuple):
    """One effect: where and when it began, whose it is, and how strong."""

    kind: str
    x: float
    y: float
    born: int
    player: int
    strength: float


@dataclass
class Effects:
    """What is in the air; `observe` every frame, then `draw`."""

    particles: list[Particle] = field(default_factory=list)
    shake: float = 0.0
    _previous: np.ndarray | None = None

    def observe(self, frame: np.ndarray) -> None:
        """Compare with the frame seen last; after a cut, start afresh."""
        before, self._previous = self._previous, frame.copy()
        now = int(frame["frame"])
        if before is None or now - int(before["frame"]) != 1:
            if before is None or now != int(before["frame"]):
                self.particles, self.shake = [], 0.0
            return
        self.particles = [p for p in self.particles if now - p.born < LIFE[p.kind]]
        self.shake *= 0.8
        for index in range(2):
            self._compare(before["players"][index], frame["players"][index], now, index)

    def _compare(self, old: np.ndarray, new: np.ndarray, now: int, index: int) -> None:
        x, y = int(new["x"]) / 1024, int(new["y"]) / 1024
        damage = (int(new["percent"]) - int(old["percent"])) / 64
        if damage > 0:
            self._add("spark", x, y + 7, now, index, min(damage, 25.0))
            self.shake = max(self.shake, min(damage, 25.0) * 0.05)
        if int(new["stocks"]) < int(old["stocks"]):
            at = (int(old["x"]) / 1024, int(old["y"]) / 1024)
            self._add("burst", *at, now, index, 1.0)
            self.shake = 2.5
        if new["on_ground"] != old["on_ground"] and family_of(int(new["action_state"])) is not Family.DEAD:
            height = y if new["on_ground"] else int(old["y"]) / 1024
            self._add("dust", x, height, now, index, 1.0)
        entered = int(new["state_age"]) == 0 and int(new["action_state"]) != int(old["action_state"])
        if entered and int(new["action_state"]) in _KICKS_UP_DUST:
            self._add("dust", x, y, now, index, 1.0)
        knockback = np.hypot(int(new["speed_attack_x"]), int(new["speed_attack_y"])) / 1024
        if knockback > 1.6 and now % 3 == 0:
            self._add("smoke", x, y + 6, now, index, min(knockback / 4, 1.0))

    def _add(self, kind: str, x: float, y: float, now: int, player: int, strength: float) -> None:
        self.particles.append(Particle(kind, x, y, now, player, strength))

    def draw(self, out: Drawing, camera: Camera, now: int) -> None:
        """Draw what is alive at frame ``now``."""
        painters = {"spark": _spark, "dust": _dust, "smoke": _smoke, "burst": _burst}
        for particle in self.particles:
            age = (now - particle.born) / LIFE[particle.kind]
            if 0 <= age < 1:
                painters[particle.kind](out, camera, particle, age)


def _spark(out: Drawing, camera: Camera, p: Particle, age: float) -> None:
    center = camera.project(np.array([p.x, p.y]))
    reach = (4 + 0.45 * p.strength) * camera.zoom * (0.4 + 0.9 * age)
    spokes = 14
    angle = np.arange(spokes) * (2 * np.pi / spokes) + p.born
    radius = np.where(np.arange(spokes) % 2, 0.42, 1.0) * reach
    star = center + np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]
    out.polygon(star, mix(YELLOW, ORANGE, age), 0.95 * (1 - age))
    out.polygon(center + (star - center) * 0.55, WHITE, 1 - age)


def _dust(out: Drawing, camera: Camera, p: Particle, age: float) -> None:
    for side in (-1, 1):
        for k in range(2):
            at = (p.x + side * (1.5 + (5 + 3 * k) * age), p.y + 0.6 + (1.4 - k) * age * 2)
            out.disc(camera.project(np.array(at)), (1.3 - 0.3 * k) * camera.zoom, WHITE, 0.5 * (1 - age), 10)


def _smoke(out: Drawing, camera: Camera, p: Particle, age: float) -> None:
    color = mix(WHITE, LIVERIES[p.player % 2].accent, 0.5)
    radius = (1.4 + 2.0 * p.strength) * (0.5 + age) * camera.zoom
    out.disc(camera.project(np.array([p.x, p.y + 2 * age])), radius, color, 0.45 * (1 - age), 14)


def _burst(out: Drawing, camera: Camera, p: Particle, age: float) -> None:
    """A fan of light from where the player left the picture, towards the middle of the stage."""
    start = np.array([np.clip(p.x, -LOOK_X, LOOK_X), np.clip(p.y, LOOK_LOW, LOOK_HIGH)])
    inward = np.array([0.0, 20.0]) - start
    inward /= max(float(np.hypot(*inward)), 1e-6)
    livery = LIVERIES[p.player % 2]
    heading = np.arctan2(inward[1], inward[0])
    grow = 1 - (1 - min(age * 2.2, 1.0)) ** 3
    for k in range(9):
        spread = (k - 4) * 0.13
        length = (60 + 45 * np.cos(k * GOLDEN)) * grow
        sides = heading + spread + np.array([-0.045, 0.045])
        rim = np.concatenate([start[None], start + length * np.stack([np.cos(sides), np.sin(sides)], 1)])
        color = WHITE if k % 3 == 0 else livery.accent if k % 3 == 1 else livery.main
        out.polygon(camera.project(rim), color, 0.85 * (1 - age))
    center = camera.project(start)
    out.ring(center, (6 + 40 * grow) * camera.zoom, 3 * camera.zoom * (1 - age), WHITE, 0.8 * (1 - age))
