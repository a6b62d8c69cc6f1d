"""The gateway's sockets: REST, WebSocket API and market streams on one address.

Rules of this file:
1. A page in a browser cannot use it: a request with an Origin, or for another Host, is refused.
2. It moves bytes; who may ask what is the door's, what is answered the calls'.
3. A refusal here is no 5xx: no bot may take it for "perhaps".
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
from aiohttp import WSMsgType, web

from daemon.settings_bots import UNIX_PREFIX, GatewaySettings, is_loopback_listen, split_listen
from daemon.shell.gateway.gateway_rest import RestFront
from daemon.shell.gateway.gateway_ws import ApiFront
from daemon.shell.gateway.request_queue import RequestQueue
from daemon.shell.gateway.stream_hub import BotStreamHub
from daemon.shell.process.clock import Clock
from daemon.shell.process.tasks import spawn
from daemon.shell.sim_host.bounded_server import BoundedServer
from daemon.shell.sim_host.sim_connection import Backlog, SimConnection, new_socket, not_opened
from daemon.venues.binance_spot.serving.rest_requests import JSON_TYPE, RestRequest
from daemon.venues.binance_spot.serving.stream_control import StreamSession
from daemon.venues.binance_spot.serving.ws_frames import ApiSession

HANDSHAKE_S = 10.0
_S_NS = 1_000_000_000
_PING_EVERY_S, _PONG_WITHIN_S = 20.0, 60.0
_STREAM_MESSAGES_PER_S = 5
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Fronts(msgspec.Struct, frozen=True):
    """What answers, by protocol."""

    rest: RestFront
    api: ApiFront
    streams: BotStreamHub


class GatewayServer:
    """Lives on the gateway's loop."""

    def __init__(self, settings: GatewaySettings, fronts: Fronts, clock: Clock) -> None:
        self._settings = settings
        self._fronts = fronts
        self._clock = clock
        self._networks = tuple(ipaddress.ip_network(one) for one in settings.clients)
        self._is_private = is_loopback_listen(settings.listen)
        self._hosts = _LOOPBACK_NAMES | {one.lower() for one in settings.hosts}
        if not settings.listen.startswith(UNIX_PREFIX):
            self._hosts |= {split_listen(settings.listen)[0].lower()}
        self._server: BoundedServer | None = None
        self._runner: web.ServerRunner | None = None
        self._listening: asyncio.Server | None = None
        self._backlog = Backlog()
        self.requests = 0
        self.turned_away = 0
        """Requests of a browser, of a stranger, or beyond the bound on connections."""

    async def start(self) -> str:
        """Bind and listen; the address, with the real port.

        Raises:
            OSError: the address cannot be bound, or the certificate cannot be used.
        """
        self._server = BoundedServer(self._handle, connections_max=self._settings.connections_max)
        self._runner = web.ServerRunner(self._server, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        listen, tls = self._settings.listen, _tls_of(self._settings)
        if listen.startswith(UNIX_PREFIX):
            path = Path(listen.removeprefix(UNIX_PREFIX))
            await asyncio.to_thread(_clear, path)
            await web.UnixSite(self._runner, path, ssl_context=tls).start()
            await asyncio.to_thread(path.chmod, 0o600)
            return listen
        host, port = split_listen(listen)
        # Not a site of aiohttp's: who does not shake hands is not among the connections yet.
        self._listening = await asyncio.get_running_loop().create_server(
            self._server, host, port, ssl=tls, ssl_handshake_timeout=HANDSHAKE_S if tls else None
        )
        return f"{host}:{self._listening.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close every connection."""
        for connection in self._connections():
            connection.abort()
        if self._listening is not None:
            self._listening.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def care(self) -> None:
        """Pings, and connections that answer none; for ever."""
        while True:
            await asyncio.sleep(_PING_EVERY_S / 4)
            now_ns = self._clock.now_ns()
            for connection in self._connections():
                if now_ns - connection.ponged_ns > _PONG_WITHIN_S * _S_NS:
                    connection.abort()
                elif now_ns - connection.pinged_ns > _PING_EVERY_S * _S_NS:
                    await connection.ping(now_ns)

    def _connections(self) -> list[SimConnection]:
        return [*self._fronts.api.connections(), *self._fronts.streams.connections()]

    # ------------------------------------------------------------------ who may come in
    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests += 1
        server = self._server
        refusal = self._turned_away(request)
        if refusal is not None or server is None:
            self.turned_away += 1
            return refusal or _too_many()
        path = request.path
        is_api = path == "/ws-api/v3"
        if not is_api and path not in {"/stream", "/ws"} and not path.startswith("/ws/"):
            return await self._serve_rest(request, server)
        if server.is_full_of_web_sockets:
            self.turned_away += 1
            return _too_many()
        with server.serving(request, web_socket=True):
            return await (self._serve_api(request) if is_api else self._serve_streams(request))

    def _turned_away(self, request: web.BaseRequest) -> web.Response | None:
        if request.headers.get("Origin"):
            return web.Response(status=403, text="seatrial: no page in a browser is served")
        if _name_of(request.headers.get("Host", "")) not in self._hosts:
            return web.Response(status=421, text="seatrial: not a Host of [gateway] hosts")
        if not self._is_private and not self._is_listed(request.remote):
            return web.Response(status=403, text="seatrial: not in [gateway] clients")
        if self._server is not None and self._server.is_full:
            return _too_many()
        return None

    def _is_listed(self, remote: str | None) -> bool:
        try:
            address = ipaddress.ip_address(remote or "")
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    # ------------------------------------------------------------------ protocols
    async def _serve_rest(
        self, request: web.BaseRequest, server: BoundedServer
    ) -> web.StreamResponse:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413, text="request body too large")
        with server.serving(request):
            return await self._answer(request, body)

    async def _answer(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        raw_path, _, query = request.raw_path.partition("?")
        answer = await self._fronts.rest.answer(
            RestRequest(
                method=request.method,
                path=raw_path,
                query=query.encode("utf-8", "surrogateescape"),
                body=body,
                api_key=request.headers.get("X-MBX-APIKEY", ""),
                time_unit=request.headers.get("X-MBX-TIME-UNIT", ""),
            )
        )
        headers = answer.headers | {"Content-Type": answer.content_type}
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    async def _serve_api(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = await _opened(request)
        if not isinstance(socket, web.WebSocketResponse):
            return socket
        now_ns = self._clock.now_ns()
        connection = SimConnection("user", socket, request, now_ns, self._backlog)
        show_limits = parse_qs(request.query_string).get("returnRateLimits") != ["false"]
        session = ApiSession(connected_ns=now_ns, show_limits=show_limits)
        front = self._fronts.api
        front.opened(session, connection)
        async with asyncio.TaskGroup() as group:
            writer = spawn(group, connection.write_forever(), name="gateway api writer")
            queue = RequestQueue(group, front, session, connection)
            try:
                async for message in socket:
                    if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                        front.heard(session)
                        queue.take(_bytes_of(message.data))
                        await asyncio.sleep(0)  # what is read already is read on without a pause
                    else:
                        front.heard(session)
                        at_ns = self._clock.now_ns()
                        await connection.on_control(message.type, message.data, at_ns)
            finally:
                queue.close()
                front.closed(session)
                writer.cancel()
                connection.drop()
        return socket

    async def _serve_streams(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = await _opened(request)
        if not isinstance(socket, web.WebSocketResponse):
            return socket
        connection = SimConnection("market", socket, request, self._clock.now_ns(), self._backlog)
        session = StreamSession(combined=request.path == "/stream")
        hub = self._fronts.streams
        hub.opened(session, connection, _names_of(request, combined=session.combined))
        async with asyncio.TaskGroup() as group:
            writer = spawn(group, connection.write_forever(), name="gateway stream writer")
            try:
                async for message in socket:
                    now_ns = self._clock.now_ns()
                    if connection.is_too_chatty(now_ns, _STREAM_MESSAGES_PER_S):
                        connection.close_after_outbox()
                    elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                        hub.control(session, _bytes_of(message.data))
                    else:
                        await connection.on_control(message.type, message.data, now_ns)
            finally:
                hub.closed(session)
                writer.cancel()
                connection.drop()
        return socket


def _too_many() -> web.Response:
    """Every connection that may be held is at work: 429, since nothing was done."""
    body = b'{"code":-1003,"msg":"Too many connections; seatrial: [gateway] connections_max"}'
    headers = {"Content-Type": JSON_TYPE, "Retry-After": "1", "Connection": "close"}
    return web.Response(status=429, body=body, headers=headers)


async def _opened(request: web.BaseRequest) -> web.WebSocketResponse | web.Response:
    """A WebSocket, or why there is none."""
    socket = new_socket()
    if refusal := not_opened(request, socket):
        return refusal
    await socket.prepare(request)
    return socket


def _names_of(request: web.BaseRequest, *, combined: bool) -> Iterable[str]:
    if combined:
        return "/".join(parse_qs(request.query_string).get("streams", [])).split("/")
    return request.path.removeprefix("/ws").strip("/").split("/")


def _bytes_of(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        # `[::1].example.com` is somebody else's name
        return name.lower() if not port or port.startswith(":") else host.lower()
    return host.partition(":")[0].lower()


def _clear(path: Path) -> None:
    """Remove a socket that an earlier run has left; whatever else is there stays."""
    if path.is_socket():
        path.unlink()


def _tls_of(settings: GatewaySettings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    return context
