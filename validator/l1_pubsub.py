"""PubSub of the development L1: who wants to hear of which account, program, signature, log, slot."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from solders.account import Account
from solders.pubkey import Pubkey

from validator.l1_chain import Chain
from validator.l1_json import Json, account_filter, account_json

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
        answer = {"jsonrpc": "2.0", "id": request.get("id")}
        method, params = request.get("method", ""), request.get("params") or []
        kind, _, verb = method.partition("Subscribe") if "Subscribe" in method else method.partition("Unsub")
        if kind not in KINDS or verb not in ("", "scribe"):
            return answer | {"error": {"code": -32601, "message": f"Method not found: {method}"}}
        if verb:
            return answer | {"result": self.wishes.pop(params[0], None) is not None}
        config = params[1] if len(params) > 1 and params[1] else {}
        wish = Wish(client, kind, params[0] if params else None, config)
        if kind == "account":
            wish.told = self._account(wish.subject, config)
        self.count += 1
        self.wishes[self.count] = wish
        return answer | {"result": self.count}

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
                del self.wishes[number]
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
        tests = [account_filter(f) for f in wish.config.get("filters") or []]
        for key in changed:
            account = self.chain.account(key)
            if account and str(account.owner) == wish.subject and all(t(bytes(account.data)) for t in tests):
                shown = {"pubkey": key, "account": account_json(account, wish.config)}
                await self._notify(number, wish, self.chain.with_context(shown))

    async def _push_logs(self, number: int, wish: Wish, landed: list[str]) -> None:
        wanted = wish.subject["mentions"] if isinstance(wish.subject, dict) else None
        for signature in landed:
            found = self.chain.transactions[signature]
            if wanted is None or set(wanted) & set(found["keys"]):
                meta = found["meta"]
                shown = {"signature": signature, "err": meta["err"], "logs": meta["logMessages"]}
                await self._notify(number, wish, self.chain.with_context(shown))

    async def _notify(self, number: int, wish: Wish, result: Json) -> None:
        params = {"result": result, "subscription": number}
        try:
            method = f"{wish.kind}Notification"
            await wish.client.send_json({"jsonrpc": "2.0", "method": method, "params": params})
        except ConnectionError:
            self.wishes.pop(number, None)
