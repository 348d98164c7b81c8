"""Looking inside: what a world remembers at a frame, and what it thinks comes next, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from awm_kit.errors import ModelFileError
from awm_kit.kernel import NativeWorld
from awm_kit.play.games import state_name
from awm_kit.play.recordings import Recording, game_of, open_recording
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.integer_model import HeadTable, IntegerModel
from awm_kit.quant.layout import LOGIT_FRAC_BITS, ClassKind, SlotCode
from awm_kit.quant.manifest import unpack
from awm_kit.schema import N_PLAYERS, Field

#: A memory is kept every so many frames of a recording; those between are computed from it.
KEEP_EVERY = 64


@dataclass(frozen=True)
class Head:
    """What a world thinks of one field of one player in the next frame.

    Attributes
    ----------
    field : str
    player : int
    labels : tuple of str
        What each class means, as ``Wait``, ``= 4``, ``as before`` or ``by arithmetic +0.0938``.
    probabilities : ndarray of float64, shape (n_classes,)
        Softmax of the logits; the step itself takes the largest logit.
    chosen : int
        Index of the class that is taken.
    value : float
        What the field becomes, in real units.
    """

    field: str
    player: int
    labels: tuple[str, ...]
    probabilities: np.ndarray
    chosen: int
    value: float

    @property
    def entropy(self) -> float:
        """How undecided it is, in bits; 0 is certain."""
        p = self.probabilities[self.probabilities > 0]
        return max(float(-(p * np.log2(p)).sum()), 0.0)

    def top(self, n: int = 5) -> list[tuple[str, float]]:
        """The likeliest classes and their probabilities, likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")[:n]
        return [(self.labels[i], float(self.probabilities[i])) for i in order]

    def __repr__(self) -> str:
        best = ", ".join(f"{label} {p:.1%}" for label, p in self.top(3))
        return f"<Head P{self.player + 1} {self.field}: {best}>"


@dataclass(frozen=True)
class Row:
    """One line of the state table, in real units; ``truth`` is what the recording has next, if it goes on."""

    player: int
    field: str
    unit: str
    now: float
    predicted: float
    truth: float | None


@dataclass(frozen=True)
class Memory:
    """What one layer remembers of a match, seen from one player.

    Attributes
    ----------
    conv : ndarray of int8, shape (d_inner + 2 d_state, 4)
        The last four inputs of the causal convolution, newest last.
    ssm : ndarray of int16, shape (d_inner, d_state)
        The state of the selective scan.
    """

    conv: np.ndarray
    ssm: np.ndarray


class Inspection:
    """One frame of a recording, seen from inside a world.

    Attributes
    ----------
    index : int
        Position in the recording.
    game : str
        Name of the world's schema.
    frame, predicted : ndarray, scalar of the world's frame dtype
        The frame, and what the world makes of it.
    truth : ndarray, scalar of the same dtype, or None
        The recording's next frame; None at its end.
    inputs : ndarray of `CONTROLLER`, shape (2,)
        What both players press to reach the next frame.
    state : ndarray of uint8
        The world's memory before it sees ``frame``.
    logits : ndarray of int32, shape (n_views, n_logits), Q12
    """

    def __init__(
        self, inspector: Inspector, index: int, frame: np.ndarray, inputs: np.ndarray, state: np.ndarray
    ) -> None:
        self._model, self.index, self.frame, self.inputs, self.state = (
            inspector.model, index, frame, inputs, state,
        )  # fmt: skip
        self.game = inspector.game
        self.truth = None if index + 1 >= len(inspector) else inspector.frames[index + 1, ...]
        self._after = state.copy()
        self.predicted, self.logits = inspector.native.step_logits(self._after, frame, inputs)

    def __repr__(self) -> str:
        return f"<Inspection of frame {self.index}>"

    @property
    def n_layers(self) -> int:
        """Layers of the network."""
        return len(self._model.layers)

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """Every head of both players, in the order in which they are decoded."""
        return tuple(
            _head(self._model, table, view, self.logits[view], self.predicted)
            for view in range(self._model.n_views)
            for table in self._model.heads
        )

    def head(self, field: str, player: int = 0) -> Head:
        """The head of a field of a player; ``ValueError`` if there is none."""
        for head in self.heads:
            if (head.field, head.player) == (field, player):
                return head
        names = sorted({head.field for head in self.heads})
        raise ValueError(f"expected a field of {names} and player 0 or 1 (got {field!r}, {player})")

    def table(self) -> list[Row]:
        """Every field of both players: now, as the world continues it, and as the recording does."""
        rows = []
        for player in range(N_PLAYERS):
            for item in self._model.schema.player_fields:
                values = [
                    None if frame is None else float(item.to_real(frame["players"][player][item.name]))
                    for frame in (self.frame, self.predicted, self.truth)
                ]
                now, predicted, truth = values
                rows.append(Row(player, item.name, item.unit, now or 0.0, predicted or 0.0, truth))
        return rows

    def memory(self, layer: int, player: int = 0, after: bool = False) -> Memory:
        """What a layer remembers, before it sees this frame or ``after``.

        Raises
        ------
        ValueError
            If there is no such layer, or the world sees matches from player 0 only.
        """
        model = self._model
        if not (0 <= layer < len(model.layers) and 0 <= player < model.n_views):
            counts = f"0..{len(model.layers) - 1} and a player of 0..{model.n_views - 1}"
            raise ValueError(f"expected a layer of {counts} (got {layer}, {player})")
        data = (self._after if after else self.state).reshape(len(model.layers), model.n_views, -1)
        channels = model.d_inner + 2 * model.d_state
        conv, ssm = np.split(data[layer, player].copy(), [4 * channels])
        return Memory(
            conv.view(np.int8).reshape(channels, 4), ssm.view("<i2").reshape(model.d_inner, model.d_state)
        )


