"""The emergency stop against a venue that resists: it proves emptiness or says it could not."""

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from daemon.errors import InstanceUnknown
from daemon.model.ids import STOP_KIND, chain_digest, is_ours, request_id
from daemon.shell.process.clock import SystemClock
from daemon.shell.stop.emergency_stop import EmergencyStop, KillReport
from daemon.shell.stop.emergency_transports import RestTransport, SocketTransport
from tests.support.adapters import spot
from tests.support.link_bench import endpoints_at
from tests.support.scripted_venue import KEY, SECRET, ScriptedVenue, json_response, reply, served

INSTANCE = "abc123"
MANY = 24
"""So many that those of a symbol are canceled together; few go one by one."""
HEAD = "5f" * 32


def ours(number: int) -> str:
    return f"st{INSTANCE}-1-{number}"


def stop_at(base: str) -> EmergencyStop:
    return EmergencyStop(
        endpoints=endpoints_at(base),
        adapter=spot(("BTCUSDT", "ETHUSDT"), key=KEY, secret=SECRET),
        instance=INSTANCE,
        clock=SystemClock(),
        head=lambda: HEAD,
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
        report = await stop.cancel_and_verify(deadline_s=60)
    assert report.verified_empty_ns is not None
    assert (report.canceled, report.remaining, report.errors) == (200, 0, ())
    assert report.first_cancel_ns is not None
    assert report.last_cancel_ns is not None
    assert report.started_ns < report.first_cancel_ns <= report.last_cancel_ns
    assert report.last_cancel_ns < report.verified_empty_ns
    names = SOCKET_NAMES if warm else REST_NAMES
    assert len(venue.asked(names["cancel"])) == 2, "one call a symbol, not one an order"
    by_name = venue.asked("order.cancel" if warm else "DELETE order")
    assert len(by_name) == 2, "and one order of each under an id of ours: the venue keeps our head"
    digests = {str(query["newClientOrderId"])[-16:] for query in by_name}
    assert digests == {chain_digest(HEAD)}
    assert len(venue.asked(names["list"])) == 3, "once with orders, twice empty"


async def test_what_is_broken_on_this_machine_ends_no_stop() -> None:
    """A route that cannot even begin is a route that failed: it is told and tried again."""
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 4)
    too_many, no_tls = OSError(24, "Too many open files"), ImportError("ssl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RestTransport, "open", once(too_many, RestTransport.open))
        patch.setattr(SocketTransport, "open", once(no_tls, SocketTransport.open))
        async with ready(venue) as stop:
            report = await stop.cancel_and_verify(deadline_s=60)
    assert venue.open_orders() == []
    assert (report.verified_empty_ns is not None, report.canceled) == (True, 4)
    assert sorted(report.errors) == [
        "REST: OSError(24, 'Too many open files')",
        "WebSocket API: ImportError('ssl')",
    ]


def once(error: Exception, then: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Any]:
    """`then`, but this error at the first call."""
    errors = [error]

    async def act(route: Any) -> None:
        if errors:
            raise errors.pop()
        await then(route)

    return act


async def test_of_several_instances_without_a_name_of_ours_nobody_asks_on() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 2)
    venue.add_order("stother1-1-1", symbol="BTCUSDT")
    async with served(venue):
        stop = EmergencyStop(
            endpoints=endpoints_at(venue.base),
            adapter=spot(("BTCUSDT", "ETHUSDT"), key=KEY, secret=SECRET),
            instance="",
            clock=SystemClock(),
        )
        with pytest.raises(InstanceUnknown, match=f"orders of {INSTANCE}, other1 are open"):
            await stop.cancel_and_verify(deadline_s=60)
        await stop.close()
    assert len(venue.open_orders()) == 3


async def test_foreign_orders_are_left_alone() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, MANY)
    venue.add_order("web_1", symbol="BTCUSDT")
    venue.add_order("stother1-1-1", symbol="BTCUSDT")
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=60)
    assert report.verified_empty_ns is not None
    assert report.canceled == MANY
    assert {row["clientOrderId"] for row in venue.open_orders()} == {"web_1", "stother1-1-1"}
    assert [query["symbol"] for query in venue.asked("DELETE openOrders")] == ["ETHUSDT"]
    assert len(venue.asked("DELETE order")) == MANY / 2 + 1, "one of ETHUSDT goes by name, too"


