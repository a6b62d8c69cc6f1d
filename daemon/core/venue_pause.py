"""A pause that the venue asks for: a fact of the books, which survives a restart."""

import msgspec

from daemon.model.amounts import NS_PER_S
from daemon.model.time_text import date_text

BANS = frozenset({"ban", "waf"})
WHOLE = BANS | {"weight", "connections"}
"""Pauses of every request; that of the order count stops placements only."""


class VenuePause(msgspec.Struct, frozen=True):
    """The venue refused for rate: no request of any kind is sent before `until_ns`."""

    scope: str
    until_ns: int
    reason: str

    def text(self, now_ns: int) -> str:
        """What an operator must hear; empty when it is over."""
        if now_ns >= self.until_ns:
            return ""
        what = "has banned this address" if self.scope in BANS else "has paused all requests"
        left_s = (self.until_ns - now_ns + NS_PER_S - 1) // NS_PER_S
        return (
            f"the venue {what} until {date_text(self.until_ns)} ({left_s} s left, {self.scope}); "
            "nothing is sent before, cancels included"
        )


NO_PAUSE = VenuePause("", 0, "")
