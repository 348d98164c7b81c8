"""Words around numbers."""

from __future__ import annotations


def counted(number: float, noun: str, plural: str = "") -> str:
    """``1 match``, ``2,000 matches``: a number with its noun, whose plural is with an s unless given."""
    text = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{text} {noun if number == 1 else plural or noun + 's'}"
