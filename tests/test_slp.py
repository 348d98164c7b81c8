"""Slippi files: what versions lack is derived, real games agree with known figures, bad ones are named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from awm_kit.data import FolderReport, load_folder, load_slp, slp
from awm_kit.data.slp import SlpParser, read_header
from awm_kit.data.slp_convert import (
    COLUMNS,
    SPEEDS,
    Recording,
    convert,
    count_down,
    derive_speeds,
    state_ages,
)
from awm_kit.errors import ReplayCorruptError, ReplayError, ReplayUnsupportedError, ReplayVersionError
from awm_kit.schema import STATUS_DECIDED, STATUS_PLAYING, STATUS_TIMEOUT, Button

KNEE_BEND = 24  # Melee's action state of the frames before a jump leaves the ground

# What each file of odd/ deserves: an error, or its number of controllable frames.
ODD: dict[str, type[ReplayError] | int] = {
    "corrupt_commandbytes_slippc.slp": ReplayCorruptError,
    "corrupt_frameone_slippc.slp": ReplayCorruptError,
    "corrupt_payload_libmelee.slp": ReplayCorruptError,
    "corrupt_png_libmelee.slp": ReplayCorruptError,
    "corrupt_text_libmelee.slp": ReplayCorruptError,
    "corrupt_truncated_peppi.slp": ReplayCorruptError,
    "doubles_2v2_v3.09_netplay_short.slp": ReplayUnsupportedError,
    "doubles_ffa4_teams_timeout_v3.13.slp": ReplayUnsupportedError,
    "error_break_the_targets_v3.09.slp": ReplayUnsupportedError,
    "ffa_3p_v3.13.slp": ReplayUnsupportedError,
    "ffa_4p_nametags_v3.12.slp": ReplayUnsupportedError,
    "old_v0.1_cpu.slp": ReplayVersionError,
    "old_v1.0_ics.slp": ReplayVersionError,
    "old_v1.0_joystick.slp": ReplayVersionError,
    "old_v1.7_pal.slp": ReplayVersionError,
    "panics_v3.06_libmelee.slp": ReplayVersionError,
    "v1.7_zelda-sheik_transform.slp": ReplayVersionError,
    "v2.0_singles_quit_LRAS.slp": 2222,
    "v3.07_quit_after_2s.slp": ReplayUnsupportedError,
    "v3.09_no_game_end.slp": 281,
    "v3.13_no_game_end.slp": 217,
    "v3.18_short_cpu.slp": 857,
}


def recording(n: int = 400, first: int = -123, **changes: np.ndarray) -> Recording:
    """A game in which nothing happens, with columns of player 0 replaced by ``changes``."""
    constants = {"stocks": 4, "facing": 1, "shield": 60, "jumps_left": 2, "action_state": 14, "character": 1}
    idle = {name: np.full(n, constants.get(name, 0), np.float64) for name in (*COLUMNS, *SPEEDS, "hitlag")}
    one, two = dict(idle), dict(idle)
    one.update(changes)
    return Recording((3, 18, 0), 32, 480, 7, (0, 0), np.arange(first, first + n), (one, two), "GAME")


@pytest.fixture(scope="module")
def train(slp_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> FolderReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return load_folder(slp_dir / "train", workers=2, progress=False)


def test_convert_starts_where_players_can_act() -> None:
    replay = convert(recording(stick_x=np.linspace(-1, 1, 400)), "game.slp")
    assert replay.n_frames == 400 - 84 and replay.source == "game.slp"
    assert (replay.frames["frame"] == np.arange(316)).all()
    assert replay.frames["time_limit"][0] == 480 * 60 + 39
    assert replay.inputs["stick_x"][0, 0] == 0 and replay.inputs["stick_x"][-1, 0] == 80
    assert replay.inputs["stick_x"][1, 0] == round(80 * (-1 + 2 * 85 / 399))


def test_convert_takes_the_last_row_of_a_rolled_back_frame() -> None:
    game = recording(x=np.arange(400.0) / 10)
    again = slice(300, 310)
    game.frame_ids = np.insert(game.frame_ids, 310, game.frame_ids[again])
    for player in game.players:
        for name, column in player.items():
            player[name] = np.insert(column, 310, column[again] + (5 if name == "x" else 0))
    replay = convert(game)
    assert replay.meta["rolled_back_rows"] == 10
    x = replay.frames["players"]["x"][:, 0] / 1024
    assert np.allclose(x[300 - 84 : 310 - 84], np.arange(300, 310) / 10 + 5, atol=1e-3)
    assert np.allclose(x[310 - 84 :], np.arange(310, 400) / 10, atol=1e-3)


def test_convert_ends_by_stocks_or_clock() -> None:
    stocks = np.where(np.arange(400) < 390, 1, 0)
    status = convert(recording(stocks=stocks)).frames["status"]
    assert (status[:-10] == STATUS_PLAYING).all() and (status[-10:] == STATUS_DECIDED).all()
    timed = recording()
    timed.timer_seconds = 4
    status = convert(timed).frames["status"]
    assert np.flatnonzero(status == STATUS_TIMEOUT)[0] == 4 * 60 + 39


def test_convert_reads_a_cpu_from_the_processed_controller() -> None:
    z_and_a, a_alone = 0x110, 0x100
    processed = np.where(np.arange(400) < 300, z_and_a, a_alone) | 0x80000000
    game = recording(buttons_processed=processed, trigger=np.full(400, 0.5), trigger_l=np.full(400, 1.0))
    human = convert(game).inputs[:, 0]
    game.kinds = (1, 0)
    cpu = convert(game).inputs[:, 0]
    assert human["buttons"].max() == 0 and human["trigger_l"][-1] == 140
    assert (cpu["buttons"][[1, -1]] == [0x10, 0x100]).all() and cpu["trigger_l"][-1] == 70


def test_convert_ignores_garbage_in_triggers() -> None:
    garbage = np.tile([3.8e22, np.nan, -1.0, 0.5], 100)
    assert (convert(recording(trigger_r=garbage)).inputs["trigger_r"][4:8, 0] == [0, 0, 0, 70]).all()


def test_convert_clips_positions_to_the_schema() -> None:
    x = convert(recording(x=np.full(400, 1e9))).frames["players"]["x"]
    assert (x[:, 0] == 500 * 1024).all()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"x": np.where(np.arange(400) == 200, np.nan, 0)}, ReplayCorruptError),
        ({"action_state": np.full(400, 400)}, ReplayUnsupportedError),
        ({"stocks": np.full(400, 5)}, ReplayUnsupportedError),
        ({"character": np.where(np.arange(400) < 200, 7, 19)}, ReplayUnsupportedError),
    ],
)
def test_convert_refuses(change: dict[str, np.ndarray], error: type[ReplayError]) -> None:
    with pytest.raises(error):
        convert(recording(**change))


def test_convert_refuses_gaps_and_short_games() -> None:
    game = recording()
    game.frame_ids = game.frame_ids + (np.arange(400) > 200)
    with pytest.raises(ReplayCorruptError, match="1 frames are missing"):
        convert(game)
    assert convert(recording(84 + 120)).n_frames == 120
    with pytest.raises(ReplayUnsupportedError, match=r"at least 120 .* \(got 119\)"):
        convert(recording(84 + 119))
    with pytest.raises(ReplayUnsupportedError, match="got none"):
        convert(recording(0))


def test_state_ages_count_through_hitlag_and_restart_on_reentry() -> None:
    action = np.array([14, 14, 20, 20, 20, 20, 20, 14])
    animation = np.array([5.0, 6.5, -1.0, 0.0, 0.0, 1.0, -1.0, 0.0])
    assert state_ages(action, animation).tolist() == [0, 1, 0, 1, 2, 3, 0, 0]


def test_count_down_reaches_one() -> None:
    assert count_down(np.array([0, 1, 1, 1, 0, 1, 1], bool)).tolist() == [0, 3, 2, 1, 0, 2, 1]


def test_empty_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "bad.slp"
    for content in (
        b"",
        b"{U",
        b"plain text\n" * 9,
        b"{U\x03raw[$U#l\0\0\0\0",
        b"{U\x03raw[$U#l" + bytes(2000),
    ):
        path.write_bytes(content)
        with pytest.raises(ReplayCorruptError):
            load_slp(path)
    with pytest.raises(FileNotFoundError):
        load_slp(tmp_path / "absent.slp")


def test_parser_survives_a_crash_and_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child is replaced by one that dies or sleeps; the next file gets a new child."""
    path = tmp_path / "game.slp"
    path.touch()
    monkeypatch.setattr(slp, "read_header", lambda _: slp.SlpHeader((3, 18, 0), False, 2))
    started: list[str] = []
    real = subprocess.Popen
    scripts = iter(["import os; os.abort()", "import time; time.sleep(60)", "import os; os.abort()"])

    def fake(arguments: list[str], **options):
        started.append(next(scripts))
        return real([sys.executable, "-c", started[-1]], **options)

    monkeypatch.setattr(slp.subprocess, "Popen", fake)
    with SlpParser(timeout=1.0) as parser:
        for reason in ("crashed", r"longer than 1 s", "crashed"):
            with pytest.raises(ReplayCorruptError, match=reason):
                parser.parse(path, tmp_path / "out.npz")
    assert len(started) == 3


