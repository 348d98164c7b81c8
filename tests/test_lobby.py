"""Two lobbies, one ledger: create, invite, join, play, watch, leave, see the result, play again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

import numpy as np
import pytest
from onchain import tiny_cartridge
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain.accounts import EndReason, Phase, Winner
from awm_kit.chain.deploy import deploy
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.match_record import NO_HASH
from awm_kit.chain.results import list_results
from awm_kit.chain.worlds import World
from awm_kit.data.scuffle import FOX, MARTH
from awm_kit.errors import InsufficientFundsError, LedgerError, ProgramError, VerificationError
from awm_kit.play.app import play
from awm_kit.play.bumper_scene import BumperScene
from awm_kit.play.instant import BATCH
from awm_kit.play.instant_view import InstantView
from awm_kit.play.lobby import Lobby
from awm_kit.play.lobby_invite import Invitation, InviteCard, qr_svg
from awm_kit.play.places import Place
from awm_kit.play.table import read_table
from awm_kit.play.view import MatchView
from awm_kit.schema import CONTROLLER, FRAME_BYTES, N_PLAYERS

#: What pages are told of a frame.
CONFIRMED = np.dtype([("inputs", CONTROLLER, N_PLAYERS), ("frame", f"V{FRAME_BYTES}")])
PLACE = "http://chain.example:8899,http://rollup.example:7799"


@pytest.fixture(scope="module")
def shelf() -> tuple[Place, World]:
    """A ledger with a world in which nobody ever wins."""
    ledger, owner = EmbeddedLedger(), Keypair()
    ledger.airdrop(owner.pubkey(), 10 * LAMPORTS_PER_SOL)
    return Place(ledger), deploy(ledger, tiny_cartridge(), owner, progress=False)


@pytest.fixture
def lobbies(shelf: tuple[Place, World]) -> Iterator[list[Lobby]]:
    """Three people's pages."""
    made = [Lobby(shelf[0], shelf[1]) for _ in range(3)]
    yield made
    for lobby in made:
        lobby.close()


def wait(condition: Callable[[], object], seconds: float = 30.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.02)


def begin(host: Lobby, guest: Lobby, frames: int = 3) -> None:
    guest.join(str(host.create(seed=3)))
    host.ready()
    guest.ready()
    for lobby in (host, guest):
        wait(lambda lobby=lobby: lobby.bout is not None and lobby.bout.frames >= frames)


def test_a_match_of_two(lobbies: list[Lobby], shelf: tuple[Place, World]) -> None:
    host, guest, watcher = lobbies
    key = host.create(character=FOX)
    assert host.invite.identity == str(key) and host._stage.children == (host.room,)
    wait(lambda: "Waiting for somebody" in host.room.seats.value)
    assert host.room.ready.disabled
    guest.join(host.invite.link, character=FOX)
    watcher.watch(key)
    wait(lambda: "choosing" in host.room.seats.value and not host.room.ready.disabled)
    guest.room.character.value = MARTH
    guest.errands.wait(20)
    wait(lambda: "swordsman" in host.room.seats.value)
    host.room.ready.click()
    host.errands.wait(20)
    wait(lambda: "Waiting for P2" in guest.room.seats.value)
    guest.ready()
    for lobby in lobbies:
        wait(lambda lobby=lobby: lobby.bout is not None and lobby.bout.frames >= 10)
    assert guest.bout is not None and host.bout is not None
    guest.bout.pad.state.receive(np.array((1, 1, 1, 0, 2, 0, 0, 0, 0, 0, 0), _message()).tobytes())
    wait(lambda: int(host.seat.session.read(host.seat.session.keys.input)[0][12]) == 80)
    guest._quit.click()
    for lobby in lobbies:
        wait(lambda lobby=lobby: lobby.result is not None)
        lobby.errands.wait(20)
    results = [lobby.result for lobby in lobbies]
    assert results[0] == results[1] == results[2] in list_results(shelf[0].ledger, shelf[1].key)
    assert results[0].winner == Winner.PLAYER_0 and results[0].reason == EndReason.PLAYER_1_QUIT
    assert results[0].characters == (FOX, MARTH)
    assert host.verify().ok and guest.verify().ok and watcher.verify().ok
    assert "You win" in host.score.card.value and "P2 left" in host.score.card.value
    assert "P1 wins" in guest.score.card.value and "YOU left" in guest.score.card.value
    assert results[0].chain_hash in guest.score.card.value and "re-simulated" in guest.score.card.value
    assert shelf[0].ledger.account(key) is None, "the accounts are closed, the rent is back"
    guest.seat.record, host.seat.record = host.seat.record, None
    with pytest.raises(LedgerError, match="nobody published"):
        host.verify()
    replay = guest.publish()
    assert str(replay) in guest.score.card.value
    assert host.verify().ok, "from what is on the ledger"


