"""What the page shows, as plain values: pure, and tolerant of what a status lacks.

Rules of this file:
1. Text of bots, strategies, venues and people loses its control characters here, and is never
   markup: the page puts every text into the document as text.
2. The order is that of an operator's questions: may it trade, what is wrong, what is next.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from control.status_snapshot import caps_rows, is_resolved, rows, share_of, table
from daemon.model.stop_triggers import StopTrigger
from daemon.shell.health.recent_activity import RecentActivity, RecentFill, Sample

ORDERS_SHOWN = 100
SILENT_S = 3.0
TEXT_CHARS_MAX = 400
_TRIPS = {one.value: one.trips for one in StopTrigger}
_STATE = (
    "trading_state", "gate_state", "environment", "mode", "session_id", "session_age_ms", "run_id",
    "instance", "version", "uptime_s", "ending", "latched",
)  # fmt: skip
_ORDER = ("client_order_id", "strategy_id", "side", "order_type", "qty", "cum_qty", "price",
          "status")  # fmt: skip
_HEALTH = (
    "queue_age_s", "loop_lag_s", "loop_lag_max_s", "journal_seq", "journal_bytes",
    "journal_days_left", "disk_free_bytes", "clock_offset_s", "dead_mans_switch",
)  # fmt: skip


def cleaned(value: Any) -> Any:
    """A plain value whose texts are printable and not endless."""
    if isinstance(value, str):
        text = value if len(value) <= TEXT_CHARS_MAX else value[: TEXT_CHARS_MAX - 1] + "…"
        if text.isprintable():
            return text
        return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    if isinstance(value, Mapping):
        return {cleaned(str(name)): cleaned(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(one) for one in value]
    return value


def live_view(status: Mapping[str, Any], *, age_s: float) -> dict[str, Any]:
    """One frame: all of the page that changes with the status.

    Args:
        status: what was last published.
        age_s: how long ago that was; a main loop that hangs shows here.
    """
    reconcile = table(status, "reconcile")
    return {
        "now_ms": int(status.get("ts_ns", 0)) // 1_000_000,
        "age_s": round(age_s, 1),
        "state": {name: status.get(name) for name in _STATE},
        "latch": _latch(status),
        "alarms": list(alarms(status, age_s=age_s)),
        "equity": dict(table(status, "equity")),
        "counts": {
            "orders": status.get("session_orders"),
            "fills": status.get("session_fills"),
            "denied": sum(table(status, "denied").values()),
            "open": len(rows(status, "open_orders")),
            "unknown": table(status, "orders").get("UNKNOWN", 0),
            "incidents_open": status.get("incidents_open", 0),
        },
        "caps": list(_caps(status)),
        "open_orders": [_order(one) for one in rows(status, "open_orders")[:ORDERS_SHOWN]],
        "positions": table(status, "positions"),
        "market": table(status, "market"),
        "incidents": [_incident(one) for one in rows(status, "incidents")],
        "bots": list(_bots(status)),
        "health": {
            **{name: status.get(name) for name in _HEALTH},
            "links": table(status, "links"),
            "problems": list(table(status, "health").get("problems", ())),
            "reconciled_ms": reconcile.get("clean_age_ms"),
        },
    }


def alarms(status: Mapping[str, Any], *, age_s: float) -> Iterable[dict[str, str]]:
    """What an operator must not miss, the worst first: level, what, next command."""
    if age_s > SILENT_S:
        yield _alarm(f"The main loop has been silent for {age_s:.0f} s; what follows is old.",
                     "seatrial kill --reason …")  # fmt: skip
    if status.get("latched"):
        reason = str(table(status, "latch").get("reason") or status.get("latch_reason") or "")
        yield _alarm(f"The kill latch holds: {reason}", "seatrial re-arm --reason …")
    for one in rows(status, "incidents"):
        if not is_resolved(one):
            name = str(one.get("incident_id", ""))
            yield _alarm(f"Incident {name}: {one.get('msg', '')}", f"seatrial incident show {name}")
    if fault := status.get("journal_fault"):
        yield _alarm(f"No order leaves: the journal cannot be written ({fault}).", "df -h")
    if paused := table(status, "venue_pause").get("text"):
        yield _alarm(f"Paused: {paused}", "")
    for one in rows(status, "not_ready"):
        yield _alarm(f"Not ready: {one.get('text', '')}", "seatrial status")
    for symbol, why in table(status, "symbols_blocked").items():
        yield _alarm(f"{symbol} is blocked: {why}", "seatrial incident list")
    for asset, why in table(status, "prices_missing").items():
        yield _alarm(f"No price of {asset}: {why}", "")
    for warning in status.get("warnings") or ():
        yield _alarm(str(warning), "", level="warning")


def _alarm(what: str, then: str, *, level: str = "bad") -> dict[str, str]:
    return {"level": level, "what": what, "next": then}


def _latch(status: Mapping[str, Any]) -> dict[str, Any] | None:
    latch = table(status, "latch")
    if not status.get("latched") and not latch:
        return None
    return {"reason": latch.get("reason") or status.get("latch_reason"), "by": latch.get("by_name")}


def _caps(status: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Every cap, the account's and each bot's own, with the share that is used of it."""
    numeraire = table(status, "equity").get("numeraire")
    for one in caps_rows(status):
        unit, share = one.get("unit"), share_of(one)
        yield {
            "cap": one.get("cap"),
            "symbol": one.get("symbol"),
            "bot": one.get("bot", ""),
            "used": one.get("used"),
            "limit": one.get("limit"),
            "unit": numeraire if unit == "numeraire" else unit,
            "share": None if share is None else float(share),
            "headroom": _headroom(one.get("used"), one.get("limit")),
        }


