"""seatrial's own order path: intent, interceptor, journal, codec, session, as the pump drives them.

Everything is the product's: every cap is on, the journal is chained, written before the bytes leave
and made durable in the background, the venue link has its governor, deadlines and connections.
"""

import asyncio
import contextlib
import random
import tempfile
from decimal import Decimal
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import uvloop

from daemon.model.effects import SendOrder
from daemon.model.enums import Link, OrderType, Side, TimeInForce, TradingState
from daemon.model.halt import HaltFlag
from daemon.model.ids import ClientOrderIdFactory, InstrumentId, RunId, StrategyId
from daemon.model.inputs import (
    BudgetSampled,
    ClockSampled,
    Input,
    InstrumentsLoaded,
    LinkUp,
    MarketData,
    PublicTrade,
    VenueReport,
)
from daemon.model.intents import PlaceIntent
from daemon.model.market import TopOfBook
from daemon.model.orders import NewOrder
from daemon.model.position import Balance
from daemon.model.records import EventType
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.link.venue_link import LinkConfig, VenueEndpoints, VenueLink
from daemon.shell.process.clock import SystemClock
from riskcaps.gate.interceptor import Approved, Interceptor
from riskcaps.words.capset import capset_from_mapping
from tests.support.adapters import spot

ROOT = Path(__file__).resolve().parents[2]
BTC = InstrumentId("BTCUSDT@sim")
STRATEGY = StrategyId("bench")
CONNECT_DEADLINE_S = 15
REPLY_DEADLINE_S = 10
SESSION = "sim-20260101-000000"

CAPS: dict[str, Any] = {
    "numeraire": "USDT",
    "exposure_gross_numeraire_max": "100000",
    "exposure_net_numeraire_max": "100000",
    "orders_open_max": 100,
    "balance_free_min": {"USDT": "100"},
    "orders_per_second_max": 1_000_000,
    "orders_per_minute_max": 10_000_000,
    "orders_per_hour_max": 100_000_000,
    "orders_per_day_max": 100_000_000,
    "cancels_per_second_max": 1_000_000,
    "messages_per_second_max": 1_000_000,
    "messages_per_second_cancel_reserve": 10,
    "messages_per_minute_max": 10_000_000,
    "messages_per_minute_cancel_reserve": 100,
    "venue_budget_percent_max": 80,
    "order_to_trade_ratio_max": "1000000",
    "order_to_trade_grace_orders": 100_000_000,
    "traded_notional_per_day_numeraire_max": "100000000",
    "loss_session_numeraire_max": "1000",
    "loss_day_numeraire_max": "1000",
    "drawdown_numeraire_max": "1000",
    "loss_confirm_ms": 100,
    "loss_streak_max": 50,
    "executions_without_human_max": 100_000_000,
    "venue_reject_streak_max": 10,
    "duplicate_window_ms": 100,
    "clock_offset_ms_max": 500,
    "clock_age_ms_max": 3_600_000,
    "valuation_age_ms_max": 3_600_000,
    "symbols": {
        "BTCUSDT": {
            "order_qty_base_max": "1",
            "order_notional_quote_max": "50000",
            "position_long_base_max": "2",
            "position_short_base_max": "2",
            "exposure_quote_max": "100000",
            "orders_open_max": 100,
            "orders_per_minute_max": 10_000_000,
            "traded_qty_per_day_base_max": "1000000",
            "collar_bps_max": 500,
            "market_slippage_bps": 50,
            "market_data_age_ms_max": 3_600_000,
            "sides": ["BUY", "SELL"],
            "order_types": ["LIMIT", "LIMIT_MAKER"],
            "times_in_force": ["GTC"],
            "trading_windows_utc": ["00:00-24:00"],
        }
    },
}
"""Every cap on, none in the way."""


