"""Order entry: requests to the order connection, their answers, and REST as the second road.

Rules of this file:
1. Nothing is ever sent twice. A request whose bytes may have left and whose answer is not trusted
   is `OutcomeUnknown`; only a proof that no byte left is `NotSent`.
2. A lost connection reports every request on it `OutcomeUnknown` before `LinkDown(ORDER)`.
3. An answer that comes after its deadline is still the venue's word, and is delivered.
4. Cancels have a second road (REST) when the order connection is down. Placements have none: the
   user data that tells of their fills is on the lost connection: to place would be to trade blind.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

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
from daemon.model.inputs import BalancesChanged, Input, VenueReport
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.governor import Governor
from daemon.shell.link.link_config import LinkConfig, VenueEndpoints
from daemon.shell.link.link_keeper import LinkKeeper
from daemon.shell.link.order_session import OrderSession
from daemon.shell.link.rate_refusals import RateRefusals
from daemon.shell.link.rest_session import RestSession
from daemon.shell.link.time_sync import TimeSync
from daemon.shell.link.venue_replies import (
    PendingRequest,
    VenueAnswer,
    inputs_of,
    not_sent,
    unknown,
)
from daemon.shell.process.clock import Clock
from daemon.venues.binance_spot import codec_rest, costs
from daemon.venues.binance_spot.codec_ws import UnknownEvent, WsEncoder, WsMessage, WsReply
from daemon.venues.binance_spot.error_answers import Outcome, VenueFault
from daemon.venues.binance_spot.order_rows import SpotRowReader
from daemon.venues.binance_spot.user_data import (
    AccountEvent,
    OrderEvent,
    ShutdownEvent,
    TerminatedEvent,
    balances_in,
    report_of,
)
from daemon.venues.hosts import Road
from daemon.venues.requests import HttpRequest, Purpose, WsRequest

_CHARGED_ALWAYS = frozenset({"amend"})
_LATE_MAX = 10_000
_SWEEP_S = 0.05
_UNKNOWN_EVENTS_MAX = 100
_NS_PER_MS = 1_000_000

EncodeWs = Callable[[WsEncoder, str, int], WsRequest]
EncodeRest = Callable[[], HttpRequest]


@dataclass(slots=True)
class _InFlight:
    """A request on the order connection without its answer."""

    asked: PendingRequest
    session: OrderSession
    sent_ns: int
    deadline_ns: int
    weight: int
    orders: int


@dataclass(slots=True)
class _Ping:
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
        make_encoder: Callable[[], WsEncoder],
        config: LinkConfig,
        clock: Clock,
        halt: HaltFlag,
        governor: Governor,
        limits: RateRefusals,
        rest: RestSession,
        sync: TimeSync,
        rows: SpotRowReader,
        deliver: Callable[[Input], None],
        settle: Callable[[], None],
        on_fault: Callable[[VenueFault], None],
        backoff: Backoff,
    ) -> None:
        self._endpoints = endpoints
        self._make_encoder = make_encoder
        self._config = config
        self._reply_deadline_ns = config.reply_deadline_ms * _NS_PER_MS
        self._clock = clock
        self._halt = halt
        self._governor = governor
        self._limits = limits
        self._rest = rest
        self._sync = sync
        self._rows = rows
        self._deliver = deliver
        self._settle = settle
        self._on_fault = on_fault
        self._next_request = 0
        self._in_flight: dict[str, _InFlight] = {}
        self._late: dict[str, PendingRequest] = {}
        self._pinged: _Ping | None = None
        self.unknown_events: dict[str, int] = {}
        self.keeper: LinkKeeper[OrderSession] = LinkKeeper(
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
    def write(
        self, asked: PendingRequest, encode: EncodeWs, *, weight: int, orders: int = 0
    ) -> None:
        """Write one request now: halt flag, budget, bytes. A refusal proves that no byte left."""
        session = self.keeper.current
        if session is None:
            self._tell(not_sent(asked, "the order connection is down"))
            return
        placing = asked.kind in {"place", "replace", "amend"}
        if placing and self._halt.closed:
            self._tell(not_sent(asked, f"the halt flag is closed: {self._halt.reason}"))
            return
        now_ns = self._clock.now_ns()
        purpose = Purpose.PLACE if placing else Purpose.CANCEL
        refusal = self._governor.admit(purpose, weight=weight, orders=orders, now_ns=now_ns)
        if refusal is not None:
            self._tell(not_sent(asked, refusal.reason))
            return
        self._next_request += 1
        request_id = str(self._next_request)
        try:
            request = encode(session.encoder, request_id, self._sync.venue_ms_at(now_ns))
            self._may_leave(asked, orders, now_ns)
            session.send(request)
        except LocalRecoverableError as error:
            self._governor.settle(weight=weight, orders=orders, free=True)
            self._tell(not_sent(asked, str(error)))
            return
        if orders:
            self._governor.rate.left(asked.instrument_id, self._clock.now_ns())
        else:
            self._governor.rate.message_left(self._clock.now_ns())
        deadline_ns = now_ns + self._reply_deadline_ns
        self._in_flight[request_id] = _InFlight(asked, session, now_ns, deadline_ns, weight, orders)

    def _may_leave(self, asked: PendingRequest, orders: int, now_ns: int) -> None:
        refusal = self._governor.rate.refusal(asked.instrument_id, now_ns) if orders else ""
        if refusal:
            raise BudgetEmpty(refusal, now_ns)

    async def by_rest(self, asked: PendingRequest, encode: EncodeRest) -> None:
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
            fault = codec_rest.decode_error(reply.status, reply.body)
            if fault.code != 0:
                data = codec_rest.error_data(reply.body)
            self._on_fault(fault)
        answer = VenueAnswer(
            result=reply.body, fault=fault, error_data=data, ts_recv_ns=reply.ts_recv_ns
        )
        self._tell(inputs_of(asked, answer, self._rows))

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
        session = self.keeper.current
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
        if self._governor.admit(Purpose.SESSION, weight=costs.PING, now_ns=now_ns) is not None:
            return
        self._governor.settle(weight=costs.PING)
        self._next_request += 1
        try:
            session.send(session.encoder.ping(f"ping-{self._next_request}"))
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
        self._limits.connect(weight=costs.CONNECT)
        session = OrderSession(
            environment=self._endpoints.environment,
            endpoint=self._endpoints.endpoint(Road.WS_API),
            encoder=self._make_encoder(),
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
            if session.encoder.can_log_on:
                await self._ask(session, "logon", session.encoder.log_on)
                session.encoder.logged_on = True
            await self._ask(session, "subscribe", session.encoder.subscribe)
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

    def _on_message(self, session: OrderSession, message: WsMessage, now_ns: int) -> None:
        match message:
            case WsReply():
                self._on_reply(message, now_ns)
            case OrderEvent():
                report = report_of(message, self._rows.names, self._rows.ids, now_ns)
                self._deliver(VenueReport(report))
            case AccountEvent():
                stamp_ns = (message.updated_ms or message.time_ms) * _NS_PER_MS
                self._deliver(BalancesChanged(balances_in(message), stamp_ns))
            case TerminatedEvent():
                session.close("the venue ended the user data stream")
            case ShutdownEvent():
                session.renew()
            case UnknownEvent():
                self._count_unknown(message.name)
            case _:
                self._count_unknown(type(message).__name__)

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
                free=reply.fault is None and asked.kind not in _CHARGED_ALWAYS,
            )
        else:
            late = self._late.pop(reply.request_id, None)
            if late is None:
                return
            asked = late
        answer = VenueAnswer(
            result=reply.result,
            fault=reply.fault,
            error_data=reply.error_data,
            ts_recv_ns=now_ns,
        )
        self._tell(inputs_of(asked, answer, self._rows))

    def _observe(self, reply: WsReply, now_ns: int) -> None:
        if reply.rate_limits:
            self._governor.observe_counts(reply.rate_limits, now_ns)
        fault = reply.fault
        if fault is None or fault.outcome is not Outcome.LIMITED:
            return
        until_ns = self._sync.engine_ns(fault.retry_at_ms) if fault.retry_at_ms else None
        self._limits.refused(
            status=fault.status, code=fault.code, until_ns=until_ns, reason=fault.text
        )

    def _on_lost(self, session: OrderSession, reason: str) -> None:
        lost = [i for i, flight in self._in_flight.items() if flight.session is session]
        for request_id in lost:
            flight = self._in_flight.pop(request_id)
            self._governor.settle(weight=flight.weight, orders=flight.orders)
            self._tell(unknown(flight.asked, f"order connection lost: {reason}"))
        self.keeper.on_lost(session, reason)

    def _count_unknown(self, name: str) -> None:
        if len(self.unknown_events) < _UNKNOWN_EVENTS_MAX or name in self.unknown_events:
            self.unknown_events[name] = self.unknown_events.get(name, 0) + 1

    def _tell(self, inputs: list[Input]) -> None:
        for item in inputs:
            self._deliver(item)
