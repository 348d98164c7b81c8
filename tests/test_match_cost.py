"""What a match is said to cost, against what it takes: to the lamport, fees as an upper bound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from onchain import controllers, tiny_cartridge
from solders.keypair import Keypair
from typer.testing import CliRunner

from awm_kit.chain import delegation
from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import session_keys
from awm_kit.chain.deploy import deploy
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, MAX_COMPUTE_UNITS
from awm_kit.chain.match_cost import match_cost
from awm_kit.chain.rollup import delegate_match
from awm_kit.chain.rpc import RpcLedger
from awm_kit.chain.session_entry import create_session, join_session
from awm_kit.chain.worlds import World
from awm_kit.cli import app
from awm_kit.data.scuffle import initial_frame
from validator import l1, l1_chain


def funded(ledger: EmbeddedLedger | RpcLedger) -> Keypair:
    key = Keypair()
    ledger.airdrop(key.pubkey(), 100 * LAMPORTS_PER_SOL)
    return key


@pytest.fixture
def ledger() -> EmbeddedLedger:
    return EmbeddedLedger()


@pytest.fixture
def world(ledger: EmbeddedLedger) -> World:
    return deploy(ledger, tiny_cartridge(), funded(ledger), progress=False)


def test_a_match_on_the_ledger_itself(ledger: EmbeddedLedger, world: World) -> None:
    cost, host = match_cost(ledger, world.cartridge, rollup=False), funded(ledger)
    before = ledger.balance(host.pubkey())
    session = create_session(ledger, world, host, initial_frame(1))
    session.players.update(join_session(ledger, session.keys.session, funded(ledger)).players)
    keys = session.keys
    held = ledger.accounts([keys.session, keys.input, keys.hidden, keys.log])
    assert sum(account.lamports for account in held if account) == cost.deposit
    session.ready()
    ready = ledger.balance(host.pubkey())
    for pads in controllers(2):
        session.step(pads)
    frames = ready - ledger.balance(host.pubkey())
    assert frames <= 2 * (cost.frame_fees + 2 * ledger.fee()), "and the host sends both players' inputs"
    session.end()
    session.record_result()
    session.close()
    spent = before - ledger.balance(host.pubkey()) - frames
    assert cost.stays < spent <= cost.stays + cost.fees
    assert "comes back" in repr(cost) and "each frame" in repr(cost)


def test_a_match_that_is_lent(ledger: EmbeddedLedger, world: World, rollup_package: Any) -> None:
    image = (rollup_package.dumps / f"{delegation.DELEGATION_PROGRAM_ID}.so").read_bytes()
    ledger._svm.add_program(delegation.DELEGATION_PROGRAM_ID, image)
    cost, host = match_cost(ledger, world.cartridge, rollup=True), funded(ledger)
    before, keys = ledger.balance(host.pubkey()), session_keys(host.pubkey(), 4)
    key = host.pubkey()
    create = ix.create_session(keys, key, world.key, key, key, 4, initial_frame(1))
    ledger.send([create], host, compute_units=MAX_COMPUTE_UNITS)
    delegate_match(ledger, keys, host)
    assert before - ledger.balance(key) == cost.deposit + 2 * ledger.fee()
    assert cost.fees > 4 * 300_000, "what the delegation program keeps when they come back"
    assert cost.frame_fees == 0 and "each frame" not in repr(cost)


@pytest.fixture
def cluster() -> Iterator[RpcLedger]:
    with l1.running(l1_chain.Chain(), slot_ms=20) as url:
        remote = RpcLedger(url)
        yield remote
        remote.close()


def test_a_host_sees_the_cost_before_it_is_spent(cluster: RpcLedger, tmp_path: Path) -> None:
    world, wallet = tiny_cartridge().save(tmp_path / "random.awm"), funded(cluster)
    (tmp_path / "wallet.json").write_text(wallet.to_json())
    words = ["host", str(world), "--at", cluster.name, "--keypair", str(tmp_path / "wallet.json")]
    before = cluster.balance(wallet.pubkey())
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2, done.output
    for part in ("deploy", "a match on", "deposit", "fees", "total", "--yes"):
        assert part in done.stderr
    assert repr(match_cost(cluster, tiny_cartridge(), rollup=False)) in done.stderr
    dear = CliRunner().invoke(app, [*words, "--priority-fee", "1000000"])
    assert dear.exit_code == 2
    assert repr(match_cost(cluster, tiny_cartridge(), rollup=False)) not in dear.stderr
    assert cluster.balance(wallet.pubkey()) == before
