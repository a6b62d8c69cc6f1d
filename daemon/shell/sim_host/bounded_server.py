"""How many connections the gateway or the simulated venue holds, and which one makes room.

Rules of this file:
1. A connection that has sent no whole request costs nobody anything: whoever comes beyond the bound
   takes the place of the one that has been idle for longest. So silent or slow peers, however many,
   keep no request out.
2. WebSockets stay for as long as their owners want: the gateway keeps a quarter of the bound for
   REST, so that a cancel can always be sent.
3. What is no request is answered and not logged: strangers fill no log.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.log import server_logger
from aiohttp.web_protocol import RequestHandler


def _is_our_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_LOG = server_logger.getChild("seatrial")
_LOG.addFilter(_is_our_fault)


class BoundedServer(web.Server):
    """Lives on the loop of who serves."""

    def __init__(self, handler: Callable[..., Any], *, connections_max: int) -> None:
        # No log of requests: a hammer would fill it, and signed texts have no business in it.
        super().__init__(handler, access_log=None, logger=_LOG)
        self._max = connections_max
        self._web_sockets_max = max(1, connections_max * 3 // 4)
        self._idle: dict[RequestHandler, asyncio.Transport] = {}
        """Those without a whole request under way; the one that is idle for longest is first."""
        self._busy: dict[RequestHandler, asyncio.Transport] = {}
        self._web_sockets = 0

    @property
    def is_full(self) -> bool:
        """Whether every connection that may be held has a request under way."""
        return len(self._busy) >= self._max

    @property
    def is_full_of_web_sockets(self) -> bool:
        """Whether another WebSocket would take what is kept for REST."""
        return self._web_sockets >= self._web_sockets_max

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """A connection is there; beyond the bound the longest idle one is closed for it."""
        super().connection_made(handler, transport)
        if self._idle and len(self._idle) + len(self._busy) >= self._max:
            oldest = next(iter(self._idle))
            self._idle.pop(oldest).abort()
        self._idle[handler] = transport

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """A connection is gone."""
        self._idle.pop(handler, None)
        self._busy.pop(handler, None)
        super().connection_lost(handler, exc)

    @contextmanager
    def serving(self, request: web.BaseRequest, *, web_socket: bool = False) -> Iterator[None]:
        """While a whole request is answered, or a WebSocket is open, its connection is kept."""
        handler = request.protocol
        transport = self._idle.pop(handler, None)
        if transport is not None:
            self._busy[handler] = transport
        self._web_sockets += web_socket
        try:
            yield
        finally:
            self._web_sockets -= web_socket
            transport = self._busy.pop(handler, None)
            if transport is not None:
                self._idle[handler] = transport


def server_of_whole_requests(
    answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], *, connections_max: int
) -> BoundedServer:
    """A server whose `answer` is asked once a request has been read to its end."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await request.read()
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413, text="request body too large")
        with server.serving(request):
            return await answer(request)

    server = BoundedServer(serve, connections_max=connections_max)
    return server
