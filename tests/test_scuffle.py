"""Properties of the teacher game: what may never happen, and what must."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import (
    FOX,
    MARTH,
    STAGES,
    STYLE_NAMES,
    Params,
    ScriptedPlayer,
    Scuffle,
    generate,
    initial_frame,
    play,
)
from awm_kit.data.scuffle.actions import FLAGS, Act, Flag
from awm_kit.data.scuffle.drills import exits, fights, moves, strays, strikes, swings, throws
from awm_kit.data.scuffle.params import physics
from awm_kit.impossible import impossible_events
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME, Button, neutral_inputs

N_SEEDS, N_FRAMES = 256, 2000


@pytest.fixture(scope="module")
def matches() -> list[Replay]:
    return generate(range(N_SEEDS), N_FRAMES)


def players(replay: Replay, field: str) -> np.ndarray:
    return replay.frames["players"][field].astype(np.int64)


def hold(n: int, **values: int) -> np.ndarray:
    """``n`` frames of player 0 holding a controller, player 1 neutral."""
    inputs = neutral_inputs(n)
    for name, value in values.items():
        inputs[name][:, 0] = value
    return inputs


def run(*parts: np.ndarray, params: Params | None = None, start: np.ndarray | None = None) -> Replay:
    params = params or Params()
    frame = initial_frame(0, params=params) if start is None else start
    return play(params, np.concatenate([neutral_inputs(1), *parts]), frame)


def states(replay: Replay, player: int = 0) -> list[int]:
    """The sequence of player's actions, without repetition."""
    actions = players(replay, "action_state")[:, player]
    return [int(a) for i, a in enumerate(actions) if i == 0 or a != actions[i - 1]]


def at(x: float, y: float = 0.0, other_x: float = 40.0, percent: float = 0.0, facing: int = 1) -> np.ndarray:
    """A start frame with player 0 standing (or falling) at a place."""
    frame = initial_frame(0)
    frame["players"]["x"] = [round(x * 1024), round(other_x * 1024)]
    frame["players"]["facing"] = [facing, -1 if other_x > x else 1]
    frame["players"]["percent"][1] = round(percent * 64)
    if y != 0:
        frame["players"]["y"][0] = round(y * 1024)
        frame["players"]["on_ground"][0], frame["players"]["jumps_left"][0] = 0, 1
        frame["players"]["action_state"][0] = Act.FALL
    return frame


class TestDeterminism:
    def test_same_seed_same_bytes(self, matches: list[Replay]) -> None:
        again = generate([3, 7], 500)
        assert again[0].frames.tobytes() == matches[3].frames[:500].tobytes()
        assert again[1].inputs.tobytes() == matches[7].inputs[:500].tobytes()

    def test_a_match_does_not_depend_on_its_batch(self, matches: list[Replay]) -> None:
        for seed in (0, 11, N_SEEDS - 1):
            (alone,) = generate([seed], 300)
            assert alone.frames.tobytes() == matches[seed].frames[:300].tobytes()

    def test_processes_change_nothing(self) -> None:
        here = generate(range(4), 60)
        there = generate(range(4), 60, processes=2)
        assert [r.frames.tobytes() for r in here] == [r.frames.tobytes() for r in there]

    def test_replaying_the_inputs_gives_the_frames(self, matches: list[Replay]) -> None:
        for seed in (1, 5):
            again = play(Params(), matches[seed].inputs[:600], matches[seed].frames[0])
            assert again.frames.tobytes() == matches[seed].frames[:600].tobytes()

    def test_any_frame_can_be_a_start(self, matches: list[Replay]) -> None:
        replay = matches[2]
        for t in range(50, 1500, 97):
            part = play(Params(), replay.inputs[t : t + 60], replay.frames[t], held=replay.inputs[t])
            assert part.frames.tobytes() == replay.frames[t : t + 60].tobytes()

    def test_other_physics_other_match(self, matches: list[Replay]) -> None:
        (moon,) = generate([0], 600, Params(gravity_scale=0.4))
        assert moon.frames[:600].tobytes() != matches[0].frames[:600].tobytes()
        assert players(moon, "y").max() > players(matches[0], "y")[:600].max()


