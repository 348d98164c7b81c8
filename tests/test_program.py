"""The world program, from a world's upload to its retirement. What it refuses: test_program_checks.py."""

import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from onchain import Chain, Match, World, controllers, keypair, tiny_cartridge, tiny_model

from awm_kit.chain import accounts as A
from awm_kit.chain import instructions as I
from awm_kit.chain.inputlog import decode, encode
from awm_kit.chain.sbf.build import PROGRAM, compile_object
from awm_kit.kernel import NativeWorld
from awm_kit.quant import reference
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_model
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME

HEADER = (PROGRAM / "world_model.h").read_text()


@pytest.fixture
def match() -> Match:
    return Match(World(Chain(), tiny_cartridge()).upload().finalise()).begin()


def chain_hash(world_hash: bytes, frames: list[np.ndarray], inputs: np.ndarray) -> bytes:
    """The hash chain, from its definition."""
    value = hashlib.sha256(b"awm-chain-1" + world_hash + frames[0].tobytes()).digest()
    for frame, pads in zip(frames[1:], inputs, strict=True):
        physical = b"".join(p.tobytes()[:8] for p in pads)
        value = hashlib.sha256(value + frame.tobytes() + physical).digest()
    return value


def play(match: Match, inputs: np.ndarray) -> list[np.ndarray]:
    """Run frames, holding each to the NumPy reference; returns all frames from frame 0 on."""
    model = tiny_model()
    frames, state = [match.frame()], reference.initial_state(model)
    for pads in inputs:
        for player in range(2):
            match.submit(player, pads[player])
        units = match.run_frame()
        assert max(units) <= 1_400_000
        frames.append(reference.step(model, state, frames[-1], pads))
        assert match.frame().tobytes() == frames[-1].tobytes()
        assert match.state() == state.tobytes()
    return frames


def test_a_world_s_accounts_hold_the_cartridge():
    world = World(Chain(), tiny_cartridge()).upload().finalise()
    contents = [world.cartridge.manifest_bytes, *world.cartridge.shards]
    for key, content in zip([world.manifest, *world.shards], contents, strict=True):
        data = world.chain.data(key)
        header = A.parse(data, A.CONTENT_HEADER)
        assert A.content_of(data) == content
        assert header["state"] == A.ContentState.FROZEN
        assert header["sha256"].tobytes() == hashlib.sha256(content).digest()
        assert A.key_of(header, "authority") == world.authority.pubkey()
    for i, key in enumerate(world.shards):
        header = A.parse(world.chain.data(key), A.CONTENT_HEADER)
        assert header["index"] == i
        assert A.key_of(header, "link") == world.manifest


def test_an_interrupted_upload_goes_on_where_it_stopped():
    chain, cartridge = Chain(), tiny_cartridge()
    first = World(chain, cartridge)
    first.init_manifest()
    first.init_shard(0)
    first.write(first.shards[0], cartridge.shards[0][:2000])
    again = World(chain, cartridge)
    assert A.content_of(chain.data(again.shards[0]))[:2000] == cartridge.shards[0][:2000]
    again.write(again.manifest, cartridge.manifest_bytes)
    again.write(again.shards[0], cartridge.shards[0])
    again.init_shard(1)
    again.write(again.shards[1], cartridge.shards[1])
    again.finalise()


def test_fork_names_its_parent():
    chain = Chain()
    parent = World(chain, tiny_cartridge())
    size, owner = len(tiny_cartridge(1).manifest_bytes), keypair("authority").pubkey()
    fork = World(chain, tiny_cartridge(1))
    seed = A.manifest_seed(fork.hash.hex())
    create = I.create_content(owner, fork.manifest, seed, size, chain.rent(128 + size))
    chain.svm.airdrop(owner, 10**12)
    fork.send(create, I.init_manifest(fork.manifest, owner, size, parent.manifest))
    header = A.parse(chain.data(fork.manifest), A.CONTENT_HEADER)
    assert A.key_of(header, "link") == parent.manifest


