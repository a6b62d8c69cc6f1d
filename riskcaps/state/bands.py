"""Pre-alert bands: 70, 85 and 100 % of a cap, told before anything is denied.

Rules of this file:
1. A band is told once on the way up and once on the way down. It rises at once; it falls only
   after the use was 5 points below its step for five seconds (hysteresis in height and in time),
   so neither a use that trembles at a step nor a per-second window floods anybody.
2. `up` is the next step that matters. A rule that sees a use at or above `up` asks for a sweep;
   below it, nothing can have changed upward.
"""

from decimal import Decimal

import msgspec

from daemon.model.amounts import NS_PER_S

BANDS_PERCENT = (70, 85, 100)
HYSTERESIS_PERCENT = 5
FALL_AFTER_NS = 5 * NS_PER_S


class CapNotice(msgspec.Struct, frozen=True):
    """Something about a cap that an operator must hear of.

    `kind`: "alert" (a band was passed) or "breach" (a declared action is due). `band` in percent
    (0 for a breach without a band); `action`: none, deny, reduce_only, halt, halt_and_flatten.
    """

    kind: str
    cap: str
    symbol: str
    band: int
    rising: bool
    used: str
    limit: str
    action: str
    text: str
    bot: str = ""
    """Whose cap it is; empty: the account's. What a bot's cap demands befalls that bot alone."""


class Watch:
    """The bands of one cap."""

    __slots__ = ("_low_ns", "band", "cap", "limit", "symbol", "up")

    def __init__(self, cap: str, symbol: str, limit: Decimal | int) -> None:
        self.cap = cap
        self.symbol = symbol
        self.limit = limit
        self.band = 0
        self._low_ns = -1
        self.up = self._step(0)

    def _step(self, band: int) -> Decimal | int:
        """The next step above `band`."""
        for percent in BANDS_PERCENT:
            if percent > band:
                if isinstance(self.limit, int):
                    return -(-self.limit * percent // 100)
                return self.limit * percent / 100
        return self.limit

    def move(self, used: Decimal | int, now_ns: int) -> bool | None:
        """Follow the use. True: a band rose; False: a band fell; None: nothing to tell."""
        if not self.band and used < self.up:
            return None
        scaled = used * 100
        reached = 0
        for percent in BANDS_PERCENT:
            if self.limit > 0 and scaled >= self.limit * percent:
                reached = percent
        if reached > self.band:
            self._low_ns = -1
            self.band = reached
            self.up = self._step(reached)
            return True
        if reached == self.band or scaled >= self.limit * (self.band - HYSTERESIS_PERCENT):
            self._low_ns = -1
            return None
        if self._low_ns < 0:
            self._low_ns = now_ns
        if now_ns - self._low_ns < FALL_AFTER_NS:
            return None
        self._low_ns = -1
        self.band = reached
        self.up = self._step(reached)
        return False
