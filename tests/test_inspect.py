"""Looking into a world and changing what it sees: against the kernel, the reference and the teacher."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from awm_kit.action_states import id_of, name_of
from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import Params, ScriptedPlayer, generate
from awm_kit.kernel import NativeWorld
from awm_kit.play.engine import NativeEngine
from awm_kit.play.gif import render_gif
from awm_kit.play.inspect_plots import heat_image, memory_maps, plot_certainty, plot_heads, plot_memory
from awm_kit.play.inspect_view import InspectView
from awm_kit.play.inspector import KEEP_EVERY, Inspector, inspect
from awm_kit.play.whatif import edit_frame, what_if
from awm_kit.quant import reference
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.manifest import unpack
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import random_model
from awm_kit.schema import FIGHTER

LENGTH = 150


@pytest.fixture(scope="module")
def replay() -> Replay:
    return generate([11], LENGTH)[0]


@pytest.fixture(scope="module")
def world() -> Cartridge:
    return pack(random_model(schema=replace(FIGHTER, end_field="")))


@pytest.fixture(scope="module")
def inspector(world: Cartridge, replay: Replay) -> Inspector:
    return Inspector(world, replay)


class TestInspect:
    def test_memory_is_that_of_a_run_over_the_recording(self, inspector: Inspector, world: Cartridge) -> None:
        native, replay = NativeWorld(world), inspector.replay
        state = native.initial_state()
        for t in range(LENGTH - 1):
            if t in (0, 1, KEEP_EVERY - 1, KEEP_EVERY, 2 * KEEP_EVERY + 3):
                assert (inspector.state(t) == state).all()
            native.step(state, replay.frames[t], replay.inputs[t + 1])

    def test_prediction_and_heads_are_the_references(self, inspector: Inspector, world: Cartridge) -> None:
        seen = inspector.at(70)
        model, state = unpack(world), seen.state.copy()
        logits = reference.forward(model, state, seen.frame, seen.inputs)
        assert (seen.logits == logits).all()
        assert seen.predicted.tobytes() == reference.decode(model, seen.frame, logits).tobytes()
        parts = state.reshape(len(model.layers), model.n_views, -1)
        assert (
            seen.memory(0, 1, after=True).conv.ravel()
            == parts[0, 1, : 4 * seen.memory(0).conv.shape[0]].view(np.int8)
        ).all()

    def test_heads_are_probabilities_of_named_classes(self, inspector: Inspector) -> None:
        seen = inspector.at(33)
        assert {h.player for h in seen.heads} == {0, 1}
        for head in seen.heads:
            assert head.probabilities.sum() == pytest.approx(1) and (head.probabilities >= 0).all()
            assert len(head.labels) == len(head.probabilities) and head.entropy >= 0
            assert head.top(1)[0][0] == head.labels[head.chosen]
            stored = seen.predicted["players"][head.player][head.field]
            assert head.value == FIGHTER.player(head.field).to_real(stored)
        named = seen.head("action_state", 1)
        assert id_of(named.labels[named.chosen]) == seen.predicted["players"][1]["action_state"]
        assert "by arithmetic" in seen.head("x").labels and "as before" in seen.head("stocks").labels
        with pytest.raises(ValueError, match="expected a field"):
            seen.head("mana")

    def test_table_shows_now_next_and_truth(self, inspector: Inspector, replay: Replay) -> None:
        rows = {(r.player, r.field): r for r in inspector.at(60).table()}
        row = rows[1, "x"]
        assert row.now == replay.frames["players"]["x"][60, 1] / 1024
        assert row.truth == replay.frames["players"]["x"][61, 1] / 1024 and row.unit == "game units"
        assert len(rows) == 2 * len(FIGHTER.player_fields)
        assert all(r.truth is None for r in inspector.at(LENGTH - 1).table())

    def test_a_match_of_this_world_is_predicted_exactly(self, world: Cartridge, replay: Replay) -> None:
        engine = NativeEngine(world, replay.frames[0, ...])
        frames = np.zeros(40, replay.frames.dtype)
        frames[0] = engine.frame
        for t in range(1, 40):
            frames[t] = engine.step(replay.inputs[t])
        seen = inspect(world, Replay(frames, replay.inputs[:40]), 25)
        assert all(row.predicted == row.truth for row in seen.table())

    def test_bad_arguments(self, inspector: Inspector) -> None:
        for index in (-1, LENGTH):
            with pytest.raises(ValueError, match="expected a frame"):
                inspector.at(index)
        with pytest.raises(ValueError, match="expected a layer"):
            inspector.at(3).memory(99)


class TestPlots:
    def test_figures_show_what_was_asked(self, inspector: Inspector) -> None:
        seen = inspector.at(90)
        heads = plot_heads(seen, 1, ("action_state", "y"))
        assert [axis.get_title().split(",")[0] for axis in heads.axes] == ["action_state", "y"]
        widths = [bar.get_width() for bar in heads.axes[1].patches]
        assert widths == pytest.approx([p for _, p in seen.head("y", 1).top(6)])
        assert len(plot_memory(seen).axes) == seen.n_layers + 1  # and the colour bar
        certainty = plot_certainty([inspector.at(k) for k in range(20, 26)])
        assert certainty.axes[0].images[0].get_array().shape == (6, 6)
        for figure in (heads, certainty):
            figure.savefig(io.BytesIO(), dpi=30)

    def test_memory_maps_change(self, inspector: Inspector) -> None:
        seen = inspector.at(90)
        now, change = memory_maps(seen, 1), memory_maps(seen, 1, change=True)
        for layer, (a, b) in enumerate(zip(now, change, strict=True)):
            assert (a + b == seen.memory(layer, 1, after=True).ssm).all() and b.any()

    def test_heat_image(self) -> None:
        picture = heat_image(np.array([[-8, 0, 8]]), 2)
        assert picture.shape == (2, 6, 3)
        cold, none, warm = picture[0, ::2].astype(int)
        assert cold[2] > cold[0] and (none == 255).all() and warm[0] > warm[2]


class TestWhatIf:
    def test_nothing_changed_is_the_teachers_own_match(self, replay: Replay) -> None:
        same = what_if(Params(), replay, 50, frames=60)
        assert len(same.branch) == 111 and (same.branch.frames == replay.frames[:111]).all()
        assert (same.distance(0) == 0).all()

    def test_edits_start_the_branch(self, replay: Replay, inspector: Inspector, world: Cartridge) -> None:
        edits = {0: {"percent": 120.5, "y": 40, "on_ground": 0, "action_state": "Fall"}}
        branch = what_if(world, inspector, 40, edits, frames=30).branch
        begin = branch.frames[40]["players"][0]
        assert (begin["percent"], begin["y"], begin["action_state"]) == (120.5 * 64, 40 * 1024, id_of("Fall"))
        assert (branch.frames[:40] == replay.frames[:40]).all()
        native, state = NativeWorld(world), inspector.state(40)
        expected = native.run(state, branch.frames[40, ...], replay.inputs[41:71])
        assert (branch.frames[41:] == expected).all() and (branch.inputs[1:71] == replay.inputs[1:71]).all()

    def test_lift_is_gravity_undone(self, replay: Replay) -> None:
        """With its whole gravity lifted, a body only falls by what the teacher adds within each frame."""
        edits: Any = {0: {"y": 90, "x": 0, "speed_y": 0, "on_ground": 0, "action_state": "Fall", "hitlag": 0}}
        idle = [lambda frame: np.zeros((), replay.inputs.dtype)] * 2
        gravity = Params().characters[int(replay.frames[60]["players"]["character"][0])].gravity
        heights = []
        for lift in (0.0, gravity / 2, gravity):
            branch = what_if(Params(), replay, 60, edits, lift, 12, idle).branch
            heights.append(branch.frames["players"]["y"][-1, 0] / 1024)
        assert heights[0] < heights[1] < heights[2] == 90 - 12 * gravity

    def test_other_physics_and_other_players(self, replay: Replay, world: Cartridge) -> None:
        moon = what_if(Params(gravity_scale=0.4), replay, 30, frames=90)
        assert moon.distance(0)[0] == 0 and moon.distance(0).max() + moon.distance(1).max() > 1
        scripts = [ScriptedPlayer("rusher", i, 5).controller for i in (0, 1)]
        other = what_if(world, replay, 30, frames=20, players=scripts)
        assert (other.branch.inputs[31:] != replay.inputs[31:51]).any()
        assert other.original.sha256() == replay.sha256()

    def test_a_branch_ends_with_its_match(self, replay: Replay) -> None:
        short = Replay(replay.frames.copy(), replay.inputs)
        short.frames["time_limit"] = 45
        assert len(what_if(Params(time_limit=45), short, 40, frames=60).branch) == 46

    @pytest.mark.parametrize(
        ("edits", "said"),
        [
            ({2: {"x": 0}}, "player 0 or 1"),
            ({0: {"mana": 1}}, "no field 'mana'"),
            ({0: {"percent": -1}}, "expected percent of 0..999"),
            ({0: {"action_state": "Fly"}}, "cannot set action_state to 'Fly'"),
            ({0: {"x": "left"}}, "cannot set x to 'left'"),
            ({0: {"x": float("nan")}}, "expected x of"),
        ],
    )
    def test_edits_that_may_not_be(self, replay: Replay, edits: Any, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            edit_frame(replay.frames[0, ...], edits)

    def test_bad_arguments(self, replay: Replay) -> None:
        for start, frames, players in ((LENGTH, 9, None), (-1, 9, None), (3, 0, None), (3, 9, [])):
            with pytest.raises(ValueError, match="expected"):
                what_if(Params(), replay, start, frames=frames, players=players)

    def test_both_are_shown_side_by_side(self, replay: Replay) -> None:
        result = what_if(Params(), replay, 50, {0: {"x": 20}}, frames=20)
        player = result.player()
        assert player.position == 50 and player.second is not None
        assert player.overlay is not None and player.overlay[50]["players"]["x"][0] == 20 * 1024
        with Image.open(io.BytesIO(render_gif(result.film(0.2)))) as picture:
            assert picture.size == (388, 108) and picture.n_frames == 7
        assert len(result.plot().axes) == 3


class TestView:
    @pytest.fixture
    def view(self, world: Cartridge, replay: Replay) -> InspectView:
        return InspectView(world, replay, {"moon": Params(gravity_scale=0.4)})

    def test_shows_the_frame_on_the_slider(self, view: InspectView) -> None:
        view.seek(77)
        assert view.inspection.index == 77 and "speed_attack_y" in view._state.value
        assert name_of(int(view.inspection.frame["players"]["action_state"][0])) in view._state.value
        head = view.inspection.head("action_state")
        assert head.top(1)[0][0] in view._heads.value and "bits" in view._heads.value
        before = [image.value for image in view._maps]
        view._change.value = True
        with Image.open(io.BytesIO(view._maps[0].value)) as picture:
            assert picture.width == 3 * view.inspection.memory(0).ssm.shape[0]
        assert before != [image.value for image in view._maps]
        view._who.value = 1
        assert view.inspection.head("action_state", 1).top(1)[0][0] in view._heads.value
        view.seek(10_000)
        assert view.inspection.index == LENGTH - 1

    def test_a_what_if_from_the_menu(self, view: InspectView) -> None:
        view.seek(50)
        view._field.value, view._value.value = "y", "60"
        view._set.click()
        assert view.edits == {0: {"y": 60.0}} and "P1 y = 60" in view._edited.value
        view._world.value, view._seconds.value = "moon", 1
        view._run.click()
        assert view.branch is not None and view.branch.branch.frames["players"]["y"][50, 0] == 60 * 1024
        assert len(view._result.children) == 1 and len(view.branch.branch) == 111
        view._value.value = "-9999"
        view._set.click()
        assert "expected y of" in view._edited.value and view.edits == {0: {"y": 60.0}}
        view._clear.click()
        assert view.edits == {} and view._edited.value == ""
