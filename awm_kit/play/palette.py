"""Colours of the view: of Okabe and Ito's set, which stays readable with every kind of colour vision."""

from __future__ import annotations

from typing import NamedTuple

Color = tuple[int, int, int]

ORANGE: Color = (230, 159, 0)
SKY: Color = (86, 180, 233)
YELLOW: Color = (240, 228, 66)
BLUE: Color = (0, 114, 178)
VERMILLION: Color = (213, 94, 0)

WHITE: Color = (255, 255, 255)
INK: Color = (18, 20, 34)
PAPER: Color = (244, 238, 222)
GREY: Color = (150, 158, 176)


class Livery(NamedTuple):
    """The colours of one player."""

    main: Color
    light: Color
    dark: Color
    accent: Color


LIVERIES = (
    Livery(VERMILLION, (255, 214, 160), (140, 56, 0), ORANGE),
    Livery(BLUE, (196, 228, 250), (0, 62, 110), SKY),
)


def mix(a: Color, b: Color, t: float) -> Color:
    """The colour a share ``t`` (0 to 1) of the way from ``a`` to ``b``."""
    t = min(max(t, 0.0), 1.0)
    return tuple(round(p + (q - p) * t) for p, q in zip(a, b, strict=True))  # type: ignore[return-value]


def heat(percent: float) -> Color:
    """White at no damage, then yellow, orange, vermillion, dark red from 150 percent on."""
    stops = (WHITE, YELLOW, ORANGE, VERMILLION, (150, 20, 20))
    position = min(max(percent, 0.0), 150.0) / 150.0 * (len(stops) - 1)
    index = min(int(position), len(stops) - 2)
    return mix(stops[index], stops[index + 1], position - index)
