"""What is held: of an asset, and of one of our orders that may still fill.

Rule of this file: plain values; symbol_book.py moves them.
"""

from decimal import Decimal

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.enums import OrderStatus
from daemon.model.ids import ClientOrderId, InstrumentId
from daemon.model.orders import Order
from riskcaps.state.windows import DAY_NS, RollingSum
from riskcaps.words.order_kinds import MARKET_TYPES

IN_FLIGHT = "in_flight"
WORKING = "working"
UNKNOWN = "unknown"


_PHASES = {
    OrderStatus.APPROVED: IN_FLIGHT,
    OrderStatus.SUBMITTED: IN_FLIGHT,
    OrderStatus.UNKNOWN: UNKNOWN,
}


def phase_of(status: OrderStatus) -> str:
    """The phase of the hold of an order that is in this state."""
    return _PHASES.get(status, WORKING)


def price_of(order: Order, ask_px: Decimal) -> Decimal:
    """The price that an order found open is held at; without a limit, its trigger or the touch."""
    if order.price is not None and order.order_type not in MARKET_TYPES:
        return order.price
    return max(order.stop_price or ZERO, ask_px)


class Account:
    """One asset: what the venue said is free, and what we hold of it beyond that."""

    __slots__ = (
        "asset", "free", "heard_ns", "inflight", "known", "locked", "open_notional", "traded",
        "unsettled",
    )  # fmt: skip

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.known = False
        self.heard_ns = 0
        """When the venue last told this asset."""
        self.free = ZERO
        self.locked = ZERO
        self.inflight = ZERO
        """Holds of orders that the venue has not acknowledged (its `free` cannot know them)."""
        self.unsettled = ZERO
        """Holds acknowledged or filled since its last word on this asset."""
        self.open_notional = ZERO
        """For a quote asset: open quantity times price, over all its symbols."""
        self.traded = RollingSum(DAY_NS)
        """For a quote asset: value traded in it, over all its symbols."""

    def tell(self, free: Decimal, locked: Decimal, now_ns: int) -> None:
        """The venue's word; it knows what it has acknowledged before."""
        self.known = True
        self.heard_ns = now_ns
        self.free, self.locked = free, locked
        self.unsettled = ZERO

    def forget(self) -> None:
        """The venue forgot everything."""
        self.known = False
        self.inflight = self.unsettled = self.open_notional = ZERO


class Hold(msgspec.Struct, eq=False):
    """What one of our orders may still do. Equal to itself alone."""

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    is_buy: bool
    is_stop: bool
    leaves: Decimal
    px: Decimal
    quote: Account
    pays_value: bool
    """Whether it spends its value in quote; else its quantity in base (a spot sell)."""
    account: Account
    """The account of what it spends."""
    phase: str
    reserved: bool
    """Whether it counts in the account's `inflight`."""
    group: str = ""
    """The OCO whose legs exclude each other; empty: it stands alone."""
    realised: Decimal = ZERO
    reduced: bool = False
    weighs: bool = True
    """Whether its quantity counts; of a group only the worst hold's does."""
    awaits: "Awaited | None" = None
    """The list that it is pending in; None: nothing has to be filled before it works."""
    covered: Decimal = ZERO
    """Of what counts, how much adds nothing to its side: it is pending (`Awaited`)."""
    arrives: Decimal = ZERO
    """How much of it is known to have traded before its fills are told."""

    def spends(self) -> Decimal:
        """How much it takes of its account; base that a pending sell waits for is not there yet."""
        counted = self.leaves if self.weighs else ZERO
        return counted * self.px if self.pays_value else counted - self.covered


class Awaited:
    """The first order of an OTO, and the orders that are pending behind it.

    A pending order works only when the first one is filled wholly. So where the two are of opposite
    sides, what is left of the first comes into the position before the pending one can trade, and
    that much of it adds nothing to its side (`covered`).
    """

    __slots__ = ("first", "has_begun", "is_void", "pending")

    def __init__(self, first: Hold | None) -> None:
        self.first = first
        """None: it has ended."""
        self.pending: list[Hold] = []
        self.has_begun = False
        """A pending order has traded: the first was filled, whatever was told of it."""
        self.is_void = False
        """The first has ended with a rest: no pending order will ever work."""

    def covered(self, hold: Hold) -> Decimal:
        """How much of a pending order adds nothing to its side now."""
        if not hold.weighs:
            return ZERO
        if self.is_void:
            return hold.leaves
        first = self.first
        if first is None or self.has_begun or first.is_buy is hold.is_buy:
            return ZERO
        return min(hold.leaves, first.leaves)
