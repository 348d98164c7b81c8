"""The widgets without a browser: messages, menus, drawing calls, and notebooks that run without a page."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import numpy as np
import pytest
from ipycanvas.canvas import _CANVAS_MANAGER
from nbclient import NotebookClient
from PIL import Image

from awm_kit.chain.match_record import MatchRecord
from awm_kit.chain.verify import verify
from awm_kit.data.scuffle import initial_frame
from awm_kit.errors import ModelFileError
from awm_kit.play import nodelay
from awm_kit.play.app import PlayApp, play
from awm_kit.play.app_bar import FRIEND
from awm_kit.play.beat import Backlog, Beat
from awm_kit.play.controllers import BIT, KeyboardMap, held
from awm_kit.play.engines import make_engine
from awm_kit.play.match import Match
from awm_kit.play.pad import EXPIRY, MESSAGE, Pad, PadState
from awm_kit.play.recordings import find_hits, find_knockouts, open_recording
from awm_kit.play.replay_player import ReplayPlayer
from awm_kit.play.view import MatchView
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import random_model
from awm_kit.schema import FIGHTER, FRAME, Button


def message(client: int, sequence: int, actions: int, player: int = 0, **analog: int) -> bytes:
    record = np.zeros((), MESSAGE)
    record["client"], record["sequence"], record["player"], record["actions"] = (
        client,
        sequence,
        player,
        actions,
    )
    for name, value in analog.items():
        record[name] = value
    return record.tobytes()


# A random world would lose all stocks within a few frames: this one has no rule that ends a match.
ENDLESS = replace(FIGHTER, end_field="")


@pytest.fixture(scope="module")
def cartridge() -> Cartridge:
    return pack(random_model(schema=ENDLESS))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class TestPadState:
    def test_message_is_sixteen_bytes(self) -> None:
        assert MESSAGE.itemsize == 16

    def test_keys_become_a_controller(self) -> None:
        state = PadState()
        state.receive(message(1, 1, BIT["left"] | BIT["attack"]))
        pad = state.controller(0)
        assert pad["stick_x"] == -80 and pad["buttons"] == Button.A
        assert state.controller(1).tobytes() == bytes(12)

    def test_two_tabs_add_up(self) -> None:
        state = PadState()
        state.receive(message(1, 1, BIT["right"]))
        state.receive(message(2, 1, 0))  # a second page opens, with nothing pressed
        assert state.controller(0)["stick_x"] == 80
        state.receive(message(2, 2, BIT["jump"]))
        assert state.controller(0)["buttons"] == Button.X
        state.receive(message(1, 2, 0))
        assert state.controller(0)["stick_x"] == 0 and state.controller(0)["buttons"] == Button.X

    def test_late_messages_are_dropped(self) -> None:
        state = PadState()
        assert state.receive(message(1, 5, 0)) is not None
        assert state.receive(message(1, 4, BIT["jump"])) is None
        assert state.receive(message(1, 5, BIT["jump"])) is None
        assert state.controller(0)["buttons"] == 0

    def test_the_sequence_may_wrap(self) -> None:
        state = PadState()
        state.receive(message(1, 0xFFFF, BIT["jump"]))
        assert state.receive(message(1, 0, 0)) is not None
        assert state.controller(0)["buttons"] == 0

    def test_a_dead_page_lets_go(self) -> None:
        clock = Clock()
        state = PadState(clock)
        state.receive(message(1, 1, BIT["right"]))
        clock.now = EXPIRY * 0.9
        assert state.controller(0)["stick_x"] == 80
        clock.now = EXPIRY * 1.1
        assert state.controller(0)["stick_x"] == 0

    def test_a_gamepad_steers_more_finely_than_keys(self) -> None:
        state = PadState()
        state.receive(message(1, 1, 0, stick_x=-36, trigger_l=70))
        assert state.controller(0)["stick_x"] == -36 and state.controller(0)["trigger_l"] == 70
        state.receive(message(2, 1, BIT["right"]))
        assert state.controller(0)["stick_x"] == 80

    @pytest.mark.parametrize("bad", [b"", bytes(15), bytes(17), message(1, 1, BIT["jump"], player=2)])
    def test_malformed_messages_are_ignored(self, bad: bytes) -> None:
        state = PadState()
        assert state.receive(bad) is None
        assert state.controller(0).tobytes() == bytes(12)


class TestBacklog:
    def test_waits_for_slow_pages_but_not_for_ever(self) -> None:
        clock = Clock()
        backlog = Backlog(clock)
        for _ in range(3):
            assert not backlog.behind
            backlog.beat()
        assert backlog.behind
        backlog.answer(1)
        assert not backlog.behind
        backlog.beat()
        assert backlog.behind
        clock.now = 1.1  # nobody answers: perhaps there is no page
        assert not backlog.behind

    def test_false_answers_count_for_what_was_sent(self) -> None:
        backlog = Backlog(Clock())
        backlog.answer(10_000)
        for _ in range(3):
            backlog.beat()
        assert backlog.behind

    def test_pictures_are_skipped_until_the_page_has_caught_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        beat, sent = Beat(), []
        monkeypatch.setattr(beat, "send", sent.append)
        for _ in range(12):
            assert beat.picture_wanted()
            beat.picture_sent()
        assert not beat.picture_wanted() and sent == [{"beat": 1}, {"beat": 2}, {"beat": 3}]
        beat._receive(None, {"beat": 3}, [])
        assert beat.picture_wanted()


class TestPad:
    def test_page_settings_follow_the_keyboard_map(self) -> None:
        pad = Pad(KeyboardMap.shared())
        assert pad.gamepad_players == [0, 1] and pad.bindings["ArrowLeft"] == [1, BIT["left"]]
        pad.remap(KeyboardMap.solo().rebind(0, "KeyQ", "grab"))
        assert pad.gamepad_players == [0] and pad.bindings["KeyQ"] == [0, BIT["grab"]]
        assert "0x" not in repr(pad)

    def test_clicks_are_told(self) -> None:
        pad, told = Pad(), []
        pad.on_click(lambda: told.append(1))
        pad._receive(None, {"pad": 1}, [memoryview(message(1, 1, BIT["jump"]))])
        assert told == [] and pad.controller(0)(initial_frame(0))["buttons"] == Button.X
        pad._receive(None, {"click": 1}, [])
        assert told == [1]


class Commands:
    """Collects what ipycanvas would send."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[list[Any]] = []
        monkeypatch.setattr(_CANVAS_MANAGER, "_send_custom", self.take)

    def take(self, command: Any, buffers: Any = ()) -> None:
        self.sent.append(list(command))


