"""One training step, part by part: schedules, memory, weights, self-forcing, optimiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_model import TINY, falling
from torch import Tensor

from awm_kit.errors import ModelFileError
from awm_kit.model.dataset import Batch, PackedReplays
from awm_kit.model.practice import Lessons
from awm_kit.model.train import Trainer
from awm_kit.model.train_config import TrainConfig
from awm_kit.model.world import WorldModel
from awm_kit.schema import FIGHTER

NAMES = [f.name for f in FIGHTER.player_fields]
ACTION, PERCENT, STOCKS = map(NAMES.index, ("action_state", "percent", "stocks"))


@pytest.fixture(scope="module")
def data() -> PackedReplays:
    return PackedReplays(FIGHTER, [falling(s) for s in range(6)])


@pytest.fixture
def make(data: PackedReplays, tmp_path: Path) -> Any:
    def trainer(**changes: Any) -> Trainer:
        practice = changes.pop("practice", None)
        folder = tmp_path / changes.pop("folder", "run")
        config = {"steps": 10, "lanes": 4, "length": 12, "precision": "fp32", "model": TINY, **changes}
        return Trainer(data, TrainConfig(**config), folder, practice=practice)

    return trainer


def test_rate_and_horizon_keep_to_their_schedules() -> None:
    config = TrainConfig(steps=110, lr=2.0, warmup=0.1, self_forcing=((5, 2), (10, 6)))
    assert [config.horizon(step) for step in (0, 4, 5, 9, 10, 99)] == [0, 0, 2, 2, 6, 6]
    assert [config.rate(step) for step in (0, 1, 10)] == pytest.approx([2 / 11, 4 / 11, 2.0])
    assert config.rate(11) == pytest.approx(2.0)  # the top of the cosine
    half, end = 11 + 99 / 2, 110
    assert (config.rate(round(half - 0.5)) + config.rate(round(half + 0.5))) / 2 == pytest.approx(1.05, 1e-4)
    assert config.rate(end) == config.rate(end + 50) == pytest.approx(0.1)


def test_a_lane_that_starts_anew_remembers_nothing_and_the_others_do(make: Any) -> None:
    def losses(spoil_at: int) -> list[float]:
        trainer = make(lr=1e-12, folder=f"spoilt {spoil_at}")
        seen = []
        for step in range(2):
            if step == spoil_at:
                for layer in trainer.state:
                    layer.ssm.add_(3.0)
                    layer.conv.add_(3.0)
            seen.append(trainer.train_step()["loss"])
        return seen

    clean = losses(-1)
    assert losses(0) == clean  # at the first step all lanes are fresh
    assert losses(1)[1] != pytest.approx(clean[1], rel=1e-4)


def test_events_weigh_more_and_the_rarest_decides(make: Any) -> None:
    trainer = make(event_weight=3.0, rare_weights=(("hit", 5.0), ("ko", 9.0)))
    old = torch.zeros(5, len(NAMES), dtype=torch.int64)
    old[:, STOCKS], old[:, PERCENT], old[:, ACTION] = 4, 100, 20
    new = old.clone()
    new[1, ACTION] = 21
    new[2, PERCENT] = 101
    new[3, ACTION], new[3, PERCENT] = 75, 164
    new[4, PERCENT], new[4, STOCKS] = 0, 3
    assert trainer._weight(old, new).tolist() == [1.0, 3.0, 5.0, 5.0, 9.0]
    with pytest.raises(ValueError, match="expected rare_weights of"):
        make(rare_weights=(("sneeze", 2.0),))


def test_frames_in_which_the_network_erred_have_a_weight_of_their_own(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(event_weight=1.0, mistake_weight=7.0)
    batch = trainer.streams.next()
    targets = batch.targets.clone()
    targets[2, 5, 1, ACTION] += 1  # lane 2 went on to another state than its corrector, in frame 5
    seen: list[Tensor] = []
    monkeypatch.setattr(
        trainer, "_losses", lambda logits, old, new, weight: seen.append(weight) or {"x": weight.sum()}
    )
    trainer._window(Batch(batch.globals, batch.players, targets, batch.inputs, batch.fresh), trainer.state)
    erred = torch.ones(2, 4, 12)
    erred[1, 2, 4] = 7.0  # the transition to frame 5, as player 1's view sees it
    assert torch.equal(seen[0].reshape(2, 4, 12), erred)


def test_self_forcing_without_a_mistake_is_the_sequence_gone_on_with(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, horizon = make(), 4
    batch = trainer.streams.next(horizon)
    g, p, c = batch.globals, batch.players, batch.inputs
    model: WorldModel = trainer.model
    with torch.no_grad():
        raw = model.views(g[:, :12], p[:, :12], c[:, :12])
        _, state = model(raw, model.initial_state(4), model.chosen(p[:, 1:13]))
        raw = model.views(g[:, 12:16], p[:, 12:16], c[:, 12:16])
        logits, _ = model(raw, state, model.chosen(p[:, 13:17]))
        old, new = trainer._per_view(p[:, 12:16]), trainer._per_view(p[:, 13:17])
        wanted = []
        for t in range(horizon):
            rows = torch.arange(len(old)).reshape(-1, horizon)[:, t]
            weight = trainer._weight(old[rows], new[rows])
            part = model.decoder.loss(logits.flatten(0, 1)[rows], old[rows], new[rows], weight)
            wanted.append(sum(part.values()))
        truth = iter(range(13, 17))
        monkeypatch.setattr(model, "decode", lambda logits, players: p[:, next(truth)])
        got = trainer._self_forced(batch, state, horizon)
    assert float(got) == pytest.approx(float(torch.stack(wanted).mean()), rel=1e-4)


def test_self_forced_frames_are_read_from_the_networks_own_output(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make()
    batch = trainer.streams.next(3)
    own = [batch.players[:, 12] + 10 * (k + 1) for k in range(3)]
    given, views = [], trainer.model.views
    frames = iter(own)
    monkeypatch.setattr(trainer.model, "decode", lambda logits, players: next(frames))
    monkeypatch.setattr(trainer.model, "views", lambda g, p, c: given.append(p) or views(g, p, c))
    with torch.no_grad():
        trainer._self_forced(batch, trainer.state, 3)
    for got, wanted in zip(given, [batch.players[:, 12], own[0], own[1]], strict=True):
        assert torch.equal(got, wanted)


def test_only_matrices_decay_and_gradients_are_clipped(make: Any) -> None:
    trainer = make(weight_decay=0.3, clip=1e-3)
    matrices, vectors = trainer.optimizer.param_groups
    assert matrices["weight_decay"] == 0.3 and all(p.ndim >= 2 for p in matrices["params"])
    assert vectors["weight_decay"] == 0.0 and all(p.ndim == 1 for p in vectors["params"])
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(trainer.model.parameters()))
    projections = [w for m in trainer.model.mixers for w in (m.in_proj.weight, m.out_proj.weight)]
    muon = make(optimizer="muon", folder="muon").optimizer.param_groups
    assert [p.shape for p in muon[2]["params"]] == [p.shape for p in projections]
    assert len(muon[0]["params"]) == len(matrices["params"]) - len(projections)
    row = trainer.train_step()
    norm = torch.stack([p.grad.norm() for p in trainer.model.parameters() if p.grad is not None]).norm()
    assert row["grad"] > 1 and float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_the_leading_head_weighs_what_it_is_told(make: Any) -> None:
    one, three = (make(lead_weight=w, folder=f"lead {w}").train_step() for w in (1.0, 3.0))
    assert three["action_state"] == pytest.approx(3 * one["action_state"])
    assert three["percent"] == pytest.approx(one["percent"])
    assert three["loss"] == pytest.approx(one["loss"] + 2 * one["action_state"], rel=1e-5)
    assert make(free_weight=5.0, folder="free").model.decoder.free_weight == 5.0


def test_a_step_whose_gradient_is_no_number_is_left_out(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make()
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    losses = trainer._losses
    monkeypatch.setattr(
        trainer, "_losses", lambda *rows: {k: v * torch.nan for k, v in losses(*rows).items()}
    )
    assert np.isnan(trainer.train_step()["grad"])
    assert all(torch.equal(v, before[k]) for k, v in trainer.model.state_dict().items())


@pytest.mark.parametrize(("kind", "moment"), [("adamw", "exp_avg_sq"), ("muon", "momentum_buffer")])
def test_a_resumed_run_goes_on_with_the_optimisers_memory(make: Any, kind: str, moment: str) -> None:
    first = make(steps=3, optimizer=kind)
    first.run(progress=False)
    again = make(steps=6, optimizer=kind)
    assert again.step == 3
    old, new = (t.optimizer.parts[kind] for t in (first, again))
    pairs = list(zip(old.param_groups[0]["params"], new.param_groups[0]["params"], strict=True))
    assert any(a in old.state for a, _ in pairs)
    for a, b in pairs:
        if a in old.state:
            assert torch.equal(old.state[a][moment], new.state[b][moment])
    again.run(progress=False)
    assert again.describe()["step"] == 6
    with pytest.raises(ModelFileError, match="another optimizer"):
        make(steps=9, optimizer="muon" if kind == "adamw" else "adamw")


def test_orthogonalised_steps_move_all_directions_alike(make: Any) -> None:
    def moved(kind: str) -> Tensor:
        trainer = make(optimizer=kind, folder=kind, warmup=0.0, weight_decay=0.0)
        weight = trainer.model.mixers[0].in_proj.weight
        before = weight.detach().clone()
        trainer.train_step()
        return weight.detach() - before

    adam, muon = moved("adamw"), moved("muon")
    # Adam's first step moves every weight by the rate, its later ones by about a fifth of it: so does Muon.
    assert 0.1 < float(muon.norm() / adam.norm()) < 0.25
    spread = [float(s[0] / s[len(s) // 2]) for s in map(torch.linalg.svdvals, (muon, adam))]
    assert spread[0] < 3 < spread[1]


@pytest.mark.parametrize("bytes_left", [0, 400])
def test_a_damaged_optimiser_is_named(make: Any, bytes_left: int) -> None:
    trainer = make(steps=1)
    trainer.run(progress=False)
    file = trainer.folder / "optimizer.pt"
    file.write_bytes(file.read_bytes()[:bytes_left])
    with pytest.raises(ModelFileError, match=r"optimizer\.pt: .*; delete it"):
        make(steps=2)
    file.unlink()
    assert make(steps=2).step == 1


def test_practice_is_due_on_time_and_at_once_after_a_pause(make: Any) -> None:
    class Nobody:
        def __init__(self) -> None:
            self.turns: list[int] = []

        def lessons(self, model: WorldModel, turn: int) -> Lessons:
            self.turns.append(turn)
            return Lessons()

    given = {"practice_from": 2, "practice_every": 3, "steps": 7, "save_every": 7}
    nobody = Nobody()
    make(practice=nobody, **given).run(progress=False)
    assert nobody.turns == [2, 5]
    resumed = Nobody()
    make(practice=resumed, **{**given, "steps": 9}).run(progress=False)
    assert resumed.turns == [7, 8]  # it had lost its turns, and the next was due


def test_balance_and_unimix_reach_the_loss(make: Any, data: PackedReplays) -> None:
    trainer = make(balance=0.5, unimix=0.02)
    decoder = trainer.model.decoder
    assert decoder.unimix == 0.02
    head = next(i for i, h in enumerate(decoder.heads) if h.field.name == "action_state")
    values, weights = decoder.heads[head].consts, getattr(decoder, f"weights{head}")
    counts = [int((data.players[..., ACTION] == value).sum()) for value in values]
    assert float(weights[int(np.argmax(counts))]) == 1.0
    assert float(weights[int(np.argmin(counts))]) > 1.5
    plain = make(folder="plain").model.decoder
    assert plain.unimix == 0 and getattr(plain, f"weights{head}").eq(1).all()


def test_a_checkpoint_says_what_it_learned_from(make: Any, data: PackedReplays) -> None:
    notes = make(seed=5).describe()
    assert notes["data_sha256"] == data.sha256() and notes["replays"] == 6 and notes["frames"] == 720
    assert notes["train"]["seed"] == 5 and notes["train"]["model"]["d_model"] == TINY.d_model
    assert notes["machine"]
