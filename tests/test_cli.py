"""Every verb of `awm`, on tiny worlds: what it prints, and how it ends when something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pytest
import torch
from onchain import tiny_cartridge
from solders.keypair import Keypair
from typer.testing import CliRunner

from awm_kit.cli import app
from awm_kit.cli.judge import evaluation_table
from awm_kit.data.scuffle import generate
from awm_kit.doctor import CHECKS, Check, Diagnosis
from awm_kit.fidelity import open_runners
from awm_kit.model.checkpoint import load_checkpoint
from awm_kit.model.evaluate import Evaluation, TorchRunner
from awm_kit.model.plots import plot_training, read_log
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.manifest import unpack
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_model
from awm_kit.schema import FIGHTER

RECIPE = """
name = "tiny"
trained_on = "four matches"
[data]
kind = "scuffle"
seeds = [0, 4]
n_frames = 160
[model]
d_model = 32
n_layers = 1
d_state = 16
headdim = 16
[train]
steps = 6
lanes = 4
length = 32
threads = 1
"""


class Awm:
    """The command, run inside this process."""

    def __call__(self, *arguments: object, code: int = 0) -> str:
        done = CliRunner().invoke(app, [str(a) for a in arguments])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.output

    def json(self, *arguments: object, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code).splitlines()[0])


awm = Awm()


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's embedded ledger or wallet but this test's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training run of six steps."""
    folder = tmp_path_factory.mktemp("run")
    recipe = folder / "tiny.toml"
    recipe.write_text(RECIPE)
    result = awm.json("train", recipe, "--out", folder, "--no-progress")
    assert set(result) == {"name", "checkpoint", "plot", "steps", "seconds", "loss"}
    assert result["steps"] == 6 and Path(result["plot"]).read_bytes().startswith(b"\x89PNG")
    return folder


@pytest.fixture(scope="module")
def world(run: Path) -> Path:
    """The cartridge of that run."""
    path = run / "tiny.awm"
    result = awm.json("quantize", run / "last.safetensors", "--out", path, "--seeds", "0:4", "--no-progress")
    keys = {"world", "cartridge", "bytes", "world_hash", "params", "macs_per_frame", "tx_per_frame"}
    assert set(result) == keys
    assert result["world_hash"] == Cartridge.load(path).world_hash
    return path


