"""Playing without a browser: pacing, controllers, matches, and pictures."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from awm_kit.action_states import id_of
from awm_kit.data.scuffle import Params, initial_frame
from awm_kit.play.camera import Camera
from awm_kit.play.controllers import (
    ACTIONS,
    BIT,
    KeyboardMap,
    RandomController,
    RecordedController,
    ScriptedController,
    actions_to_controller,
    held,
)
from awm_kit.play.draw_fighter import Figure, draw_fighter
from awm_kit.play.drawing import Drawing
from awm_kit.play.effects import Effects
from awm_kit.play.engine import TeacherEngine
from awm_kit.play.gif import render_gif, render_still
from awm_kit.play.loop import FrameLoop, Pacer
from awm_kit.play.match import Match
from awm_kit.play.painters import LAYERS
from awm_kit.play.palette import LIVERIES, heat
from awm_kit.play.poses import JOINTS, clip_name, clip_names, pose_at
from awm_kit.play.scene import Scene
from awm_kit.schema import CONTROLLER, Button


def teacher_match(seed: int = 3, styles: tuple[str, str] = ("rusher", "balanced")) -> Match:
    scripts = [ScriptedController(style, player, seed) for player, style in enumerate(styles)]
    return Match(TeacherEngine(Params(), initial_frame(seed)), scripts)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return teacher_match().run_headless(240).frames


class TestPacer:
    def test_deadlines_do_not_drift(self) -> None:
        pacer, now = Pacer(0.1, 0.0), 0.0
        for cost in (0.01, 0.09, 0.03, 0.05):
            now += cost
            now += pacer.delay(now)
        assert now == pytest.approx(0.4)
        assert pacer.missed == 0

    def test_a_short_delay_keeps_the_grid(self) -> None:
        pacer = Pacer(0.1, 0.0)
        assert pacer.delay(0.15) == 0.0  # 50 ms late: tick at once
        assert pacer.delay(0.16) == pytest.approx(0.04)  # and be back at 0.2

    def test_a_stall_is_not_caught_up(self) -> None:
        pacer = Pacer(0.1, 0.0)
        assert pacer.delay(5.0) == 0.0
        assert pacer.missed == 49
        assert pacer.delay(5.01) == pytest.approx(0.09)


class TestLoop:
    def test_ticks_until_stopped(self) -> None:
        ticks, enough = [], threading.Event()

        def tick() -> None:
            ticks.append(threading.current_thread().daemon)
            if len(ticks) == 5:
                enough.set()

        loop = FrameLoop(tick, fps=500)
        loop.start()
        loop.start()  # a second start must not add a second thread
        assert enough.wait(10)
        loop.stop()
        count = len(ticks)
        assert not loop.running and all(ticks)
        threading.Event().wait(0.02)
        assert len(ticks) == count == loop.stats().ticks

    def test_an_exception_stops_it_and_is_kept(self) -> None:
        seen: list[Exception] = []
        loop = FrameLoop(lambda: 1 / 0, fps=500, on_error=seen.append)
        loop.start()
        loop._thread.join(10)  # type: ignore[union-attr]
        assert isinstance(loop.error, ZeroDivisionError) and seen == [loop.error]
        assert not loop.running

    def test_starts_again_after_an_error(self) -> None:
        ticked = threading.Event()
        faults = [RuntimeError("once")]

        def tick() -> None:
            if faults:
                raise faults.pop()
            ticked.set()

        loop = FrameLoop(tick, fps=500)
        loop.start()
        loop._thread.join(10)  # type: ignore[union-attr]
        loop.start()
        assert ticked.wait(10) and loop.error is None
        loop.stop()

    def test_may_be_stopped_by_its_own_tick(self) -> None:
        loop = FrameLoop(lambda: loop.stop(), fps=500)
        loop.start()
        loop._thread.join(10)  # type: ignore[union-attr]
        assert not loop.running and loop.stats().ticks == 1


class TestControllers:
    @pytest.mark.parametrize(
        ("actions", "stick"),
        [
            (("left",), (-80, 0)),
            (("right", "left"), (0, 0)),
            (("right", "walk"), (40, 0)),
            (("right", "up"), (56, 56)),
            (("down",), (0, -80)),
        ],
    )
    def test_sticks(self, actions: tuple[str, ...], stick: tuple[int, int]) -> None:
        pad = actions_to_controller(sum(BIT[a] for a in actions))
        assert (pad["stick_x"], pad["stick_y"]) == stick

    def test_buttons(self) -> None:
        pad = actions_to_controller(BIT["attack"] | BIT["shield"] | BIT["c_up"])
        assert pad["buttons"] == Button.A | Button.R
        assert pad["trigger_r"] == 140 and pad["cstick_y"] == 80

    def test_every_action_does_something(self) -> None:
        neutral = actions_to_controller(0).tobytes()
        silent = [a for a in ACTIONS if actions_to_controller(BIT[a]).tobytes() == neutral]
        assert silent == ["walk"]

    def test_keyboard_maps(self) -> None:
        shared = KeyboardMap.shared()
        assert not set(shared.players[0]) & set(shared.players[1])
        for mapping in shared.players:
            assert {"left", "right", "up", "down", "jump", "attack", "special", "shield"} <= set(
                mapping.values()
            )
        assert KeyboardMap.solo(1).bindings()["KeyJ"] == [1, BIT["attack"]]
        assert "jump Space" in KeyboardMap.solo().legend(0)

    def test_rebinding_takes_the_key_from_the_other_player(self) -> None:
        changed = KeyboardMap.shared().rebind(1, "KeyC", "jump")
        assert changed.bindings()["KeyC"] == [1, BIT["jump"]]
        with pytest.raises(ValueError, match="expected actions"):
            changed.rebind(0, "KeyQ", "fly")

    def test_random_players_repeat_themselves(self) -> None:
        frame = initial_frame(1)
        one, two, other = (RandomController(seed) for seed in (5, 5, 6))
        first = [one(frame).tobytes() for _ in range(200)]
        assert first == [two(frame).tobytes() for _ in range(200)]
        assert first != [other(frame).tobytes() for _ in range(200)]
        assert len(set(first)) > 5


class TestMatch:
    def test_recorded_inputs_lead_to_the_same_frames(self) -> None:
        match = teacher_match()
        replay = match.run_headless(150)
        assert replay.validate().n_frames == 151
        again = Match(
            TeacherEngine(Params(), replay.frames[0]),
            [RecordedController(replay.inputs[1:, player]) for player in (0, 1)],
        ).run_headless(150)
        assert again.frames.tobytes() == replay.frames.tobytes()
        assert again.inputs.tobytes() == replay.inputs.tobytes()

    def test_holding_right_walks_right(self) -> None:
        match = Match(TeacherEngine(Params(), initial_frame(0)), [held(["right"]), held([])])
        x = match.run_headless(30).frames["players"]["x"]
        assert x[-1, 0] > x[0, 0] + 10 * 1024 and x[-1, 1] == x[0, 1]

    def test_stops_when_decided(self) -> None:
        start = initial_frame(0)
        start["time_limit"] = 20
        match = Match(TeacherEngine(Params(time_limit=20), start), [held([]), held([])])
        assert match.run_headless(100).n_frames == 21
        assert match.over and match.step() is match.frame

    def test_callbacks_see_every_frame(self) -> None:
        seen: list[int] = []
        match = teacher_match()
        match.on_frame.append(lambda frame: seen.append(int(frame["frame"])))
        match.run_headless(10)
        assert seen == list(range(1, 11))

    def test_bad_arguments(self) -> None:
        engine = TeacherEngine(Params(), initial_frame(0))
        with pytest.raises(ValueError, match="2 controllers"):
            Match(engine, [held([])])
        with pytest.raises(ValueError, match="2 controllers"):
            engine.step(np.zeros(3, CONTROLLER))
        with pytest.raises(ValueError, match="one frame record"):
            TeacherEngine(Params(), initial_frame(0)[None])


class TestPoses:
    @pytest.mark.parametrize("name", clip_names())
    def test_clips_are_whole(self, name: str) -> None:
        poses = np.array([pose_at(name, age) for age in range(90)])
        assert poses.shape == (90, len(JOINTS)) and np.isfinite(poses).all()
        jumps = np.abs(np.diff(poses, axis=0)[:, :-1]).max()
        assert jumps < 120  # no joint snaps round between two frames

    def test_every_action_state_has_a_clip(self) -> None:
        names = {clip_name(state, grounded) for state in range(400) for grounded in (True, False)}
        assert names <= set(clip_names()) and len(names) > 30

    def test_unknown_states_stand_or_fall(self) -> None:
        assert clip_name(399_999, True) == "idle" and clip_name(399_999, False) == "fall"


class TestPictures:
    def test_layers_hold_finite_polygons(self, frames: np.ndarray) -> None:
        scene = Scene()
        layers = scene.backdrop()
        for frame in frames[:60]:
            layers.update(scene.compose(frame))
        assert set(layers) == {"background", "stage", "fighters", "hud"}
        for drawing in layers.values():
            assert all(p.ndim == 2 and p.shape[1] == 2 and len(p) >= 3 for p in drawing.polygons)
            assert all(np.isfinite(p).all() for p in drawing.polygons)
            assert len(drawing.polygons) == len(drawing.colors) == len(drawing.alphas)

    @pytest.mark.parametrize("trial", range(4))
    def test_any_bytes_can_be_drawn(self, frames: np.ndarray, trial: int) -> None:
        """A bad world may produce any frame; the view must show it, not fail."""
        rng = np.random.default_rng(trial)
        frame = np.frombuffer(rng.bytes(frames[0].nbytes), frames.dtype)[0]
        drawn = Scene().compose(frame)
        assert all(np.isfinite(p).all() for p in drawn["fighters"].polygons)

    def test_camera_keeps_both_players_in_the_picture(self, frames: np.ndarray) -> None:
        scene = Scene()
        for frame in frames:
            scene.compose(frame)
            players = frame["players"]
            at = scene.camera.project(np.stack([players["x"], players["y"]], 1) / 1024)
            assert (at > -20).all() and (at < (980, 560)).all()

    def test_nobody_vanishes_behind_a_panel(self, frames: np.ndarray) -> None:
        low = frames[100:101].copy()
        low["players"]["y"] = [[-60 * 1024, 100 * 1024]]
        low["players"]["on_ground"] = 0
        scene = Scene()
        layers = scene.compose(low[0])
        x, y = scene.camera.project(np.array([low["players"]["x"][0, 0] / 1024, -54.0]))
        behind = [p for p in layers["hud"].polygons if p[:, 1].min() < y < p[:, 1].max()]
        assert behind and LAYERS.index("fighters") > LAYERS.index("hud")
        assert any(np.hypot(*(p.mean(0) - (x, y))) < 20 for p in layers["fighters"].polygons)

    @pytest.mark.parametrize("apart", [0, 1, -2, 9])
    def test_tags_stand_beside_each_other(self, frames: np.ndarray, apart: int) -> None:
        near = frames[60:61].copy()
        near["players"]["x"], near["players"]["y"] = [[0, apart * 1024]], 0
        drawn = Scene().compose(near[0])["fighters"].texts
        at = {text.text: text.x for text in drawn if text.text in ("P1", "P2")}
        assert abs(at["P2"] - at["P1"]) >= 26 - 1e-3
        assert apart == 0 or (at["P2"] > at["P1"]) == (apart > 0), "each over its own player"

    def test_camera_keeps_the_aspect_ratio(self) -> None:
        camera = Camera(960, 540)
        camera.follow(np.array([(-150.0, 0.0), (150.0, 80.0)]), snap=True)
        a, b, c = camera.project(np.array([(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)]))
        assert b[0] - a[0] == pytest.approx(a[1] - c[1])

    def test_players_are_told_apart_by_colour_and_shape(self, frames: np.ndarray) -> None:
        drawn = []
        for index in (0, 1):
            out = Drawing()
            figure = Figure.of(frames[0]["players"][index], index)
            draw_fighter(out, Camera(960, 540), figure)
            drawn.append(out)
        assert LIVERIES[0].main in drawn[0].colors and LIVERIES[0].main not in drawn[1].colors
        assert len(drawn[0].polygons) != len(drawn[1].polygons)

    def test_a_hit_turns_the_victim_pale_and_throws_sparks(self, frames: np.ndarray) -> None:
        before, after = frames[0].copy(), frames[0].copy()
        after["frame"] += 1
        after["players"]["percent"][1] += 10 * 64
        after["players"]["hitlag"][1] = 5
        after["players"]["action_state"][1] = id_of("DamageFlyN")
        scene = Scene()
        scene.compose(before)
        calm = Figure.of(before["players"][1], 1).livery
        scene.compose(after)
        assert [p.kind for p in scene.effects.particles] == ["spark"]
        assert sum(Figure.of(after["players"][1], 1).livery.main) > sum(calm.main)

    def test_a_lost_stock_bursts_once(self, frames: np.ndarray) -> None:
        effects = Effects()
        for i in range(60):
            frame = frames[0].copy()
            frame["frame"] = i
            frame["players"]["stocks"][0] -= i >= 10
            effects.observe(frame)
            kinds = [p.kind for p in effects.particles]
            assert kinds == (["burst"] if 10 <= i < 55 else [])

    @pytest.mark.parametrize(("speed", "trails"), [(0.0, False), (1.5, False), (4.0, True)])
    def test_only_fast_fighters_leave_afterimages(
        self, frames: np.ndarray, speed: float, trails: bool
    ) -> None:
        scene, counts = Scene(), []
        for i in range(12):
            frame = frames[0].copy()
            frame["frame"] = i
            frame["players"]["x"][0] += round(i * speed * 1024)
            counts.append(len(scene.compose(frame)["fighters"].polygons))
        assert (counts[-1] > counts[0]) is trails

    def test_heat_grows(self) -> None:
        blue = [heat(p)[2] for p in (0, 30, 60)]
        assert blue == sorted(blue, reverse=True) and heat(1000) == heat(150)

    def test_still(self, frames: np.ndarray) -> None:
        picture = render_still(frames[-1], scale=0.5)
        assert picture.size == (480, 270)
        colors = {color for _, color in picture.getcolors(480 * 270)}
        for livery in LIVERIES:
            distance = [np.abs(np.subtract(livery.main, color)).sum() for color in colors]
            assert min(distance) < 12

    def test_gif(self, frames: np.ndarray, tmp_path: Path) -> None:
        path = tmp_path / "match.gif"
        data = render_gif(frames[:61], path, every=3, scale=0.3)
        assert path.read_bytes() == data == render_gif(frames[:61], every=3, scale=0.3)
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.n_frames == 21
            total = 0
            for k in range(picture.n_frames):
                picture.seek(k)
                total += picture.info["duration"]
            assert total == pytest.approx(21 * 3 * 1000 / 60, abs=11)
            last = np.asarray(picture.convert("RGB"), int)
        assert last.shape == (162, 288, 3) and len(np.unique(last.reshape(-1, 3), axis=0)) > 40

    def test_ghosts_must_match(self, frames: np.ndarray) -> None:
        with pytest.raises(ValueError, match="as many ghosts"):
            render_gif(frames[:10], ghosts=frames[:9])
        with pytest.raises(ValueError, match="at least one"):
            render_gif(frames[:0])
        with pytest.raises(ValueError, match="every >= 1"):
            render_gif(frames[:2], every=0)
