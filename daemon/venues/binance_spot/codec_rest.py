"""REST calls of Binance Spot: values to exact requests, bodies to values.

Rules of this file:
1. The target is signed as it is sent; nothing re-encodes it later (signing.py).
2. Everything stands in the query; bodies are empty, so there is one text to sign.
3. The caller hands in `timestamp_ms` (venue time): nothing here reads a clock.
"""

from decimal import Decimal
from typing import Any

import msgspec

from daemon.model.amounts import plain
from daemon.model.copies import replace
from daemon.model.ids import ClientOrderId, InstrumentId, VenueOrderId
from daemon.model.orders import AmendOrder, CancelOrder, NewOrder, NewOrderList, ReplaceOrder
from daemon.venues.binance_spot import costs
from daemon.venues.binance_spot.error_answers import classify
from daemon.venues.binance_spot.instrument_rules import symbols_param
from daemon.venues.binance_spot.order_rows import (
    AccountRow,
    AmendedRow,
    SpotTradeRow,
)
from daemon.venues.binance_spot.request_params import (
    amend_fields,
    cancel_fields,
    list_fields,
    order_key,
    place_fields,
    replace_fields,
)
from daemon.venues.binance_spot.request_signing import Signer, encode_query, signed_query
from daemon.venues.binance_spot.spot_rows import SpotOrderRow, decode_as
from daemon.venues.binance_spot.ws_envelope import Fields, Value, cancel_by_id_fields
from daemon.venues.faults import Fault
from daemon.venues.requests import HttpRequest, Purpose

_BASE = "/api/v3"


