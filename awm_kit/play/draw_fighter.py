"""The fighters: a skeleton dressed as a fox-eared runner or as a caped swordsman."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from awm_kit.action_states import Family, family_of
from awm_kit.play import skeleton as sk
from awm_kit.play.camera import Camera
from awm_kit.play.drawing import Drawing
from awm_kit.play.palette import GREY, INK, LIVERIES, WHITE, Color, Livery, mix
from awm_kit.play.poses import clip, clip_name

# Melee's internal ids of those who carry a blade; everybody else is drawn as a runner.
SWORDSMEN = frozenset({6, 18, 20, 26})
RUNNER = sk.Build()
SWORDSMAN = sk.Build(torso=4.9, upper_arm=2.7, forearm=2.6, thigh=3.4, shin=3.6)
BLADE = 6.5
SKIN: Color = (240, 204, 172)
# Forward and up from the middle of the head, in game units.
HAIR = (
    (-0.4, 2.9), (-2.3, 2.2), (-3.5, 0.2), (-2.7, -0.4), (-3.4, -1.9), (-1.2, -1.2), (0.4, 0.5), (2.2, 0.7),
    (2.0, 2.2),
)  # fmt: skip
FULL_SHIELD = 60.0
_BONES = (
    (sk.NECK, sk.ELBOW), (sk.ELBOW, sk.HAND), (sk.HIP, sk.KNEE), (sk.KNEE, sk.FOOT),
    (sk.HIP, sk.REAR_KNEE), (sk.REAR_KNEE, sk.REAR_FOOT), (sk.HIP, sk.NECK),
)  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A player of a frame, in real units, as the drawing code wants it."""

    index: int
    x: float
    y: float
    facing: int
    clip: str
    age: int
    planted: bool
    family: Family
    hitlag: int
    shield: float
    swordsman: bool

    @classmethod
    def of(cls, player: np.ndarray, index: int) -> Figure:
        """Read a `PLAYER` record."""
        state, grounded = int(player["action_state"]), bool(player["on_ground"])
        return cls(
            index=index,
            x=int(player["x"]) / 1024,
            y=int(player["y"]) / 1024,
            facing=-1 if player["facing"] < 0 else 1,
            clip=clip_name(state, grounded),
            age=int(player["state_age"]),
            planted=grounded,
            family=family_of(state),
            hitlag=int(player["hitlag"]),
            shield=int(player["shield"]) / 256,
            swordsman=int(player["character"]) in SWORDSMEN,
        )

    @property
    def build(self) -> sk.Build:
        """Lengths of the body."""
        return SWORDSMAN if self.swordsman else RUNNER

    def body(self, age: int | None = None) -> np.ndarray:
        """Joints in game units, shape (11, 2), at another age of the same clip if given."""
        clip_age = self.age if age is None else age
        points = sk.body_at(self.clip, max(clip_age, 0), self.build, self.planted)
        shiver = 0.35 * (-1) ** self.hitlag if self.hitlag else 0.0
        return points * (self.facing, 1) + (self.x + shiver, self.y)

    @property
    def livery(self) -> Livery:
        """The player's colours; pale while it is hit, and while it dodges."""
        livery = LIVERIES[self.index % len(LIVERIES)]
        if self.hitlag and self.family in (Family.HIT, Family.TUMBLE, Family.GRABBED):
            share = 0.85 if self.hitlag % 2 else 0.45
        elif self.family is Family.DODGE and 3 < self.age < 20:
            share = 0.45
        elif self.family is Family.RESPAWN:
            share = 0.35 + 0.25 * np.sin(self.age / 4)
        else:
            return livery
        return Livery(*(mix(color, WHITE, share) for color in livery))


