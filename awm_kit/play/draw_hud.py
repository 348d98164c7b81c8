"""What is written on the picture: damage, stocks, clock, frame counter, names, messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from awm_kit.action_states import Family, family_of, name_of
from awm_kit.play.camera import Camera
from awm_kit.play.drawing import Drawing
from awm_kit.play.loop import FPS
from awm_kit.play.palette import GREY, INK, LIVERIES, PAPER, VERMILLION, WHITE, YELLOW, heat
from awm_kit.schema import STATUS_DECIDED, STATUS_TIMEOUT

#: The panels' share of the picture's height, from below.
PANELS = 0.2
#: Pixels that a player's tag takes: two that come nearer are moved apart.
_TAG = 26.0, 18.0
#: Where a banner may stand, as shares of the height, best first, and how far it reaches from there.
BANNER_AT, BANNER_REACH = (0.24, 0.5, 0.7), (53.0, 27.0)


def draw_panels(
    out: Drawing, camera: Camera, frame: np.ndarray, names: Sequence[str], note: str = ""
) -> None:
    """Draw damage, stocks and names, and small print under them; the same for the same `panels_key`.

    Parameters
    ----------
    frame : ndarray, `FRAME` scalar
    names : sequence of str
        One per player.
    note : str
        Small print at the lower edge.
    """
    for index in range(2):
        _panel(out, camera, frame["players"][index], index, names[index])
    if note:
        out.write(note, camera.width / 2, camera.height - 8, 12, PAPER, "center")


def panels_key(frame: np.ndarray, names: Sequence[str], note: str = "") -> tuple[object, ...]:
    """What `draw_panels` shows of its arguments."""
    shown = [(int(p["percent"]) // 64, int(p["stocks"]), int(p["action_state"])) for p in frame["players"]]
    return *shown, *names, note


def draw_captions(
    out: Drawing, camera: Camera, frame: np.ndarray, names: Sequence[str], banner: str = ""
) -> None:
    """Draw the players' tags, arrows to those out of the picture, clock, frame count, and large print.

    Parameters
    ----------
    frame : ndarray, `FRAME` scalar
    names : sequence of str
        One per player.
    banner : str
        Large print; empty shows the result of a decided match.
    """
    places = _tag_places(camera, frame)
    for index, (head, at) in places.items():
        _tag(out, index, head, at)
    _clock(out, camera, frame)
    text = banner or result_of(frame, names)
    if text:
        feet = camera.project(np.stack([frame["players"]["x"], frame["players"]["y"]], -1) / 1024)[:, 1]
        bodies = [(float(at[1]) - _TAG[1], float(feet[index])) for index, (_, at) in places.items()]
        draw_banner(out, text, camera.width, camera.height, bodies)


def draw_banner(
    out: Drawing, text: str, width: int, height: int, bodies: Sequence[tuple[float, float]] = ()
) -> None:
    """Large print across a picture, where it hides as little as possible of the players.

    Parameters
    ----------
    width, height : int
        Of the picture, pixels.
    bodies : sequence of (float, float)
        Upper and lower end of each player and tag, pixels from above.
    """
    up, down = BANNER_REACH

    def hidden(middle: float) -> float:
        return sum(max(0.0, min(low, middle + down) - max(top, middle - up)) for top, low in bodies)

    middle = min((share * height for share in BANNER_AT), key=hidden)
    out.rect(0, middle - 50, width, 74, INK, 0.72)
    out.rect(0, middle - 53, width, 3, YELLOW, 0.9)
    out.rect(0, middle + 24, width, 3, YELLOW, 0.9)
    size = 46 if len(text) < 30 else 20
    out.write(text, width / 2, middle + size * 0.1, size, WHITE, "center")


def result_of(frame: np.ndarray, names: Sequence[str]) -> str:
    """What to announce of a frame: nothing while the match goes on."""
    status = int(frame["status"])
    if status not in (STATUS_DECIDED, STATUS_TIMEOUT):
        return ""
    stocks = [int(p["stocks"]) for p in frame["players"]]
    damage = [int(p["percent"]) for p in frame["players"]]
    first, second = (stocks[0], -damage[0]), (stocks[1], -damage[1])
    if first == second:
        return "DRAW"
    winner = names[0] if first > second else names[1]
    return f"{winner} WINS" if status == STATUS_DECIDED else f"TIME!  {winner} WINS"


def _panel(out: Drawing, camera: Camera, player: np.ndarray, index: int, name: str) -> None:
    livery = LIVERIES[index % len(LIVERIES)]
    width, height = 210, 74
    x = camera.width * (0.26 if index == 0 else 0.74) - width / 2
    y = camera.height - height - 20
    slant = 14
    out.polygon([(x + slant, y), (x + width + slant, y), (x + width, y + height), (x, y + height)], INK, 0.78)
    out.polygon([(x + slant, y), (x + slant + 9, y), (x + 9, y + height), (x, y + height)], livery.main)
    percent = int(player["percent"]) / 64
    out.write(f"{int(percent)}", x + 132, y + 51, 46, heat(percent), "right")
    out.write("%", x + 136, y + 51, 22, heat(percent))
    out.write(name, x + 22, y + height - 6, 14, livery.light)
    state = name_of(int(player["action_state"]))
    out.write(state, x + width - 8, y + height - 6, 11, GREY, "right", None)
    for k in range(min(int(player["stocks"]), 8)):
        center = (x + 172 + (k % 4 - 1.5) * -15, y + 22 + 16 * (k // 4))
        out.disc(center, 7, INK, 1.0, 14)
        out.disc(center, 5.6, livery.accent, 1.0, 14)
        out.disc((center[0] - 1.6, center[1] - 1.6), 1.8, WHITE, 0.8, 8)


def _clock(out: Drawing, camera: Camera, frame: np.ndarray) -> None:
    now, limit = int(frame["frame"]), int(frame["time_limit"])
    seconds = (max(limit - now, 0) if limit else now) // FPS
    text = f"{seconds // 60}:{seconds % 60:02d}"
    urgent = limit and seconds < 10
    out.write(text, camera.width / 2, 42, 34, VERMILLION if urgent else WHITE, "center")
    out.write(f"frame {now}", camera.width - 14, 24, 13, PAPER, "right")


def _tag_places(camera: Camera, frame: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Over the heads of the living, and where their tags stand: in the picture, and not on each other."""
    margin, places = 26.0, {}
    for index, player in enumerate(frame["players"]):
        if family_of(int(player["action_state"])) is not Family.DEAD:
            head = camera.project(np.array([int(player["x"]) / 1024, int(player["y"]) / 1024 + 18.5]))
            low = (camera.width - margin, camera.height - 110)
            places[index] = head, np.clip(head, (margin, margin + 30), low)
    if len(places) == 2:
        left, right = sorted((at for _, at in places.values()), key=lambda at: float(at[0]))
        gap = np.abs(right - left)
        if (gap < _TAG).all():
            left[0] -= (_TAG[0] - gap[0]) / 2
            right[0] += (_TAG[0] - gap[0]) / 2
    return places


def _tag(out: Drawing, index: int, head: np.ndarray, at: np.ndarray) -> None:
    """A tag above the head, or at the border, with an arrow, if the player is out of the picture."""
    livery = LIVERIES[index % len(LIVERIES)]
    tip = at + (0, 8)
    out.polygon([tip, tip + (-6, -9), tip + (6, -9)], livery.main)
    out.write(f"P{index + 1}", float(at[0]), float(at[1]) - 4, 15, livery.light, "center")
    away = head - at
    distance = float(np.hypot(*away))
    if distance > 24:
        heading = away / distance
        side = np.array([-heading[1], heading[0]])
        root = at + heading * 16
        out.polygon([root + heading * 14, root + side * 9, root - side * 9], livery.accent)
