"""The RPC ledger against a server, a slow one, a broken one and none; and the development L1 itself."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from lossy import LossyChain, gift, rich
from onchain import controllers, tiny_cartridge
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import Transaction
from websockets.sync.client import connect

from awm_kit.chain.deploy import deploy, retire
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, compose
from awm_kit.chain.match_record import record_from_session
from awm_kit.chain.rpc import RpcLedger, _base58
from awm_kit.chain.session_entry import local_match
from awm_kit.chain.verify import verify
from awm_kit.chain.worlds import list_worlds
from awm_kit.errors import LedgerError, TransactionError
from validator import l1, l1_chain, l1_json

Json = Any
SYSTEM = "11111111111111111111111111111111"


class Moody(LossyChain):
    """An L1 that can misbehave, and counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, int] = {}

    def call(self, request: Json) -> Json:
        if isinstance(request, dict):
            self.asked[request["method"]] = self.asked.get(request["method"], 0) + 1
        return super().call(request)


@pytest.fixture
def chain() -> Moody:
    return Moody()


@pytest.fixture
def url(chain: Moody) -> Iterator[str]:
    with l1.running(chain, slot_ms=20) as where:
        yield where


@pytest.fixture
def ledger(url: str) -> Iterator[RpcLedger]:
    remote = RpcLedger(url)
    yield remote
    remote.close()


@pytest.fixture
def payer(ledger: RpcLedger) -> Keypair:
    return rich(ledger)


def ask(url: str, method: str, *params: Json) -> Json:
    """One JSON-RPC request; the whole answer."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_a_world_is_deployed_played_verified_and_retired(ledger: RpcLedger, payer: Keypair) -> None:
    world = deploy(ledger, tiny_cartridge(), payer, progress=False)
    assert [w.key for w in list_worlds(ledger)] == [world.key]
    session = local_match(ledger, world)
    for inputs in controllers(5):
        session.step(inputs)
    assert session.cu_per_frame > 10_000
    session.end()
    record = record_from_session(ledger, session)
    assert verify(record, tiny_cartridge()).check().frames == 5
    assert session.record_result().chain_hash == record.chain_hash
    session.close()
    retire(ledger, world, payer)
    assert list_worlds(ledger) == []


def test_a_lost_transaction_is_sent_again(
    ledger: RpcLedger, payer: Keypair, chain: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("awm_kit.chain.rpc._REBROADCAST_SECONDS", 0.2)
    chain.lost = 1
    target = Pubkey.new_unique()
    ledger.send([gift(payer, target)], payer)
    assert ledger.balance(target) == LAMPORTS_PER_SOL
    assert chain.asked["sendTransaction"] == 2


def test_an_expired_transaction_is_signed_anew(
    ledger: RpcLedger, payer: Keypair, chain: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("awm_kit.chain.rpc._REBROADCAST_SECONDS", 60.0)
    monkeypatch.setattr(l1_chain, "BLOCKHASH_SLOTS", 5)
    chain.lost = 1
    target = Pubkey.new_unique()
    ledger.send([gift(payer, target)], payer)
    assert ledger.balance(target) == LAMPORTS_PER_SOL


def test_a_transaction_that_never_lands_is_given_up(
    ledger: RpcLedger, payer: Keypair, chain: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("awm_kit.chain.rpc._EXPIRIES", 1)
    monkeypatch.setattr(l1_chain, "BLOCKHASH_SLOTS", 5)
    chain.lost = 100
    with pytest.raises(TransactionError, match=r"'gift' expired .*--priority-fee"):
        ledger.send([gift(payer, Pubkey.new_unique())], payer, label="gift")


def test_an_old_blockhash_is_replaced(ledger: RpcLedger, payer: Keypair, chain: Moody) -> None:
    ledger.send([gift(payer, Pubkey.new_unique())], payer)
    chain.blockhashes.clear()  # the node forgets what the ledger has cached
    target = Pubkey.new_unique()
    ledger.send([gift(payer, target)], payer)
    assert ledger.balance(target) == LAMPORTS_PER_SOL


def test_a_priority_fee_is_offered_and_counted(url: str, payer: Keypair) -> None:
    ledger = RpcLedger(url, unit_price=2_000_000)
    receipt = ledger.send([gift(payer, Pubkey.new_unique())], payer, compute_units=1_000)
    assert receipt.fee == 5_000 + 2_000 == ledger.fee(1, 1_000)
    ledger.close()


def test_nobody_there() -> None:
    port = l1.free_port()
    with pytest.raises(LedgerError, match=rf"http://127.0.0.1:{port}.*embedded ledger"):
        RpcLedger(f"http://127.0.0.1:{port}", timeout=2)


def test_a_ledger_that_dies_later(chain: Moody) -> None:
    with l1.running(chain) as url:
        ledger = RpcLedger(url, timeout=2)
    with pytest.raises(LedgerError, match="no usable answer"):
        ledger.slot()
    ledger.close()


def test_the_commitment_is_checked() -> None:
    with pytest.raises(ValueError, match="processed, confirmed, finalized"):
        RpcLedger("http://127.0.0.1:1", "certain")


@pytest.mark.parametrize(("status", "times", "works"), [(429, 2, True), (429, 99, False), (500, 99, False)])
def test_busy_and_broken_nodes(
    chain: Moody, status: int, times: int, works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 is waited for, within reason; a server error is reported at once."""
    monkeypatch.setattr("awm_kit.chain.rpc_node._TRIES", 4)
    left = times

    @web.middleware
    async def moody(request: web.Request, handler: Any) -> web.StreamResponse:
        nonlocal left
        left -= 1
        if left < 0:
            return await handler(request)
        return web.Response(status=status, headers={"Retry-After": "0"})

    plain = l1.application

    def application(of: l1_chain.Chain) -> Any:
        app, subscriptions = plain(of)
        app.middlewares.append(moody)
        return app, subscriptions

    monkeypatch.setattr(l1, "application", application)
    with l1.running(chain) as url:
        if works:
            ledger = RpcLedger(url)
            assert left == -1
            ledger.close()
        else:
            with pytest.raises(LedgerError, match=str(status)):
                RpcLedger(url)
            assert left == (95 if status == 429 else 98)


