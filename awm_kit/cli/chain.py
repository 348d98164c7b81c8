"""Verbs about worlds on a ledger: deploy, worlds, fork, verify, retire."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from awm_kit.cli.app import Json, Progress, app, note, show, to_fill, to_name
from awm_kit.cli.games import parse_seeds
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
)
from awm_kit.files import check_folder

if TYPE_CHECKING:
    from awm_kit.chain.deploy import DeployPlan
    from awm_kit.chain.verify import VerifyReport
    from awm_kit.chain.worlds import WorldInfo


@app.command()
def deploy(
    world: Annotated[str, typer.Argument(help="Cartridge, or the name of a shipped world.")],
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
    """Put a world on a ledger: the cost first, then the upload.

    Run it again to go on with an interrupted upload.
    """
    from awm_kit.chain.deploy import deploy as upload
    from awm_kit.chain.deploy import plan_deploy
    from awm_kit.chain.ledger import sol
    from awm_kit.worlds import load_world

    cartridge = load_world(world)
    with opened(url, embedded, program_id, keypair, priority_fee, commitment) as access:
        wallet = access.wallet()
        plan = plan_deploy(access.ledger, cartridge, wallet)
        if dry_run:
            show(_plan_json(plan, deployed=False), plan, as_json)
            return
        note(repr(plan))
        access.confirm(f"Spend {sol(plan.total)} of {wallet.pubkey()}?", yes)
        deployed = upload(access.ledger, cartridge, wallet, progress=progress)
        text = f"{plan.name}: {deployed.key}, read back and equal to the cartridge"
        show(_plan_json(plan, deployed=True), text, as_json)


@app.command()
def worlds(
    url: Url = None,
    embedded: Embedded = None,
    program_id: ProgramId = None,
    as_json: Json = False,
) -> None:
    """List the worlds on a ledger."""
    from awm_kit.chain.worlds import list_worlds

    with opened(url, embedded, program_id) as access:
        found = list_worlds(access.ledger)
    show([_world_json(world) for world in found], found, as_json)


@app.command()
def fork(
    world: Annotated[str, typer.Argument(help="A deployed world: its key, hash or name.")],
    name: Annotated[str, typer.Option("--name", callback=to_name, help="Name of the child.")],
    recipe: Annotated[str | None, typer.Option("--recipe", help="Data and training of the child.")] = None,
    gravity: Annotated[float | None, typer.Option("--gravity", help="Gravity, as a factor.")] = None,
    physics: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Other physics; may be repeated.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Training steps.")] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="A:B", help="Teacher matches to learn.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", callback=to_fill, help="Folder of the run [default: runs/NAME].")
    ] = None,
    url: Url = None,
    embedded: Embedded = None,
    program_id: ProgramId = None,
    keypair: Wallet = None,
    priority_fee: Priority = "0",
    commitment: Commitment = "confirmed",
    yes: Yes = False,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Train a deployed world on under other rules.

    Reads it back from the ledger and deploys the child there.
    """
    from dataclasses import replace

    from awm_kit.chain.deploy import plan_deploy
    from awm_kit.chain.fork import deploy_fork
    from awm_kit.chain.ledger import sol
    from awm_kit.chain.worlds import open_world
    from awm_kit.model.recipe_file import load_recipe
    from awm_kit.quant.fork import SEEDS, physics_recipe
    from awm_kit.quant.fork import fork as train_on

    changes = _physics(gravity, physics or [])
    if recipe and (changes or seeds):
        raise ValueError("expected either --recipe, or --gravity, --set and --seeds")
    with opened(url, embedded, program_id, keypair, priority_fee, commitment) as access:
        parent = open_world(access.ledger, find_key(access.ledger, world))
    if recipe:
        plan = replace(load_recipe(recipe), name=name)
    else:
        chosen = parse_seeds(seeds) if seeds else range(*SEEDS)
        plan = physics_recipe(parent.cartridge, name, changes, (chosen.start, chosen.stop))
    if steps:
        plan = replace(plan, train=replace(plan.train, steps=steps))
    folder = out or Path("runs") / name
    check_folder(folder)
    child = train_on(parent.cartridge, plan, folder, progress)
    # Training takes minutes, in which other processes may use the ledger.
    with opened(url, embedded, program_id, keypair, priority_fee, commitment) as access:
        wallet = access.wallet()
        cost = plan_deploy(access.ledger, child, wallet, parent.key)
        note(repr(cost))
        access.confirm(f"Spend {sol(cost.total)} of {wallet.pubkey()}?", yes)
        deployed = deploy_fork(access.ledger, parent, child, wallet, progress)
    result = {
        **_plan_json(cost, deployed=True),
        "cartridge": str(folder / f"{name}.awm"),
        "parent": str(parent.key),
        "parent_hash": parent.cartridge.world_hash,
    }
    show(result, f"{name}: {deployed.key}, child of {parent.cartridge.manifest.name} ({parent.key})", as_json)


