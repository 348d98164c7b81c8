"""How fast the teacher plays."""

from __future__ import annotations

from typing import Any

from awm_kit.bench.timing import best_seconds
from awm_kit.data.scuffle import generate


def measure_scuffle(
    matches: int = 512, frames: int = 300, processes: int = 1, repeats: int = 2
) -> dict[str, Any]:
    """Player-frames a second of scripted matches, recording included.

    Parameters
    ----------
    matches, frames : int
        Matches played at once, and frames of each (at most).
    processes : int
        Worker processes, each with its share of the matches.

    Returns
    -------
    dict
        ``player_frames``, ``player_frames_per_second``, ``processes``.
    """
    played = 2 * sum(game.n_frames - 1 for game in generate(range(matches), frames))
    seconds = best_seconds(lambda: generate(range(matches), frames, processes=processes), repeats)
    return {
        "player_frames": played,
        "player_frames_per_second": round(played / seconds),
        "processes": processes,
    }
