"""What every venue's codec offers, and what a venue can do: the contract suite runs against these.

A codec is translation only: values to exact bytes, bytes to values. It reads no clock (times are
arguments), opens no socket, and raises only errors of `daemon.errors`.
"""

from dataclasses import dataclass
from typing import Protocol

from daemon.model.enums import OrderType, TimeInForce
from daemon.model.orders import CancelOrder, NewOrder, ReplaceOrder
from daemon.venues.requests import HttpRequest, WsRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueCapabilities:
    """What a venue takes."""

    order_types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    client_order_id_length_max: int
    cancel_replace: bool
    amend_keep_priority: bool
    cancel_all_per_symbol: bool
    cancel_all_symbols: bool
    cancel_on_disconnect: bool
    settling_time_ms: int
    """How long a request whose outcome is unknown can still be executed, beyond its window."""


class PlacementCodec(Protocol):
    """Order entry by request and reply (REST)."""

    def place(self, order: NewOrder, timestamp_ms: int) -> HttpRequest:
        """Encode a placement."""

    def cancel(self, cancel: CancelOrder, timestamp_ms: int) -> HttpRequest:
        """Encode a cancel."""

    def replace(self, replace: ReplaceOrder, timestamp_ms: int) -> HttpRequest:
        """Encode a cancel-replace."""


class SocketPlacementCodec(Protocol):
    """Order entry over a socket; `request_id` is echoed."""

    def place(self, order: NewOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        """Encode a placement."""

    def cancel(self, cancel: CancelOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        """Encode a cancel."""

    def replace(self, replace: ReplaceOrder, request_id: str, timestamp_ms: int) -> WsRequest:
        """Encode a cancel-replace."""


BINANCE_SPOT = VenueCapabilities(
    order_types=frozenset(OrderType),
    times_in_force=frozenset(TimeInForce),
    client_order_id_length_max=36,
    cancel_replace=True,
    amend_keep_priority=True,
    cancel_all_per_symbol=True,
    cancel_all_symbols=False,
    cancel_on_disconnect=False,
    settling_time_ms=10_000,
)
"""binance-spot.md §5, §8: the server gives up after 10 s of processing."""
