"""Retake the README's pictures: `make pictures`, or some: `make pictures PICTURES="lobby result"`.

Each is a page of a real JupyterLab in headless Chromium, played for up to five minutes.
"""

from __future__ import annotations

import io
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page
from typer.testing import CliRunner

from awm_kit.bench.lab import (
    PROBE,
    TOKEN,
    Notebook,
    chromium_browser,
    find_chromium,
    jupyter_lab,
    write_notebook,
)
from awm_kit.cli import app as awm

ROOT = Path(__file__).resolve().parent.parent
MEDIA = ROOT / "notebooks" / "media"
MAX_BYTES = 300_000
MINUTE_MS = 60_000
FIGHT_SECONDS = 20
#: Blows and a fall on either side, and no cart on air: to be looked for anew when the world changes.
BUMPER_SEED = "60042"

# Stops the match while a blow lands in the middle of the stage, with both in the picture.
FREEZE = """
def freeze(frame):
    players = frame["players"]
    near = (abs(players["x"]) < 60 * 1024).all() and (players["y"] > -5 * 1024).all()
    struck = (players["hitlag"] > 0).any() and (players["percent"] > 10 * 64).any()
    if near and struck and frame["frame"] > 200:
        app.loop.stop()
app.match.on_frame.append(freeze)
"""
WORLDS = """
from awm_kit.play import WorldBrowser, open_place
from awm_kit.play.headless import play_headless
from awm_kit.worlds import load_world, shipped
place = open_place("embedded")
for plays, name in enumerate(shipped()):
    for seed in range(plays + 1):
        play_headless(load_world(name), "chain", 60, seed, ledger=place)
"""
LOBBY = """
from awm_kit.data.scuffle import MARTH
from awm_kit.play import Lobby, open_place
place = open_place("embedded")
lobby, friend = Lobby(place, "scuffle"), Lobby(place)
"""
# A blow, with the learned match beginning so shortly before it that both are in one picture.
REPLAY = """
import numpy as np
from awm_kit.data.scuffle import generate
from awm_kit.play import InspectView, ReplayPlayer
from awm_kit.worlds import load_world
world, replay = load_world("scuffle"), generate([60001], 900)[0]
player = ReplayPlayer(replay, overlay=world)
def apart(hit):
    player.seek(hit - 50)
    player.overlay_from_here()
    taught, learned = (frames["players"][hit + 5] for frames in (player.frames, player.overlay))
    gaps = np.hypot(taught["x"] - learned["x"], taught["y"] - learned["y"]) / 1024
    return float(gaps.clip(0, 25).sum() - 10 * (gaps > 40).sum())
hit = max((hit for hit in player.hits.tolist() if hit > 90), key=apart)
apart(hit)
player.seek(hit + 5)
"""
INSPECT = """
inspector = InspectView(world, replay)
inspector.seek(int(player.hits[len(player.hits) // 3]) - 20)
"""


class Studio:
    """A JupyterLab and a browser to take pictures of it with."""

    def __init__(self, browser: Browser, base: str, folder: Path) -> None:
        self.browser, self.base, self.folder = browser, base, folder

    def open(self, name: str, cells: Sequence[str] = (), size: tuple[int, int] = (1140, 1500)) -> Notebook:
        """A notebook, made of ``cells`` if there are any, with the code in them run."""
        if cells:
            write_notebook(self.folder / name, cells)
        context = self.browser.new_context(viewport={"width": size[0], "height": size[1]})
        context.add_init_script(PROBE)
        context.set_default_timeout(MINUTE_MS)
        notebook = Notebook(self.browser, self.base, name, context)
        for index in range(len(cells)):
            notebook.run(index)
            if "Traceback" in notebook.output(index):
                raise RuntimeError(notebook.output(index))
        return notebook


def jupyterlab(studio: Studio) -> bytes:
    """03_play itself, in the middle of a match."""
    lab = studio.open("03_play.ipynb", size=(1200, 950))
    page = lab.page
    page.goto(f"{studio.base}/lab/tree/03_play.ipynb?token={TOKEN}")
    lab.wait_ready()
    if page.locator("#jp-left-stack").is_visible():
        page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    for cell in (1, 3):
        lab.run(cell)
    page.wait_for_function("window.__probe.colors() > 100")
    lab.whisper(FREEZE)
    lab.click_game()
    press_keys(page, lambda: lab.whisper("print(app.loop.running)").strip() == "False")
    lab.whisper("app.loop.stop(); app.view.show(app.match.frame)")
    page.locator("h2", has_text="Live").scroll_into_view_if_needed()
    page.locator("h2", has_text="Live").evaluate("(h) => h.scrollIntoView()")
    page.wait_for_timeout(500)
    return page.screenshot()


def worlds(studio: Studio) -> bytes:
    """The shelf of a ledger."""
    lab = studio.open("worlds.ipynb", [WORLDS, "WorldBrowser(place)"], size=(1080, 1200))
    return picture_of(lab.page.locator(".awm-browser"))


