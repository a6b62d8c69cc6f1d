"""The lowest transport function: what it refuses, what an error proves about bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from daemon.errors import AnswerLost, BudgetEmpty, HaltClosed, HostRefused, NotConnected
from daemon.model.halt import HaltFlag
from daemon.model.inputs import RateLimited
from daemon.shell.link import rest_session
from daemon.shell.link.governor import Governor
from daemon.shell.link.rest_session import RestSession
from daemon.shell.process.clock import SystemClock
from daemon.venues.binance_spot.codec_rest import SpotRestEncoder
from daemon.venues.binance_spot.request_signing import HmacSigner
from daemon.venues.hosts import CheckedAddress, EndpointKind, check_endpoint
from daemon.venues.requests import HttpRequest, Purpose
from tests.support.adapters import spot
from tests.support.link_bench import order, smaller
from tests.support.scripted_venue import KEY, SECRET, ScriptedVenue, json_response, served

ENCODER = SpotRestEncoder(api_key=KEY, signer=HmacSigner(SECRET), recv_window_ms=3000)


class Desk:
    """A session and what it told."""

    def __init__(self, endpoint: CheckedAddress, environment: str = "sim", **options: Any) -> None:
        self.halt = HaltFlag()
        self.limited: list[RateLimited] = []
        self.governor = Governor(spot().rates)
        self.clock = SystemClock()
        self.session = RestSession(
            environment=environment,
            endpoint=endpoint,
            clock=self.clock,
            governor=self.governor,
            halt=self.halt,
            on_limited=self.limited.append,
            read_error=spot().decode.error,
            **{"deadline_s": 0.5, "connect_deadline_s": 0.3, **options},
        )


@contextlib.asynccontextmanager
async def desk_at(base: str, **options: Any) -> AsyncIterator[Desk]:
    desk = Desk(check_endpoint("sim", EndpointKind.REST, f"http://{base}"), **options)
    await desk.session.open()
    try:
        yield desk
    finally:
        await desk.session.close()


async def test_just_the_signed_bytes_are_sent() -> None:
    async with served(ScriptedVenue()) as venue:
        seen: list[tuple[str, dict[str, str]]] = []

        async def look(request: web.Request) -> web.Response:
            seen.append((request.raw_path, dict(request.headers)))
            return json_response({})

        venue.script("POST order", look)
        async with desk_at(venue.base) as desk:
            request = ENCODER.place(order(), 1)
            reply = await desk.session.call(request)
        assert reply.status == 200
        (path, headers) = seen[0]
        assert path == request.target
        assert headers["X-MBX-APIKEY"] == KEY
        assert "User-Agent" not in headers


async def test_redirects_are_not_followed() -> None:
    async with served(ScriptedVenue()) as venue:

        async def elsewhere(_request: web.Request) -> web.Response:
            return web.Response(
                status=302, headers={"Location": f"http://{venue.base}/api/v3/account"}
            )

        venue.script("GET time", elsewhere)
        async with desk_at(venue.base) as desk:
            reply = await desk.session.call(ENCODER.server_time())
        assert reply.status == 302
        assert venue.asked("GET account") == []


async def test_a_host_that_is_not_in_the_table_is_refused_at_the_last_function() -> None:
    live = CheckedAddress("https://api.binance.com", "https", "api.binance.com", 443, "")
    for environment in ("sim", "binance-spot-testnet"):
        desk = Desk(live, environment)
        await desk.session.open()
        with pytest.raises(HostRefused):
            await desk.session.call(ENCODER.server_time())
        await desk.session.close()


async def test_the_closed_flag_stops_placements_and_nothing_else() -> None:
    async with served(ScriptedVenue()) as venue, desk_at(venue.base) as desk:
        desk.halt.close("kill")
        with pytest.raises(HaltClosed, match="kill"):
            await desk.session.call(ENCODER.place(order(), 1))
        with pytest.raises(HaltClosed):
            await desk.session.call(ENCODER.amend(smaller(), 1))
        assert (await desk.session.call(ENCODER.cancel_all("BTCUSDT", 1))).status == 400
        assert (await desk.session.call(ENCODER.account(1))).status == 200
        assert venue.asked("POST order") == []


async def test_a_flag_closed_while_connecting_still_stops_the_bytes() -> None:
    async with served(ScriptedVenue()) as venue, desk_at(venue.base) as desk:

        class ClosesOnAdmission(Governor):
            def admit(self, *args: Any, **kwargs: Any) -> None:
                # The first check has passed; the connection does not exist yet.
                desk.halt.close("while connecting")

        desk.session._governor = ClosesOnAdmission(spot().rates)
        with pytest.raises(HaltClosed):
            await desk.session.call(ENCODER.place(order(), 1))
        assert venue.requests == []


async def test_a_refused_connection_proves_that_no_byte_left(unused_tcp_port: int) -> None:
    async with desk_at(f"127.0.0.1:{unused_tcp_port}") as desk:
        with pytest.raises(NotConnected, match="no byte left"):
            await desk.session.call(ENCODER.place(order(), 1))
        assert desk.governor.used(desk.clock.now_ns())["REQUEST_WEIGHT_1M"] <= 1


async def test_silence_after_the_bytes_is_an_answer_lost() -> None:
    async with served(ScriptedVenue()) as venue:
        release = asyncio.Event()

        async def never(_request: web.Request) -> web.Response:
            await release.wait()
            return json_response({})

        venue.script("POST order", never)
        async with desk_at(venue.base, deadline_s=0.1) as desk:
            with pytest.raises(AnswerLost, match="bytes had left"):
                await desk.session.call(ENCODER.place(order(), 1))
        release.set()


async def test_a_cut_connection_is_an_answer_lost_and_nothing_is_sent_twice() -> None:
    async with served(ScriptedVenue()) as venue:

        async def cut(request: web.Request) -> web.Response:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        venue.script("POST order", cut, times=5)
        async with desk_at(venue.base) as desk:
            with pytest.raises(AnswerLost):
                await desk.session.call(ENCODER.place(order(), 1))
        assert len(venue.asked("POST order")) == 1


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_session, "BODY_MAX_BYTES", 1000)
    async with served(ScriptedVenue()) as venue:

        async def huge(_request: web.Request) -> web.Response:
            return web.Response(body=b"x" * 5000)

        venue.script("GET time", huge)
        async with desk_at(venue.base) as desk:
            with pytest.raises(AnswerLost, match="larger than"):
                await desk.session.call(ENCODER.server_time())


@pytest.mark.parametrize(
    ("status", "body", "headers", "scope", "seconds"),
    [
        (429, {"code": -1003, "msg": "Too much"}, {"Retry-After": "7"}, "weight", 7),
        (418, {"code": -1003, "msg": "Banned"}, {"Retry-After": "200"}, "ban", 200),
        (418, {"code": -1003, "msg": "Banned"}, {}, "ban", 120),
        (403, None, {}, "waf", 60),
    ],
)
async def test_refused_for_rate(
    status: int, body: Any, headers: dict[str, str], scope: str, seconds: int
) -> None:
    async with served(ScriptedVenue()) as venue:

        async def refuse(_request: web.Request) -> web.Response:
            if body is None:
                return web.Response(status=status, text="<html>no</html>", content_type="text/html")
            return json_response(body, status=status, headers=headers)

        venue.script("GET time", refuse)
        async with desk_at(venue.base) as desk:
            before = desk.clock.now_ns()
            reply = await desk.session.call(ENCODER.server_time())
            (limited,) = desk.limited
            assert (reply.status, reply.paused_until_ns) == (status, limited.until_ns)
            assert limited.scope == scope
            assert abs(limited.until_ns - before - seconds * 1_000_000_000) < 1_000_000_000
            for request in (ENCODER.server_time(), ENCODER.cancel_all("BTCUSDT", 1)):
                with pytest.raises(BudgetEmpty) as caught:
                    await desk.session.call(request)
                assert caught.value.until_ns == limited.until_ns
        assert len(venue.requests) == 1, "during a pause nothing is sent at all"


async def test_headers_feed_the_governor() -> None:
    async with served(ScriptedVenue()) as venue:

        async def counted(_request: web.Request) -> web.Response:
            return json_response({"serverTime": 1}, headers={"X-MBX-USED-WEIGHT-1M": "123"})

        venue.script("GET time", counted)
        async with desk_at(venue.base) as desk:
            desk.governor._windows[0].roll(desk.clock.now_ns())
            desk.governor._windows[0].mark -= 200  # ours may run ahead; the venue's word wins
            await desk.session.call(ENCODER.server_time())
            assert desk.governor.used(desk.clock.now_ns())["REQUEST_WEIGHT_1M"] == 123


async def test_a_closed_session_sends_nothing() -> None:
    desk = Desk(check_endpoint("sim", EndpointKind.REST, "http://127.0.0.1:1"))
    request = HttpRequest(
        method="GET", target="/", headers=(), body=b"", weight=1, purpose=Purpose.DATA
    )
    with pytest.raises(NotConnected, match="not open"):
        await desk.session.call(request)
