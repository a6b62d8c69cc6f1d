"""Everything that can keep the gate from READY, or a start away: a closed list, with its words.

Rules of this file:
1. Nothing holds the gate or refuses a start for the venue's sake but by a name of this list;
   `status` prints the names with their details, and `start` and `re-arm` quote them.
2. What concerns one symbol alone never stands here: it blocks that symbol (`symbols_blocked`).
"""

from enum import StrEnum
from typing import Self

import msgspec

from daemon.model.enums import Link


class NotReady(StrEnum):
    """Why the gate is not READY, or why READY is not enough to start. Never rename, only add.

    `text` says what it means, and what to do.
    """

    text: str

    def __new__(cls, name: str, text: str) -> Self:
        """A member is its name; the text is its documentation."""
        made = str.__new__(cls, name)
        made._value_ = name
        made.text = text
        return made

    BANNED = "banned", "the venue has shut us out; wait, it opens by itself"
    LINK_REST = "link_rest", "REST does not answer; it is tried again by itself"
    LINK_MARKET = "link_market", "the market data connection is down; it is made again by itself"
    LINK_ORDER = "link_order", "the order connection is down; it is made again by itself"
    INSTRUMENTS = "instruments", "the venue has not told its symbols yet (exchangeInfo)"
    NO_ROUND = "no_round", "no reconciliation has completed since the connection was made"
    ROUND_FAILED = "round_failed", "the last reconciliation failed; it is tried again by itself"
    UNREAD = "unread", "the account's history is being read, a part in each round"
    TO_CONFIRM = "to_confirm", "a difference waits for a second look; ask again in some seconds"
    NOT_CLEAN = (
        "not_clean",
        "the last reconciliation is not clean; mend what differs, then `reconcile`",
    )
    RESOLVED = "resolved", "an incident was resolved, and the books are not compared since"


OF_LINK = {link: NotReady[f"LINK_{link.name}"] for link in Link}


class Obstacle(msgspec.Struct, frozen=True):
    """One reason that holds now, with its particulars."""

    reason: NotReady
    detail: str = ""

    @property
    def text(self) -> str:
        """One line for an operator."""
        text = f"{self.reason}: {self.reason.text}"
        return f"{text} ({self.detail})" if self.detail else text
