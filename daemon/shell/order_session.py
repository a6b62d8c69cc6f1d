"""One connection to the WebSocket API: order entry and user data. It only moves bytes.

Rules of this file:
1. `send` is synchronous: bytes go to the kernel in the caller's turn, or it raises and none did.
2. The halt flag is read in `send`, directly before a placement's bytes.
3. A frame that is not the venue's language ends the connection: the books may no longer be trusted
   to it.
"""

import asyncio
from collections.abc import Callable

import picows

from daemon.errors import AnswerLost, HaltClosed, NotConnected
from daemon.model.halt import HaltFlag
from daemon.shell.clock import Clock
from daemon.shell.socket_session import SocketSession
from daemon.venues.binance_spot.codec_ws import (
    PATH,
    WsEncoder,
    WsMessage,
    WsReply,
    decode_frame,
)
from daemon.venues.hosts import Endpoint
from daemon.venues.requests import Purpose, WsRequest

_TEXT = picows.WSMsgType.TEXT


def _nothing() -> None:
    """Nobody minds where a read ends."""


class OrderSession(SocketSession):
    """A connection for orders; `on_message` gets everything that `ask` did not ask for."""

    def __init__(
        self,
        *,
        environment: str,
        endpoint: Endpoint,
        encoder: WsEncoder,
        clock: Clock,
        halt: HaltFlag,
        on_message: Callable[["OrderSession", WsMessage, int], None],
        on_lost: Callable[["OrderSession", str], None],
        on_read_over: Callable[[], None] = _nothing,
    ) -> None:
        path = PATH if endpoint.path in {"", "/"} else endpoint.path
        super().__init__(environment=environment, endpoint=endpoint, path=path, clock=clock)
        self.encoder = encoder
        self._halt = halt
        self._on_message = on_message
        self._on_lost = on_lost
        self._on_read_over = on_read_over
        self._asked: dict[str, asyncio.Future[WsReply]] = {}

    def send(self, request: WsRequest) -> None:
        """Write one request now.

        Raises:
            NotConnected, HaltClosed: no byte left.
        """
        transport = self._transport
        if transport is None or self.lost or transport.is_disconnected:
            raise NotConnected("the order connection is down")
        if not self._writable:
            raise NotConnected("the order connection takes no more bytes (backpressure)")
        if request.purpose is Purpose.PLACE and self._halt.closed:
            raise HaltClosed(f"the halt flag is closed: {self._halt.reason}")
        transport.send(_TEXT, request.payload)

    async def ask(self, request: WsRequest, *, deadline_s: float) -> WsReply:
        """Send a session request and wait for its answer.

        Raises:
            NotConnected: no byte left. AnswerLost: no answer before the deadline.
        """
        future: asyncio.Future[WsReply] = asyncio.get_running_loop().create_future()
        self._asked[request.request_id] = future
        try:
            self.send(request)
            async with asyncio.timeout(deadline_s):
                return await future
        except TimeoutError as error:
            raise AnswerLost(f"no answer to a session request within {deadline_s:g} s") from error
        finally:
            self._asked.pop(request.request_id, None)

    def on_payload(self, payload: bytes, now_ns: int) -> None:
        """A reply or an event."""
        message = decode_frame(payload)
        if self._asked and type(message) is WsReply:
            future = self._asked.get(message.request_id)
            if future is not None:
                if not future.done():
                    future.set_result(message)
                return
        self._on_message(self, message, now_ns)

    def on_read_over(self) -> None:
        """Whoever was told of messages may now see to them."""
        self._on_read_over()

    def on_gone(self, reason: str) -> None:
        """Who waits for an answer learns that none will come."""
        for future in self._asked.values():
            if not future.done():
                future.set_exception(AnswerLost(f"order connection: {reason}"))
        self._on_lost(self, reason)
