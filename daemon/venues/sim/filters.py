"""The venue's placement filters, exact, in the documented wording (binance-spot.md §4).

Rules of this file:
1. A filter passes or raises -1013 `Filter failure: NAME`; nothing is rounded to fit.
2. A bound or step of zero switches its rule off.
"""

from collections.abc import Sequence

from daemon.model.enums import OrderType, Side
from daemon.venues.binance_spot.serving.dialect_errors import filter_failure
from daemon.venues.binance_spot.serving.order_requests import (
    MARKET_TYPES,
    TRIGGER_TYPES,
    PlaceRequest,
)
from daemon.venues.binance_spot.serving.units import E8, quote_of
from daemon.venues.sim.accounts import VenueAccount
from daemon.venues.sim.listed_symbols import SymbolSpec
from daemon.venues.sim.sim_orders import SimOrder
from daemon.venues.sim.symbol_market import SymbolMarket


def check_filters(
    market: SymbolMarket,
    account: VenueAccount,
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
        DialectError: -1013 naming the first filter that fails.
    """
    spec = market.spec
    for tried in {request.price, request.price if price is None else price}:
        _check_price(spec, tried)
        _check_percent_price(market, tried, now_ns)
    _check_price(spec, request.stop_price)
    if request.type not in MARKET_TYPES and not request.price and request.peg is None:
        raise filter_failure("PRICE_FILTER")
    _check_lots(spec, request)
    _check_trailing(spec, request)
    _check_notional(market, request, now_ns, price or request.price)
    _check_counts(spec, account, request, beside)
    _check_position(spec, account, request)


def _check_price(spec: SymbolSpec, price: int) -> None:
    too_high = spec.max_price and price > spec.max_price
    if price and (price % spec.tick or price < spec.least_price or too_high):
        raise filter_failure("PRICE_FILTER")


def _check_percent_price(market: SymbolMarket, price: int, now_ns: int) -> None:
    if not price:
        return
    spec = market.spec
    reference = market.tape.average_price(now_ns, spec.avg_price_mins)
    too_high = spec.percent_up and price * E8 > reference * spec.percent_up
    if too_high or price * E8 < reference * spec.percent_down:
        raise filter_failure("PERCENT_PRICE_BY_SIDE")


def _check_trailing(spec: SymbolSpec, request: PlaceRequest) -> None:
    bps = request.trailing_bps
    if bps and not spec.trailing_bps_min <= bps <= spec.trailing_bps_max:
        raise filter_failure("TRAILING_DELTA")


def _check_lots(spec: SymbolSpec, request: PlaceRequest) -> None:
    for qty in (request.qty, request.iceberg_qty):
        too_much = spec.max_qty and qty > spec.max_qty
        if qty and (qty < spec.min_qty or too_much or qty % spec.step):
            raise filter_failure("LOT_SIZE")
    if request.qty == 0 and request.quote_order_qty == 0 and not request.is_open_sized:
        raise filter_failure("LOT_SIZE")
    too_much = spec.max_market_qty and request.qty > spec.max_market_qty
    if request.type is OrderType.MARKET and too_much:
        raise filter_failure("MARKET_LOT_SIZE")
    if request.iceberg_qty:
        parts = -(-request.qty // request.iceberg_qty)
        if spec.iceberg_parts and parts > spec.iceberg_parts:
            raise filter_failure("ICEBERG_PARTS")


def _check_notional(market: SymbolMarket, request: PlaceRequest, now_ns: int, price: int) -> None:
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
        raise filter_failure("NOTIONAL")


def _check_counts(
    spec: SymbolSpec, account: VenueAccount, request: PlaceRequest, beside: Sequence[PlaceRequest]
) -> None:
    if request.type is OrderType.MARKET:
        return
    rules = account.exchange_filters
    others: list[SimOrder | PlaceRequest] = [*account.open_on(spec.symbol), *beside]
    _check_count("MAX_NUM_ORDERS", len(others), spec.max_num_orders)
    everywhere: list[SimOrder | PlaceRequest] = [*account.open_orders.values(), *beside]
    _check_count("EXCHANGE_MAX_NUM_ORDERS", len(everywhere), rules.orders)
    if request.type in TRIGGER_TYPES:
        algo = [order.type in TRIGGER_TYPES for order in others]
        _check_count("MAX_NUM_ALGO_ORDERS", sum(algo), spec.max_num_algo_orders)
        algo = [order.type in TRIGGER_TYPES for order in everywhere]
        _check_count("EXCHANGE_MAX_NUM_ALGO_ORDERS", sum(algo), rules.algo_orders)
    if request.iceberg_qty:
        icebergs = [bool(order.iceberg_qty) for order in others]
        _check_count("MAX_NUM_ICEBERG_ORDERS", sum(icebergs), spec.max_num_iceberg_orders)
        icebergs = [bool(order.iceberg_qty) for order in everywhere]
        _check_count("EXCHANGE_MAX_NUM_ICEBERG_ORDERS", sum(icebergs), rules.iceberg_orders)


def _check_count(name: str, count: int, most: int) -> None:
    """Whether one more may be open beside `count`; of the exchange, zero is no filter."""
    if count + 1 > most and (most or not name.startswith("EXCHANGE_")):
        raise filter_failure(name)


def check_list_count(spec: SymbolSpec, account: VenueAccount) -> None:
    """Whether the account may have one more list, on this symbol and on all.

    Raises:
        DialectError: -1013 MAX_NUM_ORDER_LISTS, EXCHANGE_MAX_NUM_ORDER_LISTS.
    """
    lists = sum(1 for one in account.open_lists.values() if one.symbol == spec.symbol)
    _check_count("MAX_NUM_ORDER_LISTS", lists, spec.max_num_order_lists)
    most = account.exchange_filters.order_lists
    _check_count("EXCHANGE_MAX_NUM_ORDER_LISTS", len(account.open_lists), most)


def _check_position(spec: SymbolSpec, account: VenueAccount, request: PlaceRequest) -> None:
    if not spec.max_position or request.side is not Side.BUY:
        return
    wallet = account.wallet(spec.base)
    held = wallet.free + wallet.locked + account.open_buy_qty(spec.symbol)
    if held + request.qty > spec.max_position:
        raise filter_failure("MAX_POSITION")
