"""Order lists: one cancels the other, one triggers the other (binance-spot.md §14).

Rules of this file:
1. An OCO locks once, the larger of its legs' needs; the leg that begins to execute takes the lock,
   and the other one expires (`OCO_TRIGGER`).
2. The pending orders of an OTO lock nothing and stand nowhere until the first order is filled
   (PENDING_NEW); what the account cannot pay then, or what would be refused then, expires.
3. Whatever ends one order of a list without filling it ends the list.
4. Follow-ups of a trade wait until the match that made it is over (`run_due`).
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from daemon.model.enums import ExecType, OrderType, Side
from daemon.model.list_legs import Contingency
from daemon.venues.binance_spot.serving.events import ListStatus, Prevented
from daemon.venues.binance_spot.serving.order_requests import (
    TRIGGER_TYPES,
    Status,
)
from daemon.venues.binance_spot.serving.units import E8
from daemon.venues.sim.accounts import VenueAccount
from daemon.venues.sim.pricing import given_asset, lock_needed
from daemon.venues.sim.sim_orders import OrderList, SimOrder, VenueEvent
from daemon.venues.sim.symbol_market import SymbolMarket, fires

_SIBLING_EXPIRED = "OCO_TRIGGER"
_NEVER_BEGAN = "OTO_PHASE_ONE_EXPIRED"
_REFUSED = "REJECTED"


class MatcherPart(Protocol):
    """The part of the matcher that lists drive."""

    def enter(self, market: SymbolMarket, order: SimOrder, now_ns: int) -> tuple[Prevented, ...]:
        """Match an order that may trade now."""

    def end(
        self, market: SymbolMarket, order: SimOrder, status: Status, now_ns: int, reason: str = ""
    ) -> None:
        """Close an order."""

    def report(
        self, market: SymbolMarket, order: SimOrder, exec_type: ExecType, now_ns: int
    ) -> None:
        """Emit an order's report."""


