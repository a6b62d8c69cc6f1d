"""Questions to the venue over REST: what became of one order, and everything that is true now.

Rules of this file:
1. A question that concerns the account and failed has failed: nothing may be concluded from it.
2. A question about one order, or one symbol, that the venue gives no usable answer to fails nothing
   but itself: the order is told as `Mute`, and the snapshot goes on.
3. One round asks about so many orders; the next one begins with those that have waited longest.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from daemon.errors import (
    AnswerLost,
    BudgetEmpty,
    KeyRefused,
    SeatrialError,
    Undecodable,
    VenueRefusal,
)
from daemon.model.effects import OrderRef, QueryOrder, TakeSnapshot
from daemon.model.ids import ClientOrderId, VenueOrderId, symbol_of
from daemon.model.inputs import (
    Input,
    OrderAbsent,
    QueryFailed,
    SnapshotFailed,
    SnapshotTaken,
    VenueReport,
)
from daemon.model.reports import ExecutionReport, Mute, NotFound, VenueSnapshot
from daemon.shell.link.link_config import LinkConfig
from daemon.shell.link.lost_orders import lost_orders
from daemon.shell.link.own_history import History, Read
from daemon.shell.link.time_sync import TimeSync
from daemon.shell.link.venue_requests import Call, VenueRequests
from daemon.shell.process.clock import Clock
from daemon.venues.adapter import VenueAdapter
from daemon.venues.contract import OrderRow, TradeRow
from daemon.venues.faults import Fault, Outcome

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 10
_WHOLE_VENUE = frozenset({Outcome.LIMITED, Outcome.CLOCK})
"""Refusals that are never about the one order that was asked for."""


class _Round(msgspec.Struct):
    """What one snapshot has gathered so far."""

    open_orders: list[ExecutionReport] = msgspec.field(default_factory=list)
    statuses: list[ExecutionReport] = msgspec.field(default_factory=list)
    absent: list[NotFound] = msgspec.field(default_factory=list)
    mute: dict[ClientOrderId, Mute] = msgspec.field(default_factory=dict)
    executed: list[OrderRow] = msgspec.field(default_factory=list)


class VenueQueries:
    """Asks; keeps no state between questions but the ids it learns and where history stands."""

    def __init__(
        self,
        *,
        call: Call,
        adapter: VenueAdapter,
        sync: TimeSync,
        clock: Clock,
        config: LinkConfig,
        on_fault: Callable[[Fault], None],
    ) -> None:
        self._ask = VenueRequests(
            call=call, adapter=adapter, sync=sync, clock=clock, on_fault=on_fault
        )
        self._adapter = adapter
        self._reader, self._ids = adapter.reader, adapter.ids
        self._clock = clock
        self._config = config
        self._history = History(config)
        self._asked_in: dict[ClientOrderId, int] = {}
        """In which round an order was last looked up, while it is still believed open."""
        self._rounds = 0

    async def query(self, effect: QueryOrder) -> Input:
        """What became of one order: a report with its fills, proven absent, or no answer."""
        ask = self._ask
        ref = OrderRef(effect.client_order_id, effect.instrument_id, effect.venue_order_id)
        try:
            async with asyncio.timeout(self._config.query_deadline_ms / 1000):
                row = await ask.find(ref)
                if row is None:
                    return OrderAbsent(ask.not_found(ref))
                trades: Sequence[TradeRow] = []
                if row.executed:
                    trades = await ask.trades_of(row.symbol, row.order_id)
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
        ask = self._ask.anew(routine=effect.routine)
        gathered = _Round()
        listed = self._take_open(await self._open_orders(ask), gathered)
        unread = await self._ask_missing(ask, effect, listed, gathered)
        lost = await self._take_lost(ask, effect, gathered)
        history = await self._history.read(ask, effect.trades_after, instance=effect.instance)
        await self._trades_alone(ask, effect, gathered, history)
        body = await ask.body(ask.encode.account(ask.sync.venue_ms()))
        balances = ask.decode.account(body).balances
        fills = sorted(history.fills.values(), key=lambda f: (f.ts_venue_ns, f.exec_id))
        return VenueSnapshot(
            ts_ns=self._clock.now_ns(),
            balances=tuple(one for one in balances if one.total),
            open_orders=tuple(gathered.open_orders),
            statuses=tuple(gathered.statuses),
            absent=tuple(gathered.absent),
            fills=tuple(fills),
            reason=effect.reason,
            mute=tuple(gathered.mute.values()),
            mute_symbols=tuple(sorted(ask.mute_symbols.items())),
            unread="; ".join([*unread, *history.unread]),
            foreign_traded=len(history.foreign),
            lost=lost,
        )

    async def _take_lost(
        self, ask: VenueRequests, effect: TakeSnapshot, gathered: _Round
    ) -> tuple[ExecutionReport, ...]:
        """Our orders at the venue that the journal does not know, when it is asked for them."""
        if effect.history is None:
            return ()
        known = {row.venue_order_id for row in (*gathered.open_orders, *gathered.statuses)}
        lost = []
        for row, own in await lost_orders(ask, effect.history, self._config.symbols):
            self._ids.learn(row.symbol, row.order_id, own)
            report = self._reader.queried(row, self._clock.now_ns(), own=ClientOrderId(own))
            lost.append(report)
            if row.executed and report.venue_order_id not in known:
                gathered.executed.append(row)
        return tuple(lost)

    # ---------------------------------------------------------------- orders
    async def _open_orders(self, ask: VenueRequests) -> Sequence[OrderRow]:
        """Every open order of the account: others may have some on symbols that we do not trade.

        A venue that refuses this list because of one symbol is asked about ours one by one.
        """
        try:
            body = await ask.body(ask.encode.open_orders(None, ask.sync.venue_ms()))
            return ask.decode.orders(body)
        except VenueRefusal as error:
            fault = self._adapter.fault(error.status, error.code, error.message)
            if fault.outcome is not Outcome.REFUSED:
                raise

        async def on(symbol: str) -> Sequence[OrderRow]:
            request = ask.encode.open_orders(symbol, ask.sync.venue_ms())
            body = await ask.body_of_symbol(symbol, request)
            return [] if body is None else ask.decode.orders(body)

        return [row for rows in await _all(on, self._config.symbols) for row in rows]

    def _take_open(self, rows: Sequence[OrderRow], gathered: _Round) -> set[tuple[str, str]]:
        now_ns = self._clock.now_ns()
        listed: set[tuple[str, str]] = set()
        for row in rows:
            # An open order shows its own id (only a cancel renames), so it is believed before what
            # we remember of its venue id: after a wipe the venue gives old ids to new orders.
            own = self._ids.learn(row.symbol, row.order_id, row.client_order_id)
            listed.add((row.symbol, own))
            gathered.open_orders.append(self._reader.queried(row, now_ns, own=own))
            if row.executed:
                gathered.executed.append(row)
        return listed

    async def _ask_missing(
        self,
        ask: VenueRequests,
        effect: TakeSnapshot,
        listed: set[tuple[str, str]],
        gathered: _Round,
    ) -> list[str]:
        """Look up what the venue does not list as open; what is left for the next round."""
        missing = [
            ref
            for ref in effect.believed_open
            if (symbol_of(ref.instrument_id), ref.client_order_id) not in listed
        ]
        known = {ref.client_order_id for ref in missing}
        self._asked_in = {cid: n for cid, n in self._asked_in.items() if cid in known}
        self._rounds += 1
        missing.sort(key=lambda ref: self._asked_in.get(ref.client_order_id, 0))
        now, later = (
            missing[: self._config.snapshot_lookups_max],
            missing[self._config.snapshot_lookups_max :],
        )
        until = asyncio.get_running_loop().time() + self._config.snapshot_deadline_ms / 2_000

        async def look(ref: OrderRef) -> OrderRow | Mute | None:
            return await self._or_mute(ref, lambda: ask.find(ref), until)

        for ref, found in zip(now, await _all(look, now), strict=True):
            self._asked_in[ref.client_order_id] = self._rounds
            if found is None:
                gathered.absent.append(ask.not_found(ref))
            elif isinstance(found, Mute):
                gathered.mute[ref.client_order_id] = found
            else:
                own = ref.client_order_id
                report = self._reader.queried(found, self._clock.now_ns(), own=own)
                gathered.statuses.append(report)
                if found.executed:
                    gathered.executed.append(found)
        return [f"{len(later)} of our orders are still to be asked about"] if later else []

    async def _or_mute(
        self, ref: OrderRef, ask: Callable[[], Awaitable[R]], until: float
    ) -> R | Mute:
        """An answer about one order, or what the venue said or did instead of one."""
        try:
            async with asyncio.timeout_at(until):
                return await ask()
        except (VenueRefusal, KeyRefused) as error:
            fault = self._adapter.fault(error.status, error.code, error.message)
            if fault.outcome in _WHOLE_VENUE:
                raise
            reason, refused = fault.text, fault.outcome is not Outcome.UNKNOWN
        except (AnswerLost, Undecodable) as error:
            reason, refused = str(error), False
        except TimeoutError:
            half_ms = self._config.snapshot_deadline_ms // 2
            reason, refused = f"no answer within {half_ms} ms", False
        return Mute(
            client_order_id=ref.client_order_id,
            instrument_id=ref.instrument_id,
            reason=reason[:300],
            refused=refused,
        )

    async def _trades_alone(
        self, ask: VenueRequests, effect: TakeSnapshot, gathered: _Round, history: Read
    ) -> None:
        """Where nothing is booked yet, only the orders' own trades are ours to know."""
        followed = {symbol_of(iid) for iid, last in effect.trades_after.items() if last >= 0}
        alone = [row for row in gathered.executed if row.symbol not in followed]
        until = asyncio.get_running_loop().time() + self._config.snapshot_deadline_ms / 2_000

        async def trades(row: OrderRow) -> Sequence[TradeRow] | Mute:
            own = self._ids.get(row.symbol, row.order_id) or ClientOrderId("")
            venue_id = VenueOrderId(str(row.order_id))
            ref = OrderRef(own, self._adapter.instrument(row.symbol), venue_id)
            return await self._or_mute(ref, lambda: ask.trades_of(row.symbol, row.order_id), until)

        for found in await _all(trades, alone):
            if isinstance(found, Mute):
                gathered.mute[found.client_order_id] = found
            else:
                self._history.take(ask, found, history, effect.instance)


async def _all(ask: Callable[[T], Awaitable[R]], about: Sequence[T]) -> list[R]:
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
