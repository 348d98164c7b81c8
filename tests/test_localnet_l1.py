"""The development L1: kept or lost, replaced by a tool or a URL, and what Solana's clients ask of it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from solana.rpc.async_api import AsyncClient
from solana.rpc.models import TxOpts
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import CreateAccountParams, TransferParams, create_account, transfer
from solders.transaction import Transaction, VersionedTransaction
from test_localnet import ask, gone
from typer.testing import CliRunner
from websockets.sync.client import connect

from awm_kit.chain.accounts import PROGRAM_ID
from awm_kit.chain.rpc import RpcLedger
from awm_kit.cli import app
from awm_kit.errors import ValidatorError
from validator import l1, l1_chain, l1_pubsub, launch
from validator.l1_choice import choose
from validator.l1_store import Store

SOL = 1_000_000_000


def give(url: str, key: Pubkey, lamports: int = SOL) -> None:
    ledger = RpcLedger(url)
    ledger.airdrop(key, lamports)
    ledger.close()


class Client:
    """solana-py's client, one call at a time."""

    def __init__(self, url: str) -> None:
        self.url, self.loop = url, asyncio.new_event_loop()
        self.behind = AsyncClient(url)

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **options: self.loop.run_until_complete(
            getattr(self.behind, name)(*args, **options)
        )


@pytest.fixture
def client() -> Iterator[Client]:
    with l1.running(l1_chain.Chain(), slot_ms=20) as url:
        client = Client(url)
        yield client
        client.close()
        client.loop.close()


def test_what_is_kept_is_there_the_next_time(tmp_path: Path) -> None:
    key = Pubkey.new_unique()
    with launch.running(rollup=False, slot_ms=20, state=tmp_path) as network:
        give(network.l1, key)
        time.sleep(0.3)
        slot = ask(network.l1, "getSlot")
    with launch.running(rollup=False, slot_ms=20, state=tmp_path) as network:
        assert ask(network.l1, "getBalance", str(key))["value"] == SOL
        assert ask(network.l1, "getSlot") >= slot
        give(network.l1, key)
    with launch.running(rollup=False, slot_ms=20, state=tmp_path) as network:
        assert ask(network.l1, "getBalance", str(key))["value"] == 2 * SOL


def test_what_is_not_kept_is_lost() -> None:
    key = Pubkey.new_unique()
    with launch.running(rollup=False, slot_ms=20) as network:
        give(network.l1, key)
    with launch.running(rollup=False, slot_ms=20) as network:
        assert ask(network.l1, "getBalance", str(key))["value"] == 0


def test_a_crash_loses_a_second_at_most(tmp_path: Path) -> None:
    key = Pubkey.new_unique()
    with launch.running(rollup=False, slot_ms=20, state=tmp_path) as network:
        give(network.l1, key)
        time.sleep(l1.SAVE_SECONDS + 0.5)
        os.kill(network.processes[0].pid, signal.SIGKILL)
        assert gone(network.processes[0])
    with launch.running(rollup=False, slot_ms=20, state=tmp_path) as network:
        assert ask(network.l1, "getBalance", str(key))["value"] == SOL


def test_two_cannot_keep_the_same_state(tmp_path: Path) -> None:
    with (
        launch.running(rollup=False, state=tmp_path),
        pytest.raises(ValidatorError, match=r"l1\.sqlite cannot be used"),
        launch.running(rollup=False, state=tmp_path),
    ):
        pass


def test_another_file_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not a database" * 99)
    with pytest.raises(ValidatorError, match="x cannot be used"):
        Store(tmp_path / "x")


def test_an_l1_that_runs_already() -> None:
    with l1.running(l1_chain.Chain()) as url, launch.running(rollup=False, l1=url) as network:
        assert network.l1 == url
        assert network.processes == []
    with pytest.raises(ValidatorError, match="no L1 answers at"), launch.running(l1=url, rollup=False):
        pass


def test_an_l1_without_the_program_is_refused() -> None:
    bare = l1_chain.Chain({Pubkey.new_unique(): launch.BUILDS["sbf"].read_bytes()})
    with (
        l1.running(bare) as url,
        pytest.raises(ValidatorError, match=rf"lacks {PROGRAM_ID}.*deploy it there"),
        launch.running(rollup=False, l1=url),
    ):
        pass