class TestInvariants:
    def test_positions_follow_the_declared_kinematics(self, matches: list[Replay]) -> None:
        exceptions = total = 0
        for r in matches:
            x, y, hitlag = players(r, "x"), players(r, "y"), players(r, "hitlag")[1:] > 0
            moved_x = players(r, "speed_air_x") + players(r, "speed_attack_x")
            moved_y = players(r, "speed_y") + players(r, "speed_attack_y")
            exact = (np.diff(x, axis=0) == moved_x[1:]) & (np.diff(y, axis=0) == moved_y[1:])
            still = (np.diff(x, axis=0) == 0) & (np.diff(y, axis=0) == 0)
            assert still[hitlag].all()
            flags = FLAGS[players(r, "action_state")]
            free = (flags & (Flag.DRIFT | Flag.HITSTUN)) != 0
            airborne = players(r, "on_ground") == 0
            flying = (free & airborne)[1:] & (free & airborne)[:-1] & ~hitlag
            outside = np.abs(x[1:]) != round(68.4 * 1024)  # neither at a wall
            assert exact[flying & outside].all()
            exceptions += int((~exact & ~hitlag).sum())
            total += exact.size
        assert exceptions / total < 0.02

    def test_age_counts_frames_of_the_action(self, matches: list[Replay]) -> None:
        for r in matches:
            age, act = players(r, "state_age"), players(r, "action_state")
            restarted = age[1:] == 0
            assert (age[1:] == age[:-1] + 1)[~restarted].all()
            assert restarted[np.diff(act, axis=0) != 0].all()

    def test_percent_and_stocks_change_only_as_they_should(self, matches: list[Replay]) -> None:
        for r in matches:
            lost = np.diff(players(r, "stocks"), axis=0)
            assert np.isin(lost, (0, -1)).all()
            assert (np.diff(players(r, "percent"), axis=0)[lost == 0] >= 0).all()
            dead = (FLAGS[players(r, "action_state")] & Flag.DEAD) != 0
            assert ((~dead[:-1] & dead[1:]) == (lost == -1)).all()

    def test_a_stock_is_lost_exactly_at_the_blast_zones(self, matches: list[Replay]) -> None:
        left, right, top, bottom = (round(edge * 1024) for edge in STAGES[31].blast)
        kos = 0
        for r in matches:
            x, y = players(r, "x"), players(r, "y")
            beyond = (x < left) | (x > right) | (y > top) | (y < bottom)
            dead = (FLAGS[players(r, "action_state")] & Flag.DEAD) != 0
            assert (beyond == dead).all()
            kos += int((np.diff(players(r, "stocks"), axis=0) == -1).sum())
        assert kos > N_SEEDS // 3

    def test_everything_stays_in_the_schema(self, matches: list[Replay]) -> None:
        for r in matches:
            for field in FIGHTER.player_fields:
                real = field.to_real(r.frames["players"][field.name])
                assert real.min() >= field.lo and real.max() <= field.hi, field.name
            for field in FIGHTER.controller_fields:
                real = field.to_real(r.inputs[field.name])
                assert real.min() >= field.lo and real.max() <= field.hi, field.name

    def test_ground_and_air_agree(self, matches: list[Replay]) -> None:
        for r in matches:
            ground = players(r, "on_ground") == 1
            assert (players(r, "jumps_left")[ground] == 2).all()
            assert (players(r, "jumps_left")[~ground] <= 1).all()
            assert (players(r, "speed_ground_x") == players(r, "speed_air_x") * ground).all()
            heights = {round(floor.y * 1024) for floor in STAGES[31].floors}
            assert set(np.unique(players(r, "y")[ground])) <= heights | {0}

    def test_a_decided_match_ends(self) -> None:
        ended = [r for r in generate(range(16), 2400, Params(stocks=1)) if len(r) < 2400]
        assert len(ended) > 4
        for r in ended:
            assert r.frames["status"][-1] == 1 and (r.frames["status"][:-1] == 0).all()
            assert (r.frames["players"]["stocks"][-1] == 0).any()

    def test_every_mechanic_is_visited(self, matches: list[Replay]) -> None:
        visited = set(np.unique(np.concatenate([players(r, "action_state").ravel() for r in matches])))
        assert visited == {int(act) for act in Act}

    def test_play_looks_like_play(self, matches: list[Replay]) -> None:
        minutes = sum(map(len, matches)) / 3600
        kos = sum(8 - int(r.frames["players"]["stocks"][-1].sum()) for r in matches)
        assert 1.0 < kos / minutes < 5.0


