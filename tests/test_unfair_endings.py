"""Losers whose clients settle parts first: result and deposit do not depend on their good will."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from onchain import controllers, tiny_cartridge
from solders.keypair import Keypair

from awm_kit.chain import delegation
from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import ENTRIES_OFFSET, Winner, entries_of
from awm_kit.chain.deploy import deploy
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, MAX_COMPUTE_UNITS
from awm_kit.chain.rollup import restore_entries, settle_match
from awm_kit.chain.worlds import World
from awm_kit.data.scuffle import initial_frame
from awm_kit.play.places import Place, open_place
from awm_kit.play.seat import Seat
from validator import launch


def table(place: Place) -> tuple[World, Keypair, Keypair]:
    wallets = Keypair(), Keypair()
    for wallet in wallets:
        place.ledger.airdrop(wallet.pubkey(), 100 * LAMPORTS_PER_SOL)
    return deploy(place.ledger, tiny_cartridge(), wallets[0], progress=False), *wallets


def lost_by_the_guest(place: Place, world: World, host: Keypair, guest: Keypair) -> tuple[Seat, Seat]:
    """Both seats of a match that the guest has just left."""
    winner = Seat.host(place, world, host, initial_frame(1))
    loser = Seat.join(place, winner.key, guest, ix.KEEP_CHARACTER)
    for seat in (loser, winner):
        seat.session.ready()
    for pads in controllers(4):
        winner.session.step(pads)
    loser.leave()
    return winner, loser


def record(seat: Seat) -> None:
    """Anybody may."""
    wallet, world = seat.wallet, seat.session.world
    order = ix.record_result(seat.session.keys, wallet.pubkey(), world)
    seat.place.ledger.send([order], wallet, compute_units=MAX_COMPUTE_UNITS)


def test_a_result_that_is_recorded_already() -> None:
    place = Place(EmbeddedLedger())
    winner, loser = lost_by_the_guest(place, *table(place))
    record(loser)
    assert winner.finish().winner == Winner.PLAYER_0
    assert place.ledger.account(winner.key) is None


def test_a_result_that_is_recorded_at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(EmbeddedLedger())
    winner, loser = lost_by_the_guest(place, *table(place))
    send = place.ledger.send

    def just_before(*call: Any, **terms: Any) -> Any:
        if terms.get("label") == "record and close":
            record(loser)
        return send(*call, **terms)

    monkeypatch.setattr(place.ledger, "send", just_before)
    assert winner.finish().winner == Winner.PLAYER_0
    assert place.ledger.account(winner.key) is None


@pytest.fixture(scope="module")
def rollup(rollup_package: Any) -> Iterator[tuple[Place, World, Keypair, Keypair]]:
    with launch.running(slot_ms=50) as network:
        place = open_place(f"{network.l1},{network.rollup}")
        yield place, *table(place)
        place.close()


def send_home(seat: Seat) -> None:
    """The log first: what it held stays in the rollup, and is gone when the winner looks."""
    keys, key = seat.session.keys, seat.session.players[1]
    order = delegation.undelegate(keys, key.pubkey(), keys.log)
    seat.place.arena.send([order], key)


def bring_home(seat: Seat) -> None:
    """All of it, the log's entries too, and the result recorded."""
    keys, ledger, log = seat.session.keys, seat.place.ledger, seat.place.arena.account(seat.session.keys.log)
    assert log and len(log.data) > ENTRIES_OFFSET
    settle_match(seat.place.rollup, ledger, keys, seat.session.players[1])
    restore_entries(ledger, keys, seat.wallet, seat.session.world, entries_of(log.data))
    assert restore_entries(ledger, keys, seat.wallet, seat.session.world, entries_of(log.data)) == []
    record(seat)


@pytest.mark.rollup
@pytest.mark.parametrize("meddle", [send_home, bring_home])
def test_a_loser_who_settles_first(
    rollup: tuple[Place, World, Keypair, Keypair], meddle: Callable[[Seat], None]
) -> None:
    place, world, host, guest = rollup
    winner, loser = lost_by_the_guest(place, world, host, guest)
    before = place.ledger.balance(host.pubkey())
    meddle(loser)
    assert winner.finish().winner == Winner.PLAYER_0
    assert (winner.record is None) == (meddle is send_home), "without inputs there is no replay to publish"
    assert place.ledger.account(winner.key) is None
    assert place.ledger.balance(host.pubkey()) > before, "the deposit is back"
    for seat in (winner, loser):
        seat.disconnect()
