"""Order endpoints: place, test, cancel, cancel-replace, amend, cancel-all (binance-spot.md §5)."""

from enum import StrEnum

from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.venues.sim.dialect.calls import Call
from daemon.venues.sim.dialect.params import Params, mandatory
from daemon.venues.sim.dialect.rows import (
    Row,
    amended_row,
    canceled_row,
    list_row,
    order_row,
    placed_row,
    rate_text,
)
from daemon.venues.sim.orders import (
    MARKET_TYPES,
    TRIGGER_TYPES,
    PegType,
    PlaceRequest,
    SimOrder,
    Status,
    StpMode,
    VenueError,
)

PEG_LEVELS_MAX = 100
_LIMIT_WITH_TIF = frozenset(
    {OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT}
)


class ResponseType(StrEnum):
    """`newOrderRespType`."""

    ACK = "ACK"
    RESULT = "RESULT"
    FULL = "FULL"


class ReplaceMode(StrEnum):
    """`cancelReplaceMode`."""

    STOP_ON_FAILURE = "STOP_ON_FAILURE"
    ALLOW_FAILURE = "ALLOW_FAILURE"


def parse_place(params: Params, *, is_open_sized: bool = False) -> PlaceRequest:
    """The order that a client asks for; `is_open_sized`: its quantity is not sent (OPO).

    Raises:
        VenueError: for missing, superfluous or malformed parameters.
    """
    symbol = params.symbol()
    side = params.choice("side", Side, VenueError(-1117, "Invalid side."))
    kind = params.choice("type", OrderType, VenueError(-1116, "Invalid orderType."))
    tif = TimeInForce.GTC
    if kind in _LIMIT_WITH_TIF:
        error = VenueError(-1115, "Invalid timeInForce.")
        tif = params.choice("timeInForce", TimeInForce, error)
    elif params.text("timeInForce") and kind is not OrderType.LIMIT_MAKER:
        raise _superfluous(params.label("timeInForce"))
    quote_order_qty = params.amount("quoteOrderQty")
    sized = is_open_sized or (kind is OrderType.MARKET and bool(quote_order_qty))
    qty = params.amount("quantity", required=not sized)
    if qty and quote_order_qty:
        raise _superfluous("quoteOrderQty")
    peg, peg_levels = _peg(params, kind, tif)
    price = params.amount("price", required=kind not in MARKET_TYPES and peg is None)
    if price and kind in MARKET_TYPES:
        raise _superfluous(params.label("price"))
    stop_price = params.amount("stopPrice")
    trailing_bps = _trailing(params, kind)
    if kind in TRIGGER_TYPES and not stop_price and not trailing_bps:
        raise mandatory(params.label("stopPrice"))
    if stop_price and kind not in TRIGGER_TYPES:
        raise _superfluous(params.label("stopPrice"))
    iceberg_qty = params.amount("icebergQty")
    if iceberg_qty and (kind in MARKET_TYPES or tif is not TimeInForce.GTC):
        raise _superfluous(params.label("icebergQty"))
    return PlaceRequest(
        symbol=symbol,
        side=side,
        type=kind,
        time_in_force=tif,
        qty=qty,
        price=price,
        quote_order_qty=quote_order_qty,
        stop_price=stop_price,
        iceberg_qty=iceberg_qty,
        trailing_bps=trailing_bps,
        peg=peg,
        peg_levels=peg_levels,
        client_order_id=params.client_id("newClientOrderId"),
        stp_mode=_stp_mode(params),
        strategy_id=params.integer("strategyId"),
        strategy_type=_strategy_type(params),
        is_open_sized=is_open_sized,
    )


def place(call: Call) -> Row:
    """POST /order, order.place."""
    request = parse_place(call.params)
    shown = response_type(call.params, request.type)
    exchange = call.exchange
    exchange.limiter.check_orders(call.account, 1, call.now_ns)
    outcome = exchange.venue.place(call.account, request, call.now_ns)
    exchange.limiter.count_orders(call.account, 1, call.now_ns)
    return placed_row(outcome, shown, call.now_ns)


