"""Orders, trades and order lists as the venue's JSON values."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.events import Prevented
from daemon.venues.binance_spot.serving.order_view import ListLike, OrderLike, ServedFill
from daemon.venues.binance_spot.serving.units import ms_of, text_of

Row: TypeAlias = dict[str, object]


def order_row(order: OrderLike) -> Row:
    """GET /order and its kin."""
    row: Row = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.shown_client_order_id,
        **_as_it_stands(order),
        "stopPrice": text_of(order.stop_price),
        "icebergQty": text_of(order.iceberg_qty),
        "time": ms_of(order.ts_ns),
        "updateTime": ms_of(order.updated_ns),
        "isWorking": bool(order.working_ns) and not order.waiting,
        "workingTime": _working_ms(order),
        "selfTradePreventionMode": order.stp_mode,
    }
    _add_conditional(row, order)
    return row


def _as_it_stands(order: OrderLike) -> Row:
    return {
        "price": text_of(order.price),
        "origQty": text_of(order.qty),
        "executedQty": text_of(order.executed),
        "origQuoteOrderQty": text_of(order.quote_order_qty),
        "cummulativeQuoteQty": text_of(order.cum_quote),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
    }


def placed_row(
    order: OrderLike,
    fills: Iterable[ServedFill],
    shown: str,
    now_ns: int,
    prevented: Sequence[Prevented] = (),
) -> Row:
    """The answer to a placement; `shown` is ACK, RESULT or FULL."""
    row: Row = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.own_client_order_id,
        "transactTime": ms_of(now_ns),
    }
    if shown == "ACK":
        return row
    row |= {
        **_as_it_stands(order),
        "workingTime": _working_ms(order),
        "selfTradePreventionMode": order.stp_mode,
    }
    if shown == "FULL":
        row["fills"] = [
            {
                "price": text_of(fill.price),
                "qty": text_of(fill.qty),
                "commission": text_of(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in fills
        ]
        if prevented:
            row["preventedMatches"] = [prevented_row(match, order) for match in prevented]
    _add_amounts(row, order)
    _add_conditional(row, order)
    return row


def canceled_row(order: OrderLike) -> Row:
    """The answer to a cancel: `clientOrderId` is the cancel's id."""
    row: Row = {
        "symbol": order.symbol,
        "origClientOrderId": order.own_client_order_id,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.shown_client_order_id,
        "transactTime": ms_of(order.updated_ns),
        **_as_it_stands(order),
        "selfTradePreventionMode": order.stp_mode,
    }
    _add_amounts(row, order)
    _add_conditional(row, order)
    return row


def amended_row(
    order: OrderLike, old_client_order_id: str, execution_id: int, list_status: Row | None = None
) -> Row:
    """The answer to an amend."""
    row: Row = {
        "transactTime": ms_of(order.updated_ns),
        "executionId": execution_id,
        "amendedOrder": {
            "symbol": order.symbol,
            "orderId": order.order_id,
            "orderListId": order.list_id,
            "origClientOrderId": old_client_order_id,
            "clientOrderId": order.shown_client_order_id,
            "price": text_of(order.price),
            "qty": text_of(order.qty),
            "executedQty": text_of(order.executed),
            "preventedQty": text_of(order.prevented),
            "quoteOrderQty": text_of(order.quote_order_qty),
            "cumulativeQuoteQty": text_of(order.cum_quote),
            "status": order.status,
            "timeInForce": order.time_in_force,
            "type": order.type,
            "side": order.side,
            "workingTime": _working_ms(order),
            "selfTradePreventionMode": order.stp_mode,
        },
    }
    if list_status is not None:
        row["listStatus"] = list_status
    return row


def replaced_row(
    canceled: Row | DialectError, placed: Row | DialectError | None, *, is_limited: bool = False
) -> Row:
    """The answer to a cancel-replace; `placed` None: not attempted.

    Raises:
        DialectError: -2021 (409) when one half failed, -2022 (400) when nothing was done, both with
            the halves' answers in `data`; 429 for both when `is_limited`: the order count decided.
    """
    halves: Row = {
        "cancelResult": _result_of(canceled),
        "newOrderResult": _result_of(placed),
        "cancelResponse": _response_of(canceled),
        "newOrderResponse": _response_of(placed),
    }
    results = {halves["cancelResult"], halves["newOrderResult"]}
    if results == {"SUCCESS"}:
        return halves
    if "SUCCESS" in results:
        status = 429 if is_limited else 409
        raise DialectError(-2021, "Order cancel-replace partially failed.", status, halves)
    status = 429 if is_limited else 400
    raise DialectError(-2022, "Order cancel-replace failed.", status, halves)


