"""Recordings under other physics, as films and in the player; matches opened from ledgers and from Slippi."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onchain import controllers, tiny_cartridge
from PIL import Image
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from typer.testing import CliRunner

from awm_kit.chain.deploy import deploy
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.match_record import record_from_session
from awm_kit.chain.replays import publish_replay
from awm_kit.chain.session_entry import local_match
from awm_kit.cli import app
from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import Params, generate, initial_frame
from awm_kit.errors import LedgerError, ModelFileError, VideoError
from awm_kit.kernel import NativeWorld
from awm_kit.play.film import Film, Take
from awm_kit.play.gif import render_gif
from awm_kit.play.recordings import open_recording
from awm_kit.play.replay_player import ReplayPlayer
from awm_kit.play.reruns import rerun
from awm_kit.play.video import render_mp4
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import random_model
from awm_kit.schema import FIGHTER

LENGTH = 120


@pytest.fixture(scope="module")
def replay() -> Replay:
    return generate([11], LENGTH)[0]


@pytest.fixture(scope="module")
def world() -> Cartridge:
    return pack(random_model(schema=replace(FIGHTER, end_field="")))


class TestRerun:
    def test_the_teacher_repeats_its_own_matches_from_anywhere(self, replay: Replay) -> None:
        for start in (0, 37, LENGTH - 1):
            assert (rerun(Params(), replay, start) == replay.frames).all()

    def test_other_physics_part_from_the_start_frame_on(self, replay: Replay) -> None:
        moon = rerun(Params(gravity_scale=0.4), replay, start=20)
        assert (moon[:21] == replay.frames[:21]).all() and (moon[21:] != replay.frames[21:]).any()
        assert (moon["frame"] == replay.frames["frame"]).all()

    def test_a_world_remembers_what_came_before(self, replay: Replay, world: Cartridge) -> None:
        """The memory at ``start`` is that of a teacher-forced run, and from there the world is free."""
        start, native = 30, NativeWorld(world)
        state = native.initial_state()
        for t in range(start):
            native.step(state, replay.frames[t], replay.inputs[t + 1])
        expected = native.run(state, replay.frames[start], replay.inputs[start + 1 :])
        got = rerun(world, replay, start)
        assert (got[: start + 1] == replay.frames[: start + 1]).all() and (got[start + 1 :] == expected).all()

    def test_renewing_goes_back_to_the_recording(self, replay: Replay, world: Cartridge) -> None:
        renewed = rerun(world, replay, start=30, renew=25)
        assert (renewed[31:56] == rerun(world, replay, 30)[31:56]).all()
        assert (renewed[56:81] == rerun(world, replay, 55)[56:81]).all()
        assert (renewed[-15:] == rerun(world, replay, 105)[-15:]).sum() >= LENGTH - 1 - 105

    def test_a_match_that_is_over_stays(self, replay: Replay, world: Cartridge) -> None:
        short = Replay(replay.frames.copy(), replay.inputs)
        short.frames["time_limit"] = 50
        frames = rerun(world, short)
        assert frames["frame"][-1] == 50 and (frames[50:] == frames[50]).all()

    def test_bad_arguments(self, replay: Replay) -> None:
        with pytest.raises(ValueError, match="expected a start"):
            rerun(Params(), replay, start=LENGTH)
        with pytest.raises(ValueError, match="renew"):
            rerun(Params(), replay, renew=-1)


class TestFilm:
    def test_two_takes_stand_side_by_side(self, replay: Replay) -> None:
        left, right = Take(replay.frames[:20], "teacher"), Take(replay.frames[40:50], "learned")
        film = Film([left, right], 0.25)
        pictures = list(film.pictures(5))
        assert len(film) == 20 and len(pictures) == 4 and pictures[0].size == (484, 135)
        alone = list(Film([left], 0.25).pictures(5))
        for both, one in zip(pictures, alone, strict=True):
            assert (np.asarray(both)[:, :240] == np.asarray(one)).all()
        # The shorter one ended after ten frames: its last picture stays.
        assert (np.asarray(pictures[2])[:, 244:] == np.asarray(pictures[3])[:, 244:]).mean() > 0.98

    def test_it_tells_how_far_it_is(self, replay: Replay) -> None:
        told: list[float] = []
        list(Film([Take(replay.frames[:40])], 0.2, told.append).pictures(10))
        assert told == [0, 0.25, 0.5, 0.75]

    def test_the_title_is_written(self, replay: Replay) -> None:
        plain, titled = (Film([Take(replay.frames[:1], t)], 0.5).still(0) for t in ("", "teacher"))
        changed = np.argwhere((np.asarray(plain) != np.asarray(titled)).any(2))
        assert len(changed) > 50 and (changed.max(0) < (30, 80)).all()

    def test_a_film_as_gif(self, replay: Replay, tmp_path: Path) -> None:
        film = Film([Take(replay.frames[:30]), Take(replay.frames[:30])], 0.2)
        render_gif(film, tmp_path / "a.gif")
        with Image.open(tmp_path / "a.gif") as picture:
            assert picture.size == (388, 108) and picture.n_frames == 10

    def test_an_mp4_holds_every_picture_at_the_games_speed(self, replay: Replay, tmp_path: Path) -> None:
        import av

        path = render_mp4(replay.frames[:61], tmp_path / "a.mp4", every=2, scale=0.3)
        assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
            assert stream.codec_context.name == "h264" and stream.average_rate == 30
        assert len(pictures) == 31 and pictures[0].shape == (162, 288, 3)
        drawn = np.asarray(next(Film([Take(replay.frames[:61])], 0.3).pictures()), int)
        assert np.abs(pictures[0] - drawn).mean() < 4

    def test_without_pyav_it_says_what_to_install(
        self, replay: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(VideoError, match=r"awm-kit\[video\]"):
            render_mp4(replay.frames, tmp_path / "a.mp4")

    def test_a_folder_is_made_or_named(self, replay: Replay, tmp_path: Path) -> None:
        film = render_mp4(replay.frames[:2], tmp_path / "missing" / "a.mp4", scale=0.2)
        with pytest.raises(NotADirectoryError, match=r"b\.mp4"):
            render_mp4(replay.frames[:2], film / "b.mp4", scale=0.2)

    def test_bad_arguments(self, replay: Replay) -> None:
        with pytest.raises(ValueError, match="at least one take"):
            Film([])
        with pytest.raises(ValueError, match="every >= 1"):
            next(Film([Take(replay.frames)]).pictures(0))

    @pytest.mark.parametrize("layout", ["beside", "ghost"])
    def test_the_command(self, world: Cartridge, replay: Replay, tmp_path: Path, layout: str) -> None:
        world.save(tmp_path / "w.awm")
        replay.save_npz(tmp_path / "r.npz")
        files = [tmp_path / "w.awm", tmp_path / "o.gif", "--replay", tmp_path / "r.npz"]
        options = ["--from", 9, "--seconds", 0.2, "--scale", 0.2, "--layout", layout, "--json"]
        done = CliRunner().invoke(app, [str(a) for a in ("film", *files, *options)])
        assert done.exit_code == 0 and '"frames": 12' in done.stdout
        with Image.open(tmp_path / "o.gif") as picture:
            assert picture.n_frames == 4 and picture.width == (388 if layout == "beside" else 192)


class TestPlayer:
    def test_an_overlay_may_be_a_world_and_start_anywhere(self, replay: Replay, world: Cartridge) -> None:
        player = ReplayPlayer(replay, overlay=world)
        assert player.overlay is not None and (player.overlay == rerun(world, replay)).all()
        player.seek(40)
        player._anew.click()
        assert (player.overlay == rerun(world, replay, start=40)).all()
        with pytest.raises(ValueError, match="expected an overlay that is a world"):
            ReplayPlayer(replay, overlay=replay).overlay_from_here()

    def test_knockouts_both_ways(self, replay: Replay) -> None:
        frames = replay.frames.copy()
        frames["players"]["stocks"][:, 0] = np.where(np.arange(LENGTH) < 30, 4, 3)
        frames["players"]["stocks"][:, 1] = np.where(np.arange(LENGTH) < 70, 4, 3)
        player, visited = ReplayPlayer(frames), []
        for move in (player.next_knockout, player.next_knockout, player.previous_knockout):
            move()
            visited.append(player.position)
        assert visited == [30, 70, 30]

    def test_export_buttons_write_and_tell(
        self, replay: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        player = ReplayPlayer(replay, overlay=replay.frames[:110])
        player.seek(108)
        for button in player._exports:
            button.click()
            player.errands.wait(60)
            assert f"replay-108.{button.description.lower()}" in player._status.value
        assert {p.name for p in tmp_path.iterdir()} == {"replay-108.gif", "replay-108.mp4"}
        monkeypatch.setitem(sys.modules, "av", None)
        player._exports[1].click()
        player.errands.wait(60)
        assert "VideoError" in player._status.value


class TestOpen:
    def test_a_match_on_a_ledger_by_its_key(self) -> None:
        ledger, payer, cartridge = EmbeddedLedger(), Keypair(), tiny_cartridge()
        ledger.airdrop(payer.pubkey(), 100_000_000_000)
        deployed = deploy(ledger, cartridge, payer, progress=False)
        session = local_match(ledger, deployed, start_frame=initial_frame(5))
        frames = [session.frame] + [session.step(pads) for pads in controllers(9)]
        key = session.keys.session
        with pytest.raises(LedgerError, match="still running"):
            open_recording(key, ledger=ledger)
        session.end()
        recorded = open_recording(key, ledger=ledger)
        assert [f.tobytes() for f in recorded.frames] == [f.tobytes() for f in frames]
        assert ReplayPlayer(key, ledger=ledger).frames.tobytes() == recorded.frames.tobytes()
        with pytest.raises(ModelFileError, match="expected world"):
            open_recording(key, pack(random_model(seed=9)), ledger)
        record, result = record_from_session(ledger, session), session.record_result()
        session.close()
        with pytest.raises(LedgerError, match="nobody published"):
            open_recording(key, ledger=ledger)
        publish_replay(ledger, record, key, payer, progress=False)
        for name in (key, result.key):
            assert open_recording(name, ledger=ledger).frames.tobytes() == recorded.frames.tobytes()
        with pytest.raises(ValueError, match="expected the ledger"):
            open_recording(key)
        with pytest.raises(LedgerError, match="there is no match"):
            open_recording(Pubkey.new_unique(), ledger=ledger)

    def test_a_slippi_file(self, slp_dir: Path) -> None:
        path = min((slp_dir / "train").glob("*.slp"), key=lambda p: p.stat().st_size)
        player = ReplayPlayer(path)
        assert len(player.frames) > 1000 and len(player.hits) > 10 and len(player.knockouts) >= 1
