"""The program deployed as `solana program deploy --use-rpc` does, under one's own key; and a match on it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from onchain import controllers, tiny_cartridge, tiny_model
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM_ID
from solders.system_program import CreateAccountParams, create_account
from solders.sysvar import CLOCK, RENT
from typer.testing import CliRunner

from awm_kit.chain.deploy import deploy
from awm_kit.chain.embedded import program_image
from awm_kit.chain.frame_plan import SYSCALL, has_syscall
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, MAX_COMPUTE_UNITS
from awm_kit.chain.rpc import RpcLedger
from awm_kit.chain.session import ChainSession
from awm_kit.chain.session_entry import local_match
from awm_kit.cli import app
from awm_kit.data.scuffle import initial_frame
from awm_kit.play.places import open_place
from awm_kit.play.table import host_match, join_match
from awm_kit.quant import reference
from validator import l1, l1_chain
from validator.l1_choice import UPGRADEABLE_LOADER
from validator.l1_store import Store

BUFFER_HEAD, PROGRAM_BYTES, CHUNK = 37, 36, 900


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with l1.running(l1_chain.Chain(), slot_ms=40) as where:
        yield where


def of_the_loader(data: bytes, *accounts: tuple[Pubkey, str]) -> Instruction:
    """An instruction of the upgradeable loader; ``w`` and ``s`` as in ACCOUNTS.md."""
    metas = [AccountMeta(key, "s" in flags, "w" in flags) for key, flags in accounts]
    return Instruction(UPGRADEABLE_LOADER, data, metas)


def allocate(ledger: RpcLedger, payer: Pubkey, key: Pubkey, size: int) -> Instruction:
    rent = ledger.rent_exempt(size)
    return create_account(
        CreateAccountParams(
            from_pubkey=payer, to_pubkey=key, lamports=rent, space=size, owner=UPGRADEABLE_LOADER
        )
    )


def put(ledger: RpcLedger, wallet: Keypair, program: Keypair, image: bytes) -> None:
    """A buffer, the image in it in any order, then the program from the buffer."""
    me, buffer = wallet.pubkey(), Keypair()
    made = allocate(ledger, me, buffer.pubkey(), BUFFER_HEAD + len(image))
    begun = of_the_loader(struct.pack("<I", 0), (buffer.pubkey(), "w"), (me, ""))
    ledger.send([made, begun], wallet, [buffer])
    ledger.send_many([[written(buffer, me, image, at)] for at in range(0, len(image), CHUNK)], wallet)
    code, _ = Pubkey.find_program_address([bytes(program.pubkey())], UPGRADEABLE_LOADER)
    sysvars = [(RENT, ""), (CLOCK, ""), (SYSTEM_PROGRAM_ID, "")]
    roles: Sequence[tuple[Pubkey, str]] = [
        (me, "ws"), (code, "w"), (program.pubkey(), "w"), (buffer.pubkey(), "w"), *sysvars, (me, "s")
    ]  # fmt: skip
    made = allocate(ledger, me, program.pubkey(), PROGRAM_BYTES)
    done = of_the_loader(struct.pack("<IQ", 2, len(image)), *roles)
    ledger.send([made, done], wallet, [program], compute_units=MAX_COMPUTE_UNITS)
    ledger.next_slot()  # a program can be called from the slot after its deployment on


def written(buffer: Keypair, authority: Pubkey, image: bytes, at: int) -> Instruction:
    part = image[at : at + CHUNK]
    data = struct.pack("<IIQ", 1, at, len(part)) + part
    return of_the_loader(data, (buffer.pubkey(), "w"), (authority, "s"))


def test_a_match_on_a_program_of_one_s_own(url: str) -> None:
    wallet, program = Keypair(), Keypair()
    anybody = RpcLedger(url)
    anybody.airdrop(wallet.pubkey(), 1_000 * LAMPORTS_PER_SOL)
    put(anybody, wallet, program, program_image())
    ledger = RpcLedger(url, program_id=program.pubkey())
    assert has_syscall(ledger) == (SYSCALL in program_image())
    session = local_match(ledger, deploy(ledger, tiny_cartridge(), wallet, progress=False))
    frame, state = session.frame, reference.initial_state(tiny_model())
    for pads in controllers(3):
        frame = reference.step(tiny_model(), state, frame, pads)
        assert session.step(pads).tobytes() == frame.tobytes()
    assert session.end().name == "DRAW"
    session.record_result()
    session.close()
    place = open_place(url, program_id=program.pubkey())
    host = host_match(place, session.world, wallet, initial_frame(2))
    guest = join_match(place, host.keys.session, wallet)
    guest.ready()
    host.ready()
    assert host.step(controllers(1)[0])["frame"] == 1
    for opened in (place, ledger, anybody):
        opened.close()


def test_a_program_outlives_the_l1_that_keeps_its_state(tmp_path: Path) -> None:
    """Two accounts, of which the one with the code must be there first; and a match in the middle."""
    wallet, program, inputs = Keypair(), Keypair(), controllers(4)
    for run in range(2):
        store = Store(tmp_path / "l1.sqlite")
        with l1.running(l1_chain.Chain(store=store), slot_ms=40) as url:
            ledger = RpcLedger(url, program_id=program.pubkey())
            if run == 0:
                ledger.airdrop(wallet.pubkey(), 1_000 * LAMPORTS_PER_SOL)
                put(ledger, wallet, program, program_image())
                session = local_match(ledger, deploy(ledger, tiny_cartridge(), wallet, progress=False))
            else:
                left = session
                session = ChainSession(ledger, left.keys, left.payer, left.players, left.crank)
            for pads in inputs[2 * run : 2 * run + 2]:
                session.step(pads)
            ledger.close()
        store.close()
    assert session.frame["frame"] == 4


def test_host_and_join_name_the_program(url: str, tmp_path: Path) -> None:
    """One at an address that nobody has the key of would be of little use on a public cluster."""
    program = str(Pubkey.new_unique())
    path = tiny_cartridge().save(tmp_path / "random.awm")
    for words in (["host", str(path)], ["join", str(Pubkey.new_unique())]):
        told = CliRunner().invoke(app, [*words, "--at", url, "--program-id", "mine"])
        assert told.exit_code == 2 and "expected the key of an account" in told.stderr
        told = CliRunner().invoke(app, [*words, "--at", url, "--program-id", program])
        assert told.exit_code != 0
        assert ("no match" if words[0] == "join" else program) in told.output
