"""Replays in: real ones (`.slp`), saved ones (`.npz`) and those of the built-in teacher."""

from awm_kit.data.augment import mirror, swap
from awm_kit.data.folder import FolderReport, Skipped, load_any, load_folder
from awm_kit.data.replay import Replay
from awm_kit.data.slp import load_slp

__all__ = ["FolderReport", "Replay", "Skipped", "load_any", "load_folder", "load_slp", "mirror", "swap"]