def draw_fighter(out: Drawing, camera: Camera, figure: Figure, alpha: float = 1.0) -> None:
    """Draw one fighter with its swing trail and shield; the dead are not drawn."""
    if figure.family is Family.DEAD:
        return
    if alpha == 1.0:
        _swing_trail(out, camera, figure)
    body, unit = camera.project(figure.body()), camera.zoom
    parts = _Parts(out, unit, alpha)
    livery = figure.livery
    if figure.swordsman:
        _cape(out, camera, figure, body, livery, alpha)
        _dress_swordsman(parts, body, livery)
    else:
        _tail(parts, body, figure, livery)
        _dress_runner(parts, body, livery)
    parts.flush()
    face = _swordsman_head if figure.swordsman else _runner_head
    face(out, body, unit, figure.facing, livery, alpha)
    parts.limb(body[sk.NECK], body[sk.ELBOW], 0.95, 0.8, livery.main)
    parts.limb(body[sk.ELBOW], body[sk.HAND], 0.8, 0.85, livery.light)
    if figure.swordsman:
        _blade(parts, body)
    parts.flush()
    if figure.family is Family.SHIELD:
        _shield(out, camera, figure, alpha)


def draw_afterimage(out: Drawing, camera: Camera, figure: Figure, alpha: float) -> None:
    """A plain silhouette of where a fast fighter was a moment ago."""
    if figure.family is Family.DEAD:
        return
    body, unit = camera.project(figure.body()), camera.zoom
    color = LIVERIES[figure.index % len(LIVERIES)].accent
    starts, ends = np.array(_BONES).T
    radii = np.full(len(_BONES), 1.0 * unit)
    out.limbs(body[starts], body[ends], radii, radii, [color] * len(_BONES), alpha)
    out.disc(body[sk.HEAD], 2.2 * unit, color, alpha, 14)


class _Parts:
    """Collects limbs, then paints their common outline and the limbs on top of it."""

    def __init__(self, out: Drawing, unit: float, alpha: float) -> None:
        self.out, self.unit, self.alpha = out, unit, alpha
        self.rows: list[tuple[np.ndarray, np.ndarray, float, float, Color]] = []

    def limb(self, a: np.ndarray, b: np.ndarray, ra: float, rb: float, color: Color) -> None:
        """A limb between two points in pixels, radii in game units."""
        self.rows.append((a, b, ra * self.unit, rb * self.unit, color))

    def flush(self) -> None:
        a, b, ra, rb, colors = zip(*self.rows, strict=True)
        starts, ends = np.array(a), np.array(b)
        rim = max(0.28 * self.unit, 1.0)
        wide = [INK] * len(colors)
        self.out.limbs(starts, ends, np.array(ra) + rim, np.array(rb) + rim, wide, self.alpha)
        self.out.limbs(starts, ends, np.array(ra), np.array(rb), colors, self.alpha)
        self.rows.clear()


def _dress_runner(parts: _Parts, body: np.ndarray, livery: Livery) -> None:
    parts.limb(body[sk.NECK], body[sk.REAR_ELBOW], 0.95, 0.8, livery.dark)
    parts.limb(body[sk.REAR_ELBOW], body[sk.REAR_HAND], 0.8, 0.85, livery.dark)
    parts.limb(body[sk.HIP], body[sk.REAR_KNEE], 1.2, 0.95, livery.dark)
    parts.limb(body[sk.REAR_KNEE], body[sk.REAR_FOOT], 0.95, 1.05, INK)
    parts.limb(body[sk.HIP], body[sk.KNEE], 1.3, 1.0, livery.main)
    parts.limb(body[sk.KNEE], body[sk.FOOT], 1.0, 1.15, livery.dark)
    parts.limb(body[sk.HIP], body[sk.NECK], 1.45, 1.7, livery.accent)