def _message() -> np.dtype:
    from awm_kit.play.pad import MESSAGE

    return MESSAGE


def test_the_same_two_again(lobbies: list[Lobby]) -> None:
    host, guest, _ = lobbies
    begin(host, guest)
    first = host.seat.key
    host._quit.click()
    for lobby in (host, guest):
        wait(lambda lobby=lobby: lobby.result is not None)
        lobby.errands.wait(20)
    guest.score.again.click()
    host.score.again.click()
    for lobby in (host, guest):
        lobby.errands.wait(30)
        assert lobby.errands.error is None
    assert host.seat.key == guest.seat.key != first
    assert (host.seat.player, guest.seat.player) == (0, 1)
    wait(lambda: host.table is not None and host.table.phase == Phase.JOINED)
    host.ready()
    guest.ready()
    wait(lambda: guest.bout is not None and guest.bout.frames >= 3)


def test_a_script_takes_the_other_seat(lobbies: list[Lobby]) -> None:
    host = lobbies[0]
    host.create(seed=4)
    host.room.script.click()
    host.errands.wait(20)
    wait(lambda: not host.room.ready.disabled)
    host.ready()
    wait(lambda: host.bout is not None and host.bout.frames >= 20)
    assert list(host.bout.view.scene.names) == ["YOU", "BALANCED"]
    host.leave()
    assert host.result.winner == Winner.PLAYER_1 and host.verify().ok


def test_refusals_are_named(lobbies: list[Lobby]) -> None:
    host, guest, third = lobbies
    key = host.create()
    guest.join(key)
    with pytest.raises(ProgramError, match="NotOpen"):
        third.join(key)
    third.desk.text.value = str(key)
    third.desk.join.click()
    third.errands.wait(20)
    assert "ProgramError" in third._line.value and "NotOpen" in third._line.value
    assert third.seat is None and not third.desk.join.disabled
    with pytest.raises(LedgerError, match="there is no match"):
        third.join(Pubkey.new_unique())
    for text in ("", "hello", "http://a.example/b#awm=0OIl"):
        with pytest.raises(ValueError, match="invitation"):
            third.join(text)
    with pytest.raises(ValueError, match="got none"):
        third.ready()
    with pytest.raises(ValueError, match="spectator"):
        third.watch(key)
        third.pick(FOX)
    poor = Lobby(host.place, wallet=Keypair())
    with pytest.raises(InsufficientFundsError):
        poor.create()


def test_the_host_may_close_before_anybody_has_come(lobbies: list[Lobby]) -> None:
    host, guest, _ = lobbies
    key = host.create()
    before = host.place.ledger.balance(host.wallet.pubkey())
    host.room.leave.click()
    host.errands.wait(20)
    assert host.errands.error is None and host.seat is None and host._stage.children == (host.desk,)
    assert host.place.ledger.balance(host.wallet.pubkey()) > before
    with pytest.raises(LedgerError, match="is it over"):
        guest.join(key)


def test_an_open_page_says_that_the_match_was_closed(lobbies: list[Lobby]) -> None:
    host, guest, _ = lobbies
    key = host.create()
    guest.watch(key)
    wait(lambda: guest.table is not None)
    host.leave()
    wait(lambda: "there is no match" in guest._line.value)


def test_a_falsified_record_does_not_verify(lobbies: list[Lobby]) -> None:
    host, guest, _ = lobbies
    begin(host, guest, 12)
    host.leave()
    host.seat.record.inputs["stick_x"][5, 0] ^= 1
    with pytest.raises(VerificationError):
        host.verify()


