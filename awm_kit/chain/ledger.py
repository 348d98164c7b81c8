"""One interface to a Solana ledger, whether it runs in this process or behind a URL.

`EmbeddedLedger` and `RpcLedger` implement it; nothing else in `chain` knows which one it talks to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from solders.compute_budget import request_heap_frame, set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_status import (
    InstructionErrorCustom,
    TransactionErrorFieldless,
    TransactionErrorInstructionError,
    TransactionErrorInsufficientFundsForRent,
)

from awm_kit.chain.accounts import PROGRAM_ID, program_error
from awm_kit.errors import InsufficientFundsError, LedgerError, TransactionError

LAMPORTS_PER_SOL = 1_000_000_000
SIGNATURE_FEE = 5_000
MAX_TRANSACTION_BYTES = 1_232
MAX_COMPUTE_UNITS = 1_400_000
FIRST_ERROR = 6_000

#: What one filter of `Ledger.program_accounts` is: an account size, or ``(offset, bytes)`` that must match.
Filter = int | tuple[int, bytes]


@dataclass(frozen=True)
class Receipt:
    """What is known of a transaction that landed.

    Parameters
    ----------
    signature : str
    slot : int
    compute_units : int
        Units consumed; 0 where the ledger was not asked for them (`Ledger.send_many` over RPC).
    fee : int
        Lamports.
    logs : tuple of str
    label : str
        The caller's name for it.
    """

    signature: str
    slot: int
    compute_units: int
    fee: int
    logs: tuple[str, ...] = ()
    label: str = ""


@dataclass(frozen=True)
class AccountInfo:
    """An account as read from a ledger."""

    key: Pubkey
    data: bytes
    lamports: int
    owner: Pubkey


@dataclass(frozen=True)
class Terms:
    """Who signs transactions and what they ask for; the fields are the parameters of `Ledger.send`."""

    payer: Keypair
    signers: tuple[Keypair, ...]
    compute_units: int | None
    heap_bytes: int | None
    label: str

    def compose(
        self, instructions: Sequence[Instruction], blockhash: Hash, unit_price: int = 0
    ) -> Transaction:
        """Sign instructions on these terms; see `compose`."""
        return compose(
            instructions,
            self.payer,
            self.signers,
            blockhash,
            compute_units=self.compute_units,
            heap_bytes=self.heap_bytes,
            unit_price=unit_price,
        )


class Ledger(ABC):
    """A Solana ledger with the world program on it.

    Attributes
    ----------
    name : str
        Where it is: ``embedded``, or a URL.
    program_id : Pubkey
        The world program.
    poll_seconds : float
        How often to look whether something has changed.
    """

    name: str
    program_id: Pubkey = PROGRAM_ID
    poll_seconds: float = 0.002

    def send(
        self,
        instructions: Sequence[Instruction],
        payer: Keypair,
        signers: Iterable[Keypair] = (),
        *,
        compute_units: int | None = None,
        heap_bytes: int | None = None,
        label: str = "",
    ) -> Receipt:
        """Sign and send one transaction and wait until it is confirmed.

        Parameters
        ----------
        instructions : sequence of Instruction
        payer : Keypair
            Pays the fee; signs first.
        signers : iterable of Keypair
            Further signers; the payer may be among them.
        compute_units : int, optional
            Limit to request, at most 1,400,000; by default the cluster's 200,000 per instruction.
        heap_bytes : int, optional
            Heap to request, a multiple of 1,024 up to 262,144.
        label : str
            Named in errors and in the receipt.

        Raises
        ------
        ProgramError
            The world program refused it.
        InsufficientFundsError
            The payer cannot pay fee or rent.
        TransactionError
            It failed otherwise, or is too large.
        LedgerError
            The ledger cannot be reached.
        """
        terms = Terms(payer, tuple(signers), compute_units, heap_bytes, label)
        return self._send_many([instructions], terms, None)[0]

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
        """Send transactions that do not depend on each other; several may be in flight.

        Parameters are those of `send`, for every transaction; ``on_done(i)`` is called in the calling
        thread when transaction ``i`` is confirmed. The first failure is raised after which nothing
        more is sent; what has landed stays.
        """
        terms = Terms(payer, tuple(signers), compute_units, heap_bytes, label)
        return self._send_many(batches, terms, on_done)

    @abstractmethod
    def _send_many(
        self, batches: Sequence[Sequence[Instruction]], terms: Terms, on_done: Callable[[int], None] | None
    ) -> list[Receipt]:
        """What `send_many` promises."""

    def fee(self, signatures: int = 1, compute_units: int = 200_000) -> int:
        """Lamports that a transaction costs, whether it succeeds or not."""
        return SIGNATURE_FEE * signatures

    @abstractmethod
    def accounts(self, keys: Sequence[Pubkey]) -> list[AccountInfo | None]:
        """Accounts in the order of ``keys``; None where there is none."""

    @abstractmethod
    def program_accounts(
        self, filters: Sequence[Filter] = (), *, data_slice: tuple[int, int] | None = None
    ) -> list[AccountInfo]:
        """Accounts of the world program that pass every filter, in the order of their keys.

        Parameters
        ----------
        filters : sequence of int or (int, bytes)
            A data size, or bytes that must stand at an offset.
        data_slice : (int, int), optional
            Offset and length of the data to return, instead of all.
        """

    @abstractmethod
    def rent_exempt(self, size: int) -> int:
        """Lamports that an account with ``size`` bytes of data must hold."""

    @abstractmethod
    def slot(self) -> int:
        """Current slot."""

    @abstractmethod
    def next_slot(self, after: int | None = None) -> int:
        """Go on (embedded) or wait (RPC) until the slot is above ``after`` (the current one by default)."""

    @abstractmethod
    def airdrop(self, key: Pubkey, lamports: int) -> None:
        """Give lamports to ``key``; only development chains do so, others raise `LedgerError`."""

    def account(self, key: Pubkey) -> AccountInfo | None:
        """Account at ``key``, or None."""
        return self.accounts([key])[0]

    def balance(self, key: Pubkey) -> int:
        """Lamports of ``key``; 0 if there is no such account."""
        account = self.account(key)
        return account.lamports if account else 0

    def close(self) -> None:  # noqa: B027
        """Release connections; the ledger cannot be used afterwards."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def compose(
    instructions: Sequence[Instruction],
    payer: Keypair,
    signers: Iterable[Keypair],
    blockhash: Hash,
    *,
    compute_units: int | None = None,
    heap_bytes: int | None = None,
    unit_price: int = 0,
) -> Transaction:
    """Sign instructions, preceded by the compute budget asked for, as one transaction.

    ``unit_price`` is in micro-lamports per compute unit. Raises `TransactionError` if it does not fit into
    the 1,232 bytes of a packet.
    """
    budget = []
    if compute_units is not None:
        budget.append(set_compute_unit_limit(compute_units))
    if heap_bytes is not None:
        budget.append(request_heap_frame(heap_bytes))
    if unit_price:
        budget.append(set_compute_unit_price(unit_price))
    message = Message.new_with_blockhash([*budget, *instructions], payer.pubkey(), blockhash)
    # By identity first: telling keys apart costs a curve multiplication for each.
    keypairs = list({id(k): k for k in (payer, *signers)}.values())
    if len(keypairs) > message.header.num_required_signatures:
        keypairs = list({k.pubkey(): k for k in keypairs}.values())
    transaction = Transaction(keypairs, message, blockhash)
    size = len(bytes(transaction))
    if size > MAX_TRANSACTION_BYTES:
        raise TransactionError(
            f"expected a transaction of at most {MAX_TRANSACTION_BYTES} bytes (got {size})"
        )
    return transaction


