"""What is held: of an asset, and of one of our orders that may still fill.

Rule of this file: plain values; symbol_book.py moves them.
"""

from decimal import Decimal

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.ids import ClientOrderId, InstrumentId
from riskcaps.state.windows import DAY_NS, RollingSum

IN_FLIGHT = "in_flight"
WORKING = "working"
UNKNOWN = "unknown"


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

    @property
    def counted(self) -> Decimal:
        """The quantity that the sums hold for it."""
        return self.leaves if self.weighs else ZERO
