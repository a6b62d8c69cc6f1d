"""exchangeInfo: what the venue lists, its filters and limits, in the modern names."""

from collections.abc import Sequence

from daemon.venues.binance_spot.serving.rate_limits import LimitRule
from daemon.venues.binance_spot.serving.shown_rows import Row, multiplier_text
from daemon.venues.binance_spot.serving.units import ms_of, text_of
from daemon.venues.sim.listed_symbols import ExchangeFilters, SymbolSpec
from daemon.venues.sim.symbol_market import SymbolMarket

STP_MODES = ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]
ORDER_TYPES = [
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
]


def exchange_info(
    markets: Sequence[SymbolMarket],
    rules: Sequence[LimitRule],
    exchange_filters: ExchangeFilters,
    now_ns: int,
    *,
    with_permissions: bool = True,
) -> Row:
    """The whole answer for the given markets."""
    symbols = [symbol_row(market) for market in markets]
    if not with_permissions:
        for row in symbols:
            row["permissionSets"] = []
    return {
        "timezone": "UTC",
        "serverTime": ms_of(now_ns),
        "rateLimits": [rule.row() for rule in rules],
        "exchangeFilters": exchange_filter_rows(exchange_filters),
        "symbols": symbols,
    }


def exchange_filter_rows(filters: ExchangeFilters) -> list[Row]:
    """The filters of an account's open orders on all symbols; zero switches one off."""
    limits = (
        ("EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders", filters.orders),
        ("EXCHANGE_MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders", filters.algo_orders),
        ("EXCHANGE_MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders", filters.iceberg_orders),
        ("EXCHANGE_MAX_NUM_ORDER_LISTS", "maxNumOrderLists", filters.order_lists),
    )
    return [{"filterType": name, field: limit} for name, field, limit in limits if limit]


def symbol_row(market: SymbolMarket) -> Row:
    """One symbol with all its flags and filters."""
    spec = market.spec
    return {
        "symbol": spec.symbol,
        "status": market.status,
        "baseAsset": spec.base,
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filter_rows(spec),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": STP_MODES,
    }


def filter_rows(spec: SymbolSpec) -> list[Row]:
    """The symbol's filters."""
    up, down = multiplier_text(spec.percent_up), multiplier_text(spec.percent_down)
    rows: list[Row] = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": text_of(spec.least_price),
            "maxPrice": text_of(spec.max_price),
            "tickSize": text_of(spec.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": text_of(spec.min_qty),
            "maxQty": text_of(spec.max_qty),
            "stepSize": text_of(spec.step),
        },
        {"filterType": "ICEBERG_PARTS", "limit": spec.iceberg_parts},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": text_of(0),
            "maxQty": text_of(spec.max_market_qty),
            "stepSize": text_of(0),
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": up,
            "bidMultiplierDown": down,
            "askMultiplierUp": up,
            "askMultiplierDown": down,
            "avgPriceMins": spec.avg_price_mins,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": text_of(spec.min_notional),
            "applyMinToMarket": True,
            "maxNotional": text_of(spec.max_notional),
            "applyMaxToMarket": False,
            "avgPriceMins": spec.avg_price_mins,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": spec.max_num_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": spec.max_num_algo_orders},
        {
            "filterType": "MAX_NUM_ICEBERG_ORDERS",
            "maxNumIcebergOrders": spec.max_num_iceberg_orders,
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": spec.trailing_bps_min,
            "maxTrailingAboveDelta": spec.trailing_bps_max,
            "minTrailingBelowDelta": spec.trailing_bps_min,
            "maxTrailingBelowDelta": spec.trailing_bps_max,
        },
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": spec.max_num_order_lists},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
    ]
    if spec.max_position:
        rows.append({"filterType": "MAX_POSITION", "maxPosition": text_of(spec.max_position)})
    return rows
