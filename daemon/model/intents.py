"""Wishes. An intent has no order id and may not leave the house; the interceptor answers it."""

from dataclasses import dataclass
from decimal import Decimal

from daemon.model.cheap_values import quick
from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.model.ids import ClientOrderId, InstrumentId, StrategyId
from daemon.model.order_features import OrderExtras

OPERATOR = StrategyId("operator")
"""The strategy id of an operator's own wishes: they take the same road as everybody's."""
ENGINE = StrategyId("engine")
"""The strategy id of recovery and flattening."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceIntent:
    """A wish to place one order. `price` in quote per base (None for MARKET), `qty` in base."""

    strategy_id: StrategyId
    instrument_id: InstrumentId
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce | None = TimeInForce.GTC
    stop_price: Decimal | None = None
    reduce_only: bool = False
    extras: OrderExtras | None = None
    """Trailing, iceberg, pegged; None for a plain order."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelIntent:
    """A wish to cancel one of our orders."""

    strategy_id: StrategyId
    client_order_id: ClientOrderId
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceIntent:
    """A wish to cancel one order and place another in its stead (caps see the worst of both)."""

    strategy_id: StrategyId
    client_order_id: ClientOrderId
    qty: Decimal
    price: Decimal
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendIntent:
    """A wish to make one of our orders smaller; it keeps its id and its place in the queue.

    `qty` is the new whole quantity in base: below the present one, above what has traded.
    """

    strategy_id: StrategyId
    client_order_id: ClientOrderId
    qty: Decimal
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerIntent:
    """A wish to be woken by `on_timer(name)` at or after `at_ns` (engine time)."""

    strategy_id: StrategyId
    name: str
    at_ns: int


Wish = PlaceIntent | CancelIntent | ReplaceIntent | AmendIntent | TimerIntent
