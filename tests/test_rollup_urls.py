"""Rollups that are not on this machine: behind TLS, below a path, with a validator of their own."""

from __future__ import annotations

import asyncio
import errno
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from awm_kit.chain import frame_stream
from awm_kit.chain.delegation import LOCAL_VALIDATOR
from awm_kit.chain.frame_stream import FrameStream
from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.rollup_post import Post
from awm_kit.chain.rpc import RpcLedger
from awm_kit.chain.rpc_node import pubsub_url
from awm_kit.errors import LedgerError
from awm_kit.play.places import open_place
from validator import l1, l1_chain
from validator.l1_cluster import IDENTITY


@pytest.mark.parametrize(
    ("url", "pubsub"),
    [
        ("http://127.0.0.1:8899", "ws://127.0.0.1:8900"),
        ("https://rollup.example", "wss://rollup.example"),
        ("https://rollup.example/v1?key=5", "wss://rollup.example/v1?key=5"),
        ("https://rollup.example:7799/v1", "wss://rollup.example:7800/v1"),
        ("http://[::1]:8899", "ws://[::1]:8900"),
        ("http://rollup.example/", "ws://rollup.example/"),
    ],
)
def test_where_the_websocket_of_a_url_is(url: str, pubsub: str) -> None:
    assert pubsub_url(url) == pubsub


def test_a_match_is_lent_to_the_validator_that_runs_the_rollup() -> None:
    """Lent to another one it would never come back, and its deposit with it."""
    with l1.running(l1_chain.Chain(), slot_ms=20) as below, l1.running(l1_chain.Chain(), slot_ms=20) as above:
        place = open_place(f"{below},{above}")
        assert str(place.validator) == IDENTITY != str(LOCAL_VALIDATOR)
        place.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate; it is not installed")
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-subj", "/CN=awm-kit test", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


@pytest.fixture
def url(certificate: tuple[Path, Path]) -> Iterator[str]:
    """A chain behind TLS at a path of its own: JSON-RPC there, PubSub there at the next port."""
    chain, port = l1_chain.Chain(), l1.free_port()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    up, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        app, subscriptions = l1.application(chain)
        outer = web.Application()
        outer.add_subapp("/v1", app)
        runner = web.AppRunner(outer)
        await runner.setup()
        for number in (port, port + 1):
            await web.TCPSite(runner, "127.0.0.1", number, ssl_context=context).start()
        up.set()
        try:
            while True:
                await asyncio.sleep(0.02)
                chain.next_slot()
                await subscriptions.push(new_slot=True)
        finally:
            await runner.cleanup()

    task = loop.create_task(serve())
    task.add_done_callback(lambda _: loop.stop())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    assert up.wait(20)
    yield f"https://127.0.0.1:{port}/v1/"
    loop.call_soon_threadsafe(task.cancel)
    thread.join()
    loop.close()


def test_a_rollup_behind_tls(
    url: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ledger, pipelined transactions and news: all three go to where the URL says, and check who is there."""
    post = Post(url)
    with pytest.raises(LedgerError, match="CERTIFICATE_VERIFY_FAILED"):
        post.post([])
        post.sign([], Keypair(), [], 1_000)
    with pytest.raises(LedgerError, match="WebSocket"):
        FrameStream(url, Pubkey.new_unique())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    ledger, payer, target = RpcLedger(url), Keypair(), Pubkey.new_unique()
    ledger.airdrop(payer.pubkey(), 10 * LAMPORTS_PER_SOL)
    stream = FrameStream(url, target)
    slot = stream.slot
    gift = TransferParams(from_pubkey=payer.pubkey(), to_pubkey=target, lamports=LAMPORTS_PER_SOL)
    post.post([post.sign([transfer(gift)], payer, [payer], 1_000 + i) for i in range(3)])
    assert post.collect()
    stream.wait_slot(slot, 5)
    assert stream.slot > slot
    assert ledger.balance(target) == 3 * LAMPORTS_PER_SOL
    assert stream.news >= 1
    stream.close()
    post.close()
    ledger.close()


def test_a_stream_whose_socket_is_gone_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket may be closed between a message's arrival and its reading; the match would stop."""

    def gone(_: socket.socket) -> bool:
        raise OSError(errno.EBADF, "Bad file descriptor")

    with l1.running(l1_chain.Chain(), slot_ms=20) as url:
        stream = FrameStream(url, Pubkey.new_unique())
        assert not stream.over
        monkeypatch.setattr(frame_stream, "acknowledge_at_once", gone)
        stream.wait_slot(1 << 62, 20)
        assert stream.over
        stream.close()
