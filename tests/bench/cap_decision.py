"""The cap decision with every cap on, hold and release, beside a bare 12-check one on ints."""

import gc
import statistics
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon.model.amounts import NS_PER_S
from daemon.model.enums import LiquidityFlag, OrderType, Side, SymbolStatus, TradingState
from daemon.model.halt import HaltFlag
from daemon.model.ids import (
    ClientOrderId,
    ClientOrderIdFactory,
    ExecId,
    InstrumentId,
    StrategyId,
    VenueOrderId,
    instrument_id,
    run_id,
)
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent
from daemon.model.market import TopOfBook
from daemon.model.position import Balance
from daemon.model.reports import Fill
from riskcaps.gate.interceptor import Approved, Interceptor
from riskcaps.state.holds import WORKING
from riskcaps.state.windows import DAY_NS
from riskcaps.words.capset import capset_from_mapping

CAPS_FILE = Path(__file__).parents[2] / "deploy" / "caps" / "testnet-strict.toml"
START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
ROUND = 200
ROUNDS = 60
TARGET_US = 8.0
FILLS = 1000
DAY_ORDERS = 50_000
OPEN_ORDERS = 4_000
FLAT = 1.25
"""How much more a decision may cost with so many orders of the day, and so many open."""
BTC = instrument_id("BTCUSDT", "sim")
ETH = instrument_id("ETHUSDT", "sim")


def _instrument(
    name: InstrumentId, base: str, tick: str, lot: str, *, orders_open_max: int
) -> Instrument:
    return Instrument(
        instrument_id=name,
        symbol=f"{base}USDT",
        base=base,
        quote="USDT",
        status=SymbolStatus.TRADING,
        order_types=frozenset(OrderType),
        base_precision=8,
        quote_precision=8,
        price_min=Decimal(tick),
        price_max=Decimal(1000000),
        tick=Decimal(tick),
        qty_min=Decimal(lot),
        qty_max=Decimal(9000),
        lot=Decimal(lot),
        notional_min=Decimal(5),
        notional_max=Decimal(9000000),
        bid_multiplier_up=Decimal(5),
        bid_multiplier_down=Decimal("0.2"),
        ask_multiplier_up=Decimal(5),
        ask_multiplier_down=Decimal("0.2"),
        orders_open_max=orders_open_max,
        algo_orders_open_max=5,
    )


def _gate(*, orders_of_day: int = 0, open_orders: int = 0) -> Interceptor:
    """Every cap of the preset; those on counts are wide, as the bench hurries or is asked to."""
    data = tomllib.loads(CAPS_FILE.read_text())["caps"]
    btc = data["symbols"]["BTCUSDT"]
    for window in ("minute", "hour", "day"):
        data[f"orders_per_{window}_max"] = 10_000_000
    data["messages_per_minute_max"] = btc["orders_per_minute_max"] = 10**6
    if open_orders:
        data["orders_open_max"] = btc["orders_open_max"] = 2 * open_orders
        data["exposure_gross_numeraire_max"] = data["exposure_net_numeraire_max"] = "9000000"
        btc["exposure_quote_max"] = "9000000"
        btc["position_long_base_max"] = btc["position_short_base_max"] = "900"
        btc["traded_qty_per_day_base_max"] = "9000"
        data["traded_notional_per_day_numeraire_max"] = "90000000"
    gate = Interceptor(
        capset=capset_from_mapping(data),
        ids=ClientOrderIdFactory(run_id("bench0", 1)),
        halt=HaltFlag(),
    )
    venue_open_max = 2 * open_orders or 200
    gate.risk.on_instruments(
        [
            _instrument(BTC, "BTC", "0.01", "0.00001", orders_open_max=venue_open_max),
            _instrument(ETH, "ETH", "0.01", "0.0001", orders_open_max=200),
        ]
    )
    _live_a_day(gate, orders_of_day, open_orders)
    gate.risk.on_balances(_balances(), START_NS)
    gate.risk.on_top(_top(ETH, "2000.00", "2000.01", START_NS), START_NS)
    gate.risk.on_clock(1_000_000, 2_000_000, START_NS)
    gate.risk.on_journal_health(True)
    gate.risk.set_trading_state(TradingState.ACTIVE)
    return gate


