"""One connection to the WebSocket API: order entry and user data. It only moves bytes.

Rules of this file:
1. `send` is synchronous: bytes go to the kernel in the caller's turn, or it raises and none did.
2. The halt flag is read in `send`, directly before a placement's bytes.
3. A loss is told once, by `on_lost`, in the turn in which it is seen.
4. Half-open connections are found by pings when idle; a frame that is not the venue's language
   ends the connection (the books may no longer be trusted to it).
"""

import asyncio
from collections.abc import Callable

import picows

from daemon.errors import (
    AnswerLost,
    HaltClosed,
    NotConnected,
    Undecodable,
)
from daemon.model.halt import HaltFlag
from daemon.shell.clock import Clock
from daemon.venues.binance_spot.codec_ws import (
    PATH,
    WsEncoder,
    WsMessage,
    WsReply,
    decode_frame,
)
from daemon.venues.hosts import Endpoint, check_peer
from daemon.venues.requests import Purpose, WsRequest

FRAME_MAX_BYTES = 16 * 1024 * 1024


class OrderSession(picows.WSListener):
    """A live connection. Make one with `open_order_session`."""

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
    ) -> None:
        self.encoder = encoder
        self.lost = False
        self.due = False
        """True when it should be replaced by a new connection (serverShutdown)."""
        self.wake = asyncio.Event()
        self._gone = asyncio.Event()
        self.reason = ""
        self.last_frame_ns = clock.now_ns()
        self.opened_ns = self.last_frame_ns
        self._environment = environment
        self._endpoint = endpoint
        self._clock = clock
        self._halt = halt
        self._on_message = on_message
        self._on_lost = on_lost
        self._transport: picows.WSTransport | None = None
        self._writable = True
        self._asked: dict[str, asyncio.Future[WsReply]] = {}
        self._parts: list[bytes] = []

    async def open(
        self, *, connect_deadline_s: float, ping_idle_s: float, ping_reply_s: float
    ) -> None:
        """Connect; returns when frames may be sent.

        Raises:
            NotConnected: with what the network or the venue answered.
            HostRefused: the address is not in the table.
        """
        endpoint = self._endpoint
        check_peer(self._environment, endpoint.host, endpoint.port)
        path = PATH if endpoint.path in {"", "/"} else endpoint.path
        url = f"{endpoint.scheme}://{_bracketed(endpoint.host)}:{endpoint.port}{path}"
        try:
            async with asyncio.timeout(connect_deadline_s):
                await picows.ws_connect(
                    lambda: self,
                    url,
                    websocket_handshake_timeout=connect_deadline_s,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=ping_idle_s,
                    auto_ping_reply_timeout=ping_reply_s,
                    max_frame_size=FRAME_MAX_BYTES,
                    max_redirects=0,
                    disconnect_on_exception=True,
                )
        except (picows.WSError, OSError, TimeoutError, ValueError, EOFError) as error:
            self.close("never opened")
            raise NotConnected(
                f"order connection to {endpoint.host}:{endpoint.port}: "
                f"{type(error).__name__} {error}"
            ) from error
        self.opened_ns = self.last_frame_ns = self._clock.now_ns()

    # ---------------------------------------------------------------- sending
    def send(self, request: WsRequest) -> None:
        """Write one request now.

        Raises:
            NotConnected, HaltClosed: no byte left.
            HostRefused: the address is not in the table.
        """
        transport = self._transport
        if transport is None or self.lost or transport.is_disconnected:
            raise NotConnected("the order connection is down")
        if not self._writable:
            raise NotConnected("the order connection takes no more bytes (backpressure)")
        if request.purpose is Purpose.PLACE and self._halt.closed:
            raise HaltClosed(f"the halt flag is closed: {self._halt.reason}")
        transport.send(picows.WSMsgType.TEXT, request.payload)

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
            raise AnswerLost(f"no answer to a session request within {deadline_s} s") from error
        finally:
            self._asked.pop(request.request_id, None)

    async def run(self) -> str:
        """Wait until the connection is lost; returns why."""
        await self._gone.wait()
        return self.reason

    def renew(self) -> None:
        """The venue says that this connection goes away: a new one is wanted, with overlap."""
        self.due = True
        self.wake.set()

    def close(self, reason: str) -> None:
        """End the connection; `on_lost` follows."""
        self.reason = self.reason or reason
        transport = self._transport
        if transport is not None and not transport.is_disconnected:
            transport.disconnect(graceful=False)

    # ---------------------------------------------------------------- picows' callbacks
    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """The handshake is complete."""
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """One frame arrived; picows answers pings by itself."""
        kind = frame.msg_type
        self.last_frame_ns = now_ns = self._clock.now_ns()
        if kind is picows.WSMsgType.TEXT or kind is picows.WSMsgType.CONTINUATION:
            payload = frame.get_payload_as_bytes()
            if not frame.fin or self._parts:
                self._parts.append(payload)
                if not frame.fin:
                    return
                payload = b"".join(self._parts)
                self._parts.clear()
            self._take(payload, now_ns)
        elif kind is picows.WSMsgType.CLOSE:
            self.reason = self.reason or f"closed by the venue: {frame.get_close_code()}"
            transport.send_close(frame.get_close_code(), b"")
            transport.disconnect()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002 - picows' signature
        """The connection is gone, for whatever reason."""
        if self.lost:
            return
        self.lost = True
        self.wake.set()
        self._gone.set()
        self._transport = None
        reason = self.reason = self.reason or "connection lost"
        for future in self._asked.values():
            if not future.done():
                future.set_exception(AnswerLost(f"order connection: {reason}"))
        self._on_lost(self, reason)

    def pause_writing(self) -> None:
        """The kernel takes no more: sends are refused before any byte."""
        self._writable = False

    def resume_writing(self) -> None:
        """The kernel takes bytes again."""
        self._writable = True

    def _take(self, payload: bytes, now_ns: int) -> None:
        try:
            message = decode_frame(payload)
            if type(message) is WsReply:
                future = self._asked.get(message.request_id)
                if future is not None:
                    if not future.done():
                        future.set_result(message)
                    return
            self._on_message(self, message, now_ns)
        except Undecodable as error:
            self.close(str(error)[:200])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
