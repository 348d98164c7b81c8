"""Figures of what an `Inspection` sees: bars of head probabilities, heat maps of the memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from awm_kit.play.inspector import Inspection
from awm_kit.play.palette import BLUE, LIVERIES, Color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIELDS = ("action_state", "x", "y", "speed_y", "percent", "on_ground")


def plot_heads(
    inspection: Inspection, player: int = 0, fields: Sequence[str] = FIELDS, top: int = 6
) -> Figure:
    """Bars of the likeliest classes of some heads; the one that is taken is filled.

    Parameters
    ----------
    inspection : Inspection
    player : int
    fields : sequence of str
    top : int
        Classes a head, at most.
    """
    from matplotlib.figure import Figure

    columns = min(3, len(fields))
    rows = -(-len(fields) // columns)
    figure = Figure(figsize=(3.7 * columns, 0.5 + 0.36 * top * rows), layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axis, field in zip(axes, fields, strict=False):
        head = inspection.head(field, player)
        best = head.top(top)
        taken = head.labels[head.chosen]
        faces = [_css(LIVERIES[player].main) if label == taken else "none" for label, _ in best]
        axis.barh(range(len(best)), [p for _, p in best], color=faces, edgecolor=_css(LIVERIES[player].main))
        axis.set_yticks(range(len(best)), [label for label, _ in best], fontsize=8)
        axis.set(xlim=(0, 1), ylim=(top - 0.4, -0.6), title=f"{field}, {head.entropy:.2f} bits")
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(fields) :]:
        axis.set_visible(False)
    figure.suptitle(f"P{player + 1} after frame {inspection.index}: what comes next", fontsize=10)
    return figure


def plot_memory(inspection: Inspection, player: int = 0, change: bool = False) -> Figure:
    """Heat maps of the recurrent state of every layer, as far as one player's view of the match goes.

    Parameters
    ----------
    inspection : Inspection
    player : int
    change : bool
        Show what the frame changes instead of what is there.
    """
    from matplotlib.figure import Figure

    pictures = memory_maps(inspection, player, change)
    figure = Figure(figsize=(9, 1.0 + 1.25 * len(pictures)), layout="constrained")
    axes = np.ravel(figure.subplots(len(pictures), 1, squeeze=False))
    reach = max(float(np.abs(np.concatenate([p.ravel() for p in pictures])).max()), 1.0)
    for index, (axis, picture) in enumerate(zip(axes, pictures, strict=True)):
        # Cube roots: a few large values would leave the rest of a linear map white.
        image = axis.imshow(
            np.cbrt(picture.T / reach), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest"
        )
        axis.set(ylabel=f"layer {index}\nstate", yticks=[])
    axes[-1].set_xlabel("channel")
    what = "what the frame changes in" if change else "what is in"
    figure.suptitle(f"P{player + 1}, frame {inspection.index}: {what} the memory", fontsize=10)
    figure.colorbar(image, ax=axes.tolist(), label=f"cube root, 1 = {reach:.0f}", shrink=0.8)
    return figure


def plot_certainty(
    inspections: Sequence[Inspection], fields: Sequence[str] = FIELDS, player: int = 0
) -> Figure:
    """How undecided heads are over consecutive frames: a world hesitates before it branches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.8), layout="constrained")
    axis = figure.subplots()
    frames = [i.index for i in inspections]
    bits = np.array([[i.head(field, player).entropy for i in inspections] for field in fields])
    image = axis.imshow(
        bits, aspect="auto", cmap="viridis", interpolation="nearest",
        extent=(frames[0] - 0.5, frames[-1] + 0.5, len(fields) - 0.5, -0.5),
    )  # fmt: skip
    axis.set_yticks(range(len(fields)), fields)
    axis.set(xlabel="frame", title=f"P{player + 1}: how undecided the world is (bits)")
    figure.colorbar(image, ax=axis)
    return figure


def memory_maps(inspection: Inspection, player: int = 0, change: bool = False) -> list[np.ndarray]:
    """The scan's state of every layer, or what the frame changes in it; int32, (d_inner, d_state) each."""
    maps = []
    for layer in range(inspection.n_layers):
        now = inspection.memory(layer, player).ssm.astype(np.int32)
        maps.append(inspection.memory(layer, player, after=True).ssm - now if change else now)
    return maps


def heat_image(values: np.ndarray, zoom: int = 2) -> np.ndarray:
    """A heat map as a picture: blue below zero, white, vermillion above; uint8, shape (h·zoom, w·zoom, 3)."""
    share = np.cbrt(values / max(float(np.abs(values).max()), 1.0))[..., None]
    ink = np.where(share < 0, np.array(BLUE), np.array(LIVERIES[0].main))
    colors = 255 + np.abs(share) * (ink - 255.0)
    picture: np.ndarray = np.round(colors).astype(np.uint8).repeat(zoom, 0).repeat(zoom, 1)
    return picture


def _css(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
