"""Sessions side by side, from a report's plain values: bindings that differ, copies, figures."""

from collections.abc import Mapping, Sequence
from typing import Any

BINDING = ("commit", "version", "config_hash", "caps_hash", "account", "environment")
FIGURES = (
    "mode", "end", "duration_ms", "orders", "fills", "denied", "incidents", "heartbeats",
    "heartbeats_due", "silence_max_ms",
)  # fmt: skip


def sessions_compared(report: Mapping[str, Any]) -> dict[str, Any]:
    """Every session of every journal, with the bindings that are not the same in all of them."""
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


def side_by_side_rows(sessions: Sequence[Mapping[str, Any]]) -> list[list[object]]:
    """Figures and bindings, a column a session."""
    rows = [[name, *(one[name] for one in sessions)] for name in FIGURES]
    bound = [[name, *(str(one["binding"].get(name))[:16] for one in sessions)] for name in BINDING]
    return [*rows, *bound]


def differences(found: Mapping[str, Any]) -> list[str]:
    """Bindings that are not the same in all, and copies, for people."""
    told = [
        f"{name} differs: {', '.join(value[:16] for value in values)}"
        for name, values in found["differing_bindings"].items()
    ]
    return [*told, *(f"copies of one session: {mark[:16]}" for mark in found["copies"])]


def _row(session: Mapping[str, Any]) -> dict[str, Any]:
    names = ("session_id", "run_id", *FIGURES, "binding", "fingerprint")
    return {name: session[name] for name in names}
