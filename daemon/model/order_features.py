"""What an order can be beyond its type: trailing, iceberg, pegged (binance-spot.md §5).

Each has a worst case of its own (riskcaps/gate/extras.py), and a switch in the caps, off unless
it is set: `order_features`.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec

PEG_LEVELS_MAX = 100


class PegPrice(StrEnum):
    """What a pegged order takes its price from when it is placed or triggered."""

    PRIMARY_PEG = "PRIMARY_PEG"
    """The best price of its own side."""
    MARKET_PEG = "MARKET_PEG"
    """The best price of the other side."""


class Feature(StrEnum):
    """The switches of the caps."""

    TRAILING = "TRAILING"
    ICEBERG = "ICEBERG"
    PEGGED = "PEGGED"


class OrderExtras(msgspec.Struct, frozen=True, kw_only=True):
    """At least one of them is set.

    `trailing_bps`: how far a stop or take-profit follows the price, in basis points; `stop_price`
    is then where it begins to follow, None: at once. `iceberg_qty`: the part that is shown, in
    base. `peg`: where the price comes from (the order has none of its own), `peg_levels` price
    levels further from the other side.
    """

    trailing_bps: int = 0
    iceberg_qty: Decimal | None = None
    peg: PegPrice | None = None
    peg_levels: int = 0

    @property
    def features(self) -> tuple[Feature, ...]:
        """Which switches it needs."""
        found = []
        if self.trailing_bps:
            found.append(Feature.TRAILING)
        if self.iceberg_qty is not None:
            found.append(Feature.ICEBERG)
        if self.peg is not None:
            found.append(Feature.PEGGED)
        return tuple(found)
