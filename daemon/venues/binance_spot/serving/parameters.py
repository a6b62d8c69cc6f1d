"""Which parameters every call knows, and what a value of each may look like.

Rules of this file:
1. A parameter that a call does not know, one sent twice, and one sent empty are refused, in the
   venue's words, before anything else is looked at; a parameter that is taken has an effect.
2. A name means the same in every call. What is missing, and what may not stand beside what, is
   each call's own business (trading.py, market_data.py).
"""

from functools import lru_cache

from daemon.model.enums import OrderType, Side, SymbolStatus, TimeInForce
from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    empty,
    illegal,
    invalid,
    mandatory,
)
from daemon.venues.binance_spot.serving.order_requests import PegType, StpMode
from daemon.venues.binance_spot.serving.params import (
    AMOUNT_RANGE,
    CLIENT_ID,
    CLIENT_ID_RANGE,
    INTEGER_RANGE,
    Params,
)
from daemon.venues.binance_spot.serving.units import UnitError, e8_of

LONG_MAX = 2**63 - 1
_AMOUNTS = frozenset(
    {
        "icebergQty", "limitIcebergQty", "newQty", "price", "quantity", "quoteOrderQty",
        "stopIcebergQty", "stopLimitPrice", "stopPrice",
    }
)  # fmt: skip
_INTEGERS = frozenset(
    {
        "cancelOrderId", "endTime", "fromAllocationId", "fromExecutionId", "fromId",
        "fromPreventedMatchId", "limit", "limitStrategyId", "limitStrategyType", "orderId",
        "orderListId", "pegOffsetValue", "preventedMatchId", "startTime", "stopStrategyId",
        "stopStrategyType", "strategyId", "strategyType", "subscriptionId", "trailingDelta",
    }
)  # fmt: skip
_FLAGS = frozenset(
    {"computeCommissionRates", "omitZeroBalances", "returnRateLimits", "showPermissionSets"}
)
_WORDS: dict[str, tuple[frozenset[str], tuple[int, str] | None]] = {
    "side": (frozenset(Side), (-1117, "Invalid side.")),
    "orderType": (frozenset(OrderType), (-1116, "Invalid orderType.")),
    "timeInForce": (frozenset(TimeInForce), (-1115, "Invalid timeInForce.")),
    "symbolStatus": (frozenset(SymbolStatus), (-1122, "Invalid symbolStatus.")),
    "tickerType": (frozenset({"FULL", "MINI"}), (-1139, "Invalid ticker type.")),
    "cancelRestrictions": (
        frozenset({"ONLY_NEW", "ONLY_PARTIALLY_FILLED"}),
        (-1145, "Invalid cancelRestrictions."),
    ),
    "newOrderRespType": (frozenset({"ACK", "RESULT", "FULL"}), None),
    "selfTradePreventionMode": (frozenset({*StpMode, "TRANSFER"}), None),
    "cancelReplaceMode": (frozenset({"STOP_ON_FAILURE", "ALLOW_FAILURE"}), None),
    "orderRateLimitExceededMode": (frozenset({"DO_NOTHING", "CANCEL_ONLY"}), None),
    "pegPriceType": (frozenset(PegType), None),
    "pegOffsetType": (frozenset({"PRICE_LEVEL"}), None),
}
"""Closed lists, and the code and text of what stands outside; none: -1130 with the name."""
_STRATEGY_TYPE_MIN = 1_000_000
_NEEDED = frozenset(
    {
        "apiKey", "cancelReplaceMode", "interval", "newQty", "price", "quantity", "recvWindow",
        "side", "signature", "symbol", "timeInForce", "timestamp", "orderType",
    }
)  # fmt: skip
"""Sent empty, these are as if they had not been sent where they must be."""

_LEG = (
    "ClientOrderId", "IcebergQty", "PegOffsetType", "PegOffsetValue", "PegPriceType", "Price",
    "StrategyId", "StrategyType", "TimeInForce", "Type",
)  # fmt: skip
_STOP_LEG = (*_LEG, "StopPrice", "TrailingDelta")
_PREFIXES = ("pendingAbove", "pendingBelow", "pending", "working", "above", "below")


def _leg(prefix: str, names: tuple[str, ...]) -> set[str]:
    return {prefix + name for name in names}


