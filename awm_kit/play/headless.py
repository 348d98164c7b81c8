"""A match without a window: scripted players, any engine, as fast as it goes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from solders.keypair import Keypair

from awm_kit.chain.ledger import Ledger
from awm_kit.chain.results import MatchResult
from awm_kit.play.controllers import OPPONENTS, opponent
from awm_kit.play.engines import make_engine, place_of, release, settle, start_frame
from awm_kit.play.match import Match
from awm_kit.play.places import Place
from awm_kit.quant.cartridge import Cartridge

#: Where a world's frames can be computed, all with the same bytes.
HOMES = ("native", "chain", "rollup", "wasm", "reference")
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
    result : MatchResult or None
        What a ledger keeps of it.
    """

    cartridge: Cartridge
    engine: str
    match: Match
    state_hash: str
    seconds: float
    result: MatchResult | None = None

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
    ledger: Place | Ledger | str | None = None,
    wallet: Keypair | None = None,
) -> HeadlessMatch:
    """Play up to ``frames`` frames, fewer if the match is decided; the seed fixes all that happens.

    Parameters
    ----------
    cartridge : Cartridge
    engine : str
        One of `engines.ENGINES`.
    frames : int
    seed : int
        Of the start frame and of both players.
    players : tuple of str
        Two of `PLAYERS`.
    ledger, wallet
        Where ``chain`` and ``rollup`` play, and who pays there: as in `engines.make_engine`. The match is
        stopped where it stands, recorded, and its accounts are closed.

    Raises
    ------
    ValueError
        If there is no such engine or player.
    LedgerError, ValidatorError
        As in `engines.make_engine`.
    """
    controllers = [opponent(name, index, seed) for index, name in enumerate(players)]
    place = place_of(engine, ledger)
    match = Match(make_engine(engine, cartridge, start_frame(cartridge, seed), place, wallet), controllers)
    begun = time.perf_counter()
    match.run_headless(frames)
    seconds = time.perf_counter() - begun
    state_hash = match.engine.state_hash()
    # A ledger that nobody named is gone after the call.
    lasts = ledger is not None or engine == "rollup"
    result = settle(match.engine, place if lasts else None)
    release(match.engine)
    return HeadlessMatch(cartridge, engine, match, state_hash, seconds, result)
