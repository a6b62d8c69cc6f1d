"""The journal's schema: the one contract between the daemon and the evidence module.

Rules of this file:
1. One JSON object a line, UTF-8, no blank lines; keys of the envelope come first, `prev` last.
2. `seq` rises by one a line over the whole state directory, across segments, sessions and boots.
3. `prev` is the SHA-256 (hex) of the line before, without its newline; the first line of a state
   directory has `GENESIS`. So a removed, altered or reordered line shows.
4. Amounts are decimal text, times integer nanoseconds UTC; no float stands in a record.
5. A partial fill is a `fill` with `"partial": true` (`partial_fill` would count as an anomaly
   downstream, runbook/artifacts.md).

Envelope of every line: `seq, ts, ts_ns, schema, run_id, session_id, mode, exchange, event_type,
level, is_error, is_anomaly`, then the type's fields, then `prev`. `session_id` is empty outside a
session. Field names that a foreign tool knows (artifacts.md): `symbol, order_id (venue's),
client_order_id, side, qty, price, msg`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 1
GENESIS = "0" * 64


class EventType(StrEnum):
    """Every `event_type` that a seatrial journal can hold.

    INPUT lines record what the engine was told (with `input`: the tagged plain value), so that a
    run whose RUN_START says `ticks: all` can be re-stepped; a run that says `thinned` lacks those
    that had no consequence. All the others are facts, and state is a fold of the facts.
    """

    INPUT = "input"
    """fields: input {type, …}. Market data, reports, timers, commands: see model/inputs.py."""
    RUN_START = "run_start"
    """fields: run_id, instance, run_number, version, commit, code (SHA-256 of all modules),
    config_hash, caps_hash, account, environment, packages{name: version}, python, key_source (where
    the key was found), warnings (what an operator should hear about that place), ticks (`all`:
    every input of the run is a line; `thinned`: ticks without a consequence are left out, so that
    it cannot be re-stepped), heartbeat_period_ms (a run that states it has heartbeats, and a
    command line for each start, re-arm, resolution and drill)."""
    RUN_STOP = "run_stop"
    """fields: reason, exit_code."""
    RECOVERY = "recovery"
    """fields: records, from_seq, checkpoint_seq (where the fold began; 0: at the first line),
    torn_bytes, torn_sha256, duration_ms."""
    STATE_ACCEPTED = "state_accepted"
    """fields: findings [text], reason, by, uid, accepted_ns, clock_back_ns. An operator went on
    with a state directory whose parts did not agree; beside the boot's lines."""
    CHECKPOINT = "checkpoint"
    """fields: state {…}: everything that a recovery needs, so that older lines need not be read."""
    SESSION_START = "session_start"
    """fields: session_id, version, commit, code, config_hash, caps_hash, account, environment,
    host, packages, strategies, bots [{name, symbols, public_key, capital {…}, …}] (where there
    are some), caps {…}, by, reason."""
    SESSION_STOP = "session_stop"
    """fields: session_id, reason, by, duration_ms, orders, fills, denied."""
    HEARTBEAT = "heartbeat"
    """fields: trading_state, gate_state, open_orders, unknown_orders, queue_age_ms, period_ms,
    counts [approved, denied, fills of the session; incidents, anomalies, errors of the run].
    Written every `period_ms`, so that silence can be told from absence."""
    TRADING_STATE = "trading_state"
    """fields: old, new, why, by, latched."""
    GATE_STATE = "gate_state"
    """fields: old, new, why."""
    CONNECTED = "connected"
    """fields: link (first time up in a run)."""
    DISCONNECTED = "disconnected"
    """fields: link, msg."""
    RECONNECT = "reconnect"
    """fields: link, outage_ms (up again after a loss)."""
    INSTRUMENTS = "instruments"
    """fields: instruments [{instrument_id, symbol, base, quote, status, …filters}]."""
    RISK_CONTEXT = "risk_context"
    """fields: context, instrument_id, caps_hash, portfolio_caps {…}, caps {…}, filters {…}.
    What decisions after it stand on. They name it by `context`: the SHA-256 (hex) of the other
    fields as JSON with sorted keys and no blanks. Written when a session first needs it."""
    ORDER_APPROVED = "order_approved"
    """fields: client_order_id, symbol, instrument_id, strategy_id, side, order_type, qty, price,
    time_in_force, stop_price, reduce_only, extras, terms {quote_qty, tags} (where it has some),
    owner {bot, client_order_id (the bot's), request} (a bot's order), reason, decision {…}, counts
    [approved, denied: of the session so far, this one included]. On disk before the bytes
    leave."""
    ORDER_DENIED = "order_denied"
    """fields: symbol, instrument_id, strategy_id, side, order_type, qty, price, time_in_force,
    owner, deny_reason, deny_context {…}, decision {…}, counts (as an approval has them)."""
    ORDER_STATE = "order_state"
    """fields: client_order_id, symbol, instrument_id, order_id, old, new, why, cum_qty,
    venue_cum_qty, source, ts_venue_ns (of a bot's order, by the venue's clock). One line for
    each row of the lifecycle table that fired."""
    CANCEL_REQUESTED = "cancel_requested"
    """fields: client_order_id, symbol, instrument_id, order_id, why."""
    CANCEL_ALL = "cancel_all"
    """fields: symbol, instrument_id, why."""
    FILL = "fill"
    """fields: exec_id, client_order_id, order_id, symbol, instrument_id, side, qty, price, fee,
    fee_asset, liquidity, partial, recovered, late, ts_venue_ns, ts_recv_ns, position_qty."""
    ORDER_REJECT = "order_reject"
    """fields: client_order_id, symbol, instrument_id, code, msg, kind (fault|filter|business).
    The venue's definite no."""
    CANCEL_REJECT = "cancel_reject"
    """fields: client_order_id, symbol, instrument_id, code, msg."""
    AMEND_REQUESTED = "amend_requested"
    """fields: client_order_id, symbol, instrument_id, order_id, old_qty, qty (the new whole one,
    smaller), cum_qty, lot, why. On disk before the bytes leave; the hold stays at the old quantity
    until the venue has taken it."""
    AMEND_REJECT = "amend_reject"
    """fields: client_order_id, symbol, instrument_id, qty, by (caps|venue|link), code, msg."""
    ORDER_AMENDED = "order_amended"
    """fields: client_order_id, symbol, instrument_id, order_id, old_qty, qty, source. The venue
    says that the order is smaller now."""
    TIMEOUT = "timeout"
    """fields: client_order_id, symbol, instrument_id, request, msg. The outcome is unknown."""
    ORDER_RESOLVED = "order_resolved"
    """fields: client_order_id, symbol, instrument_id, outcome (adopted|absent|not_sent), proof;
    for adopted: order {…}, counted (it was counted against the caps on orders)."""
    RATE_LIMIT = "rate_limit"
    """fields: status, code, scope, until_ns, msg."""
    RECONCILED = "reconciled"
    """fields: reason, clean, differences [{kind, class, symbol, client_order_id, ours, venue}],
    recovered_fills, adopted, canceled, balances {asset: [free, locked]} (those that changed since
    the run's RECONCILED before; with `basis_set` all that are not zero or are traded), basis_set
    (these balances are the basis of comparison from now on), accepted {asset: total}.
    A balance's difference says what it looks like in `change` (model/balance_changes.py); totals in
    `accepted` are of assets that we neither trade nor cap: the comparison goes on from there."""
    EQUITY = "equity"
    """fields: numeraire, equity, peak, drawdown, realised, unrealised, fees, rebased."""
    CAP_ALERT = "cap_alert"
    """fields: cap, symbol, band, used, limit, rising, bot (where the cap is a bot's own)."""
    CAPS_CHANGED = "caps_changed"
    """fields: old_hash, new_hash, changes, by, reason."""
    STRATEGY_ERROR = "strategy_error"
    """fields: strategy_id, where, msg."""
    INCIDENT_OPENED = "incident_opened"
    """fields: incident_id, trigger, msg, symbol, context {…}."""
    INCIDENT_RESOLVED = "incident_resolved"
    """fields: incident_id, by, root_cause, remediation, follow_up."""
    EXPLANATION = "explanation"
    """fields: about_seq, why, by."""
    COMMAND = "command"
    """fields: command_id, method, uid, pid, role, reason, outcome (accepted|refused), msg."""
    KILL = "kill"
    """fields: step (latched|gate_closed|verified_empty), by, uid, reason, gate_ms, empty_ms."""
    RE_ARM = "re_arm"
    """fields: by, uid, reason."""
    DRILL = "drill"
    """fields: drill, passed, detail {…}, duration_ms."""
    CLOCK = "clock"
    """fields: offset_ns, round_trip_ns."""
    EXCHANGE_ERROR = "exchange_error"
    """fields: code, msg, context. An answer of the venue that no rule of ours explains."""
    JOURNAL_FAULT = "journal_fault"
    """fields: msg."""
    BOT_REFUSED = "bot_refused"
    """fields: bot, request, kind (place|cancel|cancel_all|replace|amend|test), client_order_id (the
    bot's), symbol, refusal (a reason of the door), msg. No order came of the request."""
    BOT_ANSWERED = "bot_answered"
    """fields: bot, request, kind, orders [{client_order_id (ours), status, cum_qty}], refused (who
    said no to the request or to its first half, and why; empty: nobody), wait_ns (since the line of
    the request). What the bot was told; a denial by the caps or the door is its own line."""
    BOT_SWITCHED = "bot_switched"
    """fields: bot, state (active|suspended|revoked|gone), reason, by, cancel, canceled (orders
    whose cancel was asked for)."""
    BOT_THROTTLED = "bot_throttled"
    """fields: bot, count, window_ms. So many requests were refused for their rate."""
    SEGMENT_CLOSED = "segment_closed"
    """fields: segment, lines, next. Last line of a rotated segment."""


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
}  # fmt: skip
"""No policy of a promotion may ask for less: the evidence refuses such a policy, and a live gate a
record that was made by one. `…_min` and the drills are the least, the others the most; of
`anomalies_per_session_max` each kind, of `cap_regions_percent_min` at least one cap."""


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


@dataclass(frozen=True, slots=True)
class Severity:
    """How a line counts: `level` and the envelope's two flags (artifacts.md, classification)."""

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
