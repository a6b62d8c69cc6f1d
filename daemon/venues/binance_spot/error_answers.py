"""Venue error code -> what it proves about the request (binance-spot.md §7).

Rules of this file:
1. Only a definite, typed answer of the venue's own may prove "no". Everything else is UNKNOWN.
2. Any 5xx is UNKNOWN for an order call, whatever its body says: it may come after the execution.
3. An unparsable body (a proxy's HTML) proves nothing, whatever its status.
"""

from daemon.model.reject_kind import RejectKind
from daemon.venues.binance_spot.bans import until_ms_in
from daemon.venues.faults import Cause, Fault, Outcome

_BUSINESS_TEXTS = (
    "would immediately match and take",
    "would trigger immediately",
    "insufficient balance",
    "market is closed",
    "order book liquidity is less than",
)
_UNKNOWN_CODES = frozenset({-1000, -1001, -1006, -1007, -1008})
_LIMIT_CODES = frozenset({-1003, -1015, -1034})
_ORDER_COUNT_CODES = frozenset({-1015, -2021, -2022})
"""A cancel-replace that is over the order count answers 429, with a code of its own halves."""
_KEY_CODES = frozenset({-1002, -1022, -2014, -2015})
_DUPLICATE_TEXT = "duplicate order sent"
_CAUSES = {-1013: Cause.FILTER, -1022: Cause.SIGNATURE, -1121: Cause.NO_SYMBOL}


def classify(status: int, code: int, message: str, *, retry_at_ms: int = 0) -> Fault:
    """Read one error answer. `code` 0 means that no typed body came."""
    outcome = _outcome(status, code, message)
    if outcome is Outcome.LIMITED:
        retry_at_ms = max(retry_at_ms, until_ms_in(message))
    return Fault(
        outcome=outcome,
        status=status,
        code=code,
        message=message,
        retry_at_ms=retry_at_ms,
        scope=limit_scope(status, code),
        cause=_CAUSES.get(code, Cause.OTHER),
        reject_kind=_reject_kind(outcome, code, message.lower()),
    )


def _reject_kind(outcome: Outcome, code: int, text: str) -> RejectKind:
    if outcome in {Outcome.LIMITED, Outcome.CLOCK}:
        return RejectKind.BUSINESS
    if code in {-1013, -2010} and any(words in text for words in _BUSINESS_TEXTS):
        return RejectKind.BUSINESS
    return RejectKind.FILTER if code == -1013 else RejectKind.FAULT


def _outcome(status: int, code: int, message: str) -> Outcome:
    if status in {418, 429} or code in _LIMIT_CODES:
        return Outcome.LIMITED
    if status >= 500 or code == 0 or code in _UNKNOWN_CODES:
        return Outcome.UNKNOWN
    if code == -1021:
        return Outcome.CLOCK
    if code in _KEY_CODES or status == 401:
        return Outcome.KEY
    if code == -2013:
        return Outcome.ABSENT
    if code == -2011:
        return Outcome.NOT_CANCELABLE
    if code == -2010 and _DUPLICATE_TEXT in message.lower():
        return Outcome.LANDED
    if 400 <= status < 500 and code < 0:
        return Outcome.REFUSED
    return Outcome.UNKNOWN


def limit_scope(status: int, code: int) -> str:
    """What a rate refusal is about: `ban`, `orders`, `connections` or `weight`."""
    if status == 418:
        return "ban"
    if code in _ORDER_COUNT_CODES:
        return "orders"
    if code == -1034:
        return "connections"
    return "weight"
