"""Order endpoints: place, test, cancel, cancel-replace, amend, cancel-all (binance-spot.md §5)."""

from enum import StrEnum

from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.venues.sim.dialect.calls import Call
from daemon.venues.sim.dialect.params import Params, mandatory
from daemon.venues.sim.dialect.rows import (
    Row,
    amended_row,
    canceled_row,
    order_row,
    placed_row,
    rate_text,
)
from daemon.venues.sim.orders import (
    MARKET_TYPES,
    TRIGGER_TYPES,
    PlaceRequest,
    SimOrder,
    Status,
    StpMode,
    VenueError,
)

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


def parse_place(params: Params) -> PlaceRequest:
    """The order that a client asks for.

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
        raise _superfluous("timeInForce")
    quote_order_qty = params.amount("quoteOrderQty")
    qty = params.amount("quantity", required=not (kind is OrderType.MARKET and quote_order_qty))
    if qty and quote_order_qty:
        raise _superfluous("quoteOrderQty")
    price = params.amount("price", required=kind not in MARKET_TYPES)
    if price and kind in MARKET_TYPES:
        raise _superfluous("price")
    stop_price = params.amount("stopPrice")
    if kind in TRIGGER_TYPES and not stop_price:
        raise mandatory("stopPrice")
    if stop_price and kind not in TRIGGER_TYPES:
        raise _superfluous("stopPrice")
    iceberg_qty = params.amount("icebergQty")
    if iceberg_qty and (kind in MARKET_TYPES or tif is not TimeInForce.GTC):
        raise _superfluous("icebergQty")
    for unsupported in ("trailingDelta", "pegPriceType", "pegOffsetType", "pegOffsetValue"):
        if params.text(unsupported):
            raise VenueError(-1106, f"Parameter '{unsupported}' sent when not required.")
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
        client_order_id=params.client_id("newClientOrderId"),
        stp_mode=_stp_mode(params),
        strategy_id=params.integer("strategyId"),
        strategy_type=_strategy_type(params),
    )


def place(call: Call) -> Row:
    """POST /order, order.place."""
    request = parse_place(call.params)
    response_type = _response_type(call.params, request.type)
    exchange = call.exchange
    exchange.limiter.check_orders(call.account, 1, call.now_ns)
    outcome = exchange.venue.place(call.account, request, call.now_ns)
    exchange.limiter.count_orders(call.account, 1, call.now_ns)
    return placed_row(outcome, response_type, call.now_ns)


def test_place(call: Call) -> Row:
    """POST /order/test, order.test: every check, no order."""
    request = parse_place(call.params)
    _response_type(call.params, request.type)
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
    return canceled_row(
        _cancel(call, order_id, client_id, call.params.client_id("newClientOrderId"))
    )


def cancel_open(call: Call) -> list[Row]:
    """DELETE /openOrders, openOrders.cancelAll."""
    symbol = call.params.symbol()
    orders = call.exchange.venue.cancel_open(call.account, symbol, call.now_ns)
    return [canceled_row(order) for order in orders]


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
    response_type = _response_type(params, request.type)
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
    placed = placed_row(outcome, response_type, call.now_ns)
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


def _response_type(params: Params, kind: OrderType) -> str:
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


def _strategy_type(params: Params) -> int | None:
    value = params.integer("strategyType")
    if value is not None and value < 1_000_000:
        raise VenueError(-1100, "Parameter 'strategyType' cannot be less than 1000000.")
    return value


def _superfluous(name: str) -> VenueError:
    return VenueError(-1106, f"Parameter '{name}' sent when not required.")
