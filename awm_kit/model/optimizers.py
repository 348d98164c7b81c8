"""What turns gradients into steps: AdamW, or Muon where a weight is a matrix between two hidden layers."""

from __future__ import annotations

from typing import Any

from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer

from awm_kit.errors import ModelFileError
from awm_kit.model.world import WorldModel

OPTIMIZERS = ("adamw", "muon")


class Optimizers:
    """Several optimisers that share the parameters of one model, used as one.

    Parameters
    ----------
    parts : dict
        Name -> optimiser; the names are the keys of the state.
    """

    def __init__(self, parts: dict[str, Optimizer]) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """All groups of all parts, to set a rate in."""
        return [group for part in self.parts.values() for group in part.param_groups]

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for part in self.parts.values():
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        """One step of every part."""
        for part in self.parts.values():
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Moments of every part, by its name."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave.

        Raises
        ------
        ModelFileError
            If it is another optimiser's.
        """
        if set(state) != set(self.parts):
            raise ModelFileError(
                f"expected the state of {sorted(self.parts)} (got {sorted(state)}): "
                "the run was begun with another optimizer; go on with that one, or in another folder"
            )
        for name, part in self.parts.items():
            part.load_state_dict(state[name])


def make_optimizer(model: WorldModel, kind: str, lr: float, weight_decay: float) -> Optimizers:
    """The optimiser of a training run.

    With ``muon`` the layers' projections take orthogonalised steps (Jordan et al., "Muon: an optimizer for
    hidden layers in neural networks", 2024), scaled to the size of AdamW's so that one rate serves both;
    everything else is AdamW's.

    Parameters
    ----------
    model : WorldModel
    kind : str
        One of `OPTIMIZERS`.
    lr, weight_decay : float
        Decay is for matrices and tables; gains and biases have none.
    """
    hidden = [w for layer in model.mixers for w in (layer.in_proj.weight, layer.out_proj.weight)]
    if kind == "adamw":
        hidden = []
    taken = {id(p) for p in hidden}
    others = [p for p in model.parameters() if id(p) not in taken]
    parts: dict[str, Optimizer] = {"adamw": AdamW(_groups(others, weight_decay), lr=lr, betas=(0.9, 0.98))}
    if hidden:
        parts["muon"] = Muon(hidden, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
    return Optimizers(parts)


def _groups(parameters: list[Parameter], decay: float) -> list[dict[str, Any]]:
    matrices = [p for p in parameters if p.ndim >= 2]
    vectors = [p for p in parameters if p.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
