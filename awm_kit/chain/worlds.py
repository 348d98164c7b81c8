"""Worlds on a ledger: list them, read one back, and be sure that its bytes are the committed ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from solders.pubkey import Pubkey

from awm_kit.chain.accounts import (
    CONTENT_HEADER,
    CONTENT_OFFSET,
    MANIFEST_MAGIC,
    SHARD_MAGIC,
    ContentState,
    content_keys,
    content_of,
    key_of,
    parse,
)
from awm_kit.chain.ledger import AccountInfo, Ledger, sol
from awm_kit.chain.results import count_results
from awm_kit.chain.table import Table
from awm_kit.errors import LedgerError, ModelFileError, VerificationError
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.manifest import Manifest

_LINK_OFFSET = 80


@dataclass(frozen=True)
class WorldInfo:
    """What a world's manifest account says.

    Attributes
    ----------
    key : Pubkey
        The manifest account: the world's address.
    world_hash : str
        SHA-256 of the manifest's content, hex; it covers the shards.
    authority : Pubkey
        Who deployed it and may retire it.
    parent : Pubkey or None
        Manifest account of the world that this one was forked from.
    game : str
        Name of its schema.
    params, layers, d_model : int
    transactions_per_frame : int
    size, rent : int
        Bytes of all its accounts and the lamports that they hold.
    notes : dict
        What it was trained on, and how.
    plays : int
        Recorded results of matches in it; counted by `list_worlds` only.
    """

    key: Pubkey
    name: str
    world_hash: str
    authority: Pubkey
    parent: Pubkey | None
    game: str
    params: int
    layers: int
    d_model: int
    transactions_per_frame: int
    size: int
    rent: int
    notes: dict[str, Any]
    plays: int = 0

    @property
    def trained_on(self) -> str:
        """What the world learned from, in a line; empty if its maker did not say."""
        return str(self.notes.get("trained_on", ""))


class WorldList(Table[WorldInfo]):
    """Worlds, shown as a table."""

    columns = (
        "name",
        "parameters",
        "layers",
        "d_model",
        "bytes",
        "rent",
        "tx/frame",
        "parent",
        "plays",
        "key",
    )
    nothing = "no worlds"

    def rows(self) -> list[tuple[str, ...]]:
        """The table's cells, in the order of its columns."""
        names = {world.key: world.name for world in self}
        return [
            (
                w.name,
                f"{w.params:,}",
                str(w.layers),
                str(w.d_model),
                f"{w.size:,}",
                sol(w.rent),
                str(w.transactions_per_frame),
                names.get(w.parent, str(w.parent)) if w.parent else "",
                str(w.plays),
                str(w.key),
            )
            for w in self
        ]


@dataclass(frozen=True)
class World:
    """A deployed world.

    Parameters
    ----------
    key : Pubkey
        Its manifest account.
    cartridge : Cartridge
        Its bytes.
    shards : tuple of Pubkey
        Its weight shards' accounts, in order.
    """

    key: Pubkey
    cartridge: Cartridge
    shards: tuple[Pubkey, ...]

    def __repr__(self) -> str:
        return f"<World {self.cartridge.manifest.name!r} {self.cartridge.world_hash[:16]}>"


def list_worlds(ledger: Ledger) -> WorldList:
    """All finalised worlds on a ledger, by name.

    A manifest that this version cannot read is left out: anybody may deploy anything.
    """
    frozen = MANIFEST_MAGIC + bytes([1, ContentState.FROZEN])
    plays, worlds = count_results(ledger), WorldList()
    for account in ledger.program_accounts([(0, frozen)]):
        try:
            worlds.append(replace(_describe(ledger, account), plays=plays[account.key]))
        except ModelFileError:
            continue
    worlds.sort(key=lambda world: (world.name, str(world.key)))
    return worlds


def world_info(ledger: Ledger, key: Pubkey) -> WorldInfo:
    """What the manifest account at ``key`` says.

    Raises
    ------
    LedgerError
        There is no finalised world at ``key``.
    ModelFileError
        This version cannot read its manifest.
    """
    return _describe(ledger, _manifest_account(ledger, key))


