"""Scripted players: they see the frame, decide a few times a second, and hold their controllers like people.

A decision is a controller state held for some frames: sticks stay put, buttons go up again after
a few. What is decided depends on the situation (offstage, on the ledge, holding the other, near,
far, …), on the player's `Style` and on hashes of (seed, player, frame), so a player is a
deterministic function of what it has seen, whoever else plays beside it.
"""

from __future__ import annotations

import numpy as np

from awm_kit.data.scuffle.actions import FLAGS, Flag
from awm_kit.data.scuffle.decisions import View, decide
from awm_kit.data.scuffle.dice import Dice, hash32
from awm_kit.data.scuffle.state import Pad, State
from awm_kit.data.scuffle.styles import STYLE_NAMES, STYLE_TABLE, STYLES
from awm_kit.schema import CONTROLLER


class ScriptedPlayers:
    """The players of N matches, shape (2, N).

    Parameters
    ----------
    styles : ndarray of int, shape (2, N)
        Indices into `STYLE_NAMES`.
    seeds : ndarray of int, shape (N,)
        One per match.
    """

    def __init__(self, styles: np.ndarray, seeds: np.ndarray) -> None:
        self.styles = np.asarray(styles, np.int32)
        n = self.styles.shape[1]
        self.key = np.stack([hash32(seeds, 101), hash32(seeds, 202)])
        self.skill = {name: table[self.styles] for name, table in STYLE_TABLE.items()}
        # How hard a person pushes the stick differs between people: 0.75..1 of full.
        self.strength = 0.75 + 0.25 * np.minimum((hash32(self.key, 7) % 8) / np.float32(4), 1)
        self.pad = Pad(n)
        self.wait = np.zeros((2, n), np.int32)
        self.press = np.zeros((2, n), np.int32)
        self.seen = np.full((2, n), -1, np.int32)

    def take(self, keep: np.ndarray) -> ScriptedPlayers:
        """The players of matches ``keep`` (indices or mask), copied."""
        part = object.__new__(ScriptedPlayers)
        for name in ("styles", "key", "strength", "wait", "press", "seen"):
            setattr(part, name, getattr(self, name)[:, keep])
        part.skill = {name: table[:, keep] for name, table in self.skill.items()}
        part.pad = self.pad.take(keep)
        return part

    def act(self, s: State) -> Pad:
        """Controllers for the step that follows the frames ``s``; a new `Pad` that may be kept."""
        self.wait -= 1
        self.press -= 1
        pad = self.pad.copy()
        np.copyto(pad.buttons, 0, where=self.press <= 0)
        for name in ("cx", "cy"):
            np.copyto(getattr(pad, name), 0, where=self.press <= 0)
        # A new situation of one's own (hit, landed, grabbed, …) is noticed a little later.
        changed = (s.action != self.seen) & ((FLAGS[s.action] & Flag.SHIELDING) == 0)
        self.wait = np.where(changed, np.minimum(self.wait, 3), self.wait)
        self.seen = s.action.copy()
        player, match = np.nonzero(self.wait <= 0)
        if len(player):
            self._decide(s, pad, player, match)
        self.pad = pad
        return pad

    def _decide(self, s: State, pad: Pad, player: np.ndarray, match: np.ndarray) -> None:
        view = View(s, player, match)
        dice = Dice(hash32(self.key[player, match], s.frame[match]))
        plan = decide(view, dice, {name: table[player, match] for name, table in self.skill.items()})
        strength = self.strength[player, match]
        for name in ("sx", "sy"):
            values = getattr(plan, name) * strength + (dice.below(5) - 2) * (getattr(plan, name) != 0)
            getattr(pad, name)[player, match] = np.clip(np.round(values), -80, 80)
        for name in ("cx", "cy", "left", "right", "buttons"):
            getattr(pad, name)[player, match] = getattr(plan, name)
        self.wait[player, match] = plan.hold
        self.press[player, match] = plan.press


class ScriptedPlayer:
    """One scripted player for a live match, in any world: it reads nothing but the visible frame.

    Parameters
    ----------
    style : str
        One of `STYLE_NAMES`.
    player_index : int
        0 or 1.
    seed : int
    """

    def __init__(self, style: str = "balanced", player_index: int = 1, seed: int = 0) -> None:
        if style not in STYLES:
            raise ValueError(f"expected a style of {', '.join(STYLE_NAMES)} (got {style!r})")
        if player_index not in (0, 1):
            raise ValueError(f"expected player_index 0 or 1 (got {player_index})")
        self.style, self.player_index = style, player_index
        styles = np.full((2, 1), STYLE_NAMES.index(style))
        self._players = ScriptedPlayers(styles, np.array([seed], np.uint32))

    def controller(self, frame: np.ndarray) -> np.ndarray:
        """The controller to apply after ``frame``.

        Parameters
        ----------
        frame : ndarray of `schema.FRAME`, shape ()

        Returns
        -------
        ndarray of `schema.CONTROLLER`, shape ()
        """
        pad = self._players.act(State.from_frames(np.asarray(frame).reshape(1)))
        controller = np.zeros((), CONTROLLER)
        controller[...] = pad.to_inputs()[0, self.player_index]
        controller["sequence"] = frame["frame"] + 1
        return controller
