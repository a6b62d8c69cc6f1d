"""`exchangeInfo` -> instruments and rate limits (binance-spot.md §4, §6)."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from daemon.errors import Undecodable
from daemon.model.amounts import ZERO
from daemon.model.copies import replace
from daemon.model.enums import OrderType, SymbolStatus
from daemon.model.instrument import Instrument
from daemon.model.order_features import Feature
from daemon.venues.binance_spot.amount_text import amount
from daemon.venues.binance_spot.spot_rows import decode_as
from daemon.venues.contract import NOT_LISTED, Listed, RateLimitRow
from daemon.venues.own_ids import SymbolNames


class SymbolRow(msgspec.Struct, rename="camel"):
    """One symbol; filters stay plain because their kinds grow without notice."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    order_types: list[str]
    filters: list[dict[str, Any]]
    base_asset_precision: int = 8
    quote_asset_precision: int = 8
    iceberg_allowed: bool = False
    allow_trailing_stop: bool = False
    peg_instructions_allowed: bool = False
    is_spot_trading_allowed: bool = True
    permission_sets: list[list[str]] = []


class ExchangeRow(msgspec.Struct, rename="camel"):
    """`exchangeInfo` as far as we read it."""

    symbols: list[SymbolRow]
    rate_limits: list[RateLimitRow] = []
    exchange_filters: list[dict[str, Any]] = []
    server_time: int = 0


_DECODER = msgspec.json.Decoder(ExchangeRow)
_STATUSES = {status.value: status for status in SymbolStatus}
_ORDER_TYPES = {kind.value: kind for kind in OrderType}
_INT_MAX = 2**62


def decode_listed(body: bytes, names: SymbolNames) -> Listed:
    """Our instruments as far as they are listed and can be read, why others are not, and limits.

    Raises:
        Undecodable: when the body is not exchangeInfo.
    """
    row = decode_as(_DECODER, body, "exchangeInfo")
    found = {symbol.symbol: symbol for symbol in row.symbols}
    instruments, absent = [], {}
    told = list(row.exchange_filters)
    for symbol in names.symbols:
        if symbol not in found:
            absent[symbol] = NOT_LISTED
            continue
        told += found[symbol].filters
        try:
            instruments.append(instrument_of(found[symbol], names, row.exchange_filters))
        except Undecodable as error:
            absent[symbol] = f"the venue describes it in a way that cannot be read: {error}"
    unknown = tuple(sorted({str(entry.get("filterType")) for entry in told} - _KNOWN_FILTERS))
    return Listed(tuple(instruments), absent, tuple(row.rate_limits), unknown)


def instrument_of(
    row: SymbolRow, names: SymbolNames, everywhere: Iterable[Mapping[str, Any]] = ()
) -> Instrument:
    """One instrument. A status that we do not know is read as BREAK: nothing may be placed.

    `everywhere` are the filters of the whole account, which hold on each symbol.
    """
    values: dict[str, Any] = {}
    for entry in (*everywhere, *row.filters):
        values.update(_filter_values(entry))
    return Instrument(
        instrument_id=names.instrument(row.symbol),
        symbol=row.symbol,
        base=row.base_asset,
        quote=row.quote_asset,
        status=_status(row),
        order_types=frozenset(
            _ORDER_TYPES[kind] for kind in row.order_types if kind in _ORDER_TYPES
        ),
        features=frozenset(feature for feature, is_on in _features(row) if is_on),
        base_precision=row.base_asset_precision,
        quote_precision=row.quote_asset_precision,
        **values,
    )


def _status(row: SymbolRow) -> SymbolStatus:
    status = _STATUSES.get(row.status, SymbolStatus.BREAK)
    sets = [one for one in row.permission_sets if one]
    is_spot = row.is_spot_trading_allowed and (not sets or any("SPOT" in one for one in sets))
    return SymbolStatus.NOT_ALLOWED if status is SymbolStatus.TRADING and not is_spot else status


def _features(row: SymbolRow) -> tuple[tuple[Feature, bool], ...]:
    return (
        (Feature.TRAILING, row.allow_trailing_stop),
        (Feature.ICEBERG, row.iceberg_allowed),
        (Feature.PEGGED, row.peg_instructions_allowed),
    )


_AMOUNTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "PRICE_FILTER": (
        ("minPrice", "price_min"),
        ("maxPrice", "price_max"),
        ("tickSize", "tick"),
    ),
    "LOT_SIZE": (("minQty", "qty_min"), ("maxQty", "qty_max"), ("stepSize", "lot")),
    "MARKET_LOT_SIZE": (
        ("minQty", "market_qty_min"),
        ("maxQty", "market_qty_max"),
        ("stepSize", "market_lot"),
    ),
    "MIN_NOTIONAL": (("minNotional", "notional_min"),),
    "NOTIONAL": (("minNotional", "notional_min"), ("maxNotional", "notional_max")),
    "PERCENT_PRICE": (
        ("multiplierUp", "bid_multiplier_up"),
        ("multiplierDown", "bid_multiplier_down"),
        ("multiplierUp", "ask_multiplier_up"),
        ("multiplierDown", "ask_multiplier_down"),
    ),
    "PERCENT_PRICE_BY_SIDE": (
        ("bidMultiplierUp", "bid_multiplier_up"),
        ("bidMultiplierDown", "bid_multiplier_down"),
        ("askMultiplierUp", "ask_multiplier_up"),
        ("askMultiplierDown", "ask_multiplier_down"),
    ),
    "MAX_POSITION": (("maxPosition", "position_max"),),
}
_COUNTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "MAX_NUM_ORDERS": (("maxNumOrders", "orders_open_max"), ("limit", "orders_open_max")),
    "MAX_NUM_ALGO_ORDERS": (
        ("maxNumAlgoOrders", "algo_orders_open_max"),
        ("limit", "algo_orders_open_max"),
    ),
    "ICEBERG_PARTS": (("limit", "iceberg_parts_max"),),
    "MAX_NUM_ICEBERG_ORDERS": (
        ("maxNumIcebergOrders", "iceberg_orders_open_max"),
        ("limit", "iceberg_orders_open_max"),
    ),
    "MAX_NUM_ORDER_AMENDS": (("maxNumOrderAmends", "amends_max"), ("limit", "amends_max")),
    "EXCHANGE_MAX_NUM_ORDERS": (
        ("maxNumOrders", "exchange_orders_open_max"),
        ("limit", "exchange_orders_open_max"),
    ),
    "EXCHANGE_MAX_NUM_ALGO_ORDERS": (
        ("maxNumAlgoOrders", "exchange_algo_orders_open_max"),
        ("limit", "exchange_algo_orders_open_max"),
    ),
    "EXCHANGE_MAX_NUM_ICEBERG_ORDERS": (
        ("maxNumIcebergOrders", "exchange_iceberg_orders_open_max"),
        ("limit", "exchange_iceberg_orders_open_max"),
    ),
    "TRAILING_DELTA": (
        ("minTrailingAboveDelta", "trailing_above_bps_min"),
        ("maxTrailingAboveDelta", "trailing_above_bps_max"),
        ("minTrailingBelowDelta", "trailing_below_bps_min"),
        ("maxTrailingBelowDelta", "trailing_below_bps_max"),
    ),
}
_FLAGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "MIN_NOTIONAL": (("applyToMarket", "notional_min_applies_to_market"),),
    "NOTIONAL": (
        ("applyMinToMarket", "notional_min_applies_to_market"),
        ("applyMaxToMarket", "notional_max_applies_to_market"),
    ),
}


_NOT_OURS = frozenset({"MAX_NUM_ORDER_LISTS", "EXCHANGE_MAX_NUM_ORDER_LISTS", "T_PLUS_SELL"})
"""Known, and without a rule: no list of orders is ever placed, and selling on is the venue's."""
_KNOWN_FILTERS = frozenset({*_AMOUNTS, *_COUNTS, *_FLAGS, *_NOT_OURS})


def _filter_values(entry: Mapping[str, Any]) -> dict[str, Any]:
    kind = entry.get("filterType")
    if not isinstance(kind, str):
        raise Undecodable("exchangeInfo: a filter without a type")
    made: dict[str, Any] = {}
    for key, name in _AMOUNTS.get(kind, ()):
        made[name] = _amount(kind, key, entry.get(key))
    for key, name in _COUNTS.get(kind, ()):
        if key in entry:
            made[name] = _count(kind, key, entry[key])
    for key, name in _FLAGS.get(kind, ()):
        flag = entry.get(key)
        if isinstance(flag, bool):
            made[name] = flag
    return made


def _amount(kind: str, key: str, value: object) -> Decimal:
    if value is None:
        return ZERO
    if not isinstance(value, str):
        raise Undecodable(f"exchangeInfo: {kind}.{key} is not decimal text")
    return amount(value)


def _count(kind: str, key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _INT_MAX:
        raise Undecodable(f"exchangeInfo: {kind}.{key} is not a count")
    return value


class _MyFiltersRow(msgspec.Struct, rename="camel"):
    """`GET /myFilters`, as far as no other answer has it."""

    asset_filters: list[dict[str, Any]] = []


_MY_FILTERS = msgspec.json.Decoder(_MyFiltersRow)


def with_asset_filters(instrument: Instrument, body: bytes) -> Instrument:
    """An instrument with the account's own limits of its assets (MAX_ASSET).

    Raises:
        Undecodable: when the body is no answer of myFilters.
    """
    limits = {
        str(entry.get("asset")): _amount("MAX_ASSET", "limit", entry.get("limit"))
        for entry in decode_as(_MY_FILTERS, body, "myFilters").asset_filters
        if entry.get("filterType") == "MAX_ASSET"
    }
    return replace(
        instrument,
        asset_base_max=limits.get(instrument.base, ZERO),
        asset_quote_max=limits.get(instrument.quote, ZERO),
    )


def symbols_param(symbols: Iterable[str]) -> str:
    """The `symbols` parameter: a JSON array, to be percent-encoded like any value."""
    return "[" + ",".join(f'"{symbol}"' for symbol in symbols) + "]"
