"""What a reader of a report looks up: each order with its lines, fills on time, denials over time.

Rules of this file:
1. It judges nothing: counts and verdicts are those of the other folds. It keeps where things stand.
2. Lists are bounded; what is left out is counted and said.
"""

from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from evidence.folds.histogram import Series
from evidence.folds.journal_fold import Handler, Recent
from evidence.read.exact_amounts import ZERO, AmountTextError, amount, amount_or_zero, text_of
from evidence.read.journal_lines import (
    FillLine,
    IncidentOpenedLine,
    IncidentResolvedLine,
    JournalLine,
    OrderApprovedLine,
    OrderDeniedLine,
    OrderRejectLine,
    OrderStateLine,
    StrategyErrorLine,
)

ORDERS_KEPT = 1_000
DENIALS_KEPT = 200
FILLS_DRAWN = 600
LINES_OF_ONE = 12
ORDERS_KNOWN = 20_000
"""Of so many it is known whose they are, long after they left the table."""
OWNERS_KEPT = 64
SYMBOLS_DRAWN = 12


class ListedOrder(msgspec.Struct):
    """One order, and the numbers of its first lines."""

    client_order_id: str
    strategy: str
    symbol: str
    side: str
    qty: str
    price: str
    approved_ns: int
    state: str = "APPROVED"
    filled: Decimal = ZERO
    lines: list[int] = []

    def line(self, seq: int) -> None:
        """One more line is about it."""
        if len(self.lines) < LINES_OF_ONE:
            self.lines.append(seq)

    def plain(self) -> dict[str, Any]:
        """The order as a report lists it."""
        return {**msgspec.structs.asdict(self), "filled": text_of(self.filled)}


class OwnerTotals(msgspec.Struct):
    """What one strategy or bot did."""

    approved: int = 0
    denied: int = 0
    rejected: int = 0
    fills: int = 0
    errors: int = 0
    turnover: dict[str, Decimal] = {}
    fees: dict[str, Decimal] = {}

    def plain(self) -> dict[str, Any]:
        """Counts, and sums by symbol and by fee asset."""
        return {
            **msgspec.structs.asdict(self),
            "turnover": {name: text_of(one) for name, one in sorted(self.turnover.items())},
            "fees": {name: text_of(one) for name, one in sorted(self.fees.items())},
        }


