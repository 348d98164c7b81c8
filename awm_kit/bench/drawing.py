"""What drawing a frame costs."""

from __future__ import annotations

from typing import Any

from awm_kit.bench.timing import best_seconds
from awm_kit.data.scuffle import generate
from awm_kit.play.painters import ImagePainter
from awm_kit.play.scene import HEIGHT, WIDTH, Scene


def measure_drawing(frames: int = 120) -> dict[str, Any]:
    """Milliseconds a frame to compose the picture, and to paint it as an image (GIFs, stills).

    Composing runs in the play loop 60 times a second, and so should stay far below 16.7 ms.

    Returns
    -------
    dict
        ``compose_ms``, ``image_ms``, ``polygons`` (of the last frame).
    """
    (game,) = generate([3], frames + 1)
    scene = Scene()
    compose = best_seconds(lambda: [scene.compose(frame) for frame in game.frames], 3) / game.n_frames
    layers = scene.compose(game.frames[-1])
    painter = ImagePainter(WIDTH, HEIGHT)
    painter.paint(scene.backdrop() | layers)
    return {
        "compose_ms": round(1e3 * compose, 3),
        "image_ms": round(1e3 * best_seconds(lambda: painter.image, 3), 3),
        "polygons": sum(len(layer.polygons) for layer in layers.values()),
    }
