"""Orders -> the venue's parameters, the same for both routes. Amounts are plain decimal text.

Rule of this file: an order that lacks what its type requires (binance-spot.md §5) raises
`Unencodable` before any byte leaves; nothing is defaulted silently.
"""

from decimal import Decimal

from daemon.errors import Unencodable
from daemon.model.amounts import ZERO, plain
from daemon.model.bots import TAGS
from daemon.model.enums import OrderType
from daemon.model.ids import (
    ClientOrderId,
    InstrumentId,
    VenueOrderId,
    symbol_of,
)
from daemon.model.list_legs import Contingency
from daemon.model.order_features import OrderExtras
from daemon.model.orders import (
    AmendOrder,
    CancelOrder,
    NewOrder,
    NewOrderList,
    OrderTerms,
    ReplaceOrder,
)
from daemon.venues.binance_spot.ws_envelope import Fields, checked_id

_PRICED = frozenset(
    {
        OrderType.LIMIT,
        OrderType.LIMIT_MAKER,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT_LIMIT,
    }
)
_TIMED = _PRICED - {OrderType.LIMIT_MAKER}
_STOPPED = frozenset(
    {
        OrderType.STOP_LOSS,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_LIMIT,
    }
)


def place_fields(order: NewOrder) -> Fields:
    """Parameters of `POST /order` and `order.place`.

    Raises:
        Unencodable: when the order lacks, or has too much of, what its type takes.
    """
    kind = order.order_type
    fields: Fields = {
        **place_amounts(order),
        "newOrderRespType": "FULL",
        "side": order.side.value,
        "symbol": symbol_of(order.instrument_id),
        "type": kind.value,
    }
    if kind in _TIMED:
        if order.time_in_force is None:
            raise _wrong(order, "needs a time in force")
        fields["timeInForce"] = order.time_in_force.value
    if order.extras is not None:
        fields |= extra_fields(order, order.extras)
    if order.terms is not None:
        fields |= _tag_fields(order, order.terms)
    return fields


def _tag_fields(order: NewOrder, terms: OrderTerms) -> Fields:
    """Parameters that are passed on as a bot gave them; numbers stay numbers.

    Raises:
        Unencodable: a name that is not one of them, or a value with signs of its own.
    """
    for name, value in terms.tags:
        if name not in TAGS or not value.replace("_", "").isalnum() or not value.isascii():
            raise _wrong(order, f"cannot carry {name}={value!r}")
    return {name: int(value) if value.isdigit() else value for name, value in terms.tags}


def extra_fields(order: NewOrder, extras: OrderExtras) -> Fields:
    """Parameters of what an order is beyond its type.

    Raises:
        Unencodable: when its type cannot be that.
    """
    fields: Fields = {}
    kind = order.order_type
    if extras.trailing_bps:
        if kind not in _STOPPED:
            raise _wrong(order, "cannot trail")
        fields["trailingDelta"] = extras.trailing_bps
    if extras.iceberg_qty is not None:
        if kind not in _PRICED:
            raise _wrong(order, "cannot be an iceberg")
        fields["icebergQty"] = _positive(order, "shown quantity", extras.iceberg_qty)
    if extras.peg is not None:
        if kind not in _PRICED:
            raise _wrong(order, "cannot be pegged")
        fields["pegPriceType"] = extras.peg.value
        if extras.peg_levels:
            fields["pegOffsetType"] = "PRICE_LEVEL"
            fields["pegOffsetValue"] = extras.peg_levels
    return fields


def place_amounts(order: NewOrder) -> dict[str, str]:
    """The part of a placement that differs from order to order: its id and its amounts, sorted.

    Raises:
        Unencodable: when the order lacks, or has too much of, what its type takes.
    """
    kind = order.order_type
    amounts = {"newClientOrderId": checked_id(order.client_order_id)}
    extras = order.extras
    if kind in _PRICED and (extras is None or extras.peg is None):
        amounts["price"] = _positive(order, "price", order.price)
    elif order.price is not None:
        raise _wrong(order, "takes no price")
    terms = order.terms
    if terms is not None and terms.quote_qty is not None:
        if kind is not OrderType.MARKET:
            raise _wrong(order, "takes no quantity in quote")
        amounts["quoteOrderQty"] = _positive(order, "quantity in quote", terms.quote_qty)
    else:
        amounts["quantity"] = _positive(order, "quantity", order.qty)
    is_trailing = extras is not None and extras.trailing_bps and order.stop_price is None
    if kind in _STOPPED and not is_trailing:
        amounts["stopPrice"] = _positive(order, "stop price", order.stop_price)
    elif order.stop_price is not None:
        raise _wrong(order, "takes no stop price")
    return amounts


