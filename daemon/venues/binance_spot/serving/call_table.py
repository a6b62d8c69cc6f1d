"""Every call that clients can make: name, weight, kind, and the REST routes that lead to it.

A call stands once, under its WebSocket API name; what answers it is its server's business.
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from daemon.venues.binance_spot.serving.params import Params


class CallKind(StrEnum):
    """What a call is for; faults and limits choose by it."""

    PLACE = "place"
    CANCEL = "cancel"
    QUERY = "query"
    DATA = "data"
    SESSION = "session"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a call costs, and whom it admits."""

    name: str
    signed: bool = False
    weight: int | Callable[[Params], int] = 1
    kind: CallKind = CallKind.DATA
    always_weighs: bool = False
    """An order call that costs its weight when it succeeds, and when it fails."""
    counts_orders: bool = False
    """Its answer shows the order counts."""

    @property
    def needs_trading(self) -> bool:
        """Whether a key without the right to trade is refused."""
        return self.kind in {CallKind.PLACE, CallKind.CANCEL} or self.name == "order.test"

    def weight_of(self, params: Params) -> int:
        """The documented weight of this call."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


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


def _query(name: str, weight: int | Callable[[Params], int]) -> Endpoint:
    return Endpoint(name=name, signed=True, weight=weight, kind=CallKind.QUERY)


def _placement(name: str) -> Endpoint:
    return Endpoint(name=name, signed=True, kind=CallKind.PLACE, counts_orders=True)


def _cancel(name: str) -> Endpoint:
    return Endpoint(name=name, signed=True, kind=CallKind.CANCEL)


_ALL = (
    Endpoint(name="ping"),
    Endpoint(name="time"),
    Endpoint(name="exchangeInfo", weight=20),
    Endpoint(name="executionRules", weight=_rules_weight),
    Endpoint(name="referencePrice", weight=2),
    Endpoint(name="referencePrice.calculation", weight=2),
    Endpoint(name="blockTrades.historical", weight=25),
    Endpoint(name="depth", weight=_depth_weight),
    Endpoint(name="trades.recent", weight=25),
    Endpoint(name="trades.historical", weight=25),
    Endpoint(name="trades.aggregate", weight=4),
    Endpoint(name="klines", weight=2),
    Endpoint(name="uiKlines", weight=2),
    Endpoint(name="avgPrice", weight=2),
    Endpoint(name="ticker.price", weight=_book_weight),
    Endpoint(name="ticker.book", weight=_book_weight),
    Endpoint(name="ticker", weight=_window_weight),
    Endpoint(name="ticker.tradingDay", weight=_window_weight),
    Endpoint(name="ticker.24hr", weight=_day_weight),
    _placement("order.place"),
    _query("order.test", _test_weight),
    _query("order.status", 4),
    _cancel("order.cancel"),
    _placement("order.cancelReplace"),
    Endpoint(
        name="order.amend.keepPriority",
        signed=True,
        weight=4,
        always_weighs=True,
        kind=CallKind.PLACE,
        counts_orders=True,
    ),
    _query("order.amendments", 4),
    _query("openOrders.status", _open_orders_weight),
    _cancel("openOrders.cancelAll"),
    _query("allOrders", 20),
    _placement("orderList.place"),
    _placement("orderList.place.oco"),
    _placement("orderList.place.oto"),
    _placement("orderList.place.otoco"),
    _placement("orderList.place.opo"),
    _placement("orderList.place.opoco"),
    _placement("sor.order.place"),
    _query("sor.order.test", 1),
    _cancel("orderList.cancel"),
    _query("orderList.status", 4),
    _query("openOrderLists.status", 6),
    _query("allOrderLists", 20),
    _query("myTrades", _my_trades_weight),
    _query("myPreventedMatches", 20),
    _query("myAllocations", 20),
    _query("account.status", 20),
    _query("account.commission", 20),
    _query("account.rateLimits.orders", 40),
    _query("myFilters", 40),
)
ENDPOINTS: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in _ALL}

_PATHS = {
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
    (method, f"/api/v3/{path}"): ENDPOINTS[name] for (method, path), name in _PATHS.items()
}
