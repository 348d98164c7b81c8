"""Uploading worlds: cost, interruptions, what is refused, what is read back."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fragile import Fragile, PowerCut
from onchain import tiny_cartridge, tiny_model
from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import CONTENT_OFFSET
from awm_kit.chain.deploy import deploy, plan_deploy, retire
from awm_kit.chain.deploy_plan import DeployPlan, chunk_size
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.fork import deploy_fork, lineage
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, MAX_TRANSACTION_BYTES, compose
from awm_kit.chain.worlds import World, fetch_world, list_worlds, open_world, world_info
from awm_kit.errors import (
    InsufficientFundsError,
    LedgerError,
    ModelFileError,
    ProgramError,
    VerificationError,
)
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack


@pytest.fixture
def ledger() -> Fragile:
    return Fragile()


@pytest.fixture
def payer(ledger: Fragile) -> Keypair:
    key = Keypair()
    ledger.airdrop(key.pubkey(), 10 * LAMPORTS_PER_SOL)
    return key


@pytest.fixture
def cartridge() -> Cartridge:
    return tiny_cartridge()


def put(ledger: Fragile, payer: Keypair, cartridge: Cartridge, **more: Any) -> World:
    return deploy(ledger, cartridge, payer, progress=False, **more)


def corrupt(ledger: EmbeddedLedger, key: Pubkey, change: Callable[[bytes], bytes]) -> None:
    """Change an account behind the program's back."""
    account = ledger._svm.get_account(key)
    assert account is not None
    ledger._svm.set_account(key, Account(account.lamports, change(bytes(account.data)), account.owner))


