"""Seconds of a training step on this machine: ``python tests/bench_train.py [steps] [threads]``.

float32 beside bfloat16 inside the layers, with and without self-forced frames, and with compiled layers.
Run it on an idle machine: with more runnable threads than cores every figure is noise.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace

from awm_kit.bench.timing import best_seconds
from awm_kit.data.scuffle import generate
from awm_kit.machine import machine
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.recipe_file import load_recipe
from awm_kit.model.train import Trainer
from awm_kit.schema import FIGHTER


def stepper(
    data: PackedReplays, threads: int, precision: str, horizon: int, compiled: bool
) -> Callable[[], object]:
    config = replace(
        load_recipe("scuffle").train,
        threads=threads,
        precision=precision,
        self_forcing=((0, horizon),),
        practice_from=0,
        compiled=compiled,
    )
    trainer = Trainer(data, config, tempfile.mkdtemp())
    for _ in range(2):  # the first steps compile, allocate and fill caches
        trainer.train_step()
    return trainer.train_step


def main() -> None:
    steps, threads = (int(a) for a in (sys.argv[1:] + ["8", "2"][len(sys.argv) - 1 :]))
    data = PackedReplays(FIGHTER, generate(range(80), 400))
    result = {"machine": machine(), "threads": threads, "seconds_per_step": {}}
    for name, *how in (
        ("fp32", "fp32", 0, False),
        ("bf16", "bf16", 0, False),
        ("bf16, 12 self-forced frames", "bf16", 12, False),
        ("bf16, compiled layers", "bf16", 0, True),
    ):
        step = stepper(data, threads, *how)
        result["seconds_per_step"][name] = round(best_seconds(step, steps), 4)
        print(f"{name:30} {result['seconds_per_step'][name]:.3f} s", file=sys.stderr)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
