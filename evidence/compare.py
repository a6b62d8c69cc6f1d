"""Sessions side by side: are they bound to the same things, and what did each of them show?

A promotion counts sessions only when they ran the same code, config, caps and account. Here an
operator sees, before asking, which binding differs and where a session stands out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evidence.report import build_report
from evidence.report_text import table

BINDING = ("commit", "version", "config_hash", "caps_hash", "account", "environment")
FIGURES = (
    "mode", "end", "duration_ms", "orders", "fills", "denied", "incidents", "heartbeats",
    "heartbeats_due", "silence_max_ms",
)  # fmt: skip


def compare(inputs: Sequence[Path]) -> dict[str, Any]:
    """Every session of every journal, with the bindings that are not the same in all of them.

    Raises:
        SourceError: an input cannot be opened.
    """
    report = build_report(inputs).to_json()
    sessions = [
        {"journal": journal["name"], **_row(session)}
        for journal in report["journals"]
        for session in journal["sessions"]["sessions"]
    ]
    values = {name: sorted({str(one["binding"].get(name)) for one in sessions}) for name in BINDING}
    fingerprints = [one["fingerprint"] for one in sessions]
    return {
        "sessions": sessions,
        "is_bound_alike": bool(sessions) and all(len(found) == 1 for found in values.values()),
        "differing_bindings": {name: found for name, found in values.items() if len(found) > 1},
        "copies": sorted({one for one in fingerprints if fingerprints.count(one) > 1}),
    }


def _row(session: Mapping[str, Any]) -> dict[str, Any]:
    names = ("session_id", "run_id", *FIGURES, "binding", "fingerprint")
    return {name: session[name] for name in names}


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
