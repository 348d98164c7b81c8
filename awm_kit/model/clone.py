"""Cloning a player from replays: which controls people took up, and what they saw when they did.

Only frames in which something changes are examples: what is held between them tells nothing. Examples
count by how much better the next two seconds went than could be expected, so that the clone plays like
its models' better moments (advantage-weighted regression: Peng et al., 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm.auto import trange

from awm_kit.action_states import Family, family_of
from awm_kit.data.replay import Replay
from awm_kit.model.policy import LINEAR, N_ACTIONS, N_CHARACTERS, Policy, Seen, coarse, look
from awm_kit.schema import CONTROLLER, N_PLAYERS


@dataclass(frozen=True)
class CloneConfig:
    """How a policy is cloned.

    Attributes
    ----------
    styles : tuple of str
        Whom of the teacher's scripted players to copy; everybody if empty.
    winners : bool
        Copy only who was ahead at the end of a match.
    hidden : int
        Width of both hidden layers.
    choices : int
        The most frequent controls that it can choose among.
    steps, batch : int
    lr : float
    outlook : int
        Frames after a decision that tell how good it was.
    stock_value : float
        Percent that a stock is worth.
    advantage : float
        Percent more than expected that make an example count e times as much; 0 counts all alike.
    idle : int
        Held controls are an example every so many frames.
    threads : int
    seed : int
    """

    styles: tuple[str, ...] = ()
    winners: bool = False
    hidden: int = 96
    choices: int = 64
    steps: int = 4000
    batch: int = 2048
    lr: float = 2e-3
    outlook: int = 120
    stock_value: float = 60.0
    advantage: float = 10.0
    idle: int = 8
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Examples:
    """Decisions: what was seen, CONTROLLER of shape (n,) that was taken up, and how much each counts."""

    seen: Seen
    pads: np.ndarray
    weights: np.ndarray


def decisions(replays: Sequence[Replay], config: CloneConfig) -> Examples:
    """Every decision of the players to copy.

    Raises
    ------
    ValueError
        If there is nobody to copy, or nobody presses anything.
    """
    seen, pads, gains = [], [], []
    for replay in replays:
        for player in range(N_PLAYERS):
            if not _is_model(replay, player, config):
                continue
            times = _times(coarse(replay.inputs[:, player]), config.idle)
            view = look(replay.frames[times - 1], player)
            seen.append(view)
            pads.append(coarse(replay.inputs[times, player], view.mirror))
            gains.append(_gain(replay.frames, player, config)[times - 1])
    if not sum(map(len, pads)):
        raise ValueError("expected replays of somebody to copy who presses something (got none)")
    whole = Seen(*(np.concatenate([getattr(s, f.name) for s in seen]) for f in fields(Seen)))
    gain = np.concatenate(gains)
    weights = np.ones(len(gain))
    if config.advantage:
        weights = np.exp(np.clip((gain - _expected(whole, gain)) / config.advantage, -2, 2))
    return Examples(whole, np.concatenate(pads), weights / weights.mean())


def _is_model(replay: Replay, player: int, config: CloneConfig) -> bool:
    if config.styles and replay.meta.get("styles", ("", ""))[player] not in config.styles:
        return False
    stocks, percent = (replay.frames["players"][name][-1].astype(int) for name in ("stocks", "percent"))
    mine, theirs = ((stocks[who], -percent[who]) for who in (player, 1 - player))
    return not config.winners or mine > theirs


def _expected(seen: Seen, gain: np.ndarray) -> np.ndarray:
    """What could be expected in each situation, whatever was pressed: a ridge regression of the gain."""
    table = np.array([family_of(action) for action in range(N_ACTIONS)])
    families = [np.eye(len(Family), dtype=np.float32)[table[seen.actions[:, who]]] for who in (0, 1)]
    columns = np.concatenate([seen.linear, *families], 1).astype(np.float64)
    square = columns.T @ columns + 1e-4 * len(columns) * np.eye(columns.shape[1])
    expected: np.ndarray = columns @ np.linalg.solve(square, columns.T @ gain)
    return expected


def _times(pads: np.ndarray, idle: int) -> np.ndarray:
    """Indices t >= 1 at which something is taken up; letting buttons and C-stick go is no decision."""
    before, now = pads[:-1], pads[1:]
    turned = (now["stick_x"] != before["stick_x"]) | (now["stick_y"] != before["stick_y"])
    flicked = [(now[n] != before[n]) & (now[n] != 0) for n in ("cstick_x", "cstick_y")]
    pressed = (now["buttons"] & ~before["buttons"]) != 0
    lowered = now["trigger_r"] != before["trigger_r"]
    change = turned | flicked[0] | flicked[1] | pressed | lowered
    since = np.arange(len(change)) - np.maximum.accumulate(np.where(change, np.arange(len(change)), 0))
    return np.flatnonzero(change | ((since > 0) & (since % idle == 0))) + 1


def _gain(frames: np.ndarray, player: int, config: CloneConfig) -> np.ndarray:
    """Damage and stocks that the opponent loses within the outlook, less one's own, in percent."""
    players = frames["players"]
    damage = np.diff(players["percent"].astype(np.int64), axis=0, prepend=players["percent"][:1])
    lost = np.maximum(damage, 0) / 64 + config.stock_value * (
        np.diff(players["stocks"].astype(np.int64), axis=0, prepend=players["stocks"][:1]) < 0
    )
    total = np.cumsum(lost, 0)
    ahead = total[np.minimum(np.arange(len(frames)) + config.outlook, len(frames) - 1)] - total
    gain: np.ndarray = ahead[:, 1 - player] - ahead[:, player]
    return gain


