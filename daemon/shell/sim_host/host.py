"""The venue's server: one port for REST, market streams, WebSocket API and the admin calls.

Rules of this file:
1. It moves bytes and time; every decision about orders, answers and events is in
   `daemon.venues.sim`, which is pure.
2. One loop, no threads: a request runs to its end before anything else does, as in one matching
   engine; background flow gets a bounded slice every tick.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs

from aiohttp import WSMsgType, web

from daemon.shell.process.clock import Clock
from daemon.shell.process.tasks import spawn
from daemon.shell.sim_host.admin import Admin
from daemon.shell.sim_host.bounded_server import server_of_whole_requests
from daemon.shell.sim_host.options import Built, SimOptions, seeded
from daemon.shell.sim_host.sim_connection import Backlog, SimConnection, new_socket, not_opened
from daemon.venues.binance_spot.serving.rest_requests import RestRequest
from daemon.venues.binance_spot.serving.stream_control import StreamSession
from daemon.venues.binance_spot.serving.stream_control import shutdown_frame as streams_end
from daemon.venues.binance_spot.serving.ws_frames import (
    ApiSession,
    envelope,
    event_body,
    shutdown_frame,
    subscribers,
)
from daemon.venues.sim.dialect import sim_rest, sim_ws
from daemon.venues.sim.dialect.streams import Frames, StreamHub
from daemon.venues.sim.event_delay import UserEventDelay
from daemon.venues.sim.fault_actions import FaultRunner
from daemon.venues.sim.fault_rules import FaultKind, FaultRule

TICK_S = 0.005
CONNECTIONS_MAX = 512
_S_NS = 1_000_000_000


class SimHost:
    """Sockets around one exchange."""

    def __init__(self, options: SimOptions, built: Built, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self.exchange = built.exchange
        self.following: Callable[[], dict[str, object]] = dict  # nothing is followed
        self.hub = StreamHub(built.exchange.venue)
        self._post = UserEventDelay(built.exchange)
        self._order_rng = seeded(options.seed, "answer order")
        self.fault_runner = FaultRunner(built.exchange, seeded(options.seed, "faults"))
        self._users: dict[ApiSession, SimConnection] = {}
        self._markets: dict[StreamSession, SimConnection] = {}
        self._outages: dict[FaultKind, int] = {}
        self._admin = Admin(self, clock)
        self._group: asyncio.TaskGroup | None = None
        self._runner: web.ServerRunner | None = None
        self._backlog = Backlog()

    async def start(self, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Bind and listen; the port.

        Raises:
            OSError: the address cannot be bound.
        """
        server = server_of_whole_requests(self._handle, connections_max=CONNECTIONS_MAX)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._options.host, port, ssl_context=tls)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            pump = spawn(group, self._pump(), name="sim pump")
            care = spawn(group, self._care(), name="sim housekeeping")
            await stop.wait()
            pump.cancel()
            care.cancel()
            for connection in self.connections("all"):
                connection.abort()
        if self._runner is not None:
            await self._runner.cleanup()

    def connections(self, target: str) -> list[SimConnection]:
        """Open sockets of `user`, `market` or `all`."""
        found: list[SimConnection] = []
        if target in {"user", "all"}:
            found += self._users.values()
        if target in {"market", "all"}:
            found += self._markets.values()
        return found

    def act(self, rule: FaultRule, now_ns: int) -> None:
        """Carry out a socket fault."""
        until_ns = now_ns + int(rule.number("seconds", 5.0) * _S_NS)
        targets = self.connections(rule.text("target", "all"))
        match rule.kind:
            case FaultKind.MUTE:
                for connection in targets:
                    connection.muted_until_ns = until_ns
            case FaultKind.HALF_OPEN | FaultKind.NETWORK_CUT:
                if rule.kind is FaultKind.NETWORK_CUT:
                    self._outages[rule.kind] = until_ns
                for connection in targets:
                    connection.dead_until_ns = until_ns
            case FaultKind.ABRUPT_CLOSE | FaultKind.BAN_418:
                for connection in targets:
                    connection.abort()
            case FaultKind.SERVER_SHUTDOWN:
                self._announce_shutdown(rule.text("target", "all"), rule.number("ms", 1000.0))
            case FaultKind.STREAM_OUTAGE | FaultKind.WS_API_OUTAGE | FaultKind.REST_OUTAGE:
                self._outages[rule.kind] = until_ns
                kinds = {FaultKind.STREAM_OUTAGE: "market", FaultKind.WS_API_OUTAGE: "user"}
                for connection in self.connections(kinds.get(rule.kind, "none")):
                    connection.abort()
            case FaultKind.DEPTH_GAP:
                self.hub.skip_next_depth()

    def calm(self) -> None:
        """End every fault now, those of sockets too."""
        self.fault_runner.calm()
        self._outages.clear()
        for connection in self.connections("all"):
            connection.muted_until_ns = connection.dead_until_ns = 0

    def publish(self, now_ns: int) -> None:
        """Send what has happened to whom it concerns."""
        exchange = self.exchange
        for event in self._post.take(now_ns):
            body = b""
            for session, connection in self._users.items():
                for number in subscribers(session, event.account):
                    body = body or event_body(event)
                    connection.send_event(envelope(number, body), now_ns)
        if exchange.market_outbox:
            events, exchange.market_outbox = exchange.market_outbox, []
            self._send_frames(self.hub.on_events(events), now_ns)

    # ------------------------------------------------------------------ time

    async def _pump(self) -> None:
        while True:
            now_ns = self._clock.now_ns()
            self.exchange.advance(now_ns)
            for rule in self.fault_runner.step(now_ns):
                self.act(rule, now_ns)
            self.publish(now_ns)
            self._send_frames(self.hub.on_tick(now_ns), now_ns)
            await asyncio.sleep(TICK_S)

    async def _care(self) -> None:
        """Pings, missing pongs, and the life span of connections."""
        options = self._options
        step_s = min(1.0, options.ping_every_s / 4)
        while True:
            await asyncio.sleep(step_s)
            now_ns = self._clock.now_ns()
            for connection in self.connections("all"):
                if now_ns - connection.opened_ns > options.connection_life_s * _S_NS:
                    connection.close_after_outbox()
                elif now_ns - connection.ponged_ns > options.pong_within_s * _S_NS:
                    connection.abort()
                elif now_ns - connection.pinged_ns > options.ping_every_s * _S_NS:
                    await connection.ping(now_ns)

    def _announce_shutdown(self, target: str, delay_ms: float) -> None:
        now_ns = self._clock.now_ns()
        if target in {"user", "all"}:
            for connection in self._users.values():
                connection.send_event(shutdown_frame(now_ns), now_ns)
        if target in {"market", "all"}:
            for session, connection in self._markets.items():
                connection.send_event(streams_end(session, now_ns), now_ns)
        leaving = self.connections(target)

        def close_all() -> None:
            for connection in leaving:
                connection.close_after_outbox()

        asyncio.get_running_loop().call_later(delay_ms / 1000, close_all)

    def _send_frames(self, frames: Frames, now_ns: int) -> None:
        if now_ns < self.exchange.frozen_until_ns:
            return
        for session, frame in frames:
            connection = self._markets.get(session)
            if connection is not None:
                connection.send_event(frame, now_ns)

    def _is_out(self, kind: FaultKind, now_ns: int) -> bool:
        return now_ns < self._outages.get(kind, 0)

    # ------------------------------------------------------------------ routes

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path == "/ws-api/v3":
            return await self._serve_api(request)
        if path in {"/stream", "/ws"} or path.startswith("/ws/"):
            return await self._serve_streams(request)
        if path == "/sim" or path.startswith("/sim/"):
            return await self._admin.handle(request)
        return await self._serve_rest(request)

    async def _serve_rest(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        raw_path, _, query = request.raw_path.partition("?")
        now_ns = self._clock.now_ns()
        name = f"REST {request.method} {raw_path}"
        if (down := await self._down(request, name, FaultKind.REST_OUTAGE)) is not None:
            return down
        asked = RestRequest(
            method=request.method,
            path=raw_path,
            query=query.encode("utf-8", "surrogateescape"),
            body=body,
            api_key=request.headers.get("X-MBX-APIKEY", ""),
            time_unit=request.headers.get("X-MBX-TIME-UNIT", ""),
        )
        answer = sim_rest.handle(self.exchange, asked, now_ns)
        if answer.hold_ms:
            await asyncio.sleep(answer.hold_ms / 1000)
            now_ns = self._clock.now_ns()
            answer = sim_rest.handle(self.exchange, asked, now_ns, was_held=True)
        if answer.again_ms:
            late = partial(sim_rest.handle, self.exchange, asked, was_held=True, was_answered=True)
            due_ns = now_ns + answer.again_ms * 1_000_000
            asyncio.get_running_loop().call_later(answer.again_ms / 1000, late, due_ns)
        self.publish(now_ns)
        if answer.status == 418:
            self.act(FaultRule(kind=FaultKind.BAN_418), now_ns)
        if answer.abort:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        if answer.delay_ms:
            await asyncio.sleep(answer.delay_ms / 1000)
        headers = answer.headers | {"Content-Type": answer.content_type}
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    async def _down(
        self, request: web.BaseRequest, name: str, kind: FaultKind
    ) -> web.StreamResponse | None:
        """What a fault says in place of the venue; None when the venue is there."""
        now_ns = self._clock.now_ns()
        until_ns = self.exchange.limiter.banned_until_ns
        banned = kind is not FaultKind.REST_OUTAGE and now_ns < until_ns
        is_cut = self._is_out(FaultKind.NETWORK_CUT, now_ns)
        if not is_cut and not self._is_out(kind, now_ns) and not banned:
            return None
        self._book(name, 0 if is_cut else 503)
        if is_cut:
            await _die_in(self._outages[FaultKind.NETWORK_CUT] - now_ns, request)
        return web.Response(status=503, text="Service Unavailable")

    def _book(self, name: str, status: int, streams: str = "") -> None:
        ledger, now_ns = self.exchange.ledger, self._clock.now_ns()
        ledger.on_wire(name, {"streams": streams}, status=status, code=0, ts_ns=now_ns)

    async def _refusal(
        self, request: web.BaseRequest, socket: web.WebSocketResponse, name: str, kind: FaultKind
    ) -> web.StreamResponse | None:
        """Why a connection is not opened, or None."""
        return await self._down(request, name, kind) or not_opened(request, socket)

    async def _serve_api(self, request: web.BaseRequest) -> web.StreamResponse:
        now_ns = self._clock.now_ns()
        socket = new_socket()
        if refusal := await self._refusal(request, socket, "WS open", FaultKind.WS_API_OUTAGE):
            return refusal
        await socket.prepare(request)
        self.exchange.limiter.charge(2, now_ns)
        connection = SimConnection("user", socket, request, now_ns, self._backlog)
        show_limits = parse_qs(request.query_string).get("returnRateLimits") != ["false"]
        session = ApiSession(connected_ns=now_ns, show_limits=show_limits)
        self._users[session] = connection
        self._book("WS open", 200)
        async with asyncio.TaskGroup() as group:
            writer = spawn(group, connection.write_forever(), name="sim api writer")
            try:
                async for message in socket:
                    arrived_ns = self._clock.now_ns()
                    if arrived_ns < connection.dead_until_ns:
                        continue
                    if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                        data = message.data
                        frame = data.encode() if isinstance(data, str) else data
                        self._on_api_frame(session, connection, frame)
                    else:
                        await connection.on_control(message.type, message.data, arrived_ns)
            finally:
                self._users.pop(session, None)
                self._book("WS close", 0)
                writer.cancel()
                connection.drop()
        return socket

    def _on_api_frame(
        self,
        session: ApiSession,
        connection: SimConnection,
        frame: bytes,
        *,
        was_held: bool = False,
    ) -> None:
        now_ns = self._clock.now_ns()
        reply = sim_ws.handle(self.exchange, session, frame, now_ns, was_held=was_held)
        if reply.hold_ms:
            # Held inside the venue: it is executed later even if the client has gone by then.
            again = partial(self._on_api_frame, session, connection, frame, was_held=True)
            asyncio.get_running_loop().call_later(reply.hold_ms / 1000, again)
            return
        if reply.again_ms:
            late = partial(sim_ws.handle, self.exchange, session, frame, was_held=True)
            due_ns = now_ns + reply.again_ms * 1_000_000
            asyncio.get_running_loop().call_later(reply.again_ms / 1000, late, due_ns)
        # The venue promises no order between an answer and the events of the same order.
        if self._order_rng.random() < 0.5:
            self.publish(now_ns)
        if reply.frame is not None and not reply.delay_ms:
            connection.send(reply.frame, now_ns)
        elif reply.frame is not None:
            loop = asyncio.get_running_loop()
            due_ns = now_ns + reply.delay_ms * 1_000_000
            loop.call_later(reply.delay_ms / 1000, connection.send, reply.frame, due_ns)
        for extra in reply.extra:
            connection.send(extra, now_ns)
        self.publish(now_ns)
        if reply.status == 418:
            # This one hears why before it closes; the others are just cut.
            connection.close_after_outbox()
            for other in self.connections("all"):
                if other is not connection:
                    other.abort()

    async def _serve_streams(self, request: web.BaseRequest) -> web.StreamResponse:
        now_ns = self._clock.now_ns()
        socket = new_socket()
        if refusal := await self._refusal(request, socket, "STREAM open", FaultKind.STREAM_OUTAGE):
            return refusal
        await socket.prepare(request)
        connection = SimConnection("market", socket, request, now_ns, self._backlog)
        combined = request.path == "/stream"
        session = StreamSession(combined=combined)
        if combined:
            names = "/".join(parse_qs(request.query_string).get("streams", [])).split("/")
        else:
            names = request.path.removeprefix("/ws").strip("/").split("/")
        for error in self.hub.open(session, names):
            connection.send(error, now_ns)
        self._markets[session] = connection
        self._book("STREAM open", 200, ",".join(session.names))
        async with asyncio.TaskGroup() as group:
            writer = spawn(group, connection.write_forever(), name="sim stream writer")
            try:
                async for message in socket:
                    arrived_ns = self._clock.now_ns()
                    if arrived_ns < connection.dead_until_ns:
                        continue
                    most = self._options.stream_messages_per_s_max
                    if connection.is_too_chatty(arrived_ns, most):
                        connection.close_after_outbox()
                        continue
                    if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                        data = message.data
                        frame = data.encode() if isinstance(data, str) else data
                        before = len(session.names)
                        connection.send(self.hub.control(session, frame), arrived_ns)
                        if len(session.names) > before:
                            self._book("STREAM subscribe", 200, ",".join(session.names))
                    else:
                        await connection.on_control(message.type, message.data, arrived_ns)
            finally:
                self.hub.close(session)
                self._markets.pop(session, None)
                self._book("STREAM close", 0)
                writer.cancel()
                connection.drop()
        return socket


async def _die_in(rest_ns: int, request: web.BaseRequest) -> None:
    """Say nothing for so long, then cut the connection."""
    await asyncio.sleep(rest_ns / _S_NS)
    if request.transport is not None:
        request.transport.abort()
