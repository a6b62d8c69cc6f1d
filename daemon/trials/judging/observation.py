"""One trial as the venue saw it: rows of its ledger, typed, and questions to them.

Rules of this file:
1. Everything comes from the ledger, the wire and, of the gate, its journal; a bot's own words are
   not looked at.
2. Times are nanoseconds of the venue's clock; amounts are Decimal from the ledger's text.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

S_NS = 1_000_000_000
ENDED = frozenset({"FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED"})
_PLACES = frozenset(
    {
        "REST POST /api/v3/order",
        "REST POST /api/v3/order/cancelReplace",
        "REST POST /api/v3/orderList/oco",
        "REST POST /api/v3/orderList/oto",
        "REST POST /api/v3/order/oco",
        "WS order.place",
        "WS order.cancelReplace",
    }
)
_CANCELS = frozenset(
    {
        "REST DELETE /api/v3/order",
        "REST DELETE /api/v3/openOrders",
        "WS order.cancel",
        "WS openOrders.cancelAll",
    }
)
_ALL_AT_ONCE = frozenset({"REST DELETE /api/v3/openOrders", "WS openOrders.cancelAll"})
_ORDER_QUERIES = frozenset(
    {
        "REST GET /api/v3/order",
        "REST GET /api/v3/openOrders",
        "REST GET /api/v3/allOrders",
        "REST GET /api/v3/myTrades",
        "WS order.status",
        "WS openOrders.status",
        "WS allOrders",
        "WS myTrades",
    }
)
_ACCOUNT_QUERIES = frozenset({"REST GET /api/v3/account", "WS account.status"})
_DATA = (
    "REST GET /api/v3/depth",
    "REST GET /api/v3/ticker",
    "REST GET /api/v3/klines",
    "REST GET /api/v3/uiKlines",
    "REST GET /api/v3/trades",
    "REST GET /api/v3/aggTrades",
    "REST GET /api/v3/avgPrice",
    "WS depth",
    "WS ticker",
    "WS klines",
    "WS trades",
    "WS avgPrice",
)
_CONNECTIONS = frozenset({"WS open", "WS close", "STREAM open", "STREAM close", "STREAM subscribe"})


class WireRequest(msgspec.Struct, frozen=True):
    """One row of the wire; `status` 0 means that the client got no answer."""

    ts_ns: int
    name: str
    status: int
    code: int
    symbol: str = ""
    side: str = ""
    qty: str = ""
    price: str = ""
    client_order_id: str = ""
    orig_client_order_id: str = ""
    order_id: str = ""
    streams: str = ""

    @property
    def is_place(self) -> bool:
        """Whether it asks for a new order."""
        return self.name in _PLACES

    @property
    def is_cancel(self) -> bool:
        """Whether it asks for the end of orders."""
        return self.name in _CANCELS

    @property
    def cancels_all(self) -> bool:
        """Whether it cancels every order of a symbol."""
        return self.name in _ALL_AT_ONCE

    @property
    def asks_for_orders(self) -> bool:
        """Whether its answer shows what became of orders."""
        return self.name in _ORDER_QUERIES

    @property
    def asks_for_account(self) -> bool:
        """Whether its answer shows balances."""
        return self.name in _ACCOUNT_QUERIES

    @property
    def asks_for_data(self) -> bool:
        """Whether its answer shows the market."""
        return self.name.startswith(_DATA)

    @property
    def is_request(self) -> bool:
        """Whether it is a request at all; connections have rows, too."""
        return self.name not in _CONNECTIONS

    @property
    def subscribes_user(self) -> bool:
        """Whether it opens a user data stream."""
        return self.name.startswith("WS userDataStream.subscribe")

    @property
    def refused(self) -> bool:
        """Whether the venue said a definite no."""
        return 400 <= self.status < 500 and self.code != 0

    @property
    def was_unclear(self) -> bool:
        """Whether the client cannot tell from the answer what happened."""
        return self.status == 0 or self.status >= 500

    def words(self, since_ns: int) -> str:
        """One line of evidence; seconds count from the start of the trial."""
        what = " ".join(
            part
            for part in (
                self.name.removeprefix("REST ").removeprefix("WS "),
                self.symbol,
                self.side,
                self.qty and f"qty {self.qty}",
                self.price and f"price {self.price}",
            )
            if part
        )
        answer = "no answer" if self.status == 0 else str(self.status)
        if self.code:
            answer += f" {self.code}"
        return f"{(self.ts_ns - since_ns) / S_NS:7.3f} s  {what} -> {answer}"


class LedgerOrder(msgspec.Struct, frozen=True):
    """One order of the ledger; `ended_ns` is None while it is open."""

    ts_ns: int
    ended_ns: int | None
    symbol: str
    side: str
    type: str
    price: Decimal
    qty: Decimal
    executed: Decimal
    status: str
    order_id: int
    client_order_id: str
    ours: bool

    def is_open_at(self, ts_ns: int) -> bool:
        """Whether it was open at that moment."""
        return self.ts_ns <= ts_ns and (self.ended_ns is None or ts_ns < self.ended_ns)


class LedgerFill(msgspec.Struct, frozen=True):
    """One trade of the account."""

    ts_ns: int
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_asset: str
    order_id: int
    ours: bool


class Cancel(msgspec.Struct, frozen=True):
    """One order that was cancelled."""

    ts_ns: int
    symbol: str
    order_id: int
    client_order_id: str


class GateDenial(msgspec.Struct, frozen=True):
    """One order of the bot that the gate has denied, by the daemon's journal."""

    ts_ns: int
    reason: str
    symbol: str
    side: str