class TestMechanics:
    def test_full_hop_is_higher_than_short_hop(self) -> None:
        full = run(hold(20, buttons=Button.X), hold(60))
        short = run(hold(1, buttons=Button.X), hold(60))
        assert players(full, "y")[:, 0].max() > 1.5 * players(short, "y")[:, 0].max()
        assert states(full)[:4] == [Act.WAIT, Act.KNEE_BEND, Act.JUMP_F, Act.FALL]

    @pytest.mark.parametrize("character", [FOX, MARTH])
    def test_jump_follows_gravity(self, character: int) -> None:
        start = initial_frame(0, characters=(character, FOX))
        jump = run(hold(10, buttons=Button.Y), start=start)
        by = physics(Params()).by_character
        speeds = players(jump, "speed_y")[1:, 0]
        rising = speeds[speeds > 0]
        assert rising[0] == by["jump_speed"][character]
        assert (np.diff(rising) == -by["gravity"][character]).all()

    def test_only_one_double_jump(self) -> None:
        press = [part for _ in range(3) for part in (hold(4, buttons=Button.X), hold(8))]
        replay = run(*press)
        assert states(replay).count(Act.JUMP_AERIAL_F) == 1
        assert players(replay, "jumps_left")[-1, 0] == 0

    def test_fast_fall(self) -> None:
        start = at(0, 150)
        slow, fast = run(hold(20), start=start), run(hold(20, stick_y=-80), start=start)
        by = physics(Params()).by_character
        assert players(slow, "speed_y")[-1, 0] == -by["fall_speed"][FOX]
        assert players(fast, "speed_y")[-1, 0] == -by["fast_fall_speed"][FOX]

    def test_walk_dash_run_and_brake(self) -> None:
        assert states(run(hold(10, stick_x=30)))[1] == Act.WALK_SLOW
        assert states(run(hold(10, stick_x=-30)))[1] == Act.TURN
        replay = run(hold(24, stick_x=80), hold(30))
        assert states(replay) == [Act.WAIT, Act.DASH, Act.RUN, Act.RUN_BRAKE, Act.WAIT]
        assert players(replay, "speed_ground_x")[24, 0] == physics(Params()).by_character["run_speed"][FOX]

    def test_running_off_the_edge_falls_to_a_ko(self) -> None:
        replay = run(hold(200, stick_x=-80), start=at(-60))
        assert Act.DEAD_DOWN in states(replay)
        assert players(replay, "stocks")[-1, 0] == 3

    def test_platforms_hold_and_let_through(self) -> None:
        landed = run(hold(60), start=at(38, 40, other_x=-40))
        assert players(landed, "y")[-1, 0] == round(27.2 * 1024)
        dropped = run(hold(8, stick_y=-80), hold(40), start=landed.frames[-1])
        assert Act.PASS in states(dropped) and players(dropped, "y")[-1, 0] == 0

    def test_knockback_grows_with_percent(self) -> None:
        def launch(percent: float) -> int:
            replay = run(hold(2, cstick_x=80), hold(20), start=at(0, other_x=12, percent=percent))
            assert players(replay, "percent")[-1, 1] == (percent + 15) * 64
            return int(players(replay, "speed_attack_x")[:, 1].max())

        speeds = [launch(p) for p in (0, 40, 80, 120)]
        assert speeds == sorted(speeds) and speeds[-1] > 2 * speeds[0]

    def test_hitlag_freezes_both_and_then_the_victim_flies(self) -> None:
        replay = run(hold(2, cstick_x=80), hold(120), start=at(0, other_x=12, percent=60))
        hitlag = players(replay, "hitlag")
        assert hitlag[:, 0].max() == hitlag[:, 1].max() == 8
        assert {Act.DAMAGE_FLY_N, Act.DAMAGE_FALL} <= set(states(replay, 1))

    def test_shield_takes_the_hit_and_wears(self) -> None:
        inputs = hold(30)
        inputs["cstick_x"][8:10, 0] = 80
        inputs["trigger_l"][:, 1] = 140
        replay = run(inputs, start=at(0, other_x=12))
        assert players(replay, "percent")[-1, 1] == 0
        assert Act.GUARD_SET_OFF in states(replay, 1)
        assert players(replay, "shield")[-1, 1] < 45 * 256

    def test_a_worn_out_shield_breaks(self) -> None:
        replay = run(hold(320, buttons=Button.R), hold(300))
        order = [a for a in states(replay) if Act.SHIELD_BREAK_FLY <= a <= Act.FURA_FURA]
        assert order == [Act.SHIELD_BREAK_FLY, Act.SHIELD_BREAK_DOWN, Act.SHIELD_BREAK_STAND, Act.FURA_FURA]
        assert states(replay)[-1] == Act.WAIT

    def test_grab_throw_and_mash(self) -> None:
        start = at(0, other_x=10)
        thrown = run(hold(1, buttons=Button.Z), hold(20), hold(40, stick_x=80), start=start)
        assert {Act.CATCH, Act.CATCH_WAIT, Act.THROW_F} <= set(states(thrown))
        assert Act.THROWN_F in states(thrown, 1) and players(thrown, "speed_attack_x")[:, 1].max() > 0
        mash = hold(60)
        mash["buttons"][::2, 1] = Button.A
        freed = run(hold(1, buttons=Button.Z), hold(6), mash, start=start)
        held = run(hold(1, buttons=Button.Z), hold(66), start=start)
        assert Act.CAPTURE_CUT in states(freed, 1) and Act.CAPTURE_CUT not in states(held, 1)[:4]

    def test_ledge(self) -> None:
        start = at(-72, 12, facing=1)
        caught = run(hold(40), start=start)
        assert states(caught)[-1] == Act.CLIFF_WAIT
        for options, act in (
            ({"stick_x": 80}, Act.CLIFF_CLIMB),
            ({"buttons": Button.A}, Act.CLIFF_ATTACK),
            ({"buttons": Button.R}, Act.CLIFF_ESCAPE),
            ({"buttons": Button.X}, Act.CLIFF_JUMP),
            ({"stick_y": -80}, Act.FALL),
        ):
            after = run(hold(3, **options), hold(50), start=caught.frames[-1])
            assert act in states(after)
            if act not in (Act.FALL, Act.CLIFF_JUMP):
                assert players(after, "on_ground")[-1, 0] == 1 and states(after)[-1] == Act.WAIT

    def test_dodges_cannot_be_hit(self) -> None:
        inputs = hold(20)
        inputs["cstick_x"][:2, 0] = 80
        inputs["buttons"][6:, 1], inputs["stick_y"][6:, 1] = Button.R, -80
        replay = run(inputs, start=at(0, other_x=12))
        assert Act.ESCAPE in states(replay, 1)
        assert players(replay, "percent")[-1, 1] == 0

    def test_timer(self) -> None:
        replay = run(hold(100), params=Params(time_limit=50))
        assert len(replay) == 51 and replay.frames["status"][-1] == 2


