"""Moving a match to a rollup, with MagicBlock's own delegation program and a Magic program that agrees."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import pytest
from onchain import Chain, Match, Refused, World, controllers, keypair, tiny_cartridge
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM_ID

from awm_kit.chain import accounts as A
from awm_kit.chain import delegation as D
from awm_kit.chain import instructions as I
from awm_kit.chain.sbf.build import compile_object
from awm_kit.chain.sbf.link import link

STRANGER = keypair("stranger")
ROLES = {i["name"]: [a["name"] for a in i["accounts"]] for i in A.IDL["instructions"]}


@pytest.fixture(scope="module")
def magic(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A program that accepts everything: what the rollup does with a commit is test_rollup.py's affair."""
    source = tmp_path_factory.mktemp("magic") / "magic.c"
    source.write_text("unsigned long entrypoint(void) { return 0; }")
    return link([compile_object(source, ["-Wno-strict-prototypes"])])


@pytest.fixture
def chain(magic: bytes) -> Chain:
    chain = Chain()
    chain.svm.add_program(D.MAGIC_PROGRAM_ID, magic)
    chain.svm.airdrop(STRANGER.pubkey(), 10**12)
    return chain


@pytest.fixture
def world(chain: Chain) -> World:
    return World(chain, tiny_cartridge()).upload().finalise()


@pytest.fixture
def with_delegation(chain: Chain, rollup_package: Any) -> Chain:
    image = rollup_package.dumps / f"{D.DELEGATION_PROGRAM_ID}.so"
    chain.svm.add_program(D.DELEGATION_PROGRAM_ID, image.read_bytes())
    return chain


def held(match: Match) -> list[Pubkey]:
    return [match.keys.session, match.keys.input, match.keys.hidden, match.keys.log]


def delegate(match: Match, **roles: Pubkey | AccountMeta) -> None:
    """With other accounts in some roles."""
    call = D.delegate(match.keys, match.host.pubkey())
    match.chain.send(changed(call, "delegate", **roles), signers=[match.host])


def changed(call: Instruction, name: str, **roles: Pubkey | AccountMeta) -> Instruction:
    metas = list(call.accounts)
    for role, new in roles.items():
        i = ROLES[name].index(role)
        old = metas[i]
        metas[i] = AccountMeta(new, old.is_signer, old.is_writable) if isinstance(new, Pubkey) else new
    return Instruction(call.program_id, call.data, metas)


def refusal(chain: Chain, call: Instruction, *signers: Keypair) -> str:
    with pytest.raises(Refused) as caught:
        chain.simulate(call, signers=signers)
    return caught.value.name


def refused_delegation(match: Match, **roles: Pubkey | AccountMeta) -> str:
    with pytest.raises(Refused) as caught:
        delegate(match, **roles)
    return caught.value.name


def ended(world: World, session_id: int = 7) -> Match:
    match = Match(world, session_id).begin()
    for pads in controllers(20):
        for player in range(2):
            match.submit(player, pads[player])
        match.run_frame()
    match.end(match.crank)
    return match


@pytest.mark.parametrize("joined", [False, True])
def test_a_match_is_lent_whole_or_not_at_all(world, with_delegation, joined):
    chain, match = with_delegation, Match(world).create()
    if joined:
        match.join()
    before = [chain.data(key) for key in held(match)]
    lamports = chain.lamports(match.host.pubkey())
    delegate(match)
    for key, data in zip(held(match), before, strict=True):
        account = chain.svm.get_account(key)
        assert account.owner == D.DELEGATION_PROGRAM_ID
        assert bytes(account.data) == data
        assert chain.data(A.derive(I.PROGRAM_ID, b"buffer", bytes(key))) == b""
        record, metadata = D.delegation_accounts(key)
        assert bytes(D.LOCAL_VALIDATOR) in chain.data(record)
        assert chain.data(metadata)
    records = [chain.lamports(k) for key in held(match) for k in D.delegation_accounts(key)]
    assert chain.lamports(match.host.pubkey()) == lamports - sum(records), "the buffers' rent came back"
    assert refused_delegation(match) == "WrongOwner"
    with pytest.raises(Refused, match="WrongOwner"):
        match.close()


