"""The preflight: the launch procedure's preconditions and invariants as one list of checks.

Rules of this file:
1. Nothing is left out because something else failed: the operator sees the whole list at once.
2. What cannot be shown has failed. An age in the future is no age.
3. What a check asks and how it is mended stands in `daemon/model/launch_checks.py`, with the
   doctor's: words alone, so the accountant stays independent.
4. A pass expires, at the latest when the first thing that it rests on would turn stale.
5. On a simulated venue everything is checked the same, and every output is labelled REHEARSAL.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from daemon.model.launch_checks import Check
from evidence.folds.drill_fold import OPEN, PASSED, decided
from evidence.gates import dry_run, live_readiness, shadow_testnet, stability
from evidence.gates.artifact import bullets, one_line
from evidence.gates.gates_now import GateLight, LaunchGateState, read_gates
from evidence.read.artifact_times import age_hours, format_time, parse_time
from evidence.read.journal_sources import (
    UNREADABLE,
    SourceError,
    chunks_of,
    line_batches,
    streams_of,
)
from evidence.read.json_inputs import JsonObject

STEM = "preflight"
TITLE = "Preflight"
MAY_START = "MAY_START"
NO_TRADE = "NO_TRADE"
REHEARSAL = "REHEARSAL"
GATE_AGE_HOURS_MAX = 36
DRILL_AGE_HOURS_MAX = 168
VALID_MINUTES = 120
CLOCK_SLACK_HOURS = 1 / 60
"""The daemon's clock does not step with the wall's: so far may a drill seem to be of the future."""
KILL_DRILLS = frozenset({"kill-switch", "kill"})

KILL_ENDS = frozenset({"verified_empty", "not_verified"})

BEFORE_A_SESSION = (stability.STEM, live_readiness.STEM, shadow_testnet.STEM, dry_run.STEM)
"""The gates that must be green before a testnet session; the pilot's comes after it."""


class JournalFacts(msgspec.Struct):
    """The newest proof of the kill switch and the newest boot that a journal holds."""

    kill: dict[str, object] | None = None
    run_start: dict[str, object] | None = None
    faults: list[str] = []


# ------------------------------------------------------------------ gates
def gate_checks(status_dir: Path, now: datetime, hours_max: int) -> list[Check]:
    """One check for each launch gate, from its artifact in `status_dir`."""
    states = {state.stem: state for state in read_gates(status_dir, now, hours_max)}
    return [_gate_check(states[stem], hours_max) for stem in BEFORE_A_SESSION]


def _gate_check(state: LaunchGateState, hours_max: int) -> Check:
    ok = state.light in {GateLight.GREEN, GateLight.REHEARSED}
    reason = f"{state.light}: {state.detail}" if state.detail else str(state.light)
    if state.light is GateLight.REHEARSED:
        reason = f"passed, on evidence of no testnet ({state.detail}): enough to start, never to go"
    return Check(
        name=state.stem,
        ok=ok,
        sentence=reason,
        age_hours=state.age,
        hours_max=hours_max,
    )


# ------------------------------------------------------------------ the kill switch
def read_journal(place: Path) -> JournalFacts:
    """Find the newest kill proof and boot; the newest segment first, no line is held."""
    facts = JournalFacts()
    try:
        files = [file for stream in streams_of([place]) for file in stream.files]
    except SourceError as error:
        facts.faults.append(str(error))
        return facts
    for path in reversed(files):
        newest = JournalFacts()
        try:
            for record in _records(path):
                _keep(record, newest)
        except UNREADABLE as error:
            facts.faults.append(f"{path.name}: {type(error).__name__}: {error}")
        facts.kill = facts.kill or newest.kill
        facts.run_start = facts.run_start or newest.run_start
        if facts.kill and facts.run_start:
            break
    return facts


def _records(path: Path) -> Iterator[dict[str, object]]:
    wanted = (b'"event_type":"kill"', b'"event_type":"drill"', b'"event_type":"run_start"')
    for lines, size in line_batches(chunks_of(path)):
        for line in lines:
            if not size or not any(mark in line for mark in wanted):
                continue
            try:
                record = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeError):
                continue  # the accountant names it; here it proves nothing
            if isinstance(record, dict):
                yield record


def _keep(record: dict[str, object], facts: JournalFacts) -> None:
    kind, drill, step = (str(record.get(name)) for name in ("event_type", "drill", "step"))
    if kind == "run_start":
        facts.run_start = record
    elif (kind == "drill" and drill in KILL_DRILLS) or (kind == "kill" and step in KILL_ENDS):
        facts.kill = record