_NONE: frozenset[str] = frozenset()
_SYMBOL = frozenset({"symbol"})
_KEY = frozenset({"symbol", "orderId", "origClientOrderId"})
_TIMES = frozenset({"startTime", "endTime", "limit"})
_CANDLES = _SYMBOL | _TIMES | {"interval", "timeZone"}
_TICKER = frozenset({"symbol", "symbols", "symbolStatus"})
_ORDER = frozenset(
    {
        "symbol", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price",
        "newClientOrderId", "strategyId", "strategyType", "stopPrice", "trailingDelta",
        "icebergQty", "newOrderRespType", "selfTradePreventionMode", "pegPriceType",
        "pegOffsetType", "pegOffsetValue",
    }
)  # fmt: skip
_ROUTED = _ORDER - {
    "quoteOrderQty", "stopPrice", "trailingDelta", "pegPriceType", "pegOffsetType",
    "pegOffsetValue",
}  # fmt: skip
_LIST = frozenset({"symbol", "listClientOrderId", "newOrderRespType", "selfTradePreventionMode"})
_WORKING = _LIST | _leg("working", (*_LEG, "Side", "Quantity"))
_PENDING = _leg("pending", (*_STOP_LEG, "Side"))
_PENDING_PAIR = {"pendingSide"} | _leg("pendingAbove", _STOP_LEG) | _leg("pendingBelow", _STOP_LEG)
KNOWN: dict[str, frozenset[str]] = {
    "ping": _NONE,
    "time": _NONE,
    "exchangeInfo": _TICKER | {"permissions", "showPermissionSets"},
    "executionRules": _TICKER,
    "referencePrice": _SYMBOL,
    "referencePrice.calculation": _SYMBOL | {"symbolStatus"},
    "depth": _SYMBOL | {"limit", "symbolStatus"},
    "trades.recent": _SYMBOL | {"limit"},
    "trades.historical": _SYMBOL | {"limit", "fromId"},
    "blockTrades.historical": _SYMBOL | {"limit", "fromId"},
    "trades.aggregate": _SYMBOL | _TIMES | {"fromId"},
    "klines": _CANDLES,
    "uiKlines": _CANDLES,
    "avgPrice": _SYMBOL,
    "ticker.price": _TICKER,
    "ticker.book": _TICKER,
    "ticker": _TICKER | {"type", "windowSize"},
    "ticker.tradingDay": _TICKER | {"type", "timeZone"},
    "ticker.24hr": _TICKER | {"type"},
    "order.place": _ORDER,
    "order.test": _ORDER | {"computeCommissionRates"},
    "order.status": _KEY,
    "order.cancel": _KEY | {"newClientOrderId", "cancelRestrictions"},
    "order.cancelReplace": _ORDER
    | {
        "cancelReplaceMode", "cancelOrderId", "cancelOrigClientOrderId", "cancelNewClientOrderId",
        "cancelRestrictions", "orderRateLimitExceededMode",
    },
    "order.amend.keepPriority": _KEY | {"newClientOrderId", "newQty"},
    "order.amendments": frozenset({"symbol", "orderId", "fromExecutionId", "limit"}),
    "openOrders.status": _SYMBOL,
    "openOrders.cancelAll": _SYMBOL,
    "allOrders": _SYMBOL | _TIMES | {"orderId"},
    "orderList.place": _LIST
    | {
        "side", "quantity", "limitClientOrderId", "price", "limitStrategyId", "limitStrategyType",
        "limitIcebergQty", "trailingDelta", "stopClientOrderId", "stopPrice", "stopStrategyId",
        "stopStrategyType", "stopLimitPrice", "stopIcebergQty", "stopLimitTimeInForce",
    },
    "orderList.place.oco": _LIST
    | {"side", "quantity"}
    | _leg("above", _STOP_LEG)
    | _leg("below", _STOP_LEG),
    "orderList.place.oto": _WORKING | _PENDING | {"pendingQuantity"},
    "orderList.place.otoco": _WORKING | _PENDING_PAIR | {"pendingQuantity"},
    "orderList.place.opo": _WORKING | _PENDING,
    "orderList.place.opoco": _WORKING | _PENDING_PAIR,
    "sor.order.place": _ROUTED,
    "sor.order.test": _ROUTED | {"computeCommissionRates"},
    "orderList.cancel": frozenset(
        {"symbol", "orderListId", "listClientOrderId", "newClientOrderId"}
    ),
    "orderList.status": frozenset({"orderListId", "origClientOrderId"}),
    "openOrderLists.status": _NONE,
    "allOrderLists": _TIMES | {"fromId"},
    "myTrades": _SYMBOL | _TIMES | {"orderId", "fromId"},
    "myPreventedMatches": frozenset(
        {"symbol", "preventedMatchId", "orderId", "fromPreventedMatchId", "limit"}
    ),
    "myAllocations": _SYMBOL | _TIMES | {"fromAllocationId", "orderId"},
    "account.status": frozenset({"omitZeroBalances"}),
    "account.commission": _SYMBOL,
    "account.rateLimits.orders": _NONE,
    "myFilters": _SYMBOL,
    "session.logon": _NONE,
    "session.status": _NONE,
    "session.logout": _NONE,
    "session.subscriptions": _NONE,
    "userDataStream.subscribe": _NONE,
    "userDataStream.subscribe.signature": _NONE,
    "userDataStream.unsubscribe": frozenset({"subscriptionId"}),
}  # fmt: skip
"""By the WebSocket API's name; what signing brings with it apart."""
_SIGNING = frozenset({"timestamp", "recvWindow", "signature"})
_SIGNED_SESSION = frozenset({"session.logon", "userDataStream.subscribe.signature"})


