"""Still pictures for cards, as SVG: a fighter or a cart, and a view of a world that tells it from others."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from awm_kit.data import bumper
from awm_kit.data.bumper.schema import DIRECTIONS
from awm_kit.data.bumper.schema import SCHEMA_NAME as BUMPER
from awm_kit.data.scuffle import FOX, MARTH, initial_frame
from awm_kit.play.bumper_scene import BumperScene
from awm_kit.play.camera import Camera
from awm_kit.play.draw_fighter import Figure, draw_fighter
from awm_kit.play.draw_stage import draw_sky, draw_stage
from awm_kit.play.drawing import Drawing
from awm_kit.play.palette import Color

CARD = 320, 120
FACE = 72
# Action states (Melee's numbers), how old, and how high over the floor, that look well standing still.
_POSES = ((14, 0, 0.0), (21, 6, 0.0), (25, 8, 7.0), (66, 9, 8.0), (60, 12, 0.0), (65, 6, 6.0), (20, 4, 0.0))
_STAGES = 31, 32


def svg(layers: Iterable[Drawing], width: int, height: int) -> str:
    """The polygons of some layers, the first at the back; texts are left out.

    Parameters
    ----------
    layers : iterable of Drawing
    width, height : int
        Of the picture in the drawings' pixels; what lies beyond is cut off.
    """
    shapes = [
        f'<path d="M{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}Z" fill="#{bytes(color).hex()}"'
        + (f' opacity="{alpha:.2f}"/>' if alpha < 1 else "/>")
        for layer in layers
        for points, color, alpha in zip(layer.polygons, layer.colors, layer.alphas, strict=True)
    ]
    return (
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="xMidYMid slice" aria-hidden="true">'
        f"{''.join(shapes)}</svg>"
    )


@lru_cache(maxsize=32)
def portrait(game: str, character: int, player: int) -> str:
    """One character in a player's colours, as SVG.

    Parameters
    ----------
    game : str
        Name of the world's schema.
    character : int
        As frames have it.
    player : int
        0 looks to the right, 1 to the left.
    """
    out = Drawing()
    if game == BUMPER:
        frame = bumper.initial_frame(0)
        cart = frame["players"][player]
        cart["x"] = cart["y"] = 0
        cart["heading"], cart["character"] = (0, DIRECTIONS // 2)[player], character
        scene = BumperScene(width=FACE, height=FACE)
        scene.scale = FACE / 7
        scene.draw_cart(out, cart, player, 1.0)
    else:
        camera = Camera(FACE, FACE, x=0.0, y=8.6, span=21.0)
        draw_fighter(out, camera, _figure(character, player, 14, 0, 0.0, 0.0))
    return svg([out], FACE, FACE)


@lru_cache(maxsize=64)
def postcard(game: str, digest: str) -> str:
    """A view of a world, as SVG: the light and who does what follow from its hash.

    Parameters
    ----------
    game : str
        Name of the world's schema.
    digest : str
        At least 32 hex digits.
    """
    width, height = CARD
    data = np.frombuffer(bytes.fromhex(digest[:32]), np.uint8).astype(int)
    sky, rest = Drawing(), Drawing()
    if game == BUMPER:
        scene = BumperScene(width=width, height=height)
        scene.scale = 4.2
        sky = scene.backdrop()["background"]
        frame = bumper.initial_frame(int(data[1]))
        frame["players"]["x"] = frame["players"]["x"] // 3
        frame["players"]["y"] = frame["players"]["y"] // 5
        for index in (0, 1):
            scene.draw_cart(rest, frame["players"][index], index, 1.0)
    else:
        camera = Camera(width, height, x=0.0, y=12.5, span=104.0)
        draw_sky(sky, width, height)
        draw_stage(rest, camera, _STAGES[data[1] % 2])
        for player, character, side in ((0, FOX, -1), (1, MARTH, 1)):
            pose = _POSES[data[2 + player] % len(_POSES)]
            x = side * (8 + data[4 + player] % 14)
            draw_fighter(rest, camera, _figure(character, player, *pose, float(x)))
    sky.colors = [_turned(color, data[0] / 256) for color in sky.colors]
    return svg([sky, rest], width, height)


def _figure(character: int, player: int, state: int, age: int, y: float, x: float) -> Figure:
    record = initial_frame(0, characters=(character, character))["players"][player]
    record["x"], record["y"] = round(x * 1024), round(y * 1024)
    record["facing"], record["action_state"], record["state_age"] = (1, -1)[player], state, age
    record["on_ground"] = y == 0
    return Figure.of(record, player)


def _turned(color: Color, turn: float) -> Color:
    """A colour of another hue, equally light."""
    hue, light, full = colorsys.rgb_to_hls(*(part / 255 for part in color))
    red, green, blue = colorsys.hls_to_rgb((hue + turn) % 1, light, full)
    return round(red * 255), round(green * 255), round(blue * 255)
