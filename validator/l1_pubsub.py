"""PubSub of the development L1: who wants to hear of which account, program, signature, log, slot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from validator.l1_chain import Chain
from validator.l1_json import Json, account_filter, account_json

TRANSPORT = web.ResponseKey("transport", asyncio.Transport)  # of a connection; `validator.l1` notes it
SEND_SECONDS = 2.0  # after which a client that does not read is dropped, lest all others wait for it
KINDS = ("account", "program", "signature", "logs", "slot", "root")


@dataclass
class Wish:
    """One subscription: to what ``kind`` of news, about ``subject``, and what was ``told`` last."""

    client: web.WebSocketResponse
    kind: str
    subject: Json
    config: Json
    told: Json = None


class Subscriptions:
    """All subscriptions of all connections.

    A transaction marks the accounts that it may have written (`Chain.changed`); only those are looked at.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.wishes: dict[int, Wish] = {}
        self.count = 0

    def call(self, client: web.WebSocketResponse, request: Json) -> Json:
        """Subscribe or unsubscribe."""
        answer = {"jsonrpc": "2.0", "id": request.get("id") if isinstance(request, dict) else None}
        try:
            return answer | self._answer(client, request)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            return answer | {"error": {"code": -32602, "message": f"Invalid params: {error}"}}

    def _answer(self, client: web.WebSocketResponse, request: Json) -> Json:
        method, params = request.get("method", ""), request.get("params") or []
        kind, _, verb = method.partition("Subscribe") if "Subscribe" in method else method.partition("Unsub")
        if kind not in KINDS or verb not in ("", "scribe"):
            return {"error": {"code": -32601, "message": f"Method not found: {method}"}}
        if verb:
            return {"result": self.wishes.pop(params[0], None) is not None}
        config = params[1] if len(params) > 1 and params[1] else {}
        wish = Wish(client, kind, params[0] if params else None, config)
        # What is not understood is refused now: when there is news, it is too late to say so.
        if kind == "account":
            wish.told = self._account(wish.subject, config)
        if kind == "program":
            _tests(config)
        if kind in ("account", "program"):
            account_json(Account(0, b"", Pubkey.from_string(wish.subject)), config)
        if kind == "logs":
            _mentioned(wish.subject)
        if kind == "signature":
            Signature.from_string(wish.subject)
        self.count += 1
        self.wishes[self.count] = wish
        return {"result": self.count}

    async def push(self, new_slot: bool = False) -> None:
        """Tell everybody what changed since the last time."""
        changed, landed = {str(key) for key in self.chain.changed}, list(self.chain.landed)
        self.chain.changed.clear()
        self.chain.landed.clear()
        for number, wish in list(self.wishes.items()):
            if wish.kind == "account" and wish.subject in changed:
                await self._push_account(number, wish)
            elif wish.kind == "program" and changed:
                await self._push_program(number, wish, changed)
            elif wish.kind == "signature" and (status := self.chain.statuses.get(wish.subject)):
                if self.wishes.pop(number, None):  # slot and request may both be telling
                    await self._notify(number, wish, self.chain.with_context({"err": status["err"]}))
            elif wish.kind == "logs":
                await self._push_logs(number, wish, landed)
            elif wish.kind in ("slot", "root") and new_slot:
                slot = self.chain.slot
                root = max(slot - 32, 0)
                place = {"slot": slot, "parent": slot - 1, "root": root}
                await self._notify(number, wish, place if wish.kind == "slot" else root)

    def forget(self, client: web.WebSocketResponse) -> None:
        """Drop all subscriptions of a closed connection."""
        self.wishes = {n: wish for n, wish in self.wishes.items() if wish.client is not client}

    def _account(self, key: str, config: Json) -> Json:
        return account_json(self.chain.account(key) or Account(0, b"", Pubkey.default()), config)

    async def _push_account(self, number: int, wish: Wish) -> None:
        now = self._account(wish.subject, wish.config)
        if now != wish.told:
            wish.told = now
            await self._notify(number, wish, self.chain.with_context(now))

    async def _push_program(self, number: int, wish: Wish, changed: set[str]) -> None:
        tests = _tests(wish.config)
        for key in changed:
            account = self.chain.account(key)
            if account and str(account.owner) == wish.subject and all(t(bytes(account.data)) for t in tests):
                shown = {"pubkey": key, "account": account_json(account, wish.config)}
                await self._notify(number, wish, self.chain.with_context(shown))

    async def _push_logs(self, number: int, wish: Wish, landed: list[str]) -> None:
        wanted = _mentioned(wish.subject)
        for signature in landed:
            found = self.chain.transactions[signature]
            if wanted is None or wanted & set(found["keys"]):
                meta = found["meta"]
                shown = {"signature": signature, "err": meta["err"], "logs": meta["logMessages"]}
                await self._notify(number, wish, self.chain.with_context(shown))

    async def _notify(self, number: int, wish: Wish, result: Json) -> None:
        params = {"result": result, "subscription": number}
        try:
            method = f"{wish.kind}Notification"
            async with asyncio.timeout(SEND_SECONDS):
                await wish.client.send_json({"jsonrpc": "2.0", "method": method, "params": params})
        except (ConnectionError, TimeoutError):
            self.forget(wish.client)
            wish.client[TRANSPORT].abort()


def _tests(config: Json) -> list[Callable[[bytes], bool]]:
    return [account_filter(spec) for spec in config.get("filters") or []]


def _mentioned(subject: Json) -> set[str] | None:
    """Accounts whose transactions a ``logsSubscribe`` is about; None for all."""
    if subject in ("all", "allWithVotes"):
        return None
    return {str(Pubkey.from_string(key)) for key in subject["mentions"]}
