"""The canvas benchmark: what it makes of what a page saw, and that it runs."""

from __future__ import annotations

from typing import Any

import pytest

from awm_kit.bench.canvas import WAYS, _figures, measure_canvas

KEYS = {
    "presented_fps", "interval_p99_ms", "key_p50_ms", "key_p95_ms", "bytes_per_frame", "messages_per_frame",
    "cpu_share",
}  # fmt: skip


def seen(frames: list[list[float]], sent: list[list[float]]) -> dict[str, Any]:
    return {"frames": frames, "sent": sent, "stepped": [], "messages": 120, "bytes": 60_000, "seconds": 1.0}


def test_counts_refreshes_not_frames() -> None:
    # 60 refreshes; the last ten show two frames each, of which people see one.
    frames = [[16.0 * k, k, 16.0 * k + 2] for k in range(60)]
    frames += [[16.0 * k, k + 100, 16.0 * k + 3] for k in range(50, 60)]
    figures = _figures(seen(frames, []), [], 0.2)
    assert figures["presented_fps"] == 60.0 and figures["interval_p99_ms"] == 16.0
    assert figures["bytes_per_frame"] == round(60_000 / 70) and figures["cpu_share"] == 0.2


def test_a_key_is_shown_with_the_first_frame_that_knew_of_it() -> None:
    frames = [[16.0 * k, k, 16.0 * k + 2] for k in range(60)]
    sent = [[100.0, 1], [200.0, 2], [300.0, 3], [400.0, 4]]
    # The third was never heard of, and the fourth belongs to a frame that was not shown: the next one counts.
    applied = [[0, 5], [1, 8], [1, 9], [2, 14], [4, 27]]
    figures = _figures(seen([f for f in frames if f[1] != 27], sent), applied, 0.0)
    delays = [16 * 8 + 2 - 100, 16 * 14 + 2 - 200, 16 * 28 + 2 - 400]
    assert figures["key_p50_ms"] == sorted(delays)[1]
    assert max(delays) - 3 < figures["key_p95_ms"] <= max(delays)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_measures_every_way_of_playing(chromium: str) -> None:
    result = measure_canvas(seconds=2.0)
    assert set(result) == set(WAYS)
    for name, row in result.items():
        assert set(row) == KEYS, name
        assert row["presented_fps"] > 0 and row["key_p50_ms"] > 0 and row["bytes_per_frame"] > 0
