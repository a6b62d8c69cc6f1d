"""Rate limits as clients are told them: rows of `rateLimits`, headers, and the refusals' texts.

Windows are fixed and aligned to the clock, as the venue documents (binance-spot.md §6).
"""

import msgspec

from daemon.venues.binance_spot.serving.dialect_errors import DialectError

_S_NS = 1_000_000_000
_MS_NS = 1_000_000
_UNIT_NS = {"SECOND": _S_NS, "MINUTE": 60 * _S_NS, "DAY": 86_400 * _S_NS}


class LimitRule(msgspec.Struct, frozen=True):
    """One row of `rateLimits`."""

    kind: str
    interval: str
    number: int
    limit: int

    @property
    def span_ns(self) -> int:
        """Length of the window."""
        return _UNIT_NS[self.interval] * self.number

    def row(self, count: int | None = None) -> dict[str, object]:
        """As exchangeInfo prints it; with `count` as the WebSocket API does."""
        row: dict[str, object] = {
            "rateLimitType": self.kind,
            "interval": self.interval,
            "intervalNum": self.number,
            "limit": self.limit,
        }
        if count is not None:
            row["count"] = count
        return row


class Window:
    """A counter of one rule."""

    __slots__ = ("_index", "_span_ns", "count", "rule")

    def __init__(self, rule: LimitRule) -> None:
        self.rule = rule
        self._span_ns = rule.span_ns
        self.count = 0
        self._index = -1

    def at(self, now_ns: int) -> int:
        """The count of the window that `now_ns` is in."""
        index = now_ns // self._span_ns
        if index != self._index:
            self._index = index
            self.count = 0
        return self.count

    def add(self, amount: int, now_ns: int) -> None:
        """Count; never below zero."""
        self.count = max(0, self.at(now_ns) + amount)

    def is_full(self, now_ns: int) -> bool:
        """Whether the limit is reached."""
        return self.at(now_ns) >= self.rule.limit

    def rest_ns(self, now_ns: int) -> int:
        """Time until the window ends."""
        return self.rule.span_ns - now_ns % self.rule.span_ns


def limit_headers(weight: int, orders: tuple[int, int] | None = None) -> dict[str, str]:
    """X-MBX-… headers: the weight of this minute, and the orders of (ten seconds, the day)."""
    used = str(weight)
    headers = {"x-mbx-used-weight": used, "x-mbx-used-weight-1m": used}
    if orders is not None:
        ten_seconds, day = orders
        headers["x-mbx-order-count-10s"] = str(ten_seconds)
        headers["x-mbx-order-count-1d"] = str(day)
    return headers


def too_many_orders(rule: LimitRule, until_ns: int) -> DialectError:
    """-1015 with status 429."""
    span = f"{rule.number} {rule.interval}" + ("S" if rule.number > 1 else "")
    words = f"Too many new orders; current limit is {rule.limit} orders per {span}."
    return DialectError(-1015, words, 429, {"retryAfter": until_ns // _MS_NS})


def too_much_weight(weight_per_minute: int, until_ns: int) -> DialectError:
    """-1003 with status 429."""
    words = (
        "Too much request weight used; current limit is "
        f"{weight_per_minute} request weight per 1 MINUTE. Please use "
        "WebSocket Streams for live updates to avoid polling the API."
    )
    return DialectError(-1003, words, 429, {"retryAfter": until_ns // _MS_NS})


def banned(until_ns: int) -> DialectError:
    """-1003 with status 418."""
    until_ms = until_ns // _MS_NS
    words = f"Way too many requests; IP banned until {until_ms}."
    return DialectError(-1003, words, 418, {"retryAfter": until_ms})
