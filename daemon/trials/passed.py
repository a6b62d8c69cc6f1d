"""Whether a course was passed by the present version of a bot: what `preflight` asks."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from daemon.trials.judging.course import Course
from daemon.trials.judging.rejudge import course_hash, why_not_as_seen

REPORT, OBSERVATIONS = "trial.json", "observations.json"
BESIDE_THE_GATES = "trial_{course}.json", "trial_{course}.observations.json"
"""A report, and what it was made of, where `seatrial promote` looks."""
_BYTES_MAX = 1 << 28
_REPORTS_MAX = 1_000
_HOUR_S = 3_600.0


class AskedCourse(msgspec.Struct, frozen=True, kw_only=True):
    """What a report must be of."""

    course: Course
    bot_version: str
    seed: int
    seatrial: str
    age_hours_max: int


def why_not_passed(reports: Path, asked: AskedCourse, now: datetime) -> str:
    """Empty when a report says that it was; else the reason, for the nearest miss.

    A report counts when it is of this course (by its hash), bot version, seed and version of ours,
    young enough, ended with exit code 0, and its observations, judged again, give the same.
    """
    name = asked.course.name
    paths = sorted(reports.glob(f"*/{REPORT}"))[-_REPORTS_MAX:]
    found = [(path, _read(path)) for path in paths]
    of_course = [(path, row) for path, row in found if row.get("course") == name]
    if not of_course:
        return f"no report of course {name} below {reports}"
    nearest = max(
        (_miss(path, row, asked, now) for path, row in of_course), key=lambda miss: miss.step
    )
    return nearest.why


def why_not_as_kept(report: Mapping[str, Any], kept: Mapping[str, Any]) -> str:
    """Empty when a report says what was observed; `kept`: its course and the observations."""
    if missing := [part for part in ("course", "observations") if part not in kept]:
        return f"what it was made of has no {missing[0]}; run the course again"
    try:
        course = msgspec.convert(kept["course"], Course)
        return why_not_as_seen(report, kept["observations"], course)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return f"what it was made of cannot be read: {error}"


class _Miss(msgspec.Struct, frozen=True):
    """How far a report comes, and why no further."""

    step: int
    why: str


def _miss(path: Path, row: Mapping[str, Any], asked: AskedCourse, now: datetime) -> _Miss:
    where = path.parent.name
    bound = {
        "bot_version": (asked.bot_version, "its command or files have changed"),
        "course_hash": (course_hash(asked.course), "the course is another, or was cut by --only"),
        "seatrial": (asked.seatrial, "seatrial has changed"),
        "seed": (asked.seed, "see `[trials] seed`"),
    }
    for step, (key, (wanted, why)) in enumerate(bound.items()):
        if row.get(key) != wanted:
            told = str(row.get(key))[:12]
            return _Miss(step, f"{where}: {key} is {told}, not {str(wanted)[:12]}: {why}")
    age_h = _age_hours(row.get("generated_at"), now)
    if age_h is None or not 0 <= age_h <= asked.age_hours_max:
        told = "tells no time" if age_h is None else f"was made {age_h:.1f} h ago"
        return _Miss(4, f"{where} {told}; at most {asked.age_hours_max} h are allowed")
    if row.get("exit_code") != 0 or isinstance(row.get("exit_code"), bool):
        return _Miss(5, f"course {asked.course.name} was not passed: {row.get('verdict')}")
    try:
        why = why_not_as_seen(row, _read(path.with_name(OBSERVATIONS)), asked.course)
    except (TypeError, ValueError, AttributeError) as error:
        why = f"it cannot be read: {error}"
    return _Miss(6, f"{where} is not believed: {why}") if why else _Miss(7, "")


def _age_hours(text: object, now: datetime) -> float | None:
    try:
        made = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    made = made if made.tzinfo else made.replace(tzinfo=UTC)
    return (now - made).total_seconds() / _HOUR_S


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; what cannot be read is none."""
    try:
        with path.open("rb") as file:
            row = json.loads(file.read(_BYTES_MAX))
    except (OSError, ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}
