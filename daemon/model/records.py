"""The journal's schema: the one contract between the daemon and the evidence module.

The fields of each event are declared in `daemon/model/journal_records.py`, from which
`docs/JOURNAL.md` and `docs/journal.schema.json` are made. The evidence imports none of them: it
reads lines by structs of its own (`evidence/read/journal_lines.py`), and a test compares the two.

Rules of this file:
1. One JSON object a line, UTF-8, no blank lines; keys of the envelope come first, `prev` last.
2. `seq` rises by one a line over the whole state directory, across segments, sessions and boots.
3. `prev` is the SHA-256 (hex) of the line before, without its newline; the first line of a state
   directory has `GENESIS`. So a removed, altered or reordered line shows.
4. Amounts are decimal text, times integer nanoseconds UTC; no float stands in a record.
5. A partial fill is a `fill` with `"partial": true` (`partial_fill` would count as an anomaly
   downstream, docs/artifacts.md §1).

Envelope of every line: `seq, ts, ts_ns, schema, run_id, session_id, mode, exchange, event_type,
level, is_error, is_anomaly`, then the type's fields, then `prev`. `session_id` is empty outside a
session. Field names that a foreign tool knows (artifacts.md §1): `symbol, order_id (venue's),
client_order_id, side, qty, price, msg`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

SCHEMA_VERSION = 1
GENESIS = "0" * 64


class EventType(StrEnum):
    """Every `event_type` that a seatrial journal can hold; `docs/JOURNAL.md` explains each.

    INPUT lines record what the engine was told, so that a run whose RUN_START says `ticks: all` can
    be re-stepped; a run that says `thinned` lacks those that had no consequence. All the others are
    facts, and state is a fold of the facts. A name is for ever: never rename, only add.
    """

    INPUT = "input"
    RUN_START = "run_start"
    RUN_STOP = "run_stop"
    RECOVERY = "recovery"
    STATE_ACCEPTED = "state_accepted"
    CHECKPOINT = "checkpoint"
    SESSION_START = "session_start"
    SESSION_STOP = "session_stop"
    HEARTBEAT = "heartbeat"
    TRADING_STATE = "trading_state"
    GATE_STATE = "gate_state"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    RECONNECT = "reconnect"
    INSTRUMENTS = "instruments"
    RISK_CONTEXT = "risk_context"
    ORDER_APPROVED = "order_approved"
    ORDER_DENIED = "order_denied"
    ORDER_STATE = "order_state"
    CANCEL_REQUESTED = "cancel_requested"
    FILL = "fill"
    ORDER_REJECT = "order_reject"
    CANCEL_REJECT = "cancel_reject"
    AMEND_REQUESTED = "amend_requested"
    AMEND_REJECT = "amend_reject"
    ORDER_AMENDED = "order_amended"
    TIMEOUT = "timeout"
    ORDER_RESOLVED = "order_resolved"
    RATE_LIMIT = "rate_limit"
    RECONCILED = "reconciled"
    EQUITY = "equity"
    CAP_ALERT = "cap_alert"
    CAPS_CHANGED = "caps_changed"
    STRATEGY_ERROR = "strategy_error"
    INCIDENT_OPENED = "incident_opened"
    INCIDENT_RESOLVED = "incident_resolved"
    EXPLANATION = "explanation"
    COMMAND = "command"
    KILL = "kill"
    RE_ARM = "re_arm"
    DRILL = "drill"
    CLOCK = "clock"
    EXCHANGE_ERROR = "exchange_error"
    JOURNAL_FAULT = "journal_fault"
    BOT_REFUSED = "bot_refused"
    BOT_ANSWERED = "bot_answered"
    BOT_SWITCHED = "bot_switched"
    BOT_THROTTLED = "bot_throttled"


PROMOTION_FLOOR: dict[str, int | tuple[str, ...]] = {
    "sessions_min": 3,
    "session_minutes_min": 10,
    "session_orders_min": 5,
    "session_fills_min": 1,
    "campaign_orders_min": 50,
    "campaign_minutes_min": 60,
    "crashes_max": 1,
    "anomalies_per_session_max": 50,
    "cap_regions_percent_min": 10,
    "drills_required": (
        "kill-switch", "cap-rejection", "disconnect", "rate-limit", "reconcile", "gating",
    ),
    "drill_age_hours_max": 336,
    "gate_age_hours_max": 72,
    "record_valid_hours": 168,
    "outside_anchors_min": 1,
    "unanchored_minutes_max": 1440,
    "uncovered_minutes_max": 1440,
}  # fmt: skip
"""No policy of a promotion may ask for less: the evidence refuses such a policy, and a live gate a
record that was made by one. `…_min` and the drills are the least, the others the most; of
`anomalies_per_session_max` each kind, of `cap_regions_percent_min` at least one cap."""


POLICY_PREDICATE = "urn:seatrial:promotion-policy:1"
"""predicate: the terms of a promotion policy, as `below_floor` takes them."""


def below_floor(policy: Mapping[str, Any]) -> list[str]:
    """Where a policy (as plain values) asks for less than the floor; a part that is absent, too."""
    found = []
    for name, floor in PROMOTION_FLOOR.items():
        value = policy.get(name)
        if isinstance(floor, tuple):
            drills = value if isinstance(value, list) else []
            found += [f"{name} leaves out {one}" for one in floor if one not in drills]
        elif isinstance(value, dict):
            numbers = [one for one in value.values() if type(one) is int]
            if len(numbers) < len(value):
                found.append(f"{name} holds what is no whole number")
            elif name.endswith("_min") and max(numbers, default=0) < floor:
                found.append(f"{name} names no cap with at least {floor}")
            elif name.endswith("_max") and max(numbers, default=0) > floor:
                found.append(f"{name} allows {max(numbers)} of one kind, at most {floor}")
        elif type(value) is not int:
            found.append(f"{name} is not stated")
        elif name.endswith("_min") and value < floor:
            found.append(f"{name} is {value}, at least {floor}")
        elif not name.endswith("_min") and value > floor:
            found.append(f"{name} is {value}, at most {floor}")
    return found


class Severity(NamedTuple):
    """How a line counts: `level` and the envelope's two flags (artifacts.md §1)."""

    level: str
    is_error: bool
    is_anomaly: bool