def lobby(studio: Studio) -> bytes:
    """A match that somebody has joined, and how to invite them."""
    lab = studio.open("lobby.ipynb", [LOBBY, "lobby"])
    lab.page.get_by_role("button", name="Create match").click()
    lab.page.wait_for_selector(".awm-invite-qr svg")
    lab.whisper("friend.join(lobby.seat.key, MARTH); friend.ready()")
    lab.page.get_by_text("Waiting for P1").wait_for()
    return picture_of(lab.page.locator(".awm-lobby"))


def result(studio: Studio) -> bytes:
    """The end of a match that one lost, verified."""
    lab = studio.open("result.ipynb", [LOBBY, "lobby"])
    page = lab.page
    page.get_by_role("button", name="Create match").click()
    page.wait_for_selector(".awm-invite-qr svg")
    page.locator(".awm-lobby select").last.select_option("rusher")
    page.get_by_role("button", name="Seat a script").click()
    page.get_by_text("Waiting for P1").wait_for()
    page.get_by_role("button", name="Ready").click()
    page.wait_for_function("window.__probe.frame() > 0")
    lab.click_game()
    verify = page.get_by_role("button", name="Verify")
    press_keys(page, verify.is_visible, FIGHT_SECONDS)
    page.keyboard.down("a")  # into the abyss: a fair fight would take minutes
    verify.wait_for(timeout=4 * MINUTE_MS)
    page.keyboard.up("a")
    verify.click()
    page.get_by_text(": verified").wait_for()
    return picture_of(page.locator(".awm-lobby"))


def replay(studio: Studio) -> bytes:
    """A recorded match, and the learned one as ghosts."""
    lab = studio.open("replay.ipynb", [REPLAY, "player"], size=(1160, 1000))
    return picture_of(lab.page.locator(".awm-play"))


def inspector(studio: Studio) -> bytes:
    """What the heads said at a frame, and how it would have gone on from another state."""
    lab = studio.open("inspector.ipynb", [REPLAY, INSPECT, "inspector"], size=(1240, 1300))
    page = lab.page
    page.get_by_role("tab", name="What if").click()
    page.get_by_placeholder("a number, or an action's name").fill("120")
    page.get_by_role("button", name="Set").click()
    page.get_by_role("button", name="Run on").click()
    page.wait_for_function("document.querySelectorAll('.awm-play canvas').length >= 3")
    lab.whisper("inspector._result.children[0].seek(inspector._slider.value + 45)")
    page.get_by_role("tab", name="Heads").click()
    return picture_of(page.locator(".awm-play").first)


PICTURES: dict[str, Callable[[Studio], bytes]] = {
    picture.__name__: picture for picture in (jupyterlab, worlds, lobby, result, replay, inspector)
}


def press_keys(page: Page, done: Callable[[], bool], seconds: float = 120.0) -> None:
    """Play somehow until ``done``, or for so long."""
    give_up = time.monotonic() + seconds
    for key in itertools.cycle("djjajjwkdjaj"):
        page.keyboard.down(key)
        page.wait_for_timeout(140)
        page.keyboard.up(key)
        if done() or time.monotonic() > give_up:
            return


def picture_of(part: Locator) -> bytes:
    """A part of a page, once canvases have been drawn."""
    part.page.wait_for_timeout(1500)
    part.page.mouse.move(0, 0)
    return part.screenshot()


def save(name: str, png: bytes) -> None:
    """Write a picture, with 256 colours only if it is too large for a README with all of them.

    Raises
    ------
    ValueError
        If it is too large even so.
    """
    path, picture = MEDIA / f"{name}.png", Image.open(io.BytesIO(png)).convert("RGB")
    for version in (picture, picture.quantize(dither=Image.Dither.NONE)):
        buffer = io.BytesIO()
        version.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MAX_BYTES:
            path.write_bytes(buffer.getvalue())
            print(f"{path.name}: {buffer.tell():,} bytes", flush=True)
            return
    raise ValueError(f"expected at most {MAX_BYTES:,} bytes of {path.name} (got {buffer.tell():,})")


def bumper() -> None:
    """Teacher and world side by side."""
    path = MEDIA / "bumper.gif"
    options = ["--seed", BUMPER_SEED, "--scale", "0.36", "--seconds", "6"]
    told = CliRunner().invoke(awm, ["film", "bumper", str(path), *options], catch_exceptions=False)
    print(told.output.strip(), flush=True)


def main(names: Sequence[str]) -> None:
    """Take the named pictures, or all."""
    known = [*PICTURES, "bumper"]
    if unknown := set(names) - set(known):
        raise SystemExit(f"expected some of {known} (got {sorted(unknown)})")
    chosen = list(names) or known
    if "bumper" in chosen:
        chosen.remove("bumper")
        bumper()
    with tempfile.TemporaryDirectory() as folder:
        for path in (ROOT / "notebooks").glob("*.ipynb"):
            shutil.copy(path, folder)
        with jupyter_lab(Path(folder)) as base, chromium_browser(find_chromium()) as browser:
            studio = Studio(browser, base, Path(folder))
            for name in chosen:
                save(name, PICTURES[name](studio))


if __name__ == "__main__":
    main(sys.argv[1:])
