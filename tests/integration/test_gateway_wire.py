"""The proxy before the gateway: what a bot asks passes whole, and each request leaves one row."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from daemon.shell.process.clock import SystemClock
from daemon.trials.gateway_wire import GatewayWire

DEADLINE_S = 60


class Target:
    """A server that says what it was asked, and cuts or refuses where it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes, str]] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.socket(request)
        key = request.headers.get("X-MBX-APIKEY", "")
        self.asked.append((request.method, request.raw_path, await request.read(), key))
        if "cut" in request.raw_path:
            assert request.transport is not None
            request.transport.abort()
        if request.method == "POST":
            return web.json_response({"code": -2010, "msg": "no"}, status=400)
        return web.json_response({"ok": True}, headers={"X-MBX-USED-WEIGHT-1M": "7"})

    async def socket(self, request: web.BaseRequest) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            frame = message.json()
            if frame["method"] == "order.place":
                error = {"code": -2010, "msg": "no"}
                await socket.send_json({"id": frame["id"], "status": 400, "error": error})
            elif frame["method"] != "mute":
                await socket.send_json({"id": frame["id"], "status": 200, "result": {}})
        return socket


@asynccontextmanager
async def running() -> AsyncIterator[tuple[GatewayWire, Target, aiohttp.ClientSession]]:
    target, wire = Target(), GatewayWire(SystemClock())
    runner = web.ServerRunner(web.Server(target.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    wire.target = f"127.0.0.1:{runner.addresses[0][1]}"
    await asyncio.to_thread(wire.start)
    try:
        async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
            yield wire, target, session
    finally:
        await asyncio.to_thread(wire.stop)
        await runner.cleanup()


async def rows_when(wire: GatewayWire, count: int) -> list[dict[str, Any]]:
    while len(rows := wire.rows(0)) < count:  # noqa: ASYNC110 - the rows are another thread's
        await asyncio.sleep(0)
    return [{key: value for key, value in row.items() if key != "ts_ns"} for row in rows]


async def test_a_request_passes_whole_and_its_answer_too() -> None:
    async with running() as (wire, target, session):
        url = f"http://{wire.address}/api/v3"
        headers = {"X-MBX-APIKEY": "k"}
        asked = "symbol=BTCUSDT&side=BUY&quantity=1&newClientOrderId=a%2Bb"
        async with session.get(f"{url}/account?x=1", headers=headers) as answer:
            assert await answer.json() == {"ok": True}
            assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "7"
        async with session.post(f"{url}/order", data=asked.encode(), headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, -2010)
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"{url}/cut")
        assert target.asked[0] == ("GET", "/api/v3/account?x=1", b"", "k")
        assert target.asked[1] == ("POST", "/api/v3/order", asked.encode(), "k")
        got, posted, cut = (await rows_when(wire, 3))[:3]
        assert got == {"name": "REST GET /api/v3/account", "status": 200, "code": 0}
        assert posted == {
            "name": "REST POST /api/v3/order", "status": 400, "code": -2010,
            "symbol": "BTCUSDT", "side": "BUY", "qty": "1", "client_order_id": "a+b",
        }  # fmt: skip
        assert (cut["name"], cut["status"]) == ("REST GET /api/v3/cut", 0)


async def test_a_gateway_that_is_away_cuts_the_bots_request() -> None:
    async with running() as (wire, _, session):
        wire.target = "127.0.0.1:9"
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://{wire.address}/api/v3/time")
        rows = await rows_when(wire, 1)  # the client itself may ask a second time
        assert {(row["name"], row["status"]) for row in rows} == {("REST GET /api/v3/time", 0)}


async def test_requests_on_a_socket_have_rows_also_without_an_answer() -> None:
    async with running() as (wire, _, session):
        async with session.ws_connect(f"ws://{wire.address}/ws-api/v3") as socket:
            params = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "2", "price": "9"}
            await socket.send_json({"id": "1", "method": "order.place", "params": params})
            assert (await socket.receive_json())["error"]["code"] == -2010
            await socket.send_json({"id": 2, "method": "time"})
            assert (await socket.receive_json())["status"] == 200
            await socket.send_json({"id": 3, "method": "mute"})
        rows = await rows_when(wire, 5)
        assert {row["name"]: (row["status"], row["code"]) for row in rows} == {
            "WS open": (200, 0),
            "WS order.place": (400, -2010),
            "WS time": (200, 0),
            "WS mute": (0, 0),
            "WS close": (0, 0),
        }
        placed = next(row for row in rows if row["name"] == "WS order.place")
        assert (placed["qty"], placed["price"], placed["side"]) == ("2", "9", "SELL")


async def test_streams_have_rows_when_they_open_subscribe_and_close() -> None:
    async with running() as (wire, _, session):
        async with session.ws_connect(f"ws://{wire.address}/ws/btcusdt@depth") as socket:
            await socket.send_json({"id": 1, "method": "SUBSCRIBE", "params": ["a@trade", "b@x"]})
            await socket.receive_json()
        rows = await rows_when(wire, 3)
        assert [(row["name"], row.get("streams", "")) for row in rows] == [
            ("STREAM open", "btcusdt@depth"),
            ("STREAM subscribe", "a@trade,b@x"),
            ("STREAM close", ""),
        ]
