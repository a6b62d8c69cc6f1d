"""A gate that is ready to approve, and short hands for what a test does to it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from daemon.model.amounts import NS_PER_S
from daemon.model.enums import (
    LiquidityFlag,
    OrderStatus,
    OrderType,
    Side,
    SymbolStatus,
    TimeInForce,
    TradingState,
)
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
from daemon.model.orders import Order
from daemon.model.position import Balance
from daemon.model.reports import Fill
from riskcaps.gate.interceptor import Approved, Denied, Interceptor
from riskcaps.words.capset import capset_from_mapping

D = Decimal
# 2026-01-05 was a Monday; the session's day has four hours left when it begins.
T0 = (1_767_571_200 + 20 * 3600) * NS_PER_S
BTC = instrument_id("BTCUSDT", "sim")
ETH = instrument_id("ETHUSDT", "sim")
XRPETH = instrument_id("XRPETH", "sim")
STRATEGY = StrategyId("quoter")

SYMBOL: dict[str, Any] = {
    "order_qty_base_max": "2",
    "order_notional_quote_max": "250",
    "position_long_base_max": "5",
    "position_short_base_max": "5",
    "exposure_quote_max": "600",
    "orders_open_max": 8,
    "orders_per_minute_max": 100,
    "traded_qty_per_day_base_max": "500",
    "collar_bps_max": 1000,
    "collar_reference": "mid",
    "market_slippage_bps": 50,
    "market_data_age_ms_max": 5000,
    "sides": ["BUY", "SELL"],
    "order_types": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"],
    "times_in_force": ["GTC", "IOC"],
    "trading_windows_utc": ["Mon-Fri 00:00-24:00"],
}
CAPS: dict[str, Any] = {
    "numeraire": "USDT",
    "exposure_gross_numeraire_max": "1000",
    "exposure_net_numeraire_max": "900",
    "orders_open_max": 12,
    "orders_per_second_max": 50,
    "orders_per_minute_max": 200,
    "orders_per_hour_max": 1000,
    "orders_per_day_max": 5000,
    "cancels_per_second_max": 20,
    "messages_per_second_max": 100,
    "messages_per_second_cancel_reserve": 40,
    "messages_per_minute_max": 1000,
    "messages_per_minute_cancel_reserve": 400,
    "venue_budget_percent_max": 80,
    "order_to_trade_ratio_max": "10",
    "order_to_trade_grace_orders": 2000,
    "traded_notional_per_day_numeraire_max": "100000",
    "loss_session_numeraire_max": "40",
    "loss_day_numeraire_max": "50",
    "drawdown_numeraire_max": "60",
    "loss_confirm_ms": 0,
    "loss_streak_max": 3,
    "executions_without_human_max": 100,
    "venue_reject_streak_max": 3,
    "duplicate_window_ms": 1,
    "clock_offset_ms_max": 100,
    "clock_age_ms_max": 600_000,
    "valuation_age_ms_max": 10_000,
    "conversions": {"BNB": ["BNBUSDT"], "ETH": ["ETHUSDT"]},
    "balance_free_min": {"USDT": "10"},
}


def caps_of(symbols: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A complete `[caps]` table; a change of None leaves the key out."""
    data = {k: v for k, v in {**CAPS, **changes}.items() if v is not None}
    data["symbols"] = dict(symbols) if symbols is not None else {"BTCUSDT": dict(SYMBOL)}
    return data


def symbol_caps(**changes: Any) -> dict[str, Any]:
    """Caps of one symbol; a change of None leaves the key out."""
    return {k: v for k, v in {**SYMBOL, **changes}.items() if v is not None}


def instrument(name: InstrumentId = BTC, **changes: Any) -> Instrument:
    """BTCUSDT around 100: tick 0.01, lot 0.001, at least 5 of notional."""
    symbol = name.partition("@")[0]
    quote = "USDT" if symbol.endswith("USDT") else symbol[-3:]
    values: dict[str, Any] = {
        "instrument_id": name,
        "symbol": symbol,
        "base": symbol.removesuffix(quote),
        "quote": quote,
        "status": SymbolStatus.TRADING,
        "order_types": frozenset(OrderType),
        "base_precision": 8,
        "quote_precision": 8,
        "price_min": D("0.01"),
        "price_max": D(100_000),
        "tick": D("0.01"),
        "qty_min": D("0.001"),
        "qty_max": D(9000),
        "lot": D("0.001"),
        "notional_min": D(5),
        "orders_open_max": 200,
        "algo_orders_open_max": 2,
        "bid_multiplier_up": D(5),
        "bid_multiplier_down": D("0.2"),
        "ask_multiplier_up": D(5),
        "ask_multiplier_down": D("0.2"),
    }
    return Instrument(**{**values, **changes})


