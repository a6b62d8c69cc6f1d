"""The gateway's WebSockets: who answers no ping is cut off; who sends a burst holds nobody up."""

import asyncio
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from aiohttp import WSMessage, WSMsgType, web

from daemon.settings_bots import GatewaySettings
from daemon.shell.gateway import server
from daemon.shell.gateway.server import Fronts, GatewayServer
from daemon.shell.sim_host.sim_connection import Backlog, SimConnection
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.ws_frames import ID_LENGTH_MAX, decode_request
from tests.unit.shell.gateway.test_door_and_doubt import StillClock, Transport

S_NS = 1_000_000_000
FRAMES = 500


class Peer:
    """A socket that remembers the pings it was sent."""

    closed = False

    def __init__(self) -> None:
        self.pings = 0
        self.transport = Transport()

    async def ping(self, _payload: bytes) -> None:
        self.pings += 1

    def connection(self, kind: str, now_ns: int) -> SimConnection:
        request = cast("web.BaseRequest", SimpleNamespace(transport=self.transport))
        socket = cast("web.WebSocketResponse", self)
        return SimConnection(kind, socket, request, now_ns, Backlog())


def gateway(clock: StillClock, **fronts: Any) -> GatewayServer:
    made = SimpleNamespace(**{"rest": None, "api": None, "streams": None, **fronts})
    return GatewayServer(GatewaySettings(listen="127.0.0.1:0"), cast("Fronts", made), clock)


async def test_who_answers_no_ping_for_a_minute_is_cut_off_and_who_does_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, heard, deaf, stream = StillClock(), Peer(), Peer(), Peer()
    began_ns = clock.at_ns
    first = heard.connection("user", began_ns)
    asking = [first, deaf.connection("user", began_ns)]
    listening = [stream.connection("market", began_ns)]
    api = SimpleNamespace(connections=lambda: asking)
    streams = SimpleNamespace(connections=lambda: listening)
    real_sleep = asyncio.sleep

    async def pause(_seconds: float) -> None:
        await real_sleep(0)

    monkeypatch.setattr("asyncio.sleep", pause)
    caring = asyncio.get_running_loop().create_task(gateway(clock, api=api, streams=streams).care())
    async with asyncio.timeout(60):
        clock.at_ns = began_ns + 21 * S_NS
        while not (heard.pings and deaf.pings and stream.pings):
            await real_sleep(0)
        await first.on_control(WSMsgType.PONG, b"", clock.at_ns)
        clock.at_ns = began_ns + 61 * S_NS
        while not (deaf.transport.is_cut and stream.transport.is_cut):
            await real_sleep(0)
    caring.cancel()
    assert not heard.transport.is_cut


class Burst(web.WebSocketResponse):
    """Frames that have been read from the network all at once."""

    left = FRAMES

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WSMessage:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return WSMessage(WSMsgType.TEXT, "{}", None)


async def test_a_burst_of_one_connection_lets_the_others_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns, seen = 0, []

    async def opened(_request: web.BaseRequest) -> web.WebSocketResponse:
        return Burst()

    async def answer() -> None:
        seen.append(turns)

    def begin(group: asyncio.TaskGroup, *_: object, **__: object) -> "asyncio.Task[None]":
        return group.create_task(answer())

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(server, "_opened", opened)
    api = SimpleNamespace(
        opened=lambda *_: None, closed=lambda _: None, heard=lambda _: None,
        is_cancel=lambda _: False, begin=begin,
    )  # fmt: skip
    other = asyncio.get_running_loop().create_task(others())
    request = cast("web.BaseRequest", SimpleNamespace(transport=None, query_string=""))
    await gateway(StillClock(), api=api)._serve_api(request)
    other.cancel()
    assert len(seen) == FRAMES
    assert len(set(seen)) > FRAMES // 2, "each frame is answered in a turn of its own"


def test_a_request_does_not_call_itself_by_a_book() -> None:
    frame = '{"id":"%s","method":"time"}'
    assert decode_request((frame % ("x" * ID_LENGTH_MAX)).encode()).request_id
    with pytest.raises(DialectError, match="Invalid JSON"):
        decode_request((frame % ("x" * (ID_LENGTH_MAX + 1))).encode())
