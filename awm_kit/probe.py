"""Physics probes: the same small experiments done in a learned world and in its teacher.

Each probe holds a script of controllers, runs it in both, and reads one quantity off the trajectory:
how high a jump goes, how fast a fall gets, how far a hit sends. Learned against taught is what
a network knows of the physics, in units that one can picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from awm_kit.data.scuffle import FOX, MARTH, Params, initial_frame
from awm_kit.data.scuffle import play as teach
from awm_kit.kernel import NativeWorld
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import CONTROLLER, FIGHTER, Button
from awm_kit.soak import free_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SETTLE = 40  # neutral frames first: memory fills, landings end
PERCENTS = (0, 30, 60, 90, 120)
LEARNED, TAUGHT = "#0072B2", "#D55E00"


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


@dataclass(frozen=True)
class ProbeResult:
    """What one probe measured.

    ``courses`` are the learned and the taught trajectory of the field that the probe ``shows``, real units.
    """

    name: str
    character: int
    unit: str
    learned: float
    taught: float
    shows: str = ""
    courses: tuple[np.ndarray, ...] = field(default=(), repr=False, compare=False)

    @property
    def error(self) -> float:
        """Relative error of the learned value."""
        return abs(self.learned - self.taught) / max(abs(self.taught), 1e-9)

    def to_json(self) -> dict[str, Any]:
        """JSON-able form, without the courses."""
        figures = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("shows", "courses")}
        return {**figures, "error": self.error}


class ProbeReport(list[ProbeResult]):
    """All results; prints as a table."""

    def __repr__(self) -> str:
        head = f"{'probe':24}{'character':>10}{'learned':>10}{'taught':>10}{'error':>8}  unit"
        rows = [
            f"{r.name:24}{r.character:10d}{r.learned:10.3f}{r.taught:10.3f}{r.error:8.1%}  {r.unit}"
            for r in self
        ]
        return "\n".join([head, *rows])

    def plot(self) -> Figure:
        """Relative error of every probe, and courses of one character: learned drawn over taught."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13, 0.24 * len(self) + 1.4), layout="constrained")
        grid = figure.add_gridspec(1, 2, width_ratios=(1, 1.4))
        left, right = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
        self._plot_errors(left.subplots())
        shown = [r for r in self if r.courses and r.character == FOX]
        panels = list(right.subplots(-(-(len(shown) + 2) // 2), 2).flat)
        for axis, result in zip(panels, shown, strict=False):
            for course, color, style in zip(result.courses, (LEARNED, TAUGHT), ("-", "--"), strict=True):
                axis.plot(course, style, color=color)
            axis.set_title(f"{result.name} ({result.character})", fontsize=9)
            axis.set_xlabel("frame", fontsize=8)
            axis.set_ylabel(result.shows, fontsize=8)
        for axis, character in zip(panels[len(shown) :], (FOX, MARTH), strict=False):
            self._plot_knockback(axis, character)
        for axis in panels[len(shown) + 2 :]:
            axis.set_visible(False)
        right.legend(*panels[len(shown)].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        return figure

    def _plot_errors(self, axis: Axes) -> None:
        errors = [r.error for r in self]
        bars = axis.barh([f"{r.name} ({r.character})" for r in self], errors, color=LEARNED)
        axis.bar_label(bars, ["exact" if e == 0 else f"{e:.1%}" for e in errors], padding=3, fontsize=7)
        axis.axvline(0.03, color="0.5", linestyle=":", label="3 %")
        axis.set_xscale("symlog", linthresh=0.01)
        axis.set(xlabel="|learned - taught| / taught", xlim=(0, 4 * max(0.1, *errors)))
        axis.set_title("character 1 falls fast, 18 floats", fontsize=9)
        axis.invert_yaxis()
        axis.legend(fontsize=8, loc="lower right")

    def _plot_knockback(self, axis: Axes, character: int) -> None:
        hits = [r for r in self if r.name.startswith("knockback") and r.character == character]
        axis.plot(PERCENTS, [r.learned for r in hits], "o-", color=LEARNED, label="learned")
        axis.plot(PERCENTS, [r.taught for r in hits], "s--", color=TAUGHT, label="taught")
        axis.set_title(f"launch speed ({character})", fontsize=9)
        axis.set_xlabel("percent", fontsize=8)
        axis.set_ylabel("units/frame", fontsize=8)


def run_probes(cartridge: Cartridge, params: Params | None = None) -> ProbeReport:
    """Run every probe for both characters.

    Parameters
    ----------
    cartridge : Cartridge
        A scuffle world.
    params : Params, optional
        The teacher's physics; by default those in the world's notes.

    Raises
    ------
    ValueError
        If the world is no fighter.
    """
    check_fighter(cartridge)
    params = params or Params.from_notes(cartridge.manifest.notes)
    world = NativeWorld(cartridge)
    report = ProbeReport()
    for probe in PROBES:
        for character in (FOX, MARTH):
            start, inputs = experiment(probe, character, params)
            learned = free_run(world, start[None], inputs[None])[0]
            taught = teach(params, inputs, start).frames
            tracks = learned["players"][SETTLE:], taught["players"][SETTLE:]
            ours, true = map(probe.read, tracks)
            courses = tuple(_real(track, probe.shows) for track in tracks if probe.shows)
            report.append(ProbeResult(probe.name, character, probe.unit, ours, true, probe.shows, courses))
    return report


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
    pad["stick_y"][32:] = -80


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
    return float(-_real(track, "speed_y").min())


def _top_speed(name: str) -> Callable[[np.ndarray], float]:
    return lambda track: float(np.abs(_real(track, name)).max())


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
        _top_speed("speed_ground_x"),
        shows="speed_ground_x",
    ),
    Probe("walk speed", "units/frame", 40, _hold(stick_x=45), _top_speed("speed_ground_x")),
    Probe("stopping distance", "units", 70, _run_and_stop, _distance, shows="x"),
    Probe("air drift", "units/frame", 45, _drift, _top_speed("speed_air_x"), shows="speed_air_x"),
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