def fetch_world(ledger: Ledger, key: Pubkey) -> Cartridge:
    """Read a world back from its accounts, checking every byte against the hashes in them.

    Raises
    ------
    LedgerError
        There is no finalised world at ``key``.
    VerificationError
        A shard is missing, or bytes differ from what was committed.
    ModelFileError
        This version cannot read its manifest.
    """
    return open_world(ledger, key).cartridge


def open_world(ledger: Ledger, key: Pubkey) -> World:
    """A deployed world with its accounts' keys; reads and checks as `fetch_world` does."""
    account = _manifest_account(ledger, key)
    header = parse(account.data, CONTENT_HEADER)
    content = content_of(account.data)
    digest = hashlib.sha256(content).digest()
    if digest != header["sha256"].tobytes():
        raise VerificationError(
            f"manifest {key}: expected SHA-256 {header['sha256'].tobytes().hex()} (got {digest.hex()})"
        )
    manifest = Manifest.parse(content)
    _, keys = content_keys(key_of(header, "authority"), digest.hex(), manifest.n_shards, ledger.program_id)
    shards = [_shard_content(ledger, key, i, a) for i, a in enumerate(ledger.accounts(keys))]
    cartridge = Cartridge(content, shards)
    try:
        cartridge.verify()
    except ModelFileError as error:
        raise VerificationError(f"world {key}: {error}") from error
    return World(key, cartridge, tuple(keys))


def shard_accounts(ledger: Ledger, manifest: Pubkey) -> list[AccountInfo]:
    """Headers of all shard accounts that name ``manifest`` as theirs, finished or not."""
    return ledger.program_accounts(
        [(0, SHARD_MAGIC), (_LINK_OFFSET, bytes(manifest))], data_slice=(0, CONTENT_OFFSET)
    )


def _manifest_account(ledger: Ledger, key: Pubkey) -> AccountInfo:
    account = ledger.account(key)
    if account is None or account.owner != ledger.program_id:
        raise LedgerError(
            f"there is no world at {key} on {ledger.name}: `awm worlds` (list_worlds) shows those that are"
        )
    if not account.data.startswith(MANIFEST_MAGIC):
        raise LedgerError(f"{key} is a weight shard or a match's account; a world's key is its manifest's")
    if parse(account.data, CONTENT_HEADER)["state"] != ContentState.FROZEN:
        raise LedgerError(f"the world at {key} is not fully uploaded; deploy it again to resume")
    return account


def _shard_content(ledger: Ledger, manifest: Pubkey, index: int, account: AccountInfo | None) -> bytes:
    if account is None or account.owner != ledger.program_id:
        raise VerificationError(f"world {manifest}: shard {index} is missing; it was retired")
    header = parse(account.data, CONTENT_HEADER)
    if key_of(header, "link") != manifest or header["index"] != index:
        raise VerificationError(
            f"world {manifest}: expected its shard {index} "
            f"(got shard {header['index']} of {key_of(header, 'link')})"
        )
    return content_of(account.data)


def _describe(ledger: Ledger, account: AccountInfo) -> WorldInfo:
    header = parse(account.data, CONTENT_HEADER)
    manifest = Manifest.parse(content_of(account.data))
    sizes = [int(n) + CONTENT_OFFSET for n in manifest.shard_table["length"]]
    parent = key_of(header, "link")
    return WorldInfo(
        key=account.key,
        name=manifest.name,
        world_hash=header["sha256"].tobytes().hex(),
        authority=key_of(header, "authority"),
        parent=None if parent == Pubkey.default() else parent,
        game=manifest.schema.name,
        params=manifest.n_params,
        layers=manifest.n_layers,
        d_model=manifest.d_model,
        transactions_per_frame=len(manifest.segments),
        size=len(account.data) + sum(sizes),
        rent=account.lamports + sum(map(ledger.rent_exempt, sizes)),
        notes=manifest.notes,
    )
