"""Two people on two machines: two Jupyter servers, kernels and pages, one match on MagicBlock's rollup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lab import Notebook, chromium_browser, jupyter_lab, write_notebook
from onchain import tiny_cartridge
from playwright.sync_api import Browser
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain.deploy import deploy
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.results import MatchResult, list_results
from awm_kit.chain.rpc import RpcLedger
from awm_kit.chain.worlds import World
from awm_kit.play.headless import play_headless
from validator import launch

pytestmark = [pytest.mark.browser, pytest.mark.rollup, pytest.mark.timeout(400)]

SHOW, ASK = 1, 2
WAIT = 90_000
GAME = "document.querySelector('.awm-instant')?.awm"


@dataclass
class Street:
    """The chains that both machines reach."""

    place: str
    ledger: RpcLedger
    world: World

    def result(self, key: str) -> MatchResult:
        """The result that L1 keeps under a key."""
        kept = list_results(self.ledger, self.world.key)
        return next(result for result in kept if str(result.key) == key)


@pytest.fixture(scope="module")
def street(rollup_package: Any) -> Iterator[Street]:
    with launch.running(slot_ms=50) as network:
        ledger, owner = RpcLedger(network.l1), Keypair()
        ledger.airdrop(owner.pubkey(), 100 * LAMPORTS_PER_SOL)
        world = deploy(ledger, tiny_cartridge(), owner, progress=False)
        yield Street(f"{network.l1},{network.rollup}", ledger, world)
        ledger.close()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_browser(chromium) as browser:
        yield browser


def test_one_process_plays_on_the_rollup(street: Street) -> None:
    cartridge = tiny_cartridge()
    match = play_headless(cartridge, "rollup", 30, seed=2, ledger=street.place)
    assert match.frames == 30 and match.result in list_results(street.ledger, street.world.key)
    assert match.state_hash == play_headless(cartridge, frames=30, seed=2).state_hash
    with pytest.raises(ValueError, match="expected a place with a rollup"):
        play_headless(cartridge, "rollup", 1, ledger=street.ledger)


class Machine:
    """One person's Jupyter server, with their lobby on the page."""

    def __init__(
        self, browser: Browser, base: str, place: str, invitation: str = "", instant: bool = False
    ) -> None:
        self.notebook = Notebook(browser, base, "lobby.ipynb")
        self.page = self.notebook.page
        if invitation:
            self.page.goto("about:blank")
            self.page.goto(f"{base}/lab/tree/lobby.ipynb#{invitation}")
            self.notebook.wait_ready()
        self.notebook.python(
            0, f"from awm_kit.play import Lobby\nlobby = Lobby({place!r}, instant={instant})"
        )
        self.notebook.run(SHOW)
        self.page.wait_for_selector(".awm-lobby button")

    def press(self, name: str) -> None:
        """Click a button as soon as it can be clicked."""
        button = self.page.locator(".awm-lobby").get_by_role("button", name=name)
        button.click(timeout=WAIT)

    def see(self, text: str) -> None:
        """Wait until the lobby shows a text."""
        self.page.locator(".awm-lobby").get_by_text(text).first.wait_for(timeout=WAIT)

    def wait_frame(self, number: int) -> None:
        self.page.wait_for_function("(n) => window.__probe.frame() >= n", arg=number, timeout=WAIT)

    def ask(self, expression: str) -> Any:
        return json.loads(self.notebook.python(ASK, f"import json; print(json.dumps({expression}))"))


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    folders: list[Path] = [tmp_path_factory.mktemp(name) for name in ("host", "guest")]
    for folder in folders:
        write_notebook(folder / "lobby.ipynb", ["", "lobby", ""])
    with jupyter_lab(folders[0]) as one, jupyter_lab(folders[1]) as two:
        yield [one, two]


