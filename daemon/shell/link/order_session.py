"""One connection for order entry and user data. It only moves bytes.

Rules of this file:
1. `send` is synchronous: bytes go to the kernel in the caller's turn, or it raises and none did.
2. The halt flag and the latch on the disk are read in `send`, directly before a placement's bytes.
3. A frame that is not the venue's language ends the connection: the books may no longer be trusted
   to it.
4. A loss is told once, by `on_lost`, in the turn in which it is seen; `run` returns after it.
5. Half-open connections are found by pings when idle.
6. No redirects, no proxies, no compression; the host table is asked at every connect.
"""

import asyncio
from collections.abc import Callable

import picows

from daemon.errors import AnswerLost, HaltClosed, NotConnected, Undecodable, VenueRefusal
from daemon.model.halt import HaltFlag
from daemon.shell.process.clock import Clock
from daemon.venues.adapter import OrderCodec
from daemon.venues.contract import SocketMessage, WsReply
from daemon.venues.hosts import CheckedAddress, check_peer
from daemon.venues.requests import Purpose, WsRequest

_PLACE = Purpose.PLACE
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

FRAME_MAX_BYTES = 16 * 1024 * 1024
_TEXT = picows.WSMsgType.TEXT
_CONTINUATION = picows.WSMsgType.CONTINUATION
_CLOSE = picows.WSMsgType.CLOSE


def _nothing() -> None:
    """Nobody minds where a read ends."""


class OrderSession(picows.WSListener):
    """A connection for orders; `on_message` gets everything that `ask` did not ask for."""

    def __init__(
        self,
        *,
        environment: str,
        endpoint: CheckedAddress,
        codec: OrderCodec,
        clock: Clock,
        halt: HaltFlag,
        on_message: Callable[["OrderSession", SocketMessage, int], None],
        on_lost: Callable[["OrderSession", str], None],
        on_read_over: Callable[[], None] = _nothing,
    ) -> None:
        """Wire it; nothing is connected before `open`."""
        self.codec = codec
        self._decode = codec.decode
        self.lost = False
        self.due = False
        """True when it should be replaced by a new connection (the venue said so)."""
        self.wake = asyncio.Event()
        """Set when `lost` or `due` becomes true."""
        self.reason = ""
        self.last_frame_ns = clock.now_ns()
        self.last_text_ns = self.last_frame_ns
        """Like `last_frame_ns`, without pings and pongs: proof that the venue's software lives."""
        self.opened_ns = self.last_frame_ns
        self._gone = asyncio.Event()
        self._environment = environment
        self._endpoint = endpoint
        self._path = codec.path if endpoint.path in {"", "/"} else endpoint.path
        self._clock = clock
        self._transport: picows.WSTransport | None = None
        self._writable = True
        self._parts: list[bytes] = []
        self._read_ns = 0
        self._halt = halt
        self._on_message = on_message
        self._on_lost = on_lost
        self._on_read_over = on_read_over
        self._asked: dict[str, asyncio.Future[WsReply]] = {}

    async def open(
        self, *, connect_deadline_s: float, ping_idle_s: float, ping_reply_s: float
    ) -> None:
        """Connect; returns when frames may be sent.

        Raises:
            VenueRefusal: the venue answered the handshake with another status than 101.
            NotConnected: the network, TLS or the handshake failed.
            HostRefused: the address is not in the table.
        """
        endpoint = self._endpoint
        check_peer(self._environment, endpoint.host, endpoint.port)
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        url = f"{endpoint.scheme}://{host}:{endpoint.port}{self._path}"
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
        except picows.WSInvalidStatusError as error:
            self.close("never opened")
            raise _refused(endpoint.host, error) from error
        except (picows.WSError, OSError, TimeoutError, ValueError, EOFError) as error:
            self.close("never opened")
            raise NotConnected(
                f"{endpoint.host}:{endpoint.port}: {type(error).__name__} {error}".strip()
            ) from error
        self.opened_ns = self.last_frame_ns = self.last_text_ns = self._clock.now_ns()

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
            # Not the closing handshake: a half-open peer would never answer it.
            transport.disconnect(graceful=False)

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
        if request.purpose is _PLACE and self._halt.look():
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

    # ---------------------------------------------------------------- picows' callbacks
    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """The handshake is complete."""
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """One frame arrived; picows answers pings by itself."""
        kind, is_last = frame.msg_type, frame.last_in_buffer
        # Frames that came in one read share its time: the clock costs as much as a small frame.
        now_ns = self._read_ns or self._clock.now_ns()
        self._read_ns = 0 if is_last else now_ns
        self.last_frame_ns = now_ns
        if kind is _TEXT or kind is _CONTINUATION:
            self.last_text_ns = now_ns
            payload: bytes | None = frame.get_payload_as_bytes()
            if self._parts or not frame.fin:
                payload = self._whole(frame)
            if payload is not None:
                try:
                    self.on_payload(payload, now_ns)
                except Undecodable as error:
                    self.close(str(error)[:200])
        elif kind is _CLOSE:
            self.reason = self.reason or f"closed by the venue: {frame.get_close_code()}"
            transport.send_close(frame.get_close_code(), b"")
            transport.disconnect()
        if is_last:
            self._on_read_over()

    def on_payload(self, payload: bytes, now_ns: int) -> None:
        """A reply or an event."""
        message = self._decode(payload, now_ns)
        if self._asked and type(message) is WsReply:
            future = self._asked.get(message.request_id)
            if future is not None:
                if not future.done():
                    future.set_result(message)
                return
        self._on_message(self, message, now_ns)

    def _whole(self, frame: picows.WSFrame) -> bytes | None:
        """The message that this frame ends; None when more of it follows."""
        self._parts.append(frame.get_payload_as_bytes())
        if not frame.fin:
            return None
        payload = b"".join(self._parts)
        self._parts.clear()
        return payload

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002 - picows' signature
        """The connection is gone, for whatever reason."""
        if self.lost:
            return
        self.lost = True
        self.reason = self.reason or "connection lost"
        self._transport = None
        self.wake.set()
        self._gone.set()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(AnswerLost(f"order connection: {self.reason}"))
        self._on_lost(self, self.reason)

    def pause_writing(self) -> None:
        """The kernel takes no more bytes."""
        self._writable = False

    def resume_writing(self) -> None:
        """The kernel takes bytes again."""
        self._writable = True


def _refused(host: str, error: picows.WSInvalidStatusError) -> VenueRefusal:
    response = error.response
    status = int(response.status) if response is not None else 0
    body = error.raw_body if isinstance(error.raw_body, bytes) else b""
    retry_after = response.headers.get("Retry-After") if response is not None else None
    return VenueRefusal.of_handshake(host, status, body, retry_after)
