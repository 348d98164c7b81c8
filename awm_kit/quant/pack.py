"""From an `IntegerModel` to the bytes of its accounts: shards, op tape, transaction plan, manifest.

Tensors are laid out in the order in which a frame reads them, so that one transaction touches few shards.
The tape is cut into segments, one transaction each: matrices and scans are split by rows and heads where a
segment or a shard is full, everything else stays whole. A large world's shards end where the transactions of
the build with the system call do, since each of them takes its shards into the VM whole, and compares them
when it ends.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

import numpy as np

from awm_kit.errors import ModelFileError
from awm_kit.quant import layout as L
from awm_kit.quant import n4, syscall_costs
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.costs import CU_TRANSACTION, cost_of, op_cost
from awm_kit.quant.decode_rules import head_record, type_code
from awm_kit.quant.integer_model import IntegerModel, Layer, Linear, Norm
from awm_kit.quant.luts import exp2_table, softplus_table
from awm_kit.quant.model_check import check_model, count_params

SHARD_LIMIT = 1 << 20
CU_LIMIT = 1_350_000  # of the 1.4M that a transaction may use; plans are 1 to 4 % too high already
LARGE = 3_000_000  # parameters from which on shards end with the syscall build's transactions
ROW_MULTIPLE = (30, 16)  # the SBF kernel takes five rows of one view at once, sixteen of two


def pack(model: IntegerModel, shard_limit: int = SHARD_LIMIT, cu_limit: int = CU_LIMIT) -> Cartridge:
    """Lay a world out as accounts; `unpack` is the exact inverse.

    Parameters
    ----------
    model : IntegerModel
    shard_limit : int
        Most bytes of one shard.
    cu_limit : int
        Compute units that one transaction of the plan may cost.

    Raises
    ------
    ModelFileError : if the model breaks a range of the format, or does not fit the limits
    """
    check_model(model)
    writer = _Writer(model, shard_limit, cu_limit)
    writer.run()
    return Cartridge(_manifest(model, writer), [bytes(s) for s in writer.shards])


@dataclass
class _Writer:
    """Walks the model in execution order, filling shards, tape and layer records."""

    model: IntegerModel
    shard_limit: int
    cu_limit: int
    shards: list[bytearray] = field(default_factory=lambda: [bytearray()])
    ops: list[np.void] = field(default_factory=list)
    luts: bytearray = field(default_factory=bytearray)
    lut_at: dict[bytes, int] = field(default_factory=dict)
    segments: list[int] = field(default_factory=list)
    spent: float = CU_TRANSACTION
    spent_there: float = syscall_costs.CU_TRANSACTION  # by the transaction of the syscall build

    def run(self) -> None:
        m = self.model
        self.large = count_params(m) >= LARGE
        self.layers = np.zeros(len(m.layers) + (2 if m.choice else 1), L.LAYER)
        self.append(m.embed.astype("i1").tobytes())
        self.op(L.OpKind.FEATURES)
        self.matvec(m.encoder, L.MatvecOut.RESIDUAL_SET)
        for index, layer in enumerate(m.layers):
            self.layer(index, layer)
        self.heads()
        self.op(L.OpKind.DECODE)
        self.segments.append(len(self.ops))

    def heads(self) -> None:
        m, last = self.model, len(self.model.layers)
        self.norm(last, m.final_norm)
        if m.choice is None:
            self.matvec(m.head, L.MatvecOut.LOGITS)
            return
        lead = m.choice.n_lead
        self.matvec(m.head.rows(0, lead), L.MatvecOut.LOGITS)
        tables = np.concatenate([m.choice.gate, m.choice.offset]).astype("i1").tobytes()
        shard, at = self.append(tables)
        self.op(
            L.OpKind.CHOOSE, rows=lead, cols=m.d_model, shard=shard, weights=at, params=m.choice.mul,
            shift=m.choice.shift,
        )  # fmt: skip
        self.norm(last + 1, m.choice.norm)
        self.matvec(m.head.rows(lead, len(m.head.weight)), L.MatvecOut.LOGITS, first_row=lead)

    def norm(self, index: int, norm: Norm) -> None:
        record = self.layers[index]
        record["norm_num"], record["norm_eps"], record["norm_shift"] = _norm(norm)
        self.op(L.OpKind.NORM, index)

    def layer(self, index: int, layer: Layer) -> None:
        m, record = self.model, self.layers[index]
        self.op(L.OpKind.NORM, index)
        self.matvec(layer.in_zx, L.MatvecOut.PROJ_I8, index)
        self.matvec(layer.in_dt, L.MatvecOut.PROJ_I16, index, first_row=2 * m.d_inner + 2 * m.d_state)
        self.layer_tensors(record, layer)
        self.op(L.OpKind.CONV, index)
        head = 0
        while head < m.nheads:
            heads = self.affordable(L.OpKind.SSM, m.nheads - head, 1)
            self.op(L.OpKind.SSM, index, row0=head, rows=heads)
            head += heads
        self.op(L.OpKind.GATED_NORM, index)
        self.matvec(layer.out, L.MatvecOut.RESIDUAL_ADD, index)

    def layer_tensors(self, record: np.void, layer: Layer) -> None:
        record["norm_num"], record["norm_eps"], record["norm_shift"] = _norm(layer.norm)
        record["gnorm_num"], record["gnorm_eps"], record["gnorm_shift"] = _norm(layer.gated_norm)
        for name in ("conv_shift", "gain_shift", "x_shift", "y_shift"):
            record[name] = getattr(layer, name)
        heads = np.zeros(self.model.nheads, L.SSM_HEAD)
        for name in ("decay", "gain", "y_mul", "x_mul"):
            heads[name] = getattr(layer, name)
        tensors = {
            "conv_w": layer.conv_w.astype("i1").tobytes(),
            "conv_b": layer.conv_b.astype("<i4").tobytes(),
            "conv_m": layer.conv_m.astype("<i4").tobytes(),
            "heads": heads.tobytes(),
        }
        self.reserve(sum(_align8(len(t)) for t in tensors.values()))
        record["shard"] = len(self.shards) - 1
        for name, data in tensors.items():
            record[name] = self.append(data)[1]
        record["z_lut"] = self.lut(layer.z_lut.astype("<i2").tobytes())
        record["conv_lut"] = self.lut(layer.conv_lut.astype("i1").tobytes())

    def matvec(self, linear: Linear, out: L.MatvecOut, layer: int = 0, first_row: int = 0) -> None:
        rows, cols = linear.weight.shape
        code = L.FORMAT_I8 if linear.scales is None else L.FORMAT_N4
        multiple = ROW_MULTIPLE[self.model.n_views - 1] if linear.scales is None else n4.BLOCK
        # of a row with bias and multiplier; of what is read behind a matrix, or fills up a quad
        row_bytes, spare = cols + 8, 8
        if linear.scales is not None:
            row_bytes, spare = -(-_n4_bytes(multiple, cols) // multiple) + 8, _n4_bytes(n4.QUAD, cols) + 8
        start = 0
        while start < rows:
            left = rows - start
            block = self.affordable(L.OpKind.MATVEC, left, multiple, cols, code)
            self.reserve(min(block, multiple) * row_bytes + spare)
            block = min(block, _multiple((self.room() - spare) // row_bytes, left, multiple))
            weights, params = _stored(linear.rows(start, start + block))
            shard, at = self.append(weights)
            self.op(
                L.OpKind.MATVEC, layer, out=out, shift=linear.shift, row0=first_row + start, rows=block,
                cols=cols, shard=shard, weights=at, params=self.append(params)[1], format=code,
            )  # fmt: skip
            start += block

    def affordable(self, kind: L.OpKind, most: int, multiple: int, cols: int = 0, code: int = 0) -> int:
        """Rows or heads that the rest of this segment can pay for; begins a new one if it is too few."""
        once = cost_of(self.model, kind, 0, cols, code)
        each = cost_of(self.model, kind, 1, cols, code) - once
        least = min(multiple, most)
        if self.spent + once + least * each > self.cu_limit:
            self.next_segment()
        found = max(least, _multiple(int((self.cu_limit - self.spent - once) / each), most, multiple))
        return min(found, self.affordable_there(kind, most, multiple, cols, code)) if self.large else found

    def affordable_there(self, kind: L.OpKind, most: int, multiple: int, cols: int, code: int) -> int:
        """The same of the syscall build's transaction; begins a new shard with a new one."""
        once = syscall_costs.cost_of(self.model, kind, 0, cols, code)
        each = syscall_costs.cost_of(self.model, kind, most, cols, code) / most - once / most
        least = min(multiple, most)
        if self.spent_there + once + least * each > syscall_costs.CU_LIMIT:
            self.next_shard()
        left = syscall_costs.CU_LIMIT - self.spent_there - once
        return max(least, _multiple(int(left / each), most, multiple))

    def next_shard(self) -> None:
        """End a transaction of the syscall build, and the shard."""
        self.spent_there = syscall_costs.CU_TRANSACTION
        if self.shards[-1]:
            self.shards.append(bytearray())

    def next_segment(self) -> None:
        if self.ops and (not self.segments or self.segments[-1] < len(self.ops)):
            self.segments.append(len(self.ops))
            self.spent = CU_TRANSACTION

    def op(self, kind: L.OpKind, layer: int = 0, **values: int) -> None:
        record = np.zeros(1, L.OP)
        record["kind"], record["layer"] = kind, layer
        for name, value in values.items():
            record[name] = value
        cost = op_cost(self.model, record[0])
        if self.spent + cost > self.cu_limit:
            self.next_segment()
        if self.spent + cost > self.cu_limit:
            raise ModelFileError(
                f"op {len(self.ops)} ({kind.name}) costs about {cost:.0f} CU: raise cu_limit={self.cu_limit}"
            )
        self.spent += cost
        there = syscall_costs.op_cost(self.model, record[0])
        if self.large and self.spent_there + there > syscall_costs.CU_LIMIT:
            self.next_shard()
        self.spent_there += there
        self.ops.append(record[0])

    def lut(self, data: bytes) -> int:
        """Offset of a table in the LUT section; equal tables are stored once."""
        if data not in self.lut_at:
            self.lut_at[data] = len(self.luts)
            self.luts += data
        return self.lut_at[data]

    def reserve(self, size: int) -> None:
        """Start a new shard if ``size`` bytes do not fit the current one."""
        if size > self.shard_limit:
            raise ModelFileError(
                f"expected shards of at least {size} bytes (got shard_limit={self.shard_limit})"
            )
        if len(self.shards[-1]) + size > self.shard_limit:
            self.shards.append(bytearray())

    def append(self, data: bytes) -> tuple[int, int]:
        """Store ``data``, padded to 8 bytes; returns shard and offset."""
        padded = data.ljust(_align8(len(data)), b"\0")
        self.reserve(len(padded))
        at = len(self.shards[-1])
        self.shards[-1] += padded
        return len(self.shards) - 1, at

    def room(self) -> int:
        """Bytes left in the current shard."""
        return self.shard_limit - len(self.shards[-1])


