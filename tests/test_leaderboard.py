"""Standings and histories from results, as a ledger's filters find them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from solders.account import Account
from solders.pubkey import Pubkey

from awm_kit.chain.accounts import MATCH_RESULT, EndReason, Winner
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.leaderboard import history, leaderboard, rank
from awm_kit.chain.results import MatchResult, list_results

WORLDS = [Pubkey.new_unique() for _ in range(2)]
ANN, BOB, CAT = sorted((Pubkey.new_unique() for _ in range(3)), key=str)


def put(
    ledger: EmbeddedLedger, world: Pubkey, players: tuple[Pubkey, Pubkey], winner: Winner, time: int
) -> Pubkey:
    """A result as the program writes it, without the match."""
    record = np.zeros((), MATCH_RESULT)
    record["magic"], record["version"] = np.void(b"AWMR"), 1
    record["winner"], record["reason"], record["time"] = winner, EndReason.DECIDED, time
    record["world"] = np.void(bytes(world))
    record["wallets"] = [np.void(bytes(p)) for p in players]
    record["stocks"] = {Winner.PLAYER_0: (2, 0), Winner.PLAYER_1: (0, 3), Winner.DRAW: (1, 1)}[winner]
    key = Pubkey.new_unique()
    ledger._svm.set_account(key, Account(10**9, record.tobytes(), ledger.program_id))
    return key


@pytest.fixture(scope="module")
def ledger() -> EmbeddedLedger:
    ledger = EmbeddedLedger()
    put(ledger, WORLDS[0], (ANN, BOB), Winner.PLAYER_0, 100)
    put(ledger, WORLDS[0], (BOB, ANN), Winner.PLAYER_1, 200)
    put(ledger, WORLDS[0], (BOB, CAT), Winner.PLAYER_0, 300)
    put(ledger, WORLDS[0], (ANN, CAT), Winner.DRAW, 400)
    put(ledger, WORLDS[0], (CAT, CAT), Winner.PLAYER_0, 500)
    put(ledger, WORLDS[1], (CAT, ANN), Winner.PLAYER_0, 600)
    # Other accounts of the program, and things that only look like results.
    for data in (b"AWMS" + bytes(252), b"AWMR" + bytes(300), b"AWMR"):
        ledger._svm.set_account(Pubkey.new_unique(), Account(10**9, data, ledger.program_id))
    return ledger


def test_standings_of_a_world(ledger: EmbeddedLedger) -> None:
    board = leaderboard(ledger, WORLDS[0])
    rows = [(s.rank, s.wallet, s.won, s.drawn, s.lost, s.stocks, s.last_time) for s in board]
    assert rows == [
        (1, ANN, 2, 1, 0, 5, 400),
        (2, BOB, 1, 0, 2, -3, 300),
        (3, CAT, 0, 1, 1, -2, 400),
    ]
    assert [s.played for s in board] == [3, 3, 2]
    assert leaderboard(ledger, WORLDS[1])[0].wallet == CAT
    assert repr(leaderboard(ledger, Pubkey.new_unique())) == "no matches"
    text, page = repr(board), board._repr_html_()
    assert text.splitlines()[0].split()[:3] == ["rank", "wallet", "played"]
    assert str(ANN) in text and f"<td>{ANN}</td>" in page and "+5" in text


def test_history_of_a_wallet_and_of_a_world(ledger: EmbeddedLedger) -> None:
    assert [r.time for r in history(ledger, CAT)] == [600, 500, 400, 300]
    assert [r.time for r in history(ledger, BOB)] == [300, 200, 100]
    assert [r.time for r in history(ledger, WORLDS[1])] == [600]
    assert [r.time for r in history(ledger)] == [600, 500, 400, 300, 200, 100]
    assert "1970-01-01 00:10" in repr(history(ledger, WORLDS[1]))
    assert [r.time for r in list_results(ledger, WORLDS[0], ANN)] == [100, 200, 400]


def test_equal_records_share_a_rank(ledger: EmbeddedLedger) -> None:
    one: MatchResult = list_results(ledger, WORLDS[1])[0]
    draw = replace(one, winner=Winner.DRAW, stocks=(1, 1))
    board = rank([draw, replace(draw, wallets=(BOB, BOB))])
    assert [(s.rank, s.wallet) for s in board] == [(1, ANN), (1, CAT)]
