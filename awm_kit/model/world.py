"""The world model: encoder, Mamba2 layers, heads; over sequences for training, by frame for playing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from awm_kit.feature_table import FeatureTable
from awm_kit.model.choice import Choice
from awm_kit.model.config import ModelConfig
from awm_kit.model.features import Encoder, raw_columns
from awm_kit.model.heads import Head, HeadDecoder, leading, n_logits
from awm_kit.model.mamba2 import LayerState, Mamba2, RMSNorm
from awm_kit.schema import Schema

WorldState = list[LayerState]


class WorldModel(nn.Module):
    """``(frame, controllers, memory) -> logits of the next frame, memory``.

    The batch axis holds views: for ``n_views`` 2, rows ``[0, n)`` see player 0 as *self* and rows
    ``[n, 2n)`` player 1.
    """

    def __init__(self, config: ModelConfig, schema: Schema, heads: list[Head]) -> None:
        super().__init__()
        self.config, self.schema = config, schema
        self.table = FeatureTable(schema)
        self.encoder = Encoder(self.table)
        self.embed = nn.Linear(self.table.d_feat, config.d_model)
        self.layers = nn.ModuleList(Mamba2(config) for _ in range(config.n_layers))
        self.final_norm = RMSNorm(config.d_model)
        self.decoder = HeadDecoder(heads)
        self.head = nn.Linear(config.d_model, n_logits(heads))
        lead = leading(heads) if config.n_views == 2 else None
        self.n_lead = lead.n_classes if lead else 0
        self.choice = Choice(self.n_lead, config.d_model) if lead else None

    @property
    def heads(self) -> list[Head]:
        """The head table."""
        return self.decoder.heads

    @property
    def mixers(self) -> list[Mamba2]:
        """The layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, Mamba2)]

    @property
    def n_params(self) -> int:
        """Trainable parameters."""
        return sum(p.numel() for p in self.parameters())

    def use_bf16(self, on: bool) -> None:
        """Multiply in bfloat16 inside the layers when advancing over a sequence."""
        for layer in self.mixers:
            layer.bf16 = on

    def compile_layers(self) -> None:
        """Fuse what the layers compute over sequences; one length, as in training, is compiled once."""
        for layer in self.mixers:
            layer.compile(dynamic=False)

    def initial_state(self, n: int) -> WorldState:
        """Memory of ``n`` matches at their first frame."""
        device = self.head.weight.device
        return [layer.initial_state(n * self.config.n_views, device) for layer in self.mixers]

    def views(self, globals_: Tensor, players: Tensor, inputs: Tensor) -> Tensor:
        """Stack what each view sees along the batch axis; shapes as in `raw_columns`."""
        views = range(self.config.n_views)
        return torch.cat([raw_columns(globals_, players, inputs, v) for v in views], 0)

    def forward(
        self, raw: Tensor, state: WorldState, chosen: Tensor | None = None
    ) -> tuple[Tensor, WorldState]:
        """Logits over a sequence.

        Parameters
        ----------
        raw : Tensor of int64, shape (views*n, length, columns)
        state : WorldState
        chosen : Tensor of int64, shape (views*n, length), optional
            Classes of the leading head that the other heads are to assume (in training, the true
            ones: see `chosen`); the most likely ones if not given.

        Returns
        -------
        logits : Tensor, shape (views*n, length, n_logits)
        state : WorldState
        """
        r = self.embedded(raw)
        after = []
        for layer, before in zip(self.mixers, state, strict=True):
            r, s = layer(r, before)
            after.append(s)
        return self.logits(r, chosen), after

    def step(self, raw: Tensor, state: WorldState, chosen: Tensor | None = None) -> tuple[Tensor, WorldState]:
        """Logits of one frame: ``raw`` (views*n, columns), ``chosen`` (views*n,)."""
        r = self.embedded(raw)
        after = []
        for layer, before in zip(self.mixers, state, strict=True):
            r, s = layer.step(r, before)
            after.append(s)
        return self.logits(r, chosen), after

    def embedded(self, raw: Tensor) -> Tensor:
        """First residual of raw integers, by the 7-bit weights of the integer step.

        Many features are at one end of their range most of the time: rounding their weights after
        training would move every sum by much the same amount.
        """
        return F.linear(self.encoder(raw), seven_bits(self.embed.weight), self.embed.bias)

    def logits(self, r: Tensor, chosen: Tensor | None = None) -> Tensor:
        """Heads on the last residual: the leading one first, then those that know what it chose."""
        if self.choice is None:
            plain: Tensor = self.head(self.final_norm(r))
            return plain
        weight, bias, lead = self.head.weight, self.head.bias, self.n_lead
        first = F.linear(self.final_norm(r), weight[:lead], bias[:lead])
        mine = first.argmax(-1) if chosen is None else chosen
        other = mine.roll(len(mine) // 2, 0)  # the views are the two halves of the batch
        rest = F.linear(self.choice(r, mine, other), weight[lead:], bias[lead:])
        return torch.cat([first, rest], -1)

    def chosen(self, players: Tensor) -> Tensor | None:
        """The leading head's classes of true next records, view by view.

        Parameters
        ----------
        players : Tensor of int64, shape (n, ..., 2, fields)

        Returns
        -------
        Tensor of int64, shape (views*n, ...), or None if no head leads
        """
        if self.choice is None:
            return None
        values = players[..., self.heads[0].column]
        return self.decoder.index_of(torch.cat([values[..., 0], values[..., 1]], 0))

    def decode(self, logits: Tensor, players: Tensor) -> Tensor:
        """Next player records of the frame: ``players`` int64 (n, 2, fields) -> same shape."""
        n = players.shape[0]
        if self.config.n_views == 1:
            return torch.stack([self.decoder.decode(logits, players[:, 0]), players[:, 1]], 1)
        both = torch.cat([players[:, 0], players[:, 1]], 0)
        new = self.decoder.decode(logits, both)
        return torch.stack([new[:n], new[n:]], 1)


def seven_bits(weight: Tensor) -> Tensor:
    """A matrix rounded as `quantize` rounds it, row by row; gradients pass straight through."""
    step = weight.detach().abs().amax(1, keepdim=True).clamp(min=1e-12) / 63
    return weight + ((weight.detach() / step).round() * step - weight.detach())
