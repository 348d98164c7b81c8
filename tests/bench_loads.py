"""Loads and stores of a frame of the syscall build, by function: ``python tests/bench_loads.py [WORLD]``.

Each is a call in the VM and takes as long as forty additions, so they say better than compute units what a
frame takes (`validator/README.md`). A world is a size of `awm bench rollup`, or a shipped one.
"""

import sys
import tempfile
from pathlib import Path

from onchain import Chain, Match, World, controllers
from sbf_vm import Interpreted

from awm_kit.bench.rollup import cartridge_of
from awm_kit.chain.sbf import build, link

FRAMES = 3


def main(name: str) -> None:
    match = Match(World(Chain(), cartridge_of(name)).upload().finalise()).begin()
    objects = build.objects(syscall=True)
    with tempfile.TemporaryDirectory() as folder:
        there = Interpreted(match, Path(folder), link.link(objects))
        for pads in controllers(FRAMES):
            there.submit(pads)
            units = there.frame()
    found = link.functions(objects)
    first = min(function.address for function in found)
    rows = []
    for function in found:
        at = (function.address - first) // link.INSTRUCTION
        part = slice(at, at + function.instructions)
        rows.append((there.loads_and_stores()[part].sum(), there.executed[part].sum(), function.name))
    print(f"{name}: {len(units)} transactions, {sum(units):,} units")
    print(f"{'a frame':24}{'loads, stores':>14}{'instructions':>14}")
    for loads, executed, function in sorted(rows, reverse=True)[:24]:
        print(f"{function:24}{int(loads) // FRAMES:14,}{int(executed) // FRAMES:14,}")
    together = [int(sum(row[i] for row in rows)) // FRAMES for i in range(2)]
    print(f"{'together':24}{together[0]:14,}{together[1]:14,}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "15M")
