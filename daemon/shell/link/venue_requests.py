"""One question at a time over REST: rows, trades, whatever an answer proves, and nothing more.

Rules of this file:
1. "Does not exist" is an answer; every other error is raised, by what it means.
2. A symbol that the venue no longer lists has nothing: an empty answer . What else it says
   instead of an answer about a symbol is kept in `mute_symbols`, and the others are asked on.
"""

from collections.abc import Awaitable, Callable, Sequence

from daemon.errors import KeyRefused, SeatrialError, VenueRefusal
from daemon.model.copies import replace
from daemon.model.effects import OrderRef
from daemon.model.ids import ClientOrderId, own_id_of, parse_id, stem_of, symbol_of
from daemon.model.reports import NotFound
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.link.time_sync import TimeSync
from daemon.shell.process.clock import Clock
from daemon.venues.adapter import VenueAdapter
from daemon.venues.contract import OrderRow, TradeRow
from daemon.venues.faults import Cause, Fault, Outcome
from daemon.venues.requests import HttpRequest, Purpose

PAGE = 1000

Call = Callable[[HttpRequest], Awaitable[HttpReply]]


class VenueRequests:
    """Asks for rows. `mute_symbols` is what one snapshot has found; make one for each."""

    def __init__(
        self,
        *,
        call: Call,
        adapter: VenueAdapter,
        sync: TimeSync,
        clock: Clock,
        on_fault: Callable[[Fault], None],
    ) -> None:
        self._call = call
        self.adapter = adapter
        self.encode, self.decode = adapter.encode, adapter.decode
        self.reader, self.ids = adapter.reader, adapter.ids
        self.sync = sync
        self.clock = clock
        self._on_fault = on_fault
        self.mute_symbols: dict[str, str] = {}

    def anew(self, *, routine: bool) -> "VenueRequests":
        """For one snapshot; a routine one has a budget of its own (Purpose.ROUND)."""
        call = self._call

        def routinely(request: HttpRequest) -> Awaitable[HttpReply]:
            return call(replace(request, purpose=Purpose.ROUND))

        return VenueRequests(
            call=routinely if routine else call,
            adapter=self.adapter,
            sync=self.sync,
            clock=self.clock,
            on_fault=self._on_fault,
        )

    async def find(self, ref: OrderRef) -> OrderRow | None:
        """The row of one of our orders, None when the venue says that it does not exist.

        By our own id first. A cancelled order may have taken the cancel's id, so where the venue's
        id is known it is asked by that too, and taken when the row is recognisably the same order.
        """
        row = await self.row(ref, by_venue_id=False)
        if row is not None or ref.venue_order_id is None:
            return row
        row = await self.row(ref, by_venue_id=True)
        own = ref.client_order_id
        if row is not None and (
            row.client_order_id == own
            or own_id_of(row.client_order_id) == stem_of(own)  # an amend has renamed it
            or (row.is_canceled and not self._is_other_order(row, own))
        ):
            return row
        self.ids.forget(symbol_of(ref.instrument_id), ref.venue_order_id)
        return None

    def _is_other_order(self, row: OrderRow, own: ClientOrderId) -> bool:
        """After a wipe venue ids restart: a row with another of our own ids is another order."""
        shown, mine = parse_id(row.client_order_id), parse_id(own)
        return (
            shown is not None
            and mine is not None
            and shown.instance == mine.instance
            and stem_of(row.client_order_id) != stem_of(own)
        )

    async def row(self, ref: OrderRef, *, by_venue_id: bool) -> OrderRow | None:
        """One order, by one of its ids; None: it does not exist."""
        request = self.encode.order(
            ref.instrument_id,
            ref.client_order_id,
            ref.venue_order_id if by_venue_id else None,
            self.sync.venue_ms(),
        )
        reply = await self._call(request)
        if reply.status == 200:
            return self.decode.order(reply.body)
        fault = self.decode.error(reply.status, reply.body)
        if fault.outcome is Outcome.ABSENT:
            return None
        raise self._refused(fault)

    async def trades_of(self, symbol: str, order_id: int) -> Sequence[TradeRow]:
        """The trades of one order."""
        request = self.encode.trades_of(symbol, order_id, self.sync.venue_ms())
        body = await self.body_of_symbol(symbol, request)
        return [] if body is None else self.decode.trades(body)

    async def body_of_symbol(self, symbol: str, request: HttpRequest) -> bytes | None:
        """An answer about one symbol; None when there is none to be had."""
        try:
            return await self.body(request)
        except VenueRefusal as error:
            fault = self.adapter.fault(error.status, error.code, error.message)
            if fault.cause is Cause.NO_SYMBOL:
                return None  # no longer listed: nothing is there
            if fault.outcome is not Outcome.REFUSED:
                raise
            self.mute_symbols[symbol] = fault.text
            return None

    async def body(self, request: HttpRequest) -> bytes:
        """The body of a good answer."""
        reply = await self._call(request)
        if reply.status != 200:
            raise self._refused(self.decode.error(reply.status, reply.body))
        return reply.body

    def _refused(self, fault: Fault) -> SeatrialError:
        self._on_fault(fault)
        if fault.outcome is Outcome.KEY:
            return KeyRefused(fault.status, fault.code, fault.message)
        return VenueRefusal(fault.status, fault.code, fault.message)

    def not_found(self, ref: OrderRef) -> NotFound:
        """The venue's "does not exist" about an order."""
        return NotFound(
            client_order_id=ref.client_order_id,
            instrument_id=ref.instrument_id,
            ts_recv_ns=self.clock.now_ns(),
        )
