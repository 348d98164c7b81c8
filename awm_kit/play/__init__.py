"""Playing: engines, controllers, matches, and their view in a notebook.

Names are loaded when they are first used: the server extension lives in this package too, and a
Jupyter server should not load NumPy and canvases for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from awm_kit.play.app import PlayApp, play
    from awm_kit.play.controllers import (
        ClonedController,
        KeyboardMap,
        RandomController,
        RecordedController,
        ScriptedController,
        opponent,
    )
    from awm_kit.play.engine import Engine, NativeEngine, ReferenceEngine, TeacherEngine
    from awm_kit.play.engines import ENGINES, make_engine, start_frame
    from awm_kit.play.film import Film, Take
    from awm_kit.play.gif import render_gif, render_still
    from awm_kit.play.inspect_view import InspectView
    from awm_kit.play.inspector import Inspection, Inspector, inspect
    from awm_kit.play.keymap_menu import KeyMenu
    from awm_kit.play.lobby import Lobby
    from awm_kit.play.match import Match
    from awm_kit.play.places import Place, open_place
    from awm_kit.play.recordings import open_recording
    from awm_kit.play.replay_player import ReplayPlayer
    from awm_kit.play.reruns import rerun
    from awm_kit.play.video import render_mp4
    from awm_kit.play.whatif import WhatIf, edit_frame, what_if
    from awm_kit.play.world_browser import WorldBrowser

_HOMES = {
    "app": ("PlayApp", "play"),
    "controllers": (
        "ClonedController",
        "KeyboardMap",
        "RandomController",
        "RecordedController",
        "ScriptedController",
        "opponent",
    ),
    "engine": ("Engine", "NativeEngine", "ReferenceEngine", "TeacherEngine"),
    "engines": ("ENGINES", "make_engine", "start_frame"),
    "film": ("Film", "Take"),
    "gif": ("render_gif", "render_still"),
    "keymap_menu": ("KeyMenu",),
    "lobby": ("Lobby",),
    "inspect_view": ("InspectView",),
    "inspector": ("Inspection", "Inspector", "inspect"),
    "match": ("Match",),
    "places": ("Place", "open_place"),
    "recordings": ("open_recording",),
    "replay_player": ("ReplayPlayer",),
    "world_browser": ("WorldBrowser",),
    "reruns": ("rerun",),
    "video": ("render_mp4",),
    "whatif": ("WhatIf", "edit_frame", "what_if"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ENGINES",
    "ClonedController",
    "Engine",
    "Film",
    "InspectView",
    "Inspection",
    "Inspector",
    "KeyMenu",
    "KeyboardMap",
    "Lobby",
    "Match",
    "NativeEngine",
    "Place",
    "PlayApp",
    "RandomController",
    "RecordedController",
    "ReferenceEngine",
    "ReplayPlayer",
    "ScriptedController",
    "Take",
    "TeacherEngine",
    "WhatIf",
    "WorldBrowser",
    "edit_frame",
    "inspect",
    "make_engine",
    "open_place",
    "open_recording",
    "opponent",
    "play",
    "render_gif",
    "render_mp4",
    "render_still",
    "rerun",
    "start_frame",
    "what_if",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"awm_kit.play.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
