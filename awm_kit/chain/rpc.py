"""A Solana ledger behind a JSON-RPC URL: any cluster, or the development ledger in ``validator/``."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from solana.rpc.core import RPCException
from solders.account import Account
from solders.commitment_config import CommitmentLevel
from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.rpc import requests as ask
from solders.rpc import responses as answer
from solders.rpc.config import (
    RpcProgramAccountsConfig,
    RpcSendTransactionConfig,
    RpcTransactionConfig,
)
from solders.rpc.errors import SendTransactionPreflightFailureMessage
from solders.rpc.filter import Memcmp
from solders.signature import Signature
from solders.transaction import Transaction
from solders.transaction_status import TransactionErrorFieldless, UiTransactionEncoding

from awm_kit.chain.accounts import PROGRAM_ID
from awm_kit.chain.ledger import SIGNATURE_FEE, AccountInfo, Filter, Ledger, Receipt, Terms, failure
from awm_kit.chain.rpc_node import Node
from awm_kit.errors import LedgerError, TransactionError

_MAX_ACCOUNTS = 100  # of one getMultipleAccounts
_IN_FLIGHT = 16
_BLOCKHASH_SECONDS = 15.0  # of the minute for which one is valid
_REBROADCAST_SECONDS = 2.0
_EXPIRIES = 3
_UNITS_PER_INSTRUCTION = 200_000  # what a cluster allows where nothing is asked for
_PRICE_SECONDS = 20.0
_PRICE_KEYS = 128
_PRICE_RANK = 0.75
_LOWEST_RAISE = 1_000


#: What the Solana tools call their clusters.
CLUSTERS = {
    "devnet": "https://api.devnet.solana.com",
    "testnet": "https://api.testnet.solana.com",
    "mainnet-beta": "https://api.mainnet-beta.solana.com",
    "localhost": "http://127.0.0.1:8899",
}


class RpcLedger(Ledger):
    """A cluster, or the development ledger in ``validator/``.

    Parameters
    ----------
    url : str
        JSON-RPC endpoint, e.g. ``http://127.0.0.1:8899``, or the name of a cluster, e.g. ``devnet``.
    commitment : {'processed', 'confirmed', 'finalized'}
        When a transaction counts as landed, and which state is read.
    program_id : Pubkey
        The world program on that cluster.
    unit_price : int or None
        Priority fee in micro-lamports per compute unit. None: what three of four recent blocks were content
        with for the same accounts, doubled whenever a transaction expires.
    max_unit_price : int
        The most that None may come to.
    timeout : float
        Seconds for one HTTP request.
    preflight : bool
        Whether nodes try a transaction before they forward it; pointless, and slower, on a rollup.

    Raises
    ------
    LedgerError
        Nothing answers at ``url``.
    ValueError
        ``url`` is neither a URL nor a cluster's name, or there is no such commitment.
    """

    poll_seconds = 0.05

    def __init__(
        self,
        url: str,
        commitment: str = "confirmed",
        *,
        program_id: Pubkey = PROGRAM_ID,
        unit_price: int | None = 0,
        max_unit_price: int = 1_000_000,
        timeout: float = 30.0,
        preflight: bool = True,
    ) -> None:
        self.name = url = CLUSTERS.get(url, url)
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"expected the URL of a cluster, or one of {', '.join(CLUSTERS)} (got {url!r})")
        self.program_id = program_id
        self.max_unit_price = max_unit_price
        self._bid, self._priced = unit_price, -_PRICE_SECONDS
        self._price = unit_price or 0
        self._preflight = preflight
        self._node = Node(url, commitment, timeout)
        self._blockhash = Hash.default()
        self._valid_until = self._fetched = 0.0
        self._used: set[Signature] = set()
        self._blockhash_lock = asyncio.Lock()
        self._asked: dict[Signature, asyncio.Future[Any]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        try:
            self.slot()
        except LedgerError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection and stop its thread."""
        self._node.close()

    def accounts(self, keys: Sequence[Pubkey]) -> list[AccountInfo | None]:
        """See `Ledger.accounts`; never as they were before a transaction that this object sent."""
        found: list[AccountInfo | None] = []
        for at in range(0, len(keys), _MAX_ACCOUNTS):
            part = list(keys[at : at + _MAX_ACCOUNTS])
            body = ask.GetMultipleAccounts(part, self._node.account_context())
            values = self._node.call(body, answer.GetMultipleAccountsResp).value
            found += [_info(key, a) if a else None for key, a in zip(part, values, strict=True)]
        return found

    def program_accounts(
        self, filters: Sequence[Filter] = (), *, data_slice: tuple[int, int] | None = None
    ) -> list[AccountInfo]:
        """See `Ledger.program_accounts`."""
        wanted = [f if isinstance(f, int) else Memcmp(f[0], _base58(f[1])) for f in filters]
        config = RpcProgramAccountsConfig(self._node.account_context(data_slice), wanted)
        body = ask.GetProgramAccounts(self.program_id, config)
        values = self._node.call(body, answer.GetProgramAccountsResp).value
        return sorted((_info(a.pubkey, a.account) for a in values), key=lambda a: bytes(a.key))

    def balance(self, key: Pubkey) -> int:
        """Lamports of ``key``; 0 if there is no such account."""
        body = ask.GetBalance(key, self._node.context())
        return int(self._node.call(body, answer.GetBalanceResp).value)

    @property
    def unit_price(self) -> int:
        """Priority fee in micro-lamports per compute unit, as last set or learned from the cluster."""
        if self._bid is None and time.monotonic() - self._priced > _PRICE_SECONDS:
            self._node.run(self._learn_price(()))
        return self._price

    def fee(self, signatures: int = 1, compute_units: int = _UNITS_PER_INSTRUCTION) -> int:
        """Lamports for a transaction: signatures plus the priority fee for the units it asks for."""
        return _fee(signatures, compute_units, self.unit_price)

    def compute_units(self, signature: Signature) -> int:
        """Units that a transaction used; 0 if the node does not know it."""
        return self._node.run(self._details(signature, 0))[0]

    def rent_exempt(self, size: int) -> int:
        """See `Ledger.rent_exempt`."""
        body = ask.GetMinimumBalanceForRentExemption(size)
        return int(self._node.call(body, answer.GetMinimumBalanceForRentExemptionResp).value)

    def slot(self) -> int:
        """Current slot at this ledger's commitment."""
        return int(self._node.call(ask.GetSlot(self._node.context()), answer.GetSlotResp).value)

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

    def identity(self) -> Pubkey:
        """Of the node; a rollup's is the validator that a match must be lent to."""
        return self._node.call(ask.GetIdentity(), answer.GetIdentityResp).value.identity

    def airdrop(self, key: Pubkey, lamports: int) -> None:
        """Ask the cluster's faucet for lamports and wait for them."""
        try:
            body = ask.RequestAirdrop(key, lamports)
            signature = self._node.call(body, answer.RequestAirdropResp).value
        except LedgerError as error:
            raise LedgerError(f"{self.name} gave no airdrop: {error}; fund {key} another way") from error
        self._node.run(self._landed(signature, None))

    def _send_many(
        self, batches: Sequence[Sequence[Instruction]], terms: Terms, on_done: Callable[[int], None] | None
    ) -> list[Receipt]:
        """Up to 16 transactions are in flight."""
        if self._bid is None and time.monotonic() - self._priced > _PRICE_SECONDS:
            self._node.run(self._learn_price(batches))
        details = len(batches) == 1
        receipts: list[Receipt | None] = [None] * len(batches)
        waiting: dict[Future[Receipt], int] = {}
        todo = iter(enumerate(batches))
        try:
            while True:
                while len(waiting) < _IN_FLIGHT and (item := next(todo, None)):
                    i, batch = item
                    waiting[self._node.submit(self._deliver(batch, terms, details))] = i
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

    async def _deliver(self, batch: Sequence[Instruction], terms: Terms, details: bool) -> Receipt:
        """Send until it lands; sign again with a new blockhash when the old one expired unused."""
        label, units = terms.label, terms.compute_units or _UNITS_PER_INSTRUCTION * len(batch)
        price = self._price
        for _ in range(_EXPIRIES):
            transaction, valid_until = await self._signed(batch, terms, price)
            signature = transaction.signatures[0]
            if not await self._broadcast(transaction, label):
                continue
            status = await self._landed(signature, valid_until, bytes(transaction))
            if status is None:
                if self._bid is None:
                    price = min(self.max_unit_price, max(2 * price, _LOWEST_RAISE))
                continue
            used, fee = 0, _fee(len(transaction.signatures), units, price)
            logs: tuple[str, ...] = ()
            if details or status.err:
                used, fee, logs = await self._details(signature, fee)
            if status.err:
                raise failure(status.err, logs, transaction, self.program_id, label)
            self._node.seen = max(self._node.seen, status.slot)
            return Receipt(str(signature), status.slot, used, fee, logs, label)
        raise TransactionError(
            f"transaction {label!r} expired {_EXPIRIES} times without landing on {self.name}; "
            "the cluster is busy: raise --priority-fee (unit_price), or try later"
        )

    async def _learn_price(self, batches: Sequence[Sequence[Instruction]]) -> None:
        """What the priority fee was in recent blocks, for the accounts that these transactions write.

        Nothing where a node does not tell, as rollups do not; who is not served then offers more.
        """
        written = {m.pubkey for batch in batches for o in batch for m in o.accounts if m.is_writable}
        body = ask.GetRecentPrioritizationFees(sorted(written, key=bytes)[:_PRICE_KEYS])
        fees: list[int] = []
        with contextlib.suppress(RPCException):
            found = await self._node.ask(body, answer.GetRecentPrioritizationFeesResp)
            fees = sorted(fee.prioritization_fee for fee in found.value)
        recent = fees[int(_PRICE_RANK * (len(fees) - 1))] if fees else 0
        self._price, self._priced = min(recent, self.max_unit_price), time.monotonic()

    async def _signed(
        self, batch: Sequence[Instruction], terms: Terms, price: int
    ) -> tuple[Transaction, int]:
        while True:
            blockhash, valid_until = await self._recent_blockhash()
            transaction = terms.compose(batch, blockhash, price)
            if transaction.signatures[0] not in self._used:
                self._used.add(transaction.signatures[0])
                return transaction, valid_until
            # The same content signed with the same blockhash is the same transaction: it would run once.
            self._fetched = 0.0
            await asyncio.sleep(0.05)

    async def _recent_blockhash(self) -> tuple[Hash, int]:
        async with self._blockhash_lock:
            if time.monotonic() - self._fetched > _BLOCKHASH_SECONDS:
                body = ask.GetLatestBlockhash(self._node.context())
                latest = (await self._node.ask(body, answer.GetLatestBlockhashResp)).value
                if latest.blockhash != self._blockhash:
                    self._used.clear()
                self._blockhash = latest.blockhash
                self._valid_until = latest.last_valid_block_height
                self._fetched = time.monotonic()
            return self._blockhash, int(self._valid_until)

    async def _broadcast(self, transaction: Transaction, label: str) -> bool:
        """Hand a transaction to the node; False if it does not know the blockhash (yet, or any more)."""
        try:
            await self._post(bytes(transaction), preflight=self._preflight)
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

    async def _post(self, raw: bytes, *, preflight: bool) -> None:
        # A node that simulates on older state than we have seen would refuse what is in order.
        seen = self._node.seen or None if preflight else None
        config = RpcSendTransactionConfig(not preflight, self._node.level, min_context_slot=seen)
        await self._node.ask(ask.SendRawTransaction(raw, config), answer.SendTransactionResp)

    async def _landed(self, signature: Signature, valid_until: int | None, raw: bytes | None = None) -> Any:
        """Status of a transaction once it has this ledger's commitment; None if it expired first."""
        began = sent = time.monotonic()
        pause, expired = 0.01, False
        while True:
            status = await self._status(signature)
            if status and (status.err or _rank(status) >= self._node.rank):
                return status
            if expired and status is None:
                return None  # asked again after the height was seen: it cannot have landed between
            now = time.monotonic()
            if status is None and valid_until is not None and now - began > 1.0:
                body = ask.GetBlockHeight(self._node.context())
                expired = (await self._node.ask(body, answer.GetBlockHeightResp)).value > valid_until
            if now - began > 120:
                raise TransactionError(f"{self.name} did not confirm {signature} within 120 s")
            if raw and status is None and not expired and now - sent > _REBROADCAST_SECONDS:
                sent = now
                with contextlib.suppress(RPCException):  # what became of the first one is what counts
                    await self._post(raw, preflight=False)
            await asyncio.sleep(0 if expired else pause)
            pause = min(pause * 1.5, 0.5)

    async def _status(self, signature: Signature) -> Any:
        """Status of a transaction; those asked for at about the same time go into one request."""
        if not self._asked:  # a task of its own: whoever asked first may be cancelled
            task = asyncio.create_task(self._ask_statuses())
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        return await self._asked.setdefault(signature, asyncio.get_running_loop().create_future())

    async def _ask_statuses(self) -> None:
        await asyncio.sleep(0.002)
        if len(self._asked) > 1:
            await asyncio.sleep(self.poll_seconds)
        asked, self._asked = self._asked, {}
        try:
            body = ask.GetSignatureStatuses(list(asked))
            found: list[Any] = list((await self._node.ask(body, answer.GetSignatureStatusesResp)).value)
        except Exception as error:  # whatever it is, those who wait must hear of it
            found = [error] * len(asked)
        for future, status in zip(asked.values(), found, strict=True):
            if future.done():  # nobody waits any more
                continue
            if isinstance(status, Exception):
                future.set_exception(status)
            else:
                future.set_result(status)

    async def _details(self, signature: Signature, fee: int) -> tuple[int, int, tuple[str, ...]]:
        """Compute units, fee and logs; nodes may answer a moment after they confirm, or not at all.

        No failure here makes one of a transaction that has landed.
        """
        level = self._node.level if self._node.rank else CommitmentLevel.Confirmed
        config = RpcTransactionConfig(UiTransactionEncoding.Base64, level, 0)
        for pause in (0.02, 0.1, 0.3, 1.0):
            body = ask.GetTransaction(signature, config)
            with contextlib.suppress(RPCException, LedgerError):
                found = (await self._node.ask(body, answer.GetTransactionResp)).value
                if found and (meta := found.transaction.meta):
                    return meta.compute_units_consumed or 0, meta.fee, tuple(meta.log_messages or ())
            await asyncio.sleep(pause)
        return 0, fee, ()


def _fee(signatures: int, units: int, unit_price: int) -> int:
    return SIGNATURE_FEE * signatures + -(-units * unit_price // 1_000_000)


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
