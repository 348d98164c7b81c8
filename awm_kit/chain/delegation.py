"""Instructions that move a match to MagicBlock's rollup and back; ``ACCOUNTS.md`` says what they check."""

from __future__ import annotations

import struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM_ID

from awm_kit.chain.accounts import PROGRAM_ID, SessionKeys, derive

DELEGATION_PROGRAM_ID = Pubkey.from_string("DELeGGvXpWV2fqJUhqcF5ZSYMS4JTLjteaAMARRSaeSh")
MAGIC_PROGRAM_ID = Pubkey.from_string("Magic11111111111111111111111111111111111111")
MAGIC_CONTEXT = Pubkey.from_string("MagicContext1111111111111111111111111111111")
#: The validator of a rollup on this machine.
LOCAL_VALIDATOR = Pubkey.from_string("mAGicPQYBMvcYveUZA5F5UNNwyHvfYh5xkLS2Fr1mev")
#: First eight bytes of the call by which the delegation program gives an account back.
UNDELEGATED = bytes([196, 28, 41, 206, 48, 37, 51, 167])
#: Set in an InputLog whose entries stayed in the rollup.
LOG_CUT = 1


def delegate(
    keys: SessionKeys,
    host: Pubkey,
    validator: Pubkey = LOCAL_VALIDATOR,
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """On the L1: hand a match to the rollup of ``validator``, before its accounts are grown."""
    accounts = [AccountMeta(host, True, True)]
    accounts += [AccountMeta(key, False, True) for key in _accounts(keys)]
    accounts += [
        AccountMeta(key, False, False) for key in (program_id, SYSTEM_PROGRAM_ID, DELEGATION_PROGRAM_ID)
    ]
    for key in _accounts(keys):
        buffer = derive(program_id, b"buffer", bytes(key))
        helpers = (buffer, *delegation_accounts(key))
        accounts += [AccountMeta(helper, False, True) for helper in helpers]
    return Instruction(program_id, b"\x1e" + bytes(validator), accounts)


def commit(
    keys: SessionKeys, signer: Pubkey, target: Pubkey | None = None, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """In the rollup: write SessionState (or ``target``: that or InputBuffer), as it is now, to the L1."""
    return _settle(31, keys, signer, target or keys.session, program_id)


def undelegate(
    keys: SessionKeys, signer: Pubkey, target: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """In the rollup: give one account of a match that does not run back to the L1; SessionState last.

    HiddenState and InputLog return as headers only.
    """
    return _settle(32, keys, signer, target, program_id)


def restore_log(
    keys: SessionKeys, wallet: Pubkey, offset: int, data: bytes, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """On the L1: write entries that the log lost when it came back; the last ones are checked with the rest.

    Parameters
    ----------
    wallet : Pubkey
        Of a player; signs.
    offset : int
        In the entries. Whatever ends at their end must come last.
    """
    accounts = [AccountMeta(wallet, True, False), AccountMeta(keys.session, False, False)]
    accounts += [AccountMeta(keys.hidden, False, False), AccountMeta(keys.log, False, True)]
    return Instruction(program_id, struct.pack("<BI", 33, offset) + data, accounts)


def delegation_accounts(key: Pubkey) -> tuple[Pubkey, Pubkey]:
    """Record and metadata that the delegation program keeps of a delegated account."""
    names = (b"delegation", b"delegation-metadata")
    record, metadata = (derive(DELEGATION_PROGRAM_ID, name, bytes(key)) for name in names)
    return record, metadata


def _accounts(keys: SessionKeys) -> tuple[Pubkey, ...]:
    return keys.session, keys.input, keys.hidden, keys.log


def _settle(tag: int, keys: SessionKeys, signer: Pubkey, target: Pubkey, program_id: Pubkey) -> Instruction:
    accounts = [AccountMeta(signer, True, True), AccountMeta(keys.session, False, False)]
    accounts += [AccountMeta(target, False, True), AccountMeta(MAGIC_CONTEXT, False, True)]
    accounts += [AccountMeta(MAGIC_PROGRAM_ID, False, False)]
    return Instruction(program_id, bytes([tag]), accounts)
