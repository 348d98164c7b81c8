"""Verbs about recorded matches: leaderboard, history, publish."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from awm_kit.cli.app import Json, Progress, app, note, show
from awm_kit.cli.ledger import (
    Commitment,
    Embedded,
    Priority,
    ProgramId,
    Url,
    Wallet,
    Yes,
    find_key,
    opened,
    parse_key,
)

if TYPE_CHECKING:
    from awm_kit.chain.results import MatchResult


@app.command()
def leaderboard(
    world: Annotated[str, typer.Argument(help="A deployed world: its key, hash or name.")],
    url: Url = None,
    embedded: Embedded = None,
    program_id: ProgramId = None,
    as_json: Json = False,
) -> None:
    """Say who plays best in a world, by the ledger's results."""
    from awm_kit.chain.leaderboard import leaderboard as standings

    with opened(url, embedded, program_id) as access:
        found = standings(access.ledger, find_key(access.ledger, world))
    show([{**vars(s), "wallet": str(s.wallet), "played": s.played} for s in found], found, as_json)


@app.command()
def history(
    of: Annotated[
        str | None, typer.Argument(help="A wallet's key, or a world's key, hash or name [default: all].")
    ] = None,
    url: Url = None,
    embedded: Embedded = None,
    program_id: ProgramId = None,
    as_json: Json = False,
) -> None:
    """List recorded matches of a wallet or world, newest first."""
    from awm_kit.chain.leaderboard import history as matches

    with opened(url, embedded, program_id) as access:
        found = matches(access.ledger, find_key(access.ledger, of) if of else None)
    show(list(map(_result_json, found)), found, as_json)


@app.command()
def publish(
    record: Annotated[Path, typer.Argument(help="A saved match (.awmatch) that was played on the ledger.")],
    match: Annotated[
        str | None, typer.Option("--match", help="Its key or its result's [default: as the file says].")
    ] = None,
    url: Url = None,
    embedded: Embedded = None,
    program_id: ProgramId = None,
    keypair: Wallet = None,
    priority_fee: Priority = "0",
    commitment: Commitment = "confirmed",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost.")] = False,
    yes: Yes = False,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Put a recorded match's inputs on the ledger.

    There everybody can verify it. Run it again to go on with an interrupted upload.
    """
    from awm_kit.chain.ledger import sol
    from awm_kit.chain.match_record import MatchRecord
    from awm_kit.chain.replays import plan_replay, publish_replay

    kept = MatchRecord.load(record)
    name = match or kept.meta.get("session")
    if not name:
        raise ValueError(f"{record} does not say which match of the ledger it is: name it with --match")
    key = parse_key(str(name))
    with opened(url, embedded, program_id, keypair, priority_fee, commitment) as access:
        wallet = access.wallet()
        plan = plan_replay(access.ledger, kept, key, wallet)
        facts = {
            "match": str(key),
            "replay": str(plan.world),
            "transactions": plan.transactions,
            "rent": plan.rent,
            "fees": plan.fees,
            "total": plan.total,
        }
        if dry_run:
            show({**facts, "published": False}, plan, as_json)
            return
        note(repr(plan))
        access.confirm(f"Spend {sol(plan.total)} of {wallet.pubkey()}?", yes)
        publish_replay(access.ledger, kept, key, wallet, progress)
    show({**facts, "published": True}, f"replay of {key}: {plan.world}", as_json)


def _result_json(result: MatchResult) -> dict[str, Any]:
    return {
        "result": str(result.key),
        "world": str(result.world),
        "wallets": list(map(str, result.wallets)),
        "winner": result.winner.name.lower(),
        "reason": result.reason.name.lower(),
        "frames": result.frames,
        "stocks": result.stocks,
        "percents": result.percents,
        "time": result.time,
        "chain_hash": result.chain_hash,
    }
