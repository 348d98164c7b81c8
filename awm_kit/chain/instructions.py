"""One builder per instruction of the world program; ``ACCOUNTS.md`` says what each does and checks."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM_ID
from solders.system_program import CreateAccountWithSeedParams, create_account_with_seed

from awm_kit.chain.accounts import CONTENT_OFFSET, SessionKeys
from awm_kit.chain.accounts import ERROR_NAMES as ERROR_NAMES
from awm_kit.chain.accounts import PROGRAM_ID as PROGRAM_ID
from awm_kit.data.replay import without_padding
from awm_kit.schema import CONTROLLER, FRAME

#: Keep the character that the session's first frame names (`join`).
KEEP_CHARACTER = 255


def _reads(key: Pubkey, *, signer: bool = False) -> AccountMeta:
    return AccountMeta(key, signer, False)


def _writes(key: Pubkey, *, signer: bool = False) -> AccountMeta:
    return AccountMeta(key, signer, True)


def create_content(
    authority: Pubkey,
    key: Pubkey,
    seed: str,
    content_len: int,
    lamports: int,
    *,
    payer: Pubkey | None = None,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """The system program's instruction that makes an empty account for a manifest, shard or replay.

    Put `init_manifest`, `init_shard` or `init_replay` into the same transaction.

    Parameters
    ----------
    authority : Pubkey
        Base of the seeded address; signs.
    key : Pubkey
        ``Pubkey.create_with_seed(authority, seed, program_id)``.
    content_len : int
        Bytes of content; the account gets a header more.
    lamports : int
        Rent-exempt minimum for ``content_len + CONTENT_OFFSET`` bytes.
    payer : Pubkey, optional
        Pays the rent and signs; by default the authority.
    """
    params = CreateAccountWithSeedParams(
        from_pubkey=payer or authority,
        to_pubkey=key,
        base=authority,
        seed=seed,
        lamports=lamports,
        space=CONTENT_OFFSET + content_len,
        owner=program_id,
    )
    return create_account_with_seed(params)


def init_manifest(
    manifest: Pubkey,
    authority: Pubkey,
    content_len: int,
    parent: Pubkey | None = None,
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Take a new account as a manifest; ``parent`` is the manifest account of a fork's origin."""
    data = struct.pack("<BQ", 0, content_len) + (bytes(parent) if parent else bytes(32))
    return Instruction(program_id, data, [_writes(manifest), _reads(authority, signer=True)])