def test_a_match_is_lent_before_it_grows(world, with_delegation):
    match = Match(world).create()
    match.grow()
    assert refused_delegation(match) == "GrownTooEarly"
    match.join().ready()
    assert refused_delegation(match) == "AlreadyBegan"


@pytest.mark.parametrize(
    ("role", "error"),
    [
        ("program", "NotThisProgram"),
        ("system", "WrongSystemProgram"),
        ("delegation_program", "WrongDelegationProgram"),
        ("log_buffer", "WrongBuffer"),
        ("session_buffer", "WrongBuffer"),
        ("session", "WrongOwner"),
        ("input", "WrongOwner"),
        ("hidden", "WrongOwner"),
        ("log", "WrongOwner"),
    ],
)
def test_delegate_with_a_strange_account(world, with_delegation, role, error):
    assert refused_delegation(Match(world).create(), **{role: STRANGER.pubkey()}) == error


@pytest.mark.parametrize("role", ["host", "session", "input", "hidden", "log"])
def test_delegate_with_a_read_only_account(world, with_delegation, role):
    match = Match(world).create()
    meta = D.delegate(match.keys, match.host.pubkey()).accounts[ROLES["delegate"].index(role)]
    read_only = AccountMeta(meta.pubkey, meta.is_signer, False)
    assert refused_delegation(match, **{role: read_only}) == "NotWritable"


def test_only_the_host_delegates(world, with_delegation):
    match = Match(world).create().join()
    call = D.delegate(match.keys, STRANGER.pubkey())
    assert refusal(match.chain, call, STRANGER) == "WrongSessionAddress"
    call = changed(D.delegate(match.keys, match.host.pubkey()), "delegate")
    metas = [AccountMeta(match.host.pubkey(), False, True), *call.accounts[1:]]
    assert refusal(match.chain, Instruction(call.program_id, call.data, metas)) == "SignatureMissing"


@pytest.mark.parametrize("role", ["input", "hidden", "log"])
def test_accounts_of_two_matches_are_not_mixed(world, with_delegation, role):
    match, other = Match(world).create(), Match(world, session_id=8).create()
    error = {"input": "WrongInputBuffer", "hidden": "WrongHiddenState", "log": "WrongInputLog"}[role]
    assert refused_delegation(match, **{role: getattr(other.keys, role)}) == error


def test_undelegating_leaves_headers(world, chain):
    match = ended(world)
    before = {key: chain.data(key) for key in held(match)}
    calls = [D.undelegate(match.keys, match.players[1].pubkey(), key) for key in reversed(held(match))]
    chain.send(*calls, signers=[match.players[1]])
    for key in held(match)[:2]:
        assert chain.data(key) == before[key]
    assert chain.data(match.keys.hidden) == before[match.keys.hidden][:256]
    assert chain.data(match.keys.log)[6:] == before[match.keys.log][6:144]
    assert A.parse(chain.data(match.keys.log), A.LOG_HEADER)["flags"] == D.LOG_CUT
    match.record()
    result = A.parse(chain.data(match.keys.result), A.MATCH_RESULT)
    assert result["frames"] == 20
    match.close()


def test_a_match_that_never_began_returns_and_begins(world, chain):
    match = Match(world).create().grow().join()
    calls = [D.undelegate(match.keys, match.crank.pubkey(), key) for key in held(match)]
    chain.send(*calls, signers=[match.crank])
    assert match.hidden()["state"] == A.HiddenPhase.GROWING
    assert A.parse(chain.data(match.keys.log), A.LOG_HEADER)["flags"] == 0
    match.grow().ready().run_frame()
    assert match.frame()["frame"] == 1