@pytest.mark.parametrize("warm", [True, False], ids=["warm socket", "cold rest"])
async def test_a_few_orders_are_canceled_under_ids_of_ours_on_either_road(warm: bool) -> None:
    """The id names the order, the kind and a head of the journal."""
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 6)
    async with ready(venue) as stop:
        if warm:
            await stop.warm()
        report = await stop.cancel_and_verify(deadline_s=60)
    assert (report.verified_empty_ns is not None, report.canceled, report.errors) == (True, 6, ())
    asked = venue.asked("order.cancel" if warm else "DELETE order")
    digest = chain_digest(HEAD)
    named = {request_id(STOP_KIND, ours(number), digest) for number in range(6)}
    assert {str(query["newClientOrderId"]) for query in asked} == named
    assert all(is_ours(str(query["newClientOrderId"]), INSTANCE) for query in asked)
    assert not venue.asked("DELETE openOrders")
    assert not venue.asked("openOrders.cancelAll")


async def test_nothing_open_is_verified_without_a_cancel() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=60)
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
        report = await stop.cancel_and_verify(deadline_s=60)
    assert report.verified_empty_ns is not None
    assert report.canceled == 1
    assert venue.open_orders() == []


@pytest.mark.parametrize("name", ["GET openOrders", "DELETE openOrders", "GET time"])
async def test_rest_alone_survives_5xx_html_and_cut_connections(name: str) -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, MANY)

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
        report = await stop.cancel_and_verify(deadline_s=60)
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
        report = await stop.cancel_and_verify(deadline_s=60)
    assert report.verified_empty_ns is not None
    assert report.canceled == 4
    assert any("REST" in text for text in report.errors)


async def test_a_socket_that_was_cut_is_replaced_by_rest_at_once() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, MANY)

    async def cut(socket: web.WebSocketResponse, _call: dict[str, Any]) -> None:
        await venue.drop_sockets()

    venue.script("openOrders.cancelAll", cut)
    async with ready(venue) as stop:
        await stop.warm()
        report = await stop.cancel_and_verify(deadline_s=60)
    assert report.verified_empty_ns is not None
    assert venue.open_orders() == []
    assert any("WebSocket API" in text for text in report.errors)
    assert len(venue.asked("GET openOrders")) >= 2, "verified on the other road"


async def test_it_survives_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.shell.stop.emergency_stop._REQUEST_DEADLINE_MIN_S", 0.1)
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
        report = await stop.cancel_and_verify(deadline_s=60)
        release.set()
    assert report.verified_empty_ns is not None
    assert venue.open_orders() == []


async def test_it_waits_out_a_429_within_its_deadline() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, MANY)

    async def limited(_request: web.Request) -> web.Response:
        body = {"code": -1003, "msg": "Too much request weight used"}
        return json_response(body, status=429, headers={"Retry-After": "1"})

    venue.script("DELETE openOrders", limited)
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=60)
    assert report.verified_empty_ns is not None
    assert report.verified_empty_ns - report.started_ns > 900_000_000
    assert any("rate limit" in text for text in report.errors)


def refuse_address(
    venue: ScriptedVenue, status: int, times: int, headers: dict[str, str] | None = None
) -> list[str]:
    """The first so many requests of any kind are refused for rate; which they were."""
    asked: list[str] = []
    names = ("GET time", "time", "connect", *(n["list"] for n in (REST_NAMES, SOCKET_NAMES)))
    body = {"code": -1003, "msg": "Too much request weight used"}

    def note(name: str) -> None:
        asked.append(name)
        if len(asked) == times:
            for one in names:
                venue._scripts[one].clear()

    async def rest(request: web.Request) -> web.Response:
        note(request.path)
        return json_response(body, status=status, headers=headers)

    async def socket(at: web.WebSocketResponse, call: dict[str, Any]) -> None:
        note(call["method"])
        await reply(at, call, body, status=status)

    for name in names:
        is_rest = name == "connect" or name.startswith("GET")
        venue.script(name, rest if is_rest else socket, times=1_000)
    return asked


