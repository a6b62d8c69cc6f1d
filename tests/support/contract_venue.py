"""A second venue, unlike Binance Spot in everything that the seam must carry. A ledger is its core.

Its units are integers: a contract is 0.001 XBT, a tick 0.5 USD. Its order ids and our tags are
numbers (tags in decimal text), its account has cash and signed positions instead of balances of
the base, it has no request that cancels a symbol, and it speaks arrays on one socket and plain
resources on REST.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from daemon.shell.process.clock import SystemClock

KEY = "futures-key"
SYMBOL = "XBTPERP"
CONTRACT = Decimal("0.001")
TICK = Decimal("0.5")
FEE = Decimal("0.0005")


@dataclass(slots=True)
class Resting:
    """One order, in contracts and ticks; `lots` is negative for a sell."""

    number: int
    tag: str
    lots: int
    ticks: int
    done: int = 0
    state: str = "live"

    def row(self) -> dict[str, Any]:
        """As the venue shows it."""
        return {
            "no": self.number, "c": SYMBOL, "tag": self.tag, "lots": self.lots,
            "ticks": self.ticks, "done": self.done, "state": self.state,
        }  # fmt: skip


@dataclass(slots=True)
class ContractVenue:
    """The ledger and its server; `base` is `127.0.0.1:port` once it is served."""

    base: str = ""
    clock: SystemClock = field(default_factory=SystemClock)
    orders: dict[int, Resting] = field(default_factory=dict)
    fills: list[dict[str, Any]] = field(default_factory=list)
    cash: Decimal = Decimal(100_000)
    lots: int = 0
    """The account's position in contracts, negative when short."""
    asked: list[str] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    tickers: list[web.WebSocketResponse] = field(default_factory=list)
    ticked: int = 0

    @property
    def clock_ms(self) -> int:
        """Its time."""
        return self.clock.now_ns() // 1_000_000

    def live(self) -> list[Resting]:
        """Open orders."""
        return [one for one in self.orders.values() if one.state == "live"]

    def add(self, tag: str, lots: int, ticks: int) -> Resting:
        """Take an order."""
        number = 70_000 + len(self.orders)
        self.orders[number] = made = Resting(number, tag, lots, ticks)
        return made

    async def fill(self, order: Resting, lots: int) -> None:
        """Trade so many contracts (positive) of an order, and tell it."""
        signed = lots if order.lots > 0 else -lots
        value = signed * CONTRACT * order.ticks * TICK
        fee = abs(value) * FEE
        self.cash -= value + fee
        self.lots += signed
        order.done += signed
        if order.done == order.lots:
            order.state = "done"
        row = {
            "id": 500 + len(self.fills), "no": order.number, "c": SYMBOL, "tag": order.tag,
            "lots": signed, "ticks": order.ticks, "fee": str(fee), "at": self.clock_ms,
        }  # fmt: skip
        self.fills.append(row)
        await self._push(["fill", row, order.row()])

    async def tick(self, bid: int, ask: int) -> None:
        """Tell a new top, in ticks."""
        self.ticked += 1
        frame = orjson.dumps(["top", SYMBOL, self.ticked, bid, 900, ask, 900]).decode()
        for socket in self.tickers:
            with contextlib.suppress(ConnectionError):
                await socket.send_str(frame)

    async def _push(self, frame: list[Any]) -> None:
        for socket in self.sockets:
            with contextlib.suppress(ConnectionError):
                await socket.send_str(orjson.dumps(frame).decode())

    # ---------------------------------------------------------------- serving
    def application(self) -> web.Application:
        """The server."""
        app = web.Application()
        app.router.add_get("/trade", self._trade)
        app.router.add_get("/ticker", self._ticker)
        app.router.add_route("*", "/v1/{what:.*}", self._rest)
        return app

    async def _rest(self, request: web.Request) -> web.Response:
        what, query = request.match_info["what"], request.query
        self.asked.append(f"{request.method} {what}")
        if what not in {"clock", "contracts", "top"} and request.headers.get("X-Key") != KEY:
            return _json({"word": "WHO_ARE_YOU"}, 401)
        if request.method == "DELETE":
            return _json(*self._cancel(int(what.rpartition("/")[2])))
        status, body = self._answer(what, {k: str(v) for k, v in query.items()})
        return _json(body, status)

    def _answer(self, what: str, query: dict[str, str]) -> tuple[int, Any]:
        first = int(query.get("from", 0))
        match what.split("/"):
            case ["clock"]:
                return 200, {"ms": self.clock_ms}
            case ["contracts"]:
                return 200, [{"c": SYMBOL, "of": "XBT", "size": str(CONTRACT), "tick": str(TICK)}]
            case ["top"]:
                return 200, {"n": 0, "bid": None, "ask": None}
            case ["account"]:
                return 200, {"cash": str(self.cash), "positions": {SYMBOL: self.lots}}
            case ["orders"]:
                rows = self.orders.values() if "from" in query else self.live()
                return 200, [one.row() for one in rows if one.number >= first]
            case ["orders", number]:
                found = self.orders.get(int(number))
                return (200, found.row()) if found else (404, {"word": "NO_ORDER"})
            case ["tags", tag]:
                named = [one for one in self.orders.values() if one.tag == tag]
                return (200, named[-1].row()) if named else (404, {"word": "NO_ORDER"})
            case ["fills"]:
                no = int(query.get("no", 0))
                return 200, [r for r in self.fills if r["id"] >= first and no in {0, r["no"]}]
        return 404, {"word": "NO_SUCH_RESOURCE"}

    def _cancel(self, number: int) -> tuple[Any, int]:
        found = self.orders.get(number)
        if found is None or found.state != "live":
            return {"word": "NOT_LIVE"}, 409
        found.state = "pulled"
        return found.row(), 200

    async def _trade(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        is_known = False
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            call_id, word, body = orjson.loads(message.data)
            self.asked.append(word)
            if word == "hello":
                is_known = body["key"] == KEY
                self.sockets.append(socket)
            said: Any = {"word": "WHO_ARE_YOU"}
            status = 401
            if is_known:
                said, status = self._said(word, body)
            await socket.send_str(orjson.dumps(["re", call_id, status, said]).decode())
            if word in {"new", "pull"} and status == 200:
                await self._push(["order", said])
        return socket

    def _said(self, word: str, body: dict[str, Any]) -> tuple[Any, int]:
        match word:
            case "new" if body["lots"] == 0:
                return {"word": "BAD_LOTS"}, 422
            case "new":
                return self.add(body["tag"], body["lots"], body["ticks"]).row(), 200
            case "pull":
                numbers = [o.number for o in self.live() if o.tag == body.get("tag")]
                return self._cancel(body.get("no") or next(iter(numbers), 0))
            case "live":
                return [one.row() for one in self.live()], 200
            case "clock":
                return {"ms": self.clock_ms}, 200
        return {}, 200

    async def _ticker(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.tickers.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str('["alive"]')
        return socket


def _json(body: Any, status: int) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


@contextlib.asynccontextmanager
async def served(venue: ContractVenue) -> AsyncIterator[ContractVenue]:
    """Serve a venue on a free loopback port."""
    runner = web.AppRunner(venue.application(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    venue.base = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield venue
    finally:
        async with asyncio.timeout(60):
            for socket in [*venue.sockets, *venue.tickers]:
                with contextlib.suppress(ConnectionError):
                    await socket.close()
        await runner.cleanup()
