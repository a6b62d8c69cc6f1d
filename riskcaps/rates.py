"""Rolling windows over engine time: exact, durable, flat in the number of events.

Rules of this file:
1. An event leaves a window only when more than the whole window has passed: one exactly as old as
   the window still counts (against us).
2. Time is the caller's and never runs backward: the gate clamps it before it comes here.
3. A question costs log(events of the longest window); the memory is bounded by the caps.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from daemon.model.amounts import NS_PER_S, ZERO, decimal_of

SECOND_NS = NS_PER_S
MINUTE_NS = 60 * NS_PER_S
HOUR_NS = 3600 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S
_PRUNE_EVERY = 1024


class RollingCounts:
    """How many events lie in each of several windows; one stamp an event for all of them."""

    __slots__ = (
        "_answer",
        "_asked_ns",
        "_longest_ns",
        "_none",
        "_single_ns",
        "_stamps",
        "windows_ns",
    )

    def __init__(self, *windows_ns: int) -> None:
        self.windows_ns = windows_ns
        self._longest_ns = max(windows_ns)
        self._stamps: list[int] = []
        self._single_ns = windows_ns[0] if len(windows_ns) == 1 else 0
        self._asked_ns = -1
        self._none = [0] * len(windows_ns)
        self._answer = self._none

    def add(self, now_ns: int) -> None:
        """Count one event."""
        self._stamps.append(now_ns)
        self._asked_ns = -1
        if len(self._stamps) % _PRUNE_EVERY == 0:
            del self._stamps[: bisect_left(self._stamps, now_ns - self._longest_ns)]

    def counts(self, now_ns: int) -> list[int]:
        """Events in each window, as of now (one decision asks several times: it is kept)."""
        if now_ns == self._asked_ns:
            return self._answer
        self._asked_ns = now_ns
        stamps = self._stamps
        size = len(stamps)
        if not size:
            self._answer = self._none
        elif self._single_ns:
            self._answer = [size - bisect_left(stamps, now_ns - self._single_ns)]
        else:
            self._answer = [size - bisect_left(stamps, now_ns - ns) for ns in self.windows_ns]
        return self._answer

    def count(self, now_ns: int) -> int:
        """Events in the first window."""
        return self.counts(now_ns)[0]

    def state(self, now_ns: int) -> list[int]:
        """The first stamp in the longest window, then the distances between the following."""
        kept = self._stamps[bisect_left(self._stamps, now_ns - self._longest_ns) :]
        return [stamp - before for stamp, before in zip(kept, [0, *kept], strict=False)]

    def restore(self, deltas: Iterable[int]) -> None:
        """Take a `state()` back."""
        self._stamps = []
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
