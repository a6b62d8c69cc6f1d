"""What is fixed of each bot, and the counts that its answers' headers show."""

import msgspec

from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.binance_spot.serving.rate_limits import LimitRule, Window, limit_headers


class BotRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of one bot, as far as the gateway needs it."""

    name: str
    symbols: tuple[str, ...]
    can_trade: bool
    patience_s: float
    requests_per_second: int
    requests_burst: int
    cancels_per_second: int
    orders_10s: int
    """Orders in ten seconds that the caps of the account allow."""
    orders_day: int
    cancel_after_ns: int = 0

    @property
    def limits(self) -> tuple[LimitRule, ...]:
        """The `rateLimits` that its exchangeInfo names: a request weighs one here."""
        minute = self.requests_per_second * 60
        return (
            LimitRule("REQUEST_WEIGHT", "MINUTE", 1, minute),
            LimitRule("ORDERS", "SECOND", 10, self.orders_10s),
            LimitRule("ORDERS", "DAY", 1, self.orders_day),
            LimitRule("RAW_REQUESTS", "MINUTE", 5, minute * 5),
        )


class BotAsked(msgspec.Struct, frozen=True, kw_only=True):
    """One request that has passed the door."""

    bot: BotRules
    params: Params
    now_ns: int
    proof: str = ""
    """What was signed, and its signature; empty for HMAC keys."""


class Counts:
    """How much of its limits one bot has used, as headers and rows tell."""

    def __init__(self, rules: BotRules) -> None:
        self._windows = tuple(Window(rule) for rule in rules.limits)

    def request(self, now_ns: int) -> None:
        """One request of the bot's key."""
        self._windows[0].add(1, now_ns)
        self._windows[3].add(1, now_ns)

    def order(self, now_ns: int) -> None:
        """One order that the venue has taken."""
        self._windows[1].add(1, now_ns)
        self._windows[2].add(1, now_ns)

    def headers(self, now_ns: int, *, with_orders: bool) -> dict[str, str]:
        """X-MBX-… headers of an answer."""
        weight, ten_seconds, day, _ = (window.at(now_ns) for window in self._windows)
        return limit_headers(weight, (ten_seconds, day) if with_orders else None)

    def rows(self, now_ns: int, *, with_orders: bool) -> list[dict[str, object]]:
        """`rateLimits` of a WebSocket API answer."""
        shown = self._windows[:3] if with_orders else self._windows[:1]
        return [window.rule.row(window.at(now_ns)) for window in shown]

    def order_rows(self, now_ns: int) -> list[dict[str, object]]:
        """GET /rateLimit/order."""
        return [window.rule.row(window.at(now_ns)) for window in self._windows[1:3]]
