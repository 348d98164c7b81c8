"""The peers of `awm bench kernel` compute the frame that they are timed with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from awm_kit.bench.peers import TrunkFrame
from awm_kit.model.config import ModelConfig


def test_litert_computes_the_frame() -> None:
    """Matrices in int8 cost a few per cent; a wrong operator would cost everything."""
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install ai-edge-litert")
    from awm_kit.bench.litert import load_frame

    torch.manual_seed(0)
    config = ModelConfig(d_model=64, n_layers=2, d_state=16, headdim=16, conv_reach=0.0)
    frame = TrunkFrame(config, 48, 40).eval()
    features, conv, ssm = frame.example()
    conv, ssm = torch.randn_like(conv), 0.3 * torch.randn_like(ssm)
    interpreter = load_frame(frame)
    memory = [part[i] for i in range(config.n_layers) for part in (conv, ssm)]
    for detail, value in zip(interpreter.get_input_details(), [features, *memory], strict=True):
        interpreter.set_tensor(detail["index"], value.numpy())
    interpreter.invoke()
    with torch.inference_mode():
        logits, conv, ssm = frame(features, conv, ssm)
    expected = [logits, *(part[i] for i in range(config.n_layers) for part in (conv, ssm))]
    for detail, value in zip(interpreter.get_output_details(), expected, strict=True):
        got = interpreter.get_tensor(detail["index"])
        assert np.abs(got - value.numpy()).max() < 0.05 * value.abs().max()
