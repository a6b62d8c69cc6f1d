"""Clients that carry an order intent to the spinning venue: the baselines of the order path.

Each `fire` sends one order, waits for its answer, and returns the client order id and the instant
before the work began. One order at a time, with no pause between.
"""

import asyncio
import base64
import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any, Protocol, cast

import uvloop

from tests.bench.spin_venue import mask

REPLY_DEADLINE_S = 10


class OrderClient(Protocol):
    """One way to get an order to the venue."""

    name: str
    loop_factory: Callable[[], asyncio.AbstractEventLoop]
    """The event loop that this client is used with in the field."""

    async def open(self, port: int) -> None:
        """Connect."""

    async def fire(self, count: int) -> list[tuple[str, int]]:
        """Send `count` orders, one after another: their ids and the instants they began."""

    async def close(self) -> None:
        """Disconnect."""


class RawClient(asyncio.Protocol):
    """The floor: bytes built beforehand, written to a raw uvloop transport."""

    name = "prebuilt bytes"
    loop_factory = staticmethod(uvloop.new_event_loop)

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[bytes] | None = None
        self._made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, same methods

    def data_received(self, data: bytes) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(data)

    async def open(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, "127.0.0.1", port)
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET /ws-api/v3 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n"
        )
        answer = await self._ask(request.encode())
        assert b" 101 " in answer

    async def _ask(self, data: bytes) -> bytes:
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await asyncio.wait_for(self._waiter, REPLY_DEADLINE_S)

    async def fire(self, count: int) -> list[tuple[str, int]]:
        assert self._transport is not None
        ids = [f"raw-{self._made + number}" for number in range(count)]
        self._made += count
        frames = [client_frame(place_payload(made)) for made in ids]
        loop = asyncio.get_running_loop()
        began = []
        for made, frame in zip(ids, frames, strict=True):
            self._waiter = loop.create_future()
            start = perf_counter_ns()
            self._transport.write(frame)
            await self._waiter
            began.append((made, start))
        return began

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class CcxtClient:
    """What most stacks use: ccxt async, REST, signed."""

    name = "ccxt async"
    loop_factory = staticmethod(asyncio.new_event_loop)
    params: Mapping[str, str] = {}

    def __init__(self, symbols: Sequence[str] = ("BTCUSDT",)) -> None:
        self._exchange: Any = None
        self._made = 0
        self._symbols = symbols

    async def connect(self, port: int) -> None:
        """Set up the exchange object with our markets."""
        import ccxt.async_support as ccxt  # noqa: PLC0415 - half a second in each worker of the tests

        logging.getLogger("ccxt").setLevel(logging.WARNING)
        self._exchange = ccxt.binance(
            {"apiKey": "k" * 64, "secret": "s" * 64, "enableRateLimit": False}
        )
        api = f"http://127.0.0.1:{port}/api/v3"
        urls = self._exchange.urls["api"]
        urls.update({name: api for name in urls if isinstance(urls[name], str)})
        self._exchange.set_markets([ccxt_market(symbol) for symbol in self._symbols])

    async def open(self, port: int) -> None:
        await self.connect(port)
        await self.fire(1)

    async def fire(self, count: int) -> list[tuple[str, int]]:
        began = []
        for _ in range(count):
            made = f"ccxt-{self._made}"
            self._made += 1
            start = perf_counter_ns()
            await self._exchange.create_order(
                "BTC/USDT",
                "limit",
                "buy",
                0.001,
                25_000.0,
                {**self.params, "newClientOrderId": made},
            )
            began.append((made, start))
        return began

    async def close(self) -> None:
        if self._exchange is not None:
            await self._exchange.close()


class PythonBinanceClient:
    """The other client in wide use: python-binance's AsyncClient, REST, signed."""

    name = "python-binance"
    loop_factory = staticmethod(asyncio.new_event_loop)

    def __init__(self) -> None:
        self._client: Any = None
        self._made = 0

    async def open(self, port: int) -> None:
        with warnings.catch_warnings():  # it imports parts of websockets that go away
            warnings.simplefilter("ignore", DeprecationWarning)
            from binance import AsyncClient  # noqa: PLC0415 - see above
        self._client = AsyncClient("k" * 64, "s" * 64)
        self._client.API_URL = f"http://127.0.0.1:{port}/api"
        await self.fire(1)

    async def fire(self, count: int) -> list[tuple[str, int]]:
        began = []
        for _ in range(count):
            made = f"python-binance-{self._made}"
            self._made += 1
            start = perf_counter_ns()
            await self._client.create_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="GTC",
                quantity="0.001",
                price="25000",
                newClientOrderId=made,
            )
            began.append((made, start))
        return began

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close_connection()


def place_payload(client_order_id: str) -> bytes:
    """An `order.place` request as a signed client would send it (binance-spot.md §5)."""
    return (
        f'{{"id":"{client_order_id}","method":"order.place","params":{{"apiKey":"{"k" * 64}",'
        f'"newClientOrderId":"{client_order_id}","newOrderRespType":"ACK","price":"25000",'
        f'"quantity":"0.001","recvWindow":5000,"side":"BUY","symbol":"BTCUSDT",'
        f'"timeInForce":"GTC","timestamp":1700000000000,"type":"LIMIT",'
        f'"signature":"{"a" * 64}"}}}}'
    ).encode()


def client_frame(payload: bytes) -> bytes:
    """A masked, final text frame."""
    key = b"\x11\x22\x33\x44"
    head = bytes((0x81, 0x80 | 126)) + len(payload).to_bytes(2, "big")
    return head + key + mask(payload, key)


def ccxt_market(symbol: str = "BTCUSDT") -> dict[str, Any]:
    """One spot market in ccxt's own words, so that it asks the venue for nothing else."""
    quote = next(one for one in ("USDT", "BTC", "ETH") if symbol.endswith(one))
    base = symbol.removesuffix(quote)
    bounds: dict[str, Any] = {"min": None, "max": None}
    return {
        "id": symbol,
        "lowercaseId": symbol.lower(),
        "symbol": f"{base}/{quote}",
        "base": base,
        "quote": quote,
        "baseId": base,
        "quoteId": quote,
        "settle": None,
        "type": "spot",
        "spot": True,
        "margin": False,
        "swap": False,
        "future": False,
        "option": False,
        "contract": False,
        "inverse": None,
        "linear": None,
        "active": True,
        "precision": {"amount": 0.00001, "price": 0.01},
        "limits": {
            name: dict(bounds) for name in ("amount", "price", "cost", "market", "leverage")
        },
        "info": {"orderTypes": ["LIMIT", "MARKET"]},
    }
