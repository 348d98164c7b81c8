"""A whole Solana ledger inside this process: solders' LiteSVM with the world program on it.

It charges real fees, enforces rent and the 1.4M compute-unit limit, and needs no server, key or network.
A *slot* here lasts as long as the caller likes: `EmbeddedLedger.next_slot` ends it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import IO

from solders.account import Account
from solders.instruction import Instruction
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM_ID
from solders.transaction_metadata import FailedTransactionMetadata

from awm_kit.chain.accounts import PROGRAM_ID
from awm_kit.chain.ledger import AccountInfo, Filter, Ledger, Receipt, Terms, failure
from awm_kit.errors import LedgerError
from awm_kit.files import written_whole

_STATE_MAGIC = b"AWMLEDG1"
_STATE_HEAD = struct.Struct("<8sQ32s")  # magic, length of the JSON header, SHA-256 of all that follows


class EmbeddedLedger(Ledger):
    """An in-process ledger; thread safe.

    Parameters
    ----------
    program : bytes, optional
        ELF image of the world program; by default the one in the package.
    program_id : Pubkey, optional
    """

    name = "embedded"

    def __init__(self, program: bytes | None = None, program_id: Pubkey = PROGRAM_ID) -> None:
        self.program_id = program_id
        self._lock = threading.RLock()
        # The history only serves to refuse repeated transactions; `send_many` never repeats a blockhash.
        self._svm = LiteSVM().with_transaction_history(0)
        self._svm.add_program(program_id, program_image() if program is None else program)
        self._slot = 0
        self.next_slot()

    def _send_many(
        self, batches: Sequence[Sequence[Instruction]], terms: Terms, on_done: Callable[[int], None] | None
    ) -> list[Receipt]:
        """In order, one at a time."""
        receipts = []
        for i, batch in enumerate(batches):
            with self._lock:
                receipts.append(self._send(batch, terms))
            if on_done:
                on_done(i)
        return receipts

    def _send(self, instructions: Sequence[Instruction], terms: Terms) -> Receipt:
        self._svm.expire_blockhash()  # so that two equal transactions have different signatures
        transaction = terms.compose(instructions, self._svm.latest_blockhash())
        result = self._svm.send_transaction(transaction)
        if isinstance(result, FailedTransactionMetadata):
            raise failure(result.err(), result.meta().logs(), transaction, self.program_id, terms.label)
        return Receipt(
            str(result.signature()),
            self._slot,
            result.compute_units_consumed(),
            result.fee(),
            tuple(result.logs()),
            terms.label,
        )

    def accounts(self, keys: Sequence[Pubkey]) -> list[AccountInfo | None]:
        """See `Ledger.accounts`."""
        with self._lock:
            found = [(key, self._svm.get_account(key)) for key in keys]
        return [_info(key, account) if account and account.lamports else None for key, account in found]

    def program_accounts(
        self, filters: Sequence[Filter] = (), *, data_slice: tuple[int, int] | None = None
    ) -> list[AccountInfo]:
        """See `Ledger.program_accounts`."""
        with self._lock:
            owned = [_info(key, account) for key, account in self._svm.get_program_accounts(self.program_id)]
        start, length = data_slice or (0, None)
        stop = None if length is None else start + length
        return sorted(
            (
                AccountInfo(a.key, a.data[start:stop], a.lamports, a.owner)
                for a in owned
                if a.lamports and passes(a.data, filters)
            ),
            key=lambda a: bytes(a.key),
        )

    def rent_exempt(self, size: int) -> int:
        """See `Ledger.rent_exempt`."""
        return self._svm.minimum_balance_for_rent_exemption(size)

    def slot(self) -> int:
        """Current slot."""
        return self._slot

    def next_slot(self, after: int | None = None) -> int:
        """Begin the first slot above ``after``, at the wall clock's time; does nothing if that has begun."""
        with self._lock:
            target = (self._slot if after is None else after) + 1
            if target > self._slot:
                self._svm.warp_to_slot(target)
                clock = self._svm.get_clock()
                clock.unix_timestamp = int(time.time())
                self._svm.set_clock(clock)
                self._slot = target
            return self._slot

    def airdrop(self, key: Pubkey, lamports: int) -> None:
        """Give lamports to ``key``."""
        with self._lock:
            self._svm.expire_blockhash()
            result = self._svm.airdrop(key, lamports)
        if isinstance(result, FailedTransactionMetadata):
            raise LedgerError(
                f"the embedded ledger could not give {lamports} lamports to {key}: {result.err()}"
            )

    def save(self, path: Path | str) -> None:
        """Write the world program's and all wallets' accounts to ``path``, replacing it at once."""
        with self._lock:
            accounts = [
                (key, account)
                for owner in (self.program_id, SYSTEM_PROGRAM_ID)
                for key, account in self._svm.get_program_accounts(owner)
                if account.lamports and key != self._svm.airdrop_pubkey()
            ]
            _write_state(Path(path), str(self.program_id), self._slot, accounts)

    @classmethod
    def load(cls, path: Path | str) -> EmbeddedLedger:
        """A ledger with the accounts that `save` wrote.

        Raises
        ------
        LedgerError
            The file cannot be read, is damaged or of another version.
        """
        program_id, slot, accounts = _read_state(Path(path))
        ledger = cls(program_id=Pubkey.from_string(program_id))
        ledger.next_slot(slot)
        for key, account in accounts:
            ledger._svm.set_account(key, account)
        return ledger

    @classmethod
    @contextmanager
    def opened(cls, path: Path | str | None = None, patience: float = 60.0) -> Iterator[EmbeddedLedger]:
        """The ledger kept at ``path`` (by default in the user's data folder), saved when the block ends.

        A block that raises saves too: what landed has landed.

        Parameters
        ----------
        path : path, optional
        patience : float
            Seconds to wait while another process has the same ledger open.

        Raises
        ------
        LedgerError
            Another process keeps it, or the file is damaged.
        """
        path = default_path() if path is None else Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.with_name(path.name + ".lock"), "w") as lock:
            _lock(lock, patience, f"the embedded ledger {path} is in use by another process")
            ledger = cls.load(path) if path.exists() else cls()
            try:
                yield ledger
            finally:
                ledger.save(path)


