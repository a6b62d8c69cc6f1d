"""What is held: of an asset, and of one of our orders that may still fill.

Rule of this file: plain values; exposure.py moves them.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.model.amounts import ZERO
from daemon.model.ids import ClientOrderId
from riskcaps.rates import DAY_NS, RollingSum

if TYPE_CHECKING:
    from riskcaps.exposure import SymbolBook

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


class Hold:
    """What one of our orders may still do."""

    __slots__ = (
        "account", "book", "client_order_id", "is_buy", "is_stop", "leaves", "pays_value", "phase",
        "px", "quote", "realised", "reduced", "reserved",
    )  # fmt: skip

    def __init__(
        self,
        client_order_id: ClientOrderId,
        book: "SymbolBook",
        *,
        is_buy: bool,
        is_stop: bool,
        leaves: Decimal,
        px: Decimal,
        quote: Account,
        pays_value: bool,
        account: Account,
        phase: str,
        reserved: bool,
    ) -> None:
        self.client_order_id = client_order_id
        self.book = book
        self.is_buy = is_buy
        self.is_stop = is_stop
        self.leaves = leaves
        self.px = px
        self.quote = quote
        self.pays_value = pays_value
        """Whether it spends its value in quote; else its quantity in base (a spot sell)."""
        self.account = account
        """The account of what it spends."""
        self.phase = phase
        self.reserved = reserved
        """Whether it counts in the account's `inflight`."""
        self.realised = ZERO
        self.reduced = False
