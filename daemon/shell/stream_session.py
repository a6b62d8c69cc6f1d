"""One connection to the market streams: combined frames in, market events out.

Rules of this file:
1. Names stand in the URL, so hardly a command is sent: five messages a second are far away.
2. A quiet market is no dead connection: after half of `silence_max_s` without a frame the venue is
   asked for its subscriptions; only a connection that answers nothing is given up.
3. A frame that cannot be read is counted and passed over; `GARBAGE_MAX` of them end the connection.
"""

import asyncio
from collections.abc import Callable

import picows

from daemon.errors import Undecodable
from daemon.shell.clock import Clock
from daemon.shell.socket_session import SocketSession
from daemon.venues.binance_spot.codec_stream import (
    SHUTDOWN,
    MarketEvent,
    StreamNotice,
    StreamReader,
    combined_path,
    list_frame,
)
from daemon.venues.hosts import Endpoint

GARBAGE_MAX = 10
_LOOKS_PER_BOUND = 6


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
        self._asked = 0
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

    def _ask(self) -> None:
        transport = self._transport
        if transport is not None and not transport.is_disconnected and self._writable:
            self._asked += 1
            transport.send(picows.WSMsgType.TEXT, list_frame(self._asked))

    def _watch_silence(self) -> None:
        """Look a few times per bound; a timer per frame would cost more than the frame."""
        if self.lost:
            return
        silent_s = (self._clock.now_ns() - self.last_text_ns) / 1e9
        if silent_s > self._silence_max_s:
            self.close(f"no frame for {self._silence_max_s:g} s, and no answer to a question")
            return
        if silent_s > self._silence_max_s / 2:
            self._ask()
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(self._silence_max_s / _LOOKS_PER_BOUND, self._watch_silence)
