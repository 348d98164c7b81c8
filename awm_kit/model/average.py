"""The weights that a run keeps: an average of its last steps'."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from awm_kit.model.world import WorldModel

Tensors = tuple[Tensor, ...] | list[Tensor]


def averaged(model: WorldModel, horizon: int) -> AveragedModel:
    """A copy of a network whose weights follow the network's, averaged exponentially over ``horizon`` steps.

    The first ``horizon`` steps count alike, so that where the run began is soon forgotten.

    Parameters
    ----------
    model : WorldModel
    horizon : int
        Steps, at least 1: of one step, each new one takes the average's place.

    Returns
    -------
    AveragedModel
        Its ``update_parameters`` takes the next step's weights, its ``module`` is the average.
    """

    def follow(average: Tensors, new: Tensors, n_averaged: Tensor | int) -> None:
        torch._foreach_lerp_(average, new, max(1 / horizon, 1 / (int(n_averaged) + 1)))

    return AveragedModel(model, multi_avg_fn=torch.no_grad()(follow))
