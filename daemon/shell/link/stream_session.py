"""One connection to the market streams, over `websockets`: combined frames in, events out.

Rules of this file:
1. Names stand in the URL, so hardly a command is sent: five messages a second are far away.
2. A quiet market is no dead connection: after half of `silence_max_s` without a message the venue
   is asked for its subscriptions; only a connection that answers nothing is given up.
3. A frame that cannot be read is counted and passed over; `GARBAGE_MAX` of them end the connection.
4. Of a stream in `newest_of` the newest readable frame of a read is told, the older are counted.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator

from websockets.exceptions import InvalidStatus, WebSocketException

from daemon.errors import NotConnected, Undecodable, VenueRefusal
from daemon.shell.link.stream_wire import StreamWire
from daemon.shell.process.clock import Clock
from daemon.venues.adapter import MarketCodec
from daemon.venues.contract import MarketEvent, StreamNotice
from daemon.venues.hosts import CheckedAddress, check_peer

GARBAGE_MAX = 10
_LOOKS_PER_BOUND = 6


def _nothing() -> None:
    """Nobody minds where a read ends."""


class MarketSession:
    """A connection for market data. `open` it, then `run` reads it until it is lost."""

    def __init__(
        self,
        *,
        environment: str,
        endpoint: CheckedAddress,
        names: list[str],
        codec: MarketCodec,
        clock: Clock,
        on_event: Callable[[MarketEvent], None],
        silence_max_s: float,
        newest_of: Collection[str] = (),
        on_read_over: Callable[[], None] = _nothing,
        on_look: Callable[[], None] = _nothing,
        on_over: Callable[[], None] = _nothing,
    ) -> None:
        """Wire it; of the names in `newest_of` a newer frame makes an older one worthless.

        `on_read_over` follows the events of one read, `on_look` comes every few seconds while the
        connection lives, `on_over` once when it is lost.
        """
        self.lost = False
        self.due = False
        """True when it should be replaced by a new connection (the venue said so)."""
        self.wake = asyncio.Event()
        """Set when `lost` or `due` becomes true."""
        self.reason = ""
        self.last_frame_ns = self.opened_ns = clock.now_ns()
        self.frames = 0
        """Messages that were looked at."""
        self.superseded = 0
        """Messages that a newer one of the same read made worthless, and nobody looked at."""
        self.garbage = 0
        self._environment = environment
        self._endpoint = endpoint
        self._path = codec.path(names)
        self._newest_of = [name.encode() for name in newest_of]
        self._read = codec.read
        self._probe = codec.probe
        self._clock = clock
        self._on_event = on_event
        self._on_read_over = on_read_over
        self._on_look = on_look
        self._on_over = on_over
        self._silence_max_s = silence_max_s
        self._ping_idle_s = self._ping_reply_s = silence_max_s
        self._wire: StreamWire | None = None

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
        self._ping_idle_s, self._ping_reply_s = ping_idle_s, ping_reply_s
        try:
            async with asyncio.timeout(connect_deadline_s):
                self._wire = wire = await self._connect()
                await wire.opened
        except InvalidStatus as error:
            self.close("never opened")
            raise _refused(endpoint.host, error) from error
        except (WebSocketException, OSError, TimeoutError, ValueError) as error:
            self.close("never opened")
            raise NotConnected(
                f"{endpoint.host}:{endpoint.port}: {type(error).__name__} {error}".strip()
            ) from error
        self.opened_ns = self.last_frame_ns = self._clock.now_ns()

    async def run(self) -> str:
        """Wait until the connection is lost; returns why."""
        wire = self._wire
        if wire is None:
            return "never opened"
        try:
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(self._watch(wire), name="market-silence")
                reason = await wire.gone
                watcher.cancel()
        finally:
            self.lost = True
            self._on_over()
            self.wake.set()
            wire.abort("no longer read")
        self.reason = self.reason or reason
        return self.reason

    def renew(self) -> None:
        """The venue says that this connection goes away: a new one is wanted, with overlap."""
        self.due = True
        self.wake.set()

    def close(self, reason: str) -> None:
        """End the connection; `run` returns."""
        self.reason = self.reason or reason
        if self._wire is not None:
            self._wire.abort(reason)

    async def _connect(self) -> StreamWire:
        endpoint = self._endpoint
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        url = f"{endpoint.scheme}://{host}:{endpoint.port}{self._path}"
        _, wire = await asyncio.get_running_loop().create_connection(
            lambda: StreamWire(url, newest_of=self._newest_of, on_batch=self._take),
            endpoint.host,
            endpoint.port,
            ssl=True if endpoint.scheme == "wss" else None,
        )
        return wire

    def _take(self, batch: list[bytes], newest: list[Iterator[bytes]]) -> None:
        """The messages of one read; they share its time."""
        self.last_frame_ns = now_ns = self._clock.now_ns()
        try:
            for payload in batch:
                self._tell(payload, now_ns)
            for payloads in newest:
                for payload in payloads:
                    if self._tell(payload, now_ns):
                        break
                self.superseded += sum(1 for _ in payloads)
        except Undecodable as error:
            self.close(f"{type(error).__name__}: {error}"[:200])
        self._on_read_over()

    def _tell(self, payload: bytes, now_ns: int) -> bool:
        """Read one message and tell it; false when it was no market data.

        Raises:
            Undecodable: it was one unreadable frame too many, or its listener cannot use it.
        """
        self.frames += 1
        try:
            event = self._read(payload, now_ns)
        except Undecodable:
            self.garbage += 1
            if self.garbage >= GARBAGE_MAX:
                raise
            return False
        if type(event) is StreamNotice:
            if event.renews:
                self.renew()
            return False
        self._on_event(event)
        return True

    async def _watch(self, wire: StreamWire) -> None:
        """Look a few times per bound; a timer per frame would cost more than the frame."""
        bound_s = min(self._silence_max_s, 3 * self._ping_idle_s, 3 * self._ping_reply_s)
        period_s = bound_s / _LOOKS_PER_BOUND
        away_ns = (period_s + min(bound_s, self._ping_reply_s) / 2) * 1e9
        clock = self._clock
        looked_ns = heard_ns = clock.now_ns()
        asked, reads, pinged_ns, back_ns = 0, wire.reads, 0, 0
        while not wire.gone.done():
            await asyncio.sleep(period_s)
            self._on_look()
            now_ns = clock.now_ns()
            was_away, looked_ns = now_ns - looked_ns > away_ns, now_ns
            if was_away:
                # We were stopped or starved: what came meanwhile is not read yet. Judge from here.
                reads, pinged_ns, heard_ns, back_ns = wire.reads, 0, now_ns, now_ns
                continue
            if wire.reads != reads:
                reads, pinged_ns, heard_ns = wire.reads, 0, now_ns
            if pinged_ns and now_ns - pinged_ns > self._ping_reply_s * 1e9:
                self.close(f"half-open: no answer to a ping for {self._ping_reply_s:g} s")
            elif not pinged_ns and now_ns - heard_ns > self._ping_idle_s * 1e9:
                pinged_ns = now_ns
                wire.ping()
            silent_s = (now_ns - max(self.last_frame_ns, back_ns)) / 1e9
            if silent_s > self._silence_max_s:
                self.close(f"no frame for {self._silence_max_s:g} s, and no answer to a question")
            elif silent_s > self._silence_max_s / 2:
                asked += 1
                wire.send_text(self._probe(asked))


def _refused(host: str, error: InvalidStatus) -> VenueRefusal:
    response = error.response
    retry_after = response.headers.get("Retry-After")
    return VenueRefusal.of_handshake(host, response.status_code, response.body or b"", retry_after)