@pytest.mark.parametrize("make", [D.commit, D.undelegate])
def test_who_may_settle(world, chain, make):
    match = ended(world)
    for signer in (match.crank, *match.players):
        chain.simulate(make(match.keys, signer.pubkey(), match.keys.session), signers=[signer])
    for signer in (match.host, STRANGER):
        call = make(match.keys, signer.pubkey(), match.keys.session)
        assert refusal(chain, call, signer) == "MayNotSettle"
    call = make(match.keys, match.crank.pubkey(), match.keys.session)
    signer = AccountMeta(match.crank.pubkey(), False, True)
    assert refusal(chain, changed(call, make.__name__, signer=signer)) == "SignatureMissing"
    for role in ("signer", "target", "magic_context"):
        meta = call.accounts[ROLES[make.__name__].index(role)]
        read_only = changed(call, make.__name__, **{role: AccountMeta(meta.pubkey, meta.is_signer, False)})
        assert refusal(chain, read_only, match.crank) == "NotWritable"
    strange = changed(call, make.__name__, magic_program=STRANGER.pubkey())
    assert refusal(chain, strange, match.crank) == "WrongMagicProgram"
    forged = chain.put(Pubkey.new_unique(), chain.data(match.keys.session), STRANGER.pubkey())
    assert refusal(chain, changed(call, make.__name__, session=forged), match.crank) == "WrongOwner"


def test_what_may_be_settled(world, chain):
    match, running, other = ended(world), Match(world, 8).begin(), Match(world, 9).create()
    crank = match.crank.pubkey()
    chain.simulate(D.commit(match.keys, crank, match.keys.input), signers=[match.crank])
    chain.simulate(D.commit(running.keys, crank), signers=[match.crank])
    for target in (match.keys.hidden, match.keys.log):
        assert refusal(chain, D.commit(match.keys, crank, target), match.crank) == "NotInputBuffer"
    assert refusal(chain, D.commit(match.keys, crank, other.keys.session), match.crank) == "NotInputBuffer"
    for target in held(running):
        assert refusal(chain, D.undelegate(running.keys, crank, target), match.crank) == "StillPlaying"
    errors = ["NotInputLog", "NotInputLog", "NotInputLog", "WrongInputLog"]
    for target, error in zip(held(other), errors, strict=True):
        assert refusal(chain, D.undelegate(match.keys, crank, target), match.crank) == error


def test_a_log_is_restored_whole(world, chain):
    match = ended(world)
    entries = A.entries_of(chain.data(match.keys.log))
    wallet = match.guest
    restore = lambda at, data: D.restore_log(match.keys, wallet.pubkey(), at, data)  # noqa: E731
    assert refusal(chain, restore(0, entries), wallet) == "LogNotCut"
    call = D.undelegate(match.keys, match.crank.pubkey(), match.keys.log)
    chain.send(call, signers=[match.crank])
    assert refusal(chain, restore(0, entries), wallet) == "WriteOutOfBounds"
    match.grow()
    chain.send(restore(0, entries[:100]), signers=[wallet])
    for data in (entries[100:-1] + b"\0", entries[100:] + b"\0"):
        assert refusal(chain, restore(100, data), wallet) in ("HashMismatch", "WriteOutOfBounds")
    chain.send(restore(100, entries[100:]), signers=[wallet])
    assert A.entries_of(chain.data(match.keys.log)) == entries
    replay = A.replay_of(chain.data(match.keys.log))
    assert hashlib.sha256(replay).digest() == match.hidden()["log_hash"].tobytes()
    assert refusal(chain, restore(0, entries), wallet) == "LogNotCut"


def test_who_may_restore_what(world, chain):
    match, running = ended(world), Match(world, 8).begin()
    entries = A.entries_of(chain.data(match.keys.log))
    call = D.undelegate(match.keys, match.crank.pubkey(), match.keys.log)
    chain.send(call, signers=[match.crank])
    match.grow()
    call = D.restore_log(match.keys, match.host.pubkey(), 0, entries)
    chain.simulate(call, signers=[match.host])
    stranger = D.restore_log(match.keys, STRANGER.pubkey(), 0, entries)
    assert refusal(chain, stranger, STRANGER) == "NotAPlayer"
    wallet = AccountMeta(match.host.pubkey(), False, False)
    assert refusal(chain, changed(call, "restore_log", wallet=wallet)) == "SignatureMissing"
    log = AccountMeta(match.keys.log, False, False)
    assert refusal(chain, changed(call, "restore_log", log=log), match.host) == "NotWritable"
    empty = D.restore_log(match.keys, match.host.pubkey(), 0, b"")
    assert refusal(chain, empty, match.host) == "InstructionData"
    early = D.restore_log(running.keys, match.host.pubkey(), 0, entries)
    assert refusal(chain, early, match.host) == "NotEnded"
    for role in ("session", "hidden", "log"):
        wrong = changed(call, "restore_log", **{role: getattr(running.keys, role)})
        assert refusal(chain, wrong, match.host) in ("WrongHiddenState", "WrongInputLog")


