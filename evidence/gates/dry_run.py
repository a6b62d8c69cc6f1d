"""The live dry-run checklist: the two gates, and the drills of the NO_TRADE path line by line.

Rules of this file:
1. Nothing here trades: it reads two artifacts and, where given, the recorded results of drills.
2. Without drill results the checklist is the launch procedure's own. With them, a drill that did
   not pass is a hard failure `DRILL_FAILED_<NAME>`: a control that was tried and did not work.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from evidence.folds.drill_fold import OPEN, PASSED, decided
from evidence.gates.artifact import bullets
from evidence.gates.scorecard import (
    STABILITY_GATE_FAIL,
    ScorecardDecision,
    gate_passed,
    listed,
    provenance_markdown,
)
from evidence.read.artifact_times import format_time
from evidence.read.event_input import Intake, read_events
from evidence.read.json_inputs import Artifact, JsonObject, MalformedInputError

STEM = "live_dryrun_checklist"
TITLE = "Live Dry-Run Checklist"
NO_TRADE_NOTE = "NO_TRADE: this checklist reads artifacts and drill results; it sends no order."


class DrillResult(msgspec.Struct, frozen=True):
    """One drill as it was recorded.

    `passed` is true only where the record says true and its details do not say otherwise.
    """

    name: str
    passed: bool
    ts: str | None
    detail: object
    duration_ms: object
    decided: str = PASSED
    """What its details give (`evidence.folds.drill_fold`)."""


def read_drills(path_text: str) -> list[DrillResult]:
    """The newest result of every drill in a file (JSON array, JSON lines) or journal directory.

    Objects with a field `drill` are results; other lines of a journal are passed over.

    Raises:
        MalformedInputError: the path is missing, or holds something that is not an event.
    """
    path = Path(path_text)
    mend = "write it with `seatrial drill --all --json`, or point at the journal directory"
    if not path.exists():
        raise MalformedInputError(path, "no such file or directory", mend)
    intake = Intake()
    newest: dict[str, DrillResult] = {}
    for event in read_events(path, "auto", intake):
        name = event.get("drill")
        if isinstance(name, str) and name:
            stamp, claim = event.get("ts"), event.get("passed") is True
            found = decided(name, passed=claim, detail=event.get("detail"))
            newest[name] = DrillResult(
                name=name,
                passed=found[0] in {PASSED, OPEN},
                decided=found[0],
                ts=stamp if isinstance(stamp, str) else None,
                detail=event.get("detail"),
                duration_ms=event.get("duration_ms"),
            )
    for doubt in intake.doubts.all():
        raise MalformedInputError(path, f"not readable: {doubt.words()}", mend)
    return [newest[name] for name in sorted(newest)]


def judge_dry_run(
    stability: Artifact,
    readiness: Artifact,
    now: datetime,
    drills: Sequence[DrillResult] | None = None,
) -> JsonObject:
    """Make the checklist; `ok` when nothing failed."""
    failures = []
    if stability.is_missing:
        failures.append("MISSING_STABILITY_GATE")
    if readiness.is_missing:
        failures.append("MISSING_LIVE_READINESS")
    if not failures:
        if not gate_passed(stability):
            failures.append(STABILITY_GATE_FAIL)
        if readiness.get("decision") != ScorecardDecision.GO:
            failures.append("READINESS_NOT_GO")
    if drills is not None:
        failures += [f"DRILL_FAILED_{_code(drill.name)}" for drill in drills if not drill.passed]
        if not drills:
            failures.append("NO_DRILL_RECORDED")
    return {
        "generated_at": format_time(now),
        "ok": not failures,
        "hard_failures": failures,
        "notes": [NO_TRADE_NOTE],
        "seatrial": {
            "inputs": [artifact.provenance() for artifact in (stability, readiness)],
            "remarks": _remarks(drills),
            "drills": [
                {
                    "drill": drill.name,
                    "passed": drill.passed,
                    "ts": drill.ts,
                    "duration_ms": drill.duration_ms,
                    "detail": drill.detail,
                }
                for drill in drills or ()
            ],
        },
    }


def _remarks(drills: Sequence[DrillResult] | None) -> list[str]:
    if drills is None:
        return ["DRILLS_NOT_EXECUTED"]
    return [f"DRILL_NOT_DECIDED_{_code(drill.name)}" for drill in drills if drill.decided == OPEN]


def _code(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name).upper()


def dry_run_markdown(value: JsonObject) -> list[str]:
    """The checklist's Markdown twin."""
    extras = value["seatrial"]
    if not isinstance(extras, dict):
        raise TypeError("not a value of judge_dry_run")
    return [
        f"# {TITLE}",
        "",
        f"- generated_at: {value['generated_at']}",
        f"- ok: **{str(value['ok']).lower()}**",
        "",
        "## Hard Failures",
        "",
        *bullets(listed(value, "hard_failures")),
        "",
        "## Drills",
        "",
        *bullets(
            f"[{'x' if drill['passed'] else ' '}] {drill['drill']} ({drill['ts'] or 'undated'})"
            for drill in listed(extras, "drills")
            if isinstance(drill, dict)
        ),
        "",
        "## Notes",
        "",
        *bullets(listed(value, "notes")),
        "",
        *provenance_markdown(value),
    ]
