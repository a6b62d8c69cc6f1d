"""The wire between a bot and the gateway: a proxy on loopback that keeps a row of each request.

The rows are those that `seatrial sim --wire` keeps of the venue's own wire, so that the same judges
read both. The gateway has no part in it: what a bot asked is not taken from the daemon's word.

Rules of this file:
1. Bytes pass as they are; only the headers that belong to one connection are made anew.
2. A request whose answer does not come has status 0, and the bot's connection is cut, as it would
   be without the proxy.
"""

import asyncio
import contextlib
import json
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web
from yarl import URL

from daemon.shell.process.clock import Clock
from daemon.venues.binance_spot.serving.params import from_form
from daemon.venues.sim.venue_ledger import ASKED

API_PATH = "/ws-api/v3"
ROWS_MAX = 1_000_000
_ANSWER_S = 60.0
_START_S = 10.0
_OF_ONE_CONNECTION = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length"}
)
_FRAMES = {WSMsgType.TEXT, WSMsgType.BINARY}


class GatewayWire:
    """A thread with a loop of its own; `target` may change while it runs."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is started yet."""
        self._clock = clock
        self.target = ""
        """Host and port of the gateway."""
        self.address = ""
        """Host and port that the bot is given."""
        self._rows: deque[dict[str, Any]] = deque(maxlen=ROWS_MAX)
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._ends = asyncio.Event()
        self._session: aiohttp.ClientSession
        self._thread = threading.Thread(target=self._run, name="gateway-wire", daemon=True)

    def start(self) -> None:
        """Listen on a free port of loopback.

        Raises:
            OSError: it does not listen within 10 s.
        """
        self._thread.start()
        if not self._started.wait(_START_S) or not self.address:
            raise OSError("the proxy before the gateway does not listen on 127.0.0.1")

    def stop(self) -> None:
        """Close every connection."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ends.set)
            self._thread.join(_START_S)

    def rows(self, since_ns: int) -> list[dict[str, Any]]:
        """The rows since then, in order of their requests."""
        with self._lock:
            kept = [row for row in self._rows if row["ts_ns"] >= since_ns]
        return sorted(kept, key=lambda row: int(row["ts_ns"]))

    def _book(
        self, name: str, asked: Mapping[str, Any], status: int, code: int, ts_ns: int
    ) -> None:
        told = {field: str(asked[key]) for key, field in ASKED.items() if asked.get(key)}
        row = {"ts_ns": ts_ns, "name": name, "status": status, "code": code, **told}
        with self._lock:
            self._rows.append(row)

    # ------------------------------------------------------------------ the loop
    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._started.set()
            self._loop.close()

    async def _serve(self) -> None:
        server = web.Server(self._handle, access_log=None)
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"127.0.0.1:{runner.addresses[0][1]}"
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as self._session:
            self._started.set()
            await self._ends.wait()
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._carry_socket(request)
        return await self._carry_request(request)

    # ------------------------------------------------------------------ REST
    async def _carry_request(self, request: web.BaseRequest) -> web.StreamResponse:
        ts_ns = self._clock.now_ns()
        body = await request.read()
        path, _, query = request.raw_path.partition("?")
        asked = from_form(query.encode(), body).values
        name = f"REST {request.method} {path}"
        url = URL(f"http://{self.target}{request.raw_path}", encoded=True)
        try:
            async with self._session.request(
                request.method, url, headers=_passed_on(request.headers), data=body or None
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            self._book(name, asked, 0, 0, ts_ns)
            return _cut(request)
        self._book(name, asked, answer.status, _code_of(answer.status, content), ts_ns)
        return web.Response(status=answer.status, body=content, headers=_passed_on(answer.headers))

    # ------------------------------------------------------------------ sockets
    async def _carry_socket(self, request: web.BaseRequest) -> web.StreamResponse:
        is_api = request.path == API_PATH
        kind = "WS" if is_api else "STREAM"
        streams = {} if is_api else {"streams": _names_in(request)}
        url = URL(f"http://{self.target}{request.raw_path}", encoded=True)
        headers = {
            name: value
            for name, value in _passed_on(request.headers).items()
            if not name.lower().startswith("sec-websocket")
        }
        try:
            there = await self._session.ws_connect(url, headers=headers, max_msg_size=0)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            status = getattr(error, "status", 0)
            self._book(f"{kind} open", streams, status, 0, self._clock.now_ns())
            return web.Response(status=status) if status else _cut(request)
        here = web.WebSocketResponse(max_msg_size=0)
        waiting: dict[str, tuple[int, str, Mapping[str, Any]]] = {}
        try:
            await here.prepare(request)
            self._book(f"{kind} open", streams, 200, 0, self._clock.now_ns())
            async with asyncio.TaskGroup() as group:
                up = group.create_task(self._up(here, there, waiting, is_api=is_api))
                down = group.create_task(self._down(there, here, waiting))
                await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
                up.cancel()
                down.cancel()
        finally:
            now_ns = self._clock.now_ns()
            for ts_ns, method, params in waiting.values():
                self._book(f"WS {method}", params, 0, 0, ts_ns)
            self._book(f"{kind} close", {}, 0, 0, now_ns)
            await there.close()
            with contextlib.suppress(ConnectionError, RuntimeError):
                await here.close()
        return here

    async def _up(
        self,
        here: web.WebSocketResponse,
        there: aiohttp.ClientWebSocketResponse,
        waiting: dict[str, tuple[int, str, Mapping[str, Any]]],
        *,
        is_api: bool,
    ) -> None:
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            async for message in here:
                if message.type not in _FRAMES:
                    return
                frame, now_ns = _decoded(message.data), self._clock.now_ns()
                params = frame.get("params")
                if is_api:
                    values = params if isinstance(params, dict) else {}
                    waiting[str(frame.get("id"))] = now_ns, str(frame.get("method")), values
                elif frame.get("method") == "SUBSCRIBE" and isinstance(params, list):
                    names = {"streams": ",".join(str(one) for one in params)}
                    self._book("STREAM subscribe", names, 200, 0, now_ns)
                await _send(there, message)

    async def _down(
        self,
        there: aiohttp.ClientWebSocketResponse,
        here: web.WebSocketResponse,
        waiting: dict[str, tuple[int, str, Mapping[str, Any]]],
    ) -> None:
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            async for message in there:
                if message.type not in _FRAMES:
                    return
                frame = _decoded(message.data) if waiting else {}
                asked = waiting.pop(str(frame.get("id")), None)
                if asked is not None:
                    ts_ns, method, params = asked
                    error = frame.get("error")
                    code = error.get("code", 0) if isinstance(error, dict) else 0
                    self._book(f"WS {method}", params, int(frame.get("status", 200)), code, ts_ns)
                await _send(here, message)


async def _send(
    socket: web.WebSocketResponse | aiohttp.ClientWebSocketResponse, message: aiohttp.WSMessage
) -> None:
    if message.type is WSMsgType.TEXT:
        await socket.send_str(message.data)
    else:
        await socket.send_bytes(message.data)


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in headers.items() if name.lower() not in _OF_ONE_CONNECTION
    }


def _names_in(request: web.BaseRequest) -> str:
    names = request.path.removeprefix("/ws/") if request.path.startswith("/ws/") else ""
    return names or request.query.get("streams", "").replace("/", ",")


def _cut(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


def _decoded(text: str | bytes) -> dict[str, Any]:
    try:
        frame = json.loads(text)
    except ValueError:
        return {}
    return frame if isinstance(frame, dict) else {}


def _code_of(status: int, body: bytes) -> int:
    """The code in an error's body; 0 when there is none."""
    code = _decoded(body).get("code", 0) if status >= 400 else 0
    return code if isinstance(code, int) else 0
