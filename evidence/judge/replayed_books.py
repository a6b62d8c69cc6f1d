"""What the journal's lines make of each instrument: position, open orders, what was traded.

Rule of this file: it keeps and sums; `decision_recheck.py` folds the lines and compares.
"""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from evidence.read.exact_amounts import ZERO


@dataclass(slots=True)
class ReplayedHold:
    """An approved order that may still fill."""

    instrument_id: str
    is_buy: bool
    leaves: Decimal
    px: Decimal
    owed: Decimal = ZERO
    is_unknown: bool = False
    oco: str = ""
    """The list whose legs exclude each other; empty: it stands alone."""


@dataclass(slots=True)
class InstrumentBook:
    """The state of one instrument after the facts so far."""

    position: Decimal = ZERO
    holds: dict[str, ReplayedHold] = field(default_factory=dict)
    minute_ns: deque[int] = field(default_factory=deque)
    traded: deque[tuple[int, Decimal]] = field(default_factory=deque)
    traded_qty: Decimal = ZERO

    def open_qty(self, *, is_buy: bool, without: str = "") -> Decimal:
        """Open, in flight and unknown quantity of one side; of an OCO the most of its legs.

        `without`: an OCO that is left out, because another leg of it is decided on.
        """
        alone, most = ZERO, dict[str, Decimal]()
        for hold in self.holds.values():
            if hold.is_buy is not is_buy:
                continue
            if not hold.oco:
                alone += hold.leaves
            elif hold.oco != without:
                most[hold.oco] = max(most.get(hold.oco, ZERO), hold.leaves)
        return alone + sum(most.values(), ZERO)

    def prices(self, *, is_buy: bool, without: str = "") -> list[Decimal]:
        """Prices of the open orders of one side but for `without`, which must end before."""
        return [h.px for cid, h in self.holds.items() if h.is_buy is is_buy and cid != without]

    def is_pair(self, hold: ReplayedHold) -> bool:
        """Whether an order that is said to exclude others is one of two of one side and quantity.

        Such orders count once, so that more of them, or others, would hide an exposure.
        """
        rivals = [one for one in self.holds.values() if hold.oco and one.oco == hold.oco]
        shapes = [(one.is_buy, one.leaves) for one in rivals]
        return shapes in ([], [(hold.is_buy, hold.leaves)])
