"""What recorded inputs do to a perfect world a unit off: ``python tests/bench_open_loop.py [MATCHES]``.

The teacher replays its own matches under their true inputs, from where they began, and again with player 1 a
unit to the right. By how much more often somebody is knocked out then, `soak_replays` finds fault with any
world, however well it knows the physics: its players go on with what the recording did, and do not see what
came of it.
"""

import sys

import numpy as np

from awm_kit.data.scuffle import Params, Scuffle, generate
from awm_kit.schema import STATUS_PLAYING
from awm_kit.soak import report

FIRST_SEED, MINUTES = 70_000, 4


def main(matches: int) -> None:
    games = generate(range(FIRST_SEED, FIRST_SEED + matches), n_frames=MINUTES * 3600)
    longest = max(game.n_frames for game in games)
    inputs = np.stack([np.pad(g.inputs, ((0, longest - g.n_frames), (0, 0))) for g in games])
    for units in (0, 1):
        frames = np.stack([game.frames[0] for game in games])
        frames["players"]["x"][:, 0] += units << 10
        teacher, runs = Scuffle.from_frames(frames, Params(), inputs[:, 0]), [frames]
        for t in range(1, longest):
            runs.append(teacher.step(inputs[:, t]).copy())
        whole = np.stack(runs, axis=1)
        lasts = [
            min(game.n_frames, 1 + int((run["status"] == STATUS_PLAYING).sum()))
            for game, run in zip(games, whole, strict=True)
        ]
        print(
            f"{units} units off:",
            report([run[:n] for run, n in zip(whole, lasts, strict=True)], [g.frames for g in games]),
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
