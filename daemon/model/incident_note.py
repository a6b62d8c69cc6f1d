"""The note of an incident in Markdown: what happened, in order, and room for what a human must say.

Rules of this file:
1. Pure: journal lines in, text out. The journal is the source; nothing is judged here.
2. Text of others cannot break the document: no control characters, no bars, no markup at its start.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from daemon.model.records import EventType

MARKER = "<!-- Below this line is yours: what you write here is kept. -->"
TIMELINE_MAX = 240
_VALUE_CHARS_MAX = 160
_NOT_SHOWN = frozenset({EventType.INPUT.value, EventType.CHECKPOINT.value})
_ENVELOPE = frozenset(
    {
        *("seq", "ts", "ts_ns", "schema", "run_id", "session_id", "mode", "exchange"),
        *("event_type", "level", "is_error", "is_anomaly", "prev"),
        *("decision", "binding", "packages", "caps", "state", "balances"),
    }
)
"""Fields that the timeline leaves out: those of every line, and those that are too large."""
Line = Mapping[str, Any]


def note(opened: Line, lines: Sequence[Line], binding: Line) -> str:
    """The note, up to and with the marker.

    Args:
        opened: the `incident_opened` line.
        lines: the journal around it and everything later that concerns it, in order.
        binding: what the run is bound to: the `run_start` line, as far as it is known.
    """
    incident_id = str(opened["incident_id"])
    resolved = _last(lines, EventType.INCIDENT_RESOLVED, incident_id)
    state = "OPEN: the next start is refused"
    if resolved:
        state = f"resolved {resolved.get('ts', '')} by {_text(resolved.get('by'))}"
    symbol = _text(opened.get("symbol")) or "all"
    bot = _bot_of(opened)
    out = [
        f"# Incident {_text(incident_id)}",
        "",
        f"- **Trigger:** {_text(opened.get('trigger'))}",
        f"- **What:** {_text(opened.get('msg'))}",
        f"- **Symbol:** {symbol}",
        *([f"- **Bot:** {bot}"] if bot else []),
        f"- **Opened:** {_text(opened.get('ts'))}, journal line {opened.get('seq')}",
        f"- **State:** {state}",
        f"- **Session:** {_text(opened.get('session_id')) or 'none was on'}",
        f"- **Where:** {_text(opened.get('exchange'))}, run {_text(opened.get('run_id'))}",
        *(
            f"- **{name.replace('_', ' ').capitalize()}:** {_text(binding.get(name))}"
            for name in ("version", "commit", "config_hash", "caps_hash", "account")
            if binding.get(name)
        ),
        "",
        "## What happened",
        "",
        *_story(opened, lines),
        "",
        "## Known when it opened",
        "",
        *(_context(opened.get("context")) or ["nothing beside the above"]),
        "",
        "## Timeline",
        "",
        *_timeline(lines),
        "",
    ]
    for title, name in (
        ("Root cause", "root_cause"),
        ("Remediation", "remediation"),
        ("Follow-up", "follow_up"),
    ):
        answer = resolved.get(name) if resolved else ""
        missing = f"_(to fill in: `seatrial incident resolve {_text(incident_id)}`)_"
        out += [f"## {title}", "", _text(answer, 4_000) or missing, ""]
    out += ["## Notes", "", *_notes(lines, incident_id), "", MARKER, ""]
    return "\n".join(out)


def _bot_of(opened: Line) -> str:
    """The bot whose order or key it is about; empty: no single bot's."""
    context = opened.get("context")
    return _text(context.get("bot")) if isinstance(context, Mapping) else ""


def _story(opened: Line, lines: Sequence[Line]) -> list[str]:
    """What the daemon did by itself, from the lines at and after the incident."""
    after = [line for line in lines if int(line["seq"]) >= int(opened["seq"])]
    before = [line for line in lines if int(line["seq"]) < int(opened["seq"])]
    out = []
    if faults := Counter(str(line["event_type"]) for line in before if _is_fault(line)):
        counts = ", ".join(f"{count} {kind}" for kind, count in faults.most_common())
        out.append(f"- In the minute before: {counts}.")
    halted = [line for line in after if line.get("new") == "HALTED" and _is(line, "trading_state")]
    if halted:
        took_ms = (int(halted[0]["ts_ns"]) - int(opened["ts_ns"])) // 1_000_000
        out.append(f"- Trading was halted {took_ms} ms after it.")
    cancels = sum(_is(line, "cancel_requested") for line in after)
    out.append(f"- {cancels} order(s) were asked to be canceled.")
    out += [
        f"- Bot {_text(line.get('bot'))} became {_text(line.get('state'))}: "
        f"{_text(line.get('reason'))}."
        for line in after
        if _is(line, "bot_switched")
    ]
    out += [
        f"- Session {_text(line.get('session_id'))} ended: {_text(line.get('reason'))}."
        for line in after
        if _is(line, "session_stop")
    ][:1]
    compared = [line for line in after if _is(line, "reconciled")]
    if compared:
        found = len(compared[-1].get("differences") or [])
        clean = "clean" if compared[-1].get("clean") else f"{found} difference(s)"
        out.append(
            f"- Books were compared with the venue's {len(compared)} time(s), last: {clean}."
        )
    out += [f"- Killed: {_text(line.get('reason'))}." for line in after if _is_latch(line)][:1]
    return out


def _is_latch(line: Line) -> bool:
    return _is(line, "kill") and line.get("step") == "latched"


def _is_fault(line: Line) -> bool:
    return bool(line.get("is_error") or line.get("is_anomaly"))


def _is(line: Line, event_type: str) -> bool:
    return bool(line.get("event_type") == event_type)


def _timeline(lines: Sequence[Line]) -> list[str]:
    shown = [line for line in lines if line.get("event_type") not in _NOT_SHOWN]
    left_out = len(shown) - TIMELINE_MAX
    if left_out > 0:
        half = TIMELINE_MAX // 2
        gap = f"| … | … | {left_out} lines are left out here: see journal.jsonl |"
        rows = [*map(_row, shown[:half]), gap, *map(_row, shown[-half:])]
    else:
        rows = [_row(line) for line in shown]
    return ["| time (UTC) | event | |", "|---|---|---|", *rows]


def _row(line: Line) -> str:
    told = ", ".join(
        f"{name} {_text(value)}"
        for name, value in line.items()
        if name not in _ENVELOPE and value not in (None, "", [], {})
    )
    return f"| {_text(line.get('ts'))} | {_text(line.get('event_type'))} | {told[:400]} |"


def _context(context: object) -> list[str]:
    if not isinstance(context, Mapping):
        return []
    return [f"- {_text(name)}: {_text(value)}" for name, value in context.items()]


def _notes(lines: Iterable[Line], incident_id: str) -> list[str]:
    return [
        f"- {_text(line.get('ts'))} {_text(line.get('by'))}: {_text(line.get('why'), 4_000)}"
        for line in lines
        if _is(line, EventType.EXPLANATION.value) and line.get("incident_id") == incident_id
    ] or ["none"]


def _last(lines: Sequence[Line], event_type: EventType, incident_id: str) -> Line:
    found = [
        line
        for line in lines
        if _is(line, event_type.value) and line.get("incident_id") == incident_id
    ]
    return found[-1] if found else {}


def _text(value: object, length: int = _VALUE_CHARS_MAX) -> str:
    """One safe line of any value."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in str(value or "")).split())
    safe = flat.replace("|", "\\|").replace("<", "&lt;").replace("`", "'").replace("[", "\\[")
    return safe if len(safe) <= length else safe[: length - 1] + "…"
