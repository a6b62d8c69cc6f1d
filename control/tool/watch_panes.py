"""What the lower part of `seatrial watch` shows: events, incidents, denials, the clock, the help.

Rules of this file:
1. Values in, text out: it asks nobody and knows no widget.
2. A filter is words; an event passes when its line has all of them, in any case.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from control.status_snapshot import is_resolved, rows, table
from control.tool.incident_view import when
from control.tool.status_text import clean, event_line

HELP = """\
k  kill: latch, cancel all of ours, verify     c  cancel all of ours
/  show only events with these words           Escape  show all again
↑ ↓ PgUp PgDn  back and forth in the events    End  follow the newest
e  events      i  incidents      d  denials    q  quit
?  this help

On a screen of 110 columns or more incidents and denials stand beside the events.
Times are UTC. Every key but k and c only looks; both ask back first."""


def lost_headline(snapshot: Mapping[str, Any]) -> Text:
    """The line while no daemon answers: what was last heard is no state."""
    line = Text()
    line.append(" NO ANSWER ", style="bold white on red")
    state, gate = clean(snapshot.get("trading_state", "?")), clean(snapshot.get("gate_state", "?"))
    line.append(f"  last heard: {state}, gate {gate}", style="dim")
    return line


def passing(events: Iterable[Mapping[str, Any]], words: str) -> list[Mapping[str, Any]]:
    """The events whose line has every word."""
    wanted = words.lower().split()
    if not wanted:
        return list(events)
    return [one for one in events if has_all(event_line(one).plain.lower(), wanted)]


def has_all(line: str, words: Iterable[str]) -> bool:
    """Whether every word stands in the line."""
    return all(word in line for word in words)


def event_rows(
    events: Sequence[Mapping[str, Any]], *, room: int, width: int, back: int
) -> list[Text]:
    """The lines that fit, `back` lines above the newest; each cut to the width."""
    end = max(len(events) - back, 0)
    made = [event_line(one) for one in events[max(end - room, 0) : end]]
    for line in made:
        line.truncate(width, overflow="ellipsis")
    return made


def events_title(*, words: str, back: int, count: int) -> str:
    """What the pane of events says of itself."""
    told = "events" if not words else f"events with {clean(words)!r}"
    place = f"{back} back, End follows" if back else "following"
    return f"{told} · {count} · {place}"


def incident_rows(snapshot: Mapping[str, Any], *, room: int, width: int) -> list[Text]:
    """The newest incidents, the open ones first: state, when, what, the next command."""
    found = sorted(rows(snapshot, "incidents"), key=lambda one: -int(one.get("opened_ns") or 0))
    found.sort(key=is_resolved)
    made: list[Text] = []
    for one in found:
        is_over = is_resolved(one)
        name = clean(one.get("incident_id", ""))
        style = "dim" if is_over else "bold red"
        said = f"{'resolved' if is_over else 'OPEN'} {when(one.get('opened_ns'))[11:19]} "
        made.append(Text(said + clean(one.get("msg") or one.get("trigger")), style))
        if not is_over:
            made.append(Text(f"  seatrial incident show {name}", "yellow"))
    return _cut(made or [Text("no incident", "dim")], room, width)


def denial_rows(
    snapshot: Mapping[str, Any],
    events: Iterable[Mapping[str, Any]],
    *,
    room: int,
    width: int,
) -> list[Text]:
    """Counts of the session by reason, most first; below them the newest denials."""
    counts = sorted(table(snapshot, "denied").items(), key=lambda one: -int(one[1]))
    made = [Text(f"{int(count):>6} {clean(reason)}", "yellow") for reason, count in counts]
    if not made:
        made = [Text("nothing was denied in this session", "dim")]
    denied = [one for one in events if one.get("event_type") == "order_denied"]
    for one in denied[: -max(room - len(made), 0) - 1 : -1]:
        said = (one.get("ts", "")[11:19], one.get("deny_reason"), one.get("strategy_id"),
                one.get("symbol"), one.get("side"), one.get("qty"))  # fmt: skip
        made.append(Text(" ".join(clean(part) for part in said if part)))
    return _cut(made, room, width)


def clock_text(now: datetime, *, is_short: bool) -> str:
    """The time in UTC; also here where that is another, unless there is little room."""
    local = now.astimezone()
    here = f" · {local:%H:%M:%S %Z}" if local.utcoffset() and not is_short else ""
    return f"{now:%H:%M:%S} UTC{here}"


def _cut(made: list[Text], room: int, width: int) -> list[Text]:
    for line in made[:room]:
        line.truncate(width, overflow="ellipsis")
    return made[:room]
