"""The cap decision with every cap on, hold and release, beside a bare 12-check one on ints."""

import gc
import statistics
import time
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon.model.enums import OrderType, Side, SymbolStatus, TradingState
from daemon.model.halt import HaltFlag
from daemon.model.ids import ClientOrderIdFactory, InstrumentId, StrategyId, instrument_id, run_id
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent
from daemon.model.market import TopOfBook
from daemon.model.position import Balance
from riskcaps.capset import capset_from_mapping
from riskcaps.interceptor import Approved, Interceptor

CAPS_FILE = Path(__file__).parents[2] / "deploy" / "caps" / "testnet-strict.toml"
START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
ROUND = 200
ROUNDS = 60
TARGET_US = 10.0
BTC = instrument_id("BTCUSDT", "sim")
ETH = instrument_id("ETHUSDT", "sim")


def _instrument(name: InstrumentId, base: str, tick: str, lot: str) -> Instrument:
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
        orders_open_max=200,
        algo_orders_open_max=5,
    )


def _gate() -> Interceptor:
    data = tomllib.loads(CAPS_FILE.read_text())["caps"]
    for window in ("minute", "hour", "day"):
        data[f"orders_per_{window}_max"] = 10_000_000
    data["messages_per_minute_max"] = data["symbols"]["BTCUSDT"]["orders_per_minute_max"] = 10**6
    data["order_to_trade_grace_orders"] = 10_000_000
    gate = Interceptor(
        capset=capset_from_mapping(data),
        ids=ClientOrderIdFactory(run_id("bench0", 1)),
        halt=HaltFlag(),
    )
    gate.on_instruments(
        [
            _instrument(BTC, "BTC", "0.01", "0.00001"),
            _instrument(ETH, "ETH", "0.01", "0.0001"),
        ]
    )
    gate.on_balances(_balances(), START_NS)
    gate.on_top(_top(ETH, "2000.00", "2000.01", START_NS), START_NS)
    gate.on_clock(1_000_000, 2_000_000, START_NS)
    gate.on_journal_health(True)
    gate.set_trading_state(TradingState.ACTIVE)
    return gate


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


class Worlds:
    """The gate and the bare decision, order by order in turn: both meet the same cold caches."""

    def __init__(self) -> None:
        self.gate = _gate()
        self.bare = BareDecision()
        self.now_ns = START_NS
        self.orders = 0

    def round(self, full: list[int], decided: list[int], bare: list[int]) -> None:
        """One pass over all wishes; a sample in nanoseconds is added to each list."""
        clock = time.perf_counter_ns
        for i, intent in enumerate(_intents()):
            self._time_passes()
            begin = clock()
            answer = self.gate.review(intent, self.now_ns)
            reviewed = clock()
            if not isinstance(answer, Approved):
                raise TypeError(f"the bench's order was denied: {answer.reason}")
            name = answer.order.client_order_id
            released = clock()
            self.gate.on_known(name, self.now_ns)
            self.gate.on_terminal(name, self.now_ns)
            end = clock()
            full.append(reviewed - begin + end - released)
            decided.append(reviewed - begin)
            begin = clock()
            ok = self.bare.order(bool(i % 2), 100_000 + i * 1000, 4_999_000)
            bare.append(clock() - begin)
            if not ok:
                raise TypeError("the baseline denied")

    def _time_passes(self) -> None:
        gate = self.gate
        self.now_ns += STEP_NS
        self.orders += 1
        if self.orders % 8 == 1:
            gate.on_balances(_balances(), self.now_ns)
            gate.on_top(_top(BTC, "50000.00", "50010.00", self.now_ns), self.now_ns)
            gate.on_top(_top(ETH, "2000.00", "2000.01", self.now_ns), self.now_ns)
            gate.on_clock(1_000_000, 2_000_000, self.now_ns)


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


def _measure(rounds: int) -> list[tuple[float, float]]:
    """Per list: median of the rounds' medians, and p99 of the quietest round, in microseconds."""
    worlds = Worlds()
    worlds.round([], [], [])
    medians: list[list[float]] = [[], [], []]
    p99s: list[list[float]] = [[], [], []]
    for _ in range(rounds):
        samples: tuple[list[int], list[int], list[int]] = ([], [], [])
        worlds.round(*samples)
        for which, taken in enumerate(samples):
            taken.sort()
            medians[which].append(taken[len(taken) // 2] / 1000)
            p99s[which].append(taken[len(taken) * 99 // 100] / 1000)
    return [(statistics.median(m), min(p)) for m, p in zip(medians, p99s, strict=True)]


def rows(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """The bench's rows: the baseline, and the gate (`review_us`: up to the held order)."""
    gc.collect()
    gc.disable()
    try:
        full, decided, bare = _measure(rounds)
    finally:
        gc.enable()
    return [
        _row("bare 12-check decision on scaled ints, hold and release", bare),
        {
            **_row("cap decision with every cap on, its evidence, hold and release", full),
            "ratio": round(full[0] / bare[0], 1),
            "review_us": round(decided[0], 2),
            "target": f"<= {TARGET_US:g} us",
            "met": full[0] <= TARGET_US,
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
