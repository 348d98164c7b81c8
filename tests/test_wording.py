"""Numbers in sentences."""

from __future__ import annotations

import pytest

from awm_kit.wording import counted


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 games"),
        (1, "1 game"),
        (2, "2 games"),
        (12345, "12,345 games"),
        (1.5, "1.5 games"),
        (2.0, "2 games"),
    ],
)
def test_a_noun_agrees_with_its_number(number: float, said: str) -> None:
    assert counted(number, "game") == said


def test_irregular_plurals_are_given() -> None:
    assert [counted(n, "match", "matches") for n in (1, 3)] == ["1 match", "3 matches"]
