"""Transactions to a rollup over one connection, in order, without waiting for each one's receipt.

All transactions of a frame are written at once (HTTP pipelining), so that the rollup always has the next one.
Its answers say only that it took them; what became of them shows in the accounts.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from solders.hash import Hash, ParseHashError
from solders.instruction import Instruction
from solders.keypair import Keypair

from awm_kit.chain.ledger import compose
from awm_kit.errors import LedgerError

BLOCKHASH_SECONDS = 5.0
TIMEOUT_SECONDS = 10.0
_STALE = "Blockhash not found"
_SIGNED_ANEW, _NEXT_BLOCKHASH = 5, 0.1
_OPTIONS = {"encoding": "base64", "skipPreflight": True}


@dataclass(frozen=True)
class Parcel:
    """A signed transaction, ready to be posted."""

    signature: str
    request: bytes


class Post:
    """One HTTP connection to a rollup's JSON-RPC.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://``.

    Raises
    ------
    LedgerError
        From every method: the rollup does not answer, or refuses.
    """

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._url, self._secure = url, place.scheme == "https"
        self._address = place.hostname or "", place.port or (443 if self._secure else 80)
        target = (place.path or "/") + (f"?{place.query}" if place.query else "")
        self._head = f"POST {target} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        self._socket: socket.socket | None = None
        self._read = b""
        self._owed = 0
        self._blockhash, self._fetched = Hash.default(), -BLOCKHASH_SECONDS

    def sign(
        self, orders: Sequence[Instruction], payer: Keypair, signers: Iterable[Keypair], compute_units: int
    ) -> Parcel:
        """Make a transaction, to be posted within seconds."""
        transaction = compose(orders, payer, signers, self._recent(), compute_units=compute_units)
        encoded = base64.b64encode(bytes(transaction)).decode()
        return Parcel(str(transaction.signatures[0]), self._request("sendTransaction", encoded, _OPTIONS))

    def post(self, parcels: Sequence[Parcel]) -> None:
        """Write transactions to the connection, in this order; `collect` tells whether they were taken."""
        self.collect()
        self._write(b"".join(parcel.request for parcel in parcels))
        self._owed = len(parcels)

    def collect(self) -> bool:
        """Read what is still to be answered; the first refusal is raised, after all have been read.

        Returns
        -------
        bool
            False if the blockhash was refused, as one from before a restart is: sign again.
        """
        refusal, known = None, True
        while self._owed:
            answer = self._answer("sendTransaction")
            self._owed -= 1
            if _STALE in str(answer.get("error")):
                self._fetched, known = -BLOCKHASH_SECONDS, False
            elif refusal is None and "error" in answer:
                refusal = answer["error"]
        if refusal is not None:
            raise LedgerError(f"{self._url} refused sendTransaction: {refusal}")
        return known

    def send(
        self, orders: Sequence[Instruction], payer: Keypair, signers: Iterable[Keypair], compute_units: int
    ) -> str:
        """Sign and send one transaction, and wait until it was taken; returns the signature."""
        for _ in range(_SIGNED_ANEW):
            parcel = self.sign(orders, payer, signers, compute_units)
            self.post([parcel])
            if self.collect():
                return parcel.signature
            time.sleep(_NEXT_BLOCKHASH)
        raise LedgerError(f"{self._url} does not know the blockhashes that it gives out")

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._socket:
            self._socket.close()
        self._socket, self._read, self._owed = None, b"", 0
        self._fetched = -BLOCKHASH_SECONDS  # a rollup that was restarted knows other blockhashes

    def _recent(self) -> Hash:
        if time.monotonic() - self._fetched > BLOCKHASH_SECONDS:
            self.collect()
            self._write(self._request("getLatestBlockhash"))
            answer = self._answer("getLatestBlockhash")
            if "error" in answer:
                raise LedgerError(f"{self._url} refused getLatestBlockhash: {answer['error']}")
            try:
                self._blockhash = Hash.from_string(answer["result"]["value"]["blockhash"])
            except (KeyError, TypeError, ParseHashError) as error:
                raise LedgerError(f"{self._url} gave no blockhash: {answer}") from error
            self._fetched = time.monotonic()
        return self._blockhash

    def _request(self, method: str, *params: Any) -> bytes:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        return f"{self._head}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    def _write(self, data: bytes) -> None:
        try:
            if self._socket is None:
                self._socket = self._connect()
            self._socket.sendall(data)
        except OSError as error:
            self.close()
            raise LedgerError(f"{self._url} does not answer: {error}") from error

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address, TIMEOUT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._secure:
            return ssl.create_default_context().wrap_socket(connection, server_hostname=self._address[0])
        return connection

    def _answer(self, method: str) -> dict[str, Any]:
        """The next answer on the connection."""
        try:
            head = self._take_until(b"\r\n\r\n").lower()
            if b"content-length:" not in head:
                raise ValueError("an answer without its length")
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            while len(self._read) < length:
                self._receive()
            body, self._read = self._read[:length], self._read[length:]
            answer = json.loads(body)
            if not isinstance(answer, dict):
                raise ValueError(f"expected a JSON object (got {answer!r})")
            return answer
        except (OSError, ValueError) as error:
            self.close()
            raise LedgerError(f"{self._url} did not answer {method}: {error}") from error

    def _take_until(self, mark: bytes) -> bytes:
        while mark not in self._read:
            self._receive()
        head, _, self._read = self._read.partition(mark)
        return head

    def _receive(self) -> None:
        data = b""
        if self._socket:
            acknowledge_at_once(self._socket)
            data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the connection was closed")
        self._read += data


def acknowledge_at_once(connection: socket.socket) -> bool:
    """Have what comes next acknowledged without delay: the rollup's Nagle sends nothing more before it is.

    Returns
    -------
    bool
        Whether this system does such a thing.
    """
    if not hasattr(socket, "TCP_QUICKACK"):
        return False
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return True
