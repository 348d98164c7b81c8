"""Between a page that is ahead and a match that does not wait for it."""

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
from awm_kit.errors import InputBatchError
from awm_kit.play.instant import BATCH, HASH_EVERY
from awm_kit.play.relay import HELD_SECONDS, MAX_AHEAD, Relay
from awm_kit.schema import CONTROLLER, N_PLAYERS


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def ledger() -> EmbeddedLedger:
    return EmbeddedLedger()


@pytest.fixture
def session(ledger: EmbeddedLedger) -> ChainSession:
    owner = Keypair()
    ledger.airdrop(owner.pubkey(), 10 * LAMPORTS_PER_SOL)
    return local_match(ledger, deploy(ledger, tiny_cartridge(), owner, progress=False), seed=2)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay(session: ChainSession, clock: Clock) -> Relay:
    return Relay(Witness(session, tiny_cartridge()), [1], clock)


def batch(first: int, *sticks: int, epoch: int = 0) -> bytes:
    """Controllers of frames ``first`` and on: both players' sticks."""
    pads = np.zeros((len(sticks), N_PLAYERS), CONTROLLER)
    pads["sequence"] = first + np.arange(len(sticks))[:, None]
    pads["stick_x"] = np.array(sticks)[:, None]
    return np.array((7, epoch, first, len(sticks)), BATCH).tobytes() + pads.tobytes()


def step(session: ChainSession, relay: Relay, late: list[np.ndarray] | None = None) -> int:
    """One frame with what the relay presses, or pressed three frames ago; returns the stick that it used."""
    pressed = np.zeros(N_PLAYERS, CONTROLLER)
    pressed[1] = relay.press()[1]
    if late is not None:
        late.append(pressed)
        pressed = late[0] if len(late) < 4 else late[-4]
    session.step(pressed)
    relay.news()
    return int(relay.witness.inputs["stick_x"][1])


def test_each_frame_gets_what_was_pressed_for_it(session: ChainSession, relay: Relay) -> None:
    relay.judge(batch(1, 0, 10, 20))
    relay.judge(batch(4, 30))
    assert [step(session, relay) for _ in range(5)] == [0, 10, 20, 30, 30]
    relay.judge(batch(5, 50, 60, 70))
    assert step(session, relay) == 60, "what comes too late counts for the frame that is next"
    assert (relay.witness.inputs["stick_x"][0], relay.delay) == (0, 0), "the other player is not the page's"


def test_pages_are_told_how_early_they_are(session: ChainSession, relay: Relay) -> None:
    session.step(np.zeros(N_PLAYERS, CONTROLLER))
    assert relay.news().margin == -2, "nothing has come for frames 1 and 2"
    relay.judge(batch(2, 0, 0, 0, 0))
    session.step(np.zeros(N_PLAYERS, CONTROLLER))
    ruling = relay.news()
    assert (ruling.first, ruling.margin, len(ruling.records)) == (2, 2, 104)
    assert relay.news() is None
    told = [ruling.state_hash]
    for _ in range(3, HASH_EVERY + 1):
        session.step(np.zeros(N_PLAYERS, CONTROLLER))
        told.append(relay.news().state_hash)
    assert set(told[:-1]) == {""} and told[-1] == session.state_hash()


def test_learns_how_long_keys_travel(session: ChainSession, relay: Relay) -> None:
    road: list[np.ndarray] = []
    for number in range(1, 121):
        relay.judge(batch(number, 10 * (number // 5 % 8)))
        step(session, relay, road)
    assert relay.delay == 3
    relay.judge(batch(121, 5, 6, 7, 8))
    assert int(relay.press()["stick_x"][1]) == 8, "what is sent after frame 120 reaches frame 124"


def test_a_page_that_is_silent_lets_go(session: ChainSession, relay: Relay, clock: Clock) -> None:
    relay.judge(batch(1, 80))
    assert [step(session, relay) for _ in range(3)] == [80, 80, 80]
    clock.now += HELD_SECONDS + 0.1
    assert step(session, relay) == 0


def test_batches_that_may_not_be(relay: Relay) -> None:
    relay.judge(batch(1, 0, 0))
    refused = {
        "expected frames of 3 to 60": [batch(2, 0), batch(1, 0, 0), batch(MAX_AHEAD, 0, 0)],
        "expected beginning 0": [batch(3, 0, epoch=1)],
        "expected controllers after": [b"", batch(3, 0)[:-1]],
        "at most 8": [batch(3, *range(9))],
    }
    for reason, messages in refused.items():
        for message in messages:
            with pytest.raises(InputBatchError, match=reason):
                relay.judge(message)
    relay.standing()
    relay.judge(batch(1, 0))
