"""What an error answer of a venue proves, whichever venue it is.

Only an adapter makes a `Fault`; everybody else reads its fields and never a venue's own code.
"""

from enum import StrEnum

import msgspec

from daemon.model.reject_kind import RejectKind


class Outcome(StrEnum):
    """What an error answer proves."""

    REFUSED = "refused"
    """Definite no: the request did nothing."""
    UNKNOWN = "unknown"
    """It may have been executed: query."""
    LIMITED = "limited"
    """Definite no for rate; nothing may be sent until the time given."""
    CLOCK = "clock"
    """Definite no for the timestamp: resync, then build and sign a new request."""
    KEY = "key"
    """Definite no for key or signature: stop trading, a human mends it."""
    ABSENT = "absent"
    """A query's "does not exist"."""
    NOT_CANCELABLE = "not_cancelable"
    """A cancel's "unknown order": final, foreign or never there; query it."""
    LANDED = "landed"
    """"Duplicate order sent": the id is open already, so an earlier send arrived: query, adopt."""


DEFINITE = frozenset(
    {
        Outcome.REFUSED,
        Outcome.LIMITED,
        Outcome.CLOCK,
        Outcome.KEY,
        Outcome.NOT_CANCELABLE,
        Outcome.ABSENT,
    }
)
"""Outcomes that prove that the request did nothing."""


class Cause(StrEnum):
    """What a refusal is about, where the link or the doctor does something of its own about it."""

    OTHER = "other"
    FILTER = "filter"
    """The symbol's filters: what we know of them may be out of date."""
    NO_SYMBOL = "no_symbol"
    """The venue has no such symbol: nothing can be open on it."""
    SIGNATURE = "signature"
    """The secret does not belong to the key."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An error answer: what it proves, and what the venue said."""

    outcome: Outcome
    status: int
    code: int
    message: str
    retry_at_ms: int = 0
    """Venue epoch ms, in data or text; 0: not said."""
    scope: str = "weight"
    """What a refusal for rate is about: `ban`, `orders`, `connections` or `weight`."""
    cause: Cause = Cause.OTHER
    reject_kind: RejectKind = RejectKind.FAULT
    """What it says of a placement that it refuses."""

    @property
    def text(self) -> str:
        """One line for a record or an operator."""
        return f"{self.message or 'no message'} (code {self.code}, status {self.status})"
