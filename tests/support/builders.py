"""Small true values for tests: instruments, caps, engines, reports. Every default is tradable."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from daemon.core.engine import Engine
from daemon.core.engine_config import EngineConfig, StrategySpec
from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.copies import replace
from daemon.model.enums import (
    ExecType,
    LiquidityFlag,
    Mode,
    OrderType,
    ReportSource,
    Side,
    SymbolStatus,
    TimeInForce,
    VenueOrderStatus,
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
from daemon.model.inputs import Actor, Command
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent
from daemon.model.market import TopOfBook
from daemon.model.position import Balance
from daemon.model.reports import ExecutionReport, Fill, VenueSnapshot
from riskcaps.gate.interceptor import Interceptor
from riskcaps.words.capset import CapSet, capset_from_mapping

ENVIRONMENT = "sim"
INSTANCE = "abc123"
T0 = 1_760_000_000 * NS_PER_S
BTC = instrument_id("BTCUSDT", ENVIRONMENT)
ETH = instrument_id("ETHUSDT", ENVIRONMENT)
OPERATOR_ACTOR = Actor(uid=1000, pid=1, role="operator", name="op")

CAPS: dict[str, Any] = {
    "numeraire": "USDT",
    "exposure_gross_numeraire_max": "100000",
    "exposure_net_numeraire_max": "100000",
    "orders_open_max": 50,
    "orders_per_second_max": 1000,
    "orders_per_minute_max": 10000,
    "orders_per_hour_max": 100000,
    "orders_per_day_max": 1000000,
    "cancels_per_second_max": 1000,
    "messages_per_second_max": 2000,
    "messages_per_second_cancel_reserve": 500,
    "messages_per_minute_max": 60000,
    "messages_per_minute_cancel_reserve": 10000,
    "venue_budget_percent_max": 80,
    "order_to_trade_ratio_max": "100000",
    "order_to_trade_grace_orders": 100000,
    "traded_notional_per_day_numeraire_max": "100000000",
    "loss_session_numeraire_max": "50000",
    "loss_day_numeraire_max": "50000",
    "drawdown_numeraire_max": "50000",
    "loss_confirm_ms": 100,
    "loss_streak_max": 10000,
    "executions_without_human_max": 100000,
    "venue_reject_streak_max": 1000,
    "duplicate_window_ms": 1,
    "clock_offset_ms_max": 500,
    "clock_age_ms_max": 900000,
    "valuation_age_ms_max": 600000,
    "reduce_oversized": "cut",
    "conversions": {"BTC": ["BTCUSDT"], "ETH": ["ETHUSDT"]},
    "balance_free_min": {"USDT": "1"},
}
SYMBOL_CAPS: dict[str, Any] = {
    "order_qty_base_max": "1",
    "order_notional_quote_max": "20000",
    "position_long_base_max": "3",
    "position_short_base_max": "3",
    "exposure_quote_max": "80000",
    "orders_open_max": 30,
    "orders_per_minute_max": 10000,
    "traded_qty_per_day_base_max": "100000",
    "collar_bps_max": 500,
    "collar_reference": "mid",
    "market_slippage_bps": 100,
    "market_data_age_ms_max": 60000,
    "sides": ["BUY", "SELL"],
    "order_types": ["LIMIT", "LIMIT_MAKER", "MARKET"],
    "times_in_force": ["GTC", "IOC", "FOK"],
    "trading_windows_utc": ["00:00-24:00"],
}


def dec(text: str) -> Decimal:
    return Decimal(text)


def caps(symbols: Iterable[str] = ("BTCUSDT", "ETHUSDT"), **changes: Any) -> CapSet:
    """Roomy caps; `changes` go to the portfolio, or to every symbol when it is a symbol's cap."""
    portfolio = {**CAPS, **{k: v for k, v in changes.items() if k not in SYMBOL_CAPS}}
    per_symbol = {**SYMBOL_CAPS, **{k: v for k, v in changes.items() if k in SYMBOL_CAPS}}
    if "orders_open_max" in changes:
        portfolio["orders_open_max"] = changes["orders_open_max"]
    return capset_from_mapping({**portfolio, "symbols": dict.fromkeys(symbols, per_symbol)})


def instrument(symbol: str = "BTCUSDT", **changes: Any) -> Instrument:
    base = Instrument(
        instrument_id=instrument_id(symbol, ENVIRONMENT),
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        status=SymbolStatus.TRADING,
        order_types=frozenset({OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.MARKET}),
        base_precision=8,
        quote_precision=8,
        price_min=dec("0.01"),
        price_max=dec("1000000"),
        tick=dec("0.01"),
        qty_min=dec("0.001"),
        qty_max=dec("9000"),
        lot=dec("0.001"),
        notional_min=dec("5"),
    )
    return replace(base, **changes)


