"""Machine instructions of one order, one report and one kill, counted by valgrind's callgrind.

    python -m tests.bench.instructions [--doc]

Counted, not timed: a busy machine changes nothing. Two runs of one program differ only in how often
they do the thing, so that start and imports fall out. A kill is the whole process `seatrial kill`,
from exec to its exit, beside `python -c pass`: the interpreter's start is most of it. Takes about
two minutes; needs valgrind.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from tests.bench import order_calls
from tests.bench.order_calls import Calls, of_an_order
from tests.bench.performance_doc import keep_instructions
from tests.bench.spin_venue import TRIGGER_UPDATE_ID
from tests.bench.stages import Turns, Watch
from tests.bench.world import ROOT, SYMBOLS
from tests.support.stop_stage import StopStage

FEW, MANY = 10, 38
"""Below 40, 80 % of what the venue takes in ten seconds: beyond it the governor refuses."""
PLACED = 20
_COLLECTED = re.compile(r"Collected : (\d+)")
CALLGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")


class Uncounted(Calls):
    """Counts nothing: a profile function would be counted too."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was set."""


def of_program(*arguments: str) -> int:
    """The instructions of `python ARGUMENTS`, all threads together.

    Raises:
        RuntimeError: it failed, or valgrind did.
    """
    done = subprocess.run(
        [*CALLGRIND, sys.executable, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, "PYTHONHASHSEED": "0"},  # another seed is as much as a change
    )  # fmt: skip
    found = _COLLECTED.search(done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(f"{' '.join(arguments)}: {done.returncode} {done.stderr[-2000:]}")
    return int(found[1])


def of_orders(count: int) -> None:
    """Wishes to their bytes."""
    order_calls.ORDERS, order_calls.Calls = count, Uncounted  # type: ignore[misc]
    with tempfile.TemporaryDirectory(prefix="bench-instructions-") as name:
        of_an_order(Path(name))


async def of_reports(*, told: bool) -> None:
    """`PLACED` orders, and then, where `told`, the three reports of each."""
    with tempfile.TemporaryDirectory(prefix="bench-instructions-") as name:
        turns = Turns(Path(name), Watch())
        await turns.begin()
        waiting = []
        for _ in range(PLACED):
            turns._tell(turns._top(SYMBOLS[0], TRIGGER_UPDATE_ID))
            turns._orders += 1
            waiting += [payload for _, payload in turns._reports(turns.port.sent[-1])]
        for payload in waiting if told else ():
            turns._tell(turns._report(payload))
        turns.journal.close()


def of_a_kill() -> int:
    """The tool's process; the daemon runs beside it, uncounted."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-instructions-") as name,
        StopStage(Path(name), orders_per_symbol=1, round_trip=False) as stage,
    ):
        stage.start_daemon()
        return of_program(
            "-m", "control.main", "kill", "--socket", str(stage.socket), "--reason", "bench"
        )


def counts() -> dict[str, int]:
    """Instructions, by what was counted."""
    child = ("-m", "tests.bench.instructions", "--child")
    few, many = (of_program(*child, f"orders-{count}") for count in (FEW, MANY))
    placed, told = (of_program(*child, name) for name in ("placed", "told"))
    return {
        "wish to bytes": (many - few) // (MANY - FEW),
        "report (mean of new, partial fill, last fill)": (told - placed) // (3 * PLACED),
        "seatrial kill, the whole process": of_a_kill(),
        "python -c pass": of_program("-c", "pass"),
    }


def main() -> None:
    """Count, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--doc", action="store_true", help="keep them for docs/PERFORMANCE.md")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child.startswith("orders-"):
        of_orders(int(args.child.partition("-")[2]))
    elif args.child:
        asyncio.run(of_reports(told=args.child == "told"))
    else:
        found = counts()
        for what, number in found.items():
            sys.stdout.write(f"{what:48}{number:14,}\n")
        if args.doc:
            keep_instructions(found)


if __name__ == "__main__":
    main()
