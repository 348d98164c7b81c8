"""Physics probes: the same small experiments done in a learned world and in its teacher.

Each probe holds a script of controllers, runs it in both, and reads one quantity off the trajectory:
how high a jump goes, how fast a fall gets, how far a hit sends. Learned against taught is what
a network knows of the physics, in units that one can picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import FOX, MARTH, Params, initial_frame
from awm_kit.data.scuffle import play as teach
from awm_kit.data.teachers import teacher_of
from awm_kit.game_physics import measure_games
from awm_kit.kernel import NativeWorld
from awm_kit.probe_report import ProbeReport, ProbeResult
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import CONTROLLER, FIGHTER, Button
from awm_kit.soak import free_run

SETTLE = 40  # neutral frames first: memory fills, landings end
PERCENTS = (0, 30, 60, 90, 120)


@dataclass(frozen=True)
class Probe:
    """One experiment.

    Attributes
    ----------
    script : callable
        ``script(inputs)`` writes player 0's controllers from frame `SETTLE` on, in place.
    read : callable
        ``read(track) -> float`` of player 0's (or 1's) trajectory after settling.
    shows : str
        Field of player 0 whose course is drawn; none by default.
    """

    name: str
    unit: str
    frames: int
    script: Callable[[np.ndarray], None]
    read: Callable[[np.ndarray], float]
    close: bool = False
    percent: int = 0
    shows: str = ""


def run_probes(
    cartridge: Cartridge, params: Params | None = None, games: Sequence[Replay] | None = None
) -> ProbeReport:
    """Run the probes in a world, and compare with its teacher or with recorded games.

    Without ``games``, all of them for both of scuffle's characters; a world that learned from recordings has
    no teacher, and its values stand alone. With ``games``, those whose quantity `measure_games` finds there,
    for every character that it finds.

    Parameters
    ----------
    cartridge : Cartridge
        A world of the schema `FIGHTER`.
    params : Params, optional
        The teacher's physics; by default those in the world's notes.
    games : sequence of Replay, optional

    Raises
    ------
    ValueError
        If the world is no fighter, or games show no character long enough.
    ModelFileError
        If its notes name physics that there are not.
    ReplayUnsupportedError
        If the games are of another schema.
    """
    check_fighter(cartridge)
    world = NativeWorld(cartridge)
    if games is not None:
        return _probes_beside_games(world, games)
    if params is None and (teacher := teacher_of(cartridge.manifest.notes)):
        params = Params.of(teacher.params)
    results = [_probe(world, probe, character, params) for probe in PROBES for character in (FOX, MARTH)]
    return ProbeReport(results, "" if params is None else "taught")


def _probe(world: NativeWorld, probe: Probe, character: int, taught: Params | None) -> ProbeResult:
    start, inputs = experiment(probe, character, taught or Params())
    runs = [free_run(world, start[None], inputs[None])[0]]
    if taught is not None:
        runs.append(teach(taught, inputs, start).frames)
    tracks = [frames["players"][SETTLE:] for frames in runs]
    values = [probe.read(track) for track in tracks]
    return ProbeResult(
        probe.name,
        character,
        probe.unit,
        values[0],
        values[1] if taught is not None else None,
        percent=probe.percent if probe.close else None,
        shows=probe.shows,
        courses=tuple(_real(track, probe.shows) for track in tracks if probe.shows),
    )


def _probes_beside_games(world: NativeWorld, games: Sequence[Replay]) -> ProbeReport:
    measured = measure_games(games)
    results = [
        replace(_probe(world, probe, character, None), reference=constants[probe.name])
        for probe in PROBES
        for character, constants in measured.items()
        if probe.name in constants
    ]
    return ProbeReport(results, "in games")


def experiment(probe: Probe, character: int, params: Params) -> tuple[np.ndarray, np.ndarray]:
    """Start frame and inputs of a probe, shapes () and (SETTLE + frames, 2)."""
    start = initial_frame(0, None, (character, character), params)
    one = 1 << FIGHTER.player("x").frac_bits
    gap = 5 if probe.close else 45
    start["players"]["x"] = np.array([-gap, gap]) * one
    start["players"]["facing"] = (1, -1)
    start["players"]["percent"][1] = probe.percent << FIGHTER.player("percent").frac_bits
    inputs = np.zeros((SETTLE + probe.frames, 2), CONTROLLER)
    probe.script(inputs[SETTLE:, 0])
    return start, inputs


def jump_curves(cartridge: Cartridge, character: int = FOX, frames: int = 150) -> np.ndarray:
    """Height of a full hop in a world, game units, shape (frames,)."""
    start, inputs = _long_jump(character, frames, Params())
    return _height(free_run(NativeWorld(cartridge), start[None], inputs[None])[0])


def taught_jump(params: Params, character: int = FOX, frames: int = 150) -> np.ndarray:
    """Height of the same hop in the teacher with physics ``params``."""
    start, inputs = _long_jump(character, frames, params)
    return _height(teach(params, inputs, start).frames)


def _long_jump(character: int, frames: int, params: Params) -> tuple[np.ndarray, np.ndarray]:
    return experiment(replace(_JUMP, frames=frames), character, params)


def _height(frames: np.ndarray) -> np.ndarray:
    return _real(frames["players"][SETTLE:], "y")


def _real(track: np.ndarray, name: str, player: int = 0) -> np.ndarray:
    return FIGHTER.player(name).to_real(track[name][:, player])


def _hold(**values: int) -> Callable[[np.ndarray], None]:
    def script(pad: np.ndarray) -> None:
        for name, value in values.items():
            pad[name] = value

    return script


def _full_hop(pad: np.ndarray) -> None:
    pad["buttons"][:20] = Button.X


def _short_hop(pad: np.ndarray) -> None:
    pad["buttons"][:1] = Button.X


def _double_jump(pad: np.ndarray) -> None:
    pad["buttons"][:10] = Button.X
    pad["buttons"][25:35] = Button.X


def _fast_fall(pad: np.ndarray) -> None:
    _full_hop(pad)
    for tap in range(20, 56, 6):  # whenever this jump turns: a stick held down since before does nothing
        pad["stick_y"][tap : tap + 3] = -80


def _run_and_stop(pad: np.ndarray) -> None:
    pad["stick_x"][:18] = 80


def _drift(pad: np.ndarray) -> None:
    _full_hop(pad)
    pad["stick_x"][8:] = 80


def _smash(pad: np.ndarray) -> None:
    pad["cstick_x"][:3] = 80


def _apex(track: np.ndarray) -> float:
    return float(_real(track, "y").max())


def _air_time(track: np.ndarray) -> float:
    return float((track["on_ground"][:, 0] == 0).sum())


def _gravity(track: np.ndarray) -> float:
    speed = _real(track, "speed_y")
    steps = -np.diff(speed)[(track["on_ground"][1:, 0] == 0) & (track["on_ground"][:-1, 0] == 0)]
    return float(np.median(steps)) if len(steps) else 0.0


def _lowest_speed(track: np.ndarray) -> float:
    return max(0.0, float(-_real(track, "speed_y").min()))


def _top_speed(name: str) -> Callable[[np.ndarray], float]:
    return lambda track: float(np.abs(_real(track, name)).max())


def _run_speed(track: np.ndarray) -> float:
    """At the end: a dash may begin faster than the run that follows."""
    return float(np.abs(_real(track, "speed_ground_x"))[-1])


def _drift_speed(track: np.ndarray) -> float:
    """Until the first landing: a dash on a platform and off it is faster."""
    speed, air = np.abs(_real(track, "speed_air_x")), track["on_ground"][:, 0] == 0
    takeoff = int(np.argmax(air))
    flight = np.cumprod(air[takeoff:]).astype(bool)
    return float(speed[takeoff:][flight].max(initial=0))


def _distance(track: np.ndarray) -> float:
    return float(_real(track, "x")[-1] - _real(track, "x")[0])


def _shield_lost(track: np.ndarray) -> float:
    shield = _real(track, "shield")
    return float(shield[0] - shield[-1])


def _launch(track: np.ndarray) -> float:
    kx, ky = _real(track, "speed_attack_x", 1), _real(track, "speed_attack_y", 1)
    return float(np.hypot(kx, ky).max())


_JUMP = Probe("full hop apex", "units", 80, _full_hop, _apex, shows="y")

#: Every probe, in the order of the report.
PROBES: Sequence[Probe] = (
    _JUMP,
    Probe("full hop air time", "frames", 110, _full_hop, _air_time),
    Probe("short hop apex", "units", 80, _short_hop, _apex, shows="y"),
    Probe("double jump apex", "units", 110, _double_jump, _apex, shows="y"),
    Probe("gravity", "units/frame²", 40, _full_hop, _gravity),
    Probe("fall speed", "units/frame", 80, _double_jump, _lowest_speed),
    Probe("fast-fall speed", "units/frame", 60, _fast_fall, _lowest_speed, shows="y"),
    Probe(
        "run speed",
        "units/frame",
        26,
        _hold(stick_x=80),
        _run_speed,
        shows="speed_ground_x",
    ),
    Probe("walk speed", "units/frame", 40, _hold(stick_x=45), _top_speed("speed_ground_x")),
    Probe("stopping distance", "units", 70, _run_and_stop, _distance, shows="x"),
    Probe("air drift", "units/frame", 45, _drift, _drift_speed, shows="speed_air_x"),
    Probe("shield decay", "shield", 60, _hold(trigger_l=140, buttons=Button.L), _shield_lost, shows="shield"),
    *(
        Probe(f"knockback at {p} %", "units/frame", 60, _smash, _launch, close=True, percent=p)
        for p in PERCENTS
    ),
)


def check_fighter(cartridge: Cartridge) -> None:
    """``ValueError`` unless a world's rules are those of `FIGHTER`, which are known here."""
    name = cartridge.manifest.schema.name
    if name != FIGHTER.name:
        raise ValueError(
            f"expected a world of the schema {FIGHTER.name!r}, whose rules are known (got {name!r})"
        )
