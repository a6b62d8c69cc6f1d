"""Order entry: requests to the order connection, their answers, and REST as the second route.

Rules of this file:
1. Nothing is ever sent twice. A request whose bytes may have left and whose answer is not trusted
   is `OutcomeUnknown`; only a proof that no byte left is `NotSent`.
2. A lost connection reports every request on it `OutcomeUnknown` before `LinkDown(ORDER)`.
3. An answer that comes after its deadline is still the venue's word, and is delivered.
4. Cancels have a second route (REST) when the order connection is down. Placements have none: the
   user data that tells of their fills is on the lost connection: to place would be to trade blind.
"""

import asyncio
from collections.abc import Callable

import msgspec

from daemon.errors import (
    AnswerLost,
    BudgetEmpty,
    KeyRefused,
    LocalRecoverableError,
    SeatrialError,
    VenueRefusal,
)
from daemon.model.enums import Link
from daemon.model.halt import HaltFlag
from daemon.model.inputs import Input
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.governor import Governor
from daemon.shell.link.link_config import LinkConfig, VenueEndpoints
from daemon.shell.link.link_supervisor import LinkSupervisor
from daemon.shell.link.order_session import OrderSession
from daemon.shell.link.rate_refusals import RateRefusals
from daemon.shell.link.rest_session import RestSession
from daemon.shell.link.time_sync import TimeSync
from daemon.shell.process.clock import Clock
from daemon.venues.adapter import VenueAdapter
from daemon.venues.answers import Answer, Asked, not_sent, unknown
from daemon.venues.contract import SocketMessage, SocketNotice, WsReply
from daemon.venues.faults import Fault, Outcome
from daemon.venues.hosts import EndpointKind
from daemon.venues.requests import HttpRequest, Purpose, WsRequest

_PLACE, _CANCEL = Purpose.PLACE, Purpose.CANCEL
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

_LATE_MAX = 10_000
_SWEEP_S = 0.05
_UNKNOWN_EVENTS_MAX = 100
_NS_PER_MS = 1_000_000

EncodeRest = Callable[[], HttpRequest]


class _InFlight(msgspec.Struct):
    """A request on the order connection without its answer."""

    asked: Asked
    session: OrderSession
    sent_ns: int
    deadline_ns: int
    weight: int
    orders: int


class _Ping(msgspec.Struct):
    """A ping on its way."""

    session: OrderSession
    sent_ns: int
    deadline_ns: int


