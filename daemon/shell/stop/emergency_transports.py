"""The two routes of the emergency stop: the WebSocket API, and REST. Either alone is enough.

Rules of this file:
1. A route answers or raises a `SeatrialError`; it never guesses and never retries.
2. Each route has its own budget; only a ban or a weight refusal, which the venue counts per
   address, silences both. Silence includes new connections. How long it lasts where the venue named
   no time is rule 7 of `governor.py` (`STOP_PAUSES`).
3. Nothing here can place: the halt flag is not even asked.
4. A route imports its client when it is first opened: a second process that stops us waits for
   the imports of the route that it takes, not for both.
5. How to wait is not known here (`StopWaits`): on an event loop in the daemon, in the thread itself
   in a second process, which is spared the import of an event loop.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from daemon.errors import (
    BudgetEmpty,
    KeyRefused,
    NotConnected,
    SeatrialError,
    VenueRefusal,
)
from daemon.model.amounts import NS_PER_MS
from daemon.model.copies import replace
from daemon.model.halt import HaltFlag
from daemon.shell.link.governor import STOP_PAUSES, Governor
from daemon.shell.link.link_config import VenueEndpoints
from daemon.shell.link.rate_refusals import RateRefusals
from daemon.shell.process.clock import Clock
from daemon.venues.contract import OpenRow, WsReply
from daemon.venues.faults import Fault, Outcome
from daemon.venues.hosts import EndpointKind
from daemon.venues.requests import HttpRequest, Purpose, WsRequest

if TYPE_CHECKING:  # rule 4
    from daemon.model.inputs import RateLimited
    from daemon.shell.link.rest_session import RestSession
    from daemon.venues.adapter import StopCodec, VenueAdapter

AT_ONCE = 32
"""So many requests of a stop wait for their answers at the same time."""
_CONNECTIONS = 8
_PING_IDLE_S = 10.0
_PING_REPLY_S = 5.0


class VenueClock:
    """The venue's clock as the routes measure it; without a sample our own is used."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_ns = 0
        self.measured = False
        self.governors: list[Governor] = []
        """Of the routes: times that the venue names are of its clock."""

    def take(self, venue_ms: int, sent_ns: int, recv_ns: int) -> None:
        """One answer to "what time is it"."""
        self.offset_ns = venue_ms * NS_PER_MS - (sent_ns + recv_ns) // 2
        self.measured = True
        for governor in self.governors:
            governor.offset_ns = self.offset_ns

    def venue_ms(self) -> int:
        """Venue time now."""
        return (self._clock.now_ns() + self.offset_ns) // NS_PER_MS


Call = Callable[[], Coroutine[Any, Any, Any]]
"""A call of a route that is not made yet."""


class StopSession(Protocol):
    """A connection to the WebSocket API, as far as a stop needs one (`OrderSession` is one)."""

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""

    async def open(
        self, *, connect_deadline_s: float, ping_idle_s: float, ping_reply_s: float
    ) -> None:
        """Connect. Raises NotConnected, VenueRefusal, HostRefused."""

    async def ask(self, request: WsRequest, *, deadline_s: float) -> WsReply:
        """Send, and wait for the answer. Raises NotConnected, AnswerLost."""

    def close(self, reason: str) -> None:
        """End the connection."""


class StopWaits(Protocol):
    """How a stop waits: `LoopWaits` on an event loop, `BlockingWaits` in the thread itself."""

    are_warmed: bool
    """Whether connections are kept open ahead of need. Where they are not, the lighter route, the
    WebSocket API, goes first."""

    async def pause(self, seconds: float) -> None:
        """Let so much time pass."""

    async def on_socket(self, calls: Sequence[Call]) -> list[Any]:
        """Make calls of the WebSocket API without waiting for each other; answers or errors."""

    async def on_rest(self, calls: Sequence[Call]) -> list[Any]:
        """Make calls of REST without waiting for each other; answers or errors."""

    def session(self, endpoints: VenueEndpoints, codec: "StopCodec", clock: Clock) -> StopSession:
        """A connection to the WebSocket API, not opened yet."""


