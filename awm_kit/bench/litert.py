"""The frame of `TrunkFrame` as a LiteRT model: matrices in int8, the rest in float32, run by XNNPACK.

LiteRT's own converters want TensorFlow or JAX; a graph of a dozen kinds of operators is soon written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter
from torch import Tensor, nn

if TYPE_CHECKING:
    from awm_kit.bench.peers import TrunkFrame

_KINDS = {
    np.dtype(np.float32): tfl.TensorType.FLOAT32,
    np.dtype(np.int32): tfl.TensorType.INT32,
    np.dtype(np.int8): tfl.TensorType.INT8,
}


def load_frame(frame: TrunkFrame) -> Interpreter:
    """An interpreter on one thread with the tensors of `write_frame` allocated and its memory empty."""
    interpreter = Interpreter(model_content=write_frame(frame), num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], np.float32))
    return interpreter


def write_frame(frame: TrunkFrame) -> bytes:
    """A flatbuffer that takes features and each layer's ``conv``, ``ssm``, and gives logits and the same."""
    c, graph = frame.config, _Graph()
    r = graph.linear(graph.input(c.n_views, frame.embed.in_features), frame.embed)
    after = []
    for layer in frame.layers:
        conv = graph.input(c.n_views, c.d_conv - 1, c.channels)
        ssm = graph.input(c.n_views, c.nheads, c.headdim, c.d_state)
        r, conv, ssm = _mamba2(graph, layer, r, conv, ssm)
        after += [conv, ssm]
    return graph.finish([graph.linear(graph.norm(r, frame.final_norm), frame.head), *after])


def _mamba2(graph: _Graph, layer: Any, r: int, conv: int, ssm: int) -> tuple[int, int, int]:
    """`Mamba2.step` without the rounding to int8 between."""
    c, g = layer.config, graph
    views, heads, inner = c.n_views, c.nheads, c.d_inner
    p = g.linear(g.norm(r, layer.norm), layer.in_proj)
    z, xbc = g.part(p, 0, inner), g.part(p, inner, c.channels)
    dt = g.op("ADD", [g.part(p, inner + c.channels, heads), g.array(layer.dt_bias)])
    dt = g.op("LOG", [g.op("ADD", [g.op("EXP", [dt]), g.array(np.ones(1))])])
    window = g.concat(conv, g.reshape(xbc, views, 1, c.channels))
    taps = g.op("MUL", [window, g.array(layer.conv_weight.T[None])])
    xbc = g.silu(g.op("ADD", [g.reduce("SUM", taps, 1), g.array(layer.conv_bias)]))
    x = g.reshape(g.part(xbc, 0, inner), views, heads, c.headdim)
    b = g.reshape(g.part(xbc, inner, c.d_state), views, 1, 1, c.d_state)
    cc = g.reshape(g.part(xbc, inner + c.d_state, c.d_state), views, 1, 1, c.d_state)
    decay = g.op("EXP", [g.op("MUL", [dt, g.array(-layer.A_log.exp())])])
    gained = g.reshape(g.op("MUL", [g.reshape(dt, views, heads, 1), x]), views, heads, c.headdim, 1)
    kept = g.op("MUL", [ssm, g.reshape(decay, views, heads, 1, 1)])
    ssm = g.op("ADD", [kept, g.op("MUL", [gained, b])])
    y = g.op("ADD", [g.reduce("SUM", g.op("MUL", [ssm, cc]), 3), g.op("MUL", [x, g.array(layer.D[:, None])])])
    gated = g.op("MUL", [g.reshape(y, views, inner), g.silu(z)])
    out = g.linear(g.norm(gated, layer.gated_norm), layer.out_proj)
    return g.op("ADD", [r, out]), g.cut(window, (0, 1, 0), (views, c.d_conv - 1, c.channels)), ssm


