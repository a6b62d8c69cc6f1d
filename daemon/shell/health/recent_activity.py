"""Keeps what a person wants to see of the last hours: fills, denials, incidents, sessions, equity.

Rules of this file:
1. Every list is bounded. What is older stands in the journal.
2. The main loop pays an append or an addition a record; readers copy, on threads of their own.
3. A field that is missing is empty: records of older journals are folded by the same rules.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from daemon.model.records import EventType

FILLS_KEPT = 500
INCIDENTS_KEPT = 100
SESSIONS_KEPT = 50
MINUTES_KEPT = 24 * 60
ORDERS_KNOWN = 10_000
STRATEGIES_KEPT = 64
SAMPLE_NS = 5_000_000_000
SAMPLES_KEPT = 1_440
"""Two hours of samples, 5 s apart."""
_NS_PER_MS = 1_000_000
_MS_PER_MINUTE = 60_000
_NOTHING: Mapping[str, Any] = {}


class RecentFill(NamedTuple):
    """One fill. `number` rises by one a fill of this boot; those before it are below zero."""

    number: int
    ts_ms: int
    symbol: str
    side: str
    qty: str
    price: str
    strategy: str
    client_order_id: str


class Sample(NamedTuple):
    """Equity and prices at one moment; amounts as text, None where not known."""

    ts_ms: int
    equity: str | None
    drawdown: str | None
    prices: Mapping[str, str]


class StrategyTotals:
    """What one strategy, or one bot (`bot:NAME`), has done."""

    __slots__ = ("approved", "denied", "errors", "fills", "last_ms", "turnover")

    def __init__(self) -> None:
        """Nothing yet."""
        self.approved = self.denied = self.fills = self.errors = self.last_ms = 0
        self.turnover: dict[str, Decimal] = {}

    def plain(self) -> dict[str, Any]:
        """Plain values; `turnover` by symbol, in its quote asset."""
        return {
            "approved": self.approved,
            "denied": self.denied,
            "fills": self.fills,
            "errors": self.errors,
            "last_ms": self.last_ms,
            "turnover": {symbol: f"{sum_:f}" for symbol, sum_ in self.turnover.copy().items()},
        }


HEARD = frozenset(
    {
        EventType.ORDER_APPROVED, EventType.FILL, EventType.ORDER_DENIED, EventType.STRATEGY_ERROR,
        EventType.INCIDENT_OPENED, EventType.INCIDENT_RESOLVED, EventType.SESSION_START,
        EventType.SESSION_STOP,
    }
)  # fmt: skip
"""The kinds of lines that it follows; it need not be told others."""


class RecentActivity:
    """Told of records by the metrics, and of every published status. One thread writes."""

    def __init__(self) -> None:
        """Begin empty."""
        self.fills: deque[RecentFill] = deque(maxlen=FILLS_KEPT)
        self.incidents: deque[dict[str, Any]] = deque(maxlen=INCIDENTS_KEPT)
        self.sessions: deque[dict[str, Any]] = deque(maxlen=SESSIONS_KEPT)
        self.denials: dict[int, dict[str, int]] = {}
        """By minute since 1970: how often each reason denied."""
        self.strategies: dict[str, StrategyTotals] = {}
        self.samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT)
        self._folds: dict[EventType, Callable[[Mapping[str, Any], int], None]] = {
            EventType.ORDER_APPROVED: self._on_approved,
            EventType.FILL: self._on_fill,
            EventType.ORDER_DENIED: self._on_denied,
            EventType.STRATEGY_ERROR: self._on_error,
            EventType.INCIDENT_OPENED: self._on_opened,
            EventType.INCIDENT_RESOLVED: self._on_resolved,
            EventType.SESSION_START: self._on_session,
            EventType.SESSION_STOP: self._on_session_end,
        }
        self._owner: OrderedDict[str, str] = OrderedDict()
        self._filled = 0
        self._sampled_ns = 0

    def on_record(self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int) -> None:
        """Fold one journal line; INPUT lines need not be told."""
        fold = self._folds.get(event_type)
        if fold is not None:
            fold(fields, ts_ns // _NS_PER_MS)

    def sample(self, status: Mapping[str, Any]) -> None:
        """Keep equity and prices of a published status, when it is time."""
        ts_ns = status.get("ts_ns", 0)
        if ts_ns - self._sampled_ns < SAMPLE_NS:
            return
        self._sampled_ns = ts_ns
        self.samples.append(sample_of(status))

    def _on_approved(self, fields: Mapping[str, Any], ts_ms: int) -> None:
        strategy = str(fields.get("strategy_id", ""))
        totals = self._of(strategy)
        totals.approved += 1
        totals.last_ms = ts_ms
        self._owner[str(fields.get("client_order_id", ""))] = strategy
        if len(self._owner) > ORDERS_KNOWN:
            self._owner.popitem(last=False)

    def _on_fill(self, fields: Mapping[str, Any], ts_ms: int) -> None:
        symbol, side = str(fields.get("symbol", "")), str(fields.get("side", ""))
        qty, price = str(fields.get("qty", "")), str(fields.get("price", ""))
        order = str(fields.get("client_order_id", ""))
        strategy = self._owner.get(order, "")
        self._filled += 1
        self.fills.append(
            RecentFill(self._filled, ts_ms, symbol, side, qty, price, strategy, order)
        )
        totals = self._of(strategy)
        totals.fills += 1
        totals.last_ms = ts_ms
        quote = totals.turnover.get(symbol)
        if quote is None and len(totals.turnover) >= STRATEGIES_KEPT:
            return
        try:
            totals.turnover[symbol] = (quote or Decimal(0)) + Decimal(qty) * Decimal(price)
        except InvalidOperation:
            return

    def _on_denied(self, fields: Mapping[str, Any], ts_ms: int) -> None:
        totals = self._of(str(fields.get("strategy_id", "")))
        totals.denied += 1
        totals.last_ms = ts_ms
        minute = ts_ms // _MS_PER_MINUTE
        counts = self.denials.get(minute)
        if counts is None:
            counts = self.denials[minute] = {}
            if len(self.denials) > MINUTES_KEPT:
                del self.denials[next(iter(self.denials))]
        reason = str(fields.get("deny_reason", ""))
        counts[reason] = counts.get(reason, 0) + 1

    def _on_error(self, fields: Mapping[str, Any], ts_ms: int) -> None:
        totals = self._of(str(fields.get("strategy_id", "")))
        totals.errors += 1
        totals.last_ms = ts_ms

    def _on_opened(self, fields: Mapping[str, Any], ts_ms: int) -> None:
        told = {name: str(fields.get(name) or "") for name in ("trigger", "msg", "symbol")}
        name = str(fields.get("incident_id", ""))
        self.incidents.append({"incident_id": name, **told, "opened_ms": ts_ms})

    def _on_resolved(self, fields: Mapping[str, Any], ts_ms: int) -> None:
        name = str(fields.get("incident_id", ""))
        for one in self.incidents:
            if one["incident_id"] == name:
                one |= {"resolved_ms": ts_ms, "resolved_by": str(fields.get("by", ""))}

    def _on_session(self, fields: Mapping[str, Any], ts_ms: int) -> None:
        told = {name: str(fields.get(name) or "") for name in ("environment", "by", "reason")}
        one = {"session_id": str(fields.get("session_id", "")), **told, "started_ms": ts_ms}
        self.sessions.append(one)

    def _on_session_end(self, fields: Mapping[str, Any], ts_ms: int) -> None:
        name = str(fields.get("session_id", ""))
        for one in self.sessions:
            if one["session_id"] == name:
                one |= {
                    "stopped_ms": ts_ms,
                    "orders": fields.get("orders"),
                    "fills": fields.get("fills"),
                    "why_stopped": str(fields.get("reason") or ""),
                }

    def _of(self, strategy: str) -> StrategyTotals:
        found = self.strategies.get(strategy)
        if found is None:
            name = strategy if len(self.strategies) < STRATEGIES_KEPT else "others"
            found = self.strategies.setdefault(name, StrategyTotals())
        return found


def sample_of(status: Mapping[str, Any]) -> Sample:
    """Equity, drawdown and the middle of each symbol's top of book."""
    equity = status.get("equity") or _NOTHING
    prices: dict[str, str] = {}
    for symbol, top in (status.get("market") or _NOTHING).items():
        bid, ask = top.get("bid"), top.get("ask")
        if bid and ask:
            prices[symbol] = f"{(Decimal(bid) + Decimal(ask)) / 2:f}"
    ts_ms = int(status.get("ts_ns", 0)) // _NS_PER_MS
    return Sample(ts_ms, equity.get("equity"), equity.get("drawdown"), prices)
