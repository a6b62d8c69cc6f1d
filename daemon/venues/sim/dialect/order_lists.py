"""Order lists: OCO, OTO, OTOCO, OPO, OPOCO, the old OCO call, cancel and queries (§14)."""

from collections.abc import Mapping

from daemon.model.enums import OrderType
from daemon.venues.sim.dialect.call_handlers import Call
from daemon.venues.sim.dialect.params import Params
from daemon.venues.sim.dialect.rows import Row, canceled_row, list_row, placed_row
from daemon.venues.sim.dialect.trading import parse_place, response_type
from daemon.venues.sim.lists import ListRequest
from daemon.venues.sim.sim_orders import OrderList, PlaceOutcome, PlaceRequest, SimRefusalError

_LEG_NAMES = (
    "type", "side", "quantity", "price", "stopPrice", "trailingDelta", "icebergQty", "timeInForce",
    "strategyId", "strategyType", "pegPriceType", "pegOffsetType", "pegOffsetValue",
)  # fmt: skip
_SHARED = {"symbol": "symbol", "selfTradePreventionMode": "selfTradePreventionMode"}
_ABOVE_BELOW = {"side": "side", "quantity": "quantity"}
_PENDING_PAIR = {"side": "pendingSide", "quantity": "pendingQuantity"}
_LEGACY_LIMIT = {
    **_SHARED,
    **_ABOVE_BELOW,
    "newClientOrderId": "limitClientOrderId",
    "price": "price",
    "icebergQty": "limitIcebergQty",
    "strategyId": "limitStrategyId",
    "strategyType": "limitStrategyType",
}
_LEGACY_STOP = {
    **_SHARED,
    **_ABOVE_BELOW,
    "newClientOrderId": "stopClientOrderId",
    "price": "stopLimitPrice",
    "stopPrice": "stopPrice",
    "trailingDelta": "trailingDelta",
    "icebergQty": "stopIcebergQty",
    "timeInForce": "stopLimitTimeInForce",
    "strategyId": "stopStrategyId",
    "strategyType": "stopStrategyType",
}


def place_oco(call: Call) -> Row:
    """POST /orderList/oco, orderList.place.oco."""
    pair = _pair(call.params, "above", "below", _ABOVE_BELOW)
    return _place(call, ListRequest(symbol=call.params.symbol(), pair=pair, client_id=_id(call)))


def place_oco_legacy(call: Call) -> Row:
    """POST /order/oco, orderList.place: deprecated, still there; limit leg and stop leg."""
    params = call.params
    limit_leg = _leg(params, _LEGACY_LIMIT, OrderType.LIMIT_MAKER)
    is_limit = bool(params.text("stopLimitPrice"))
    stop_leg = _leg(
        params, _LEGACY_STOP, OrderType.STOP_LOSS_LIMIT if is_limit else OrderType.STOP_LOSS
    )
    sells = params.text("side") == "SELL"
    pair = (limit_leg, stop_leg) if sells else (stop_leg, limit_leg)
    return _place(call, ListRequest(symbol=params.symbol(), pair=pair, client_id=_id(call)))


def place_oto(call: Call) -> Row:
    """POST /orderList/oto, orderList.place.oto."""
    return _one_then_one(call, pays=False)


def place_opo(call: Call) -> Row:
    """POST /orderList/opo, orderList.place.opo."""
    return _one_then_one(call, pays=True)


def place_otoco(call: Call) -> Row:
    """POST /orderList/otoco, orderList.place.otoco."""
    return _one_then_pair(call, pays=False)


def place_opoco(call: Call) -> Row:
    """POST /orderList/opoco, orderList.place.opoco."""
    return _one_then_pair(call, pays=True)


def cancel(call: Call) -> Row:
    """DELETE /orderList, orderList.cancel."""
    params = call.params
    list_id, client_id = params.order_key("orderListId", "listClientOrderId")
    found = call.exchange.venue.cancel_list(
        call.account,
        params.symbol(),
        list_id,
        client_id,
        now_ns=call.now_ns,
        cancel_id=params.client_id("newClientOrderId"),
    )
    return list_row(found, [canceled_row(order) for order in found.orders])


def query(call: Call) -> Row:
    """GET /orderList, orderList.status."""
    list_id, client_id = call.params.order_key("orderListId", "origClientOrderId")
    found = call.exchange.venue.accounts[call.account].find_list(list_id, client_id)
    if found is None:
        raise SimRefusalError(-2013, "Order list does not exist.")
    return list_row(found)


