"""Speed of the teacher: ``python tests/bench_scuffle.py [processes]``, in player-frames per second."""

from __future__ import annotations

import sys
import time

import numpy as np

from awm_kit.data.scuffle import Scuffle, generate
from awm_kit.schema import neutral_inputs


def main() -> None:
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    n, frames = 2048, 300
    game = Scuffle(n)
    inputs = neutral_inputs(n)
    inputs["stick_x"] = np.random.default_rng(0).integers(-80, 81, (n, 2))
    start = time.perf_counter()
    for _ in range(frames):
        game.step(inputs)
    print(f"Scuffle.step, {n} matches, 1 process: {2 * n * frames / (time.perf_counter() - start):,.0f}/s")
    for count in sorted({1, processes}):
        start = time.perf_counter()
        replays = generate(range(4096), 600, processes=count)
        seconds = time.perf_counter() - start
        speed = 2 * sum(map(len, replays)) / seconds
        print(f"generate, 4096 seeds x 600 frames, {count} processes: {speed:,.0f}/s")


if __name__ == "__main__":
    main()
