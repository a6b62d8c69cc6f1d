"""Orders as clients ask for them: a request or the documented refusal (binance-spot.md §5).

Rules of this file:
1. What is sent has an effect or is refused: a parameter that is dropped makes another order.
2. `check_parameters` (parameters.py) has passed before: each name is known, each value possible.
"""

from enum import StrEnum

import msgspec

from daemon.model.bots import ReplaceMode
from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    invalid,
    mandatory,
    superfluous,
)
from daemon.venues.binance_spot.serving.order_requests import (
    LIMIT_WITH_TIF,
    MARKET_TYPES,
    TRIGGER_TYPES,
    PegType,
    PlaceRequest,
    Status,
    StpMode,
)
from daemon.venues.binance_spot.serving.params import Params

PEG_LEVELS_MAX = 100
_ONLY_STATUS = {"ONLY_NEW": Status.NEW, "ONLY_PARTIALLY_FILLED": Status.PARTIALLY_FILLED}


class ResponseType(StrEnum):
    """`newOrderRespType`."""

    ACK = "ACK"
    RESULT = "RESULT"
    FULL = "FULL"


class CancelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order to cancel, by the venue's id or the client's; with both, both must fit."""

    symbol: str
    order_id: int | None = None
    client_order_id: str = ""
    cancel_id: str = ""
    """The id that the client gives to the cancel itself."""
    only_status: Status | None = None
    """Cancel only while the order has this status (`cancelRestrictions`)."""


class ReplaceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel one order, then place another."""

    cancel: CancelRequest
    place: PlaceRequest
    mode: ReplaceMode
    shown: ResponseType
    cancels_when_limited: bool = False
    """`orderRateLimitExceededMode` CANCEL_ONLY: over the order count the cancel is still done."""


class AmendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Make an order smaller, and keep its place in the queue."""

    symbol: str
    new_qty: int
    order_id: int | None = None
    client_order_id: str = ""
    new_client_order_id: str = ""


def parse_place(params: Params, *, is_open_sized: bool = False) -> PlaceRequest:
    """The order that a client asks for; `is_open_sized`: its quantity is not sent (OPO).

    Raises:
        DialectError: for missing, superfluous or malformed parameters.
    """
    symbol = params.symbol()
    side = params.choice("side", Side, -1117, "Invalid side.")
    kind = params.choice("type", OrderType, -1116, "Invalid orderType.")
    tif = TimeInForce.GTC
    if kind in LIMIT_WITH_TIF:
        tif = params.choice("timeInForce", TimeInForce, -1115, "Invalid timeInForce.")
    elif params.has("timeInForce"):
        raise superfluous(params.label("timeInForce"))
    by_quote = params.has("quoteOrderQty")
    if by_quote and (kind is not OrderType.MARKET or params.has("quantity")):
        raise superfluous("quoteOrderQty")
    quote_order_qty = params.amount("quoteOrderQty")
    qty = params.amount("quantity", required=not (is_open_sized or by_quote))
    peg, peg_levels = _peg(params, kind, tif)
    price = params.amount("price", required=kind not in MARKET_TYPES and peg is None)
    if kind in MARKET_TYPES and params.has("price"):
        raise superfluous(params.label("price"))
    stop_price = params.amount("stopPrice")
    trailing_bps = _trailing(params, kind)
    if kind in TRIGGER_TYPES and not stop_price and not trailing_bps:
        raise mandatory(params.label("stopPrice"))
    if kind not in TRIGGER_TYPES and params.has("stopPrice"):
        raise superfluous(params.label("stopPrice"))
    iceberg_qty = params.amount("icebergQty")
    cannot_hide = kind in MARKET_TYPES or tif is not TimeInForce.GTC
    if cannot_hide and params.has("icebergQty"):
        raise superfluous(params.label("icebergQty"))
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


def parse_cancel(params: Params) -> CancelRequest:
    """The order that DELETE /order names.

    Raises:
        DialectError: it names none.
    """
    order_id, client_id = params.order_key()
    return _cancel(params, order_id, client_id, "newClientOrderId")


def parse_replace(params: Params) -> ReplaceRequest:
    """Both halves of a cancel-replace.

    Raises:
        DialectError: a parameter of either half is missing or malformed.
    """
    mode = ReplaceMode(params.required("cancelReplaceMode"))
    place = parse_place(params)
    shown = response_type(params, place.type)
    order_id, client_id = params.order_key("cancelOrderId", "cancelOrigClientOrderId")
    return ReplaceRequest(
        cancel=_cancel(params, order_id, client_id, "cancelNewClientOrderId"),
        place=place,
        mode=mode,
        shown=shown,
        cancels_when_limited=params.text("orderRateLimitExceededMode") == "CANCEL_ONLY",
    )


def parse_amend(params: Params) -> AmendRequest:
    """The order that an amend names, and its new quantity.

    Raises:
        DialectError: a parameter is missing or malformed.
    """
    symbol = params.symbol()
    order_id, client_id = params.order_key()
    return AmendRequest(
        symbol=symbol,
        new_qty=params.amount("newQty", required=True),
        order_id=order_id,
        client_order_id=client_id,
        new_client_order_id=params.client_id("newClientOrderId"),
    )


def response_type(params: Params, kind: OrderType) -> ResponseType:
    """`newOrderRespType`, or the documented default of the order's type."""
    if params.text("newOrderRespType"):
        return ResponseType(params.required("newOrderRespType"))
    is_full = kind in {OrderType.MARKET, OrderType.LIMIT}
    return ResponseType.FULL if is_full else ResponseType.ACK


