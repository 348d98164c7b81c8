"""Shape of a world model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """Dimensions of the Mamba2 trunk, named as in the Mamba2 paper (Dao and Gu, 2024).

    ``n_views`` is 2 when the same network runs once for each player, who then is *self*
    and the opponent *other*: swapping the players swaps the prediction exactly. 1 runs it once,
    with player 0 as *self*.

    ``conv_reach`` bounds what goes into the convolution's SiLU: training then uses the very int8 grid
    of the integer step there, whose accuracy a few outliers would cost. 0 leaves it to calibration.
    """

    d_model: int = 128
    n_layers: int = 3
    d_state: int = 16
    headdim: int = 32
    expand: int = 2
    d_conv: int = 4
    n_views: int = 2
    chunk: int = 32
    conv_reach: float = 10.0

    def __post_init__(self) -> None:
        for name in ("d_model", "n_layers", "d_state", "headdim", "expand", "chunk"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1 (got {getattr(self, name)})")
        if self.conv_reach < 0:
            raise ValueError(f"expected a conv_reach of at least 0 (got {self.conv_reach})")
        if self.d_conv != 4:
            raise ValueError(f"expected d_conv 4, the integer step's tap count (got {self.d_conv})")
        if self.d_inner % self.headdim:
            raise ValueError(f"headdim {self.headdim} does not divide d_inner {self.d_inner}")
        if self.n_views not in (1, 2):
            raise ValueError(f"expected n_views 1 or 2 (got {self.n_views})")
        for name in ("d_model", "d_state"):
            if getattr(self, name) % 8:
                raise ValueError(f"expected {name} to be a multiple of 8 (got {getattr(self, name)})")

    @property
    def d_inner(self) -> int:
        """Width of the mixer."""
        return self.expand * self.d_model

    @property
    def nheads(self) -> int:
        """Number of SSM heads."""
        return self.d_inner // self.headdim

    @property
    def channels(self) -> int:
        """Channels of the causal convolution: x, B and C."""
        return self.d_inner + 2 * self.d_state


#: The sizes named in the issues and the source document, by approximate parameter count.
PRESETS = {
    "tiny": ModelConfig(d_model=64, n_layers=2, headdim=32),
    "small": ModelConfig(d_model=128, n_layers=3),
    "1M": ModelConfig(d_model=192, n_layers=4),
    "4M": ModelConfig(d_model=384, n_layers=4),
    "15M": ModelConfig(d_model=512, n_layers=8, headdim=64),
    "source": ModelConfig(d_model=512, n_layers=12, headdim=64),
}
