"""One JSON-RPC endpoint, asked patiently: busy, lagging and briefly unreachable nodes are waited for.

solana-py's provider is asynchronous: it lives on an event loop of its own thread, so that the blocking calls
here work in scripts and inside a notebook's running loop alike.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from solana.exceptions import SolanaRpcException
from solana.rpc.async_http_provider import AsyncHTTPProvider
from solana.rpc.core import RPCException
from solders.account_decoder import UiAccountEncoding, UiDataSliceConfig
from solders.commitment_config import CommitmentLevel
from solders.errors import SerdeJSONError
from solders.rpc.config import RpcAccountInfoConfig, RpcContextConfig
from solders.rpc.errors import MinContextSlotNotReachedMessage, NodeUnhealthyMessage
from solders.rpc.requests import Body

from awm_kit.errors import LedgerError

T = TypeVar("T")

_TRIES = 8  # of a request that a node is too busy, or too far behind, to answer
_LONGEST_WAIT = 60.0  # that a node may ask for
_BUSY = (429, 502, 503, 504)
_BEHIND = (MinContextSlotNotReachedMessage, NodeUnhealthyMessage)
_LEVELS = {
    "processed": CommitmentLevel.Processed,
    "confirmed": CommitmentLevel.Confirmed,
    "finalized": CommitmentLevel.Finalized,
}


def pubsub_url(url: str) -> str:
    """The WebSocket of a JSON-RPC URL, where Solana's clients look: at the next port, if it names one."""
    place = urlsplit(url)
    host = place.netloc
    if place.port:
        host = f"{host.removesuffix(f':{place.port}')}:{place.port + 1}"
    return place._replace(scheme="wss" if place.scheme == "https" else "ws", netloc=host).geturl()


def check_commitment(name: str) -> None:
    """``ValueError`` unless it is a commitment's name."""
    if name not in _LEVELS:
        raise ValueError(f"expected a commitment of {', '.join(_LEVELS)} (got {name!r})")


class Node:
    """An endpoint, and the slot behind which its answers may not fall.

    Parameters
    ----------
    url : str
    commitment : {'processed', 'confirmed', 'finalized'}
    timeout : float
        Seconds for one HTTP request.

    Attributes
    ----------
    seen : int
        Slot of the newest transaction of ours that landed. Many nodes may share a URL: one that is behind
        would show accounts as they were before it, and is asked again.
    rank : int
        Of the commitment: 0 processed, 1 confirmed, 2 finalized.
    """

    def __init__(self, url: str, commitment: str, timeout: float) -> None:
        check_commitment(commitment)
        self.url, self.level, self.seen = url, _LEVELS[commitment], 0
        self.rank = list(_LEVELS).index(commitment)
        self._answered = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="awm-rpc", daemon=True)
        self._thread.start()
        self._provider = self.run(self._connect(timeout))

    async def _connect(self, timeout: float) -> AsyncHTTPProvider:
        return AsyncHTTPProvider(self.url, timeout=timeout, http2=False, max_transport_retries=0)

    def close(self) -> None:
        """Close the connection and stop the thread."""
        if self._loop.is_running():
            self.run(self._provider.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def context(self) -> RpcContextConfig:
        """How to ask for state that is not older than what this process has seen."""
        return RpcContextConfig(self.level, self.seen or None)

    def account_context(self, data_slice: tuple[int, int] | None = None) -> RpcAccountInfoConfig:
        """Like `context`, for account data, or a part of it as offset and length."""
        part = UiDataSliceConfig(*data_slice) if data_slice else None
        return RpcAccountInfoConfig(UiAccountEncoding.Base64, part, self.level, self.seen or None)

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin work on the endpoint's thread; a JSON-RPC error left unhandled is a `LedgerError`."""
        if not self._loop.is_running():
            work.close()
            raise LedgerError(f"the connection to {self.url} was closed")
        return asyncio.run_coroutine_threadsafe(self._named(work), self._loop)

    async def _named(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        except RPCException as error:
            raise LedgerError(f"{self.url} answered with an error: {error.args[0]}") from error

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work on the endpoint's thread."""
        return self.submit(work).result()

    def call(self, body: Body, answer: type[T]) -> T:
        """Ask and wait."""
        return self.run(self.ask(body, answer))

    async def ask(self, body: Body, answer: type[T]) -> T:
        """One request, repeated while the node is busy, behind, or gone for a moment.

        A transaction that is sent twice runs once, so nothing here is unsafe to repeat.

        Raises
        ------
        RPCException
            The node refused.
        LedgerError
            It gave no usable answer, however patiently it was asked.
        """
        pause, broken = 0.5, 0
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            try:
                found: T = await self._provider.make_request(body, answer)  # type: ignore[type-var]
                self._answered = True
                return found
            except RPCException as error:
                if last or not isinstance(error.args[0], _BEHIND):
                    raise
                wait = min(pause, 1.0)
            except SerdeJSONError as error:
                raise self._useless(error, "; it is no JSON-RPC") from None
            except SolanaRpcException as error:
                cause = error.__cause__
                response = getattr(cause, "response", None)
                if getattr(response, "status_code", None) in _BUSY:
                    wait = _asked_for(response) or pause
                    if last or wait > _LONGEST_WAIT:
                        raise self._useless(cause or error, f"; it asks to wait {wait:g} s") from None
                else:
                    broken += 1
                    if response is not None or broken > self._forgiven(cause):
                        raise self._useless(cause or error) from None  # five layers of client say no more
                    wait = 0.2 * broken
            await asyncio.sleep(wait)
            pause = min(pause * 2, 8.0)
        raise LedgerError(f"{self.url} stays too busy or too far behind")

    def _forgiven(self, cause: BaseException | None) -> int:
        """How many broken connections in a row; a node that has never answered is more likely not there."""
        if not self._answered or type(cause).__name__.endswith("Timeout"):
            return 1
        return 3

    def _useless(self, cause: BaseException, more: str = "") -> LedgerError:
        return LedgerError(
            f"no usable answer from {self.url}: {cause} ({type(cause).__name__}){more}. "
            "Is the URL right and the node up? The embedded ledger needs none"
        )


def _asked_for(response: Any) -> float | None:
    """Seconds in a Retry-After header, which holds a number of them or a date; None without one."""
    asked = str(response.headers.get("retry-after", "")).strip()
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:
        return None
