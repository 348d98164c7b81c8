"""Free runs of a network in training, and who corrects them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_model import TINY, falling

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import Params, Scuffle, generate
from awm_kit.data.scuffle.stage import STAGES
from awm_kit.data.teachers import Teacher
from awm_kit.model.dataset import PackedReplays, Streams
from awm_kit.model.heads import fit_heads
from awm_kit.model.practice import (
    KnockoutPractice,
    TeacherPractice,
    _about,
    bring_back,
    count_lives,
    drop,
    free_runs,
    knock_out,
    rare_segments,
    return_places,
    stages_without_more_ground,
)
from awm_kit.model.recipe_file import load_recipe
from awm_kit.model.train import Trainer
from awm_kit.model.train_config import TrainConfig
from awm_kit.model.world import WorldModel
from awm_kit.schema import FIGHTER, FRAME, STATUS_DECIDED, STATUS_PLAYING

Act = Callable[[int, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def games() -> list[Replay]:
    return generate(range(5, 9), 2400)


@pytest.fixture(scope="module")
def network(games: list[Replay]) -> WorldModel:
    torch.manual_seed(0)
    data = PackedReplays(FIGHTER, games)
    return WorldModel(TINY, FIGHTER, fit_heads(FIGHTER, *data.transitions()))


def test_the_teacher_corrects_each_frame_of_a_free_run(network: WorldModel) -> None:
    lessons = TeacherPractice(matches=3, n_frames=40).lessons(network, turn=0)
    assert len(lessons.runs) == len(lessons.corrections) == 3
    wrong = 0
    for run, right in zip(lessons.runs, lessons.corrections, strict=True):
        assert right is not None and len(right) == run.n_frames
        t = run.n_frames - 1
        again = Scuffle.from_frames(run.frames[t - 1], Params(), run.inputs[t - 1]).step(
            run.inputs[t : t + 1]
        )
        for item in FIGHTER.player_fields:
            assert np.array_equal(again["players"][item.name][0], right["players"][item.name][t])
        wrong += int((run.frames["players"]["action_state"] != right["players"]["action_state"]).sum())
    assert wrong > 0, "an untrained network makes mistakes"


def test_the_teacher_has_nothing_to_correct_in_its_own_play(
    network: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"stocks": 1, "knockback_scale": 3.0}
    physics = Params.of(changes)

    def taught(model: WorldModel, starts: np.ndarray, n_frames: int, act: Act) -> np.ndarray:
        game, frames = Scuffle.from_frames(starts, physics), np.zeros((n_frames, len(starts)), FRAME)
        frames[0] = starts
        for t in range(1, n_frames):
            frames[t] = game.step(act(t, frames[t - 1]))
        return frames

    monkeypatch.setattr("awm_kit.model.practice.free_runs", taught)
    lessons = TeacherPractice(Teacher("scuffle", changes), matches=6, n_frames=600).lessons(network, turn=0)
    for run, right in zip(lessons.runs, lessons.corrections, strict=True):
        assert right is not None
        for item in FIGHTER.player_fields:
            assert np.array_equal(run.frames["players"][item.name], right["players"][item.name]), item.name
    ended = [run for run in lessons.runs if run.n_frames < 600]
    assert ended, "with one stock each and hard hits, some match is decided"
    for run in ended:  # the frame that decides is the last lesson
        assert run.frames["status"].tolist()[-2:] == [STATUS_PLAYING, STATUS_DECIDED]


def test_a_free_run_is_the_step_that_plays(network: WorldModel, games: list[Replay]) -> None:
    from awm_kit.model.evaluate import TorchRunner

    _, free = TorchRunner(network).run(games[0], np.array([0]), 30)
    frames = free_runs(network, games[0].frames[:1], 31, lambda t, _: games[0].inputs[t : t + 1])
    for item in FIGHTER.player_fields:
        assert np.array_equal(frames["players"][item.name][1:, 0], free["players"][item.name][0])


def test_leaving_the_blast_zones_alive_is_a_knock_out() -> None:
    before, after = np.zeros(6, FRAME), np.zeros(6, FRAME)
    for frames in (before, after):
        frames["stage"] = 32
        frames["players"]["stocks"], frames["players"]["action_state"] = 3, 29
    left, right, top, bottom = STAGES[32].blast
    after["players"]["y"][0, 0] = round((bottom - 2) * 1024)
    after["players"]["x"][1, 1] = round((right + 2) * 1024)
    after["players"]["x"][2, 0] = round((left + 2) * 1024)
    after["players"]["x"][3, 0] = round((left - 2) * 1024)
    after["players"]["action_state"][3, 0] = 1
    after["players"]["y"][4, 1] = round((top + 61) * 1024)
    after["players"]["y"][5, 1] = round((top + 59) * 1024)  # a jump may pass the top
    out = knock_out(before, after)
    assert np.argwhere(out).tolist() == [[0, 0], [1, 1], [4, 1]]
    assert after["players"]["action_state"][[0, 1, 4], [0, 1, 1]].tolist() == [0, 2, 4]
    assert after["players"]["stocks"].tolist() == [[2, 3], [3, 2], [3, 3], [3, 3], [3, 2], [3, 3]]


def test_a_knock_out_costs_one_life_and_nothing_else_does(games: list[Replay]) -> None:
    def lost(states: list[int], stocks: list[int]) -> tuple[list[int], list[bool]]:
        frames = np.zeros((len(states), 1), FRAME)
        frames["players"]["action_state"], frames["players"]["stocks"] = 14, 4
        frames["players"]["action_state"][:, 0, 0], frames["players"]["stocks"][:, 0, 0] = states, stocks
        paid, wrong = frames["players"]["action_state"][0] <= 10, [False]
        for t in range(1, len(frames)):
            wrong.append(bool(count_lives(frames[t - 1], frames[t], paid)[0, 0]))
        assert (frames["players"]["stocks"][:, 0, 1] == 4).all()
        return frames["players"]["stocks"][:, 0, 0].tolist(), wrong

    assert lost([29, 0, 0, 12], [4, 3, 3, 3]) == ([4, 3, 3, 3], [False] * 4)
    assert lost([29, 4, 4, 4], [4, 4, 3, 3]) == ([4, 4, 3, 3], [False] * 4), "off the top, later"
    assert lost([29, 0, 0, 0], [4, 3, 2, 1])[0] == [4, 3, 3, 3]
    assert lost([29, 35, 35], [4, 3, 2]) == ([4, 4, 4], [False, True, True]), "while alive"
    assert lost([29, 0, 29, 1], [4, 3, 3, 2])[0] == [4, 3, 3, 2], "the next knock-out costs the next"
    assert lost([29, 29, 29], [4, 5, 4]) == ([4, 4, 4], [False, True, False]), "none is won"
    for game in games:
        players, paid = game.frames["players"], np.zeros((1, 2), bool)
        for t in range(1, game.n_frames):
            before, after = game.frames[t - 1 : t].copy(), game.frames[t : t + 1].copy()
            assert not count_lives(before, after, paid).any()
        assert (players["stocks"][-1] < players["stocks"][0]).any() or game.n_frames < 3600


def test_lives_go_on_where_they_did_in_recorded_games(games: list[Replay]) -> None:
    places = return_places(games)
    stage = int(games[0].frames["stage"][0])
    assert set(places) == {stage}
    known = places[stage]
    before, after = np.zeros(3, FRAME), np.zeros(3, FRAME)
    after["stage"] = stage, stage, 2
    before["players"]["action_state"], after["players"]["action_state"] = 0, 12
    after["players"]["x"], after["players"]["y"] = known[0]
    after["players"]["y"][:, 1] = -400 << 10
    before["players"]["action_state"][1, 1] = 12
    put = bring_back(before, after, places)
    assert np.argwhere(put).tolist() == [[0, 1]], "not who is there, who has been back, or on unknown stages"
    assert (after["players"]["x"][0, 1], after["players"]["y"][0, 1]) == tuple(known[0])
    assert after["players"]["y"][1, 1] == after["players"]["y"][2, 1] == -400 << 10


def test_knock_outs_are_practised_about_the_moment() -> None:
    game = falling(3)
    game.frames["players"]["x"] += 400 << 10
    torch.manual_seed(0)
    network = WorldModel(TINY, FIGHTER, fit_heads(FIGHTER, *PackedReplays(FIGHTER, [game]).transitions()))
    lessons = KnockoutPractice([game], n_frames=60, before=10, after=2).lessons(network, turn=0)
    lost = [np.diff(run.frames["players"]["stocks"].astype(int), axis=0).min(1) < 0 for run in lessons.runs]
    assert lost[0][0], "whoever starts beyond the blast zones is knocked out at once"


def test_corrections_that_follow_at_once_are_one_lesson() -> None:
    moments = np.array([3, 40, 41, 43, 70])
    assert _about(moments, 10, 2, 71) == [slice(0, 5), slice(30, 45), slice(60, 71)]
    assert _about(moments[:0], 10, 2, 71) == []


def test_rare_segments_hold_every_lost_stock(games: list[Replay]) -> None:
    def lost(replays: list[Replay]) -> int:
        return sum(
            int((np.diff(r.frames["players"]["stocks"].astype(int), axis=0) < 0).sum()) for r in replays
        )

    segments = rare_segments(games, 20, 20)
    assert lost(games) > 0 and lost(segments) >= lost(games)
    assert max(r.n_frames for r in segments) <= 40


def test_joined_replays_are_walked_as_often_as_asked() -> None:
    mostly = PackedReplays(FIGHTER, [falling(s) for s in range(9)])
    few = PackedReplays(FIGHTER, [falling(77)])
    both = mostly.joined(few, 0.4)
    assert both.n_frames == mostly.n_frames + few.n_frames and len(both) == 10
    streams = Streams(both, 4000, 32, 0)
    assert np.mean(streams.replay == 9) == pytest.approx(0.4, abs=0.03)


def test_a_run_practises_and_resumes(tmp_path: Path, games: list[Replay]) -> None:
    config = TrainConfig(
        steps=4, lanes=4, length=16, model=TINY, practice_from=2, practice_every=2, practice_keep=2, threads=1
    )
    data, practice = PackedReplays(FIGHTER, games), TeacherPractice(matches=2, n_frames=30)
    first = Trainer(data, config, tmp_path, practice=practice)
    first.run(progress=False)
    assert len(first.turns) == 1
    again = Trainer(data, replace(config, steps=5), tmp_path, practice=practice)
    assert again.step == 4
    again.run(progress=False)
    assert len(again.turns) == 1 and again.step == 5


def test_the_recipe_of_the_shipped_world_practises(tmp_path: Path) -> None:
    recipe = load_recipe("scuffle")
    short = replace(recipe, seeds=(0, 2), n_frames=100)
    trainer = short.trainer(tmp_path, progress=False, steps=1, lanes=2, length=16, threads=1)
    assert isinstance(trainer.practice, TeacherPractice) and recipe.train.practice_from > 0
    trainer.run(progress=False)
    assert (tmp_path / "last.safetensors").exists()


def test_rare_events_and_mistakes_weigh_more(tmp_path: Path, games: list[Replay]) -> None:
    data = PackedReplays(FIGHTER, games)
    config = TrainConfig(
        lanes=2, length=16, model=TINY, event_weight=2.0, rare_weights=(("hit", 5.0), ("ko", 7.0))
    )
    trainer = Trainer(data, config, tmp_path)
    old, new = (torch.from_numpy(rows) for rows in data.transitions())
    weight = trainer._weight(old, new)
    names = [f.name for f in FIGHTER.player_fields]
    column = names.index
    lost = new[:, column("stocks")] < old[:, column("stocks")]
    hurt = (new[:, column("percent")] > old[:, column("percent")]) & ~lost
    changed = (new[:, column("action_state")] != old[:, column("action_state")]) & ~hurt & ~lost
    assert lost.any() and hurt.any()
    assert set(weight[lost].tolist()) == {7.0} and set(weight[hurt].tolist()) == {5.0}
    assert set(weight[changed].tolist()) == {2.0}
    assert set(weight[~changed & ~hurt & ~lost].tolist()) == {1.0}
    with pytest.raises(ValueError, match=r"expected rare_weights of .*edge_grab.* \(got \['nothing'\]\)"):
        Trainer(data, replace(config, rare_weights=(("nothing", 2.0),)), tmp_path / "other")


def test_frames_after_a_mistake_in_practice_weigh_more(tmp_path: Path, games: list[Replay]) -> None:
    wrong = games[0].frames.copy()
    wrong["players"]["action_state"][40:] = 14
    taught = PackedReplays(FIGHTER, [Replay(wrong, games[0].inputs, "run")], [games[0].frames])
    config = TrainConfig(lanes=1, length=len(wrong) - 2, model=TINY, mistake_weight=1.0)
    losses = []
    for weight in (1.0, 50.0):
        trainer = Trainer(taught, replace(config, mistake_weight=weight), tmp_path / str(weight))
        losses.append(trainer.train_step()["loss"])
    assert losses[0] != pytest.approx(losses[1], rel=1e-5)


def test_drills_have_their_share_of_the_frames() -> None:
    counts = {"fights": 2, "strikes": 6, "swings": 9, "throws": 5, "moves": 3, "exits": 4, "strays": 2}
    recipe = replace(load_recipe("scuffle"), seeds=(0, 4), drill_share=0.3, **counts)
    games = recipe.replays(progress=False)
    data = recipe.pack(games)
    drills = sum(counts.values())
    frames = data.weights * np.diff(data.starts)
    assert frames[-drills:].sum() / frames.sum() == pytest.approx(0.3)
    assert len(data) > len(games) + drills, "rare segments lie between"


def test_who_stands_beside_the_stage_falls(games: list[Replay]) -> None:
    stage = int(games[0].frames["stage"][0])
    firm = stages_without_more_ground(games)
    assert firm == {stage}
    frames = np.zeros(3, FRAME)
    frames["stage"] = stage, stage, 8
    players = frames["players"]
    players["action_state"], players["on_ground"], players["stocks"] = 15, 1, 4
    players["x"][:, 0] = 150 << 10
    players["speed_ground_x"][:, 0] = 700
    players["action_state"][1, 0] = 12
    assert np.argwhere(drop(frames, firm)).tolist() == [[0, 0]], "not who comes back, or on other stages"
    fallen = players[0, 0]
    assert (fallen["action_state"], fallen["on_ground"], fallen["speed_air_x"]) == (29, 0, 700)
    assert players["on_ground"].sum() == 5
    clouds = [Replay(frames[2:].repeat(40), np.zeros((40, 2), games[0].inputs.dtype), "cloud")]
    assert stages_without_more_ground(clouds) == set()