def init_shard(
    shard: Pubkey,
    manifest: Pubkey,
    authority: Pubkey,
    content_len: int,
    index: int,
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Take a new account as shard ``index`` of a manifest that is still being written."""
    accounts = [_writes(shard), _reads(manifest), _reads(authority, signer=True)]
    return Instruction(program_id, struct.pack("<BQH", 1, content_len, index), accounts)


def write(
    target: Pubkey, authority: Pubkey, offset: int, data: bytes, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Write ``data`` at ``offset`` of the content of a manifest, shard or replay."""
    accounts = [_writes(target), _reads(authority, signer=True)]
    return Instruction(program_id, struct.pack("<BI", 2, offset) + data, accounts)


def finalise_shard(
    shard: Pubkey, manifest: Pubkey, authority: Pubkey, sha256: bytes, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Freeze a shard whose content has this digest."""
    accounts = [_writes(shard), _reads(manifest), _reads(authority, signer=True)]
    return Instruction(program_id, b"\x03" + _digest(sha256), accounts)


def finalise_manifest(
    manifest: Pubkey,
    authority: Pubkey,
    shards: Sequence[Pubkey],
    sha256: bytes,
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Freeze a world: its manifest has this digest and lists exactly these shards."""
    accounts = [_writes(manifest), _reads(authority, signer=True), *map(_reads, shards)]
    return Instruction(program_id, b"\x04" + _digest(sha256), accounts)


def retire(
    target: Pubkey, authority: Pubkey, recipient: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Empty a manifest, shard or replay and send its lamports to ``recipient``."""
    accounts = [_writes(target), _reads(authority, signer=True), _writes(recipient)]
    return Instruction(program_id, b"\x05", accounts)


def init_replay(
    replay: Pubkey, result: Pubkey, authority: Pubkey, content_len: int, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Take a new account for the replay of the match with this result."""
    accounts = [_writes(replay), _reads(result), _reads(authority, signer=True)]
    return Instruction(program_id, struct.pack("<BQ", 6, content_len), accounts)


def finalise_replay(
    replay: Pubkey, result: Pubkey, authority: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Freeze a replay whose content has the hash that the result names."""
    accounts = [_writes(replay), _reads(result), _reads(authority, signer=True)]
    return Instruction(program_id, b"\x07", accounts)


def create_session(
    keys: SessionKeys,
    host: Pubkey,
    manifest: Pubkey,
    authority: Pubkey,
    session_key: Pubkey,
    session_id: int,
    frame: np.ndarray,
    *,
    log_kib: int = 64,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Create a match.

    Parameters
    ----------
    keys : SessionKeys
        ``session_keys(host, session_id, program_id)``.
    host : Pubkey
        Wallet of player 0; pays.
    authority : Pubkey
        The crank: who may run frames.
    session_key : Pubkey
        Signs player 0's inputs.
    frame : ndarray of FRAME, shape ()
        Frame 0; its stage, seed and time limit are the session's.
    log_kib : int
        Size of the input log account, 1..64.
    """
    settings = struct.pack(
        "<BQIIBB",
        10,
        session_id,
        int(frame["seed"]),
        int(frame["time_limit"]),
        int(frame["stage"]),
        log_kib,
    )
    record = without_padding(np.asarray(frame, FRAME)).tobytes()
    data = settings + bytes(authority) + bytes(session_key) + record
    accounts = [
        _writes(host, signer=True),
        _writes(keys.session),
        _writes(keys.input),
        _writes(keys.hidden),
        _writes(keys.log),
        _reads(manifest),
        _reads(SYSTEM_PROGRAM_ID),
    ]
    return Instruction(program_id, data, accounts)


def grow(
    keys: SessionKeys, payer: Pubkey, target: Pubkey, manifest: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Grow ``keys.hidden`` or ``keys.log`` by up to 10,240 bytes; ``payer`` adds the rent."""
    accounts = [
        _writes(payer, signer=True),
        _reads(keys.session),
        _writes(target),
        _reads(manifest),
        _reads(SYSTEM_PROGRAM_ID),
    ]
    return Instruction(program_id, b"\x0b", accounts)


def join(
    keys: SessionKeys,
    wallet: Pubkey,
    session_key: Pubkey,
    character: int = KEEP_CHARACTER,
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Become player 1, whose inputs ``session_key`` signs."""
    accounts = [_reads(wallet, signer=True), _writes(keys.session), _writes(keys.hidden)]
    return Instruction(program_id, b"\x0c" + bytes(session_key) + bytes([character]), accounts)


def ready(
    keys: SessionKeys, session_key: Pubkey, player: int, manifest: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Say that a player is ready; the match begins when both are."""
    accounts = [
        _reads(session_key, signer=True),
        _writes(keys.session),
        _writes(keys.hidden),
        _reads(manifest),
    ]
    return Instruction(program_id, bytes([13, player]), accounts)


def submit_input(
    keys: SessionKeys,
    session_key: Pubkey,
    player: int,
    controller: np.ndarray,
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Set a player's controller (a CONTROLLER scalar) until the next one; its sequence must rise."""
    accounts = [_reads(session_key, signer=True), _reads(keys.session), _writes(keys.input)]
    data = bytes([14, player]) + np.asarray(controller, CONTROLLER).tobytes()
    return Instruction(program_id, data, accounts)


def run_inference(
    keys: SessionKeys,
    authority: Pubkey,
    manifest: Pubkey,
    shards: Sequence[Pubkey],
    frame: int,
    begin: int,
    end: int,
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Run ops ``[begin, end)`` of the frame after ``frame``; `frame_plan.frame_plan` says how to cut.

    Parameters
    ----------
    shards : sequence of Pubkey
        Those that the ops read, in ascending order.
    frame : int
        The session's present frame number.
    """
    accounts = [_reads(authority, signer=True), *_frame_accounts(keys, manifest, shards)]
    return Instruction(program_id, struct.pack("<BIHH", 15, frame, begin, end), accounts)


def pick_character(
    keys: SessionKeys, session_key: Pubkey, player: int, character: int, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Change a player's character before the match begins."""
    accounts = [_reads(session_key, signer=True), _writes(keys.session)]
    return Instruction(program_id, bytes([16, player, character]), accounts)


def end_session(keys: SessionKeys, signer: Pubkey, *, program_id: Pubkey = PROGRAM_ID) -> Instruction:
    """End the match; a player's session key forfeits unless the match is decided."""
    return Instruction(program_id, b"\x11", _ending(keys, signer))


def record_result(
    keys: SessionKeys, payer: Pubkey, manifest: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Write an ended match's result to its permanent account; anybody may pay for it."""
    accounts = [
        _writes(payer, signer=True),
        _writes(keys.result),
        _reads(keys.session),
        _reads(keys.hidden),
        _reads(keys.log),
        _reads(manifest),
        _reads(SYSTEM_PROGRAM_ID),
    ]
    return Instruction(program_id, b"\x12", accounts)


def close_session(keys: SessionKeys, host: Pubkey, *, program_id: Pubkey = PROGRAM_ID) -> Instruction:
    """Close a recorded match, or one that never began; the rent goes back to the host."""
    accounts = [
        _writes(host, signer=True),
        _writes(keys.session),
        _writes(keys.input),
        _writes(keys.hidden),
        _writes(keys.log),
        _reads(keys.result),
    ]
    return Instruction(program_id, b"\x13", accounts)


def claim_forfeit(
    keys: SessionKeys, signer: Pubkey, absent: int, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """End the match against player ``absent``, silent for 600 frames; by the other player or the crank."""
    return Instruction(program_id, bytes([20, absent]), _ending(keys, signer))


def claim_abandoned(keys: SessionKeys, signer: Pubkey, *, program_id: Pubkey = PROGRAM_ID) -> Instruction:
    """End, as a draw, a match whose crank has begun no frame for a minute; by either player."""
    return Instruction(program_id, b"\x15", _ending(keys, signer))


def renew_key(
    keys: SessionKeys, wallet: Pubkey, player: int, session_key: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Put another session key in a player's place; the player's wallet signs."""
    accounts = [_reads(wallet, signer=True), _writes(keys.session), _reads(keys.hidden)]
    return Instruction(program_id, bytes([22, player]) + bytes(session_key), accounts)


def license_frames(
    keys: SessionKeys, authority: Pubkey, frame: int, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Let anybody run frames up to number ``frame``; 0 takes it back."""
    accounts = [_reads(authority, signer=True), _reads(keys.session), _writes(keys.hidden)]
    return Instruction(program_id, struct.pack("<BI", 23, frame), accounts)


def run_next(
    keys: SessionKeys,
    authority: Pubkey,
    manifest: Pubkey,
    shards: Sequence[Pubkey],
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Run the next segment of a licensed frame, unsigned; ``shards`` are all that any segment reads."""
    accounts = [_reads(authority), *_frame_accounts(keys, manifest, shards)]
    return Instruction(program_id, b"\x18", accounts)


def _frame_accounts(keys: SessionKeys, manifest: Pubkey, shards: Sequence[Pubkey]) -> list[AccountMeta]:
    return [
        _writes(keys.session),
        _reads(keys.input),
        _writes(keys.hidden),
        _writes(keys.log),
        _reads(manifest),
        *map(_reads, shards),
    ]


def _ending(keys: SessionKeys, signer: Pubkey) -> list[AccountMeta]:
    return [_reads(signer, signer=True), _writes(keys.session), _writes(keys.hidden), _reads(keys.log)]


def _digest(sha256: bytes) -> bytes:
    if len(sha256) != 32:
        raise ValueError(f"expected a SHA-256 digest of 32 bytes (got {len(sha256)})")
    return sha256
