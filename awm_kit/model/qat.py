"""Training that makes up for matrices in 4 bits.

Rounding to 15 levels moves weights by a tenth of their size; a few hundred steps in which the network
computes with rounded weights, and the gradients change the true ones behind them, win back what that costs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from awm_kit.model.dataset import PackedReplays
from awm_kit.model.rounding import FOUR_BITS, four_bits, rounded
from awm_kit.model.train import Trainer
from awm_kit.model.train_config import TrainConfig
from awm_kit.model.world import WorldModel

#: From a world that already plays.
TUNING = TrainConfig(steps=300, lanes=32, lr=4e-4, warmup=0.1, self_forcing=((0, 6),))


class FourBitTrainer(Trainer):
    """A `Trainer` whose network computes with rounded weights; gradients pass straight to the true ones.

    Parameters
    ----------
    names : collection of str
        Of `MATRICES`.
    *args, **kwargs
        See `Trainer`.
    """

    def __init__(self, names: Collection[str], *args: Any, **kwargs: Any) -> None:
        self.names = tuple(names)
        super().__init__(*args, **kwargs)

    def train_step(self) -> dict[str, float]:
        """See `Trainer.train_step`."""
        with rounded(self.model, self.names, lambda weight: four_bits(weight).real):
            return super().train_step()


def tune(
    model: WorldModel,
    data: PackedReplays,
    folder: Path | str,
    names: Collection[str] = FOUR_BITS,
    config: TrainConfig = TUNING,
    notes: dict[str, Any] | None = None,
    progress: bool = True,
) -> WorldModel:
    """Train a network on with 4-bit weights.

    Parameters
    ----------
    model : WorldModel
        Changed in place.
    data : PackedReplays
    folder : path
        Of the run, which resumes from there if it was interrupted.
    names : collection of str
        Matrices in 4 bits, of `MATRICES`.
    config : TrainConfig
        Its model is ignored, the network's is kept.
    notes : dict, optional
        Added to the checkpoint's notes.
    progress : bool

    Returns
    -------
    WorldModel
        The true weights: quantise them with the same ``names``.
    """
    kept = replace(config, model=model.config)
    return FourBitTrainer(names, data, kept, folder, model, notes).run(progress)