def config(strategies: tuple[StrategySpec, ...] = (), **changes: Any) -> EngineConfig:
    """Short windows, so that tests need few turns; no periodic audit unless asked for."""
    values: dict[str, Any] = {
        "environment": ENVIRONMENT,
        "mode": Mode.SIM,
        "instance": INSTANCE,
        "run": run_id(INSTANCE, 1),
        "symbols": ("BTCUSDT", "ETHUSDT"),
        "strategies": strategies,
        "account": "acc0",
        "session_binding": {"version": "0", "caps_hash": "c"},
        "audit_period_ns": 0,
        "unknown_settle_ns": 2 * NS_PER_S,
        "unknown_incident_ns": 10 * NS_PER_S,
        "ack_deadline_ns": 1 * NS_PER_S,
        "cancel_deadline_ns": 500 * NS_PER_MS,
        "query_base_ns": 100 * NS_PER_MS,
        "query_cap_ns": 1 * NS_PER_S,
        "confirm_ns": 300 * NS_PER_MS,
        "stop_deadline_ns": 8 * NS_PER_S,
        "owed_fill_grace_ns": 100 * NS_PER_MS,
    }
    return EngineConfig(**{**values, **changes})


def engine(
    made: EngineConfig | None = None, capset: CapSet | None = None
) -> tuple[Engine, Interceptor, HaltFlag]:
    made = made or config()
    halt = HaltFlag()
    gate = Interceptor(
        capset=capset or caps(made.symbols), ids=ClientOrderIdFactory(made.run), halt=halt
    )
    gate.risk.on_journal_health(ok=True)
    return Engine(config=made, interceptor=gate), gate, halt


def top(
    bid: str = "100.00",
    ask: str = "100.10",
    *,
    iid: InstrumentId = BTC,
    ts_ns: int = 0,
    update_id: int = 1,
) -> TopOfBook:
    return TopOfBook(iid, dec(bid), dec("5"), dec(ask), dec("5"), update_id, ts_ns, ts_ns)


def wish(
    side: Side = Side.BUY,
    qty: str = "0.1",
    price: str | None = "99.00",
    *,
    strategy: str = "test",
    iid: InstrumentId = BTC,
    tif: TimeInForce | None = TimeInForce.GTC,
) -> PlaceIntent:
    return PlaceIntent(
        strategy_id=StrategyId(strategy),
        instrument_id=iid,
        side=side,
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
        qty=dec(qty),
        price=None if price is None else dec(price),
        time_in_force=None if price is None else tif,
    )


def fill(
    cid: str,
    trade_id: int,
    qty: str,
    price: str = "99.00",
    *,
    side: Side = Side.BUY,
    venue_id: str = "1",
    iid: InstrumentId = BTC,
    fee: str = "0",
    fee_asset: str = "USDT",
    ts_ns: int = 0,
) -> Fill:
    symbol = iid.partition("@")[0]
    return Fill(
        exec_id=ExecId(f"{symbol}:{trade_id}:{venue_id}"),
        client_order_id=ClientOrderId(cid),
        venue_order_id=VenueOrderId(venue_id),
        instrument_id=iid,
        side=side,
        qty=dec(qty),
        price=dec(price),
        fee=dec(fee),
        fee_asset=fee_asset,
        liquidity=LiquidityFlag.MAKER,
        ts_venue_ns=ts_ns,
        ts_recv_ns=ts_ns,
    )


def report(
    cid: str,
    status: VenueOrderStatus = VenueOrderStatus.NEW,
    *,
    cum: str = "0",
    fills: tuple[Fill, ...] = (),
    source: ReportSource = ReportSource.STREAM,
    side: Side = Side.BUY,
    qty: str = "0.1",
    price: str = "99.00",
    venue_id: str | None = "1",
    iid: InstrumentId = BTC,
    reason: str = "",
    ts_ns: int = 0,
) -> ExecutionReport:
    kinds = {
        VenueOrderStatus.NEW: ExecType.NEW,
        VenueOrderStatus.PARTIALLY_FILLED: ExecType.TRADE,
        VenueOrderStatus.FILLED: ExecType.TRADE,
        VenueOrderStatus.CANCELED: ExecType.CANCELED,
        VenueOrderStatus.EXPIRED: ExecType.EXPIRED,
        VenueOrderStatus.REJECTED: ExecType.REJECTED,
    }
    kind = kinds.get(status, ExecType.STATUS)
    return ExecutionReport(
        client_order_id=ClientOrderId(cid),
        venue_order_id=None if venue_id is None else VenueOrderId(venue_id),
        instrument_id=iid,
        exec_type=kind if source is ReportSource.STREAM else ExecType.STATUS,
        venue_status=status,
        side=side,
        qty=dec(qty),
        price=dec(price),
        cum_qty=dec(cum),
        cum_quote=Decimal(0),
        fills=fills,
        source=source,
        reason=reason,
        ts_venue_ns=ts_ns,
        ts_recv_ns=ts_ns,
    )


def snapshot(
    *,
    balances: Mapping[str, str] | None = None,
    open_orders: tuple[ExecutionReport, ...] = (),
    statuses: tuple[ExecutionReport, ...] = (),
    fills: tuple[Fill, ...] = (),
    absent: tuple[Any, ...] = (),
    reason: str = "boot",
    ts_ns: int = 0,
    **more: Any,
) -> VenueSnapshot:
    held = {"USDT": "100000", "BTC": "100", "ETH": "100"} if balances is None else balances
    return VenueSnapshot(
        ts_ns=ts_ns,
        balances=tuple(Balance(asset, dec(free), dec("0")) for asset, free in held.items()),
        open_orders=open_orders,
        statuses=statuses,
        absent=absent,
        fills=fills,
        reason=reason,
        **more,
    )


def command(method: str, reason: str = "", command_id: str = "c1", **params: Any) -> Command:
    return Command(
        command_id=command_id, method=method, actor=OPERATOR_ACTOR, params=params, reason=reason
    )
