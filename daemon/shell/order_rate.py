"""Orders in a rolling second, counted where their bytes leave.

Rules of this file:
1. The gate counts approvals, and an approval may wait: for the journal, a long turn, a connection.
   So the cap is kept a second time at the bytes, whatever was approved when.
2. A send happened somewhere between the clock before and the clock after it; each side is taken for
   the worse. The venue stamps what arrives, and one order may travel faster than another: the
   second is widened by `TRAVEL_NS`.
3. What finds no room has not left: the order is ended as never sent.
"""

from collections import deque
from collections.abc import Callable

SECOND_NS = 1_000_000_000
TRAVEL_NS = 100_000_000
"""How much longer the way of one order to the venue may be than that of another."""


class OrderRate:
    """One per venue link, for both of its roads."""

    __slots__ = ("_left_ns", "cap")

    def __init__(self, cap: Callable[[], int] | None = None) -> None:
        """`cap`: orders in any rolling second, as it is in force now; None: there is none."""
        self.cap = cap
        self._left_ns: deque[int] = deque()

    def refusal(self, now_ns: int) -> str:
        """Why an order may not leave now, or empty. Call `left` right after its bytes."""
        if self.cap is None:
            return ""
        left, limit = self._left_ns, self.cap()
        while left and left[0] < now_ns - SECOND_NS - TRAVEL_NS:
            left.popleft()
        if len(left) < limit:
            return ""
        return f"orders_per_second: {len(left)} have left within the last second, cap {limit}"

    def left(self, now_ns: int) -> None:
        """An order's bytes have left, at the latest now."""
        if self.cap is not None:
            self._left_ns.append(now_ns)
