"""A world as one HTML file, opened from the disk in headless Chromium."""

from __future__ import annotations

import hashlib
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import chromium_browser
from playwright.sync_api import Browser, Page
from typer.testing import CliRunner

from awm_kit.cli import app
from awm_kit.data.scuffle import initial_frame
from awm_kit.errors import ModelFileError
from awm_kit.play.engine import NativeEngine
from awm_kit.play.headless import play_headless
from awm_kit.play.web import export
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_inputs, random_model
from awm_kit.worlds import load_world

browser_test = [pytest.mark.browser, pytest.mark.timeout(180)]
FRAMES = 600


def shipped_or_random() -> Cartridge:
    try:
        return load_world("scuffle")
    except ModelFileError:
        return pack(random_model(3, Shape(64, 4, 16, 16, 2)))


@dataclass
class Opened:
    """A page, and what it asked for and complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, path: Path) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.goto(path.as_uri())
        self.page.evaluate("window.awm.ready")

    def replay(self, start: np.ndarray, inputs: np.ndarray) -> dict[str, Any]:
        given = [b64encode(item.tobytes()).decode() for item in (start, inputs)]
        result: dict[str, Any] = self.page.evaluate("([start, pads]) => awm.replay(start, pads)", given)
        return result

    def wait_for(self, expression: str) -> None:
        """Playwright's own waiting evaluates text inside of the page, which the page forbids."""
        deadline = time.monotonic() + 30
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"not so after 30 s: {expression}"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_browser(chromium) as browser:
        yield browser


@pytest.fixture(scope="module")
def world() -> Cartridge:
    return shipped_or_random()


