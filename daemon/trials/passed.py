"""Whether a course was passed by the present version of a bot: what `preflight` asks."""

import json
from pathlib import Path
from typing import Any

REPORT, OBSERVATIONS = "trial.json", "observations.json"
_BYTES_MAX = 1 << 24
_REPORTS_MAX = 1_000


def why_not_passed(reports: Path, course: str, bot_version: str) -> str:
    """Empty when a report says that it was; else the reason, for the nearest miss.

    A report counts when it is of this course, of this version, and ended with exit code 0.
    """
    found = [_read(path) for path in sorted(reports.glob(f"*/{REPORT}"))[-_REPORTS_MAX:]]
    of_course = [row for row in found if row.get("course") == course]
    if not of_course:
        return f"no report of course {course} below {reports}"
    of_version = [row for row in of_course if row.get("bot_version") == bot_version]
    if not of_version:
        return (
            f"{len(of_course)} reports of course {course}, none of this bot version "
            f"({bot_version[:12]}): its command or files have changed"
        )
    if any(row.get("exit_code") == 0 for row in of_version):
        return ""
    return f"course {course} was not passed: {of_version[-1].get('verdict')}"


def _read(path: Path) -> dict[str, Any]:
    """A report; what cannot be read is none."""
    try:
        with path.open("rb") as file:
            row = json.loads(file.read(_BYTES_MAX))
    except (OSError, ValueError):
        return {}
    return row if isinstance(row, dict) else {}