def _cancel(
    params: Params, order_id: int | None, client_id: str, cancel_id_name: str
) -> CancelRequest:
    return CancelRequest(
        symbol=params.symbol(),
        order_id=order_id,
        client_order_id=client_id,
        cancel_id=params.client_id(cancel_id_name),
        only_status=_ONLY_STATUS.get(params.text("cancelRestrictions")),
    )


def _stp_mode(params: Params) -> StpMode:
    if not params.text("selfTradePreventionMode"):
        return StpMode.EXPIRE_MAKER
    words = "This symbol does not allow the specified self-trade prevention mode."
    return params.choice("selfTradePreventionMode", StpMode, -1013, words)


def _trailing(params: Params, kind: OrderType) -> int:
    bps = params.integer("trailingDelta") or 0
    if kind not in TRIGGER_TYPES and params.has("trailingDelta"):
        raise superfluous(params.label("trailingDelta"))
    return bps


def _peg(params: Params, kind: OrderType, tif: TimeInForce) -> tuple[PegType | None, int]:
    """(peg, levels): what a pegged order may be, binance-spot.md §5."""
    offset_type, levels = params.text("pegOffsetType"), params.integer("pegOffsetValue")
    if bool(offset_type) != (levels is not None):
        raise DialectError(
            -1128, "Fields [pegOffsetType, pegOffsetValue] must be sent together or omitted."
        )
    if not params.text("pegPriceType"):
        if offset_type:
            raise mandatory(params.label("pegPriceType"))
        return None, 0
    words = "Data sent for parameter 'pegPriceType' is not valid."
    peg = params.choice("pegPriceType", PegType, -1130, words)
    if offset_type not in {"", "PRICE_LEVEL"} or (levels or 0) > PEG_LEVELS_MAX:
        raise invalid("pegOffsetValue")
    primary = peg is PegType.PRIMARY_PEG
    if (
        kind in MARKET_TYPES
        or (kind is OrderType.LIMIT_MAKER and not primary)
        or (kind is OrderType.LIMIT and primary and tif is not TimeInForce.GTC)
    ):
        raise superfluous(params.label("pegPriceType"))
    return peg, levels or 0
