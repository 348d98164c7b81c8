"""The RPC ledger against nodes as public ones are: busy, behind, slow, forgetful, dear."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from lossy import LossyChain, gift, rich
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from awm_kit.chain import rpc
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.rollup_post import Post
from awm_kit.chain.rpc import RpcLedger
from awm_kit.errors import LedgerError, TransactionError
from awm_kit.play.places import open_place
from validator import l1, l1_chain

Json = Any
CUT = object()  # in place of an answer: the connection breaks
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Node(LossyChain):
    """An L1 whose answers can be spoilt: ``mood`` sees every request first and may answer in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Json] = []
        self.mood: Callable[[Json], web.StreamResponse | Json | None] = lambda request: None
        self.delay = 0.0
        self.prices: list[int] = []

    def count(self, method: str) -> int:
        return sum(request["method"] == method for request in self.asked)

    def rpc_getRecentPrioritizationFees(self, keys: Json = None) -> Json:
        return [{"slot": i, "prioritizationFee": price} for i, price in enumerate(self.prices)]


@contextlib.contextmanager
def serving(node: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    @web.middleware
    async def spoil(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "POST":
            return await handler(request)
        call = await request.json()
        node.asked.append(call)
        if node.delay:
            await asyncio.sleep(node.delay)
        spoilt = node.mood(call)
        if spoilt is None:
            return await handler(request)
        if spoilt is CUT:
            assert request.transport
            request.transport.abort()
            return web.Response()
        if isinstance(spoilt, web.StreamResponse):
            return spoilt
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], **spoilt})

    plain = l1.application

    def application(of: l1_chain.Chain) -> Any:
        app, subscriptions = plain(of)
        app.middlewares.append(spoil)
        return app, subscriptions

    monkeypatch.setattr(l1, "application", application)
    with l1.running(node, slot_ms=20) as url:
        yield url


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def url(node: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving(node, monkeypatch) as where:
        yield where


@pytest.fixture
def ledger(url: str) -> Iterator[RpcLedger]:
    remote = RpcLedger(url)
    yield remote
    remote.close()


@pytest.fixture
def payer(ledger: RpcLedger) -> Keypair:
    return rich(ledger)


def times(n: int, spoilt: Callable[[], Json], method: str = "getSlot") -> Callable[[Json], Json]:
    """Spoil a method's next ``n`` answers."""
    left = n

    def mood(request: Json) -> Json:
        nonlocal left
        if request["method"] != method or not left:
            return None
        left -= 1
        return spoilt()

    return mood


def busy(wait: str, status: int = 429) -> Callable[[], web.Response]:
    return lambda: web.Response(status=status, headers={"Retry-After": wait})


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wait", ["1", "0.5", "date"])
def test_retry_after_is_honoured(ledger: RpcLedger, node: Node, status: int, wait: str) -> None:
    asked = formatdate(time.time() + 2, usegmt=True) if wait == "date" else wait
    least = 0.9 if wait == "date" else float(wait)
    node.mood = times(1, busy(asked, status))
    before, began = node.count("getSlot"), time.monotonic()
    ledger.slot()
    assert time.monotonic() - began >= least
    assert node.count("getSlot") == before + 2


def test_waits_grow_when_a_node_does_not_say_how_long(ledger: RpcLedger, node: Node) -> None:
    node.mood, began = times(2, lambda: web.Response(status=429)), time.monotonic()
    ledger.slot()
    assert time.monotonic() - began >= 0.5 + 1.0


def test_a_node_that_asks_for_too_much_patience_is_given_up(ledger: RpcLedger, node: Node) -> None:
    node.mood = times(1, busy("3600"))
    with pytest.raises(LedgerError, match=r"429.*asks to wait 3600 s"):
        ledger.slot()


def test_reads_never_go_back_behind_what_was_sent(ledger: RpcLedger, node: Node, payer: Keypair) -> None:
    """Behind one URL are many nodes; the one that answers next has not seen our transaction yet."""
    target = Pubkey.new_unique()
    receipt = ledger.send([gift(payer, target)], payer)
    behind = {
        "code": -32016,
        "message": "Minimum context slot has not been reached",
        "data": {"contextSlot": 1},
    }
    node.mood = times(2, lambda: {"error": behind}, "getBalance")
    node.asked.clear()
    assert ledger.balance(target) == LAMPORTS_PER_SOL
    assert [r["params"][1]["minContextSlot"] for r in node.asked] == [receipt.slot] * 3
    node.asked.clear()
    ledger.accounts([target])
    ledger.program_accounts([8])
    ledger.slot()
    assert all(r["params"][-1]["minContextSlot"] == receipt.slot for r in node.asked)
    sick = {"code": -32005, "message": "Node is behind by 42 slots", "data": {"numSlotsBehind": 42}}
    node.mood = times(1, lambda: {"error": sick}, "getBalance")
    assert ledger.balance(target) == LAMPORTS_PER_SOL


def test_the_commitment_is_asked_for(url: str, node: Node) -> None:
    for level in ("processed", "confirmed", "finalized"):
        remote = RpcLedger(url, level)
        node.asked.clear()
        remote.accounts([Pubkey.new_unique()])
        remote.balance(Pubkey.new_unique())
        assert {r["params"][1]["commitment"] for r in node.asked} == {level}
        remote.close()


def test_a_slow_node_is_asked_twice(url: str, node: Node) -> None:
    remote = RpcLedger(url, timeout=0.3)
    node.delay = 1.0
    began, before = time.monotonic(), node.count("getSlot")
    with pytest.raises(LedgerError, match="Timeout"):
        remote.slot()
    assert time.monotonic() - began < 3
    assert node.count("getSlot") == before + 2
    node.delay = 0.0
    assert remote.slot() > 0
    remote.close()


@pytest.mark.parametrize(("cuts", "works"), [(3, True), (4, False)])
def test_a_broken_connection_is_made_again(ledger: RpcLedger, node: Node, cuts: int, works: bool) -> None:
    node.mood = times(cuts, lambda: CUT)
    if works:
        assert ledger.slot() > 0
    else:
        with pytest.raises(LedgerError, match="no usable answer"):
            ledger.slot()


UNREADABLE = ("<html>maintenance</html>", "null", "[]", "{}", '{"result": {"value": {}}}')


@pytest.mark.parametrize("text", UNREADABLE)
def test_an_answer_that_is_none_has_a_name(ledger: RpcLedger, node: Node, url: str, text: str) -> None:
    """As of a server that is no node, or a page that stands in for one."""
    node.mood = lambda request: web.Response(text=text)
    with pytest.raises(LedgerError, match="it is no JSON-RPC"):
        ledger.slot()
    with pytest.raises(LedgerError, match="lockhash"):
        Post(url).sign([], Keypair(), [], 1_000)


def test_a_place_that_is_half_there_keeps_no_connection(url: str) -> None:
    def connections() -> int:
        return sum(thread.name == "awm-rpc" for thread in threading.enumerate())

    before = connections()
    for rollup, error in (("http://127.0.0.1:9", LedgerError), ("ftp://nowhere", ValueError)):
        with pytest.raises(error):
            open_place(f"{url},{rollup}")
    assert connections() == before


def test_a_transaction_that_lands_at_the_last_moment_is_not_sent_twice(
    ledger: RpcLedger, node: Node, payer: Keypair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its blockhash has expired and its status is unknown; asked once more, it is there."""
    target = Pubkey.new_unique()
    hidden = times(
        10_000, lambda: {"result": {"context": {"slot": 1}, "value": [None]}}, "getSignatureStatuses"
    )
    expired = False

    def mood(request: Json) -> Json:
        nonlocal expired
        if request["method"] == "getBlockHeight":
            expired = True
            return {"result": 10**9}
        return None if expired else hidden(request)

    node.mood = mood
    ledger.send([gift(payer, target)], payer)
    assert ledger.balance(target) == LAMPORTS_PER_SOL
    assert node.count("sendTransaction") == 1


def test_statuses_of_many_transactions_share_requests(ledger: RpcLedger, node: Node, payer: Keypair) -> None:
    node.asked.clear()
    receipts = ledger.send_many([[gift(payer, Pubkey.new_unique())] for _ in range(32)], payer)
    assert len(receipts) == node.count("sendTransaction") == 32
    assert node.count("getSignatureStatuses") < 16
    assert max(len(r["params"][0]) for r in node.asked if r["method"] == "getSignatureStatuses") > 4


def test_a_failure_among_many_leaves_the_ledger_usable(ledger: RpcLedger, node: Node, payer: Keypair) -> None:
    poor = TransferParams(from_pubkey=payer.pubkey(), to_pubkey=Pubkey.new_unique(), lamports=10**15)
    batches = [[gift(payer, Pubkey.new_unique())] for _ in range(20)]
    batches.insert(3, [transfer(poor)])
    with pytest.raises(LedgerError):
        ledger.send_many(batches, payer)
    target = Pubkey.new_unique()
    ledger.send([gift(payer, target)], payer)
    assert ledger.balance(target) == LAMPORTS_PER_SOL


def test_the_priority_fee_follows_recent_blocks(url: str, node: Node, payer: Keypair) -> None:
    node.prices = [0, 0, 1_000_000, 2_000_000, 9_000_000]
    remote = RpcLedger(url, unit_price=None, max_unit_price=5_000_000)
    assert remote.unit_price == 2_000_000
    assert remote.fee(1, 1_000) == 5_000 + 2_000
    target = Pubkey.new_unique()
    before = remote.balance(payer.pubkey())
    receipts = remote.send_many([[gift(payer, target)], [gift(payer, target)]], payer, compute_units=1_000)
    assert [r.fee for r in receipts] == [7_000, 7_000]
    assert before - remote.balance(payer.pubkey()) == 2 * (LAMPORTS_PER_SOL + 7_000)
    node.prices = [9_000_000] * 10
    remote._priced -= 60
    assert remote.unit_price == 5_000_000, "never above what the caller allows"
    remote.close()


def test_an_expired_transaction_offers_more(
    url: str, node: Node, payer: Keypair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc, "_REBROADCAST_SECONDS", 60.0)
    monkeypatch.setattr(l1_chain, "BLOCKHASH_SLOTS", 5)
    node.prices, node.lost = [10_000_000], 1
    remote = RpcLedger(url, unit_price=None, max_unit_price=50_000_000)
    receipt = remote.send([gift(payer, Pubkey.new_unique())], payer, compute_units=1_000)
    assert receipt.fee == 5_000 + 20_000
    fixed = RpcLedger(url, unit_price=1_000_000)
    node.lost = 1
    assert fixed.send([gift(payer, Pubkey.new_unique())], payer, compute_units=1_000).fee == 6_000
    for each in (remote, fixed):
        each.close()


def test_a_refusal_is_not_repeated(ledger: RpcLedger, node: Node, payer: Keypair) -> None:
    refused = {"code": -32003, "message": "Transaction signature verification failure"}
    node.mood = times(1, lambda: {"error": refused}, "sendTransaction")
    with pytest.raises(TransactionError, match="SignatureVerification"):
        ledger.send([gift(payer, Pubkey.new_unique())], payer)
    assert node.count("sendTransaction") == 1


UNKNOWN = {"error": {"code": -32601, "message": "Method not found"}}


def test_a_node_that_tells_no_prices_is_offered_none(url: str, node: Node, payer: Keypair) -> None:
    node.mood = times(9, lambda: UNKNOWN, "getRecentPrioritizationFees")
    remote = RpcLedger(url, unit_price=None)
    assert remote.unit_price == 0
    assert remote.send([gift(payer, Pubkey.new_unique())], payer).fee == 5_000
    remote.close()


def test_what_landed_has_landed_though_nobody_tells_its_cost(
    ledger: RpcLedger, node: Node, payer: Keypair
) -> None:
    node.mood = times(9, lambda: UNKNOWN, "getTransaction")
    receipt = ledger.send([gift(payer, Pubkey.new_unique())], payer)
    assert (receipt.compute_units, receipt.fee) == (0, 5_000)


@pytest.mark.parametrize("method", ["getSignatureStatuses", "getLatestBlockhash"])
def test_an_error_at_any_step_has_a_name(ledger: RpcLedger, node: Node, payer: Keypair, method: str) -> None:
    node.mood = times(9, lambda: UNKNOWN, method)
    with pytest.raises(LedgerError, match="Method not found"):
        ledger.send([gift(payer, Pubkey.new_unique())], payer)
    node.mood = lambda request: None
    ledger.send([gift(payer, Pubkey.new_unique())], payer)


def test_a_repetition_that_is_refused_does_no_harm(
    ledger: RpcLedger, node: Node, payer: Keypair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one may have landed all the same; its status decides."""
    monkeypatch.setattr(rpc, "_REBROADCAST_SECONDS", 0.1)
    sent = node.count("sendTransaction")

    def mood(request: Json) -> Json:
        hidden = request["method"] == "getSignatureStatuses" and node.count("sendTransaction") < sent + 3
        if hidden:  # for a while the node does not know what it has executed
            return {"result": {"context": {"slot": 1}, "value": [None] * len(request["params"][0])}}
        again = request["method"] == "sendTransaction" and node.count("sendTransaction") > sent + 1
        return {"error": {"code": -32003, "message": "refused"}} if again else None

    node.mood = mood
    target = Pubkey.new_unique()
    ledger.send([gift(payer, target)], payer)
    assert ledger.balance(target) == LAMPORTS_PER_SOL
    assert node.count("sendTransaction") > sent + 1
