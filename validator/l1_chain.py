"""The development L1's state and its JSON-RPC methods, on LiteSVM.

What it does not model: forks (every transaction is final at once), leaders, stakes, fees of other users.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from solders.account import Account
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata
from solders.transaction_status import TransactionStatus

from awm_kit.chain.accounts import PROGRAM_ID
from awm_kit.chain.embedded import program_image

Json = Any
VERSION = {"solana-core": "2.2.0", "feature-set": 1}
GENESIS = str(Hash.hash(b"awm-kit development L1"))
BLOCKHASH_SLOTS = 150
SLOT_HASHES = 512
FIRST_SLOT = 100
LOOKUP_TABLES = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class RpcError(Exception):
    """A JSON-RPC error: code, message and optional data."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.body = {"code": code, "message": message} | ({} if data is None else {"data": data})


class Chain:
    """State of the ledger and one method for each JSON-RPC method; ``rpc_getSlot`` answers ``getSlot``."""

    def __init__(self, programs: dict[Pubkey, bytes] | None = None) -> None:
        # LiteSVM knows one blockhash and a short history; a cluster accepts 150. Both are kept here instead.
        self.svm = LiteSVM().with_blockhash_check(False).with_transaction_history(0)
        for key, image in (programs or {PROGRAM_ID: program_image()}).items():
            self.svm.add_program(key, image)
        self.statuses: dict[str, Json] = {}
        self.transactions: dict[str, Json] = {}
        self.blockhashes: dict[str, int] = {}
        self.slot_hashes: list[tuple[int, Hash]] = []
        self.slot = FIRST_SLOT - 1
        self.next_slot()

    def next_slot(self) -> None:
        """End the slot: a new blockhash, slot hash and time."""
        self.slot += 1
        self.svm.expire_blockhash()
        self.svm.warp_to_slot(self.slot)
        clock = self.svm.get_clock()
        clock.unix_timestamp = int(time.time())
        self.svm.set_clock(clock)
        latest = self.svm.latest_blockhash()
        self.blockhashes[str(latest)] = self.slot
        if len(self.blockhashes) > BLOCKHASH_SLOTS:
            del self.blockhashes[next(iter(self.blockhashes))]
        self.slot_hashes = [(self.slot, latest), *self.slot_hashes[: SLOT_HASHES - 1]]
        self.svm.set_slot_hashes(self.slot_hashes)

    def call(self, request: Json) -> Json:
        """Answer one JSON-RPC request."""
        answer = {"jsonrpc": "2.0", "id": request.get("id") if isinstance(request, dict) else None}
        try:
            method = getattr(self, f"rpc_{request['method']}", None)
            if method is None:
                raise RpcError(-32601, f"Method not found: {request['method']}")
            return answer | {"result": method(*(request.get("params") or []))}
        except RpcError as error:
            return answer | {"error": error.body}
        except (TypeError, ValueError, KeyError, IndexError) as error:
            return answer | {"error": {"code": -32602, "message": f"Invalid params: {error}"}}

    def account(self, key: str) -> Account | None:
        """The account at ``key``, None when it holds nothing."""
        found = self.svm.get_account(Pubkey.from_string(key))
        return found if found and found.lamports else None

    def with_context(self, value: Json) -> Json:
        """A value as state of the current slot."""
        return {"context": {"slot": self.slot, "apiVersion": VERSION["solana-core"]}, "value": value}

    def rpc_getHealth(self) -> Json:
        return "ok"

    def rpc_getVersion(self) -> Json:
        return VERSION

    def rpc_getIdentity(self) -> Json:
        return {"identity": str(Pubkey.default())}

    def rpc_getGenesisHash(self) -> Json:
        return GENESIS

    def rpc_getSlot(self, config: Json = None) -> Json:
        return self.slot

    rpc_getBlockHeight = rpc_getSlot

    def rpc_getEpochInfo(self, config: Json = None) -> Json:
        place = {"absoluteSlot": self.slot, "blockHeight": self.slot, "slotIndex": self.slot}
        return place | {"epoch": 0, "slotsInEpoch": 432_000, "transactionCount": len(self.transactions)}

    def rpc_getLatestBlockhash(self, config: Json = None) -> Json:
        value = {
            "blockhash": str(self.svm.latest_blockhash()),
            "lastValidBlockHeight": self.slot + BLOCKHASH_SLOTS,
        }
        return self.with_context(value)

    def rpc_isBlockhashValid(self, blockhash: str, config: Json = None) -> Json:
        return self.with_context(blockhash in self.blockhashes)

    def rpc_getMinimumBalanceForRentExemption(self, size: int, config: Json = None) -> Json:
        return self.svm.minimum_balance_for_rent_exemption(size)

    def rpc_getBalance(self, key: str, config: Json = None) -> Json:
        return self.with_context(self.svm.get_balance(Pubkey.from_string(key)) or 0)

    def rpc_getAccountInfo(self, key: str, config: Json = None) -> Json:
        return self.with_context(account_json(self.account(key), config))

    def rpc_getMultipleAccounts(self, keys: list[str], config: Json = None) -> Json:
        if len(keys) > 100:
            raise RpcError(-32602, f"Too many inputs provided; max 100 (got {len(keys)})")
        return self.with_context([account_json(self.account(key), config) for key in keys])

    def rpc_getProgramAccounts(self, program: str, config: Json = None) -> Json:
        config = config or {}
        tests = [account_filter(f) for f in config.get("filters") or []]
        found = [
            {"pubkey": str(key), "account": account_json(account, config)}
            for key, account in self.svm.get_program_accounts(Pubkey.from_string(program))
            if account.lamports and all(test(bytes(account.data)) for test in tests)
        ]
        return self.with_context(found) if config.get("withContext") else found

    def rpc_requestAirdrop(self, key: str, lamports: int, config: Json = None) -> Json:
        self.svm.expire_blockhash()
        result = self.svm.airdrop(Pubkey.from_string(key), lamports)
        self.blockhashes[str(self.svm.latest_blockhash())] = self.slot
        if isinstance(result, FailedTransactionMetadata):
            raise RpcError(-32603, f"airdrop failed: {error_json(result.err())}")
        return self._record(str(result.signature()), None, None)

    def rpc_simulateTransaction(self, encoded: str, config: Json = None) -> Json:
        transaction, _ = decoded(encoded, config)
        return self.with_context(simulation_json(self.svm.simulate_transaction(transaction)))

    def rpc_sendTransaction(self, encoded: str, config: Json = None) -> Json:
        config = config or {}
        transaction, raw = decoded(encoded, config)
        signature = str(transaction.signatures[0])
        refused = None
        if str(transaction.message.recent_blockhash) not in self.blockhashes:
            refused = {"err": "BlockhashNotFound", "logs": []}
        elif signature in self.statuses:
            refused = {"err": "AlreadyProcessed", "logs": []}
        elif not config.get("skipPreflight"):
            refused = simulation_json(self.svm.simulate_transaction(transaction))
        if refused and refused["err"]:
            if config.get("skipPreflight"):
                return signature  # a node forwards it all the same; it just never lands
            raise RpcError(-32002, f"Transaction simulation failed: {refused['err']}", refused)
        result = self.svm.send_transaction(transaction)
        failed = isinstance(result, FailedTransactionMetadata)
        meta = result.meta() if failed else result
        error = error_json(result.err()) if failed else None
        record = transaction_json(raw, meta, error, self.slot)
        if LOOKUP_TABLES in transaction.message.account_keys:
            self.next_slot()  # the table can be used from the next slot on; who made it may not wait for that
        return self._record(signature, error, record)

    def rpc_getSignatureStatuses(self, signatures: list[str], config: Json = None) -> Json:
        return self.with_context([self.statuses.get(s) for s in signatures])

    def rpc_getTransaction(self, signature: str, config: Json = None) -> Json:
        return self.transactions.get(signature)

    def rpc_getBlock(self, slot: int, config: Json = None) -> Json:
        around = {"blockhash": GENESIS, "previousBlockhash": GENESIS, "parentSlot": max(slot - 1, 0)}
        return around | {
            "blockTime": int(time.time()),
            "blockHeight": slot,
            "transactions": [],
            "rewards": [],
        }

    def _record(self, signature: str, error: Json, transaction: Json) -> str:
        status = {"Ok": None} if error is None else {"Err": error}
        final = {"slot": self.slot, "confirmations": None, "confirmationStatus": "finalized"}
        self.statuses[signature] = final | {"err": error, "status": status}
        if transaction:
            self.transactions[signature] = transaction
        return signature


