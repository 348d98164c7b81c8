"""The input log's Python twin: what it writes, what it reads back, what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awm_kit.chain import inputlog
from awm_kit.errors import VerificationError
from awm_kit.schema import CONTROLLER, neutral_inputs


def held(changes: list[tuple[int, int, bytes]], frames: int) -> np.ndarray:
    """Controllers that take a new value at each (frame, player, eight bytes) and keep it."""
    inputs = neutral_inputs(frames)
    raw = inputs.view(np.uint8).reshape(frames, 2, CONTROLLER.itemsize)
    for frame, player, value in sorted(changes):
        raw[frame:, player, :8] = np.frombuffer(value, np.uint8)
    return inputs


matches = st.integers(0, 600).flatmap(
    lambda frames: st.lists(
        st.tuples(st.integers(0, max(frames - 1, 0)), st.integers(0, 1), st.binary(min_size=8, max_size=8)),
        max_size=30 if frames else 0,
    ).map(lambda changes: held(changes, frames))
)


@given(matches)
@settings(max_examples=200, deadline=None)
def test_decode_inverts_encode(inputs: np.ndarray) -> None:
    assert (inputlog.decode(inputlog.encode(inputs), len(inputs)) == inputs).all()


@given(st.binary(max_size=40), st.integers(0, 300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_decode_to_what_encodes_to_them_or_are_refused(entries: bytes, frames: int) -> None:
    try:
        inputs = inputlog.decode(entries, frames)
    except VerificationError:
        return
    assert inputlog.encode(inputs) == entries


def test_bytes_of_a_known_match() -> None:
    inputs = held([(0, 0, b"\x05" + bytes(7)), (0, 1, bytes(6) + b"\x00\x01"), (2, 0, bytes(8))], 3)
    assert inputlog.encode(inputs).hex(" ") == "01 01 05 81 80 01 02 01 00"


@pytest.mark.parametrize(
    ("frame", "gaps"), [(126, "7e"), (127, "7f 00"), (254, "7f 7f 00"), (255, "7f 7f 01")]
)
def test_long_gaps(frame: int, gaps: str) -> None:
    inputs = held([(frame - 1, 0, b"\x01" + bytes(7))], 300)
    assert inputlog.encode(inputs).hex(" ") == f"{gaps} 01 01"


def test_neutral_match_is_empty() -> None:
    assert inputlog.encode(neutral_inputs(1000)) == b""


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ("01", "mask"),
        ("01 03 05", "got 1 bytes"),
        ("00 01 05", "frame 0"),
        ("0b 01 05", "frame 11"),
        ("01 00", "form"),
        ("01 01 00", "form"),
        ("01 01 05 00 01 06", "form"),
        ("7f", "form"),
        ("03 01 05 81 01 05", "form"),
    ],
)
def test_malformed_logs_are_refused(entries: str, why: str) -> None:
    with pytest.raises(VerificationError, match=why):
        inputlog.decode(bytes.fromhex(entries), 10)


def test_wrong_shape_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="controllers of shape"):
        inputlog.encode(np.zeros((4, 3), CONTROLLER))
