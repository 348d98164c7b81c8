"""How a world is trained, as a recipe says it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from awm_kit.model.config import ModelConfig
from awm_kit.model.optimizers import OPTIMIZERS


@dataclass(frozen=True)
class TrainConfig:
    """How a world is trained.

    ``self_forcing`` lists (from_step, horizon): from that step on, each window is followed by
    ``horizon`` frames in which the network reads its own predictions. ``balance`` weighs each head's
    classes by their frequency to the power ``-balance``, within limits: 0 treats all frames alike.
    ``event_weight`` is the weight of frames in which the action state changes, and ``rare_weights`` lists
    (event of `metrics.events_of`, weight): where what happens cannot be known for sure, the likeliest next
    frame is that nothing does, and a world that always takes it has too few of the event.
    ``lead_weight`` is the weight of the leading head's loss, from which most of a free run's error comes.
    ``mistake_weight`` is the weight of frames of practice in which the network's own play went on to
    another action state than its corrector.
    ``free_weight`` is the weight of steps that are regressed because no class has them: a launch is one
    frame of some hundreds, and where it ends half a second later depends on that frame's precision.
    ``unimix`` is the share of each head's probability that the loss spreads evenly over its classes.
    ``optimizer`` is ``adamw``, or ``muon`` for the layers' projections (a tenth less loss after 900 steps).
    ``precision`` is ``fp32``, ``bf16`` for the products inside the layers (a fifth less time on a CPU that
    multiplies bfloat16, the same loss), or ``auto``: bf16 where the hardware has it. ``compiled`` fuses the
    layers: about a quarter less time again, after a minute of compiling.
    ``finish`` is the number of last steps in which weights and activations are on the grids of the integer
    step, once the residual's outliers are spread; rounded after training, launches were a twentieth slower.
    ``average`` is the number of steps over which the weights that are kept average, 0 for the last step's:
    at the same step they err a fifth to two thirds less, since the rate's noise is out of them.

    With a `Practice`, the network plays from step ``practice_from`` on, every ``practice_every`` steps; of
    all replays that are walked, ``practice_share`` are its last ``practice_keep`` turns, corrected.
    """

    steps: int = 5000
    lanes: int = 64
    length: int = 64
    lr: float = 2e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    self_forcing: tuple[tuple[int, int], ...] = ((0, 0),)
    event_weight: float = 4.0
    lead_weight: float = 1.0
    mistake_weight: float = 1.0
    free_weight: float = 2.0
    rare_weights: tuple[tuple[str, float], ...] = ()
    balance: float = 0.0
    seed: int = 0
    unimix: float = 0.0
    threads: int = 0
    optimizer: str = "adamw"
    precision: str = "auto"
    compiled: bool = False
    save_every: int = 250
    finish: int = 0
    average: int = 0
    practice_from: int = 0
    practice_every: int = 800
    practice_keep: int = 6
    practice_share: float = 0.3
    model: ModelConfig = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        if self.precision not in ("auto", "bf16", "fp32"):
            raise ValueError(f"expected precision auto, bf16 or fp32 (got {self.precision!r})")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"expected an optimizer of {OPTIMIZERS} (got {self.optimizer!r})")
        for name in ("lanes", "length", "save_every", "practice_every", "practice_keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1 (got {getattr(self, name)})")
        if self.average < 0:
            raise ValueError(f"expected average of 0 or more steps (got {self.average})")
        if self.lr <= 0 or self.clip <= 0:
            raise ValueError(f"expected lr and clip above 0 (got {self.lr}, {self.clip})")
        for name in ("unimix", "practice_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"expected {name} in [0, 1) (got {getattr(self, name)})")

    def bf16_on(self, device: torch.device) -> bool:
        """Whether layers multiply in bfloat16 on this device."""
        if self.precision != "auto":
            return self.precision == "bf16"
        if device.type == "cuda":
            return bool(torch.cuda.is_bf16_supported())
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())

    def horizon(self, step: int) -> int:
        """Self-forced frames at ``step``."""
        return max((h for start, h in self.self_forcing if step >= start), default=0)

    def rate(self, step: int) -> float:
        """Learning rate: linear warm-up, then cosine to a twentieth."""
        rise = max(1, int(self.warmup * self.steps))
        if step < rise:
            return self.lr * (step + 1) / rise
        along = min(1.0, (step - rise) / max(1, self.steps - rise))
        return self.lr * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * along)))
