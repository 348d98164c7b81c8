"""Random calls of the world program: none breaks it, and nobody loses by a call that they did not sign."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest
from onchain import MAX_UNITS, Match, refusal_of
from solders.account import Account
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM_ID
from solders.sysvar import CLOCK, RENT
from solders.transaction import Transaction
from solders.transaction_metadata import FailedTransactionMetadata
from stages import INSTRUCTIONS, STRANGER, Stages, good_calls

from awm_kit.chain import accounts as A
from awm_kit.chain import delegation as D
from awm_kit.chain import instructions as I

TAGS = {spec["discriminator"][0]: name for name, spec in INSTRUCTIONS.items()}
MATCHES = (
    "created", "joined", "half_ready", "active", "mid_frame", "decided", "ended", "recorded", "closed",
    "silent", "both_silent", "abandoned", "licensed",
)  # fmt: skip
#: Numbers at which lengths and counters go wrong.
EDGES = (0, 2, 79, 127, 128, 255, 256, 10_240, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
#: Left to others: payers without lamports to the system program, a rollup that is not here to the runtime.
OF_OTHERS = {"InstructionErrorCustom(1)", "InstructionErrorFieldless.UnsupportedProgramId"}


class Fuzzer:
    """Calls made from good ones by changing data, accounts and flags.

    Parameters
    ----------
    stages : Stages
        None of the calls changes them.
    signers : sequence of Keypair
        Who may be made to sign.
    """

    def __init__(self, stages: Stages, signers: Sequence[Keypair], seed: int) -> None:
        self.stages, self.dice = stages, random.Random(seed)
        self.calls = [call for call, _ in good_calls(stages).values()]
        keys = {CLOCK, RENT, SYSTEM_PROGRAM_ID, I.PROGRAM_ID, Pubkey.default(), STRANGER.pubkey()}
        self.casts = [cast(getattr(stages, name)) for name in MATCHES]
        for roles in self.casts:
            keys |= set(roles.values())
        for world in (stages.uploaded, stages.shards_frozen, stages.world, stages.other_world):
            keys |= {world.manifest, *world.shards}
        self.calls += self._of_the_rollup()
        keys |= {m.pubkey for call in self.calls for m in call.accounts}
        self.pool = sorted(keys, key=bytes)
        self.may_sign = {k.pubkey(): k for k in (*signers, stages.chain.payer)}

    def _of_the_rollup(self) -> Iterator[Instruction]:
        joined, ended = self.stages.joined, self.stages.ended
        yield D.delegate(joined.keys, joined.host.pubkey())
        yield D.commit(ended.keys, ended.crank.pubkey())
        yield D.undelegate(ended.keys, ended.crank.pubkey(), ended.keys.log)
        yield D.restore_log(ended.keys, ended.host.pubkey(), 0, b"12345678")
        seeds = b"\2\0\0\0\5\0\0\0input\x20\0\0\0" + bytes(ended.keys.session)
        accounts = [ended.keys.input, STRANGER.pubkey(), STRANGER.pubkey(), SYSTEM_PROGRAM_ID]
        metas = [AccountMeta(key, key == STRANGER.pubkey(), True) for key in accounts]
        yield Instruction(I.PROGRAM_ID, D.UNDELEGATED + seeds, metas)

    def call(self) -> Instruction:
        """A good call with some things changed."""
        base = self.dice.choice(self.calls)
        data, metas = bytearray(base.data), list(base.accounts)
        of_data = (self._bytes, self._number, self._number, self._length, self._tag)
        of_accounts = (self._other, self._other, self._match, self._match, self._twice, self._flags)
        of_their_number = (self._fewer, self._more)
        for _ in range(self.dice.choice((1, 1, 1, 2, 3, 4))):
            if self.dice.random() < 0.4:
                self.dice.choice(of_data)(data)
            else:
                self.dice.choice((*of_accounts, *of_their_number))(metas)
        return Instruction(I.PROGRAM_ID, bytes(data), [self._as_allowed(meta) for meta in metas])

    def _as_allowed(self, meta: AccountMeta) -> AccountMeta:
        """Who cannot be made to sign is named without a signature, or the stranger signs instead."""
        if not meta.is_signer or meta.pubkey in self.may_sign:
            return meta
        instead = self.dice.random() < 0.7
        return AccountMeta(STRANGER.pubkey() if instead else meta.pubkey, instead, meta.is_writable)

    def _bytes(self, data: bytearray) -> None:
        for _ in range(self.dice.randint(1, 4)):
            data[self.dice.randrange(len(data))] = self.dice.randrange(256)

    def _number(self, data: bytearray) -> None:
        at, width = self.dice.randrange(len(data)), self.dice.choice((1, 2, 4, 8))
        value = (self.dice.choice(EDGES) + self.dice.randint(-1, 1)) % 2 ** (8 * width)
        data[at : at + width] = value.to_bytes(width, "little")[: len(data) - at]

    def _length(self, data: bytearray) -> None:
        if self.dice.random() < 0.5:
            del data[self.dice.randrange(1, len(data) + 1) :]
        else:
            data += self.dice.randbytes(self.dice.randint(1, 40))

    def _tag(self, data: bytearray) -> None:
        data[0] = self.dice.choice((*TAGS, 30, 31, 32, 33, D.UNDELEGATED[0], self.dice.randrange(256)))

    def _other(self, metas: list[AccountMeta]) -> None:
        i, key = self.dice.randrange(len(metas)), self.dice.choice(self.pool)
        metas[i] = AccountMeta(key, metas[i].is_signer or key in self.may_sign, metas[i].is_writable)

    def _match(self, metas: list[AccountMeta]) -> None:
        """The same call for another match, all of it or nearly."""
        there, stay = self.dice.choice(self.casts), self.dice.choice((0.0, 0.0, 0.2))
        for i, meta in enumerate(metas):
            role = next((r for roles in self.casts for r, key in roles.items() if key == meta.pubkey), None)
            if role and self.dice.random() >= stay:
                metas[i] = AccountMeta(there[role], meta.is_signer, meta.is_writable)

    def _twice(self, metas: list[AccountMeta]) -> None:
        metas[self.dice.randrange(len(metas))] = self.dice.choice(metas)

    def _flags(self, metas: list[AccountMeta]) -> None:
        i, bits = self.dice.randrange(len(metas)), self.dice.randrange(4)
        metas[i] = AccountMeta(metas[i].pubkey, bool(bits & 1), bool(bits & 2))

    def _fewer(self, metas: list[AccountMeta]) -> None:
        if len(metas) > 1:
            del metas[self.dice.randrange(len(metas))]

    def _more(self, metas: list[AccountMeta]) -> None:
        for _ in range(self.dice.choice((1, 1, 2, 8))):
            key, at = self.dice.choice(self.pool), self.dice.randint(0, len(metas))
            metas.insert(at, AccountMeta(key, key in self.may_sign, self.dice.random() < 0.5))

    def attempt(self, call: Instruction) -> tuple[str, dict[Pubkey, Account]]:
        """Name of the refusal, empty if there was none, and what the call leaves of the accounts it wrote."""
        chain = self.stages.chain
        chain.svm.expire_blockhash()
        blockhash = chain.svm.latest_blockhash()
        budget = set_compute_unit_limit(MAX_UNITS)
        message = Message.new_with_blockhash([budget, call], chain.payer.pubkey(), blockhash)
        signers = [self.may_sign[k] for k in message.account_keys[: message.header.num_required_signatures]]
        result = chain.svm.simulate_transaction(Transaction(signers, message, blockhash))
        if not isinstance(result, FailedTransactionMetadata):
            return "", dict(result.post_accounts())
        name = refusal_of(result).name
        known = name in A.ERROR_NAMES.values() or name.startswith("Kernel") or name in OF_OTHERS
        assert known, (name, result.meta().logs()[-4:], call)
        return name, {}


def people(match: Match) -> dict[str, Keypair]:
    first, second = match.players
    return {"host": match.host, "guest": match.guest, "crank": match.crank, "first": first, "second": second}


def cast(match: Match) -> dict[str, Pubkey]:
    """Who and what belongs to a match."""
    return {**vars(match.keys), **{role: key.pubkey() for role, key in people(match).items()}}


def everybody(stages: Stages) -> list[Keypair]:
    matches = [getattr(stages, name) for name in MATCHES]
    return [STRANGER, stages.world.authority, *(k for match in matches for k in people(match).values())]


@pytest.fixture(scope="module")
def stages() -> Stages:
    return Stages()


def trials(seed: int) -> list[object]:
    return [pytest.param(3_000, seed), pytest.param(100_000, seed + 1, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("calls", "seed"), trials(1))
def test_no_call_breaks_the_program(stages: Stages, calls: int, seed: int) -> None:
    """Whoever signs: success or an error of its own, never a fault of the VM or an act that it would undo."""
    fuzzer = Fuzzer(stages, everybody(stages), seed)
    seen = Counter(fuzzer.attempt(fuzzer.call())[0] for _ in range(calls))
    assert seen[""] > calls / 50
    assert len(seen) > 40, "the calls reach too few of the checks"


@pytest.mark.parametrize(("calls", "seed"), trials(3))
def test_a_stranger_takes_nothing(stages: Stages, calls: int, seed: int) -> None:
    """Only two sign: who pays the fee, and a stranger who owns nothing here but the upload of a replay."""
    fuzzer, chain = Fuzzer(stages, [STRANGER], seed), stages.chain
    done: Counter[str] = Counter()
    for _ in range(calls):
        call = fuzzer.call()
        name, after = fuzzer.attempt(call)
        if name:
            continue
        done[TAGS[call.data[0]]] += 1
        for key, left in after.items():
            before = chain.svm.get_account(key)
            if before is None or key in fuzzer.may_sign or is_the_stranger_s(before):
                continue
            assert left.lamports >= before.lamports, (key, call)
            if before.owner == I.PROGRAM_ID and bytes(left.data) != bytes(before.data):
                allowed = BY_ANYBODY.get(TAGS[call.data[0]])
                assert allowed and allowed(stages, key, bytes(before.data), bytes(left.data)), (key, call)
    assert set(done) <= {*BY_ANYBODY, *OF_ONE_S_OWN, "create_session", "record_result"}, done
    assert len(done) > 6, done


def grown(_: Stages, __: Pubkey, before: bytes, after: bytes) -> bool:
    """Longer by zeros, whatever the header says of it."""
    return len(after) > len(before) and after[8 : len(before)] == before[8:] and not any(after[len(before) :])


def of_the_licensed_match(stages: Stages, key: Pubkey, _: bytes, __: bytes) -> bool:
    keys = stages.licensed.keys
    return key in (keys.session, keys.hidden, keys.log)


def of_an_open_match(stages: Stages, key: Pubkey, _: bytes, __: bytes) -> bool:
    return key in (stages.created.keys.session, stages.created.keys.hidden)


def is_the_stranger_s(account: Account) -> bool:
    """A content account with the stranger as its authority, or one that nobody has taken yet."""
    header = bytes(account.data)[: A.CONTENT_OFFSET]
    ours = account.owner == I.PROGRAM_ID and len(header) == A.CONTENT_OFFSET
    return ours and (not any(header) or header[16:48] == bytes(STRANGER.pubkey()))


#: What an instruction that anybody may send can change of an account that is there.
BY_ANYBODY: dict[str, Callable[[Stages, Pubkey, bytes, bytes], bool]] = {
    "grow": grown,
    "join": of_an_open_match,
    "run_next": of_the_licensed_match,
}
OF_ONE_S_OWN = ("init_manifest", "init_shard", "init_replay", "write", "finalise_replay", "retire")