def _headroom(used: Any, limit: Any) -> str | None:
    try:
        return f"{max(Decimal(str(limit)) - abs(Decimal(str(used))), Decimal(0)):f}"
    except InvalidOperation:
        return None


def _order(order: Mapping[str, Any]) -> dict[str, Any]:
    """One open order; its symbol is that of its instrument."""
    symbol = str(order.get("symbol") or order.get("instrument_id") or "").partition("@")[0]
    shown = {name: order.get(name) for name in _ORDER}
    return {**shown, "symbol": symbol, "since_ms": int(order.get("ts_approved_ns") or 0) // 10**6}


def _incident(incident: Mapping[str, Any]) -> dict[str, Any]:
    """One incident: what, when, why it stopped us, what to do next."""
    name, trigger = str(incident.get("incident_id", "")), str(incident.get("trigger", ""))
    resolved = str(incident.get("resolved_by") or "")
    opened = incident.get("opened_ms", int(incident.get("opened_ns") or 0) // 1_000_000)
    return {
        "incident_id": name,
        "trigger": trigger,
        "what": incident.get("msg"),
        "symbol": incident.get("symbol"),
        "opened_ms": opened,
        "resolved_ms": incident.get("resolved_ms"),
        "resolved_by": resolved,
        "why": why_it_stops(trigger),
        "next": "" if resolved else f"seatrial incident show {name}",
    }


def why_it_stops(trigger: str) -> str:
    """What trips a trigger, in the words of docs/TRIPWIRES.md; empty of one that we do not know."""
    return _TRIPS.get(trigger, "")


def _bots(status: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    seen = table(status, "bots_seen")
    for name, bot in table(status, "bots").items():
        live = table(seen, name)
        yield {
            "name": name,
            **{key: bot.get(key) for key in ("state", "reason", "open_orders", "orders", "fills")},
            "denied": sum(table(bot, "denied").values()) + sum(table(bot, "refused").values()),
            "throttled": live.get("throttled"),
            "silence_s": live.get("longest_silence_s"),
        }


# ---------------------------------------------------------------------- what the hours brought


def history_view(
    activity: RecentActivity,
    before: RecentActivity,
    reports: Mapping[str, Mapping[str, Any]],
    state_dir: Path,
) -> dict[str, Any]:
    """What a page that is opened now has missed.

    Args:
        activity: of this boot.
        before: of the journal before it, as far as it was read.
        reports: by session, the verdict of its report and where the page serves it.
        state_dir: where the command that makes a report finds the journal.
    """
    samples = activity.samples.copy()
    symbols = sorted({symbol for one in samples for symbol in one.prices})
    return {
        "samples": [sample_row(one, symbols) for one in samples],
        "symbols": symbols,
        "fills": [*_numbered_before(before.fills.copy()), *activity.fills.copy()],
        "denials": denials_of(before, activity),
        "incidents": _incidents(before, activity),
        "sessions": _sessions(before, activity, reports, state_dir),
        "strategies": strategies_of(activity),
    }


def sample_row(sample: Sample, symbols: Sequence[str]) -> list[Any]:
    """Time, equity, drawdown, then the price of each symbol."""
    prices = (sample.prices.get(symbol) for symbol in symbols)
    return [sample.ts_ms, sample.equity, sample.drawdown, *prices]


def _numbered_before(fills: Iterable[RecentFill]) -> list[RecentFill]:
    """Fills of before this boot: the last has the number 0."""
    found = list(fills)
    return [one._replace(number=number - len(found) + 1) for number, one in enumerate(found)]


def denials_of(*activities: RecentActivity, since_minute: int = 0) -> list[list[Any]]:
    """Minute (since 1970), reason, count; oldest first."""
    counts: dict[tuple[int, str], int] = {}
    for one in activities:
        for minute, by_reason in one.denials.copy().items():
            if minute < since_minute:
                continue
            for reason, count in by_reason.copy().items():
                counts[minute, reason] = counts.get((minute, reason), 0) + count
    return [[minute, reason, count] for (minute, reason), count in sorted(counts.items())]


def _incidents(*activities: RecentActivity) -> list[dict[str, Any]]:
    """Each incident once, oldest first; an older boot's may have been resolved in this one."""
    found: dict[str, dict[str, Any]] = {}
    for activity in activities:
        for one in activity.incidents.copy():
            found.setdefault(one["incident_id"], _incident(one))
    return list(found.values())


def _sessions(
    before: RecentActivity,
    activity: RecentActivity,
    reports: Mapping[str, Mapping[str, Any]],
    state_dir: Path,
) -> list[dict[str, Any]]:
    """Each session, newest first, with the report that is there of it, or how to make one."""
    told = {one["session_id"]: one for of in (before, activity) for one in of.sessions.copy()}
    return [
        {
            **one,
            "report": reports.get(one["session_id"]),
            "make": f"seatrial evidence report {state_dir}/journal "
            f"--out-dir {state_dir}/reports/{one['session_id']}",
        }
        for one in reversed(told.values())
    ]


def strategies_of(activity: RecentActivity) -> list[dict[str, Any]]:
    """Totals by strategy since boot; an order that was approved before has no name here."""
    return [{"name": name, **one.plain()} for name, one in activity.strategies.copy().items()]