def _n4_bytes(rows: int, cols: int) -> int:
    return n4.words_bytes(rows, cols) + n4.scales_bytes(rows, cols)


def _stored(linear: Linear) -> tuple[bytes, bytes]:
    """Weights and parameters of an op as they lie in a shard."""
    bias = linear.bias.astype(np.int64)
    if linear.scales is None:
        weights = (linear.weight.astype(np.int16) + L.WEIGHT_BIAS).astype(np.uint8).tobytes()
    else:
        weights = n4.pack_weights(linear.weight, linear.scales)
        bias -= n4.bias_offset(linear.scales)
    return weights, np.concatenate([bias, linear.mul]).astype("<i4").tobytes()


def _multiple(n: int, most: int, multiple: int) -> int:
    """The largest multiple that is at most ``n``; ``most`` itself if that is affordable."""
    return most if n >= most else n - n % multiple


def _manifest(model: IntegerModel, writer: _Writer) -> bytes:
    consts = [h.consts.astype("<i4") for h in model.heads]
    starts = np.concatenate([[0], np.cumsum([len(c) for c in consts])])
    heads = [head_record(model.schema, h, int(at)) for h, at in zip(model.heads, starts[:-1], strict=True)]
    if len(writer.shards) > L.MAX_SHARDS:
        raise ModelFileError(
            f"expected at most {L.MAX_SHARDS} shards (got {len(writer.shards)}): raise shard_limit"
        )
    shards = np.zeros(len(writer.shards), L.SHARD)
    shards["length"] = [len(s) for s in writer.shards]
    matvec = [op for op in writer.ops if op["kind"] == L.OpKind.MATVEC]
    for op in matvec:
        shards["format"][op["shard"]] = max(shards["format"][op["shard"]], op["format"])
    shards["sha256"] = [np.void(hashlib.sha256(s).digest()) for s in writer.shards]
    segments = np.array(writer.segments, "<u2")
    schema = model.schema.to_json().encode()
    notes = json.dumps(model.notes, separators=(",", ":"), sort_keys=True).encode()
    sections = {
        "off_shards": shards.tobytes(),
        "off_features": model.features.astype(L.FEATURE).tobytes(),
        "off_heads": np.array(heads, L.HEAD).tobytes(),
        "off_consts": b"".join(c.tobytes() for c in consts),
        "off_kinds": b"".join(h.kinds.astype("u1").tobytes() for h in model.heads),
        "off_softplus": softplus_table().tobytes(),
        "off_exp2": exp2_table().tobytes(),
        "off_luts": bytes(writer.luts),
        "off_layers": writer.layers.tobytes(),
        "off_ops": np.array(writer.ops, L.OP).tobytes(),
        "off_segments": segments.tobytes(),
        "off_schema": schema,
        "off_notes": notes,
    }
    header = _header(model)
    header["format"] = max(int(op["format"]) for op in matvec)
    body = bytearray()
    for name, data in sections.items():
        header[name] = L.HEADER.itemsize + len(body)
        body += data.ljust(_align8(len(data)), b"\0")
    header["total_len"] = L.HEADER.itemsize + len(body)
    header["n_ops"], header["n_shards"], header["n_segments"] = len(writer.ops), len(shards), len(segments)
    header["n_consts"], header["len_luts"] = starts[-1], len(writer.luts)
    header["len_schema"], header["len_notes"] = len(schema), len(notes)
    return header.tobytes() + bytes(body)


def _header(model: IntegerModel) -> np.ndarray:
    header = np.zeros((), L.HEADER)
    header["magic"] = L.MAGIC
    header["version"] = L.VERSION if model.has_mirrors else L.VERSION_NO_MIRROR
    for name in ("d_model", "d_inner", "d_state", "headdim", "nheads", "n_views", "d_feat"):
        header[name] = getattr(model, name)
    header["d_conv"], header["n_players"], header["n_layers"] = 4, 2, len(model.layers)
    header["n_logits"], header["n_features"] = model.head.weight.shape[0], len(model.features)
    header["n_heads"], header["n_params"] = len(model.heads), count_params(model)
    header["n_lead"] = model.choice.n_lead if model.choice else 0
    header["name"] = model.name.encode()
    header["parent"] = np.void(model.parent)
    header["end_type"] = L.NO_END
    if model.schema.end_field:
        end = model.schema.player(model.schema.end_field)
        header["end_type"], header["end_offset"] = type_code(end), end.offset
        header["end_value"] = model.schema.end_value
    return header


def _norm(norm: Norm) -> tuple[int, int, int]:
    return norm.num, norm.eps, norm.shift


def _align8(size: int) -> int:
    return (size + 7) & ~7
