"""What scripted players like to do, and how well they do it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Style:
    """Weights (0..1 each) of what a player likes to do, and how well it plays.

    Attributes
    ----------
    strike, grab, shield, dodge : float
        How often a close opponent is answered so.
    approach, leap, dance, camp : float
        Ways to spend time apart: run in, jump in, dash back and forth, keep away.
    chase : float
        Following the opponent off the stage.
    recover : float
        How reliably it comes back to the stage.
    noise : float
        Share of decisions that are random controls.
    pace : int
        Frames that a decision is held, at least.
    """

    strike: float = 0.75
    grab: float = 0.15
    shield: float = 0.1
    dodge: float = 0.1
    approach: float = 0.7
    leap: float = 0.25
    dance: float = 0.15
    camp: float = 0.05
    chase: float = 0.2
    recover: float = 0.97
    noise: float = 0.04
    pace: int = 4


STYLES: dict[str, Style] = {
    "balanced": Style(),
    "rusher": Style(
        strike=0.8, approach=0.8, leap=0.2, dance=0.05, shield=0.04, dodge=0.05, chase=0.3, pace=3
    ),
    "grabber": Style(strike=0.3, grab=0.55, shield=0.2, approach=0.6),
    "turtle": Style(strike=0.35, grab=0.2, shield=0.5, dodge=0.2, approach=0.2, camp=0.4, pace=6),
    "camper": Style(strike=0.5, approach=0.1, leap=0.2, camp=0.7, dodge=0.25),
    "jumper": Style(strike=0.6, approach=0.15, leap=0.8, dance=0.05, chase=0.5),
    "guard": Style(strike=0.7, chase=0.8, approach=0.4, recover=0.99, pace=3),
    "dancer": Style(strike=0.5, dance=0.7, approach=0.3, dodge=0.2),
    "novice": Style(strike=0.4, grab=0.1, approach=0.4, recover=0.85, noise=0.2, pace=9),
    "reckless": Style(strike=0.7, approach=0.5, leap=0.5, chase=0.9, recover=0.85, noise=0.1),
    "masher": Style(noise=0.7, recover=0.8, pace=3),
    "idler": Style(
        strike=0.15, grab=0.05, approach=0.1, leap=0.1, camp=0.3, noise=0.05, pace=14, recover=0.9
    ),
}
STYLE_NAMES = tuple(STYLES)
#: Weight -> its value in each style, in the order of `STYLE_NAMES`.
STYLE_TABLE = {
    f.name: np.array([getattr(style, f.name) for style in STYLES.values()], np.float32) for f in fields(Style)
}