def test_missing_parser_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "peppi_py.py").write_text("raise ModuleNotFoundError('No module named peppi_py')")
    monkeypatch.setattr(slp, "read_header", lambda _: slp.SlpHeader((3, 18, 0), False, 2))
    monkeypatch.setattr(slp, "_search_path", lambda: os.pathsep.join([str(tmp_path), slp.PACKAGE_ROOT]))
    with pytest.raises(ModuleNotFoundError, match="awm-kit\\[slp\\]"):
        load_slp(tmp_path / "game.slp")


@pytest.mark.parametrize("name", ODD)
def test_odd_file(name: str, slp_dir: Path) -> None:
    deserved = ODD[name]
    if isinstance(deserved, int):
        replay = load_slp(slp_dir / "odd" / name)
        assert replay.n_frames == deserved
        assert replay.inputs["stick_x"].any(axis=0).sum() + replay.inputs["stick_y"].any(axis=0).sum() >= 2
        return
    with pytest.raises(ReplayError) as caught:
        load_slp(slp_dir / "odd" / name)
    assert type(caught.value) is deserved
    if deserved is ReplayVersionError:
        version = ".".join(map(str, read_header(slp_dir / "odd" / name).version))
        assert version in str(caught.value) and "3.7" in str(caught.value)


def test_odd_table_is_complete(slp_dir: Path) -> None:
    assert sorted(p.name for p in (slp_dir / "odd").iterdir()) == sorted(ODD)


