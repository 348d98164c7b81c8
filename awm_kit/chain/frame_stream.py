"""What a rollup tells of a match over its WebSocket: frames, slots, and what became of transactions."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from solders.pubkey import Pubkey
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from awm_kit.chain.accounts import SESSION_STATE, Phase, frame_of, parse
from awm_kit.chain.rollup_post import acknowledge_at_once
from awm_kit.chain.rpc_node import pubsub_url
from awm_kit.errors import LedgerError

FRAME_SECONDS = 5.0  # a frame that is not there by then is not coming
CLOSE_SECONDS = 0.2  # the rollup does not answer a WebSocket's farewell
ARRIVALS = 1 << 14  # four minutes of frames


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
    begun_slot : int
        That of the first of them after the frame before: in which the newest frame began.
    arrivals : deque of (int, float)
        Numbers of the last frames that were told, and when, by `time.perf_counter`.
    arrived : float
        When the newest was.

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
        self.slot = self.news = self.begun_slot = 0
        self._between = True  # frames: the next transaction begins one
        self.arrivals = deque[tuple[int, float]](maxlen=ARRIVALS)
        self.closed, self.arrived = False, 0.0
        self._data, self._acknowledged = b"", 0
        self._watches, self._watched = range(1, 1), dict[int, int]()
        self._outcomes = dict[int, bool]()
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
        one of `watch` was refused.
        """
        self._wait(lambda: self.has(number), seconds, silence)
        with self._changed:
            return self.frame if self.has(number) else None

    def wait_landed(self, place: int, number: int, seconds: float, silence: float) -> bool:
        """Whether that one of the transactions of `watch` was executed, or its frame is there; else False.

        As with `wait_frame`, after that time, that silence, or a refusal.
        """
        watch = self._watches[place]
        return self._wait(
            lambda: self.has(number) or self._outcomes.get(self._watched.get(watch, 0), False),
            seconds,
            silence,
        )

    def watch(self, *signatures: str) -> None:
        """Hear what becomes of these transactions, and no more of those before."""
        first = self._watches.stop
        with self._changed:
            self._watches = range(first, first + len(signatures))
            self._watched.clear()
            self._outcomes.clear()
        with contextlib.suppress(ConnectionClosed):  # `over` tells
            terms = {"commitment": "processed"}
            for number, signature in zip(self._watches, signatures, strict=True):
                self._subscribe("signatureSubscribe", signature, terms, number=number)

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

    def _wait(self, condition: Callable[[], bool], seconds: float, silence: float | None) -> bool:
        give_up = time.monotonic() + seconds
        with self._changed:
            while True:
                heard, left = self.news, give_up - time.monotonic()
                patience = min(left, silence or left)
                told = self._changed.wait_for(lambda: self.over or self._refused or condition(), patience)
                if told or heard == self.news or left <= 0:
                    return condition()

    @property
    def _refused(self) -> bool:
        return any(self._outcomes.get(number) is False for number in self._watched.values())

    def has(self, number: int) -> bool:
        """Whether a frame of that number or a later one was told."""
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
            elif message["id"] in self._watches and "result" in message:
                self._watched[message["id"]] = message["result"]
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
                self._outcomes[message["params"]["subscription"]] = result["value"]["err"] is None
            else:
                data = base64.b64decode(result["value"]["data"][0])
                piece_only, self._data = data == self._data, data
                if len(data) < SESSION_STATE.itemsize:  # closed on the L1, after the match
                    self.phase = Phase.ENDED
                else:
                    self.record, self.frame = parse(data, SESSION_STATE), frame_of(data)
                    self.phase = Phase(int(self.record["phase"]))
                self.news += 1
                if self._between:
                    self.begun_slot = result["context"]["slot"]
                self._between = not piece_only
                if piece_only:
                    return  # whoever waits for a frame is left alone until there is one
                if self.frame is not None:
                    self.arrived = now
                    self.arrivals.append((int(self.frame["frame"]), now))
            self._changed.notify_all()
