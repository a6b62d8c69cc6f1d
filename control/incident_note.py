"""An incident's note in Markdown: what happened, when, and room for the three answers.

Rules of this file:
1. Pure: values in, text out. It shows what the daemon knows; it judges nothing.
2. Text of others cannot break the document: no line ends, no table bars.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from control.render import clean, event_line
from control.snapshot import is_resolved, rows

_BEFORE_NS = 30_000_000_000
_AFTER_NS = 60_000_000_000
TIMELINE_MAX = 80
_TO_FILL_IN = "_(to fill in: `seatrial incident resolve`)_"


def markdown_note(
    incident: Mapping[str, Any],
    events: Iterable[Mapping[str, Any]],
    snapshot: Mapping[str, Any],
) -> str:
    """The note.

    `events` are journal lines as the daemon holds them (the last ones); those from half a minute
    before the incident to a minute after it, and every later line about it, make the timeline.
    """
    incident_id = clean(incident.get("incident_id", "?"))
    opened_ns = _integer(incident.get("opened_ns"))
    seen = list(events)
    resolution = _resolution(incident_id, seen)
    state = "OPEN: the next start is refused"
    if is_resolved(incident):
        state = f"resolved by {_cell(incident.get('resolved_by'))}"
    lines = [
        f"# Incident {incident_id}",
        "",
        f"- **Trigger:** {_cell(incident.get('trigger'))}",
        f"- **What:** {_cell(incident.get('msg'))}",
        f"- **Symbol:** {_cell(incident.get('symbol') or 'all')}",
        f"- **Opened:** {_cell(_opened_at(incident_id, seen) or opened_ns)}",
        f"- **State:** {state}",
        f"- **Where:** {_cell(snapshot.get('environment'))}, run {_cell(snapshot.get('run_id'))}",
        "",
        "## Known when it opened",
        "",
        *_context(incident.get("context")),
        "",
        "## Timeline",
        "",
        *_timeline(incident_id, opened_ns, seen),
        "",
        "## Now",
        "",
        f"- trading {_cell(snapshot.get('trading_state'))}",
        f"- gate {_cell(snapshot.get('gate_state'))}",
        f"- kill latch: {'holds' if snapshot.get('latched') else 'open'}",
        f"- open orders: {len(rows(snapshot, 'open_orders'))}",
    ]
    for title, key in (
        ("Root cause", "root_cause"),
        ("Remediation", "remediation"),
        ("Follow-up", "follow_up"),
    ):
        lines += ["", f"## {title}", "", _cell(resolution.get(key)) or _TO_FILL_IN]
    return "\n".join(lines) + "\n"


def _timeline(incident_id: str, opened_ns: int, events: Iterable[Mapping[str, Any]]) -> list[str]:
    chosen = [
        event
        for event in events
        if event.get("incident_id") == incident_id
        or (opened_ns and -_BEFORE_NS <= _integer(event.get("ts_ns")) - opened_ns <= _AFTER_NS)
    ]
    if not chosen:
        return ["_(no longer held by the daemon: `seatrial evidence report` has all of it)_"]
    shown = chosen[-TIMELINE_MAX:]
    left_out = [f"… {len(chosen) - len(shown)} earlier events"] if len(chosen) > len(shown) else []
    return ["```", *left_out, *(event_line(event).plain.rstrip() for event in shown), "```"]


def _context(context: Any) -> list[str]:
    if not isinstance(context, Mapping) or not context:
        return ["- nothing more than the above"]
    return [f"- {_cell(key)}: {_cell(value)}" for key, value in context.items()]


def _resolution(incident_id: str, events: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    for event in events:
        if (
            event.get("event_type") == "incident_resolved"
            and event.get("incident_id") == incident_id
        ):
            return event
    return {}


def _opened_at(incident_id: str, events: Iterable[Mapping[str, Any]]) -> str:
    for event in events:
        if event.get("event_type") == "incident_opened" and (
            event.get("incident_id") == incident_id
        ):
            return clean(event.get("ts", ""))
    return ""


def _integer(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return clean(" ".join(text.split()).replace("|", "\\|").replace("`", "'"))
