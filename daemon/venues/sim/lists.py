"""Placing and canceling order lists; what becomes of them is in contingencies.py."""

from collections.abc import Callable
from copy import copy

import msgspec

from daemon.model.enums import OrderType, Side
from daemon.model.list_legs import Contingency
from daemon.venues.binance_spot.serving.dialect_errors import DialectError, duplicate_order
from daemon.venues.binance_spot.serving.order_requests import (
    STOP_TYPES,
    TAKE_TYPES,
    ListRequest,
    PlaceRequest,
)
from daemon.venues.sim.accounts import VenueAccount
from daemon.venues.sim.contingencies import Contingencies
from daemon.venues.sim.filters import check_list_count
from daemon.venues.sim.placing import check_balance, check_open, prepare
from daemon.venues.sim.pricing import given_asset, lock_needed
from daemon.venues.sim.sim_orders import OrderList, SimOrder
from daemon.venues.sim.symbol_market import SymbolMarket

_LEG_TYPES = STOP_TYPES | TAKE_TYPES | {OrderType.LIMIT_MAKER}


class ListOutcome(msgspec.Struct, frozen=True):
    """An accepted list, and its orders as they were when it was accepted and first matched."""

    order_list: OrderList
    orders: tuple[SimOrder, ...]


class OrderLists:
    """Takes lists for one venue."""

    def __init__(self, rules: Contingencies, new_id: Callable[[], str]) -> None:
        self._rules = rules
        self._new_id = new_id
        self.last_id = 0

    def restart_ids(self) -> None:
        """After a wipe ids begin again."""
        self.last_id = 0

    def place(
        self, market: SymbolMarket, owner: VenueAccount, request: ListRequest, now_ns: int
    ) -> ListOutcome:
        """Accept all orders of a list, or none.

        Raises:
            DialectError: one of them is refused, or they do not fit together.
        """
        orders = self._checked(market, owner, request, now_ns)
        self.last_id += 1
        order_list = OrderList(
            list_id=self.last_id,
            symbol=request.symbol,
            account=owner.name,
            contingency=Contingency.OCO if request.first is None else Contingency.OTO,
            client_id=request.client_id or self._new_id(),
            ts_ns=now_ns,
            orders=orders,
            pending=[] if request.first is None else orders[1:],
            pays=request.pays,
        )
        working = [order for order in orders if order not in order_list.pending]
        lock = self._rules.lock_pair(market, working)
        if lock:
            owner.lock(working[0], given_asset(market, working[0].side), lock)
        for order in orders:
            order.order_list = order_list
            order.order_id = market.next_order_id()
            owner.add_order(order)
        owner.lists[order_list.list_id] = owner.open_lists[order_list.list_id] = order_list
        self._rules.begin(market, order_list, now_ns)
        return ListOutcome(order_list, tuple(copy(order) for order in orders))

    def _checked(
        self, market: SymbolMarket, owner: VenueAccount, request: ListRequest, now_ns: int
    ) -> list[SimOrder]:
        check_open(market, owner)
        if request.pair is not None:
            check_pair(*request.pair)
            if request.first is None:
                _check_prices(market, *request.pair)
        if any(one.client_id == request.client_id for one in owner.open_lists.values()):
            raise duplicate_order()
        check_list_count(market.spec, owner)
        orders: list[SimOrder] = []
        for number, one in enumerate(request.requests):
            order = prepare(
                market,
                owner,
                one,
                now_ns,
                new_id=self._new_id,
                beside=request.requests[:number],
                is_pending=request.first is not None and number > 0,
            )
            orders.append(order)
        working = orders[:1] if request.first is not None else orders
        lock = max(lock_needed(market, order) for order in working)
        check_balance(market, owner, working[0], lock)
        return orders


def check_pair(above: PlaceRequest, below: PlaceRequest) -> None:
    """Whether two legs can stand above and below the market.

    Raises:
        DialectError: -1158, -1165, -1166, -1168, -1196..-1199 in the documented wording.
    """
    for leg in (above, below):
        if leg.type not in _LEG_TYPES:
            raise DialectError(-1158, "Order type not supported in OCO.")
    if above.type is below.type is OrderType.LIMIT_MAKER:
        raise DialectError(-1168, "At least one OCO order must be contingent.")
    buys = above.side is Side.BUY
    word = "buy" if buys else "sell"
    limit_leg, stop_leg = (above, below) if buys else (below, above)
    where = ("below", "above") if buys else ("above", "below")
    if limit_leg.type is OrderType.LIMIT_MAKER:
        code = -1165 if buys else -1166
        raise DialectError(code, f"A limit order in a {word} OCO must be {where[0]}.")
    if limit_leg.type in TAKE_TYPES:
        code = -1198 if buys else -1199
        raise DialectError(code, f"A take profit order in a {word} OCO must be {where[0]}.")
    if stop_leg.type in STOP_TYPES:
        code = -1196 if buys else -1197
        raise DialectError(code, f"A stop loss order in a {word} OCO must be {where[1]}.")


def _check_prices(market: SymbolMarket, above: PlaceRequest, below: PlaceRequest) -> None:
    last = market.tape.last_price
    high = above.price if above.type is OrderType.LIMIT_MAKER else above.stop_price
    low = below.price if below.type is OrderType.LIMIT_MAKER else below.stop_price
    if (high and high <= last) or (low and low >= last):
        raise DialectError(-2010, "The relationship of the prices for the orders is not correct.")