def kill_drill_check(facts: JournalFacts, mode: str, now: datetime, hours_max: int) -> Check:
    """Whether the kill switch was tried lately, on a venue of this mode, and worked."""
    record = facts.kill
    name = "kill_switch_drill"
    if record is None:
        why = "; ".join(facts.faults) or "no kill and no kill drill stands in the journal"
        return Check(name=name, ok=False, sentence=why)
    made = parse_time(record.get("ts"))
    age = None if made is None else age_hours(now, made)
    if age is not None and -CLOCK_SLACK_HOURS <= age < 0:
        age = 0.0
    worked = record.get("step") == "verified_empty"
    if "drill" in record:
        claim, detail = record.get("passed") is True, record.get("detail")
        worked = decided(str(record["drill"]), passed=claim, detail=detail)[0] in {PASSED, OPEN}
    what = f"drill {record['drill']}" if "drill" in record else f"kill ({record.get('reason')})"
    if not worked:
        reason = f"{what} did not work when it was tried last"
    elif record.get("mode") != mode:
        reason = f"{what} was on {record.get('mode')}, not on {mode}: another key, another host"
    elif age is None or age < 0:
        reason = f"{what} does not say when it was run, or is of the future"
    elif age > hours_max:
        reason = f"{what} worked, {age:.1f} h ago; the limit is {hours_max} h"
    else:
        return Check(
            name=name, ok=True, sentence=f"{what} worked", age_hours=age, hours_max=hours_max
        )
    return Check(name=name, ok=False, sentence=reason, age_hours=age, hours_max=hours_max)


# ------------------------------------------------------------------ the decision
def preflight_value(
    checks: Sequence[Check],
    binding: Mapping[str, str],
    now: datetime,
    *,
    valid_minutes: int = VALID_MINUTES,
) -> JsonObject:
    """Judge the list; `passed` only when every check is ok.

    Args:
        checks: every check, in the order in which they are shown.
        binding: what a pass is for: environment, config_hash, caps_hash, account.
        now: what the ages were counted to.
        valid_minutes: how long a pass may count at most.
    """
    passed = bool(checks) and all(check.ok for check in checks)
    rehearsal = binding.get("environment") == "sim"
    expires = min(
        (
            now + timedelta(hours=check.hours_max - check.age_hours)
            for check in checks
            if check.hours_max is not None and check.age_hours is not None
        ),
        default=now + timedelta(minutes=valid_minutes),
    )
    expires = max(now, min(expires, now + timedelta(minutes=valid_minutes)))
    decision = MAY_START if passed else NO_TRADE
    return {
        "decision": f"{REHEARSAL}_{decision}" if rehearsal else decision,
        "passed": passed,
        "label": REHEARSAL if rehearsal else "",
        "generated_at": format_time(now),
        "expires_at": format_time(expires) if passed else None,
        "made_ns": _nanoseconds(now),
        "expires_ns": _nanoseconds(expires) if passed else None,
        "binding": dict(binding),
        "reasons": [f"{check.name}: {check.sentence}" for check in checks if not check.ok],
        "checks": [
            {
                "check": check.name,
                "ok": check.ok,
                "age_hours": None if check.age_hours is None else round(check.age_hours, 2),
                "hours_max": check.hours_max,
                "reason": check.sentence,
                "mend": check.mend,
            }
            for check in checks
        ],
    }


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def preflight_lines(value: JsonObject) -> list[str]:
    """The list for a terminal."""
    lines = []
    for row in _rows(value):
        age = f"{row['age_hours']:7.2f} h" if row["age_hours"] is not None else " " * 9
        lines.append(f"{'ok  ' if row['ok'] else 'FAIL'}  {row['check']!s:26} {age}  "
                     f"{one_line(row['reason'])}")  # fmt: skip
        if row["mend"]:
            lines.append(f"{'':44}-> {row['mend']}")
    until = f", until {value['expires_at']}" if value["passed"] else ""
    return [*lines, f"{value['decision']}{until}"]


def preflight_markdown(value: JsonObject) -> list[str]:
    """The artifact's Markdown twin. Every heading of a rehearsal says REHEARSAL."""
    mark = f"{value['label']} · " if value["label"] else ""
    binding = value["binding"]
    if not isinstance(binding, dict):
        raise TypeError("not a value of preflight_value")
    return [
        f"# {mark}{TITLE}",
        "",
        f"- decision: **{value['decision']}**",
        f"- generated_at: {value['generated_at']}",
        f"- expires_at: {value['expires_at']}",
        "",
        f"## {mark}Checks",
        "",
        *bullets(
            f"[{'x' if row['ok'] else ' '}] {row['check']}"
            + (f" ({row['age_hours']} h old)" if row["age_hours"] is not None else "")
            + f": {row['reason']}"
            + (f" -> {row['mend']}" if row["mend"] else "")
            for row in _rows(value)
        ),
        "",
        f"## {mark}Bound To",
        "",
        *bullets(f"{name}: {text}" for name, text in sorted(binding.items())),
    ]


def _rows(value: JsonObject) -> list[dict[str, object]]:
    items = value["checks"]
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
