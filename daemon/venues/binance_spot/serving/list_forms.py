"""Order lists as clients ask for them, the old OCO call included (binance-spot.md §14)."""

from collections.abc import Callable, Mapping
from functools import partial

from daemon.model.enums import OrderType
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.order_forms import parse_place
from daemon.venues.binance_spot.serving.order_requests import ListRequest, PlaceRequest
from daemon.venues.binance_spot.serving.params import Params

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


def _oco(params: Params) -> ListRequest:
    return _request(params, pair=_pair(params, "above", "below", _ABOVE_BELOW))


def _oco_legacy(params: Params) -> ListRequest:
    """The deprecated call, still there: limit leg and stop leg."""
    limit_leg = _leg(params, _LEGACY_LIMIT, OrderType.LIMIT_MAKER)
    is_limit = bool(params.text("stopLimitPrice"))
    stop_leg = _leg(
        params, _LEGACY_STOP, OrderType.STOP_LOSS_LIMIT if is_limit else OrderType.STOP_LOSS
    )
    sells = params.text("side") == "SELL"
    pair = (limit_leg, stop_leg) if sells else (stop_leg, limit_leg)
    return _request(params, pair=pair)


def _one_then_one(params: Params, *, pays: bool = False) -> ListRequest:
    return _request(
        params,
        first=_working(params),
        pending=parse_place(_part(params, "pending", {}), is_open_sized=pays),
        pays=pays,
    )


def _one_then_pair(params: Params, *, pays: bool = False) -> ListRequest:
    return _request(
        params,
        first=_working(params),
        pair=_pair(params, "pendingAbove", "pendingBelow", _PENDING_PAIR, is_open_sized=pays),
        pays=pays,
    )


_PARSERS: dict[str, Callable[[Params], ListRequest]] = {
    "orderList.place": _oco_legacy,
    "orderList.place.oco": _oco,
    "orderList.place.oto": _one_then_one,
    "orderList.place.otoco": _one_then_pair,
    "orderList.place.opo": partial(_one_then_one, pays=True),
    "orderList.place.opoco": partial(_one_then_pair, pays=True),
}
LIST_CALLS = tuple(_PARSERS)
"""The calls that place an order list."""


def parse_list(name: str, params: Params) -> ListRequest:
    """The order list that the call of this name asks for.

    Raises:
        DialectError: a parameter is missing or malformed, or the orders do not go together.
    """
    request = _PARSERS[name](params)
    first, *rest = request.requests
    if request.pays and any(one.side is first.side for one in rest):
        raise DialectError(-1014, "Unsupported order combination.")
    return request


def _request(
    params: Params,
    *,
    first: PlaceRequest | None = None,
    pending: PlaceRequest | None = None,
    pair: tuple[PlaceRequest, PlaceRequest] | None = None,
    pays: bool = False,
) -> ListRequest:
    return ListRequest(
        symbol=params.symbol(),
        client_id=params.client_id("listClientOrderId"),
        first=first,
        pending=pending,
        pair=pair,
        pays=pays,
    )


def _working(params: Params) -> PlaceRequest:
    first = parse_place(_part(params, "working", {}))
    if first.type not in {OrderType.LIMIT, OrderType.LIMIT_MAKER}:
        raise DialectError(-1014, "Unsupported order combination.")
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
