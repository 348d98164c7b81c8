"""The float model: both forms of the recurrence, heads, streams, training and its resumption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from awm_kit.data.replay import Replay
from awm_kit.errors import ModelFileError
from awm_kit.model.checkpoint import load_checkpoint, save_checkpoint
from awm_kit.model.config import ModelConfig
from awm_kit.model.dataset import PackedReplays, Streams
from awm_kit.model.evaluate import TorchRunner, choose_starts, evaluate
from awm_kit.model.heads import FREE, SET, HeadDecoder, fit_heads
from awm_kit.model.mamba2 import RMSNorm, ssd_chunked
from awm_kit.model.train import Trainer
from awm_kit.model.train_config import TrainConfig
from awm_kit.model.transfer import refit, with_features, with_layers, with_width
from awm_kit.model.world import WorldModel
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME, Scale

TINY = ModelConfig(d_model=32, n_layers=2, d_state=8, headdim=16, chunk=16)


def falling(seed: int, n: int = 120) -> Replay:
    """A recording with exact physics: x drifts with the stick, y falls and bounces."""
    rng = np.random.default_rng(seed)
    frames, inputs = np.zeros(n, FRAME), np.zeros((n, 2), CONTROLLER)
    frames["frame"], frames["stage"] = np.arange(n), 31
    inputs["stick_x"] = rng.choice([-80, 0, 80], (n // 10 + 1, 2)).repeat(10, 0)[:n]
    players = frames["players"]
    players["stocks"], players["facing"], players["y"] = 4, 1, rng.integers(20, 90, (2,)) << 10
    for t in range(1, n):
        before, now = players[t - 1], players[t]
        now["speed_air_x"] = inputs["stick_x"][t] * 10
        bounce = before["y"] <= 0
        now["speed_y"] = np.where(bounce, 3000, before["speed_y"] - 100)
        now["x"], now["y"] = before["x"] + now["speed_air_x"], before["y"] + now["speed_y"]
        now["action_state"] = np.where(now["speed_y"] > 0, 25, 29)
        same = now["action_state"] == before["action_state"]
        now["state_age"] = np.where(same, before["state_age"] + 1, 0)
    return Replay(frames, inputs, f"falling {seed}")


@pytest.fixture(scope="module")
def data() -> PackedReplays:
    return PackedReplays(FIGHTER, [falling(s) for s in range(12)])


@pytest.fixture(scope="module")
def model(data: PackedReplays) -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(TINY, FIGHTER, fit_heads(FIGHTER, *data.transitions()))


@pytest.mark.parametrize("length", [1, 7, 16, 33])
def test_chunked_ssd_equals_the_plain_recurrence(length: int) -> None:
    torch.manual_seed(length)
    n, heads, p, d = 2, 3, 4, 5
    x, dt = torch.randn(n, length, heads, p), torch.rand(n, length, heads)
    b, c, h = torch.randn(n, length, d), torch.randn(n, length, d), torch.randn(n, heads, p, d)
    a = -torch.rand(heads) * 4
    y, last = ssd_chunked(x, dt, a, b, c, h, 16)
    for t in range(length):
        h = h * torch.exp(dt[:, t] * a)[..., None, None]
        h = h + (dt[:, t, :, None] * x[:, t])[..., None] * b[:, t, None, None]
        assert torch.allclose(y[:, t], (h * c[:, t, None, None]).sum(-1), atol=1e-4)
    assert torch.allclose(last, h, atol=1e-4)


def test_sequence_and_step_agree(model: WorldModel, data: PackedReplays) -> None:
    batch = Streams(data, 4, 50, 0).next()
    raw = model.views(batch.globals[:, :50], batch.players[:, :50], batch.inputs)
    with torch.no_grad():
        sequence, after = model(raw, model.initial_state(4))
        state = model.initial_state(4)
        for t in range(50):
            logits, state = model.step(raw[:, t], state)
            assert (logits - sequence[:, t]).abs().max() < 1e-4
    for a, b in zip(after, state, strict=True):
        assert torch.allclose(a.ssm, b.ssm, atol=1e-4) and torch.allclose(a.conv, b.conv, atol=1e-4)


def test_swapping_players_swaps_the_prediction(model: WorldModel, data: PackedReplays) -> None:
    batch = Streams(data, 3, 20, 1).next()
    g, p, c = batch.globals[:, :20], batch.players[:, :20], batch.inputs
    with torch.no_grad():
        plain, _ = model(model.views(g, p, c), model.initial_state(3))
        swapped, _ = model(model.views(g, p.flip(2), c.flip(2)), model.initial_state(3))
    assert torch.equal(plain[:3], swapped[3:]) and torch.equal(plain[3:], swapped[:3])


def test_codebooks_hold_the_exact_physics(data: PackedReplays) -> None:
    heads = {h.field.name: h for h in fit_heads(FIGHTER, *data.transitions())}
    assert -100 in heads["speed_y"].consts  # gravity
    assert (SET, 3000) in set(zip(heads["speed_y"].kinds, heads["speed_y"].consts, strict=True))  # bounce
    assert heads["x"].kinds[:2] == (0, 1)  # "stays" and "moves by its velocity"


def test_a_certain_network_decodes_the_truth_and_has_no_loss(data: PackedReplays) -> None:
    old_rows, new_rows = data.transitions()
    heads = fit_heads(FIGHTER, old_rows, new_rows)
    decoder = HeadDecoder(heads)
    old, new = torch.from_numpy(old_rows[:500]), torch.from_numpy(new_rows[:500])
    logits = torch.full((len(old), sum(h.n_classes + (h.free_row >= 0) for h in heads)), -50.0)
    for i, h in enumerate(heads):
        if not h.kinds:
            logits[torch.arange(len(old)), h.row0 + new[:, h.column]] = 50.0
            continue
        values = decoder._class_values(i, old[:, h.column], decoder._base(h, old, new))
        match = (values == new[:, h.column, None]) & (torch.tensor(h.kinds) != FREE)
        assert match.any(1).all(), h.field.name
        logits[:, h.row0 : h.row0 + h.n_classes].masked_fill_(match, 50.0)
    assert torch.equal(decoder.decode(logits, old), new)
    losses = decoder.loss(logits, old, new, torch.ones(len(old)))
    assert max(float(v) for v in losses.values()) < 1e-3


def test_unimix_bounds_what_a_surprise_costs(data: PackedReplays) -> None:
    old, new = (torch.from_numpy(rows[:200]) for rows in data.transitions())
    decoder = HeadDecoder(fit_heads(FIGHTER, *data.transitions()))
    head = next(h for h in decoder.heads if h.field.name == "action_state")
    n, rows = head.n_classes, sum(h.n_classes + (h.free_row >= 0) for h in decoder.heads)
    wrong = torch.zeros(200, rows)
    wrong[:, head.row0 : head.row0 + n].masked_fill_(
        torch.tensor(head.consts) != new[:, head.column, None], 60.0
    )
    ones = torch.ones(200)
    plain = decoder.loss(wrong, old, new, ones)["action_state"]
    decoder.unimix = 0.01
    mixed = decoder.loss(wrong, old, new, ones)["action_state"]
    assert plain > 50 and float(mixed) == pytest.approx(-np.log(0.01 / n), rel=1e-3)
    even = decoder.loss(torch.zeros(200, rows), old, new, ones)["action_state"]
    assert float(even) == pytest.approx(np.log(n), rel=1e-4)


def test_refitting_keeps_what_stays_and_takes_over_the_nearest_constant(
    model: WorldModel, data: PackedReplays
) -> None:
    same = refit(model, data)
    assert torch.equal(same.head.weight, model.head.weight)
    light = [falling(s) for s in range(6)]
    for replay in light:  # gravity 100 becomes 60: the falls' steps change, nothing else is looked at
        players = replay.frames["players"]
        falls = np.diff(players["speed_y"].astype(int), axis=0) == -100
        players["speed_y"][1:] += np.where(falls, 40, 0).astype(np.int16)
    child = refit(model, PackedReplays(FIGHTER, light))
    before, after = (next(h for h in m.heads if h.field.name == "speed_y") for m in (model, child))
    new = after.row0 + after.consts.index(-60)
    assert torch.equal(child.head.weight[new], model.head.weight[before.row0 + before.consts.index(-100)])


def test_finer_features_change_nothing_at_first(model: WorldModel, data: PackedReplays) -> None:
    fields = tuple(replace(f, scales=(*f.scales, Scale(3.0, center=1.0))) for f in FIGHTER.player_fields)
    child = with_features(model, replace(FIGHTER, player_fields=fields))
    assert child.table.width > model.table.width
    game = falling(3)
    starts = np.array([4, 9])
    for old, new in zip(
        TorchRunner(model).run(game, starts, 5), TorchRunner(child).run(game, starts, 5), strict=True
    ):
        assert np.array_equal(old["players"], new["players"])


def test_added_layers_change_nothing_at_first(model: WorldModel) -> None:
    child = with_layers(model, model.config.n_layers + 2)
    assert len(child.layers) == child.config.n_layers == model.config.n_layers + 2
    game, starts = falling(3), np.array([4, 9])
    for old, new in zip(
        TorchRunner(model).run(game, starts, 5), TorchRunner(child).run(game, starts, 5), strict=True
    ):
        assert np.array_equal(old["players"], new["players"])
    with pytest.raises(ValueError, match="at least the"):
        with_layers(child, 1)


def test_added_width_changes_nothing_at_first_and_learns(model: WorldModel, data: PackedReplays) -> None:
    # without the convolution's grid, where what lies between two steps may round to the other
    c = replace(model.config, conv_reach=0.0)
    smooth = WorldModel(c, model.schema, model.heads)
    smooth.load_state_dict(model.state_dict())
    model = smooth
    child = with_width(model, c.d_model + 32)
    for norm in (m for m in child.modules() if isinstance(m, RMSNorm)):
        norm.eps *= c.d_model / child.config.d_model  # of the mean over the old part alone
    assert child.config.nheads > c.nheads and child.n_params > model.n_params
    batch = Streams(data, 4, 16, 0).next(0)
    raw = model.views(*(part[:, :16] for part in (batch.globals, batch.players, batch.inputs)))
    memory = [m.initial_state(4) for m in (model, child)]
    with torch.no_grad():
        (old, _), (new, after) = (m(raw, s) for m, s in zip((model, child), memory, strict=True))
    assert float((old - new).abs().max()) < 1e-3 * float(old.abs().max())
    assert all(float(layer.ssm[:, c.nheads :].abs().max()) == 0 for layer in after)
    child(raw, memory[1])[0].square().mean().backward()
    for layer in child.mixers:
        x = slice(child.config.d_inner + c.d_inner, 2 * child.config.d_inner)
        for gradient in (layer.in_proj.weight.grad[x], layer.out_proj.weight.grad[c.d_model :]):
            assert float(gradient.abs().max()) > 0
    assert float(child.embed.weight.grad[c.d_model :].abs().max()) > 0
    with pytest.raises(ValueError, match="at least the model's"):
        with_width(child, 8)


def test_streams_walk_replays_in_order(data: PackedReplays) -> None:
    streams = Streams(data, 5, 16, 3)
    first, second = streams.next(), streams.next()
    on = ~second.fresh
    assert first.fresh.all() and on.any()
    assert torch.equal(first.players[on, -1], second.players[on, 0])
    assert torch.equal(second.globals[~on, 0, 0], torch.zeros(int((~on).sum()), dtype=torch.int64))


def test_training_learns_and_resumes(data: PackedReplays, tmp_path) -> None:
    config = TrainConfig(
        steps=40, lanes=8, length=24, lr=5e-3, self_forcing=((30, 3),), model=TINY, save_every=20
    )
    trainer = Trainer(data, config, tmp_path)
    first = trainer.train_step()["loss"]
    trainer.run(progress=False)
    assert trainer.step == 40
    again = Trainer(data, config, tmp_path)
    assert again.step == 40 and again.train_step()["loss"] < 0.5 * first
    model, notes = load_checkpoint(tmp_path / "last.safetensors")
    assert notes["step"] == 40 and len(notes["data_sha256"]) == 64
    assert torch.equal(model.head.weight, trainer.model.head.weight)
    with pytest.raises(ModelFileError, match="another model"):
        Trainer(data, TrainConfig(model=ModelConfig(d_model=64)), tmp_path)


def test_a_run_on_other_data_is_only_gone_on_with_if_asked(data: PackedReplays, tmp_path) -> None:
    config = TrainConfig(steps=1, lanes=2, length=8, model=TINY)
    Trainer(data, config, tmp_path).run(progress=False)
    other = PackedReplays(FIGHTER, [falling(77)])
    with pytest.raises(ModelFileError, match=rf"{data.sha256()} \(got {other.sha256()}\).*--other-data"):
        Trainer(other, config, tmp_path)
    again = Trainer(other, config, tmp_path, other_data=True)
    assert again.step == 1 and again.describe()["data_sha256"] == other.sha256()


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("config", None),
        ("config", '{"warp": 1}'),
        ("schema", "{}"),
        ("heads", "[1]"),
        ("notes", "{"),
        ("notes", "[1]"),
    ],
)
def test_a_checkpoint_that_describes_no_network(
    tmp_path: Path, model: WorldModel, part: str, said: str | None
) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, model, {})
    with safe_open(str(path), framework="pt") as file:
        metadata = dict(file.metadata())
    metadata.pop(part)
    save_file(model.state_dict(), path, metadata | ({part: said} if said else {}))
    with pytest.raises(ModelFileError, match=r"a\.safetensors describes no network"):
        load_checkpoint(path)


def test_bad_checkpoints_are_named(tmp_path, model: WorldModel) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, model, {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="cannot read"):
        load_checkpoint(path)
    with pytest.raises(ModelFileError, match="cannot read"):
        load_checkpoint(tmp_path / "missing.safetensors")


def test_evaluation_reports_errors_and_baselines(model: WorldModel) -> None:
    result = evaluate(
        TorchRunner(model), [falling(90), falling(91)], horizons=(1, 5), starts=20, progress=False
    )
    assert result.games == 2 and set(result.free) == {1, 5}
    row = result.free[1]
    assert 0 < row["velocity_rc"] < row["frozen_rc"] < row["rc"] + 100
    assert row["frozen_action_acc"] > 0.5
    assert choose_starts(10, 60).size == 0
    with pytest.raises(ValueError, match="longer than"):
        evaluate(TorchRunner(model), [falling(1, 20)], progress=False)
