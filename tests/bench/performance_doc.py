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
  the same bytes made beforehand (the physical limit: what the socket alone costs), ccxt async and
  python-binance. Every cap is on, the journal is chained and written first, the gate and the latch
  are looked at with the send. **a2** is the whole daemon under 900 ticks a second.
* **Gateway (g)**: the same client, the same order, in turn straight to the simulated venue and
  through the gateway, 30 ms apart: both are cold each time, as a bot's orders are.
* **Starting (f)**: from exec to READY, bytecode compiled beforehand as an installation does.
* **Calls**: frames of Python and calls of native code, counted with `sys.setprofile`
  (tests/bench/order_calls.py); they do not depend on the machine, so a test holds them.
* **Instructions**: valgrind's callgrind (`python -m tests.bench.instructions`); the difference of
  two runs, so without start and imports. Of a kill it is the whole process `seatrial kill`.
* Not measured here: Nautilus, which needs Python 3.12 and an environment of its own.
"""
MISSED = """## What is missed, and where its time goes

Of an order's way from the wish to its bytes (stamps between the stages, shares): cap decision
29 %, its inputs as text 5 %, the journal's line 11 % and its write(2) 9 %, the socket 22 %,
encoding and signature 14 %, governor, rate at the bytes and clocks 5 %, the rest is making the
objects.

* **a, times ccxt**: five times ccxt's speed would leave 24 µs for all of it; bytes made beforehand
  cost 5 µs, and line, write(2) and socket three times that before anything is decided.
* **cap**: 1,330 byte codes a decision, hold and release (held by a test; 1,717 at commit e8e0cff8,
  1,517 before bots and order lists had caps), and some 28 operations of Decimal. The interpreter's
  loop is half of the time, the counts of orders in their windows a sixth. Each part alone and warm
  takes half as long: the whole is longer than the processor's caches and branch history. Without
  the fast path the table alone takes 36 µs, far above the 12 that would have let it go; so bounds
  and their audit stay.
* **a2, g**: the process sleeps between two orders, and finds its caches cold. A tick that is
  answered runs 75 µs back to back and 150 to 240 after ten milliseconds' sleep; a bot's order
  0.93 ms of venue and daemon back to back, 1.07 every 3 ms, 2.14 every 30 ms: each stretch of it,
  the venue's too, by the same factor of 2.3 to 3. Small loops do not slow down, no call of the
  kernel is wasted (read, write, stat, send), no lock is waited for, and neither huge pages, nor the
  collector off, nor fdatasync left out brings 4 %. What helps is less code, or a main loop that
  does not sleep (`[process] spin_us`, the last line of a2), where a core can be spared for it.
"""
PICTURES = """## Where the time of an order goes

From a wish to its bytes, sampled by py-spy, on the reference interpreter: at commit 18ee774, and
after the merged hops.

![Before](images/order-path-before.svg)

![After](images/order-path-after.svg)
"""
CALLS_BEFORE = {
    "wish to bytes": (61, 34),
    "tick, answered": (189, None),
    "report: new": (72, 60),
    "report: partial fill": (142, None),
    "report: last fill": (151, None),
}
"""Python calls at commit 18ee774, and the target."""
INSTRUCTIONS = "instructions"
INSTRUCTIONS_BEFORE = {
    "wish to bytes": 316_153,
    "report (mean of new, partial fill, last fill)": 372_180,
    "seatrial kill, the whole process": 101_832_640,
    "python -c pass": 72_517_023,
}
"""Instructions at commit e8e0cff8 by the same counter, on the reference interpreter."""


def keep(rows: Sequence[Row], *, path: Path = FIGURES) -> dict[str, Any]:
    """Put measured rows into the file of figures; returns all that it holds now."""
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for name in {row.row for row in rows}:
        known[name] = {
            "on": utc_text(SystemClock().now_ns())[:16].replace("T", " "),
            "python": f"{platform.python_version()} ({platform.python_compiler()})",
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
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
        "| row | measured (UTC) | interpreter | cores | load |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        one = known.get(name)
        if one is None:
            lines.append(f"| {name} | not yet | | | |")
            continue
        told = (one[key] for key in ("on", "python", "cores", "load"))
        lines.append(f"| {name} | {' | '.join(map(str, told))} |")
    lines += ["", "| calls of one order | Python before | Python | native | target | |"]
    lines.append("|---|---|---|---|---|---|")
    for what, (python, native) in calls.items():
        before, target = CALLS_BEFORE[what]
        met = "" if target is None else "✓" if python <= target else "✗"
        limit = "" if target is None else f"≤ {target}"
        lines.append(f"| {what} | {before} | {python} | {native} | {limit} | {met} |")
    counted = known.get(INSTRUCTIONS)
    if counted is not None:
        on, python = counted["on"], counted["python"]
        lines += ["", f"| instructions ({on}, {python}) | before | now | |", "|---|---|---|---|"]
        for what, now in counted["counts"].items():
            before = INSTRUCTIONS_BEFORE.get(what)
            told = ("", "") if before is None else (f"{before:,}", f"{now / before - 1:+.0%}")
            lines.append(f"| {what} | {told[0]} | {now:,} | {told[1]} |")
    return "\n".join([*lines, "", MISSED, METHOD, PICTURES])


def keep_instructions(found: dict[str, int]) -> None:
    """Put counted instructions into the file of figures; `make bench` shows them from then on."""
    known: dict[str, Any] = json.loads(FIGURES.read_text())
    known[INSTRUCTIONS] = {
        "on": utc_text(SystemClock().now_ns())[:16].replace("T", " "),
        "python": platform.python_version(),
        "counts": found,
    }
    FIGURES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def write(rows: Sequence[Row], names: Sequence[str]) -> None:
    """Keep the figures, and make the page anew."""
    calls = {what: usual(found) for what, found in counts().items()}
    PAGE.write_text(page(keep(rows), names, calls))
