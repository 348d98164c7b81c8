"""The shelf in a notebook: what the cards say is what the accounts hold."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from onchain import tiny_cartridge, tiny_model
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain.deploy import deploy, retire
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.fork import deploy_fork
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, sol
from awm_kit.chain.session_entry import local_match
from awm_kit.chain.worlds import World, list_worlds
from awm_kit.errors import AwmError, LedgerError, ModelFileError
from awm_kit.play.places import Place, open_place
from awm_kit.play.portraits import portrait, postcard
from awm_kit.play.world_browser import WorldBrowser, card_html
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack


@pytest.fixture
def ledger() -> EmbeddedLedger:
    return EmbeddedLedger()


def wallet(ledger: EmbeddedLedger) -> Keypair:
    key = Keypair()
    ledger.airdrop(key.pubkey(), 100 * LAMPORTS_PER_SOL)
    return key


def shelve(ledger: EmbeddedLedger, cartridge: Cartridge) -> World:
    return deploy(ledger, cartridge, wallet(ledger), progress=False)


def play_one(ledger: EmbeddedLedger, world: World) -> None:
    session = local_match(ledger, world)
    session.end()
    session.record_result()
    session.close()


def cards(browser: WorldBrowser) -> list[str]:
    return [card.children[0].value for card in browser._cards.children]


def test_a_card_says_what_the_ledger_says(ledger: EmbeddedLedger) -> None:
    origin = shelve(ledger, tiny_cartridge())
    notes = {"trained_on": "1 < 2 games"}
    parent = bytes.fromhex(origin.cartridge.world_hash)
    child = pack(replace(tiny_model(1), name="child", notes=notes, parent=parent))
    deploy_fork(ledger, origin, child, wallet(ledger), progress=False)
    for _ in range(2):
        play_one(ledger, origin)
    browser = WorldBrowser(ledger)
    listed = {world.name: world for world in list_worlds(ledger)}
    assert {name: world.plays for name, world in listed.items()} == {"child": 0, "random-0": 2}
    assert [world.name for world in browser.worlds] == ["child", "random-0"]
    one, two = cards(browser)
    info = listed["child"]
    for text in (f"{info.params:,}", f"{info.size:,} bytes", sol(info.rent), "1 &lt; 2 games", str(info.key)):
        assert text in one
    assert ">random-0<" in one and ">0 times<" in one
    assert ">an original<" in two and ">2 times<" in two
    assert "1 < 2" not in one, "what anybody may deploy must be escaped"


def test_a_retired_parent_is_named_by_its_key(ledger: EmbeddedLedger) -> None:
    owner = wallet(ledger)
    origin = deploy(ledger, tiny_cartridge(), owner, progress=False)
    child = pack(replace(tiny_model(1), parent=bytes.fromhex(origin.cartridge.world_hash)))
    deploy_fork(ledger, origin, child, owner, progress=False)
    retire(ledger, origin, owner)
    (info,) = list_worlds(ledger)
    assert f"{origin.key} (retired)" in card_html(info, {info.key: info.name})


def test_playing_reads_the_world_back(ledger: EmbeddedLedger) -> None:
    world = shelve(ledger, tiny_cartridge())
    browser = WorldBrowser(ledger)
    browser._cards.children[0].children[1].children[0].click()
    browser.errands.wait(30)
    assert browser.errands.error is None
    assert browser.app is not None and browser.app.cartridge == world.cartridge
    assert browser.selected is not None and browser.selected.key == world.key
    chosen: list[World] = []
    assert WorldBrowser(ledger, on_play=chosen.append).play(world.key) is None
    assert chosen == [world]


def test_a_game_from_the_shelf_plays_on_that_ledger(ledger: EmbeddedLedger) -> None:
    world = shelve(ledger, tiny_cartridge())
    app = WorldBrowser(ledger).play(world.key)
    assert app is not None
    app.bar.engine.value = "chain"
    app.match.run_headless(2)
    assert app.match.engine.world == world.key and app.match.n_frames == 2
    assert len(list_worlds(ledger)) == 1, "deployed once, not again"


def test_failures_are_named_on_the_page(ledger: EmbeddedLedger) -> None:
    owner = wallet(ledger)
    world = deploy(ledger, tiny_cartridge(), owner, progress=False)
    browser = WorldBrowser(ledger)
    with pytest.raises(LedgerError, match="refresh"):
        browser.play(Pubkey.default())
    retire(ledger, world, owner)
    browser._cards.children[0].children[1].children[0].click()
    browser.errands.wait(30)
    assert isinstance(browser.errands.error, AwmError)
    assert "there is no world" in browser._line.value
    browser._again.click()
    browser.errands.wait(30)
    assert cards(browser) == [] and "0 worlds" in browser._title.value


def test_a_world_without_teacher_cannot_be_forked_by_gravity(ledger: EmbeddedLedger) -> None:
    world = shelve(ledger, tiny_cartridge())
    browser = WorldBrowser(ledger)
    split = browser._cards.children[0].children[1].children[1]
    assert split.disabled and "no built-in teacher" in split.tooltip
    with pytest.raises(ModelFileError, match="was not taught by scuffle"):
        browser.fork(world.key, "moon", 0.4)
    assert [w.key for w in list_worlds(ledger)] == [world.key]


def test_strange_notes_spoil_nobody_elses_card(ledger: EmbeddedLedger) -> None:
    notes = {"data": {"kind": "scuffle", "params": {"gravity_scale": "heavy"}}, "trained_on": ["<b>"]}
    strange = shelve(ledger, pack(replace(tiny_model(1), name="strange", notes=notes)))
    shelve(ledger, tiny_cartridge())
    browser = WorldBrowser(ledger)
    assert len(cards(browser)) == 2
    at = [world.name for world in browser.worlds].index("strange")
    assert browser._cards.children[at].children[1].children[1].disabled
    with pytest.raises(ModelFileError, match="expected a number for gravity_scale"):
        browser.play(strange.key)


def test_pictures_differ_and_are_well_formed() -> None:
    pictures = {postcard(game, f"{i:02x}" * 32) for i in range(20) for game in ("fighter", "bumper")}
    faces = {portrait(g, c, p) for g, c in (("fighter", 1), ("fighter", 18), ("bumper", 1)) for p in (0, 1)}
    assert len(pictures) == 40 and len(faces) == 6
    pictures |= faces
    for picture in pictures:
        assert ElementTree.fromstring(picture).tag == "svg"


def test_places(ledger: EmbeddedLedger) -> None:
    assert open_place(ledger) == Place(ledger) and open_place(Place(ledger)).arena is ledger
    assert open_place().name == "embedded"
    with pytest.raises(LedgerError, match="no usable answer"):
        open_place("http://127.0.0.1:9")
