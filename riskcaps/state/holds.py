"""What is held: of an asset, and of one of our orders that may still fill.

Rule of this file: plain values; symbol_book.py moves them.
"""

from decimal import Decimal

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


class Hold:
    """What one of our orders may still do."""

    __slots__ = (
        "account", "client_order_id", "group", "instrument_id", "is_buy", "is_stop", "leaves",
        "pays_value", "phase", "px", "quote", "realised", "reduced", "reserved", "weighs",
    )  # fmt: skip

    def __init__(
        self,
        client_order_id: ClientOrderId,
        instrument_id: InstrumentId,
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
        group: str = "",
    ) -> None:
        self.client_order_id = client_order_id
        self.instrument_id = instrument_id
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
        self.group = group
        """The OCO whose legs exclude each other; empty: it stands alone."""
        self.weighs = True
        """Whether its quantity counts; of a group only the worst hold's does."""

    @property
    def counted(self) -> Decimal:
        """The quantity that the sums hold for it."""
        return self.leaves if self.weighs else ZERO