def test_whole_match(match: Match):
    inputs = controllers(24)
    inputs[8:12] = inputs[7]  # held, so that some frames log nothing
    inputs["sequence"] = 1 + np.arange(24)[:, None]
    frames = play(match, inputs)
    assert len(match.segments) > 2, "the frame is meant to take several transactions"

    session = match.session()
    assert session["phase"] == A.Phase.ACTIVE
    assert session["winner"] == A.Winner.NONE_YET
    assert session["chain"].tobytes() == chain_hash(match.world.hash, frames, inputs)
    entries = A.entries_of(match.chain.data(match.keys.log))
    assert entries == encode(inputs)
    physical = inputs.copy()
    physical["sequence"] = 0
    assert (decode(entries, len(inputs)) == physical).all()

    match.end(match.players[1])
    match.record()
    result = A.parse(match.chain.data(match.keys.result), A.MATCH_RESULT)
    last = frames[-1]
    assert result["winner"] == A.Winner.PLAYER_0
    assert result["reason"] == A.EndReason.PLAYER_1_QUIT
    assert (result["frames"], result["seed"], result["stage"]) == (24, 12, 32)
    assert result["time"] == 1_800_000_000 + match.chain.slot
    assert A.key_of(result, "world") == match.world.manifest
    assert [w.tobytes() for w in result["wallets"]] == [bytes(w.pubkey()) for w in (match.host, match.guest)]
    assert result["chain"].tobytes() == session["chain"].tobytes()
    assert result["state_hash"].tobytes().hex() == reference.state_hash(last, match.state())
    replay = frames[0].tobytes() + entries
    assert A.replay_of(match.chain.data(match.keys.log)) == replay
    assert result["log_hash"].tobytes() == hashlib.sha256(replay).digest()
    assert result["log_len"] == len(entries)
    for name in ("stocks", "percent"):
        assert result[name].tolist() == last["players"][name].tolist()
    assert result["characters"].tolist() == last["players"]["character"].tolist()

    rent = sum(match.chain.lamports(k) for k in closing(match))
    before = match.chain.lamports(match.host.pubkey())
    match.close()
    assert match.chain.lamports(match.host.pubkey()) == before + rent
    assert [match.chain.data(k) for k in closing(match)] == [b""] * 4
    assert len(match.chain.data(match.keys.result)) == 256


def closing(match: Match) -> list:
    return [match.keys.session, match.keys.input, match.keys.hidden, match.keys.log]


def test_any_first_frame_and_any_controllers(match: Match):
    """What no game would send: every byte of both players, and of the controllers, is anything at all."""
    world, dice = NativeWorld(tiny_cartridge()), np.random.default_rng(8)
    for number in range(10):
        hostile = Match(match.world, session_id=100 + number)
        hostile.first_frame = np.frombuffer(dice.bytes(80), FRAME)[0, ...].copy()
        for name in ("frame", "status", "time_limit"):
            hostile.first_frame[name] = 0
        hostile.begin()
        state, frame = world.initial_state(), hostile.frame()
        for sequence in (1, 2):
            pads = np.frombuffer(dice.bytes(24), CONTROLLER).copy()
            pads["sequence"] = sequence
            for player in range(2):
                hostile.submit(player, pads[player])
            hostile.run_frame()
            frame = world.step(state, frame, pads)
            assert hostile.frame().tobytes() == frame.tobytes()
            assert hostile.state() == state.tobytes()


def test_inputs_are_latched_when_a_frame_begins(match: Match):
    model, inputs = tiny_model(), controllers(3)
    for player in range(2):
        match.submit(player, inputs[0, player])
    match.chain.next_slot()
    match.run_segment(0)
    for player in range(2):
        match.submit(player, inputs[1, player])
    before = match.frame()
    for segment in range(1, len(match.segments)):
        assert match.frame().tobytes() == before.tobytes(), "published before the frame was complete"
        match.run_segment(segment)
    state = reference.initial_state(model)
    first = reference.step(model, state, before, inputs[0])
    assert match.frame().tobytes() == first.tobytes()
    match.run_frame()
    assert match.frame().tobytes() == reference.step(model, state, first, inputs[1]).tobytes()


def test_an_input_stays_until_the_next_one(match: Match):
    model, pads = tiny_model(), controllers(1)[0]
    for player in range(2):
        match.submit(player, pads[player])
    frame, state = match.frame(), reference.initial_state(model)
    for _ in range(3):
        match.run_frame()
        frame = reference.step(model, state, frame, pads)
    assert match.frame().tobytes() == frame.tobytes()


def test_characters_are_picked_before_the_match():
    match = Match(World(Chain(), tiny_cartridge()).upload().finalise()).create().grow()
    pick = I.pick_character(match.keys, match.players[0].pubkey(), 0, 9)
    match.chain.send(pick, signers=[match.players[0]])
    match.join(character=21)
    assert match.frame()["players"]["character"].tolist() == [9, 21]
    match.ready(1)
    pick = I.pick_character(match.keys, match.players[1].pubkey(), 1, 4)
    match.chain.send(pick, signers=[match.players[1]])
    match.ready(0)
    assert match.frame()["players"]["character"].tolist() == [9, 4]
    assert match.session()["chain"].tobytes() == chain_hash(match.world.hash, [match.frame()], [])


