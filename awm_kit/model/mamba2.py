"""The Mamba2 mixer in plain PyTorch: chunked over a sequence, or one frame at a time.

Both forms compute the recurrence of Dao and Gu, "Transformers are SSMs" (2024), section 6:
``h_t = exp(dt A) h_{t-1} + dt B_t x_t``, ``y_t = C_t h_t + D x_t``. They agree within 1e-4 in float32.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from awm_kit.model.config import ModelConfig


class LayerState(NamedTuple):
    """What one layer remembers.

    ``conv`` (batch, d_conv - 1, channels), oldest first; ``ssm`` (batch, nheads, headdim, d_state).
    """

    conv: Tensor
    ssm: Tensor


class RMSNorm(nn.Module):
    """``x / sqrt(mean(x^2) + eps) * weight``; with ``reach`` set, on its int8 grid before the gain."""

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps, self.reach = eps, 0.0
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        plain = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)
        return (on_grid(plain, self.reach) if self.reach else plain) * self.weight


def on_grid(x: Tensor, reach: float | Tensor) -> Tensor:
    """``x`` limited to ``+-reach`` and rounded to 127 steps a side; the rounding passes gradients through."""
    most = torch.as_tensor(reach, dtype=x.dtype, device=x.device)
    limited, step = x.clamp(-most, most), most / 127
    return limited + (torch.round(limited.detach() / step) * step - limited.detach())


class InputReach(NamedTuple):
    """Largest magnitudes of a layer's projected input: of z, and of each channel of x, B and C."""

    z: float
    channels: Tensor


