"""Players that were cloned from replays: what they see, how they learn, how well they play."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from awm_kit.cli import app
from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import FOX, MARTH, STYLE_NAMES, Params, Scuffle, generate, initial_frame
from awm_kit.data.scuffle.players import ScriptedPlayers
from awm_kit.data.scuffle.state import State
from awm_kit.errors import ModelFileError
from awm_kit.files import SHIPPED
from awm_kit.model.clone import CloneConfig, clone, decisions
from awm_kit.model.policy import HOLD, Policy, PolicyPlayers, coarse, look
from awm_kit.play.controllers import LEVELS, OPPONENTS, ClonedController, opponent
from awm_kit.play.engine import NativeEngine, TeacherEngine
from awm_kit.play.match import Match
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import random_model
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME, Button
from awm_kit.worlds import load_policy

SMALL = CloneConfig(hidden=32, steps=60, batch=256)


@pytest.fixture(scope="module")
def replays() -> list[Replay]:
    return generate(range(6), 600)


@pytest.fixture(scope="module")
def shipped() -> Policy:
    return load_policy("scuffle")


def mirrored(frames: np.ndarray) -> np.ndarray:
    out = frames.copy()
    for name in ("x", "speed_air_x", "speed_ground_x", "speed_attack_x", "facing"):
        out["players"][name] *= -1
    return out


class TestSight:
    def test_the_mirrored_game_looks_the_same(self, replays: list[Replay]) -> None:
        frames = replays[0].frames
        for player in (0, 1):
            a, b = look(frames, player), look(mirrored(frames), player)
            apart = a.linear[:, 0] != 0
            assert (a.linear[apart] == b.linear[apart]).all() and (a.actions == b.actions).all()
            assert (a.mirror[apart] == -b.mirror[apart]).all() and (a.linear[:, 0] >= 0).all()

    def test_players_see_each_other(self, replays: list[Replay]) -> None:
        one, two = (look(replays[1].frames, player) for player in (0, 1))
        assert (one.actions == two.actions[:, ::-1]).all() and np.abs(one.linear).max() <= 4

    def test_controllers_are_reduced(self) -> None:
        pads = np.zeros(3, CONTROLLER)
        pads["stick_x"], pads["cstick_y"], pads["sequence"] = (-70, 33, 9), (50, -20, 0), 5
        pads["buttons"] = (Button.Y | Button.START, Button.L, Button.A | Button.X)
        pads["trigger_l"] = (0, 0, 90)
        out = coarse(pads, np.array([1, -1, -1]))
        assert out["stick_x"].tolist() == [-80, -40, 0] and out["cstick_y"].tolist() == [80, 0, 0]
        assert out["buttons"].tolist() == [Button.X, Button.R, Button.A | Button.X | Button.R]
        assert out["trigger_r"].tolist() == [0, 140, 140] and not out["sequence"].any()
        assert (coarse(coarse(pads), -1) == coarse(pads, -1)).all()


class TestCloning:
    def test_learns_a_rule_that_its_models_follow(self, replays: list[Replay]) -> None:
        """Whoever is near presses A, whoever is far runs there: a clone must do so too."""
        games = []
        for replay in replays:
            inputs = np.zeros_like(replay.inputs)
            for player in (0, 1):
                seen = look(replay.frames, player)
                near = seen.linear[:-1, 0] * 32 < 20
                inputs["buttons"][1:, player] = np.where(near & (np.arange(len(near)) % 2 == 0), Button.A, 0)
                inputs["stick_x"][1:, player] = np.where(near, 0, 80 * seen.mirror[:-1])
            games.append(Replay(replay.frames, inputs))
        policy = clone(games, replace(SMALL, steps=400, advantage=0))
        assert policy.notes["accuracy"] > 0.9
        assert policy.notes == clone(games, replace(SMALL, steps=400, advantage=0)).notes
        attack = policy.choices["buttons"] == Button.A
        seen = look(games[0].frames, 0)
        attacks, distance = attack[policy.logits(seen).argmax(1)], seen.linear[:, 0] * 32
        assert attacks[distance < 15].mean() > 0.9 > 0.1 > attacks[distance > 25].mean()

    def test_only_those_to_copy_are_copied(self, replays: list[Replay]) -> None:
        everybody = decisions(replays, SMALL)
        styles = {style for replay in replays for style in replay.meta["styles"]}
        parts = [len(decisions(replays, replace(SMALL, styles=(style,))).pads) for style in styles]
        assert sum(parts) == len(everybody.pads) == len(everybody.weights)
        assert 0 < len(decisions(replays, replace(SMALL, winners=True)).pads) < len(everybody.pads)
        with pytest.raises(ValueError, match="somebody to copy"):
            decisions(replays, replace(SMALL, styles=("nobody",)))

    def test_better_moments_count_more(self, replays: list[Replay]) -> None:
        weights = decisions(replays, SMALL).weights
        assert weights.mean() == pytest.approx(1) and weights.max() > 2 * np.median(weights)
        assert (decisions(replays, replace(SMALL, advantage=0)).weights == 1).all()

    def test_the_command(self, tmp_path: Path, replays: list[Replay]) -> None:
        replays[0].save_npz(tmp_path / "r.npz")
        files = [str(tmp_path / "p"), "--replays", str(tmp_path)]
        done = CliRunner().invoke(app, ["clone", *files, "--steps", "5", "--no-progress", "--json"])
        assert done.exit_code == 0 and '"cloned_from": "1 replay"' in done.stdout
        assert Policy.load(tmp_path / "p").n_params > 10_000


class TestFile:
    def test_comes_back_as_it_was_saved(self, shipped: Policy, tmp_path: Path, replays: list[Replay]) -> None:
        again = Policy.load(shipped.save(tmp_path / "p.npz"))
        seen = look(replays[0].frames, 0)
        assert (again.logits(seen) == shipped.logits(seen)).all() and again.notes == shipped.notes

    def test_the_shipped_one_is_small(self) -> None:
        assert (SHIPPED / "scuffle-player.npz").stat().st_size <= 100_000

    def test_damaged_files_are_refused(self, shipped: Policy, tmp_path: Path) -> None:
        whole = shipped.save(tmp_path / "p.npz").read_bytes()
        for name, data in (("cut", whole[:-200]), ("empty", b""), ("text", b"hello")):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(ModelFileError, match="damaged"):
                Policy.load(tmp_path / name)
        narrow = replace(shipped, layers=shipped.layers[1:])
        with pytest.raises(ModelFileError, match="expected a layer"):
            Policy.load(narrow.save(tmp_path / "narrow.npz"))
        with pytest.raises(ModelFileError, match="no player 'nobody'"):
            load_policy("nobody")


class TestPlaying:
    def test_the_same_frames_are_the_same_controls(self, shipped: Policy, replays: list[Replay]) -> None:
        frames = replays[2].frames[:200]
        many = PolicyPlayers(shipped, 1, np.array([7, 8], np.uint32))
        alone = ClonedController(1, seed=7)
        both = [many.act(np.repeat(frames[t : t + 1], 2)) for t in range(200)]
        assert all((pads[0] == alone(frame)).all() for pads, frame in zip(both, frames, strict=True))
        assert any((pads[0] != pads[1]).any() for pads in both)

    def test_buttons_go_up_again(self, shipped: Policy, replays: list[Replay]) -> None:
        player = ClonedController(0, seed=3)
        held = [
            int(player(frame)["buttons"]) & (Button.A | Button.B | Button.X) for frame in replays[0].frames
        ]
        runs, longest = 0, 0
        for buttons in held:
            runs = runs + 1 if buttons else 0
            longest = max(longest, runs)
        assert 0 < longest <= HOLD + 4 and sum(b == 0 for b in held) > 100

    def test_plays_in_any_world(self) -> None:
        world = pack(random_model(schema=replace(FIGHTER, end_field="")))
        match = Match(NativeEngine(world, initial_frame(1)), [ClonedController(0), opponent("novice", 1)])
        match.run_headless(60).validate()

    @pytest.mark.parametrize("name", OPPONENTS)
    def test_every_opponent_plays(self, name: str) -> None:
        match = Match(TeacherEngine(Params(), initial_frame(2)), [opponent(name, 0, 5), opponent(name, 1, 5)])
        inputs = match.run_headless(90).inputs
        assert all(inputs[field].any() for field in ("stick_x", "buttons"))

    def test_bad_arguments(self, shipped: Policy) -> None:
        with pytest.raises(ValueError, match="expected a player of"):
            opponent("nobody", 0)
        with pytest.raises(ValueError, match="player 0 or 1"):
            PolicyPlayers(shipped, 2, np.zeros(1))
        with pytest.raises(ValueError, match="temperature"):
            ClonedController(0, temperature=0)


class TestStrength:
    """Damage given less damage taken in the first ten seconds of many matches in the teacher."""

    MATCHES, FRAMES = 32, 600

    def balance(self, first: Any, second: Any) -> np.ndarray:
        """Percent by which ``first`` leads, a stock counted as 100, one value a match."""
        n = self.MATCHES
        pairs = ((FOX, MARTH), (MARTH, FOX), (FOX, FOX), (MARTH, MARTH))
        starts = np.zeros(n, FRAME)
        for i in range(n):
            starts[i] = initial_frame(900 + i, None, pairs[i % 4])
        game = Scuffle.from_frames(starts)
        sides = [self.player(who, index) for index, who in enumerate((first, second))]
        frames, inputs = starts, np.zeros((n, 2), CONTROLLER)
        for _ in range(self.FRAMES):
            for index, side in enumerate(sides):
                inputs[:, index] = side(frames)
            frames = game.step(inputs)
        score: np.ndarray = frames["players"]["stocks"] * 100.0 - frames["players"]["percent"] / 64
        return score[:, 0] - score[:, 1]

    def player(self, who: Any, index: int) -> Any:
        seeds = np.arange(self.MATCHES, dtype=np.uint32)
        if isinstance(who, Policy):
            return PolicyPlayers(who, index, seeds).act
        styles = [STYLE_NAMES.index(name) for name in np.resize(who, self.MATCHES // 2).repeat(2)]
        scripts = ScriptedPlayers(np.array([styles, styles]), seeds)
        return lambda frames: scripts.act(State.from_frames(frames)).to_inputs()[:, index]

    def test_levels_rise(self) -> None:
        leads = self.balance(LEVELS[2:4], LEVELS[:2]).reshape(-1, 2, 2).mean((0, 2))
        assert (leads > 0).all()  # dancer against masher, balanced against novice

    def test_the_shipped_clone_beats_a_novice(self, shipped: Policy) -> None:
        assert self.balance(shipped, ["novice"]).mean() > 0

    def test_the_bench_plays_in_teacher_and_world(self, tmp_path: Path) -> None:
        world = pack(random_model(schema=replace(FIGHTER, end_field="")))
        world.save(tmp_path / "w.awm")
        asked = ["--opponent", "novice", "--opponent", "masher", "--matches", "4", "--frames", "30", "--json"]
        done = CliRunner().invoke(app, ["bench", "players", str(tmp_path / "w.awm"), *asked])
        result = json.loads(done.stdout)
        for home in ("teacher", world.manifest.name):
            assert set(result[home]) == {"novice", "masher"}
            assert all(0 <= share <= 1 for share in result[home].values())
        done = CliRunner().invoke(app, ["bench", "players", "--opponent", "nobody"])
        assert done.exit_code == 2 and "expected cloned or a style" in done.output
