"""`bumper`: a second game, no fighter. Two carts push each other off a round table."""

from awm_kit.data.bumper.drills import brinks, crashes
from awm_kit.data.bumper.game import initial_frame, step
from awm_kit.data.bumper.players import generate, scripted_matches
from awm_kit.data.bumper.schema import BUMPER, Act

__all__ = [
    "BUMPER",
    "Act",
    "brinks",
    "crashes",
    "generate",
    "initial_frame",
    "scripted_matches",
    "step",
]
