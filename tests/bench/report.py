"""What a row of the bench says, and how it is shown and written.

A row compares two figures of the same run: only ratios are quoted, absolute figures belong to one
machine. Figures are medians over interleaved rounds; a p99 is that of the quietest round.
"""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure against its baseline. `value` and `baseline` are in `unit`.

    `judged` is the number that the target speaks of: the ratio where there is a baseline and no
    absolute target, otherwise the value.
    """

    row: str
    name: str
    value: float
    unit: str
    target: str
    met: bool | None
    moonshot: str = ""
    moonshot_met: bool | None = None
    baseline_name: str = ""
    baseline: float | None = None
    ratio: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


def at_most(value: float, limit: float) -> bool:
    """Whether a smaller-is-better figure meets its target."""
    return value <= limit


def at_least(value: float, limit: float) -> bool:
    """Whether a larger-is-better figure meets its target."""
    return value >= limit


def median(values: Iterable[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value at `share` (0 to 1) of an already ordered, non-empty sequence."""
    if not ordered:
        raise ValueError("no values were measured")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table."""
    table = Table(title="seatrial bench (ratios from one run; absolute figures are this machine's)")
    for column in ("row", "what", "figure", "baseline", "ratio", "target", "moonshot"):
        table.add_column(column, justify="right" if column in ("figure", "ratio") else "left")
    for row in rows:
        table.add_row(
            row.row,
            row.name,
            f"{number(row.value)} {row.unit}",
            "" if row.baseline is None else f"{row.baseline_name} {number(row.baseline)}",
            "" if row.ratio is None else f"{number(row.ratio)} x",
            judged(row.target, row.met),
            judged(row.moonshot, row.moonshot_met),
        )
    console.print(table)


def judged(text: str, met: bool | None) -> str:
    """A target and whether it is met."""
    if not text or met is None:
        return text
    return f"[green]{text} ✓[/]" if met else f"[red]{text} ✗[/]"


def number(value: float) -> str:
    """Three significant digits, thousands grouped."""
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def write_json(rows: Sequence[Row], path: Path, *, quick: bool, seconds: float) -> None:
    """Write `bench.json`: where it ran, how, and every row."""
    body = {
        "schema": 1,
        "quick": quick,
        "seconds": round(seconds, 1),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(body, indent=2, allow_nan=False) + "\n")