class GateStop(msgspec.Struct, frozen=True):
    """The gate stopped trading by itself: until an operator comes it denies every new order."""

    ts_ns: int
    why: str


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """A trial from `start_ns` (the first deed) to `end_ns`."""

    start_ns: int
    end_ns: int
    requests: Sequence[WireRequest] = ()
    orders: Sequence[LedgerOrder] = ()
    fills: Sequence[LedgerFill] = ()
    cancels: Sequence[Cancel] = ()
    marks: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Deed -> when it was done; a deed that was done often has its first time."""
    last_marks: Mapping[str, int] = msgspec.field(default_factory=dict)
    """The same, with the last time."""
    prices_before: Mapping[str, Decimal] = msgspec.field(default_factory=dict)
    """Symbol -> last price when the trial began."""
    prices_after: Mapping[str, Decimal] = msgspec.field(default_factory=dict)
    has_user_stream: bool = False
    """Whether the bot had a user data stream when the trial began."""
    has_market_stream: bool = False
    believed: Decimal | None = None
    """The position that the bot's log tells last, where the operator has said how to read it."""
    positions: tuple[Decimal, ...] = ()
    """What it may rightly be: the balance of the base asset, and what was traded net in the run."""
    exit_code: int | None = None
    """How the bot ended; None while it runs."""
    ended_ns: int | None = None
    """When the bot ended."""
    denials: Sequence[GateDenial] = ()
    """What the gate has denied; without a gate, nothing."""
    gate_stops: Sequence[GateStop] = ()
    """When the gate stopped trading by itself; no operator comes before the trial is over."""
    venue_requests: Sequence[WireRequest] = ()
    """What the gate itself asked of the venue; without a gate, nothing."""

    def mark(self, name: str) -> int:
        """When a deed was first done; the start of the trial when it was not."""
        return self.marks.get(name, self.start_ns)

    def between(self, from_ns: int, until_ns: int | None = None) -> list[WireRequest]:
        """Requests in [from, until)."""
        end_ns = self.end_ns if until_ns is None else until_ns
        return [row for row in self.requests if from_ns <= row.ts_ns < end_ns]

    def places(self, from_ns: int | None = None, until_ns: int | None = None) -> list[WireRequest]:
        """Requests for new orders in [from, until)."""
        since = self.start_ns if from_ns is None else from_ns
        return [row for row in self.between(since, until_ns) if row.is_place]

    def accepted(self, from_ns: int, until_ns: int | None = None) -> list[LedgerOrder]:
        """The bot's orders that the venue accepted in [from, until)."""
        end_ns = self.end_ns if until_ns is None else until_ns
        return [one for one in self.orders if one.ours and from_ns <= one.ts_ns < end_ns]

    def met_by_gate(self) -> list[WireRequest]:
        """Requests of the gate that a fault of the venue struck: unclear, refused or limited."""
        return [
            row
            for row in self.venue_requests
            if row.ts_ns >= self.start_ns
            and (
                row.status in {418, 429}
                or row.code == -1021
                or (row.is_place and row.refused)
                or ((row.is_place or row.is_cancel) and row.was_unclear)
            )
        ]

    def order_of(self, request: WireRequest) -> LedgerOrder | None:
        """The order that a placement has made; None when it made none."""
        for order in self.orders:
            if request.client_order_id:
                if order.client_order_id == request.client_order_id:
                    return order
            elif (
                order.ours
                and (order.symbol, order.side) == (request.symbol, request.side)
                and 0 <= order.ts_ns - request.ts_ns < 5 * S_NS
                and request.qty
                and order.qty == Decimal(request.qty)
            ):
                return order
        return None

    def most_open(self, from_ns: int | None = None) -> dict[tuple[str, str], tuple[int, int]]:
        """(symbol, side) -> (most orders of the bot open at once, when)."""
        since = self.start_ns if from_ns is None else from_ns
        most: dict[tuple[str, str], tuple[int, int]] = {}
        for moment in [since, *(one.ts_ns for one in self.orders if one.ts_ns > since)]:
            counts: dict[tuple[str, str], int] = {}
            for one in self.orders:
                if one.ours and one.is_open_at(moment):
                    key = (one.symbol, one.side)
                    counts[key] = counts.get(key, 0) + 1
            for key, count in counts.items():
                if count > most.get(key, (0, 0))[0]:
                    most[key] = (count, moment)
        return most

    def open_at(self, ts_ns: int) -> list[LedgerOrder]:
        """The bot's orders that were open at that moment."""
        return [one for one in self.orders if one.ours and one.is_open_at(ts_ns)]

    def worst_exposure(self) -> Decimal:
        """Largest quote value of what was traded net plus what was open, at any moment."""
        worst = Decimal(0)
        moments = {one.ts_ns for one in self.orders} | {one.ts_ns for one in self.fills}
        for moment in sorted(moments):
            net: dict[str, Decimal] = {}
            for fill in self.fills:
                if fill.ours and self.start_ns <= fill.ts_ns <= moment:
                    signed = fill.qty * fill.price * (1 if fill.side == "BUY" else -1)
                    net[fill.symbol] = net.get(fill.symbol, Decimal(0)) + signed
            resting = sum(
                (
                    (one.qty - one.executed) * one.price
                    for one in self.orders
                    if one.ours and one.is_open_at(moment)
                ),
                Decimal(0),
            )
            worst = max(worst, sum((abs(value) for value in net.values()), resting))
        return worst


