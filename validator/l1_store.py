"""The development L1 in a file: accounts and slot, what changed in one go: a crash loses the last second.

The history of transactions is not kept: after a restart their signatures are unknown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from solders.account import Account
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey

from awm_kit.errors import ValidatorError

_SCHEMA = """
create table if not exists accounts
  (key blob primary key, lamports integer, owner blob, executable integer, data blob);
create table if not exists facts (name text primary key, value integer);
"""
FORMAT = 1


class Store:
    """Accounts on disk.

    Parameters
    ----------
    path : Path
        An SQLite file; made if there is none.

    Raises
    ------
    ValidatorError
        It is another kind of file, of another version, or in use by another process.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # The server runs in a thread of its own in tests; it is only ever used by one at a time.
            self._file = sqlite3.connect(path, timeout=2.0, check_same_thread=False)
            self._file.execute("pragma locking_mode = exclusive")
            self._file.execute("pragma journal_mode = wal")
            self._file.executescript(_SCHEMA)
            found = self._fact("format", FORMAT)
            self._file.execute("insert or replace into facts values ('format', ?)", (found,))
            self._file.commit()
        except sqlite3.Error as error:
            raise ValidatorError(f"the L1's state {path} cannot be used: {error}") from error
        if found != FORMAT:
            raise ValidatorError(f"{path}: expected format {FORMAT} (got {found}); delete it to start anew")

    def load(self, svm: LiteSVM) -> int:
        """Put the accounts into a Solana VM; returns the slot they are of, 0 if the store is new."""
        # A program can only be loaded when the account with its code is there.
        rows = self._file.execute("select * from accounts order by executable, key")
        for key, lamports, owner, executable, data in rows:
            svm.set_account(
                Pubkey.from_bytes(key), Account(lamports, data, Pubkey.from_bytes(owner), bool(executable))
            )
        return self._fact("slot", 0)

    def save(self, svm: LiteSVM, keys: Iterable[Pubkey], slot: int) -> None:
        """Write these accounts as they are now, and the slot, at once."""
        gone, rows = [], []
        for key in keys:
            account = svm.get_account(key)
            if account is None or not account.lamports:
                gone.append((bytes(key),))
                continue
            owner, data = bytes(account.owner), bytes(account.data)
            rows.append((bytes(key), account.lamports, owner, account.executable, data))
        with self._file:
            self._file.executemany("delete from accounts where key = ?", gone)
            self._file.executemany("insert or replace into accounts values (?, ?, ?, ?, ?)", rows)
            self._file.execute("insert or replace into facts values ('slot', ?)", (slot,))

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _fact(self, name: str, default: int) -> int:
        row = self._file.execute("select value from facts where name = ?", (name,)).fetchone()
        return int(row[0]) if row else default