def test_filters_are_written_in_base58() -> None:
    assert _base58(bytes(Pubkey.default())) == SYSTEM
    key = Pubkey.new_unique()
    assert _base58(bytes(key)) == str(key)
    assert _base58(b"\0\0\x01") == "112"
    assert l1_json.base58_bytes(_base58(b"\0\0\x01\xff")) == b"\0\0\x01\xff"


def test_l1_answers_what_a_cluster_answers(url: str, chain: Moody) -> None:
    assert ask(url, "getHealth")["result"] == "ok"
    assert ask(url, "getVersion")["result"]["solana-core"]
    assert ask(url, "getEpochInfo")["result"]["absoluteSlot"] >= l1_chain.FIRST_SLOT
    assert len(ask(url, "getGenesisHash")["result"]) >= 43
    latest = ask(url, "getLatestBlockhash")["result"]["value"]["blockhash"]
    assert ask(url, "isBlockhashValid", latest)["result"]["value"] is True
    assert ask(url, "isBlockhashValid", SYSTEM)["result"]["value"] is False
    assert ask(url, "getAccountInfo", str(Pubkey.new_unique()))["result"]["value"] is None
    clock = ask(url, "getAccountInfo", "SysvarC1ock11111111111111111111111111111111")["result"]["value"]
    assert len(base64.b64decode(clock["data"][0])) == 40
    part = {"dataSlice": {"offset": 8, "length": 4}}
    clock = ask(url, "getAccountInfo", "SysvarC1ock11111111111111111111111111111111", part)["result"]["value"]
    assert len(base64.b64decode(clock["data"][0])) == 4
    assert clock["space"] == 40
    assert ask(url, "getSignatureStatuses", [SYSTEM])["result"]["value"] == [None]
    assert ask(url, "getTransaction", SYSTEM)["result"] is None


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("getInflationReward", [], -32601),
        ("_record", [], -32601),
        ("getBalance", [], -32602),
        ("getBalance", ["not a key"], -32602),
        ("getMultipleAccounts", [[SYSTEM] * 101], -32602),
        ("getProgramAccounts", [SYSTEM, {"filters": [{"tokenAccountState": True}]}], -32602),
        ("sendTransaction", ["AAAA", {"encoding": "base64"}], -32602),
    ],
)
def test_l1_refuses_with_the_right_code(url: str, method: str, params: Json, code: int) -> None:
    assert ask(url, method, *params)["error"]["code"] == code


