"""What deploying a world takes: accounts, transactions and their price, given what is on the ledger already.

A world's account keys follow from authority and content (`accounts.content_keys`), so an interrupted upload
finds what it left, and only the bytes that differ are planned again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import (
    CONTENT_HEADER,
    CONTENT_OFFSET,
    ContentState,
    content_keys,
    content_of,
    key_of,
    manifest_seed,
    parse,
    shard_seed,
)
from awm_kit.chain.ledger import (
    MAX_COMPUTE_UNITS,
    MAX_TRANSACTION_BYTES,
    AccountInfo,
    Ledger,
    compose,
    sol,
)
from awm_kit.chain.worlds import world_info
from awm_kit.errors import LedgerError
from awm_kit.quant.cartridge import Cartridge

#: A write copies a kilobyte; asking for few compute units keeps a priority fee small.
WRITE_UNITS = 20_000


@dataclass(frozen=True)
class PlannedAccount:
    """One account of a world: ``missing`` bytes of ``size`` are yet to be written."""

    label: str
    key: Pubkey
    size: int
    rent: int
    exists: bool
    missing: int


@dataclass(frozen=True)
class Stage:
    """Transactions that may land in any order, all after those of the stage before."""

    label: str
    compute_units: int
    batches: list[list[Instruction]]


@dataclass(frozen=True)
class DeployPlan:
    """Everything that `deploy` would do, with its price.

    Attributes
    ----------
    world : Pubkey
        The manifest account that the world will have.
    accounts : list of PlannedAccount
    stages : list of Stage
        The transactions, ready to be signed.
    rent : int
        Lamports still to be deposited; `retire` returns them.
    fees : int
        Lamports spent on fees.
    """

    name: str
    ledger: str
    world: Pubkey
    accounts: list[PlannedAccount]
    stages: list[Stage] = field(repr=False)
    rent: int
    fees: int

    @property
    def transactions(self) -> int:
        """Number of transactions."""
        return sum(len(stage.batches) for stage in self.stages)

    @property
    def total(self) -> int:
        """Lamports that the payer needs: rent and fees."""
        return self.rent + self.fees

    def rows(self) -> list[tuple[str, str]]:
        """What the plan comes to, as label and value."""
        accounts = [
            (a.label, f"{a.size:,} bytes, rent {sol(a.rent)}, {self._state(a)}") for a in self.accounts
        ]
        return [
            *accounts,
            ("transactions", f"{self.transactions:,}"),
            ("rent to deposit", f"{sol(self.rent)} (retire returns it)"),
            ("fees", sol(self.fees)),
            ("total", sol(self.total)),
        ]

    def __repr__(self) -> str:
        rows = self.rows()
        width = max(len(label) for label, _ in rows)
        lines = [f"  {label.ljust(width)}  {value}" for label, value in rows]
        return "\n".join([f"deploy {self.name!r} to {self.ledger}", *lines])

    def _repr_html_(self) -> str:
        cells = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in self.rows())
        return f"<table><caption>deploy {escape(self.name)} to {escape(self.ledger)}</caption>{cells}</table>"

    @staticmethod
    def _state(account: PlannedAccount) -> str:
        if not account.exists:
            return "new"
        return f"{account.missing:,} bytes left to write" if account.missing else "uploaded"


def plan_deploy(
    ledger: Ledger, cartridge: Cartridge, payer: Keypair, parent: Pubkey | None = None
) -> DeployPlan:
    """Work out what deploying takes, given what is on the ledger already; sends nothing.

    Parameters
    ----------
    ledger : Ledger
    cartridge : Cartridge
    payer : Keypair
        Pays, and becomes the world's authority.
    parent : Pubkey, optional
        Manifest account of the world that this one was forked from.

    Raises
    ------
    ModelFileError
        The cartridge is not sound.
    ValueError
        The cartridge was not made from ``parent``.
    LedgerError
        There is no world at ``parent``, or other accounts are in the way.
    """
    cartridge.verify()
    _check_parent(ledger, cartridge, parent)
    return _Planner(ledger, cartridge, payer, parent).plan()


def chunk_size(ledger: Ledger, payer: Keypair) -> int:
    """Bytes of content that one write transaction can carry."""
    sample = ix.write(Pubkey.default(), payer.pubkey(), 0, bytes(512), program_id=ledger.program_id)
    packet = compose([sample], payer, (), Hash.default(), compute_units=WRITE_UNITS, unit_price=1)
    return 512 + MAX_TRANSACTION_BYTES - len(bytes(packet))


def differing(there: bytes, wanted: bytes, step: int) -> Iterator[tuple[int, bytes]]:
    """Offsets and contents of the chunks of ``step`` bytes in which ``wanted`` is not ``there`` yet."""
    for start in range(0, len(wanted), step):
        chunk = wanted[start : start + step]
        if there[start : start + step] != chunk:
            yield start, chunk


class _Planner:
    """Compares a cartridge with what is on the ledger and collects the missing transactions."""

    def __init__(self, ledger: Ledger, cartridge: Cartridge, payer: Keypair, parent: Pubkey | None) -> None:
        self.ledger, self.cartridge, self.parent = ledger, cartridge, parent
        self.payer = payer
        self.me = payer.pubkey()
        self.program = ledger.program_id
        shards = cartridge.shards
        self.world, self.shard_keys = content_keys(self.me, cartridge.world_hash, len(shards), self.program)
        self.keys = [self.world, *self.shard_keys]
        self.parts = [cartridge.manifest_bytes, *shards]
        self.found = ledger.accounts(self.keys)
        self.step = chunk_size(ledger, payer)

    def plan(self) -> DeployPlan:
        """The plan."""
        if self._frozen(0) and not all(self._frozen(i) for i in range(len(self.keys))):
            raise LedgerError(
                f"world {self.world} is frozen but a shard was retired: retire it, then deploy again"
            )
        for account in self.found:
            if account:
                self._check(account)
        planned = [self._account(i) for i in range(len(self.keys))]
        stages = [stage for stage in self._stages() if stage.batches]
        fees = sum(len(s.batches) * self.ledger.fee(1, s.compute_units) for s in stages)
        rent = sum(a.rent for a in planned if not a.exists)
        name = self.cartridge.manifest.name
        return DeployPlan(name, self.ledger.name, self.world, planned, stages, rent, fees)

    def _stages(self) -> Iterator[Stage]:
        count = range(len(self.keys))
        created = [self._create(i) for i in count if not self.found[i]]
        first = 1 if not self.found[0] else 0  # shards can only join a manifest that exists
        yield Stage("create", 2 * WRITE_UNITS, created[:first])
        yield Stage("create", 2 * WRITE_UNITS, created[first:])
        writes = [[order] for i in count if not self._frozen(i) for order in self._writes(i)]
        yield Stage("write", WRITE_UNITS, writes)
        freezes = [[self._freeze_shard(i)] for i in count if i > 0 and not self._frozen(i)]
        yield Stage("finalise shard", MAX_COMPUTE_UNITS, freezes)
        digest = hashlib.sha256(self.parts[0]).digest()
        last = ix.finalise_manifest(self.world, self.me, self.shard_keys, digest, program_id=self.program)
        yield Stage("finalise manifest", MAX_COMPUTE_UNITS, [] if self._frozen(0) else [[last]])

    def _create(self, i: int) -> list[Instruction]:
        size, world_hash = len(self.parts[i]), self.cartridge.world_hash
        seed = shard_seed(world_hash, i - 1) if i else manifest_seed(world_hash)
        rent = self.ledger.rent_exempt(CONTENT_OFFSET + size)
        make = ix.create_content(self.me, self.keys[i], seed, size, rent, program_id=self.program)
        if i == 0:
            take = ix.init_manifest(self.world, self.me, size, self.parent, program_id=self.program)
        else:
            take = ix.init_shard(self.keys[i], self.world, self.me, size, i - 1, program_id=self.program)
        return [make, take]

    def _writes(self, i: int) -> Iterator[Instruction]:
        account = self.found[i]
        there = content_of(account.data) if account else bytes(len(self.parts[i]))
        for start, chunk in differing(there, self.parts[i], self.step):
            yield ix.write(self.keys[i], self.me, start, chunk, program_id=self.program)

    def _freeze_shard(self, i: int) -> Instruction:
        digest = hashlib.sha256(self.parts[i]).digest()
        return ix.finalise_shard(self.keys[i], self.world, self.me, digest, program_id=self.program)

    def _frozen(self, i: int) -> bool:
        account = self.found[i]
        return account is not None and parse(account.data, CONTENT_HEADER)["state"] == ContentState.FROZEN

    def _account(self, i: int) -> PlannedAccount:
        account, size = self.found[i], len(self.parts[i])
        there = content_of(account.data) if account else bytes(size)
        missing = sum(len(chunk) for _, chunk in differing(there, self.parts[i], self.step))
        label = f"shard {i - 1}" if i else "manifest"
        rent = self.ledger.rent_exempt(CONTENT_OFFSET + size)
        return PlannedAccount(label, self.keys[i], CONTENT_OFFSET + size, rent, account is not None, missing)

    def _check(self, account: AccountInfo) -> None:
        """Refuse what an upload with this key and content cannot have left."""
        i = self.keys.index(account.key)
        if account.owner != self.program:
            raise LedgerError(f"account {account.key} belongs to {account.owner}, not to the world program")
        header, content = parse(account.data, CONTENT_HEADER), content_of(account.data)
        link = (self.parent or Pubkey.default()) if i == 0 else self.world
        if len(content) != len(self.parts[i]) or key_of(header, "link") != link:
            raise LedgerError(
                f"account {account.key} was begun with another size or parent: retire {self.world} first"
            )
        if self._frozen(i) and content != self.parts[i]:
            raise LedgerError(f"account {account.key} is frozen with other bytes: retire {self.world} first")


def _check_parent(ledger: Ledger, cartridge: Cartridge, parent: Pubkey | None) -> None:
    if parent is None:
        return
    expected, named = world_info(ledger, parent).world_hash, cartridge.manifest.parent.hex()
    if named != expected:
        raise ValueError(
            f"expected a cartridge whose parent is {expected}, the world at {parent} (got {named})"
        )
