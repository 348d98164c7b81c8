"""How a match ended, as a card: who won, with what, and the hashes by which anybody can check it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import quote

import numpy as np

from awm_kit.chain.accounts import EndReason, Winner
from awm_kit.chain.match_record import NO_HASH
from awm_kit.chain.resimulation import leading
from awm_kit.chain.results import MatchResult
from awm_kit.play.cards import code, face, facts
from awm_kit.play.loop import FPS
from awm_kit.play.palette import heat
from awm_kit.play.portraits import portrait
from awm_kit.schema import FIGHTER, STATUS_DECIDED

#: What the person at the page is called.
YOU = "YOU"
_REASONS = {
    EndReason.DECIDED: "the last stock is gone",
    EndReason.TIMEOUT: "time is up",
    EndReason.PLAYER_0_QUIT: "{0} left",
    EndReason.PLAYER_1_QUIT: "{1} left",
    EndReason.LOG_FULL: "the input log is full",
    EndReason.STOPPED: "the match was stopped",
    EndReason.PLAYER_0_VANISHED: "{0} vanished",
    EndReason.PLAYER_1_VANISHED: "{1} vanished",
    EndReason.ABANDONED: "nobody ran its frames any more",
}


def result_html(
    result: MatchResult,
    names: Sequence[str] = ("P1", "P2"),
    ledger: str = "",
    verdict: str = "",
    game: str = FIGHTER.name,
) -> str:
    """A recorded result as a card.

    Parameters
    ----------
    result : MatchResult
    names : sequence of str
        What the players are called.
    ledger : str
        URL of the ledger that keeps it, for a link to it.
    verdict : str
        What re-simulating the match gave.
    game : str
        Name of the world's schema.
    """
    rows = [
        *_ending(result.frames, result.reason, names),
        ("chain hash", result.chain_hash),
        (
            "state hash",
            "none: it ended within a frame" if result.state_hash == NO_HASH else result.state_hash,
        ),
        ("inputs", f"{result.log_bytes:,} bytes, SHA-256 {result.log_hash}"),
        ("recorded as", str(result.key)),
    ]
    head = _head(result.winner, names)
    table = _score(game, result.characters, names, result.stocks, result.percents, result.winner)
    return (
        f"<div class='awm-facts'>{head}{table}{facts(rows)}{_links(result, ledger)}{_verdict(verdict)}</div>"
    )


def frame_html(
    frame: np.ndarray, names: Sequence[str], state_hash: str, verdict: str = "", game: str = FIGHTER.name
) -> str:
    """The end of a match that no ledger keeps, as a card.

    Parameters
    ----------
    frame : ndarray of FRAME, shape ()
        The last one.
    names : sequence of str
    state_hash : str
        After it.
    verdict : str
        What re-simulating the match gave.
    game : str
        Name of the world's schema.
    """
    reason = EndReason.DECIDED if frame["status"] == STATUS_DECIDED else EndReason.TIMEOUT
    percent, players = FIGHTER.player("percent"), frame["players"]
    score = _score(
        game,
        players["character"].tolist(),
        names,
        [int(player["stocks"]) for player in players],
        [float(percent.to_real(player["percent"])) for player in players],
        leading(frame),
    )
    rows = [*_ending(int(frame["frame"]), reason, names), ("state hash", state_hash)]
    return (
        f"<div class='awm-facts'>{_head(leading(frame), names)}{score}{facts(rows)}{_verdict(verdict)}</div>"
    )


def _head(winner: Winner, names: Sequence[str]) -> str:
    text = "A draw"
    if winner in (Winner.PLAYER_0, Winner.PLAYER_1):
        text = "You win" if names[winner] == YOU else f"{names[winner]} wins"
    return f"<p class='awm-big'>{html.escape(text)}</p>"


def _ending(frames: int, reason: EndReason, names: Sequence[str]) -> list[tuple[str, str]]:
    seconds, why = frames / FPS, _REASONS[reason].format(*names)
    return [
        ("ended because", why),
        ("played", f"{frames:,} frames, {seconds // 60:.0f}:{seconds % 60:04.1f}"),
    ]


def _score(
    game: str,
    characters: Sequence[int],
    names: Sequence[str],
    stocks: Sequence[int],
    percents: Sequence[float],
    winner: Winner,
) -> str:
    """A panel for each player; the loser's is pale."""
    panels = []
    for player, (name, stock, percent) in enumerate(zip(names, stocks, percents, strict=True)):
        hot = f"style='color:#{bytes(heat(percent)).hex()}'"
        body = (
            f"<b>{html.escape(name)}</b><span class='awm-damage' {hot}>{percent:.1f} %</span>"
            f"<div class='awm-lives' title='stocks'>{'●' * stock or '–'}</div>"
        )
        lost = winner in (Winner.PLAYER_0, Winner.PLAYER_1) and winner != player
        panels.append(face(portrait(game, characters[player], player), player, body, lost))
    return f"<div class='awm-faces'>{''.join(panels)}</div>"


def _links(result: MatchResult, ledger: str) -> str:
    if not ledger.startswith("http"):
        return ""
    address = (
        f"https://explorer.solana.com/address/{result.key}?cluster=custom&customUrl={quote(ledger, safe='')}"
    )
    link = f"<a href='{html.escape(address)}' target='_blank' rel='noreferrer'>the account in an explorer</a>"
    return f"{link} · {code(f'awm verify {result.key} --url {ledger}')}"


def _verdict(text: str) -> str:
    return f"<b>{html.escape(text)}</b>" if text else ""
