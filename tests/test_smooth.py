"""Pictures between frames, and ticks between refreshes."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from awm_kit.data.bumper import BUMPER
from awm_kit.data.scuffle import initial_frame
from awm_kit.play.app import play
from awm_kit.play.beat import Beat
from awm_kit.play.bumper_scene import BumperScene
from awm_kit.play.interpolation import between
from awm_kit.play.loop import SLACK, SWITCH_SECONDS, FrameLoop, Pacer
from awm_kit.play.replay_player import ReplayPlayer
from awm_kit.play.smooth import SmoothView
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_model
from awm_kit.schema import FIGHTER, FRAME


@pytest.fixture(scope="module")
def cartridge() -> Cartridge:
    return pack(random_model(0, Shape(32, 2, 8, 8, 1), schema=replace(FIGHTER, end_field="")))


def walk(n: int, units_a_frame: float = 1.0) -> np.ndarray:
    """Player 1 walks to the right at an even pace."""
    frames = np.zeros(n, FRAME)
    frames[:] = initial_frame(0)
    frames["frame"] = np.arange(n)
    frames["players"]["x"][:, 0] = np.round(np.arange(n) * units_a_frame * 1024)
    return frames


class TestBetween:
    def test_positions_are_on_the_way_and_nothing_else_is(self) -> None:
        before, after = walk(2)
        after["players"]["percent"] = 640
        half = between(before, after, 0.25)
        assert int(half["players"][0]["x"]) == 256 and int(half["frame"]) == 1
        assert half["players"]["percent"].tolist() == [640, 640]
        assert between(before, after, 1.0) == after
        assert int(after["players"][0]["x"]) == 1024, "the frame itself is left alone"

    def test_who_leaps_or_dies_is_not_on_the_way(self) -> None:
        before, after = walk(2, 100.0)
        assert between(before, after, 0.5) == after
        before, after = walk(2)
        after["players"][0]["stocks"] -= 1
        assert between(before, after, 0.5) == after


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class TestSmoothView:
    @pytest.fixture
    def shown(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """Where player 1 was in each picture."""
        places: list[float] = []
        compose: Any = "awm_kit.play.scene.Scene.compose"
        monkeypatch.setattr(FrameLoop, "start", lambda self: None)
        monkeypatch.setattr(
            compose, lambda self, frame, ghost: places.append(int(frame["players"][0]["x"]) / 1024) or {}
        )
        return places

    def test_uneven_frames_look_even(self, shown: list[float]) -> None:
        clock, rng = Clock(), np.random.default_rng(0)
        view = SmoothView(clock=clock)
        # Thirty frames a second, each up to a third early or late; sixty pictures.
        due = np.arange(90) / 30 + rng.uniform(-1, 1, 90) / 90
        frames, at = walk(90, 2.0), 0
        for picture in range(150):
            clock.now = picture / 60
            while at < 90 and due[at] <= clock.now:
                view.show(frames[at])
                at += 1
            view.draw()
        steps = np.diff(shown[30:])
        assert abs(steps.mean() - 1.0) < 0.05
        # Drawn as they come, every second picture would repeat the one before and the others jump by 2.
        assert steps.std() < 0.5 and (steps >= 0).all()

    def test_a_cut_is_shown_at_once(self, shown: list[float]) -> None:
        clock = Clock()
        view = SmoothView(clock=clock)
        frames = walk(40)
        for index in (0, 1, 30):
            view.show(frames[index])
            clock.now += 0.001
        view.draw()
        assert shown == [30.0]

    def test_pictures_keep_step_with_the_page(
        self, shown: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock, beat, sent = Clock(), Beat(), []
        monkeypatch.setattr(beat, "send", sent.append)
        view = SmoothView(clock=clock)
        view.beat = beat
        for index, frame in enumerate(walk(30)):
            clock.now = index / 60
            view.show(frame)
            view.draw()
        assert len(sent) == 3 and len(shown) == 12, "the page answers no beat"
        clock.now += 1
        view.draw()
        assert shown[-1] == 29.0, "the last frame is shown even so"

    def test_every_game_has_its_scene(self) -> None:
        assert isinstance(SmoothView(game=BUMPER.name).scene, BumperScene)


def test_a_replay_in_slow_motion_moves_between_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    player, places = ReplayPlayer(walk(10)), []
    take: Any = lambda frame, ghost: places.append(int(frame["players"][0]["x"]))  # noqa: E731
    monkeypatch.setattr(player.view, "show", take)
    player._speed.value = 0.25
    for _ in range(8):
        player._tick()
    assert places == [256 * k for k in range(1, 9)] and player.position == 2


def test_a_replay_waits_for_pages_that_paint_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    player, shown, skipped = ReplayPlayer(walk(100)), [], []
    monkeypatch.setattr(player.beat, "send", lambda content: None)
    take: Any = lambda frame, ghost: shown.append(int(frame["frame"]))  # noqa: E731
    monkeypatch.setattr(player.view, "show", take)
    monkeypatch.setattr(player.view, "skip", lambda frame: skipped.append(int(frame["frame"])))
    for _ in range(20):
        player._tick()
    assert shown == list(range(1, 13)) and skipped == list(range(13, 21))
    player.beat._receive(None, {"beat": 3}, [])
    player._tick()
    assert shown[-1] == 21


def test_a_game_may_be_drawn_between_frames(cartridge: Cartridge) -> None:
    app = play(cartridge, opponent="novice", smooth=True)
    assert isinstance(app.view, SmoothView)
    app.start()
    app.pause()
    app.view.loop.stop()
    for _ in range(100):
        app._tick()
    assert app.match.n_frames > 0 and app.view._frames[-1] == app.match.frame
    assert app.view.beat is app.beat and app.beat._on_slack == [app.view.loop.follow]
    app.view.loop.stop()


class TestFollow:
    @pytest.mark.parametrize("start", [0.1, 4.0, 8.0, 12.0, 16.5])
    def test_pictures_come_to_arrive_between_refreshes(self, start: float) -> None:
        """Simulated: a page that refreshes a little slower than the loop ticks, and a path with jitter."""
        loop, rng = FrameLoop(lambda: None), np.random.default_rng(1)
        pacer, refresh, now = Pacer(1 / 60, 0.0), 1.001 / 60, start / 1e3
        slacks = []
        for tick in range(900):
            arrived = now + 0.004 + rng.exponential(0.001)
            slack = -arrived % refresh
            slacks.append(slack * 1e3)
            if tick % 4 == 0:
                loop.follow(slack * 1e3, refresh * 1e3)
            pacer.shift(loop._shift)
            loop._shift = 0.0
            now += pacer.delay(now)
        settled = np.array(slacks[400:])
        assert settled.min() > 1 and settled.max() < 15.5 and abs(settled.mean() - SLACK * 16.7) < 1.5

    @pytest.mark.parametrize("measured", [(5.0, 6.9), (5.0, 33.4), (5.0, 0.0), (90.0, 16.7), (-90.0, 16.7)])
    def test_other_screens_and_nonsense_are_ignored(self, measured: tuple[float, float]) -> None:
        loop = FrameLoop(lambda: None)
        loop.follow(*measured)
        assert loop._shift == 0.0

    def test_a_shift_is_small(self) -> None:
        loop = FrameLoop(lambda: None)
        for slack in np.linspace(0, 16.6, 30):
            loop.follow(float(slack), 16.67)
            assert abs(loop._shift) <= 0.0007


def test_threads_take_turns_quickly_while_a_loop_ticks() -> None:
    before = sys.getswitchinterval()
    ticks = [threading.Event() for _ in range(2)]
    loops = [FrameLoop(tick.set) for tick in ticks]
    for loop, tick in zip(loops, ticks, strict=True):
        loop.start()
        assert tick.wait(10)
    loops[0].stop()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    loops[1].stop()
    assert sys.getswitchinterval() == pytest.approx(before)
