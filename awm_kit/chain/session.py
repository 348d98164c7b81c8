"""A match on chain: create it, join it, compute its frames, end it, keep its result.

`ChainSession.step` has the signature of every engine's ``step``: whoever draws the frames cannot tell that
a Solana program computed them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable

import numpy as np
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import (
    FORFEIT_FRAMES,
    HIDDEN_HEADER,
    INPUT_BUFFER,
    MAX_LOG_KIB,
    SESSION_STATE,
    Phase,
    SessionKeys,
    Winner,
    frame_of,
    key_of,
    keys_of_session,
    parse,
    session_keys,
    state_of,
)
from awm_kit.chain.frame_plan import left_of
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, MAX_COMPUTE_UNITS, Ledger, Receipt
from awm_kit.chain.results import MatchResult, read_result
from awm_kit.chain.session_setup import grow_accounts, plan_of
from awm_kit.chain.worlds import World
from awm_kit.data.replay import clean_frame
from awm_kit.data.scuffle import initial_frame
from awm_kit.errors import LedgerError
from awm_kit.quant.reference import state_hash
from awm_kit.schema import CONTROLLER, N_PLAYERS

FRAME_SECONDS = 60.0  # how long one who does not run the frames waits for the next

#: A controller that is held is sent again after so many frames, so that its player is not taken for gone.
HEARTBEAT_FRAMES = FORFEIT_FRAMES // 5


class ChainSession:
    """One process's hold on a match: the session keys of the players it speaks for, and perhaps the crank.

    Made by `create_session`, `join_session`, `resume_session` or `ChainSession.local`.

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
        self.ledger, self.keys, self.payer, self.players, self.crank = ledger, keys, payer, players, crank
        session, inputs, hidden = self._read(keys.session, keys.input, keys.hidden)
        self.world = key_of(parse(session, SESSION_STATE), "world")
        self.frame = self.start_frame = frame_of(session)
        self._plan = plan_of(ledger, self.world)
        header = parse(hidden, HIDDEN_HEADER)
        self._last_slot, self._next_op = int(header["last_slot"]), int(header["next_op"])
        self._held = np.array(parse(inputs, INPUT_BUFFER)["controllers"], CONTROLLER)
        self._spoke = dict.fromkeys(players, int(self.frame["frame"]))
        self.compute_units = self.transactions = self.frames = 0

    @classmethod
    def local(
        cls,
        ledger: Ledger,
        world: World | Pubkey,
        seed: int = 0,
        stage: int = 31,
        characters: tuple[int, int] = (1, 18),
        time_limit: int = 0,
        start_frame: np.ndarray | None = None,
    ) -> ChainSession:
        """A match in which this process plays both sides, with throw-away keys; ready to `step`.

        Parameters
        ----------
        ledger : Ledger
            A development ledger: both wallets are funded by airdrop.
        world : World or Pubkey
        seed, stage, characters
            As in `awm_kit.data.scuffle.initial_frame`.
        time_limit : int
            Frames after which the match ends; 0 for none.
        start_frame : ndarray of FRAME, shape (), optional
            Used instead of all these.
        """
        if start_frame is None:
            start_frame = initial_frame(seed, stage, characters)
            start_frame["time_limit"] = time_limit
        host, guest = Keypair(), Keypair()
        ledger.airdrop(host.pubkey(), 10 * LAMPORTS_PER_SOL)
        ledger.airdrop(guest.pubkey(), LAMPORTS_PER_SOL)
        session = create_session(ledger, world, host, start_frame)
        joined = join_session(ledger, session.keys.session, guest)
        session.players.update(joined.players)
        session.ready()
        return session

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

    @property
    def phase(self) -> Phase:
        """Whether the match is open, joined, running or over, read from the ledger."""
        return Phase(int(parse(self._read(self.keys.session)[0], SESSION_STATE)["phase"]))

    @property
    def winner(self) -> Winner:
        """Who won, read from the ledger; ``NONE_YET`` until the match ended."""
        return Winner(int(parse(self._read(self.keys.session)[0], SESSION_STATE)["winner"]))

    def pick_character(self, player: int, character: int) -> None:
        """Change a character before the match begins."""
        key = self.players[player]
        order = ix.pick_character(self.keys, key.pubkey(), player, character, program_id=self._program)
        self._send([order], [key], "pick character")
        self._refresh()

    def ready(self) -> None:
        """Say that the players of this process are ready; the match begins when both are."""
        for player, key in sorted(self.players.items()):
            order = ix.ready(self.keys, key.pubkey(), player, self.world, program_id=self._program)
            # Zeroing the recurrent state costs units, so ask for all there are.
            self._send([order], [key], "ready", MAX_COMPUTE_UNITS)
        self._refresh()

    def wait(self, phase: Phase, timeout: float = 60.0) -> None:
        """Wait until the match has reached a phase; `LedgerError` after ``timeout`` seconds."""
        give_up = time.monotonic() + timeout
        while self.phase < phase:
            if time.monotonic() > give_up:
                raise LedgerError(f"match {self.keys.session} did not become {phase.name} in {timeout:g} s")
            time.sleep(self.ledger.poll_seconds)
        self._refresh()

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
        self._refresh()
        while int(self.frame["frame"]) <= before and time.monotonic() < give_up:
            time.sleep(self.ledger.poll_seconds)
            self._refresh()
        return self.frame

    def state_hash(self) -> str:
        """SHA-256 (hex) of the frame record and the recurrent state on the ledger."""
        session, hidden = self._read(self.keys.session, self.keys.hidden)
        return state_hash(frame_of(session), state_of(hidden))

    def hidden_state(self) -> np.ndarray:
        """The recurrent state on the ledger, uint8."""
        return np.frombuffer(state_of(self._read(self.keys.hidden)[0]), np.uint8)

    def chain_hash(self) -> str:
        """The hash chain over all frames and inputs so far, hex."""
        chain: bytes = parse(self._read(self.keys.session)[0], SESSION_STATE)["chain"].tobytes()
        return chain.hex()

    def silence(self, player: int) -> int:
        """Frames in a row, at most 600, that have begun without a new input of a player; from the ledger."""
        return int(parse(self._read(self.keys.hidden)[0], HIDDEN_HEADER)["silent"][player])

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
        self._refresh()

    def _refresh(self) -> None:
        self.frame = frame_of(self._read(self.keys.session)[0])
        if self.frame["frame"] == 0:  # a guest may still change character
            self.start_frame = self.frame

    def _resume(self) -> None:
        """Read where the match stands after a failure, so that the next `step` goes on from there."""
        try:
            session, inputs, hidden = self._read(self.keys.session, self.keys.input, self.keys.hidden)
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

    def _read(self, *keys: Pubkey) -> list[bytes]:
        accounts = self.ledger.accounts(keys)
        if not all(a and a.owner == self._program for a in accounts):
            raise LedgerError(f"there is no match {self.keys.session} on {self.ledger.name}; was it closed?")
        return [account.data for account in accounts if account]

    @property
    def _program(self) -> Pubkey:
        return self.ledger.program_id

    def __repr__(self) -> str:
        players = " and ".join(f"player {p}" for p in sorted(self.players)) or "nobody"
        return f"<ChainSession of {players}, frame {int(self.frame['frame'])}, on {self.ledger.name}>"