def top(bid: str, ask: str, now_ns: int = T0, name: InstrumentId = BTC) -> TopOfBook:
    """A top of book received now."""
    return TopOfBook(name, D(bid), D(1), D(ask), D(1), 1, 0, now_ns)


def bare_gate(data: Mapping[str, Any] | None = None, **changes: Any) -> Interceptor:
    """A gate that has been told nothing."""
    return Interceptor(
        capset=capset_from_mapping(data if data is not None else caps_of(**changes)),
        ids=ClientOrderIdFactory(run_id("gate00", 1)),
        halt=HaltFlag(),
    )


def tell(gate: Interceptor, now_ns: int = T0, *, leave_out: str = "") -> Interceptor:
    """Tell a gate all that it needs to approve, but for one input."""
    if leave_out != "instruments":
        gate.risk.on_instruments([instrument()])
    if leave_out != "top":
        gate.risk.on_top(top("99.99", "100.01", now_ns), now_ns)
    if leave_out != "balances":
        gate.risk.on_balances([Balance("USDT", D(5000), D(0)), Balance("BTC", D(50), D(0))], now_ns)
    if leave_out != "clock":
        gate.risk.on_clock(1_000_000, 2_000_000, now_ns)
    if leave_out != "journal":
        gate.risk.on_journal_health(True)
    if leave_out != "trading_state":
        gate.risk.set_trading_state(TradingState.ACTIVE)
    return gate


def ready(data: Mapping[str, Any] | None = None, **changes: Any) -> Interceptor:
    """A gate that approves a plain order."""
    return tell(bare_gate(data, **changes))


def wish(
    side: str = "BUY", qty: str = "1", price: str | None = "100.00", **changes: Any
) -> PlaceIntent:
    """A plain limit order, or what `changes` make of it."""
    values: dict[str, Any] = {
        "strategy_id": STRATEGY,
        "instrument_id": BTC,
        "side": Side(side),
        "order_type": OrderType.LIMIT if price is not None else OrderType.MARKET,
        "qty": D(qty),
        "price": None if price is None else D(price),
        "time_in_force": TimeInForce.GTC,
    }
    return PlaceIntent(**{**values, **changes})


def approve(gate: Interceptor, intent: PlaceIntent, now_ns: int = T0) -> ClientOrderId:
    """Review a wish that must pass; its client order id."""
    answer = gate.review(intent, now_ns)
    assert isinstance(answer, Approved), f"denied: {answer.reason} {answer.context}"
    return answer.order.client_order_id


def deny(gate: Interceptor, intent: PlaceIntent, now_ns: int = T0) -> str:
    """Review a wish that must not pass; the reason's code."""
    answer = gate.review(intent, now_ns)
    assert isinstance(answer, Denied), "approved"
    return str(answer.reason)


_TRADES = iter(range(1, 10**9))


def fill(
    order: str,
    side: str = "BUY",
    qty: str = "1",
    price: str = "100",
    *,
    fee: str = "0",
    fee_asset: str = "USDT",
    exec_id: str = "",
    name: InstrumentId = BTC,
) -> Fill:
    """A trade of one of our orders."""
    return Fill(
        exec_id=ExecId(exec_id or f"{name}:{next(_TRADES)}"),
        client_order_id=ClientOrderId(order),
        venue_order_id=VenueOrderId("1"),
        instrument_id=name,
        side=Side(side),
        qty=D(qty),
        price=D(price),
        fee=D(fee),
        fee_asset=fee_asset,
        liquidity=LiquidityFlag.TAKER,
        ts_venue_ns=0,
        ts_recv_ns=0,
    )


def trade(gate: Interceptor, side: str, qty: str, price: str, now_ns: int = T0) -> None:
    """Move the position by a fill that no hold knows of."""
    gate.risk.on_fill(fill("elsewhere", side, qty, price), now_ns)


def order(
    name: str = "mine",
    side: str = "BUY",
    qty: str = "1",
    price: str | None = "100",
    status: OrderStatus = OrderStatus.ACCEPTED,
    **changes: Any,
) -> Order:
    """One of our orders as the books have it."""
    values: dict[str, Any] = {
        "client_order_id": ClientOrderId(name),
        "strategy_id": STRATEGY,
        "instrument_id": BTC,
        "side": Side(side),
        "order_type": OrderType.LIMIT if price is not None else OrderType.MARKET,
        "qty": D(qty),
        "price": None if price is None else D(price),
        "time_in_force": TimeInForce.GTC,
        "stop_price": None,
        "status": status,
        "ts_approved_ns": T0,
        "ts_updated_ns": T0,
    }
    return Order(**{**values, **changes})
