"""User data events as the venue's JSON values (binance-spot.md §11)."""

from typing import TypeAlias

from daemon.model.enums import ExecType
from daemon.venues.binance_spot.serving.events import (
    AccountPosition,
    BalanceUpdate,
    ExecReport,
    ListStatus,
)
from daemon.venues.binance_spot.serving.order_view import OrderLike
from daemon.venues.binance_spot.serving.shown_rows import Row
from daemon.venues.binance_spot.serving.units import ms_of, quote_of, text_of

ServedEvent: TypeAlias = ExecReport[OrderLike] | AccountPosition | BalanceUpdate | ListStatus


def user_event(event: ServedEvent) -> Row:
    """The `event` of a user data envelope."""
    if isinstance(event, ExecReport):
        return execution_report(event)
    if isinstance(event, AccountPosition):
        return {
            "e": "outboundAccountPosition",
            "E": ms_of(event.ts_ns),
            "u": ms_of(event.ts_ns),
            "B": [
                {"a": asset, "f": text_of(free), "l": text_of(locked)}
                for asset, free, locked in event.balances
            ],
        }
    if isinstance(event, ListStatus):
        return _list_status(event)
    return _balance_update(event)


def execution_report(report: ExecReport[OrderLike]) -> Row:
    """All letters that an executionReport always has, then the conditional ones."""
    order = report.order
    row: Row = {
        "e": "executionReport",
        "E": ms_of(report.ts_ns),
        "s": order.symbol,
        "c": report.client_order_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": text_of(report.qty),
        "p": text_of(order.price),
        "P": text_of(order.stop_price),
        "F": text_of(order.iceberg_qty),
        "g": order.list_id,
        "C": report.orig_client_order_id,
        "x": report.exec_type,
        "X": report.status,
        "r": report.reject_reason,
        "i": order.order_id,
        "l": text_of(report.last_qty),
        "z": text_of(report.executed),
        "L": text_of(report.last_price),
        "n": text_of(report.fee) if report.fee_asset else "0",
        "N": report.fee_asset or None,
        "T": ms_of(report.ts_ns),
        "t": report.trade_id,
        "I": report.execution_id,
        "w": report.on_book,
        "m": report.maker,
        "M": False,
        "O": ms_of(order.ts_ns),
        "Z": text_of(report.cum_quote),
        "Y": text_of(quote_of(report.last_price, report.last_qty)),
        "Q": text_of(order.quote_order_qty),
        "V": order.stp_mode,
    }
    if order.trailing_bps:
        row["d"] = order.trailing_bps
        row["D"] = ms_of(order.trailing_since_ns) if order.trailing_since_ns else -1
    if order.peg is not None:
        row["gP"] = order.peg
        if order.peg_levels:
            row |= {"gOT": "PRICE_LEVEL", "gOV": order.peg_levels}
        row["gp"] = text_of(order.price)
    if order.working_ns:
        row["W"] = ms_of(order.working_ns)
    if order.strategy_id is not None:
        row["j"] = order.strategy_id
    if order.strategy_type is not None:
        row["J"] = order.strategy_type
    if report.expiry_reason:
        row["eR"] = report.expiry_reason
    match = report.prevented
    if report.exec_type is ExecType.TRADE_PREVENTION and match is not None:
        is_maker = order.order_id == match.maker_order_id
        row |= {
            "v": match.id,
            "A": text_of(order.prevented),
            "B": text_of(match.qty),
            "u": 1,
            "U": match.taker_order_id if is_maker else match.maker_order_id,
            "Cs": order.symbol,
            "pl": text_of(match.qty),
            "pL": text_of(match.price),
            "pY": text_of(quote_of(match.price, match.qty)),
        }
    return row


def _balance_update(event: BalanceUpdate) -> Row:
    return {
        "e": "balanceUpdate",
        "E": ms_of(event.ts_ns),
        "a": event.asset,
        "d": text_of(event.delta),
        "T": ms_of(event.ts_ns),
    }


def _list_status(event: ListStatus) -> Row:
    order_list = event.order_list
    return {
        "e": "listStatus",
        "E": ms_of(event.ts_ns),
        "s": order_list.symbol,
        "g": order_list.list_id,
        "c": order_list.contingency,
        "l": "ALL_DONE" if event.is_done else "EXEC_STARTED",
        "L": "ALL_DONE" if event.is_done else "EXECUTING",
        "r": "NONE",
        "C": order_list.client_id,
        "T": ms_of(event.ts_ns),
        "O": [
            {"s": order_list.symbol, "i": order_id, "c": client_id}
            for order_id, client_id in event.orders
        ],
    }
