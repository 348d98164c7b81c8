"""Instant mode in headless Chromium: the page computes ahead, Python decides, both end on the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from lab import Notebook, chromium_browser, jupyter_lab, write_notebook
from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

# A random world that no rule ends; the opponent decides in Python, so the page has to guess.
SETUP = """
from dataclasses import replace
from awm_kit.play import play
from awm_kit.play.controllers import RandomController, held
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_model
from awm_kit.schema import FIGHTER
world = pack(random_model(0, Shape(32, 2, 8, 8, 1), schema=replace(FIGHTER, end_field="")))
app = play(world, opponent="balanced", time_limit=0, instant=True)
app.match.controllers[1] = RandomController(5)
"""
SHOW, ASK, BUSY = 1, 2, 3
GAME = "document.querySelector('.awm-instant')?.awm"


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("lab")
    write_notebook(folder / "play.ipynb", [SETUP, "app", "", ""])
    with jupyter_lab(folder) as url:
        yield url


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_browser(chromium) as browser:
        yield browser


@pytest.fixture(scope="module")
def lab(base_url: str, browser: Browser) -> Iterator[Notebook]:
    notebook = Notebook(browser, base_url, "play.ipynb")
    notebook.run(0)
    notebook.run(SHOW)
    notebook.page.wait_for_function(f"{GAME}?.epoch > 0", timeout=30_000)
    yield notebook
    assert [error for error in notebook.errors if "awm" in error.lower()] == []
    notebook.shutdown()


@pytest.fixture
def playing(lab: Notebook) -> Notebook:
    """The game, focused and past its countdown."""
    lab.click_game()
    lab.page.wait_for_function(f"{GAME}.rollback.confirmed > 0", timeout=15_000)
    return lab


def ask(lab: Notebook, source: str) -> Any:
    *before, last = source.strip().splitlines()
    return json.loads(lab.python(ASK, "\n".join(["import json", *before, f"print(json.dumps({last}))"])))


def wait_confirmed(lab: Notebook, frames: int) -> None:
    start = lab.page.evaluate(f"{GAME}.rollback.confirmed")
    lab.page.wait_for_function(f"(n) => {GAME}.rollback.confirmed >= n", arg=start + frames, timeout=60_000)


def press(lab: Notebook, keys: str) -> None:
    for key in keys:
        lab.page.keyboard.down(key)
        lab.page.wait_for_timeout(70)
        lab.page.keyboard.up(key)


def stopped(lab: Notebook) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pause, let everything under way arrive, and say what page and kernel hold."""
    ask(lab, "app.pause()\n0")
    lab.page.wait_for_function(f"!{GAME}.model.get('running') && {GAME}.rollback.ahead === 0")
    facts = "app.match.n_frames, app.match.engine.state_hash(), app.view.refused"
    frames, state_hash, refused = ask(lab, f"app.view.settle()\n[{facts}]")
    return lab.page.evaluate(f"{GAME}.facts()"), {"frames": frames, "hash": state_hash, "refused": refused}


def test_waits_for_a_click(lab: Notebook) -> None:
    assert lab.page.evaluate(f"{GAME}.rollback.head") == 0


def test_six_hundred_frames_end_on_the_same_bytes(playing: Notebook) -> None:
    for _ in range(8):
        press(playing, "djawdkaj")
    wait_confirmed(playing, max(600 - playing.page.evaluate(f"{GAME}.rollback.confirmed"), 1))
    page, python = stopped(playing)
    assert python["refused"] == []
    assert page["confirmed"] == python["frames"] >= 600
    assert page["state_hash"] == python["hash"]
    assert page["rollbacks"] > 0, "the opponent changes what it holds"
    sticks = ask(playing, "sorted({int(pads[0]['stick_x']) for pads in app.match._inputs})")
    assert sticks == [-80, 0, 80]


def test_every_wrong_guess_is_taken_back(playing: Notebook) -> None:
    ask(playing, """
left, right = held(["left"]), held(["right", "jump"])
app.match.controllers[1] = lambda frame: (left, right)[app.match.n_frames // 5 % 2](frame)
0
""")  # fmt: skip
    playing.click_game()
    before = playing.page.evaluate(f"{GAME}.facts()")
    wait_confirmed(playing, 120)
    page, python = stopped(playing)
    # One change in five frames; it is wrong from the frame of the change to the one that Python's answer met.
    assert page["rollbacks"] - before["rollbacks"] >= 20
    assert page["resimulated"] - before["resimulated"] >= page["rollbacks"] - before["rollbacks"]
    assert page["confirmed"] == python["frames"] and page["state_hash"] == python["hash"]


