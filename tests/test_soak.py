"""Impossible events are seen, each by its own name, and never in the teacher; rates are compared."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import Params, generate, initial_frame, play
from awm_kit.data.teachers import teacher_of
from awm_kit.errors import ModelFileError
from awm_kit.impossible import Normal, impossible_events, stays
from awm_kit.schema import CONTROLLER
from awm_kit.soak import report, soak_replays, soak_scripted
from awm_kit.worlds import load_world

ONE = 1024


@pytest.fixture(scope="module")
def teacher() -> list[Replay]:
    return generate(range(72_000, 72_012), 1800)


@pytest.fixture(scope="module")
def normal(teacher: list[Replay]) -> Normal:
    return Normal.of([r.frames for r in teacher])


@pytest.fixture(scope="module")
def standing() -> np.ndarray:
    """Frames in which two players stand where they began."""
    return play(Params(), np.zeros((600, 2), CONTROLLER), initial_frame()).frames


def _rise(p: np.ndarray, t: int) -> None:
    p["stocks"][t:, 0] += 1


def _skip(p: np.ndarray, t: int) -> None:
    p["stocks"][t:, 1] -= 2
    p["x"][t, 1] = 300 * ONE  # where stocks may be lost
    p["on_ground"][t, 1] = p["action_state"][t, 1] = 0


def _heal(p: np.ndarray, t: int) -> None:
    p["percent"][:t, 0] += 640


def _leave(p: np.ndarray, t: int) -> None:
    p["y"][t, 0] = -150 * ONE
    p["on_ground"][t, 0] = 0
    p["action_state"][t, 0] = 88


def _die_in_the_middle(p: np.ndarray, t: int) -> None:
    p["stocks"][t:, 1] -= 1


def _walk_on_air(p: np.ndarray, t: int) -> None:
    p["on_ground"][t, 0] = 0


def _stand_beyond_the_edge(p: np.ndarray, t: int) -> None:
    p["x"][t, 0] = 120 * ONE


def _fall_through(p: np.ndarray, t: int) -> None:
    fall = slice(t, t + 20)
    p["y"][fall, 0] = -2 * ONE * np.arange(1, 21)
    p["on_ground"][fall, 0] = 0
    p["action_state"][fall, 0] = 29


def _overflow(p: np.ndarray, t: int) -> None:
    p["speed_attack_x"][t, 0] = 31 * ONE


def _get_stuck(p: np.ndarray, t: int) -> None:
    p["action_state"][t:, 0] = 42
    p["state_age"][t:, 0] = np.arange(len(p) - t)


WRONGS = {
    "stocks_rise": _rise,
    "stocks_skip": _skip,
    "percent_falls": _heal,
    "outside": _leave,
    "ko_inside": _die_in_the_middle,
    "air_and_ground": _walk_on_air,
    "no_floor": _stand_beyond_the_edge,
    "through_floor": _fall_through,
    "saturated": _overflow,
    "stuck": _get_stuck,
}


@pytest.mark.parametrize("kind", WRONGS)
def test_each_wrong_is_seen_under_its_name_only(kind: str, standing: np.ndarray, normal: Normal) -> None:
    wrong: Callable[[np.ndarray, int], None] = WRONGS[kind]
    frames = standing.copy()
    wrong(frames["players"], 300)
    assert {k: n for k, n in impossible_events(frames, normal).items() if n} == {kind: 1}


def test_every_kind_has_such_a_test(normal: Normal, teacher: list[Replay]) -> None:
    assert set(impossible_events(teacher[0].frames)) == set(WRONGS)


def test_the_teacher_has_none_whatever_it_is_compared_with(normal: Normal) -> None:
    for replay in generate(range(73_000, 73_008), 1800):
        assert not any(impossible_events(replay.frames, normal).values()), replay.source
        assert not any(impossible_events(replay.frames).values()), replay.source


def test_real_games_have_none(slp_dir) -> None:
    from awm_kit.data import load_any

    games = [load_any(f).frames for f in sorted((slp_dir / "train").glob("*.slp"))[:3]]
    events = report(games, games).events
    allowed = {"ko_inside": 3, "no_floor": 10, "through_floor": 10}
    assert all(n <= allowed.get(kind, 0) for kind, n in events.items()), events


def test_the_same_state_entered_anew_is_another_stay() -> None:
    frames = generate([1], 50)[0].frames.copy()
    frames["players"]["action_state"] = 44
    frames["players"]["state_age"] = (np.arange(50) % 20)[:, None]
    assert list(stays(frames)) == [(44, 20), (44, 20), (44, 10)] * 2


def test_a_report_of_the_teacher_beside_itself_has_ratios_of_one(teacher: list[Replay]) -> None:
    games = [r.frames for r in teacher]
    same = report(games, games)
    assert same.rates["hit"].ratio == 1.0 and same.rates["hit"].world.low < same.rates["hit"].world.value
    facts = json.loads(json.dumps(same.to_json(), allow_nan=False))
    assert facts["kos_per_minute"] == facts["reference_kos_per_minute"]
    assert facts["ratios"]["hit"] == 1.0 and facts["matches"] == 12
    assert "match_end" in repr(same) and len(same.plot().axes) == 2


def test_a_soak_plays_as_long_as_asked_and_beside_the_worlds_own_teacher() -> None:
    world = load_world("scuffle")
    result = soak_scripted(world, 0.5, matches=4, progress=False)
    assert 0.5 <= result.minutes < 0.6 and result.matches >= 4
    assert result.rates["hit"].reference.value > 0 and not any(result.reference_events.values())


def test_there_must_be_something_to_soak() -> None:
    world = load_world("scuffle")
    for minutes, matches in ((0.0, None), (-1.0, None), (1.0, 0)):
        with pytest.raises(ValueError, match="expected minutes and matches to play"):
            soak_scripted(world, minutes, matches=matches, progress=False)
    with pytest.raises(ValueError, match="expected recorded games"):
        soak_replays(world, [], progress=False)


def test_soaking_replays_compares_with_them() -> None:
    replay = generate([5], 300)[0]
    result = soak_replays(load_world("scuffle"), [replay])
    assert result.reference_minutes == pytest.approx(300 / 3600)


def test_the_physics_of_a_world_come_from_its_notes() -> None:
    assert teacher_of({}) is teacher_of({"data": {"kind": "replays", "params": {}}}) is None
    moon = teacher_of({"data": {"kind": "scuffle", "params": {"gravity_scale": 0.5}}})
    assert moon is not None and Params.of(moon.params).gravity_scale == 0.5


@pytest.mark.parametrize(
    "params",
    [5, None, {"gravity_scale": "x"}, {"stage": [1]}, {"stage": 99}, {"warp": 1}, {"stocks": float("nan")}],
)
def test_notes_of_unknown_physics_are_refused_by_name(params: object) -> None:
    """Whoever deploys a world writes its notes."""
    with pytest.raises(ModelFileError, match="the world's notes cannot be read"):
        teacher_of({"data": {"kind": "scuffle", "params": params}})
