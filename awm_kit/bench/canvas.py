"""How live play feels: rate, jitter and key latency in a real JupyterLab, in headless Chromium.

A key's latency runs from the time stamp of the key's event in the page to the refresh of the page that
shows the first frame computed with it.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser

from awm_kit.bench.lab import Notebook, chromium_browser, find_chromium, jupyter_lab, write_notebook
from awm_kit.worlds import find_world

#: What is measured: the rows, and for each whether the server extension is on and the page predicts.
WAYS = {"python": (True, False), "python_stock_server": (False, False), "instant": (True, True)}

_LOG = logging.getLogger(__name__)
_SETUP = """
import json, time
from awm_kit.play import nodelay, play
app = play({world!r}, engine="native", opponent="idler", time_limit=0, instant={instant})
log = []
def begin():
    app.match.on_frame.append(lambda frame: log.append([app.pad.state.sequence, int(frame["frame"])]))
    return time.perf_counter(), time.process_time()
"""
_BEGIN = "since = begin()"
_END = """
share = (time.process_time() - since[1]) / (time.perf_counter() - since[0])
print(json.dumps({"log": log, "cpu_share": share, "nodelay": nodelay.is_active()}))
"""
# As many steps to the left as to the right: nobody falls off the stage.
_KEYS = "adjdaw"


def measure_canvas(world: str = "scuffle", seconds: float = 15.0) -> dict[str, dict[str, float]]:
    """Play for ``seconds`` in each of `WAYS`, each with a server and a kernel of its own.

    Parameters
    ----------
    world : str
        A shipped world or a file.

    Returns
    -------
    dict
        For each way ``presented_fps`` (refreshes of the page that showed a new frame, a second),
        ``interval_p99_ms`` (between these), ``key_p50_ms`` and ``key_p95_ms``, ``bytes_per_frame`` and
        ``messages_per_frame`` (on the websocket, both directions), ``cpu_share`` (of one core, the
        kernel's process).

    Raises
    ------
    FileNotFoundError
        If there is no Chromium.
    RuntimeError
        If a server did not take its configuration.
    ModelFileError
        If there is no such world.
    """
    file = find_world(world).resolve()
    with chromium_browser(find_chromium()) as browser:
        figures = {}
        for name, way in WAYS.items():
            _LOG.info(f"{name}: a JupyterLab, and {seconds:g} seconds of play in it")
            figures[name] = _measure(browser, file, *way, seconds)
        return figures


def _measure(browser: Browser, world: Path, nodelay: bool, instant: bool, seconds: float) -> dict[str, float]:
    folder = Path(tempfile.mkdtemp(prefix="awm-bench-canvas-"))
    cells = [_SETUP.format(world=str(world), instant=instant), "app", _BEGIN, _END]
    write_notebook(folder / "play.ipynb", cells)
    try:
        with jupyter_lab(folder, nodelay) as base:
            lab = Notebook(browser, base, "play.ipynb")
            for cell in range(3):
                lab.run(cell)
            lab.page.wait_for_selector(".awm-pad")
            lab.click_game()
            # The loop finds the page's rhythm within two or three seconds.
            lab.page.wait_for_function("window.__probe.frame() > 180", timeout=60_000)
            lab.reset_probe()
            _press_keys(lab, seconds)
            shown = lab.page.evaluate("window.__probe.read()")
            lab.run(3)
            kernel = json.loads(lab.output(3))
            lab.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if kernel["nodelay"] != nodelay:
        raise RuntimeError(f"expected a server with nodelay={nodelay} (got {kernel['nodelay']})")
    return _figures(shown, shown["stepped"] if instant else kernel["log"], kernel["cpu_share"])


def _press_keys(lab: Notebook, seconds: float) -> None:
    """Keys at uneven times, so that they fall anywhere between two frames."""
    rng, left, count = random.Random(1), seconds, 0
    while left > 0:
        key = _KEYS[count % len(_KEYS)]
        count += 1
        for act in (lab.page.keyboard.down, lab.page.keyboard.up):
            pause = rng.uniform(60, 140)
            act(key)
            lab.page.wait_for_timeout(pause)
            left -= pause / 1000


def _figures(shown: dict[str, Any], applied: list[list[int]], cpu_share: float) -> dict[str, float]:
    """Summary of what the page saw; ``applied`` pairs pad messages with frames that knew of them."""
    refreshes, frames, made = np.array(shown["frames"]).T
    first: dict[int, int] = {}
    for sequence, frame in applied:
        first.setdefault(sequence, frame)
    delays = []
    for pressed, sequence in shown["sent"]:
        visible = made[frames >= first[sequence]] if sequence in first else made[:0]
        if len(visible):
            delays.append(float(visible[0]) - pressed)
    times = np.unique(refreshes)
    key = np.percentile(delays, [50, 95]) if delays else np.full(2, np.nan)
    return {
        "presented_fps": round(len(times) / shown["seconds"], 1),
        "interval_p99_ms": round(float(np.percentile(np.diff(times), 99)), 1),
        "key_p50_ms": round(float(key[0]), 1),
        "key_p95_ms": round(float(key[1]), 1),
        "bytes_per_frame": round(shown["bytes"] / len(frames)),
        "messages_per_frame": round(shown["messages"] / len(frames), 2),
        "cpu_share": round(cpu_share, 2),
    }