def create_session(
    ledger: Ledger,
    world: World | Pubkey,
    host: Keypair,
    start_frame: np.ndarray,
    *,
    crank: Keypair | None = None,
    session_id: int | None = None,
    log_kib: int = MAX_LOG_KIB,
) -> ChainSession:
    """Open a match as its host and player 0.

    Parameters
    ----------
    ledger : Ledger
    world : World or Pubkey
        A finalised world or its manifest account.
    host : Keypair
        Wallet of player 0; pays rent and fees, and gets the rent back when the match is closed.
    start_frame : ndarray of FRAME, shape ()
        Frame 0, e.g. `awm_kit.data.scuffle.initial_frame`. It names stage, seed and time limit.
    crank : Keypair, optional
        Who runs frames; by default the host.
    session_id : int, optional
        0..2**64-1, not used by this host before; by default random.
    log_kib : int
        Size of the input log in KiB, 1..64; a full log ends the match.

    Raises
    ------
    ProgramError
        The world is not finalised, or the start frame is not one.
    InsufficientFundsError
        The host cannot pay the rent.
    """
    key = world.key if isinstance(world, World) else world
    session_id = secrets.randbits(64) if session_id is None else session_id
    player, crank = Keypair(), crank or host
    program = ledger.program_id
    keys = session_keys(host.pubkey(), session_id, program)
    create = ix.create_session(
        keys, host.pubkey(), key, crank.pubkey(), player.pubkey(), session_id, clean_frame(start_frame),
        log_kib=log_kib, program_id=program,
    )  # fmt: skip
    ledger.send([create], host, compute_units=MAX_COMPUTE_UNITS, label="create session")
    grow_accounts(ledger, keys, host, key)
    return ChainSession(ledger, keys, host, {0: player}, crank)


def join_session(
    ledger: Ledger, session: Pubkey, wallet: Keypair, character: int = ix.KEEP_CHARACTER
) -> ChainSession:
    """Join an open match as player 1.

    Parameters
    ----------
    ledger : Ledger
    session : Pubkey
        The match's SessionState account.
    wallet : Keypair
        Pays this player's fees.
    character : int
        Melee internal character id; by default the one in the match's first frame.

    Raises
    ------
    ProgramError
        Somebody has joined already.
    LedgerError
        There is no such match.
    """
    keys = keys_of_session(session, ledger.program_id)
    player = Keypair()
    joined = ChainSession(ledger, keys, wallet, {1: player})
    order = ix.join(keys, wallet.pubkey(), player.pubkey(), character, program_id=ledger.program_id)
    ledger.send([order], wallet, label="join")
    joined._refresh()
    return joined


def resume_session(
    ledger: Ledger, session: Pubkey, wallet: Keypair, crank: Keypair | None = None
) -> ChainSession:
    """Take up a match again whose session key was lost with the process that held it.

    The wallet authorises a new one, once for each seat that it has; the old one is then worthless.

    Parameters
    ----------
    ledger : Ledger
    session : Pubkey
        The match's SessionState account.
    wallet : Keypair
        Of a player; pays the fees.
    crank : Keypair, optional
        The session's authority, if this process is to run frames.

    Raises
    ------
    LedgerError
        There is no such match, or the wallet has no seat in it.
    """
    keys = keys_of_session(session, ledger.program_id)
    resumed = ChainSession(ledger, keys, wallet, {}, crank)
    seats = parse(resumed._read(keys.hidden)[0], HIDDEN_HEADER)["wallets"]
    resumed.players = {p: Keypair() for p in range(N_PLAYERS) if seats[p].tobytes() == bytes(wallet.pubkey())}
    if not resumed.players:
        raise LedgerError(f"{wallet.pubkey()} does not play in match {session}")
    orders = [
        ix.renew_key(keys, wallet.pubkey(), player, key.pubkey(), program_id=ledger.program_id)
        for player, key in resumed.players.items()
    ]
    ledger.send(orders, wallet, label="renew key")
    return resumed