FORGE = """
([first, count, number, client]) => {
  const game = THE_GAME;
  const body = new DataView(new ArrayBuffer(16 + 24 * count));
  const next = game.rollback.confirmed + 1;
  [client ?? game.client, game.epoch, next + first, count].forEach((v, i) => body.setUint32(4 * i, v, true));
  for (let k = 0; k < count; k++) {
    body.setInt8(16 + 24 * k, 80);
    for (const at of [8, 20]) body.setUint32(16 + 24 * k + at, next + first + k + number, true);
  }
  game.model.send({ batch: 1 }, undefined, [body]);
}
""".replace("THE_GAME", GAME)


def test_a_page_that_cheats_is_refused(playing: Notebook) -> None:
    _, before = stopped(playing)
    forged = {
        "expected frame": [-10, 1, 0, None],
        "at most 8": [0, 9, 0, None],
        "expected controllers of frames": [0, 2, 1, None],
    }
    for k, (reason, forgery) in enumerate(forged.items()):
        epoch = playing.page.evaluate(f"{GAME}.epoch")
        playing.page.evaluate(FORGE, forgery)
        playing.page.wait_for_function(f"(old) => {GAME}.epoch > old", arg=epoch)
        refused = ask(playing, "app.view.refused")
        assert len(refused) == k + 1 and reason in refused[-1]
    playing.page.evaluate(FORGE, [0, 1, 0, 12345])  # a page that does not steer
    page, after = stopped(playing)
    assert after["frames"] == before["frames"] and after["hash"] == before["hash"] == page["state_hash"]
    # All right but for their number: ten seconds at once.
    epoch = playing.page.evaluate(f"{GAME}.epoch")
    playing.page.evaluate(f"for (let k = 0; k < 120; k++) ({FORGE})([5 * k, 5, 0, null])")
    playing.page.wait_for_function(f"(old) => {GAME}.epoch > old", arg=epoch)
    page, after = stopped(playing)
    assert "more than time has passed" in after["refused"][-1]
    assert after["frames"] - before["frames"] < 300 and page["state_hash"] == after["hash"]


def test_a_page_that_went_astray_begins_anew(playing: Notebook) -> None:
    wait_confirmed(playing, 5)
    epoch = playing.page.evaluate(f"{GAME}.epoch")
    # Again and again: one disturbance may fade before the hash that would tell. And its memory of the past
    # too: every rollback would mend the present otherwise.
    disturb = f"""(old) => {{
      if ({GAME}.epoch > old) return true;
      const {{ world, slots }} = {GAME}.rollback;
      const states = [world.bytes(world.atState, 64), ...slots.map((slot) => slot.state)];
      for (const state of states) state.fill(1, 0, 64);
    }}"""
    playing.page.wait_for_function(disturb, arg=epoch, timeout=20_000)
    wait_confirmed(playing, 10)
    page, python = stopped(playing)
    assert page["confirmed"] == python["frames"] and page["state_hash"] == python["hash"]


def test_keys_are_released_on_blur(playing: Notebook) -> None:
    playing.page.keyboard.down("d")
    wait_confirmed(playing, 6)
    playing.page.locator(".jp-Cell").nth(BUSY).locator(".cm-content").click()
    wait_confirmed(playing, 6)
    playing.page.keyboard.up("d")
    _, _ = stopped(playing)
    held = ask(playing, "[int(p[0]['stick_x']) for p in app.match._inputs[-200:]]")
    assert 80 in held and held[-1] == 0


def test_another_cell_runs_meanwhile(playing: Notebook) -> None:
    source = """
import time
before, deadline = app.match.n_frames, time.time() + 20
while app.match.n_frames - before <= 30 and time.time() < deadline:
    time.sleep(0.1)
print(app.match.n_frames - before)
"""
    assert int(playing.python(BUSY, source)) > 30, "frames judged while a cell kept the main thread"


def test_a_second_tab_follows_and_takes_over(playing: Notebook, browser: Browser, base_url: str) -> None:
    playing.save()
    other = Notebook(browser, base_url, "play.ipynb", playing.context)
    try:
        other.page.wait_for_function(f"{GAME}?.epoch > 0", timeout=30_000)
        other.click_game()
        other.page.wait_for_function(f"{GAME}.steering")
        wait_confirmed(other, 60)
        page, python = stopped(other)
        assert page["state_hash"] == python["hash"] and page["confirmed"] == python["frames"]
        assert not playing.page.evaluate(f"{GAME}.steering")
        assert playing.page.evaluate(f"{GAME}.facts().state_hash") == python["hash"]
    finally:
        other.page.close()
    playing.page.bring_to_front()


def test_reload_goes_on_from_the_same_frame(playing: Notebook) -> None:
    _, before = stopped(playing)
    playing.save()
    playing.page.reload()
    playing.wait_ready()
    playing.page.wait_for_function(f"{GAME}?.epoch > 0", timeout=30_000)
    assert playing.page.evaluate(f"{GAME}.facts()")["state_hash"] == before["hash"]
    playing.click_game()
    wait_confirmed(playing, 30)