def _result_of(half: Row | DialectError | None) -> str:
    if half is None:
        return "NOT_ATTEMPTED"
    return "FAILURE" if isinstance(half, DialectError) else "SUCCESS"


def _response_of(half: Row | DialectError | None) -> Row | None:
    return {"code": half.code, "msg": half.msg} if isinstance(half, DialectError) else half


def trade_row(fill: ServedFill) -> Row:
    """GET /myTrades."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": fill.list_id,
        "price": text_of(fill.price),
        "qty": text_of(fill.qty),
        "quoteQty": text_of(fill.quote_qty),
        "commission": text_of(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": ms_of(fill.ts_ns),
        "isBuyer": fill.side == "BUY",
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def prevented_row(match: Prevented, taker: OrderLike) -> Row:
    """One entry of `preventedMatches`."""
    return {
        "preventedMatchId": match.id,
        "makerOrderId": match.maker_order_id,
        "price": text_of(match.price),
        "takerPreventedQuantity": text_of(taker.prevented),
        "makerPreventedQuantity": text_of(match.qty),
    }


def prevented_match_row(match: Prevented) -> Row:
    """GET /myPreventedMatches."""
    return {
        "symbol": match.symbol,
        "preventedMatchId": match.id,
        "takerOrderId": match.taker_order_id,
        "makerSymbol": match.symbol,
        "makerOrderId": match.maker_order_id,
        "tradeGroupId": -1,
        "selfTradePreventionMode": match.mode,
        "price": text_of(match.price),
        "makerPreventedQuantity": text_of(match.qty),
        "transactTime": ms_of(match.ts_ns),
    }


def multiplier_text(value: int) -> str:
    """A factor: 5 -> `5`, 1.5 -> `1.5`."""
    return text_of(value).rstrip("0").rstrip(".")


def levels(rows: Sequence[tuple[int, int]]) -> list[list[str]]:
    """Book rows as [price, quantity] texts."""
    return [[text_of(price), text_of(qty)] for price, qty in rows]


def _working_ms(order: OrderLike) -> int:
    return ms_of(order.working_ns) if order.working_ns else -1


def list_row(order_list: ListLike, reports: Sequence[Row] | None = None) -> Row:
    """An order list; with the reports of its orders in the answers to placing and canceling."""
    row: Row = {
        "orderListId": order_list.list_id,
        "contingencyType": order_list.contingency,
        "listStatusType": "ALL_DONE" if order_list.is_done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if order_list.is_done else "EXECUTING",
        "listClientOrderId": order_list.client_id,
        "transactionTime": ms_of(order_list.updated_ns),
        "symbol": order_list.symbol,
        "orders": [
            {
                "symbol": order.symbol,
                "orderId": order.order_id,
                "clientOrderId": order.own_client_order_id,
            }
            for order in order_list.orders
        ],
    }
    if reports is not None:
        row["orderReports"] = list(reports)
    return row


def _add_amounts(row: Row, order: OrderLike) -> None:
    if order.stop_price:
        row["stopPrice"] = text_of(order.stop_price)
    if order.iceberg_qty:
        row["icebergQty"] = text_of(order.iceberg_qty)


def _add_conditional(row: Row, order: OrderLike) -> None:
    if order.trailing_bps:
        row["trailingDelta"] = order.trailing_bps
        row["trailingTime"] = ms_of(order.trailing_since_ns) if order.trailing_since_ns else -1
    if order.peg is not None:
        row["pegPriceType"] = order.peg
        if order.peg_levels:
            row["pegOffsetType"] = "PRICE_LEVEL"
            row["pegOffsetValue"] = order.peg_levels
        row["peggedPrice"] = text_of(order.price)
    if order.strategy_id is not None:
        row["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        row["strategyType"] = order.strategy_type
    if order.prevented:
        row["preventedQuantity"] = text_of(order.prevented)
    if order.expiry_reason:
        row["expiryReason"] = order.expiry_reason