def test_l1_answers_batches_and_refuses_what_is_not_json(url: str) -> None:
    batch = [{"jsonrpc": "2.0", "id": i, "method": m} for i, m in enumerate(["getSlot", "getHealth"])]
    request = urllib.request.Request(url, json.dumps(batch).encode())
    with urllib.request.urlopen(request) as answer:
        assert [a["id"] for a in json.load(answer)] == [0, 1]
    with urllib.request.urlopen(urllib.request.Request(url, b"{")) as answer:
        assert json.load(answer)["error"]["code"] == -32700


def signed(chain: Moody, payer: Keypair, lamports: int = LAMPORTS_PER_SOL) -> tuple[str, str]:
    """A transfer in base64, and its signature."""
    params = TransferParams(from_pubkey=payer.pubkey(), to_pubkey=Pubkey.new_unique(), lamports=lamports)
    transaction: Transaction = compose([transfer(params)], payer, (), chain.svm.latest_blockhash())
    return base64.b64encode(bytes(transaction)).decode(), str(transaction.signatures[0])


def test_l1_preflight_stops_what_skip_preflight_lets_fail(chain: Moody, payer: Keypair, url: str) -> None:
    encoded, signature = signed(chain, payer, lamports=10**15)
    error = ask(url, "sendTransaction", encoded, {"encoding": "base64"})["error"]
    assert error["code"] == -32002
    assert error["data"]["err"] == {"InstructionError": [0, {"Custom": 1}]}
    simulated = ask(url, "simulateTransaction", encoded, {"encoding": "base64"})["result"]["value"]
    assert simulated["err"] == error["data"]["err"]
    assert ask(url, "getSignatureStatuses", [signature])["result"]["value"] == [None]
    assert ask(url, "sendTransaction", encoded, {"encoding": "base64", "skipPreflight": True})["result"]
    status = ask(url, "getSignatureStatuses", [signature])["result"]["value"][0]
    assert status["err"] == error["data"]["err"]
    found = ask(url, "getTransaction", signature, {"encoding": "base64"})["result"]
    assert found["meta"]["fee"] == 5_000
    assert found["transaction"][0] == encoded


def test_l1_runs_a_transaction_once(chain: Moody, payer: Keypair, url: str) -> None:
    encoded, _ = signed(chain, payer)
    assert "result" in ask(url, "sendTransaction", encoded, {"encoding": "base64"})
    again = ask(url, "sendTransaction", encoded, {"encoding": "base64"})
    assert again["error"]["data"]["err"] == "AlreadyProcessed"


def test_l1_notifies_of_accounts_signatures_and_slots(chain: Moody, payer: Keypair, url: str) -> None:
    port = int(url.rsplit(":", 1)[1]) + 1
    encoded, signature = signed(chain, payer)
    with connect(f"ws://127.0.0.1:{port}") as socket:

        def call(method: str, *params: Json) -> Json:
            socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}))
            while "id" not in (answer := json.loads(socket.recv(5))):
                pass
            return answer

        slots = call("slotSubscribe")["result"]
        assert json.loads(socket.recv(5))["params"]["result"]["slot"] > l1_chain.FIRST_SLOT
        assert call("slotUnsubscribe", slots)["result"] is True
        assert call("slotUnsubscribe", slots)["result"] is False
        assert call("blockSubscribe")["error"]["code"] == -32601
        account = call("accountSubscribe", str(payer.pubkey()))["result"]
        landing = call("signatureSubscribe", signature)["result"]
        ask(url, "sendTransaction", encoded, {"encoding": "base64"})
        heard = {m["subscription"]: m["result"] for m in (json.loads(socket.recv(5))["params"] for _ in "ab")}
    assert heard[landing]["value"] == {"err": None}
    assert heard[account]["value"]["lamports"] == 99 * LAMPORTS_PER_SOL - 5_000
