"""`make bench-stop`: the three roads to a stop, with a stopwatch; the venue's ledger is the judge.

    python -m tests.bench.stop [--runs 30] [--roads normal,spin] [--json bench-stop.json]

200 orders rest on 10 symbols of a venue one millisecond away, between real processes. Times count
from the moment at which the stop was asked for (for the second process: from its exec), on the
asking side's clock; "last cancel" is the venue's own stamp. Exit code 1 when a run left an order
open at the venue or could not prove that it did not; targets are shown, not enforced, since a busy
neighbour on the machine is no defect of ours.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from daemon.shell.clock import SystemClock
from tests.bench.report import Row, at_most, judged, quantile
from tests.support.stop_stage import ROOT, StopStage

NS_PER_MS = 1_000_000
STEPS = ("gate closed", "last cancel at venue", "verified empty")
TOOL = ("control.main", "kill", "--direct")
SHORT = ("daemon.direct_kill",)
STUCK_MS = ((100, 500), (20, 300))
"""Gate and venue empty: targets, then moonshots."""
NORMAL_MS = ((1, 50), (0.2, 10))


@dataclass(frozen=True, slots=True)
class Run:
    """One stop: milliseconds since it was asked for, and what the venue's books held after it."""

    gate_ms: float
    cancel_ms: float
    empty_ms: float
    open_orders: int
    verified: bool


@dataclass(slots=True)
class Road:
    """One road with its runs."""

    name: str
    what: str
    runs: list[Run] = field(default_factory=list)

    def figure(self, step: str, share: float) -> float:
        """A quantile of one step."""
        name = {"gate closed": "gate_ms", STEPS[1]: "cancel_ms", STEPS[2]: "empty_ms"}[step]
        return quantile(sorted(getattr(run, name) for run in self.runs), share)

    @property
    def left_open(self) -> int:
        """The most that the venue's own books held after any run."""
        return max(run.open_orders for run in self.runs)

    @property
    def proven(self) -> bool:
        """Whether every run said, and the venue's books agree, that nothing is open."""
        return not self.left_open and all(run.verified for run in self.runs)


ROADS = {
    "normal": "kill over the control socket",
    "spin": "the same, a strategy in `while True: pass`",
    "block": "the same, a strategy in a blocking call",
    "storm": "the same, a strategy collecting garbage without end",
    "sigstop": "seatrial kill --direct, daemon SIGSTOPped",
    "sigkill": "seatrial kill --direct, daemon killed -9",
    "short": "python -m daemon.direct_kill, daemon SIGSTOPped",
}


