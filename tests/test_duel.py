"""Two processes with a wallet each play on the real rollup; the match settles on the L1 and is verified."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onchain import tiny_cartridge
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from typer.testing import CliRunner

from awm_kit.chain.accounts import EndReason
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.replays import fetch_record, plan_replay, verify_match
from awm_kit.chain.results import read_result
from awm_kit.chain.rpc import RpcLedger
from awm_kit.chain.verify import verify
from awm_kit.chain.worlds import fetch_world
from awm_kit.cli import app
from awm_kit.errors import VerificationError
from awm_kit.quant.manifest import unpack
from awm_kit.quant.pack import pack
from awm_kit.worlds import load_world
from validator import launch

pytestmark = pytest.mark.rollup
FOUR_MINUTES = 4 * 60 * 60


@dataclass
class Duel:
    """What the two processes said, and where."""

    l1: RpcLedger
    match: Pubkey
    host: dict[str, Any]
    guest: dict[str, Any]
    wallets: tuple[Pubkey, Pubkey]
    seconds: float


def awm(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "awm_kit.cli", *arguments, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wallet_file(folder: Path, name: str, l1: RpcLedger) -> tuple[Pubkey, Path]:
    wallet, path = Keypair(), folder / f"{name}.json"
    path.write_text(wallet.to_json())
    l1.airdrop(wallet.pubkey(), 100 * LAMPORTS_PER_SOL)
    return wallet.pubkey(), path


def fight(folder: Path, network: launch.Localnet, world: str, frames: int) -> Duel:
    l1, at = RpcLedger(network.l1), f"{network.l1},{network.rollup}"
    (me, mine), (you, yours) = wallet_file(folder, "host", l1), wallet_file(folder, "guest", l1)
    begun = time.monotonic()
    host = awm(
        "host", world, "--at", at, "--keypair", str(mine), "--yes",
        "--time-limit", str(frames), "--seed", "7",
    )  # fmt: skip
    said = ""
    while not (found := re.search(r"^match (\w+)$", said, re.M)):
        line = host.stderr.readline()
        assert line, f"the host opened no match:\n{said}{host.communicate()}"
        said += line
    guest = awm("join", found[1], "--at", at, "--keypair", str(yours), "--yes", "--publish", "--seed", "8")
    reports = []
    for process in (host, guest):
        out, errors = process.communicate(timeout=frames / 60 * 8 + 120)
        assert process.returncode == 0, errors
        reports.append(json.loads(out))
    seconds = time.monotonic() - begun
    return Duel(l1, Pubkey.from_string(found[1]), reports[0], reports[1], (me, you), seconds)


def check(duel: Duel, frames: int) -> None:
    """The result is on the L1, both saw the match, and its replay holds but for any flipped bit."""
    result = read_result(duel.l1, duel.match)
    assert result.wallets == duel.wallets
    assert (result.frames, result.reason) == (frames, EndReason.TIMEOUT)
    assert duel.host["frames"] == frames and duel.host["skipped"] == 0
    assert duel.guest["frames"] > 0.9 * frames
    assert duel.host["state_hash"] == duel.guest["state_hash"] == result.state_hash

    done = CliRunner().invoke(app, ["verify", str(duel.match), "--url", duel.l1.name, "--json"])
    verified = json.loads(done.stdout)
    assert done.exit_code == 0 and verified["ok"] and verified["frames"] == frames
    record = fetch_record(duel.l1, duel.match)
    cartridge = fetch_world(duel.l1, result.world)
    assert np.count_nonzero(record.inputs["stick_x"], axis=0).min() > 0, "both players acted"
    for player in range(2):
        forged = record.inputs.copy()
        forged["stick_x"][frames // 2, player] ^= 1
        lie = replace(record, inputs=forged)
        assert not verify(lie, cartridge).ok
        with pytest.raises(VerificationError):
            plan_replay(duel.l1, lie, duel.match, Keypair())
    assert verify_match(duel.l1, duel.match).ok


@pytest.fixture(scope="module")
def network(rollup_package: Any) -> Iterator[launch.Localnet]:
    with launch.running(slot_ms=100) as network:
        yield network


def test_ten_seconds(network: launch.Localnet, tmp_path: Path) -> None:
    path = tmp_path / "tiny.awm"
    tiny_cartridge().save(path)
    check(fight(tmp_path, network, str(path), 600), 600)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_four_minutes_of_the_shipped_world(network: launch.Localnet, tmp_path: Path) -> None:
    model = unpack(load_world("scuffle"))
    endless = replace(model, schema=replace(model.schema, end_field=""))  # nobody's last stock ends it
    path = pack(endless).save(tmp_path / "endless.awm")
    duel = fight(tmp_path, network, str(path), FOUR_MINUTES)
    check(duel, FOUR_MINUTES)
    begun = time.monotonic()
    assert verify_match(duel.l1, duel.match).ok
    print(f"host {duel.host}\nguest {duel.guest}\nverified in {time.monotonic() - begun:.2f} s")


def test_a_wallet_is_not_spent_unasked(network: launch.Localnet, tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    path.write_text(Keypair().to_json())
    at = f"{network.l1},{network.rollup}"
    done = CliRunner().invoke(app, ["join", str(Pubkey.new_unique()), "--at", at, "--keypair", str(path)])
    assert done.exit_code == 2 and "--yes" in done.stderr
