"""Row b, order reports: executionReport bytes to applied state, against a bare json parse.

Each order lives its whole life: approved, then NEW, a partial fill and the last fill arrive as
frames of the WebSocket API. The same bytes go three ways in the same turn of the bench:

* through the product's decoder into the books alone: fills by ExecId, lifecycle, quantities. That
  is what other systems do with a report;
* through the decoder and `engine.step` of a real engine with a session on: all of the above, and
  every hold, window, loss and band of the caps, flows, records, the strategy's call;
* through `json.loads` alone, which knows nothing and applies nothing.
"""

import gc
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

import orjson

from daemon.core.books import Books
from daemon.core.decision_lines import order_of
from daemon.core.lifecycle import TRIGGER_OF_VENUE_STATUS, advance
from daemon.core.ticks import HOUSEKEEPING
from daemon.core.turn_context import SENT
from daemon.model.amounts import NS_PER_MS
from daemon.model.enums import Side
from daemon.model.inputs import TimerFired, Turn, VenueReport
from daemon.model.orders import NewOrder, Order
from daemon.model.reports import ExecutionReport
from daemon.venues.binance_spot.codec_ws import decode_frame
from daemon.venues.binance_spot.user_data import OrderEvent, report_of
from daemon.venues.own_ids import OwnIds, SymbolNames
from tests.bench.report import Row, at_most, median, quantile
from tests.support.builders import wish
from tests.support.screenplay import Stage
from tests.support.spot_payloads import BASE, TRADE

ORDERS = 1_500
QUICK_ORDERS = 150
WARM_UP = 100
ORDER_SPACING_MS = 10
TARGET_US, TURN_US = 6.0, 20.0
KINDS = ("new", "partial fill", "last fill")


@dataclass(slots=True)
class Took:
    """Microseconds per report of one kind."""

    parsed: list[float] = field(default_factory=list)
    booked: list[float] = field(default_factory=list)
    applied: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)

    def both(self) -> list[float]:
        """Parse and whole turn of each report, ordered."""
        return sorted(a + b for a, b in zip(self.parsed, self.applied, strict=True))

    def into_books(self) -> list[float]:
        """Parse and books alone of each report, ordered."""
        return sorted(a + b for a, b in zip(self.parsed, self.booked, strict=True))


def payloads(order: NewOrder, number: int) -> tuple[bytes, ...]:
    """The three events of an order's life."""
    common: dict[str, Any] = {
        "c": order.client_order_id,
        "S": order.side.value,
        "q": "0.10000000",
        "p": f"{order.price}",
        "i": number,
    }
    half = {"l": "0.05000000", "L": f"{order.price}", "n": "0.00000000", "N": "USDT"}
    first = {**half, "z": "0.05000000", "Z": "4.95000000", "t": 2 * number}
    last = {**half, "z": "0.10000000", "Z": "9.90000000", "t": 2 * number + 1, "X": "FILLED"}
    rows = (BASE | common, BASE | TRADE | common | first, BASE | TRADE | common | last)
    return tuple(orjson.dumps({"subscriptionId": 0, "event": row}) for row in rows)


def book(books: Books, order: Order, report: ExecutionReport) -> None:
    """What the ledger does to the books with a report (core/execution.py, durable_state.py)."""
    for one in report.fills:
        if not books.has_fill(one):
            books.book(one, order)
    trigger = TRIGGER_OF_VENUE_STATUS[report.venue_status]
    row = advance(order.status, trigger, order.venue_order_id, order.cum_qty)
    order.ts_updated_ns = report.ts_recv_ns
    order.venue_order_id = report.venue_order_id
    order.venue_cum_qty = max(order.venue_cum_qty, report.cum_qty)
    books.move(order, row.new)


