"""Replay player, inspector and key menu in a real JupyterLab: what the page shows and sends back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lab import Notebook, chromium_browser, jupyter_lab, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SETUP = """
from dataclasses import replace
from ipywidgets import VBox
from awm_kit.data.scuffle import Params, generate
from awm_kit.play import InspectView, ReplayPlayer
from awm_kit.play.keymap_menu import KeyMenu
from awm_kit.play.pad import Pad
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import random_model
from awm_kit.schema import FIGHTER
world = pack(random_model(schema=replace(FIGHTER, end_field="")))
replay = generate([11], 150)[0]
player = ReplayPlayer(replay, overlay=Params(gravity_scale=0.4), layout="beside")
inspector, pad = InspectView(world, replay), Pad()
menu = KeyMenu(pad.remap, gamepad_chosen=pad.remap_gamepad)
"""
NOTEBOOK = [SETUP, "player", "inspector", "VBox([menu, pad])", "", "1 + 1"]
PLAYER, INSPECTOR, MENU, ASK = 1, 2, 3, 4


@pytest.fixture(scope="module")
def lab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    folder = tmp_path_factory.mktemp("lab")
    write_notebook(folder / "learn.ipynb", NOTEBOOK)
    with jupyter_lab(folder) as url, chromium_browser(chromium) as browser:
        notebook = Notebook(browser, url, "learn.ipynb")
        notebook.run(0)
        assert notebook.output(0).strip() == ""
        yield notebook
        assert [error for error in notebook.errors if "awm" in error.lower()] == []
        notebook.shutdown()


def ask(lab: Notebook, expression: str) -> Any:
    return json.loads(lab.python(ASK, f"import json; print(json.dumps({expression}))"))


def wait_for(lab: Notebook, expression: str, wanted: Any, seconds: float = 30.0) -> None:
    """Until the kernel answers what is wanted: what a click sends may come after a later cell."""
    give_up = time.monotonic() + seconds
    while (answer := ask(lab, expression)) != wanted:
        assert time.monotonic() < give_up, f"{expression} is {answer}"
        lab.page.wait_for_timeout(100)


def wait_for_colors(lab: Notebook, index: int) -> None:
    """Until one of the canvases shows a picture: a blank one has one or two colours."""
    lab.page.wait_for_function(
        """(index) => {
          const canvas = document.querySelectorAll('.awm-play canvas')[index];
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer)).size > 50;
        }""",
        arg=index,
    )


def test_replay_player_shows_both_and_follows_its_buttons(lab: Notebook) -> None:
    lab.run(PLAYER)
    page = lab.page
    page.wait_for_function("document.querySelectorAll('.awm-play canvas').length >= 2")
    for index in (0, 1):
        wait_for_colors(lab, index)
    page.locator("button[title='one frame on']").click()
    page.locator("button[title='one frame on']").click()
    page.wait_for_function(
        "[...document.querySelectorAll('.widget-readout')].some((r) => r.textContent === '2')"
    )
    page.locator("button[title='next hit']").click()
    wait_for(lab, "bool(player.position == min([*player.hits, len(player.frames) - 1]))", True)
    before = ask(lab, "player.position")
    page.locator("button[title='play or pause']").click()
    wait_for(lab, f"player.position > {before} or player.position == len(player.frames) - 1", True)


def test_inspector_looks_inside_and_runs_on(lab: Notebook) -> None:
    lab.run(INSPECTOR)
    page = lab.page
    page.wait_for_selector("text=speed_attack_y")
    page.get_by_role("tab", name="Heads").click()
    page.wait_for_selector("text=bits")
    page.get_by_role("tab", name="Memory").click()
    page.wait_for_function(
        "[...document.querySelectorAll('img')].filter((i) => i.naturalWidth > 50).length >= 2"
    )
    page.get_by_role("tab", name="What if").click()
    page.get_by_placeholder("a number, or an action's name").fill("150")
    page.get_by_role("button", name="Set").click()
    page.wait_for_selector("text=P1 percent = 150")
    page.get_by_role("button", name="Run on").click()
    wait_for(lab, "[inspector.edits[0]['percent'], len(inspector._result.children)]", [150.0, 1])


def test_keys_are_chosen_by_pressing_them(lab: Notebook) -> None:
    lab.run(MENU)
    page = lab.page
    cell = page.locator(".awm-keys tr", has_text="grab").locator("button").first
    before = len(lab.cells())
    cell.click()
    page.keyboard.press("x")  # cuts a cell where the notebook hears it
    page.wait_for_selector(".awm-keys-status:has-text('X is now grab')")
    assert ask(lab, "pad.bindings['KeyX']") == [0, 1 << 8] and len(lab.cells()) == before
    page.locator(".awm-keys tr", has_text="grab").locator("button").first.click()
    page.keyboard.press("Escape")
    assert page.locator(".awm-waiting").count() == 0
    page.locator(".awm-keys tr", has_text="taunt").locator("button").first.click()
    page.keyboard.press("Delete")
    page.wait_for_selector(".awm-keys-status:has-text('no key is taunt now')")
    page.locator(".awm-keys button", has_text="reset").click()
    page.wait_for_selector(".awm-keys-status:has-text('built-in')")
    assert ask(lab, "pad.bindings['KeyX']") == [0, 1 << 6]


GAMEPAD = """
(pressed) => {
  const buttons = Array.from({ length: 16 }, (_, i) => ({ pressed: pressed.includes(i), value: 0 }));
  navigator.getGamepads = () => [{ connected: true, buttons, axes: [0.3, 0, 0, 0] }, null];
  window.dispatchEvent(new Event("gamepadconnected"));
}
"""


HELD = "[int(pad.state.controller(0)[name]) for name in ('stick_x', 'trigger_r')]"


def test_buttons_are_chosen_by_pressing_them(lab: Notebook) -> None:
    lab.run(MENU)
    page = lab.page
    cell = page.locator(".awm-keys tr", has_text="shield").locator("button").last
    page.evaluate(GAMEPAD, [5])  # held before: not what is meant
    cell.click()
    page.wait_for_timeout(100)
    assert page.locator(".awm-waiting").count() == 1
    page.evaluate(GAMEPAD, [5, 6])
    page.wait_for_selector(".awm-keys-status:has-text('LT is now shield')")
    assert ask(lab, "pad.gamepad_buttons['6']") == 1 << 7
    wait_for(lab, HELD, [24, 140])  # a stick at 0.3 and a shield, on a pad that nobody focused
    page.evaluate(GAMEPAD, [])
    page.locator(".awm-keys tr", has_text="jump").locator("button").last.click()
    page.keyboard.press("Delete")
    page.wait_for_selector(".awm-keys-status:has-text('no button is jump now')")
    page.locator(".awm-keys-zone input").fill("0.4")
    page.wait_for_selector(".awm-keys-status:has-text('sticks count from 40')")
    wait_for(lab, HELD, [0, 0])
    assert ask(lab, "[pad.dead_zone, sorted(pad.gamepad_buttons)[:2]]") == [0.4, ["0", "1"]]
    page.locator(".awm-keys button", has_text="reset").click()
    page.wait_for_selector(".awm-keys-status:has-text('built-in')")
    assert ask(lab, "[pad.dead_zone, len(pad.gamepad_buttons)]") == [0.2, 11]
