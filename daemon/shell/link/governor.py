"""One governor for everything the venue counts, on REST and WebSocket (binance-spot.md §6).

Rules of this file:
1. The venue's own numbers (headers, `rateLimits`) are the truth; ours fill the time between them.
2. Windows are fixed and aligned to the venue's clock; all times here are engine time plus offset.
3. READ stops first, PLACE and DATA early; what is left belongs to SESSION, QUERY and, last of all,
   CANCEL.
4. During a pause nothing is sent at all; a pause for the order count stops placements only.
5. Each thing counted (weight, calls, orders) is counted once, however many windows the venue counts
   it in: a window only knows where its own count began. So an order touches three numbers.
6. A pause whose end the venue named is kept whole, by everybody.
7. Of a pause whose end the venue did not name, or named absurdly, we choose the length
   (`UntoldPauses`): as long as its pages name; one refusal soon after another doubles it, up to the
   three days of the longest ban. A stop has 30 s in all and sends little: after a 429 or a
   firewall's page it asks again after 1, 2, 4 and then every 8 s, one request each time. A ban is
   waited for all the same: the shortest is longer than any stop, and asking lengthens it.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from daemon.model.time_text import date_text
from daemon.venues.contract import RateLimitRow, RatePlan
from daemon.venues.requests import Purpose

if TYPE_CHECKING:
    from daemon.shell.link.order_rate import OrderRate

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_INTERVALS_NS = {
    "SECOND": _NS_PER_S,
    "MINUTE": 60 * _NS_PER_S,
    "HOUR": 3_600 * _NS_PER_S,
    "DAY": 86_400 * _NS_PER_S,
}
_KINDS = ("REQUEST_WEIGHT", "RAW_REQUESTS", "ORDERS", "CONNECTIONS")
# Of the limit, what each purpose may use up (rule 3).
_SHARE_PERMILLE = {
    Purpose.PLACE: 800,
    Purpose.DATA: 800,
    Purpose.READ: 500,
    Purpose.SESSION: 900,
    Purpose.QUERY: 950,
    Purpose.ROUND: 800,
    Purpose.CANCEL: 1000,
}
_ROUNDS_PERMILLE = 300
"""Of the weight of a window, what routine rounds may use among themselves."""
_NEW_WINDOW_GRACE_NS = 500 * _NS_PER_MS
_PAUSE_MAX_NS = 3 * 86_400 * _NS_PER_S
"""The longest ban that the venue's pages name; a later end is taken for a slip."""
_DOUBLINGS_MAX = 12
_PAST_SLACK_NS = 5 * _NS_PER_S
_NEVER = 1 << 62
_CALM_NS = 3_600 * _NS_PER_S
"""A pause that comes so long after the last one is a first one again."""


class UntoldPauses(msgspec.Struct, frozen=True):
    """How long nothing is sent after a refusal that names no time, in seconds (rule 7)."""

    weight: int
    """Also of connections, and of a firewall's page."""
    ban: int
    most: int
    """No doubling goes beyond; a first pause may be longer."""

    def length_ns(self, scope: str, repeats: int) -> int:
        """Of the pause after so many refusals that came soon after each other."""
        first = self.ban if scope == "ban" else self.weight
        return min(first << min(repeats, _DOUBLINGS_MAX), max(first, self.most)) * _NS_PER_S


