"""What the rows show of an order, a fill and a list, whoever holds them.

Amounts are ints in units of 1e-8, times integer nanoseconds; 0 where there is none.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.model.list_legs import Contingency
from daemon.venues.binance_spot.serving.order_requests import (
    PegType,
    Status,
    StpMode,
)
from daemon.venues.binance_spot.serving.units import quote_of


class OrderLike(Protocol):
    """One order as it is now."""

    symbol: str
    order_id: int
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    status: Status
    qty: int
    price: int
    stop_price: int
    iceberg_qty: int
    quote_order_qty: int
    executed: int
    cum_quote: int
    prevented: int
    ts_ns: int
    updated_ns: int
    working_ns: int
    """When it went on the book; 0 while it waits for its trigger."""
    waiting: bool
    """A stop or take-profit that has not triggered."""
    trailing_bps: int
    trailing_since_ns: int
    peg: PegType | None
    peg_levels: int
    stp_mode: StpMode
    strategy_id: int | None
    strategy_type: int | None
    expiry_reason: str

    @property
    def list_id(self) -> int:
        """`orderListId`: -1 for an order on its own."""

    @property
    def own_client_order_id(self) -> str:
        """The id given at placement or by the latest amend."""

    @property
    def shown_client_order_id(self) -> str:
        """What order rows print: after a cancel or amend the venue shows the newer id."""


class ServedFill(msgspec.Struct, frozen=True, kw_only=True):
    """One account's side of one trade."""

    symbol: str
    trade_id: int
    order_id: int
    list_id: int = -1
    """Of the order's list; -1 for an order on its own."""
    side: Side
    price: int
    qty: int
    fee: int
    fee_asset: str
    maker: bool
    """Whether the order was on the book."""
    ts_ns: int

    @property
    def quote_qty(self) -> int:
        """Price x quantity."""
        return quote_of(self.price, self.qty)


class ListLike(Protocol):
    """An order list as it is now."""

    list_id: int
    symbol: str
    contingency: Contingency
    client_id: str
    updated_ns: int
    is_done: bool

    @property
    def orders(self) -> Sequence[OrderLike]:
        """Its orders."""