def test_odd_folder_is_never_fatal(slp_dir: Path) -> None:
    report = load_folder(slp_dir / "odd", workers=2, progress=False, cache=False)
    assert {s.path.name: s.error for s in report.skipped} == {
        name: error.__name__ for name, error in ODD.items() if not isinstance(error, int)
    }
    assert [r.source for r in report.replays] == [n for n, frames in ODD.items() if isinstance(frames, int)]


def test_train_matches_known_figures(train: FolderReport) -> None:
    assert not train.skipped and len(train.replays) == 12
    assert train.n_frames == 109_822
    players = [r.frames["players"] for r in train.replays]
    assert sum(int((np.diff(p["stocks"].astype(int), axis=0) == -1).sum()) for p in players) == 73
    every = np.concatenate(players).ravel()
    # Fractions and extremes of all player-frames, from the data set's description.
    assert np.mean(every["on_ground"] == 0) == pytest.approx(0.534, abs=5e-4)
    assert np.mean(every["action_state"] <= 10) == pytest.approx(0.019, abs=5e-4)
    assert np.mean(every["hitlag"] > 0) == pytest.approx(0.051, abs=5e-4)
    assert len(np.unique(every["action_state"])) == 167
    assert every["percent"].max() / 64 == pytest.approx(178.9, abs=0.1)
    assert every["x"].min() / 1024 == pytest.approx(-257.4, abs=0.1)
    assert every["speed_y"].max() / 1024 == pytest.approx(15.51, abs=0.01)
    assert set(np.unique(every["facing"])) == {-1, 1}
    inputs = np.concatenate([r.inputs[1:] for r in train.replays]).ravel()
    assert np.mean(inputs["buttons"] & 0x20 > 0) == pytest.approx(0.075, abs=1e-3)
    assert np.mean(inputs["stick_x"] != 0) == pytest.approx(0.537, abs=1e-3)
    assert not (inputs["buttons"] & 0x100F).any()
    assert all((r.frames["status"] == STATUS_DECIDED)[-1] for r in train.replays)
    assert all(r.validate().meta["end"] == "GAME" for r in train.replays)


def test_train_keeps_no_names(train: FolderReport) -> None:
    for replay in train.replays:
        assert set(replay.meta) == {"version", "cpu", "end", "rolled_back_rows", "derived"}
        assert replay.meta["rolled_back_rows"] in range(5000)


def test_positions_move_by_speeds_in_stored_integers(train: FolderReport) -> None:
    held = {"air x": [], "ground x": [], "air y": []}
    for replay in train.replays:
        p = {n: replay.frames["players"][n].astype(np.int64) for n in replay.frames["players"].dtype.names}
        still = (p["action_state"] <= 11) | (p["hitlag"] > 0)
        free, ground = ~(still[1:] | still[:-1]), p["on_ground"][1:] > 0
        off_x = np.abs(np.diff(p["x"], axis=0) - (p["speed_air_x"] + p["speed_attack_x"])[1:]) <= 1
        off_y = np.abs(np.diff(p["y"], axis=0) - (p["speed_y"] + p["speed_attack_y"])[1:]) <= 1
        held["air x"].append(off_x[free & ~ground])
        held["ground x"].append(off_x[free & ground])
        held["air y"].append(off_y[free & ~ground])
    share = {name: np.concatenate(parts).mean() for name, parts in held.items()}
    assert share["air x"] == pytest.approx(0.936, abs=0.01)
    assert share["ground x"] == pytest.approx(0.886, abs=0.01)
    assert share["air y"] == pytest.approx(0.971, abs=0.01)


