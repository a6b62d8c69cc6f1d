"""Orders, trades, accounts as the venue's JSON values."""

from collections.abc import Sequence
from typing import TypeAlias

from daemon.venues.sim.accounts import VenueAccount
from daemon.venues.sim.sim_orders import (
    AmendRow,
    OrderList,
    PlaceOutcome,
    Prevented,
    SimOrder,
    TradeFill,
)
from daemon.venues.sim.units import ms_of, text_of

Row: TypeAlias = dict[str, object]
_ZERO = "0.00000000"


def order_row(order: SimOrder) -> Row:
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


def _as_it_stands(order: SimOrder) -> Row:
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


def placed_row(outcome: PlaceOutcome, response_type: str, now_ns: int) -> Row:
    """The answer to a placement: ACK, RESULT or FULL."""
    order = outcome.order
    row: Row = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_order_id,
        "transactTime": ms_of(now_ns),
    }
    if response_type == "ACK":
        return row
    row |= {
        **_as_it_stands(order),
        "workingTime": _working_ms(order),
        "selfTradePreventionMode": order.stp_mode,
    }
    if response_type == "FULL":
        row["fills"] = [
            {
                "price": text_of(fill.price),
                "qty": text_of(fill.qty),
                "commission": text_of(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in outcome.fills
        ]
        if outcome.prevented:
            row["preventedMatches"] = [prevented_row(match, order) for match in outcome.prevented]
    if order.stop_price:
        row["stopPrice"] = text_of(order.stop_price)
    if order.iceberg_qty:
        row["icebergQty"] = text_of(order.iceberg_qty)
    _add_conditional(row, order)
    return row


def canceled_row(order: SimOrder) -> Row:
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
    if order.stop_price:
        row["stopPrice"] = text_of(order.stop_price)
    if order.iceberg_qty:
        row["icebergQty"] = text_of(order.iceberg_qty)
    _add_conditional(row, order)
    return row


def amended_row(order: SimOrder, execution_id: int) -> Row:
    """The answer to an amend."""
    row: Row = {
        "transactTime": ms_of(order.updated_ns),
        "executionId": execution_id,
        "amendedOrder": {
            "symbol": order.symbol,
            "orderId": order.order_id,
            "orderListId": order.list_id,
            "origClientOrderId": order.amends[-1].old_client_order_id,
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
    if order.order_list is not None:
        row["listStatus"] = list_row(order.order_list)
    return row


def trade_row(fill: TradeFill) -> Row:
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


def prevented_row(match: Prevented, taker: SimOrder) -> Row:
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


def amendment_row(order: SimOrder, amend: AmendRow) -> Row:
    """GET /order/amendments."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "executionId": amend.execution_id,
        "origClientOrderId": amend.old_client_order_id,
        "newClientOrderId": amend.new_client_order_id,
        "origQty": text_of(amend.old_qty),
        "newQty": text_of(amend.new_qty),
        "time": ms_of(amend.ts_ns),
    }


def account_row(account: VenueAccount, *, omit_zero: bool) -> Row:
    """GET /account."""
    return {
        "makerCommission": account.maker_ppm // 100,
        "takerCommission": account.taker_ppm // 100,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": rate_text(account.maker_ppm),
            "taker": rate_text(account.taker_ppm),
            "buyer": _ZERO,
            "seller": _ZERO,
        },
        "canTrade": account.can_trade,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": ms_of(account.updated_ns),
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": text_of(wallet.free), "locked": text_of(wallet.locked)}
            for asset, wallet in account.wallets.items()
            if not omit_zero or wallet.free or wallet.locked
        ],
        "permissions": ["SPOT"],
        "uid": account.uid,
    }


def commission_row(account: VenueAccount, symbol: str) -> Row:
    """GET /account/commission."""
    nothing = {"maker": _ZERO, "taker": _ZERO, "buyer": _ZERO, "seller": _ZERO}
    return {
        "symbol": symbol,
        "standardCommission": nothing
        | {"maker": rate_text(account.maker_ppm), "taker": rate_text(account.taker_ppm)},
        "specialCommission": nothing,
        "taxCommission": nothing,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": "0.75000000",
        },
    }


def multiplier_text(value: int) -> str:
    """A factor: 5 -> `5`, 1.5 -> `1.5`."""
    return text_of(value).rstrip("0").rstrip(".")


def rate_text(parts_per_million: int) -> str:
    """A commission rate: 1000 -> `0.00100000`."""
    return text_of(parts_per_million * 100)


def levels(rows: Sequence[tuple[int, int]]) -> list[list[str]]:
    """Book rows as [price, quantity] texts."""
    return [[text_of(price), text_of(qty)] for price, qty in rows]


def _working_ms(order: SimOrder) -> int:
    return ms_of(order.working_ns) if order.working_ns else -1


def list_row(order_list: OrderList, reports: Sequence[Row] | None = None) -> Row:
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


def _add_conditional(row: Row, order: SimOrder) -> None:
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
