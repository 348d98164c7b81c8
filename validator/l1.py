"""An L1 for development: LiteSVM behind Solana's JSON-RPC (HTTP) and PubSub (WebSocket, port + 1).

    python -m validator.l1 --port 8899 --slot-ms 400 --program KEY=file.so --account FILE.json --dumps DIR

It answers the methods that awm-kit, wallets and the MagicBlock rollup use; others get error -32601.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from aiohttp import WSMsgType, web
from solders.account import Account
from solders.pubkey import Pubkey

from awm_kit.chain.accounts import PROGRAM_ID
from awm_kit.chain.embedded import program_image
from validator.l1_chain import Chain, Json, account_json, load_account, load_dumps


class Subscriptions:
    """PubSub: who wants to hear of which account, signature or slot."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.wanted: dict[int, tuple[web.WebSocketResponse, str, list[Json], Json]] = {}
        self.count = 0

    def call(self, client: web.WebSocketResponse, request: Json) -> Json:
        """Subscribe or unsubscribe."""
        answer = {"jsonrpc": "2.0", "id": request.get("id")}
        method, params = request.get("method", ""), request.get("params") or []
        if method.endswith("Unsubscribe"):
            return answer | {"result": self.wanted.pop(params[0], None) is not None}
        if method not in ("accountSubscribe", "signatureSubscribe", "slotSubscribe", "programSubscribe"):
            return answer | {"error": {"code": -32601, "message": f"Method not found: {method}"}}
        self.count += 1
        seen = self.state(params) if method == "accountSubscribe" else None
        self.wanted[self.count] = (client, method, params, seen)
        return answer | {"result": self.count}

    def state(self, params: list[Json]) -> Json:
        config = params[1] if len(params) > 1 else None
        return account_json(self.chain.account(params[0]) or Account(0, b"", Pubkey.default()), config)

    async def push(self, new_slot: bool = False) -> None:
        """Send what changed; programSubscribe is acknowledged but never notified."""
        for number, (client, method, params, seen) in list(self.wanted.items()):
            if method == "accountSubscribe" and (now := self.state(params)) != seen:
                self.wanted[number] = (client, method, params, now)
                await self._notify(number, client, "account", self.chain.with_context(now))
            elif method == "signatureSubscribe" and (status := self.chain.statuses.get(params[0])):
                del self.wanted[number]
                await self._notify(
                    number, client, "signature", self.chain.with_context({"err": status["err"]})
                )
            elif method == "slotSubscribe" and new_slot:
                slot = self.chain.slot
                place = {"slot": slot, "parent": slot - 1, "root": max(slot - 32, 0)}
                await self._notify(number, client, "slot", place)

    async def _notify(self, number: int, client: web.WebSocketResponse, kind: str, result: Json) -> None:
        params = {"result": result, "subscription": number}
        try:
            await client.send_json({"jsonrpc": "2.0", "method": f"{kind}Notification", "params": params})
        except ConnectionError:
            self.wanted.pop(number, None)

    def forget(self, client: web.WebSocketResponse) -> None:
        """Drop all subscriptions of a closed connection."""
        self.wanted = {n: w for n, w in self.wanted.items() if w[0] is not client}


def application(chain: Chain) -> tuple[web.Application, Subscriptions]:
    """The web application: JSON-RPC as POST, PubSub as WebSocket, both at ``/``."""
    subscriptions = Subscriptions(chain)

    async def post(request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            error = {"code": -32700, "message": "Parse error"}
            return web.json_response({"jsonrpc": "2.0", "id": None, "error": error})
        answer = [chain.call(one) for one in body] if isinstance(body, list) else chain.call(body)
        response = web.json_response(answer)
        await subscriptions.push()
        return response

    async def pubsub(request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(max_msg_size=1 << 28)
        await connection.prepare(request)
        async for message in connection:
            if message.type is WSMsgType.TEXT:
                await connection.send_json(subscriptions.call(connection, message.json()))
                await subscriptions.push()
        subscriptions.forget(connection)
        return connection

    app = web.Application(client_max_size=1 << 28)
    app.router.add_post("/", post)
    app.router.add_get("/", pubsub)
    return app, subscriptions


async def serve(chain: Chain, port: int, slot_ms: int, ready: Callable[[], None] = lambda: None) -> None:
    """Serve on 127.0.0.1 at ``port`` (RPC) and ``port + 1`` (PubSub) until cancelled."""
    app, subscriptions = application(chain)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        for number in (port, port + 1):
            await web.TCPSite(runner, "127.0.0.1", number).start()
        ready()
        due = time.monotonic()
        while True:
            due = max(due + slot_ms / 1000, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            chain.next_slot()
            await subscriptions.push(new_slot=True)
    finally:
        await runner.cleanup()


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


async def serve_for_parent(chain: Chain, port: int, slot_ms: int) -> None:
    """Serve until standard input closes."""
    server = asyncio.ensure_future(serve(chain, port, slot_ms))
    await asyncio.wait([server, asyncio.ensure_future(until_stdin_closes())], return_when="FIRST_COMPLETED")
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
    parser.add_argument("--while-stdin", action="store_true", help="end when standard input closes")
    args = parser.parse_args()
    programs = {}
    for item in args.program:
        key, _, path = item.partition("=")
        programs[Pubkey.from_string(key)] = Path(path).read_bytes()
    chain = Chain({PROGRAM_ID: program_image(), **programs})
    for path in args.account:
        load_account(chain, path)
    for folder in args.dumps:
        load_dumps(chain, folder)
    print(f"L1 at http://127.0.0.1:{args.port}, PubSub at ws://127.0.0.1:{args.port + 1}", flush=True)
    run = serve_for_parent if args.while_stdin else serve
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(chain, args.port, args.slot_ms))


if __name__ == "__main__":
    main()
