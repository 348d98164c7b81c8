"""A match on chain for those who take part: submit inputs, compute frames, end it, keep its result.

`ChainSession.step` has the signature of every engine's ``step``: whoever draws the frames cannot tell that
a Solana program computed them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
from solders.instruction import Instruction
from solders.keypair import Keypair

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import (
    FORFEIT_FRAMES,
    HIDDEN_HEADER,
    INPUT_BUFFER,
    SESSION_STATE,
    Phase,
    SessionKeys,
    Winner,
    frame_of,
    key_of,
    parse,
)
from awm_kit.chain.frame_plan import left_of
from awm_kit.chain.ledger import MAX_COMPUTE_UNITS, Ledger, Receipt
from awm_kit.chain.match_accounts import MatchAccounts
from awm_kit.chain.results import MatchResult, read_result
from awm_kit.chain.session_setup import plan_of
from awm_kit.errors import LedgerError
from awm_kit.schema import CONTROLLER, N_PLAYERS

FRAME_SECONDS = 60.0  # how long one who does not run the frames waits for the next

#: A controller that is held is sent again after so many frames, so that its player is not taken for gone.
HEARTBEAT_FRAMES = FORFEIT_FRAMES // 5


class ChainSession(MatchAccounts):
    """One process's hold on a match: the session keys of the players it speaks for, and perhaps the crank.

    Made by the functions of `awm_kit.chain.session_entry`.

    Parameters
    ----------
    ledger : Ledger
    keys : SessionKeys
    payer : Keypair
        Pays fees and rent.
    players : dict of int to Keypair
        Session keys of the players whose inputs `step` submits.
    crank : Keypair, optional
        The session's authority, who runs frames. Without it `step` waits for the frame.

    Attributes
    ----------
    world : Pubkey
        Manifest account of the match's world.
    frame : ndarray of FRAME, shape ()
        The last complete frame, as last read.
    start_frame : ndarray of FRAME, shape ()
        The frame that the match starts from, if this object was made before it began.
    compute_units, transactions, frames : int
        Spent and computed by this object's `step` calls.
    """

    def __init__(
        self,
        ledger: Ledger,
        keys: SessionKeys,
        payer: Keypair,
        players: dict[int, Keypair],
        crank: Keypair | None = None,
    ) -> None:
        super().__init__(ledger, keys)
        self.payer, self.players, self.crank = payer, players, crank
        session, inputs, hidden = self.read(keys.session, keys.input, keys.hidden)
        self.world = key_of(parse(session, SESSION_STATE), "world")
        self.frame = self.start_frame = frame_of(session)
        self._plan = plan_of(ledger, self.world)
        header = parse(hidden, HIDDEN_HEADER)
        self._last_slot, self._next_op = int(header["last_slot"]), int(header["next_op"])
        self._held = np.array(parse(inputs, INPUT_BUFFER)["controllers"], CONTROLLER)
        self._spoke = dict.fromkeys(players, int(self.frame["frame"]))
        self.compute_units = self.transactions = self.frames = 0

    @property
    def name(self) -> str:
        """What computes the frames, for a status line."""
        return f"chain ({self.ledger.name})"

    @property
    def cu_per_frame(self) -> float:
        """Compute units that a frame took on average; nan before the first."""
        return self.compute_units / self.frames if self.frames else float("nan")

    @property
    def tx_per_frame(self) -> float:
        """Transactions that a frame took on average; nan before the first."""
        return self.transactions / self.frames if self.frames else float("nan")

    def pick_character(self, player: int, character: int) -> None:
        """Change a character before the match begins."""
        key = self.players[player]
        order = ix.pick_character(self.keys, key.pubkey(), player, character, program_id=self._program)
        self._send([order], [key], "pick character")
        self.refresh()

    def ready(self) -> None:
        """Say that the players of this process are ready; the match begins when both are."""
        for player, key in sorted(self.players.items()):
            order = ix.ready(self.keys, key.pubkey(), player, self.world, program_id=self._program)
            # Zeroing the recurrent state costs units, so ask for all there are.
            self._send([order], [key], "ready", MAX_COMPUTE_UNITS)
        self.refresh()

    def wait(self, phase: Phase, timeout: float = 60.0) -> None:
        """Wait until the match has reached a phase; `LedgerError` after ``timeout`` seconds."""
        give_up = time.monotonic() + timeout
        while self.phase < phase:
            if time.monotonic() > give_up:
                raise LedgerError(f"match {self.keys.session} did not become {phase.name} in {timeout:g} s")
            time.sleep(self.ledger.poll_seconds)
        self.refresh()

    def step(self, inputs: np.ndarray) -> np.ndarray:
        """Compute the next frame.

        Parameters
        ----------
        inputs : ndarray of CONTROLLER, shape (2,)
            Both controllers. Those of players whose key this process lacks are ignored: they submit
            their own. Sequence numbers are filled in here.

        Returns
        -------
        ndarray of FRAME, shape ()
            The new frame. If the frame before was interrupted between its transactions, that one is
            finished, with the inputs it began with.

        Raises
        ------
        ProgramError
            The match is not running, is decided, or its log is full.
        LedgerError
            The ledger failed.
        """
        if self.crank is None:
            self.submit(inputs)
            before = int(self.frame["frame"])
            if int(self.follow()["frame"]) <= before:
                raise LedgerError(
                    f"no frame after {before} within {FRAME_SECONDS:g} s: is the match's crank running?"
                )
        else:
            orders, signers = self._submissions(inputs)
            try:
                self._run_frame(self.crank, orders, signers)
            except LedgerError:
                self._resume()
                raise
        self.frames += 1
        return self.frame

    @property
    def begun(self) -> int:
        """Number of the newest frame that was begun, as far as this process knows."""
        return int(self.frame["frame"])

    def hasten(self, inputs: np.ndarray) -> np.ndarray:
        """As `step`, but on a rollup it may come back a moment before the frame is there.

        For whoever runs frames in the game's time. `finish` waits for the last one.
        """
        return self.step(inputs)

    def finish(self) -> np.ndarray:
        """The frame that `hasten` began last, as soon as it is there; without one, the newest."""
        return self.frame

    def submit(self, inputs: np.ndarray) -> None:
        """Send what changed in the controllers of the players that this process speaks for.

        Parameters
        ----------
        inputs : ndarray of CONTROLLER, shape (2,)

        Raises
        ------
        LedgerError
            The ledger failed, or the match is not running.
        """
        orders, signers = self._submissions(inputs)
        if orders:
            try:
                self._post_inputs(orders, signers)
            except LedgerError:
                self._resume()
                raise

    def follow(self, seconds: float = FRAME_SECONDS) -> np.ndarray:
        """The newest frame, as soon as there is one after `frame`; without one after ``seconds``, `frame`."""
        before, give_up = int(self.frame["frame"]), time.monotonic() + seconds
        self.refresh()
        while int(self.frame["frame"]) <= before and time.monotonic() < give_up:
            time.sleep(self.ledger.poll_seconds)
            self.refresh()
        return self.frame

    def refresh(self) -> None:
        """Read `frame` anew; before the match begins `start_frame` too: a guest may change character."""
        self.frame = frame_of(self.read(self.keys.session)[0])
        if self.frame["frame"] == 0:
            self.start_frame = self.frame

    def claim_forfeit(self, absent: int) -> Winner:
        """Win against a player who has been silent for 600 frames, as the other player or the crank.

        Raises
        ------
        ProgramError
            The player is there, or the match is not running any more.
        """
        signer = self.players.get(1 - absent) or self.crank
        if signer is None:
            raise ValueError(f"only player {1 - absent} or the crank may claim that player {absent} left")
        order = ix.claim_forfeit(self.keys, signer.pubkey(), absent, program_id=self._program)
        return self._finish(order, signer)

    def claim_abandoned(self) -> Winner:
        """End, as a draw, a match whose crank has begun no frame for a minute.

        Raises
        ------
        ProgramError
            The crank is there, or the match is not running any more.
        """
        if not self.players:
            raise ValueError("only a player may claim that the crank left")
        signer = next(iter(self.players.values()))
        order = ix.claim_abandoned(self.keys, signer.pubkey(), program_id=self._program)
        return self._finish(order, signer)

    def end(self) -> Winner:
        """End the match as the crank: decided, timed out, or stopped as it stands."""
        if self.crank is None:
            raise ValueError("only the crank ends a match; a player may quit(player)")
        return self._end(self.crank)

    def quit(self, player: int) -> Winner:
        """Leave the match: the other player wins, unless it is decided."""
        return self._end(self.players[player])

    def record_result(self) -> MatchResult:
        """Write the ended match's result to its permanent account and return it."""
        order = ix.record_result(self.keys, self.payer.pubkey(), self.world, program_id=self._program)
        self._send([order], (), "record result")
        return read_result(self.ledger, self.keys.session)

    def close(self) -> int:
        """Close the match's accounts; their rent goes to the host, who must be this process's payer.

        Returns
        -------
        int
            Lamports returned.
        """
        held = (self.keys.session, self.keys.input, self.keys.hidden, self.keys.log)
        rent = sum(account.lamports for account in self.ledger.accounts(held) if account)
        order = ix.close_session(self.keys, self.payer.pubkey(), program_id=self._program)
        self._send([order], (), "close session", MAX_COMPUTE_UNITS)
        return rent

    def _submissions(self, inputs: np.ndarray) -> tuple[list[Instruction], list[Keypair]]:
        if inputs.shape != (N_PLAYERS,) or inputs.dtype != CONTROLLER:
            raise ValueError(f"expected {N_PLAYERS} controllers (got {inputs.dtype}, shape {inputs.shape})")
        orders, signers = [], []
        for player, key in self.players.items():
            controller = inputs[player].copy()
            controller["sequence"] = self._held[player]["sequence"]
            quiet = int(self.frame["frame"]) - self._spoke.setdefault(player, 0)
            if controller != self._held[player] or quiet >= HEARTBEAT_FRAMES:
                controller["sequence"] += 1
                self._spoke[player] = int(self.frame["frame"])
                orders.append(
                    ix.submit_input(self.keys, key.pubkey(), player, controller, program_id=self._program)
                )
                signers.append(key)
                self._held[player] = controller
        return orders, signers

    def _post_inputs(self, orders: list[Instruction], signers: list[Keypair]) -> None:
        self._count(self._send(orders, signers, "input"))

    def _run_frame(self, crank: Keypair, orders: list[Instruction], signers: list[Keypair]) -> None:
        number, key = int(self.frame["frame"]), crank.pubkey()
        if self._next_op == 0:
            self.ledger.next_slot(self._last_slot)
        for piece in left_of(self._plan, self._next_op):
            run = ix.run_inference(
                self.keys, key, self.world, piece.shards, number, piece.begin, piece.end,
                program_id=self._program,
            )  # fmt: skip
            receipt = self._send([*orders, run], [crank, *signers], "frame", MAX_COMPUTE_UNITS)
            if piece.begin == 0:
                self._last_slot = receipt.slot
            self._next_op = piece.end
            self._count(receipt)
            orders, signers = [], []
        self._next_op = 0
        self.refresh()

    def _resume(self) -> None:
        """Read where the match stands after a failure, so that the next `step` goes on from there."""
        try:
            session, inputs, hidden = self.read(self.keys.session, self.keys.input, self.keys.hidden)
        except LedgerError:
            return  # the ledger itself is gone: the first failure is the one to report
        header = parse(hidden, HIDDEN_HEADER)
        self.frame, self._next_op = frame_of(session), int(header["next_op"])
        self._held = np.array(parse(inputs, INPUT_BUFFER)["controllers"], CONTROLLER)

    def _end(self, signer: Keypair) -> Winner:
        return self._finish(ix.end_session(self.keys, signer.pubkey(), program_id=self._program), signer)

    def _finish(self, order: Instruction, signer: Keypair) -> Winner:
        self._send([order], [signer], "end session", MAX_COMPUTE_UNITS)
        return self.winner

    def _count(self, receipt: Receipt) -> None:
        self.compute_units += receipt.compute_units
        self.transactions += 1

    def _send(
        self,
        orders: list[Instruction],
        signers: Iterable[Keypair],
        label: str,
        compute_units: int | None = None,
    ) -> Receipt:
        return self.ledger.send(orders, self.payer, signers, compute_units=compute_units, label=label)

    def __repr__(self) -> str:
        players = " and ".join(f"player {p}" for p in sorted(self.players)) or "nobody"
        return f"<ChainSession of {players}, frame {int(self.frame['frame'])}, on {self.ledger.name}>"
