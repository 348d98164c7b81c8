"""A match without a window: scripted players, any engine, as fast as it goes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from solders.keypair import Keypair

from awm_kit.chain.ledger import Ledger
from awm_kit.chain.results import MatchResult
from awm_kit.play.controllers import OPPONENTS
from awm_kit.play.engines import make_engine, place_of, release, settle, start_frame
from awm_kit.play.games import script
from awm_kit.play.match import Match
from awm_kit.play.places import Place
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import FIGHTER

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
        """Keep the match: a record that `verify` can check (``.awmatch``), or a replay (``.npz``).

        Raises
        ------
        ValueError
            As `check_saved`.
        """
        path = check_saved(self.cartridge, path)
        if path.suffix == ".npz":
            return self.match.replay().save_npz(path)
        return self.match.record(self.cartridge, seed=int(self.match.frame["seed"])).save(path)


def check_saved(cartridge: Cartridge, path: Path | str) -> Path:
    """The path, if a match of this world can be kept there.

    Raises
    ------
    ValueError
        If it ends otherwise than ``.awmatch`` or ``.npz``, or the latter is asked for a game whose frames
        it does not hold.
    """
    path, game = Path(path), cartridge.manifest.schema
    if path.suffix not in (".awmatch", ".npz"):
        raise ValueError(f"expected a file ending .awmatch or .npz to keep a match in (got {path.name!r})")
    if path.suffix == ".npz" and game.name != FIGHTER.name:
        raise ValueError(f"an .npz holds the frames of a {FIGHTER.name}: keep one of {game.name} as .awmatch")
    return path


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
        Two of `PLAYERS`; drivers of bumper have styles by the seed instead.
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
    game = cartridge.manifest.schema.name
    controllers = [script(game, name, index, seed) for index, name in enumerate(players)]
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
