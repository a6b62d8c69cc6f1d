"""`make bench`: our rows beside their peers, as a table and as JSON.

    python -m tests.bench [--rows a,c,cap] [--quick] [--json bench.json] [--doc]

Exit code 0 when every chosen row could be measured; targets are shown, not enforced, since a busy
neighbour on the machine is no defect of ours.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from rich.console import Console

from tests.bench import performance_doc
from tests.bench.report import Row, show, write_json
from tests.support import forked

ROWS = {
    "a": "tests.bench.order_path",
    "a2": "tests.bench.whole_path",
    "cpu": "tests.bench.in_flight",
    "b1": "tests.bench.market_rate",
    "b2": "tests.bench.report_rate",
    "c": "tests.bench.journal_rate",
    "cap": "tests.bench.cap_rows",
    "d": "tests.bench.evidence_rate",
    "e": "tests.bench.stop",
    "e1": "tests.bench.cancel_rate",
    "f": "tests.bench.boot_rate",
    "m": "tests.bench.scrape_rate",
    "g": "tests.bench.gateway_path",
    "mem": "tests.bench.memory",
}
"""Row -> the module whose `rows(quick=…)` measures it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the chosen rows, show them, write them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rows", default="", help=f"comma-separated: {','.join(ROWS)} (all)")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under 40 seconds")
    parser.add_argument(
        "--doc", action="store_true",
        help="write the figures into docs/PERFORMANCE.md, too; those of few rounds never are",
    )  # fmt: skip
    args = parser.parse_args(argv)
    chosen = [name.strip() for name in args.rows.split(",") if name.strip()] or list(present())
    unknown = [name for name in chosen if name not in ROWS]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    console = Console(width=None if sys.stdout.isatty() else 140)
    start = perf_counter()
    measured: list[Row] = []
    failed: list[str] = []
    for name in chosen:
        console.print(f"measuring row {name} …", highlight=False)
        try:
            measured += measurer(ROWS[name])(quick=args.quick)
        except Exception as error:  # noqa: BLE001 - the other rows are still worth having
            failed.append(name)
            console.print(f"[red]row {name} could not be measured:[/] {error!r}", highlight=False)
    show(measured, console)
    write_json(measured, args.json, quick=args.quick, seconds=perf_counter() - start)
    console.print(f"written to {args.json}", highlight=False)
    if args.doc and not args.quick:
        performance_doc.write(measured, list(ROWS))
        console.print(f"written to {performance_doc.PAGE}", highlight=False)
    return 1 if failed else 0


def present() -> list[str]:
    """Rows whose module is there."""
    return [name for name, module in ROWS.items() if find_spec(module) is not None]


def measurer(module: str) -> Callable[..., list[Row]]:
    """The `rows` function of a row's module."""
    found: Callable[..., list[Row]] = import_module(module).rows
    return found


if __name__ == "__main__":
    forked.is_executed = True
    sys.exit(main())