WORK_PAUSES = UntoldPauses(weight=60, ban=120, most=_PAUSE_MAX_NS // _NS_PER_S)
STOP_PAUSES = UntoldPauses(weight=1, ban=120, most=8)


class Refusal(msgspec.Struct, frozen=True):
    """Why a request may not leave now, and when to ask again (engine time)."""

    reason: str
    until_ns: int


class _Count:
    """What all requests so far have added to one kind of count, and what of it is settled."""

    __slots__ = ("sent", "settled")

    def __init__(self) -> None:
        self.sent = self.settled = 0


class _Window:
    """One limit: fixed windows of `length_ns`, counted from the epoch of the venue's clock."""

    __slots__ = (
        "counted", "end_ns", "forget", "header", "key", "kind", "length_ns", "limit", "mark",
        "name", "rounds",
    )  # fmt: skip

    def __init__(
        self, row: RateLimitRow, header: str, counted: _Count, forget: Callable[[], None]
    ) -> None:
        """`forget` is called when a request may find more or less room than before."""
        self.kind = row.rate_limit_type
        self.counted = counted
        self.forget = forget
        self.length_ns = _INTERVALS_NS[row.interval] * row.interval_num
        self.name = window_name(row)
        self.key = (row.rate_limit_type, row.interval, row.interval_num)
        self.header = header
        self.limit = row.limit
        self.mark = counted.settled
        """What had been sent when the count of this window was 0."""
        self.rounds = 0
        self.end_ns = 0

    @property
    def used(self) -> int:
        return self.counted.sent - self.mark

    def roll(self, now_ns: int) -> None:
        if not self.end_ns - self.length_ns <= now_ns < self.end_ns:
            self.end_ns = (now_ns // self.length_ns + 1) * self.length_ns
            self.mark = self.counted.settled  # what is in flight counts into the new window
            self.rounds = 0
            self.forget()

    def has_room_for_rounds(self, cost: int) -> bool:
        """Whether routine rounds may add so much to what they have used here."""
        return (self.rounds + cost) * 1000 <= self.limit * _ROUNDS_PERMILLE

    def observe(self, count: int, now_ns: int) -> None:
        self.roll(now_ns)
        mark = self.counted.settled - count  # what is in flight may not be in the venue's count
        if mark < self.mark and now_ns - self.end_ns + self.length_ns < _NEW_WINDOW_GRACE_NS:
            return  # the answer was counted in the window before
        if mark != self.mark:
            self.mark = mark
            self.forget()


class _Room(msgspec.Struct, frozen=True):
    """Requests of one kind fit while nothing has been sent beyond these, between these times."""

    from_ns: int
    until_ns: int
    weight: int
    calls: int
    orders: int


def window_name(row: RateLimitRow) -> str:
    """The name of a limit: `REQUEST_WEIGHT_1M`, `ORDERS_10S`."""
    return f"{row.rate_limit_type}_{row.interval_num}{row.interval[:1]}"


class Governor:
    """Admits or refuses each request before it leaves. Not thread-safe: one loop owns it."""

    def __init__(self, plan: RatePlan, *, untold: UntoldPauses = WORK_PAUSES) -> None:
        self.plan = plan
        self.offset_ns = 0
        """Venue clock minus engine time; set by the time sync."""
        self.refusals = 0
        self._weight, self._calls, self._orders = _Count(), _Count(), _Count()
        self._rooms: dict[tuple[Purpose, int, int], _Room] = {}
        self._windows: list[_Window] = [self._window(row) for row in plan.documented]
        self._index()
        self._untold = untold
        self._paused_until_ns = 0
        self._pause_reason = ""
        self._pause_scope = ""
        self._repeats: dict[str, int] = {}
        self._orders_paused_until_ns = 0

    @cached_property
    def rate(self) -> "OrderRate":
        """The cap on orders in a rolling second, at the bytes; the link sets it."""
        # A stop places nothing, and waits for every import.
        from daemon.shell.link.order_rate import OrderRate  # noqa: PLC0415

        return OrderRate()

    def configure(self, rows: Iterable[RateLimitRow]) -> None:
        """Take the limits of exchangeInfo; counts of limits that stay are kept."""
        known = {window.name: window for window in self._windows}
        for row in rows:
            if row.rate_limit_type not in _KINDS or row.interval not in _INTERVALS_NS:
                continue
            if row.interval_num <= 0 or row.limit < 0:
                continue
            window = known.get(window_name(row))
            if window is None:
                window = self._window(row)
                known[window.name] = window
            window.limit = row.limit
        told = {row.rate_limit_type for row in rows}
        names = {window_name(row) for row in rows}
        self._windows = [
            window for window in known.values() if window.kind not in told or window.name in names
        ]
        self._index()

    def admit(
        self, purpose: Purpose, *, weight: int, now_ns: int, orders: int = 0
    ) -> Refusal | None:
        """None: send it now (and it is counted). Else why not, and until when."""
        if now_ns < self._paused_until_ns:
            self.refusals += 1
            return Refusal(self._pause_reason, self._paused_until_ns)
        if orders and now_ns < self._orders_paused_until_ns:
            self.refusals += 1
            return Refusal("order count: paused by the venue", self._orders_paused_until_ns)
        venue_ns = now_ns + self.offset_ns
        of_weight, of_calls, of_orders = self._weight, self._calls, self._orders
        room = self._rooms.get((purpose, weight, orders))
        if (
            room is None
            or not room.from_ns <= venue_ns < room.until_ns
            or of_weight.sent > room.weight
            or of_calls.sent > room.calls
            or of_orders.sent > room.orders
        ):
            refusal = self._look(purpose, weight, orders, venue_ns)
            if refusal is not None:
                self.refusals += 1
                return refusal
        of_weight.sent += weight
        of_calls.sent += 1
        of_orders.sent += orders
        return None

    def _look(self, purpose: Purpose, weight: int, orders: int, venue_ns: int) -> Refusal | None:
        """Ask every window, and note how far the answer holds."""
        share, is_round = _SHARE_PERMILLE[purpose], purpose is Purpose.ROUND
        costs = {self._weight: weight, self._calls: 1, self._orders: orders}
        most = dict.fromkeys(costs, _NEVER)
        charged = [(one, cost) for one in self._windows if (cost := costs.get(one.counted, 0))]
        from_ns, until_ns = -_NEVER, _NEVER
        for window, cost in charged:
            window.roll(venue_ns)
            room = window.limit * share // 1000 - cost
            if window.used > room:
                return Refusal(
                    f"{window.name}: {window.used} of {window.limit} used, {purpose} must wait",
                    window.end_ns - self.offset_ns,
                )
            if is_round and not window.has_room_for_rounds(cost):
                return Refusal(
                    f"{window.name}: {window.rounds} used by routine rounds, which may use "
                    f"{_ROUNDS_PERMILLE // 10} % of {window.limit}",
                    window.end_ns - self.offset_ns,
                )
            most[window.counted] = min(most[window.counted], window.mark + room)
            from_ns = max(from_ns, window.end_ns - window.length_ns)
            until_ns = min(until_ns, window.end_ns)
        if is_round:  # they have a share of their own, which each asks for
            for window, cost in charged:
                window.rounds += cost
        else:
            self._rooms[purpose, weight, orders] = _Room(from_ns, until_ns, *most.values())
        return None

    def admit_connection(self, *, weight: int, now_ns: int) -> Refusal | None:
        """Like `admit`, for a new WebSocket: 300 in 5 minutes, and `weight` for the WS API."""
        venue_ns = now_ns + self.offset_ns
        for window in self._windows:
            if window.kind == "CONNECTIONS":
                window.roll(venue_ns)
                if window.used >= window.limit:
                    return Refusal(f"{window.name}: all used", window.end_ns - self.offset_ns)
                window.mark -= 1
        refusal = self.admit(Purpose.SESSION, weight=weight, now_ns=now_ns)
        if refusal is None:
            self.settle(weight=weight)
        return refusal

    def settle(self, *, weight: int, orders: int = 0, free: bool = False) -> None:
        """A request is answered or lost. `free`: it succeeded and cost 0 (binance-spot.md §6)."""
        if free:
            self._weight.sent -= weight
        else:
            self._weight.settled += weight
        self._calls.settled += 1
        self._orders.settled += orders

    def observe_headers(self, headers: Mapping[str, str], now_ns: int) -> None:
        """Take the counts in an answer's headers."""
        for window in self._windows:
            text = headers.get(window.header) if window.header else None
            if text is not None and text.isascii() and text.isdigit() and len(text) < 12:
                window.observe(int(text), now_ns + self.offset_ns)

    def observe_counts(self, rows: Iterable[RateLimitRow], now_ns: int) -> None:
        """Take the `rateLimits` of a WebSocket API answer."""
        for row in rows:
            if row.count is None:
                continue
            window = self._by_key.get((row.rate_limit_type, row.interval, row.interval_num))
            if window is not None:
                if window.limit != row.limit:
                    window.limit = row.limit
                    self._rooms.clear()
                window.observe(row.count, now_ns + self.offset_ns)

    def pause(self, scope: str, until_ns: int | None, now_ns: int) -> int:
        """The venue refused for rate; returns until when (engine time) nothing is sent.

        `scope`: ban, weight, connections, waf (all stop everything) or orders (placements only).
        Without a usable time from the venue: rule 7.
        """
        if until_ns is not None:
            until_ns = _sane(until_ns, now_ns)
        if scope == "orders":
            if until_ns is None:
                until_ns = self._orders_end_ns(now_ns)
            self._orders_paused_until_ns = max(self._orders_paused_until_ns, until_ns)
            return self._orders_paused_until_ns
        if now_ns > self._paused_until_ns + _CALM_NS:
            self._repeats.clear()
        if now_ns >= self._paused_until_ns:  # else the same refusal, of another request
            self._repeats[scope] = self._repeats.get(scope, -1) + 1
        if until_ns is None:
            until_ns = now_ns + self._untold.length_ns(scope, self._repeats.get(scope, 0))
        if until_ns > self._paused_until_ns:
            self._paused_until_ns = until_ns
            self._pause_scope = scope
            self._pause_reason = f"paused by the venue ({scope}) until {date_text(until_ns)}"
        return self._paused_until_ns

    def until_ns(self, said_ms: int, header: str | None, now_ns: int) -> int | None:
        """The latest end that the venue named, in engine time: data or text, and `Retry-After`."""
        venue_ms = (now_ns + self.offset_ns) // _NS_PER_MS
        at_ms = max(said_ms, self.plan.retry_at_ms(header, venue_ms))
        return at_ms * _NS_PER_MS - self.offset_ns if at_ms else None

    def pause_scope(self, now_ns: int) -> str:
        """What the pause in force is about (ban, weight, connections, waf), empty without one."""
        return self._pause_scope if now_ns < self._paused_until_ns else ""

    def paused_until_ns(self, now_ns: int) -> int:
        """End of the pause in force, 0 when there is none."""
        return self._paused_until_ns if now_ns < self._paused_until_ns else 0

    def used(self, now_ns: int) -> dict[str, int]:
        """What is used, by window name."""
        for window in self._windows:
            window.roll(now_ns + self.offset_ns)
        return {window.name: window.used for window in self._windows}

    def used_by_rounds(self, now_ns: int) -> dict[str, int]:
        """Weight that routine rounds have used, by window name."""
        self.used(now_ns)
        return {
            window.name: window.rounds for window in self._windows if window.counted is self._weight
        }

    def limits(self) -> dict[str, int]:
        """The limits, by window name."""
        return {window.name: window.limit for window in self._windows}

    def _window(self, row: RateLimitRow) -> _Window:
        counted = {
            "REQUEST_WEIGHT": self._weight, "RAW_REQUESTS": self._calls, "ORDERS": self._orders
        }.get(row.rate_limit_type)  # fmt: skip
        return _Window(row, self.plan.header_of(row), counted or _Count(), self._rooms.clear)

    def _index(self) -> None:
        self._by_key = {window.key: window for window in self._windows}
        self._rooms.clear()

    def _orders_end_ns(self, now_ns: int) -> int:
        venue_ns = now_ns + self.offset_ns
        ends = []
        for window in self._windows:
            if window.kind == "ORDERS":
                window.roll(venue_ns)
                ends.append(window.end_ns - self.offset_ns)
        return min(ends, default=now_ns + 10 * _NS_PER_S)


def _sane(until_ns: int, now_ns: int) -> int | None:
    """An end that can be: not long past, not later than the longest ban. None: as good as unsaid.

    One that has just passed is a matter of clocks: a second more, and no loop of refusals.
    """
    if until_ns < now_ns - _PAST_SLACK_NS:
        return None
    return min(max(until_ns, now_ns + _NS_PER_S), now_ns + _PAUSE_MAX_NS)
