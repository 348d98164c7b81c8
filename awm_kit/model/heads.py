"""Heads: the next value of every learned field as a choice among constants seen in the data.

Physics advances mostly by exact amounts (gravity, friction, a jump's impulse, "stays as it is"), so a
``mix`` head classifies over a codebook of the most frequent of them, fitted to the replays, and
regresses only what is left. A choice, unlike a regressed number, does not drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from awm_kit.schema import Field, Schema

OLD, BASE, SET, FREE = range(4)  # what a class means for its constant; the numbers of layout.ClassKind
LOGIT_ONE = 4096  # logits travel as integers in Q12
FREE_CLIP = 8.0
_MIN_SHARE = 2e-5  # a constant rarer than this among transitions is not worth a row
_FEWEST_FAR = 2  # of values out of reach; one alone may be a slip of the recording


@dataclass(frozen=True)
class Head:
    """One player field and how its logits decode; see NUMERICS.md, DECODE.

    Attributes
    ----------
    field : Field
    row0, n_classes : int
        Rows of the logit vector.
    kinds, consts : tuple of int
        Meaning of each class.
    free_row : int
        Row of the regressed step, -1 for none.
    column : int
        Column among the schema's player fields.
    velocities : tuple of int
        Columns of the fields whose new values belong to the base.
    """

    field: Field
    row0: int
    n_classes: int
    kinds: tuple[int, ...]
    consts: tuple[int, ...]
    free_row: int
    column: int
    velocities: tuple[int, ...]

    @property
    def free_scale(self) -> float:
        """Stored units of one unit of the companded free step."""
        return _free_scale(self.field)

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest stored value."""
        one = 1 << self.field.frac_bits
        return round(self.field.lo * one), round(self.field.hi * one)


def _free_scale(item: Field) -> float:
    return item.update.free_scale * (1 << item.frac_bits)


def fit_heads(schema: Schema, old: np.ndarray, new: np.ndarray) -> list[Head]:
    """Build the head table with codebooks of the most frequent exact transitions.

    Parameters
    ----------
    old, new : ndarray of int, shape (n, n_player_fields)
        Player records before and after a frame.

    Returns
    -------
    list of Head
        In decode order: the field that leads, then those that others' bases need.
    """
    names = [f.name for f in schema.player_fields]
    fields = [f for f in schema.player_fields if f.update.kind != "hold"]
    heads: list[Head] = []
    row = 0
    for item in sorted(fields, key=lambda f: (not f.update.leads, len(f.update.velocities))):
        column = names.index(item.name)
        velocities = tuple(names.index(v) for v in item.update.velocities)
        if item.update.kind == "class":
            consts = tuple(int(v) for v in np.unique(np.concatenate([old[:, column], new[:, column]])))
            kinds = (SET,) * len(consts)
        else:
            base = old[:, column] + item.update.step + new[:, list(velocities)].sum(1)
            kinds, consts = _fit_codebook(item, old[:, column], base, new[:, column])
        free_row = row + len(kinds) if item.update.free else -1
        heads.append(Head(item, row, len(kinds), kinds, consts, free_row, column, velocities))
        row += len(kinds) + (free_row >= 0)
    return heads


def leading(heads: list[Head]) -> Head | None:
    """The head that is chosen before the others, if there is one; it is the first."""
    return heads[0] if heads[0].field.update.leads else None


def n_logits(heads: list[Head]) -> int:
    """Rows of the head matrix."""
    return max(max(h.row0 + h.n_classes, h.free_row + 1) for h in heads)


