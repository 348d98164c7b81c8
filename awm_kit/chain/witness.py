"""Follows a running match and computes every frame of it again: trust the ledger, but look.

A SessionState tells the newest frame and the hash chain over all frames and inputs, not the inputs. They
mostly are those of the frame before, or what one has sent oneself: a guess is right if it leads to the same
chain. Otherwise the input log tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from awm_kit.chain import inputlog
from awm_kit.chain.accounts import (
    INPUT_BUFFER,
    LOG_HEADER,
    SESSION_STATE,
    entries_of,
    frame_of,
    parse,
)
from awm_kit.chain.resimulation import Resimulation
from awm_kit.chain.rollup_session import RollupSession
from awm_kit.chain.session import ChainSession
from awm_kit.data.replay import as_record
from awm_kit.errors import VerificationError
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import CONTROLLER, FRAME, N_PLAYERS, STATUS_PLAYING

Steps = list[tuple[np.ndarray, np.ndarray]]


class Witness:
    """A copy of a match that runs elsewhere, equal to it in every bit, the recurrent state included.

    Parameters
    ----------
    session : ChainSession
        Of a match that runs; its crank, a player's or a spectator's.
    cartridge : Cartridge
        The match's world.

    Attributes
    ----------
    inputs : ndarray of CONTROLLER, shape (2,)
        What the last frame was computed with; sequence numbers are zero.
    logs_read : int
        How often guessing was in vain.

    Raises
    ------
    LedgerError
        The match is not there (any more).
    VerificationError
        The frames so far do not follow from its inputs.
    """

    def __init__(self, session: ChainSession, cartridge: Cartridge) -> None:
        self._session = session
        data, log = session.read(session.keys.session, session.keys.log)
        now = frame_of(data)
        start = np.frombuffer(parse(log, LOG_HEADER)["start"].tobytes(), FRAME).reshape(())
        self._match = Resimulation(cartridge, start if now["frame"] else now)
        self.inputs = np.zeros(N_PLAYERS, CONTROLLER)
        self.logs_read = 0

    @property
    def number(self) -> int:
        """Of the last frame that was computed again."""
        return int(self.frame["frame"])

    @property
    def frame(self) -> np.ndarray:
        """The last frame that was computed again, a `FRAME` scalar."""
        return as_record(self._match.frame)

    @property
    def state(self) -> bytes:
        """The recurrent state after it."""
        return self._match.state.tobytes()

    def state_hash(self) -> str:
        """SHA-256 (hex) of frame and recurrent state."""
        return self._match.state_hash()

    def look(self, guesses: Iterable[np.ndarray] = ()) -> Steps:
        """Catch up with the match.

        Parameters
        ----------
        guesses : iterable of ndarray of CONTROLLER, shape (2,)
            What the next frame may have been computed with; saves asking the ledger.

        Returns
        -------
        list of (ndarray of CONTROLLER, shape (2,); ndarray of FRAME, shape ())
            The frames since the last look, with the inputs that led to each.

        Raises
        ------
        LedgerError
            The inputs cannot be read: the match was closed, or the ledger does not answer.
        VerificationError
            The frames do not follow from the inputs.
        """
        news = self._news()
        missing = int(news["frame"]["frame"]) - self.number
        if missing <= 0:
            return []
        chain = news["chain"].tobytes()
        for pads in self._candidates(missing, guesses):
            if steps := self._try(pads, chain):
                return steps
        self.logs_read += 1
        if steps := self._try(self._logged(missing), chain):
            return steps
        raise VerificationError(
            f"frame {int(news['frame']['frame'])} of match {self._session.keys.session} does not follow from "
            "the inputs in its log"
        )

    def _candidates(self, missing: int, guesses: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Inputs of the missing frames, the likeliest first, shape (missing, 2)."""
        yield np.tile(self.inputs, (missing, 1))
        if missing == 1:
            yield from (guess.reshape(1, N_PLAYERS) for guess in guesses)
            buffer = parse(self._session.read(self._session.keys.input)[0], INPUT_BUFFER)
            yield np.array(buffer["controllers"], CONTROLLER).reshape(1, N_PLAYERS)

    def _logged(self, missing: int) -> np.ndarray:
        """The inputs of the missing frames from the log, which may be further already."""
        log = self._session.read(self._session.keys.log)[0]
        last = self.number + missing
        written = max(last, *parse(log, LOG_HEADER)["frames"].tolist())
        return inputlog.decode(entries_of(log), written)[self.number : last]

    def _try(self, pads: np.ndarray, chain: bytes) -> Steps:
        """Play on with these controllers if that leads to this hash chain; else nothing has happened."""
        match, steps = self._match, Steps()
        before = match.state.copy(), match.frame, match.chain
        for inputs in pads:
            if match.frame["status"] != STATUS_PLAYING:
                break
            match.step(inputs)
            steps.append((inputs, self.frame))
        if match.chain == chain:
            self.inputs = pads[-1].copy()
            self.inputs["sequence"] = 0
            return steps
        match.state[:], match.frame, match.chain = before
        return Steps()

    def _news(self) -> np.void:
        session = self._session
        told = session.stream.record if isinstance(session, RollupSession) else None
        return parse(session.read(session.keys.session)[0], SESSION_STATE) if told is None else told
