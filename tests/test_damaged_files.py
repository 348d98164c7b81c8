"""Files that are damaged anyhow are refused by name: replays, match records, players."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from awm_kit.chain.match_record import MatchRecord
from awm_kit.chain.resimulation import record_match
from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import generate
from awm_kit.errors import AwmError, ModelFileError, ReplayCorruptError, VerificationError
from awm_kit.model.policy import Policy
from awm_kit.worlds import load_policy, load_world

HEAD, TAIL = 400, 300  # where an archive's own records mostly are


def replay_file(path: Path) -> Path:
    return generate([1], 60)[0].save_npz(path)


def record_file(path: Path) -> Path:
    replay = generate([1], 60)[0]
    return record_match(load_world("scuffle"), replay.frames[0, ...], replay.inputs[1:]).save(path)


def player_file(path: Path) -> Path:
    return load_policy("scuffle").save(path)


def damages(whole: bytes, count: int) -> Iterator[bytes]:
    """A file cut short, or with some bytes changed: anywhere, at its begin, at its end."""
    rng = np.random.default_rng(20)
    for _ in range(count):
        spoilt = bytearray(whole)
        first, last = ((0, len(whole)), (0, HEAD), (len(whole) - TAIL, len(whole)))[rng.integers(3)]
        for _ in range(rng.integers(1, 4)):
            spoilt[rng.integers(first, last)] = rng.integers(256)
        yield bytes(spoilt[: rng.integers(len(whole))] if rng.random() < 0.2 else spoilt)


@pytest.mark.parametrize(
    ("make", "load", "error"),
    [
        (replay_file, Replay.load_npz, ReplayCorruptError),
        (record_file, MatchRecord.load, VerificationError),
        (player_file, Policy.load, ModelFileError),
    ],
)
def test_damage_has_one_name(
    tmp_path: Path, make: Callable[[Path], Path], load: Callable[[Path], object], error: type[AwmError]
) -> None:
    path, refused = make(tmp_path / "file"), 0
    for spoilt in damages(path.read_bytes(), 600):
        path.write_bytes(spoilt)
        try:
            load(path)
        except error:
            refused += 1
    assert refused > 400
