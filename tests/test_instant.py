"""What Python lets a page do in instant mode, without a browser."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from awm_kit.data.bumper import BUMPER
from awm_kit.data.bumper.game import TABLE_RADIUS
from awm_kit.data.scuffle import FOX, initial_frame
from awm_kit.errors import InputBatchError
from awm_kit.play.app import play
from awm_kit.play.app_bar import FRIEND
from awm_kit.play.controllers import held
from awm_kit.play.engine import NativeEngine
from awm_kit.play.engines import make_engine
from awm_kit.play.instant import BATCH, HASH_EVERY, MAX_BATCH, MAX_BURST, Referee, hidden_state
from awm_kit.play.instant_app import InstantApp
from awm_kit.play.instant_view import InstantView
from awm_kit.play.match import Match
from awm_kit.play.web.export import page
from awm_kit.play.web.tables import page_tables
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_inputs, random_model
from awm_kit.schema import CONTROLLER_BYTES, FIGHTER, FRAME_BYTES, N_PLAYERS
from awm_kit.worlds import load_world

RECORD = N_PLAYERS * CONTROLLER_BYTES + FRAME_BYTES


@pytest.fixture(scope="module")
def cartridge() -> Cartridge:
    return pack(random_model(0, Shape(32, 2, 8, 8, 1), schema=replace(FIGHTER, end_field="")))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def batch(inputs: np.ndarray, first: int, client: int = 7, epoch: int = 1, count: int | None = None) -> bytes:
    """A batch of ``inputs``, numbered as the frames that they lead to."""
    header = np.zeros((), BATCH)
    header["client"], header["epoch"], header["first"] = client, epoch, first
    header["count"] = len(inputs) if count is None else count
    pads = inputs.copy()
    pads["sequence"] = first + np.arange(len(inputs))[:, None]
    return header.tobytes() + pads.tobytes()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def match(cartridge: Cartridge) -> Match:
    return Match(NativeEngine(cartridge, initial_frame(0)), [held([]), held(["left"])])


@pytest.fixture
def referee(match: Match, clock: Clock) -> Referee:
    return Referee(match, [0], 1, clock)


class TestReferee:
    def test_plays_the_page_s_controllers_and_its_own(
        self, referee: Referee, match: Match, cartridge: Cartridge, rng: np.random.Generator
    ) -> None:
        inputs = random_inputs(rng, 6)
        ruling = referee.judge(batch(inputs[:4], 1))
        assert ruling.first == 1 and len(ruling.records) == 4 * RECORD and ruling.state_hash == ""
        referee.judge(batch(inputs[4:], 5))
        played = match.replay()
        assert (played.inputs[1:, 0]["buttons"] == inputs[:, 0]["buttons"]).all()
        assert (played.inputs[1:, 1]["stick_x"] == -80).all(), "the opponent is not the page's to play"
        alone = NativeEngine(cartridge, initial_frame(0))
        for pads in played.inputs[1:]:
            alone.step(pads)
        assert alone.state_hash() == match.engine.state_hash()
        assert ruling.records[-FRAME_BYTES:] == played.frames[4].tobytes()

    def test_tells_a_hash_of_everything_now_and_then(
        self, referee: Referee, clock: Clock, match: Match, rng: np.random.Generator
    ) -> None:
        told = []
        for first in range(1, HASH_EVERY + 1, 4):
            clock.now += 4 / 60
            told.append(referee.judge(batch(random_inputs(rng, 4), first)).state_hash)
        assert told[-1] == match.engine.state_hash() and set(told[:-1]) == {""}

    @pytest.mark.parametrize("first", [0, 2, 100, 2**32 - 1])
    def test_refuses_frames_out_of_order(self, referee: Referee, first: int) -> None:
        with pytest.raises(InputBatchError, match=rf"expected frame 1 next \(got {first}"):
            referee.judge(batch(random_inputs(np.random.default_rng(0), 1), first))

    def test_refuses_the_same_frames_twice(self, referee: Referee, rng: np.random.Generator) -> None:
        message = batch(random_inputs(rng, 2), 1)
        referee.judge(message)
        with pytest.raises(InputBatchError, match="expected frame 3 next"):
            referee.judge(message)

    def test_refuses_wrong_numbers_inside(self, referee: Referee, rng: np.random.Generator) -> None:
        pads = bytearray(batch(random_inputs(rng, 2), 1))
        pads[-1] ^= 1
        with pytest.raises(InputBatchError, match="expected controllers of frames 1 to 2"):
            referee.judge(bytes(pads))

    def test_refuses_another_beginning(self, referee: Referee, rng: np.random.Generator) -> None:
        with pytest.raises(InputBatchError, match=r"expected beginning 1 \(got 2"):
            referee.judge(batch(random_inputs(rng, 1), 1, epoch=2))

    def test_refuses_too_many(self, referee: Referee, rng: np.random.Generator) -> None:
        with pytest.raises(InputBatchError, match="at most 8"):
            referee.judge(batch(random_inputs(rng, MAX_BATCH + 1), 1))
        with pytest.raises(InputBatchError, match="expected 3 frames"):
            referee.judge(batch(random_inputs(rng, 2), 1, count=3))

    @pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 39, 41])
    def test_refuses_what_is_no_batch(self, referee: Referee, rng: np.random.Generator, size: int) -> None:
        with pytest.raises(InputBatchError, match="expected"):
            referee.judge(batch(random_inputs(rng, 2), 1)[:size])

    def test_refuses_more_frames_than_time(
        self, referee: Referee, clock: Clock, match: Match, rng: np.random.Generator
    ) -> None:
        while match.n_frames < MAX_BURST:
            referee.judge(batch(random_inputs(rng, 1), match.n_frames + 1))
        late = batch(random_inputs(rng, 6), match.n_frames + 1)
        with pytest.raises(InputBatchError, match="more than time has passed"):
            referee.judge(late)
        clock.now += 0.1
        referee.judge(late)
        clock.now += 3600.0  # a pause saves nothing up
        with pytest.raises(InputBatchError, match="more than time has passed"):
            for _ in range(MAX_BURST + 1):
                referee.judge(batch(random_inputs(rng, 1), match.n_frames + 1))
        assert match.n_frames == 2 * MAX_BURST + 6

    def test_rules_the_same_on_chain(self, cartridge: Cartridge, rng: np.random.Generator) -> None:
        inputs = random_inputs(rng, 4)
        rulings = []
        for name in ("native", "chain"):
            match = Match(make_engine(name, cartridge, initial_frame(0)), [held([]), held(["left"])])
            rulings.append(Referee(match, [0, 1], 1).judge(batch(inputs, 1)))
        assert rulings[0] == rulings[1] and len(rulings[0].records) == 4 * RECORD

    def test_nothing_of_a_refused_batch_is_played(self, referee: Referee, match: Match) -> None:
        before = match.engine.state_hash()
        self.test_refuses_wrong_numbers_inside(referee, np.random.default_rng(0))
        assert match.n_frames == 0 and match.engine.state_hash() == before


class TestHiddenState:
    def test_is_the_same_natively_and_on_chain(self, cartridge: Cartridge, rng: np.random.Generator) -> None:
        engines = [make_engine(name, cartridge, initial_frame(0)) for name in ("native", "chain")]
        for pads in random_inputs(rng, 3):
            for engine in engines:
                engine.step(pads)
        assert hidden_state(engines[0]) == hidden_state(engines[1]) != bytes(len(hidden_state(engines[0])))

    def test_the_teacher_has_none(self, cartridge: Cartridge) -> None:
        with pytest.raises(ValueError, match="expected an engine that plays a world"):
            hidden_state(make_engine("teacher", cartridge, initial_frame(0, characters=(FOX, FOX))))


class Told:
    """What a view would send to its pages."""

    def __init__(self, view: InstantView, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        monkeypatch.setattr(view, "send", lambda content, buffers=(): self.sent.append((content, buffers)))

    def of(self, kind: str) -> list[tuple[dict[str, Any], list[bytes]]]:
        return [(content, buffers) for content, buffers in self.sent if kind in content]


@pytest.fixture
def app(cartridge: Cartridge) -> InstantApp:
    app = play(cartridge, opponent="novice", instant=True)
    assert isinstance(app, InstantApp)
    return app


class TestView:
    def test_a_page_gets_world_and_frame_then_answers(
        self, app: InstantApp, cartridge: Cartridge, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
    ) -> None:
        view, told = app.view, Told(app.view, monkeypatch)
        view._receive(None, {"hello": 7}, [])
        view._receive(None, {"take": 7}, [])
        view.settle()
        ((world, parts),), ((begin, (frame, state)),) = told.of("world"), told.of("begin")
        assert world["world"] == cartridge.world_hash and parts[2:] == list(cartridge.shards)
        assert begin["number"] == 0 and begin["players"] == (0,)
        assert frame == app.match.frame.tobytes() and state == hidden_state(app.match.engine)
        view._receive(None, {"batch": 1}, [batch(random_inputs(rng, 3), 1, epoch=begin["begin"])])
        view.settle()
        ((confirm, (records,)),) = told.of("confirm")
        assert confirm == {"confirm": begin["begin"], "first": 1, "hash": ""} and len(records) == 3 * RECORD
        assert app.match.n_frames == 3 and view.refused == []

    def test_only_the_page_that_steers_is_heard(
        self, app: InstantApp, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
    ) -> None:
        view, told = app.view, Told(app.view, monkeypatch)
        view._receive(None, {"take": 7}, [])
        view._receive(None, {"batch": 1}, [batch(random_inputs(rng, 1), 1, client=8, epoch=view._epoch)])
        view.settle()
        assert told.sent == [] and app.match.n_frames == 0 and view.refused == []

    def test_a_refused_page_begins_anew(
        self, app: InstantApp, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
    ) -> None:
        view, told, epoch = app.view, Told(app.view, monkeypatch), app.view._epoch
        view._receive(None, {"take": 7}, [])
        for first in (5, 1):  # what is under way when it is refused is not judged any more
            view._receive(None, {"batch": 1}, [batch(random_inputs(rng, 1), first, epoch=epoch)])
        view.settle()
        assert len(view.refused) == 1 and app.match.n_frames == 0
        assert [content["begin"] for content, _ in told.of("begin")] == [epoch + 1]

    def test_an_engine_that_fails_stops_the_match(self, app: InstantApp, rng: np.random.Generator) -> None:
        app.view._receive(None, {"take": 7}, [])
        app.match.controllers[1] = lambda frame: 1 / 0
        app.view.running = True
        app.view._receive(None, {"batch": 1}, [batch(random_inputs(rng, 1), 1, epoch=app.view._epoch)])
        app.view.settle()
        assert not app.view.running and "ZeroDivisionError" in app._status.value


class TestApp:
    def test_runs_after_the_countdown_until_paused(self, app: InstantApp) -> None:
        app.start()
        app.loop.stop()
        assert not app.view.running
        for _ in range(100):
            app._tick()
        assert app.view.running and app.match.n_frames == 0
        app.pause()
        assert not app.view.running and app.view.banner == "PAUSED"

    def test_a_friend_sits_at_the_page_too(self, app: InstantApp) -> None:
        app.bar.opponent.value = FRIEND
        assert app.view._referee is not None and app.view._referee.people == (0, 1)

    def test_the_teacher_is_not_offered(self, app: InstantApp, cartridge: Cartridge) -> None:
        assert "teacher" not in [name for _, name in app.bar.engine.options]
        with pytest.raises(ValueError, match="expected an engine that plays a world"):
            play(cartridge, engine="teacher", instant=True)


def test_pages_know_what_they_draw() -> None:
    fighters, carts = page_tables(), page_tables(BUMPER)
    assert "table" not in fighters and carts["table"]["radius"] == TABLE_RADIUS
    assert [field["name"] for field in carts["schema"]["player"]][:2] == ["x", "y"]
    assert play("bumper", instant=True).view.cartridge.manifest.schema.name == BUMPER.name
    assert "two heavy carts" in page(load_world("bumper"))
