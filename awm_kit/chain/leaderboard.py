"""Who plays best in a world, and what was played: read from the permanent results on the ledger.

Nothing keeps a table: every result is an account of the world program, which computed the match itself, and
the ledger finds them by what stands at fixed offsets in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count

from solders.pubkey import Pubkey

from awm_kit.chain.accounts import Winner
from awm_kit.chain.ledger import Ledger
from awm_kit.chain.results import MatchResult, list_results
from awm_kit.chain.table import Table


@dataclass(frozen=True)
class Standing:
    """What a wallet achieved in a world.

    Attributes
    ----------
    rank : int
        From 1; equal records share one.
    stocks : int
        Left at the end of all matches, the player's less the others'.
    last_time : int
        Unix seconds of the last result.
    """

    wallet: Pubkey
    rank: int = 0
    won: int = 0
    drawn: int = 0
    lost: int = 0
    stocks: int = 0
    last_time: int = 0

    @property
    def played(self) -> int:
        """Matches that count."""
        return self.won + self.drawn + self.lost


class Leaderboard(Table[Standing]):
    """Standings, best first."""

    columns = ("rank", "wallet", "played", "won", "drawn", "lost", "stocks", "last match")
    nothing = "no matches"

    def rows(self) -> list[tuple[str, ...]]:
        """The table's cells, in the order of its columns."""
        return [
            (
                str(s.rank),
                str(s.wallet),
                str(s.played),
                str(s.won),
                str(s.drawn),
                str(s.lost),
                f"{s.stocks:+}",
                day_and_time(s.last_time),
            )
            for s in self
        ]


class History(Table[MatchResult]):
    """Results, newest first."""

    columns = ("time", "player 0", "player 1", "winner", "how", "frames", "stocks", "result")
    nothing = "no matches"

    def rows(self) -> list[tuple[str, ...]]:
        """The table's cells, in the order of its columns."""
        return [
            (
                day_and_time(r.time),
                *map(str, r.wallets),
                r.winner.name.lower().replace("_", " "),
                r.reason.name.lower().replace("_", " "),
                str(r.frames),
                "{} : {}".format(*r.stocks),
                str(r.key),
            )
            for r in self
        ]


def leaderboard(ledger: Ledger, world: Pubkey) -> Leaderboard:
    """The standings of a world (its manifest account).

    More victories come first, then fewer defeats, then more stocks left. A match of a wallet against itself
    does not count; two wallets of one person cannot be told from two persons: it is a record, no rating.
    """
    return rank(list_results(ledger, world))


def history(ledger: Ledger, of: Pubkey | None = None) -> History:
    """Recorded matches, newest first: of a world (its manifest account), of a wallet, or all."""
    if of is None:
        return History(reversed(list_results(ledger)))
    found = {
        r.key: r for results in (list_results(ledger, of), list_results(ledger, wallet=of)) for r in results
    }
    return History(sorted(found.values(), key=lambda r: (r.time, str(r.key)), reverse=True))


def rank(results: Iterable[MatchResult]) -> Leaderboard:
    """Standings from results."""
    found: dict[Pubkey, Standing] = {}
    for result in results:
        if result.wallets[0] == result.wallets[1]:
            continue
        for player, wallet in enumerate(result.wallets):
            before = found.get(wallet, Standing(wallet))
            found[wallet] = replace(
                before,
                won=before.won + (result.winner == player),
                drawn=before.drawn + (result.winner == Winner.DRAW),
                lost=before.lost + (result.winner == 1 - player),
                stocks=before.stocks + result.stocks[player] - result.stocks[1 - player],
                last_time=max(before.last_time, result.time),
            )
    ordered = sorted(found.values(), key=lambda s: (*_merit(s), str(s.wallet)))
    board = Leaderboard()
    for place, standing in zip(count(1), ordered, strict=False):
        tied = board and _merit(board[-1]) == _merit(standing)
        board.append(replace(standing, rank=board[-1].rank if tied else place))
    return board


def day_and_time(seconds: int) -> str:
    """Unix seconds as UTC to the minute, e.g. ``2026-11-23 07:00``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _merit(standing: Standing) -> tuple[int, int, int]:
    return -standing.won, standing.lost, -standing.stocks
