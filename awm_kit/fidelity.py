"""What quantisation cost: the integer engine beside the float network on the same games."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from awm_kit.data.replay import Replay
from awm_kit.kernel import NativeWorld
from awm_kit.model.checkpoint import load_checkpoint
from awm_kit.model.evaluate import HORIZONS, Evaluation, Runner, TorchRunner, evaluate
from awm_kit.model.plots import ENGINE_COLORS, plot_free_runs, save_figure
from awm_kit.model.world import WorldModel
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.dequantize import dequantize
from awm_kit.quant.manifest import unpack
from awm_kit.worlds import find_world

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASELINES = ("frozen_", "velocity_")


class NativeRunner:
    """The INT8 kernel as an evaluation `Runner`: the very step that plays."""

    name = "int8"

    def __init__(self, cartridge: Cartridge) -> None:
        self.world = NativeWorld(cartridge)
        self.schema = cartridge.manifest.schema

    def run(self, replay: Replay, starts: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """See `awm_kit.model.evaluate.Runner.run`."""
        size = self.world.state_bytes
        state = np.zeros(size, np.uint8)
        states = np.zeros((len(starts), size), np.uint8)
        slot = {int(s): i for i, s in enumerate(starts)}
        forced = np.zeros(replay.n_frames - 1, self.schema.frame_dtype)
        for t in range(replay.n_frames - 1):
            if t in slot:
                states[slot[t]] = state
            forced[t] = self.world.step(state, replay.frames[t], replay.inputs[t + 1])
        frames = replay.frames[starts].copy()
        free = np.zeros((len(starts), horizon), self.schema.frame_dtype)
        for k in range(horizon):
            frames = self.world.step_many(states, frames, np.ascontiguousarray(replay.inputs[starts + k + 1]))
            free[:, k] = frames
        return forced, free


@dataclass(frozen=True)
class Fidelity:
    """FP32 and INT8 on the same games."""

    fp32: Evaluation
    int8: Evaluation

    def rows(self) -> list[tuple[str, float, float]]:
        """(figure, FP32, INT8) of everything that these games hold a case of."""
        out = []
        for k in self.fp32.free:
            for name, value in self.fp32.free[k].items():
                if not name.startswith(BASELINES):
                    out.append((f"free {name} K={k}", value, self.int8.free[k][name]))
        for name, value in self.fp32.teacher_forced.items():
            out.append((f"forced {name}", value, self.int8.teacher_forced[name]))
        return [(name, a, b) for name, a, b in out if not (np.isnan(a) or np.isnan(b))]

    def __repr__(self) -> str:
        lines = [f"{'':32}{'FP32':>10}{'INT8':>10}"]
        lines += [f"{name:32}{a:10.4f}{b:10.4f}" for name, a, b in self.rows()]
        return "\n".join(lines)

    def plot(self) -> Figure:
        """Free-running errors beside baselines, and how often each field is wrong one frame ahead."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(12, 3.8), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.2))
        both = (self.int8, self.fp32)
        plot_free_runs(left, middle, both)
        names = [n for n in self.int8.teacher_forced if n.endswith("_exact")]
        y = np.arange(len(names))
        for one, color, marker in zip(both, ENGINE_COLORS, "sx", strict=True):
            wrong = [10_000 * (1 - one.teacher_forced[n]) for n in names]
            right.plot(wrong, y, marker, color=color, label=one.engine, markersize=5)
        right.set_xscale("symlog", linthresh=1)
        right.set(title="one frame ahead: field wrong", xlabel="of 10,000 frames", xlim=(0, None))
        right.set_yticks(y, [n.removesuffix("_exact") for n in names], fontsize=7)
        right.grid(alpha=0.3)
        right.legend(fontsize=8)
        return figure


def open_runners(world: str, engine: str | None = None) -> tuple[list[Runner], str, dict[str, Any]]:
    """What predicts the frames of a world.

    Parameters
    ----------
    world : str
        A checkpoint, a cartridge, or the name of a shipped world.
    engine : str, optional
        ``int8``, ``fp32`` or ``both``, integers first; by default what the file holds. The floats of a
        cartridge are those of the checkpoint beside it if that is of the same training, else its integers'.

    Returns
    -------
    runners : list of Runner
    name : str
    notes : dict
        Of the training.

    Raises
    ------
    ValueError
        If integers are asked of a checkpoint.
    ModelFileError
        If there is no such file, or it is not sound.
    """
    path = find_world(world)
    if path.suffix == ".safetensors":
        if engine in ("int8", "both"):
            raise ValueError(
                f"{path.name} is a checkpoint of floats: make integers of it with `awm quantize` first"
            )
        model, notes = load_checkpoint(path)
        return [TorchRunner(model)], str(notes.get("name") or path.stem), notes
    cartridge = Cartridge.load(path)
    runners: list[Runner] = []
    if engine in (None, "int8", "both"):
        runners.append(NativeRunner(cartridge))
    if engine in ("fp32", "both"):
        runners.append(TorchRunner(_floats_of(path, cartridge)))
    return runners, cartridge.manifest.name, cartridge.manifest.notes


def _floats_of(path: Path, cartridge: Cartridge) -> WorldModel:
    beside, notes = path.with_suffix(".safetensors"), cartridge.manifest.notes
    if beside.is_file():
        model, its = load_checkpoint(beside)
        if all(key in notes and its.get(key) == notes[key] for key in ("step", "data_sha256")):
            return model
    return dequantize(unpack(cartridge))


def fidelity_report(
    model: WorldModel,
    cartridge: Cartridge,
    replays: Sequence[Replay],
    starts: int = 300,
    progress: bool = True,
    horizons: Sequence[int] = HORIZONS,
) -> Fidelity:
    """Evaluate the float network and its cartridge on the same games, starts and inputs."""
    runners: list[Runner] = [TorchRunner(model), NativeRunner(cartridge)]
    return Fidelity(*(evaluate(r, replays, horizons, starts, progress) for r in runners))


def save_report(fidelity: Fidelity, folder: Path) -> list[Path]:
    """Write ``fidelity.txt`` and ``fidelity.png``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    text, image = folder / "fidelity.txt", folder / "fidelity.png"
    text.write_text(f"{fidelity!r}\n")
    return [text, save_figure(fidelity.plot(), image)]