def test_place(call: Call) -> Row:
    """POST /order/test, order.test: every check, no order."""
    request = parse_place(call.params)
    response_type(call.params, request.type)
    call.exchange.venue.check(call.account, request, call.now_ns)
    if not call.params.flag("computeCommissionRates"):
        return {}
    account = call.exchange.venue.accounts[call.account]
    rates = {"maker": rate_text(account.maker_ppm), "taker": rate_text(account.taker_ppm)}
    nothing = {"maker": rate_text(0), "taker": rate_text(0)}
    return {
        "standardCommissionForOrder": rates,
        "specialCommissionForOrder": nothing,
        "taxCommissionForOrder": nothing,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": rate_text(750_000),
        },
    }


def query(call: Call) -> Row:
    """GET /order, order.status."""
    symbol = call.params.symbol()
    order_id, client_id = call.params.order_key()
    order = call.exchange.venue.query(
        call.account, symbol, order_id=order_id, client_order_id=client_id
    )
    return order_row(order)


def cancel(call: Call) -> Row:
    """DELETE /order, order.cancel."""
    order_id, client_id = call.params.order_key()
    order = _cancel(call, order_id, client_id, call.params.client_id("newClientOrderId"))
    return _canceled(order)


def cancel_open(call: Call) -> list[Row]:
    """DELETE /openOrders, openOrders.cancelAll."""
    symbol = call.params.symbol()
    orders = call.exchange.venue.cancel_open(call.account, symbol, call.now_ns)
    lists = {order.list_id: order for order in orders if order.order_list is not None}
    alone = [canceled_row(order) for order in orders if order.order_list is None]
    return alone + [_canceled(order) for order in lists.values()]


def amend(call: Call) -> Row:
    """PUT /order/amend/keepPriority, order.amend.keepPriority."""
    symbol = call.params.symbol()
    order_id, client_id = call.params.order_key()
    venue = call.exchange.venue
    order = venue.amend(
        call.account,
        symbol,
        call.params.amount("newQty", required=True),
        now_ns=call.now_ns,
        order_id=order_id,
        client_order_id=client_id,
        new_client_order_id=call.params.client_id("newClientOrderId"),
    )
    return amended_row(order, venue.market(symbol).execution_id)


def cancel_replace(call: Call) -> Row:
    """POST /order/cancelReplace, order.cancelReplace.

    Raises:
        VenueError: -2021 (409) when one half failed, -2022 (400) when nothing was done; both
            carry the halves' answers in `data`.
    """
    params = call.params
    mode = params.choice(
        "cancelReplaceMode", ReplaceMode, VenueError(-1100, "Invalid cancelReplaceMode.")
    )
    request = parse_place(params)
    shown = response_type(params, request.type)
    order_id, client_id = params.order_key("cancelOrderId", "cancelOrigClientOrderId")
    exchange = call.exchange
    exchange.limiter.check_orders(call.account, 1, call.now_ns)
    exchange.venue.check_filters(call.account, request, call.now_ns)
    exchange.limiter.count_orders(call.account, 1, call.now_ns)
    cancel_result, cancel_response = "SUCCESS", {}
    try:
        order = _cancel(call, order_id, client_id, params.client_id("cancelNewClientOrderId"))
        cancel_response = canceled_row(order)
    except VenueError as error:
        cancel_result, cancel_response = "FAILURE", {"code": error.code, "msg": error.msg}
        if mode is ReplaceMode.STOP_ON_FAILURE:
            raise _replace_failed(cancel_result, "NOT_ATTEMPTED", cancel_response, None) from None
    try:
        outcome = exchange.venue.place(call.account, request, call.now_ns)
    except VenueError as error:
        refusal: Row = {"code": error.code, "msg": error.msg}
        raise _replace_failed(cancel_result, "FAILURE", cancel_response, refusal) from None
    placed = placed_row(outcome, shown, call.now_ns)
    if cancel_result == "FAILURE":
        raise _replace_failed(cancel_result, "SUCCESS", cancel_response, placed)
    return {
        "cancelResult": "SUCCESS",
        "newOrderResult": "SUCCESS",
        "cancelResponse": cancel_response,
        "newOrderResponse": placed,
    }


