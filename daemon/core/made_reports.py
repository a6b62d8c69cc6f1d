"""Reports and orders that are made here: adopted, told where the venue sent none, recovered."""

from daemon.model.amounts import ZERO
from daemon.model.copies import replace
from daemon.model.enums import (
    ExecType,
    OrderStatus,
    OrderType,
    ReportSource,
    TimeInForce,
    VenueOrderStatus,
)
from daemon.model.intents import ENGINE
from daemon.model.orders import Order
from daemon.model.reports import ExecutionReport


def adopted_from(report: ExecutionReport, now_ns: int) -> Order:
    """An order of ours as the venue describes it; its fills come by the report or by a query."""
    market = report.price == 0
    return Order(
        client_order_id=report.client_order_id,
        strategy_id=ENGINE,
        instrument_id=report.instrument_id,
        side=report.side,
        order_type=OrderType.MARKET if market else OrderType.LIMIT,
        qty=report.qty,
        price=None if market else report.price,
        time_in_force=None if market else TimeInForce.GTC,
        stop_price=None,
        status=OrderStatus.UNKNOWN,
        ts_approved_ns=now_ns,
        ts_updated_ns=now_ns,
        venue_order_id=report.venue_order_id,
    )


def told(order: Order, status: VenueOrderStatus, why: str, now_ns: int) -> ExecutionReport:
    """A report for the strategy where the venue sent none: refused, absent, never sent."""
    kind = ExecType.REJECTED if status is VenueOrderStatus.REJECTED else ExecType.STATUS
    return ExecutionReport(
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
        instrument_id=order.instrument_id,
        exec_type=kind,
        venue_status=status,
        side=order.side,
        qty=order.qty,
        price=order.price or order.qty * 0,
        cum_qty=order.cum_qty,
        cum_quote=ZERO,
        fills=(),
        source=ReportSource.REPLY,
        reason=why,
        ts_venue_ns=0,
        ts_recv_ns=now_ns,
    )


def as_recovered(report: ExecutionReport) -> ExecutionReport:
    """The same report, its fills marked as learnt from the venue's history."""
    fills = tuple(replace(fill, recovered=True) for fill in report.fills)
    return replace(report, fills=fills, source=ReportSource.RECOVERED)
