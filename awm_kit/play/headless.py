"""A match without a window: scripted players, any engine, as fast as it goes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from awm_kit.play.controllers import OPPONENTS, opponent
from awm_kit.play.engines import make_engine, start_frame
from awm_kit.play.match import Match
from awm_kit.quant.cartridge import Cartridge

#: Where a world's frames can be computed, all with the same bytes.
HOMES = ("native", "chain", "wasm", "reference")
#: Who can play by itself.
PLAYERS = OPPONENTS


@dataclass(frozen=True)
class HeadlessMatch:
    """A match that was played.

    Attributes
    ----------
    cartridge : Cartridge
    engine : str
        What computed it, as asked for.
    match : Match
    state_hash : str
        SHA-256 (hex) of the last frame record and hidden state: the same on every engine.
    seconds : float
        Time that the frames took, players included.
    """

    cartridge: Cartridge
    engine: str
    match: Match
    state_hash: str
    seconds: float

    @property
    def frames(self) -> int:
        """Frames computed."""
        return self.match.n_frames

    @property
    def frames_per_second(self) -> float:
        """Frames computed a second."""
        return self.frames / self.seconds if self.seconds else 0.0

    def save(self, path: Path | str) -> Path:
        """Keep the match: as a replay (``.npz``), or else as a match record that `verify` can check."""
        path = Path(path)
        if path.suffix == ".npz":
            return self.match.replay().save_npz(path)
        return self.match.record(self.cartridge, seed=int(self.match.frame["seed"])).save(path)


def play_headless(
    cartridge: Cartridge,
    engine: str = "native",
    frames: int = 600,
    seed: int = 0,
    players: tuple[str, str] = ("balanced", "balanced"),
) -> HeadlessMatch:
    """Play up to ``frames`` frames, fewer if the match is decided; the seed fixes all that happens.

    Parameters
    ----------
    cartridge : Cartridge
    engine : str
        One of `engines.ENGINES`; ``chain`` deploys to an embedded ledger that lives as long as the call.
    frames : int
    seed : int
        Of the start frame and of both players.
    players : tuple of str
        Two of `PLAYERS`.

    Raises
    ------
    ValueError
        If there is no such engine or player.
    """
    controllers = [opponent(name, index, seed) for index, name in enumerate(players)]
    match = Match(make_engine(engine, cartridge, start_frame(cartridge, seed)), controllers)
    begun = time.perf_counter()
    match.run_headless(frames)
    seconds = time.perf_counter() - begun
    return HeadlessMatch(cartridge, engine, match, match.engine.state_hash(), seconds)