class ActivityFold:
    """Orders, owners, fills and denials as a person searches them."""

    name = "activity"

    def __init__(self) -> None:
        self.orders: OrderedDict[str, ListedOrder] = OrderedDict()
        """The first key of a plain dict costs a step over each that was deleted before it."""
        self.orders_left_out = 0
        self.owners: dict[str, OwnerTotals] = {}
        self.denials: dict[str, Series] = {}
        self.denied: list[dict[str, Any]] = []
        self.fills: dict[str, list[list[Any]]] = {}
        self.incident_times: dict[str, dict[str, int]] = {}
        self._owner_of: OrderedDict[str, str] = OrderedDict()
        self._seen = Recent()
        self._strides: dict[str, int] = {}
        self._booked: dict[str, int] = {}

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """What orders go through, and what stops them."""
        return {
            OrderApprovedLine: self._approved,
            OrderDeniedLine: self._denied,
            OrderStateLine: self._state,
            OrderRejectLine: self._rejected,
            FillLine: self._fill,
            StrategyErrorLine: self._error,
            IncidentOpenedLine: self._opened,
            IncidentResolvedLine: self._resolved,
        }

    def _owner(self, strategy: str) -> OwnerTotals:
        found = self.owners.get(strategy)
        if found is None:
            name = strategy if len(self.owners) < OWNERS_KEPT else "others"
            found = self.owners.setdefault(name, OwnerTotals())
        return found

    def _approved(self, record: OrderApprovedLine) -> None:
        self._owner(record.strategy_id).approved += 1
        if record.client_order_id in self.orders:
            return
        row = self.orders[record.client_order_id] = ListedOrder(
            record.client_order_id, record.strategy_id, record.symbol, record.side, record.qty,
            record.price or "", record.ts_ns,
        )  # fmt: skip
        row.line(record.seq)
        self._owner_of[record.client_order_id] = record.strategy_id
        if len(self._owner_of) > ORDERS_KNOWN:
            self._owner_of.popitem(last=False)
        if len(self.orders) > ORDERS_KEPT:
            self.orders.popitem(last=False)
            self.orders_left_out += 1

    def _denied(self, record: OrderDeniedLine) -> None:
        self._owner(record.strategy_id).denied += 1
        self.denials.setdefault(record.deny_reason, Series()).add(record.ts_ns)
        if len(self.denied) < DENIALS_KEPT:
            self.denied.append({
                "seq": record.seq, "ts_ns": record.ts_ns, "reason": record.deny_reason,
                "strategy": record.strategy_id, "symbol": record.symbol, "side": record.side,
                "qty": record.qty or "", "price": record.price or "",
            })  # fmt: skip

    def _state(self, record: OrderStateLine) -> None:
        if row := self.orders.get(record.client_order_id):
            row.state = record.new
            row.line(record.seq)

    def _rejected(self, record: OrderRejectLine) -> None:
        self._owner(self._owner_of.get(record.client_order_id, "")).rejected += 1
        if row := self.orders.get(record.client_order_id):
            row.line(record.seq)

    def _fill(self, record: FillLine) -> None:
        if not self._seen.is_new(record.exec_id):
            return
        row = self.orders.get(record.client_order_id)
        owner = self._owner(self._owner_of.get(record.client_order_id, ""))
        try:
            qty, price, fee = amount(record.qty), amount(record.price), amount_or_zero(record.fee)
        except AmountTextError:
            return  # the fold of positions tells it
        owner.fills += 1
        owner.turnover[record.symbol] = owner.turnover.get(record.symbol, ZERO) + qty * price
        if fee:
            asset = record.fee_asset or ""
            owner.fees[asset] = owner.fees.get(asset, ZERO) + fee
        if row:
            row.filled += qty
            row.line(record.seq)
        self._draw(record)

    def _draw(self, record: FillLine) -> None:
        """Keep every n-th fill of a symbol, n doubling whenever they are too many to draw."""
        symbol = record.symbol
        drawn = self.fills.get(symbol)
        if drawn is None:
            if len(self.fills) >= SYMBOLS_DRAWN:
                return
            drawn = self.fills[symbol] = []
        number = self._booked[symbol] = self._booked.get(symbol, 0) + 1
        stride = self._strides.setdefault(symbol, 1)
        if number % stride:
            return
        drawn.append([record.ts_ns, record.side, record.price, record.seq])
        if len(drawn) > FILLS_DRAWN:
            self.fills[symbol] = drawn[1::2]
            self._strides[symbol] = stride * 2

    def _error(self, record: StrategyErrorLine) -> None:
        self._owner(record.strategy_id).errors += 1

    def _opened(self, record: IncidentOpenedLine) -> None:
        times = {"opened_seq": record.seq, "opened_ns": record.ts_ns}
        self.incident_times[record.incident_id] = times

    def _resolved(self, record: IncidentResolvedLine) -> None:
        if times := self.incident_times.get(record.incident_id):
            times |= {"resolved_seq": record.seq, "resolved_ns": record.ts_ns}

    def result(self) -> dict[str, Any]:
        """Plain values; amounts as text."""
        return {
            "orders": [row.plain() for row in self.orders.values()],
            "orders_left_out": self.orders_left_out,
            "owners": {name: one.plain() for name, one in sorted(self.owners.items())},
            "denials": {name: one.plain() for name, one in sorted(self.denials.items())},
            "denied": self.denied,
            "fills": {
                symbol: {"points": points, "of": self._booked[symbol]}
                for symbol, points in sorted(self.fills.items())
            },
            "incident_times": self.incident_times,
        }