class TestScuffle:
    def test_start_frames(self) -> None:
        for seed in range(32):
            frame = initial_frame(seed)
            a, b = frame["players"]
            assert frame.dtype == FRAME and frame.shape == () and frame["seed"] == seed
            assert np.sign(a["x"]) == -np.sign(b["x"]) != 0
            assert a["facing"] == -np.sign(a["x"]) and b["facing"] == -np.sign(b["x"])

    def test_steps_many_matches(self) -> None:
        game = Scuffle(5, seed=9)
        before = game.frames
        after = game.step(neutral_inputs(5))
        assert after.shape == (5,) and (after["frame"] == before["frame"] + 1).all()
        with pytest.raises(ValueError, match="expected inputs of shape"):
            game.step(neutral_inputs(4))

    @pytest.mark.parametrize("stage", sorted(STAGES))
    def test_every_stage_can_be_played(self, stage: int) -> None:
        (replay,) = generate([4], 600, Params(stage=stage))
        assert (replay.frames["stage"] == stage).all()
        heights = {round(floor.y * 1024) for floor in STAGES[stage].floors}
        assert set(np.unique(players(replay, "y")[players(replay, "on_ground") == 1])) <= heights | {0}

    def test_live_player_equals_the_batched_one(self, matches: list[Replay]) -> None:
        """A `ScriptedPlayer` fed frame by frame does what the generator's did."""
        seed = 6
        replay = matches[seed]
        scripts = [ScriptedPlayer(replay.meta["styles"][i], i, seed) for i in (0, 1)]
        for t in range(400):
            for i, script in enumerate(scripts):
                controller = script.controller(replay.frames[t])
                assert controller.dtype == CONTROLLER and controller.shape == ()
                assert controller.tobytes() == replay.inputs[t + 1, i].tobytes()

    def test_styles_differ_and_bad_ones_are_refused(self) -> None:
        assert len(STYLE_NAMES) >= 8
        with pytest.raises(ValueError, match="expected a style"):
            ScriptedPlayer("nobody")
        with pytest.raises(ValueError, match="player_index"):
            ScriptedPlayer(player_index=2)


