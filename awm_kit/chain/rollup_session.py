"""Frames in real time on a rollup: transactions are sent without waiting, frames come over a WebSocket."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Sequence
from types import TracebackType

import numpy as np
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import SessionKeys, session_keys
from awm_kit.chain.frame_plan import Piece, left_of
from awm_kit.chain.frame_stream import FRAME_SECONDS, FrameStream
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, MAX_COMPUTE_UNITS
from awm_kit.chain.rollup import delegate_match, open_match
from awm_kit.chain.rollup_post import Parcel, Post
from awm_kit.chain.rpc import RpcLedger
from awm_kit.chain.session import ChainSession
from awm_kit.chain.worlds import World
from awm_kit.data.replay import clean_frame
from awm_kit.data.scuffle import initial_frame
from awm_kit.errors import LedgerError

# The rollup announces a slot a moment before its clock shows it: a frame sent in between is too early.
MOMENT_SECONDS = 0.002
SILENCE_SECONDS = 0.25  # without news of a transaction that was sent: it is lost
USUAL_SECONDS = 1 / 60  # what a frame is thought to take until some have been seen: it may be hastened
LOOK_AFTER = 8  # attempts in vain: perhaps the frame is there, and the news of it was lost
INPUT_UNITS = 50_000
# A frame that takes less is there long before the next is due, and that would be too early in the same slot.
# One that takes more is late by so much that it would only gain latency.
HASTE_SECONDS = (0.012, 0.025)
LEAD_SECONDS = 0.003  # from a frame's end until the next one, sent when the end is told of, is on its way
EARLY = 0  # of the transactions that are watched: the one that long before the frame's end


class RollupSession(ChainSession):
    """A match on a rollup whose frames this process runs as crank, several transactions in flight.

    Use it as a context manager, or `disconnect` it. `compute_units` stays 0: nobody waits for receipts.

    Attributes
    ----------
    last_signatures : list of str
        Transactions of the last frame.
    retries : int
        How often a frame was sent again.
    host : Keypair or None
        The wallet that `local_match` made.
    """

    def __init__(
        self,
        ledger: RpcLedger,
        keys: SessionKeys,
        payer: Keypair,
        players: dict[int, Keypair],
        crank: Keypair | None = None,
    ) -> None:
        super().__init__(ledger, keys, payer, players, crank)
        self.stream, self._post = FrameStream(ledger.name, keys.session), Post(ledger.name)
        self.last_signatures: list[str] = []
        self.retries, self._usual = 0, USUAL_SECONDS
        self._ahead: list[Parcel] = []
        self._ahead_of = (-1, 0, 0)  # frame, op and attempt that these are for
        self._attempts: dict[int, int] = {}  # how often frames were sent again, by the one before each
        self._flying = 0  # number of the frame that `hasten` began last
        self.host: Keypair | None = None

    def disconnect(self) -> None:
        """Close both connections; the match goes on."""
        self.stream.close()
        self._post.close()

    def __enter__(self) -> RollupSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    def follow(self, seconds: float = FRAME_SECONDS) -> np.ndarray:
        """The newest frame, as soon as the rollup tells of one after `frame`; see `ChainSession.follow`."""
        frame = self.stream.wait_frame(int(self.frame["frame"]) + 1, seconds)
        if frame is not None:
            self.frame = frame
        elif self.stream.closed:
            self.reconnect()
        return self.frame

    def reconnect(self) -> None:
        """Open both connections again and read where the match stands; `LedgerError` if nothing answers."""
        self.disconnect()
        self.stream = FrameStream(self.ledger.name, self.keys.session)
        self._ahead_of, self._flying = (-1, 0, 0), 0
        self._resume()

    @property
    def begun(self) -> int:
        """Number of the newest frame whose transactions were sent; see `ChainSession.begun`."""
        return max(int(self.frame["frame"]), self._flying)

    def step(self, inputs: np.ndarray) -> np.ndarray:
        """Compute the next frame, after the one that `hasten` began; see `ChainSession.step`."""
        self.finish()
        return super().step(inputs)

    def hasten(self, inputs: np.ndarray) -> np.ndarray:
        """Begin the next frame, and come back a moment before it is there.

        Called in the game's time it leaves nothing to pass between two frames. The inputs are in the frame
        that it begins, unless that was refused. Frames that take less than a slot or much more are waited
        for, as by `step`, and those of few transactions, whose last one but one ends long before they do.

        Parameters
        ----------
        inputs : ndarray of CONTROLLER, shape (2,)

        Returns
        -------
        ndarray of FRAME, shape ()
            The newest frame, mostly the one before; `finish` waits for the last.

        Raises
        ------
        ProgramError, LedgerError
            As `step`.
        """
        n_pieces = len(self._plan)
        least, most = HASTE_SECONDS
        few = n_pieces < 3 or self._usual > n_pieces * LEAD_SECONDS
        if self.crank is None or self._next_op or few or not least < self._usual < most:
            return self.step(inputs)
        orders, signers = self._submissions(inputs)
        try:
            landed = self._begin_frame(self.crank, orders, signers)
        except LedgerError:
            self._flying = 0
            self._resume()
            raise
        if not landed:
            return self._catch_up(inputs)
        self.frames += 1
        return self.frame

    def finish(self) -> np.ndarray:
        """Wait for the frame that `hasten` began last; see `ChainSession.finish`."""
        flying, self._flying = self._flying, 0
        if flying > int(self.frame["frame"]):
            frame = self.stream.wait_frame(flying, FRAME_SECONDS, SILENCE_SECONDS + self._usual)
            if frame is None:
                self._resume()
            else:
                self.frame = frame
        return self.frame

    def _begin_frame(self, crank: Keypair, orders: list[Instruction], signers: list[Keypair]) -> bool:
        """Send a frame behind the one under way, if any; whether that is there, and this one nearly."""
        n_pieces, number = len(self._plan), self.begun
        lead = min(max(math.ceil(LEAD_SECONDS * n_pieces / self._usual), 2), n_pieces - 1)
        patience, silence = self._patience()
        self.stream.wait_slot(self._last_slot, FRAME_SECONDS)
        begun = time.perf_counter()
        self.last_signatures = self._send_frame(crank, orders, signers, number, lead)
        if not self.stream.wait_landed(EARLY, number + 1, patience, silence):
            return False
        if number > int(self.frame["frame"]):
            before = self.stream.wait_frame(number, patience, silence)
            if before is None:
                return False
            self.frame = before
        self._note((time.perf_counter() - max(begun, self.stream.arrived)) * n_pieces / (n_pieces - lead))
        self._flying, self._last_slot = number + 1, self.stream.begun_slot
        self.transactions += len(self.last_signatures)
        return True

    def _catch_up(self, inputs: np.ndarray) -> np.ndarray:
        """After a frame that was refused or lost: where the match stands, or if it stands still a `step`."""
        number, self._flying = int(self.frame["frame"]), 0
        if self.stream.closed:
            self.reconnect()
        else:
            self._resume()
        self.retries += 1
        return self.frame if int(self.frame["frame"]) > number else self.step(inputs)

    def _patience(self) -> tuple[float, float]:
        """Seconds to wait for a frame that was sent, and without any news of it."""
        silence = max(SILENCE_SECONDS, 3 * self._usual / len(self._plan))
        return 3 * self._usual + silence, silence

    def _note(self, seconds: float) -> None:
        """Take into account how long a frame took."""
        self._usual += 0.1 * (seconds - self._usual)

    def _post_inputs(self, orders: list[Instruction], signers: list[Keypair]) -> None:
        self.last_signatures = [self._post.send(orders, self.payer, signers, INPUT_UNITS)]
        self.transactions += 1

    def _run_frame(self, crank: Keypair, orders: list[Instruction], signers: list[Keypair]) -> None:
        number, held = int(self.frame["frame"]), self._held
        self.stream.wait_slot(self._last_slot, FRAME_SECONDS)
        begun = time.monotonic()
        attempt, frame = 0, None
        while frame is None:
            now = time.monotonic()
            if self._looked_again(attempt):
                if int(self.frame["frame"]) > number:
                    return
                if self._next_op:  # the inputs came with the first piece
                    orders, signers = [], []
                else:
                    self._held = held
            if self.stream.over or now - begun > FRAME_SECONDS:
                raise LedgerError(f"frame {number + 1} did not come from {self.ledger.name}")
            self.retries += attempt > 0
            if attempt:
                time.sleep(MOMENT_SECONDS)
            self.last_signatures = self._send_frame(crank, orders, signers, number)
            frame = self.stream.wait_frame(number + 1, *self._patience())
            attempt += 1
        self._note(time.monotonic() - begun)
        self.frame, self._next_op, self._last_slot = frame, 0, self.stream.begun_slot
        self.transactions += len(self.last_signatures)

    def _looked_again(self, attempt: int) -> bool:
        """Read where the match stands, if the stream is gone or so many attempts were in vain; else False."""
        if self.stream.closed:
            self.reconnect()
            return True
        if attempt and attempt % LOOK_AFTER == 0:
            self._resume()
            return True
        return False

    def _send_frame(
        self,
        crank: Keypair,
        orders: list[Instruction],
        signers: list[Keypair],
        number: int,
        lead: int = 0,
    ) -> list[str]:
        """Send what is left of the frame, and watch the last transaction; with a ``lead`` that before it too.

        A second attempt is harmless: what has landed fails by its op.
        """
        attempt, plan = self._attempts.get(number, -1) + 1, left_of(self._plan, self._next_op)
        recent = {frame: n for frame, n in self._attempts.items() if frame >= number - 1}
        self._attempts = recent | {number: attempt}
        known = self._ahead if self._ahead_of == (number, plan[0].begin, attempt) else None
        parcels = known or self._sign(crank, number, plan, attempt)
        if orders:
            parcels[0] = self._parcel(crank, number, plan[0], attempt, orders, signers)
        watched = [parcels[-1 - lead], parcels[-1]] if lead else parcels[-1:]
        self.stream.watch(*(parcel.signature for parcel in watched))
        self._post.post(parcels)
        # While the rollup computes: the next frame, which may only want another first piece, with inputs.
        ahead_of = (number + 1, 0, 0)
        if self._ahead_of != ahead_of:
            self._ahead, self._ahead_of = self._sign(crank, number + 1, self._plan, 0), ahead_of
        if not self._post.collect():
            self._ahead_of = (-1, 0, 0)
        return [parcel.signature for parcel in parcels]

    def _sign(self, crank: Keypair, number: int, pieces: Sequence[Piece], attempt: int) -> list[Parcel]:
        return [self._parcel(crank, number, piece, attempt, [], []) for piece in pieces]

    def _parcel(
        self,
        crank: Keypair,
        number: int,
        piece: Piece,
        attempt: int,
        orders: list[Instruction],
        signers: list[Keypair],
    ) -> Parcel:
        run = ix.run_inference(
            self.keys, crank.pubkey(), self.world, piece.shards, number, piece.begin, piece.end,
            program_id=self.ledger.program_id,
        )  # fmt: skip
        # Another limit makes it another transaction; the same one would be taken for a copy.
        return self._post.sign([*orders, run], crank, [crank, *signers], MAX_COMPUTE_UNITS - attempt)


def local_match(
    l1: RpcLedger,
    rollup: RpcLedger,
    world: World | Pubkey,
    seed: int = 0,
    stage: int = 31,
    characters: tuple[int, int] = (1, 18),
    time_limit: int = 0,
    start_frame: np.ndarray | None = None,
) -> RollupSession:
    """A match on a rollup in which this process plays both sides, with throw-away keys; ready to ``step``.

    When it has ended, `rollup.settle_match` brings it home; ``session.host`` closes it there.

    Parameters
    ----------
    l1 : RpcLedger
        A development ledger: the host's wallet is funded by airdrop.
    rollup : RpcLedger
        With ``preflight=False``.
    world : World or Pubkey
        On the L1.
    seed, stage, characters, time_limit, start_frame
        As in `session_entry.local_match`.
    """
    if start_frame is None:
        start_frame = initial_frame(seed, stage, characters)
        start_frame["time_limit"] = time_limit
    manifest = world.key if isinstance(world, World) else world
    host, guest, crank, players = Keypair(), Keypair(), Keypair(), (Keypair(), Keypair())
    l1.airdrop(host.pubkey(), 100 * LAMPORTS_PER_SOL)  # a large world takes 12 for rent
    session_id = secrets.randbits(64)
    keys = session_keys(host.pubkey(), session_id, l1.program_id)
    create = ix.create_session(
        keys, host.pubkey(), manifest, crank.pubkey(), players[0].pubkey(), session_id,
        clean_frame(start_frame), program_id=l1.program_id,
    )  # fmt: skip
    l1.send([create], host, compute_units=MAX_COMPUTE_UNITS, label="create session")
    join = ix.join(keys, guest.pubkey(), players[1].pubkey(), program_id=l1.program_id)
    l1.send([join], host, [guest], label="join")
    delegate_match(l1, keys, host, rollup.identity())
    open_match(rollup, keys, crank, manifest)
    session = RollupSession(rollup, keys, crank, dict(enumerate(players)), crank)
    session.host = host
    session.ready()
    return session