@pytest.fixture(scope="module")
def random_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random world in which nobody ever wins."""
    return tiny_cartridge().save(tmp_path_factory.mktemp("world") / "random.awm")


def check_evaluation(result: dict[str, Any], engine: str, games: int) -> None:
    keys = ["world", "engine", "games", "frames", "free", "teacher_forced", "intervals", "events"]
    assert list(result) == keys
    assert (result["world"], result["engine"], result["games"]) == ("tiny", engine, games)
    assert list(result["free"]) == ["1", "5", "10", "20", "60"]
    figures = {"rc", "action_acc", "percent_err", "frozen_rc", "velocity_rc", "frozen_action_acc"}
    for row in result["free"].values():
        assert set(row) == figures and np.isfinite(list(row.values())).all()
    assert 0 <= result["teacher_forced"]["action_acc"] <= 1


class TestLearning:
    def test_an_interrupted_run_goes_on(self, run: Path) -> None:
        result = awm.json("train", run / "tiny.toml", "--out", run, "--steps", 8, "--no-progress")
        assert result["steps"] == 8
        assert read_log(run / "log.csv")["step"].tolist() == list(range(1, 9))

    def test_eval_judges_integers_on_the_teachers_games(self, world: Path) -> None:
        check_evaluation(awm.json("eval", world, "--seeds", "4:6", "--no-progress"), "int8", 2)

    def test_eval_judges_floats(self, world: Path, run: Path) -> None:
        seeds = ("--seeds", "4:5", "--no-progress")
        check_evaluation(awm.json("eval", world, "--engine", "fp32", *seeds), "fp32", 1)
        check_evaluation(awm.json("eval", run / "last.safetensors", *seeds), "fp32", 1)

    def test_eval_judges_both_side_by_side(self, world: Path, tmp_path: Path) -> None:
        plot = tmp_path / "eval.png"
        asked = ("--seeds", "4:5", "--plot", plot, "--no-progress")
        result = awm.json("eval", world, "--engine", "both", *asked)
        assert result["engine"] == "int8" and result["fp32"]["engine"] == "fp32"
        assert set(result["fp32"]["free"]["5"]) == set(result["free"]["5"])
        assert plot.read_bytes().startswith(b"\x89PNG")

    def test_eval_judges_on_a_folder_of_replays(self, world: Path, tmp_path: Path) -> None:
        for game in generate(range(4, 6), 120):
            game.save_npz(tmp_path / f"{game.source.replace(':', '-')}.npz")
        (tmp_path / "broken.npz").write_bytes(b"no archive")
        result = awm.json("eval", world, "--replays", tmp_path, "--no-progress")
        check_evaluation(result, "int8", 2)
        assert "int8, 2 games" in awm("eval", world, "--replays", tmp_path, "--no-progress")

    def test_floats_beside_a_world_count_only_if_they_are_its_own(
        self, world: Path, run: Path, tmp_path: Path
    ) -> None:
        integers = unpack(Cartridge.load(world))
        silent = {key: value for key, value in integers.notes.items() if key not in ("step", "data_sha256")}
        trained, _ = load_checkpoint(run / "last.safetensors")
        for name, notes, own in (("its", integers.notes, True), ("odd", silent, False)):
            path = pack(replace(integers, notes=notes)).save(tmp_path / f"{name}.awm")
            copyfile(run / "last.safetensors", path.with_suffix(".safetensors"))
            (runner,), _, _ = open_runners(str(path), "fp32")
            assert isinstance(runner, TorchRunner)
            assert torch.equal(runner.model.head.weight, trained.head.weight) == own

    def test_quantize_reports_what_it_cost(self, run: Path, tmp_path: Path) -> None:
        checkpoint, out, report = run / "last.safetensors", tmp_path / "named.awm", tmp_path / "report"
        result = awm.json(
            "quantize", checkpoint, "--out", out, "--name", "named", "--report", report, "--no-progress"
        )
        assert Cartridge.load(out).manifest.name == "named"
        assert {Path(p).name for p in result["report"]} == {"fidelity.txt", "fidelity.png"}
        json.dumps(result, allow_nan=False)
        pair = result["fidelity"]["forced action_state_exact"]
        assert abs(pair["fp32"] - pair["int8"]) < 0.2

    def test_the_loss_plot_draws_every_step(self, run: Path) -> None:
        log = read_log(run / "log.csv")
        drawn = [len(axis.lines[0].get_xdata()) for axis in plot_training(log).axes]
        assert drawn == [len(log["step"])] * 2 and len(log["step"]) >= 6


class TestPlay:
    def test_one_seed_ends_in_one_state_on_every_engine(self, random_world: Path) -> None:
        results = [
            awm.json("play", random_world, "--headless", "--engine", engine, "--frames", 25, "--seed", 5)
            for engine in ("native", "chain", "reference")
        ]
        assert all(set(r) == {"frames", "engine", "seed", "state_hash", "frames_per_second"} for r in results)
        assert [r["engine"] for r in results] == ["native", "chain", "reference"]
        assert {r["frames"] for r in results} == {25}
        assert len({r["state_hash"] for r in results}) == 1
        assert all(r["frames_per_second"] > 0 for r in results)

    def test_seed_and_players_matter(self, random_world: Path) -> None:
        hashes = {
            awm.json("play", random_world, "--headless", "--frames", 25, *options)["state_hash"]
            for options in (("--seed", 5), ("--seed", 6), ("--seed", 5, "--opponent", "random"))
        }
        assert len(hashes) == 3

    def test_a_saved_match_is_verified(self, random_world: Path, tmp_path: Path) -> None:
        saved = tmp_path / "match.awmatch"
        played = awm.json("play", random_world, "--headless", "--frames", 20, "--save", saved)
        assert played["saved"] == str(saved)
        report = awm.json("verify", saved, "--world", random_world)
        assert (report["ok"], report["frames"], report["problems"]) == (True, 20, [])
        assert report["state_hash"] == played["state_hash"]

    def test_a_match_of_another_world_is_not(self, random_world: Path, world: Path, tmp_path: Path) -> None:
        saved = tmp_path / "match.awmatch"
        awm("play", random_world, "--headless", "--frames", 20, "--save", saved)
        report = awm.json("verify", saved, "--world", world, code=1)
        assert not report["ok"] and "expected world" in report["problems"][0]
        assert "name it with --world" in awm("verify", saved, code=2)

    def test_frames_can_be_kept_as_a_replay(self, random_world: Path, tmp_path: Path) -> None:
        from awm_kit.data import load_any

        awm("play", random_world, "--headless", "--frames", 20, "--save", tmp_path / "match.npz")
        assert load_any(tmp_path / "match.npz").n_frames == 21

    def test_without_headless_it_says_where_to_play(self) -> None:
        assert "notebooks/03_play.ipynb" in awm("play")


class TestChain:
    def test_a_world_is_deployed_listed_verified_and_retired(self, random_world: Path) -> None:
        plan = awm.json("deploy", random_world, "--dry-run")
        assert plan["deployed"] is False and awm.json("worlds") == []
        done = awm.json("deploy", random_world, "--no-progress")
        assert done == {**plan, "deployed": True}
        assert done["total"] == done["rent"] + done["fees"] > 0
        (listed,) = awm.json("worlds")
        assert listed["key"] == done["world"] and listed["parent"] is None
        assert listed["rent"] == done["rent"]
        report = awm.json("verify", "random-0", "--world", random_world)
        assert report["ok"] and report["world"] == done["world"]
        assert awm.json("retire", done["world"])["lamports_returned"] == done["rent"]
        assert awm("worlds").strip() == "no worlds"

    def test_deploying_twice_costs_nothing(self, random_world: Path) -> None:
        awm("deploy", random_world, "--no-progress")
        assert awm.json("deploy", random_world, "--dry-run")["total"] == 0

    def test_another_world_on_chain_is_told_apart(self, random_world: Path, world: Path) -> None:
        awm("deploy", random_world, "--no-progress")
        assert "holds world" in awm("verify", "random-0", "--world", world, code=2)

    def test_a_key_of_nothing_is_said_in_the_commands_words(self) -> None:
        said = awm("verify", Keypair().pubkey(), code=2)
        assert "neither a world nor a match" in said and "`awm worlds`" in said and "(ledger)" not in said
        assert "`awm worlds`" in awm("fork", Keypair().pubkey(), "--name", "moon", code=2)

    def test_a_ledger_file_can_be_named(self, random_world: Path, tmp_path: Path) -> None:
        file = tmp_path / "other.ledger"
        awm("deploy", random_world, "--embedded", file, "--no-progress")
        assert len(awm.json("worlds", "--embedded", file)) == 1
        assert awm.json("worlds") == []

    def test_only_the_owner_retires(self, random_world: Path, tmp_path: Path) -> None:
        awm("deploy", random_world, "--no-progress")
        stranger = tmp_path / "stranger.json"
        stranger.write_text(Keypair().to_json())
        assert "refused" in awm("retire", "random-0", "--keypair", stranger, code=2)

    def test_two_worlds_of_one_name_need_their_keys(self, random_world: Path, tmp_path: Path) -> None:
        awm("deploy", random_world, "--no-progress")
        other = tmp_path / "other.json"
        other.write_text(Keypair().to_json())
        awm("deploy", random_world, "--keypair", other, "--no-progress")
        assert "name one by its key" in awm("verify", "random-0", code=2)

    def test_a_fork_names_its_parent(self, world: Path, tmp_path: Path) -> None:
        parent = awm.json("deploy", world, "--no-progress")["world"]
        child = awm.json(
            *("fork", "tiny", "--name", "moon", "--gravity", 0.4, "--set", "stocks=2", "--steps", 2),
            *("--seeds", "0:3", "--out", tmp_path / "moon", "--no-progress"),
        )
        assert child["parent"] == parent and child["deployed"] is True
        manifest = Cartridge.load(child["cartridge"]).manifest
        assert manifest.notes["data"]["params"] == {"gravity_scale": 0.4, "stocks": 2}
        assert manifest.parent.hex() == child["parent_hash"] == Cartridge.load(world).world_hash
        listed = {w["name"]: w["parent"] for w in awm.json("worlds")}
        assert listed == {"tiny": None, "moon": parent}
        again = ("fork", "tiny", "--name", "moon", "--gravity", 2, "--out", tmp_path / "moon")
        assert "holds another run" in awm(*again, "--no-progress", code=2)


class TestBench:
    def test_kernel(self, random_world: Path) -> None:
        result = awm.json("bench", "kernel", random_world, "--frames", 20)
        assert set(result) == {"macs_per_frame", "backends"}
        for row in result["backends"].values():
            assert set(row) == {"us_per_frame", "frames_per_second", "gmac_per_second"}

    def test_kernel_next_to_memory_and_peers(self) -> None:
        result = awm.json("bench", "kernel", "--size", "1M")
        assert set(result) == {"read_gbps", "sizes", "machine"}
        (row,) = result["sizes"]
        shares = {"bandwidth_share", "weights_share", "matvec_share", "parts_us", "speedup_over"}
        assert set(row) == {"name", "params", "fps", "fps_two_threads", "gmacs", *shares}
        assert set(row["parts_us"]) >= {"matvec", "ssm", "conv", "norm", "features", "decode"}
        assert row["name"] == "1M" and 0.9e6 < row["params"] < 1.2e6
        # Not a byte less than its weights is read; other processes may take the cores away at any time.
        assert result["read_gbps"]["1M"] > 1 and 0 < row["bandwidth_share"] < 1.1
        assert set(row["speedup_over"]) == {
            *("torch_fp32", "torch_int8", "onnxruntime_int8", "litert_int8", "c_loop")
        }
        assert row["speedup_over"]["torch_fp32"] > 1
        assert "expected a size" in awm("bench", "kernel", "--size", "2M", code=2)

    def test_homes_agree(self, random_world: Path) -> None:
        result = awm.json("bench", "homes", random_world, "--frames", 5)
        assert result["frames"] == 5
        assert {result[home] for home in ("reference", "native", "sbf", "wasm")} == {result["state_hash"]}
        assert set(result["frames_per_second"]) == {"native", "chain", "wasm", "reference"}

    def test_scuffle(self) -> None:
        result = awm.json("bench", "scuffle", "--matches", 8, "--frames", 30)
        assert result["player_frames"] == 2 * 8 * 29 and result["player_frames_per_second"] > 0

    def test_canvas(self) -> None:
        assert set(awm.json("bench", "drawing", "--frames", 5)) == {"compose_ms", "image_ms", "polygons"}

    def test_cu(self, tmp_path: Path) -> None:
        # Wide enough that matrices fill transactions of their own.
        endless = replace(FIGHTER, end_field="")
        world = pack(random_model(1, Shape(64, 4, 32, 16, 2), schema=endless))
        result = awm.json("bench", "cu", world.save(tmp_path / "wide.awm"), "--frames", 3)
        promised = {"cu_per_frame", "tx_per_frame", "macs_per_frame", "cu_per_mac_matvec"}
        promised |= {"matvec_cu_per_mac", "ssm_cu_per_element", "requantize_lut_cu_per_element"}
        promised |= {"matvec_n4_cu_per_mac", "n4_cu_per_frame", "n4_tx_per_frame", "n4_bytes"}
        assert promised <= set(result) and result["frames"] == 3
        assert result["macs_per_frame"] == world.manifest.macs_per_frame
        assert result["tx_per_frame"] == len(world.manifest.segments)
        assert 1.5 < result["cu_per_mac_matvec"] < result["cu_per_mac"]


class TestDoctor:
    def test_what_these_tests_needed_is_there(self) -> None:
        result = awm.json("doctor", code=0 if Diagnosis(check() for check in CHECKS).ok else 1)
        assert set(result) == {"ok", "checks"}
        found = {check["name"]: check["ok"] for check in result["checks"]}
        assert all(found[name] for name in ("python", "torch", "compiler", "kernel", "program"))

    def test_a_missing_essential_fails_and_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = Check("kernel", False, "gone", advice="bring it back")
        optional = Check("chromium", False, "gone", essential=False)
        monkeypatch.setattr("awm_kit.doctor.CHECKS", (lambda: broken, lambda: optional))
        said = awm("doctor", code=1)
        assert "MISSING kernel" in said and "bring it back" in said
        monkeypatch.setattr("awm_kit.doctor.CHECKS", (lambda: optional,))
        assert "missing chromium" in awm("doctor")

    def test_a_check_that_breaks_is_a_finding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def check_moon() -> Check:
            raise RuntimeError("no moon")

        monkeypatch.setattr("awm_kit.doctor.CHECKS", (check_moon,))
        assert "no moon" in awm.json("doctor", code=1)["checks"][0]["detail"]


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("eval", "nowhere", "--seeds", "0:1"), "no world 'nowhere'"),
            (("eval", "WORLD", "--seeds", "3"), "expected seeds as A:B"),
            (("eval", "WORLD", "--seeds", "4:4"), "expected seeds as A:B"),
            (("eval", "WORLD"), "either --replays DIR or --seeds A:B"),
            (("eval", "WORLD", "--seeds", "0:1"), "learned from recorded games"),
            (("eval", "FOLDER", "--seeds", "0:1"), "expected the file of a world (got the folder"),
            (("eval", "WORLD", "--seeds", "0:1", "--plot", "plot.doc"), "expected a plot ending .png"),
            (("eval", "WORLD", "--seeds", "0:1", "--plot", "TEXT/plot.png"), "text.npz is no folder"),
            (("train", "scuffle", "--out", "TEXT"), "expected a folder (got a file)"),
            (("eval", "WORLD", "--replays", "/nowhere"), "expected a folder"),
            (("train", "nowhere"), "nowhere"),
            (("quantize", "/nowhere.safetensors"), "no checkpoint '/nowhere.safetensors'"),
            (("quantize", "/nowhere.safetensors", "--tune", "9"), "give --format n4 too"),
            (("quantize", "scuffle", "--name", "x" * 33), "expected a name of 1 to 32 bytes"),
            (("play", "WORLD", "--headless", "--opponent", "x"), "expected a player of"),
            (
                ("play", "WORLD", "--headless", "--save", "match.txt"),
                "expected a file ending .awmatch or .npz",
            ),
            (("play", "bumper", "--headless", "--save", "match.npz"), "keep one of bumper as .awmatch"),
            (("play", "WORLD", "--json"), "give --headless too"),
            (
                ("soak", "melee", "--replays", "EMPTY", "--no-progress"),
                "expected at least one usable replay in",
            ),
            (("play", "WORLD", "--headless", "--at", "localnet"), "are for --engine chain or rollup"),
            (
                ("play", "WORLD", "--headless", "--engine", "chain", "--at", "x"),
                "expected the URL of a cluster",
            ),
            (("host", "WORLD", "--at", "embedded"), "this process's own"),
            (("join", "x"), "expected the key of an account"),
            (
                ("film", "bumper", "out.gif", "--replay", "FIGHT"),
                "expected a game of 'bumper' (got one of 'fighter')",
            ),
            (("film", "WORLD", "FOLDER/", "--seed", "1"), "expected a file (got a folder"),
            (("export", "WORLD", "TEXT/out.html"), "text.npz is no folder"),
            (("retire", "nothing"), "there is no world 'nothing'"),
            (("retire", "scuffle"), "`awm deploy scuffle` puts the shipped one there"),
            (("deploy", "WORLD", "--commitment", "soon", "--dry-run"), "expected a commitment of"),
            (("worlds", "--url", "devnett"), "or one of devnet"),
            (("bench", "canvas", "nowhere"), "no world 'nowhere'"),
            (("bench", "players", "bumper"), "expected a world of the schema 'fighter'"),
            (("worlds", "--program-id", "x"), "--program-id is for a cluster"),
            (("fork", "x", "--name", "y", "--set", "gravity"), "KEY=VALUE with a number"),
            (("fork", "x", "--name", "y", "--set", "gravty=1"), "expected physics of"),
            (("deploy", "WORLD", "--priority-fee", "much", "--dry-run"), "expected --priority-fee auto or"),
            (("verify", "nowhere.awmatch"), "nowhere.awmatch: No such file"),
            (("verify", "WORLD"), "is damaged or no match record: expected a zip archive"),
            (("quantize", "WORLD"), "expected a .safetensors file"),
            (("film", "WORLD", "out.gif", "--replay", "TEXT"), "text.npz: not a complete replay archive"),
            (("probe", "bumper"), "expected a world of the schema 'fighter'"),
            (("eval", "melee", "--seeds", "0:1"), "no teacher plays more: give it recorded ones"),
            (("fork", "x", "--name", "y", "--recipe", "z", "--gravity", "1"), "either --recipe"),
        ],
    )
    def test_a_mistake_is_one_line_and_code_2(
        self, arguments: tuple[str, ...], said: str, random_world: Path, tmp_path: Path
    ) -> None:
        text = tmp_path / "text.npz"
        text.write_text("no archive")
        fight = generate([1], 20)[0].save_npz(tmp_path / "fight.npz")
        (tmp_path / "empty").mkdir()
        files = {"WORLD": random_world, "TEXT": text, "FIGHT": fight, "FOLDER": tmp_path}
        files["EMPTY"] = tmp_path / "empty"
        words = []
        for word in arguments:
            name, slash, rest = word.partition("/")
            words.append(f"{files[name]}{slash}{rest}" if name in files else word)
        output = awm(*words, code=2)
        assert said in output and output.count("\n") == 1 and output.startswith("awm: ")

    def test_a_package_that_is_missing_is_named_with_what_brings_it(
        self, world: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
        monkeypatch.delitem(sys.modules, "awm_kit.bench.canvas", raising=False)
        monkeypatch.delitem(sys.modules, "awm_kit.bench.lab", raising=False)
        said = awm("bench", "canvas", world, code=2)
        assert said == "awm: playwright.sync_api is not installed: pip install 'awm-kit[dev]'\n"

    @pytest.mark.parametrize(
        "data", [{"seeds": 5}, {"seeds": [0, "x"]}, {"n_frames": 1 << 40}, {"n_frames": "9"}]
    )
    def test_notes_that_say_nonsense_are_named(self, tmp_path: Path, data: dict[str, object]) -> None:
        notes = {"data": {"kind": "scuffle", "seeds": [0, 4], **data}}
        world = pack(replace(random_model(3), notes=notes)).save(tmp_path / "odd.awm")
        assert "the world's notes cannot be read" in awm("eval", world, "--seeds", "0:1", code=2)

    def test_debug_shows_where(self) -> None:
        assert "Traceback" in awm("--debug", "eval", "nowhere", "--seeds", "0:1", code=2)

    def test_a_bug_is_not_disguised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken() -> None:
            raise AttributeError("a bug")

        monkeypatch.setattr("awm_kit.doctor.diagnose", broken)
        with pytest.raises(AttributeError):
            awm("doctor")


def test_help_lists_the_verbs_in_order_and_loads_nothing_heavy() -> None:
    probe = (
        "import sys; from typer.testing import CliRunner; from awm_kit.cli import app\n"
        "print(CliRunner().invoke(app, ['--help']).stdout)\n"
        "print('LOADED', *sorted({'torch', 'solders', 'numpy', 'matplotlib', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    said, _, loaded = done.stdout.partition("LOADED")
    verbs = [line.split()[0] for line in said.partition("Commands:")[2].strip().splitlines()]
    assert verbs == [
        *("train", "eval", "probe", "soak", "report", "quantize", "deploy", "worlds"),
        *("play", "host", "join", "export", "film"),
        *("clone", "fork", "verify", "publish", "leaderboard", "history", "retire", "localnet"),
        *("bench", "doctor"),
    ]
    assert loaded.split() == []


@pytest.mark.parametrize("group", [(), ("bench",), ("localnet",)])
def test_help_says_what_each_verb_does_in_one_line(group: tuple[str, ...]) -> None:
    said = CliRunner().invoke(app, [*group, "--help"], env={"COLUMNS": "80"}).stdout
    for line in said.partition("Commands:")[2].strip().splitlines():
        assert not line.endswith("..."), f"expected a shorter first sentence (got {line!r})"


def test_one_game_has_no_interval_and_no_case_no_figure() -> None:
    figures = {"rc": 0.5, "action_acc": 0.9}
    forced = {"action_acc": 0.9, "hit_recall": float("nan")}
    one = Evaluation(
        "int8", 1, {5: figures}, forced,
        intervals={
            "free": {5: {name: (value, value) for name, value in figures.items()}},
            "teacher_forced": {name: (value, value) for name, value in forced.items()},
        },
        events={"hit": 0},
    )  # fmt: skip
    text = evaluation_table(one)
    assert text.startswith("int8, 1 game;") and "[" not in text and "nan" not in text
    assert "no case  of 0" in text
    ends = {"rc": (0.4, 0.6), "action_acc": (0.9, 0.9)}
    two = replace(one, games=2, intervals={**one.intervals, "free": {5: ends}})
    assert "2 games" in evaluation_table(two) and "0.5000 [0.4000, 0.6000]" in evaluation_table(two)


def test_probes_and_soaks_speak_json() -> None:
    from awm_kit.cli import app

    probes = json.loads(CliRunner().invoke(app, ["probe", "scuffle", "--json"]).stdout)["probes"]
    assert {"name", "character", "character_name", "learned", "taught", "error", "unit"} == set(probes[0])
    said = CliRunner().invoke(app, ["soak", "scuffle", "--minutes", "0.5", "--json", "--no-progress"]).stdout
    facts = json.loads(said)
    assert facts["minutes"] > 0 and set(facts["impossible_events"]) >= {"stocks_rise", "outside", "stuck"}
    assert {"kos_per_minute", "reference_kos_per_minute"} <= set(facts)
    assert CliRunner().invoke(app, ["probe", "scuffle"]).stdout.startswith("probe ")
