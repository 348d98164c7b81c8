"""Learning from one's own mistakes: free runs of a world, corrected frame by frame by its teacher.

A network trained on recordings has never seen where its own errors lead. Here it plays, and the
teacher, started anew from every frame that it reached, says what should have come next (DAgger:
Ross, Gordon and Bagnell, "A reduction of imitation learning", 2011). Only synthetic worlds have
such a teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import Params, Scuffle, generate
from awm_kit.data.scuffle.matches import scripted_matches
from awm_kit.data.scuffle.state import State
from awm_kit.kernel import NativeWorld
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.recipe import Recipe
from awm_kit.model.train import Trainer
from awm_kit.model.world import WorldModel
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import CONTROLLER, FRAME, STATUS_PLAYING


def corrected_runs(
    cartridge: Cartridge,
    seeds: range,
    n_frames: int,
    params: Params | None = None,
    progress: bool = True,
) -> tuple[list[Replay], list[np.ndarray]]:
    """Let scripted players play in the world and ask the teacher about every frame.

    Parameters
    ----------
    cartridge : Cartridge
        A scuffle world.
    seeds : range
        One match each.
    n_frames : int
        Frames per match, at most.
    params : Params, optional
        The teacher's physics.

    Returns
    -------
    runs : list of Replay
        What the world did.
    corrections : list of ndarray of FRAME
        What the teacher would have done from the frame before; as long as each run.
    """
    params = params or Params()
    n = len(seeds)
    frames, right = np.zeros((n_frames, n), FRAME), np.zeros((n_frames, n), FRAME)
    inputs = np.zeros((n_frames, n, 2), CONTROLLER)
    frames[0], players = scripted_matches(seeds, params)
    right[0] = frames[0]
    world = NativeWorld(cartridge)
    states = np.zeros((n, world.state_bytes), np.uint8)
    for t in tqdm(range(1, n_frames), disable=not progress, unit="frame"):
        before = frames[t - 1].copy()
        inputs[t] = players.act(State.from_frames(before)).to_inputs()
        right[t] = Scuffle.from_frames(before, params, inputs[t - 1]).step(inputs[t])
        frames[t] = world.step_many(states, before, np.ascontiguousarray(inputs[t]))
    runs, corrections = [], []
    for i, seed in enumerate(seeds):
        over = np.flatnonzero(frames["status"][:, i] != STATUS_PLAYING)
        end = int(over[0]) + 1 if len(over) else n_frames
        kept = slice(0, end)
        runs.append(Replay(frames[kept, i].copy(), inputs[kept, i].copy(), f"corrected {seed}"))
        corrections.append(right[kept, i].copy())
    return runs, corrections


def correct(
    model: WorldModel,
    recipe: Recipe,
    worlds: Sequence[Cartridge],
    folder: Path | str,
    seeds: range = range(310_000, 310_128),
    n_frames: int = 1500,
    recorded: int = 420,
    progress: bool = True,
) -> WorldModel:
    """One round: free-run quantised forms of the network, then train on them and on recordings together.

    Parameters
    ----------
    model : WorldModel
        Trained on from where it stands.
    recipe : Recipe
        Its teacher and training; `TrainConfig.steps` and ``lr`` say how long a round is.
    worlds : sequence of Cartridge
        Whose runs are corrected, ``seeds`` matches each; usually the model's own, and earlier forms of it.
    folder : path
        Of the training run.
    recorded : int
        Ordinary matches of the teacher to train on beside the runs.

    Returns
    -------
    WorldModel
        The same network, better where its own play leads.
    """
    games = generate(range(recipe.seeds[0], recipe.seeds[0] + recorded), recipe.n_frames, recipe.physics)
    corrections: list[np.ndarray | None] = [None] * len(games)
    for i, world in enumerate(worlds):
        numbers = range(seeds.start + 1000 * i, seeds.stop + 1000 * i)
        runs, right = corrected_runs(world, numbers, n_frames, recipe.physics, progress)
        games, corrections = games + runs, corrections + list(right)
    data = PackedReplays(recipe.schema, games, corrections)
    config = replace(recipe.train, model=model.config)
    return Trainer(data, config, folder, model=model, notes=recipe.notes()).run(progress)