def open_lists(call: Call) -> list[Row]:
    """GET /openOrderList, openOrderLists.status."""
    return [list_row(one) for one in _lists(call) if not one.is_done]


def all_lists(call: Call) -> list[Row]:
    """GET /allOrderList, allOrderLists: from an id, or within times."""
    params = call.params
    from_id, start, end = (params.integer(n) for n in ("fromId", "startTime", "endTime"))
    if from_id is not None and (start is not None or end is not None):
        raise SimRefusalError(-1128, "Combination of optional parameters invalid.")
    limit = params.limit(500, 1000)
    rows = [
        one
        for one in _lists(call)
        if (from_id is None or one.list_id >= from_id)
        and (start is None or one.ts_ns // 1_000_000 >= start)
        and (end is None or one.ts_ns // 1_000_000 <= end)
    ]
    oldest_first = from_id is not None or start is not None
    return [list_row(one) for one in (rows[:limit] if oldest_first else rows[-limit:])]


def no_routing(call: Call) -> Row:
    """POST /sor/order and its test: no symbol of this venue has smart order routing."""
    call.exchange.venue.market(parse_place(call.params).symbol)
    raise SimRefusalError(-1013, "This symbol does not support smart order routing.")


def _lists(call: Call) -> list[OrderList]:
    return list(call.exchange.venue.accounts[call.account].lists.values())


def _id(call: Call) -> str:
    return call.params.client_id("listClientOrderId")


def _one_then_one(call: Call, *, pays: bool) -> Row:
    params = call.params
    request = ListRequest(
        symbol=params.symbol(),
        client_id=_id(call),
        first=_working(params),
        pending=parse_place(_part(params, "pending", {}), is_open_sized=pays),
        pays=pays,
    )
    _check_payment(request)
    return _place(call, request)


def _one_then_pair(call: Call, *, pays: bool) -> Row:
    params = call.params
    request = ListRequest(
        symbol=params.symbol(),
        client_id=_id(call),
        first=_working(params),
        pair=_pair(params, "pendingAbove", "pendingBelow", _PENDING_PAIR, is_open_sized=pays),
        pays=pays,
    )
    _check_payment(request)
    return _place(call, request)


def _check_payment(request: ListRequest) -> None:
    first = request.first
    if not request.pays or first is None:
        return
    if any(one.side is first.side for one in request.requests[1:]):
        raise SimRefusalError(-1014, "Unsupported order combination.")


def _working(params: Params) -> PlaceRequest:
    first = parse_place(_part(params, "working", {}))
    if first.type not in {OrderType.LIMIT, OrderType.LIMIT_MAKER}:
        raise SimRefusalError(-1014, "Unsupported order combination.")
    return first


def _pair(
    params: Params,
    above: str,
    below: str,
    shared: Mapping[str, str],
    *,
    is_open_sized: bool = False,
) -> tuple[PlaceRequest, PlaceRequest]:
    legs = (
        parse_place(_part(params, p, shared), is_open_sized=is_open_sized) for p in (above, below)
    )
    first, second = legs
    return first, second


def _part(params: Params, prefix: str, shared: Mapping[str, str]) -> Params:
    """One leg's parameters: `abovePrice` is the `price` of the leg above."""
    names = {name: prefix + name[0].upper() + name[1:] for name in _LEG_NAMES}
    names["newClientOrderId"] = f"{prefix}ClientOrderId"
    return params.part({**names, **_SHARED, **shared})


def _leg(params: Params, names: Mapping[str, str], kind: OrderType) -> PlaceRequest:
    part = params.part(names)
    part.values["type"] = kind
    if kind is OrderType.STOP_LOSS:
        part.values.pop("timeInForce", None)
    return parse_place(part)


def _place(call: Call, request: ListRequest) -> Row:
    exchange, count = call.exchange, len(request.requests)
    exchange.limiter.check_orders(call.account, count, call.now_ns)
    shown = response_type(call.params, OrderType.LIMIT)
    outcome = exchange.venue.place_list(call.account, request, call.now_ns)
    exchange.limiter.count_orders(call.account, count, call.now_ns)
    trades = exchange.venue.accounts[call.account].trades_from(request.symbol, 0)
    reports = [
        placed_row(
            PlaceOutcome(
                order=order, fills=tuple(f for f in trades if f.order_id == order.order_id)
            ),
            shown,
            call.now_ns,
        )
        for order in outcome.orders
    ]
    return list_row(outcome.order_list, reports)