class _Graph:
    """Tensors and operators in the order of their making; a tensor is its index."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._shapes: list[tuple[int, ...]] = []
        self._buffers = [tfl.BufferT()]  # the first is empty by convention
        self._ops: list[Any] = []
        self._codes: list[int] = []
        self._inputs: list[int] = []

    def input(self, *shape: int) -> int:
        self._inputs.append(self._tensor(shape))
        return self._inputs[-1]

    def array(self, values: Tensor | np.ndarray, scales: np.ndarray | None = None) -> int:
        """A constant; float32 unless it is of integers. Scales are those of an int8 matrix's rows."""
        data = values.detach().numpy() if isinstance(values, Tensor) else values
        data = np.ascontiguousarray(data if data.dtype.kind == "i" else data.astype(np.float32))
        buffer = tfl.BufferT()
        buffer.data = data.view(np.uint8).reshape(-1)
        self._buffers.append(buffer)
        at = self._tensor(data.shape, _KINDS[data.dtype], len(self._buffers) - 1)
        if scales is not None:
            rule = tfl.QuantizationParametersT()
            rule.scale, rule.zeroPoint = scales.astype(np.float32), np.zeros(len(scales), np.int64)
            self._tensors[at].quantization = rule
        return at

    def linear(self, x: int, layer: nn.Linear) -> int:
        weight = layer.weight.detach().numpy()
        scales = np.abs(weight).max(1) / 127
        rows = self.array(np.round(weight / scales[:, None]).astype(np.int8), scales)
        bias = -1 if layer.bias is None else self.array(layer.bias)
        shape = (self._shapes[x][0], len(weight))
        return self.op("FULLY_CONNECTED", [x, rows, bias], shape, tfl.FullyConnectedOptionsT())

    def norm(self, x: int, layer: Any) -> int:
        options = tfl.ReducerOptionsT()
        options.keepDims = True
        shape = (*self._shapes[x][:-1], 1)
        mean = self.op("MEAN", [self.op("MUL", [x, x]), self._ints(len(shape) - 1)], shape, options)
        scale = self.op("RSQRT", [self.op("ADD", [mean, self.array(np.full(1, layer.eps))])])
        return self.op("MUL", [self.op("MUL", [x, scale]), self.array(layer.weight)])

    def silu(self, x: int) -> int:
        return self.op("MUL", [x, self.op("LOGISTIC", [x])])

    def reduce(self, name: str, x: int, axis: int) -> int:
        shape = self._shapes[x]
        return self.op(name, [x, self._ints(axis)], shape[:axis] + shape[axis + 1 :], tfl.ReducerOptionsT())

    def reshape(self, x: int, *shape: int) -> int:
        return self.op("RESHAPE", [x, self._ints(*shape)], shape, tfl.ReshapeOptionsT())

    def part(self, x: int, first: int, n: int) -> int:
        return self.cut(x, (0, first), (self._shapes[x][0], n))

    def cut(self, x: int, begin: Sequence[int], size: tuple[int, ...]) -> int:
        return self.op("SLICE", [x, self._ints(*begin), self._ints(*size)], size, tfl.SliceOptionsT())

    def concat(self, a: int, b: int) -> int:
        options, (n, m, width) = tfl.ConcatenationOptionsT(), self._shapes[a]
        options.axis = 1
        return self.op("CONCATENATION", [a, b], (n, m + self._shapes[b][1], width), options)

    def op(
        self, name: str, inputs: list[int], shape: tuple[int, ...] | None = None, options: Any = None
    ) -> int:
        """Append an operator; by default its result has the shape to which its inputs broadcast."""
        out = self._tensor(shape or np.broadcast_shapes(*(self._shapes[i] for i in inputs)))
        code = getattr(tfl.BuiltinOperator, name)
        if code not in self._codes:
            self._codes.append(code)
        operator = tfl.OperatorT()
        operator.opcodeIndex = self._codes.index(code)
        operator.inputs, operator.outputs = inputs, [out]
        if options is None and name in ("ADD", "MUL"):
            options = tfl.AddOptionsT() if name == "ADD" else tfl.MulOptionsT()
        if options is not None:
            operator.builtinOptions = options
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(tfl.BuiltinOptions, kind)
        self._ops.append(operator)
        return out

    def finish(self, outputs: list[int]) -> bytes:
        """The model as a flatbuffer."""
        subgraph, model = tfl.SubGraphT(), tfl.ModelT()
        subgraph.tensors, subgraph.operators = self._tensors, self._ops
        subgraph.inputs, subgraph.outputs = self._inputs, outputs
        model.version, model.subgraphs, model.buffers = 3, [subgraph], self._buffers
        model.operatorCodes = [_code(code) for code in self._codes]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _ints(self, *values: int) -> int:
        return self.array(np.array(values, np.int32))

    def _tensor(self, shape: Sequence[int], kind: int = tfl.TensorType.FLOAT32, buffer: int = 0) -> int:
        tensor = tfl.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), kind, buffer
        tensor.name = str(len(self._tensors))
        self._tensors.append(tensor)
        self._shapes.append(tuple(shape))
        return len(self._tensors) - 1


def _code(code: int) -> Any:
    made = tfl.OperatorCodeT()
    made.builtinCode, made.deprecatedBuiltinCode = code, min(code, 127)
    made.version = 5 if code == tfl.BuiltinOperator.FULLY_CONNECTED else 1  # float by int8, a scale a row
    return made
