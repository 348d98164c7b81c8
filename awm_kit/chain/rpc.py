"""A Solana ledger behind a JSON-RPC URL, on solana-py's client.

solana-py is asynchronous: the client lives on an event loop of its own thread, so that the blocking calls
here work in scripts and inside a notebook's running loop alike.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from typing import Any, TypeVar

from solana.exceptions import SolanaRpcException
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Commitment
from solana.rpc.core import RPCException
from solana.rpc.models import DataSliceOpts, MemcmpOpts, TxOpts
from solders.account import Account
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.rpc.errors import SendTransactionPreflightFailureMessage
from solders.signature import Signature
from solders.transaction import Transaction
from solders.transaction_status import TransactionErrorFieldless

from awm_kit.chain.accounts import PROGRAM_ID
from awm_kit.chain.ledger import SIGNATURE_FEE, AccountInfo, Filter, Ledger, Receipt, compose, failure
from awm_kit.errors import LedgerError, TransactionError

T = TypeVar("T")

_RANK = {"processed": 0, "confirmed": 1, "finalized": 2}
_MAX_ACCOUNTS = 100  # of one getMultipleAccounts
_IN_FLIGHT = 16
_BLOCKHASH_SECONDS = 15.0  # of the minute for which one is valid
_REBROADCAST_SECONDS = 2.0
_EXPIRIES = 3
_RATE_LIMIT_TRIES = 8


class RpcLedger(Ledger):
    """A cluster, or the development ledger in ``validator/``.

    Parameters
    ----------
    url : str
        JSON-RPC endpoint, e.g. ``http://127.0.0.1:8899`` or ``https://api.devnet.solana.com``.
    commitment : {'processed', 'confirmed', 'finalized'}
        When a transaction counts as landed, and which state is read.
    program_id : Pubkey
        The world program on that cluster.
    unit_price : int
        Priority fee in micro-lamports per compute unit.
    timeout : float
        Seconds for one HTTP request.
    preflight : bool
        Whether nodes try a transaction before they forward it; pointless, and slower, on a rollup.

    Raises
    ------
    LedgerError
        Nothing answers at ``url``.
    """

    poll_seconds = 0.05

    def __init__(
        self,
        url: str,
        commitment: str = "confirmed",
        *,
        program_id: Pubkey = PROGRAM_ID,
        unit_price: int = 0,
        timeout: float = 30.0,
        preflight: bool = True,
    ) -> None:
        if commitment not in _RANK:
            raise ValueError(f"expected a commitment of {', '.join(_RANK)} (got {commitment!r})")
        self.name = url
        self.program_id = program_id
        self.unit_price = unit_price
        self._preflight = preflight
        self._commitment = Commitment(commitment)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="awm-rpc", daemon=True)
        self._thread.start()
        self._client = self._run(self._connect(url, timeout))
        self._blockhash = Hash.default()
        self._valid_until = self._fetched = 0.0
        self._used: set[Signature] = set()
        self._blockhash_lock = asyncio.Lock()
        try:
            self.slot()
        except LedgerError:
            self.close()
            raise

    async def _connect(self, url: str, timeout: float) -> AsyncClient:
        return AsyncClient(url, commitment=self._commitment, timeout=timeout, http2=False)

    def close(self) -> None:
        """Close the connection and stop the thread."""
        if self._loop.is_running():
            self._run(self._client.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def accounts(self, keys: Sequence[Pubkey]) -> list[AccountInfo | None]:
        """See `Ledger.accounts`."""
        found: list[AccountInfo | None] = []
        for at in range(0, len(keys), _MAX_ACCOUNTS):
            part = list(keys[at : at + _MAX_ACCOUNTS])
            response = self._call(partial(self._client.get_multiple_accounts, part))
            found += [
                _info(key, account) if account else None
                for key, account in zip(part, response.value, strict=True)
            ]
        return found

    def program_accounts(
        self, filters: Sequence[Filter] = (), *, data_slice: tuple[int, int] | None = None
    ) -> list[AccountInfo]:
        """See `Ledger.program_accounts`."""
        wanted = [f if isinstance(f, int) else MemcmpOpts(offset=f[0], bytes=_base58(f[1])) for f in filters]
        part = DataSliceOpts(offset=data_slice[0], length=data_slice[1]) if data_slice else None
        response = self._call(
            lambda: self._client.get_program_accounts(
                self.program_id, encoding="base64", data_slice=part, filters=wanted
            )
        )
        return sorted((_info(a.pubkey, a.account) for a in response.value), key=lambda a: bytes(a.key))

    def balance(self, key: Pubkey) -> int:
        """Lamports of ``key``; 0 if there is no such account."""
        return int(self._call(lambda: self._client.get_balance(key)).value)

    def fee(self, signatures: int = 1, compute_units: int = 200_000) -> int:
        """Lamports for a transaction: signatures plus the priority fee for the units it asks for."""
        return SIGNATURE_FEE * signatures + -(-compute_units * self.unit_price // 1_000_000)

    def compute_units(self, signature: Signature) -> int:
        """Units that a transaction used; 0 if the node does not know it."""
        return self._run(self._details(signature, 0))[0]

    def rent_exempt(self, size: int) -> int:
        """See `Ledger.rent_exempt`."""
        return int(self._call(lambda: self._client.get_minimum_balance_for_rent_exemption(size)).value)

    def slot(self) -> int:
        """Current slot at this ledger's commitment."""
        return int(self._call(lambda: self._client.get_slot()).value)

    def next_slot(self, after: int | None = None) -> int:
        """Wait until the slot is above ``after`` (by default the current one)."""
        slot = self.slot()
        after = slot if after is None else after
        give_up = time.monotonic() + 60
        while slot <= after:
            if time.monotonic() > give_up:
                raise LedgerError(f"{self.name} has stood at slot {slot} for 60 s; is the cluster running?")
            time.sleep(self.poll_seconds)
            slot = self.slot()
        return slot

    def airdrop(self, key: Pubkey, lamports: int) -> None:
        """Ask the cluster's faucet for lamports and wait for them."""
        try:
            signature = self._call(lambda: self._client.request_airdrop(key, lamports)).value
        except LedgerError as error:
            raise LedgerError(f"{self.name} gave no airdrop: {error}; fund {key} another way") from error
        self._run(self._landed(signature, None))

    def send_many(
        self,
        batches: Sequence[Sequence[Instruction]],
        payer: Keypair,
        signers: Iterable[Keypair] = (),
        *,
        compute_units: int | None = None,
        heap_bytes: int | None = None,
        label: str = "",
        on_done: Callable[[int], None] | None = None,
    ) -> list[Receipt]:
        """See `Ledger.send_many`; up to 16 transactions are in flight."""
        keypairs = [payer, *signers]

        def sign(batch: Sequence[Instruction], blockhash: Hash) -> Transaction:
            return compose(
                batch,
                payer,
                keypairs,
                blockhash,
                compute_units=compute_units,
                heap_bytes=heap_bytes,
                unit_price=self.unit_price,
            )

        details = len(batches) == 1
        receipts: list[Receipt | None] = [None] * len(batches)
        waiting: dict[Future[Receipt], int] = {}
        todo = iter(enumerate(batches))
        try:
            while True:
                while len(waiting) < _IN_FLIGHT and (item := next(todo, None)):
                    i, batch = item
                    waiting[self._submit(self._deliver(partial(sign, batch), label, details))] = i
                if not waiting:
                    return [r for r in receipts if r is not None]
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    i = waiting.pop(future)
                    receipts[i] = future.result()
                    if on_done:
                        on_done(i)
        finally:
            for future in waiting:
                future.cancel()

    async def _deliver(self, sign: Callable[[Hash], Transaction], label: str, details: bool) -> Receipt:
        """Send until it lands; sign again with a new blockhash when the old one expired unused."""
        for _ in range(_EXPIRIES):
            transaction, valid_until = await self._signed(sign)
            signature = transaction.signatures[0]
            if not await self._broadcast(transaction, label):
                continue
            status = await self._landed(signature, valid_until, bytes(transaction))
            if status is None:
                continue
            units, fee = 0, SIGNATURE_FEE * len(transaction.signatures)
            logs: tuple[str, ...] = ()
            if details or status.err:
                units, fee, logs = await self._details(signature, fee)
            if status.err:
                raise failure(status.err, logs, transaction, self.program_id, label)
            return Receipt(str(signature), status.slot, units, fee, logs, label)
        raise TransactionError(
            f"transaction {label!r} expired {_EXPIRIES} times without landing on {self.name}; "
            "the cluster is busy: set unit_price, or try later"
        )

    async def _signed(self, sign: Callable[[Hash], Transaction]) -> tuple[Transaction, int]:
        while True:
            blockhash, valid_until = await self._recent_blockhash()
            transaction = sign(blockhash)
            if transaction.signatures[0] not in self._used:
                self._used.add(transaction.signatures[0])
                return transaction, valid_until
            # The same content signed with the same blockhash is the same transaction: it would run once.
            self._fetched = 0.0
            await asyncio.sleep(0.05)

    async def _recent_blockhash(self) -> tuple[Hash, int]:
        async with self._blockhash_lock:
            if time.monotonic() - self._fetched > _BLOCKHASH_SECONDS:
                latest = (await self._ask(lambda: self._client.get_latest_blockhash())).value
                if latest.blockhash != self._blockhash:
                    self._used.clear()
                self._blockhash = latest.blockhash
                self._valid_until = latest.last_valid_block_height
                self._fetched = time.monotonic()
            return self._blockhash, int(self._valid_until)

    async def _broadcast(self, transaction: Transaction, label: str) -> bool:
        """Hand a transaction to the node; False if it does not know the blockhash (yet, or any more)."""
        options = TxOpts(skip_preflight=not self._preflight, preflight_commitment=self._commitment)
        try:
            await self._ask(lambda: self._client.send_raw_transaction(bytes(transaction), options))
        except RPCException as error:
            message = error.args[0]
            if not isinstance(message, SendTransactionPreflightFailureMessage):
                raise TransactionError(f"{self.name} refused transaction {label!r}: {message}") from error
            cause, logs = message.data.err, message.data.logs or ()
            if cause == TransactionErrorFieldless.AlreadyProcessed:
                return True
            if cause == TransactionErrorFieldless.BlockhashNotFound:
                self._fetched = 0.0
                await asyncio.sleep(0.2)
                return False
            raise failure(cause, logs, transaction, self.program_id, label) from error
        return True

    async def _landed(self, signature: Signature, valid_until: int | None, raw: bytes | None = None) -> Any:
        """Status of a transaction once it has this ledger's commitment; None if it expired first."""
        began = sent = time.monotonic()
        pause = 0.01
        while True:
            status = (await self._ask(lambda: self._client.get_signature_statuses([signature]))).value[0]
            if status and (status.err or _rank(status) >= _RANK[self._commitment]):
                return status
            now = time.monotonic()
            if status is None and valid_until is not None and now - began > 1.0:
                height = (await self._ask(lambda: self._client.get_block_height())).value
                if height > valid_until:
                    return None
            if now - began > 120:
                raise TransactionError(f"{self.name} did not confirm {signature} within 120 s")
            if raw and status is None and now - sent > _REBROADCAST_SECONDS:
                sent = now
                await self._ask(lambda: self._client.send_raw_transaction(raw, TxOpts(skip_preflight=True)))
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.5)

    async def _details(self, signature: Signature, fee: int) -> tuple[int, int, tuple[str, ...]]:
        """Compute units, fee and logs; nodes may answer a moment after they confirm, or not at all."""
        commitment = self._commitment if self._commitment != "processed" else Commitment("confirmed")
        for pause in (0.02, 0.1, 0.3, 1.0):
            found = (
                await self._ask(lambda: self._client.get_transaction(signature, "base64", commitment, 0))
            ).value
            if found and (meta := found.transaction.meta):
                return meta.compute_units_consumed or 0, meta.fee, tuple(meta.log_messages or ())
            await asyncio.sleep(pause)
        return 0, fee, ()

    async def _ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """One request; waits and repeats when the node asks to slow down."""
        pause = 0.5
        for attempt in range(_RATE_LIMIT_TRIES):
            try:
                return await request()
            except SolanaRpcException as error:
                cause = error.__cause__
                response = getattr(cause, "response", None)
                if getattr(response, "status_code", None) != 429 or attempt == _RATE_LIMIT_TRIES - 1:
                    raise LedgerError(
                        f"no usable answer from {self.name}: {cause or error} ({type(cause).__name__}). "
                        "Is the URL right and the node up? EmbeddedLedger() needs none"
                    ) from None  # five layers of HTTP client say no more
                asked = str(response.headers.get("retry-after", "")) if response is not None else ""
                await asyncio.sleep(float(asked) if asked.isdigit() else pause)
                pause = min(pause * 2, 8.0)
        raise LedgerError(f"{self.name} keeps answering 429")

    def _call(self, request: Callable[[], Awaitable[T]]) -> T:
        async def once() -> T:
            try:
                return await self._ask(request)
            except RPCException as error:
                raise LedgerError(f"{self.name} answered with an error: {error.args[0]}") from error

        return self._run(once())

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if not self._loop.is_running():
            work.close()
            raise LedgerError(f"the connection to {self.name} was closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._submit(work).result()


def _rank(status: Any) -> int:
    """Commitment of a signature status; nodes leave it out when the transaction is rooted."""
    level = status.confirmation_status
    return 2 if level is None else int(level)


def _info(key: Pubkey, account: Account) -> AccountInfo:
    return AccountInfo(key, bytes(account.data), account.lamports, account.owner)


def _base58(data: bytes) -> str:
    """Base58 of bytes, as filters want them; solders encodes only keys and signatures."""
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = alphabet[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text
