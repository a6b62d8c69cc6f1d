"""Sessions side by side: are they bound to the same things, and what did each of them show?

A promotion counts sessions only when they ran the same code, config, caps and account. Here an
operator sees, before asking, which binding differs and where a session stands out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evidence.report.report import build_report
from evidence.report.report_text import table
from evidence.report.side_by_side import BINDING, FIGURES, sessions_compared


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
    for name, values in found["differing_bindings"].items():
        lines.append(f"- {name} differs: {', '.join(value[:16] for value in values)}")
    lines += [f"- copies of one session: {mark[:16]}" for mark in found["copies"]]
    lines += [""] * bool(found["differing_bindings"] or found["copies"])
    header = ["", *(str(one["session_id"]) for one in sessions)]
    rows = [[name, *(one[name] for one in sessions)] for name in FIGURES]
    rows += [[name, *(str(one["binding"].get(name))[:16] for one in sessions)] for name in BINDING]
    return "\n".join([*lines, *table(header, rows)])