@pytest.mark.parametrize("warmed", [False, True])
async def test_after_a_429_without_a_time_it_asks_again_soon_and_seldom(warmed: bool) -> None:
    """Its whole deadline is shorter than what the daemon waits; the limit is of the address."""
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, MANY)
    async with ready(venue) as stop:
        if warmed:
            await stop.warm()
        asked = refuse_address(venue, 429, 2)
        report = await stop.cancel_and_verify(deadline_s=30)
    assert report.verified_empty_ns is not None
    assert report.verified_empty_ns - report.started_ns > 2_900_000_000, "1 s, then 2 s"
    assert (len(asked), venue.open_orders()) == (2, [])


@pytest.mark.parametrize("refused", ["REST", "handshake"])
async def test_a_route_that_is_always_refused_keeps_the_other_from_nothing(refused: str) -> None:
    """Both wait for the end that it was told; then it is the other's turn."""
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, MANY)

    async def limited(_request: web.Request) -> web.Response:
        body = {"code": -1003, "msg": "Too much request weight used"}
        return json_response(body, status=429, headers={"Retry-After": "1"})

    names = ("GET time", REST_NAMES["list"]) if refused == "REST" else ("connect",)
    for name in names:
        venue.script(name, limited, times=1_000)
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=30)
    assert (report.verified_empty_ns is not None, venue.open_orders()) == (True, [])


@pytest.mark.parametrize(
    ("status", "headers"),
    [(418, {}), (418, {"Retry-After": "3600"}), (429, {"Retry-After": "3600"})],
)
async def test_a_ban_or_a_time_that_was_told_is_kept_by_both_routes(
    status: int, headers: dict[str, str]
) -> None:
    """Also by new connections: the first refusal is the last request."""
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 2)
    asked = refuse_address(venue, status, 1_000, headers)
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=1)
    assert (len(asked), report.verified_empty_ns, report.open_orders) == (1, None, None)
    assert "before" in report.unasked


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
        report = await stop.cancel_and_verify(deadline_s=60)
        assert len(venue.asked("GET time")) + len(venue.asked("time")) > before
    assert report.verified_empty_ns is not None


async def test_it_never_claims_what_it_did_not_see() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, MANY)

    async def refuse(_request: web.Request) -> web.Response:
        return json_response({"code": -1000, "msg": "no"}, status=500)

    async def refuse_socket(socket: web.WebSocketResponse, call: dict[str, Any]) -> None:
        await reply(socket, call, {"code": -1000, "msg": "no"}, status=500)

    for name in ("DELETE openOrders", "DELETE order"):
        venue.script(name, refuse, times=10_000)
    for name in ("openOrders.cancelAll", "order.cancel"):
        venue.script(name, refuse_socket, times=10_000)
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=0.4)
    assert report.verified_empty_ns is None
    assert report.remaining == MANY
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
                await asyncio.to_thread(done.wait, 60)

        asyncio.run(serve())

    def stop_thread() -> None:
        async def stop() -> None:
            emergency = stop_at(venue.base)
            reports.append(await emergency.cancel_and_verify(deadline_s=60))
            await emergency.close()

        asyncio.run(stop())

    started = threading.Event()
    server = threading.Thread(target=venue_thread, args=(started,))
    server.start()
    assert started.wait(60)
    worker = threading.Thread(target=stop_thread)
    worker.start()
    worker.join(60)  # this loop is blocked meanwhile: it is the stuck main loop
    done.set()
    server.join(60)
    assert reports[0].verified_empty_ns is not None
    assert venue.open_orders() == []


def refuse_account(venue: ScriptedVenue, gone: dict[str, int]) -> None:
    """The listing of the whole account fails; symbols of `gone` are refused with their code."""

    async def rest(request: web.Request) -> web.Response:
        symbol = request.query.get("symbol")
        if symbol is None:
            return json_response({"code": -1000, "msg": "An unknown error occured"}, status=500)
        if symbol in gone:
            return json_response({"code": gone[symbol], "msg": "no such thing"}, status=400)
        return json_response(venue.open_orders(symbol))

    async def socket(at: web.WebSocketResponse, call: dict[str, Any]) -> None:
        symbol = call["params"].get("symbol")
        if symbol is None:
            await reply(at, call, {"code": -1000, "msg": "An unknown error occured"}, status=500)
        elif symbol in gone:
            await reply(at, call, {"code": gone[symbol], "msg": "no such thing"}, status=400)
        else:
            await reply(at, call, venue.open_orders(symbol))

    venue.script("GET openOrders", rest, times=10_000)
    venue.script("openOrders.status", socket, times=10_000)