def test_fights_show_hits_on_somebody_who_stands_still() -> None:
    games = fights(range(12), 300)
    assert [g.sha256() for g in games[3:5]] == [g.sha256() for g in fights([3, 4], 300)]
    for game in games:
        game.validate()
        pressed = game.inputs["buttons"].any(0) | (game.inputs["stick_x"] != 0).any(0)
        assert pressed.tolist() in ([True, False], [False, True])
    assert _hits(games) > 5
    assert np.ptp([g.frames["players"]["percent"][0] for g in games]) > 60 << 6


def test_strikes_hit_and_moves_do_not() -> None:
    struck, moved = strikes(range(60)), moves(range(60))
    for games, again in ((struck, strikes([7])), (moved, moves([7]))):
        assert games[7].sha256() == again[0].sha256()
        for game in games:
            game.validate()
    assert _hits(struck) > 20 and _hits(moved) == 0
    seen = np.concatenate([g.frames["players"]["action_state"].ravel() for g in moved])
    assert {Act.WALK_SLOW, Act.WALK_FAST, Act.RUN, Act.JUMP_F, Act.GUARD, Act.SQUAT_WAIT} <= set(
        seen.tolist()
    )


def test_swings_reach_about_as_often_as_they_do_not() -> None:
    games = swings(range(300))
    assert games[7].sha256() == swings([7])[0].sha256()
    reached = 0
    for game in games:
        game.validate()
        reached += _hits([game]) > 0
    assert 40 < reached < 260
    seen = np.concatenate([g.frames["players"]["action_state"].ravel() for g in games])
    attacks = {Act.JAB, Act.F_SMASH, Act.U_SMASH, Act.N_AIR, Act.F_AIR, Act.B_AIR, Act.U_AIR, Act.D_AIR}
    assert attacks <= set(seen.tolist())


def test_throws_catch_release_and_let_escape() -> None:
    games = throws(range(400))
    assert games[7].sha256() == throws([7])[0].sha256()
    caught = thrown = 0
    for game in games:
        game.validate()
        acts = game.frames["players"]["action_state"]
        caught += bool((acts == Act.CATCH_PULL).any())
        thrown += bool(((acts >= Act.THROWN_F) & (acts <= Act.THROWN_LW)).any())
    assert 60 < thrown < caught < len(games)
    seen = np.concatenate([g.frames["players"]["action_state"].ravel() for g in games])
    assert {Act.THROW_F, Act.THROW_B, Act.THROW_HI, Act.THROW_LW, Act.CAPTURE_CUT} <= set(seen.tolist())


def test_strays_find_their_way_back_at_once() -> None:
    games = strays(range(80))
    assert games[5].sha256() == strays([5])[0].sha256()
    astray = [impossible_events(g.frames[:1])["air_and_ground"] for g in games]
    assert sum(n > 0 for n in astray) > 60
    assert sum(impossible_events(g.frames[1:])["air_and_ground"] for g in games) == 0


def test_exits_end_beyond_every_blast_zone() -> None:
    games = exits(range(60))
    assert games[7].sha256() == exits([7])[0].sha256()
    for game in games:
        game.validate()
        assert not any(impossible_events(game.frames).values())
    seen = np.concatenate([g.frames["players"]["action_state"].ravel() for g in games])
    assert {Act.DEAD_DOWN, Act.DEAD_LEFT, Act.DEAD_RIGHT, Act.DEAD_UP, Act.REBIRTH} <= set(seen.tolist())


def _hits(games: list[Replay]) -> int:
    risen = (np.diff(g.frames["players"]["percent"].astype(int), axis=0) > 0 for g in games)
    return sum(int(r.sum()) for r in risen)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stage": 99}, "expected a stage of"),
        ({"stocks": 9}, "a whole number of 0 to 4 for stocks"),
        ({"stocks": 2.5}, "a whole number"),
        ({"gravity_scale": -1}, "a number of 0 to 8 for gravity_scale"),
        ({"gravity_scale": float("nan")}, "got nan"),
        ({"time_limit": -1}, "for time_limit"),
        ({"respawn_height": 1e9}, "for respawn_height"),
    ],
)
def test_physics_that_no_frame_can_hold_are_refused(changes: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Params.of(changes)


def test_the_wildest_physics_allowed_make_games() -> None:
    scales = {f.name: 8 for f in fields(Params) if f.name.endswith("_scale")}
    wild = {**scales, "roll_speed": 30, "air_dodge_speed": 30, "max_knockback": 30}
    for replay in generate(range(3), 600, Params.of(wild)):
        replay.validate()
