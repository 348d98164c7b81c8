"""Outliers of the residual spread over many channels, so that int8 has finer steps for the others.

Networks of this kind come to keep a large constant in one channel (Sun, Chen, Kolter and Liu, "Massive
activations in large language models", 2024). The largest channel sets the step of all: 9 of a norm's 12.6
in one leaves the other 159 a tenth of the grid. Norms do not see rotations of the residual, whose
gains belong to the matrices that follow, so a rotation of a few channels takes the outlier apart
(Ashkboos and others, "QuaRot: outlier-free 4-bit inference in rotated LLMs", 2024).
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from awm_kit.model.dataset import PackedReplays, Streams
from awm_kit.model.mamba2 import RMSNorm
from awm_kit.model.world import WorldModel

#: Channels that share an outlier; a power of two. Each gets its size over the root of it.
BLOCK = 8
#: A channel is an outlier if its root mean square is this many times the median channel's.
OUTLIER = 4.0


def spread_outliers(model: WorldModel, data: PackedReplays) -> WorldModel:
    """The same network in another basis, whose residual has no channel far larger than the others.

    Parameters
    ----------
    model : WorldModel
        Left as it is.
    data : PackedReplays
        True frames to find the outliers in.

    Returns
    -------
    WorldModel
        Gives the same logits, but that a choice's gates are those of the outlier for all who share it: a few
        hundred steps of training put that right.
    """
    sizes = channel_sizes(model, data)
    rotation = _rotation(sizes, model)
    child = deepcopy(model)
    with torch.no_grad():
        child.embed.weight.copy_(rotation @ model.embed.weight)
        child.embed.bias.copy_(rotation @ model.embed.bias)
        for layer in child.mixers:
            _read_rotated(layer.in_proj.weight, layer.norm, rotation)
            layer.out_proj.weight.copy_(rotation @ layer.out_proj.weight)
        lead = model.n_lead
        if child.choice is None:
            _read_rotated(child.head.weight, child.final_norm, rotation)
        else:
            _read_rotated(child.head.weight[:lead], child.final_norm, rotation)
            _read_rotated(child.head.weight[lead:], child.choice.norm, rotation)
            for block in _blocks(sizes, model):
                child.choice.gate[..., block] = child.choice.gate[..., block[:1]]
            child.choice.offset.copy_(child.choice.offset @ rotation.T)
    return child


@torch.no_grad()
def channel_sizes(model: WorldModel, data: PackedReplays, lanes: int = 32, length: int = 256) -> Tensor:
    """Root mean square of each channel before each norm's gains, shape (n_layers + 1, d_model)."""
    norms = [layer.norm for layer in model.mixers] + [model.final_norm]
    sums = [torch.zeros(model.config.d_model) for _ in norms]
    frames = 0

    def watch(i: int) -> object:
        def hook(norm: nn.Module, args: tuple[Tensor, ...]) -> None:
            x = args[0].flatten(0, -2)
            sums[i].add_((x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)).square().sum(0))

        return norms[i].register_forward_pre_hook(hook)

    hooks = [watch(i) for i in range(len(norms))]
    length = min(length, int((data.starts[1:] - data.starts[:-1]).max()) - 1)
    batch = Streams(data, lanes, length, 1).next()
    raw = model.views(batch.globals[:, :length], batch.players[:, :length], batch.inputs)
    model(raw, model.initial_state(lanes))
    for hook in hooks:
        hook.remove()  # type: ignore[attr-defined]
    frames = raw.shape[0] * raw.shape[1]
    return torch.stack(sums).div(frames).sqrt()


def _blocks(sizes: Tensor, model: WorldModel) -> list[list[int]]:
    """For each outlier, largest first, the channels that it is spread over, itself first."""
    largest = sizes.amax(0)
    order = largest.argsort(descending=True).tolist()
    outliers = [c for c in order if largest[c] > OUTLIER * largest.median()]
    free = [c for c in order[::-1] if c not in outliers]
    blocks = []
    for outlier in outliers:
        if len(free) < BLOCK - 1:
            break
        cost = _gate_cost(model, sizes, outlier)
        calm = sorted(free, key=lambda c: cost[c])[: BLOCK - 1]
        free = [c for c in free if c not in calm]
        blocks.append([outlier, *calm])
    return blocks


def _gate_cost(model: WorldModel, sizes: Tensor, outlier: int) -> list[float]:
    """What each channel would lose with the outlier's gates: the difference times what it carries."""
    if model.choice is None:
        return [float(v) for v in sizes.amax(0)]
    gate = model.choice.gate.detach()
    apart = (gate - gate[..., outlier : outlier + 1]).square().mean((0, 1)).sqrt()
    carried = sizes[-1] * (model.head.weight * model.choice.norm.weight).detach().square().sum(0).sqrt()
    return [float(v) for v in apart * carried]


def _rotation(sizes: Tensor, model: WorldModel) -> Tensor:
    """The identity but for Hadamard's matrix of each block."""
    rotation = torch.eye(sizes.shape[1])
    hadamard = torch.ones(1, 1)
    while len(hadamard) < BLOCK:
        hadamard = torch.cat([torch.cat([hadamard, hadamard], 1), torch.cat([hadamard, -hadamard], 1)])
    for block in _blocks(sizes, model):
        index = torch.tensor(block)
        rotation[index[:, None], index] = hadamard / BLOCK**0.5
    return rotation


def _read_rotated(weight: Tensor, norm: RMSNorm, rotation: Tensor) -> None:
    """A matrix behind a norm, in place: it takes the norm's gains and reads the new basis."""
    weight.copy_((weight * norm.weight) @ rotation.T)
    norm.weight.fill_(1.0)
