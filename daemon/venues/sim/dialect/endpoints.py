"""Every endpoint once, under its WebSocket API name, and the REST routes that lead to it."""

from daemon.venues.sim.dialect import (
    account_calls,
    market_data,
    order_lists,
    reference_data,
    trading,
)
from daemon.venues.sim.dialect.call_handlers import CallPurpose, Endpoint
from daemon.venues.sim.dialect.params import Params


def _depth_weight(params: Params) -> int:
    limit = params.integer("limit") or 100
    return next((w for most, w in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)


def _my_trades_weight(params: Params) -> int:
    return 5 if params.text("orderId") else 20


def _open_orders_weight(params: Params) -> int:
    return 6 if params.text("symbol") else 80


def _book_weight(params: Params) -> int:
    return 2 if params.text("symbol") else 4


def _day_weight(params: Params) -> int:
    count = len(params.symbols() or ())
    return 80 if not count else next((w for most, w in ((20, 2), (100, 40)) if count <= most), 80)


def _window_weight(params: Params) -> int:
    return min(200, 4 * len(params.symbols() or ()))


def _rules_weight(params: Params) -> int:
    return min(40, 2 * len(params.symbols() or ())) or 40


def _test_weight(params: Params) -> int:
    return 20 if params.flag("computeCommissionRates") else 1


_ALL = (
    Endpoint(name="ping", handler=market_data.ping),
    Endpoint(name="time", handler=market_data.time),
    Endpoint(name="exchangeInfo", handler=market_data.exchange_info, weight=20),
    Endpoint(name="executionRules", handler=reference_data.execution_rules, weight=_rules_weight),
    Endpoint(name="referencePrice", handler=reference_data.reference_price, weight=2),
    Endpoint(
        name="referencePrice.calculation", handler=reference_data.reference_calculation, weight=2
    ),
    Endpoint(name="blockTrades.historical", handler=reference_data.block_trades, weight=25),
    Endpoint(name="depth", handler=market_data.depth, weight=_depth_weight),
    Endpoint(name="trades.recent", handler=market_data.trades, weight=25),
    Endpoint(name="trades.historical", handler=market_data.historical_trades, weight=25),
    Endpoint(name="trades.aggregate", handler=market_data.agg_trades, weight=4),
    Endpoint(name="klines", handler=market_data.klines, weight=2),
    Endpoint(name="uiKlines", handler=market_data.klines, weight=2),
    Endpoint(name="avgPrice", handler=market_data.average_price, weight=2),
    Endpoint(name="ticker.price", handler=market_data.ticker_price, weight=_book_weight),
    Endpoint(name="ticker.book", handler=market_data.ticker_book, weight=_book_weight),
    Endpoint(name="ticker", handler=market_data.ticker_window, weight=_window_weight),
    Endpoint(
        name="ticker.tradingDay", handler=market_data.ticker_trading_day, weight=_window_weight
    ),
    Endpoint(name="ticker.24hr", handler=market_data.ticker_day, weight=_day_weight),
    Endpoint(
        name="order.place",
        handler=trading.place,
        signed=True,
        purpose=CallPurpose.PLACE,
        counts_orders=True,
    ),
    Endpoint(
        name="order.test",
        handler=trading.test_place,
        signed=True,
        weight=_test_weight,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="order.status",
        handler=trading.query,
        signed=True,
        weight=4,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(name="order.cancel", handler=trading.cancel, signed=True, purpose=CallPurpose.CANCEL),
    Endpoint(
        name="order.cancelReplace",
        handler=trading.cancel_replace,
        signed=True,
        purpose=CallPurpose.PLACE,
        counts_orders=True,
    ),
    Endpoint(
        name="order.amend.keepPriority",
        handler=trading.amend,
        signed=True,
        weight=4,
        always_weighs=True,
        purpose=CallPurpose.PLACE,
        counts_orders=True,
    ),
    Endpoint(
        name="order.amendments",
        handler=account_calls.amendments,
        signed=True,
        weight=4,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="openOrders.status",
        handler=account_calls.open_orders,
        signed=True,
        weight=_open_orders_weight,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="openOrders.cancelAll",
        handler=trading.cancel_open,
        signed=True,
        purpose=CallPurpose.CANCEL,
    ),
    Endpoint(
        name="allOrders",
        handler=account_calls.all_orders,
        signed=True,
        weight=20,
        purpose=CallPurpose.QUERY,
    ),
    *(
        Endpoint(
            name=name,
            handler=handler,
            signed=True,
            purpose=CallPurpose.PLACE,
            counts_orders=True,
        )
        for name, handler in (
            ("orderList.place", order_lists.place_oco_legacy),
            ("orderList.place.oco", order_lists.place_oco),
            ("orderList.place.oto", order_lists.place_oto),
            ("orderList.place.otoco", order_lists.place_otoco),
            ("orderList.place.opo", order_lists.place_opo),
            ("orderList.place.opoco", order_lists.place_opoco),
            ("sor.order.place", order_lists.no_routing),
        )
    ),
    Endpoint(
        name="sor.order.test",
        handler=order_lists.no_routing,
        signed=True,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="orderList.cancel",
        handler=order_lists.cancel,
        signed=True,
        purpose=CallPurpose.CANCEL,
    ),
    Endpoint(
        name="orderList.status",
        handler=order_lists.query,
        signed=True,
        weight=4,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="openOrderLists.status",
        handler=order_lists.open_lists,
        signed=True,
        weight=6,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="allOrderLists",
        handler=order_lists.all_lists,
        signed=True,
        weight=20,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="myTrades",
        handler=account_calls.my_trades,
        signed=True,
        weight=_my_trades_weight,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="myPreventedMatches",
        handler=account_calls.prevented_matches,
        signed=True,
        weight=20,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="myAllocations",
        handler=account_calls.allocations,
        signed=True,
        weight=20,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="account.status",
        handler=account_calls.account,
        signed=True,
        weight=20,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="account.commission",
        handler=account_calls.commission,
        signed=True,
        weight=20,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="account.rateLimits.orders",
        handler=account_calls.order_counts,
        signed=True,
        weight=40,
        purpose=CallPurpose.QUERY,
    ),
    Endpoint(
        name="myFilters",
        handler=account_calls.my_filters,
        signed=True,
        weight=40,
        purpose=CallPurpose.QUERY,
    ),
)
ENDPOINTS: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in _ALL}

_ROUTES = {
    ("GET", "ping"): "ping",
    ("GET", "time"): "time",
    ("GET", "exchangeInfo"): "exchangeInfo",
    ("GET", "executionRules"): "executionRules",
    ("GET", "referencePrice"): "referencePrice",
    ("GET", "referencePrice/calculation"): "referencePrice.calculation",
    ("GET", "historicalBlockTrades"): "blockTrades.historical",
    ("GET", "depth"): "depth",
    ("GET", "trades"): "trades.recent",
    ("GET", "historicalTrades"): "trades.historical",
    ("GET", "aggTrades"): "trades.aggregate",
    ("GET", "klines"): "klines",
    ("GET", "uiKlines"): "uiKlines",
    ("GET", "avgPrice"): "avgPrice",
    ("GET", "ticker/price"): "ticker.price",
    ("GET", "ticker/bookTicker"): "ticker.book",
    ("GET", "ticker"): "ticker",
    ("GET", "ticker/tradingDay"): "ticker.tradingDay",
    ("GET", "ticker/24hr"): "ticker.24hr",
    ("POST", "order"): "order.place",
    ("GET", "order"): "order.status",
    ("DELETE", "order"): "order.cancel",
    ("POST", "order/test"): "order.test",
    ("POST", "order/cancelReplace"): "order.cancelReplace",
    ("PUT", "order/amend/keepPriority"): "order.amend.keepPriority",
    ("GET", "order/amendments"): "order.amendments",
    ("GET", "openOrders"): "openOrders.status",
    ("DELETE", "openOrders"): "openOrders.cancelAll",
    ("GET", "allOrders"): "allOrders",
    ("POST", "order/oco"): "orderList.place",
    ("POST", "orderList/oco"): "orderList.place.oco",
    ("POST", "orderList/oto"): "orderList.place.oto",
    ("POST", "orderList/otoco"): "orderList.place.otoco",
    ("POST", "orderList/opo"): "orderList.place.opo",
    ("POST", "orderList/opoco"): "orderList.place.opoco",
    ("POST", "sor/order"): "sor.order.place",
    ("POST", "sor/order/test"): "sor.order.test",
    ("DELETE", "orderList"): "orderList.cancel",
    ("GET", "orderList"): "orderList.status",
    ("GET", "openOrderList"): "openOrderLists.status",
    ("GET", "allOrderList"): "allOrderLists",
    ("GET", "myTrades"): "myTrades",
    ("GET", "myPreventedMatches"): "myPreventedMatches",
    ("GET", "myAllocations"): "myAllocations",
    ("GET", "account"): "account.status",
    ("GET", "account/commission"): "account.commission",
    ("GET", "rateLimit/order"): "account.rateLimits.orders",
    ("GET", "myFilters"): "myFilters",
}
ROUTES: dict[tuple[str, str], Endpoint] = {
    (method, f"/api/v3/{path}"): ENDPOINTS[name] for (method, path), name in _ROUTES.items()
}