@pytest.fixture
def opened(world: Cartridge, browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    path = export.export(world, tmp_path / "a world.html", seed=3)
    context = browser.new_context(viewport={"width": 1280, "height": 780}, offline=True)
    opened = Opened(context.new_page())
    opened.open(path)
    yield opened
    assert opened.errors == []
    assert opened.requests == [path.as_uri()], "the page must not ask for anything"
    context.close()


class TestText:
    def test_is_whole_and_names_no_other_place(self, world: Cartridge) -> None:
        text = export.page(world)
        assert text.startswith("<!DOCTYPE html>")
        assert b64encode(world.shards[0]).decode() in text
        assert not re.search(r"https?://|\bsrc=|@import|\burl\(|<link", text)
        assert not re.search(r"@[a-z]+@", text), "a placeholder was left"
        assert len(text) < 4 / 3 * world.nbytes + 200_000

    def test_scripts_import_only_what_stands_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text = export.script()
        assert not re.search(r"^\s*(import|export)\b", text, re.MULTILINE)
        monkeypatch.setattr(export, "SCRIPTS", export.SCRIPTS[::-1])
        with pytest.raises(ValueError, match=r"page\.js imports"):
            export.script()

    def test_a_name_cannot_break_out(self) -> None:
        model = random_model(1, Shape(32, 2, 8, 8, 1))
        model.name = "</script><b>&amp;"
        text = export.page(pack(model))
        assert text.count("</script>") == 2 and "<b>" not in text

    def test_refuses_a_damaged_world(self, world: Cartridge) -> None:
        shards = [bytes([world.shards[0][0] ^ 1]) + world.shards[0][1:], *world.shards[1:]]
        with pytest.raises(ModelFileError, match="shard 0 is corrupt"):
            export.page(Cartridge(world.manifest_bytes, shards))

    def test_verb(self, world: Cartridge, tmp_path: Path) -> None:
        cartridge = world.save(tmp_path / "world.awm")
        done = CliRunner().invoke(app, ["export", str(cartridge), str(tmp_path / "out.html"), "--seed", "5"])
        assert done.exit_code == 0, done.output
        assert (tmp_path / "out.html").read_text(encoding="utf-8") == export.page(world, 5)


def test_a_game_without_pictures_is_refused(world: Cartridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MATCHUPS", {"chess": {}})
    with pytest.raises(ModelFileError, match=r"world of \['chess'\] to export \(got 'fighter'\)"):
        export.page(world)


class TestPage:
    pytestmark = browser_test

    def test_state_equals_native(self, opened: Opened, world: Cartridge) -> None:
        played = play_headless(world, "native", FRAMES, seed=3)
        replay = played.match.replay()
        result = opened.replay(replay.frames[0, ...], replay.inputs[1:])
        assert result["state_hash"] == played.state_hash
        assert result["frames"] == played.frames
        # 60 are needed; this floor holds on a crowded machine.
        assert result["frames_per_second"] > 120

    def test_random_inputs_equal_native(self, opened: Opened, world: Cartridge) -> None:
        start, inputs = initial_frame(4), random_inputs(np.random.default_rng(4), FRAMES)
        native = NativeEngine(world, start)
        for pads in inputs:
            native.step(pads)
        for _ in range(2):  # nothing of the first match is left in the second
            assert opened.replay(start, inputs)["state_hash"] == native.state_hash()

    def test_waits_then_plays_what_is_pressed(self, opened: Opened) -> None:
        page = opened.page
        assert page.evaluate("awm.game.running") is False and page.is_visible("#menu")
        page.select_option("#opponent", "idle")
        page.click("#play")
        assert page.is_hidden("#menu")
        opened.wait_for("awm.game.frame.frame > 5")
        before = page.evaluate("awm.game.frame.players[0].x")
        seen = page.evaluate("awm.game.pads.controller(0).stick")
        page.keyboard.down("ArrowLeft")
        held = page.evaluate("awm.game.pads.controller(0).stick")
        opened.wait_for(f"awm.game.frame.players[0].x !== {before}")
        page.keyboard.up("ArrowLeft")
        assert (seen, held) == ([0, 0], [-80, 0])
        assert page.evaluate("awm.game.pads.controller(0).stick") == [0, 0]
        page.keyboard.press("Escape")
        frame = page.evaluate("awm.game.frame.frame")
        page.wait_for_timeout(200)
        assert page.evaluate("awm.game.frame.frame") == frame and page.is_visible("#menu")
        page.keyboard.press("r")
        assert page.evaluate("awm.game.frame.frame") == 0

    def test_two_people_share_a_keyboard(self, opened: Opened) -> None:
        page = opened.page
        page.select_option("#opponent", "friend")
        page.click("#play")
        for key in ("d", "c", "ArrowUp", "Slash"):
            page.keyboard.down(key)
        first, second = page.evaluate("[0, 1].map((player) => awm.game.pads.controller(player))")
        assert (first["stick"], first["buttons"]) == ([80, 0], 0x100)
        assert (second["stick"], second["buttons"], second["triggers"]) == ([0, 80], 0x20, [0, 140])
        page.evaluate("window.dispatchEvent(new Event('blur'))")
        assert page.evaluate("awm.game.pads.controller(0).buttons") == 0

    def test_a_gamepad_plays(self, opened: Opened) -> None:
        opened.page.evaluate(
            """() => {
              const button = (_, i) => ({ pressed: i === 2, value: Number(i === 2) });
              const buttons = Array.from({ length: 16 }, button);
              const pad = { connected: true, buttons, axes: [0.5, -1, 0.1, 0] };
              navigator.getGamepads = () => [null, pad];
            }"""
        )
        pad = opened.page.evaluate("awm.game.pads.controller(0)")
        assert pad == {"stick": [40, 80], "cstick": [0, 0], "triggers": [0, 0], "buttons": 0x400}

    def test_the_bot_plays_alone_and_pictures_move(self, opened: Opened) -> None:
        page = opened.page
        page.click("#play")
        opened.wait_for("awm.game.frame.frame > 30")
        first = page.locator("#game").screenshot()
        opened.wait_for("awm.game.frame.frame > 90 || awm.game.frame.status !== 0")
        assert page.locator("#game").screenshot() != first
        colors = page.evaluate(
            """() => {
              const canvas = document.getElementById("game");
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              return new Set(new Uint32Array(data.buffer)).size;
            }"""
        )
        assert colors > 500

    def test_a_match_of_carts_is_driven_drawn_and_the_same(self, browser: Browser, tmp_path: Path) -> None:
        carts = load_world("bumper")
        page = browser.new_context(viewport={"width": 1280, "height": 780}, offline=True).new_page()
        opened = Opened(page)
        opened.open(export.export(carts, tmp_path / "carts.html", seed=3))
        played = play_headless(carts, "native", 300, seed=3)
        replay = played.match.replay()
        assert opened.replay(replay.frames[0, ...], replay.inputs[1:])["state_hash"] == played.state_hash
        assert page.locator("#legend").inner_text().split()[1] == "steer"
        page.keyboard.press("r")
        page.click("#play")
        opened.wait_for("awm.game.frame.frame > 60")
        seen = page.evaluate(
            "[awm.game.bot.held.buttons, awm.game.frame.players.map((p) => p.action_state < 5)]"
        )
        assert seen[0] and seen[1] == [True, True] and opened.errors == []
        page.context.close()

    def test_sha256_of_the_page_is_sha256(self, opened: Opened) -> None:
        for length in (0, 1, 55, 56, 63, 64, 65, 1000):
            data = bytes(k * 7 % 256 for k in range(length))
            made = opened.page.evaluate("(bytes) => awm.sha256(new Uint8Array(bytes))", list(data))
            assert made == hashlib.sha256(data).hexdigest()
