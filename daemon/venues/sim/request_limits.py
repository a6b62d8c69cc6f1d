"""Request limits: weight and raw requests per IP, order counts per account, the 429 -> 418 ladder.

Rules of this file:
1. Windows are fixed and aligned to the clock, as the venue documents (binance-spot.md §6).
2. Placements and cancels that succeed cost no weight; a refusal costs the documented weight.
3. Whoever keeps asking while limited is banned (418), each time twice as long.
"""

import msgspec

from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.rate_limits import (
    LimitRule,
    Window,
    banned,
    limit_headers,
    too_many_orders,
    too_much_weight,
)

_S_NS = 1_000_000_000


class LimitConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the limits and of the ban."""

    weight_per_minute: int = 6_000
    orders_per_10s: int = 100
    orders_per_day: int = 200_000
    raw_per_5min: int = 300_000
    requests_while_limited_max: int = 20
    """More than so many during one 429 bring the ban."""
    first_ban_s: int = 120
    maker_fill_credit: int = 2
    """How many unfilled orders the first fill of a maker takes off; a taker takes off one."""


class Limiter:
    """Counts, refuses, bans."""

    def __init__(self, config: LimitConfig) -> None:
        self._config = config
        self._weight = Window(LimitRule("REQUEST_WEIGHT", "MINUTE", 1, config.weight_per_minute))
        self._raw = Window(LimitRule("RAW_REQUESTS", "MINUTE", 5, config.raw_per_5min))
        self._order_rules = (
            LimitRule("ORDERS", "SECOND", 10, config.orders_per_10s),
            LimitRule("ORDERS", "DAY", 1, config.orders_per_day),
        )
        self._orders: dict[str, tuple[Window, Window]] = {}
        self._limited_until_ns = 0
        self._asked_while_limited = 0
        self.banned_until_ns = 0
        self.bans = 0

    @property
    def rules(self) -> tuple[LimitRule, ...]:
        """As exchangeInfo lists them."""
        return (self._weight.rule, *self._order_rules, self._raw.rule)

    def admit(self, now_ns: int) -> None:
        """Count a request that has arrived.

        Raises:
            DialectError: -1003 with status 418 (ban) or 429 (limit), `data.retryAfter` in epoch ms.
        """
        self._raw.add(1, now_ns)
        if now_ns < self.banned_until_ns:
            raise banned(self.banned_until_ns)
        if now_ns < self._limited_until_ns:
            self._asked_while_limited += 1
            if self._asked_while_limited > self._config.requests_while_limited_max:
                self.ban(self._config.first_ban_s << min(self.bans, 8), now_ns)
                raise banned(self.banned_until_ns)
            raise self._too_much()
        for window in (self._weight, self._raw):
            if window.is_full(now_ns):
                self.limit_until(now_ns + window.rest_ns(now_ns))
                raise self._too_much()

    def limit_until(self, until_ns: int) -> None:
        """Refuse with 429 until then."""
        self._limited_until_ns = until_ns
        self._asked_while_limited = 0

    def ban(self, seconds: int, now_ns: int) -> None:
        """Refuse with 418 for so long."""
        self.banned_until_ns = now_ns + seconds * _S_NS
        self.bans += 1
        self._asked_while_limited = 0

    def lift(self) -> None:
        """Nobody is limited or banned any more."""
        self._limited_until_ns = self.banned_until_ns = 0
        self._asked_while_limited = 0

    def charge(self, weight: int, now_ns: int) -> None:
        """Add an answered request's weight."""
        self._weight.add(weight, now_ns)

    def check_orders(self, account: str, count: int, now_ns: int) -> None:
        """Whether the account may place `count` more orders.

        Raises:
            DialectError: -1015 with status 429.
        """
        for window in self._order_windows(account):
            if window.at(now_ns) + count > window.rule.limit:
                raise too_many_orders(window.rule, now_ns + window.rest_ns(now_ns))

    def count_orders(self, account: str, count: int, now_ns: int) -> None:
        """An accepted placement."""
        ten_seconds, day = self._order_windows(account)
        if not day.is_full(now_ns):
            ten_seconds.add(count, now_ns)
        day.add(count, now_ns)

    def first_fill(self, account: str, *, maker: bool, now_ns: int) -> None:
        """The first fill of an order lowers the counts."""
        credit = self._config.maker_fill_credit if maker else 1
        for window in self._order_windows(account):
            window.add(-credit, now_ns)

    def headers(self, now_ns: int, account: str = "") -> dict[str, str]:
        """X-MBX-… headers; order counts when an account is given."""
        weight = self._weight.at(now_ns)
        if not account:
            return limit_headers(weight)
        ten_seconds, day = self._order_windows(account)
        return limit_headers(weight, (ten_seconds.at(now_ns), day.at(now_ns)))

    def rows(self, now_ns: int, account: str = "") -> list[dict[str, object]]:
        """`rateLimits` of a WebSocket API answer; order counts when an account is given."""
        rows = self.order_rows(now_ns, account) if account else []
        rows.append(self._weight.rule.row(self._weight.at(now_ns)))
        return rows

    def order_rows(self, now_ns: int, account: str) -> list[dict[str, object]]:
        """GET /rateLimit/order."""
        return [window.rule.row(window.at(now_ns)) for window in self._order_windows(account)]

    def _order_windows(self, account: str) -> tuple[Window, Window]:
        windows = self._orders.get(account)
        if windows is None:
            ten_seconds, day = self._order_rules
            windows = self._orders[account] = (Window(ten_seconds), Window(day))
        return windows

    def _too_much(self) -> DialectError:
        return too_much_weight(self._config.weight_per_minute, self._limited_until_ns)