async def test_a_symbol_that_is_gone_holds_no_other_and_is_named() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    venue.add_order(ours(1), symbol="BTCUSDT")
    refuse_account(venue, {"ETHUSDT": -1121})
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=60)
    assert venue.open_orders() == []
    assert (report.verified_empty_ns is not None, report.canceled, report.remaining) == (True, 1, 0)
    assert any(text.startswith("ETHUSDT: ") and "-1121" in text for text in report.errors)


async def test_a_symbol_that_cannot_be_listed_holds_no_other_and_proves_nothing() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    venue.add_order(ours(1), symbol="BTCUSDT")
    refuse_account(venue, {"ETHUSDT": -1100})
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=2)
    assert venue.open_orders() == []
    assert (report.verified_empty_ns, report.canceled) == (None, 1)
    assert report.remaining == 1, "as last seen: none in a part of the symbols is not none"
    assert any(text.startswith("ETHUSDT: ") and "-1100" in text for text in report.errors)


async def test_no_symbol_at_all_proves_nothing() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    refuse_account(venue, {"BTCUSDT": -1121, "ETHUSDT": -1121})
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=1)
    assert (report.verified_empty_ns, report.open_orders) == (None, None)


async def test_a_venue_that_answers_nothing_is_never_said_to_hold_none() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 2)
    refuse_account(venue, {"BTCUSDT": -1000, "ETHUSDT": -1000})
    told: list[tuple[int, int]] = []
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(
            deadline_s=1.5, on_round=lambda canceled, left: told.append((canceled, left))
        )
    assert (report.verified_empty_ns, report.open_orders, told) == (None, None, [])
    assert report.unasked == "the venue could not be asked"


async def test_an_order_whose_cancel_is_refused_is_named_and_holds_no_other() -> None:
    """A whole symbol refuses; one by one goes, but for an order that the venue will not cancel."""
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, MANY)

    async def refuse(request: web.Request) -> web.Response:
        if request.query["symbol"] == "BTCUSDT":
            return json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        return json_response(venue._cancel_all(dict(request.query))[1])

    async def refuse_socket(at: web.WebSocketResponse, call: dict[str, Any]) -> None:
        if call["params"]["symbol"] == "BTCUSDT":
            await reply(at, call, {"code": -1121, "msg": "Invalid symbol."}, status=400)
        else:
            await reply(at, call, venue._cancel_all(call["params"])[1])

    venue.script("DELETE openOrders", refuse, times=10_000)
    venue.script("openOrders.cancelAll", refuse_socket, times=10_000)
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=60)
    assert venue.open_orders() == []
    assert report.verified_empty_ns is not None
    assert any(text.startswith("BTCUSDT: ") for text in report.errors)


async def test_an_odd_value_in_an_order_of_somebody_else_holds_nothing() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    fill_with(venue, 2)
    venue.add_order("web_1", price=None, side={"odd": 1})
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=60)
    assert (report.verified_empty_ns is not None, report.others) == (True, 1)


async def test_a_ban_is_told_with_its_end() -> None:
    venue = ScriptedVenue(("BTCUSDT", "ETHUSDT"))
    until_ms = SystemClock().now_ns() // 1_000_000 + 3_600_000

    async def banned(_request: web.Request) -> web.Response:
        body = {"code": -1003, "msg": f"Way too much; IP banned until {until_ms}."}
        return json_response(body, status=418)

    venue.script("GET openOrders", banned, times=10)
    venue.script("GET time", banned, times=10)
    venue.script("connect", banned, times=10)
    async with ready(venue) as stop:
        report = await stop.cancel_and_verify(deadline_s=0.5)
    assert (report.verified_empty_ns, report.open_orders) == (None, None)
    assert re.fullmatch(r"the venue could not be asked before [-0-9]+ [:0-9]+ UTC", report.unasked)