def _live_a_day(gate: Interceptor, orders_of_day: int, open_orders: int) -> None:
    """A day behind it: fills that pay for the orders of the bench, attempts, and open orders."""
    for number in range(FILLS):
        side = Side.SELL if number % 2 else Side.BUY
        gate.risk.on_fill(_fill(number, side), START_NS - NS_PER_S)
    if orders_of_day:
        apart_ns = DAY_NS // orders_of_day
        first_ns = START_NS - (orders_of_day - 1) * apart_ns
        stamps = [first_ns, *[apart_ns] * (orders_of_day - 1)]
        gate.risk.windows.orders.restore(stamps)
        gate.risk.books.book(BTC).minute.restore(stamps[:1])
    for number in range(open_orders):
        is_buy = bool(number % 2)
        cents = 4_980_000 - number if is_buy else 5_030_000 + number
        gate.risk.books.take_hold(
            ClientOrderId(f"open-{number}"),
            gate.risk.books.book(BTC),
            is_buy=is_buy,
            is_stop=False,
            qty=Decimal("0.001"),
            px=Decimal(cents) / 100,
            phase=WORKING,
        )


def _fill(number: int, side: Side) -> Fill:
    return Fill(
        exec_id=ExecId(f"bench:{number}"),
        client_order_id=ClientOrderId("before"),
        venue_order_id=VenueOrderId("1"),
        instrument_id=BTC,
        side=side,
        qty=Decimal("0.001"),
        price=Decimal(50000),
        fee=Decimal(0),
        fee_asset="USDT",
        liquidity=LiquidityFlag.MAKER,
        ts_venue_ns=0,
        ts_recv_ns=0,
    )


def _balances() -> list[Balance]:
    return [Balance(asset, Decimal(100_000), Decimal(0)) for asset in ("USDT", "BTC", "ETH")]


def _top(name: InstrumentId, bid: str, ask: str, now_ns: int) -> TopOfBook:
    return TopOfBook(name, Decimal(bid), Decimal(1), Decimal(ask), Decimal(1), 1, 0, now_ns)


def _intents() -> list[PlaceIntent]:
    return [
        PlaceIntent(
            strategy_id=StrategyId("bench"),
            instrument_id=BTC,
            side=Side.BUY if i % 2 else Side.SELL,
            order_type=OrderType.LIMIT,
            qty=Decimal("0.00100") + Decimal("0.00001") * i,
            price=Decimal("49990.00") if i % 2 else Decimal("50020.00"),
        )
        for i in range(ROUND)
    ]


@dataclass
class Samples:
    """Nanoseconds: decided, held and released; decided and held; written out; the bare one."""

    full: list[int] = field(default_factory=list)
    decided: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    bare: list[int] = field(default_factory=list)


class Worlds:
    """The gate and the bare decision, order by order in turn: both meet the same cold caches."""

    def __init__(self, gate: Interceptor) -> None:
        self.gate = gate
        self.bare = BareDecision()
        self.now_ns = START_NS
        self.orders = 0

    def round(self, taken: "Samples") -> None:
        """One pass over all wishes; a sample in nanoseconds is added to each list."""
        clock = time.perf_counter_ns
        for i, intent in enumerate(_intents()):
            self._time_passes()
            begin = clock()
            answer = self.gate.review(intent, self.now_ns)
            reviewed = clock()
            if not isinstance(answer, Approved):
                raise TypeError(f"the bench's order was denied: {answer.reason} {answer.context}")
            decision = answer.decision
            written = clock()
            name = answer.order.client_order_id
            released = clock()
            self.gate.risk.on_known(name, self.now_ns)
            self.gate.risk.on_terminal(name, self.now_ns)
            end = clock()
            taken.full.append(reviewed - begin + end - released)
            taken.decided.append(reviewed - begin)
            taken.written.append(written - reviewed)
            begin = clock()
            ok = self.bare.order(bool(i % 2), 100_000 + i * 1000, 4_999_000)
            taken.bare.append(clock() - begin)
            if not ok or decision["verdict"] != "approved":
                raise TypeError("the baseline denied")

    def _time_passes(self) -> None:
        gate = self.gate
        self.now_ns += STEP_NS
        self.orders += 1
        if self.orders % 8 == 1:
            gate.risk.on_balances(_balances(), self.now_ns)
            gate.risk.on_top(_top(BTC, "50000.00", "50010.00", self.now_ns), self.now_ns)
            gate.risk.on_top(_top(ETH, "2000.00", "2000.01", self.now_ns), self.now_ns)
            gate.risk.on_clock(1_000_000, 2_000_000, self.now_ns)


