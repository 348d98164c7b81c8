"""``scuffle``: a deterministic two-player platform fighter in NumPy, the teacher of the synthetic worlds."""

from awm_kit.data.scuffle.game import Scuffle, initial_frame, play
from awm_kit.data.scuffle.matches import generate, match_setup
from awm_kit.data.scuffle.params import FOX, MARTH, CharacterParams, Params
from awm_kit.data.scuffle.players import ScriptedPlayer
from awm_kit.data.scuffle.stage import STAGES, Stage
from awm_kit.data.scuffle.styles import STYLE_NAMES, STYLES, Style

__all__ = [
    "FOX",
    "MARTH",
    "STAGES",
    "STYLES",
    "STYLE_NAMES",
    "CharacterParams",
    "Params",
    "ScriptedPlayer",
    "Scuffle",
    "Stage",
    "Style",
    "generate",
    "initial_frame",
    "match_setup",
    "play",
]
