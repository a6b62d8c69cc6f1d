"""The simulated venue's own values as the words of the daemon, for seeded worlds."""

from decimal import Decimal
from typing import Any

from daemon.model.enums import (
    ExecType,
    LiquidityFlag,
    OrderType,
    ReportSource,
    TimeInForce,
    VenueOrderStatus,
)
from daemon.model.ids import ClientOrderId, ExecId, VenueOrderId, symbol_of
from daemon.model.instrument import Instrument
from daemon.model.reports import ExecutionReport, Fill
from daemon.venues.binance_spot.serving.events import ExecReport
from daemon.venues.binance_spot.serving.order_requests import PlaceRequest, Status
from daemon.venues.binance_spot.serving.units import decimal_of_e8, e8_of
from daemon.venues.sim.listed_symbols import spec_of
from daemon.venues.sim.sim_orders import TradeFill
from riskcaps.words.capset import CapSet
from tests.support.builders import BTC, caps, instrument

SYMBOL = "BTCUSDT"
POSITION_CAP = Decimal("0.05")
STATUS = {
    Status.NEW: VenueOrderStatus.NEW,
    Status.PENDING_NEW: VenueOrderStatus.NEW,
    Status.PARTIALLY_FILLED: VenueOrderStatus.PARTIALLY_FILLED,
    Status.FILLED: VenueOrderStatus.FILLED,
    Status.CANCELED: VenueOrderStatus.CANCELED,
    Status.REJECTED: VenueOrderStatus.REJECTED,
    Status.EXPIRED: VenueOrderStatus.EXPIRED,
    Status.EXPIRED_IN_MATCH: VenueOrderStatus.EXPIRED,
}


def place_request(order: Any) -> PlaceRequest:
    quote_qty = order.terms.quote_qty if order.terms is not None else None
    return PlaceRequest(
        symbol=symbol_of(order.instrument_id),
        side=order.side,
        type=order.order_type,
        time_in_force=order.time_in_force or TimeInForce.GTC,
        qty=e8_of(order.qty) if quote_qty is None else 0,
        quote_order_qty=e8_of(quote_qty or 0),
        price=e8_of(order.price or 0),
        stop_price=e8_of(order.stop_price or 0),
        client_order_id=order.client_order_id,
    )


def fill_of(row: TradeFill, *, recovered: bool) -> Fill:
    return Fill(
        exec_id=ExecId(f"{row.symbol}:{row.trade_id}:{row.order_id}"),
        client_order_id=ClientOrderId(row.client_order_id),
        venue_order_id=VenueOrderId(str(row.order_id)),
        instrument_id=BTC,
        side=row.side,
        qty=decimal_of_e8(row.qty),
        price=decimal_of_e8(row.price),
        fee=decimal_of_e8(row.fee),
        fee_asset=row.fee_asset,
        liquidity=LiquidityFlag.MAKER if row.maker else LiquidityFlag.TAKER,
        ts_venue_ns=row.ts_ns,
        ts_recv_ns=row.ts_ns,
        recovered=recovered,
    )


_LOADED: list[Instrument] = []


def loaded_instrument() -> Instrument:
    """The venue's own filters for the symbol."""
    if not _LOADED:
        spec = spec_of(SYMBOL)
        _LOADED.append(
            instrument(
                SYMBOL,
                tick=decimal_of_e8(spec.tick),
                lot=decimal_of_e8(spec.step),
                qty_min=decimal_of_e8(spec.min_qty),
                notional_min=decimal_of_e8(spec.min_notional),
                order_types=frozenset(OrderType),
            )
        )
    return _LOADED[0]


def stream_report(event: ExecReport, now_ns: int) -> ExecutionReport:
    fills: tuple[Fill, ...] = ()
    if event.exec_type is ExecType.TRADE:
        fills = (
            Fill(
                exec_id=ExecId(f"{SYMBOL}:{event.trade_id}:{event.order.order_id}"),
                client_order_id=ClientOrderId(event.order.client_order_id),
                venue_order_id=VenueOrderId(str(event.order.order_id)),
                instrument_id=BTC,
                side=event.order.side,
                qty=decimal_of_e8(event.last_qty),
                price=decimal_of_e8(event.last_price),
                fee=decimal_of_e8(event.fee),
                fee_asset=event.fee_asset,
                liquidity=LiquidityFlag.MAKER if event.maker else LiquidityFlag.TAKER,
                ts_venue_ns=event.ts_ns,
                ts_recv_ns=now_ns,
            ),
        )
    return ExecutionReport(
        client_order_id=ClientOrderId(event.order.client_order_id),
        venue_order_id=VenueOrderId(str(event.order.order_id)),
        instrument_id=BTC,
        exec_type=event.exec_type,
        venue_status=STATUS[event.status],
        side=event.order.side,
        qty=decimal_of_e8(event.qty),
        price=decimal_of_e8(event.order.price),
        cum_qty=decimal_of_e8(event.executed),
        cum_quote=Decimal(0),
        fills=fills,
        source=ReportSource.STREAM,
        reason="",
        ts_venue_ns=event.ts_ns,
        ts_recv_ns=now_ns,
    )


def world_caps(**more: Any) -> CapSet:
    """Caps of a world; `more` are others."""
    return caps(
        (SYMBOL,),
        position_long_base_max=str(POSITION_CAP),
        position_short_base_max=str(POSITION_CAP),
        duplicate_window_ms=1,
        **{"conversions": {"BTC": [SYMBOL]}, **more},
    )
