"""Matches by dice: everybody tries everything, and a model of ten lines a rule says what must succeed."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from onchain import Chain, Match, Refused, World, controllers, keypair, tiny_cartridge
from solders.instruction import Instruction
from solders.keypair import Keypair
from stages import pad

from awm_kit.chain import accounts as A
from awm_kit.chain import instructions as I
from awm_kit.chain.match_record import read_inputs
from awm_kit.chain.resimulation import Resimulation
from awm_kit.schema import FRAME

STRANGER = keypair("a stranger")


@dataclass
class Rules:
    """What ACCOUNTS.md says of one match, in Python."""

    phase: int = 0  # 0: there is no such match
    recorded: bool = False
    ready: set[int] = field(default_factory=set)
    wallets: list[Keypair | None] = field(default_factory=lambda: [None, None])
    keys: list[Keypair | None] = field(default_factory=lambda: [None, None])
    sequences: list[int] = field(default_factory=lambda: [0, 0])
    heard: list[int] = field(default_factory=lambda: [0, 0])
    silent: list[int] = field(default_factory=lambda: [0, 0])
    frame: int = 0
    cursor: int = 0
    over: bool = False
    licence: int = 0
    last_slot: int = 0
    last_time: int = 0

    def running(self) -> bool:
        return self.phase == A.Phase.ACTIVE and not self.over

    def begin_frame(self, slot: int, now: int) -> None:
        self.last_slot, self.last_time = slot, now
        for p in range(2):
            self.silent[p] = 0 if self.heard[p] != self.sequences[p] else min(self.silent[p] + 1, 600)
            self.heard[p] = self.sequences[p]

    def advance(self, end: int, n_ops: int, limit: int) -> None:
        self.cursor = end % n_ops
        self.frame += end == n_ops
        self.over = bool(limit) and self.frame >= limit


class Table:
    """One match on a ledger, and the rules beside it."""

    def __init__(self, world: World, number: int, dice: random.Random) -> None:
        self.chain, self.world, self.dice = world.chain, world, dice
        self.match = Match(world, session_id=number)
        self.match.first_frame["time_limit"] = self.limit = dice.choice((0, 0, 3))
        self.rules = Rules()
        self.n_ops = len(world.cartridge.manifest.ops)
        self.ends = [piece.end for piece in self.match.segments]
        self.tried: Counter[str] = Counter()

    @property
    def now(self) -> int:
        return int(self.chain.svm.get_clock().unix_timestamp)

    def somebody(self, *likely: Keypair | None) -> Keypair:
        match, rules = self.match, self.rules
        everybody = [match.host, match.guest, match.crank, STRANGER, *rules.keys]
        known = [k for k in (likely if self.dice.random() < 0.8 else everybody) if k]
        return self.dice.choice(known or [STRANGER])

    def attempt(self, name: str, order: Instruction, signer: Keypair | None, allowed: bool) -> bool:
        """Send it; whether it succeeded must be what the rules say."""
        try:
            self.chain.send(order, signers=[signer] if signer else [])
            done, why = True, ""
        except Refused as refusal:
            done, why = False, refusal.name
        assert done == allowed, (name, why, self.rules)
        assert done or why in A.ERROR_NAMES.values(), (name, why)
        self.tried[name if done else f"not {name}"] += 1
        return done

    # Each makes one attempt and, if it succeeded, does the same to the rules.

    def create(self) -> None:
        rules, match = self.rules, self.match
        allowed = rules.phase == 0 and not rules.recorded
        if self.attempt("create", match.create_instruction(), match.host, allowed):
            self.rules = Rules(phase=A.Phase.CREATED)
            self.rules.wallets[0], self.rules.keys[0] = match.host, match.players[0]
            match.grow()

    def join(self) -> None:
        rules, who, key = self.rules, self.somebody(self.match.guest), self.match.players[1]
        order = I.join(self.match.keys, who.pubkey(), key.pubkey())
        if self.attempt("join", order, who, rules.phase == A.Phase.CREATED):
            rules.phase, rules.wallets[1], rules.keys[1] = A.Phase.JOINED, who, key

    def ready(self) -> None:
        rules, p = self.rules, self.dice.randrange(2)
        who = self.somebody(rules.keys[p])
        order = I.ready(self.match.keys, who.pubkey(), p, self.world.manifest)
        allowed = who == rules.keys[p] and rules.phase == A.Phase.JOINED and p not in rules.ready
        if self.attempt("ready", order, who, allowed):
            rules.ready.add(p)
            if len(rules.ready) == 2:
                rules.phase, rules.last_time = A.Phase.ACTIVE, self.now

    def pick(self) -> None:
        rules, p = self.rules, self.dice.randrange(2)
        who = self.somebody(rules.keys[p])
        order = I.pick_character(self.match.keys, who.pubkey(), p, self.dice.randrange(256))
        self.attempt("pick", order, who, who == rules.keys[p] and 0 < rules.phase < A.Phase.ACTIVE)

    def submit(self) -> None:
        rules, p = self.rules, self.dice.randrange(2)
        who, sequence = (
            self.somebody(rules.keys[p]),
            rules.sequences[p] + self.dice.choice((-1, 0, 1, 1, 1, 5)),
        )
        controller = controllers(1, self.dice.randrange(50))[0, p] if self.dice.random() < 0.7 else pad(0)
        controller["sequence"] = max(sequence, 0)
        order = I.submit_input(self.match.keys, who.pubkey(), p, controller)
        allowed = who == rules.keys[p] and rules.phase == A.Phase.ACTIVE and sequence > rules.sequences[p]
        if self.attempt("input", order, who, allowed):
            rules.sequences[p] = sequence

    def run(self) -> None:
        rules, dice = self.rules, self.dice
        who, begin = (
            self.somebody(self.match.crank),
            rules.cursor if dice.random() < 0.9 else dice.randrange(9),
        )
        end = dice.choice([end for end in self.ends if end > begin] or [begin])
        frame = rules.frame if dice.random() < 0.95 else dice.randrange(5)
        order = I.run_inference(
            self.match.keys, who.pubkey(), self.world.manifest, self.shards(begin, end), frame, begin, end
        )
        in_order = frame == rules.frame and begin == rules.cursor and begin < end
        in_time = begin > 0 or self.chain.slot > rules.last_slot
        if self.attempt(
            "run", order, who, who == self.match.crank and rules.running() and in_order and in_time
        ):
            if begin == 0:
                rules.begin_frame(self.chain.slot, self.now)
            rules.advance(end, self.n_ops, self.limit)

    def shards(self, begin: int, end: int) -> list[I.Pubkey]:
        return [self.world.shards[i] for i in A.shards_of_ops(self.world.cartridge.manifest, begin, end)]

    def run_next(self) -> None:
        rules, match = self.rules, self.match
        order = I.run_next(match.keys, match.crank.pubkey(), self.world.manifest, self.world.shards)
        waits = 0 < rules.phase < A.Phase.ACTIVE
        allowed = waits or (rules.running() and rules.frame < rules.licence)
        if self.attempt("run next", order, None, allowed) and not waits:
            if rules.cursor == 0 and self.chain.slot <= rules.last_slot:
                return
            if rules.cursor == 0:
                rules.begin_frame(self.chain.slot, self.now)
            end = next(e for e in self.world.cartridge.manifest.segments.tolist() if e > rules.cursor)
            rules.advance(end, self.n_ops, self.limit)

    def license(self) -> None:
        rules, who, upto = self.rules, self.somebody(self.match.crank), self.dice.randrange(6)
        order = I.license_frames(self.match.keys, who.pubkey(), upto)
        allowed = who == self.match.crank and 0 < rules.phase < A.Phase.ENDED
        if self.attempt("license", order, who, allowed):
            rules.licence = upto

    def renew(self) -> None:
        rules, p = self.rules, self.dice.randrange(2)
        who, key = self.somebody(rules.wallets[p]), Keypair()
        order = I.renew_key(self.match.keys, who.pubkey(), p, key.pubkey())
        if self.attempt("renew", order, who, rules.phase > 0 and who == rules.wallets[p]):
            rules.keys[p] = key

    def end(self) -> None:
        rules, who = self.rules, self.somebody(self.match.crank, *self.rules.keys)
        allowed = rules.phase == A.Phase.ACTIVE and who in (self.match.crank, *rules.keys)
        if self.attempt("end", I.end_session(self.match.keys, who.pubkey()), who, allowed):
            self.ended()

    def forfeit(self) -> None:
        rules, absent = self.rules, self.dice.randrange(2)
        there = rules.keys[1 - absent], rules.wallets[1 - absent]
        who = self.somebody(*there, self.match.crank)
        as_crank = who == self.match.crank and rules.silent[1 - absent] < 600
        allowed = rules.running() and rules.silent[absent] >= 600 and (who in there or as_crank)
        order = I.claim_forfeit(self.match.keys, who.pubkey(), absent)
        if self.attempt("forfeit", order, who, allowed):
            self.ended()

    def abandon(self) -> None:
        rules = self.rules
        who = self.somebody(*rules.keys, *rules.wallets)
        late = self.now >= rules.last_time + A.ABANDON_SECONDS
        allowed = rules.running() and late and who in (*rules.keys, *rules.wallets)
        if self.attempt("abandon", I.claim_abandoned(self.match.keys, who.pubkey()), who, allowed):
            self.ended()

    def record(self) -> None:
        rules, payer = self.rules, self.chain.payer.pubkey()
        order = I.record_result(self.match.keys, payer, self.world.manifest)
        if self.attempt("record", order, None, rules.phase == A.Phase.ENDED and not rules.recorded):
            rules.recorded = True

    def close(self) -> None:
        rules, who = self.rules, self.somebody(self.match.host)
        over = rules.phase in (A.Phase.CREATED, A.Phase.JOINED) or (
            rules.phase == A.Phase.ENDED and rules.recorded
        )
        order = I.close_session(self.match.keys, who.pubkey())
        if self.attempt("close", order, who, who == self.match.host and over):
            self.rules = Rules(recorded=rules.recorded)

    def wait(self) -> None:
        for _ in range(self.dice.choice((1, 1, 1, A.ABANDON_SECONDS))):
            self.chain.next_slot()

    def leave(self) -> None:
        """Time passes in which somebody sends nothing; frames without end would take too long to run."""
        rules, p = self.rules, self.dice.randrange(2)
        if rules.phase == A.Phase.ACTIVE:
            rules.silent[p] = 600
            data = bytearray(self.chain.data(self.match.keys.hidden))
            np.frombuffer(data, A.HIDDEN_HEADER, 1)["silent"][0] = rules.silent
            self.chain.put(self.match.keys.hidden, bytes(data))

    def ended(self) -> None:
        """The accounts agree with the rules, and the log, played again natively, with the accounts."""
        self.rules.phase = A.Phase.ENDED
        session, hidden, log = (
            self.chain.data(k) for k in (self.match.keys.session, self.match.keys.hidden, self.match.keys.log)
        )
        state, memory = A.parse(session, A.SESSION_STATE), A.parse(hidden, A.HIDDEN_HEADER)
        assert state["phase"] == A.Phase.ENDED and state["winner"] != A.Winner.NONE_YET
        assert hashlib.sha256(A.replay_of(log)).digest() == memory["log_hash"].tobytes()
        last, ended_with = A.frame_of(session), memory["state_hash"].tobytes().hex()
        assert (int(last["frame"]), int(memory["next_op"])) == (self.rules.frame, self.rules.cursor)
        inputs, unfinished = read_inputs(A.entries_of(log), self.rules.frame, ended_with)
        assert len(unfinished) == (self.rules.cursor > 0)
        start = np.frombuffer(A.parse(log, A.LOG_HEADER)["start"].tobytes(), FRAME).reshape(())
        again = Resimulation(self.world.cartridge, start if self.rules.frame else last)
        for pads in inputs:
            again.step(pads)
        assert again.chain == state["chain"].tobytes()
        assert again.frame.tobytes() == last.tobytes()
        assert unfinished.size or again.state_hash() == ended_with

    def actions(self) -> list[Callable[[], None]]:
        before = [self.create, self.join, self.ready, self.ready, self.pick]
        played = [self.submit] * 6 + [self.run] * 12 + [self.run_next] * 4 + [self.license, self.wait] * 3
        after = [self.renew, self.leave, self.end, self.forfeit, self.abandon, self.record, self.close]
        likely = {0: before, A.Phase.CREATED: before, A.Phase.JOINED: before}.get(self.rules.phase, played)
        likely = after if self.rules.phase == A.Phase.ENDED else likely
        return likely if self.dice.random() < 0.85 else before + played + after


@pytest.mark.parametrize(
    ("matches", "seed"), [pytest.param(12, 1), pytest.param(200, 2, marks=pytest.mark.slow)]
)
def test_whatever_everybody_tries_the_rules_hold(matches: int, seed: int) -> None:
    chain, dice = Chain(), random.Random(seed)
    chain.next_slot()
    world = World(chain, tiny_cartridge()).upload().finalise()
    chain.svm.airdrop(STRANGER.pubkey(), 10**12)
    chain.svm.airdrop(keypair("guest").pubkey(), 10**12)
    tried: Counter[str] = Counter()
    for number in range(matches):
        table = Table(world, number, dice)
        for _ in range(150):
            dice.choice(table.actions())()
        tried += table.tried
    wanted = "create join ready pick input run license renew end record close".split()
    assert [name for name in wanted if not (tried[name] and tried[f"not {name}"])] == [], tried
    assert tried["run next"] and tried["not forfeit"] and tried["not abandon"], tried
