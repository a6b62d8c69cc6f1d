"""The books: our orders and fills, bounded in memory.

Rules of this file:
1. It only keeps and finds; it decides nothing. Positions and holds are the interceptor's.
2. A fill is booked once: by ExecId, whatever road it comes by.
3. Finished orders are kept up to a bound, then forgotten; their ids stay known for a while longer,
   so that an echo of the past is not taken for a stranger.
4. What is bounded is an OrderedDict: it forgets its oldest at once. The first key of a dict costs a
   step over each that was deleted before it: 0.7 us a fill at 5,000.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from daemon.model.amounts import ZERO, plain
from daemon.model.enums import OrderStatus
from daemon.model.ids import ClientOrderId, ExecId, InstrumentId, StrategyId, stem_of
from daemon.model.orders import Order
from daemon.model.plain_values import from_plain, to_plain
from daemon.model.reports import Fill

EXEC_IDS_PER_INSTRUMENT_MAX = 5_000
FORGOTTEN_MAX = 5_000
FLOW_POINTS_MAX = 2_000


def trade_id_of(exec_id: ExecId) -> int:
    """The venue's trade id in an ExecId (`symbol:trade_id:venue_order_id`); -1 without one."""
    try:
        _, trade_id, _ = exec_id.split(":")
        return int(trade_id)
    except ValueError:
        return -1


def order_fields(order: Order) -> dict[str, Any]:
    """The plain form of an order; amounts in one spelling, however the venue wrote them.

    Field by field: a checkpoint has thousands of orders and stands in the loop's way.
    """
    price, stop_price, time_in_force = order.price, order.stop_price, order.time_in_force
    fields: dict[str, Any] = {
        "client_order_id": order.client_order_id,
        "strategy_id": order.strategy_id,
        "instrument_id": order.instrument_id,
        "side": order.side._value_,
        "order_type": order.order_type._value_,
        "qty": plain(order.qty),
        "price": None if price is None else plain(price),
        "time_in_force": None if time_in_force is None else time_in_force._value_,
        "stop_price": None if stop_price is None else plain(stop_price),
        "status": order.status._value_,
        "ts_approved_ns": order.ts_approved_ns,
        "ts_updated_ns": order.ts_updated_ns,
        "venue_order_id": order.venue_order_id,
        "cum_qty": plain(order.cum_qty),
        "cum_quote": plain(order.cum_quote),
        "venue_cum_qty": plain(order.venue_cum_qty),
        "exec_ids": sorted(order.exec_ids),
        "reduce_only": order.reduce_only,
        "extras": None if order.extras is None else to_plain(order.extras),
        "amends": order.amends,
    }
    if order.bot_order_id:
        fields |= {
            "bot_order_id": order.bot_order_id,
            "terms": None if order.terms is None else to_plain(order.terms),
            "ts_venue_placed_ns": order.ts_venue_placed_ns,
            "ts_venue_ns": order.ts_venue_ns,
        }
    if order.order_list is not None:
        fields |= {
            "order_list": to_plain(order.order_list),
            "venue_list_id": order.venue_list_id,
        }
    return fields


