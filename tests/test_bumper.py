"""The second game: its teacher's rules, and that nothing after it knows which game it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from awm_kit.data.bumper import BUMPER, Act, generate, initial_frame, step
from awm_kit.data.bumper.game import CART_RADIUS, FALL_FRAMES, ONE, TABLE_RADIUS
from awm_kit.data.bumper.schema import CONTROLLER, FRAME
from awm_kit.data.replay import Replay, as_record
from awm_kit.data.teachers import Teacher, teacher_of
from awm_kit.errors import ModelFileError
from awm_kit.play.bumper_scene import BumperScene
from awm_kit.play.draw_hud import PANELS
from awm_kit.play.engines import make_engine, start_frame
from awm_kit.play.film import Film, Take
from awm_kit.play.headless import play_headless
from awm_kit.play.inspect_view import InspectView
from awm_kit.play.palette import LIVERIES
from awm_kit.play.replay_player import ReplayPlayer
from awm_kit.play.scene import HEIGHT
from awm_kit.play.scenes import make_scene
from awm_kit.play.whatif import what_if
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_model
from awm_kit.schema import FRAME as RECORD
from awm_kit.schema import Button
from awm_kit.worlds import load_world


@pytest.fixture(scope="module")
def games() -> list[Replay]:
    return generate(range(16), 1200)


def drive(frame: np.ndarray, n: int, **pads: int) -> np.ndarray:
    """``n`` frames in which player 0 holds something and player 1 nothing, shape (n + 1,)."""
    frames, inputs = np.zeros(n + 1, FRAME), np.zeros((1, 2), CONTROLLER)
    for name, value in pads.items():
        inputs[name][0, 0] = value
    frames[0] = frame
    for t in range(n):
        frames[t + 1] = step(frames[t : t + 1], inputs)[0]
    return frames


def alone() -> np.ndarray:
    """Player 0 in the middle looking along x, player 1 out of the way."""
    frame = initial_frame(0)
    frame["players"]["x"], frame["players"]["y"] = (0, 0), (0, 40 * ONE)
    frame["players"]["heading"] = 0
    return frame


def test_recordings_are_valid_and_fixed_by_their_seed(games: list[Replay]) -> None:
    for game in games:
        game.validate(BUMPER)
    again = generate([5], 1200)[0]
    assert again.sha256() == games[5].sha256()
    assert generate([6], 1200)[0].sha256() != again.sha256()


def test_a_cart_gains_speed_to_a_limit_and_rolls_out() -> None:
    frames = drive(alone(), 40, buttons=Button.A)
    speed = frames["players"]["vx"][:, 0]
    assert (np.diff(speed.astype(int)) >= 0).all() and 400 < speed[-1] <= 32 * 18 + 32
    rolling = drive(frames[-1], 60)["players"]["vx"][:, 0]
    assert (np.diff(rolling.astype(int)) <= 0).all() and rolling[-1] < speed[-1] // 2


def test_positions_move_by_their_velocity_unless_carts_touch(games: list[Replay]) -> None:
    q = np.concatenate([g.frames["players"][1:] for g in games])
    p = np.concatenate([g.frames["players"][:-1] for g in games])
    moved = (q["x"] == p["x"] + q["vx"]) & (q["y"] == p["y"] + q["vy"])
    gap = np.hypot(*(np.diff(q[a].astype(float), axis=1)[:, 0] / ONE for a in ("x", "y")))
    free = (
        (q["action_state"] == Act.DRIVE)
        & (gap > 2 * CART_RADIUS + 1)[:, None]
        & (p["action_state"] == q["action_state"])
    )
    assert free.sum() > 1000 and moved[free].all()


def test_who_leaves_the_table_loses_a_life_and_returns() -> None:
    frame = alone()
    frame["players"]["x"][0] = (TABLE_RADIUS - 1) * ONE
    frames = drive(frame, FALL_FRAMES + 40, buttons=Button.A)
    acts, lives = frames["players"]["action_state"][:, 0], frames["players"]["stocks"][:, 0]
    fell = int(np.argmax(acts == Act.FALL))
    assert 0 < fell < 30 and lives[fell - 1] - lives[fell] == 1
    assert acts[fell + FALL_FRAMES] == Act.RETURN and set(lives[fell:]) == {lives[fell]}


def test_a_hard_hit_spins_the_slower_cart_and_hurts_it() -> None:
    frame = alone()
    frame["players"]["x"], frame["players"]["y"] = (0, 8 * ONE), (0, 0)
    frame["players"]["vx"] = (700, 0)
    after = drive(frame, 4)[-1]["players"]
    assert after["action_state"].tolist() == [Act.DRIVE, Act.SPIN]
    assert after["percent"][1] > 0 == after["percent"][0]
    assert after["vx"][1] > after["vx"][0]


def test_percent_falls_and_lives_change_at_a_fall_only(games: list[Replay]) -> None:
    for game in games:
        p = game.frames["players"]
        returns = p["action_state"][1:] == Act.RETURN
        assert (np.diff(p["percent"].astype(int), axis=0)[~returns] >= 0).all()
        lost = np.diff(p["stocks"].astype(int), axis=0)
        assert set(np.unique(lost)) <= {-1, 0} and (p["action_state"][1:][lost < 0] == Act.FALL).all()


def test_swapped_players_play_the_swapped_match(games: list[Replay]) -> None:
    """A network that sees a match from both sides cannot know who is player 0: nothing may hang on it."""
    returns = 0
    for game in games:
        before, players = game.frames[:-1].copy(), game.frames["players"]
        before["players"] = before["players"][:, ::-1]
        after = step(before, game.inputs[1:, ::-1])["players"][:, ::-1]
        gap = np.hypot(*(np.diff(players[a][1:].astype(float), axis=1)[:, 0] / ONE for a in ("x", "y")))
        apart = gap > 2 * CART_RADIUS + 1  # the impulse of a hit is rounded, to the same side for both
        for item in BUMPER.player_fields:
            assert np.array_equal(after[item.name][apart], players[item.name][1:][apart]), item.name
        acts = players["action_state"][:, 0]
        returns += int(
            ((acts[1:] == Act.RETURN) & (acts[:-1] != Act.RETURN) & np.append(apart, 0)[:-1]).sum()
        )
    assert returns > 5


def test_all_homes_run_a_game_that_is_no_fighter() -> None:
    world = pack(random_model(3, Shape(32, 2, 32, 8, 1), schema=BUMPER))
    hashes = {
        home: play_headless(world, home, frames=20, seed=2, players=("random", "random")).state_hash
        for home in ("native", "chain", "wasm", "reference")
    }
    assert len(set(hashes.values())) == 1, hashes


def test_the_shipped_world_starts_and_plays_its_own_game() -> None:
    world = load_world("bumper")
    assert world.manifest.schema.name == "bumper"
    teacher = teacher_of(world.manifest.notes)
    assert teacher == Teacher("bumper")
    first = start_frame(world, 4)
    assert first.dtype == RECORD and first.tobytes()[16:24] == initial_frame(4).tobytes()[16:24]
    matches = [play_headless(world, home, 60, 1, ("random", "random")) for home in ("native", "chain")]
    assert matches[0].state_hash == matches[1].state_hash
    assert make_engine("native", world, first).frame["stage"] == 0


def test_unknown_games_and_physics_are_named() -> None:
    with pytest.raises(ValueError, match="expected a built-in game"):
        Teacher("chess")
    with pytest.raises(ValueError, match="no physics to change"):
        Teacher("bumper", {"gravity_scale": 2})
    assert teacher_of({"data": {"kind": "replays"}}) is None


def test_a_table_and_two_carts_are_drawn(games: list[Replay]) -> None:
    film = Film([Take(games[0].frames, game="bumper", title="teacher"), Take(games[0].frames, game="bumper")])
    picture = np.asarray(film.still(100)).astype(int)
    assert picture.shape == (540, 1924, 3)
    table = picture[270, 480 + 150]
    assert table.sum() > 200 > 120 > picture[270, 10].sum(), "a lit table on a dark floor"
    player = games[0].frames["players"][100]
    for index in range(2):
        x = 480 + player["x"][index] / ONE * 540 / 136
        y = 270 - player["y"][index] / ONE * 540 / 136
        around = picture[int(y) - 14 : int(y) + 14, int(x) - 14 : int(x) + 14].reshape(-1, 3)
        colors = [LIVERIES[index].main, LIVERIES[index].dark]
        assert min(np.abs(around - c).sum(1).min() for c in colors) < 30


def test_panels_keep_to_the_part_of_the_picture_that_pages_keep(games: list[Replay]) -> None:
    scene = make_scene("bumper", ("YOU", "DODGER"))
    scene.note, scene.banner = "small print", "PAUSED"
    frames = [as_record(frame) for frame in games[0].frames[:2]]
    first, second = (scene.compose(frame) for frame in frames)
    top = HEIGHT * (1 - PANELS)
    panels = first["hud"]
    assert min(polygon[:, 1].min() for polygon in panels.polygons) >= top
    assert min(text.y for text in panels.texts) >= top and "small print" in [t.text for t in panels.texts]
    captions = {text.text for text in first["fighters"].texts}
    assert {"PAUSED", "0:00", f"frame {frames[0]['frame']}"} <= captions
    corner = [text for text in first["fighters"].texts if text.x < 400 and text.y < 60]
    assert corner == [], "a film's title stands there"
    assert second["hud"] is panels, "nothing that they show has changed"
    assert scene.compose(as_record(games[0].frames[-1]))["hud"] is not panels


def test_a_saved_match_is_drawn_as_what_it_was(games: list[Replay], tmp_path: Path) -> None:
    match = play_headless(load_world("bumper"), frames=90, seed=1)
    saved = ReplayPlayer(match.save(tmp_path / "match.awmatch"), overlay=load_world("bumper"))
    for player in (saved, ReplayPlayer(games[0])):
        assert isinstance(player.view.scene, BumperScene)
    assert (saved.frames == match.match.replay().frames).all() and (saved.overlay == saved.frames).all()
    picture = np.asarray(next(saved._film(1.0, 0.5).pictures()))
    assert picture[120, 20].sum() < 120, "the floor beside the table, no evening sky"


def test_the_inspector_looks_into_carts_too(games: list[Replay]) -> None:
    world = load_world("bumper")
    view = InspectView(world, games[0][:200])
    view.seek(100)
    fields = {row.field for row in view.inspection.table()}
    assert fields == {field.name for field in BUMPER.player_fields}
    acts = view.inspection.head("action_state").labels
    assert acts[: len(Act)] == ("Drive", "Boost", "Spin", "Fall", "Return")
    assert acts[int(games[0].frames["players"]["action_state"][100, 0])] in view._state.value
    assert isinstance(view.view.scene, BumperScene) and view._lift.disabled
    view.set(0, "action_state", "spin")
    view.set(1, "x", 10)
    branch = view.run_on().branch
    changed = as_record(branch.frames[100]).view(FRAME)["players"]
    assert changed["action_state"][0] == Act.SPIN and changed["x"][1] == 10 * ONE
    assert isinstance(view._result.children[0].view.scene, BumperScene)
    assert view.branch.distance(1)[0] == abs(games[0].frames["players"]["x"][100, 1] / ONE - 10)
    with pytest.raises(ValueError, match="no lift"):
        what_if(world, games[0], 100, lift=0.1)
    with pytest.raises(ModelFileError, match="another game"):
        InspectView(load_world("scuffle"), games[0])
