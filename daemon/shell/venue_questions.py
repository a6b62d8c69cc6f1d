"""Questions to the venue over REST: what became of one order, and everything that is true now.

Rules of this file:
1. Trades name no client id: it comes from the rows of their orders, looked up where unknown.
2. History is fetched from a few ids before the last booked trade, because it lags the matching.
3. A question that any part of which failed has failed: nothing may be concluded from half of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from daemon.errors import (
    BudgetEmpty,
    KeyRefused,
    SeatrialError,
    Undecodable,
    VenueRefusal,
)
from daemon.model.effects import OrderRef, QueryOrder, TakeSnapshot
from daemon.model.ids import ClientOrderId, InstrumentId, symbol_of
from daemon.model.inputs import (
    Input,
    OrderAbsent,
    QueryFailed,
    SnapshotFailed,
    SnapshotTaken,
    VenueReport,
)
from daemon.model.reports import ExecutionReport, Fill, NotFound, VenueSnapshot
from daemon.shell.clock import Clock
from daemon.shell.link_config import LinkConfig
from daemon.shell.rest_session import HttpReply
from daemon.shell.time_sync import TimeSync
from daemon.venues.binance_spot import codec_rest
from daemon.venues.binance_spot.faults import Fault, Outcome
from daemon.venues.binance_spot.params import cancel_id
from daemon.venues.binance_spot.rows import OrderRow, RowReader, TradeRow, balances_of
from daemon.venues.requests import HttpRequest

T = TypeVar("T")
R = TypeVar("R")

_PAGE = 1000
_PAGES_MAX = 50
_AT_ONCE = 10
_SYMBOLS_ONE_BY_ONE_MAX = 13
"""Up to here `openOrders` per symbol (6 each) is cheaper than all at once (80)."""

Call = Callable[[HttpRequest], Awaitable[HttpReply]]


@dataclass(slots=True)
class _Round:
    """What one snapshot has gathered so far."""

    open_orders: list[ExecutionReport] = field(default_factory=list)
    statuses: list[ExecutionReport] = field(default_factory=list)
    absent: list[NotFound] = field(default_factory=list)
    fills: dict[str, Fill] = field(default_factory=dict)


class Questions:
    """Asks; keeps no state between questions but the ids it learns."""

    def __init__(
        self,
        *,
        call: Call,
        encoder: codec_rest.RestEncoder,
        reader: RowReader,
        sync: TimeSync,
        clock: Clock,
        config: LinkConfig,
        on_fault: Callable[[Fault], None],
    ) -> None:
        self._call = call
        self._encoder = encoder
        self._reader = reader
        self._sync = sync
        self._clock = clock
        self._config = config
        self._on_fault = on_fault

    async def query(self, effect: QueryOrder) -> Input:
        """What became of one order: a report with its fills, proven absent, or no answer."""
        ref = OrderRef(effect.client_order_id, effect.instrument_id, effect.venue_order_id)
        try:
            async with asyncio.timeout(self._config.query_deadline_ms / 1000):
                row = await self._find(ref)
                if row is None:
                    return OrderAbsent(self._not_found(ref))
                trades = []
                if codec_rest.executed(row):
                    trades = await self._trades_of(row.symbol, row.order_id)
                now_ns = self._clock.now_ns()
                own = ref.client_order_id
                fills = [self._reader.trade(trade, own, now_ns) for trade in trades]
                return VenueReport(self._reader.queried(row, now_ns, own=own, fills=fills))
        except TimeoutError:
            reason = f"no answer within {self._config.query_deadline_ms} ms"
        except SeatrialError as error:
            reason = str(error)
        return QueryFailed(effect.client_order_id, effect.instrument_id, reason[:300])

    async def snapshot(self, effect: TakeSnapshot) -> Input:
        """One reconciliation round."""
        try:
            async with asyncio.timeout(self._config.snapshot_deadline_ms / 1000):
                return SnapshotTaken(await self._snapshot(effect))
        except TimeoutError:
            reason = f"not complete within {self._config.snapshot_deadline_ms} ms"
        except BudgetEmpty as error:
            reason = f"no budget: {error}"
        except SeatrialError as error:
            reason = str(error)
        return SnapshotFailed(f"{effect.reason}: {reason}"[:300])

    async def _snapshot(self, effect: TakeSnapshot) -> VenueSnapshot:
        # Orders first, then their statuses, then trades, then balances: each later answer knows at
        # least what the earlier ones knew, so a fill in between is seen twice rather than never.
        gathered = _Round()
        rows = await self._open_orders()
        now_ns = self._clock.now_ns()
        listed: set[tuple[str, str]] = set()
        executed: list[OrderRow] = []
        for row in rows:
            # An open order shows its own id (only a cancel renames), so it is believed before what
            # we remember of its venue id: after a wipe the venue gives old ids to new orders.
            own = self._reader.ids.learn(row.symbol, row.order_id, row.client_order_id)
            listed.add((row.symbol, own))
            gathered.open_orders.append(self._reader.queried(row, now_ns, own=own))
            if codec_rest.executed(row):
                executed.append(row)
        missing = [
            ref
            for ref in effect.believed_open
            if (symbol_of(ref.instrument_id), ref.client_order_id) not in listed
        ]
        for ref, found in zip(missing, await self._all(self._find, missing), strict=True):
            if found is None:
                gathered.absent.append(self._not_found(ref))
                continue
            gathered.statuses.append(
                self._reader.queried(found, self._clock.now_ns(), own=ref.client_order_id)
            )
            if codec_rest.executed(found):
                executed.append(found)
        await self._gather_trades(effect, executed, gathered)
        account = codec_rest.decode_account(
            await self._body(self._encoder.account(self._sync.venue_ms()))
        )
        return VenueSnapshot(
            ts_ns=self._clock.now_ns(),
            balances=tuple(one for one in balances_of(account.balances) if one.total),
            open_orders=tuple(gathered.open_orders),
            statuses=tuple(gathered.statuses),
            absent=tuple(gathered.absent),
            fills=tuple(sorted(gathered.fills.values(), key=lambda f: (f.ts_venue_ns, f.exec_id))),
            reason=effect.reason,
        )

    async def _open_orders(self) -> list[OrderRow]:
        symbols = self._config.symbols
        if len(symbols) > _SYMBOLS_ONE_BY_ONE_MAX:
            body = await self._body(self._encoder.open_orders(None, self._sync.venue_ms()))
            return [row for row in codec_rest.decode_orders(body) if row.symbol in symbols]
        answers = await self._all(
            lambda symbol: self._body(self._encoder.open_orders(symbol, self._sync.venue_ms())),
            symbols,
        )
        return [row for body in answers for row in codec_rest.decode_orders(body)]

    async def _find(self, ref: OrderRef) -> OrderRow | None:
        """The row of one of our orders, None when the venue says that it does not exist.

        By our own id first. A cancelled order may have taken the cancel's id, so where the venue's
        id is known it is asked by that too, and taken when the row is recognisably the same order.
        """
        row = await self._row(ref, by_venue_id=False)
        if row is not None or ref.venue_order_id is None:
            return row
        row = await self._row(ref, by_venue_id=True)
        own = ref.client_order_id
        if row is not None and (
            row.client_order_id == own
            or (row.status == "CANCELED" and not self._is_other_order(row, own))
        ):
            return row
        self._reader.ids.forget(symbol_of(ref.instrument_id), ref.venue_order_id)
        return None

    def _is_other_order(self, row: OrderRow, own: ClientOrderId) -> bool:
        """After a wipe venue ids restart: a row with another of our own ids is another order."""
        shown = row.client_order_id
        family = own.rpartition("-")[0]
        return shown.startswith(f"{family}-") and shown != cancel_id(own)

    async def _row(self, ref: OrderRef, *, by_venue_id: bool) -> OrderRow | None:
        request = self._encoder.order(
            ref.instrument_id,
            ref.client_order_id,
            ref.venue_order_id if by_venue_id else None,
            self._sync.venue_ms(),
        )
        reply = await self._call(request)
        if reply.status == 200:
            return codec_rest.decode_order(reply.body)
        fault = codec_rest.decode_error(reply.status, reply.body)
        if fault.outcome is Outcome.ABSENT:
            return None
        raise self._refused(fault)

    async def _gather_trades(
        self, effect: TakeSnapshot, executed: list[OrderRow], gathered: _Round
    ) -> None:
        followed = {i: last_id for i, last_id in effect.trades_after.items() if last_id >= 0}
        trades: list[TradeRow] = []
        for instrument_id, last_id in followed.items():
            from_id = max(0, last_id - self._config.snapshot_overlap)
            trades += await self._history(instrument_id, from_id)
        # Where nothing is booked yet, only the orders' own trades are ours to know.
        symbols = {symbol_of(instrument_id) for instrument_id in followed}
        alone = [row for row in executed if row.symbol not in symbols]
        for rows in await self._all(lambda row: self._trades_of(row.symbol, row.order_id), alone):
            trades += rows
        await self._learn_owners(trades)
        now_ns = self._clock.now_ns()
        for trade in trades:
            owner = self._reader.ids.get(trade.symbol, trade.order_id)
            if owner is not None:
                fill = self._reader.trade(trade, owner, now_ns)
                gathered.fills[fill.exec_id] = fill

    async def _learn_owners(self, trades: list[TradeRow]) -> None:
        """Look up the orders of trades that nobody here knows: trades name no client id."""
        unknown = {
            (trade.symbol, trade.order_id)
            for trade in trades
            if self._reader.ids.get(trade.symbol, trade.order_id) is None
        }
        if len(unknown) > self._config.snapshot_lookups_max:
            raise Undecodable(
                f"{len(unknown)} orders with trades that nobody here knows, more than "
                f"{self._config.snapshot_lookups_max}"
            )
        await self._all(self._learn_owner, sorted(unknown))

    async def _learn_owner(self, key: tuple[str, int]) -> None:
        symbol, order_id = key
        instrument = self._reader.names.instrument(symbol)
        ref = OrderRef(ClientOrderId("-"), instrument, codec_rest.venue_id(order_id))
        row = await self._row(ref, by_venue_id=True)
        if row is not None:
            self._reader.ids.resolve(row.symbol, row.order_id, row.client_order_id)

    async def _all(self, ask: Callable[[T], Awaitable[R]], about: Sequence[T]) -> list[R]:
        """Ask about each, a few at once: a wipe makes hundreds of orders vanish in one round."""
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(item: T) -> R:
            async with at_once:
                return await ask(item)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(item), name="venue-question") for item in about]
        except BaseExceptionGroup as failures:
            # The others were cancelled with the first: half an answer is none.
            raise failures.exceptions[0] from failures
        return [task.result() for task in tasks]

    async def _history(self, instrument_id: InstrumentId, from_id: int) -> list[TradeRow]:
        rows: list[TradeRow] = []
        symbol = symbol_of(instrument_id)
        for _ in range(_PAGES_MAX):
            body = await self._body(
                self._encoder.trades_from(symbol, from_id, _PAGE, self._sync.venue_ms())
            )
            page = codec_rest.decode_trades(body)
            rows.extend(page)
            if len(page) < _PAGE:
                return rows
            from_id = page[-1].id + 1
        raise Undecodable(f"{symbol}: more than {_PAGES_MAX} pages of trades")

    async def _trades_of(self, symbol: str, order_id: int) -> list[TradeRow]:
        body = await self._body(self._encoder.trades_of(symbol, order_id, self._sync.venue_ms()))
        return codec_rest.decode_trades(body)

    async def _body(self, request: HttpRequest) -> bytes:
        reply = await self._call(request)
        if reply.status != 200:
            raise self._refused(codec_rest.decode_error(reply.status, reply.body))
        return reply.body

    def _refused(self, fault: Fault) -> SeatrialError:
        self._on_fault(fault)
        if fault.outcome is Outcome.KEY:
            return KeyRefused(fault.status, fault.code, fault.message)
        return VenueRefusal(fault.status, fault.code, fault.message)

    def _not_found(self, ref: OrderRef) -> NotFound:
        return NotFound(
            client_order_id=ref.client_order_id,
            instrument_id=ref.instrument_id,
            ts_recv_ns=self._clock.now_ns(),
        )
