"""Everything that the world program refuses, each with its own error code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import refusals_claims  # noqa: F401  (these add to CASES)
import refusals_matches  # noqa: F401
import refusals_worlds  # noqa: F401
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from stages import CASES, INSTRUCTIONS, STRANGER, Stages, changed, good_calls, refused

from awm_kit.chain import accounts as A
from awm_kit.chain import instructions as I


@pytest.fixture(scope="module")
def stages() -> Stages:
    return Stages()


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_the_unchanged_call_succeeds(stages, name):
    call, signers = good_calls(stages)[name]
    stages.chain.simulate(call, signers=signers)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_truncated_data(stages, name):
    call = good_calls(stages)[name]
    data = bytes(call[0].data)
    lengths = range(5) if name == "write" else range(len(data))
    for length in lengths:
        assert refused(stages, changed(call, data=data[:length])) == "InstructionData"


@pytest.mark.parametrize("name", [n for n in INSTRUCTIONS if n != "write"])
def test_data_too_long(stages, name):
    call = good_calls(stages)[name]
    assert refused(stages, changed(call, data=bytes(call[0].data) + b"\0")) == "InstructionData"


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_missing_accounts(stages, name):
    instruction, signers = good_calls(stages)[name]
    for n in range(len(INSTRUCTIONS[name]["accounts"])):
        metas = instruction.accounts[:n]
        kept = [k for k in signers if any(m.pubkey == k.pubkey() and m.is_signer for m in metas)]
        call = Instruction(instruction.program_id, instruction.data, metas), kept
        assert refused(stages, call) == "AccountsMissing"


def cases(flag: str) -> Iterator[tuple[str, str]]:
    return ((n, a["name"]) for n, i in INSTRUCTIONS.items() for a in i["accounts"] if a.get(flag))


@pytest.mark.parametrize(("name", "role"), list(cases("signer")))
def test_missing_signature(stages, name, role):
    """Everybody knows the right key; who does not hold it cannot sign."""
    call = good_calls(stages)[name]
    roles = [a["name"] for a in INSTRUCTIONS[name]["accounts"]]
    meta = call[0].accounts[roles.index(role)]
    key = meta.pubkey
    if key == stages.chain.payer.pubkey():  # who pays the fee has signed: let somebody else be meant
        key = STRANGER.pubkey()
    instruction, signers = changed(call, **{role: AccountMeta(key, False, meta.is_writable)})
    assert refused(stages, (instruction, [k for k in signers if k.pubkey() != key])) == "SignatureMissing"


@pytest.mark.parametrize(("name", "role"), list(cases("writable")))
def test_read_only_account(stages, name, role):
    call = good_calls(stages)[name]
    roles = [a["name"] for a in INSTRUCTIONS[name]["accounts"]]
    meta = call[0].accounts[roles.index(role)]
    if meta.pubkey == stages.chain.payer.pubkey():  # who pays the fee is writable: let somebody else pay
        instruction, signers = changed(call, **{role: AccountMeta(STRANGER.pubkey(), meta.is_signer, False)})
        call = instruction, [*signers, STRANGER]
    else:
        call = changed(call, **{role: AccountMeta(meta.pubkey, meta.is_signer, False)})
    assert refused(stages, call) == "NotWritable"


OURS = ("manifest", "shard", "session", "input", "hidden", "log", "target")
#: The session names its world: another manifest is refused before it is looked at.
KNOWN_BY_KEY = {(n, "manifest") for n in ("run_inference", "run_next", "record_result", "grow")}
CREATED = {("create_session", r) for r in OURS if r != "manifest"}


def our_accounts() -> Iterator[tuple[str, str]]:
    for name, instruction in INSTRUCTIONS.items():
        for account in instruction["accounts"]:
            if account["name"] in OURS and (name, account["name"]) not in CREATED:
                yield name, account["name"]


@pytest.mark.parametrize(("name", "role"), list(our_accounts()))
def test_forged_account(stages, name, role):
    """An exact copy that belongs to another program: whatever it says, nobody has checked it."""
    call = good_calls(stages)[name]
    roles = [a["name"] for a in INSTRUCTIONS[name]["accounts"]]
    real = call[0].accounts[roles.index(role)].pubkey
    forged = stages.chain.put(Pubkey.new_unique(), stages.chain.data(real), STRANGER.pubkey())
    expected = "WrongWorld" if (name, role) in KNOWN_BY_KEY else "WrongOwner"
    assert refused(stages, changed(call, **{role: forged})) == expected


KINDS = {
    "manifest": "NotManifest",
    "shard": "NotShard",
    "session": "NotSession",
    "input": "NotInputBuffer",
    "hidden": "NotHiddenState",
    "log": "NotInputLog",
}


@pytest.mark.parametrize(
    ("name", "role"), [c for c in our_accounts() if c[1] in KINDS and c not in KNOWN_BY_KEY]
)
def test_account_of_another_kind(stages, name, role):
    call = good_calls(stages)[name]
    if (name, role) in {("init_manifest", "manifest"), ("init_shard", "shard")}:
        assert refused(stages, changed(call, **{role: stages.active.keys.session})) == "ContentLength"
        return
    wrong = stages.world.shards[0] if role == "manifest" else stages.world.manifest
    assert refused(stages, changed(call, **{role: wrong})) == KINDS[role]


THEIRS = {"input": "WrongInputBuffer", "hidden": "WrongHiddenState", "log": "WrongInputLog"}


@pytest.mark.parametrize(
    ("name", "role"),
    [(n, r) for n, r in our_accounts() if r in THEIRS] + [("create_session", r) for r in THEIRS],
)
def test_account_of_another_match(stages, name, role):
    theirs = getattr(stages.half_ready.keys, role)
    assert refused(stages, changed(good_calls(stages)[name], **{role: theirs})) == THEIRS[role]


@pytest.mark.parametrize("name", ["create_session", "grow", "record_result"])
def test_wrong_system_program(stages, name):
    assert refused(stages, changed(good_calls(stages)[name], system=I.PROGRAM_ID)) == "WrongSystemProgram"


@pytest.mark.parametrize(("error", "build"), [(e, b) for e, _, b in CASES], ids=[n for _, n, _ in CASES])
def test_refused(stages, error, build):
    assert refused(stages, build(stages)) == error


def test_every_error_code_is_tried():
    tried = {error for error, _, _ in CASES} | set(KINDS.values()) | set(THEIRS.values())
    tried |= {"InstructionData", "AccountsMissing", "SignatureMissing", "NotWritable", "WrongOwner"}
    tried |= {"WrongSystemProgram", "ShardLength", "ShardHash", "WorldChanged", "ManifestNotFrozen"}
    of_the_rollup = {name for code, name in A.ERROR_NAMES.items() if 6120 <= code < A.KERNEL_ERRORS}
    assert set(A.ERROR_NAMES.values()) - tried == of_the_rollup
