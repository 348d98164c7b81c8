"""Parsed view of a ModelManifest's bytes, and the way back from a cartridge to an `IntegerModel`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from awm_kit.errors import ModelFileError
from awm_kit.quant import layout as L
from awm_kit.quant import n4
from awm_kit.quant.decode_rules import head_record, type_code
from awm_kit.quant.integer_model import Choice, HeadTable, IntegerModel, Layer, Linear, Norm
from awm_kit.quant.luts import exp2_table, softplus_table
from awm_kit.quant.model_check import check_model, check_schema, count_params
from awm_kit.schema import Schema

if TYPE_CHECKING:
    from awm_kit.quant.cartridge import Cartridge


@dataclass(frozen=True)
class Manifest:
    """What a manifest says; arrays are read-only views of its bytes.

    Attributes
    ----------
    header : np.void of layout.HEADER
    schema : Schema
    notes : dict
    shard_table, features, heads, layers, ops : ndarrays of the layout's record types
    consts : ndarray of int32; kinds : ndarray of uint8, both shape (n_consts,)
    softplus, exp2 : ndarray of uint32, shape (257,)
    luts : bytes
    segments : ndarray of uint16; op index at which each transaction of a frame ends
    """

    header: np.void
    schema: Schema
    notes: dict[str, Any]
    shard_table: np.ndarray
    features: np.ndarray
    heads: np.ndarray
    consts: np.ndarray
    kinds: np.ndarray
    softplus: np.ndarray
    exp2: np.ndarray
    luts: bytes
    layers: np.ndarray
    ops: np.ndarray
    segments: np.ndarray

    @classmethod
    def parse(cls, raw: bytes) -> Manifest:
        """Read a manifest.

        Raises
        ------
        ModelFileError : if it is truncated, of another version, or a section does not fit
        """
        if len(raw) < L.HEADER.itemsize:
            raise ModelFileError(
                f"manifest truncated: expected at least {L.HEADER.itemsize} bytes (got {len(raw)})"
            )
        header = np.frombuffer(raw, L.HEADER, 1)[0]
        if header["magic"] != L.MAGIC:
            raise ModelFileError(f"not a manifest: expected magic {L.MAGIC!r} (got {raw[:8]!r})")
        if header["version"] not in L.VERSIONS or header["format"] not in L.FORMATS:
            raise ModelFileError(
                f"expected manifest version {L.VERSIONS[0]} to {L.VERSION}, format in {L.FORMATS} "
                f"(got {header['version']}, {header['format']})"
            )
        if header["total_len"] != len(raw):
            raise ModelFileError(f"manifest truncated: expected {header['total_len']} bytes (got {len(raw)})")
        sections = _Sections(raw, header)
        try:
            schema = Schema.from_json(sections.text("schema"))
            notes = json.loads(sections.text("notes"))
            header["name"].decode()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ModelFileError(f"manifest's schema, notes or name cannot be read: {error}") from error
        if not isinstance(notes, dict):
            raise ModelFileError(f"expected notes to be an object (got {type(notes).__name__})")
        check_schema(schema)
        n_consts = int(header["n_consts"])
        manifest = cls(
            header=header,
            schema=schema,
            notes=notes,
            shard_table=sections.array("shards", L.SHARD, header["n_shards"]),
            features=sections.array("features", L.FEATURE, header["n_features"]),
            heads=sections.array("heads", L.HEAD, header["n_heads"]),
            consts=sections.array("consts", np.dtype("<i4"), n_consts),
            kinds=sections.array("kinds", np.dtype("u1"), n_consts),
            softplus=sections.array("softplus", np.dtype("<u4"), L.LUT_POINTS),
            exp2=sections.array("exp2", np.dtype("<u4"), L.LUT_POINTS),
            luts=sections.array("luts", np.dtype("u1"), header["len_luts"]).tobytes(),
            layers=sections.array(
                "layers", L.LAYER, int(header["n_layers"]) + (2 if header["n_lead"] else 1)
            ),
            ops=sections.array("ops", L.OP, header["n_ops"]),
            segments=sections.array("segments", np.dtype("<u2"), header["n_segments"]),
        )
        manifest._check_segments()
        return manifest

    def _check_segments(self) -> None:
        ends = self.segments.astype(int)
        if not len(ends) or ends[-1] != len(self.ops) or (np.diff(ends, prepend=0) <= 0).any():
            raise ModelFileError(f"expected rising segment ends up to {len(self.ops)} (got {ends.tolist()})")

    def __getattr__(self, name: str) -> int:
        """Integer header fields (``d_model``, ``n_layers``, ``n_params`` …) as attributes."""
        if name.startswith("_") or name not in (L.HEADER.names or ()):
            raise AttributeError(f"Manifest has no attribute {name!r}")
        return int(self.header[name])

    @property
    def name(self) -> str:
        """Name of the world."""
        return str(self.header["name"].decode())

    @property
    def parent(self) -> bytes:
        """SHA-256 of the parent world's manifest; 32 zeros for none."""
        return bytes(self.header["parent"].tobytes())

    @property
    def state_bytes(self) -> int:
        """Bytes of the recurrent state that a match carries from frame to frame."""
        return self.n_layers * self.n_views * state_bytes_per_view(self.d_inner, self.d_state)

    @property
    def macs_per_frame(self) -> int:
        """Multiply-accumulates of all matrices, over all views."""
        matvec = self.ops[self.ops["kind"] == L.OpKind.MATVEC]
        return int((matvec["rows"].astype(np.int64) * matvec["cols"]).sum()) * self.n_views


