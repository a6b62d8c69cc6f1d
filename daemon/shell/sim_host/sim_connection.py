"""One WebSocket of the venue: a bounded outbox with its own writer, pings, and socket faults."""

import asyncio
from collections import deque

import msgspec
from aiohttp import WSMsgType, web

OUTBOX_MAX = 20_000
"""Frames; a client that lets so many pile up is cut off, as the real venue does."""
OUTBOX_BYTES_MAX = 32 * 1024 * 1024
"""Answers can be large: whoever asks and never reads must not fill our memory."""
_BACKLOG_BYTES_MAX = 2 * OUTBOX_BYTES_MAX
_FRAME_MAX = 64 * 1024
_PING_S = 0.2


class Backlog(msgspec.Struct):
    """What waits on all connections of a server together.

    None may hold more than is left for the others: so the sum has a bound, however many do not
    read, and one that reads is not cut off for them.
    """

    held: int = 0
    """Bytes."""

    def is_beyond(self, own: int) -> bool:
        """Whether a connection that holds so many bytes, which count, holds too many."""
        return own > min(OUTBOX_BYTES_MAX, _BACKLOG_BYTES_MAX - self.held)


class SimConnection:
    """A client's socket; `kind` is `user` (WebSocket API) or `market` (streams)."""

    def __init__(
        self,
        kind: str,
        socket: web.WebSocketResponse,
        request: web.BaseRequest,
        now_ns: int,
        backlog: Backlog,
    ) -> None:
        self.kind = kind
        self.opened_ns = now_ns
        self.pinged_ns = now_ns
        self.ponged_ns = now_ns
        self.muted_until_ns = 0
        self.dead_until_ns = 0
        """Half open until then: nothing goes out, nothing that comes in is heard."""
        self._socket = socket
        self._transport = request.transport
        self._backlog = backlog
        self._outbox: deque[bytes | None] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._messages: deque[int] = deque(maxlen=64)
        self._is_closing = False

    def send(self, frame: bytes, now_ns: int) -> None:
        """Queue an answer."""
        if now_ns < self.dead_until_ns or self._is_closing:
            return
        self._count(len(frame))
        if len(self._outbox) >= OUTBOX_MAX or self._backlog.is_beyond(self._bytes):
            self.abort()
            return
        self._outbox.append(frame)
        self._wake.set()

    def send_event(self, frame: bytes, now_ns: int) -> None:
        """Queue an event; a muted socket loses it."""
        if now_ns >= self.muted_until_ns:
            self.send(frame, now_ns)

    def close_after_outbox(self) -> None:
        """Close with a proper close frame once everything queued is out."""
        if not self._is_closing:
            self._is_closing = True
            self._outbox.append(None)
            self._wake.set()

    def abort(self) -> None:
        """Cut the connection: no close frame, the peer sees a reset."""
        self.drop()
        if self._transport is not None:
            self._transport.abort()

    def drop(self) -> None:
        """It is gone: what is queued goes nowhere."""
        self._is_closing = True
        self._outbox.clear()
        self._count(-self._bytes)

    def _count(self, size: int) -> None:
        self._bytes += size
        self._backlog.held += size

    def is_too_chatty(self, now_ns: int, per_second_max: int) -> bool:
        """Count an incoming message; True when the last second saw too many."""
        self._messages.append(now_ns)
        recent = sum(1 for ts_ns in self._messages if now_ns - ts_ns < 1_000_000_000)
        return recent > per_second_max

    async def write_forever(self) -> None:
        """Send what is queued until the socket closes."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    frame = self._outbox.popleft()
                    if frame is None:
                        await self._socket.close()
                        return
                    await self._socket.send_frame(frame, WSMsgType.TEXT)
                    self._count(-min(len(frame), self._bytes))  # none is left after a drop
        except (ConnectionError, RuntimeError):
            return  # the peer has gone; the reader sees it too and cleans up

    async def ping(self, now_ns: int) -> None:
        """Send a ping frame with the time as its payload."""
        self.pinged_ns = now_ns
        if now_ns < self.dead_until_ns or self._socket.closed:
            return
        try:
            # A client that does not read must not hold up the pings of the others.
            async with asyncio.timeout(_PING_S):
                await self._socket.ping(str(now_ns // 1_000_000).encode())
        except (ConnectionError, RuntimeError, TimeoutError):
            return

    async def on_control(self, kind: WSMsgType, payload: bytes, now_ns: int) -> None:
        """Note a client's pong; answer its ping, unless the socket is half open."""
        if kind is WSMsgType.PONG:
            self.ponged_ns = now_ns
        if kind is not WSMsgType.PING or now_ns < self.dead_until_ns:
            return
        try:
            await self._socket.pong(payload)
        except (ConnectionError, RuntimeError):
            return


def new_socket() -> web.WebSocketResponse:
    """A WebSocket as a venue serves it."""
    # Pings and pongs are ours: a half-open socket must not answer them.
    return web.WebSocketResponse(
        autoping=False, compress=False, max_msg_size=_FRAME_MAX, timeout=1.0
    )


def not_opened(request: web.BaseRequest, socket: web.WebSocketResponse) -> web.Response | None:
    """The refusal of what asks for no WebSocket, or for times in another unit; None: open it."""
    if not socket.can_prepare(request).ok:
        return web.Response(status=400, text="this is a WebSocket endpoint")
    if request.query.get("timeUnit", "MILLISECOND").upper() != "MILLISECOND":
        return web.Response(status=400, text="times are served in milliseconds only")
    return None
