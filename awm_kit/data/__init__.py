"""Replays in: real ones (`.slp`), saved ones (`.npz`) and those of the built-in teacher."""

from awm_kit.data.replay import Replay

__all__ = ["Replay"]