def _replace_failed(
    cancel_result: str, new_result: str, cancel_response: Row, new_response: Row | None
) -> VenueError:
    data: Row = {
        "cancelResult": cancel_result,
        "newOrderResult": new_result,
        "cancelResponse": cancel_response,
        "newOrderResponse": new_response,
    }
    if "SUCCESS" in {cancel_result, new_result}:
        return VenueError(-2021, "Order cancel-replace partially failed.", 409, data)
    return VenueError(-2022, "Order cancel-replace failed.", 400, data)


def _canceled(order: SimOrder) -> Row:
    """An order's report; for one of a list, the list's: canceling one cancels all."""
    if order.order_list is None:
        return canceled_row(order)
    return list_row(order.order_list, [canceled_row(one) for one in order.order_list.orders])


def _cancel(call: Call, order_id: int | None, client_id: str, cancel_id: str) -> SimOrder:
    restriction = call.params.text("cancelRestrictions")
    only = {
        "": None,
        "ONLY_NEW": Status.NEW,
        "ONLY_PARTIALLY_FILLED": Status.PARTIALLY_FILLED,
    }
    if restriction not in only:
        raise VenueError(-1145, "Invalid cancelRestrictions.")
    return call.exchange.venue.cancel(
        call.account,
        call.params.symbol(),
        now_ns=call.now_ns,
        order_id=order_id,
        client_order_id=client_id,
        cancel_id=cancel_id,
        only_status=only[restriction],
    )


def response_type(params: Params, kind: OrderType) -> str:
    """`newOrderRespType`, or the documented default of the order's type."""
    if not params.text("newOrderRespType"):
        return "FULL" if kind in {OrderType.MARKET, OrderType.LIMIT} else "ACK"
    return params.choice(
        "newOrderRespType", ResponseType, VenueError(-1100, "Invalid newOrderRespType.")
    )


def _stp_mode(params: Params) -> StpMode:
    if not params.text("selfTradePreventionMode"):
        return StpMode.EXPIRE_MAKER
    error = VenueError(
        -1013, "This symbol does not allow the specified self-trade prevention mode."
    )
    return params.choice("selfTradePreventionMode", StpMode, error)


def _trailing(params: Params, kind: OrderType) -> int:
    bps = params.integer("trailingDelta") or 0
    if bps and kind not in TRIGGER_TYPES:
        raise _superfluous(params.label("trailingDelta"))
    return bps


def _peg(params: Params, kind: OrderType, tif: TimeInForce) -> tuple[PegType | None, int]:
    """(peg, levels): what a pegged order may be, binance-spot.md §5."""
    offset_type, levels = params.text("pegOffsetType"), params.integer("pegOffsetValue")
    if bool(offset_type) != (levels is not None):
        raise VenueError(
            -1128, "Fields [pegOffsetType, pegOffsetValue] must be sent together or omitted."
        )
    if not params.text("pegPriceType"):
        if offset_type:
            raise mandatory(params.label("pegPriceType"))
        return None, 0
    error = VenueError(-1130, "Data sent for parameter 'pegPriceType' is not valid.")
    peg = params.choice("pegPriceType", PegType, error)
    if offset_type not in {"", "PRICE_LEVEL"} or (levels or 0) > PEG_LEVELS_MAX:
        raise VenueError(-1130, "Data sent for parameter 'pegOffsetValue' is not valid.")
    primary = peg is PegType.PRIMARY_PEG
    if (
        kind in MARKET_TYPES
        or (kind is OrderType.LIMIT_MAKER and not primary)
        or (kind is OrderType.LIMIT and primary and tif is not TimeInForce.GTC)
    ):
        raise _superfluous(params.label("pegPriceType"))
    return peg, levels or 0


def _strategy_type(params: Params) -> int | None:
    value = params.integer("strategyType")
    if value is not None and value < 1_000_000:
        raise VenueError(-1100, "Parameter 'strategyType' cannot be less than 1000000.")
    return value


def _superfluous(name: str) -> VenueError:
    return VenueError(-1106, f"Parameter '{name}' sent when not required.")