class BareDecision:
    """Twelve comparisons on scaled integers, one hold, one release: what Python cannot beat."""

    def __init__(self) -> None:
        self.position = self.buys = self.sells = self.open = self.count = 0
        self.gross = 0

    def order(self, buy: bool, qty: int, px: int) -> bool:
        """Decide, hold, release."""
        ok = self._decide(buy, qty, px)
        self.open += 1
        self.count += 1
        if buy:
            self.buys += qty
            self.buys -= qty
        else:
            self.sells += qty
            self.sells -= qty
        self.open -= 1
        return ok

    def _decide(self, buy: bool, qty: int, px: int) -> bool:
        side = self.position + self.buys + qty if buy else self.sells - self.position + qty
        notional = qty * px
        return (
            qty > 0
            and qty <= 10_000_000
            and qty % 1000 == 0
            and px % 1 == 0
            and notional >= 500
            and notional <= 150_000_000_000_000
            and abs(px - 5_000_500) * 10_000 <= 5_000_500 * 100
            and side <= 20_000_000_000
            and side * px <= 10**20
            and self.gross + notional <= 10**20
            and self.open < 20
            and self.count < 10**9
        )


Figures = dict[str, tuple[float, float]]


def _measure(rounds: int, worlds: Sequence[Worlds]) -> list[Figures]:
    """Of each world, which take turns: per kind of sample the median of the rounds' medians, and
    p99 of the quietest round, in microseconds."""
    for world in worlds:
        world.round(Samples())
    kept: list[list[Samples]] = [[] for _ in worlds]
    for _ in range(rounds):
        for world, rounds_of in zip(worlds, kept, strict=True):
            taken = Samples()
            world.round(taken)
            rounds_of.append(taken)
    return [
        {one.name: _figures([getattr(r, one.name) for r in of]) for one in fields(Samples)}
        for of in kept
    ]


def _figures(rounds: list[list[int]]) -> tuple[float, float]:
    ordered = [sorted(samples) for samples in rounds]
    medians = [samples[len(samples) // 2] / 1000 for samples in ordered]
    p99s = [samples[len(samples) * 99 // 100] / 1000 for samples in ordered]
    return statistics.median(medians), min(p99s)


def rows(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """The bench's rows: the baseline; the gate; the gate after a full day with a full book.

    `review_us`: up to the held order; `record_us`: writing its inputs out for the journal, which
    the journal's line pays for and the decision does not wait for.
    """
    gc.collect()
    gc.disable()
    try:
        (plain,) = _measure(rounds, [Worlds(_gate())])
        full_day = _gate(orders_of_day=DAY_ORDERS)
        full_book = _gate(open_orders=OPEN_ORDERS)
        few, many, deep = _measure(
            max(rounds // 3, 4), [Worlds(_gate()), Worlds(full_day), Worlds(full_book)]
        )
    finally:
        gc.enable()
    took = plain["full"]
    day, book = (one["full"][0] / few["full"][0] for one in (many, deep))
    return [
        _row("bare 12-check decision on scaled ints, hold and release", plain["bare"]),
        {
            **_row("cap decision with every cap on, its inputs taken, hold and release", took),
            "ratio": round(took[0] / plain["bare"][0], 1),
            "review_us": round(plain["decided"][0], 2),
            "record_us": round(plain["written"][0], 2),
            "target": f"<= {TARGET_US:g} us",
            "met": took[0] <= TARGET_US,
        },
        {
            **_row(f"the same after {DAY_ORDERS} orders of the day", many["full"]),
            "ratio": round(day, 2),
            "target": f"<= {FLAT:g} x",
            "met": day <= FLAT,
        },
        {
            **_row(f"the same with {OPEN_ORDERS} open orders", deep["full"]),
            "ratio": round(book, 2),
            "target": f"<= {FLAT:g} x",
            "met": book <= FLAT,
        },
    ]


def _row(name: str, figures: tuple[float, float]) -> dict[str, Any]:
    return {
        "row": "c",
        "name": name,
        "median_us": round(figures[0], 2),
        "p99_us": round(figures[1], 2),
        "target": "baseline",
        "met": True,
    }


if __name__ == "__main__":
    for row in rows():
        print(row)