def _dress_swordsman(parts: _Parts, body: np.ndarray, livery: Livery) -> None:
    parts.limb(body[sk.NECK], body[sk.REAR_ELBOW], 0.9, 0.75, livery.dark)
    parts.limb(body[sk.REAR_ELBOW], body[sk.REAR_HAND], 0.75, 0.8, livery.dark)
    parts.limb(body[sk.HIP], body[sk.REAR_KNEE], 1.15, 0.9, livery.dark)
    parts.limb(body[sk.REAR_KNEE], body[sk.REAR_FOOT], 0.9, 0.95, INK)
    parts.limb(body[sk.HIP], body[sk.KNEE], 1.2, 0.95, livery.light)
    parts.limb(body[sk.KNEE], body[sk.FOOT], 1.0, 1.1, livery.dark)
    parts.limb(body[sk.HIP], body[sk.NECK], 1.25, 1.75, livery.main)
    parts.limb(body[sk.HIP], 0.6 * body[sk.HIP] + 0.4 * body[sk.NECK], 1.2, 1.3, livery.dark)


def _axes(body: np.ndarray, unit: float, facing: int) -> tuple[np.ndarray, np.ndarray]:
    """The head's forward and upward directions, one game unit long, in pixels."""
    up = body[sk.HEAD] - body[sk.NECK]
    up = up / max(float(np.hypot(*up)), 1e-6) * unit
    forward = np.array([-up[1], up[0]]) * facing
    return forward, up


def _runner_head(
    out: Drawing, body: np.ndarray, unit: float, facing: int, livery: Livery, alpha: float
) -> None:
    forward, up = _axes(body, unit, facing)
    head, rim = body[sk.HEAD], max(0.28 * unit, 1.0)
    for lean, inner in ((-1.35, livery.dark), (0.35, livery.accent)):
        root, tip = head + lean * forward + 0.9 * up, head + (lean - 0.75) * forward + 4.3 * up
        out.polygon([root - 1.2 * forward, tip + 0.5 * up, root + 1.5 * forward], INK, alpha)
        out.polygon([root - 0.7 * forward, tip, root + 1.0 * forward], inner, alpha)
    out.disc(head, 2.3 * unit + rim, INK, alpha)
    snout = head + 1.2 * forward - 0.6 * up, head + 2.9 * forward - 0.9 * up
    out.limbs(*_snout(*snout, unit, rim), [INK], alpha)
    out.disc(head, 2.3 * unit, livery.main, alpha)
    out.limbs(*_snout(*snout, unit, 0.0), [livery.light], alpha)
    out.disc(head + 3.3 * forward - 0.6 * up, 0.45 * unit, INK, alpha, 8)
    out.disc(head + 1.05 * forward + 0.6 * up, (0.72 * unit, 0.85 * unit), WHITE, alpha, 12)
    out.disc(head + 1.3 * forward + 0.5 * up, 0.4 * unit, INK, alpha, 8)


def _swordsman_head(
    out: Drawing, body: np.ndarray, unit: float, facing: int, livery: Livery, alpha: float
) -> None:
    forward, up = _axes(body, unit, facing)
    head, rim = body[sk.HEAD], max(0.28 * unit, 1.0)
    pale = livery not in LIVERIES
    skin = mix(SKIN, WHITE, 0.7 if pale else 0.0)
    shape = np.array([head + a * forward + b * up for a, b in HAIR])
    out.disc(head, 2.15 * unit + rim, INK, alpha)
    out.polygon(head + (shape - head) * 1.16, INK, alpha)
    out.disc(head, 2.15 * unit, skin, alpha)
    out.polygon(shape, livery.accent, alpha)
    band = [(-2.3, 0.9), (2.25, 0.9), (2.2, 1.5), (-2.2, 1.6)]
    out.polygon([head + a * forward + b * up for a, b in band], livery.dark, alpha)
    out.disc(head + 1.25 * forward - 0.05 * up, (0.5 * unit, 0.7 * unit), INK, alpha, 10)


