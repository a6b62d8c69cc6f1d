"""Sessions side by side: are they bound to the same things, and what did each of them show?

A promotion counts sessions only when they ran the same code, config, caps and account. Here an
operator sees, before asking, which binding differs and where a session stands out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evidence.report.report import build_report
from evidence.report.report_text import table
from evidence.report.side_by_side import differences, sessions_compared, side_by_side_rows


def compare(inputs: Sequence[Path]) -> dict[str, Any]:
    """Every session of every journal, with the bindings that are not the same in all of them.

    Raises:
        SourceError: an input cannot be opened.
    """
    return sessions_compared(build_report(inputs).to_json())


def comparison_text(found: Mapping[str, Any]) -> str:
    """The comparison in Markdown."""
    sessions = found["sessions"]
    alike = "the same" if found["is_bound_alike"] else "NOT the same"
    lines = [
        f"# {len(sessions)} sessions",
        "",
        f"Code, config, caps and account are {alike} in all.",
        "",
    ]
    told = differences(found)
    lines += [*(f"- {one}" for one in told), *([""] if told else [])]
    header = ["", *(str(one["session_id"]) for one in sessions)]
    return "\n".join([*lines, *table(header, side_by_side_rows(sessions))])
