"""A wallet in a file or the environment: who pays for deployments and matches."""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import get_ident

from solders.keypair import Keypair

from awm_kit.chain.embedded import EmbeddedLedger, data_dir
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, Ledger
from awm_kit.errors import LedgerError

#: What an empty wallet is given on the embedded ledger, whose lamports are free.
POCKET_MONEY = 1_000 * LAMPORTS_PER_SOL


def load_wallet(path: Path | str | None = None) -> Keypair:
    """The key pair in a file of the Solana tools' format.

    Parameters
    ----------
    path : path, optional
        By default awm-kit's own wallet in the user's data folder, made on first use for nobody else to
        read. It is for development: keep real funds elsewhere.

    Raises
    ------
    LedgerError
        The file is missing (if named) or holds no key pair.
    """
    own = data_dir() / "wallet.json"
    if path is None and not own.exists():
        _make_wallet(own)
    source = own if path is None else Path(path)
    try:
        numbers = json.loads(source.read_text())
        if not isinstance(numbers, list):
            raise ValueError(f"got {type(numbers).__name__}")
        return Keypair.from_bytes(bytes(numbers))
    except FileNotFoundError as error:
        raise LedgerError(
            f"there is no wallet at {source}; `solana-keygen new -o {source}` makes one"
        ) from error
    except (ValueError, TypeError, OSError) as error:
        raise LedgerError(f"{source} is no wallet (a JSON list of 64 numbers): {error}") from error


def _make_wallet(path: Path) -> None:
    """Write a new wallet for its owner's eyes, whole; where another process is faster, its one stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.{get_ident()}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(Keypair().to_json())
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        os.replace(part, path)
    part.unlink(missing_ok=True)


def cluster_wallet(path: Path | str | None = None) -> Keypair:
    """The wallet that pays on a cluster: the user's, never one of awm-kit's own making.

    Parameters
    ----------
    path : path, optional
        By default what ``$AWM_KEYPAIR`` holds, a file's name or the key itself as JSON, or else the Solana
        tools' ``~/.config/solana/id.json``.

    Raises
    ------
    LedgerError
        None of them is there, or what is there is no key pair.
    """
    if path is not None:
        return load_wallet(path)
    given = os.environ.get("AWM_KEYPAIR", "").strip()
    if given.startswith("["):
        try:
            return Keypair.from_bytes(bytes(json.loads(given)))
        except (ValueError, TypeError):
            # What was given is a secret: not a byte of it may get into a message.
            raise LedgerError("$AWM_KEYPAIR is no wallet (a JSON list of 64 numbers)") from None
    if given:
        return load_wallet(given)
    usual = Path.home() / ".config" / "solana" / "id.json"
    if not usual.exists():
        raise LedgerError(
            f"name the wallet that pays with --keypair FILE or $AWM_KEYPAIR; there is no {usual}"
        )
    return load_wallet(usual)


def fund(ledger: Ledger, wallet: Keypair) -> None:
    """Give an almost empty wallet lamports on the embedded ledger; elsewhere they are not ours to give."""
    if isinstance(ledger, EmbeddedLedger) and ledger.balance(wallet.pubkey()) < POCKET_MONEY // 10:
        ledger.airdrop(wallet.pubkey(), POCKET_MONEY)