@app.command()
def verify(
    target: Annotated[
        str, typer.Argument(help="A saved match (.awmatch), or on the ledger a match or a world.")
    ],
    world: Annotated[
        str | None, typer.Option("--world", help="Cartridge or shipped world to compare or play it with.")
    ] = None,
    url: Url = None,
    embedded: Embedded = None,
    program_id: ProgramId = None,
    as_json: Json = False,
) -> None:
    """Check a deployed world, or a match by playing it again.

    A world byte for byte, a match by the hash of every frame.
    """
    if Path(target).is_file() or Path(target).suffix == ".awmatch":
        _verify_file(Path(target), world, as_json)
        return
    from awm_kit.chain.replays import verify_match
    from awm_kit.chain.results import find_result
    from awm_kit.chain.worlds import open_world
    from awm_kit.errors import LedgerError, VerificationError
    from awm_kit.worlds import load_world

    against = load_world(world) if world else None
    with opened(url, embedded, program_id) as access:
        key = find_key(access.ledger, target)
        if played := find_result(access.ledger, key):
            report = verify_match(access.ledger, key, against)
            _show_report(report, as_json, {"match": str(key), "world": str(played.world)})
            return
        if access.ledger.account(key) is None:
            raise LedgerError(
                f"there is neither a world nor a match at {key} on {access.ledger.name}: "
                "`awm worlds` and `awm history` list what is"
            )
        deployed = open_world(access.ledger, key)
    cartridge = deployed.cartridge
    if against is not None and cartridge != against:
        raise VerificationError(
            f"{deployed.key} holds world {cartridge.world_hash}, not {against.world_hash}"
        )
    result = {
        "ok": True,
        "kind": "world",
        "world": str(deployed.key),
        "name": cartridge.manifest.name,
        "world_hash": cartridge.world_hash,
        "bytes": cartridge.nbytes,
        "compared_with": world,
    }
    equal = f", equal to {world}" if world else ""
    show(
        result,
        f"{cartridge.manifest.name} {deployed.key}: {cartridge.nbytes:,} bytes verified{equal}",
        as_json,
    )


@app.command()
def retire(
    world: Annotated[str, typer.Argument(help="A deployed world: its key, hash or name.")],
    url: Url = None,
    embedded: Embedded = None,
    program_id: ProgramId = None,
    keypair: Wallet = None,
    priority_fee: Priority = "0",
    commitment: Commitment = "confirmed",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take a world down and get its deposit back.

    It goes to the wallet that deployed the world.
    """
    from awm_kit.chain.deploy import retire as take_down
    from awm_kit.chain.ledger import sol

    with opened(url, embedded, program_id, keypair, priority_fee, commitment) as access:
        wallet, key = access.wallet(), find_key(access.ledger, world)
        access.confirm(f"Retire {key} for good?", yes)
        returned = take_down(access.ledger, key, wallet)
    result = {"world": str(key), "lamports_returned": returned}
    show(result, f"retired {key}; {sol(returned)} went back to {wallet.pubkey()}", as_json)


def _verify_file(path: Path, world: str | None, as_json: bool) -> None:
    from awm_kit.chain.match_record import MatchRecord
    from awm_kit.chain.verify import verify as resimulate
    from awm_kit.worlds import load_world, shipped

    record = MatchRecord.load(path)
    if world is None:
        names = [name for name in shipped() if load_world(name).world_hash == record.world_hash]
        if not names:
            raise ValueError(f"this match was played in world {record.world_hash}: name it with --world")
        world = names[0]
    _show_report(resimulate(record, load_world(world)), as_json, {"world_hash": record.world_hash})


def _show_report(report: VerifyReport, as_json: bool, facts: dict[str, Any]) -> None:
    result = {
        "ok": report.ok,
        "kind": "match",
        **facts,
        "frames": report.frames,
        "winner": report.winner.name.lower(),
        "chain_hash": report.chain_hash,
        "state_hash": report.state_hash,
        "problems": list(report.problems),
        "first_bad_frame": report.first_bad_frame,
    }
    show(result, report, as_json)
    if not report.ok:
        raise typer.Exit(1)


def _physics(gravity: float | None, assignments: list[str]) -> dict[str, Any]:
    from awm_kit.data.scuffle import Params

    changes: dict[str, Any] = {} if gravity is None else {"gravity_scale": gravity}
    for text in assignments:
        key, _, value = text.partition("=")
        try:
            changes[key] = int(value) if value.lstrip("-").isdecimal() else float(value)
        except ValueError:
            raise ValueError(f"expected --set KEY=VALUE with a number (got {text!r})") from None
    Params.of(changes)
    return changes


def _plan_json(plan: DeployPlan, deployed: bool) -> dict[str, Any]:
    return {
        "world": str(plan.world),
        "name": plan.name,
        "ledger": plan.ledger,
        "deployed": deployed,
        "accounts": [
            {"label": a.label, "key": str(a.key), "bytes": a.size, "rent": a.rent} for a in plan.accounts
        ],
        "transactions": plan.transactions,
        "rent": plan.rent,
        "fees": plan.fees,
        "total": plan.total,
    }


def _world_json(world: WorldInfo) -> dict[str, Any]:
    return {
        "key": str(world.key),
        "name": world.name,
        "world_hash": world.world_hash,
        "authority": str(world.authority),
        "parent": str(world.parent) if world.parent else None,
        "params": world.params,
        "layers": world.layers,
        "trained_on": world.trained_on,
        "plays": world.plays,
        "bytes": world.size,
        "rent": world.rent,
        "tx_per_frame": world.transactions_per_frame,
    }
