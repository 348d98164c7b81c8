"""An L1 for development: LiteSVM behind Solana's JSON-RPC (HTTP) and PubSub (WebSocket, port + 1).

    python -m validator.l1 --port 8899 --state FILE --program KEY=file.so --account FILE.json --dumps FOLDER

It answers the methods that awm-kit, wallets and the MagicBlock rollup use; others get error -32601.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from aiohttp import WSMsgType, web
from solders.pubkey import Pubkey

from awm_kit.chain.accounts import PROGRAM_ID
from awm_kit.chain.embedded import program_image
from awm_kit.errors import ValidatorError
from validator.l1_chain import Chain, load_account, load_dumps
from validator.l1_pubsub import TRANSPORT, Subscriptions
from validator.l1_store import Store

SAVE_SECONDS = 1.0
PARSE_ERROR = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}


def application(chain: Chain) -> tuple[web.Application, Subscriptions]:
    """The web application: JSON-RPC as POST, PubSub as WebSocket, both at ``/``."""
    subscriptions = Subscriptions(chain)

    async def post(request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            return web.json_response(PARSE_ERROR)
        answer = [chain.call(one) for one in body] if isinstance(body, list) else chain.call(body)
        response = web.json_response(answer)
        await subscriptions.push()
        return response

    async def pubsub(request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(max_msg_size=1 << 28)
        if request.transport:
            connection[TRANSPORT] = request.transport
        await connection.prepare(request)
        async for message in connection:
            if message.type is WSMsgType.TEXT:
                try:
                    answer = subscriptions.call(connection, message.json())
                except ValueError:
                    answer = PARSE_ERROR
                await connection.send_json(answer)
                await subscriptions.push()
        subscriptions.forget(connection)
        return connection

    app = web.Application(client_max_size=1 << 28)
    app.router.add_post("/", post)
    app.router.add_get("/", pubsub)
    return app, subscriptions


async def serve(chain: Chain, port: int, slot_ms: int, ready: Callable[[], None] = lambda: None) -> None:
    """Serve on 127.0.0.1 at ``port`` (RPC) and ``port + 1`` (PubSub) until cancelled."""
    chain.port = port
    app, subscriptions = application(chain)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        for number in (port, port + 1):
            await web.TCPSite(runner, "127.0.0.1", number).start()
        ready()
        due = saved = time.monotonic()
        while True:
            due = max(due + slot_ms / 1000, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            chain.next_slot()
            await subscriptions.push(new_slot=True)
            if due - saved > SAVE_SECONDS:
                chain.save()
                saved = due
    finally:
        await runner.cleanup()
        chain.save()


def free_port() -> int:
    """A port that is free at this moment, and the next one too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port


@contextlib.contextmanager
def running(chain: Chain, port: int = 0, slot_ms: int = 400) -> Iterator[str]:
    """Serve from a thread while the block runs, by default on any free port; gives the RPC URL."""
    port = port or free_port()
    loop, up = asyncio.new_event_loop(), threading.Event()
    task = loop.create_task(serve(chain, port, slot_ms, up.set))
    task.add_done_callback(lambda _: loop.stop())
    thread = threading.Thread(target=loop.run_forever, name="awm-l1", daemon=True)
    thread.start()
    while not up.wait(0.05):
        if not thread.is_alive():
            task.result()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


async def until_stdin_closes() -> None:
    """Return when whoever holds the other end of standard input is gone."""
    closed = asyncio.Event()

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            closed.set()

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), read)
    await closed.wait()


async def serve_until_told(chain: Chain, port: int, slot_ms: int, while_stdin: bool) -> None:
    """Serve until SIGTERM or SIGINT, or until standard input closes."""
    server = asyncio.ensure_future(serve(chain, port, slot_ms))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.cancel)
    ends = [server, *([asyncio.ensure_future(until_stdin_closes())] if while_stdin else [])]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    server.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await server


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="validator.l1", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8899, help="RPC; PubSub listens on the next one")
    parser.add_argument("--slot-ms", type=int, default=400)
    parser.add_argument("--program", action="append", default=[], metavar="KEY=FILE")
    parser.add_argument("--account", action="append", default=[], type=Path, metavar="FILE")
    parser.add_argument(
        "--dumps", action="append", default=[], type=Path, metavar="FOLDER", help="*.so, *.json"
    )
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep the state there, and go on from it")
    parser.add_argument("--while-stdin", action="store_true", help="end when standard input closes")
    args = parser.parse_args()
    programs = {}
    for item in args.program:
        key, _, path = item.partition("=")
        programs[Pubkey.from_string(key)] = Path(path).read_bytes()
    try:
        chain = Chain({PROGRAM_ID: program_image(), **programs}, Store(args.state) if args.state else None)
    except ValidatorError as error:
        sys.exit(str(error))
    for path in args.account:
        load_account(chain, path)
    for folder in args.dumps:
        load_dumps(chain, folder)
    print(f"L1 at http://127.0.0.1:{args.port}, PubSub at ws://127.0.0.1:{args.port + 1}", flush=True)
    asyncio.run(serve_until_told(chain, args.port, args.slot_ms, args.while_stdin))


if __name__ == "__main__":
    main()
