"""The lobby as a page of its own, which is what one would send a friend a link to."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import PROBE, chromium_browser, voila, write_notebook
from solders.pubkey import Pubkey

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# An untrained world in which nobody wins.
LOBBY = """
from dataclasses import replace
from awm_kit.play import Lobby
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import random_model
from awm_kit.schema import FIGHTER
lobby = Lobby("embedded", pack(random_model(schema=replace(FIGHTER, end_field=""))))
"""


def test_a_link_fills_in_the_invitation_and_a_script_takes_the_other_seat(
    chromium: str, tmp_path: Path
) -> None:
    write_notebook(tmp_path / "lobby.ipynb", [LOBBY, "lobby"])
    invited = str(Pubkey.new_unique())
    with voila(tmp_path, "lobby.ipynb") as url, chromium_browser(chromium) as browser:
        context = browser.new_context(viewport={"width": 1200, "height": 1000})
        context.add_init_script(PROBE)
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.goto(f"{url}/#awm={invited}")
        lobby = page.locator(".awm-lobby")
        lobby.get_by_text("You were invited").wait_for()
        assert lobby.locator("input").first.input_value() == invited
        lobby.get_by_role("button", name="Join").click()
        lobby.get_by_text("there is no match").wait_for()

        lobby.get_by_role("button", name="Create match").click()
        page.wait_for_selector(".awm-invite-qr svg")
        identity, link = lobby.locator(".awm-invite code").all_inner_texts()
        assert link == f"{url}/#awm={identity}"
        lobby.get_by_role("button", name="Seat a script").click()
        lobby.get_by_text("Waiting for P1 and P2").wait_for()
        lobby.get_by_role("button", name="Ready").click()
        page.wait_for_function("window.__probe.frame() >= 20")
        assert page.evaluate("window.__probe.colors()") > 100
        lobby.get_by_role("button", name="Leave").click()
        lobby.get_by_text("BALANCED wins").wait_for()
        lobby.get_by_role("button", name="Verify").click()
        lobby.get_by_text("verified").wait_for()