class TestView:
    def test_a_frame_is_one_message_that_names_its_canvas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        view = MatchView()
        commands = Commands(monkeypatch)
        view.show(initial_frame(0))
        view.show(initial_frame(0))
        assert len(commands.sent) == 2
        switch = [command for command in commands.sent[1] if command[0] == commands.sent[1][0][0]]
        assert len(switch) == 2  # the picture and its end; neither sky nor HUD is sent again

    def test_a_new_page_gets_every_layer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        view = MatchView()
        view.show(initial_frame(0))
        commands = Commands(monkeypatch)
        view.widget._client_ready_callbacks()
        assert len(commands.sent) == 1
        switch = [command for command in commands.sent[0] if command[0] == commands.sent[0][0][0]]
        assert len(switch) == 4  # sky, HUD, the picture and its end


class TestApp:
    @pytest.fixture
    def app(self, cartridge: Cartridge) -> PlayApp:
        return play(cartridge, opponent="novice")

    def test_plays_saves_and_verifies(self, app: PlayApp, cartridge: Cartridge, tmp_path: Path) -> None:
        for _ in range(40):
            app._tick()
        assert app.match.n_frames == 40
        record = MatchRecord.load(app.save(tmp_path / "a.awmatch"))
        report = verify(record, cartridge).check()
        assert report.frames == 40 and report.state_hash == app.match.engine.state_hash()

    def test_a_saved_match_is_watched_again(
        self, app: PlayApp, cartridge: Cartridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for _ in range(20):
            app._tick()
        app.bar.save.click()
        app._tell()
        assert "saved 20 frames" in app._line.value, "the status is told anew twice a second"
        player = ReplayPlayer(next(tmp_path.glob("*.awmatch")), world=cartridge)
        assert len(player.frames) == 21 and tuple(player.view.scene.names) == ("YOU", "NOVICE")

    def test_counts_down_before_the_first_frame(self, app: PlayApp) -> None:
        app.start()
        app.loop.stop()
        app._countdown, banners = 90, []
        while not app.match.n_frames:
            app._tick()
            banners.append(app.view.scene.banner)
        assert [b for i, b in enumerate(banners) if i == 0 or b != banners[i - 1]] == ["3", "2", "1", ""]

    def test_a_click_starts_and_resumes_but_does_not_restart(self, app: PlayApp) -> None:
        app._clicked()
        assert app.loop.running
        app.pause()
        assert app.view.scene.banner == "PAUSED" and not app.loop.running
        app._clicked()
        assert app.loop.running and app.view.scene.banner != "PAUSED"
        app.loop.stop()
        app.match._frames[-1]["status"] = 1
        app._clicked()
        assert not app.loop.running

    def test_rematch_and_menus_make_new_matches(self, app: PlayApp) -> None:
        first = app.match
        app.rematch()
        assert app.match is not first and app.seed == 1 and app.match.frame["seed"] == 1
        app.bar.engine.value = "reference"
        assert app.match.engine.name.startswith("reference")
        app.bar.opponent.value = FRIEND
        assert app.view.scene.names == ("P1", "P2") and app.pad.gamepad_players == [0, 1]

    def test_errors_are_shown_not_raised(self, app: PlayApp) -> None:
        app.match.controllers[0] = lambda frame: 1 / 0
        app.start()
        app.loop._thread.join(10)  # type: ignore[union-attr]
        app._countdown = 0
        app.loop.start()
        app.loop._thread.join(10)  # type: ignore[union-attr]
        assert "ZeroDivisionError" in app._status.value and app.view.scene.banner.startswith("STOPPED")

    def test_own_keys_stay(self, cartridge: Cartridge) -> None:
        keys = KeyboardMap.solo().rebind(0, "KeyQ", "attack")
        app = play(cartridge, keyboard=keys)
        app.rematch()
        assert app.pad.keyboard is keys

    def test_bad_arguments(self, cartridge: Cartridge) -> None:
        with pytest.raises(ValueError, match="expected an engine"):
            play(cartridge, engine="abacus")
        with pytest.raises(ValueError, match="expected an opponent"):
            play(cartridge, opponent="nobody")

    def test_the_chain_engine_tells_what_it_spends(self, cartridge: Cartridge) -> None:
        app = play(cartridge, engine="chain", opponent="novice")
        for _ in range(3):
            app._tick()
        app._tell()
        assert "M CU in" in app._status.value and "chain (embedded)" in app._status.value

    def test_native_and_chain_compute_the_same_match(self, cartridge: Cartridge) -> None:
        hashes = set()
        for name in ("native", "reference", "chain"):
            match = Match(make_engine(name, cartridge, initial_frame(3)), [held(["right"]), held(["jump"])])
            match.run_headless(12)
            hashes.add(match.engine.state_hash())
        assert len(hashes) == 1


class TestReplayPlayer:
    @pytest.fixture
    def frames(self) -> np.ndarray:
        frames = np.zeros(120, FRAME)
        frames[:] = initial_frame(0)
        frames["frame"] = np.arange(120)
        frames["players"]["percent"][30:, 1] = 640
        frames["players"]["stocks"][80:, 0] = 3
        return frames

    def test_jumps_to_hits_and_knockouts(self, frames: np.ndarray) -> None:
        assert find_hits(frames).tolist() == [30] and find_knockouts(frames).tolist() == [80]
        player = ReplayPlayer(frames)
        visited = []
        for move in (player.next_hit, player.next_knockout, player.previous_hit, player.next_hit):
            move()
            visited.append(player.position)
        assert visited == [30, 80, 30, 119]

    def test_a_seek_shows_what_playing_would(self, frames: np.ndarray) -> None:
        played, sought = ReplayPlayer(frames), ReplayPlayer(frames)
        for _ in range(36):
            played._tick()
        sought.seek(36)
        assert played.view.scene.effects.particles == sought.view.scene.effects.particles != []

    def test_exports_what_follows(self, frames: np.ndarray, tmp_path: Path) -> None:
        player = ReplayPlayer(frames, overlay=frames[:100])
        player.seek(70)
        with Image.open(player.to_gif(tmp_path / "a.gif", seconds=0.2)) as picture:
            assert picture.n_frames == 4

    def test_speed_and_end(self, frames: np.ndarray) -> None:
        player = ReplayPlayer(frames)
        player._speed.value = 0.25
        for _ in range(8):
            player._tick()
        assert player.position == 2
        player._speed.value = 4.0
        for _ in range(40):
            player._tick()
        assert player.position == 119 and player._slider.value == 119

    def test_slider_seeks_and_clamps(self, frames: np.ndarray) -> None:
        player = ReplayPlayer(frames, overlay=frames[:50])
        player._slider.value = 70
        assert player.position == 70
        player.seek(10_000)
        assert player.position == 119 == player._slider.value

    def test_a_saved_match_is_played_again(self, cartridge: Cartridge, tmp_path: Path) -> None:
        match = Match(make_engine("native", cartridge, initial_frame(1)), [held(["left"]), held(["attack"])])
        replay = match.run_headless(25)
        path = match.record(cartridge).save(tmp_path / "a.awmatch")
        again = open_recording(path, cartridge)
        assert again.frames.tobytes() == replay.frames.tobytes()
        assert (again.inputs["stick_x"] == replay.inputs["stick_x"]).all()
        with pytest.raises(ModelFileError, match="not shipped"):
            open_recording(path)
        with pytest.raises(ModelFileError, match="expected world"):
            open_recording(path, pack(random_model(seed=1)))

    def test_replay_files_and_bare_frames(self, frames: np.ndarray, tmp_path: Path) -> None:
        path = open_recording(frames).save_npz(tmp_path / "a.npz")
        assert (open_recording(path).frames == frames).all()
        with pytest.raises(ValueError, match="at least one"):
            open_recording(frames[:0])


class TestNodelay:
    def test_sets_the_option_on_every_kernel_socket(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import asyncio

        from jupyter_server.services.kernels.websocket import KernelWebsocketHandler as Handler

        calls: list[Any] = []

        async def plain_open(self: Any, kernel_id: str) -> None:
            calls.append(kernel_id)

        monkeypatch.setattr(Handler, "open", plain_open)
        monkeypatch.delenv(nodelay.MARK, raising=False)
        app: Any = SimpleNamespace(log=logging.getLogger("test"))
        assert not nodelay.is_active()
        nodelay._load_jupyter_server_extension(app)
        nodelay._load_jupyter_server_extension(app)  # twice, as two servers in one process would
        try:
            socket: Any = SimpleNamespace(set_nodelay=calls.append)
            asyncio.run(Handler.open(socket, "kernel"))  # type: ignore[arg-type]
            assert calls == [True, "kernel"] and nodelay.is_active()
        finally:
            del Handler._awm_kit_nodelay  # type: ignore[attr-defined]
            monkeypatch.setenv(nodelay.MARK, "0")

    def test_shipped_configuration_enables_it(self, repo_root: Path) -> None:
        text = (repo_root / "jupyter-config/jupyter_server_config.d/awm_kit.json").read_text()
        assert '"awm_kit.play.nodelay": true' in text
        assert nodelay._jupyter_server_extension_points() == [{"module": "awm_kit.play.nodelay"}]


def test_a_notebook_runs_without_a_page(repo_root: Path) -> None:
    cells = [
        "from dataclasses import replace\n"
        "from awm_kit.play import ReplayPlayer, play\n"
        "from awm_kit.quant.pack import pack\n"
        "from awm_kit.quant.random_model import random_model\n"
        "from awm_kit.schema import FIGHTER\n"
        "app = play(pack(random_model(schema=replace(FIGHTER, end_field=''))), opponent='rusher')\napp",
        "app.start()\nimport time\nwhile app.match.n_frames < 5: time.sleep(0.05)\n"
        "app.pause()\napp.match.n_frames >= 5",
        "ReplayPlayer(app.match.replay())",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": repo_root}}
    ).execute()
    texts = [cell.outputs[-1]["data"]["text/plain"] for cell in notebook.cells]
    assert texts[0] == "<PlayApp YOU against RUSHER on native (auto)>"
    assert texts[1] == "True" and texts[2].startswith("<ReplayPlayer ")
