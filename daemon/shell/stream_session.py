"""One connection to the market streams, over `websockets`: combined frames in, events out.

Rules of this file:
1. Names stand in the URL, so hardly a command is sent: five messages a second are far away.
2. A quiet market is no dead connection: after half of `silence_max_s` without a frame the venue is
   asked for its subscriptions; only a connection that answers nothing is given up.
3. A frame that cannot be read is counted and passed over; `GARBAGE_MAX` of them end the connection.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from daemon.errors import NotConnected, Undecodable, VenueRefusal
from daemon.shell.clock import Clock
from daemon.venues.binance_spot.codec_rest import retry_after_s
from daemon.venues.binance_spot.codec_stream import (
    SHUTDOWN,
    MarketEvent,
    StreamNotice,
    StreamReader,
    combined_path,
    list_frame,
)
from daemon.venues.hosts import Endpoint, check_peer

GARBAGE_MAX = 10
_FRAME_MAX_BYTES = 16 * 1024 * 1024
_QUEUE_FRAMES_MAX = 1_024
_CLOSE_DEADLINE_S = 1.0
_LOOKS_PER_BOUND = 6


class _Direct(connect):
    """`connect` that follows no redirect: where it would lead is not in the table of hosts."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Refuse."""
        return exc


class StreamSession:
    """A connection for market data. `open` it, then `run` reads it until it is lost."""

    def __init__(
        self,
        *,
        environment: str,
        endpoint: Endpoint,
        names: list[str],
        reader: StreamReader,
        clock: Clock,
        on_event: Callable[[MarketEvent], None],
        silence_max_s: float,
    ) -> None:
        """Wire it; nothing is connected before `open`."""
        self.lost = False
        self.due = False
        """True when it should be replaced by a new connection (the venue said so)."""
        self.wake = asyncio.Event()
        """Set when `lost` or `due` becomes true."""
        self.reason = ""
        self.last_frame_ns = self.opened_ns = clock.now_ns()
        self.frames = 0
        self.garbage = 0
        self._environment = environment
        self._endpoint = endpoint
        self._path = combined_path(names)
        self._reader = reader
        self._clock = clock
        self._on_event = on_event
        self._silence_max_s = silence_max_s
        self._connection: ClientConnection | None = None

    async def open(
        self, *, connect_deadline_s: float, ping_idle_s: float, ping_reply_s: float
    ) -> None:
        """Connect and subscribe.

        Raises:
            VenueRefusal: the venue answered the handshake with another status than 101.
            NotConnected: the network, TLS or the handshake failed.
            HostRefused: the address is not in the table.
        """
        endpoint = self._endpoint
        check_peer(self._environment, endpoint.host, endpoint.port)
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        options: dict[str, Any] = {
            "open_timeout": connect_deadline_s,
            "ping_interval": ping_idle_s,
            "ping_timeout": ping_reply_s,
            "close_timeout": _CLOSE_DEADLINE_S,
            "max_size": _FRAME_MAX_BYTES,
            "max_queue": _QUEUE_FRAMES_MAX,
            "compression": None,
            "proxy": None,
            "user_agent_header": None,
        }
        try:
            async with asyncio.timeout(connect_deadline_s):
                url = f"{endpoint.scheme}://{host}:{endpoint.port}{self._path}"
                self._connection = await _Direct(url, **options)
        except websockets.InvalidStatus as error:
            raise _refused(endpoint.host, error) from error
        except (websockets.WebSocketException, OSError, TimeoutError, ValueError) as error:
            raise NotConnected(
                f"{endpoint.host}:{endpoint.port}: {type(error).__name__} {error}".strip()
            ) from error
        self.opened_ns = self.last_frame_ns = self._clock.now_ns()

    async def run(self) -> str:
        """Read until the connection is lost; returns why."""
        connection = self._connection
        if connection is None:
            return "never opened"
        try:
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(self._watch_silence(connection), name="market-silence")
                await self._read(connection)
                watcher.cancel()
        finally:
            self.lost = True
            self.wake.set()
            # Not the closing handshake: a half-open peer would never answer it.
            connection.transport.abort()
        return self.reason

    def renew(self) -> None:
        """The venue says that this connection goes away: a new one is wanted, with overlap."""
        self.due = True
        self.wake.set()

    def close(self, reason: str) -> None:
        """End the connection; `run` returns."""
        self.reason = self.reason or reason
        if self._connection is not None:
            self._connection.transport.abort()

    async def _read(self, connection: ClientConnection) -> None:
        try:
            while True:
                self._take(await connection.recv(decode=False))
        except (websockets.WebSocketException, OSError, Undecodable) as error:
            self.reason = self.reason or f"{type(error).__name__}: {error}"[:200]

    def _take(self, frame: bytes | str) -> None:
        now_ns = self._clock.now_ns()
        self.last_frame_ns = now_ns
        self.frames += 1
        payload = frame if isinstance(frame, bytes) else frame.encode()
        try:
            event = self._reader.read(payload, now_ns)
        except Undecodable:
            self.garbage += 1
            if self.garbage >= GARBAGE_MAX:
                raise
            return
        if type(event) is not StreamNotice:
            self._on_event(event)
        elif event.name == SHUTDOWN:
            self.renew()

    async def _watch_silence(self, connection: ClientConnection) -> None:
        """Look a few times per bound; a timer per frame would cost more than the frame."""
        asked = 0
        while not self.lost:
            await asyncio.sleep(self._silence_max_s / _LOOKS_PER_BOUND)
            silent_s = (self._clock.now_ns() - self.last_frame_ns) / 1e9
            if silent_s > self._silence_max_s:
                self.close(f"no frame for {self._silence_max_s:g} s, and no answer to a question")
                return
            if silent_s > self._silence_max_s / 2:
                asked += 1
                try:
                    async with asyncio.timeout(self._silence_max_s / 2):
                        await connection.send(list_frame(asked), text=True)
                except (websockets.WebSocketException, OSError, TimeoutError):
                    return  # the reader sees the same loss and says why


def _refused(host: str, error: websockets.InvalidStatus) -> VenueRefusal:
    status = error.response.status_code
    wait_s = retry_after_s(error.response.headers.get("Retry-After"))
    return VenueRefusal(
        status, 0, f"{host} answered the handshake with {status}", retry_after_s=wait_s
    )
