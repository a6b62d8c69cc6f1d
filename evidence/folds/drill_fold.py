"""Decides drills again: whether one passed follows from its details, not from its claim.

Rules of this file:
1. `passed: true` is a claim. What each drill must have found stands here a second time, on purpose.
2. A detail that says otherwise makes the claim false; one that is absent leaves it open. Neither
   counts as passed.
3. A drill that this table does not know is open, and false where any detail speaks against it.
"""

from collections.abc import Callable, Mapping
from typing import Any

PASSED, FALSE, OPEN, FAILED = "passed", "false", "open", "failed"
Wanted = object | Callable[[object], bool]


def _is_told(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_duration(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_CLOSED = "halt_flag_closed"
WANTED: Mapping[str, Mapping[str, Wanted]] = {
    "kill-switch": {
        "latch_read_back": True, "venue_verified_empty": True, "venue_open_orders": 0,
        "empty_ms": _is_duration, "rehearsed_order": "", "wish_after_gate_closed": _CLOSED,
        "order_canceled": True, "trading_state": "HALTED", "latched": True,
        "start_while_latched": "latched",
    },
    "cap-rejection": {
        "within_caps": "", "quantity": "order_qty", "notional": "order_notional",
        "price": "price_collar", "gate_closed": _CLOSED, "orders_let_through": 1,
        "denials_journalled": 4,
    },
    "disconnect": {
        "gate_without_orders": "STALE", "wish_without_orders": True, "denied_as": _is_told,
        "compares_again": True, "gate_mended": "READY", "loss_seen": True,
        "compared_and_ready_again": True, "outage_ms": _is_duration,
    },
    "rate-limit": {
        "rehearsed_order": "", "refusals": _is_positive, "incident": ["rate_limit_storm"],
        "trading_state": "HALTED", "gate_closed": True, "order_canceled": True,
        "start_with_incident": "incident_open",
    },
    "reconcile": {
        "incident": ["foreign_order"], "trading_state": "HALTED", "own_books_clean": True,
    },
    "gating": {"confirm_token_needed_here": False},
}  # fmt: skip
"""Drill -> what each detail must be: a value, or what it must satisfy."""
DURATIONS = ("latched_ms", "empty_ms", "outage_ms")
GATING_STEPS = "ABCDEFG"
OF_EVERY_DRILL: Mapping[str, Wanted] = {"orders_approved": 0}
_NONE_WANTED = ("orders_approved", "orders_counted_by_venue", "venue_open_orders", "open_orders",
                "orders_left", "remaining")  # fmt: skip
"""Counts that any drill must have found to be zero, where it states them."""


def longest(detail: object) -> int:
    """The longest duration that a drill measured, in whole ms; no drill is shorter."""
    if not isinstance(detail, Mapping):
        return 0
    figures = [value for name, value in detail.items() if str(name) in DURATIONS]
    return max((value for value in figures if _is_duration(value)), default=0)


def decided(name: str, *, passed: bool, detail: object) -> tuple[str, str]:
    """PASSED, FAILED, FALSE (its details say otherwise) or OPEN (they do not say), and why."""
    if not passed:
        return FAILED, "it says so itself"
    if not isinstance(detail, Mapping):
        return OPEN, "it has no details"
    against = _against(name, detail)
    if against:
        return FALSE, against
    wanted = WANTED.get(name)
    if wanted is None:
        return OPEN, "this accountant does not know what it must find"
    absent = [key for key in (*wanted, *OF_EVERY_DRILL) if key not in detail]
    if name == "gating":
        steps = {str(key).partition(": ")[0] for key in detail if ": " in str(key)}
        absent += [f"step {step}" for step in GATING_STEPS if step not in steps]
    return (OPEN, f"its details do not state {', '.join(absent)}") if absent else (PASSED, "")


def _against(name: str, detail: Mapping[str, Any]) -> str:
    """The first detail that contradicts a pass, or nothing."""
    if detail.get("problem"):
        return f"problem: {str(detail['problem'])[:80]}"
    for key in _NONE_WANTED:
        if key in detail and not _equals(detail[key], 0):
            return f"{key} is {detail[key]!r:.40}"
    for key, wanted in WANTED.get(name, {}).items():
        if key not in detail:
            continue
        found = detail[key]
        is_right = wanted(found) if callable(wanted) else _equals(found, wanted)
        if not is_right:
            return f"{key} is {found!r:.40}"
    for key, found in detail.items():
        if ": " in str(key) and found is not True:
            return f"{str(key)[:60]} is {found!r:.40}"  # a step of the gating drills
    return ""


def _equals(found: object, wanted: object) -> bool:
    """Whether two values are equal and of one type (true is not 1)."""
    return type(found) is type(wanted) and found == wanted
