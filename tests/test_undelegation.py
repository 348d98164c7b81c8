"""An account comes back from the rollup: what the delegation program may say, if it could be made to lie."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from onchain import Chain, Match, Refused, World, keypair, tiny_cartridge
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM_ID

from awm_kit.chain import accounts as A
from awm_kit.chain import delegation as D
from awm_kit.chain import instructions as I
from awm_kit.chain.sbf.build import compile_object
from awm_kit.chain.sbf.link import link

PAYER = keypair("validator")
Seeds = list[bytes]


@pytest.fixture(scope="module")
def image() -> bytes:
    return link([compile_object(Path(__file__).with_name("impostor.c"))])


@pytest.fixture
def match(image: bytes) -> Match:
    """Created, then lent: its accounts are gone."""
    chain = Chain()
    chain.svm.add_program(D.DELEGATION_PROGRAM_ID, image)
    chain.svm.airdrop(PAYER.pubkey(), 10**12)
    return Match(World(chain, tiny_cartridge()).upload().finalise()).create()


def borsh(seeds: Seeds) -> bytes:
    return struct.pack("<I", len(seeds)) + b"".join(struct.pack("<I", len(s)) + s for s in seeds)


def give_back(match: Match, account: Pubkey, content: bytes, seeds: bytes) -> None:
    """The delegation program's last act, with these bytes in its buffer and these seeds as the address's."""
    chain = match.chain
    buffer, bump = Pubkey.find_program_address(
        [b"undelegate-buffer", bytes(account)], D.DELEGATION_PROGRAM_ID
    )
    chain.put(buffer, content, D.DELEGATION_PROGRAM_ID)
    accounts = [
        AccountMeta(account, False, True),
        AccountMeta(buffer, False, False),
        AccountMeta(PAYER.pubkey(), True, True),
        AccountMeta(SYSTEM_PROGRAM_ID, False, False),
        AccountMeta(I.PROGRAM_ID, False, False),
    ]
    data = bytes([bump]) + D.UNDELEGATED + seeds
    chain.send(Instruction(D.DELEGATION_PROGRAM_ID, data, accounts), signers=[PAYER])


def refusal(match: Match, account: Pubkey, seeds: bytes, content: bytes = bytes(256)) -> str:
    with pytest.raises(Refused) as caught:
        give_back(match, account, content, seeds)
    return caught.value.name


def take_away(match: Match, key: Pubkey) -> bytes:
    data = match.chain.data(key)
    match.chain.svm.set_account(key, Account(0, b"", SYSTEM_PROGRAM_ID))
    return data


def seeds_of(match: Match, name: bytes) -> Seeds:
    if name == b"session":
        return [name, bytes(match.host.pubkey()), match.session_id.to_bytes(8, "little")]
    return [name, bytes(match.keys.session)]


KINDS = [b"session", b"input", b"hidden", b"log"]


@pytest.mark.parametrize("name", KINDS)
def test_an_account_comes_back_as_it_was(match: Match, name: bytes):
    key = getattr(match.keys, name.decode())
    data = take_away(match, key)
    give_back(match, key, data, borsh(seeds_of(match, name)))
    if name == b"hidden":  # memory is always grown anew
        data = data[: A.STATE_OFFSET]
    account = match.chain.svm.get_account(key)
    assert account is not None
    assert (bytes(account.data), account.owner) == (data, I.PROGRAM_ID)
    assert account.lamports == match.chain.rent(len(data))


# A validator that lies: the delegation program itself brings these bytes, with the right seeds.


@pytest.mark.parametrize("name", KINDS)
def test_no_account_comes_back_as_another(match: Match, name: bytes):
    """Of another kind or match, cut short or longer: the other handlers would take its word."""
    other = Match(match.world, session_id=8).create()
    mine = {n: match.chain.data(getattr(match.keys, n.decode())) for n in KINDS}
    theirs = match.chain.data(getattr(other.keys, name.decode()))
    world = match.chain.data(match.world.manifest)
    lies = [world, bytes(len(mine[name])), mine[name][:-1] if name in KINDS[:2] else mine[name][:100], b""]
    lies += [data for n, data in mine.items() if n != name]
    if name in (b"session", b"hidden"):  # the small ones have no room for a key: their addresses tell
        lies.append(theirs)
    if name in (b"session", b"input"):
        lies.append(mine[name] + bytes(8))
    if name != b"session":
        bump = {b"input": 28, b"hidden": 177, b"log": 6}[name]
        lies.append(mine[name][:bump] + bytes([mine[name][bump] ^ 1]) + mine[name][bump + 1 :])
    key = getattr(match.keys, name.decode())
    take_away(match, key)
    for lie in lies:
        assert refusal(match, key, borsh(seeds_of(match, name)), lie) == "NotAsLent"


def test_nothing_but_a_match_s_accounts_comes_back(match: Match):
    """Never lent, so never asked for: a buffer's or a result's address stays as it is."""
    for name, data in ((b"buffer", match.chain.data(match.keys.session)), (b"result", bytes(256))):
        key = A.derive(I.PROGRAM_ID, name, bytes(match.keys.session))
        assert refusal(match, key, borsh([name, bytes(match.keys.session)]), data) == "NotAsLent"


def altered(data: bytes, record: np.dtype, **fields: object) -> bytes:
    changed = bytearray(data)
    for name, value in fields.items():
        np.frombuffer(changed, record, 1)[name] = value
    return bytes(changed)


def test_memory_that_is_only_said_to_be_ready_is_not_used(match: Match):
    """Of a running match, too: state and scratch of a world that never fitted would be others' accounts."""
    match.grow().join().ready().run_frame()
    session, hidden, log = match.keys.session, match.keys.hidden, match.keys.log
    for key, name in ((session, b"session"), (hidden, b"hidden"), (log, b"log")):
        data = take_away(match, key)
        if key == hidden:
            data = altered(data[: A.STATE_OFFSET], A.HIDDEN_HEADER, state_bytes=64, state=A.HiddenPhase.READY)
        if key == log:
            data = altered(data[: A.ENTRIES_OFFSET], A.LOG_HEADER, used=3_000)
        give_back(match, key, data, borsh(seeds_of(match, name)))
    match.chain.next_slot()
    for _ in range(2):
        with pytest.raises(Refused, match="HiddenNotReady"):
            match.run_segment(0)
        match.grow()  # does not make a state out of nothing
    claim = I.claim_abandoned(match.keys, match.players[1].pubkey())
    for _ in range(A.ABANDON_SECONDS):
        match.chain.next_slot()
    match.chain.send(claim, signers=[match.players[1]])  # the players get out
    ended = match.hidden()
    assert ended["state_hash"].tobytes() == bytes(32)
    match.record()
    match.close()