def test_a_player_who_is_there_cannot_be_declared_absent(lobbies: list[Lobby]) -> None:
    host, guest, _ = lobbies
    begin(host, guest)
    host._claim.click()
    host.errands.wait(20)
    assert "NotSilent" in host._line.value
    assert read_table(host.place.ledger, host.seat.key).phase == Phase.ACTIVE
    wait(lambda: guest.bout.frames > 20)


def test_a_match_that_stumbled_goes_on_at_a_click(
    lobbies: list[Lobby], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, guest, _ = lobbies
    begin(host, guest)
    with monkeypatch.context() as patch:
        patch.setattr(host.seat.session.ledger, "send", _refuse)
        wait(lambda: not host.bout.loop.running)
    assert "LedgerError" in host._line.value and "CLICK" in host.bout.view.scene.banner
    stood = host.bout.frames
    wait(lambda: guest.bout.view.scene.banner == "WAITING FOR THE HOST")
    host.bout.pad._receive(None, {"click": 1}, [])
    wait(lambda: guest.bout.frames > stood + 5)
    assert guest.bout.view.scene.banner == ""


def test_pages_may_be_ahead_of_the_ledger(shelf: tuple[Place, World]) -> None:
    host, guest, watcher = (Lobby(shelf[0], shelf[1], instant=True) for _ in range(3))
    told: dict[str, list[tuple[dict, list[bytes]]]] = {"host": [], "guest": []}
    guest.join(str(host.create(seed=3)))
    watcher.watch(host.seat.key)
    host.ready()
    guest.ready()
    for lobby in (host, guest, watcher):
        wait(lambda lobby=lobby: lobby.bout is not None)
    for name, lobby in (("host", host), ("guest", guest)):
        lobby.bout.view.send = lambda content, buffers=(), name=name: told[name].append((content, buffers))
    assert isinstance(guest.bout.view, InstantView) and isinstance(watcher.bout.view, MatchView)
    for lobby in (host, guest):
        wait(lambda lobby=lobby: lobby.bout.frames >= 3)
        view, relay = lobby.bout.view, lobby.bout.relay
        view._receive(None, {"take": 7}, [])
        pads = np.zeros((4, 2), CONTROLLER)
        first = relay.witness.number + 20
        pads["sequence"], pads["stick_x"] = first + np.arange(4)[:, None], 80 if lobby is host else -80
        header = np.array((7, relay.epoch, first, 4), BATCH)
        view._receive(None, {"batch": 1, "rollbacks": 5}, [header.tobytes() + pads.tobytes()])
        assert view.rollbacks == 5
    wait(lambda: min(lobby.bout.frames for lobby in (host, guest)) >= 60)
    guest.leave()
    for lobby in (host, guest, watcher):
        wait(lambda lobby=lobby: lobby.result is not None)
        lobby.close()
    inputs = host.seat.record.inputs["stick_x"]
    assert set(inputs[:, 0]) == {0, 80} and set(inputs[:, 1]) == {0, -80}, "each page's, and nobody else's"
    assert (inputs[-1] == 0).all(), "a page from which nothing comes any more has let go"
    for name, lobby in (("host", host), ("guest", guest)):
        records = b"".join(buffers[0] for content, buffers in told[name] if "confirm" in content)
        pads = np.frombuffer(records, CONFIRMED)["inputs"]["stick_x"]
        assert (pads == inputs[-len(pads) :]).all() or (pads == inputs[: len(pads)]).all()
        assert lobby.bout.view.refused == []
        # a guest who leaves in the middle of a frame leaves no state of one to compare with
        if lobby.bout.relay.witness.number == lobby.result.frames and lobby.result.state_hash != NO_HASH:
            assert lobby.bout.relay.witness.state_hash() == lobby.result.state_hash


def test_another_game_brings_its_own_characters_and_scene(shelf: tuple[Place, World]) -> None:
    lobby = Lobby(shelf[0], "bumper")
    lobby.create(seed=5)
    assert lobby.seat.game == "bumper" and dict(lobby.room.character.options) == {
        "light cart": 0,
        "heavy cart": 1,
    }
    lobby.pick(1)
    lobby.seat_script()
    wait(lambda: "heavy cart" in lobby.room.seats.value)
    lobby.ready()
    wait(lambda: lobby.bout is not None and lobby.bout.frames >= 5)
    assert isinstance(lobby.bout.view.scene, BumperScene)
    lobby.leave()
    assert lobby.result.characters[0] == 1 and lobby.verify().ok
    lobby.score.done.click()
    lobby.errands.wait(20)
    offered = dict(lobby.desk.world.options)
    assert offered["bumper"] == lobby.desk.world.value and "bumper (deployed first)" not in offered
    app = play("bumper", seed=2)
    assert isinstance(app.view.scene, BumperScene) and app.match.frame["players"]["character"].tolist() == [
        0,
        1,
    ]
    assert app.pad.legend == ["P1: steer A D ← → · boost Space · throttle J Z · brake K X"]
    inputs = app.match.run_headless(60).inputs
    assert inputs["buttons"][:, 1].any() and not inputs["buttons"][:, 0].any(), "its drivers drive"


def _refuse(*_: object, **__: object) -> None:
    raise LedgerError("the line is dead")


class TestInvitations:
    def test_text_and_link_say_the_same(self) -> None:
        key = Pubkey.new_unique()
        for place in ("", PLACE, "https://api.example.org/v0?key=a&b=c"):
            given = Invitation.to(key, place or "embedded")
            page = "http://lab.example:8888/lab/tree/03_play.ipynb"
            assert given.link(page).startswith(f"{page}#awm={key}")
            for text in (given.text, given.link(), given.link(page), f"  {given.text}\n"):
                assert Invitation.parse(text) == given
        assert Invitation.parse(str(key)) == Invitation(key)

    def test_who_can_use_it(self) -> None:
        key = Pubkey.new_unique()
        assert Invitation(key).stays_here
        assert Invitation(key, "http://127.0.0.1:8899,http://127.0.0.1:7799").stays_here
        assert not Invitation(key, PLACE).stays_here

    def test_the_card_draws_what_it_says(self) -> None:
        card, key = InviteCard(), Pubkey.new_unique()
        card.show(Invitation(key, PLACE))
        assert card.link == f"awm:{key}@{PLACE}"
        before = card.qr
        card.page = "http://lab.example:8888/lab"
        assert card.link == f"http://lab.example:8888/lab#awm={key}@{PLACE}" and card.qr != before
        card.show(None)
        assert card.link == card.qr == ""

    def test_a_qr_code_is_square_and_has_its_finders(self) -> None:
        root = ElementTree.fromstring(qr_svg("awm:" + "x" * 60))
        *_, width, height = root.attrib["viewBox"].split()
        path = root.find("{http://www.w3.org/2000/svg}path").attrib["d"]
        dark = {tuple(map(int, part.split("h")[0].split(","))) for part in path.split("M")[1:]}
        size = int(width)
        assert width == height and (size - 8 - 17) % 4 == 0
        for x, y in ((4, 4), (size - 11, 4), (4, size - 11)):
            assert {(x + i, y) for i in range(7)} <= dark, "the top edge of a finder"
            assert (x + 1, y + 1) not in dark and (x + 3, y + 3) in dark


class TestResults:
    """The end of a match against a script, wherever it was computed."""

    @pytest.mark.parametrize("engine", ["native", "chain"])
    def test_the_card_shows_the_end(self, shelf: tuple[Place, World], engine: str) -> None:
        place, world = shelf
        app = play(world, engine=engine, ledger=place, time_limit=12)
        app.match.run_headless(11)
        app._advance()
        app._tick()
        app.errands.wait(60)
        assert app.errands.error is None and app.match.over
        card = app._card.value
        assert "the same last bit" in card and app.match.record(world.cartridge).state_hash in card
        if engine == "native":
            assert app.result is None
            return
        assert app.result in list_results(place.ledger, world.key)
        assert app.result.frames == 12 and app.result.chain_hash in card
        assert place.ledger.account(app.match.engine.keys.session) is None

    def test_a_match_given_up_is_closed(self, shelf: tuple[Place, World]) -> None:
        place, world = shelf
        app = play(world, engine="chain", ledger=place)
        app.match.run_headless(2)
        session = app.match.engine.keys.session
        app.bar.engine.value = "native"
        app.errands.wait(60)
        assert app.errands.error is None and place.ledger.account(session) is None