class Books:
    """Orders by client id, open orders by strategy, ExecIds seen, last trade id per instrument."""

    def __init__(self, retained: int) -> None:
        """Keep at most `retained` finished orders."""
        self._retained = retained
        self.orders: dict[ClientOrderId, Order] = {}
        self.open: dict[ClientOrderId, Order] = {}
        """Orders that may still change: not terminal, or terminal with fills owed."""
        self._by_strategy: dict[StrategyId, dict[ClientOrderId, Order]] = {}
        self._finished: OrderedDict[ClientOrderId, None] = OrderedDict()
        self._forgotten: OrderedDict[ClientOrderId, None] = OrderedDict()
        self._by_stem: dict[str, ClientOrderId] = {}
        """Orders of both, by what their ids share with those of their cancels and amends."""
        self._exec_ids: dict[InstrumentId, OrderedDict[ExecId, None]] = {}
        self.last_trade: dict[InstrumentId, int] = {}
        self.counts: dict[OrderStatus, int] = dict.fromkeys(OrderStatus, 0)
        """Orders by status, of all that this process has seen."""
        self.flows: dict[str, Decimal] = {}
        """Net change of each asset by our fills and fees since the books' epoch."""
        self.touched: dict[ClientOrderId, Order] = {}
        """Bots' orders that have changed; whoever tells the bots empties it."""
        self.dropped: list[Order] = []
        self.sized: set[ClientOrderId] = set()
        """Open orders that another pays for, and whose quantity the venue has said."""
        """Bots' orders that were forgotten; the ledger drops what it kept of them."""
        self.flow_mark = 0
        """Counts fills; a moment in the history of flows."""
        self._flow_points: dict[str, deque[tuple[int, Decimal]]] = {}

    # ------------------------------------------------------------------ finding
    def open_of(self, strategy_id: StrategyId) -> Mapping[ClientOrderId, Order]:
        """Non-terminal orders of one strategy, oldest first."""
        return self._by_strategy.get(strategy_id, {})

    def working(self) -> Iterator[Order]:
        """Orders that may stand at the venue, UNKNOWN ones included, oldest first."""
        return (order for order in self.open.values() if not order.status.is_terminal)

    @property
    def has_working(self) -> bool:
        """Whether any order of ours may stand at the venue."""
        return any(not order.status.is_terminal for order in self.open.values())

    def is_forgotten(self, client_order_id: ClientOrderId) -> bool:
        """Whether this was an order of ours, finished and gone from memory."""
        return client_order_id in self._forgotten

    def own_id(self, stem: str) -> ClientOrderId | None:
        """The id of the order, known or forgotten, that a request's id is about (`stem_of`)."""
        return self._by_stem.get(stem) if stem else None

    def has_fill(self, fill: Fill) -> bool:
        """Whether this fill is booked already."""
        seen = self._exec_ids.get(fill.instrument_id)
        if seen is not None and fill.exec_id in seen:
            return True
        order = self.orders.get(fill.client_order_id)
        return order is not None and fill.exec_id in order.exec_ids

    # ------------------------------------------------------------------ keeping
    def add(self, order: Order) -> None:
        """Take a new order into the books."""
        known = self.orders.get(order.client_order_id)
        self.orders[order.client_order_id] = order
        if known is not None:
            self.counts[known.status] -= 1
        self.counts[order.status] += 1
        self._forgotten.pop(order.client_order_id, None)
        self._by_stem[stem_of(order.client_order_id)] = order.client_order_id
        self.index(order)

    def move(self, order: Order, new: OrderStatus) -> None:
        """An order takes a status, last of all that has changed of it."""
        old = order.status
        self.counts[old] -= 1
        self.counts[new] += 1
        order.status = new
        if new.is_terminal or old.is_terminal or order.bot_order_id:
            self.index(order)  # else it stands where it belongs

    def index(self, order: Order) -> None:
        """Put an order where its status belongs; call after every other change of one."""
        cid = order.client_order_id
        if order.bot_order_id:
            self.touched[cid] = order
        mine = self._by_strategy.get(order.strategy_id)
        if mine is None:
            mine = self._by_strategy[order.strategy_id] = {}
        if order.status.is_terminal:
            mine.pop(cid, None)
            if order.venue_cum_qty > order.cum_qty:
                self.open[cid] = order
            else:
                self.open.pop(cid, None)
                self._finish(cid)
        else:
            self._finished.pop(cid, None)
            mine[cid] = order
            self.open[cid] = order

    def book(self, fill: Fill, order: Order) -> None:
        """Book one new fill on its order. The caller has asked `has_fill`."""
        exec_id, instrument_id, qty = fill.exec_id, fill.instrument_id, fill.qty
        order.exec_ids.add(exec_id)
        order.cum_qty = cum_qty = order.cum_qty + qty
        order.cum_quote += qty * fill.price
        if cum_qty > order.venue_cum_qty:  # noqa: PLR1730 - max() costs three times as much
            order.venue_cum_qty = cum_qty
        seen = self._exec_ids.get(instrument_id)
        if seen is None:
            seen = self._exec_ids[instrument_id] = OrderedDict()
        seen[exec_id] = None
        if len(seen) > EXEC_IDS_PER_INSTRUMENT_MAX:
            seen.popitem(last=False)
        trade_id = trade_id_of(exec_id)
        if trade_id > self.last_trade.get(instrument_id, -1):
            self.last_trade[instrument_id] = trade_id
        if order.status.is_terminal or order.bot_order_id:
            self.index(order)

    def flow(self, changes: Mapping[str, Decimal]) -> None:
        """Add one fill's changes to the net flows."""
        mark = self.flow_mark = self.flow_mark + 1
        flows, history = self.flows, self._flow_points
        for asset, change in changes.items():
            before = flows.get(asset, ZERO)
            after = flows[asset] = before + change
            points = history.get(asset)
            if points is None:
                points = history[asset] = deque(maxlen=FLOW_POINTS_MAX)
                points.append((mark - 1, before))
            points.append((mark, after))

    def has_passed(self, asset: str, flow: Decimal, since_mark: int) -> bool:
        """Whether the asset's net flow stood at `flow` at any moment since `since_mark`.

        A venue's balance that equals one of our moments is only older or newer than our books.
        When the history does not reach back so far, nothing can be excluded: True.
        """
        points = self._flow_points.get(asset)
        if points is None:
            return flow == self.flows.get(asset, ZERO)
        if len(points) == FLOW_POINTS_MAX and points[0][0] > since_mark:
            return True
        at_mark = None
        for mark, value in points:
            if mark <= since_mark:
                at_mark = value
            elif value == flow:
                return True
        return at_mark == flow

    def new_epoch(self) -> None:
        """The venue began anew (testnet wipe): trade ids and flows start over, no fill is owed."""
        for order in list(self.open.values()):
            if order.status.is_terminal:
                order.venue_cum_qty = order.cum_qty
                self.index(order)
        self._flow_points.clear()
        self._exec_ids.clear()
        self.last_trade.clear()
        self.flows.clear()

    def size(self, order: Order) -> None:
        """The venue has said the quantity of an open order that another has paid for."""
        cid = order.client_order_id
        if cid not in self.sized and not order.status.is_terminal:
            self.sized.add(cid)
            self.touched[cid] = order

    def _finish(self, cid: ClientOrderId) -> None:
        self.sized.discard(cid)
        self._finished[cid] = None
        while len(self._finished) > self._retained:
            oldest, _ = self._finished.popitem(last=False)
            gone = self.orders.pop(oldest)
            if gone.bot_order_id:
                self.dropped.append(gone)
            self._forgotten[oldest] = None
            if len(self._forgotten) > FORGOTTEN_MAX:
                lost, _ = self._forgotten.popitem(last=False)
                self._by_stem.pop(stem_of(lost), None)

    # ------------------------------------------------------------------ durable form
    def state(self) -> dict[str, Any]:
        """Plain JSON values; `restore` is its inverse."""
        return {
            "orders": [order_fields(order) for order in self.orders.values()],
            "finished": list(self._finished),
            "forgotten": list(self._forgotten),
            "exec_ids": {iid: list(seen) for iid, seen in self._exec_ids.items()},
            "last_trade": dict(self.last_trade),
            "flows": {asset: plain(change) for asset, change in sorted(self.flows.items())},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become the books that `state` describes."""
        self.__init__(self._retained)  # type: ignore[misc]  # begin empty, whatever was here
        for data in state["orders"]:
            order = from_plain(Order, data)
            self.orders[order.client_order_id] = order
        self._finished = OrderedDict.fromkeys(state["finished"])
        self._forgotten = OrderedDict.fromkeys(state["forgotten"])
        self._by_stem = {stem_of(one): one for one in (*self._forgotten, *self.orders)}
        self._exec_ids = {
            iid: OrderedDict.fromkeys(seen) for iid, seen in state["exec_ids"].items()
        }
        self.last_trade = dict(state["last_trade"])
        self.flows = {asset: Decimal(change) for asset, change in state["flows"].items()}
        for order in self.orders.values():
            self.counts[order.status] += 1
            if not order.status.is_terminal or order.venue_cum_qty > order.cum_qty:
                self.open[order.client_order_id] = order
            if not order.status.is_terminal:
                mine = self._by_strategy.setdefault(order.strategy_id, {})
                mine[order.client_order_id] = order
