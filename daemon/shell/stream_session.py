"""One connection to the market streams: combined frames in, market events out.

Rules of this file:
1. Names stand in the URL, so no command is sent and the limit of five messages a second is far.
2. Half-open is found twice: by pings, and by silence (no frame within `silence_max_s`).
3. A frame that cannot be read is counted and passed over; `garbage_max` of them end the connection.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from daemon.errors import NotConnected, Undecodable
from daemon.shell.clock import Clock
from daemon.venues.binance_spot.codec_stream import (
    SHUTDOWN,
    MarketEvent,
    StreamNotice,
    StreamReader,
    combined_path,
)
from daemon.venues.hosts import Endpoint, check_peer

GARBAGE_MAX = 10
_FRAME_MAX_BYTES = 4 * 1024 * 1024
_QUEUE_FRAMES_MAX = 1024


class _DirectConnect(connect):
    """`connect` that follows no redirect: where it would lead is not in the table of hosts."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class StreamSession:
    """A live market connection. `run` reads it until it is lost."""

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
        self.lost = False
        self.due = False
        self.wake = asyncio.Event()
        self.reason = ""
        self.last_frame_ns = clock.now_ns()
        self.opened_ns = self.last_frame_ns
        self.frames = 0
        self.garbage = 0
        self._environment = environment
        self._endpoint = endpoint
        self._names = names
        self._reader = reader
        self._clock = clock
        self._on_event = on_event
        self._silence_max_s = silence_max_s
        self._connection: ClientConnection | None = None

    async def open(
        self, *, connect_deadline_s: float, ping_idle_s: float, ping_reply_s: float
    ) -> None:
        """Connect and subscribe (the names are in the URL).

        Raises:
            NotConnected: with what the network or the venue answered.
            HostRefused: the address is not in the table.
        """
        endpoint = self._endpoint
        check_peer(self._environment, endpoint.host, endpoint.port)
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        url = f"{endpoint.scheme}://{host}:{endpoint.port}{combined_path(self._names)}"
        options: dict[str, Any] = {
            "open_timeout": connect_deadline_s,
            "ping_interval": ping_idle_s,
            "ping_timeout": ping_reply_s,
            "close_timeout": 1.0,
            "max_size": _FRAME_MAX_BYTES,
            "max_queue": _QUEUE_FRAMES_MAX,
            "compression": None,
            "proxy": None,
            "user_agent_header": None,
        }
        try:
            async with asyncio.timeout(connect_deadline_s):
                self._connection = await _DirectConnect(url, **options)
        except (websockets.WebSocketException, OSError, TimeoutError, ValueError) as error:
            raise NotConnected(
                f"market connection to {endpoint.host}:{endpoint.port}: "
                f"{type(error).__name__} {error}"
            ) from error
        self.opened_ns = self.last_frame_ns = self._clock.now_ns()

    async def run(self) -> str:
        """Read until the connection is lost; returns why."""
        connection = self._connection
        if connection is None:
            return "never opened"
        self._watch_silence()
        try:
            while True:
                self._take(await connection.recv(decode=False))
        except (websockets.WebSocketException, OSError, Undecodable) as error:
            self.reason = self.reason or f"{type(error).__name__}: {error}"[:200]
        finally:
            self.lost = True
            self.wake.set()
            # Not the closing handshake: a half-open peer would never answer it.
            connection.transport.abort()
        return self.reason

    def close(self, reason: str) -> None:
        """End the connection; `run` returns."""
        self.reason = self.reason or reason
        if self._connection is not None:
            self._connection.transport.abort()

    def _watch_silence(self) -> None:
        """Look a few times per bound; a timer per frame would cost more than the frame."""
        if self.lost:
            return
        silent_s = (self._clock.now_ns() - self.last_frame_ns) / 1e9
        if silent_s > self._silence_max_s:
            self.close(f"no frame for {self._silence_max_s:g} s")
        else:
            asyncio.get_running_loop().call_later(self._silence_max_s / 4, self._watch_silence)

    def _take(self, frame: bytes | str) -> None:
        now_ns = self._clock.now_ns()
        self.last_frame_ns = now_ns
        self.frames += 1
        try:
            event = self._reader.read(frame, now_ns)
        except Undecodable:
            self.garbage += 1
            if self.garbage >= GARBAGE_MAX:
                raise
            return
        if type(event) is StreamNotice:
            if event.name == SHUTDOWN:
                self.due = True
                self.wake.set()
            return
        self._on_event(event)
