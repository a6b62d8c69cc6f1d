"""Market streams for bots: the venue's frames, from one connection to all who listen.

Rules of this file:
1. A frame is handed on as it came; nothing is made here.
2. When the venue's connection is lost, the bots' are closed: they connect and synchronise again,
   as they would at the venue itself. A gap is never covered.
"""

from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any, Protocol

from daemon.shell.sim_host.sim_connection import SimConnection
from daemon.venues.binance_spot.serving.stream_control import (
    StreamSession,
    control,
    open_streams,
)


class StreamSource(Protocol):
    """The link's side: one connection to the venue's market streams."""

    def want(self, names: Collection[str]) -> None:
        """From now on these streams."""

    async def confirmed(self, names: Collection[str]) -> None:
        """Wait until the venue sends all of these, or for some seconds."""

    def run(
        self, on_frame: Callable[[str, bytes], None], on_lost: Callable[[], None]
    ) -> Coroutine[Any, Any, None]:
        """Serve for ever: `on_frame(name, whole frame)`."""


class BotStreamHub:
    """Who listens to what. Lives on the gateway's loop."""

    def __init__(
        self, source: StreamSource, symbols: Iterable[str], now_ns: Callable[[], int]
    ) -> None:
        self._source = source
        self._symbols = frozenset(symbols)
        self._now_ns = now_ns
        self._connections: dict[StreamSession, SimConnection] = {}
        self._listeners: dict[str, dict[StreamSession, None]] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def connections(self) -> list[SimConnection]:
        """The open ones."""
        return list(self._connections.values())

    def opened(
        self, session: StreamSession, connection: SimConnection, names: Iterable[str]
    ) -> None:
        """A connection is there, with the names of its URL."""
        self._connections[session] = connection
        for error in open_streams(session, names, self._symbols):
            connection.send(error, self._now_ns())
        self._listen(session, session.names)

    def closed(self, session: StreamSession) -> None:
        """It is gone."""
        self._connections.pop(session, None)
        self._unlisten(session, tuple(session.names))

    def control(self, session: StreamSession, frame: bytes) -> None:
        """Answer SUBSCRIBE and its kin."""
        reply = control(session, frame, self._symbols)
        self._connections[session].send(reply.frame, self._now_ns())
        self._listen(session, reply.added)
        self._unlisten(session, reply.removed)

    async def follows_book(self, symbol: str) -> bool:
        """Whether somebody hears the differences of a book; waits until the venue sends them."""
        plain = f"{symbol.lower()}@depth"
        names = [one for one in (plain, f"{plain}@100ms") if one in self._listeners]
        if names:
            await self._source.confirmed(names)
        return bool(names)

    def on_frame(self, name: str, frame: bytes) -> None:
        """A frame of the venue, wrapped with its name."""
        listeners = self._listeners.get(name)
        if not listeners:
            return
        now_ns = self._now_ns()
        bare = frame[len(name) + len('{"stream":"","data":') : -1]
        for session in listeners:
            self._connections[session].send_event(frame if session.combined else bare, now_ns)

    def on_lost(self) -> None:
        """The venue's connection is lost."""
        for session, connection in self._connections.items():
            if session.names:
                connection.close_after_outbox()

    def _listen(self, session: StreamSession, names: Iterable[str]) -> None:
        is_new = False
        for name in names:
            is_new = is_new or name not in self._listeners
            self._listeners.setdefault(name, {})[session] = None
        if is_new:
            self._source.want(self._listeners)

    def _unlisten(self, session: StreamSession, names: Iterable[str]) -> None:
        is_less = False
        for name in names:
            listeners = self._listeners.get(name)
            if listeners is None:
                continue
            listeners.pop(session, None)
            if not listeners:
                del self._listeners[name]
                is_less = True
        if is_less:
            self._source.want(self._listeners)
