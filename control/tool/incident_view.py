"""One incident for a person: what happened, when, what differed, what to do next."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from control.status_snapshot import bot_of_incident, is_resolved, rows, table
from control.tool.status_text import clean

_SAID_ABOVE = {
    "incident_id", "id", "trigger", "msg", "opened_ns", "resolved_by", "context",
    "notes", "symbol", "state", "resolved",
}  # fmt: skip
_NS_PER_S = 1_000_000_000
_BEFORE_NS = 60 * _NS_PER_S
_LINES_MAX = 30
_SIDES = ("ours", "venue")
"""The two that differ: nothing on one side is said."""
_OPEN = ("not_clean", "to_confirm", "round_failed")


def when(ts_ns: Any) -> str:
    """A time in UTC and in this machine's zone; empty when there is none."""
    if not isinstance(ts_ns, int) or isinstance(ts_ns, bool) or ts_ns <= 0:
        return ""
    seconds, rest = divmod(ts_ns, _NS_PER_S)
    at = datetime.fromtimestamp(seconds, UTC)
    told = f"{at:%Y-%m-%d %H:%M:%S}.{rest // 1_000_000:03d} UTC"
    local = at.astimezone()
    return told if not local.utcoffset() else f"{told} ({local:%H:%M:%S %Z})"


def not_clean(status: Mapping[str, Any]) -> str:
    """What the last reconciliation left standing; empty: it was clean, or none is known."""
    told = [
        clean(row.get("detail") or row.get("text"))
        for row in rows(status, "not_ready")
        if row.get("reason") in _OPEN
    ]
    return "; ".join(told)


def still_differs(incident: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """What stands, where the incident is about books and venue and they still differ."""
    has_differences = bool(table(incident, "context").get("differences"))
    return not_clean(status) if has_differences else ""


def incident_lines(
    incident: Mapping[str, Any],
    status: Mapping[str, Any] | None = None,
    state_dir: Path | None = None,
) -> Iterable[str]:
    """The incident as lines of text.

    Args:
        incident: as the daemon tells it.
        status: the snapshot, which says whether books and venue still differ.
        state_dir: where its note is, where that is known.
    """
    name = clean(incident.get("incident_id", incident.get("id", "?")))
    resolved = is_resolved(incident)
    yield f"{name}  {'resolved' if resolved else 'OPEN'}  {clean(incident.get('trigger', ''))}"
    if what := clean(incident.get("msg", "")):
        yield f"what      {what}"
    if symbol := clean(incident.get("symbol", "")):
        yield f"symbol    {symbol}"
    if bot := clean(bot_of_incident(incident)):
        yield f"bot       {bot}"
    opened = incident.get("opened_ns")
    if told := when(opened):
        yield f"opened    {told}"
    if by := clean(incident.get("resolved_by", "")):
        yield f"resolved  by {by}"
    context = dict(table(incident, "context"))
    yield from _block("differs", context.pop("differences", None))
    yield from _block("context", context)
    yield from _block("notes", incident.get("notes"))
    rest = {key: value for key, value in incident.items() if key not in _SAID_ABOVE and value}
    yield from _block("more", rest)
    note = f"incidents/{name}/note.md"
    where = f"{note} in the state directory" if state_dir is None else clean(state_dir / note)
    if resolved:
        yield f"answers   {where}"
    else:
        yield from _next(name, opened, not_clean(status or {}), where)


def lines_about(
    incident: Mapping[str, Any], events: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The last thirty journal lines, as the daemon holds them, that have to do with an incident.

    Those that name it, and those of the minute before it was opened; of its symbol, where it has
    one, and those of no symbol.
    """
    name = incident.get("incident_id", incident.get("id"))
    symbol = incident.get("symbol")
    opened_ns = incident.get("opened_ns")

    def is_about(event: Mapping[str, Any]) -> bool:
        if event.get("incident_id") == name:
            return True
        ts_ns = event.get("ts_ns")
        if not isinstance(ts_ns, int) or not isinstance(opened_ns, int):
            return False
        is_near = opened_ns - _BEFORE_NS <= ts_ns <= opened_ns
        return is_near and (not symbol or event.get("symbol", symbol) == symbol)

    return [event for event in events if is_about(event)][-_LINES_MAX:]


def _next(name: str, opened_ns: Any, stands: str, note: str) -> Iterable[str]:
    """What to type, in its order: mend and compare, then resolve."""
    title = "next"
    if stands:
        yield f"{title:<9} mend what differs: {stands}"
        yield f"{'':<9} seatrial reconcile"
        title = "then"
    resolve = f"seatrial incident resolve {name} --root-cause … --remediation … --follow-up …"
    yield f"{title:<9} {resolve}"
    yield f"{'':<9} the whole note with its journal lines: {note}"
    if isinstance(opened_ns, int) and opened_ns > _BEFORE_NS:
        since = datetime.fromtimestamp((opened_ns - _BEFORE_NS) // _NS_PER_S, UTC)
        lines = f"seatrial journal query --since {since:%Y-%m-%dT%H:%M:%SZ}"
        yield f"{'':<9} all lines: {lines}; one order: seatrial order ID"


def _block(title: str, value: Any) -> Iterable[str]:
    """A table of the incident, one row a line; nothing when it is empty."""
    for number, line in enumerate(_rows(value)):
        yield f"{title if number == 0 else '':<9} {line}"


def _rows(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            if isinstance(one, Mapping | list) and one:
                yield f"{clean(key)}:"
                yield from (f"  {line}" for line in _rows(one))
            elif one not in (None, "", {}, []):
                yield f"{clean(key)}: {when(one) if str(key).endswith('_ns') else clean(one)}"
    elif isinstance(value, list | tuple):
        for one in value:
            if isinstance(one, Mapping):
                yield ", ".join(_cell(k, v) for k, v in one.items() if v or k in _SIDES)
            else:
                yield clean(one)
    elif value not in (None, ""):
        yield clean(value)


def _cell(key: Any, value: Any) -> str:
    said = "none" if value in (None, "") else clean(value)
    return f"{clean(key).replace('_', ' ')} {said}"