class Bench:
    """Brings one stage into place for a road and reads the stopwatch, once."""

    def __init__(self, stage: StopStage) -> None:
        self._stage = stage
        self._clock = SystemClock()

    def measure(self, road: str) -> Run:
        """One run of a road."""
        stage = self._stage
        stage.start_daemon()
        stage.fill()
        if road == "normal":
            return self._by_socket()
        if road in {"sigstop", "short"}:
            stage.send_signal(signal.SIGSTOP)
            return self._by_process(SHORT if road == "short" else TOOL)
        if road == "sigkill":
            stage.kill_hard()
            return self._by_process(TOOL)
        stage.signal(road)
        stage.until_stuck()
        return self._by_socket()

    def _by_socket(self) -> Run:
        asked_ns = self._clock.now_ns()
        result = self._stage.kill()
        return self._judged(asked_ns, self._clock.now_ns(), result)

    def _by_process(self, command: tuple[str, ...]) -> Run:
        asked = ["--config", str(self._stage.config), "--reason", "bench", "--json"]
        asked_ns = self._clock.now_ns()
        with subprocess.Popen(
            [sys.executable, "-m", *command, *asked], cwd=ROOT, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            answered_ns = self._clock.now_ns()
        return self._judged(asked_ns, answered_ns, json.loads(line))

    def _judged(self, asked_ns: int, answered_ns: int, result: dict[str, Any]) -> Run:
        """The answer counts from its own start; the asking side's clock adds the way there."""
        books = self._stage.ledger_since(asked_ns)
        total_ms = (answered_ns - asked_ns) / NS_PER_MS
        before_ms = total_ms - float(result["settled_ms"] or 0)
        last_ns = max((int(row["ts_ns"]) for row in books["cancels"]), default=asked_ns)
        return Run(
            gate_ms=before_ms + float(result["gate_ms"]),
            cancel_ms=(last_ns - asked_ns) / NS_PER_MS,
            empty_ms=total_ms,
            open_orders=len(books["open_orders"]),
            verified=bool(result["verified"]),
        )


def measure(roads: Sequence[str], runs: int, tell: Callable[[str], None]) -> list[Road]:
    """Every chosen road `runs` times, in turn, so that a busy minute strikes them all.

    Each run has a venue and a daemon of its own: the venue counts the weight of all requests of a
    minute, and a daemon that comes back in a busy one waits, as it must.
    """
    measured = [Road(name, ROADS[name]) for name in roads]
    for number in range(runs):
        for road in measured:
            with (
                tempfile.TemporaryDirectory(prefix="bench-stop-") as directory,
                StopStage(Path(directory)) as stage,
            ):
                road.runs.append(Bench(stage).measure(road.name))
        tell(f"round {number + 1} of {runs}")
    return measured


def rows_of(road: Road) -> list[Row]:
    """The rows of one road against the targets of performance.md."""
    targets, moonshots = NORMAL_MS if road.name == "normal" else STUCK_MS
    made = []
    for step, target, moonshot in zip((STEPS[0], STEPS[2]), targets, moonshots, strict=True):
        value = road.figure(step, 0.5)
        made.append(
            Row(
                row="e",
                name=f"{road.name}: {step}, 200 orders",
                value=value,
                unit="ms",
                target=f"≤ {target} ms",
                met=at_most(value, target) and road.proven,
                moonshot=f"≤ {moonshot} ms",
                moonshot_met=at_most(value, moonshot) and road.proven,
                details={"p99_ms": round(road.figure(step, 0.99), 2), "left_open": road.left_open},
            )
        )
    return made


def rows(*, quick: bool) -> list[Row]:
    """The rows of `make bench`."""
    roads = measure(list(ROADS), 2 if quick else 10, lambda _: None)
    return [row for road in roads for row in rows_of(road)]


def show(roads: Sequence[Road], console: Console) -> None:
    """Print the table."""
    table = Table(title="stops: 200 orders on 10 symbols, venue 1 ms away; p50 / p99 in ms")
    table.add_column("road")
    for step in STEPS:
        table.add_column(step, justify="right")
    for name in ("runs", "open after (ledger)", "targets"):
        table.add_column(name, justify="right")
    for road in roads:
        gate, empty = rows_of(road)
        table.add_row(
            f"{road.name}: {road.what}",
            *(f"{road.figure(step, 0.5):.1f} / {road.figure(step, 0.99):.1f}" for step in STEPS),
            str(len(road.runs)),
            str(road.left_open) if road.proven else f"[red]{road.left_open}, NOT PROVEN[/]",
            f"{judged(gate.target, gate.met)}; {judged(empty.target, empty.met)}",
        )
    console.print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stop", description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--roads", default=",".join(ROADS), help="comma-separated")
    parser.add_argument("--json", type=Path, default=Path("bench-stop.json"), metavar="FILE")
    args = parser.parse_args(argv)
    chosen = [name for name in args.roads.split(",") if name]
    if unknown := [name for name in chosen if name not in ROADS]:
        parser.error(f"no such road: {', '.join(unknown)}; there are {', '.join(ROADS)}")
    console = Console(width=None if sys.stdout.isatty() else 160)
    load = os.getloadavg()[0]
    measured = measure(chosen, args.runs, lambda text: console.print(text, highlight=False))
    show(measured, console)
    console.print(
        f"load of the machine: {load:.1f} before, {os.getloadavg()[0]:.1f} after, "
        f"{os.cpu_count()} cores"
    )
    body = {
        "schema": 1,
        "load_1m": [round(load, 2), round(os.getloadavg()[0], 2)],
        "cores": os.cpu_count(),
        "roads": [asdict(road) for road in measured],
        "rows": [asdict(row) for road in measured for row in rows_of(road)],
    }
    args.json.write_text(json.dumps(body, indent=2, allow_nan=False) + "\n")
    return 0 if all(road.proven for road in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