class StopDeadlines:
    """How long one request of a stop may take: its own deadline, or what is left of the stop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.request_s = 1.0
        self.end_ns: int | None = None
        """When the stop ends, by the monotonic clock; None: none is running."""

    @property
    def left_s(self) -> float:
        """So long a request that begins now may take, in seconds."""
        if self.end_ns is None:
            return self.request_s
        return min(self.request_s, max(0.001, (self.end_ns - self._clock.monotonic_ns()) / 1e9))


class EmergencyTransport(Protocol):
    """What the stop needs of a route."""

    name: str

    @property
    def governor(self) -> Governor:
        """Its budget."""

    async def together(self, calls: Sequence[Call]) -> list[Any]:
        """Make calls of this route without waiting for each other; of each its answer or error.

        Whatever is asked of a route is asked so: a call that stands alone, too.
        """

    @property
    def is_open(self) -> bool:
        """Whether there is anything to close."""

    async def open(self) -> None:
        """Connect; harmless when connected."""

    async def close(self) -> None:
        """Disconnect."""

    @property
    def is_warm(self) -> bool:
        """Whether a request would leave at once."""

    async def measure(self) -> None:
        """Ask the venue for its time."""

    async def listing(self, symbol: str | None) -> Sequence[OpenRow]:
        """Open orders of a symbol, or of the account."""

    async def cancel_symbol(self, symbol: str) -> int:
        """Cancel all of a symbol; how many were told canceled."""

    async def cancel_one(self, row: OpenRow, named: str) -> int:
        """Cancel one order, under this id; 1 when it was told canceled, 0 when it was gone."""


class RestTransport:
    """REST: one request a connection, up to eight at once."""

    name = "REST"

    def __init__(
        self,
        *,
        endpoints: VenueEndpoints,
        adapter: "VenueAdapter",
        clock: Clock,
        venue_clock: VenueClock,
        on_limited: "Callable[[RateLimited], None]",
        waits: StopWaits,
        deadlines: StopDeadlines,
    ) -> None:
        self._deadlines = deadlines
        self.together = waits.on_rest
        self.governor = Governor(adapter.rates, untold=STOP_PAUSES)
        venue_clock.governors.append(self.governor)
        self._adapter = adapter
        self._venue_clock = venue_clock
        self._endpoints = endpoints
        self._clock = clock
        self._on_limited = on_limited
        self._made: RestSession | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a pool."""
        return self._made is not None

    @property
    def is_warm(self) -> bool:
        """Whether it has ever been answered."""
        return self._made is not None and self._made.last_reply_ns > 0

    async def open(self) -> None:
        """Make the pool."""
        await self._session.open()

    async def close(self) -> None:
        """Close the pool."""
        if self._made is not None:
            await self._made.close()

    async def measure(self) -> None:
        """The venue's time."""
        reply = await self._session.call(
            _urgent(self._adapter.encode.server_time()), deadline_s=1.0
        )
        if reply.status != 200:
            raise _refused(self._adapter.decode.error(reply.status, reply.body))
        venue_ms = self._adapter.decode.time_ms(reply.body)
        self._venue_clock.take(venue_ms, reply.ts_sent_ns, reply.ts_recv_ns)

    async def listing(self, symbol: str | None) -> Sequence[OpenRow]:
        """Open orders."""
        body = await self._body(
            self._adapter.encode.open_orders(symbol, self._venue_clock.venue_ms())
        )
        return self._adapter.decode.open(body)

    async def cancel_symbol(self, symbol: str) -> int:
        """Cancel all of a symbol."""
        request = self._adapter.encode.cancel_all(symbol, self._venue_clock.venue_ms())
        body = await self._body(request, gone=b"[]")
        return len(self._adapter.decode.canceled(body))

    async def cancel_one(self, row: OpenRow, named: str) -> int:
        """Cancel one order."""
        at_ms = self._venue_clock.venue_ms()
        request = self._adapter.encode.cancel_by_id(row.symbol, row.order_id, named, at_ms)
        return 1 if await self._body(request, gone=b"") else 0

    @property
    def _session(self) -> "RestSession":
        if self._made is None:
            from daemon.shell.link.rest_session import RestSession  # noqa: PLC0415 - rule 4

            self._made = RestSession(
                environment=self._endpoints.environment,
                endpoint=self._endpoints.endpoint(EndpointKind.REST),
                clock=self._clock,
                governor=self.governor,
                halt=HaltFlag(),  # asked for placements only, and none is ever made here
                on_limited=self._on_limited,
                read_error=self._adapter.decode.error,
                deadline_s=5.0,
                connections_max=_CONNECTIONS,
            )
        return self._made

    async def _body(self, request: HttpRequest, *, gone: bytes | None = None) -> bytes:
        reply = await self._session.call(_urgent(request), deadline_s=self._deadlines.left_s)
        if reply.status == 200:
            return reply.body
        fault = self._adapter.decode.error(reply.status, reply.body)
        if gone is not None and fault.outcome is Outcome.NOT_CANCELABLE:
            return gone  # nothing left to cancel: the next listing decides
        raise _refused(fault)


