"""Recovery after a clock that was ahead: the engine's state as of a time that is earlier.

An operator has said so (`seatrial state accept`), and the journal's next line says it. All that the
state stamps with the future is stamped with now; the caps' windows are filled again from the lines
of the last day, because some left them too soon (`riskcaps/state/clock_step.py`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from daemon.model.amounts import decimal_of
from daemon.shell.journal.segments import lines_of, segments
from daemon.shell.state.state_proof import last_line
from riskcaps.state.clock_step import JournalledDay, step_back
from riskcaps.state.windows import DAY_NS

_COUNTED = (b'"event_type":"order_approved"', b'"event_type":"order_resolved"')
_FILL = b'"event_type":"fill"'
_ENVELOPE_BYTES_MAX = 400


def stepped_back(state: Mapping[str, Any], directory: Path, now_ns: int) -> dict[str, Any]:
    """The engine's durable state (`Engine.state`) as of `now_ns`."""
    seen = _last_day(directory, now_ns)
    gate = step_back(state["interceptor"], now_ns, seen)
    rest = {name: part for name, part in state.items() if name != "interceptor"}
    return {**_clamped(rest, now_ns), "interceptor": gate}


def _clamped(value: Any, now_ns: int, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _clamped(part, now_ns, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_clamped(part, now_ns) for part in value]
    is_time = isinstance(value, int) and (name.startswith("ts_") or name.endswith("_ns"))
    return min(value, now_ns) if is_time else value


def _last_day(directory: Path, now_ns: int) -> JournalledDay:
    """What the lines of the last day, and lines dated later, count against the caps."""
    since_ns, day = now_ns - DAY_NS, JournalledDay()
    for path in reversed(segments(directory)):
        end = last_line(path)
        if end and orjson.loads(end)["ts_ns"] < since_ns:
            break
        for line in lines_of(path):
            _take(line, since_ns, day)
    return day


def _take(line: bytes, since_ns: int, day: JournalledDay) -> None:
    head = line[:_ENVELOPE_BYTES_MAX]
    is_fill = _FILL in head
    if not is_fill and not any(kind in head for kind in _COUNTED):
        return
    record = orjson.loads(line)
    if record["ts_ns"] < since_ns:
        return
    if is_fill:
        qty, price = decimal_of(record["qty"]), decimal_of(record["price"])
        day.traded.append((record["ts_ns"], record["instrument_id"], qty, price))
    elif record["event_type"] == "order_approved" or record.get("counted"):
        day.attempts_ns.append(record["ts_ns"])
