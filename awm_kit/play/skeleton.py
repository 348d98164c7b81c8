"""From joint angles to points: where the limbs of a fighter are, in game units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from awm_kit.play.poses import pose_at

#: Rows of a skeleton's array of points.
HIP, NECK, HEAD, ELBOW, HAND, REAR_ELBOW, REAR_HAND, KNEE, FOOT, REAR_KNEE, REAR_FOOT = range(11)
SWINGS = {"hand": HAND, "foot": FOOT, "rear_foot": REAR_FOOT}


@dataclass(frozen=True)
class Build:
    """Lengths of a body in game units; a Melee fighter is some 13 units tall."""

    torso: float = 4.4
    neck: float = 2.4
    upper_arm: float = 2.5
    forearm: float = 2.5
    thigh: float = 3.0
    shin: float = 3.2

    @property
    def standing_hip(self) -> float:
        """Height of the hip above the feet when the legs hang down."""
        return self.thigh + self.shin


def skeleton(pose: np.ndarray, build: Build, planted: bool) -> np.ndarray:
    """Points of a body that faces right, the origin between its feet.

    Parameters
    ----------
    pose : ndarray, shape (11,)
        Angles in degrees, see `awm_kit.play.poses.JOINTS`.
    planted : bool
        The lowest point stands on the origin's height; otherwise the hip stays at its height.

    Returns
    -------
    ndarray of float64, shape (11, 2)
        Game units, y up.
    """
    lean, head, arm, elbow, rear_arm, rear_elbow, leg, knee, rear_leg, rear_knee, spin = np.radians(pose)
    hip = np.zeros(2)
    neck = hip + build.torso * _up(lean)
    points = [hip, neck, neck + build.neck * _up(lean * 0.6 + head)]
    for shoulder, bend in ((arm, elbow), (rear_arm, rear_elbow)):
        joint = neck - 0.5 * _up(lean) + build.upper_arm * _down(shoulder)
        points += [joint, joint + build.forearm * _down(shoulder + bend)]
    for thigh, bend in ((leg, knee), (rear_leg, rear_knee)):
        joint = hip + build.thigh * _down(thigh)
        points += [joint, joint + build.shin * _down(thigh - bend)]
    cos, sin = np.cos(spin), np.sin(spin)
    body: np.ndarray = np.array(points) @ np.array([[cos, -sin], [sin, cos]])
    body[:, 1] += -body[:, 1].min() if planted else build.standing_hip
    return body


@lru_cache(maxsize=4096)
def body_at(name: str, age: int, build: Build, planted: bool) -> np.ndarray:
    """The read-only `skeleton` of a clip at a frame."""
    body = skeleton(pose_at(name, age), build, planted)
    body.flags.writeable = False
    return body


def _up(angle: float) -> np.ndarray:
    return np.array([np.sin(angle), np.cos(angle)])


def _down(angle: float) -> np.ndarray:
    return np.array([np.sin(angle), -np.cos(angle)])
