"""One builder per instruction of the world program; ``ACCOUNTS.md`` says what each does and checks."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM_ID
from solders.system_program import CreateAccountWithSeedParams, create_account_with_seed

from awm_kit.chain.accounts import CONTENT_OFFSET, IDL, SessionKeys
from awm_kit.chain.accounts import ERROR_NAMES as ERROR_NAMES
from awm_kit.chain.accounts import PROGRAM_ID as PROGRAM_ID
from awm_kit.data.replay import without_padding
from awm_kit.schema import CONTROLLER, FRAME

#: Keep the character that the session's first frame names (`join`).
KEEP_CHARACTER = 255

_SPECS: dict[str, Any] = {spec["name"]: spec for spec in IDL["instructions"]}
_SCALARS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q"}


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
    return _order("init_manifest", program_id, [manifest, authority], content_len, parent or Pubkey.default())


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
    return _order("init_shard", program_id, [shard, manifest, authority], content_len, index)


def write(
    target: Pubkey, authority: Pubkey, offset: int, data: bytes, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Write ``data`` at ``offset`` of the content of a manifest, shard or replay."""
    return _order("write", program_id, [target, authority], offset, data)


def finalise_shard(
    shard: Pubkey, manifest: Pubkey, authority: Pubkey, sha256: bytes, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Freeze a shard whose content has this digest."""
    return _order("finalise_shard", program_id, [shard, manifest, authority], _digest(sha256))


def finalise_manifest(
    manifest: Pubkey,
    authority: Pubkey,
    shards: Sequence[Pubkey],
    sha256: bytes,
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Freeze a world: its manifest has this digest and lists exactly these shards."""
    return _order("finalise_manifest", program_id, [manifest, authority], _digest(sha256), rest=shards)


def retire(
    target: Pubkey, authority: Pubkey, recipient: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Empty a manifest, shard or replay and send its lamports to ``recipient``."""
    return _order("retire", program_id, [target, authority, recipient])


def init_replay(
    replay: Pubkey, result: Pubkey, authority: Pubkey, content_len: int, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Take a new account for the replay of the match with this result."""
    return _order("init_replay", program_id, [replay, result, authority], content_len)


def finalise_replay(
    replay: Pubkey, result: Pubkey, authority: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Freeze a replay whose content has the hash that the result names."""
    return _order("finalise_replay", program_id, [replay, result, authority])


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
    record = without_padding(np.asarray(frame, FRAME))
    settings = [int(frame[name]) for name in ("seed", "time_limit", "stage")]
    accounts = [host, keys.session, keys.input, keys.hidden, keys.log, keys.result]
    accounts += [manifest, SYSTEM_PROGRAM_ID]
    return _order(
        "create_session", program_id, accounts, session_id, *settings, log_kib, authority, session_key, record
    )


def grow(
    keys: SessionKeys, payer: Pubkey, target: Pubkey, manifest: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Grow ``keys.hidden`` or ``keys.log`` by up to 10,240 bytes; ``payer`` adds the rent."""
    return _order("grow", program_id, [payer, keys.session, target, manifest, SYSTEM_PROGRAM_ID])


def join(
    keys: SessionKeys,
    wallet: Pubkey,
    session_key: Pubkey,
    character: int = KEEP_CHARACTER,
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Become player 1, whose inputs ``session_key`` signs."""
    return _order("join", program_id, [wallet, keys.session, keys.hidden], session_key, character)


def ready(
    keys: SessionKeys, session_key: Pubkey, player: int, manifest: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Say that a player is ready; the match begins when both are."""
    return _order("ready", program_id, [session_key, keys.session, keys.hidden, manifest], player)


def submit_input(
    keys: SessionKeys,
    session_key: Pubkey,
    player: int,
    controller: np.ndarray,
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Set a player's controller (a CONTROLLER scalar) until the next one; its sequence must rise."""
    return _order(
        "submit_input",
        program_id,
        [session_key, keys.session, keys.input],
        player,
        np.asarray(controller, CONTROLLER),
    )


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
    # Only the first piece reads the controllers and writes the log; others need not have them copied.
    controls, log = (keys.session, keys.session) if begin else (keys.input, keys.log)
    accounts = [authority, keys.session, controls, keys.hidden, log, manifest]
    return _order("run_inference", program_id, accounts, frame, begin, end, rest=shards)


def pick_character(
    keys: SessionKeys, session_key: Pubkey, player: int, character: int, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Change a player's character before the match begins."""
    return _order("pick_character", program_id, [session_key, keys.session], player, character)


def end_session(keys: SessionKeys, signer: Pubkey, *, program_id: Pubkey = PROGRAM_ID) -> Instruction:
    """End the match; a player's session key forfeits unless the match is decided."""
    return _order("end_session", program_id, [signer, keys.session, keys.hidden, keys.log])


def record_result(
    keys: SessionKeys, payer: Pubkey, manifest: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Write an ended match's result to its permanent account; anybody may pay for it."""
    accounts = [payer, keys.result, keys.session, keys.hidden, keys.log, manifest, SYSTEM_PROGRAM_ID]
    return _order("record_result", program_id, accounts)


def close_session(keys: SessionKeys, host: Pubkey, *, program_id: Pubkey = PROGRAM_ID) -> Instruction:
    """Close a recorded match, or one that never began; the rent goes back to the host."""
    accounts = [host, keys.session, keys.input, keys.hidden, keys.log, keys.result]
    return _order("close_session", program_id, accounts)


def claim_forfeit(
    keys: SessionKeys, signer: Pubkey, absent: int, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """End the match against player ``absent``, silent for 600 frames; by the other player or the crank."""
    return _order("claim_forfeit", program_id, [signer, keys.session, keys.hidden, keys.log], absent)


def claim_abandoned(keys: SessionKeys, signer: Pubkey, *, program_id: Pubkey = PROGRAM_ID) -> Instruction:
    """End, as a draw, a match whose crank has begun no frame for a minute; by either player."""
    return _order("claim_abandoned", program_id, [signer, keys.session, keys.hidden, keys.log])


def renew_key(
    keys: SessionKeys, wallet: Pubkey, player: int, session_key: Pubkey, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Put another session key in a player's place; the player's wallet signs."""
    return _order("renew_key", program_id, [wallet, keys.session, keys.hidden], player, session_key)


def license_frames(
    keys: SessionKeys, authority: Pubkey, frame: int, *, program_id: Pubkey = PROGRAM_ID
) -> Instruction:
    """Let anybody run frames up to number ``frame``; 0 takes it back."""
    return _order("license", program_id, [authority, keys.session, keys.hidden], frame)


def run_next(
    keys: SessionKeys,
    authority: Pubkey,
    manifest: Pubkey,
    shards: Sequence[Pubkey],
    *,
    program_id: Pubkey = PROGRAM_ID,
) -> Instruction:
    """Run the next segment of a licensed frame, unsigned; ``shards`` are all that any segment reads."""
    accounts = [authority, keys.session, keys.input, keys.hidden, keys.log, manifest]
    return _order("run_next", program_id, accounts, rest=shards)


def _order(
    name: str, program_id: Pubkey, accounts: Sequence[Pubkey], *values: Any, rest: Sequence[Pubkey] = ()
) -> Instruction:
    """An instruction as the IDL describes it; the accounts of ``rest`` follow, to be read only."""
    spec = _SPECS[name]
    metas = [
        AccountMeta(key, role.get("signer", False), role.get("writable", False))
        for key, role in zip(accounts, spec["accounts"], strict=True)
    ]
    metas += [AccountMeta(key, False, False) for key in rest]
    data = bytes(spec["discriminator"])
    for value, argument in zip(values, spec["args"], strict=True):
        scalar = _SCALARS.get(str(argument["type"]))
        data += struct.pack(scalar, value) if scalar else bytes(value)
    return Instruction(program_id, data, metas)


def _digest(sha256: bytes) -> bytes:
    if len(sha256) != 32:
        raise ValueError(f"expected a SHA-256 digest of 32 bytes (got {len(sha256)})")
    return sha256
