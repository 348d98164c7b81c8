"""How a Solana node writes accounts, transactions and errors, and reads transactions and filters."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from solders.account import Account
from solders.message import VersionedMessage
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata
from solders.transaction_status import TransactionStatus

Json = Any
MAX_BASE58 = 128  # bytes of account data: longer ones take nodes too long
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class RpcError(Exception):
    """A JSON-RPC error: code, message and optional data."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.body = {"code": code, "message": message} | ({} if data is None else {"data": data})


def account_json(account: Account | None, config: Json = None) -> Json:
    """An account with ``dataSlice`` applied, in base64 unless base58 is asked for.

    No account is parsed: ``jsonParsed`` is answered in base64, as nodes answer of accounts they do not know.
    """
    if account is None:
        return None
    config = config or {}
    data = bytes(account.data)
    part = config.get("dataSlice")
    shown = data[part["offset"] : part["offset"] + part["length"]] if part else data
    if config.get("encoding") in ("base58", "binary"):
        if len(shown) > MAX_BASE58:
            raise RpcError(-32600, f"Encoded binary (base 58) data should be less than {MAX_BASE58} bytes")
        text = [base58_text(shown), "base58"]
    else:
        text = [base64.b64encode(shown).decode(), "base64"]
    return {
        "data": text,
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": str(account.owner),
        "rentEpoch": 2**64 - 1,
        "space": len(data),
    }


def account_filter(spec: Json) -> Callable[[bytes], bool]:
    """The test that a ``dataSize`` or ``memcmp`` filter stands for."""
    if "dataSize" in spec:
        return lambda data: len(data) == spec["dataSize"]
    if "memcmp" not in spec:
        raise ValueError(f"expected a filter dataSize or memcmp (got {list(spec)})")
    start, wanted = spec["memcmp"]["offset"], spec["memcmp"]["bytes"]
    if isinstance(wanted, list):
        wanted = bytes(wanted)
    elif spec["memcmp"].get("encoding") == "base64":
        wanted = base64.b64decode(wanted)
    else:
        wanted = base58_bytes(wanted)
    return lambda data: data[start : start + len(wanted)] == wanted


def base58_bytes(text: str) -> bytes:
    """Bytes of a base58 string."""
    number = 0
    for letter in text:
        number = number * 58 + _BASE58.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def base58_text(data: bytes) -> str:
    """Base58 string of bytes."""
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def decoded(encoded: str, config: Json) -> tuple[VersionedTransaction, bytes]:
    """A transaction and its bytes, from base64 or (the protocol's default) base58."""
    raw = base64.b64decode(encoded) if (config or {}).get("encoding") == "base64" else base58_bytes(encoded)
    return VersionedTransaction.from_bytes(raw), raw


def error_json(error: Any) -> Json:
    """A TransactionError as clusters write it."""
    status = TransactionStatus(slot=0, confirmations=None, status=None, err=error, confirmation_status=None)
    return json.loads(status.to_json())["err"]


def simulation_json(result: Any) -> Json:
    """A simulation's outcome."""
    failed = isinstance(result, FailedTransactionMetadata)
    error, meta = error_json(result.err()) if failed else None, result.meta()
    outcome = {"err": error, "logs": list(meta.logs()), "unitsConsumed": meta.compute_units_consumed()}
    return outcome | {"accounts": None, "returnData": None, "innerInstructions": None}


def meta_json(meta: Any, error: Json, balances: tuple[list[int], list[int]]) -> Json:
    """What is known of a transaction that landed; ``balances`` of its accounts before and after it."""
    shown = {
        "err": error,
        "status": {"Ok": None} if error is None else {"Err": error},
        "fee": meta.fee(),
        "preBalances": balances[0],
        "postBalances": balances[1],
        "logMessages": list(meta.logs()),
        "computeUnitsConsumed": meta.compute_units_consumed(),
        "loadedAddresses": {"writable": [], "readonly": []},
    }
    return shown | {n: [] for n in ("innerInstructions", "preTokenBalances", "postTokenBalances", "rewards")}


def transaction_json(raw: bytes, encoding: str) -> Json:
    """A transaction as ``json``, ``jsonParsed`` (no program is parsed), ``base58`` or else ``base64``."""
    if encoding in ("json", "jsonParsed"):
        return _message_json(VersionedTransaction.from_bytes(raw), encoding == "jsonParsed")
    if encoding == "base58":
        return [base58_text(raw), "base58"]
    return [base64.b64encode(raw).decode(), "base64"]


def _message_json(transaction: VersionedTransaction, parsed: bool) -> Json:
    message = transaction.message
    keys = list(message.account_keys)
    head = message.header
    shown: Json = {"recentBlockhash": str(message.recent_blockhash)}
    if parsed:
        shown["accountKeys"] = [_key_json(message, i, key) for i, key in enumerate(keys)]
        shown["instructions"] = [
            {
                "programId": str(keys[i.program_id_index]),
                "accounts": [str(keys[a]) for a in i.accounts if a < len(keys)],
                "data": base58_text(i.data),
                "stackHeight": None,
            }
            for i in message.instructions
        ]
    else:
        shown["header"] = {
            "numRequiredSignatures": head.num_required_signatures,
            "numReadonlySignedAccounts": head.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": head.num_readonly_unsigned_accounts,
        }
        shown["accountKeys"] = [str(key) for key in keys]
        shown["instructions"] = [
            {
                "programIdIndex": i.program_id_index,
                "accounts": list(i.accounts),
                "data": base58_text(i.data),
                "stackHeight": None,
            }
            for i in message.instructions
        ]
    return {"signatures": [str(s) for s in transaction.signatures], "message": shown}


def is_writable(message: VersionedMessage, index: int) -> bool:
    """Whether a message's own account at this index is locked for writing."""
    head, count = message.header, len(message.account_keys)
    signers = head.num_required_signatures
    if index < signers:
        return index < signers - head.num_readonly_signed_accounts
    return index < count - head.num_readonly_unsigned_accounts


def _key_json(message: VersionedMessage, index: int, key: Pubkey) -> Json:
    return {
        "pubkey": str(key),
        "signer": index < message.header.num_required_signatures,
        "writable": is_writable(message, index),
        "source": "transaction",
    }