def cancel_fields(cancel: CancelOrder) -> Fields:
    """Parameters of `DELETE /order` and `order.cancel`.

    By the venue's order id where known (fastest, never ambiguous), else by our own id. The cancel
    has an id of its own, which the order's row shows from then on.
    """
    fields = order_key(cancel.instrument_id, cancel.client_order_id, cancel.venue_order_id)
    if cancel.request_id:
        fields["newClientOrderId"] = checked_id(cancel.request_id)
    return fields


_OF_THE_LIST = frozenset({"symbol", "newOrderRespType", "selfTradePreventionMode"})
_LIST_KINDS: dict[tuple[Contingency, int], tuple[str, tuple[str, ...]]] = {
    (Contingency.OCO, 2): ("oco", ("above", "below")),
    (Contingency.OTO, 2): ("oto", ("working", "pending")),
    (Contingency.OTO, 3): ("otoco", ("working", "pendingAbove", "pendingBelow")),
}
"""How the calls are named, and how the names of each order's parameters begin."""
_PAYING = {"oto": "opo", "otoco": "opoco"}
_SHARED = {
    ("above", "side"): "side", ("below", "side"): "side",
    ("above", "quantity"): "quantity", ("below", "quantity"): "quantity",
    ("pendingAbove", "side"): "pendingSide", ("pendingBelow", "side"): "pendingSide",
    ("pendingAbove", "quantity"): "pendingQuantity",
    ("pendingBelow", "quantity"): "pendingQuantity",
}  # fmt: skip
"""What two orders that exclude each other say once."""


def list_fields(order_list: NewOrderList) -> tuple[str, Fields]:
    """The kind of an order list, as calls are named after it, and its parameters.

    Raises:
        Unencodable: an order lacks what its type takes, or they cannot be in one list.
    """
    orders = order_list.orders
    kind, prefixes = _LIST_KINDS.get((order_list.contingency, len(orders)), ("", ()))
    if not kind:
        raise Unencodable(f"order list {order_list.list_id}: {len(orders)} orders are none")
    fields: Fields = {"listClientOrderId": checked_id(order_list.list_id)}
    if order_list.pays:
        kind = _PAYING[kind]
    for prefix, order in zip(prefixes, orders, strict=True):
        for name, value in place_fields(order).items():
            if order_list.pays and name == "quantity" and prefix != prefixes[0]:
                continue  # the venue says it, when the first order is filled
            if name in _OF_THE_LIST:
                whole = name
            elif name == "newClientOrderId":
                whole = f"{prefix}ClientOrderId"
            else:
                usual = f"{prefix}{name[0].upper()}{name[1:]}"
                whole = _SHARED.get((prefix, name), usual)
            if fields.setdefault(whole, value) != value:
                raise _wrong(order, f"differs from its list in {name}")
    return kind, fields


def order_key(
    instrument_id: InstrumentId,
    client_order_id: ClientOrderId,
    venue_order_id: VenueOrderId | None,
) -> Fields:
    """How a request names one existing order."""
    if venue_order_id is not None and venue_order_id.isdigit():
        return {"symbol": symbol_of(instrument_id), "orderId": int(venue_order_id)}
    return {
        "symbol": symbol_of(instrument_id),
        "origClientOrderId": checked_id(client_order_id),
    }


def replace_fields(replace: ReplaceOrder) -> Fields:
    """Parameters of `cancelReplace`."""
    fields = place_fields(replace.order)
    fields["cancelReplaceMode"] = replace.mode.value
    if replace.target_venue_order_id is not None and replace.target_venue_order_id.isdigit():
        fields["cancelOrderId"] = int(replace.target_venue_order_id)
    else:
        fields["cancelOrigClientOrderId"] = checked_id(replace.target)
    if replace.request_id:
        fields["cancelNewClientOrderId"] = checked_id(replace.request_id)
    return fields


def amend_fields(amend: AmendOrder) -> Fields:
    """Parameters of amend-keep-priority: reduce only.

    The order takes the amend's id at the venue, or a random one (binance-spot.md §5).
    """
    own = amend.client_order_id
    if not amend.qty.is_finite() or amend.qty <= 0:
        raise Unencodable(f"order {own}: an amend needs a quantity above zero")
    fields = order_key(amend.instrument_id, own, amend.venue_order_id)
    fields["newClientOrderId"] = checked_id(amend.request_id or own)
    fields["newQty"] = plain(amend.qty)
    return fields


def _positive(order: NewOrder, name: str, value: Decimal | None) -> str:
    if value is None or not value.is_finite() or value <= ZERO:
        raise _wrong(order, f"needs a {name} above zero, got {value}")
    return plain(value)


def _wrong(order: NewOrder, what: str) -> Unencodable:
    return Unencodable(f"order {order.client_order_id}: {order.order_type} {what}")
