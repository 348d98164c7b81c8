"""What if: take a frame of a recording, change something, and let a world run on from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from awm_kit.action_states import Family, family_of
from awm_kit.data.bumper import BUMPER
from awm_kit.data.replay import Replay, as_record, clean_frame
from awm_kit.data.scuffle import Params, Scuffle
from awm_kit.play.controllers import Controller
from awm_kit.play.film import Film, Take
from awm_kit.play.games import state_number
from awm_kit.play.inspector import Inspector
from awm_kit.play.palette import LIVERIES
from awm_kit.play.recordings import Recording, game_of, open_recording
from awm_kit.play.reruns import Physics
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME, N_PLAYERS, STATUS_PLAYING, Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from awm_kit.play.replay_player import ReplayPlayer

_TITLES = "as it was", "what if"
#: Player index to field name to value in real units; an action state may be given by its name.
Edits = Mapping[int, Mapping[str, float | str]]
#: From a frame and the controllers to the next frame.
Step = Callable[[np.ndarray, np.ndarray], np.ndarray]


def edit_frame(frame: np.ndarray, edits: Edits, schema: Schema = FIGHTER) -> np.ndarray:
    """A copy of a frame in which some fields have other values.

    Parameters
    ----------
    frame : ndarray, scalar of `FRAME` or of the schema's own frame dtype
    edits : mapping
        As ``{0: {"percent": 120, "x": -30.5}, 1: {"action_state": "Fall"}}``, in real units.
    schema : Schema
        Of the frame's game.

    Returns
    -------
    ndarray, `FRAME` scalar

    Raises
    ------
    ValueError
        If there is no such player, field or action state, or a value is out of the field's range.
    """
    out = as_record(frame)
    fields = out.view(schema.frame_dtype)
    for player, values in edits.items():
        if player not in range(N_PLAYERS):
            raise ValueError(f"expected edits of player 0 or 1 (got {player})")
        for name, value in values.items():
            fields["players"][name][player] = _stored(schema, name, value)
    return out


def _stored(schema: Schema, name: str, value: float | str) -> np.ndarray:
    try:
        item = schema.player(name)
        named = name == "action_state" and isinstance(value, str)
        number = float(state_number(schema.name, str(value)) if named else value)
    except (KeyError, ValueError) as error:
        raise ValueError(f"cannot set {name} to {value!r}: {error}") from error
    if not item.lo <= number <= item.hi:
        raise ValueError(f"expected {name} of {item.lo:g}..{item.hi:g} {item.unit} (got {number:g})")
    return item.to_stored(number)


@dataclass(frozen=True)
class WhatIf:
    """A recording, and how it would have gone on from one of its frames.

    Attributes
    ----------
    start : int
        The frame that was changed; up to there both are the same.
    original, branch : Replay
        Both from the recording's first frame on.
    """

    start: int
    original: Replay
    branch: Replay

    def __repr__(self) -> str:
        return f"<WhatIf from frame {self.start}, {len(self.branch) - 1 - self.start} frames>"

    def distance(self, player: int) -> np.ndarray:
        """How far apart the two are, game units, float64: one value a frame from ``start`` on."""
        n = min(len(self.original), len(self.branch))
        places = [_places(r, slice(self.start, n), player) for r in (self.original, self.branch)]
        gaps: np.ndarray = np.hypot(*(places[0] - places[1]).T)
        return gaps

    def player(self) -> ReplayPlayer:
        """Both side by side in a notebook, at the frame that was changed."""
        from awm_kit.play.replay_player import ReplayPlayer

        shown = ReplayPlayer(self.original, overlay=self.branch, layout="beside", titles=_TITLES)
        shown.seek(self.start)
        return shown

    def film(self, scale: float = 0.5) -> Film:
        """Both side by side from the changed frame on, for `render_gif` and `render_mp4`."""
        n = len(self.branch)
        takes = zip((self.original, self.branch), _TITLES, strict=True)
        game = game_of(self.original)
        return Film([Take(r.frames[self.start : n], title, game=game) for r, title in takes], scale)

    def plot(self) -> Figure:
        """Paths of both players over the stage, and height and percent against the frame."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 3.4), layout="constrained")
        paths, heights, damage = figure.subplots(1, 3, width_ratios=(1.4, 1, 1))
        for player in range(N_PLAYERS):
            color = "#{:02x}{:02x}{:02x}".format(*LIVERIES[player].main)
            for replay, style in ((self.original, ":"), (self.branch, "-")):
                span = slice(self.start, len(self.branch))
                frames = replay.frames[span]
                label = f"P{player + 1}, {_TITLES[style == '-']}"
                numbers, places = np.arange(len(frames)) + self.start, _places(replay, span, player)
                paths.plot(*places.T, style, color=color, label=label)
                heights.plot(numbers, places[:, 1], style, color=color)
                damage.plot(numbers, frames["players"]["percent"][:, player] / 64, style, color=color)
        paths.set(xlabel="x (units)", ylabel="y (units)", title=f"from frame {self.start} on")
        paths.legend(fontsize=7)
        heights.set(xlabel="frame", title="height (units)")
        damage.set(xlabel="frame", title="percent")
        return figure