def _fit_codebook(
    item: Field, old: np.ndarray, base: np.ndarray, new: np.ndarray
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Greedy: repeatedly take the constant step or value that explains most of what is left.

    Values that no regressed step reaches come first, however rare: whoever is not put where a lost life goes
    on falls below the stage for good.
    """
    entries = [(OLD, 0)] if not item.update.step else [(BASE, 0)]
    if item.update.velocities:
        entries.append((BASE, 0))
    left = np.ones(len(new), bool)
    reference = {OLD: old, BASE: base, SET: np.zeros_like(new)}
    for kind, const in entries:
        left &= np.abs(reference[kind] + const - new) > item.update.tolerance
    if item.update.free:
        far = left & (np.abs(new - base) > FREE_CLIP * (1 + FREE_CLIP) * _free_scale(item))
        while len(entries) < item.update.codebook // 2 and far.any():
            count, const = _most_common(new[far])
            if count < _FEWEST_FAR:
                break
            entries.append((SET, const))
            missed = np.abs(const - new) > item.update.tolerance
            left, far = left & missed, far & missed
    floor = max(3, int(_MIN_SHARE * len(new)))
    while len(entries) < item.update.codebook and left.any():
        steps, values = new[left] - base[left], new[left]
        if item.update.increase_only:
            steps = steps[steps > 0]
        (count_b, const_b), (count_s, const_s) = _most_common(steps), _most_common(values)
        kind, const, count = (BASE, const_b, count_b) if count_b >= count_s else (SET, const_s, count_s)
        if count < floor:
            break
        entries.append((kind, const))
        left &= np.abs(reference[kind] + const - new) > item.update.tolerance
    if item.update.free:
        entries.append((FREE, 0))
    return tuple(k for k, _ in entries), tuple(c for _, c in entries)


def _most_common(values: np.ndarray) -> tuple[int, int]:
    if not len(values):
        return 0, 0
    unique, counts = np.unique(values, return_counts=True)
    best = int(np.argmax(counts))
    return int(counts[best]), int(unique[best])


class HeadDecoder(torch.nn.Module):
    """Loss and decoding of a head table on integer tensors; decoding repeats the deployed arithmetic.

    The loss takes a share ``unimix`` of each head's probability as spread evenly over its classes, which
    bounds what a single surprise costs, and its gradient. ``free_weight`` is the weight of regressed steps.
    """

    def __init__(self, heads: list[Head]) -> None:
        super().__init__()
        self.heads, self.unimix, self.free_weight = heads, 0.0, 2.0
        for i, head in enumerate(heads):
            self.register_buffer(f"kinds{i}", torch.tensor(head.kinds), False)
            self.register_buffer(f"consts{i}", torch.tensor(head.consts), False)
            self.register_buffer(f"weights{i}", torch.ones(head.n_classes), False)

    def loss(self, logits: Tensor, old: Tensor, new: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Negative log-likelihood of the true next values, per head.

        Several classes may give the same value (standing still is both "as before" and "0"), so the
        likelihood of a value is the sum over all classes that produce it.

        Parameters
        ----------
        logits : Tensor, shape (n, n_logits)
        old, new : Tensor of int64, shape (n, n_player_fields)
            True records before and after.
        weight : Tensor, shape (n,)

        Returns
        -------
        dict
            Field name -> weighted mean loss.
        """
        total = weight.sum().clamp(min=1e-6)
        losses = {}
        widths = [h.n_classes + (h.free_row >= 0) for h in self.heads]
        # one split, not one slice a head: each slice's gradient would be a zero-filled copy of all logits
        for i, (head, rows) in enumerate(zip(self.heads, logits.split(widths, 1), strict=True)):
            item = self._mix_loss(i, head, rows, old, new)
            losses[head.field.name] = (item * weight).sum() / total
        return losses

    def _mix_loss(self, i: int, head: Head, rows: Tensor, old: Tensor, new: Tensor) -> Tensor:
        match, unmatched = self._matches(i, head, old, new)
        has_free = head.free_row >= 0
        logp = F.log_softmax(rows[:, : head.n_classes], 1).masked_fill(~match, -1e9)
        item = -torch.logsumexp(logp, 1)
        if self.unimix:
            even = match.sum(1) / head.n_classes
            item = -torch.log((1 - self.unimix) * torch.exp(-item) + self.unimix * even)
        if has_free:
            rest = new[:, head.column] - self._base(head, old, new)
            step = _compress(rest.to(torch.float32) / head.free_scale)
            miss = F.smooth_l1_loss(rows[:, -1], step, reduction="none", beta=0.05)
            item = item + self.free_weight * miss * unmatched
        weighted: Tensor = item * getattr(self, f"weights{i}")[match.to(torch.uint8).argmax(1)]
        return weighted

    def _matches(self, i: int, head: Head, old: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
        """Which classes give the true value, (n, classes); and where no constant does, (n,)."""
        target = new[:, head.column]
        values = self._class_values(i, old[:, head.column], self._base(head, old, new))
        kinds = getattr(self, f"kinds{i}")
        match = ((values - target[:, None]).abs() <= head.field.update.tolerance) & (kinds != FREE)
        unmatched = ~match.any(1)
        rest = (kinds == FREE) if head.free_row >= 0 else _nearest(values, target)
        return match | (unmatched[:, None] & rest), unmatched

    def balance(self, old: Tensor, new: Tensor, power: float, most: float = 8.0) -> None:
        """Weigh each head's classes by their frequency to the power ``-power``, from 1 up to ``most``.

        Knock-outs, hits and ledge grabs are a few frames in ten thousand, and a match turns on them.

        Parameters
        ----------
        old, new : Tensor of int64, shape (n, n_player_fields)
            Transitions to count in.
        """
        for i, head in enumerate(self.heads):
            chosen = self._matches(i, head, old, new)[0].to(torch.uint8).argmax(1)
            share = torch.bincount(chosen, minlength=head.n_classes).clamp(min=1) / len(old)
            weights = (share / share.max()).pow(-power).clamp(1.0, most)
            getattr(self, f"weights{i}").copy_(weights.to(torch.float32))

    @staticmethod
    def _base(head: Head, old: Tensor, new: Tensor) -> Tensor:
        base = old[:, head.column] + head.field.update.step
        for v in head.velocities:
            base = base + new[:, v]
        return base

    def _class_values(self, i: int, old: Tensor, base: Tensor) -> Tensor:
        kinds, consts = getattr(self, f"kinds{i}"), getattr(self, f"consts{i}")
        start = torch.where(kinds == OLD, old[:, None], torch.where(kinds == SET, 0, base[:, None]))
        values: Tensor = start + consts
        return values

    def index_of(self, value: Tensor) -> Tensor:
        """Classes of the leading head for values of its field; the nearest one where a value has none."""
        consts = self.get_buffer("consts0")
        miss = (value.reshape(-1, 1) - consts).abs()
        return miss.argmin(1).reshape(value.shape)

    def choices(self, logits: Tensor) -> dict[str, Tensor]:
        """Field name -> probabilities of its classes, shape (n, n_classes)."""
        spans = {h.field.name: slice(h.row0, h.row0 + h.n_classes) for h in self.heads}
        return {name: F.softmax(logits[:, span], 1) for name, span in spans.items()}

    def decode(self, logits: Tensor, old: Tensor) -> Tensor:
        """Next player records: float ``logits`` (n, n_logits), int64 ``old`` (n, fields) -> like ``old``."""
        new = old.clone()
        for i, head in enumerate(self.heads):
            choice = logits[:, head.row0 : head.row0 + head.n_classes].argmax(1)
            base = self._base(head, old, new)
            value = self._class_values(i, old[:, head.column], base).gather(1, choice[:, None])[:, 0]
            if head.free_row >= 0:
                free = self._free_step(head, logits[:, head.free_row])
                value = torch.where(getattr(self, f"kinds{i}")[choice] == FREE, base + free, value)
            new[:, head.column] = value.clamp(*head.limits)
        return new

    @staticmethod
    def _free_step(head: Head, logit: Tensor) -> Tensor:
        x = logit.clamp(-FREE_CLIP, FREE_CLIP)
        step = (x * (1 + x.abs()) * head.free_scale).round().to(torch.int64)
        return step.clamp(min=0) if head.field.update.increase_only else step


def _compress(step: Tensor) -> Tensor:
    """Inverse of ``u (1 + |u|)``: fine near zero, wide in reach."""
    return step.sign() * (torch.sqrt(1 + 4 * step.abs()) - 1) / 2


def _nearest(values: Tensor, target: Tensor) -> Tensor:
    miss = (values - target[:, None]).abs()
    return miss == miss.min(1, keepdim=True).values
