"""What is written on a picture, and where."""

from __future__ import annotations

import numpy as np
import pytest

from awm_kit.action_states import id_of
from awm_kit.data.scuffle import initial_frame
from awm_kit.play.draw_hud import BANNER_REACH, draw_banner
from awm_kit.play.drawing import Drawing
from awm_kit.play.scenes import make_scene
from awm_kit.schema import FIGHTER, STATUS_DECIDED

HEIGHT = 540


def banner_height(out: Drawing, text: str) -> float:
    """Where the middle of the large print is, pixels from above."""
    return next(item.y for item in out.texts if item.text == text)


@pytest.mark.parametrize("y", [-20, 0, 25, 60, 100])
def test_the_result_hides_nothing_of_the_winner(y: int) -> None:
    frame = np.array(initial_frame(1))
    frame["status"] = STATUS_DECIDED
    players = frame["players"]
    players["stocks"], players["action_state"][1] = (1, 0), id_of("DeadDown")
    players["x"][0], players["y"][0] = 10 * 1024, y * 1024
    scene = make_scene(FIGHTER.name)
    captions = scene.compose(frame)["fighters"]
    ends = scene.camera.project(np.array([[10, y + 18.5], [10, y]]))[:, 1]
    at = banner_height(captions, "P1 WINS")
    assert at + BANNER_REACH[1] <= ends[0] or at - BANNER_REACH[0] >= ends[1]


def test_a_banner_stands_high_unless_somebody_is_there() -> None:
    heights = []
    for bodies in ([], [(0.0, 500.0)], [(90.0, 140.0)], [(90.0, 300.0)]):
        out = Drawing()
        draw_banner(out, "DRAW", 960, HEIGHT, bodies)
        heights.append(banner_height(out, "DRAW"))
    high, everywhere, there, deep = heights
    assert high < HEIGHT / 3 and everywhere == high
    assert high < there < deep