def program_image() -> bytes:
    """ELF image of the world program that comes with the package."""
    return resources.files("awm_kit.chain").joinpath("world_model.so").read_bytes()


def data_dir() -> Path:
    """The user's folder for ledgers and wallets: ``$XDG_DATA_HOME/awm-kit``."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "awm-kit"


def default_path() -> Path:
    """Where `EmbeddedLedger.opened` keeps its accounts."""
    return data_dir() / "embedded.ledger"


def _lock(file: IO[str], patience: float, complaint: str) -> None:
    give_up = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise LedgerError(complaint) from None
            time.sleep(0.05)


def passes(data: bytes, filters: Sequence[Filter]) -> bool:
    """Whether account data passes every filter of `Ledger.program_accounts`."""
    return all(
        len(data) == f if isinstance(f, int) else data[f[0] : f[0] + len(f[1])] == f[1] for f in filters
    )


def _info(key: Pubkey, account: Account) -> AccountInfo:
    return AccountInfo(key, bytes(account.data), account.lamports, account.owner)


def _write_state(path: Path, program_id: str, slot: int, accounts: Sequence[tuple[Pubkey, Account]]) -> None:
    rows = [[str(key), str(a.owner), a.lamports, len(a.data)] for key, a in accounts]
    header = json.dumps({"program_id": program_id, "slot": slot, "accounts": rows}).encode()
    body = b"".join([header, *(bytes(a.data) for _, a in accounts)])
    with written_whole(path) as part, open(part, "wb") as file:
        file.write(_STATE_HEAD.pack(_STATE_MAGIC, len(header), hashlib.sha256(body).digest()) + body)
        file.flush()
        os.fsync(file.fileno())


def _read_state(path: Path) -> tuple[str, int, list[tuple[Pubkey, Account]]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LedgerError(f"cannot read the embedded ledger {path}: {error.strerror}") from error
    advice = f"delete {path} to start with an empty ledger"
    if len(raw) < _STATE_HEAD.size or not raw.startswith(_STATE_MAGIC):
        raise LedgerError(f"{path} is no embedded ledger of this version; {advice}")
    _, header_len, digest = _STATE_HEAD.unpack_from(raw)
    body = memoryview(raw)[_STATE_HEAD.size :]
    if hashlib.sha256(body).digest() != digest:
        raise LedgerError(f"the embedded ledger {path} is damaged (checksum); {advice}")
    header = json.loads(bytes(body[:header_len]))
    accounts, at = [], header_len
    for key, owner, lamports, size in header["accounts"]:
        data = bytes(body[at : at + size])
        accounts.append((Pubkey.from_string(key), Account(lamports, data, Pubkey.from_string(owner))))
        at += size
    return header["program_id"], header["slot"], accounts