def test_what_is_deployed_comes_back(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    world = put(ledger, payer, cartridge)
    assert fetch_world(ledger, world.key) == cartridge
    assert open_world(ledger, world.key) == world
    assert len(world.shards) == len(cartridge.shards) == 2
    assert repr(world) == f"<World 'random-0' {cartridge.world_hash[:16]}>"


def test_the_estimate_is_what_it_costs(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    plan = plan_deploy(ledger, cartridge, payer)
    before = ledger.balance(payer.pubkey())
    put(ledger, payer, cartridge)
    assert before - ledger.balance(payer.pubkey()) == plan.total == plan.rent + plan.fees
    assert ledger.sent == plan.transactions
    sizes = [len(cartridge.manifest_bytes), *map(len, cartridge.shards)]
    assert plan.rent == sum(ledger.rent_exempt(CONTENT_OFFSET + size) for size in sizes)


def test_a_plan_reads_the_same_for_everybody(cartridge: Cartridge) -> None:
    plans = []
    for _ in range(2):
        ledger, payer = EmbeddedLedger(), Keypair()
        plans.append(plan_deploy(ledger, cartridge, payer))
    first, second = map(repr, plans)
    assert first == second
    assert first.splitlines()[0] == "deploy 'random-0' to embedded"
    assert "shard 1" in first
    assert f"{plans[0].transactions:,}" in first
    assert "<th>total</th>" in plans[0]._repr_html_()


def test_a_dry_run_sends_nothing(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    plan = deploy(ledger, cartridge, payer, progress=False, dry_run=True)
    assert isinstance(plan, DeployPlan)
    assert plan.transactions > 40
    assert ledger.sent == 0
    assert ledger.balance(payer.pubkey()) == 10 * LAMPORTS_PER_SOL


def test_missing_funds_are_told_before_anything_is_sent(ledger: Fragile, cartridge: Cartridge) -> None:
    poor = Keypair()
    needed = plan_deploy(ledger, cartridge, poor).total + ledger.rent_exempt(0)
    ledger.airdrop(poor.pubkey(), needed - 1)
    with pytest.raises(
        InsufficientFundsError, match=rf"needs 0.\d+ SOL in {poor.pubkey()} \(got 0.\d+ SOL\)"
    ):
        put(ledger, poor, cartridge)
    assert ledger.sent == 0
    ledger.airdrop(poor.pubkey(), 1)
    put(ledger, poor, cartridge)


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 20, -3, -2, -1])
def test_an_interrupted_upload_goes_on_where_it_was(
    ledger: Fragile, payer: Keypair, cartridge: Cartridge, cut: int
) -> None:
    total = plan_deploy(ledger, cartridge, payer).transactions
    ledger.cut_after(cut % total)
    with pytest.raises(PowerCut):
        put(ledger, payer, cartridge)
    plan = plan_deploy(ledger, cartridge, payer)
    assert plan.transactions == total - cut % total
    world = put(ledger, payer, cartridge)
    assert ledger.sent == total
    assert world.cartridge == cartridge


def test_only_differing_chunks_are_written(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    ledger.cut_after(plan_deploy(ledger, cartridge, payer).transactions - 3)  # all is written, nothing frozen
    with pytest.raises(PowerCut):
        put(ledger, payer, cartridge)
    key = plan_deploy(ledger, cartridge, payer).accounts[1].key
    at = CONTENT_OFFSET + chunk_size(ledger, payer) + 5
    corrupt(ledger, key, lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    plan = plan_deploy(ledger, cartridge, payer)
    assert plan.transactions == 4
    assert plan.accounts[1].missing == chunk_size(ledger, payer)
    put(ledger, payer, cartridge)


def test_deploying_twice_costs_nothing(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    world = put(ledger, payer, cartridge)
    sent, balance = ledger.sent, ledger.balance(payer.pubkey())
    assert put(ledger, payer, cartridge) == world
    assert (ledger.sent, ledger.balance(payer.pubkey())) == (sent, balance)


def test_a_chunk_fills_its_packet(ledger: Fragile, payer: Keypair) -> None:
    size = chunk_size(ledger, payer)
    full = ix.write(Pubkey.new_unique(), payer.pubkey(), 0, bytes(size))
    packet = compose([full], payer, (), ledger._svm.latest_blockhash(), compute_units=1, unit_price=1)
    assert len(bytes(packet)) == MAX_TRANSACTION_BYTES
    assert size > 900


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data[:500] + bytes([data[500] ^ 4]) + data[501:], VerificationError),
        (lambda data: data[:-1], LedgerError),
        (lambda data: data[:100], LedgerError),
        (lambda data: b"NOPE" + data[4:], LedgerError),
    ],
)
def test_corrupted_accounts_are_noticed(
    ledger: Fragile,
    payer: Keypair,
    cartridge: Cartridge,
    part: int,
    change: Callable[[bytes], bytes],
    error: type[Exception],
) -> None:
    world = put(ledger, payer, cartridge)
    corrupt(ledger, [world.key, *world.shards][part], change)
    with pytest.raises(error):
        fetch_world(ledger, world.key)


def test_a_missing_shard_is_noticed(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    world = put(ledger, payer, cartridge)
    me = payer.pubkey()
    ledger.send([ix.retire(world.shards[1], me, me)], payer)
    with pytest.raises(VerificationError, match="shard 1 is missing"):
        fetch_world(ledger, world.key)
    with pytest.raises(LedgerError, match="retire it, then deploy again"):
        put(ledger, payer, cartridge)
    retire(ledger, world, payer)
    assert put(ledger, payer, cartridge) == world


def test_keys_without_a_world(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    world = put(ledger, payer, cartridge)
    with pytest.raises(LedgerError, match="there is no world at"):
        fetch_world(ledger, Pubkey.new_unique())
    with pytest.raises(LedgerError, match="there is no world at"):
        fetch_world(ledger, payer.pubkey())
    with pytest.raises(LedgerError, match="weight shard"):
        fetch_world(ledger, world.shards[0])


def test_half_a_world_is_not_listed(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    ledger.cut_after(30)
    with pytest.raises(PowerCut):
        put(ledger, payer, cartridge)
    key = plan_deploy(ledger, cartridge, payer).world
    assert list_worlds(ledger) == []
    assert repr(list_worlds(ledger)) == "no worlds"
    with pytest.raises(LedgerError, match="deploy it again to resume"):
        fetch_world(ledger, key)


def test_an_unsound_cartridge_is_not_deployed(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    shards = [cartridge.shards[0], cartridge.shards[1][:-1]]
    with pytest.raises(ModelFileError, match="shard 1"):
        put(ledger, payer, Cartridge(cartridge.manifest_bytes, shards))
    assert ledger.sent == 0


def test_everything_deposited_comes_back(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    plan = plan_deploy(ledger, cartridge, payer)
    world = put(ledger, payer, cartridge)
    before = ledger.balance(payer.pubkey())
    assert retire(ledger, world, payer) == plan.rent
    assert ledger.balance(payer.pubkey()) == before + plan.rent - ledger.fee()
    assert ledger.program_accounts() == []
    with pytest.raises(LedgerError, match="there is no world"):
        retire(ledger, world, payer)


def test_half_a_world_can_be_retired(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    ledger.cut_after(3)
    with pytest.raises(PowerCut):
        put(ledger, payer, cartridge)
    retire(ledger, plan_deploy(ledger, cartridge, payer).world, payer)
    assert ledger.program_accounts() == []


def test_only_the_authority_retires(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    world, thief = put(ledger, payer, cartridge), Keypair()
    ledger.airdrop(thief.pubkey(), LAMPORTS_PER_SOL)
    with pytest.raises(ProgramError, match="WrongAuthority"):
        retire(ledger, world, thief)
    assert fetch_world(ledger, world.key) == cartridge


def test_each_authority_has_a_world_of_its_own(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    other = Keypair()
    ledger.airdrop(other.pubkey(), 10 * LAMPORTS_PER_SOL)
    keys = {put(ledger, p, cartridge).key for p in (payer, other)}
    assert {w.key for w in list_worlds(ledger)} == keys
    assert len(keys) == 2


def test_listed_worlds_say_what_they_are(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    world = put(ledger, payer, cartridge)
    (info,) = list_worlds(ledger)
    assert info == world_info(ledger, world.key)
    assert (info.name, info.layers, info.d_model) == ("random-0", 1, 32)
    assert info.world_hash == cartridge.world_hash
    assert info.authority == payer.pubkey()
    assert info.parent is None
    assert info.params == cartridge.manifest.n_params
    assert info.size == cartridge.nbytes + 3 * CONTENT_OFFSET
    assert info.rent == plan_rent(ledger, cartridge)
    assert info.transactions_per_frame == len(cartridge.manifest.segments)
    table = repr(list_worlds(ledger)).splitlines()
    assert [line.split()[0] for line in table] == ["name", "random-0"]
    assert str(world.key) in list_worlds(ledger)._repr_html_()


def plan_rent(ledger: EmbeddedLedger, cartridge: Cartridge) -> int:
    return plan_deploy(ledger, cartridge, Keypair()).rent


def test_forks_name_their_parents(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    origin = put(ledger, payer, cartridge)
    forker = Keypair()
    ledger.airdrop(forker.pubkey(), 10 * LAMPORTS_PER_SOL)
    child = pack(replace(tiny_model(1), name="child", parent=bytes.fromhex(cartridge.world_hash)))
    world = deploy_fork(ledger, origin, child, forker, progress=False)
    assert world_info(ledger, world.key).parent == origin.key
    assert [w.name for w in lineage(ledger, world)] == ["child", "random-0"]
    rows = {row[0]: row[7] for row in list_worlds(ledger).rows()}
    assert rows == {"child": "random-0", "random-0": ""}
    retire(ledger, origin, payer)
    assert [w.name for w in lineage(ledger, world)] == ["child"]


def test_a_false_parent_is_refused(ledger: Fragile, payer: Keypair, cartridge: Cartridge) -> None:
    origin = put(ledger, payer, cartridge)
    sent = ledger.sent
    with pytest.raises(ValueError, match="whose parent is"):
        deploy_fork(ledger, origin, tiny_cartridge(1), payer, progress=False)
    with pytest.raises(LedgerError, match="there is no world"):
        deploy_fork(ledger, Pubkey.new_unique(), tiny_cartridge(1), payer, progress=False)
    assert ledger.sent == sent


def test_worlds_that_this_version_cannot_read_are_left_out(
    ledger: Fragile, payer: Keypair, cartridge: Cartridge
) -> None:
    world = put(ledger, payer, cartridge)
    rng = random.Random(5)
    corrupt(ledger, world.key, lambda data: data[:CONTENT_OFFSET] + rng.randbytes(len(data) - CONTENT_OFFSET))
    assert list_worlds(ledger) == []
