"""Rolling windows over engine time: exact, durable, flat in the number of events.

Rules of this file:
1. An event leaves a window only when more than the whole window has passed: one exactly as old as
   the window still counts (against us).
2. Time is the caller's and never runs backward: the gate clamps it before it comes here.
3. The cost of a question is amortised constant: every stamp is passed once by each window.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from daemon.model.amounts import NS_PER_S, ZERO, decimal_of

SECOND_NS = NS_PER_S
MINUTE_NS = 60 * NS_PER_S
HOUR_NS = 3600 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S
_PRUNE_AT = 4096


class RollingCounts:
    """How many events lie in each of several windows; one stamp an event for all of them."""

    __slots__ = ("_answer", "_asked_ns", "_heads", "_stamps", "windows_ns")

    def __init__(self, *windows_ns: int) -> None:
        self.windows_ns = windows_ns
        """Shortest first."""
        self._stamps: list[int] = []
        self._heads = [0] * len(windows_ns)
        self._asked_ns = -1
        self._answer: list[int] = []

    def add(self, now_ns: int) -> None:
        """Count one event."""
        self._stamps.append(now_ns)
        self._asked_ns = -1

    def counts(self, now_ns: int) -> list[int]:
        """Events in each window, as of now (one decision asks several times: it is kept)."""
        if now_ns == self._asked_ns:
            return self._answer
        stamps = self._stamps
        size = len(stamps)
        heads = self._heads
        out = []
        for i, window_ns in enumerate(self.windows_ns):
            head = heads[i]
            oldest = now_ns - window_ns
            while head < size and stamps[head] < oldest:
                head += 1
            heads[i] = head
            out.append(size - head)
        if heads[-1] > _PRUNE_AT:
            self._prune()
        self._asked_ns = now_ns
        self._answer = out
        return out

    def count(self, now_ns: int) -> int:
        """Events in the first (shortest) window."""
        return self.counts(now_ns)[0]

    def _prune(self) -> None:
        gone = self._heads[-1]
        del self._stamps[:gone]
        self._heads = [head - gone for head in self._heads]

    def state(self, now_ns: int) -> list[int]:
        """The first stamp in the longest window, then the distances between the following."""
        self.counts(now_ns)
        kept = self._stamps[self._heads[-1] :]
        return [stamp - before for stamp, before in zip(kept, [0, *kept], strict=False)]

    def restore(self, deltas: Iterable[int]) -> None:
        """Take a `state()` back."""
        self._stamps = []
        self._heads = [0] * len(self.windows_ns)
        self._asked_ns = -1
        stamp = 0
        for delta in deltas:
            stamp += delta
            self._stamps.append(stamp)


class RollingSum:
    """The sum of the amounts of one window."""

    __slots__ = ("_events", "_total", "_window_ns")

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._events: deque[tuple[int, Decimal]] = deque()
        self._total = ZERO

    def add(self, now_ns: int, amount: Decimal) -> None:
        """Count an amount."""
        self._events.append((now_ns, amount))
        self._total += amount

    def total(self, now_ns: int) -> Decimal:
        """The sum as of now."""
        events = self._events
        oldest = now_ns - self._window_ns
        while events and events[0][0] < oldest:
            self._total -= events.popleft()[1]
        return self._total

    def state(self, now_ns: int) -> list[list[Any]]:
        """Pairs of stamp and amount (text) that still count."""
        self.total(now_ns)
        return [[stamp, str(amount)] for stamp, amount in self._events]

    def restore(self, pairs: Iterable[Sequence[Any]]) -> None:
        """Take a `state()` back."""
        self._events = deque((stamp, decimal_of(amount)) for stamp, amount in pairs)
        self._total = sum((amount for _, amount in self._events), ZERO)
