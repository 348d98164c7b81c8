"""The same frame through what others would run it with: PyTorch, ONNX Runtime, LiteRT, one thread each.

A peer gets features and gives logits; the records' encoding and decoding, which the kernel's times
contain, are left out. PyTorch's frames are traced and frozen, about twice as fast as its eager mode.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from awm_kit.model.config import ModelConfig
from awm_kit.model.mamba2 import LayerState, Mamba2, RMSNorm

Run = Callable[[], object]
_NAMES = ["features", "conv", "ssm"]


class TrunkFrame(nn.Module):
    """Features and memory of all views to logits and memory, all memory in two tensors."""

    def __init__(self, config: ModelConfig, d_feat: int, n_logits: int) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(d_feat, config.d_model)
        self.layers = nn.ModuleList(Mamba2(config) for _ in range(config.n_layers))
        self.final_norm = RMSNorm(config.d_model)
        self.head = nn.Linear(config.d_model, n_logits)

    def forward(self, features: Tensor, conv: Tensor, ssm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One frame: (views, d_feat) and memory (layers, views, ...) -> logits and the memory after."""
        r, after = self.embed(features), []
        for i, layer in enumerate(m for m in self.layers if isinstance(m, Mamba2)):
            r, state = layer.step(r, LayerState(conv[i], ssm[i]))
            after.append(state)
        logits = self.head(self.final_norm(r))
        return logits, torch.stack([s.conv for s in after]), torch.stack([s.ssm for s in after])

    def example(self) -> tuple[Tensor, Tensor, Tensor]:
        """Random features and empty memory."""
        c = self.config
        generator = torch.Generator().manual_seed(0)
        return (
            torch.randn(c.n_views, self.embed.in_features, generator=generator),
            torch.zeros(c.n_layers, c.n_views, c.d_conv - 1, c.channels),
            torch.zeros(c.n_layers, c.n_views, c.nheads, c.headdim, c.d_state),
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def make_peers(config: ModelConfig, d_feat: int, n_logits: int) -> dict[str, Run | None]:
    """A function per peer that computes one frame; None where its package is not installed.

    Returns
    -------
    dict
        ``torch_fp32``, ``torch_int8`` (dynamic), ``onnxruntime_int8`` (dynamic), ``litert_int8`` (XNNPACK).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that these interfaces will move to other packages
        frame = TrunkFrame(config, d_feat, n_logits).eval()
        small = torch.ao.quantization.quantize_dynamic(frame, {nn.Linear}, torch.qint8)
        return {
            "torch_fp32": _torch(frame, frame.example()),
            "torch_int8": _torch(small, frame.example()),
            "onnxruntime_int8": _onnxruntime(frame),
            "litert_int8": _litert(frame),
        }


def _torch(frame: nn.Module, example: tuple[Tensor, ...]) -> Run:
    with torch.inference_mode():
        traced = torch.jit.freeze(torch.jit.trace(frame, example))

    def run() -> object:
        with torch.inference_mode():
            return traced(*example)

    for _ in range(5):  # the profiling executor compiles during its first calls
        run()
    return run


def _onnxruntime(frame: TrunkFrame) -> Run | None:
    try:
        import onnx  # noqa: F401  (torch's exporter and the quantiser import it)
        import onnxruntime
        from onnxruntime.quantization import quantize_dynamic
    except ImportError:
        return None
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser recommends pre-processing, on the root logger
    example, outputs = frame.example(), ["logits", "conv_after", "ssm_after"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with TemporaryDirectory() as folder:
        plain, small = Path(folder) / "frame.onnx", Path(folder) / "int8.onnx"
        torch.onnx.export(frame, example, str(plain), dynamo=False, input_names=_NAMES, output_names=outputs)
        quantize_dynamic(plain, small)
        session = onnxruntime.InferenceSession(str(small), options, providers=["CPUExecutionProvider"])
    return partial(session.run, None, {n: t.numpy() for n, t in zip(_NAMES, example, strict=True)})


def _litert(frame: TrunkFrame) -> Run | None:
    try:
        from awm_kit.bench.litert import load_frame
    except ImportError:
        return None
    run: Run = load_frame(frame).invoke
    return run
