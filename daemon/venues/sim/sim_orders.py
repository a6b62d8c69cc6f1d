"""Words of the simulated venue: orders, requests, outcomes, events.

All amounts are ints in units of 1e-8 (units.py), all times integer nanoseconds.
"""

from enum import StrEnum
from typing import Protocol, TypeAlias

import msgspec

from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.model.list_legs import Contingency
from daemon.venues.binance_spot.serving.events import (
    AccountPosition,
    BalanceUpdate,
    ExecReport,
    ListStatus,
    Prevented,
)
from daemon.venues.binance_spot.serving.order_requests import (
    OPEN_STATUSES,
    PegType,
    Status,
    StpMode,
)
from daemon.venues.binance_spot.serving.order_view import ServedFill


class RandomSource(Protocol):
    """The part of `random.Random` that the venue uses; always handed in, always seeded."""

    def random(self) -> float:
        """Uniform in [0, 1)."""

    def randrange(self, start: int, stop: int) -> int:
        """Uniform int in [start, stop)."""

    def gauss(self, mu: float, sigma: float) -> float:
        """Normal variate."""

    def expovariate(self, lambd: float) -> float:
        """Exponential variate, mean 1/lambd."""


class OrderOrigin(StrEnum):
    """Who placed an order: a client over the API, an operator's admin call, the background flow."""

    API = "api"
    FOREIGN = "foreign"
    BACKGROUND = "background"


class AmendRow(msgspec.Struct, frozen=True, kw_only=True):
    """One amend in an order's history."""

    execution_id: int
    old_client_order_id: str
    new_client_order_id: str
    old_qty: int
    new_qty: int
    ts_ns: int


class SimOrder(msgspec.Struct, kw_only=True, eq=False):
    """One order, live: the book, the accounts and the ledger share the object."""

    order_id: int
    symbol: str
    account: str
    """Empty for the background flow."""
    origin: OrderOrigin
    client_order_id: str
    """The order's own id, for ever; a cancel's id is `cancel_id`."""
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    qty: int
    price: int
    ts_ns: int
    updated_ns: int
    status: Status = Status.NEW
    executed: int = 0
    cum_quote: int = 0
    prevented: int = 0
    quote_order_qty: int = 0
    stop_price: int = 0
    iceberg_qty: int = 0
    trailing_bps: int = 0
    trailing_since_ns: int = 0
    """When it began to follow the price; 0: not yet."""
    extreme: int = 0
    """The best price since then: the lowest for one that waits for a rise, else the highest."""
    peg: PegType | None = None
    peg_levels: int = 0
    order_list: "OrderList | None" = None
    stp_mode: StpMode = StpMode.NONE
    strategy_id: int | None = None
    strategy_type: int | None = None
    working_ns: int = 0
    """When it went on the book; 0 while it waits for its trigger."""
    waiting: bool = False
    """A stop or take-profit that has not triggered."""
    locked: int = 0
    """What this order still locks, in the asset it gives."""
    cancel_id: str = ""
    amends: list[AmendRow] = msgspec.field(default_factory=list)
    expiry_reason: str = ""
    visible: int = 0
    """Displayed part while it rests."""
    epoch: int = 0
    ledger_number: int = -1
    """Its place in the ledger; below zero until it is booked there."""

    @property
    def leaves(self) -> int:
        """What can still trade."""
        return self.qty - self.executed - self.prevented

    @property
    def list_id(self) -> int:
        """`orderListId`: -1 for an order on its own."""
        return self.order_list.list_id if self.order_list else -1

    @property
    def is_open(self) -> bool:
        """Whether it rests, or waits for its trigger."""
        return self.status in OPEN_STATUSES

    @property
    def shown_client_order_id(self) -> str:
        """What order rows print: after a cancel or amend the venue shows the newer id."""
        return self.cancel_id or self.own_client_order_id

    @property
    def own_client_order_id(self) -> str:
        """The id given at placement or by the latest amend."""
        return self.amends[-1].new_client_order_id if self.amends else self.client_order_id

    @property
    def client_order_ids(self) -> tuple[str, ...]:
        """Every id it has had, cancels apart."""
        return (self.client_order_id, *(amend.new_client_order_id for amend in self.amends))

    def goes_by(self, name: str) -> bool:
        """Whether `name` is one of its ids, or empty (nothing was claimed)."""
        return not name or name in self.client_order_ids


class OrderList(msgspec.Struct, kw_only=True, eq=False):
    """Orders that hang together. The rules are in contingencies.py."""

    list_id: int
    symbol: str
    account: str
    contingency: Contingency
    client_id: str
    ts_ns: int
    orders: list[SimOrder] = msgspec.field(default_factory=list)
    pending: list[SimOrder] = msgspec.field(default_factory=list)
    """OTO: what is placed when the first order is filled; empty once that has happened."""
    pays: bool = False
    """OPO: the pending orders sell what the first one has bought, or spend what it has raised."""
    is_done: bool = False
    updated_ns: int = 0


class TradeFill(ServedFill, frozen=True, kw_only=True):
    """One account's side of one trade, and what the venue alone knows of it."""

    client_order_id: str
    account: str
    origin: OrderOrigin
    epoch: int


class PlaceOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted order and what happened to it at once."""

    order: SimOrder
    fills: tuple[TradeFill, ...]
    prevented: tuple[Prevented, ...] = ()


class TradePrint(msgspec.Struct, frozen=True):
    """Market event: one public trade."""

    symbol: str
    trade_id: int
    price: int
    qty: int
    buyer_is_maker: bool
    taker_order_id: int
    ts_ns: int


class BookTop(msgspec.Struct, frozen=True):
    """Market event: best bid and ask changed. Zero price and quantity: that side is empty."""

    symbol: str
    update_id: int
    bid_price: int
    bid_qty: int
    ask_price: int
    ask_qty: int
    ts_ns: int


UserEvent: TypeAlias = ExecReport[SimOrder] | AccountPosition | BalanceUpdate | ListStatus
MarketEvent: TypeAlias = TradePrint | BookTop
VenueEvent: TypeAlias = UserEvent | MarketEvent