def failure(
    error: object, logs: Sequence[str], transaction: Transaction, program_id: Pubkey, label: str = ""
) -> LedgerError:
    """The named error for a failed transaction's ``error`` (a solders ``TransactionErrorType``)."""
    what = f"transaction {label!r}" if label else "transaction"
    payer = transaction.message.account_keys[0]
    if isinstance(error, TransactionErrorInstructionError):
        invoked = transaction.message.instructions[error.index].program_id(transaction.message.account_keys)
        if isinstance(error.err, InstructionErrorCustom):
            # Below 6000 it is the error of a program that ours called.
            if invoked == program_id and error.err.code >= FIRST_ERROR:
                return program_error(error.err.code, tuple(logs))
            shortage = next((line for line in logs if "insufficient lamports" in line), None)
            if shortage:
                return InsufficientFundsError(f"{what}, paid by {payer}: {shortage}")
        detail = f"instruction {error.index} ({invoked}): {_plain(error.err)}"
        return TransactionError("\n  ".join([f"{what} failed in {detail}", *logs]))
    if isinstance(error, TransactionErrorInsufficientFundsForRent):
        poor = transaction.message.account_keys[error.account_index]
        return InsufficientFundsError(f"{what}: {poor} would hold less than its rent")
    if error in _NO_PROGRAM:
        return TransactionError(
            f"{what} failed: a program that it calls is not there. Is the world program {program_id}? "
            "Deploy it, or name another with --program-id (programs/world-model/README.md)"
        )
    if error in _CANNOT_PAY:
        return InsufficientFundsError(f"{what}: {payer} cannot pay the fee ({_plain(error)})")
    return TransactionError("\n  ".join([f"{what} failed: {_plain(error)}", *logs]))


def sol(lamports: int) -> str:
    """Lamports as SOL with the digits that matter, e.g. ``7.300000 SOL``."""
    return f"{lamports / LAMPORTS_PER_SOL:,.6f} SOL"


_NO_PROGRAM = (
    TransactionErrorFieldless.ProgramAccountNotFound,
    TransactionErrorFieldless.InvalidProgramForExecution,
)
_CANNOT_PAY = (
    TransactionErrorFieldless.AccountNotFound,
    TransactionErrorFieldless.InsufficientFundsForFee,
)


def _plain(error: object) -> str:
    return repr(error).rsplit(".", 1)[-1]