class Contingencies:
    """Follows the orders of lists through matching."""

    def __init__(
        self,
        engine: MatcherPart,
        accounts: dict[str, VenueAccount],
        emit: Callable[[VenueEvent], None],
    ) -> None:
        self._engine = engine
        self._accounts = accounts
        self._emit = emit
        self._due: dict[str, deque[OrderList]] = {}

    def begin(self, market: SymbolMarket, order_list: OrderList, now_ns: int) -> None:
        """A list has been accepted, its orders too: place what works now."""
        self._tell(order_list, now_ns)
        for order in order_list.orders:
            self._engine.report(market, order, ExecType.NEW, now_ns)
        working = [o for o in order_list.orders if o not in order_list.pending]
        self._start(market, working, now_ns)

    def lock_pair(self, market: SymbolMarket, legs: list[SimOrder]) -> int:
        """What legs that exclude each other lock together."""
        return max(lock_needed(market, leg) for leg in legs)

    def starts(self, market: SymbolMarket, order: SimOrder) -> None:
        """A resting leg is about to trade: the whole lock is its own, cut to its own need."""
        legs = rivals_of(order)
        if not legs or order.executed:
            return
        account = self._accounts[order.account]
        order.locked += sum(leg.locked for leg in legs)
        for leg in legs:
            leg.locked = 0
        spare = order.locked - lock_needed(market, order)
        if spare > 0:
            account.unlock(order, given_asset(market, order.side), spare)

    def has_triggered(self, market: SymbolMarket, order: SimOrder, now_ns: int) -> None:
        """A leg's trigger has fired: it takes the lock, the others expire."""
        self.starts(market, order)
        self._expire_rivals(market, order, now_ns)

    def has_traded(self, market: SymbolMarket, order: SimOrder, now_ns: int) -> None:
        """A leg has traded."""
        self._expire_rivals(market, order, now_ns)
        order_list = order.order_list
        if order_list is None or order.status is not Status.FILLED:
            return
        if order_list.pending and order not in order_list.pending:
            self._due.setdefault(market.spec.symbol, deque()).append(order_list)
        else:
            self._close_if_over(order_list, now_ns)

    def has_ended(self, market: SymbolMarket, order: SimOrder, now_ns: int) -> None:
        """A leg was canceled or has expired: so does the rest of its list."""
        order_list = order.order_list
        if order_list is None or order_list.is_done:
            return
        canceled = order.status is Status.CANCELED
        status = Status.CANCELED if canceled else Status.EXPIRED
        if order.expiry_reason != _SIBLING_EXPIRED:
            for leg in order_list.orders:
                if leg is order or not leg.is_open:
                    continue
                if canceled:
                    leg.cancel_id = leg.cancel_id or order.cancel_id
                reason = _NEVER_BEGAN if leg in order_list.pending else _SIBLING_EXPIRED
                self._engine.end(market, leg, status, now_ns, "" if canceled else reason)
        self._close_if_over(order_list, now_ns)

    def is_due(self, market: SymbolMarket) -> bool:
        """Whether pending orders of this market wait to be placed."""
        return bool(self._due.get(market.spec.symbol))

    def run_due(self, market: SymbolMarket, now_ns: int) -> None:
        """Place the pending orders of lists whose first order has been filled."""
        waiting = self._due.get(market.spec.symbol)
        while waiting:
            order_list = waiting.popleft()
            pending, order_list.pending = order_list.pending, []
            if order_list.pays:
                qty = self._proceeds(market, order_list)
                for order in pending:
                    order.qty = qty
            self._tell(order_list, now_ns)
            account = self._accounts[order_list.account]
            problem = any(_is_refused(market, order, now_ns) for order in pending)
            need = self.lock_pair(market, pending)
            free = account.wallet(given_asset(market, pending[0].side)).free
            if problem or need > free or not pending[0].qty:
                for order in pending:
                    if order.is_open:
                        self._engine.end(market, order, Status.EXPIRED, now_ns, _REFUSED)
                continue
            if need:
                account.lock(pending[0], given_asset(market, pending[0].side), need)
            for order in pending:
                order.status = Status.NEW
                order.updated_ns = now_ns
                self._engine.report(market, order, ExecType.NEW, now_ns)
            self._start(market, pending, now_ns)

    # ------------------------------------------------------------------ inside
    def _start(self, market: SymbolMarket, orders: list[SimOrder], now_ns: int) -> None:
        for order in orders:
            if order.type in TRIGGER_TYPES:
                order.waiting = True
                market.waiting[order.order_id] = order
        for order in orders:
            if order.type not in TRIGGER_TYPES and order.is_open:
                order.working_ns = now_ns
                self._engine.enter(market, order, now_ns)

    def _expire_rivals(self, market: SymbolMarket, order: SimOrder, now_ns: int) -> None:
        for leg in rivals_of(order):
            self._engine.end(market, leg, Status.EXPIRED, now_ns, _SIBLING_EXPIRED)

    def _proceeds(self, market: SymbolMarket, order_list: OrderList) -> int:
        """What the first order has brought, as a whole number of steps of the pending side."""
        first = order_list.orders[0]
        account = self._accounts[order_list.account]
        fees = sum(
            fill.fee
            for fill in account.trades_from(first.symbol, 0)
            if fill.order_id == first.order_id
        )
        step = market.spec.step
        if first.side is Side.BUY:
            return (first.executed - fees) // step * step
        pending = order_list.orders[1]
        price = max(leg.price or leg.stop_price for leg in order_list.orders[1:])
        if pending.type is OrderType.MARKET or not price:
            price = market.best_price(Side.SELL) or market.tape.last_price
        return (first.cum_quote - fees) * E8 // price // step * step

    def _close_if_over(self, order_list: OrderList, now_ns: int) -> None:
        if order_list.is_done or any(order.is_open for order in order_list.orders):
            return
        order_list.is_done = True
        self._accounts[order_list.account].open_lists.pop(order_list.list_id, None)
        self._tell(order_list, now_ns)

    def _tell(self, order_list: OrderList, now_ns: int) -> None:
        order_list.updated_ns = now_ns
        self._emit(
            ListStatus(
                account=order_list.account,
                order_list=order_list,
                is_done=order_list.is_done,
                orders=tuple((o.order_id, o.shown_client_order_id) for o in order_list.orders),
                ts_ns=now_ns,
            )
        )


def rivals_of(order: SimOrder) -> list[SimOrder]:
    """The open legs that exclude this one: those of its OCO, or of its OTO's second phase."""
    order_list = order.order_list
    if order_list is None or order_list.pending:
        return []
    first = order_list.orders[0]
    legs = order_list.orders
    if order_list.contingency is Contingency.OTO:
        if order is first:
            return []
        legs = order_list.orders[1:]
    return [leg for leg in legs if leg is not order and leg.is_open]


def _is_refused(market: SymbolMarket, order: SimOrder, now_ns: int) -> bool:
    """Whether an order that was pending would be refused if it were placed now."""
    if order.type is OrderType.LIMIT_MAKER:
        return market.would_take(order.side, order.price)
    return order.type in TRIGGER_TYPES and fires(order, market.tape.last_price, now_ns)
