"""`awm` on a cluster behind a URL: whose wallet pays, what it costs, and that nothing goes without a yes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from onchain import tiny_cartridge
from solders.keypair import Keypair
from typer.testing import CliRunner

from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.rpc import RpcLedger
from awm_kit.chain.wallet import cluster_wallet
from awm_kit.cli import app
from awm_kit.errors import LedgerError
from validator import l1, l1_chain


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with l1.running(l1_chain.Chain(), slot_ms=20) as where:
        yield where


@pytest.fixture
def cluster(url: str) -> Iterator[RpcLedger]:
    ledger = RpcLedger(url)
    yield ledger
    ledger.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing set up."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWM_KEYPAIR", "AWM_URL", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def save(key: Keypair, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(key.to_json())
    return path


@pytest.fixture
def rich(cluster: RpcLedger) -> Keypair:
    key = Keypair()
    cluster.airdrop(key.pubkey(), 10 * LAMPORTS_PER_SOL)
    return key


def awm(*words: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if code == 0 else done.output


def test_nothing_is_sent_without_a_wallet_and_a_yes(
    home: Path, url: str, cluster: RpcLedger, rich: Keypair, tmp_path: Path
) -> None:
    world = tiny_cartridge(1).save(tmp_path / "random.awm")
    deploy = ("deploy", world, "--url", url, "--no-progress")
    assert "id.json" in awm(*deploy, code=2)
    save(rich, home / ".config" / "solana" / "id.json")
    before = cluster.balance(rich.pubkey())
    said = awm(*deploy, code=2)
    assert "--yes" in said and "total" in said and "fees" in said, "the cost is shown first"
    cost = awm(*deploy, "--dry-run")
    assert cluster.balance(rich.pubkey()) == before
    assert awm("worlds", "--url", url) == []
    deployed = awm(*deploy, "--yes")
    assert before - cluster.balance(rich.pubkey()) == cost["total"] == deployed["total"]
    assert [w["key"] for w in awm("worlds", "--url", url)] == [deployed["world"]]
    assert "--yes" in awm("retire", deployed["world"], "--url", url, code=2)
    awm("retire", deployed["world"], "--url", url, "--yes")
    assert awm("worlds", "--url", url) == []


def test_a_priority_fee_is_part_of_the_cost(home: Path, url: str, rich: Keypair, tmp_path: Path) -> None:
    world = tiny_cartridge(2).save(tmp_path / "random.awm")
    wallet = save(rich, tmp_path / "wallet.json")
    deploy = ("deploy", world, "--url", url, "--keypair", wallet, "--no-progress")
    plain, dear = awm(*deploy, "--dry-run"), awm(*deploy, "--dry-run", "--priority-fee", 1_000_000)
    assert dear["fees"] > plain["fees"] == 5_000 * plain["transactions"]
    assert awm(*deploy, "--dry-run", "--priority-fee", "auto")["fees"] == plain["fees"], (
        "nobody pays one here"
    )
    assert "--priority-fee" in awm(*deploy, "--priority-fee", "much", code=2)
    assert "processed, confirmed" in awm(*deploy, "--commitment", "certain", code=2)


def test_the_environment_names_cluster_and_wallet(
    home: Path, url: str, rich: Keypair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWM_URL", url)
    monkeypatch.setenv("AWM_KEYPAIR", rich.to_json())
    world = tiny_cartridge(3).save(tmp_path / "random.awm")
    deployed = awm("deploy", world, "--yes", "--no-progress", "--commitment", "finalized")
    assert deployed["ledger"] == url
    assert awm("worlds", "--embedded", tmp_path / "kept") == [], "an option is stronger than the environment"
    awm("retire", deployed["world"], "--yes")


def test_which_wallet_pays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [Keypair() for _ in range(4)]
    save(keys[0], home / ".config" / "solana" / "id.json")
    assert cluster_wallet() == keys[0]
    monkeypatch.setenv("AWM_KEYPAIR", str(save(keys[1], home / "other.json")))
    assert cluster_wallet() == keys[1]
    monkeypatch.setenv("AWM_KEYPAIR", keys[2].to_json())
    assert cluster_wallet() == keys[2]
    assert cluster_wallet(save(keys[3], home / "named.json")) == keys[3]
    monkeypatch.setenv("AWM_KEYPAIR", "[1, 2, 77]")
    with pytest.raises(LedgerError) as caught:
        cluster_wallet()
    assert "77" not in str(caught.value) and caught.value.__suppress_context__
    monkeypatch.setenv("AWM_KEYPAIR", str(home / "nothing.json"))
    with pytest.raises(LedgerError, match="there is no wallet"):
        cluster_wallet()