class Inspector:
    """A recording as a world sees it, frame by frame under the recorded inputs.

    Parameters
    ----------
    world : Cartridge
    recording : Recording
        See `awm_kit.play.recordings.open_recording`. Of a match that was played in this world the
        predictions are the next frames; of others they are what it would have done.

    Attributes
    ----------
    game : str
        Name of the world's schema.
    frames : ndarray of the world's frame dtype, shape (T,)
        The recording's.

    Raises
    ------
    ModelFileError
        If the world's frames have other fields than the recording's.
    """

    def __init__(self, world: Cartridge, recording: Recording) -> None:
        self.world, self.replay = world, open_recording(recording, world)
        self.native, self.model = NativeWorld(world), unpack(world)
        self.game = str(world.manifest.schema.name)
        if game_of(self.replay) != self.game:
            raise ModelFileError(f"{world.manifest.name} is a world of another game than the recording")
        self.frames = self.replay.frames.view(self.native.frame_dtype)
        self._kept = [self.native.initial_state()]

    def __repr__(self) -> str:
        return f"<Inspector of {self.world.manifest.name!r}, {len(self.replay)} frames>"

    def __len__(self) -> int:
        return len(self.replay)

    def state(self, index: int) -> np.ndarray:
        """The memory before frame ``index`` is seen, uint8; ``ValueError`` if there is no such frame."""
        if not 0 <= index < len(self.replay):
            raise ValueError(f"expected a frame of 0..{len(self.replay) - 1} (got {index})")
        while len(self._kept) <= index // KEEP_EVERY:
            self._kept.append(self._advanced(len(self._kept) - 1, KEEP_EVERY))
        return self._advanced(index // KEEP_EVERY, index % KEEP_EVERY)

    def at(self, index: int) -> Inspection:
        """Look at one frame; ``ValueError`` if there is none of that index."""
        state = self.state(index)
        after = min(index + 1, len(self.replay) - 1)  # at the end, the controllers stay as they are
        return Inspection(self, index, self.frames[index, ...], self.replay.inputs[after], state)

    def _advanced(self, kept: int, count: int) -> np.ndarray:
        state, first = self._kept[kept].copy(), kept * KEEP_EVERY
        for t in range(first, first + count):
            self.native.step(state, self.frames[t], self.replay.inputs[t + 1])
        return state


def inspect(world: Cartridge, recording: Recording | Inspector, frame: int) -> Inspection:
    """What a world remembers at a frame of a recording, and what it thinks comes next.

    Parameters
    ----------
    world : Cartridge
    recording : Recording or Inspector
        An `Inspector` remembers what it computed: take one to look at many frames.
    frame : int
        Index of the frame in the recording.

    Raises
    ------
    ValueError
        If there is no such frame.
    """
    inspector = recording if isinstance(recording, Inspector) else Inspector(world, recording)
    return inspector.at(frame)


def _head(
    model: IntegerModel, table: HeadTable, view: int, logits: np.ndarray, predicted: np.ndarray
) -> Head:
    scores = logits[table.row0 : table.row0 + table.n_classes].astype(np.float64) / (1 << LOGIT_FRAC_BITS)
    odds = np.exp(scores - scores.max())
    player = view if table.slot == SlotCode.SELF else 1 - view
    item = model.schema.player(table.name)
    return Head(
        field=table.name,
        player=player,
        labels=tuple(_labels(model.schema.name, item, table)),
        probabilities=odds / odds.sum(),
        chosen=int(np.argmax(scores)),
        value=float(item.to_real(predicted["players"][player][table.name])),
    )


def _labels(game: str, item: Field, table: HeadTable) -> list[str]:
    if not len(table.kinds):
        return [_named(game, item, value) for value in range(table.n_classes)]
    pairs = zip(table.kinds.tolist(), table.consts.tolist(), strict=True)
    return [_meaning(game, item, ClassKind(kind), const) for kind, const in pairs]


def _meaning(game: str, item: Field, kind: ClassKind, const: int) -> str:
    if kind == ClassKind.SET:
        return _named(game, item, const) if item.classes else f"= {_real(item, const):.4g}"
    change = f" {_real(item, const):+.4g}" if const else ""
    exact = "by arithmetic" if item.update.velocities or item.update.step else "as before"
    return {
        ClassKind.OLD: "as before" + change,
        ClassKind.BASE: exact + change,
        ClassKind.FREE: "by a free amount",
    }[kind]


def _real(item: Field, const: int) -> float:
    return float(item.to_real(np.asarray(const)))


def _named(game: str, item: Field, value: int) -> str:
    return state_name(game, value) if item.name == "action_state" else str(value)
