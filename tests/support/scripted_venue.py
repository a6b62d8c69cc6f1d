"""A venue that does just what a test tells it to: REST, WebSocket API, market streams on loopback.

It is no exchange: it answers from a small table of orders, and every answer can be replaced for one
call by `script(name, action)`. What the link must survive is easier said here than provoked in the
simulated venue.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
from aiohttp import WSMsgType, web

KEY = "test-key-of-a-test-account-0123456789abcdef"
SECRET = b"test-secret-of-a-test-account-0123456789"

Action = Callable[..., Awaitable[Any]]

FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
    {
        "filterType": "NOTIONAL",
        "minNotional": "5",
        "applyMinToMarket": True,
        "maxNotional": "9000000",
    },
    {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
]


class ScriptedVenue:
    """The state and the switches. `base` is `127.0.0.1:port` once it is served."""

    def __init__(self, symbols: tuple[str, ...] = ("BTCUSDT",)) -> None:
        self.symbols = symbols
        self.base = ""
        self.orders: dict[int, dict[str, Any]] = {}
        self.trades: list[dict[str, Any]] = []
        self.balances = {"BTC": ("1", "0"), "USDT": ("100000", "0")}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.clock_ms: Callable[[], int] = lambda: 1_700_000_000_000
        self.sockets: list[web.WebSocketResponse] = []
        self.streams: list[web.WebSocketResponse] = []
        self.connected = asyncio.Event()
        self.stream_connected = asyncio.Event()
        self.status = "TRADING"
        self.answers_stream_commands = True
        self._scripts: dict[str, deque[Action]] = defaultdict(deque)
        self._next_id = 1

    # ---------------------------------------------------------------- what a test says
    def script(self, name: str, action: Action, *, times: int = 1) -> None:
        """Answer the next call of `name` ("GET order", "order.place", …) by `action`."""
        self._scripts[name].extend([action] * times)

    def add_order(self, client_id: str, **changes: Any) -> dict[str, Any]:
        """An order that the venue knows."""
        order_id = self._next_id
        self._next_id += 1
        row = {
            "symbol": "BTCUSDT",
            "orderId": order_id,
            "orderListId": -1,
            "clientOrderId": client_id,
            "price": "50000.00000000",
            "origQty": "0.00100000",
            "executedQty": "0.00000000",
            "cummulativeQuoteQty": "0.00000000",
            "status": "NEW",
            "timeInForce": "GTC",
            "type": "LIMIT",
            "side": "BUY",
            "time": self.clock_ms(),
            "updateTime": self.clock_ms(),
            **changes,
        }
        self.orders[order_id] = row
        return row

    def open_orders(self, symbol: str | None = None) -> list[dict[str, Any]]:
        """Rows that are NEW or PARTIALLY_FILLED."""
        return [
            row
            for row in self.orders.values()
            if row["status"] in {"NEW", "PARTIALLY_FILLED"} and symbol in {None, row["symbol"]}
        ]

    async def event(self, event: dict[str, Any]) -> None:
        """Push one user data event on every order connection."""
        frame = orjson.dumps({"subscriptionId": 0, "event": event}).decode()
        for socket in list(self.sockets):
            await socket.send_str(frame)

    async def market(self, stream: str, data: dict[str, Any]) -> None:
        """Push one combined market frame."""
        frame = orjson.dumps({"stream": stream, "data": data}).decode()
        for socket in list(self.streams):
            with contextlib.suppress(ConnectionError):  # lost meanwhile
                await socket.send_str(frame)

    async def drop_sockets(self) -> None:
        """Cut every order connection without a closing handshake."""
        for socket in self.sockets:
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()
        self.sockets.clear()
        self.connected.clear()

    def asked(self, name: str) -> list[dict[str, Any]]:
        """Parameters of every call of `name` so far."""
        return [params for called, params in self.requests if called == name]

    # ---------------------------------------------------------------- serving
    def application(self) -> web.Application:
        """The server."""
        app = web.Application()
        app.router.add_get("/ws-api/v3", self._ws_api)
        app.router.add_get("/stream", self._stream)
        app.router.add_route("*", "/api/v3/{path:.*}", self._rest)
        return app

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        name = f"{request.method} {request.match_info['path']}"
        params = dict(request.query)
        self.requests.append((name, params))
        if self._scripts[name]:
            made: web.StreamResponse = await self._scripts[name].popleft()(request)
            return made
        status, body = self._answer(name, params)
        return json_response(body, status=status)

    async def _ws_api(self, request: web.Request) -> web.StreamResponse:
        if self._scripts["connect"]:
            made: web.StreamResponse = await self._scripts["connect"].popleft()(request)
            return made
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        self.connected.set()
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            call = orjson.loads(message.data)
            name, params = call["method"], call.get("params", {})
            self.requests.append((name, params))
            if self._scripts[name]:
                await self._scripts[name].popleft()(socket, call)
                continue
            status, body = self._answer(_REST_NAMES.get(name, name), params)
            await reply(socket, call, body, status=status)
        return socket

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(("stream", dict(request.query)))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.streams.append(socket)
        self.stream_connected.set()
        async for message in socket:
            if message.type is WSMsgType.TEXT and self.answers_stream_commands:
                call = orjson.loads(message.data)
                self.requests.append((call["method"], {}))
                await socket.send_str(orjson.dumps({"result": [], "id": call["id"]}).decode())
        return socket

    def _answer(self, name: str, params: dict[str, Any]) -> tuple[int, Any]:
        method = _ANSWERS.get(name)
        if method is None:
            return 404, {"code": -1, "msg": f"no such call {name}"}
        named = {params.get("symbol"), *orjson.loads(params.get("symbols", "[]"))} - {None}
        if not named <= set(self.symbols):
            return 400, {"code": -1121, "msg": "Invalid symbol."}
        answered: tuple[int, Any] = method(self, params)
        return answered

    def _time(self, _params: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"serverTime": self.clock_ms()}

    def _info(self, params: dict[str, Any]) -> tuple[int, Any]:
        rows = [
            {
                "symbol": symbol,
                "status": self.status,
                "baseAsset": symbol.removesuffix("USDT"),
                "quoteAsset": "USDT",
                "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
                "filters": FILTERS,
            }
            for symbol in self.symbols
            if "symbols" not in params or symbol in orjson.loads(params["symbols"])
        ]
        limits = [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": 6000,
            },
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        ]
        return 200, {"serverTime": self.clock_ms(), "rateLimits": limits, "symbols": rows}

    def _place(self, params: dict[str, Any]) -> tuple[int, Any]:
        row = self.add_order(
            params["newClientOrderId"],
            symbol=params["symbol"],
            side=params["side"],
            origQty=params["quantity"],
            price=params.get("price", "0"),
        )
        return 200, {**row, "transactTime": self.clock_ms(), "fills": []}

    def _find(self, params: dict[str, Any]) -> dict[str, Any] | None:
        for row in self.orders.values():
            by_id = str(row["orderId"]) == str(params.get("orderId"))
            if by_id or row["clientOrderId"] == params.get("origClientOrderId"):
                return row
        return None

    def _query(self, params: dict[str, Any]) -> tuple[int, Any]:
        row = self._find(params)
        return (200, row) if row else (400, {"code": -2013, "msg": "Order does not exist."})

    def _cancel(self, params: dict[str, Any]) -> tuple[int, Any]:
        row = self._find(params)
        if row is None or row["status"] not in {"NEW", "PARTIALLY_FILLED"}:
            return 400, {"code": -2011, "msg": "Unknown order sent."}
        row["status"] = "CANCELED"
        shown = params.get("newClientOrderId", "random")
        return 200, {**row, "origClientOrderId": row["clientOrderId"], "clientOrderId": shown}

    def _cancel_all(self, params: dict[str, Any]) -> tuple[int, Any]:
        rows = self.open_orders(params["symbol"])
        if not rows:
            return 400, {"code": -2011, "msg": "Unknown order sent."}
        for row in rows:
            row["status"] = "CANCELED"
        return 200, [
            {**row, "origClientOrderId": row["clientOrderId"], "clientOrderId": "random"}
            for row in rows
        ]

    def _open(self, params: dict[str, Any]) -> tuple[int, Any]:
        return 200, self.open_orders(params.get("symbol"))

    def _account(self, _params: dict[str, Any]) -> tuple[int, Any]:
        rows = [{"asset": a, "free": f, "locked": k} for a, (f, k) in self.balances.items()]
        return 200, {"balances": rows, "canTrade": True, "canWithdraw": True, "updateTime": 1}

    def _all_orders(self, params: dict[str, Any]) -> tuple[int, Any]:
        first = int(params.get("orderId", 0))
        rows = [row for order_id, row in sorted(self.orders.items()) if order_id >= first]
        rows = [row for row in rows if row["symbol"] == params["symbol"]]
        return 200, rows[: int(params.get("limit", 500))]

    def _my_trades(self, params: dict[str, Any]) -> tuple[int, Any]:
        rows = [row for row in self.trades if row["symbol"] == params["symbol"]]
        if "orderId" in params:
            rows = [row for row in rows if row["orderId"] == int(params["orderId"])]
        rows = [row for row in rows if row["id"] >= int(params.get("fromId", 0))]
        return 200, rows[: int(params.get("limit", 500))]

    def _test(self, _params: dict[str, Any]) -> tuple[int, Any]:
        return 200, {}

    def _my_filters(self, _params: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"exchangeFilters": [], "symbolFilters": [], "assetFilters": []}

    def _depth(self, _params: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"lastUpdateId": 1, "bids": [], "asks": []}

    def _pong(self, _params: dict[str, Any]) -> tuple[int, Any]:
        return 200, {}

    def _subscribe(self, _params: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"subscriptionId": 0}


_REST_NAMES = {
    "order.place": "POST order",
    "order.cancel": "DELETE order",
    "openOrders.cancelAll": "DELETE openOrders",
    "openOrders.status": "GET openOrders",
    "time": "GET time",
}
_ANSWERS: dict[str, Callable[[ScriptedVenue, dict[str, Any]], tuple[int, Any]]] = {
    "GET time": ScriptedVenue._time,
    "GET exchangeInfo": ScriptedVenue._info,
    "POST order": ScriptedVenue._place,
    "POST order/test": ScriptedVenue._test,
    "GET order": ScriptedVenue._query,
    "DELETE order": ScriptedVenue._cancel,
    "DELETE openOrders": ScriptedVenue._cancel_all,
    "GET openOrders": ScriptedVenue._open,
    "GET allOrders": ScriptedVenue._all_orders,
    "GET account": ScriptedVenue._account,
    "GET myTrades": ScriptedVenue._my_trades,
    "userDataStream.subscribe.signature": ScriptedVenue._subscribe,
    "userDataStream.subscribe": ScriptedVenue._subscribe,
    "session.logon": ScriptedVenue._subscribe,
    "ping": ScriptedVenue._pong,
    "GET depth": ScriptedVenue._depth,
    "GET myFilters": ScriptedVenue._my_filters,
}


def json_response(
    body: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=orjson.dumps(body), status=status, headers=headers, content_type="application/json"
    )


async def reply(
    socket: web.WebSocketResponse, call: dict[str, Any], body: Any, *, status: int = 200
) -> None:
    """Answer one WebSocket API call."""
    key = "result" if status == 200 else "error"
    answer = {"id": call["id"], "status": status, key: body, "rateLimits": []}
    with contextlib.suppress(ConnectionError):  # the test may have cut it meanwhile
        await socket.send_str(orjson.dumps(answer).decode())


@contextlib.asynccontextmanager
async def served(venue: ScriptedVenue) -> AsyncIterator[ScriptedVenue]:
    """Serve a venue on a free loopback port."""
    runner = web.AppRunner(venue.application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    venue.base = f"127.0.0.1:{port}"
    try:
        yield venue
    finally:
        for socket in [*venue.sockets, *venue.streams]:
            with contextlib.suppress(ConnectionError):
                await socket.close()
        await runner.cleanup()