def what_if(
    world: Physics,
    recording: Recording | Inspector,
    start: int,
    edits: Edits | None = None,
    lift: float = 0.0,
    frames: int = 300,
    players: Sequence[Controller] | None = None,
) -> WhatIf:
    """Change a frame of a recording and let a world run on from it.

    Parameters
    ----------
    world : Cartridge or Params
        What computes the branch: a world, one with other physics, or the teacher. A world's memory is
        filled with the recording up to ``start``.
    recording : Recording or Inspector
        An `Inspector` of the same world saves the time to fill the memory again.
    start : int
        Index of the frame to change.
    edits : mapping, optional
        See `edit_frame`.
    lift : float
        Added to the vertical speed of whoever is in the air, units/frame² (0.1 half undoes Fox's gravity
        of 0.1875): physics that the world never saw, frame by frame.
    frames : int
        Length of the branch at most; it ends when the match is over.
    players : sequence of two controllers, optional
        Who plays the branch; by default the recorded inputs go on, and then both let go.

    Returns
    -------
    WhatIf

    Raises
    ------
    ValueError
        If there is no such frame, an edit is out of range, or ``frames`` is less than 1.
    """
    if frames < 1:
        raise ValueError(f"expected at least 1 frame (got {frames})")
    if players is not None and len(players) != N_PLAYERS:
        raise ValueError(f"expected {N_PLAYERS} controllers (got {len(players)})")
    schema = FIGHTER if isinstance(world, Params) else world.manifest.schema
    if lift and schema.name != FIGHTER.name:
        raise ValueError(f"expected no lift in a world of {schema.name} (got {lift:g})")
    replay, step = _teacher(world, recording, start) if isinstance(world, Params) else _world(
        world, recording, start
    )  # fmt: skip
    last = start + frames
    branch = Replay(
        np.zeros(last + 1, FRAME), np.zeros((last + 1, N_PLAYERS), CONTROLLER), "what if", dict(replay.meta)
    )
    branch.frames[:start], branch.inputs[: start + 1] = replay.frames[:start], replay.inputs[: start + 1]
    frame = branch.frames[start] = edit_frame(replay.frames[start, ...], edits or {}, schema)
    end = start
    while end < last and frame["status"] == STATUS_PLAYING:
        end += 1
        branch.inputs[end] = _controllers(replay, end, frame, players)
        frame = branch.frames[end] = _lifted(as_record(step(frame, branch.inputs[end])), lift)
    return WhatIf(start, replay, branch[: end + 1])


def _world(world: Cartridge, recording: Recording | Inspector, start: int) -> tuple[Replay, Step]:
    if not isinstance(recording, Inspector) or recording.world.world_hash != world.world_hash:
        recording = Inspector(world, recording.replay if isinstance(recording, Inspector) else recording)
    native, state = recording.native, recording.state(start)
    return recording.replay, lambda frame, pads: native.step(state, frame, pads)


def _teacher(params: Params, recording: Recording | Inspector, start: int) -> tuple[Replay, Step]:
    replay = recording.replay if isinstance(recording, Inspector) else open_recording(recording)
    if not 0 <= start < len(replay):
        raise ValueError(f"expected a frame of 0..{len(replay) - 1} (got {start})")
    held = replay.inputs[start]

    def step(frame: np.ndarray, pads: np.ndarray) -> np.ndarray:
        nonlocal held
        # Anew from every frame: what was edited or lifted since counts.
        game = Scuffle.from_frames(frame, params, held)
        held = pads
        return game.step(pads[None])[0, ...]

    return replay, step


def _controllers(
    replay: Replay, index: int, frame: np.ndarray, players: Sequence[Controller] | None
) -> np.ndarray:
    if players is None and index < len(replay):
        return np.array(replay.inputs[index], CONTROLLER)
    pads: np.ndarray = np.zeros(N_PLAYERS, CONTROLLER)
    for player, controller in enumerate(players or ()):
        pads[player] = controller(frame)
    return pads


def _lifted(frame: np.ndarray, lift: float) -> np.ndarray:
    if not lift:
        return frame
    out, speed = clean_frame(frame), FIGHTER.player("speed_y")
    for player in out["players"]:
        if not player["on_ground"] and family_of(int(player["action_state"])) not in _HELD:
            player["speed_y"] = speed.to_stored(float(speed.to_real(player["speed_y"])) + lift)
    return out


#: Families of action states that no force moves.
_HELD = (Family.DEAD, Family.RESPAWN, Family.LEDGE, Family.GRABBED)


def _places(replay: Replay, span: slice, player: int) -> np.ndarray:
    """Positions in game units, float64, shape (n, 2)."""
    schema = BUMPER if game_of(replay) == BUMPER.name else FIGHTER
    players = replay.frames["players"][span, player]  # of whatever game, x and y are the first two
    return np.stack([schema.player(name).to_real(players[name]) for name in ("x", "y")], 1)