def check_parameters(name: str, params: Params, *, signed: bool, is_rest: bool) -> None:
    """Whether a call may be sent these parameters, and whether each has a possible value.

    Raises:
        DialectError: -1101, -1104, -1105, -1102, or what a single value deserves.
    """
    known = _known(name, signed=signed, is_rest=is_rest)
    if params.doubled:
        raise DialectError(-1101, f"Duplicate values for parameter '{params.doubled[0]}'.")
    unread = params.values.keys() - known
    if unread:
        sent, read = len(params.values), len(params.values) - len(unread)
        if is_rest and not known:
            words = f"Too many parameters; expected '0' and received '{sent}'."
            raise DialectError(-1101, words)
        words = (
            f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
        )
        raise DialectError(-1104, words)
    for one, value in params.values.items():
        usual = _usual(name, one)
        if not value or (value == "null" and not is_rest):
            raise mandatory(one) if usual in _NEEDED else empty(one)
        _check_value(usual, one, value)


def _check_value(usual: str, name: str, value: str) -> None:
    if usual in _INTEGERS:
        if not (value.isascii() and value.isdigit()):
            raise illegal(name, INTEGER_RANGE)
        if int(value[:40]) > LONG_MAX:
            raise DialectError(-1108, f"Parameter '{name}' overflowed.")
        if name.lower().endswith("strategytype") and int(value) < _STRATEGY_TYPE_MIN:
            raise DialectError(-1134, f"Parameter '{name}' cannot be less than 1000000.")
    elif usual in _AMOUNTS:
        _check_amount(name, value)
    elif usual == "clientOrderId":
        if not CLIENT_ID.fullmatch(value):
            raise illegal(name, CLIENT_ID_RANGE)
    elif usual in _FLAGS:
        if value.lower() not in {"true", "false"}:
            raise invalid(name)
    elif usual in _WORDS:
        words, refusal = _WORDS[usual]
        if value not in words:
            raise DialectError(*refusal) if refusal else invalid(name)


def _check_amount(name: str, value: str) -> None:
    try:
        e8_of(value)
    except UnitError as error:
        if error.too_precise:
            raise DialectError(-1111, f"Parameter '{name}' has too much precision.") from None
        if value.isascii() and value.replace(".", "", 1).isdigit():
            raise DialectError(-1108, f"Parameter '{name}' overflowed.") from None
        raise illegal(name, AMOUNT_RANGE) from None


@lru_cache(maxsize=1_024)  # the calls of KNOWN and their parameters
def _usual(call: str, name: str) -> str:
    """What kind of thing a parameter is: `pendingAbovePrice` is a price."""
    for prefix in _PREFIXES:
        if name.startswith(prefix) and name[len(prefix) : len(prefix) + 1].isupper():
            rest = name[len(prefix) :]
            return _usual(call, rest[0].lower() + rest[1:])
    if name == "type":
        return "tickerType" if call.startswith("ticker") else "orderType"
    if name.lower().endswith("clientorderid"):
        return "clientOrderId"
    return "timeInForce" if name == "stopLimitTimeInForce" else name


@lru_cache(maxsize=512)
def _known(name: str, *, signed: bool, is_rest: bool) -> frozenset[str]:
    """The call's own parameters, and what its route and its signing bring with them."""
    known = KNOWN[name]
    if signed or name in _SIGNED_SESSION:
        known |= _SIGNING
    return known if is_rest else known | {"apiKey", "returnRateLimits"}
