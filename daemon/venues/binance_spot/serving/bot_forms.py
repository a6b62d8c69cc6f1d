"""From what a client asks to an input of the engine; a form that is not served is refused.

Rules of this file:
1. Whatever changes an order and is not passed on is refused, never dropped.
2. Ids that a client leaves out are the caller's to invent: nothing here is random.
"""

from collections.abc import Callable
from decimal import Decimal

from daemon.model.bots import TAGS, ReplaceMode, Tags
from daemon.model.enums import Side
from daemon.model.ids import InstrumentId, VenueOrderId
from daemon.model.inputs import (
    BotAmend,
    BotCancel,
    BotCancelList,
    BotPlace,
    BotPlaceList,
    BotReplace,
)
from daemon.model.list_legs import Contingency
from daemon.model.order_features import OrderExtras, PegPrice
from daemon.venues.binance_spot.serving.dialect_errors import DialectError, not_supported
from daemon.venues.binance_spot.serving.order_forms import (
    AmendRequest,
    CancelRequest,
    ReplaceRequest,
)
from daemon.venues.binance_spot.serving.order_requests import (
    LIMIT_WITH_TIF,
    ListRequest,
    PlaceRequest,
)
from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.binance_spot.serving.units import decimal_of_e8

_ZERO_IS_WRONG = ("quantity", "qty", "price", "trailingdelta")
"""How the names of an order's amounts end, those of a list's legs included; in small letters."""
_NO_ROUTING = "smart order routing is not served"
UNSERVED = {
    "sor.order.place": _NO_ROUTING,
    "sor.order.test": _NO_ROUTING,
}
"""Calls of the protocol that would place or name what the gateway has not, and why it refuses."""


def check_served(name: str) -> None:
    """Whether a bot may make the call of this name.

    Raises:
        DialectError: -1020, with the reason in plain words.
    """
    if name in UNSERVED:
        raise not_supported(why=UNSERVED[name])


def check_amounts(params: Params) -> None:
    """Whether no amount of an order was sent as zero: what the venue takes for none, or refuses.

    Raises:
        DialectError: -1013.
    """
    for name in params.values:
        if name.lower().endswith(_ZERO_IS_WRONG) and not params.amount(name):
            raise DialectError(-1013, f"Invalid {name}.")


def place_input(
    asked: PlaceRequest,
    params: Params,
    instrument: InstrumentId,
    bot: str,
    *,
    client_order_id: str,
    proof: str = "",
    is_test: bool = False,
) -> Callable[[int], BotPlace]:
    """The order as an input; `client_order_id` is used where the bot has given none.

    What comes back takes the number of the request.

    Raises:
        DialectError: -1013 for an amount of zero.
    """
    check_amounts(params)
    tags = tuple((name, params.text(name)) for name in TAGS if params.text(name))

    def make(request: int) -> BotPlace:
        own_id = asked.client_order_id or client_order_id
        return _place(
            asked, instrument, bot, request, client_order_id=own_id, tags=tags, proof=proof,
            is_test=is_test,
        )  # fmt: skip

    return make


def _place(
    asked: PlaceRequest,
    instrument: InstrumentId,
    bot: str,
    request: int,
    *,
    client_order_id: str,
    tags: Tags,
    proof: str,
    is_test: bool = False,
) -> BotPlace:
    return BotPlace(
        bot=bot,
        request=request,
        client_order_id=client_order_id,
        instrument_id=instrument,
        side=asked.side,
        order_type=asked.type,
        qty=_amount(asked.qty),
        quote_qty=_amount(asked.quote_order_qty),
        price=_amount(asked.price),
        time_in_force=asked.time_in_force if asked.type in LIMIT_WITH_TIF else None,
        stop_price=_amount(asked.stop_price),
        extras=_extras(asked),
        tags=tags,
        is_test=is_test,
        proof=proof,
    )


def list_input(
    asked: ListRequest,
    params: Params,
    instrument: InstrumentId,
    bot: str,
    *,
    new_id: Callable[[], str],
    proof: str = "",
) -> Callable[[int], BotPlaceList]:
    """The order list as an input; `new_id` invents what ids the bot has not given.

    Raises:
        DialectError: -1013 for an amount of zero, -1020 where a sell pays for what is bought behind
            it: how much that will be has no bound before it is filled.
    """
    check_amounts(params)
    if asked.pays and asked.first is not None:
        if asked.first.side is not Side.BUY:
            raise not_supported(why="a sell that pays for the orders behind it is not served")
        asked = asked.sized(asked.first.qty)
    mode = params.text("selfTradePreventionMode")
    list_id = asked.client_id or new_id()
    ids = [one.client_order_id or new_id() for one in asked.requests]
    contingency = Contingency.OCO if asked.first is None else Contingency.OTO

    def make(request: int) -> BotPlaceList:
        orders = tuple(
            _place(
                one, instrument, bot, request, client_order_id=own_id, tags=_leg_tags(one, mode),
                proof=proof,
            )
            for one, own_id in zip(asked.requests, ids, strict=True)
        )  # fmt: skip
        return BotPlaceList(
            bot=bot, request=request, list_id=list_id, contingency=contingency, orders=orders,
            pays=asked.pays,
        )  # fmt: skip

    return make


