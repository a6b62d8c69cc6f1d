"""docs/PERFORMANCE.md from the figures of `make bench`: rows, targets, what is missed, the method.

A run measures some rows or all; those take the place of the same rows in `docs/performance.json`,
each with where and when it was measured, and the page is made of that file. So a row that was
measured on another day says so, and a row that was never measured is named.
"""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daemon.shell.process.clock import SystemClock, utc_text
from tests.bench.order_calls import counts, usual
from tests.bench.report import Row, number
from tests.bench.world import ROOT

FIGURES, PAGE = ROOT / "docs" / "performance.json", ROOT / "docs" / "PERFORMANCE.md"
HEAD = """# Performance

Made by `make bench` (tests/bench/performance_doc.py); do not edit. Figures belong to the machine
and the hour that stand beside them: **quote ratios, not microseconds**. A row is interleaved with
its baseline in one run, figures are medians over rounds, a p99 is that of the quietest round. The
reference interpreter is the distribution's Python 3.11; an unoptimised build is about 1.2 times
slower. "Load" is the machine's mean number of running programs in the minute before: above one a
core, other programs were measured too. ✓ is met, ✗ is missed, and a row that is missed stays here
with the target that it had.
"""
METHOD = """## Method

* **Order path (a, cpu)**: from a wish to its bytes at a venue that spins on the other core, against
  the same bytes made beforehand (what the socket costs) and ccxt async. Every cap is on, the
  journal is chained and written first. **a2** is the whole daemon under 900 ticks a second.
* **Gateway (g)**: the same client, the same order, in turn straight to the simulated venue and
  through the gateway, 30 ms apart: both are cold each time, as a bot's orders are.
* **Starting (f)**: from exec to READY, bytecode compiled beforehand as an installation does.
* **Calls**: frames of Python and calls of native code, counted with `sys.setprofile`
  (tests/bench/order_calls.py); they do not depend on the machine, so a test holds them.
* Not measured here: python-binance and Nautilus. ccxt is the peer that `make bench` installs.
"""
PICTURES = """## Where the time of an order goes

From a wish to its bytes, sampled by py-spy: at commit 7ee9536, and after "fewer calls".

![Before](images/order-path-before.svg)

![After](images/order-path-after.svg)
"""
CALLS_BEFORE = {
    "wish to bytes": (82, 34),
    "tick, answered": (210, None),
    "report: new": (97, 60),
    "report: partial fill": (165, None),
    "report: last fill": (173, None),
}
"""Python calls at commit 7ee9536, and the target."""


def keep(rows: Sequence[Row], *, quick: bool, path: Path = FIGURES) -> dict[str, Any]:
    """Put measured rows into the file of figures; returns all that it holds now."""
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for name in {row.row for row in rows}:
        known[name] = {
            "on": utc_text(SystemClock().now_ns())[:16].replace("T", " "),
            "python": f"{platform.python_version()} ({platform.python_compiler()})",
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "quick": quick,
            "rows": [asdict(row) for row in rows if row.row == name],
        }
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return known


def page(known: dict[str, Any], names: Sequence[str], calls: dict[str, tuple[int, int]]) -> str:
    """The page; `names` are the rows that there are, in their order."""
    lines = [
        HEAD,
        "| row | what | figure | baseline | ratio | target | |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        for row in known.get(name, {}).get("rows", []):
            base = "" if row["baseline"] is None else number(row["baseline"])
            ratio = "" if row["ratio"] is None else f"{number(row['ratio'])} x"
            met = {True: "✓", False: "✗", None: ""}[row["met"]]
            lines.append(
                f"| {name} | {row['name']} | {number(row['value'])} {row['unit']} "
                f"| {row['baseline_name']} {base} | {ratio} | {row['target']} | {met} |"
            )
    lines += [
        "",
        "| row | measured (UTC) | interpreter | cores | load | |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        one = known.get(name)
        if one is None:
            lines.append(f"| {name} | not yet | | | | |")
            continue
        told = (one[key] for key in ("on", "python", "cores", "load"))
        rounds = "few rounds" if one["quick"] else ""
        lines.append(f"| {name} | {' | '.join(map(str, told))} | {rounds} |")
    lines += ["", "| calls of one order | Python before | Python | native | target | |"]
    lines.append("|---|---|---|---|---|---|")
    for what, (python, native) in calls.items():
        before, target = CALLS_BEFORE[what]
        met = "" if target is None else "✓" if python <= target else "✗"
        limit = "" if target is None else f"≤ {target}"
        lines.append(f"| {what} | {before} | {python} | {native} | {limit} | {met} |")
    return "\n".join([*lines, "", METHOD, PICTURES])


def write(rows: Sequence[Row], names: Sequence[str], *, quick: bool) -> None:
    """Keep the figures, and make the page anew."""
    calls = {what: usual(found) for what, found in counts().items()}
    PAGE.write_text(page(keep(rows, quick=quick), names, calls))