class OrderTransport:
    """Owns the order connection and everything that is under way on it."""

    def __init__(
        self,
        *,
        endpoints: VenueEndpoints,
        adapter: VenueAdapter,
        config: LinkConfig,
        clock: Clock,
        halt: HaltFlag,
        governor: Governor,
        limits: RateRefusals,
        rest: RestSession,
        sync: TimeSync,
        deliver: Callable[[Input], None],
        settle: Callable[[], None],
        on_fault: Callable[[Fault], None],
        backoff: Backoff,
    ) -> None:
        self._endpoints = endpoints
        self._adapter = adapter
        self._inputs_of = adapter.inputs_of
        self._costs = adapter.costs
        self._config = config
        self._reply_deadline_ns = config.reply_deadline_ms * _NS_PER_MS
        self._clock = clock
        self._halt = halt
        self._governor = governor
        self._limits = limits
        self._rest = rest
        self._sync = sync
        self._deliver = deliver
        self._settle = settle
        self._on_fault = on_fault
        self._next_request = 0
        self._in_flight: dict[str, _InFlight] = {}
        self._late: dict[str, Asked] = {}
        self._pinged: _Ping | None = None
        self.unknown_events: dict[str, int] = {}
        self.supervisor: LinkSupervisor[OrderSession] = LinkSupervisor(
            link=Link.ORDER,
            open_session=self._open,
            clock=clock,
            config=config,
            deliver=deliver,
            backoff=backoff,
        )

    @property
    def in_flight(self) -> int:
        """Requests on the order connection without an answer."""
        return len(self._in_flight)

    # ---------------------------------------------------------------- sending
    def write(self, asked: Asked, call: str, item: object, weight: int, orders: int = 0) -> None:
        """Write one request now: halt flag, budget, bytes. A refusal proves that no byte left.

        `call`: the codec's function that encodes `item`.
        """
        session = self.supervisor.current
        if session is None:
            self._tell(not_sent(asked, "the order connection is down"))
            return
        kind = asked.kind
        placing = kind in {"place", "replace", "amend"}
        if placing and self._halt.closed:
            self._tell(not_sent(asked, f"the halt flag is closed: {self._halt.reason}"))
            return
        now_ns, governor = self._clock.now_ns(), self._governor
        purpose = _PLACE if placing else _CANCEL
        refusal = governor.admit(purpose, weight=weight, orders=orders, now_ns=now_ns)
        if refusal is not None:
            self._tell(not_sent(asked, refusal.reason))
            return
        self._next_request += 1
        request_id = str(self._next_request)
        try:
            at_ms = (now_ns + governor.offset_ns) // _NS_PER_MS
            request: WsRequest = getattr(session.codec, call)(item, request_id, at_ms)
            rate = governor.rate
            full = rate.refusal(asked.instrument_id, now_ns, orders) if orders else ""
            if full:
                raise BudgetEmpty(full, now_ns)
            session.send(request)
        except LocalRecoverableError as error:
            governor.settle(weight=weight, orders=orders, free=True)
            self._tell(not_sent(asked, str(error)))
            return
        if orders:
            rate.left(asked.instrument_id, self._clock.now_ns(), orders)
        else:
            rate.message_left(self._clock.now_ns())
        deadline_ns = now_ns + self._reply_deadline_ns
        self._in_flight[request_id] = _InFlight(asked, session, now_ns, deadline_ns, weight, orders)

    async def by_rest(self, asked: Asked, encode: EncodeRest) -> None:
        """Send one request by REST and deliver what its answer proves."""
        deadline_s = self._config.reply_deadline_ms / 1000
        try:
            reply = await self._rest.call(
                encode(), deadline_s=deadline_s, instrument_id=asked.instrument_id
            )
        except AnswerLost as error:
            self._tell(unknown(asked, str(error)))
            return
        except SeatrialError as error:
            self._tell(not_sent(asked, str(error)))
            return
        fault = None
        data = None
        if reply.status != 200:
            fault = self._adapter.decode.error(reply.status, reply.body)
            if fault.code != 0:
                data = self._adapter.decode.error_data(reply.body)
            self._on_fault(fault)
        answer = Answer(
            result=reply.body, fault=fault, error_data=data, ts_recv_ns=reply.ts_recv_ns
        )
        self._tell(self._inputs_of(asked, answer))

    async def sweep(self) -> None:
        """Turn requests past their deadline into `OutcomeUnknown`, until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            now_ns = self._clock.now_ns()
            self._expire(now_ns)
            self._ping(now_ns)

    def _expire(self, now_ns: int) -> None:
        while self._in_flight:
            # All deadlines are equally long, so the first sent is the first due.
            request_id, flight = next(iter(self._in_flight.items()))
            if flight.deadline_ns > now_ns:
                return
            del self._in_flight[request_id]
            self._governor.settle(weight=flight.weight, orders=flight.orders)
            self._late[request_id] = flight.asked
            if len(self._late) > _LATE_MAX:
                del self._late[next(iter(self._late))]
            reason = f"no answer within {self._config.reply_deadline_ms} ms"
            self._tell(unknown(flight.asked, reason))

    def _ping(self, now_ns: int) -> None:
        """Ask a quiet connection for a sign of life: pongs come from sockets, not from venues."""
        session = self.supervisor.current
        pinged = self._pinged
        if pinged is not None:
            if pinged.session is session and now_ns < pinged.deadline_ns:
                return
            self._pinged = None
            if not pinged.session.lost and pinged.session.last_text_ns < pinged.sent_ns:
                waited_ms = self._config.ping_reply_ms
                pinged.session.close(f"half-open: asked {waited_ms} ms ago, and not a word since")
            return
        if session is None or not self._is_doubtful(session, now_ns):
            return
        if (
            self._governor.admit(Purpose.SESSION, weight=self._costs.ping, now_ns=now_ns)
            is not None
        ):
            return
        self._governor.settle(weight=self._costs.ping)
        self._next_request += 1
        try:
            session.send(session.codec.ping(f"ping-{self._next_request}"))
        except LocalRecoverableError:
            return
        deadline_ns = now_ns + self._config.ping_reply_ms * _NS_PER_MS
        self._pinged = _Ping(session, now_ns, deadline_ns)

    def _is_doubtful(self, session: OrderSession, now_ns: int) -> bool:
        """Quiet for long, or a request is unanswered for a while and nothing came since."""
        quiet_ms = (now_ns - session.last_text_ns) // _NS_PER_MS
        if quiet_ms >= self._config.ping_idle_ms:
            return True
        oldest = next(iter(self._in_flight.values()), None)
        if oldest is None or oldest.session is not session:
            return False
        waits_ms = (now_ns - max(oldest.sent_ns, session.last_text_ns)) // _NS_PER_MS
        return waits_ms >= self._config.ping_doubt_ms

    # ---------------------------------------------------------------- the connection
    async def _open(self) -> OrderSession:
        self._limits.connect(weight=self._costs.connect)
        session = OrderSession(
            environment=self._endpoints.environment,
            endpoint=self._endpoints.endpoint(EndpointKind.WS_API),
            codec=self._adapter.order_codec(),
            clock=self._clock,
            halt=self._halt,
            on_message=self._on_message,
            on_lost=self._on_lost,
            on_read_over=self._settle,
        )
        try:
            await session.open(
                connect_deadline_s=self._config.connect_deadline_ms / 1000,
                ping_idle_s=self._config.ping_idle_ms / 1000,
                ping_reply_s=self._config.ping_reply_ms / 1000,
            )
        except SeatrialError as error:
            raise self._limits.of_handshake(error) from error
        try:
            for name, encode in session.codec.log_on_plan():
                await self._ask(session, name, encode)
        except BaseException as error:
            session.close(f"{type(error).__name__}: {error}")
            raise
        return session

    async def _ask(
        self, session: OrderSession, name: str, encode: Callable[[str, int], WsRequest]
    ) -> None:
        self._next_request += 1
        request = encode(f"{name}-{self._next_request}", self._sync.venue_ms())
        now_ns = self._clock.now_ns()
        refusal = self._governor.admit(Purpose.SESSION, weight=request.weight, now_ns=now_ns)
        if refusal is not None:
            raise BudgetEmpty(refusal.reason, refusal.until_ns)
        deadline_s = self._config.connect_deadline_ms / 1000
        try:
            reply = await session.ask(request, deadline_s=deadline_s)
        finally:
            self._governor.settle(weight=request.weight)
        self._observe(reply, self._clock.now_ns())
        fault = reply.fault
        if fault is None:
            return
        self._on_fault(fault)
        if fault.outcome is Outcome.KEY:
            raise KeyRefused(fault.status, fault.code, fault.message)
        raise VenueRefusal(fault.status, fault.code, f"{name}: {fault.message}")

    def _on_message(self, session: OrderSession, message: SocketMessage, now_ns: int) -> None:
        if isinstance(message, WsReply):
            self._on_reply(message, now_ns)
        elif not isinstance(message, SocketNotice):
            self._deliver(message)
        elif message.ends:
            session.close(message.ends)
        elif message.renews:
            session.renew()
        else:
            self._count_unknown(message.name)

    def _on_reply(self, reply: WsReply, now_ns: int) -> None:
        self._observe(reply, now_ns)
        if reply.fault is not None:
            self._on_fault(reply.fault)
        flight = self._in_flight.pop(reply.request_id, None)
        if flight is not None:
            asked = flight.asked
            self._governor.settle(
                weight=flight.weight,
                orders=flight.orders,
                free=reply.fault is None and asked.kind not in self._costs.charged_always,
            )
        else:
            late = self._late.pop(reply.request_id, None)
            if late is None:
                return
            asked = late
        answer = Answer(
            result=reply.result,
            fault=reply.fault,
            error_data=reply.error_data,
            ts_recv_ns=now_ns,
        )
        self._tell(self._inputs_of(asked, answer))

    def _observe(self, reply: WsReply, now_ns: int) -> None:
        if reply.rate_limits:
            self._governor.observe_counts(reply.rate_limits, now_ns)
        fault = reply.fault
        if fault is None or fault.outcome is not Outcome.LIMITED:
            return
        until_ns = self._sync.engine_ns(fault.retry_at_ms) if fault.retry_at_ms else None
        self._limits.refused(fault, until_ns)

    def _on_lost(self, session: OrderSession, reason: str) -> None:
        lost = [i for i, flight in self._in_flight.items() if flight.session is session]
        for request_id in lost:
            flight = self._in_flight.pop(request_id)
            self._governor.settle(weight=flight.weight, orders=flight.orders)
            self._tell(unknown(flight.asked, f"order connection lost: {reason}"))
        self.supervisor.on_lost(session, reason)

    def _count_unknown(self, name: str) -> None:
        if len(self.unknown_events) < _UNKNOWN_EVENTS_MAX or name in self.unknown_events:
            self.unknown_events[name] = self.unknown_events.get(name, 0) + 1

    def _tell(self, inputs: list[Input]) -> None:
        for item in inputs:
            self._deliver(item)