def test_inputs_stand_beside_the_frame_they_lead_to(train: FolderReport) -> None:
    presses = {-1: 0, 0: 0, 1: 0}
    for replay in train.replays:
        jump = replay.inputs["buttons"] & (Button.X | Button.Y) > 0
        pressed = jump[1:] & ~jump[:-1]
        squat = replay.frames["players"]["action_state"] == KNEE_BEND
        begins, player = np.nonzero(squat[3:] & ~squat[2:-1])
        for shift in presses:
            presses[shift] += int(pressed[begins + 2 + shift, player].sum())
    assert presses[0] > 1500 and presses[-1] + presses[1] < 10


@pytest.fixture(scope="module")
def final_rows(slp_dir: Path) -> list[dict[str, np.ndarray]]:
    """Player columns of a game with recorded speeds and hitlag, rollbacks resolved."""
    peppi = pytest.importorskip("peppi_py")
    assert peppi
    from awm_kit.data.slp_worker import read_recording

    game = read_recording(str(slp_dir / "train" / "v3.09_fox-marth_DL_slippc.slp"))
    return list(game.players)


def test_derived_hitlag_is_the_recorded_one(final_rows: list[dict[str, np.ndarray]]) -> None:
    for player in final_rows:
        same = count_down(player["in_hitlag"] > 0) == player["hitlag"]
        # A second hit during hitlag renews the freeze, which a flag cannot tell.
        assert same.mean() > 0.999 and same[player["in_hitlag"] > 0].mean() > 0.97


def test_derived_speeds_are_near_the_recorded_ones(final_rows: list[dict[str, np.ndarray]]) -> None:
    for player in final_rows:
        derived = derive_speeds(player)
        flying = (player["in_hitstun"] > 0) & (player["in_hitlag"] == 0) & (player["airborne"] > 0)
        free = (player["in_hitstun"] == 0) & (player["in_hitlag"] == 0) & (player["action_state"] > 13)
        for name, where, share in (
            ("speed_air_x", flying, 0.98), ("speed_attack_x", flying, 0.85),
            ("speed_y", flying, 0.9), ("speed_attack_y", flying, 0.85),
            ("speed_air_x", free, 0.8), ("speed_y", free, 0.9),
        ):  # fmt: skip
            near = np.abs(derived[name] - player[name])[where] < 0.01
            assert near.mean() > share, (name, near.mean())


def test_old_version_has_derived_speeds(slp_dir: Path) -> None:
    replay = load_slp(slp_dir / "odd" / "v2.0_singles_quit_LRAS.slp")
    assert replay.meta["derived"] == ["hitlag", *SPEEDS]
    p = replay.frames["players"]
    assert (p["hitlag"] > 0).any() and p["hitlag"].max() < 20
    moved = np.diff(p["x"], axis=0) == (p["speed_air_x"] + p["speed_attack_x"])[1:]
    alive = (p["action_state"] > 13) & (p["hitlag"] == 0)
    assert moved[alive[1:] & alive[:-1]].mean() > 0.4  # the others are off by rounding, at most one unit


def test_truncated_game_is_corrupt(slp_dir: Path, tmp_path: Path) -> None:
    whole = (slp_dir / "train" / "v3.07_falcon-sheik_FoD_slippc.slp").read_bytes()
    for part in range(12):
        size = (len(whole) - 1) * (part + 1) // 12 if part else 300
        (tmp_path / f"{part:02}.slp").write_bytes(whole[:size])
    report = load_folder(tmp_path, workers=2, progress=False, cache=False)
    assert not report.replays
    assert {s.error for s in report.skipped} == {"ReplayCorruptError"}


def test_cache_is_used_and_repaired(slp_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    games, cache = tmp_path / "games", tmp_path / "cache"
    games.mkdir()
    content = (slp_dir / "odd" / "v3.18_short_cpu.slp").read_bytes()
    (games / "game.slp").write_bytes(content)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    first = load_folder(games, progress=False).replays[0]
    (kept,) = cache.rglob("*.npz")
    (games / "game.slp").rename(games / "renamed.slp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SlpParser, "parse", None)
        again = load_folder(games, progress=False).replays[0]
    assert again.sha256() == first.sha256() and again.source == "renamed.slp"
    kept.write_bytes(kept.read_bytes()[:1000])
    assert load_folder(games, progress=False).replays[0].sha256() == first.sha256()
    assert kept.stat().st_size > 1000


def test_unwritable_cache_is_done_without(
    slp_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "game.slp").write_bytes((slp_dir / "odd" / "v3.18_short_cpu.slp").read_bytes())
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load_folder(tmp_path, progress=False).replays) == 1