def test_two_pages_ahead_of_one_match(street: Street, browser: Browser, bases: list[str]) -> None:
    host = Machine(browser, bases[0], street.place, instant=True)
    host.press("Create match")
    host.page.wait_for_selector(".awm-invite-qr svg", timeout=WAIT)
    link = host.page.locator(".awm-invite code").all_inner_texts()[1]
    guest = Machine(browser, bases[1], street.place, link.partition("#")[2], instant=True)
    guest.press("Join")
    for machine in (guest, host):
        machine.press("Ready")
    for machine in (guest, host):
        machine.page.wait_for_function(f"{GAME}?.rollback?.confirmed >= 20", timeout=WAIT)
        machine.notebook.click_game()
        machine.page.wait_for_function(f"{GAME}.steering && {GAME}.rollback.ahead > 0", timeout=WAIT)
    for machine, key in ((guest, "d"), (host, "a"), (guest, "a"), (host, "d"), (guest, "w")):
        machine.page.bring_to_front()
        machine.page.keyboard.down(key)
        reached = machine.page.evaluate(f"{GAME}.rollback.confirmed") + 25
        machine.page.wait_for_function(f"(n) => {GAME}.rollback.confirmed >= n", arg=reached, timeout=WAIT)
        machine.page.keyboard.up(key)
    guest.press("Leave")
    for machine in (host, guest):
        machine.see("Rematch")
    result = street.result(host.ask("str(lobby.result.key)"))
    for machine in (host, guest):
        machine.page.wait_for_function(f"{GAME}.rollback.ahead === 0", timeout=WAIT)
        facts = machine.page.evaluate(f"{GAME}.facts()")
        assert facts["confirmed"] == result.frames and facts["state_hash"] == result.state_hash
        assert facts["rollbacks"] > 0, "the other one changes what they hold"
        assert machine.ask("lobby.bout.relay.witness.state_hash()") == result.state_hash
        assert machine.ask("[lobby.bout.view.refused, lobby.bout.view.rollbacks > 0]") == [[], True]
    sticks = host.ask("[sorted(set(pads.tolist())) for pads in lobby.seat.record.inputs['stick_x'].T]")
    assert sticks == [[-80, 0, 80]] * 2
    for machine in (host, guest):
        assert [error for error in machine.notebook.errors if "awm" in error.lower()] == []
        machine.notebook.shutdown()


def test_two_machines_one_match(street: Street, browser: Browser, bases: list[str]) -> None:
    host = Machine(browser, bases[0], street.place)
    host.press("Create match")
    host.page.wait_for_selector(".awm-invite-qr svg", timeout=WAIT)
    identity, link = host.page.locator(".awm-invite code").all_inner_texts()
    assert link == f"{bases[0]}/doc/tree/lobby.ipynb#awm={identity}@{street.place}"
    assert "token" not in link

    guest = Machine(browser, bases[1], street.place, invitation=link.partition("#")[2])
    guest.see("You were invited")
    guest.press("Join")
    host.see("choosing")
    for machine in (guest, host):
        machine.press("Ready")
    for machine in (guest, host):
        machine.wait_frame(60)

    guest.notebook.click_game()
    guest.page.keyboard.down("d")
    reached = guest.page.evaluate("window.__probe.frame()") + 60
    host.wait_frame(reached)
    guest.page.keyboard.up("d")
    guest.press("Leave")
    for machine in (host, guest):
        machine.see("Rematch")
    result = street.result(host.ask("str(lobby.result.key)"))
    assert result.frames > 60
    for machine in (host, guest):
        machine.see(result.chain_hash)
        machine.press("Verify")
        machine.see("verified")
    assert host.ask("[str(k) for k in (lobby.seat.key, lobby.result.key)]") == [identity, str(result.key)]
    sticks = host.ask("lobby.seat.record.inputs['stick_x'].T.tolist()")
    assert 80 in sticks[1] and 80 not in sticks[0], "what the guest pressed reached the host's chain"
    assert host.ask("lobby.result.winner.name") == "PLAYER_0"
    assert street.ledger.account(Pubkey.from_string(identity)) is None

    guest.press("Rematch")
    host.press("Rematch")
    for machine in (guest, host):
        machine.press("Ready")
    for machine in (guest, host):
        machine.see("fps")
    for machine in (host, guest):
        assert [error for error in machine.notebook.errors if "awm" in error.lower()] == []
        machine.notebook.shutdown()