class PolicyNet(nn.Module):
    """The network of a `Policy`, to be trained."""

    def __init__(self, choices: int, hidden: int, action_width: int = 12, character_width: int = 4) -> None:
        super().__init__()
        self.actions = nn.Embedding(N_ACTIONS, action_width)
        self.characters = nn.Embedding(N_CHARACTERS, character_width)
        width = LINEAR + 2 * (action_width + character_width)
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, choices),
        )  # fmt: skip

    def forward(self, linear: torch.Tensor, actions: torch.Tensor, characters: torch.Tensor) -> torch.Tensor:
        """Logits, shape (n, choices)."""
        rows = [self.actions(actions).flatten(1), self.characters(characters).flatten(1)]
        logits: torch.Tensor = self.layers(torch.cat([linear, *rows], 1))
        return logits

    def policy(self, choices: np.ndarray, notes: dict[str, Any]) -> Policy:
        """What was learned, for NumPy."""

        def array(tensor: torch.Tensor) -> np.ndarray:
            values: np.ndarray = tensor.detach().numpy().copy()
            return values

        linears = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        return Policy(
            choices, array(self.actions.weight), array(self.characters.weight),
            tuple((array(layer.weight), array(layer.bias)) for layer in linears), notes,
        )  # fmt: skip


def clone(
    replays: Sequence[Replay],
    config: CloneConfig | None = None,
    notes: dict[str, Any] | None = None,
    progress: bool = False,
) -> Policy:
    """Train a policy to choose as the players of replays did.

    Parameters
    ----------
    replays : sequence of Replay
    config : CloneConfig, optional
    notes : dict, optional
        JSON-able facts to keep with it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Policy
        Its notes hold ``accuracy`` and ``loss`` on the last tenth of the examples, which it never saw.

    Raises
    ------
    ValueError
        If nobody presses anything.
    """
    config = config or CloneConfig()
    examples = decisions(replays, config)
    kinds, labels, counts = np.unique(examples.pads, return_inverse=True, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[: config.choices])
    place = np.full(len(kinds), -1)
    place[kept] = np.arange(len(kept))
    labels = place[labels.reshape(-1)]
    usable = np.flatnonzero(labels >= 0)
    train, test = np.split(usable, [len(usable) - len(usable) // 10])
    data = [
        torch.from_numpy(a) for a in (examples.seen.linear, examples.seen.actions, examples.seen.characters)
    ]
    net = _fit([d[train] for d in data], labels[train], examples.weights[train], len(kept), config, progress)
    with torch.no_grad():
        logits = net(*(d[test] for d in data))
        truth = torch.from_numpy(labels[test])
        loss = nn.functional.cross_entropy(logits, truth).item()
        accuracy = (logits.argmax(1) == truth).float().mean().item()
    facts = {"examples": len(train), "loss": round(loss, 4), "accuracy": round(accuracy, 4)}
    choices: np.ndarray = np.zeros(len(kept), CONTROLLER)
    choices[...] = kinds[kept]
    return net.policy(choices, {**(notes or {}), **facts})


def _fit(
    data: list[torch.Tensor],
    labels: np.ndarray,
    weights: np.ndarray,
    n: int,
    config: CloneConfig,
    progress: bool,
) -> PolicyNet:
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    generator = torch.Generator().manual_seed(config.seed)
    truth, counts = torch.from_numpy(labels), torch.from_numpy(weights.astype(np.float32))
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        net = PolicyNet(n, config.hidden)
    optimizer = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=config.steps)
    try:
        for _ in trange(config.steps, disable=not progress, unit="step"):
            rows = torch.randint(len(truth), (config.batch,), generator=generator)
            losses = nn.functional.cross_entropy(net(*(d[rows] for d in data)), truth[rows], reduction="none")
            loss = (losses * counts[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    finally:
        torch.set_num_threads(threads)
    return net.eval()