# Stands in for a tool that is not installed here: takes the arguments that the tool documents, and no others.
STAND_IN = """#!{python}
import argparse, os, sys
parser = argparse.ArgumentParser()
if os.path.basename(sys.argv[0]) == "surfpool":
    parser.add_argument("command", choices=["start"])
    for flag in ("--offline", "--no-tui", "--no-deploy"):
        parser.add_argument(flag, action="store_true", required=True)
    for name in ("--host", "--port", "--ws-port", "--slot-time", "--snapshot"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    assert int(args.ws_port) == int(args.port) + 1
    port, slot, extra = args.port, args.slot_time, []
else:
    parser.add_argument("--quiet", action="store_true", required=True)
    for name in ("--bind-address", "--rpc-port", "--faucet-port", "--ticks-per-slot", "--ledger"):
        parser.add_argument(name, required=True)
    parser.add_argument("--bpf-program", nargs=2, action="append")
    parser.add_argument("--account", nargs=2, action="append", default=[])
    args = parser.parse_args()
    port, slot = args.rpc_port, str(int(args.ticks_per_slot) * 25 // 4)
    extra = [x for key, path in args.bpf_program for x in ("--program", key + "=" + path)]
os.execv(sys.executable, [sys.executable, "-m", "validator.l1", "--port", port, "--slot-ms", slot, *extra])
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


def install_tool(folder: Path, name: str) -> None:
    path = folder / name
    path.write_text(STAND_IN.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("tool", ["solana-test-validator", "surfpool"])
def test_a_tool_on_the_path_is_used_and_ended(tools: Path, tool: str) -> None:
    assert choose("auto") == "built-in"
    install_tool(tools, tool)
    assert choose("auto") == tool
    with launch.running(rollup=False, l1="auto", slot_ms=50) as network:
        assert ask(network.l1, "getHealth") == "ok"
        assert ask(network.l1, "getAccountInfo", str(PROGRAM_ID))["value"]["executable"]
        wrapper = network.processes[0].pid
        [child] = Path(f"/proc/{wrapper}/task/{wrapper}/children").read_text().split()
        process = launch.Process.of("tool", int(child))
        assert process.alive
        os.kill(wrapper, signal.SIGKILL)
        assert gone(process)


def test_surfpool_s_snapshot_has_every_program_with_its_code(tmp_path: Path) -> None:
    from validator.l1_choice import L1Plan, command

    image = launch.BUILDS["sbf"]
    command("surfpool", L1Plan(tmp_path, 8899, 400, None, image, None, False))
    accounts = json.loads((tmp_path / "snapshot.json").read_text())
    assert accounts[str(PROGRAM_ID)]["executable"]
    assert len(accounts) == 2


def test_what_is_missing_is_said_in_one_line(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tools))
    answers = {"surfpool": "surfpool is not on the PATH", "mainnet": "expected an L1 of auto"}
    for wanted, answer in answers.items():
        done = CliRunner().invoke(app, ["localnet", "up", "--no-rollup", "--l1", wanted])
        assert done.exit_code == 2
        assert answer in done.stderr and done.stderr.count("\n") == 1


def test_folders_of_the_dead_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.tempfile, "gettempdir", lambda: str(tmp_path))
    owners = {"dead": "999999999 0", "alive": f"{os.getpid()} {launch.start_time(os.getpid())}"}
    for name, owner in owners.items():
        folder = tmp_path / f"{launch.TEMPORARY}{name}"
        folder.mkdir()
        (folder / "owner").write_text(owner)
    launch.sweep()
    assert [path.name for path in tmp_path.iterdir()] == [f"{launch.TEMPORARY}alive"]


def test_solana_py_gets_what_it_asks_for(client: Client) -> None:
    payer, target = Keypair(), Pubkey.new_unique()
    airdrop = client.request_airdrop(payer.pubkey(), 5 * SOL).value
    assert client.get_signature_statuses([airdrop]).value[0].err is None
    latest = client.get_latest_blockhash().value
    order = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=target, lamports=SOL))
    message = Message.new_with_blockhash([order], payer.pubkey(), latest.blockhash)
    assert client.get_fee_for_message(message).value == 5_000
    transaction = Transaction([payer], message, latest.blockhash)
    assert client.simulate_transaction(VersionedTransaction.from_legacy(transaction)).value.err is None
    sent = client.send_raw_transaction(bytes(transaction), TxOpts(skip_confirmation=False)).value
    for encoding in ("json", "jsonParsed", "base58", "base64"):
        found = client.get_transaction(sent, encoding, max_supported_transaction_version=0).value
        meta = found.transaction.meta
        assert meta.fee == 5_000
        assert meta.pre_balances[0] - meta.post_balances[0] == SOL + 5_000
    history = client.get_signatures_for_address(payer.pubkey()).value
    assert [entry.signature for entry in history] == [sent]
    assert client.get_signatures_for_address(payer.pubkey(), before=sent).value == []
    block = client.get_block(found.slot, max_supported_transaction_version=0).value
    assert sent in [t.transaction.signatures[0] for t in block.transactions]
    assert found.slot in client.get_blocks(found.slot).value
    assert client.get_block_time(found.slot).value > 1_700_000_000
    assert client.get_account_info(target, encoding="base58").value.lamports == SOL


def test_a_cluster_of_one_node_describes_itself(client: Client) -> None:
    node = client.get_cluster_nodes().value[0]
    leader = client.get_slot_leader().value
    assert node.pubkey == leader == client.get_identity().value.identity
    assert client.get_leader_schedule().value
    assert client.get_epoch_info().value.slots_in_epoch == client.get_epoch_schedule().value.slots_per_epoch
    assert client.get_vote_accounts().value.current == []
    assert client.get_transaction_count().value == 0
    assert client.get_first_available_block().value == client.get_minimum_ledger_slot().value == 0
    assert client.get_recent_performance_samples().value == []
    fees = ask(client.url, "getRecentPrioritizationFees")
    assert fees[0]["prioritizationFee"] == 0


def test_the_tools_find_money_and_blocks(client: Client) -> None:
    """`solana supply`, `largest-accounts`, `inflation`, `block-production`."""
    wallets = [Keypair().pubkey() for _ in range(3)]
    for n, wallet in enumerate(wallets, start=1):
        client.request_airdrop(wallet, n * SOL)
    assert client.get_supply().value.circulating == 6 * SOL
    largest = client.get_largest_accounts().value
    assert [(entry.address, entry.lamports) for entry in largest] == [
        (wallets[2], 3 * SOL), (wallets[1], 2 * SOL), (wallets[0], SOL)
    ]  # fmt: skip
    assert client.get_inflation_governor().value.initial == client.get_inflation_rate().value.total == 0
    production = ask(client.url, "getBlockProduction")["value"]
    [(leader, (slots, blocks))] = production["byIdentity"].items()
    assert leader == str(client.get_slot_leader().value) and slots == blocks > 100


def test_a_simulation_shows_what_it_would_leave(client: Client) -> None:
    payer, target = Keypair(), Pubkey.new_unique()
    client.request_airdrop(payer.pubkey(), 5 * SOL)
    latest = client.get_latest_blockhash().value.blockhash
    for lamports, left in ((SOL, SOL), (9 * SOL, None)):
        gift = TransferParams(from_pubkey=payer.pubkey(), to_pubkey=target, lamports=lamports)
        message = Message.new_with_blockhash([transfer(gift)], payer.pubkey(), latest)
        raw = base64.b64encode(bytes(Transaction([payer], message, latest))).decode()
        wanted = {"encoding": "base64", "addresses": [str(target), str(payer.pubkey())]}
        value = ask(client.url, "simulateTransaction", raw, {"encoding": "base64", "accounts": wanted})[
            "value"
        ]
        assert (value["err"] is None) == (left is not None)
        shown, paid = value["accounts"]
        assert (shown and shown["lamports"]) == left
        assert paid["lamports"] == 5 * SOL - (SOL + 5_000 if left else 0)
    assert client.get_balance(target).value == 0


def test_methods_nobody_knows_and_slots_not_reached() -> None:
    chain = l1_chain.Chain()
    assert chain.call({"id": 1, "method": "getInflationReward"})["error"]["code"] == -32601
    ahead = {"id": 1, "method": "getSlot", "params": [{"minContextSlot": 10**9}]}
    assert chain.call(ahead)["error"]["code"] == -32016
    assert chain.call({"id": 1, "method": "getBlock", "params": [10**9]})["error"]["code"] == -32007
    large = ["SysvarS1otHashes111111111111111111111111111", {"encoding": "base58"}]
    assert chain.call({"id": 1, "method": "getAccountInfo", "params": large})["error"]["code"] == -32600


def test_programs_and_logs_can_be_followed() -> None:
    system = "11111111111111111111111111111111"
    with l1.running(l1_chain.Chain(), slot_ms=20) as url:
        port = int(url.rpartition(":")[2]) + 1
        client, payer, target = Client(url), Keypair(), Pubkey.new_unique()
        client.request_airdrop(payer.pubkey(), 5 * SOL)
        with connect(f"ws://127.0.0.1:{port}") as socket:
            wishes: list[tuple[str, list[Any]]] = [
                ("programSubscribe", [system, {"encoding": "base64", "filters": [{"dataSize": 0}]}]),
                ("logsSubscribe", [{"mentions": [str(target)]}]),
                ("logsSubscribe", [{"mentions": [str(Pubkey.new_unique())]}]),
            ]
            for number, (method, params) in enumerate(wishes):
                socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
            numbers = [json.loads(socket.recv(5))["result"] for _ in wishes]
            latest = client.get_latest_blockhash().value.blockhash
            order = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=target, lamports=SOL))
            message = Message.new_with_blockhash([order], payer.pubkey(), latest)
            signature = client.send_raw_transaction(bytes(Transaction([payer], message, latest))).value
            heard = [json.loads(socket.recv(5))["params"] for _ in range(3)]
    written = {h["result"]["value"]["pubkey"] for h in heard if h["subscription"] == numbers[0]}
    assert written == {str(payer.pubkey()), str(target)}
    [log] = [h["result"]["value"] for h in heard if h["subscription"] == numbers[1]]
    assert Signature.from_string(log["signature"]) == signature


def frame(call: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", **call})


def subscribe(socket: Any, number: int, method: str, *params: Any) -> Any:
    socket.send(frame({"id": number, "method": method, "params": params}))
    return json.loads(socket.recv(5))


#: What parameters ought not to be.
NONSENSE = (
    None, -1, 2**64, 10**30, 1.5, "", "x", "1" * 32, [], {}, ["!"], True, {"encoding": 5}, {"filters": 3},
    {"filters": [{}]}, {"filters": [{"memcmp": {"offset": 0, "bytes": "0"}}]}, {"dataSlice": {"offset": 0}},
    {"minContextSlot": "soon"}, {"encoding": "base64"}, {"limit": "all"}, {"accounts": {"addresses": ["x"]}},
)  # fmt: skip


def test_nonsense_gets_a_json_rpc_error() -> None:
    """Whatever is asked: an answer that can be written, and never a broken server."""
    chain, dice = l1_chain.Chain(), random.Random(1)
    methods = [name.removeprefix("rpc_") for name in dir(chain) if name.startswith("rpc_")]
    for _ in range(2_000):
        listed = [dice.choice(NONSENSE) for _ in range(dice.randrange(4))]
        params = dice.choice((listed, listed, "x", {"a": 1}, 5))
        call = {"id": 1, "method": dice.choice(methods), "params": params}
        answer = json.loads(json.dumps(chain.call(call)))
        assert ("result" in answer) != ("error" in answer)
        if "error" in answer:
            assert answer["error"]["code"] in (-32602, -32603, -32600, -32016, -32007), (call, answer)
    for request in (None, 5, [], "x", {}, {"method": 5}, {"method": ["getSlot"]}):
        assert chain.call(request)["error"]["code"] == -32600
    many = {"id": 1, "method": "getSlotLeaders", "params": [1, 10**9]}
    assert chain.call(many)["error"]["code"] == -32602


def test_a_websocket_survives_nonsense() -> None:
    with l1.running(l1_chain.Chain(), slot_ms=20) as url:
        with connect(f"ws://127.0.0.1:{int(url.rpartition(':')[2]) + 1}") as socket:
            socket.send("{")
            assert json.loads(socket.recv(5))["error"]["code"] == -32700
            for method in ("accountSubscribe", "programSubscribe", "logsSubscribe", "signatureSubscribe"):
                for params in ([{"mentions": ["x"]}], ["x", 5], [["x"]], [5, "x"]):
                    answer = subscribe(socket, 3, method, *params)
                    assert answer["id"] == 3
                    assert answer["error"]["code"] == -32602, (method, params)
            assert subscribe(socket, 4, "voteSubscribe")["error"]["code"] == -32601
            assert "result" in subscribe(socket, 5, "slotSubscribe")
            assert json.loads(socket.recv(5))["method"] == "slotNotification"
        assert ask(url, "getHealth") == "ok"


def test_a_client_that_does_not_read_is_dropped(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every slot would wait for it, and with it everybody else."""
    monkeypatch.setattr(l1_pubsub, "SEND_SECONDS", 0.2)
    payer, large = Keypair(), Keypair()
    client.request_airdrop(payer.pubkey(), 1000 * SOL)
    port = int(client.url.rpartition(":")[2]) + 1
    place = CreateAccountParams(
        from_pubkey=payer.pubkey(), to_pubkey=large.pubkey(), lamports=80 * SOL, space=10 << 20,
        owner=Pubkey.default(),
    )  # fmt: skip
    send(client, [payer, large], create_account(place))
    with socket.create_connection(("127.0.0.1", port)) as deaf:
        wish = frame({"id": 1, "method": "accountSubscribe", "params": [str(large.pubkey())]}).encode()
        deaf.sendall(
            b"GET / HTTP/1.1\r\nHost: l1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            + bytes([0x81, 0x80 | 126, *len(wish).to_bytes(2, "big"), 0, 0, 0, 0])  # one text frame, mask 0
            + wish
        )
        time.sleep(0.3)
        for lamports in range(1, 3):  # 14 MB of news each: more than sockets hold
            gift = TransferParams(from_pubkey=payer.pubkey(), to_pubkey=large.pubkey(), lamports=lamports)
            send(client, [payer], transfer(gift))
        before = ask(client.url, "getSlot")
        time.sleep(0.5)
        assert ask(client.url, "getSlot") > before + 5


