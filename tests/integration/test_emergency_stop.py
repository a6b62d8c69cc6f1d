"""The emergency stop against a venue that resists: it proves emptiness or says it could not."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from daemon.shell.clock import SystemClock
from daemon.shell.emergency import EmergencyStop, KillReport
from daemon.shell.link_config import Credentials
from tests.support.link_bench import endpoints_at
from tests.support.scripted_venue import KEY, SECRET, ScriptedVenue, json_response, reply, served

INSTANCE = "abc123"


def ours(number: int) -> str:
    return f"st{INSTANCE}-1-{number}"


def stop_at(base: str) -> EmergencyStop:
    return EmergencyStop(
        endpoints=endpoints_at(base),
        credentials=Credentials(api_key=KEY, secret=SECRET, kind="hmac"),
        symbols=("BTCUSDT", "ETHUSDT"),
        instance=INSTANCE,
        clock=SystemClock(),
    )


@contextlib.asynccontextmanager
async def ready(venue: ScriptedVenue) -> AsyncIterator[EmergencyStop]:
    venue.clock_ms = lambda: time.monotonic_ns() // 1_000_000 + 1_700_000_000_000
    async with served(venue):
        stop = stop_at(venue.base)
        try:
            yield stop
        finally:
            await stop.close()


def fill_with(venue: ScriptedVenue, count: int) -> None:
    for number in range(count):
        symbol = ("BTCUSDT", "ETHUSDT")[number % 2]
        venue.add_order(ours(number), symbol=symbol)


REST_NAMES = {"list": "GET openOrders", "cancel": "DELETE openOrders"}
SOCKET_NAMES = {"list": "openOrders.status", "cancel": "openOrders.cancelAll"}


@pytest.mark.parametrize("warm", [True, False], ids=["warm socket", "cold rest"])
async def test_it_cancels_by_symbol_and_verifies_twice(warm: bool) -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 200)
    async with ready(venue) as stop:
        if warm:
            await stop.warm()
        report = await stop.cancel_and_verify(deadline_s=5)
    assert report.verified_empty_ns is not None
    assert (report.canceled, report.remaining, report.errors) == (200, 0, ())
    assert report.first_cancel_ns is not None
    assert report.last_cancel_ns is not None
    assert report.started_ns < report.first_cancel_ns <= report.last_cancel_ns
    assert report.last_cancel_ns < report.verified_empty_ns
    names = SOCKET_NAMES if warm else REST_NAMES
    assert len(venue.asked(names["cancel"])) == 2, "one call a symbol, not one an order"
    assert len(venue.asked(names["list"])) == 3, "once with orders, twice empty"


async def test_foreign_orders_are_left_alone() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 6)
    venue.add_order("web_1", symbol="BTCUSDT")
    venue.add_order("stother1-1-1", symbol="BTCUSDT")
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=5)
    assert report.verified_empty_ns is not None
    assert report.canceled == 6
    assert {row["clientOrderId"] for row in venue.open_orders()} == {"web_1", "stother1-1-1"}
    assert [query["symbol"] for query in venue.asked("DELETE openOrders")] == ["ETHUSDT"]
    assert len(venue.asked("DELETE order")) == 3


async def test_nothing_open_is_verified_without_a_cancel() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=5)
    assert report.verified_empty_ns is not None
    assert (report.canceled, report.first_cancel_ns, report.rounds) == (0, None, 2)


async def test_an_order_that_lands_late_is_caught_by_the_second_look() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    late = [True]

    async def then_an_order_lands(_request: web.Request) -> web.Response:
        if late.pop():
            venue.add_order(ours(99))
        return json_response([])

    venue.script("GET openOrders", then_an_order_lands)
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=5)
    assert report.verified_empty_ns is not None
    assert report.canceled == 1
    assert venue.open_orders() == []


@pytest.mark.parametrize("name", ["GET openOrders", "DELETE openOrders", "GET time"])
async def test_rest_alone_survives_5xx_html_and_cut_connections(name: str) -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 4)

    async def page(_request: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>bad gateway</html>")

    async def unknown(_request: web.Request) -> web.Response:
        return json_response({"code": -1007, "msg": "Timeout"}, status=504)

    async def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def no_socket(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    venue.script("connect", no_socket, times=1_000)
    for action in (page, unknown, cut, page):
        venue.script(name, action)
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=8)
    assert report.verified_empty_ns is not None
    assert venue.open_orders() == []
    assert report.errors


async def test_the_socket_alone_is_enough_when_a_firewall_stands_before_rest() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 4)

    async def wall(_request: web.Request) -> web.Response:
        return web.Response(status=403, text="<html>forbidden</html>")

    for name in ("GET time", "GET openOrders", "DELETE openOrders"):
        venue.script(name, wall, times=1_000)
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=5)
    assert report.verified_empty_ns is not None
    assert report.canceled == 4
    assert any("REST" in text for text in report.errors)


async def test_a_socket_that_was_cut_is_replaced_by_rest_at_once() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 4)

    async def cut(socket: web.WebSocketResponse, _call: dict[str, Any]) -> None:
        await venue.drop_sockets()

    venue.script("openOrders.cancelAll", cut)
    async with ready(venue) as stop:
        await stop.warm()
        report = await stop.cancel_and_verify(deadline_s=5)
    assert report.verified_empty_ns is not None
    assert venue.open_orders() == []
    assert any("WebSocket API" in text for text in report.errors)
    assert len(venue.asked("GET openOrders")) >= 2, "verified on the other road"


async def test_it_survives_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.shell.emergency._REQUEST_DEADLINE_MIN_S", 0.1)
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 2)
    release = asyncio.Event()

    async def never(_request: web.Request) -> web.Response:
        await release.wait()
        return json_response([])

    async def swallow(_socket: web.WebSocketResponse, _call: dict[str, Any]) -> None:
        pass

    for name in REST_NAMES.values():
        venue.script(name, never)
    for name in SOCKET_NAMES.values():
        venue.script(name, swallow)
    async with ready(venue) as stop:
        await stop.warm()
        report = await stop.cancel_and_verify(deadline_s=8)
        release.set()
    assert report.verified_empty_ns is not None
    assert venue.open_orders() == []


async def test_it_waits_out_a_429_within_its_deadline() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 2)

    async def limited(_request: web.Request) -> web.Response:
        body = {"code": -1003, "msg": "Too much request weight used"}
        return json_response(body, status=429, headers={"Retry-After": "1"})

    venue.script("DELETE openOrders", limited)
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=8)
    assert report.verified_empty_ns is not None
    assert report.verified_empty_ns - report.started_ns > 900_000_000
    assert any("rate limit" in text for text in report.errors)


async def test_a_wrong_clock_is_measured_again() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 2)

    async def late(_request: web.Request) -> web.Response:
        body = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
        return json_response(body, status=400)

    async def late_socket(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        await reply(socket, call, {"code": -1021, "msg": "Timestamp"}, status=400)

    venue.script("GET openOrders", late)
    venue.script("openOrders.status", late_socket)
    async with ready(venue) as stop:
        await stop.warm()
        before = len(venue.asked("GET time")) + len(venue.asked("time"))
        report = await stop.cancel_and_verify(deadline_s=5)
        assert len(venue.asked("GET time")) + len(venue.asked("time")) > before
    assert report.verified_empty_ns is not None


async def test_it_never_claims_what_it_did_not_see() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 3)

    async def refuse(_request: web.Request) -> web.Response:
        return json_response({"code": -1000, "msg": "no"}, status=500)

    async def refuse_socket(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        await reply(socket, call, {"code": -1000, "msg": "no"}, status=500)

    venue.script("DELETE openOrders", refuse, times=10_000)
    venue.script("openOrders.cancelAll", refuse_socket, times=10_000)
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=0.4)
    assert report.verified_empty_ns is None
    assert report.remaining == 3
    assert any("not verified" in text for text in report.errors)


async def test_a_dead_venue_is_reported_not_raised(unused_tcp_port: int) -> None:
    stop = stop_at(f"127.0.0.1:{unused_tcp_port}")
    report = await stop.cancel_and_verify(deadline_s=0.3)
    await stop.close()
    assert (report.verified_empty_ns, report.remaining) == (None, -1)
    assert any("no byte left" in text for text in report.errors)


async def test_it_works_from_another_thread_while_the_main_loop_is_stuck() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 20)
    done = threading.Event()
    reports: list[KillReport] = []

    def venue_thread(started: threading.Event) -> None:
        async def serve() -> None:
            async with served(venue):
                started.set()
                await asyncio.to_thread(done.wait, 10)

        asyncio.run(serve())

    def stop_thread() -> None:
        async def stop() -> None:
            emergency = stop_at(venue.base)
            reports.append(await emergency.cancel_and_verify(deadline_s=5))
            await emergency.close()

        asyncio.run(stop())

    started = threading.Event()
    server = threading.Thread(target=venue_thread, args=(started,))
    server.start()
    assert started.wait(5)
    worker = threading.Thread(target=stop_thread)
    worker.start()
    worker.join(10)  # this loop is blocked meanwhile: it is the stuck main loop
    done.set()
    server.join(10)
    assert reports[0].verified_empty_ns is not None
    assert venue.open_orders() == []