def _snout(
    root: np.ndarray, nose: np.ndarray, unit: float, rim: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return root[None], nose[None], np.array([1.3 * unit + rim]), np.array([0.55 * unit + rim])


def _tail(parts: _Parts, body: np.ndarray, figure: Figure, livery: Livery) -> None:
    sway = np.sin(figure.age / 9.0) * 0.5
    joints = np.array([(0.0, 0.0), (-2.2, 0.2), (-4.0, 1.2 + sway), (-5.2, 3.0 + 1.5 * sway)])
    points = body[sk.HIP] + joints * (figure.facing * parts.unit, -parts.unit)
    for i, (ra, rb) in enumerate(((0.7, 1.1), (1.1, 1.25), (1.15, 0.35))):
        parts.limb(points[i], points[i + 1], ra, rb, livery.light if i == 2 else livery.main)


def _cape(
    out: Drawing, camera: Camera, figure: Figure, body: np.ndarray, livery: Livery, alpha: float
) -> None:
    back, wave = -figure.facing * camera.zoom, np.sin(figure.age / 8.0) * 0.5
    neck, down = body[sk.NECK], camera.zoom
    cloth = np.array(
        [neck + (0.9 * -back, -0.6 * down), neck + (1.0 * back, -0.5 * down),
         neck + ((2.6 + wave) * back, 3.6 * down), neck + ((4.6 + 1.6 * wave) * back, 8.0 * down),
         neck + ((2.2 + wave) * back, 7.6 * down), neck + (0.4 * back, 7.0 * down)]
    )  # fmt: skip
    middle = cloth.mean(0)
    out.polygon(middle + (cloth - middle) * 1.12, INK, alpha)
    out.polygon(cloth, livery.dark, alpha)


def _blade(parts: _Parts, body: np.ndarray) -> None:
    reach = body[sk.HAND] - body[sk.ELBOW]
    along = reach / max(float(np.hypot(*reach)), 1e-6) * parts.unit
    # Held low it would stick into the ground: the wrist turns it outwards.
    if along[1] > 0.4 * parts.unit:
        side = 1.0 if along[0] >= 0 else -1.0
        along = np.array([side * 0.8, 0.6]) * parts.unit
    guard = np.array([-along[1], along[0]])
    root = body[sk.HAND] + 0.8 * along
    parts.limb(root, root + BLADE * along, 0.42, 0.16, (226, 236, 246))
    parts.limb(root - 1.1 * guard, root + 1.1 * guard, 0.3, 0.3, GREY)


def _swing_trail(out: Drawing, camera: Camera, figure: Figure) -> None:
    """A fading ribbon where the striking limb was in the last frames."""
    swing = clip(figure.clip).swing
    if not swing or figure.age < 1:
        return
    end = sk.SWINGS[swing]
    bodies = [figure.body(age) for age in range(figure.age, max(figure.age - 4, -1), -1)]
    reach = BLADE / 2.6 if figure.swordsman and swing == "hand" else 0.35
    outer = np.array([b[end] + reach * (b[end] - b[end - 1]) for b in bodies])
    if float(np.abs(np.diff(outer, axis=0)).sum()) < 2.0:
        return
    inner = np.array([b[end - 1] + 0.5 * (b[end] - b[end - 1]) for b in bodies])
    outer, inner = camera.project(outer), camera.project(inner)
    for i in range(len(bodies) - 1):
        color = mix(WHITE, figure.livery.accent, i / 3)
        out.polygon([outer[i], outer[i + 1], inner[i + 1], inner[i]], color, 0.55 - 0.15 * i)


def _shield(out: Drawing, camera: Camera, figure: Figure, alpha: float) -> None:
    center = camera.project(np.array([figure.x, figure.y + 6.5]))
    share = min(figure.shield / FULL_SHIELD, 1.0)
    radius = (2.5 + 7.5 * share) * camera.zoom
    livery = LIVERIES[figure.index % len(LIVERIES)]
    out.disc(center, radius, livery.accent, 0.38 * alpha, 28)
    out.ring(
        center, radius, max(0.5 * camera.zoom, 1.5), WHITE if figure.hitlag else livery.light, 0.85 * alpha
    )
    out.disc(center - np.array([0.35, 0.4]) * radius, 0.18 * radius, WHITE, 0.5 * alpha, 14)
