"""The venue's placement filters, exact, in the documented wording (binance-spot.md §4).

Rules of this file:
1. A filter passes or raises -1013 `Filter failure: NAME`; nothing is rounded to fit.
2. A bound or step of zero switches its rule off.
"""

from collections.abc import Sequence

from daemon.model.enums import OrderType, Side
from daemon.venues.sim.accounts import Account
from daemon.venues.sim.market import Market
from daemon.venues.sim.orders import (
    MARKET_TYPES,
    TRIGGER_TYPES,
    PlaceRequest,
    SimOrder,
    VenueError,
)
from daemon.venues.sim.symbols import SymbolSpec
from daemon.venues.sim.units import E8, quote_of


def check_filters(
    market: Market,
    account: Account,
    request: PlaceRequest,
    now_ns: int,
    *,
    price: int | None = None,
    beside: Sequence[PlaceRequest] = (),
) -> None:
    """Pass a placement through every filter of its symbol.

    `price` is what a pegged order gets now (its own price must pass too); `beside` are requests of
    the same list, which count as open.

    Raises:
        VenueError: -1013 naming the first filter that fails.
    """
    spec = market.spec
    for tried in {request.price, request.price if price is None else price}:
        _check_price(spec, tried)
        _check_percent_price(market, tried, now_ns)
    _check_price(spec, request.stop_price)
    if request.type not in MARKET_TYPES and not request.price and request.peg is None:
        raise failure("PRICE_FILTER")
    _check_lots(spec, request)
    _check_trailing(spec, request)
    _check_notional(market, request, now_ns, price or request.price)
    _check_counts(spec, account, request, beside)
    _check_position(spec, account, request)


def failure(name: str) -> VenueError:
    """-1013 for one filter."""
    return VenueError(-1013, f"Filter failure: {name}")


def _check_price(spec: SymbolSpec, price: int) -> None:
    if price and (price % spec.tick or price < spec.tick or price > spec.max_price):
        raise failure("PRICE_FILTER")


def _check_percent_price(market: Market, price: int, now_ns: int) -> None:
    if not price:
        return
    spec = market.spec
    reference = market.tape.average_price(now_ns, spec.avg_price_mins)
    if price * E8 > reference * spec.percent_up or price * E8 < reference * spec.percent_down:
        raise failure("PERCENT_PRICE_BY_SIDE")


def _check_trailing(spec: SymbolSpec, request: PlaceRequest) -> None:
    bps = request.trailing_bps
    if bps and not spec.trailing_bps_min <= bps <= spec.trailing_bps_max:
        raise failure("TRAILING_DELTA")


def _check_lots(spec: SymbolSpec, request: PlaceRequest) -> None:
    for qty in (request.qty, request.iceberg_qty):
        if qty and (qty < spec.min_qty or qty > spec.max_qty or qty % spec.step):
            raise failure("LOT_SIZE")
    if request.qty == 0 and request.quote_order_qty == 0 and not request.is_open_sized:
        raise failure("LOT_SIZE")
    if request.type is OrderType.MARKET and request.qty > spec.max_market_qty:
        raise failure("MARKET_LOT_SIZE")
    if request.iceberg_qty:
        parts = -(-request.qty // request.iceberg_qty)
        if parts > spec.iceberg_parts:
            raise failure("ICEBERG_PARTS")


def _check_notional(market: Market, request: PlaceRequest, now_ns: int, price: int) -> None:
    spec = market.spec
    if request.is_open_sized:
        return
    if request.quote_order_qty:
        notional = request.quote_order_qty
    elif price:
        notional = quote_of(price, request.qty)
    else:
        reference = request.stop_price or market.tape.average_price(now_ns, spec.avg_price_mins)
        notional = quote_of(reference, request.qty)
    too_big = price and spec.max_notional and notional > spec.max_notional
    if notional < spec.min_notional or too_big:
        raise failure("NOTIONAL")


def _check_counts(
    spec: SymbolSpec, account: Account, request: PlaceRequest, beside: Sequence[PlaceRequest]
) -> None:
    if request.type is OrderType.MARKET:
        return
    others: list[SimOrder | PlaceRequest] = [*account.open_on(spec.symbol), *beside]
    if len(others) + 1 > spec.max_num_orders:
        raise failure("MAX_NUM_ORDERS")
    if request.type in TRIGGER_TYPES:
        algo = sum(order.type in TRIGGER_TYPES for order in others)
        if algo + 1 > spec.max_num_algo_orders:
            raise failure("MAX_NUM_ALGO_ORDERS")
    if request.iceberg_qty:
        icebergs = sum(bool(order.iceberg_qty) for order in others)
        if icebergs + 1 > spec.max_num_iceberg_orders:
            raise failure("MAX_NUM_ICEBERG_ORDERS")


def check_list_count(spec: SymbolSpec, account: Account) -> None:
    """Whether the account may have one more list on this symbol.

    Raises:
        VenueError: -1013 MAX_NUM_ORDER_LISTS.
    """
    lists = sum(1 for one in account.open_lists.values() if one.symbol == spec.symbol)
    if lists + 1 > spec.max_num_order_lists:
        raise failure("MAX_NUM_ORDER_LISTS")


def _check_position(spec: SymbolSpec, account: Account, request: PlaceRequest) -> None:
    if not spec.max_position or request.side is not Side.BUY:
        return
    wallet = account.wallet(spec.base)
    held = wallet.free + wallet.locked + account.open_buy_qty(spec.symbol)
    if held + request.qty > spec.max_position:
        raise failure("MAX_POSITION")
