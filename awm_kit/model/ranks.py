"""Several processes that train one network: each walks its own lanes, all take the same step.

``torchrun --nproc-per-node N -m awm_kit.cli train RECIPE`` starts them, on one machine or many; gradients
are averaged over gloo on CPUs and NCCL on GPUs. What is computed is what one process would compute with all
lanes, to rounding: see `Ranks.balanced`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """One process among those that train together.

    Attributes
    ----------
    rank, world : int
        Its number, from 0, and how many there are.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def joined(cls, device: torch.device) -> Ranks:
        """Join the processes that torchrun started; alone without it."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def lanes(self, n: int) -> slice:
        """Which of ``n`` lanes are this process's.

        Raises
        ------
        ValueError
            If they cannot be shared out evenly.
        """
        if n % self.world:
            raise ValueError(f"expected lanes in a multiple of the {self.world} processes (got {n})")
        return slice(self.rank * n // self.world, (self.rank + 1) * n // self.world)

    def leave(self) -> None:
        """Part from the others, at the end of a program."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def same(self, model: nn.Module) -> None:
        """Give every process the first one's weights."""
        if self.world > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, 0)

    def balanced(self, weight: Tensor) -> Tensor | float:
        """What to multiply this process's mean by, so that the mean over processes is that of all frames.

        Parameters
        ----------
        weight : Tensor
            Weights of its own frames, which its mean has divided by.
        """
        if self.world == 1:
            return 1.0
        own = weight.sum().detach()
        total = own.clone()
        dist.all_reduce(total)
        return own * self.world / total.clamp(min=1e-6)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace every tensor by its mean over processes, in one message."""
        parts = list(tensors)
        if self.world == 1 or not parts:
            return
        flat = torch.cat([t.reshape(-1) for t in parts])
        dist.all_reduce(flat)
        flat /= self.world
        for tensor, mean in zip(parts, flat.split([t.numel() for t in parts]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def from_first(self, make: Callable[[], T]) -> T:
        """What ``make`` returns in the first process; the others do not call it."""
        if self.world == 1:
            return make()
        box: list[Any] = [make() if self.first else None]
        dist.broadcast_object_list(box, 0)
        made: T = box[0]
        return made


def device_of_process() -> torch.device:
    """The GPU of one's own process, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
