"""The embedded ledger, and what every ledger promises."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from onchain import tiny_cartridge
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, TransferParams, create_account, transfer

from awm_kit.chain import instructions, wallet
from awm_kit.chain.accounts import program_error
from awm_kit.chain.deploy import deploy
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, Ledger
from awm_kit.chain.rpc import RpcLedger
from awm_kit.chain.worlds import list_worlds
from awm_kit.errors import InsufficientFundsError, LedgerError, ProgramError, TransactionError
from validator import l1, l1_chain


@pytest.fixture(scope="module")
def l1_url() -> Iterator[str]:
    """A development L1 with short slots."""
    with l1.running(l1_chain.Chain(), slot_ms=40) as url:
        yield url


@pytest.fixture(params=["embedded", "rpc"])
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    if request.param == "embedded":
        yield EmbeddedLedger()
        return
    remote = RpcLedger(request.getfixturevalue("l1_url"))
    yield remote
    remote.close()


@pytest.fixture
def payer(ledger: Ledger) -> Keypair:
    key = Keypair()
    ledger.airdrop(key.pubkey(), 10 * LAMPORTS_PER_SOL)
    return key


def pay(source: Keypair, target: Pubkey, lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=source.pubkey(), to_pubkey=target, lamports=lamports))


def make_account(ledger: Ledger, payer: Keypair, size: int) -> Pubkey:
    """An empty account of the world program."""
    new = Keypair()
    params = CreateAccountParams(
        from_pubkey=payer.pubkey(),
        to_pubkey=new.pubkey(),
        lamports=ledger.rent_exempt(size),
        space=size,
        owner=ledger.program_id,
    )
    ledger.send([create_account(params)], payer, [new])
    return new.pubkey()


def test_a_transfer_moves_lamports_and_costs_a_fee(ledger: Ledger, payer: Keypair) -> None:
    target = Pubkey.new_unique()
    receipt = ledger.send([pay(payer, target, LAMPORTS_PER_SOL)], payer, compute_units=1_000, label="rent")
    assert receipt.fee == 5_000 == ledger.fee()
    assert receipt.compute_units == 300
    assert receipt.label == "rent"
    assert receipt.slot <= ledger.slot()
    assert ledger.balance(target) == LAMPORTS_PER_SOL
    assert ledger.balance(payer.pubkey()) == 9 * LAMPORTS_PER_SOL - receipt.fee


def test_the_same_transaction_can_be_sent_again(ledger: Ledger, payer: Keypair) -> None:
    target, done = Pubkey.new_unique(), []
    ledger.send([pay(payer, target, LAMPORTS_PER_SOL)], payer)
    orders = [[pay(payer, target, LAMPORTS_PER_SOL)]] * 3
    receipts = ledger.send_many(orders, payer, on_done=done.append)
    assert len({r.signature for r in receipts}) == 3
    assert sorted(done) == [0, 1, 2]
    assert ledger.balance(target) == 4 * LAMPORTS_PER_SOL


def test_accounts_come_in_order_with_none_for_those_missing(ledger: Ledger, payer: Keypair) -> None:
    made = [make_account(ledger, payer, size) for size in (10, 20)]
    found = ledger.accounts([made[1], Pubkey.new_unique(), made[0]])
    assert [a and len(a.data) for a in found] == [20, None, 10]
    assert found[0] and found[0].owner == ledger.program_id
    assert found[0].lamports == ledger.rent_exempt(20)
    assert ledger.account(Pubkey.new_unique()) is None
    assert ledger.balance(Pubkey.new_unique()) == 0


def test_more_accounts_than_one_request_may_name(ledger: Ledger, payer: Keypair) -> None:
    keys = [Pubkey.new_unique() for _ in range(150)]
    found = ledger.accounts([*keys, payer.pubkey()])
    assert len(found) == 151
    assert found[:150] == [None] * 150
    assert found[150] is not None


def test_program_accounts_are_filtered_and_sliced(ledger: Ledger, payer: Keypair) -> None:
    key = make_account(ledger, payer, 211)
    assert [a.key for a in ledger.program_accounts([211])] == [key]
    assert [a.key for a in ledger.program_accounts([211, (3, b"\0\0")])] == [key]
    assert ledger.program_accounts([211, (3, b"\0\1")]) == []
    assert ledger.program_accounts([211, (210, b"\0\0")]) == []
    assert [len(a.data) for a in ledger.program_accounts([211], data_slice=(200, 50))] == [11]


def test_a_poor_payer_is_told_apart(ledger: Ledger, payer: Keypair) -> None:
    target = Pubkey.new_unique()
    with pytest.raises(InsufficientFundsError, match="insufficient lamports"):
        ledger.send([pay(payer, target, 10**13)], payer)
    with pytest.raises(InsufficientFundsError, match="less than its rent"):
        ledger.send([pay(payer, target, 1)], payer)
    with pytest.raises(InsufficientFundsError, match="cannot pay the fee"):
        ledger.send([pay(payer, target, LAMPORTS_PER_SOL)], Keypair(), [payer])


def test_a_refusal_carries_code_name_and_logs(ledger: Ledger, payer: Keypair) -> None:
    nonsense = Instruction(ledger.program_id, b"\xff", [])
    with pytest.raises(ProgramError, match="UnknownInstruction") as caught:
        ledger.send([nonsense], payer)
    assert caught.value.code == 6000
    assert any("custom program error: 0x1770" in line for line in caught.value.logs)


def test_other_failures_name_the_instruction(ledger: Ledger, payer: Keypair) -> None:
    taken = CreateAccountParams(
        from_pubkey=payer.pubkey(), to_pubkey=payer.pubkey(), lamports=1, space=0, owner=ledger.program_id
    )
    with pytest.raises(TransactionError, match=r"'twice' failed in instruction 0 \(1{32}\)"):
        ledger.send([create_account(taken)], payer, label="twice")
    with pytest.raises(TransactionError, match="'odd' failed: "):
        ledger.send([Instruction(Pubkey.new_unique(), b"", [])], payer, label="odd")


def test_an_oversized_transaction_is_not_sent(ledger: Ledger, payer: Keypair) -> None:
    write = instructions.write(Pubkey.new_unique(), payer.pubkey(), 0, bytes(1_100))
    with pytest.raises(TransactionError, match=r"at most 1232 bytes \(got 13\d\d\)"):
        ledger.send([write], payer)


def test_slots_go_on(ledger: Ledger) -> None:
    slot = ledger.slot()
    later = ledger.next_slot()
    assert later > slot
    assert ledger.next_slot(slot) >= later


def test_what_landed_before_a_failure_stays(ledger: Ledger, payer: Keypair) -> None:
    target = Pubkey.new_unique()
    orders = [[pay(payer, target, LAMPORTS_PER_SOL)], [pay(payer, target, 10**13)]]
    with pytest.raises(InsufficientFundsError):
        ledger.send_many(orders, payer)
    assert ledger.balance(payer.pubkey()) <= 10 * LAMPORTS_PER_SOL


def test_threads_share_an_embedded_ledger() -> None:
    ledger, target = EmbeddedLedger(), Pubkey.new_unique()
    payers = [Keypair() for _ in range(4)]
    for payer in payers:
        ledger.airdrop(payer.pubkey(), LAMPORTS_PER_SOL)

    def run(payer: Keypair) -> None:
        for _ in range(25):
            ledger.send([pay(payer, target, 1_000_000)], payer)

    threads = [threading.Thread(target=run, args=(p,)) for p in payers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.balance(target) == 100 * 1_000_000


def test_saved_accounts_come_back(tmp_path: Path) -> None:
    ledger, payer = EmbeddedLedger(), Keypair()
    ledger.airdrop(payer.pubkey(), 10 * LAMPORTS_PER_SOL)
    world = deploy(ledger, tiny_cartridge(), payer, progress=False)
    for _ in range(5):
        ledger.next_slot()
    ledger.save(tmp_path / "kept")
    again = EmbeddedLedger.load(tmp_path / "kept")
    assert again.slot() > ledger.slot()
    assert again.balance(payer.pubkey()) == ledger.balance(payer.pubkey())
    assert [w.key for w in list_worlds(again)] == [world.key]
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda raw: raw[:-1], "damaged"),
        (lambda raw: raw[:20], "no embedded ledger"),
        (lambda raw: b"X" + raw[1:], "no embedded ledger"),
        (lambda raw: raw[:60] + bytes([raw[60] ^ 1]) + raw[61:], "damaged"),
        (lambda _: b"", "no embedded ledger"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, damage: Callable[[bytes], bytes], why: str) -> None:
    path = tmp_path / "kept"
    EmbeddedLedger().save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(LedgerError, match=why) as caught:
        EmbeddedLedger.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot read"):
        EmbeddedLedger.load(tmp_path / "nothing")


def test_processes_take_turns_on_the_kept_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    own = wallet.load_wallet()
    order: list[str] = []

    def second() -> None:
        with EmbeddedLedger.opened() as ledger:
            order.append("second")
            assert ledger.balance(own.pubkey()) == wallet.POCKET_MONEY

    with EmbeddedLedger.opened() as ledger:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        wallet.fund(ledger, own)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_ledger_in_use_is_not_waited_for_in_vain(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    with (
        EmbeddedLedger.opened(path),
        pytest.raises(LedgerError, match="in use by another process"),
        EmbeddedLedger.opened(path, patience=0.1),
    ):
        pass


def test_a_block_that_fails_keeps_what_landed(tmp_path: Path) -> None:
    key = Pubkey.new_unique()
    with pytest.raises(RuntimeError), EmbeddedLedger.opened(tmp_path / "kept") as ledger:
        ledger.airdrop(key, LAMPORTS_PER_SOL)
        raise RuntimeError
    with EmbeddedLedger.opened(tmp_path / "kept") as ledger:
        assert ledger.balance(key) == LAMPORTS_PER_SOL


def test_the_own_wallet_is_made_once_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    own = wallet.load_wallet()
    assert wallet.load_wallet() == own
    assert (tmp_path / "awm-kit" / "wallet.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "id.json").write_text("[1, 2, 3]")
    with pytest.raises(LedgerError, match="no wallet"):
        wallet.load_wallet(tmp_path / "id.json")
    with pytest.raises(LedgerError, match="there is no wallet"):
        wallet.load_wallet(tmp_path / "other.json")


def test_a_closed_connection_says_so(l1_url: str) -> None:
    remote = RpcLedger(l1_url)
    wallet.fund(remote, poor := Keypair())  # does nothing where lamports are not ours to give
    assert remote.balance(poor.pubkey()) == 0
    remote.close()
    remote.close()
    with pytest.raises(LedgerError, match="was closed"):
        remote.slot()


def test_a_refusal_says_what_it_means() -> None:
    assert str(program_error(6085)) == (
        "world program refused: StillPlaying, a running match cannot be closed (code 6085)"
    )
    assert [str(program_error(code)).split(": ")[1] for code in (6207, 1)] == [
        "Kernel7 (code 6207)",
        "unknown (code 1)",
    ]


def test_many_who_make_the_wallet_at_once_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: wallet.load_wallet(), range(8)))
    assert len({bytes(key) for key in made}) == 1
    folder = tmp_path / "awm-kit"
    assert [path.name for path in folder.iterdir()] == ["wallet.json"]
    assert (folder / "wallet.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ['"x"', "[1, 2, 3]", "[1, 2, 999]", "{", "7"])
def test_a_file_that_is_no_wallet_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text)
    with pytest.raises(LedgerError, match=r"key\.json is no wallet \(a JSON list of 64 numbers\)"):
        wallet.load_wallet(path)
