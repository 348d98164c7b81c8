"""One person at a table: what they see, what they may do there, and how a match goes over into the next."""

from __future__ import annotations

import contextlib
import time
from functools import partial

import numpy as np
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain.accounts import FORFEIT_FRAMES, Winner
from awm_kit.chain.match_record import MatchRecord, record_from_session
from awm_kit.chain.results import MatchResult, read_result
from awm_kit.chain.rollup import wait_for
from awm_kit.chain.rollup_session import RollupSession
from awm_kit.chain.session import ChainSession
from awm_kit.chain.worlds import World
from awm_kit.errors import LedgerError, VerificationError
from awm_kit.play.games import game_of
from awm_kit.play.places import Place
from awm_kit.play.table import (
    TableState,
    end_match,
    finish_match,
    host_match,
    is_open,
    join_match,
    next_match,
    read_table,
    watch_match,
    withdraw_match,
)
from awm_kit.schema import STATUS_PLAYING

#: How long a host leaves an ended match where it was played, for the others to read its inputs.
PARTING_SECONDS = 1.5
#: How long one who does not run frames waits for one before looking at other things.
GLANCE_SECONDS = 0.1
REMATCH_SECONDS = 300.0
_POLL_SECONDS = 0.25


class Seat:
    """A process's part in a match: player 0 (who hosts it), player 1, or a spectator.

    Made by `Seat.host`, `Seat.join` or `Seat.watch`.

    Attributes
    ----------
    place : Place
    wallet : Keypair
    session : ChainSession
    player : int or None
        None for a spectator.
    record : MatchRecord or None
        The match as inputs, read when it ended.
    """

    def __init__(self, place: Place, wallet: Keypair, session: ChainSession, player: int | None) -> None:
        self.place, self.wallet, self.session, self.player = place, wallet, session, player
        self.record: MatchRecord | None = None

    @classmethod
    def host(
        cls,
        place: Place,
        world: World | Pubkey,
        wallet: Keypair,
        start_frame: np.ndarray,
        session_id: int | None = None,
    ) -> Seat:
        """Open a match; see `host_match`."""
        return cls(place, wallet, host_match(place, world, wallet, start_frame, session_id), 0)

    @classmethod
    def join(cls, place: Place, session: Pubkey, wallet: Keypair, character: int) -> Seat:
        """Sit down at one; see `join_match`."""
        return cls(place, wallet, join_match(place, session, wallet, character), 1)

    @classmethod
    def watch(cls, place: Place, session: Pubkey) -> Seat:
        """Look at one; see `watch_match`."""
        return cls(place, Keypair(), watch_match(place, session), None)

    def __repr__(self) -> str:
        role = ("host", "guest")[self.player] if self.player is not None else "spectator"
        return f"<Seat of the {role} of {self.key} on {self.place.name}>"

    @property
    def game(self) -> str:
        """Name of the schema of the match's world."""
        return game_of(self.place.arena, self.session.world)

    @property
    def key(self) -> Pubkey:
        """The match's ID: its SessionState account."""
        return self.session.keys.session

    def look(self) -> TableState:
        """Who is there, who is ready, how far it is; `LedgerError` once the match is closed."""
        table = read_table(self.place.arena, self.key)
        if int(table.frame["frame"]) == 0:
            self.session.frame = self.session.start_frame = table.frame
        return table

    def pick(self, character: int) -> None:
        """Change one's character; `ProgramError` once the match runs."""
        self.session.pick_character(self._me, character)

    def ready(self) -> None:
        """Say so; the match begins when both have."""
        self.session.ready()

    def step(self, inputs: np.ndarray) -> np.ndarray:
        """Go on: the host computes the next frame, the others send what they press and see what came.

        Parameters
        ----------
        inputs : ndarray of CONTROLLER, shape (2,)
            Only one's own are used.

        Returns
        -------
        ndarray of FRAME, shape ()
            The newest frame; for guests and spectators it may be the one before, or a later one.
        """
        if self.session.crank is not None:
            return self.session.step(inputs)
        self.session.submit(inputs)
        return self.session.follow(GLANCE_SECONDS)

    def withdraw(self) -> None:
        """As the host, close a match that has not begun."""
        withdraw_match(self.place, self.session, self.wallet)

    def leave(self) -> None:
        """Quit a running match, which the other player then wins; a spectator only goes."""
        if self.player is not None:
            self.session.quit(self.player)

    def claim(self) -> Winner:
        """End a match that the other one has left; `ProgramError` if they are there."""
        if self.player == 1 and self.session.silence(0) < FORFEIT_FRAMES:
            return self.session.claim_abandoned()
        return self.session.claim_forfeit(1 - self._me)

    def has_result(self) -> bool:
        """Whether the match's result is on the ledger: it is over, then, for everybody."""
        account = self.place.ledger.account(self.session.keys.result)
        return account is not None and account.owner == self.place.ledger.program_id

    def finish(self, timeout: float = 60.0) -> MatchResult:
        """See the match to its end: its inputs are read; the host brings it home, the others wait for that.

        Where the other player's client has sent the inputs home at once ``record`` stays None; neither result
        nor deposit depends on it.

        Raises
        ------
        LedgerError
            There is no result after ``timeout`` seconds.
        """
        if self.session.crank is not None:
            end_match(self.session)
            self.keep_record()
            time.sleep(PARTING_SECONDS)
            return finish_match(self.place, self.session, self.wallet)
        give_up = time.monotonic() + timeout
        while True:
            self.keep_record()
            try:
                return read_result(self.place.ledger, self.key)
            except LedgerError:
                if time.monotonic() > give_up:
                    raise
            time.sleep(_POLL_SECONDS)

    def rematch(self, start_frame: np.ndarray, world: World | Pubkey, result: MatchResult) -> Seat:
        """A seat at the same host's next match; a guest or spectator waits until the host has opened it.

        Parameters
        ----------
        start_frame : ndarray of FRAME, shape ()
            For the host, who opens it.
        world : World or Pubkey
        result : MatchResult
            Of the match before.

        Raises
        ------
        LedgerError
            There is none after five minutes.
        """
        keys, number = next_match(result, self.place)
        self.disconnect()
        if self.player == 0:
            return Seat.host(self.place, world, self.wallet, start_frame, number)
        complaint = f"the host has not opened match {keys.session}"
        wait_for(partial(is_open, self.place, keys), REMATCH_SECONDS, complaint)
        if self.player is None:
            return Seat.watch(self.place, keys.session)
        return Seat.join(self.place, keys.session, self.wallet, result.characters[1])

    def disconnect(self) -> None:
        """Close the seat's connections; the match goes on."""
        if isinstance(self.session, RollupSession):
            self.session.disconnect()

    @property
    def _me(self) -> int:
        if self.player is None:
            raise ValueError("a spectator has no character and no controller")
        return self.player

    def keep_record(self) -> None:
        """Read the inputs of the ended match while they are there: the host takes them home soon."""
        for ledger in (self.place.arena, self.place.ledger):  # or another player has brought them there
            if self.record is None:
                with contextlib.suppress(LedgerError, VerificationError):
                    self.record = record_from_session(ledger, self.session)


def is_over(frame: np.ndarray) -> bool:
    """Whether a frame decides its match."""
    return int(frame["status"]) != STATUS_PLAYING
