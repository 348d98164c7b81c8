"""Training: streams of replays with carried memory, then self-forced frames with the step that plays."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from awm_kit.errors import ModelFileError
from awm_kit.machine import cpu_name
from awm_kit.model.average import averaged
from awm_kit.model.calibrate import calibrate, on_grids
from awm_kit.model.checkpoint import load_checkpoint, load_optimizer, save_checkpoint, save_optimizer
from awm_kit.model.dataset import Batch, PackedReplays, Streams
from awm_kit.model.heads import fit_heads, leading
from awm_kit.model.logbook import Logbook
from awm_kit.model.mamba2 import LayerState
from awm_kit.model.metrics import events_of
from awm_kit.model.optimizers import make_optimizer
from awm_kit.model.practice import Lessons, Practice
from awm_kit.model.ranks import Ranks, device_of_process
from awm_kit.model.rounding import MATRICES, rounded
from awm_kit.model.spread import spread_outliers
from awm_kit.model.train_config import TrainConfig
from awm_kit.model.world import WorldModel, WorldState, seven_bits
from awm_kit.wording import counted


class Trainer:
    """One training run in a folder: ``last.safetensors``, ``optimizer.pt``, ``log.csv``.

    Started by torchrun, its processes share the lanes and take every step together (`Ranks`).

    Parameters
    ----------
    data : PackedReplays
    config : TrainConfig
    folder : Path
        Resumes from here if it holds a run.
    model : WorldModel, optional
        Start from these weights (fine-tuning) instead of new ones.
    notes : dict, optional
        Added to the checkpoint's notes.
    practice : Practice, optional
        Who lets the network play and corrects it; see `TrainConfig`.
    other_data : bool
        Go on with a run even though it began on other data.

    Raises
    ------
    ModelFileError
        If the folder holds a damaged run, one of another model or, unless ``other_data``, on other data.
    """

    def __init__(
        self,
        data: PackedReplays,
        config: TrainConfig,
        folder: Path | str,
        model: WorldModel | None = None,
        notes: dict[str, Any] | None = None,
        device: str | None = None,
        practice: Practice | None = None,
        other_data: bool = False,
    ) -> None:
        torch.manual_seed(config.seed)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.device = torch.device(device) if device else device_of_process()
        self.ranks = Ranks.joined(self.device)
        self.data, self.config, self.folder = data, config, Path(folder)
        self.step, self.seconds = 0, 0.0
        self.notes = dict(notes or {})
        known = {event.name: event for event in events_of(data.schema)}
        if unknown := [name for name, _ in config.rare_weights if name not in known]:
            raise ValueError(f"expected rare_weights of {sorted(known)} (got {unknown})")
        self._rare = [(known[name], weight) for name, weight in config.rare_weights]
        self.practice, self.turns = practice, deque[Lessons](maxlen=config.practice_keep)
        saved = self.folder / "last.safetensors"
        if saved.exists():
            model, before = load_checkpoint(saved)
            self._check_same_run(before, other_data)
            self.step, self.seconds = int(before["step"]), float(before["seconds"])
        elif model is None:
            model = WorldModel(config.model, data.schema, fit_heads(data.schema, *data.transitions()))
        self.model = model.to(self.device)
        self.average = self._new_average()
        self.model.use_bf16(config.bf16_on(self.device))
        if config.compiled:
            self.model.compile_layers()
        self.model.decoder.unimix, self.model.decoder.free_weight = config.unimix, config.free_weight
        self.ranks.same(self.model)
        if config.balance:
            old, new = (torch.from_numpy(rows) for rows in data.transitions(400_000))
            self.model.decoder.balance(old, new, config.balance)
        self.optimizer = make_optimizer(self.model, config.optimizer, config.lr, config.weight_decay)
        if saved.exists() and (self.folder / "optimizer.pt").exists():
            load_optimizer(self.folder / "optimizer.pt", self._restore)
        self.finishing = False
        self.streams = self._streams(data)
        self.state: WorldState = self.model.initial_state(config.lanes // self.ranks.world)

    def _streams(self, data: PackedReplays) -> Streams:
        config = self.config
        return Streams(
            data, config.lanes, config.length, config.seed + self.step, self.ranks.lanes(config.lanes)
        )

    def run(self, progress: bool = True) -> WorldModel:
        """Train to the end, saving as it goes; safe to interrupt and to call again."""
        progress = progress and self.ranks.first
        # A notebook's progress bar is messages; a queue of a thousand unread ones loses the rest.
        bar = tqdm(
            total=self.config.steps, initial=self.step, disable=not progress, unit="step", mininterval=1.0
        )
        try:
            for row in self._steps():
                bar.update()
                bar.set_postfix(loss=f"{row['loss']:.3f}", acc=f"{row['action_acc']:.4f}", refresh=False)
        finally:
            bar.close()
            self.save()
        self.model.load_state_dict(self._kept().state_dict())
        return self.model

    def save(self) -> None:
        """Write checkpoint and optimiser; of several processes only the first does."""
        if not self.ranks.first:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        state = self.optimizer.state_dict()
        if self.average is not None:
            state |= {"live": self.model.state_dict(), "n_averaged": self.average.n_averaged}
        save_optimizer(self.folder / "optimizer.pt", state)
        save_checkpoint(self.folder / "last.safetensors", self._kept(), self.describe())

    def _restore(self, state: dict[str, Any]) -> None:
        live, n_averaged = (state.pop(name, None) for name in ("live", "n_averaged"))
        self.optimizer.load_state_dict(state)
        if live is not None:
            self.model.load_state_dict(live)
        if self.average is not None and n_averaged is not None:
            self.average.n_averaged.copy_(n_averaged)

    def _kept(self) -> WorldModel:
        """The network of the checkpoint: the average where there is one."""
        return self.model if self.average is None else cast(WorldModel, self.average.module)

    def _new_average(self) -> AveragedModel | None:
        return averaged(self.model, self.config.average) if self.config.average else None

    def describe(self) -> dict[str, Any]:
        """Training notes for the checkpoint and, later, the manifest."""
        return {
            **self.notes,
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "data_sha256": self.data.sha256(),
            "frames": self.data.n_frames,
            "replays": len(self.data),
            "machine": self._machine(),
            "train": json.loads(json.dumps(asdict(self.config))),
        }

    def _machine(self) -> str:
        if self.device.type == "cuda":
            return f"{self.ranks.world} × {torch.cuda.get_device_name(self.device)}"
        threads = torch.get_num_threads() * self.ranks.world
        return f"{counted(threads, 'thread')} of {cpu_name()}"

    def _check_same_run(self, before: dict[str, Any], other_data: bool) -> None:
        expected = json.loads(json.dumps(asdict(self.config.model)))
        got = before.get("train", {}).get("model")
        if got != expected:
            raise ModelFileError(
                f"{self.folder.name} holds a run of another model: expected {expected} (got {got}); "
                "choose another folder or delete it"
            )
        trained, given = before.get("data_sha256"), self.data.sha256()
        if trained not in (None, given) and not other_data:
            raise ModelFileError(
                f"{self.folder.name} holds a run on other data: expected SHA-256 {trained} (got {given}); "
                "choose another folder, or go on all the same with --other-data (other_data=True)"
            )

    def _steps(self) -> Iterator[dict[str, float]]:
        with Logbook(self.folder, self.step) if self.ranks.first else nullcontext() as log:
            while self.step < self.config.steps:
                started = time.perf_counter()
                if self._practice_is_due():
                    self._practise()
                if not self.finishing and self.step >= self.config.steps - self.config.finish:
                    self._begin_finish()
                row = self.train_step()
                if self.average is not None:
                    self.average.update_parameters(self.model)
                self.step += 1
                self.seconds += time.perf_counter() - started
                if log:
                    log.write(self.step, row)
                if self.step % self.config.save_every == 0:
                    self.save()
                    if log:
                        log.flush()
                yield row

    def _begin_finish(self) -> None:
        config = self.config
        if self.step <= max(0, config.steps - config.finish):  # not again in a run that is resumed
            self.model.load_state_dict(self.ranks.from_first(self._spread))
            self.optimizer = make_optimizer(self.model, config.optimizer, config.lr, config.weight_decay)
            self.average = self._new_average()
        on_grids(self.model, self.ranks.from_first(lambda: calibrate(self.model, self.data)))
        self.finishing = True

    def _spread(self) -> dict[str, Tensor]:
        return spread_outliers(self.model, self.data).state_dict()

    def _practice_is_due(self) -> bool:
        since = self.step - self.config.practice_from
        if self.practice is None or since < 0:
            return False
        return not self.turns or since % self.config.practice_every == 0  # a resumed run has no turns yet

    def _practise(self) -> None:
        if self.practice is None:
            raise ValueError("expected somebody to practise with (got None)")
        practice, step = self.practice, self.step
        self.turns.append(self.ranks.from_first(lambda: practice.lessons(self.model, step)))
        lessons = Lessons(
            [r for turn in self.turns for r in turn.runs],
            [c for turn in self.turns for c in turn.corrections],
        )
        data = self.data
        if lessons.runs:
            extra = PackedReplays(data.schema, lessons.runs, lessons.corrections)
            data = data.joined(extra, self.config.practice_share)
        self.streams = self._streams(data)

    def train_step(self) -> dict[str, float]:
        """One optimiser step on the next window; returns loss, its parts and the action accuracy."""
        with ExitStack() as stack:
            if self.finishing:
                stack.enter_context(rounded(self.model, MATRICES, seven_bits))
            return self._train_step()

    def _train_step(self) -> dict[str, float]:
        rate = self.config.rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        horizon = self.config.horizon(self.step)
        batch = self.streams.next(horizon)
        state = _reset(self.state, batch.fresh.to(self.device), self.config.model.n_views)
        losses, accuracy, self.state = self._window(batch, state)
        loss = torch.stack(list(losses.values())).sum()
        if horizon:
            forced = self._self_forced(batch, self.state, horizon)
            loss = loss + forced
        self.optimizer.zero_grad()
        loss.backward()
        self.ranks.average(p.grad for p in self.model.parameters() if p.grad is not None)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.state = [LayerState(s.conv.detach(), s.ssm.detach()) for s in self.state]
        figures = torch.stack([*(v.detach() for v in losses.values()), accuracy])
        self.ranks.average([figures])
        *values, right = figures.tolist()
        parts = dict(zip(losses, values, strict=True))
        return {"loss": sum(values), "action_acc": right, "lr": rate, "grad": float(norm), **parts}

    def _window(self, batch: Batch, state: WorldState) -> tuple[dict[str, Tensor], Tensor, WorldState]:
        length = self.config.length
        g, p, c = (t.to(self.device) for t in (batch.globals, batch.players, batch.inputs))
        raw = self.model.views(g[:, :length], p[:, :length], c[:, :length])
        targets = batch.targets.to(self.device)
        logits, after = self.model(raw, state, self.model.chosen(targets[:, 1 : length + 1]))
        old, new = self._per_view(p[:, :length]), self._per_view(targets[:, 1 : length + 1])
        flat = logits.flatten(0, 1)
        weight = self._weight(old, new)
        if self.config.mistake_weight != 1:
            played = self._per_view(p[:, 1 : length + 1])[:, self._action]
            weight = torch.where(played != new[:, self._action], self.config.mistake_weight, weight)
        losses = self._losses(flat, old, new, weight)
        with torch.no_grad():
            guess = self.model.decoder.decode(flat, old)[:, self._action]
            accuracy = (guess == new[:, self._action]).float().mean()
        return losses, accuracy, after

    def _self_forced(self, batch: Batch, state: WorldState, horizon: int) -> Tensor:
        """Loss over frames that the network computes from its own output.

        Labels are the true transitions: asked from the drifted frame, the network would learn to
        jump back to the data (measured: it does, and free runs get worse).
        """
        length = self.config.length
        g, p, c = (t.to(self.device) for t in (batch.globals, batch.players, batch.inputs))
        targets = batch.targets.to(self.device)
        players = p[:, length]
        losses: list[Tensor] = []
        for t in range(length, length + horizon):
            chosen = self.model.chosen(targets[:, t + 1])
            logits, state = self.model.step(self.model.views(g[:, t], players, c[:, t]), state, chosen)
            old, new = self._per_view(p[:, t]), self._per_view(targets[:, t + 1])
            weight = self._weight(old, new)
            losses += self._losses(logits, old, new, weight).values()
            with torch.no_grad():
                players = self.model.decode(logits, players)
        return torch.stack(losses).sum() / horizon

    def _weight(self, old: Tensor, new: Tensor) -> Tensor:
        """How much each transition counts, (n, fields) before and after -> (n,): most are uneventful."""
        changed = old[:, self._action] != new[:, self._action]
        weight = torch.where(changed, self.config.event_weight, 1.0)
        names = [f.name for f in self.data.schema.player_fields]
        before, after = (dict(zip(names, rows.unbind(1), strict=True)) for rows in (old, new))
        for event, heavier in self._rare:
            weight = torch.where(event.happened(before, after), heavier, weight)
        return weight

    def _losses(self, logits: Tensor, old: Tensor, new: Tensor, weight: Tensor) -> dict[str, Tensor]:
        balance = self.ranks.balanced(weight)
        losses = {k: v * balance for k, v in self.model.decoder.loss(logits, old, new, weight).items()}
        if (lead := leading(self.model.heads)) is not None:
            losses[lead.field.name] = losses[lead.field.name] * self.config.lead_weight
        return losses

    def _per_view(self, players: Tensor) -> Tensor:
        """(n, [t,] 2, fields) -> rows in the order of the views' logits."""
        views = [players[..., v, :] for v in range(self.config.model.n_views)]
        return torch.cat(views, 0).flatten(0, -2)

    @property
    def _action(self) -> int:
        return next(h.column for h in self.model.heads if h.field.update.kind == "class")


def _reset(state: WorldState, fresh: Tensor, n_views: int) -> WorldState:
    keep = (~fresh).to(state[0].conv.dtype).repeat(n_views)
    return [LayerState(s.conv * keep[:, None, None], s.ssm * keep[:, None, None, None]) for s in state]
