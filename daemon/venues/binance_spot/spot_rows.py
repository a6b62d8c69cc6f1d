"""Rows that REST and WebSocket API share, as the venue writes them; what a stop reads is all here.

Rule of this file: a row that cannot be read raises `Undecodable`, never another exception.
"""

from typing import TypeVar

import msgspec

from daemon.errors import Undecodable
from daemon.venues.binance_spot.amount_text import amount

T = TypeVar("T")


class FillRow(msgspec.Struct, rename="camel"):
    """One element of `fills` in a FULL placement reply."""

    price: str
    qty: str
    commission: str
    commission_asset: str = ""
    trade_id: int = -1


class SpotOrderRow(msgspec.Struct, rename="camel"):
    """An order as REST and WebSocket API show it: query row, placement reply, cancel reply."""

    symbol: str
    order_id: int
    client_order_id: str
    orig_qty: str
    executed_qty: str
    status: str
    side: str
    price: str = "0"
    orig_client_order_id: str = ""
    cummulative_quote_qty: str = ""
    time: int = 0
    update_time: int = 0
    transact_time: int = 0
    expiry_reason: str = ""
    order_list_id: int = -1
    fills: list[FillRow] = []

    @property
    def executed(self) -> bool:
        """Whether any of the order was traded. Raises `Undecodable` for what is no amount."""
        return amount(self.executed_qty) > 0

    @property
    def is_canceled(self) -> bool:
        """Whether it was canceled."""
        return self.status == "CANCELED"


class SpotListRow(msgspec.Struct, rename="camel"):
    """The reply to placing or canceling an order list (binance-spot.md §14)."""

    order_list_id: int
    order_reports: list[SpotOrderRow]


class SpotOpenRow(msgspec.Struct, rename="camel"):
    """Of an open order what a cancel needs: an odd value elsewhere in it must not hold a stop."""

    symbol: str
    order_id: int
    client_order_id: str


class TimeRow(msgspec.Struct, rename="camel"):
    """`time`."""

    server_time: int


_TIME = msgspec.json.Decoder(TimeRow)
_ORDER = msgspec.json.Decoder(SpotOrderRow)
_LIST = msgspec.json.Decoder(SpotListRow)
_OPEN = msgspec.json.Decoder(list[SpotOpenRow])
_REPORTS = msgspec.json.Decoder(list[msgspec.Raw])


def decode_as(decoder: "msgspec.json.Decoder[T]", body: bytes | msgspec.Raw, what: str) -> T:
    """Decode JSON into a struct.

    Raises:
        Undecodable: naming `what` and the decoder's own complaint.
    """
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"{what}: {error}") from error


def decode_time_ms(body: bytes | msgspec.Raw) -> int:
    """Venue time in ms."""
    return decode_as(_TIME, body, "time").server_time


def decode_order(body: bytes | msgspec.Raw) -> SpotOrderRow:
    """One order row."""
    return decode_as(_ORDER, body, "order")


def decode_open(body: bytes | msgspec.Raw) -> list[SpotOpenRow]:
    """Open orders, as far as a stop needs them."""
    return decode_as(_OPEN, body, "open orders")


def decode_canceled(body: bytes | msgspec.Raw) -> list[SpotOrderRow]:
    """The reply of cancel-all: order reports, and list reports with those of their orders.

    A list report that cannot be read is passed over: its orders come back by the stream and the
    next snapshot.
    """
    rows: list[SpotOrderRow] = []
    for raw in decode_as(_REPORTS, body, "canceled orders"):
        try:
            rows += decode_ended(raw)
        except Undecodable:
            if b'"contingencyType"' not in bytes(raw):
                raise
    return rows


def decode_ended(body: bytes | msgspec.Raw) -> list[SpotOrderRow]:
    """The reply to a cancel: one order, or all of the list that the order was in."""
    if b'"orderReports"' in bytes(body):
        return decode_list(body)
    return [decode_order(body)]


def decode_list(body: bytes | msgspec.Raw) -> list[SpotOrderRow]:
    """The orders in the reply about an order list."""
    return decode_as(_LIST, body, "order list").order_reports
