"""The child process that runs peppi-py: ``python -m awm_kit.data.slp_worker``.

Its Rust code may panic (a BaseException, with a trace on stderr) or abort, which must not
take a notebook along. One JSON request a line on stdin, ``{"path", "out"}``; the replay is
written to ``out`` as npz, and one JSON answer a line says ``{"error", "message"}``, both empty
when all went well.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from awm_kit.data.slp_convert import Recording, convert
from awm_kit.errors import ReplayCorruptError, ReplayError


def read_recording(path: str) -> Recording:
    """Parse a Slippi file of two players with peppi-py.

    Raises
    ------
    ReplayCorruptError
        If peppi-py rejects the file or panics.
    """
    from peppi_py import read_slippi

    try:
        game = read_slippi(path)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        reason = "the parser panicked: " if not isinstance(error, Exception) else ""
        raise ReplayCorruptError(f"{reason}{error}") from error
    start = game.start
    return Recording(
        version=tuple(start.slippi.version),
        stage=int(start.stage),
        timer_seconds=int(start.timer or 0),
        seed=int(start.random_seed or 0),
        kinds=tuple(int(player.type) for player in start.players),
        frame_ids=_array(game.frames.id).astype(np.int64),
        players=tuple(_columns(port.leader.pre, port.leader.post) for port in game.frames.ports),
        end=game.end.method.name if game.end and game.end.method is not None else "",
    )


def _array(column: Any) -> np.ndarray:
    """Turn a pyarrow column into NumPy; nulls make it float64 with NaN."""
    array: np.ndarray = column.to_numpy(zero_copy_only=False)
    return array


def _columns(pre: Any, post: Any) -> dict[str, np.ndarray]:
    columns = {
        "x": post.position.x, "y": post.position.y, "percent": post.percent, "shield": post.shield,
        "stocks": post.stocks, "action_state": post.state, "animation_age": post.state_age,
        "facing": post.direction, "airborne": post.airborne, "jumps_left": post.jumps,
        "character": post.character, "hitlag": post.hitlag,
        "stick_x": pre.joystick.x, "stick_y": pre.joystick.y,
        "cstick_x": pre.cstick.x, "cstick_y": pre.cstick.y,
        "trigger": pre.triggers, "trigger_l": pre.triggers_physical.l, "trigger_r": pre.triggers_physical.r,
        "buttons": pre.buttons_physical, "buttons_processed": pre.buttons,
    }  # fmt: skip
    if post.velocities is not None:
        v = post.velocities
        columns |= {"speed_air_x": v.self_x_air, "speed_ground_x": v.self_x_ground, "speed_y": v.self_y,
                    "speed_attack_x": v.knockback_x, "speed_attack_y": v.knockback_y}  # fmt: skip
    arrays = {name: _array(column) for name, column in columns.items() if column is not None}
    flags = [np.nan_to_num(_array(byte)).astype(np.int64) for byte in post.state_flags]
    bits = {"in_hitlag": flags[1] & 0x20, "in_hitstun": flags[3] & 0x02, "in_fast_fall": flags[1] & 0x08}
    return {**arrays, **bits}


def _answer(request: dict[str, str]) -> dict[str, str]:
    try:
        convert(read_recording(request["path"]), Path(request["path"]).name).save_npz(request["out"])
    except (ReplayError, OSError, ImportError) as error:
        return {"error": type(error).__name__, "message": str(error)}
    except Exception as error:  # whatever else an odd file provokes must not end the whole folder
        return {"error": "ReplayCorruptError", "message": f"{type(error).__name__}: {error}"}
    return {"error": "", "message": ""}


def main() -> None:
    """Serve requests until stdin closes."""
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