class Bench:
    """A stage with a session, books of their own, and the product's decoder before both."""

    def __init__(self) -> None:
        self.stage = Stage().ready().start()
        self.took = {kind: Took() for kind in KINDS}
        self._names = SymbolNames("sim", ("BTCUSDT", "ETHUSDT"))
        self._ids = OwnIds()
        self._books = Books(retained=2_000)
        self._number = 0

    def life(self) -> None:
        """One order, from approval to its last fill."""
        stage = self.stage
        self._number += 1
        side, price = (Side.BUY, "99.00") if self._number % 2 else (Side.SELL, "101.00")
        order = stage.place(wish(side=side, qty="0.1", price=price))
        mine = order_of(order)
        mine.status = SENT
        self._books.add(mine)
        for kind, payload in zip(KINDS, payloads(order, self._number), strict=True):
            stage.now_ns += ORDER_SPACING_MS * NS_PER_MS // len(KINDS)
            self._report(self.took[kind], payload, mine)
        if mine.status != "FILLED" or mine.cum_qty != mine.qty:
            raise RuntimeError(f"not filled in the books alone: {mine}")
        if stage.status_of(order.client_order_id) != "FILLED":
            raise RuntimeError(f"not filled: {stage.status_of(order.client_order_id)}")
        stage.tell(TimerFired(HOUSEKEEPING))  # else the engine would have slept
        stage.facts.clear()
        stage.turns.clear()

    def _report(self, took: Took, payload: bytes, mine: Order) -> None:
        stage = self.stage
        began = perf_counter_ns()
        event = decode_frame(payload)
        assert isinstance(event, OrderEvent)
        report = report_of(event, self._names, self._ids, stage.now_ns)
        parsed = perf_counter_ns()
        stage.seq += 1
        stage.engine.step(Turn(stage.seq, stage.now_ns, VenueReport(report)))
        applied = perf_counter_ns()
        book(self._books, mine, report)
        booked = perf_counter_ns()
        took.parsed.append((parsed - began) / 1_000)
        took.applied.append((applied - parsed) / 1_000)
        took.booked.append((booked - applied) / 1_000)
        took.peer.append(timed(json.loads, payload))

    def forget(self) -> None:
        """The warm-up is over."""
        self.took = {kind: Took() for kind in KINDS}


def timed(call: Callable[[bytes], Any], payload: bytes) -> float:
    """Microseconds of one call."""
    began = perf_counter_ns()
    call(payload)
    return (perf_counter_ns() - began) / 1_000


def rows(*, quick: bool) -> list[Row]:
    """The row of order reports."""
    bench = Bench()
    for _ in range(WARM_UP):
        bench.life()
    bench.forget()
    gc.collect()
    gc.freeze()
    try:
        for _ in range(QUICK_ORDERS if quick else ORDERS):
            bench.life()
    finally:
        gc.unfreeze()
    return rows_of(bench.took)


def rows_of(took: dict[str, Took]) -> list[Row]:
    """The mean over kinds of each kind's median."""

    def mean(figures: Callable[[Took], list[float]]) -> float:
        return sum(median(figures(one)) for one in took.values()) / len(took)

    ours, peer = mean(Took.both), mean(lambda one: one.peer)
    parsed, booked = mean(lambda one: one.parsed), mean(Took.into_books)
    return [
        Row(
            row="b2",
            name=f"executionReport, {what}",
            value=value,
            unit="µs",
            baseline_name="json.loads alone",
            baseline=peer,
            ratio=value / peer,
            target=f"≤ {limit:g} µs" if limit else "",
            met=at_most(value, limit) if limit else None,
            details={
                kind: {
                    "parse_us": round(median(one.parsed), 2),
                    "books_us": round(median(one.booked), 2),
                    "turn_us": round(median(one.applied), 2),
                    "p99_us": round(quantile(one.both(), 0.99), 2),
                }
                for kind, one in took.items()
            },
        )
        for what, value, limit in (
            ("parse and apply to the books", booked, TARGET_US),
            ("parse and apply (the whole engine turn, every cap)", ours, TURN_US),
            ("parse alone", parsed, 0.0),
        )
    ]
