"""Rolling windows over engine time: exact, durable, flat in the number of events.

Rules of this file:
1. An event leaves a window only when more than the whole window has passed: one exactly as old as
   the window still counts (against us).
2. Time is the caller's and never runs backward: the gate clamps it before it comes here.
3. A question costs log(events of the longest window); the memory is bounded by the caps.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate
from typing import Any

from daemon.model.amounts import NS_PER_S, ZERO, decimal_of

SECOND_NS = NS_PER_S
MINUTE_NS = 60 * NS_PER_S
HOUR_NS = 3600 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S
_PRUNE_EVERY = 1024
_NEVER_NS = 1 << 62


class _Stamps:
    """When each event was, and where each window begins.

    `_heads` are places in the stamps; they only move forward. The last stamp is a sentinel that
    never leaves, so that a head needs no look at the end of the list.
    """

    __slots__ = ("_heads", "_stamps", "until_ns", "windows_ns")

    def __init__(self, *windows_ns: int) -> None:
        self.windows_ns = windows_ns
        self.until_ns = 0
        """Until then the counts are those of the last question; every event makes it 0."""
        self._stamps: array[int]
        self._heads: list[int]
        self.restore(())

    def add(self, now_ns: int) -> None:
        """Count one event."""
        self._stamps.insert(-1, now_ns)
        self.until_ns = 0
        if not len(self._stamps) % _PRUNE_EVERY:
            self._prune(now_ns)

    def _prune(self, now_ns: int) -> None:
        gone = bisect_left(self._stamps, now_ns - max(self.windows_ns))
        del self._stamps[:gone]
        self._heads = [max(head - gone, 0) for head in self._heads]

    def state(self, now_ns: int) -> list[int]:
        """The first stamp in the longest window, then the distances between the following."""
        kept = self._stamps[bisect_left(self._stamps, now_ns - max(self.windows_ns)) : -1]
        return [stamp - before for stamp, before in zip(kept, [0, *kept], strict=False)]

    def restore(self, deltas: Iterable[int]) -> None:
        """Take a `state()` back."""
        self._stamps = array("q", [*accumulate(deltas), _NEVER_NS])
        self.until_ns = 0
        self._heads = [0] * len(self.windows_ns)


class RollingCount(_Stamps):
    """How many events lie in one window."""

    __slots__ = ("kept",)

    def __init__(self, window_ns: int) -> None:
        super().__init__(window_ns)
        self.kept = 0
        """The count, while it is not after `until_ns`."""

    def count(self, now_ns: int) -> int:
        """Events in the window as of now."""
        stamps, heads = self._stamps, self._heads
        head = heads[0]
        oldest_ns = now_ns - self.windows_ns[0]
        if stamps[head] < oldest_ns:
            head += 1  # mostly one has left, and a search would touch stamps far apart
            if stamps[head] < oldest_ns:
                head = bisect_left(stamps, oldest_ns, head)
            heads[0] = head
        self.until_ns = stamps[head] + self.windows_ns[0]
        self.kept = len(stamps) - 1 - head
        return self.kept


class CancelCounts(_Stamps):
    """How many events lie in the last second and minute."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        super().__init__(SECOND_NS, MINUTE_NS)
        self.kept: list[int] = [0, 0]
        """The counts, while it is not after `until_ns`; never changed in place."""

    def counts(self, now_ns: int) -> list[int]:
        """Events in [second, minute] as of now."""
        stamps, heads = self._stamps, self._heads
        second, minute = heads
        if stamps[second] < now_ns - SECOND_NS:
            second += 1
            if stamps[second] < now_ns - SECOND_NS:
                second = bisect_left(stamps, now_ns - SECOND_NS, second)
            heads[0] = second
        if stamps[minute] < now_ns - MINUTE_NS:
            minute += 1
            if stamps[minute] < now_ns - MINUTE_NS:
                minute = bisect_left(stamps, now_ns - MINUTE_NS, minute)
            heads[1] = minute
        size = len(stamps) - 1
        self.until_ns = min(stamps[second] + SECOND_NS, stamps[minute] + MINUTE_NS)
        self.kept = [size - second, size - minute]
        return self.kept


