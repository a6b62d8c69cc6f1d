"""User data events before they are written: of an order, of balances, of a list.

`account` is whose event it is: an account of the simulated venue, or a bot. Amounts are ints in
units of 1e-8, times integer nanoseconds.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from daemon.model.enums import ExecType
from daemon.venues.binance_spot.serving.order_requests import Status, StpMode
from daemon.venues.binance_spot.serving.order_view import ListLike, OrderLike

OrderT_co = TypeVar("OrderT_co", bound=OrderLike, covariant=True)


class Prevented(msgspec.Struct, frozen=True, kw_only=True):
    """One prevented match (GET /myPreventedMatches and the STP event)."""

    id: int
    symbol: str
    account: str
    mode: StpMode
    maker_order_id: int
    taker_order_id: int
    qty: int
    price: int
    ts_ns: int


class ExecReport(msgspec.Struct, Generic[OrderT_co], frozen=True, kw_only=True):
    """User event: one executionReport, with the values of its moment. Amounts in 1e-8."""

    account: str
    order: OrderT_co
    exec_type: ExecType
    status: Status
    client_order_id: str
    """`c` on the wire: on CANCELED the cancel's id."""
    orig_client_order_id: str
    """`C` on the wire: on CANCELED and REPLACED the order's own id, else empty."""
    qty: int
    executed: int
    leaves: int
    """What could still trade at that moment; 0 once the order has ended."""
    cum_quote: int
    last_qty: int
    last_price: int
    fee: int
    fee_asset: str
    trade_id: int
    execution_id: int
    maker: bool
    on_book: bool
    reject_reason: str
    expiry_reason: str
    prevented: Prevented | None
    ts_ns: int


class AccountPosition(msgspec.Struct, frozen=True, kw_only=True):
    """User event: absolute balances of the assets that may have changed: (asset, free, locked)."""

    account: str
    balances: Sequence[tuple[str, int, int]]
    ts_ns: int


class BalanceUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """User event: a deposit, withdrawal or transfer of `delta`."""

    account: str
    asset: str
    delta: int
    ts_ns: int


class ListStatus(msgspec.Struct, frozen=True, kw_only=True):
    """User event: a list has begun, moved on, or ended."""

    account: str
    order_list: ListLike
    is_done: bool
    orders: tuple[tuple[int, str], ...]
    """(order id, client order id) of each."""
    ts_ns: int
