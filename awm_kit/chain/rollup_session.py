"""Frames in real time on a rollup: transactions are sent without waiting, frames come over a WebSocket."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import SESSION_STATE, Phase, SessionKeys, frame_of, parse, session_keys
from awm_kit.chain.frame_plan import Piece, left_of
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, MAX_COMPUTE_UNITS
from awm_kit.chain.rollup import delegate_match, open_match
from awm_kit.chain.rollup_post import Parcel, Post, acknowledge_at_once
from awm_kit.chain.rpc import RpcLedger
from awm_kit.chain.rpc_node import pubsub_url
from awm_kit.chain.session import ChainSession
from awm_kit.chain.worlds import World
from awm_kit.data.replay import clean_frame
from awm_kit.data.scuffle import initial_frame
from awm_kit.errors import LedgerError

FRAME_SECONDS = 5.0  # a frame that is not there by then is not coming
# The rollup announces a slot a moment before its clock shows it: a frame sent in between is too early.
MOMENT_SECONDS = 0.002
SILENCE_SECONDS = 0.25  # without news of a transaction that was sent: it is lost
PIECE_SECONDS = 0.005  # what a transaction is thought to take until some have been seen
LOOK_AFTER = 8  # attempts in vain: perhaps the frame is there, and the news of it was lost
CLOSE_SECONDS = 0.2  # the rollup does not answer a WebSocket's farewell
INPUT_UNITS = 50_000


class FrameStream:
    """The newest frame of a match and the newest slot of its rollup, from its WebSocket.

    Parameters
    ----------
    url : str
        JSON-RPC URL; `rpc_node.pubsub_url` says where the WebSocket is.
    session : Pubkey
        SessionState.

    Attributes
    ----------
    record : np.void of SESSION_STATE or None
        The account as last told.
    news : int
        How many transactions with the account the rollup has told of, whether or not they changed it.
    begun_slot : int or None
        That of the first of them since this was set to None.

    Raises
    ------
    LedgerError
        Nothing answers there.
    """

    def __init__(self, url: str, session: Pubkey) -> None:
        self._changed, self._open = threading.Condition(), contextlib.ExitStack()
        self.record: np.void | None = None
        self.frame: np.ndarray | None = None
        self.phase: Phase | None = None
        self.slot = self.news = 0
        self.begun_slot: int | None = None
        self.arrived = 0.0
        self.closed = False
        self._data, self._acknowledged = b"", 0
        self._watched: int | None = None
        self._watches, self._refusals = 0, set[int]()
        try:
            self._socket = self._open.enter_context(
                connect(pubsub_url(url), max_size=1 << 24, close_timeout=CLOSE_SECONDS)
            )
            account = {"encoding": "base64", "commitment": "processed"}
            self._subscribe("accountSubscribe", str(session), account)
            self._subscribe("slotSubscribe")
        except (OSError, WebSocketException) as error:
            self._close_socket()
            raise LedgerError(f"the WebSocket of {url} does not answer: {error}") from None
        self._thread = threading.Thread(target=self._listen, name="awm-frames", daemon=True)
        self._thread.start()
        with self._changed:  # a frame that came before the subscription would not be told of
            self._changed.wait_for(lambda: self.closed or self._acknowledged == 2, FRAME_SECONDS)

    def wait_frame(self, number: int, seconds: float, silence: float | None = None) -> np.ndarray | None:
        """The newest frame once its number is at least ``number``.

        None if it does not come in time, if no transaction touched the match for ``silence`` seconds, or if
        the one of `watch` was refused.
        """
        give_up = time.monotonic() + seconds
        with self._changed:
            while True:
                heard, left = self.news, give_up - time.monotonic()
                patience = min(left, silence or left)
                told = self._changed.wait_for(
                    lambda: self.over or self._has(number) or self._watched in self._refusals, patience
                )
                if told or heard == self.news or left <= 0:
                    return self.frame if self._has(number) else None

    def watch(self, signature: str) -> None:
        """Hear what becomes of a transaction, and no more of the one before."""
        with self._changed:
            self._watches, self._watched = self._watches + 1, None
            self._refusals.clear()
        with contextlib.suppress(ConnectionClosed):  # `over` tells
            terms = {"commitment": "processed"}
            self._subscribe("signatureSubscribe", signature, terms, number=self._watches)

    def wait_slot(self, after: int, seconds: float) -> None:
        """Until the rollup is in a slot above ``after``."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self.slot > after, seconds)

    @property
    def over(self) -> bool:
        """Whether no more frames come: the match has ended, or the connection."""
        return self.closed or self.phase == Phase.ENDED

    def close(self) -> None:
        """End the subscription."""
        self._close_socket()
        self._thread.join()

    def _close_socket(self) -> None:
        with contextlib.suppress(WebSocketException):  # it may be gone already
            self._open.close()

    def _has(self, number: int) -> bool:
        return self.frame is not None and int(self.frame["frame"]) >= number

    def _subscribe(self, method: str, *params: Any, number: int = 0) -> None:
        self._socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))

    def _listen(self) -> None:
        try:
            for message in self._socket:
                # A silent client is slow to acknowledge, 40 ms; whatever is sent carries that along.
                if not acknowledge_at_once(self._socket.socket):
                    self._socket.pong()
                self._take(json.loads(message))
        except (ConnectionClosed, OSError):  # OSError: gone, with this message still to be read
            pass
        finally:
            with self._changed:
                self.closed = True
                self._changed.notify_all()

    def _take_answer(self, message: dict[str, Any]) -> None:
        """That of a subscription; the outcome of a transaction may come before it."""
        with self._changed:
            if not message.get("id"):
                self._acknowledged += 1
            elif message["id"] == self._watches:
                self._watched = message.get("result")
            self._changed.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        method, now = message.get("method"), time.perf_counter()
        if method is None:
            self._take_answer(message)
            return
        result = message["params"]["result"]
        with self._changed:
            if method == "slotNotification":
                self.slot = result["slot"]
            elif method == "signatureNotification":
                if result["value"]["err"] is not None:
                    self._refusals.add(message["params"]["subscription"])
            else:
                data = base64.b64decode(result["value"]["data"][0])
                piece_only, self._data = data == self._data, data
                if len(data) < SESSION_STATE.itemsize:  # closed on the L1, after the match
                    self.phase = Phase.ENDED
                else:
                    self.record, self.frame = parse(data, SESSION_STATE), frame_of(data)
                    self.phase = Phase(int(self.record["phase"]))
                self.news, self.arrived = self.news + 1, now
                self.begun_slot = self.begun_slot or result["context"]["slot"]
                if piece_only:
                    return  # whoever waits for a frame is left alone until there is one
            self._changed.notify_all()


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
        self.retries, self._usual = 0, PIECE_SECONDS * len(self._plan)
        self._ahead: list[Parcel] = []
        self._ahead_of = (-1, 0, 0)  # frame, op and attempt that these are for
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
        self._ahead_of = (-1, 0, 0)
        self._resume()

    def _post_inputs(self, orders: list[Instruction], signers: list[Keypair]) -> None:
        self.last_signatures = [self._post.send(orders, self.payer, signers, INPUT_UNITS)]
        self.transactions += 1

    def _run_frame(self, crank: Keypair, orders: list[Instruction], signers: list[Keypair]) -> None:
        number, held = int(self.frame["frame"]), self._held
        self.stream.wait_slot(self._last_slot, FRAME_SECONDS)
        begun = time.monotonic()
        attempt, frame, self.stream.begun_slot = 0, None, None
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
            self.last_signatures = self._send_frame(crank, orders, signers, number, attempt)
            silence = max(SILENCE_SECONDS, 3 * self._usual / len(self._plan))
            frame = self.stream.wait_frame(number + 1, 3 * self._usual + silence, silence)
            attempt += 1
        self._usual += 0.1 * (time.monotonic() - begun - self._usual)
        self.frame, self._next_op, self._last_slot = frame, 0, self.stream.begun_slot or self._last_slot
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
        self, crank: Keypair, orders: list[Instruction], signers: list[Keypair], number: int, attempt: int
    ) -> list[str]:
        """Send what is left of the frame. A second attempt is harmless: what has landed fails by its op."""
        plan = left_of(self._plan, self._next_op)
        known = self._ahead if self._ahead_of == (number, plan[0].begin, attempt) else None
        parcels = known or self._sign(crank, number, plan, attempt)
        if orders:
            parcels[0] = self._parcel(crank, number, plan[0], attempt, orders, signers)
        self.stream.watch(parcels[-1].signature)
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
        As in `ChainSession.local`.
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
