"""Values that the shell sends: codecs make them, sessions only move them."""

from enum import StrEnum

import msgspec


class Purpose(StrEnum):
    """What a request is for: the governor keeps a reserve that only CANCEL and QUERY may use."""

    PLACE = "place"
    """Placements and cancel-replaces: the halt flag stops them at the lowest sending function."""
    CANCEL = "cancel"
    QUERY = "query"
    """Order queries, and the reconciliation that boot, a stop or an operator waits for."""
    ROUND = "round"
    """Routine reconciliation: it has a share of the weight of its own, and no more."""
    DATA = "data"
    """Public data, time, exchange info."""
    READ = "read"
    """Public data that bots ask for: it stops first, long before orders feel it."""
    SESSION = "session"
    """Connect, logon, subscribe."""


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One REST call. `target` is the exact path and query that was signed; send just those bytes.

    `weight` is what the venue charges, `orders` how many unfilled orders it counts when accepted.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    weight: int
    purpose: Purpose
    orders: int = 0
    is_charged_always: bool = False
    """Whether its weight is charged when it succeeds, too: an amend, unlike a placement."""


class WsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One WebSocket API call; `request_id` is echoed by the venue."""

    request_id: str
    payload: bytes
    weight: int
    purpose: Purpose
    orders: int = 0
