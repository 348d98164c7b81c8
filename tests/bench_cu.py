"""Compute units of a world's frame on chain: ``python tests/bench_cu.py [WORLD.awm ...]`` prints JSON.

Without an argument, random worlds of several sizes.
"""

import json
import sys

from awm_kit.chain.cu import measure_cu
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_model

SHAPES = {
    "small": Shape(d_model=64, nheads=8, headdim=16, d_state=16, n_layers=2),
    "medium": Shape(d_model=128, nheads=8, headdim=32, d_state=32, n_layers=2),
    "large": Shape(d_model=256, nheads=8, headdim=64, d_state=32, n_layers=2),
}


def main(paths: list[str]) -> None:
    worlds = {path: Cartridge.load(path) for path in paths}
    if not worlds:
        worlds = {name: pack(random_model(0, shape)) for name, shape in SHAPES.items()}
    print(json.dumps({name: measure_cu(world) for name, world in worlds.items()}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