def requests_of(ledger: Mapping[str, Any]) -> list[WireRequest]:
    """The wire of a ledger, in order."""
    return msgspec.convert(_rows(ledger, "wire"), list[WireRequest])


def orders_of(ledger: Mapping[str, Any]) -> list[LedgerOrder]:
    """The orders of a ledger; those that are open now are among them."""
    by_id: dict[tuple[Any, ...], LedgerOrder] = {}
    for row in (*_rows(ledger, "orders"), *_rows(ledger, "open_orders")):
        ended = row["status"] in ENDED or row["epoch"] != ledger["epoch"]
        derived = {"executed": row["executed_qty"],
                   "ended_ns": _ended_ns(row, ledger) if ended else None}  # fmt: skip
        made = msgspec.convert({**row, **derived}, LedgerOrder)
        by_id[(row["epoch"], row["symbol"], row["order_id"])] = made
    return sorted(by_id.values(), key=lambda one: one.ts_ns)


def _ended_ns(row: Mapping[str, Any], ledger: Mapping[str, Any]) -> int:
    """When it ended; what a wipe took has no report of its own."""
    if row["status"] in ENDED:
        return int(row["updated_ns"])
    wipes = [int(ts_ns) for ts_ns in ledger.get("wipes", ()) if ts_ns >= row["ts_ns"]]
    return min(wipes, default=int(row["updated_ns"]))


def fills_of(ledger: Mapping[str, Any]) -> list[LedgerFill]:
    """The trades of a ledger."""
    return msgspec.convert(_rows(ledger, "fills"), list[LedgerFill])


def cancels_of(ledger: Mapping[str, Any]) -> list[Cancel]:
    """The cancelled orders of a ledger."""
    return msgspec.convert(_rows(ledger, "cancels"), list[Cancel])


def prices_of(ledger: Mapping[str, Any]) -> dict[str, Decimal]:
    """Symbol -> last price."""
    return {symbol: Decimal(row["last"]) for symbol, row in ledger["prices"].items()}


def _rows(ledger: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    rows: Iterable[Mapping[str, Any]] = ledger.get(name, ())
    return rows
