"""The development L1's state and its JSON-RPC methods, on LiteSVM.

What it does not model: forks (every transaction is final at once), leaders, stakes, fees of other users.
"""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

from solders.account import Account
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.message import MessageV0, VersionedMessage, from_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM_ID
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from awm_kit.chain.accounts import PROGRAM_ID
from awm_kit.chain.embedded import program_image
from awm_kit.chain.ledger import SIGNATURE_FEE
from validator.l1_cluster import ClusterMethods
from validator.l1_json import (
    Json,
    RpcError,
    account_filter,
    account_json,
    decoded,
    error_json,
    is_writable,
    meta_json,
    simulation_json,
    transaction_json,
)
from validator.l1_store import Store

BLOCKHASH_SLOTS = 150
SLOT_HASHES = 512
KEPT_BLOCKS = 20_000
LARGEST = 20  # accounts that getLargestAccounts lists
FIRST_SLOT = 100
LOOKUP_TABLES = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
LOOKUP_HEADER = 56  # bytes before a lookup table's keys


class Chain(ClusterMethods):
    """State of the ledger and one method for each JSON-RPC method; ``rpc_getSlot`` answers ``getSlot``.

    Parameters
    ----------
    programs : dict of Pubkey to bytes, optional
        ELF images; by default the world program's.
    store : Store, optional
        Where the state comes from and is kept by `save`.

    Attributes
    ----------
    changed, landed : set of Pubkey, list of str
        Accounts that transactions may have written, and these transactions, since subscribers were told.
    """

    def __init__(self, programs: dict[Pubkey, bytes] | None = None, store: Store | None = None) -> None:
        # LiteSVM knows one blockhash and a short history; a cluster accepts 150. Both are kept here instead.
        self.svm = LiteSVM().with_blockhash_check(False).with_transaction_history(0)
        self._programs = programs or {PROGRAM_ID: program_image()}
        for key, image in self._programs.items():
            self.svm.add_program(key, image)
        self.statuses: dict[str, Json] = {}
        self.transactions: dict[str, Json] = {}
        self.signatures_of: dict[str, list[str]] = {}
        self.blocks: dict[int, Json] = {}
        self.blockhashes: dict[str, int] = {}
        self.slot_hashes: list[tuple[int, Hash]] = []
        self.changed: set[Pubkey] = set()
        self.landed: list[str] = []
        self._unsaved: set[Pubkey] = set()
        self._store = store
        self.slot = max(FIRST_SLOT - 1, store.load(self.svm) if store else 0)
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
        while self.blockhashes[oldest := next(iter(self.blockhashes))] < self.slot - BLOCKHASH_SLOTS:
            del self.blockhashes[oldest]
        self.slot_hashes = [(self.slot, latest), *self.slot_hashes[: SLOT_HASHES - 1]]
        self.svm.set_slot_hashes(self.slot_hashes)
        self.blocks[self.slot] = {
            "blockhash": str(latest),
            "blockTime": clock.unix_timestamp,
            "signatures": [],
        }
        if len(self.blocks) > KEPT_BLOCKS:
            self._forget(self.blocks.pop(next(iter(self.blocks)))["signatures"])

    def save(self) -> None:
        """Write to the store what has changed since the last time; nothing without a store."""
        if self._store:
            self._store.save(self.svm, self._unsaved, self.slot)
            self._unsaved.clear()

    def call(self, request: Json) -> Json:
        """Answer one JSON-RPC request."""
        answer = {"jsonrpc": "2.0", "id": request.get("id") if isinstance(request, dict) else None}
        try:
            if not (isinstance(request, dict) and isinstance(request.get("method"), str)):
                raise RpcError(-32600, "Invalid request")
            method = getattr(self, f"rpc_{request['method']}", None)
            if method is None:
                raise RpcError(-32601, f"Method not found: {request['method']}")
            params = request.get("params") or []
            self._check_min_slot(params)
            return answer | {"result": method(*params)}
        except RpcError as error:
            return answer | {"error": error.body}
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            return answer | {"error": {"code": -32602, "message": f"Invalid params: {error}"}}

    def _check_min_slot(self, params: list[Json]) -> None:
        config = params[-1] if params and isinstance(params[-1], dict) else {}
        if self.slot < (config.get("minContextSlot") or 0):
            behind = {"contextSlot": self.slot}
            raise RpcError(-32016, "Minimum context slot has not been reached", behind)

    def account(self, key: str) -> Account | None:
        """The account at ``key``, None when it holds nothing."""
        found = self.svm.get_account(Pubkey.from_string(key))
        return found if found and found.lamports else None

    def rpc_getLatestBlockhash(self, config: Json = None) -> Json:
        value = {
            "blockhash": str(self.svm.latest_blockhash()),
            "lastValidBlockHeight": self.slot + BLOCKHASH_SLOTS,
        }
        return self.with_context(value)

    def rpc_isBlockhashValid(self, blockhash: str, config: Json = None) -> Json:
        return self.with_context(blockhash in self.blockhashes)

    def rpc_getFeeForMessage(self, encoded: str, config: Json = None) -> Json:
        message = from_bytes_versioned(base64.b64decode(encoded))
        if str(message.recent_blockhash) not in self.blockhashes:
            return self.with_context(None)
        return self.with_context(SIGNATURE_FEE * message.header.num_required_signatures)

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

    def rpc_getSupply(self, config: Json = None) -> Json:
        # LiteSVM's own purse gives the airdrops: what it still holds is in nobody's hands.
        purse, total = self.svm.airdrop_pubkey(), 0
        for owner in (SYSTEM_PROGRAM_ID, *self._programs):
            total += sum(a.lamports for key, a in self.svm.get_program_accounts(owner) if key != purse)
        value = {"total": total, "circulating": total, "nonCirculating": 0, "nonCirculatingAccounts": []}
        return self.with_context(value)

    def rpc_getLargestAccounts(self, config: Json = None) -> Json:
        wallets = self.svm.get_program_accounts(SYSTEM_PROGRAM_ID)
        purse = self.svm.airdrop_pubkey()
        held = sorted(((a.lamports, str(key)) for key, a in wallets if key != purse), reverse=True)
        return self.with_context([{"address": key, "lamports": n} for n, key in held[:LARGEST]])

    def rpc_requestAirdrop(self, key: str, lamports: int, config: Json = None) -> Json:
        self.svm.expire_blockhash()
        target = Pubkey.from_string(key)
        result = self.svm.airdrop(target, lamports)
        self.blockhashes[str(self.svm.latest_blockhash())] = self.slot
        if isinstance(result, FailedTransactionMetadata):
            raise RpcError(-32603, f"airdrop failed: {error_json(result.err())}")
        self._touch([target])
        return self._record(str(result.signature()), None, None)

    def rpc_simulateTransaction(self, encoded: str, config: Json = None) -> Json:
        config = config or {}
        transaction, _ = decoded(encoded, config)
        simulated = self.svm.simulate_transaction(transaction)
        outcome = simulation_json(simulated)
        fresh = str(transaction.message.recent_blockhash) in self.blockhashes
        if not fresh and not config.get("replaceRecentBlockhash"):
            outcome = outcome | {"err": "BlockhashNotFound"}
        if shown := (config.get("accounts") or {}).get("addresses"):
            failed = isinstance(simulated, FailedTransactionMetadata)
            left = {} if failed else {str(key): account for key, account in simulated.post_accounts()}
            found = [left.get(key) or self.account(key) for key in shown]
            shape = config["accounts"]
            outcome["accounts"] = [account_json(a if a and a.lamports else None, shape) for a in found]
        return self.with_context(outcome)

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
        return self._execute(transaction, raw)

    def _execute(self, transaction: VersionedTransaction, raw: bytes) -> str:
        keys = transaction.message.account_keys
        before = [self.svm.get_balance(key) or 0 for key in keys]
        result = self.svm.send_transaction(transaction)
        failed = isinstance(result, FailedTransactionMetadata)
        error = error_json(result.err()) if failed else None
        after = [self.svm.get_balance(key) or 0 for key in keys]
        meta = meta_json(result.meta() if failed else result, error, (before, after))
        self._touch(self._writable(transaction.message))
        if LOOKUP_TABLES in keys:
            self.next_slot()  # the table can be used from the next slot on; who made it may not wait for that
        version = 0 if isinstance(transaction.message, MessageV0) else "legacy"
        facts = {"raw": raw, "meta": meta, "version": version, "keys": [str(key) for key in keys]}
        return self._record(str(transaction.signatures[0]), error, facts)

    def rpc_getSignatureStatuses(self, signatures: list[str], config: Json = None) -> Json:
        return self.with_context([self.statuses.get(s) for s in signatures])

    def rpc_getTransaction(self, signature: str, config: Json = None) -> Json:
        found = self.transactions.get(signature)
        # The protocol's default is json; a bare string is an older form of the configuration.
        encoding = config if isinstance(config, str) else (config or {}).get("encoding", "json")
        return found and self._shown(found, encoding) | {"slot": found["slot"]}

    def rpc_getSignaturesForAddress(self, key: str, config: Json = None) -> Json:
        config = config or {}
        found = list(reversed(self.signatures_of.get(key, [])))
        if config.get("before") in found:
            found = found[found.index(config["before"]) + 1 :]
        if config.get("until") in found:
            found = found[: found.index(config["until"])]
        return [self._signature_json(signature) for signature in found[: config.get("limit", 1000)]]

    def rpc_getBlock(self, slot: int, config: Json = None) -> Json:
        config = {"encoding": config} if isinstance(config, str) else config or {}
        block = self._block(slot)
        parent = self.blocks.get(slot - 1, block)["blockhash"]
        shown = {"blockhash": block["blockhash"], "previousBlockhash": parent, "parentSlot": slot - 1}
        shown |= {"blockHeight": slot, "blockTime": block["blockTime"], "rewards": []}
        signatures = block["signatures"]
        if config.get("transactionDetails") == "none":
            return shown
        if config.get("transactionDetails") == "signatures":
            return shown | {"signatures": signatures}
        full = [
            self._shown(self.transactions[s], config.get("encoding", "json"))
            for s in signatures
            if s in self.transactions
        ]
        return shown | {"transactions": full}

    def rpc_getBlockTime(self, slot: int) -> Json:
        return self._block(slot)["blockTime"]

    def rpc_getBlocks(self, first: int, last: Json = None, config: Json = None) -> Json:
        last = self.slot if last is None or isinstance(last, dict) else last
        return [slot for slot in self.blocks if first <= slot <= last]

    def rpc_getBlocksWithLimit(self, first: int, limit: int, config: Json = None) -> Json:
        return self.rpc_getBlocks(first)[:limit]

    def _block(self, slot: int) -> Json:
        if slot not in self.blocks:
            raise RpcError(-32007, f"Slot {slot} was skipped, or is no longer kept")
        return self.blocks[slot]

    def _shown(self, found: Json, encoding: str) -> Json:
        body = {"blockTime": found["time"], "version": found["version"], "meta": found["meta"]}
        return body | {"transaction": transaction_json(found["raw"], encoding)}

    def _signature_json(self, signature: str) -> Json:
        status = self.statuses[signature]
        time_of = self.transactions[signature]["time"]
        shown = {"signature": signature, "slot": status["slot"], "err": status["err"], "memo": None}
        return shown | {"blockTime": time_of, "confirmationStatus": "finalized"}

    def _record(self, signature: str, error: Json, facts: Json) -> str:
        status = {"Ok": None} if error is None else {"Err": error}
        final = {"slot": self.slot, "confirmations": None, "confirmationStatus": "finalized"}
        self.statuses[signature] = final | {"err": error, "status": status}
        self.blocks[self.slot]["signatures"].append(signature)
        if facts:
            self.landed.append(signature)
            self.transactions[signature] = facts | {"slot": self.slot, "time": int(time.time())}
            for key in facts["keys"]:
                self.signatures_of.setdefault(key, []).append(signature)
        return signature

    def _forget(self, signatures: list[str]) -> None:
        """Drop a block's transactions with it: a network may be up for weeks."""
        for signature in signatures:
            self.statuses.pop(signature, None)
            for key in self.transactions.pop(signature, {"keys": ()})["keys"]:
                kept = self.signatures_of.get(key, [])
                if signature in kept:
                    kept.remove(signature)
                if not kept:
                    self.signatures_of.pop(key, None)

    def _touch(self, keys: list[Pubkey]) -> None:
        self.changed.update(keys)
        if self._store:
            self._unsaved.update(keys)

    def _writable(self, message: VersionedMessage) -> list[Pubkey]:
        """Accounts that a transaction may have written, those of lookup tables too."""
        keys = [key for i, key in enumerate(message.account_keys) if is_writable(message, i)]
        for lookup in getattr(message, "address_table_lookups", ()):
            table = self.svm.get_account(lookup.account_key)
            held = bytes(table.data)[LOOKUP_HEADER:] if table else b""
            for i in bytes(lookup.writable_indexes):
                if len(held) >= 32 * (i + 1):
                    keys.append(Pubkey.from_bytes(held[32 * i : 32 * (i + 1)]))
        return keys


def load_account(chain: Chain, path: Path) -> None:
    """Add an account from ``solana account --output json``, unless the store has it."""
    raw = json.loads(path.read_text())
    fields = raw["account"]
    key = Pubkey.from_string(raw["pubkey"])
    if chain.account(raw["pubkey"]):
        return
    account = Account(
        fields["lamports"],
        base64.b64decode(fields["data"][0]),
        Pubkey.from_string(fields["owner"]),
        fields["executable"],
    )
    chain.svm.set_account(key, account)


def load_dumps(chain: Chain, folder: Path) -> None:
    """Add programs from ``KEY.so`` and accounts from ``*.json``, as MagicBlock's npm package has them."""
    for path in sorted(folder.glob("*.so")):
        chain.svm.add_program(Pubkey.from_string(path.stem), path.read_bytes())
    for path in sorted(folder.glob("*.json")):
        load_account(chain, path)
