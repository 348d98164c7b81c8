"""The evaluation harness: intervals over games, events, baselines, engines side by side."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import generate
from awm_kit.model.config import ModelConfig
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.evaluate import Evaluation, TorchRunner, choose_starts, evaluate
from awm_kit.model.heads import fit_heads
from awm_kit.model.intervals import Estimate, pool
from awm_kit.model.metrics import event_counts, events_of, forced_sums, free_sums, up_to
from awm_kit.model.world import WorldModel, WorldState
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME


class Echo:
    """Predicts the truth, except that player 1's percent never rises and free runs stand still."""

    name, schema = "echo", FIGHTER

    def run(self, replay: Replay, starts: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        forced = replay.frames[1:].copy()
        forced["players"]["percent"][:, 1] = replay.frames["players"]["percent"][:-1, 1]
        free = np.zeros((len(starts), horizon), FRAME)
        free[:] = replay.frames[starts][:, None]
        return forced, free


@pytest.fixture(scope="module")
def games() -> list[Replay]:
    return generate(range(50, 56), 900)


@pytest.fixture(scope="module")
def result(games: list[Replay]) -> Evaluation:
    return evaluate(Echo(), games, horizons=(1, 10), starts=40, progress=False)


def test_pooling_weighs_cases_and_draws_games() -> None:
    games = [{"a": (float(v * n), float(n))} for v, n in ((0.1, 10), (0.2, 30), (0.3, 20), (0.4, 5))]
    got = pool(games)["a"]
    assert got.value == pytest.approx((1 + 6 + 6 + 2) / 65)
    assert 0.1 < got.low < got.value < got.high < 0.4
    assert pool(games)["a"] == got
    assert pool(games[:1])["a"] == Estimate(0.1, 0.1, 0.1)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        values = rng.normal(5.0, 1.0, 20)
        got = pool([{"a": (float(v), 1.0)} for v in values], draws=400)["a"]
        inside += got.low <= 5.0 <= got.high
    assert 170 <= inside <= 199


def test_what_no_game_holds_is_not_a_number() -> None:
    assert np.isnan(pool([{"a": (0.0, 0.0)}, {"a": (0.0, 0.0)}])["a"].value)
    assert pool([{"a": (0.0, 0.0)}, {"a": (1.0, 2.0)}])["a"] == Estimate(0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="figures"):
        pool([{"a": (0.0, 1.0)}, {"b": (0.0, 1.0)}])
    with pytest.raises(ValueError, match="at least one"):
        pool([])


def test_the_float_runner_sees_what_the_world_saw_and_no_more() -> None:
    game = generate([7], 90)[0]
    torch.manual_seed(1)
    config = ModelConfig(d_model=32, n_layers=2, d_state=8, headdim=16, chunk=16)
    old, new = PackedReplays(FIGHTER, [game]).transitions()
    model = WorldModel(config, FIGHTER, fit_heads(FIGHTER, old, new)).eval()
    runner, starts, horizon = TorchRunner(model), np.array([1, 17, 60]), 12
    forced, free = runner.run(game, starts, horizon)
    g, p, c = runner._tensors(game)

    def step(t: int, players: torch.Tensor, state: WorldState) -> tuple[torch.Tensor, WorldState]:
        raw = model.views(g[t, None], players, c[t + 1, None])
        logits, state = model.step(raw, state)
        return model.decode(logits, players), state

    def same(frames: np.ndarray, players: list[torch.Tensor]) -> bool:
        # Sequence and step sum in another order: now and then a value is rounded otherwise.
        got = np.stack([frames["players"][f.name] for f in FIGHTER.player_fields], -1).astype(np.int64)
        return bool(np.mean(np.abs(got - torch.cat(players).numpy()) <= 1) > 0.99)

    with torch.no_grad():
        state, states, wanted = model.initial_state(1), [], []
        for t in range(game.n_frames - 1):
            states.append(state)
            after, state = step(t, p[t, None], state)
            wanted.append(after)
        assert same(forced, wanted)
        for i, start in enumerate(starts):
            players, state, wanted = p[start, None], states[start], []
            for k in range(horizon):
                players, state = step(int(start) + k, players, state)
                wanted.append(players)
            assert same(free[i], wanted)


def test_starts_leave_as_many_true_frames_as_are_judged() -> None:
    assert choose_starts(61, 60).size == 0
    assert choose_starts(62, 60).tolist() == [1] and choose_starts(63, 60).tolist() == [1, 2]
    starts = choose_starts(1000, 60, 50)
    assert len(starts) == 50 and starts[0] == 1 and starts[-1] + 60 == 999


def test_baselines_of_somebody_who_keeps_their_speed() -> None:
    frames, inputs = np.zeros(40, FRAME), np.zeros((40, 2), CONTROLLER)
    frames["players"]["x"] = (np.arange(40) * 512)[:, None]  # half a unit a frame
    frames["players"]["speed_air_x"] = 512
    game, starts = Replay(frames, inputs), np.array([3, 9])
    stands = np.repeat(frames[starts][:, None], 10, 1)
    sums = free_sums(FIGHTER, game, starts, stands)
    assert np.all(sums["velocity_rc"] == 0)
    for k in (1, 4, 10):  # the mean of 1..k half units, over x, which moves, and y, which does not
        total, cases = up_to(sums, len(starts), k)["frozen_rc"]
        assert total / cases == pytest.approx(0.5 * (k + 1) / 2 / 2) and cases == 2
        assert up_to(sums, len(starts), k)["rc"] == (total, cases)


def test_the_changes_of_action_are_judged_by_themselves() -> None:
    game = generate([60], 300)[0]
    before, true = (game.frames["players"]["action_state"][s] for s in (slice(-1), slice(1, None)))
    late = game.frames[1:].copy()
    late["players"]["action_state"] = before  # as if nobody ever changed what they do
    sums = forced_sums(FIGHTER, game, late)
    changes = int((true != before).sum())
    assert sums["action_change_acc"] == (0, changes) and changes > 0
    assert sums["action_acc"] == (true.size - changes, true.size)


def test_a_world_that_stands_still_is_the_frozen_baseline(result: Evaluation) -> None:
    for row in result.free.values():
        assert row["rc"] == row["frozen_rc"] > 0
        assert row["action_acc"] == row["frozen_action_acc"]
    assert len(result.curve["rc"]) == 10
    assert result.curve["rc"][9].value == result.free[10]["rc"]
    low, high = result.intervals["free"][10]["rc"]
    assert low < result.free[10]["rc"] < high


def test_events_are_counted_and_judged(result: Evaluation, games: list[Replay]) -> None:
    forced = result.teacher_forced
    hits = [np.diff(g.frames["players"]["percent"].astype(int), axis=0) > 0 for g in games]
    of_first = sum(int(h[:, 0].sum()) for h in hits) / sum(int(h.sum()) for h in hits)
    assert forced["hit_recall"] == pytest.approx(of_first)
    assert forced["hit_precision"] == 1.0 and forced["percent_step_err"] == 0.0
    assert forced["ko_recall"] == forced["respawn_recall"] == forced["edge_grab_recall"] == 1.0
    assert forced["percent_exact"] < 1.0 == forced["x_exact"] == forced["action_acc"]
    assert result.events == event_counts(FIGHTER, games)
    assert result.events["hit"] == sum(int(h.sum()) for h in hits) > 10


def test_false_alarms_cost_precision_and_wrong_amounts_show() -> None:
    game = generate([60], 600)[0]
    one_step = game.frames[1:].copy()
    before, true = game.frames["players"][:-1], game.frames["players"][1:]
    hit = true["percent"] > before["percent"]
    one_step["players"]["percent"][hit] += 128  # 2 % too much
    quiet = np.flatnonzero(~hit[:, 0])[:50]
    one_step["players"]["percent"][quiet, 0] = before["percent"][quiet, 0] + 64
    sums = forced_sums(FIGHTER, game, one_step)
    n = int(hit.sum())
    assert sums["hit_recall"] == (n, n) and sums["hit_precision"] == (n, n + 50)
    assert sums["percent_step_err"] == (2.0 * n, n)


def test_every_event_happens_in_the_teachers_games() -> None:
    counts = event_counts(FIGHTER, generate(range(40), 1500))
    assert set(counts) == {e.name for e in events_of(FIGHTER)}
    assert all(counts.values()), counts


def test_json_has_no_nan_and_the_plot_draws(result: Evaluation) -> None:
    text = json.dumps(result.to_json(), allow_nan=False)
    facts = json.loads(text)
    assert facts["free"]["10"]["rc"] == result.free[10]["rc"]
    assert set(facts["intervals"]["free"]["10"]) == set(facts["free"]["10"])
    assert set(facts["intervals"]["teacher_forced"]) == set(facts["teacher_forced"])
    figure = result.plot(beside=result)
    assert len(figure.axes) == 3 and figure.axes[0].lines
