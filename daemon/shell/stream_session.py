"""One connection to the market streams: combined frames in, market events out.

Rules of this file:
1. Names stand in the URL, so no command is sent and the limit of five messages a second is far.
2. Half-open is found twice: by pings, and by silence (no frame within `silence_max_s`).
3. A frame that cannot be read is counted and passed over; `GARBAGE_MAX` of them end the connection.
"""

import asyncio
from collections.abc import Callable

from daemon.errors import Undecodable
from daemon.shell.clock import Clock
from daemon.shell.socket_session import SocketSession
from daemon.venues.binance_spot.codec_stream import (
    SHUTDOWN,
    MarketEvent,
    StreamNotice,
    StreamReader,
    combined_path,
)
from daemon.venues.hosts import Endpoint

GARBAGE_MAX = 10
_LOOKS_PER_BOUND = 4


class StreamSession(SocketSession):
    """A connection for market data."""

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
        path = combined_path(names)
        super().__init__(environment=environment, endpoint=endpoint, path=path, clock=clock)
        self.frames = 0
        self.garbage = 0
        self._reader = reader
        self._on_event = on_event
        self._silence_max_s = silence_max_s
        self._look: asyncio.TimerHandle | None = None

    async def run(self) -> str:
        """Watch for silence until the connection is lost; returns why."""
        self._watch_silence()
        return await super().run()

    def on_payload(self, payload: bytes, now_ns: int) -> None:
        """One combined frame."""
        self.frames += 1
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

    def on_gone(self, reason: str) -> None:  # noqa: ARG002 - the keeper reads it from `run`
        """Stop watching."""
        if self._look is not None:
            self._look.cancel()

    def _watch_silence(self) -> None:
        """Look a few times per bound; a timer per frame would cost more than the frame."""
        if self.lost:
            return
        silent_s = (self._clock.now_ns() - self.last_frame_ns) / 1e9
        if silent_s > self._silence_max_s:
            self.close(f"no frame for {self._silence_max_s:g} s")
            return
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(self._silence_max_s / _LOOKS_PER_BOUND, self._watch_silence)