def leader(frame: np.ndarray) -> int:
    """More stocks, then less damage, else a draw."""
    worth = [(int(p["stocks"]), -int(p["percent"])) for p in frame["players"]]
    return 2 if worth[0] == worth[1] else worth.index(max(worth))


def test_knock_out_decides():
    match, model = (
        Match(World(Chain(), tiny_cartridge(endless=False)).upload().finalise()),
        tiny_model(endless=False),
    )
    match.begin()
    frame, state = match.frame(), reference.initial_state(model)
    while match.frame()["status"] == 0:
        match.run_frame()
        frame = reference.step(model, state, frame, np.zeros(2, CONTROLLER))
    assert match.frame().tobytes() == frame.tobytes()
    assert match.session()["winner"] == leader(match.frame())
    match.end(match.players[0])  # decided: ending it is no forfeit
    assert match.session()["winner"] == leader(match.frame())
    assert match.hidden()["reason"] == A.EndReason.DECIDED


def test_time_runs_out():
    match = Match(World(Chain(), tiny_cartridge()).upload().finalise())
    match.first_frame["time_limit"] = 2
    match.begin()
    match.run_frame()
    assert match.frame()["status"] == 0
    match.run_frame()
    assert match.frame()["status"] == 2
    assert match.session()["winner"] == leader(match.frame())
    match.end(match.crank)
    assert match.hidden()["reason"] == A.EndReason.TIMEOUT


@pytest.mark.parametrize(
    ("stocks", "percent", "winner"),
    [
        ((3, 2), (640, 0), 0),
        ((1, 2), (0, 640), 1),
        ((2, 2), (64, 65), 0),
        ((2, 2), (9, 8), 1),
        ((4, 4), (7, 7), 2),
    ],
)
def test_a_full_log_ends_the_match_for_the_leader(match, stocks, percent, winner):
    data = bytearray(match.chain.data(match.keys.session))
    frame = np.frombuffer(data, FRAME, 1, A.SESSION_STATE.fields["frame"][1])
    frame["players"]["stocks"], frame["players"]["percent"] = stocks, percent
    match.chain.put(match.keys.session, bytes(data))
    fill_log(match)
    match.end(match.crank)
    assert match.session()["winner"] == winner == leader(match.frame())
    assert match.hidden()["reason"] == A.EndReason.LOG_FULL


def fill_log(match: Match) -> None:
    """Leave one byte less than what the worst frame may write."""
    data = bytearray(match.chain.data(match.keys.log))
    header = np.frombuffer(data, A.LOG_HEADER, 1)
    header["used"] = header["capacity"] - 19
    match.chain.put(match.keys.log, bytes(data))


def test_the_crank_that_stops_early_makes_a_draw(match: Match):
    match.run_frame()
    match.end(match.crank)
    assert match.session()["winner"] == A.Winner.DRAW
    assert match.hidden()["reason"] == A.EndReason.STOPPED


def test_quitting_in_mid_frame_leaves_no_state_hash(match: Match):
    match.run_frame()
    match.chain.next_slot()
    match.run_segment(0)
    match.end(match.players[0])
    assert match.session()["winner"] == A.Winner.PLAYER_1
    assert match.hidden()["state_hash"].tobytes() == bytes(32)
    match.record()
    assert A.parse(match.chain.data(match.keys.result), A.MATCH_RESULT)["frames"] == 1


def test_a_match_nobody_joined_can_be_closed():
    match = Match(World(Chain(), tiny_cartridge()).upload().finalise())
    before = match.chain.lamports(match.host.pubkey())
    match.create()
    match.close()
    assert match.chain.lamports(match.host.pubkey()) == before


def test_an_address_with_lamports_on_it_can_be_taken():
    """Sending somebody's future account a lamport must not keep them from creating it."""
    match = Match(World(Chain(), tiny_cartridge()).upload().finalise())
    for key in (*closing(match), match.keys.result):
        match.chain.svm.airdrop(key, 1_000_000)
    match.begin().end(match.crank)
    match.record()
    match.close()


