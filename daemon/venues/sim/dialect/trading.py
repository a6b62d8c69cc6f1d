"""Order endpoints: place, test, cancel, cancel-replace, amend, cancel-all (binance-spot.md §5)."""

from enum import StrEnum

from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.venues.sim.dialect.call_handlers import Call
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
from daemon.venues.sim.sim_orders import (
    MARKET_TYPES,
    TRIGGER_TYPES,
    PegType,
    PlaceRequest,
    SimOrder,
    SimRefusalError,
    Status,
    StpMode,
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
    side = params.choice("side", Side, SimRefusalError(-1117, "Invalid side."))
    kind = params.choice("type", OrderType, SimRefusalError(-1116, "Invalid orderType."))
    tif = TimeInForce.GTC
    if kind in _LIMIT_WITH_TIF:
        error = SimRefusalError(-1115, "Invalid timeInForce.")
        tif = params.choice("timeInForce", TimeInForce, error)
    elif params.has("timeInForce"):
        raise _superfluous(params.label("timeInForce"))
    by_quote = params.has("quoteOrderQty")
    if by_quote and (kind is not OrderType.MARKET or params.has("quantity")):
        raise _superfluous("quoteOrderQty")
    quote_order_qty = params.amount("quoteOrderQty")
    qty = params.amount("quantity", required=not (is_open_sized or by_quote))
    peg, peg_levels = _peg(params, kind, tif)
    price = params.amount("price", required=kind not in MARKET_TYPES and peg is None)
    if kind in MARKET_TYPES and params.has("price"):
        raise _superfluous(params.label("price"))
    stop_price = params.amount("stopPrice")
    trailing_bps = _trailing(params, kind)
    if kind in TRIGGER_TYPES and not stop_price and not trailing_bps:
        raise mandatory(params.label("stopPrice"))
    if kind not in TRIGGER_TYPES and params.has("stopPrice"):
        raise _superfluous(params.label("stopPrice"))
    iceberg_qty = params.amount("icebergQty")
    cannot_hide = kind in MARKET_TYPES or tif is not TimeInForce.GTC
    if cannot_hide and params.has("icebergQty"):
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
        strategy_type=params.integer("strategyType"),
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
            carry the halves' answers in `data`. 429 when the account has placed too many orders.
    """
    params, exchange = call.params, call.exchange
    mode = ReplaceMode(params.required("cancelReplaceMode"))
    request = parse_place(params)
    shown = response_type(params, request.type)
    order_id, client_id = params.order_key("cancelOrderId", "cancelOrigClientOrderId")
    too_many: SimRefusalError | None = None
    try:
        exchange.limiter.check_orders(call.account, 1, call.now_ns)
    except SimRefusalError as error:
        if params.text("orderRateLimitExceededMode") != "CANCEL_ONLY":
            raise
        too_many = error
    exchange.venue.check_filters(call.account, request, call.now_ns)
    if too_many is None:
        exchange.limiter.count_orders(call.account, 1, call.now_ns)
    halves: Row = {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS"}
    try:
        order = _cancel(call, order_id, client_id, params.client_id("cancelNewClientOrderId"))
        halves["cancelResponse"] = canceled_row(order)
    except SimRefusalError as error:
        halves |= {"cancelResult": "FAILURE", "cancelResponse": _refusal(error)}
    if halves["cancelResult"] == "FAILURE" and mode is ReplaceMode.STOP_ON_FAILURE:
        halves |= {"newOrderResult": "NOT_ATTEMPTED", "newOrderResponse": None}
    else:
        try:
            if too_many is not None:
                raise too_many
            outcome = exchange.venue.place(call.account, request, call.now_ns)
            halves["newOrderResponse"] = placed_row(outcome, shown, call.now_ns)
        except SimRefusalError as error:
            halves |= {"newOrderResult": "FAILURE", "newOrderResponse": _refusal(error)}
    if halves["cancelResult"] == halves["newOrderResult"] == "SUCCESS":
        return halves
    # The documented statuses: 429 says that the limit decided, which ALLOW_FAILURE leaves open.
    limited = too_many is not None and mode is ReplaceMode.STOP_ON_FAILURE
    raise _replace_failed(halves, is_limited=limited)


def _refusal(error: SimRefusalError) -> Row:
    return {"code": error.code, "msg": error.msg}


def _replace_failed(halves: Row, *, is_limited: bool) -> SimRefusalError:
    if "SUCCESS" in {halves["cancelResult"], halves["newOrderResult"]}:
        status = 429 if is_limited else 409
        return SimRefusalError(-2021, "Order cancel-replace partially failed.", status, halves)
    status = 429 if is_limited else 400
    return SimRefusalError(-2022, "Order cancel-replace failed.", status, halves)


def _canceled(order: SimOrder) -> Row:
    """An order's report; for one of a list, the list's: canceling one cancels all."""
    if order.order_list is None:
        return canceled_row(order)
    return list_row(order.order_list, [canceled_row(one) for one in order.order_list.orders])


def _cancel(call: Call, order_id: int | None, client_id: str, cancel_id: str) -> SimOrder:
    restriction = call.params.text("cancelRestrictions")
    only = {"ONLY_NEW": Status.NEW, "ONLY_PARTIALLY_FILLED": Status.PARTIALLY_FILLED}
    return call.exchange.venue.cancel(
        call.account,
        call.params.symbol(),
        now_ns=call.now_ns,
        order_id=order_id,
        client_order_id=client_id,
        cancel_id=cancel_id,
        only_status=only.get(restriction),
    )


def response_type(params: Params, kind: OrderType) -> str:
    """`newOrderRespType`, or the documented default of the order's type."""
    if not params.text("newOrderRespType"):
        return "FULL" if kind in {OrderType.MARKET, OrderType.LIMIT} else "ACK"
    return ResponseType(params.required("newOrderRespType"))


def _stp_mode(params: Params) -> StpMode:
    if not params.text("selfTradePreventionMode"):
        return StpMode.EXPIRE_MAKER
    error = SimRefusalError(
        -1013, "This symbol does not allow the specified self-trade prevention mode."
    )
    return params.choice("selfTradePreventionMode", StpMode, error)


def _trailing(params: Params, kind: OrderType) -> int:
    bps = params.integer("trailingDelta") or 0
    if kind not in TRIGGER_TYPES and params.has("trailingDelta"):
        raise _superfluous(params.label("trailingDelta"))
    return bps


def _peg(params: Params, kind: OrderType, tif: TimeInForce) -> tuple[PegType | None, int]:
    """(peg, levels): what a pegged order may be, binance-spot.md §5."""
    offset_type, levels = params.text("pegOffsetType"), params.integer("pegOffsetValue")
    if bool(offset_type) != (levels is not None):
        raise SimRefusalError(
            -1128, "Fields [pegOffsetType, pegOffsetValue] must be sent together or omitted."
        )
    if not params.text("pegPriceType"):
        if offset_type:
            raise mandatory(params.label("pegPriceType"))
        return None, 0
    error = SimRefusalError(-1130, "Data sent for parameter 'pegPriceType' is not valid.")
    peg = params.choice("pegPriceType", PegType, error)
    if offset_type not in {"", "PRICE_LEVEL"} or (levels or 0) > PEG_LEVELS_MAX:
        raise SimRefusalError(-1130, "Data sent for parameter 'pegOffsetValue' is not valid.")
    primary = peg is PegType.PRIMARY_PEG
    if (
        kind in MARKET_TYPES
        or (kind is OrderType.LIMIT_MAKER and not primary)
        or (kind is OrderType.LIMIT and primary and tif is not TimeInForce.GTC)
    ):
        raise _superfluous(params.label("pegPriceType"))
    return peg, levels or 0


def _superfluous(name: str) -> SimRefusalError:
    return SimRefusalError(-1106, f"Parameter '{name}' sent when not required.")
