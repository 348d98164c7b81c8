"""Replays as records: npz files whole and damaged, validation, mirroring, folders without real games."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from awm_kit.data import Replay, load_any, load_folder, mirror, swap
from awm_kit.errors import ReplayCorruptError, ReplayUnsupportedError
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME, Field, Schema


def random_column(field: Field, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    low, high = (round(bound * (1 << field.frac_bits)) for bound in (field.lo, field.hi))
    return rng.integers(low, high, shape, endpoint=True).astype(field.dtype)


def random_replay(rng: np.random.Generator, n: int = 200) -> Replay:
    """Every field anywhere in its range, so that no byte is zero by accident."""
    frames, inputs = np.zeros(n, FRAME), np.zeros((n, 2), CONTROLLER)
    for field in FIGHTER.global_fields:
        frames[field.name] = random_column(field, (n,), rng)
    for field in FIGHTER.player_fields:
        frames["players"][field.name] = random_column(field, (n, 2), rng)
    for field in FIGHTER.controller_fields:
        inputs[field.name] = random_column(field, (n, 2), rng)
    frames["frame"] = np.arange(n)
    return Replay(frames, inputs, "random", {"seed": 5})


def test_npz_gives_back_every_byte(tmp_path: Path, rng: np.random.Generator) -> None:
    replay = random_replay(rng)
    path = replay.save_npz(tmp_path / "match.npz")
    again = Replay.load_npz(path)
    assert again.frames.dtype == FRAME and again.inputs.dtype == CONTROLLER
    assert (again.frames == replay.frames).all() and (again.inputs == replay.inputs).all()
    assert (again.source, again.meta) == ("random", {"seed": 5})
    assert again.sha256() == replay.sha256()
    assert [p.name for p in tmp_path.iterdir()] == ["match.npz"]


def test_file_cut_anywhere_is_corrupt(tmp_path: Path, rng: np.random.Generator) -> None:
    whole = random_replay(rng, 30).save_npz(tmp_path / "whole.npz").read_bytes()
    cut = tmp_path / "cut.npz"
    for size in (*range(0, len(whole), len(whole) // 40), len(whole) - 1):
        cut.write_bytes(whole[:size])
        with pytest.raises(ReplayCorruptError):
            Replay.load_npz(cut)


def test_flipped_byte_is_never_another_error(tmp_path: Path, rng: np.random.Generator) -> None:
    replay = random_replay(rng, 30)
    whole = replay.save_npz(tmp_path / "whole.npz").read_bytes()
    damaged = tmp_path / "damaged.npz"
    refused = 0
    for at in range(0, len(whole), 7):
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            # Bytes that say nothing of the content (a timestamp, say) may change unnoticed.
            assert Replay.load_npz(damaged).sha256() == replay.sha256()
        except ReplayCorruptError:
            refused += 1
    assert refused > len(whole) // 7 * 0.8


def test_other_archives_are_corrupt(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, frames=np.zeros(3))
    with pytest.raises(ReplayCorruptError):
        Replay.load_npz(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(path)
    with pytest.raises(ReplayCorruptError):
        Replay.load_npz(path)
    with pytest.raises(FileNotFoundError):
        Replay.load_npz(tmp_path / "absent.npz")


def test_failed_save_leaves_the_old_file(tmp_path: Path, rng: np.random.Generator) -> None:
    path = random_replay(rng).save_npz(tmp_path / "match.npz")
    before = path.read_bytes()
    with pytest.raises(TypeError):
        Replay(np.zeros(1, FRAME), np.zeros((1, 2), CONTROLLER), meta={"not json": {1}}).save_npz(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_digest_ignores_padding_and_labels_but_no_field(rng: np.random.Generator) -> None:
    replay = random_replay(rng, 3)
    digest = replay.sha256()
    dirty = replay.frames.copy()
    dirty.view(np.uint8).reshape(3, -1)[:, 6:8] = 0xAA
    assert Replay(dirty, replay.inputs, "elsewhere", {}).sha256() == digest
    for field in FIGHTER.player_fields:
        other = replay.frames.copy()
        other["players"][field.name][1, 1] ^= 1
        assert Replay(other, replay.inputs).sha256() != digest, field.name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: Replay(r.frames[:0], r.inputs[:0]), "T > 0"),
        (lambda r: Replay(r.frames, r.inputs[:-1]), r"expected shape \(200, 2\) \(got \(199, 2\)\)"),
        (lambda r: Replay(r.frames.view(np.uint8), r.inputs), "expected dtype"),
        (lambda r: Replay(r.frames[::2], r.inputs[::2]), "rise by 1 .got 2 after row 0"),
        (lambda r: Replay(r.frames[::-1], r.inputs), "rise by 1"),
    ],
)
def test_validate_names_what_is_wrong(change, message: str, rng: np.random.Generator) -> None:
    with pytest.raises(ReplayCorruptError, match=message):
        change(random_replay(rng)).validate()


@pytest.mark.parametrize(
    ("name", "stored"), [("x", 512_001), ("percent", 64_000), ("action_state", 400), ("facing", -2)]
)
def test_validate_checks_ranges(name: str, stored: int, rng: np.random.Generator) -> None:
    replay = random_replay(rng)
    replay.validate()
    replay.frames["players"][name][7, 1] = stored
    with pytest.raises(ReplayCorruptError, match=name):
        replay.validate()


def test_replays_of_another_schema(rng: np.random.Generator, tmp_path: Path) -> None:
    shorter = Schema("other", FIGHTER.global_fields, FIGHTER.player_fields[:3], FIGHTER.controller_fields)
    frames = np.zeros(4, shorter.frame_dtype)
    frames["frame"] = np.arange(4)
    path = Replay(frames, np.zeros((4, 2), CONTROLLER)).save_npz(tmp_path / "other.npz")
    assert Replay.load_npz(path, shorter).n_frames == 4
    with pytest.raises(ReplayCorruptError, match="expected dtype"):
        Replay.load_npz(path)


def test_slice_keeps_frames_and_inputs_together(rng: np.random.Generator) -> None:
    replay = random_replay(rng)
    part = replay[50:60].validate()
    assert len(part) == part.n_frames == 10
    assert part.frames["frame"][0] == 50 and (part.inputs == replay.inputs[50:60]).all()
    with pytest.raises(ValueError, match="step 1"):
        replay[::2]


def test_mirror_and_swap_undo_themselves(rng: np.random.Generator) -> None:
    replay = random_replay(rng)
    for change in (mirror, swap):
        changed = change(replay).validate()
        assert changed.sha256() != replay.sha256()
        assert change(changed).sha256() == replay.sha256()
    assert mirror(swap(replay)).sha256() == swap(mirror(replay)).sha256()


def test_mirror_turns_what_has_a_side(rng: np.random.Generator) -> None:
    replay = random_replay(rng)
    turned = {"x", "speed_air_x", "speed_ground_x", "speed_attack_x", "facing"}
    before, after = replay.frames["players"], mirror(replay).frames["players"]
    for field in FIGHTER.player_fields:
        sign = -1 if field.name in turned else 1
        assert (after[field.name] == sign * before[field.name].astype(np.int64)).all(), field.name
    assert (mirror(replay).inputs["stick_x"] == -replay.inputs["stick_x"]).all()
    assert (mirror(replay).inputs["trigger_l"] == replay.inputs["trigger_l"]).all()


def test_swap_moves_players_with_their_controllers(rng: np.random.Generator) -> None:
    replay = random_replay(rng)
    swapped = swap(replay)
    assert (swapped.frames["players"][:, 0] == replay.frames["players"][:, 1]).all()
    assert (swapped.inputs[:, 0] == replay.inputs[:, 1]).all()
    assert (swapped.frames["seed"] == replay.frames["seed"]).all()


def test_folder_reports_bad_files_and_keeps_order(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "inner").mkdir()
    lengths = {"c.npz": 11, "a.npz": 12, "inner/b.npz": 13}
    for name, n in lengths.items():
        random_replay(rng, n).save_npz(tmp_path / name)
    (tmp_path / "empty.npz").touch()
    (tmp_path / "empty.slp").touch()
    (tmp_path / "text.slp").write_text("This is not a replay.")
    (tmp_path / "notes.txt").write_text("ignored")
    (tmp_path / "folder.slp").mkdir()
    report = load_folder(tmp_path, workers=2, progress=False)
    assert [r.n_frames for r in report.replays] == [12, 11, 13]
    assert [(s.path.name, s.error) for s in report.skipped] == [
        ("empty.npz", "ReplayCorruptError"),
        ("empty.slp", "ReplayCorruptError"),
        ("text.slp", "ReplayCorruptError"),
    ]
    assert report.n_frames == 36
    first, *rest = report.summary().splitlines()
    assert first == "3 replays, 36 frames (0.0 min); 3 skipped (3 ReplayCorruptError)"
    assert rest[1] == "empty.slp: ReplayCorruptError: an empty file"


def test_folder_arguments(tmp_path: Path) -> None:
    report = load_folder(tmp_path, progress=False)
    assert (report.replays, report.skipped) == ([], [])
    with pytest.raises(NotADirectoryError):
        load_folder(tmp_path / "absent")
    with pytest.raises(ValueError, match="at least 1 worker"):
        load_folder(tmp_path, workers=0)


def test_folder_shows_progress(tmp_path: Path, rng: np.random.Generator, capfd) -> None:
    random_replay(rng, 5).save_npz(tmp_path / "a.npz")
    load_folder(tmp_path, progress=True)
    assert "1/1" in capfd.readouterr().err


def test_load_any_goes_by_suffix(tmp_path: Path, rng: np.random.Generator) -> None:
    path = random_replay(rng, 9).save_npz(tmp_path / "a.npz")
    assert load_any(path).n_frames == 9
    with pytest.raises(ReplayUnsupportedError, match=r"\.slp or \.npz"):
        load_any(tmp_path / "a.mp4")