class SeatrialClient:
    """The product from the intent to the venue's bytes."""

    name = "seatrial"
    loop_factory = staticmethod(uvloop.new_event_loop)

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._halt = HaltFlag()
        self._stack = contextlib.AsyncExitStack()
        self._up: set[Link] = set()
        self._changed = asyncio.Event()
        self._reply: asyncio.Future[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._made = 0
        self._interceptor = Interceptor(
            capset=capset_from_mapping(CAPS, strict=False),
            ids=ClientOrderIdFactory(RunId("bench1-1")),
            halt=self._halt,
        )

    async def open(self, port: int) -> None:
        """Open the journal, connect the link, tell the interceptor what it must know."""
        home = ROOT / "build"
        home.mkdir(exist_ok=True)
        directory = self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix="bench-order-", dir=home)
        )
        self._journal = Journal(
            Path(directory) / "journal", run_id="bench1-1", mode="sim", exchange="sim"
        )
        self._stack.callback(self._journal.close)
        self._link = VenueLink(
            endpoints=VenueEndpoints(
                environment="sim",
                rest=f"http://127.0.0.1:{port}",
                ws_api=f"ws://127.0.0.1:{port}",
                streams=f"ws://127.0.0.1:{port}",
            ),
            adapter=spot(key="k" * 64, secret=b"s" * 64),
            config=LinkConfig(symbols=("BTCUSDT",), stream_silence_max_ms=3_600_000),
            clock=self._clock,
            halt=self._halt,
            deliver=self._deliver,
            rng=random.Random(7),
        )
        self._running = asyncio.get_running_loop().create_task(self._run(), name="link")
        async with asyncio.timeout(CONNECT_DEADLINE_S):
            while self._up != set(Link):
                self._changed.clear()
                await self._changed.wait()
        gate = self._interceptor
        now_ns = self._clock.now_ns()
        gate.risk.on_balances(
            [
                Balance("USDT", Decimal(1_000_000), Decimal(0)),
                Balance("BTC", Decimal(50), Decimal(0)),
            ],
            now_ns,
        )
        gate.risk.on_top(top_of_book(now_ns), now_ns)
        gate.risk.on_journal_health(True)
        gate.risk.start_session(now_ns)
        gate.risk.set_trading_state(TradingState.ACTIVE)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run(), name="venue")
            group.create_task(self._journal.run(), name="journal")

    def _deliver(self, item: Input) -> None:
        gate = self._interceptor
        now_ns = self._clock.now_ns()
        if isinstance(item, VenueReport):
            gate.risk.on_known(item.report.client_order_id, now_ns)
            gate.risk.on_terminal(item.report.client_order_id, now_ns)
            if self._reply is not None and not self._reply.done():
                self._reply.set_result(None)
        elif isinstance(item, InstrumentsLoaded):
            gate.risk.on_instruments(item.instruments)
        elif isinstance(item, ClockSampled):
            gate.risk.on_clock(item.offset_ns, item.round_trip_ns, now_ns)
        elif isinstance(item, LinkUp):
            self._up.add(item.link)
            self._changed.set()
        elif isinstance(item, BudgetSampled):
            gate.risk.on_venue_budget(item.used, item.limits, now_ns)
        elif isinstance(item, MarketData | PublicTrade):
            return  # the gate keeps the book it was given
        elif self._reply is not None and not self._reply.done():
            self._reply.set_exception(RuntimeError(f"instead of a report: {item!r}"))

    async def fire(self, count: int) -> list[tuple[str, int]]:
        """Send `count` orders, one after another."""
        loop = asyncio.get_running_loop()
        numbers = range(self._made, self._made + count)
        prices = [Decimal(2_500_000 - number % 40_000).scaleb(-2) for number in numbers]
        self._made += count
        qty = Decimal("0.001")
        began = []
        for price in prices:
            self._reply = loop.create_future()
            start = perf_counter_ns()
            order = self._send(price, qty)
            await self._reply
            began.append((str(order.client_order_id), start))
        return began

    def _send(self, price: Decimal, qty: Decimal) -> NewOrder:
        """What one turn of the pump does with one wish."""
        now_ns = self._clock.now_ns()
        intent = PlaceIntent(
            strategy_id=STRATEGY,
            instrument_id=BTC,
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            qty=qty,
            price=price,
            time_in_force=TimeInForce.GTC,
            reason="bench",
        )
        answer = self._interceptor.review(intent, now_ns)
        if not isinstance(answer, Approved):
            raise RuntimeError(f"denied: {answer.reason} {dict(answer.context)}")
        order = answer.order
        self._journal.append(
            EventType.ORDER_APPROVED,
            {
                "client_order_id": order.client_order_id,
                "symbol": "BTCUSDT",
                "instrument_id": order.instrument_id,
                "strategy_id": order.strategy_id,
                "side": order.side,
                "order_type": order.order_type,
                "qty": str(order.qty),
                "price": str(order.price),
                "time_in_force": "GTC",
                "stop_price": None,
                "reduce_only": order.reduce_only,
                "reason": intent.reason,
                "decision": answer.inputs.plain(),
            },
            ts_ns=now_ns,
            session_id=SESSION,
        )
        self._journal.write()
        self._link.perform(SendOrder(order))
        self._journal.flush()
        return order

    async def close(self) -> None:
        """Disconnect and remove the journal."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        await self._stack.aclose()


def top_of_book(now_ns: int) -> TopOfBook:
    """A quiet book around 25,000."""
    return TopOfBook(
        instrument_id=BTC,
        bid_px=Decimal("25000.00"),
        bid_qty=Decimal(1),
        ask_px=Decimal("25000.02"),
        ask_qty=Decimal(1),
        update_id=1,
        ts_venue_ns=0,
        ts_recv_ns=now_ns,
    )