def account_json(account: Account | None, config: Json = None) -> Json:
    """An account in base64, whichever encoding was asked for, with ``dataSlice`` applied."""
    if account is None:
        return None
    data = bytes(account.data)
    part = (config or {}).get("dataSlice")
    shown = data[part["offset"] : part["offset"] + part["length"]] if part else data
    return {
        "data": [base64.b64encode(shown).decode(), "base64"],
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


def transaction_json(raw: bytes, meta: Any, error: Json, slot: int) -> Json:
    """What getTransaction answers, always in base64."""
    empty = (
        "preBalances",
        "postBalances",
        "innerInstructions",
        "preTokenBalances",
        "postTokenBalances",
        "rewards",
    )
    shown = {
        "err": error,
        "status": {"Ok": None} if error is None else {"Err": error},
        "fee": meta.fee(),
        "logMessages": list(meta.logs()),
        "computeUnitsConsumed": meta.compute_units_consumed(),
        "loadedAddresses": {"writable": [], "readonly": []},
    }
    message = [base64.b64encode(raw).decode(), "base64"]
    body = {"slot": slot, "blockTime": int(time.time()), "version": "legacy", "transaction": message}
    return body | {"meta": shown | {name: [] for name in empty}}


def load_account(chain: Chain, path: Path) -> None:
    """Add an account from ``solana account --output json``."""
    raw = json.loads(path.read_text())
    fields = raw["account"]
    account = Account(
        fields["lamports"],
        base64.b64decode(fields["data"][0]),
        Pubkey.from_string(fields["owner"]),
        fields["executable"],
    )
    chain.svm.set_account(Pubkey.from_string(raw["pubkey"]), account)


def load_dumps(chain: Chain, folder: Path) -> None:
    """Add programs from ``KEY.so`` and accounts from ``*.json``, as MagicBlock's npm package has them."""
    for path in sorted(folder.glob("*.so")):
        chain.svm.add_program(Pubkey.from_string(path.stem), path.read_bytes())
    for path in sorted(folder.glob("*.json")):
        load_account(chain, path)
