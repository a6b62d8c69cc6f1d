"""Lets a report replace an earlier one of the same inputs only."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evidence.read.journal_sources import SourceError

SESSIONS_TOLD = 3


def check_place(plain: Mapping[str, Any], path: Path) -> None:
    """Refuse to write over what is not an earlier report of these inputs.

    Args:
        plain: the report that is to be written.
        path: where its JSON goes.

    Raises:
        SourceError: what lies there speaks of something that this report does not.
    """
    if not path.exists():
        return
    mend = "give another --out-dir, or --replace to write over it"
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        lost = _subjects(old) - _subjects(plain)
        told = ", ".join(_sessions(old)[:SESSIONS_TOLD]) or "no session"
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{path}: is there, and is no report of this version; {mend}") from error
    if lost:
        raise SourceError(f"{path}: is the report of other inputs ({told}); {mend}")


def _subjects(report: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """What a report speaks of: journals by first line, sessions, foreign files by their bytes."""
    found = {
        ("journal", str(one["integrity"]["first_ts_ns"]), *one["sessions"]["instances"])
        for one in report["journals"]
    }
    found |= {("session", one) for one in _sessions(report)}
    return found | {("foreign", str(one["name"]), str(one["sha256"])) for one in report["foreign"]}


def _sessions(report: Mapping[str, Any]) -> list[str]:
    return [
        str(session["session_id"])
        for one in report["journals"]
        for session in one["sessions"]["sessions"]
    ]
