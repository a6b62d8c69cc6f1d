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
    first: str = ""
    """The order that must be filled wholly before it works; empty: it waits for none."""
    is_void: bool = False
    """That order has ended with a rest: it never works."""
    has_traded_behind: bool = False
    """An order that is pending behind it has traded: it was filled, whatever was told of it."""


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

    def covered(self, *, is_buy: bool, without: str = "") -> Decimal:
        """Of `open_qty`, what adds nothing to its side.

        What is pending trades only when the first order of its list, of the other side, has come
        into the position; and where it has traded, the first has come in before, told or not.
        """
        covered, groups = ZERO, dict[str, Decimal]()
        for hold in self.holds.values():
            if not hold.first or hold.is_buy is not is_buy or (hold.oco and hold.oco == without):
                continue
            first = self.holds.get(hold.first)
            if hold.is_void:
                part = hold.leaves
            elif first is None or first.is_buy is is_buy or first.has_traded_behind:
                part = ZERO
            else:
                part = min(hold.leaves, first.leaves)
            if hold.oco:
                groups[hold.oco] = max(groups.get(hold.oco, ZERO), part)
            else:
                covered += part
        for hold in self.holds.values():
            if hold.has_traded_behind and hold.is_buy is not is_buy:
                covered += hold.leaves
        return covered + sum(groups.values(), ZERO)

    def never_fills(self, cid: str) -> None:
        """An order has ended with a rest: what is pending behind it never works."""
        ended = self.holds.get(cid)
        for hold in self.holds.values():
            if hold.first == cid and (ended is None or not ended.has_traded_behind):
                hold.is_void = True

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
