"""The lowest socket function: what it refuses, how it dies, what it assembles."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from daemon.errors import AnswerLost, HaltClosed, HostRefused, NotConnected, VenueRefusal
from daemon.model.halt import HaltFlag
from daemon.shell.link.order_session import OrderSession
from daemon.shell.link.stream_session import MarketSession
from daemon.shell.process.clock import SystemClock
from daemon.venues.contract import SocketMessage, SocketNotice
from daemon.venues.hosts import CheckedAddress, EndpointKind, check_endpoint
from tests.support.adapters import spot
from tests.support.link_bench import order

ENCODER = spot().order_codec()
OPEN = {"connect_deadline_s": 1.0, "ping_idle_s": 10.0, "ping_reply_s": 5.0}
LIVE = CheckedAddress("wss://ws-api.binance.com", "wss", "ws-api.binance.com", 443, "")
Handler = Callable[[web.Request], Any]


class Desk:
    """An order session and what it told."""

    def __init__(self, endpoint: CheckedAddress, environment: str = "sim") -> None:
        self.halt = HaltFlag()
        self.messages: list[SocketMessage] = []
        self.losses: list[str] = []
        self.arrived = asyncio.Event()
        self.session = OrderSession(
            environment=environment,
            endpoint=endpoint,
            codec=ENCODER,
            clock=SystemClock(),
            halt=self.halt,
            on_message=self._take,
            on_lost=lambda _session, reason: self.losses.append(reason),
        )

    def _take(self, _session: OrderSession, message: SocketMessage, _now_ns: int) -> None:
        self.messages.append(message)
        self.arrived.set()


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[CheckedAddress]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield check_endpoint("sim", EndpointKind.WS_API, f"ws://127.0.0.1:{port}")
    finally:
        await runner.cleanup()


async def talk(request: web.Request) -> web.StreamResponse:
    """Accept and listen until the client goes."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for _ in socket:
        pass
    return socket


@pytest.mark.parametrize("environment", ["sim", "binance-spot-testnet"])
async def test_a_host_that_is_not_in_the_table_is_refused(environment: str) -> None:
    desk = Desk(LIVE, environment)
    with pytest.raises(HostRefused):
        await desk.session.open(**OPEN)
    stream = MarketSession(
        environment=environment,
        endpoint=LIVE,
        names=["btcusdt@trade"],
        codec=spot(environment=environment).market,
        clock=SystemClock(),
        on_event=lambda _event: None,
        silence_max_s=1,
    )
    with pytest.raises(HostRefused):
        await stream.open(**OPEN)


async def test_redirects_are_not_followed() -> None:
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with serving(elsewhere) as endpoint:
        desk = Desk(endpoint)
        with pytest.raises(VenueRefusal, match="302"):
            await desk.session.open(**OPEN)
    assert asked == ["/ws-api/v3"]


async def test_a_refused_handshake_says_when_to_come_back() -> None:
    async def banned(_request: web.Request) -> web.Response:
        return web.Response(status=418, headers={"Retry-After": "120"})

    async with serving(banned) as endpoint:
        with pytest.raises(VenueRefusal) as caught:
            await Desk(endpoint).session.open(**OPEN)
    assert (caught.value.status, caught.value.retry_after) == (418, "120")


async def test_not_a_websocket_at_all() -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<html>hello</html>")

    async with serving(page) as endpoint:
        with pytest.raises((NotConnected, VenueRefusal)):
            await Desk(endpoint).session.open(**OPEN)


async def test_a_handshake_has_a_deadline() -> None:
    release = asyncio.Event()

    async def never(_request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with serving(never) as endpoint:
        with pytest.raises(NotConnected):
            await Desk(endpoint).session.open(**{**OPEN, "connect_deadline_s": 0.1})
        release.set()


async def test_nobody_listens(unused_tcp_port: int) -> None:
    endpoint = check_endpoint("sim", EndpointKind.WS_API, f"ws://127.0.0.1:{unused_tcp_port}")
    desk = Desk(endpoint)
    with pytest.raises(NotConnected, match=str(unused_tcp_port)):
        await desk.session.open(**OPEN)
    with pytest.raises(NotConnected):
        desk.session.send(ENCODER.place(order(), "1", 1))


async def test_the_flag_is_read_directly_before_the_bytes() -> None:
    received: list[str] = []

    async def listen(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            received.append(message.data)
            if len(received) == 2:
                await socket.close()
        return socket

    async with serving(listen) as endpoint:
        desk = Desk(endpoint)
        await desk.session.open(**OPEN)
        desk.session.send(ENCODER.place(order(), "1", 1))
        desk.halt.close("kill")
        with pytest.raises(HaltClosed, match="kill"):
            desk.session.send(ENCODER.place(order("stabc123-1-2"), "2", 1))
        desk.session.send(spot().stop_codec().cancel_by_id("BTCUSDT", 5, "", "3", 1))
        await desk.session.run()
    assert ["order.place" in received[0], "order.cancel" in received[1]] == [True, True]
    assert desk.losses == ["closed by the venue: 1000"]


async def test_a_socket_that_takes_no_more_bytes_refuses_instead_of_queueing() -> None:
    async with serving(talk) as endpoint:
        desk = Desk(endpoint)
        await desk.session.open(**OPEN)
        desk.session.pause_writing()
        with pytest.raises(NotConnected, match="backpressure"):
            desk.session.send(ENCODER.place(order(), "1", 1))
        desk.session.resume_writing()
        desk.session.send(ENCODER.place(order(), "1", 1))
        desk.session.close("end")
        assert await desk.session.run() == "end"
    assert desk.losses == ["end"]


async def test_a_message_in_fragments_is_put_together() -> None:
    text = b'{"event":{"e":"aNewKind","E":1}}'

    async def fragments(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert request.transport is not None
        # FIN clear on the first two frames: opcodes text, continuation, continuation.
        for head, part in ((0x01, text[:5]), (0x00, text[5:9]), (0x80, text[9:])):
            request.transport.write(bytes([head, len(part)]) + part)
        async for _ in socket:
            pass
        return socket

    async with serving(fragments) as endpoint:
        desk = Desk(endpoint)
        await desk.session.open(**OPEN)
        async with asyncio.timeout(60):
            await desk.arrived.wait()
        desk.session.close("end")
        await desk.session.run()
    assert desk.messages == [SocketNotice("aNewKind")]


async def test_garbage_ends_the_connection() -> None:
    async def garble(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("not the venue's language")
        async for _ in socket:
            pass
        return socket

    async with serving(garble) as endpoint:
        desk = Desk(endpoint)
        await desk.session.open(**OPEN)
        async with asyncio.timeout(60):
            reason = await desk.session.run()
    assert "WebSocket API frame" in reason
    assert desk.losses == [reason]


async def test_who_asked_learns_of_the_loss_and_of_the_deadline() -> None:
    async def mute(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()  # the first question stays without an answer
        await socket.receive()
        assert request.transport is not None
        request.transport.abort()
        return socket

    async with serving(mute) as endpoint:
        desk = Desk(endpoint)
        await desk.session.open(**OPEN)
        with pytest.raises(AnswerLost, match="no answer"):
            await desk.session.ask(ENCODER.ping("1"), deadline_s=0.05)
        with pytest.raises(AnswerLost, match="connection"):
            await desk.session.ask(ENCODER.ping("2"), deadline_s=60)
    assert len(desk.losses) == 1