def state_bytes_per_view(d_inner: int, d_state: int) -> int:
    """Bytes of one layer's state of one view: 4 conv samples a channel, then int16 SSM states."""
    return 4 * (d_inner + 2 * d_state) + 2 * d_inner * d_state


class _Sections:
    """Bounds-checked access to the sections of a manifest."""

    def __init__(self, raw: bytes, header: np.void) -> None:
        self.raw, self.header = raw, header

    def array(self, name: str, dtype: np.dtype[Any], count: Any) -> np.ndarray:
        start, end = self._span(name, int(count) * dtype.itemsize)
        return np.frombuffer(self.raw[start:end], dtype)

    def text(self, name: str) -> str:
        start, end = self._span(name, int(self.header[f"len_{name}"]))
        return self.raw[start:end].decode()

    def _span(self, name: str, size: int) -> tuple[int, int]:
        start = int(self.header[f"off_{name}"])
        if start % 8 or start < L.HEADER.itemsize or start + size > len(self.raw):
            raise ModelFileError(
                f"section {name}: expected {size} aligned bytes within {len(self.raw)} (got offset {start})"
            )
        return start, start + size


def unpack(cartridge: Cartridge) -> IntegerModel:
    """Rebuild the model of a cartridge; the exact inverse of `pack`.

    Raises
    ------
    ModelFileError : if the cartridge is not sound, or its tape is not one that `pack` writes
    """
    cartridge.verify()
    manifest = cartridge.manifest
    tape = _Tape(manifest, cartridge.shards)
    model = tape.model()
    check_model(model)
    if not np.array_equal(manifest.heads, _records(model)):
        raise ModelFileError("the heads' records do not follow from the schema's update rules")
    rest = {"n_logits": len(model.head.weight), "n_params": count_params(model), "d_conv": 4, "n_players": 2}
    for name, expected in {**rest, "n_consts": sum(len(h.consts) for h in model.heads)}.items():
        if getattr(manifest, name) != expected:
            raise ModelFileError(f"header's {name}: expected {expected} (got {getattr(manifest, name)})")
    if model.has_mirrors and manifest.version <= L.VERSION_NO_MIRROR:
        raise ModelFileError(f"expected no mirrors before version {L.VERSION} (got {manifest.version})")
    if manifest.header["reserved"].tobytes().strip(b"\0"):
        raise ModelFileError("expected zeros in the header's reserved bytes (got others)")
    return model


def _records(model: IntegerModel) -> np.ndarray:
    starts = np.concatenate([[0], np.cumsum([len(h.consts) for h in model.heads])])
    rows = [head_record(model.schema, h, int(at)) for h, at in zip(model.heads, starts[:-1], strict=True)]
    return np.array(rows, L.HEAD)


