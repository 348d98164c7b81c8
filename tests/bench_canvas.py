"""How live play feels: rate, jitter and key latency in a real JupyterLab, as JSON.

    python tests/bench_canvas.py [--seconds 15] [--world NAME | --untrained]

``python`` is drawn by Python with the shipped server configuration, ``python_stock_server`` without.
Key latency runs from the key event in the page to the animation frame that shows its effect.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from lab import Notebook, chromium_browser, jupyter_lab, write_notebook
from playwright.sync_api import Browser

SETUP = """
from dataclasses import replace
from awm_kit.play import play
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import random_model
from awm_kit.schema import FIGHTER
app = play({world}, engine="native", opponent="idler", time_limit=0)
log = []
app.match.on_frame.append(lambda frame: log.append([app.pad.state.sequence, int(frame["frame"])]))
"""
UNTRAINED = 'pack(random_model(schema=replace(FIGHTER, end_field="")))'
ASK = "import json; print(json.dumps([log, app.loop.stats().__dict__]))"


def measure(browser: Browser, world: str, nodelay: bool, seconds: float) -> dict[str, Any]:
    """One server, one match: the figures of one row."""
    folder = Path(tempfile.mkdtemp(prefix="awm-bench-canvas-"))
    write_notebook(folder / "play.ipynb", [SETUP.format(world=world), "app", ""])
    try:
        with jupyter_lab(folder, nodelay) as base:
            lab = Notebook(browser, base, "play.ipynb")
            for cell in (0, 1):
                lab.run(cell)
            lab.page.wait_for_selector(".awm-pad")
            lab.click_game()
            lab.page.wait_for_function("window.__probe.frame() > 30", timeout=30_000)
            lab.reset_probe()
            press_keys(lab, seconds)
            shown = lab.page.evaluate("window.__probe.read()")
            log, stats = json.loads(lab.python(2, ASK))
            lab.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return figures(shown, log, stats)


def press_keys(lab: Notebook, seconds: float) -> None:
    """Keys at uneven times, so that they fall anywhere between two frames."""
    rng, left = random.Random(1), seconds
    while left > 0:
        key = rng.choice("adjw")
        for act in (lab.page.keyboard.down, lab.page.keyboard.up):
            pause = rng.uniform(60, 140)
            act(key)
            lab.page.wait_for_timeout(pause)
            left -= pause / 1000


def figures(shown: dict[str, Any], log: list[list[int]], stats: dict[str, float]) -> dict[str, Any]:
    """Summary of what the page saw and what the kernel says."""
    times, frames = np.array(shown["frames"]).T
    first: dict[int, int] = {}
    for sequence, frame in log:
        first.setdefault(sequence, frame)
    delays = []
    for at, sequence in shown["sent"]:
        visible = times[frames >= first[sequence]] if sequence in first else times[:0]
        if len(visible):
            delays.append(float(visible[0]) - at)
    key = np.percentile(delays, [50, 95]) if delays else np.full(2, np.nan)
    return {
        "presented_fps": round(len(np.unique(times)) / shown["seconds"], 1),
        "interval_p99_ms": round(float(np.percentile(np.diff(np.unique(times)), 99)), 1),
        "key_p50_ms": round(float(key[0]), 1),
        "key_p95_ms": round(float(key[1]), 1),
        "keys": len(delays),
        "bytes_per_frame": round(shown["bytes"] / len(frames)),
        "messages_per_frame": round(shown["messages"] / len(frames), 2),
        "cpu_share": round(stats["cpu_share"], 2),
        "loop_interval_p99_ms": round(stats["interval_p99_ms"], 1),
        "cost_ms": round(stats["cost_ms"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--world", default="scuffle", help="a shipped world or a file")
    parser.add_argument("--untrained", action="store_true", help="a small world of random weights instead")
    options = parser.parse_args()
    world = UNTRAINED if options.untrained else repr(options.world)
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with chromium_browser(executable) as browser:
        rows = {
            name: measure(browser, world, nodelay, options.seconds)
            for name, nodelay in (("python", True), ("python_stock_server", False))
        }
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