def test_long_gaps_are_logged():
    """Gaps of 126, 127 and 300 frames between two changes; the frames between cost nothing in the log."""
    match = Match(World(Chain(), tiny_cartridge()).upload().finalise()).begin()
    inputs = np.repeat(controllers(4), [126, 127, 300, 1], axis=0)
    inputs["sequence"] = 1 + np.arange(len(inputs))[:, None]
    data = bytearray(match.chain.data(match.keys.session))
    frame = np.frombuffer(data, FRAME, 1, A.SESSION_STATE.fields["frame"][1])
    changes = [0, 126, 253, 553]
    for at in changes:
        frame["frame"] = at
        match.chain.put(match.keys.session, bytes(data))
        for player in range(2):
            match.submit(player, inputs[at, player])
        match.run_frame()
    assert A.entries_of(match.chain.data(match.keys.log)) == encode(inputs)


def test_retiring_gives_the_rent_back():
    world = World(Chain(), tiny_cartridge()).upload().finalise()
    recipient = keypair("recipient").pubkey()
    targets = [world.manifest, *world.shards]
    rent = sum(map(world.chain.lamports, targets))
    for target in targets:
        world.send(I.retire(target, world.authority.pubkey(), recipient))
    assert world.chain.lamports(recipient) == rent
    assert [world.chain.data(t) for t in targets] == [b""] * len(targets)


def test_a_frame_that_fits_one_transaction():
    model = random_model(
        5, Shape(d_model=16, nheads=1, headdim=8, d_state=4, n_layers=1, n_views=1), n_classes=4
    )
    cartridge = pack(replace(model, schema=replace(FIGHTER, end_field="")))
    match = Match(World(Chain(), cartridge).upload().finalise()).begin()
    assert len(match.segments) == 1
    match.run_frame()
    state = reference.initial_state(model)
    frame = reference.step(model, state, match.first_frame, np.zeros(2, CONTROLLER))
    assert match.frame()["players"].tobytes() == frame["players"].tobytes()
    assert match.state() == state.tobytes()


# One description in three places: C, the IDL, the schema.


def test_error_codes_agree():
    enum = re.search(r"enum wm_error \{(.*?)\};", HEADER, re.S).group(1)
    in_c = {int(code): name for name, code in re.findall(r"WM_(\w+) = (\d+)", enum)}
    assert in_c.pop(A.KERNEL_ERRORS) == "KERNEL"
    snake = {code: re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() for code, name in A.ERROR_NAMES.items()}
    assert in_c == snake


def test_instruction_tags_agree():
    enum = re.search(r"enum wm_instruction \{(.*?)\};", HEADER, re.S).group(1)
    in_c = {name.lower(): int(tag) for name, tag in re.findall(r"WM_(\w+) = (\d+)", enum)}
    assert in_c == {i["name"]: i["discriminator"][0] for i in A.IDL["instructions"]}


C_NAMES = {
    "Content": "wm_content",
    "SessionState": "wm_session",
    "InputBuffer": "wm_input",
    "HiddenState": "wm_hidden",
    "InputLog": "wm_log",
    "MatchResult": "wm_result",
}


@pytest.mark.parametrize("name", C_NAMES)
def test_struct_offsets_agree(tmp_path, name):
    """The compiler itself compares the C structs with the record types."""
    record = A.record_type(name)
    struct = f"struct {C_NAMES[name]}"
    lines = [f'_Static_assert(sizeof({struct}) == {record.itemsize}, "size");']
    for field in record.names:
        offset, size = record.fields[field][1], record.fields[field][0].itemsize
        lines.append(f'_Static_assert(offsetof({struct}, {field}) == {offset}, "{field}");')
        lines.append(f'_Static_assert(sizeof((({struct} *)0)->{field}) == {size}, "{field}");')
    source = tmp_path / "offsets.c"
    source.write_text('#include "world_model.h"\n' + "\n".join(lines))
    compile_object(source)


def test_idl_s_frame_and_controller_are_the_schema_s():
    for name, record in (("Frame", FRAME), ("Controller", CONTROLLER), ("Player", FIGHTER.player_dtype)):
        described = A.record_type(name)
        assert described.itemsize == record.itemsize
        for field in record.names:
            assert described.fields[field] == record.fields[field]


def test_accounts_md_names_every_error_and_instruction():
    text = (PROGRAM / "ACCOUNTS.md").read_text()
    missing = [
        f"{code} | {name}" for code, name in A.ERROR_NAMES.items() if f"| {code} | {name} |" not in text
    ]
    missing += [i["name"] for i in A.IDL["instructions"] if f"`{i['name']}`" not in text]
    assert not missing


def test_idl_is_plain_json():
    assert json.loads(json.dumps(A.IDL)) == A.IDL
