"""Everything that can keep the gate from READY, or a start away: a closed list, with its words.

Rules of this file:
1. Nothing holds the gate or refuses a start for the venue's sake but by a name of this list;
   `status` prints the names with their details, and `start` and `re-arm` quote them.
2. What concerns one symbol alone never stands here: it blocks that symbol (`symbols_blocked`).
"""

from dataclasses import dataclass
from enum import StrEnum

from daemon.model.enums import Link


class NotReady(StrEnum):
    """Why the gate is not READY, or why READY is not enough to start. Never rename, only add."""

    BANNED = "banned"
    LINK_REST = "link_rest"
    LINK_MARKET = "link_market"
    LINK_ORDER = "link_order"
    INSTRUMENTS = "instruments"
    NO_ROUND = "no_round"
    ROUND_FAILED = "round_failed"
    UNREAD = "unread"
    TO_CONFIRM = "to_confirm"
    NOT_CLEAN = "not_clean"
    RESOLVED = "resolved"


NOT_READY_TEXT: dict[NotReady, str] = {
    NotReady.BANNED: "the venue has shut us out; wait, it opens by itself",
    NotReady.LINK_REST: "REST does not answer; it is tried again by itself",
    NotReady.LINK_MARKET: "the market data connection is down; it is made again by itself",
    NotReady.LINK_ORDER: "the order connection is down; it is made again by itself",
    NotReady.INSTRUMENTS: "the venue has not told its symbols yet (exchangeInfo)",
    NotReady.NO_ROUND: "no reconciliation has completed since the connection was made",
    NotReady.ROUND_FAILED: "the last reconciliation failed; it is tried again by itself",
    NotReady.UNREAD: "the account's history is being read, a part in each round",
    NotReady.TO_CONFIRM: "a difference waits for a second look; ask again in some seconds",
    NotReady.NOT_CLEAN: "the last reconciliation is not clean; mend what differs, then `reconcile`",
    NotReady.RESOLVED: "an incident was resolved, and the books are not compared since",
}
"""What each means, and what to do."""
OF_LINK = {
    Link.REST: NotReady.LINK_REST,
    Link.MARKET: NotReady.LINK_MARKET,
    Link.ORDER: NotReady.LINK_ORDER,
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason that holds now, with its particulars."""

    reason: NotReady
    detail: str = ""

    @property
    def text(self) -> str:
        """One line for an operator."""
        text = f"{self.reason}: {NOT_READY_TEXT[self.reason]}"
        return f"{text} ({self.detail})" if self.detail else text
