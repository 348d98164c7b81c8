"""Impossible events of carts: each is seen by its own name, and never in the teacher."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from awm_kit.data.bumper import BUMPER, Act, brinks, crashes, generate, initial_frame
from awm_kit.data.bumper.game import ONE, TABLE_RADIUS
from awm_kit.impossible_carts import impossible_cart_events
from awm_kit.soak import report, soak_replays, soak_scripted
from awm_kit.worlds import load_world

T = 100


def _rise(p: np.ndarray) -> None:
    p["stocks"][T:, 0] += 1


def _skip(p: np.ndarray) -> None:
    back = T + 30
    p["x"][:T, 1], p["x"][T:back, 1] = (TABLE_RADIUS - 2) * ONE, (TABLE_RADIUS + 2) * ONE
    p["action_state"][T:back, 1], p["action_state"][back, 1] = Act.FALL, Act.RETURN
    p["stocks"][T:, 1] -= 2  # the place and the time to lose one


def _heal(p: np.ndarray) -> None:
    p["percent"][:T, 0] += 640


def _drive_on(p: np.ndarray) -> None:
    p["x"][:, 1] = (TABLE_RADIUS - 2) * ONE
    p["x"][T, 1] = (TABLE_RADIUS + 2) * ONE


def _die_in_the_middle(p: np.ndarray) -> None:
    p["stocks"][T:, 1] -= 1


def _enter(p: np.ndarray) -> None:
    p["x"][:, 0] = p["x"][:, 1] - 8 * ONE
    p["y"][:, 0] = p["y"][:, 1]
    p["x"][T, 0] += 5 * ONE


def _creep(p: np.ndarray) -> None:
    p["action_state"][T : T + 20, 0] = Act.RETURN
    p["x"][T + 10 :, 0] += ONE


def _leap(p: np.ndarray) -> None:
    p["x"][T:, 0] += 17 * ONE


def _overflow(p: np.ndarray) -> None:
    p["vx"][T, 0] = 16 * ONE


def _get_stuck(p: np.ndarray) -> None:
    p["action_state"][T:, 0] = Act.SPIN
    p["state_age"][T:, 0] = np.arange(len(p) - T)


WRONGS: dict[str, Callable[[np.ndarray], None]] = {
    "stocks_rise": _rise,
    "stocks_skip": _skip,
    "percent_falls": _heal,
    "beyond_table": _drive_on,
    "fall_inside": _die_in_the_middle,
    "overlap": _enter,
    "moves_off_table": _creep,
    "leaps": _leap,
    "saturated": _overflow,
    "stuck": _get_stuck,
}


@pytest.fixture(scope="module")
def waiting() -> np.ndarray:
    """Frames in which two carts wait, 40 units apart."""
    frames = np.zeros(200, BUMPER.frame_dtype)
    frames[:] = initial_frame(0)
    frames["players"]["x"], frames["players"]["y"] = (-20 * ONE, 20 * ONE), 0
    frames["players"]["state_age"] = np.arange(200)[:, None]
    return frames


@pytest.mark.parametrize("kind", WRONGS)
def test_each_wrong_is_seen_under_its_name_only(kind: str, waiting: np.ndarray) -> None:
    frames = waiting.copy()
    WRONGS[kind](frames["players"])
    assert {k: n for k, n in impossible_cart_events(frames).items() if n} == {kind: 1}


def test_every_kind_has_such_a_test(waiting: np.ndarray) -> None:
    assert set(impossible_cart_events(waiting)) == set(WRONGS)


def test_the_teacher_and_its_drills_have_none() -> None:
    games = [*generate(range(80_000, 80_024), 1500), *crashes(range(60)), *brinks(range(60))]
    lives = sum(int((np.diff(g.frames["players"]["stocks"].astype(int), axis=0) < 0).sum()) for g in games)
    assert lives > 50
    for game in games:
        assert not any(impossible_cart_events(game.frames).values()), game.source


def test_a_soak_counts_the_learned_falls_beside_the_taught_ones() -> None:
    result = soak_scripted(load_world("bumper"), 1.0, matches=4, progress=False)
    assert set(result.rates) == {"hit", "ko", "match_end"} and set(result.events) == set(WRONGS)
    assert 1.0 <= result.minutes < 1.2 and result.rates["hit"].reference.value > 0
    assert not any(result.reference_events.values())


def test_soaking_recorded_games_of_carts_compares_with_them() -> None:
    game = generate([3], 240)[0]
    result = soak_replays(load_world("bumper"), [game])
    assert result.reference_minutes == pytest.approx(game.n_frames / 3600)
    same = report([game.frames], [game.frames], BUMPER)
    assert same.rates["ko"].world == same.rates["ko"].reference
