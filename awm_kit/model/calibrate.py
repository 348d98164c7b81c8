"""Ranges of every activation that the integer step stores in 8 or 16 bits, read off real play."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from awm_kit.model.dataset import PackedReplays, Streams
from awm_kit.model.mamba2 import InputReach, LayerState, Mamba2, ssd_chunked
from awm_kit.model.world import WorldModel

#: Share of values that a range must hold; what lies beyond saturates.
COVER = 0.99995


@dataclass
class LayerRanges:
    """Largest magnitudes of one layer; ``channels`` one per channel, ``bound`` and ``dt`` one per head."""

    u: float = 0.0
    z: float = 0.0
    channels: Tensor = field(default_factory=lambda: torch.zeros(0))
    conv: float = 0.0
    mixed: float = 0.0
    bound: Tensor = field(default_factory=lambda: torch.zeros(0))
    dt: Tensor = field(default_factory=lambda: torch.zeros(0))
    y: float = 0.0
    gated: float = 0.0


@dataclass
class Ranges:
    """Ranges of the whole network."""

    residual: float
    final: float
    layers: list[LayerRanges]
    choice: float = 0.0


@torch.no_grad()
def calibrate(
    model: WorldModel,
    data: PackedReplays,
    lanes: int = 48,
    windows: int = 12,
    length: int = 64,
    seed: int = 1,
) -> Ranges:
    """Run the float network over true frames and record how large everything gets.

    Parameters
    ----------
    model : WorldModel
    data : PackedReplays
    lanes, windows, length : int
        ``lanes`` replays are walked for ``windows * length`` frames.
    """
    length = min(length, int((data.starts[1:] - data.starts[:-1]).max()) - 1)
    streams = Streams(data, lanes, length, seed)
    state, device = model.initial_state(lanes), model.head.weight.device
    layers = [m for m in model.layers if isinstance(m, Mamba2)]
    ranges = Ranges(0.0, 0.0, [LayerRanges() for _ in layers])
    for _ in range(windows):
        batch = streams.next()
        keep = (~batch.fresh).to(device).float().repeat(model.config.n_views)
        state = [LayerState(s.conv * keep[:, None, None], s.ssm * keep[:, None, None, None]) for s in state]
        g, p, c = (t.to(device) for t in (batch.globals, batch.players, batch.inputs))
        raw = model.views(g[:, :length], p[:, :length], c)
        r = model.embedded(raw)
        for i, layer in enumerate(layers):
            ranges.residual = max(ranges.residual, float(r.abs().max()))
            r, state[i] = _observe(layer, r, state[i], ranges.layers[i])
        ranges.residual = max(ranges.residual, float(r.abs().max()))
        ranges.final = max(ranges.final, _reach(_plain_norm(r, model.final_norm.eps)))
        chosen = model.chosen(batch.targets[:, 1 : length + 1].to(device))
        if model.choice is not None and chosen is not None:
            r = model.choice.shifted(r, chosen, chosen.roll(len(chosen) // 2, 0))
            ranges.residual = max(ranges.residual, float(r.abs().max()))
            ranges.choice = max(ranges.choice, _reach(_plain_norm(r, model.choice.norm.eps)))
    return ranges


def on_grids(model: WorldModel, ranges: Ranges) -> None:
    """From now on the network rounds what the integer step stores in 8 bits; gradients pass through."""
    for layer, seen in zip(model.mixers, ranges.layers, strict=True):
        layer.norm.reach, layer.gated_norm.reach = seen.u, seen.gated
        layer.reach = InputReach(seen.z, seen.channels.clamp(min=1e-6))
    model.final_norm.reach = ranges.final
    if model.choice is not None:
        model.choice.norm.reach = ranges.choice


def _observe(layer: Mamba2, r: Tensor, state: LayerState, seen: LayerRanges) -> tuple[Tensor, LayerState]:
    """`Mamba2.forward` with its intermediate values measured."""
    config = layer.config
    z, xbc, dt = layer._project(layer.norm(r))
    padded = torch.cat([state.conv, xbc], dim=1)
    conv = layer._causal_conv(padded, r.shape[1])
    mixed = layer.activate(conv)
    x, b, c = layer._split(mixed)
    a = -torch.exp(layer.A_log)
    y, ssm = ssd_chunked(x, dt, a, b, c, state.ssm, config.chunk)
    y = y + layer.D[:, None] * x
    gated = y.flatten(2) * F.silu(z)
    seen.u = max(seen.u, _reach(_plain_norm(r, layer.norm.eps)))
    seen.z = max(seen.z, _reach(z))
    seen.channels = _grow(seen.channels, xbc.flatten(0, 1).abs().amax(0))
    seen.conv = config.conv_reach or max(seen.conv, _reach(conv))
    seen.mixed = config.conv_reach or max(seen.mixed, _reach(mixed))
    # |h| <= |dt x| max|B| / (1 - exp(dt A)): the bound that the contraction clamp of the step enforces
    push = (dt.unsqueeze(-1) * x).abs().amax(-1) * b.abs().amax(-1, keepdim=True)
    seen.bound = _grow(seen.bound, (push / -torch.expm1(dt * a)).flatten(0, 1).amax(0))
    seen.dt = _grow(seen.dt, dt.flatten(0, 1).amax(0))
    seen.y = max(seen.y, float(y.abs().max()))
    seen.gated = max(seen.gated, _reach(_plain_norm(gated, layer.gated_norm.eps)))
    out = layer.out_proj(layer.gated_norm(gated))
    return r + out, LayerState(padded[:, -(config.d_conv - 1) :], ssm)


def _plain_norm(x: Tensor, eps: float) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


def _reach(x: Tensor) -> float:
    flat = x.abs().flatten()
    beyond = int(len(flat) * (1 - COVER)) + 1
    return float(flat.topk(beyond).values[-1])


def _grow(seen: Tensor, now: Tensor) -> Tensor:
    return now if not len(seen) else torch.maximum(seen, now)