def test_seeds_of_another_address_are_refused(match: Match):
    take_away(match, match.keys.hidden)
    other = Match(match.world, session_id=8)
    for seeds in (
        seeds_of(match, b"log"),
        seeds_of(other, b"hidden"),
        [b"hidden"],
        [bytes(match.keys.session), b"hidden"],
        [],
    ):
        assert refusal(match, match.keys.hidden, borsh(seeds)) == "WrongDelegatedAddress"


def test_an_address_that_is_not_derived_cannot_be_taken(match: Match):
    assert refusal(match, Pubkey.new_unique(), borsh([b"hidden"])) == "WrongDelegatedAddress"


def test_seeds_that_are_cut_short_or_too_many(match: Match):
    take_away(match, match.keys.hidden)
    whole = borsh(seeds_of(match, b"hidden"))
    for n in range(len(whole)):
        assert refusal(match, match.keys.hidden, whole[:n]) == "InstructionData"
    longer = struct.pack("<I", 2**31) + whole[4:]
    assert refusal(match, match.keys.hidden, longer) == "InstructionData"
    assert refusal(match, match.keys.hidden, borsh([b"a", b"b", b"c", b"d"])) == "InstructionData"
    endless = struct.pack("<II", 1, 2**32 - 1) + b"hidden"
    assert refusal(match, match.keys.hidden, endless) == "InstructionData"


def test_an_account_that_is_there_is_not_overwritten(match: Match):
    before = match.chain.data(match.keys.hidden)
    assert refusal(match, match.keys.hidden, borsh(seeds_of(match, b"hidden")), before) == "AddressInUse"
    assert match.chain.data(match.keys.hidden) == before


def test_every_error_of_the_rollup_is_tried():
    """Those that test_program_checks.py leaves out are named here or in test_delegation.py."""
    tests = Path(__file__).parent
    text = "".join((tests / f"test_{name}.py").read_text() for name in ("delegation", "undelegation"))
    names = [name for code, name in A.ERROR_NAMES.items() if 6120 <= code < A.KERNEL_ERRORS]
    assert names and [name for name in names if f'"{name}"' not in text] == []