@pytest.mark.parametrize("name", ["delegate", "commit", "undelegate", "restore_log"])
def test_missing_accounts(world, chain, name):
    match = ended(world)
    calls = {
        "delegate": D.delegate(match.keys, match.host.pubkey()),
        "commit": D.commit(match.keys, match.crank.pubkey()),
        "undelegate": D.undelegate(match.keys, match.crank.pubkey(), match.keys.log),
        "restore_log": D.restore_log(match.keys, match.host.pubkey(), 0, b"1"),
    }
    call = calls[name]
    assert len(call.accounts) == len(ROLES[name])
    for n in range(len(call.accounts)):
        short = Instruction(call.program_id, call.data, call.accounts[:n])
        assert refusal(chain, short, match.host, match.crank) == "AccountsMissing"
    if name != "restore_log":
        longer = Instruction(call.program_id, bytes(call.data) + b"\0", call.accounts)
        assert refusal(chain, longer, match.host, match.crank) == "InstructionData"


def given_back(account: Pubkey, seeds: list[bytes], buffer: AccountMeta) -> Instruction:
    """The call that the delegation program makes."""
    data = D.UNDELEGATED + struct.pack("<I", len(seeds))
    data += b"".join(struct.pack("<I", len(s)) + s for s in seeds)
    metas = [AccountMeta(account, False, True), buffer, AccountMeta(STRANGER.pubkey(), True, True)]
    return Instruction(I.PROGRAM_ID, data, [*metas, AccountMeta(SYSTEM_PROGRAM_ID, False, False)])


def test_nobody_else_gives_an_account_back(world, chain):
    """Else a stranger could make an account at the address of a match or a result to come."""
    match = Match(world)
    seeds = [b"result", bytes(match.keys.session)]
    true_buffer = A.derive(D.DELEGATION_PROGRAM_ID, b"undelegate-buffer", bytes(match.keys.result))
    chain.put(true_buffer, bytes(256), D.DELEGATION_PROGRAM_ID)
    unsigned = given_back(match.keys.result, seeds, AccountMeta(true_buffer, False, False))
    assert refusal(chain, unsigned, STRANGER) == "SignatureMissing"
    own = keypair("a buffer")
    chain.put(own.pubkey(), bytes(256), D.DELEGATION_PROGRAM_ID)
    forged = given_back(match.keys.result, seeds, AccountMeta(own.pubkey(), True, False))
    assert refusal(chain, forged, STRANGER, own) == "WrongUndelegationBuffer"
    for length in range(1, 8):
        short = Instruction(I.PROGRAM_ID, forged.data[:length], forged.accounts)
        assert refusal(chain, short, STRANGER, own) == "UnknownInstruction"
    assert refusal(chain, Instruction(I.PROGRAM_ID, forged.data, forged.accounts[:3]), STRANGER, own) == (
        "AccountsMissing"
    )


def test_seeds_and_tags_are_the_documented_ones(world):
    match = Match(world)
    call = D.delegate(match.keys, match.host.pubkey())
    assert call.data == bytes([30]) + bytes(D.LOCAL_VALIDATOR)
    addresses = {
        a["name"]: a["address"] for i in A.IDL["instructions"] for a in i["accounts"] if "address" in a
    }
    assert addresses["delegation_program"] == str(D.DELEGATION_PROGRAM_ID)
    assert addresses["magic_program"] == str(D.MAGIC_PROGRAM_ID)
    assert addresses["magic_context"] == str(D.MAGIC_CONTEXT)
    assert np.frombuffer(D.UNDELEGATED, "<u8")[0] == 0xA7332530CE291CC4