class _Tape:
    """Reads ops in the one order that `pack` writes and joins row blocks again."""

    def __init__(self, manifest: Manifest, shards: list[bytes]) -> None:
        self.manifest, self.shards = manifest, shards
        self.at = 0

    def model(self) -> IntegerModel:
        m = self.manifest
        if m.embed_shard != 0:
            raise ModelFileError(f"expected embed_shard 0 (got {m.embed_shard})")
        if not (np.array_equal(m.softplus, softplus_table()) and np.array_equal(m.exp2, exp2_table())):
            raise ModelFileError("the manifest's softplus or exp2 table is not the standard one")
        end_type, end_offset, end_value = L.NO_END, 0, 0
        if m.schema.end_field:
            end = m.schema.player(m.schema.end_field)
            end_type, end_offset, end_value = type_code(end), end.offset, m.schema.end_value
        if (m.end_type, m.end_offset, m.end_value) != (end_type, end_offset, end_value):
            raise ModelFileError("the header's end rule does not follow from the schema")
        self.take(L.OpKind.FEATURES)
        encoder = self.linear(L.MatvecOut.RESIDUAL_SET, 0, m.d_feat)
        layers = [self.layer(i) for i in range(m.n_layers)]
        self.take(L.OpKind.NORM, m.n_layers)
        head = self.linear(L.MatvecOut.LOGITS, 0, m.d_model)
        choice = self.choice() if m.n_lead else None
        if choice:
            head = _joined([head, self.linear(L.MatvecOut.LOGITS, 0, m.d_model, first_row=m.n_lead)])
        self.take(L.OpKind.DECODE)
        if self.at != len(m.ops):
            raise ModelFileError(f"expected {self.at} ops (got {len(m.ops)})")
        tables = m.features[m.features["mode"] == L.FeatureMode.TABLE]
        embed_len = int((tables["table"] + tables["rows"].astype(np.int64) * tables["width"]).max(initial=0))
        return IntegerModel(
            schema=m.schema, name=m.name, notes=m.notes, parent=m.parent, n_views=m.n_views,
            d_model=m.d_model, d_inner=m.d_inner, d_state=m.d_state, headdim=m.headdim, nheads=m.nheads,
            d_feat=m.d_feat, features=m.features.copy(), embed=self.tensor(0, 0, "i1", embed_len),
            encoder=encoder, layers=layers, final_norm=_norm(m.layers[m.n_layers], "norm"), head=head,
            heads=[self.head(row) for row in m.heads], choice=choice,
        )  # fmt: skip

    def choice(self) -> Choice:
        m = self.manifest
        op = self.take(L.OpKind.CHOOSE)
        if op["row0"] != 0 or op["rows"] != m.n_lead or op["cols"] != m.d_model:
            raise ModelFileError(
                f"op {self.at - 1}: expected {m.n_lead} classes, {m.d_model} columns (got {op})"
            )
        shape = (4, m.n_lead, m.d_model)
        tables = self.tensor(int(op["shard"]), op["weights"], "i1", int(np.prod(shape))).reshape(shape)
        self.take(L.OpKind.NORM, m.n_layers + 1)
        norm = _norm(m.layers[m.n_layers + 1], "norm")
        return Choice(tables[:2].copy(), tables[2:].copy(), int(op["params"]), int(op["shift"]), norm)

    def layer(self, index: int) -> Layer:
        m = self.manifest
        channels = m.d_inner + 2 * m.d_state
        record = m.layers[index]
        shard = int(record["shard"])
        self.take(L.OpKind.NORM, index)
        in_zx = self.linear(L.MatvecOut.PROJ_I8, index, m.d_model)
        in_dt = self.linear(L.MatvecOut.PROJ_I16, index, m.d_model, first_row=2 * m.d_inner + 2 * m.d_state)
        self.take(L.OpKind.CONV, index)
        head = 0
        while head < m.nheads:
            op = self.take(L.OpKind.SSM, index)
            if op["row0"] != head or not 1 <= op["rows"] <= m.nheads - head:
                raise ModelFileError(
                    f"layer {index}: expected heads from {head} (got {op['row0']}+{op['rows']})"
                )
            head += int(op["rows"])
        self.take(L.OpKind.GATED_NORM, index)
        heads = self.tensor(shard, record["heads"], L.SSM_HEAD, m.nheads)
        return Layer(
            norm=_norm(record, "norm"), in_zx=in_zx, in_dt=in_dt,
            conv_w=self.tensor(shard, record["conv_w"], "i1", 4 * channels).reshape(channels, 4),
            conv_b=self.tensor(shard, record["conv_b"], "<i4", channels),
            conv_m=self.tensor(shard, record["conv_m"], "<i4", channels),
            conv_shift=int(record["conv_shift"]), conv_lut=self.lut(record["conv_lut"], "i1"),
            z_lut=self.lut(record["z_lut"], "<i2"), decay=heads["decay"].copy(), gain=heads["gain"].copy(),
            gain_shift=int(record["gain_shift"]), x_shift=int(record["x_shift"]), y_mul=heads["y_mul"].copy(),
            x_mul=heads["x_mul"].copy(), y_shift=int(record["y_shift"]), gated_norm=_norm(record, "gnorm"),
            out=self.linear(L.MatvecOut.RESIDUAL_ADD, index, m.d_inner),
        )  # fmt: skip

    def take(self, kind: L.OpKind, layer: int = 0) -> np.void:
        ops = self.manifest.ops
        if self.at >= len(ops) or ops[self.at]["kind"] != kind or ops[self.at]["layer"] != layer:
            got = tuple(ops[self.at][["kind", "layer"]]) if self.at < len(ops) else "the end"
            raise ModelFileError(f"op {self.at}: expected {kind.name} of layer {layer} (got {got})")
        self.at += 1
        op: np.void = ops[self.at - 1]
        return op

    def linear(self, out: L.MatvecOut, layer: int, cols: int, first_row: int = 0) -> Linear:
        ops, row = self.manifest.ops, first_row
        blocks: list[Linear] = []
        while self.at < len(ops) and ops[self.at]["kind"] == L.OpKind.MATVEC and ops[self.at]["out"] == out:
            op = self.take(L.OpKind.MATVEC, layer)
            if op["row0"] != row or op["cols"] != cols:
                raise ModelFileError(f"op {self.at - 1}: expected row {row}, {cols} columns (got {op})")
            blocks.append(self.block(op))
            row += int(op["rows"])
        if not blocks:
            raise ModelFileError(f"op {self.at}: expected a {out.name} matvec of layer {layer}")
        return _joined(blocks)

    def block(self, op: np.void) -> Linear:
        """The rows of one op."""
        rows, cols, shard = int(op["rows"]), int(op["cols"]), int(op["shard"])
        params = self.tensor(shard, op["params"], "<i4", 2 * rows).reshape(2, rows)
        if op["format"] == L.FORMAT_I8:
            stored = self.tensor(shard, op["weights"], "u1", rows * cols).reshape(rows, cols)
            weight = stored.astype(np.int16) - L.WEIGHT_BIAS
            # Out of range bytes stay visible to check_model instead of wrapping.
            weight = weight.astype(np.int8) if np.abs(weight).max() <= 127 else weight
            return Linear(weight, params[0].copy(), params[1].copy(), int(op["shift"]))
        if op["format"] != L.FORMAT_N4 or self.manifest.format != L.FORMAT_N4:
            raise ModelFileError(f"expected a format of the manifest's (got {op})")
        size = n4.words_bytes(rows, cols) + n4.scales_bytes(rows, cols)
        raw = self.tensor(shard, op["weights"], "u1", size).tobytes()
        weight, scales = n4.unpack_weights(raw, rows, cols)
        bias = params[0] + n4.bias_offset(scales)
        bias = bias.astype(np.int32) if np.abs(bias).max() < 1 << 31 else bias
        return Linear(weight, bias, params[1].copy(), int(op["shift"]), scales)

    def head(self, row: np.void) -> HeadTable:
        fields = [f for f in self.manifest.schema.player_fields if f.offset == row["offset"]]
        if not fields:
            raise ModelFileError(f"a head decodes to offset {row['offset']}, where the schema has no field")
        at = int(row["consts"]) if row["kind"] == L.HeadKind.MIX else 0
        size = int(row["n_classes"]) if row["kind"] == L.HeadKind.MIX else 0
        free_row = int(row["free_row"])
        return HeadTable(
            fields[0].name, int(row["slot"]), int(row["row0"]), int(row["n_classes"]),
            self.manifest.kinds[at : at + size].copy(), self.manifest.consts[at : at + size].copy(),
            -1 if free_row == L.NO_ROW else free_row,
        )  # fmt: skip

    def lut(self, offset: Any, dtype: str) -> np.ndarray:
        size = 256 * np.dtype(dtype).itemsize
        data = self.manifest.luts[int(offset) : int(offset) + size]
        if len(data) != size:
            raise ModelFileError(
                f"expected a table of {size} bytes at {offset} of the tables (got {len(data)})"
            )
        return np.frombuffer(data, dtype).copy()

    def tensor(self, shard: int, offset: Any, dtype: Any, count: int) -> np.ndarray:
        size = np.dtype(dtype).itemsize * count
        start = int(offset)
        if shard >= len(self.shards) or start + size > len(self.shards[shard]):
            raise ModelFileError(f"expected {size} bytes at {start} of shard {shard} (there are fewer)")
        return np.frombuffer(self.shards[shard], dtype, count, start).copy()


def _joined(blocks: list[Linear]) -> Linear:
    """Blocks of rows of one matrix."""
    first = blocks[0]
    scales = [b.scales for b in blocks if b.scales is not None]
    if any(b.shift != first.shift for b in blocks) or len(scales) not in (0, len(blocks)):
        raise ModelFileError(
            f"expected one shift and one format for a matrix (got {[b.shift for b in blocks]})"
        )
    return Linear(
        np.concatenate([b.weight for b in blocks]),
        np.concatenate([b.bias for b in blocks]),
        np.concatenate([b.mul for b in blocks]),
        first.shift,
        np.concatenate(scales) if scales else None,
    )


def _norm(record: np.void, prefix: str) -> Norm:
    return Norm(int(record[f"{prefix}_num"]), int(record[f"{prefix}_eps"]), int(record[f"{prefix}_shift"]))
