"""A copy of a match that runs on a ledger: computed again from what its accounts tell."""

from __future__ import annotations

import numpy as np
import pytest
from onchain import tiny_cartridge
from solders.keypair import Keypair

from awm_kit.chain.deploy import deploy
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.session import ChainSession
from awm_kit.chain.session_entry import local_match
from awm_kit.chain.witness import Witness
from awm_kit.errors import LedgerError, VerificationError
from awm_kit.quant.random_model import random_inputs


@pytest.fixture(scope="module")
def ledger() -> EmbeddedLedger:
    return EmbeddedLedger()


@pytest.fixture
def session(ledger: EmbeddedLedger) -> ChainSession:
    owner = Keypair()
    ledger.airdrop(owner.pubkey(), 10 * LAMPORTS_PER_SOL)
    return local_match(ledger, deploy(ledger, tiny_cartridge(), owner, progress=False), seed=2)


def test_sees_every_frame_with_its_inputs(session: ChainSession, rng: np.random.Generator) -> None:
    witness, pads = Witness(session, tiny_cartridge()), random_inputs(rng, 20)
    for number, inputs in enumerate(pads, start=1):
        frame = session.step(inputs)
        ((seen, shown),) = witness.look()
        assert shown.tobytes() == frame.tobytes() and witness.number == number
        assert (seen["buttons"] == inputs["buttons"]).all() and (seen["stick_x"] == inputs["stick_x"]).all()
        assert witness.state_hash() == session.state_hash()
    assert witness.logs_read == 0, "the input buffer told them all"
    assert witness.look() == []


def test_the_log_tells_what_was_missed(session: ChainSession, rng: np.random.Generator) -> None:
    witness, pads = Witness(session, tiny_cartridge()), random_inputs(rng, 12)
    for inputs in pads[:7]:
        session.step(inputs)
    steps = witness.look()
    assert [int(frame["frame"]) for _, frame in steps] == list(range(1, 8)) and witness.logs_read == 1
    assert all(
        (seen["stick_y"] == told["stick_y"]).all() for (seen, _), told in zip(steps, pads[:7], strict=True)
    )
    for inputs in pads[7:]:
        session.step(inputs)
    late = Witness(session, tiny_cartridge())
    assert len(late.look()) == 12 and len(witness.look()) == 5
    assert late.state_hash() == witness.state_hash() == session.state_hash()


def test_what_is_held_or_guessed_needs_no_question(
    session: ChainSession, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = random_inputs(rng, 2)
    witness = Witness(session, tiny_cartridge())
    session.step(first)
    witness.look()
    session.step(second)
    ledger, asked = session.ledger, set()
    accounts = ledger.accounts
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "accounts", lambda keys: asked.update(keys) or accounts(keys))
        assert len(witness.look([first, second])) == 1
    assert asked == {session.keys.session}
    for _ in range(9):
        session.step(second)
    assert len(witness.look()) == 9 and witness.logs_read == 0
    assert witness.state_hash() == session.state_hash()


def test_frames_that_do_not_follow_are_named(session: ChainSession, rng: np.random.Generator) -> None:
    witness = Witness(session, tiny_cartridge())
    session.step(random_inputs(rng, 1)[0])
    witness._match.chain = bytes(32)
    with pytest.raises(VerificationError, match=r"frame 1 of match .* does not follow"):
        witness.look()
    assert witness.number == 0, "nothing of it counts"


def test_a_match_that_was_closed(session: ChainSession, rng: np.random.Generator) -> None:
    witness = Witness(session, tiny_cartridge())
    session.step(random_inputs(rng, 1)[0])
    session.end()
    session.record_result()
    session.close()
    with pytest.raises(LedgerError, match=r"there is no match .* on embedded"):
        witness.look()
