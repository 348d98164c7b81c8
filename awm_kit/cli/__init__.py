"""The `awm` command: the library's verbs for scripts and CI. It parses, calls and prints, nothing else.

Heavy imports stand inside the verbs, so that ``awm --help`` answers at once.
"""

from awm_kit.cli import bench, chain, clone, doctor, duel, export, film, judge, learn, localnet, matches, play  # noqa: F401  (each adds verbs)
from awm_kit.cli.app import app

__all__ = ["app"]
