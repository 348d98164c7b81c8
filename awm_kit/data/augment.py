"""Copies of a replay that the same physics explains: mirrored left to right, and with players exchanged."""

from __future__ import annotations

from awm_kit.data.replay import Replay

_MIRRORED_STATE = ("x", "speed_air_x", "speed_ground_x", "speed_attack_x", "facing")
_MIRRORED_INPUT = ("stick_x", "cstick_x")


def mirror(replay: Replay) -> Replay:
    """Reflect a replay about x = 0: positions, horizontal speeds, facing, sticks.

    Buttons and triggers have no side and stay. Exact on symmetric stages; of Melee's legal ones only
    Pokemon Stadium's transformations and Fountain of Dreams' moving platforms are not.
    """
    frames, inputs = replay.frames.copy(), replay.inputs.copy()
    for name in _MIRRORED_STATE:
        frames["players"][name] *= -1
    for name in _MIRRORED_INPUT:
        inputs[name] *= -1
    return Replay(frames, inputs, replay.source, dict(replay.meta))


def swap(replay: Replay) -> Replay:
    """Exchange the two players, with their controllers."""
    frames = replay.frames.copy()
    frames["players"] = replay.frames["players"][:, ::-1]
    return Replay(frames, replay.inputs[:, ::-1].copy(), replay.source, dict(replay.meta))
