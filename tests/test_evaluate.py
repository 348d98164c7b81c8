"""The evaluation harness: intervals over games, events, baselines, engines side by side."""

from __future__ import annotations

import json

import numpy as np
import pytest

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import generate
from awm_kit.model.evaluate import Evaluation, evaluate
from awm_kit.model.intervals import Estimate, pool
from awm_kit.model.metrics import event_counts, events_of, forced_sums
from awm_kit.schema import FIGHTER, FRAME


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
