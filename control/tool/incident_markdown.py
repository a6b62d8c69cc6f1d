"""Writes an incident's note from a running daemon's memory (`incident show --markdown`).

The note itself is `daemon.model.incident_note`: the same text that the incident's pack gets from
the whole journal. Here stands only what a client has to put together for it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from control.status_snapshot import table
from control.tool.status_text import clean
from daemon.model.incident_note import note
from daemon.model.records import EventType

_BEFORE_NS = 60_000_000_000
_AFTER_NS = 60_000_000_000


def held_note(
    incident: Mapping[str, Any],
    events: Iterable[Mapping[str, Any]],
    snapshot: Mapping[str, Any],
) -> str:
    """The note of `incident`; `events` are the last journal lines, as the daemon holds them."""
    incident_id = str(incident.get("incident_id", "?"))
    held = [line for line in events if _integer(line.get("seq")) and line.get("event_type")]
    opened = next((line for line in held if _opens(line, incident_id)), None)
    text = ""
    if opened is None:
        opened = _remembered(incident, snapshot)
        text = (
            "\n> The daemon no longer holds the journal line of this incident; the whole note is "
            f"in the state directory: incidents/{clean(incident_id)}/note.md\n"
        )
    opened_ns = _integer(opened["ts_ns"])
    lines = [
        line
        for line in held
        if line.get("incident_id") == incident_id
        or -_BEFORE_NS <= _integer(line.get("ts_ns")) - opened_ns <= _AFTER_NS
    ]
    binding = {"version": snapshot.get("version"), **table(snapshot, "binding")}
    return note(opened, lines, binding) + text


def _remembered(incident: Mapping[str, Any], snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """The `incident_opened` line, rebuilt from the snapshot."""
    return {
        **incident,
        "event_type": EventType.INCIDENT_OPENED.value,
        "seq": 0,
        "ts_ns": _integer(incident.get("opened_ns")),
        "exchange": snapshot.get("environment"),
        "run_id": snapshot.get("run_id"),
    }


def _opens(line: Mapping[str, Any], incident_id: str) -> bool:
    return (line.get("event_type"), line.get("incident_id")) == (
        EventType.INCIDENT_OPENED.value, incident_id,
    )  # fmt: skip


def _integer(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