class SpotRestEncoder:
    """Makes REST requests for one key. `timestamp_ms` is venue time."""

    __slots__ = ("_headers", "_recv_window_ms", "_signer")

    def __init__(self, *, api_key: str, signer: Signer, recv_window_ms: int) -> None:
        self._headers = (("X-MBX-APIKEY", api_key),)
        self._signer = signer
        self._recv_window_ms = recv_window_ms

    def server_time(self) -> HttpRequest:
        """`GET /time`."""
        return self._public("time", [], weight=costs.TIME)

    def exchange_info(self, symbols: tuple[str, ...]) -> HttpRequest:
        """`GET /exchangeInfo` of our symbols (all of them when none is named)."""
        params = [("symbols", symbols_param(symbols))] if symbols else []
        return self._public("exchangeInfo", params, weight=costs.EXCHANGE_INFO)

    def depth(self, symbol: str, limit: int) -> HttpRequest:
        """`GET /depth`: a snapshot to start the depth sync from."""
        params = [("symbol", symbol), ("limit", str(limit))]
        return self._public("depth", params, weight=costs.depth_weight(limit))

    def day_ticker(self, symbol: str) -> HttpRequest:
        """`GET /ticker/24hr`: volumes of the last 24 hours."""
        return self._public("ticker/24hr", [("symbol", symbol)], weight=costs.DAY_TICKER)

    def account(self, timestamp_ms: int) -> HttpRequest:
        """`GET /account`: balances and the account's flags."""
        return self._signed(
            "GET", "account", {}, timestamp_ms, weight=costs.ACCOUNT, purpose=Purpose.QUERY
        )

    def commission(self, symbol: str, timestamp_ms: int) -> HttpRequest:
        """`GET /account/commission`: rates, and whether another asset may pay the fees."""
        fields: Fields = {"symbol": symbol}
        return self._signed(
            "GET",
            "account/commission",
            fields,
            timestamp_ms,
            weight=costs.COMMISSION,
            purpose=Purpose.QUERY,
        )

    def open_orders(self, symbol: str | None, timestamp_ms: int) -> HttpRequest:
        """`GET /openOrders` of one symbol, or of all (dear: 80)."""
        fields: Fields = {} if symbol is None else {"symbol": symbol}
        weight = costs.OPEN_ORDERS_ALL if symbol is None else costs.OPEN_ORDERS_SYMBOL
        return self._signed(
            "GET", "openOrders", fields, timestamp_ms, weight=weight, purpose=Purpose.QUERY
        )

    def all_orders(
        self, symbol: str, from_id: int | None, limit: int, timestamp_ms: int
    ) -> HttpRequest:
        """`GET /allOrders` of a symbol: ascending from `from_id` (inclusive), or the newest."""
        fields: Fields = {"symbol": symbol, "limit": limit}
        if from_id is not None:
            fields["orderId"] = from_id
        return self._signed(
            "GET",
            "allOrders",
            fields,
            timestamp_ms,
            weight=costs.ALL_ORDERS,
            purpose=Purpose.QUERY,
        )

    def order(
        self,
        instrument_id: InstrumentId,
        client_order_id: ClientOrderId,
        venue_order_id: VenueOrderId | None,
        timestamp_ms: int,
    ) -> HttpRequest:
        """`GET /order`: by the venue's id when given, else by our own."""
        fields = order_key(instrument_id, client_order_id, venue_order_id)
        return self._signed(
            "GET", "order", fields, timestamp_ms, weight=costs.ORDER_QUERY, purpose=Purpose.QUERY
        )

    def about_account(self, path: str, symbol: str, timestamp_ms: int) -> HttpRequest:
        """`account/commission` or `myFilters` of a symbol: asked for bots, from their share."""
        weight = costs.MY_FILTERS if path == "myFilters" else costs.COMMISSION
        return self._signed(
            "GET", path, {"symbol": symbol}, timestamp_ms, weight=weight, purpose=Purpose.READ
        )

    def trades_from(self, symbol: str, from_id: int, limit: int, timestamp_ms: int) -> HttpRequest:
        """`GET /myTrades` of a symbol, ascending from `from_id` (inclusive)."""
        fields: Fields = {"symbol": symbol, "fromId": from_id, "limit": limit}
        return self._signed(
            "GET", "myTrades", fields, timestamp_ms, weight=costs.MY_TRADES, purpose=Purpose.QUERY
        )

    def trades_of(self, symbol: str, order_id: int, timestamp_ms: int) -> HttpRequest:
        """`GET /myTrades` of one order."""
        fields: Fields = {"symbol": symbol, "orderId": order_id, "limit": 1000}
        return self._signed(
            "GET",
            "myTrades",
            fields,
            timestamp_ms,
            weight=costs.MY_TRADES_BY_ORDER,
            purpose=Purpose.QUERY,
        )

    def order_counts(self, timestamp_ms: int) -> HttpRequest:
        """`GET /rateLimit/order`: unfilled order counts."""
        return self._signed(
            "GET",
            "rateLimit/order",
            {},
            timestamp_ms,
            weight=costs.RATE_LIMIT_ORDER,
            purpose=Purpose.QUERY,
        )

    def my_filters(self, symbol: str, timestamp_ms: int) -> HttpRequest:
        """`GET /myFilters`: the account's own filters of a symbol."""
        fields: Fields = {"symbol": symbol}
        return self._signed(
            "GET",
            "myFilters",
            fields,
            timestamp_ms,
            weight=costs.MY_FILTERS,
            purpose=Purpose.DATA,
        )

    def place(self, order: NewOrder, timestamp_ms: int) -> HttpRequest:
        """`POST /order`."""
        return self._signed(
            "POST",
            "order",
            place_fields(order),
            timestamp_ms,
            weight=costs.ORDER_PLACE,
            purpose=Purpose.PLACE,
            orders=1,
        )

    def place_list(self, order_list: NewOrderList, timestamp_ms: int) -> HttpRequest:
        """`POST /orderList/oco` and its kin."""
        kind, fields = list_fields(order_list)
        return self._signed(
            "POST",
            f"orderList/{kind}",
            fields,
            timestamp_ms,
            weight=costs.ORDER_PLACE,
            purpose=Purpose.PLACE,
            orders=len(order_list.orders),
        )

    def test_buy(self, symbol: str, qty: Decimal, price: Decimal, timestamp_ms: int) -> HttpRequest:
        """`POST /order/test`: proves that the key may trade, without placing anything."""
        fields: Fields = {
            "symbol": symbol,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": plain(qty),
            "price": plain(price),
        }
        return self._signed(
            "POST",
            "order/test",
            fields,
            timestamp_ms,
            weight=costs.ORDER_TEST,
            purpose=Purpose.DATA,
        )

    def cancel(self, cancel: CancelOrder, timestamp_ms: int) -> HttpRequest:
        """`DELETE /order`."""
        return self._signed(
            "DELETE",
            "order",
            cancel_fields(cancel),
            timestamp_ms,
            weight=costs.ORDER_CANCEL,
            purpose=Purpose.CANCEL,
        )

    def cancel_by_id(
        self, symbol: str, order_id: int, named: str, timestamp_ms: int
    ) -> HttpRequest:
        """`DELETE /order` by the venue's id alone: the emergency stop knows nothing else."""
        return self._signed(
            "DELETE",
            "order",
            cancel_by_id_fields(symbol, order_id, named),
            timestamp_ms,
            weight=costs.ORDER_CANCEL,
            purpose=Purpose.CANCEL,
        )

    def cancel_all(self, symbol: str, timestamp_ms: int) -> HttpRequest:
        """`DELETE /openOrders` of one symbol: the venue has no all-symbols cancel."""
        return self._signed(
            "DELETE",
            "openOrders",
            {"symbol": symbol},
            timestamp_ms,
            weight=costs.CANCEL_ALL,
            purpose=Purpose.CANCEL,
        )

    def replace(self, replace: ReplaceOrder, timestamp_ms: int) -> HttpRequest:
        """`POST /order/cancelReplace`."""
        return self._signed(
            "POST",
            "order/cancelReplace",
            replace_fields(replace),
            timestamp_ms,
            weight=costs.CANCEL_REPLACE,
            purpose=Purpose.PLACE,
            orders=1,
        )

    def amend(self, amend: AmendOrder, timestamp_ms: int) -> HttpRequest:
        """`PUT /order/amend/keepPriority`: reduce only, no order count."""
        made = self._signed(
            "PUT",
            "order/amend/keepPriority",
            amend_fields(amend),
            timestamp_ms,
            weight=costs.AMEND,
            purpose=Purpose.PLACE,
        )
        return replace(made, is_charged_always=True)

    def _public(self, path: str, params: list[tuple[str, str]], *, weight: int) -> HttpRequest:
        query = f"?{encode_query(params)}" if params else ""
        return HttpRequest(
            method="GET",
            target=f"{_BASE}/{path}{query}",
            headers=(),
            body=b"",
            weight=weight,
            purpose=Purpose.DATA,
        )

    def _signed(
        self,
        method: str,
        path: str,
        fields: Fields,
        timestamp_ms: int,
        *,
        weight: int,
        purpose: Purpose,
        orders: int = 0,
    ) -> HttpRequest:
        params = [(name, text_of(value)) for name, value in fields.items()]
        params += [("recvWindow", str(self._recv_window_ms)), ("timestamp", str(timestamp_ms))]
        return HttpRequest(
            method=method,
            target=f"{_BASE}/{path}?{signed_query(params, self._signer)}",
            headers=self._headers,
            body=b"",
            weight=weight,
            purpose=purpose,
            orders=orders,
        )