class OrderCounts(_Stamps):
    """How many events lie in the last second, minute, hour and day.

    Written out, as its sisters are: every decision asks, and a loop costs as much as the work.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(SECOND_NS, MINUTE_NS, HOUR_NS, DAY_NS)

    def counts(self, now_ns: int) -> list[int]:
        """Events in [second, minute, hour, day] as of now."""
        stamps, heads = self._stamps, self._heads
        second, minute, hour, day = heads
        if stamps[second] < now_ns - SECOND_NS:
            second += 1
            if stamps[second] < now_ns - SECOND_NS:
                second = bisect_left(stamps, now_ns - SECOND_NS, second)
            heads[0] = second
        if stamps[minute] < now_ns - MINUTE_NS:
            minute += 1
            if stamps[minute] < now_ns - MINUTE_NS:
                minute = bisect_left(stamps, now_ns - MINUTE_NS, minute)
            heads[1] = minute
        if stamps[hour] < now_ns - HOUR_NS:
            hour += 1
            if stamps[hour] < now_ns - HOUR_NS:
                hour = bisect_left(stamps, now_ns - HOUR_NS, hour)
            heads[2] = hour
        if stamps[day] < now_ns - DAY_NS:
            day += 1
            if stamps[day] < now_ns - DAY_NS:
                day = bisect_left(stamps, now_ns - DAY_NS, day)
            heads[3] = day
        size = len(stamps) - 1
        return [size - second, size - minute, size - hour, size - day]


class RollingSum:
    """The sum of the amounts of one window."""

    __slots__ = ("_events", "_head", "_window_ns", "kept", "leaves_ns")

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self.restore(())

    def add(self, now_ns: int, amount: Decimal) -> None:
        """Count an amount; what left the window before this fact is forgotten for good."""
        events = self._events
        if self._head == len(events):
            self.leaves_ns = now_ns + self._window_ns
        events.append((now_ns, amount))
        self.kept += amount
        if self._head >= _PRUNE_EVERY:
            self.total(now_ns)  # what is dropped below must have left the sum
            gone = self._begin(now_ns)
            del events[:gone]
            self._head -= gone

    def total(self, now_ns: int) -> Decimal:
        """The sum as of now."""
        if now_ns > self.leaves_ns:
            events = self._events
            oldest_ns = now_ns - self._window_ns
            while self._head < len(events) and events[self._head][0] < oldest_ns:
                self.kept -= events[self._head][1]
                self._head += 1
            self._follow()
        return self.kept

    def _begin(self, now_ns: int) -> int:
        """Where the window of a moment begins."""
        return bisect_left(self._events, now_ns - self._window_ns, key=_stamp_of)

    def _follow(self) -> None:
        more = self._head < len(self._events)
        self.leaves_ns = self._events[self._head][0] + self._window_ns if more else _NEVER_NS

    def state(self, now_ns: int) -> list[list[Any]]:
        """Pairs of stamp and amount (text) that count at that moment, asked since or not."""
        kept = self._events[self._begin(now_ns) :]
        return [[stamp, str(amount)] for stamp, amount in kept]

    def restore(self, pairs: Iterable[Sequence[Any]]) -> None:
        """Take a `state()` back."""
        self._events = [(int(stamp), decimal_of(amount)) for stamp, amount in pairs]
        self._head = 0
        self.kept = sum((amount for _, amount in self._events), ZERO)
        """The sum, while it is not after `leaves_ns`, when the oldest amount leaves."""
        self._follow()


def _stamp_of(event: tuple[int, Decimal]) -> int:
    return event[0]


class Windows:
    """What leaves and what comes back, counted: orders, cancels (amends too) and executions."""

    __slots__ = ("cancels", "executions", "orders")

    def __init__(self) -> None:
        self.orders = OrderCounts()
        self.cancels = CancelCounts()
        self.executions = RollingCount(DAY_NS)

    def messages(self, now_ns: int) -> tuple[int, int]:
        """Orders and cancels together in the last second and minute."""
        orders, cancels = self.orders.counts(now_ns), self.cancels.counts(now_ns)
        return orders[0] + cancels[0], orders[1] + cancels[1]
