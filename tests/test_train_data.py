"""Training data larger than memory: packed in a folder, joined without copies, sampled by weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import generate
from awm_kit.model.checkpoint import load_checkpoint
from awm_kit.model.config import ModelConfig
from awm_kit.model.dataset import Chained, PackedReplays, Streams
from awm_kit.model.logbook import Logbook
from awm_kit.model.plots import read_log
from awm_kit.model.practice import rare_segments
from awm_kit.model.recipe import Recipe
from awm_kit.model.recipe_file import load_recipe
from awm_kit.model.train import Trainer
from awm_kit.model.train_config import TrainConfig
from awm_kit.schema import FIGHTER

GAMES = generate(range(12), 200)


def batches() -> Iterator[list[Replay]]:
    for first in range(0, 12, 5):
        yield GAMES[first : first + 5]


def test_a_folder_holds_what_memory_would(tmp_path: Path) -> None:
    memory = PackedReplays(FIGHTER, GAMES)
    disk = PackedReplays.stored(FIGHTER, batches(), tmp_path)
    assert isinstance(disk.players, np.memmap) and disk.sha256() == memory.sha256()
    assert disk.n_frames == memory.n_frames and len(disk) == 12
    for a, b in zip(memory.transitions(), disk.transitions(), strict=True):
        assert np.array_equal(a, b)
    one, two = (Streams(data, 6, 20, 3) for data in (memory, disk))
    for _ in range(30):
        first, second = one.next(4), two.next(4)
        for name in ("globals", "players", "targets", "inputs", "fresh"):
            assert torch.equal(getattr(first, name), getattr(second, name)), name


def test_a_folder_is_written_once_and_anew_for_other_games(tmp_path: Path) -> None:
    PackedReplays.stored(FIGHTER, batches(), tmp_path, "a")

    def nobody_asks() -> Iterator[list[Replay]]:
        pytest.fail("the games were made again")
        yield []

    assert len(PackedReplays.stored(FIGHTER, nobody_asks(), tmp_path, "a")) == 12
    assert len(PackedReplays.stored(FIGHTER, [GAMES[:2]], tmp_path, "b")) == 2


def test_an_interrupted_folder_is_written_anew(tmp_path: Path) -> None:
    def breaks() -> Iterator[list[Replay]]:
        yield GAMES[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PackedReplays.stored(FIGHTER, breaks(), tmp_path)
    assert len(PackedReplays.stored(FIGHTER, batches(), tmp_path)) == 12
    with pytest.raises(ValueError, match="at least one replay"):
        PackedReplays.stored(FIGHTER, [], tmp_path / "none")


def test_chained_rows_are_those_of_the_concatenation() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 99, (n, 2, 3)) for n in (7, 1, 20)]
    chain, whole = Chained.of(Chained(parts[:2]), parts[2]), np.concatenate(parts)
    rows = rng.integers(0, 28, (5, 4))
    assert np.array_equal(chain[rows], whole[rows])
    assert len(chain) == 28 and chain.shape == whole.shape and len(chain.arrays) == 3


def test_joined_replays_are_walked_in_their_share(tmp_path: Path) -> None:
    base, rare = PackedReplays(FIGHTER, GAMES[:8]), PackedReplays(FIGHTER, GAMES[8:])
    both = base.joined(rare, 0.5)
    assert both.n_frames == 2400 and both.sha256() == PackedReplays(FIGHTER, GAMES).sha256()
    streams, seen = Streams(both, 32, 100, 0), []
    for _ in range(40):
        streams.next()
        seen.append((streams.replay >= 8).mean())
    assert 0.4 < np.mean(seen) < 0.6


@pytest.mark.parametrize(("length", "ahead"), [(40, 0), (50, 0), (40, 20), (33, 7)])
def test_no_window_runs_from_one_replay_into_the_next(length: int, ahead: int) -> None:
    streams = Streams(PackedReplays(FIGHTER, GAMES), 16, length, 1)
    at = [f.name for f in FIGHTER.global_fields].index("frame")
    for _ in range(30):
        frames = streams.next(ahead).globals[..., at]
        assert frames.shape == (16, length + ahead + 1) and bool((frames.diff(dim=1) == 1).all())


def test_the_hash_tells_apart_whatever_is_learned_from() -> None:
    games = [replace(g, frames=g.frames.copy(), inputs=g.inputs.copy()) for g in GAMES[:2]]
    plain = PackedReplays(FIGHTER, GAMES[:2]).sha256()
    assert PackedReplays(FIGHTER, games).sha256() == plain
    corrected = games[0].frames.copy()
    corrected["players"]["percent"][5, 0] += 64
    others = [PackedReplays(FIGHTER, games, [corrected, None])]
    games[1].inputs["stick_x"][9, 1] ^= 1
    others.append(PackedReplays(FIGHTER, games))
    others.append(PackedReplays(FIGHTER, GAMES[1::-1]))
    assert len({plain, *(o.sha256() for o in others)}) == 4


def test_rare_events_are_cut_out_with_what_leads_to_them() -> None:
    game = generate([0], 300)[0]
    stocks = game.frames["players"]["stocks"]
    stocks[200:, 1] -= 1
    (segment,) = rare_segments([game])
    assert len(segment) == 161 and segment.frames["frame"][0] == 139
    lost = np.diff(segment.frames["players"]["stocks"].astype(int), axis=0).min()
    assert lost == -1 and len(rare_segments([game], events=("ko", "hit"))) > 1
    with pytest.raises(ValueError, match="edge_grab"):
        rare_segments([game], events=("sneeze",))


def test_a_stored_recipe_trains_on_the_same_frames(tmp_path: Path) -> None:
    config = replace(load_recipe("scuffle").train, practice_from=0, lanes=4, length=32, steps=1, threads=1)
    recipe = Recipe("tiny", seeds=(0, 5), n_frames=150, stored=True, train=config)
    trainer = recipe.trainer(tmp_path, progress=False)
    assert isinstance(trainer.data.players, np.memmap)
    assert trainer.describe()["data_sha256"] == replace(recipe, stored=False).data(progress=False).sha256()
    assert np.isfinite(trainer.train_step()["loss"])
    assert [len(games) for games in replace(recipe, seeds=(0, 130)).batches()] == [64, 64, 2]


@pytest.mark.slow
def test_compiled_layers_take_the_same_step(tmp_path: Path) -> None:
    model = ModelConfig(d_model=32, n_layers=2, d_state=8, headdim=16, chunk=16)
    config = TrainConfig(steps=2, lanes=2, length=16, model=model, precision="fp32", threads=1)
    data = PackedReplays(FIGHTER, GAMES)
    plain, fused = (Trainer(data, replace(config, compiled=on), tmp_path / str(on)) for on in (False, True))
    for _ in range(2):
        assert plain.train_step()["loss"] == pytest.approx(fused.train_step()["loss"], rel=1e-4)
    fused.save()
    assert load_checkpoint(tmp_path / "True" / "last.safetensors")[1]["train"]["compiled"] is True


def test_unseen_games_of_a_teacher_are_of_other_seeds() -> None:
    recipe = Recipe("tiny", seeds=(0, 4), n_frames=60)
    trained = {r.sha256() for r in recipe.replays()}
    assert len(recipe.unseen(3)) == 3 and not trained & {r.sha256() for r in recipe.unseen(3)}
    far = Recipe("far", seeds=(49_999, 50_002), n_frames=60)
    assert not {r.source for r in far.replays()} & {r.source for r in far.unseen(3)}
    assert Recipe("real", kind="replays", holdout=("a.slp",), folders=("nowhere",)).unseen(3) == []


def test_a_checkpoint_says_how_its_data_was_made_and_where_it_started(tmp_path: Path) -> None:
    tiny = ModelConfig(d_model=32, n_layers=1, d_state=8, headdim=16, chunk=16)
    config = TrainConfig(steps=1, lanes=2, length=16, model=tiny, precision="fp32")
    recipe = Recipe(
        "first", seeds=(0, 3), n_frames=80, moves=2, drill_share=0.2, rare_share=0.3, rare_events=("hit",),
        train=config,
    )  # fmt: skip
    recipe.trainer(tmp_path / "first", progress=False).run(progress=False)
    notes = load_checkpoint(tmp_path / "first" / "last.safetensors")[1]
    assert notes["data"]["drills"] == {"moves": 2, "share": 0.2}
    assert notes["data"]["rare"] == {"events": ["hit"], "share": 0.3} and "started_from" not in notes
    child = Recipe("child", seeds=(3, 6), n_frames=80, parent=str(tmp_path / "first" / "last.safetensors"),
                   train=config)  # fmt: skip
    told = child.trainer(tmp_path / "child", progress=False).describe()
    assert told["started_from"] == {"name": "first", "step": 1, "data_sha256": notes["data_sha256"]}
    assert told["data_sha256"] != notes["data_sha256"] and "drills" not in told["data"]


def test_the_logbook_goes_on_where_it_ended(tmp_path: Path) -> None:
    for step in (1, 2):
        with Logbook(tmp_path) as log:
            log.write(step, {"loss": 0.5 / step, "lr": 1e-3})
            log.flush()
    log = read_log(tmp_path / "log.csv")
    assert log["step"].tolist() == [1, 2] and log["loss"].tolist() == [0.5, 0.25]


def test_tensorboard_gets_the_same_figures_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with Logbook(tmp_path) as log:
        log.write(1, {"loss": 0.5})
    assert list((tmp_path / "tensorboard").glob("events.*"))