def _leg_tags(asked: PlaceRequest, mode: str) -> Tags:
    """What a bot says of one leg, and of the whole list, that changes no price or quantity."""
    named = {
        "selfTradePreventionMode": mode or None,
        "strategyId": asked.strategy_id,
        "strategyType": asked.strategy_type,
    }
    return tuple((name, str(named[name])) for name in TAGS if named[name] is not None)


def list_cancel_input(
    params: Params, instrument: InstrumentId, bot: str, *, cancel_id: str
) -> Callable[[int], BotCancelList]:
    """The end of an order list as an input.

    Raises:
        DialectError: -1102 where the list is not named.
    """
    number, list_id = params.order_key("orderListId", "listClientOrderId")
    own_id = params.client_id("newClientOrderId") or cancel_id

    def make(request: int) -> BotCancelList:
        return BotCancelList(
            bot=bot,
            request=request,
            instrument_id=instrument,
            list_id=list_id or None,
            venue_list_id=None if number is None else str(number),
            new_client_order_id=own_id,
        )

    return make


def cancel_input(
    asked: CancelRequest, instrument: InstrumentId, bot: str, *, cancel_id: str
) -> Callable[[int], BotCancel]:
    """The cancel as an input; `cancel_id` is its own id where the bot has given none.

    Raises:
        DialectError: -1020 for a cancel that depends on the order's status: nobody here could tell
            whether the order still has it when the cancel arrives.
    """
    if asked.only_status is not None:
        raise not_supported(why="cancelRestrictions is not served")

    def make(request: int) -> BotCancel:
        return BotCancel(
            bot=bot,
            request=request,
            instrument_id=instrument,
            client_order_id=asked.client_order_id or None,
            venue_order_id=_venue_id(asked.order_id),
            new_client_order_id=asked.cancel_id or cancel_id,
        )

    return make


def replace_input(
    asked: ReplaceRequest,
    params: Params,
    instrument: InstrumentId,
    bot: str,
    *,
    client_order_id: str,
    cancel_id: str,
    proof: str = "",
) -> Callable[[int], BotReplace]:
    """Both halves of a cancel-replace as one input.

    Raises:
        DialectError: -1020 for what depends on the order's status or on the venue's order count.
    """
    if asked.cancels_when_limited:
        raise not_supported(why="orderRateLimitExceededMode=CANCEL_ONLY is not served")
    cancel = cancel_input(asked.cancel, instrument, bot, cancel_id=cancel_id)
    place = place_input(
        asked.place, params, instrument, bot, client_order_id=client_order_id, proof=proof
    )
    mode = ReplaceMode(asked.mode)

    def make(request: int) -> BotReplace:
        return BotReplace(
            bot=bot, request=request, cancel=cancel(request), place=place(request), mode=mode
        )

    return make


def amend_input(
    asked: AmendRequest, instrument: InstrumentId, bot: str
) -> Callable[[int], BotAmend]:
    """The smaller quantity that a bot wants for one of its orders.

    Raises:
        DialectError: -1020 for another id than the order has: through the gateway it keeps its own;
            -1013 for a quantity of zero.
    """
    new_id = asked.new_client_order_id
    if new_id and new_id != asked.client_order_id:
        raise not_supported(why="an amended order keeps its client order id")
    if not asked.new_qty:
        raise DialectError(-1013, "Invalid newQty.")

    def make(request: int) -> BotAmend:
        return BotAmend(
            bot=bot,
            request=request,
            instrument_id=instrument,
            client_order_id=asked.client_order_id or None,
            venue_order_id=_venue_id(asked.order_id),
            new_qty=decimal_of_e8(asked.new_qty),
        )

    return make


def _venue_id(order_id: int | None) -> VenueOrderId | None:
    return None if order_id is None else VenueOrderId(str(order_id))


def _amount(e8: int) -> Decimal | None:
    return decimal_of_e8(e8) if e8 else None


def _extras(asked: PlaceRequest) -> OrderExtras | None:
    if not (asked.trailing_bps or asked.iceberg_qty or asked.peg):
        return None
    return OrderExtras(
        trailing_bps=asked.trailing_bps,
        iceberg_qty=_amount(asked.iceberg_qty),
        peg=None if asked.peg is None else PegPrice(asked.peg),
        peg_levels=asked.peg_levels,
    )
