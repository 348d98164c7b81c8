"""What a match on MagicBlock's rollup takes, step by step: time, transactions on the L1, lamports."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
from solders.keypair import Keypair

from awm_kit.bench.rollup import network
from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import entries_of, session_keys
from awm_kit.chain.delegation import delegation_accounts
from awm_kit.chain.deploy import deploy, retire
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, MAX_COMPUTE_UNITS
from awm_kit.chain.match_record import record_from_session
from awm_kit.chain.replays import publish_replay
from awm_kit.chain.rollup import delegate_match, open_match, restore_entries, settle_match
from awm_kit.chain.rollup_session import RollupSession
from awm_kit.chain.rpc import RpcLedger
from awm_kit.data.replay import clean_frame
from awm_kit.data.scuffle import ScriptedPlayer, initial_frame
from awm_kit.machine import machine
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import CONTROLLER, N_PLAYERS, STATUS_PLAYING

_FUNDS = 1_000 * LAMPORTS_PER_SOL


def measure_lifecycle(cartridge: Cartridge, frames: int = 600, seed: int = 0) -> dict[str, Any]:
    """Deploy a world, play a match on it, settle it, take everything down, and note what each step took.

    Parameters
    ----------
    cartridge : Cartridge
    frames : int
        Of scripted play, fewer if the match is decided.
    seed : int

    Returns
    -------
    dict
        ``machine``; ``frames`` played; ``steps``, for each: ``name``, ``ms``, ``l1_transactions`` (the
        rollup's too), ``fees`` and ``deposit`` (lamports of both wallets; a negative deposit was given back).
        ``total_fees``: of the match, the world not counted.

    Raises
    ------
    ValidatorError
        The local network does not start here.
    """
    with (
        network() as local,
        closing(RpcLedger(local.l1)) as l1,
        closing(RpcLedger(local.rollup, preflight=False)) as rollup,
    ):
        meter = _Meter(l1, (Keypair(), Keypair()))
        played = _live(meter, rollup, cartridge, frames, seed)
    of_world = ("deploy", "retire")
    return {
        "machine": machine(),
        "frames": played,
        "steps": meter.steps,
        "total_fees": sum(step["fees"] for step in meter.steps if step["name"] not in of_world),
    }


class _Meter:
    """Reads clock, transactions, wallets and deposits before and after each step of a host's first match."""

    def __init__(self, l1: RpcLedger, wallets: tuple[Keypair, Keypair]) -> None:
        self.l1, self.wallets = l1, wallets
        self.keys = session_keys(wallets[0].pubkey(), 1, l1.program_id)
        self.steps: list[dict[str, Any]] = []
        for wallet in wallets:
            l1.airdrop(wallet.pubkey(), _FUNDS)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a block."""
        held, spent, count = self._deposit(), self._balance(), self._count()
        begun = time.perf_counter()
        yield
        ms = (time.perf_counter() - begun) * 1e3
        deposited = self._deposit() - held
        fees = spent - self._balance() - deposited
        taken = {"ms": round(ms, 1), "l1_transactions": self._count() - count}
        self.steps.append({"name": name, **taken, "fees": fees, "deposit": deposited})

    def _balance(self) -> int:
        return sum(self.l1.balance(wallet.pubkey()) for wallet in self.wallets)

    def _deposit(self) -> int:
        """Lamports in all accounts of the program, and in those of the match that are lent."""
        keys = self.keys
        match = [keys.session, keys.input, keys.hidden, keys.log]
        helpers = [helper for key in match for helper in delegation_accounts(key)]
        lent = [a for a in self.l1.accounts([*match, *helpers]) if a and a.owner != self.l1.program_id]
        return sum(a.lamports for a in [*self.l1.program_accounts(data_slice=(0, 0)), *lent])

    def _count(self) -> int:
        body = {"jsonrpc": "2.0", "id": 1, "method": "getTransactionCount"}
        request = urllib.request.Request(
            self.l1.name, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(json.loads(answer.read())["result"])


def _live(meter: _Meter, rollup: RpcLedger, cartridge: Cartridge, frames: int, seed: int) -> int:
    """The whole life; returns the frames that were played."""
    (host, guest), l1, keys = meter.wallets, meter.l1, meter.keys
    crank, players, program = Keypair(), (Keypair(), Keypair()), l1.program_id
    with meter.step("deploy"):
        world = deploy(l1, cartridge, host, progress=False)
    create = ix.create_session(
        keys, host.pubkey(), world.key, crank.pubkey(), players[0].pubkey(), 1,
        clean_frame(initial_frame(seed)), program_id=program,
    )  # fmt: skip
    with meter.step("create"):
        l1.send([create], host, compute_units=MAX_COMPUTE_UNITS)
    with meter.step("delegate"):
        delegate_match(l1, keys, host)
    with meter.step("open in the rollup"):
        open_match(rollup, keys, crank, world.key)
    with meter.step("join"):
        join = ix.join(keys, guest.pubkey(), players[1].pubkey(), program_id=program)
        rollup.send([join], crank, [guest])
    with RollupSession(rollup, keys, crank, dict(enumerate(players)), crank) as session:
        with meter.step("ready"):
            session.ready()
        with meter.step(f"{frames} frames"):
            _play(session, frames, seed)
        with meter.step("end"):
            session.end()
        record = record_from_session(rollup, session)
    log = rollup.account(keys.log)
    entries = entries_of(log.data) if log else b""
    with meter.step("commit and undelegate"):
        settle_match(rollup, l1, keys, crank)
    with meter.step("restore the inputs"):
        restore_entries(l1, keys, host, world.key, entries)
    with meter.step("record the result"):
        l1.send([ix.record_result(keys, host.pubkey(), world.key, program_id=program)], host)
    with meter.step("close"):
        l1.send([ix.close_session(keys, host.pubkey(), program_id=program)], host)
    with meter.step("publish the replay"):
        publish_replay(l1, record, keys.session, guest, progress=False)
    with meter.step("retire"):
        retire(l1, world, host)
    return session.frames


def _play(session: RollupSession, frames: int, seed: int) -> None:
    scripts = [ScriptedPlayer("balanced", i, seed) for i in range(N_PLAYERS)]
    while session.frames < frames and session.frame["status"] == STATUS_PLAYING:
        inputs = np.zeros(N_PLAYERS, CONTROLLER)
        for i, script in enumerate(scripts):
            inputs[i] = script.controller(session.frame)
        session.step(inputs)
