"""The sky, which never moves, and the stage, which the camera moves."""

from __future__ import annotations

import numpy as np

from awm_kit.data.scuffle.stage import STAGES, Floor, Stage
from awm_kit.play.camera import Camera
from awm_kit.play.drawing import Drawing
from awm_kit.play.palette import INK, WHITE, Color, mix

_NIGHT: Color = (24, 28, 62)
_DUSK: Color = (96, 84, 140)
_GLOW: Color = (238, 168, 132)
_MOON: Color = (250, 240, 214)
_ROCK: Color = (58, 62, 92)
_ROCK_DARK: Color = (38, 41, 66)
_TOP: Color = (112, 196, 160)
_PLANK: Color = (206, 178, 128)
# Mountains, far to near: height of the foot and of the peaks as shares of the picture, colour, phase.
_RANGES: tuple[tuple[float, float, Color, float], ...] = (
    (0.60, 0.16, (84, 74, 126), 0.9),
    (0.74, 0.13, (58, 54, 100), 3.1),
    (0.88, 0.08, (40, 40, 76), 5.2),
)


def draw_sky(out: Drawing, width: int, height: int) -> None:
    """Dusk behind two mountain ranges; bands of flat colour, which a GIF stores cheaply."""
    bands = 48
    for i in range(bands):
        share = i / (bands - 1)
        color = mix(_NIGHT, _DUSK, share / 0.6) if share < 0.6 else mix(_DUSK, _GLOW, (share - 0.6) / 0.4)
        out.rect(0, height * 0.78 * i / bands, width, height * 0.78 / bands + 1, color)
    out.rect(0, height * 0.78, width, height * 0.22, _GLOW)
    places = np.random.default_rng(7).random((40, 3))
    for x, y, size in places:
        out.disc((x * width, y * 0.45 * height), 0.6 + 1.1 * size, WHITE, 0.25 + 0.5 * size, 6)
    _crescent(out, np.array([width * 0.77, height * 0.2]), height * 0.075)
    for base, rise, color, phase in _RANGES:
        x = np.linspace(0, width, 49)
        far = x / width
        wave = np.sin(9 * far + phase) + 0.6 * np.sin(23 * far + 2 * phase) + np.abs(np.sin(5 * far + phase))
        ridge = np.stack([x, height * (base - rise * wave / 2.6)], 1)
        out.polygon(np.concatenate([ridge, [(width, height), (0, height)]]), color)


def _crescent(out: Drawing, center: np.ndarray, radius: float) -> None:
    """Half of a circle and, bent less, the way back."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 24)
    outer = np.stack([np.cos(angle), np.sin(angle)], 1)
    inner = outer[::-1] * (0.42, 1.0)
    turn = np.radians(-38)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    out.polygon(center + radius * np.concatenate([outer, inner]) @ rotation.T, _MOON)


def draw_stage(out: Drawing, camera: Camera, stage_id: int) -> None:
    """The floor as a floating island, platforms as planks; an unknown stage gets Final Destination's."""
    stage = STAGES.get(stage_id, STAGES[32])
    _island(out, camera, stage)
    for platform in stage.platforms:
        _plank(out, camera, platform)


def _island(out: Drawing, camera: Camera, stage: Stage) -> None:
    edge = stage.floor.right
    rock = [
        (-edge, 0), (edge, 0), (edge, -5), (edge * 0.93, -9), (edge * 0.72, -13), (edge * 0.55, -24),
        (edge * 0.3, -30), (edge * 0.16, -46), (0, -52), (-edge * 0.14, -42), (-edge * 0.33, -33),
        (-edge * 0.5, -22), (-edge * 0.74, -15), (-edge * 0.93, -9), (-edge, -5),
    ]  # fmt: skip
    shape = np.array(rock, np.float64)
    middle = np.array([0.0, -14.0])
    rim = 1 + 0.6 / edge
    out.polygon(camera.project(middle + (shape - middle) * (rim, 1.03)), INK)
    out.polygon(camera.project(shape), _ROCK)
    shade = shape[2:-1] * (0.9, 0.8) + (0, -5)
    out.polygon(camera.project(shade), _ROCK_DARK)
    for left, width, depth in ((-0.62, 0.16, 17), (-0.2, 0.2, 26), (0.3, 0.15, 20)):
        facet = [(left * edge, -9), ((left + width) * edge, -9), ((left + width * 0.6) * edge, -depth)]
        out.polygon(camera.project(np.array(facet)), mix(_ROCK, _ROCK_DARK, 0.45))
    _slab(out, camera, stage.floor, 2.4, _TOP)
    for side in (-1, 1):
        outer, inner = side * edge, side * (edge - 2.4)
        post = np.array([(outer, 0.0), (outer, -4.2), (inner, -4.2), (inner, 0.0)])
        out.polygon(camera.project(post), mix(_TOP, WHITE, 0.35))


def _plank(out: Drawing, camera: Camera, floor: Floor) -> None:
    middle = (floor.left + floor.right) / 2
    foot = np.array([(middle - 6, floor.y - 1), (middle + 6, floor.y - 1), (middle, floor.y - 6)])
    out.polygon(camera.project(foot), _ROCK_DARK)
    _slab(out, camera, floor, 1.8, _PLANK)


def _slab(out: Drawing, camera: Camera, floor: Floor, depth: float, color: Color) -> None:
    def bar(top: float, bottom: float, grow: float) -> np.ndarray:
        left, right = floor.left - grow, floor.right + grow
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return camera.project(np.array(corners) + (0.0, floor.y))

    out.polygon(bar(0.35, -depth - 0.35, 0.35), INK)
    out.polygon(bar(0.0, -depth, 0.0), color)
    out.polygon(bar(0.0, -0.3 * depth, 0.0), mix(color, WHITE, 0.45))