class Mamba2(nn.Module):
    """One pre-norm residual Mamba2 layer, in_proj order z, x, B, C, dt.

    With ``bf16`` set, a sequence's products are of bfloat16; the residual and both states stay float32, as
    does the single step. With ``reach`` set, the projected input is on the int8 grids of the integer step.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.bf16 = False
        self.reach: InputReach | None = None
        inner, heads = config.d_inner, config.nheads
        self.norm = RMSNorm(config.d_model)
        self.in_proj = nn.Linear(config.d_model, inner + config.channels + heads, bias=False)
        self.conv_weight = nn.Parameter(torch.empty(config.channels, config.d_conv))
        self.conv_bias = nn.Parameter(torch.zeros(config.channels))
        self.A_log = nn.Parameter(torch.log(torch.linspace(1.0, 16.0, heads)))
        self.D = nn.Parameter(torch.ones(heads))
        # softplus(dt_bias) is log-uniform in 0.001..0.1, as in the reference implementation
        dt = torch.exp(torch.linspace(math.log(1e-3), math.log(1e-1), heads))
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        self.gated_norm = RMSNorm(inner)
        self.out_proj = nn.Linear(inner, config.d_model, bias=False)
        nn.init.uniform_(self.conv_weight, -0.5, 0.5)
        with torch.no_grad():
            self.out_proj.weight /= math.sqrt(2.0 * config.n_layers)

    def initial_state(self, batch: int, device: torch.device | None = None) -> LayerState:
        """Zeros for ``batch`` sequences."""
        c = self.config
        return LayerState(
            torch.zeros(batch, c.d_conv - 1, c.channels, device=device),
            torch.zeros(batch, c.nheads, c.headdim, c.d_state, device=device),
        )

    def forward(self, r: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Advance over a sequence: ``r`` (batch, length, d_model) -> same shape and the state after it."""
        with torch.autocast(r.device.type, torch.bfloat16, enabled=self.bf16):
            return self._sequence(r, state)

    def _sequence(self, r: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        c = self.config
        z, xbc, dt = self._project(self.norm(r))
        padded = torch.cat([state.conv, xbc], dim=1)
        conv = self._causal_conv(padded, r.shape[1])
        x, b, cc = self._split(self.activate(conv))
        y, ssm = ssd_chunked(x, dt, -torch.exp(self.A_log), b, cc, state.ssm, c.chunk)
        y = y + self.D[:, None] * x
        out = self.out_proj(self.gated_norm(y.flatten(2) * F.silu(z)))
        return r + out, LayerState(padded[:, -(c.d_conv - 1) :], ssm)

    def step(self, r: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Advance by one frame: ``r`` (batch, d_model)."""
        z, xbc, dt = self._project(self.norm(r))
        window = torch.cat([state.conv, xbc.unsqueeze(1)], dim=1)
        x, b, c = self._split(self.activate(self._causal_conv(window, 1)[:, 0]))
        decay = torch.exp(dt * -torch.exp(self.A_log))
        ssm = state.ssm * decay[..., None, None] + (dt[..., None] * x)[..., None] * b[:, None, None, :]
        y = (ssm * c[:, None, None, :]).sum(-1) + self.D[:, None] * x
        out = self.out_proj(self.gated_norm(y.flatten(1) * F.silu(z)))
        return r + out, LayerState(window[:, 1:], ssm)

    def _causal_conv(self, padded: Tensor, length: int) -> Tensor:
        # four shifted products: cheaper on a CPU than a depthwise conv1d with its transposes
        out: Tensor = self.conv_bias
        for tap in range(self.config.d_conv):
            out = out + padded[:, tap : tap + length] * self.conv_weight[:, tap]
        return out

    def activate(self, conv: Tensor) -> Tensor:
        """SiLU, on the int8 grid of the integer step if the configuration bounds its argument."""
        reach = self.config.conv_reach
        return on_grid(F.silu(on_grid(conv, reach)), reach) if reach else F.silu(conv)

    def _project(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c = self.config
        z, xbc, dt = self.in_proj(u).split([c.d_inner, c.channels, c.nheads], dim=-1)
        if self.reach:
            z, xbc = on_grid(z, self.reach.z), on_grid(xbc, self.reach.channels)
        return z, xbc, F.softplus(dt + self.dt_bias)

    def _split(self, xbc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c = self.config
        x, b, cc = xbc.split([c.d_inner, c.d_state, c.d_state], dim=-1)
        return x.unflatten(-1, (c.nheads, c.headdim)), b, cc


def ssd_chunked(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, h0: Tensor, chunk: int
) -> tuple[Tensor, Tensor]:
    """Structured state-space duality: matrix form inside chunks, recurrence between them.

    Parameters
    ----------
    x : Tensor, shape (batch, length, nheads, headdim)
    dt : Tensor, shape (batch, length, nheads), positive
    a : Tensor, shape (nheads,), negative
    b, c : Tensor, shape (batch, length, d_state)
    h0 : Tensor, shape (batch, nheads, headdim, d_state)
    chunk : int
        Frames per chunk; the last chunk may be shorter.

    Returns
    -------
    y : Tensor, shape of ``x``
    h : Tensor, shape of ``h0``
        State after the last frame.
    """
    h = h0
    ys = []
    for start in range(0, x.shape[1], chunk):
        piece = slice(start, start + chunk)
        y, h = _ssd_chunk(x[:, piece], dt[:, piece], a, b[:, piece], c[:, piece], h)
        ys.append(y)
    return torch.cat(ys, dim=1), h


def _ssd_chunk(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    cum = torch.cumsum(dt * a, dim=1).transpose(1, 2)  # (batch, nheads, q): log decay up to and with t
    gap = cum[..., :, None] - cum[..., None, :]
    causal = torch.ones(gap.shape[-2:], dtype=torch.bool, device=x.device).tril()
    decay = torch.exp(gap.masked_fill(~causal, -torch.inf))
    scores = torch.einsum("btn,bsn->bts", c, b).unsqueeze(1) * decay
    dtx = (x * dt.unsqueeze(-1)).transpose(1, 2)  # (batch, nheads, q, headdim)
    y = scores @ dtx
    y = y + torch.einsum("btn,bhpn->bhtp", c, h) * torch.exp(cum).unsqueeze(-1)
    to_end = torch.exp(cum[..., -1:] - cum).unsqueeze(-1)
    h = h * torch.exp(cum[..., -1])[..., None, None] + torch.einsum("bhtp,btn->bhpn", dtx * to_end, b)
    return y.transpose(1, 2), h
