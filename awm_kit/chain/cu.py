"""What a world costs to run: compute units and transactions a frame, measured in the Solana VM.

The same match is played twice: as the manifest cuts a frame into transactions, and with every op of the tape
in a transaction of its own. The difference is what a transaction costs; the rest belongs to the ops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from solders.instruction import Instruction
from solders.keypair import Keypair

from awm_kit.chain.deploy import deploy
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, Receipt, Terms
from awm_kit.chain.session_entry import local_match
from awm_kit.data.scuffle import ScriptedPlayer, initial_frame
from awm_kit.model.rounding import MATRICES
from awm_kit.quant import layout as L
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.costs import FAST_COLS
from awm_kit.quant.manifest import Manifest, unpack
from awm_kit.quant.n4_convert import to_four_bits
from awm_kit.quant.pack import pack
from awm_kit.schema import CONTROLLER, N_PLAYERS, STATUS_PLAYING

_FUNDS = 10_000 * LAMPORTS_PER_SOL


def measure_cu(cartridge: Cartridge, frames: int = 30, seed: int = 0) -> dict[str, Any]:
    """Play scripted frames on an embedded ledger and count.

    Parameters
    ----------
    cartridge : Cartridge
    frames : int
        Frames to play, fewer if the match is decided before.
    seed : int
        Of the match.

    Returns
    -------
    dict
        ``frames`` played; ``cu_per_frame``, ``tx_per_frame`` (means); ``cu_max_transaction``;
        ``macs_per_frame`` (of all matrices); ``cu_per_mac`` (everything a frame costs, per such MAC);
        ``cu_per_mac_matvec`` (what the matrices cost with requantisation and all, per MAC);
        ``cu_per_mac_inner``, ``cu_per_row`` (that split by least squares over the tape's matrices: what a MAC
        adds, and what a row adds: requantise, clamp, store; None where the shapes are too few to tell);
        ``cu_per_ssm_element`` (the scan, per channel and state); ``cu_per_transaction`` (accounts, checks,
        hashes); ``parts``: units a frame by kind of op. Under the names of the targets: ``matvec_cu_per_mac``
        (``cu_per_mac_inner``, or ``cu_per_mac_matvec`` where that is None), ``matvec_n4_cu_per_mac`` (of
        matrices in 4 bits, None without or with few of them), ``ssm_cu_per_element``, and
        ``requantize_lut_cu_per_element`` (the convolution per channel, all of it: samples moved, four taps,
        requantised, looked up);
        ``cu_per_frame_over_parts`` (a frame's units over those of matrices, scan and convolution).
    """
    manifest = cartridge.manifest
    whole = _play(cartridge, frames, seed)
    single = _play(one_op_per_segment(cartridge), frames, seed).mean(axis=0)
    per_frame = float(whole.sum(axis=1).mean())
    n_ops, n_tx = len(manifest.ops), whole.shape[1]
    per_tx = (float(single.sum()) - per_frame) / (n_ops - n_tx) if n_ops > n_tx else 0.0
    units = {kind: single[manifest.ops["kind"] == kind] - per_tx for kind in L.OpKind}
    matvec = float(units[L.OpKind.MATVEC].sum())
    per_mac, per_row = _split_matvec(manifest, units[L.OpKind.MATVEC], L.FORMAT_I8)
    four_bits, _ = _split_matvec(manifest, units[L.OpKind.MATVEC], L.FORMAT_N4)
    macs = manifest.macs_per_frame
    per_layer = manifest.n_layers * manifest.n_views
    channels = per_layer * (manifest.d_inner + 2 * manifest.d_state)
    elements = per_layer * manifest.d_inner * manifest.d_state
    ssm, conv = float(units[L.OpKind.SSM].sum()), float(units[L.OpKind.CONV].sum())
    per_element = round(ssm / elements, 2)
    return {
        "frames": len(whole),
        "cu_per_frame": round(per_frame, 1),
        "tx_per_frame": n_tx,
        "cu_max_transaction": int(whole.max()),
        "macs_per_frame": macs,
        "cu_per_mac": round(per_frame / macs, 4),
        "cu_per_mac_matvec": round(matvec / macs, 4),
        "cu_per_mac_inner": per_mac,
        "cu_per_row": per_row,
        "cu_per_ssm_element": per_element,
        "matvec_cu_per_mac": round(matvec / macs, 4) if per_mac is None else per_mac,
        "matvec_n4_cu_per_mac": four_bits,
        "ssm_cu_per_element": per_element,
        "requantize_lut_cu_per_element": round(conv / channels, 2),
        "cu_per_frame_over_parts": round(per_frame / (matvec + ssm + conv), 3),
        "cu_per_transaction": round(per_tx, 1),
        "parts": {kind.name.lower(): round(float(units[kind].sum()), 1) for kind in L.OpKind},
    }


def one_op_per_segment(cartridge: Cartridge) -> Cartridge:
    """The same world with each op of the tape in a transaction of its own."""
    raw = bytearray(cartridge.manifest_bytes)
    raw += bytes(-len(raw) % 8)
    header = np.frombuffer(raw, L.HEADER, 1).copy()
    n_ops = int(header["n_ops"][0])
    header["off_segments"], header["n_segments"] = len(raw), n_ops
    raw += np.arange(1, n_ops + 1, dtype="<u2").tobytes()
    header["total_len"] = len(raw)
    raw[: L.HEADER.itemsize] = header.tobytes()
    return Cartridge(bytes(raw), cartridge.shards)


def measure_formats(cartridge: Cartridge, frames: int = 30, seed: int = 0) -> dict[str, Any]:
    """`measure_cu`, and what the same world costs with its matrices in 4 bits.

    Returns
    -------
    dict
        As `measure_cu`, with ``matvec_n4_cu_per_mac``; ``n4_cu_per_frame``, ``n4_tx_per_frame`` and
        ``n4_bytes`` of the world of which the matrices of `awm_kit.model.rounding.FOUR_BITS` are in 4 bits.
    """
    result = measure_cu(cartridge, frames, seed)
    if cartridge.manifest.format == L.FORMAT_N4:
        return result
    model = unpack(cartridge)
    usual = pack(to_four_bits(model))
    small = measure_cu(usual, frames, seed)
    every = measure_cu(pack(to_four_bits(model, MATRICES)), frames, seed)
    return result | {
        "matvec_n4_cu_per_mac": every["matvec_n4_cu_per_mac"],
        "n4_cu_per_frame": small["cu_per_frame"],
        "n4_tx_per_frame": small["tx_per_frame"],
        "n4_bytes": usual.nbytes,
    }


def _split_matvec(manifest: Manifest, units: np.ndarray, code: int) -> tuple[float | None, float | None]:
    """Units of a format's matrices per multiply-accumulate and per row; of columns that the kernel has."""
    ops = manifest.ops[manifest.ops["kind"] == L.OpKind.MATVEC]
    fast = (ops["format"] == code) & (np.isin(ops["cols"], FAST_COLS) | (code == L.FORMAT_N4))
    rows, cols = ops["rows"][fast].astype(np.float64), ops["cols"][fast].astype(np.float64)
    terms = np.stack([rows * cols, rows, cols], axis=1) * manifest.n_views
    solution, _, rank, _ = np.linalg.lstsq(terms, units[fast], rcond=None)
    if rank < terms.shape[1]:
        return None, None
    return round(float(solution[0]), 4), round(float(solution[1]), 2)


class _Meter(EmbeddedLedger):
    """An embedded ledger that keeps the receipts of frames."""

    def __init__(self) -> None:
        super().__init__()
        self.receipts: list[Receipt] = []

    def _send_many(
        self, batches: Sequence[Sequence[Instruction]], terms: Terms, on_done: Callable[[int], None] | None
    ) -> list[Receipt]:
        receipts = super()._send_many(batches, terms, on_done)
        self.receipts += [r for r in receipts if r.label == "frame"]
        return receipts


def _play(cartridge: Cartridge, frames: int, seed: int) -> np.ndarray:
    """Compute units of every frame's transactions, float64, shape (frames, segments)."""
    ledger, wallet = _Meter(), Keypair()
    ledger.airdrop(wallet.pubkey(), _FUNDS)
    world = deploy(ledger, cartridge, wallet, progress=False)
    session = local_match(ledger, world, start_frame=initial_frame(seed))
    players = [ScriptedPlayer("balanced", i, seed) for i in range(N_PLAYERS)]
    while session.frames < frames and session.frame["status"] == STATUS_PLAYING:
        inputs = np.zeros(N_PLAYERS, CONTROLLER)
        for i, player in enumerate(players):
            inputs[i] = player.controller(session.frame)
        session.step(inputs)
    units = np.array([r.compute_units for r in ledger.receipts], np.float64)
    return units.reshape(-1, len(cartridge.manifest.segments))