class SocketTransport:
    """The WebSocket API: all requests on one connection, without waiting for each other."""

    name = "WebSocket API"

    def __init__(
        self,
        *,
        endpoints: VenueEndpoints,
        adapter: "VenueAdapter",
        clock: Clock,
        venue_clock: VenueClock,
        on_limited: "Callable[[RateLimited], None]",
        waits: StopWaits,
        deadlines: StopDeadlines,
    ) -> None:
        self._deadlines = deadlines
        self._waits = waits
        self.together = waits.on_socket
        self.governor = Governor(adapter.rates, untold=STOP_PAUSES)
        venue_clock.governors.append(self.governor)
        self._limits = RateRefusals(governor=self.governor, clock=clock, deliver=on_limited)
        self._connect_weight = adapter.costs.connect
        self._endpoints = endpoints
        self._codec = adapter.stop_codec()
        self._clock = clock
        self._venue_clock = venue_clock
        self._session: StopSession | None = None
        self._next = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._session is not None

    @property
    def is_warm(self) -> bool:
        """Whether the connection is open."""
        return self._session is not None and not self._session.lost

    async def open(self) -> None:
        """Connect, unless connected."""
        if self.is_warm:
            return
        self._admit(self._connect_weight)
        self.governor.settle(weight=self._connect_weight)
        session = self._waits.session(self._endpoints, self._codec, self._clock)
        try:
            await session.open(
                connect_deadline_s=self._deadlines.left_s,
                ping_idle_s=_PING_IDLE_S,
                ping_reply_s=_PING_REPLY_S,
            )
        except SeatrialError as error:
            raise self._limits.of_handshake(error) from error
        self._session = session

    async def close(self) -> None:
        """Disconnect."""
        self.drop("the stop is over")

    def drop(self, reason: str) -> None:
        """Forget a connection that gave no answer: the next use makes a new one."""
        session, self._session = self._session, None
        if session is not None:
            session.close(reason)

    async def measure(self) -> None:
        """The venue's time."""
        sent_ns = self._clock.now_ns()
        reply = await self._ask(self._codec.server_time(self._id()))
        venue_ms = self._codec.time_ms(reply.result)
        self._venue_clock.take(venue_ms, sent_ns, self._clock.now_ns())

    async def listing(self, symbol: str | None) -> Sequence[OpenRow]:
        """Open orders."""
        at_ms = self._venue_clock.venue_ms()
        reply = await self._ask(self._codec.open_orders(symbol, self._id(), at_ms))
        return self._codec.open(reply.result)

    async def cancel_symbol(self, symbol: str) -> int:
        """Cancel all of a symbol."""
        at_ms = self._venue_clock.venue_ms()
        reply = await self._ask(self._codec.cancel_all(symbol, self._id(), at_ms), gone=True)
        return 0 if reply.fault is not None else len(self._codec.canceled(reply.result))

    async def cancel_one(self, row: OpenRow, named: str) -> int:
        """Cancel one order."""
        at_ms = self._venue_clock.venue_ms()
        request = self._codec.cancel_by_id(row.symbol, row.order_id, named, self._id(), at_ms)
        reply = await self._ask(request, gone=True)
        return 1 if reply.fault is None else 0

    async def _ask(self, request: WsRequest, *, gone: bool = False) -> WsReply:
        session = self._session
        if session is None or session.lost:
            raise NotConnected("the WebSocket API is not connected")
        now_ns = self._admit(request.weight)
        try:
            reply = await session.ask(request, deadline_s=self._deadlines.left_s)
        except SeatrialError as error:
            self.drop(str(error))
            raise
        finally:
            self.governor.settle(weight=request.weight)
        self.governor.observe_counts(reply.rate_limits, now_ns)
        fault = reply.fault
        if fault is None or (gone and fault.outcome is Outcome.NOT_CANCELABLE):
            return reply
        if fault.outcome is Outcome.LIMITED:
            self._limits.refused(fault, self.governor.until_ns(fault.retry_at_ms, None, now_ns))
        raise _refused(fault)

    def _admit(self, weight: int) -> int:
        """Ask the governor; returns the time of asking. Raises BudgetEmpty: not now."""
        now_ns = self._clock.now_ns()
        refusal = self.governor.admit(Purpose.CANCEL, weight=weight, now_ns=now_ns)
        if refusal is not None:
            raise BudgetEmpty(refusal.reason, refusal.until_ns)
        return now_ns

    def _id(self) -> str:
        self._next += 1
        return str(self._next)


def _urgent(request: HttpRequest) -> HttpRequest:
    # Everything here counts as a cancel: it may use the whole budget, reserve included.
    return replace(request, purpose=Purpose.CANCEL)


def _refused(fault: Fault) -> SeatrialError:
    if fault.outcome is Outcome.KEY:
        return KeyRefused(fault.status, fault.code, fault.message)
    return VenueRefusal(fault.status, fault.code, fault.message)