INFO = Severity("info", is_error=False, is_anomaly=False)
ANOMALY = Severity("warning", is_error=False, is_anomaly=True)
ERROR = Severity("error", is_error=True, is_anomaly=False)

SEVERITY: dict[EventType, Severity] = {
    EventType.ORDER_REJECT: ANOMALY,
    EventType.TIMEOUT: ANOMALY,
    EventType.RATE_LIMIT: ANOMALY,
    EventType.RECONNECT: ANOMALY,
    EventType.DISCONNECTED: ANOMALY,
    EventType.STATE_ACCEPTED: ANOMALY,
    EventType.STRATEGY_ERROR: ERROR,
    EventType.INCIDENT_OPENED: ERROR,
    EventType.EXCHANGE_ERROR: ERROR,
    EventType.JOURNAL_FAULT: ERROR,
}
"""Types that are not listed are INFO."""


def severity_of(event_type: EventType) -> Severity:
    """How lines of this type count."""
    return SEVERITY.get(event_type, INFO)


ARCHIVE_MANIFEST = "archived.json"
"""In a journal's directory and in an archive's: which segments were moved away, signed (a DSSE
envelope over an in-toto statement), and where the journal begins since."""
ARCHIVE_KEY = "archived.pub"
"""Beside it: the public key (PEM, Ed25519) that signed it."""
ARCHIVE_PREDICATE = "urn:seatrial:journal-archive:1"
"""predicate: segments [{name, sha256 (of the plain bytes), bytes, lines, first_seq, last_seq, prev,
head, runs, place}], oldest first, all that were ever moved; begins {segment, seq, prev, run_id}."""
HOUSEKEEPING_LOCK = ".housekeeping.lock"
"""Held by whoever packs or moves closed segments."""