def send(client: Client, signers: list[Keypair], *orders: Any) -> Signature:
    latest = client.get_latest_blockhash().value.blockhash
    message = Message.new_with_blockhash(list(orders), signers[0].pubkey(), latest)
    sent: Signature = client.send_raw_transaction(bytes(Transaction(signers, message, latest))).value
    return sent


def test_a_blockhash_is_good_for_150_slots_and_airdrops_do_not_change_that() -> None:
    chain = l1_chain.Chain()

    def ask_chain(method: str, *params: Any) -> Any:
        return chain.call({"id": 1, "method": method, "params": params})["result"]

    for _ in range(20):
        ask_chain("requestAirdrop", str(Pubkey.new_unique()), SOL)
    latest = ask_chain("getLatestBlockhash")["value"]
    while ask_chain("getBlockHeight") < latest["lastValidBlockHeight"]:
        chain.next_slot()
    assert ask_chain("isBlockhashValid", latest["blockhash"])["value"]
    chain.next_slot()
    assert not ask_chain("isBlockhashValid", latest["blockhash"])["value"]


def test_old_blocks_go_with_their_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network may be up for weeks."""
    monkeypatch.setattr(l1_chain, "KEPT_BLOCKS", 3)
    chain, payer = l1_chain.Chain(), Keypair()
    chain.rpc_requestAirdrop(str(payer.pubkey()), 5 * SOL)
    gift = TransferParams(from_pubkey=payer.pubkey(), to_pubkey=payer.pubkey(), lamports=1)
    latest = chain.svm.latest_blockhash()
    message = Message.new_with_blockhash([transfer(gift)], payer.pubkey(), latest)
    raw = base64.b64encode(bytes(Transaction([payer], message, latest))).decode()
    signature = chain.rpc_sendTransaction(raw, {"encoding": "base64"})
    assert chain.rpc_getSignatureStatuses([signature])["value"][0]
    for _ in range(4):
        chain.next_slot()
    assert chain.rpc_getSignatureStatuses([signature])["value"] == [None]
    assert chain.rpc_getTransaction(signature) is None
    assert chain.rpc_getSignaturesForAddress(str(payer.pubkey())) == []
    assert not (chain.statuses or chain.transactions or chain.signatures_of)