def text_of(value: Value) -> str:
    """A parameter as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class ErrorRow(msgspec.Struct):
    """The venue's own error body."""

    code: int
    msg: str = ""
    data: Any = None


_ERROR = msgspec.json.Decoder(ErrorRow)
_ORDERS = msgspec.json.Decoder(list[SpotOrderRow])
_AMENDED = msgspec.json.Decoder(AmendedRow)
_TRADES = msgspec.json.Decoder(list[SpotTradeRow])
_ACCOUNT = msgspec.json.Decoder(AccountRow)


def decode_error(status: int, body: bytes) -> Fault:
    """Read an error answer; a body that is not the venue's own proves nothing (UNKNOWN)."""
    try:
        row = _ERROR.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = body[:80].decode("ascii", "replace").strip() or "empty body"
        return classify(status, 0, f"not the venue's own answer: {text}")
    return classify(status, row.code, row.msg)


def error_data(body: bytes) -> Any:
    """The `data` member of an error body, None when there is none."""
    return decode_as(_ERROR, body, "error body").data


class _DayTicker(msgspec.Struct, rename="camel"):
    quote_volume: Decimal


_DAY_TICKER = msgspec.json.Decoder(_DayTicker)


def decode_day_volume(body: bytes) -> Decimal:
    """The quote volume of a `ticker/24hr`."""
    return decode_as(_DAY_TICKER, body, "day ticker").quote_volume


def decode_orders(body: bytes | msgspec.Raw) -> list[SpotOrderRow]:
    """Several order rows."""
    return decode_as(_ORDERS, body, "orders")


def decode_amended(body: bytes | msgspec.Raw) -> AmendedRow:
    """The reply of amend keep priority."""
    return decode_as(_AMENDED, body, "amended order")


def decode_trades(body: bytes) -> list[SpotTradeRow]:
    """Rows of the account's trade history, ascending."""
    return decode_as(_TRADES, body, "myTrades")


def decode_account(body: bytes) -> AccountRow:
    """Balances and flags."""
    return decode_as(_ACCOUNT, body, "account")


class DiscountRow(msgspec.Struct, rename="camel"):
    """Who may pay fees in the discount's asset."""

    enabled_for_account: bool = False
    enabled_for_symbol: bool = False
    discount_asset: str | None = None


class CommissionRow(msgspec.Struct, rename="camel"):
    """`account/commission`, as far as we read it."""

    symbol: str
    discount: DiscountRow = msgspec.field(default_factory=DiscountRow)

    @property
    def other_asset(self) -> str:
        """The asset that fees are paid in while some of it is there; empty: base and quote."""
        on = self.discount.enabled_for_account and self.discount.enabled_for_symbol
        return (self.discount.discount_asset or "") if on else ""


_COMMISSION = msgspec.json.Decoder(CommissionRow)


def decode_commission(body: bytes) -> CommissionRow:
    """How fees of one symbol are paid."""
    return decode_as(_COMMISSION, body, "account/commission")
