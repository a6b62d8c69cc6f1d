"""One WebSocket connection: what order entry and market streams have in common. It moves bytes.

Rules of this file:
1. A loss is told once, by `on_gone`, in the turn in which it is seen; `run` returns after it.
2. Half-open connections are found by pings when idle.
3. No redirects, no proxies, no compression; the host table is asked at every connect.
"""

import asyncio

import picows

from daemon.errors import NotConnected, Undecodable, VenueRefusal
from daemon.shell.clock import Clock
from daemon.venues.binance_spot.codec_rest import retry_after_s
from daemon.venues.hosts import Endpoint, check_peer

FRAME_MAX_BYTES = 16 * 1024 * 1024
_TEXT = picows.WSMsgType.TEXT
_CONTINUATION = picows.WSMsgType.CONTINUATION
_CLOSE = picows.WSMsgType.CLOSE


class SocketSession(picows.WSListener):
    """A connection that a subclass gives a meaning: `on_payload` and `on_gone`."""

    def __init__(self, *, environment: str, endpoint: Endpoint, path: str, clock: Clock) -> None:
        """Wire it; nothing is connected before `open`. `path` holds the query, too."""
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
        self._path = path
        self._clock = clock
        self._transport: picows.WSTransport | None = None
        self._writable = True
        self._parts: list[bytes] = []
        self._read_ns = 0

    def on_payload(self, payload: bytes, now_ns: int) -> None:
        """One whole text message. May raise `Undecodable`: that ends the connection."""
        raise NotImplementedError

    def on_read_over(self) -> None:
        """All whole messages of one read were told."""

    def on_gone(self, reason: str) -> None:
        """The connection is lost; called once."""
        raise NotImplementedError

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
        """End the connection; `on_gone` follows."""
        self.reason = self.reason or reason
        transport = self._transport
        if transport is not None and not transport.is_disconnected:
            # Not the closing handshake: a half-open peer would never answer it.
            transport.disconnect(graceful=False)

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
            self.on_read_over()

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
        self.on_gone(self.reason)

    def pause_writing(self) -> None:
        """The kernel takes no more bytes."""
        self._writable = False

    def resume_writing(self) -> None:
        """The kernel takes bytes again."""
        self._writable = True


def _refused(host: str, error: picows.WSInvalidStatusError) -> VenueRefusal:
    response = error.response
    status = int(response.status) if response is not None else 0
    wait_s = retry_after_s(response.headers.get("Retry-After")) if response is not None else None
    return VenueRefusal(
        status, 0, f"{host} answered the handshake with {status}", retry_after_s=wait_s
    )
