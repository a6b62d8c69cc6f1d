"""`make bench-stop`: the three roads to a stop, with a stopwatch; the venue's ledger is the judge.

    python -m tests.bench.stop [--runs 30] [--roads normal,spin] [--json bench-stop.json]

200 orders rest on 10 symbols of a venue one millisecond away, between real processes. Times count
from the moment at which the stop was asked for (for the second process: from its exec), on one
monotonic clock; "last cancel" is the venue's own stamp, "received" counts from the daemon's reading
of the request. Two stages are brought up side by side and measured one after the other. Exit code 1
when a run left an order open at the venue or could not prove that it did not; targets are shown,
not enforced, since a busy neighbour on the machine is no defect of ours.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from daemon.shell.process.clock import SystemClock
from tests.bench.report import Row, at_most, judged, quantile
from tests.support import forked
from tests.support.stop_stage import ROOT, StopStage

NS_PER_MS = 1_000_000
STEPS = ("gate closed", "last cancel at venue", "verified empty")
STAGES = 2
TOOL = ("control.main", "kill", "--direct")
NORMAL_MS = ((1, 50), (0.2, 10))
STUCK_MS = ((100, 100), (20, 20))
DIRECT_MS = ((100, 500), (20, 300))
"""Targets, then moonshots, in ms: for the closed gate, and for the empty venue."""


@dataclass(frozen=True, slots=True)
class Run:
    """One stop: milliseconds since it was asked for, and what the venue's books held after it."""

    gate_ms: float
    received_ms: float
    """The same since the stopping process read the request."""
    cancel_ms: float
    empty_ms: float
    open_orders: int
    verified: bool


@dataclass(slots=True)
class EndpointKind:
    """One road with its runs."""

    name: str
    what: str
    runs: list[Run] = field(default_factory=list)

    def figure(self, step: str, share: float) -> float:
        """A quantile of one step."""
        name = {"gate closed": "gate_ms", STEPS[1]: "cancel_ms", STEPS[2]: "empty_ms"}[step]
        return quantile(sorted(getattr(run, name) for run in self.runs), share)

    def received(self) -> str:
        """Gate closed since the request was read, p50 / p99 in ms."""
        values = sorted(run.received_ms for run in self.runs)
        return f"{quantile(values, 0.5):.2f} / {quantile(values, 0.99):.2f}"

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
}


BY_PROCESS = {"sigstop", "sigkill"}


class Bench:
    """One stage: brings a daemon with its orders up, and reads the stopwatch, once each."""

    def __init__(self, stage: StopStage) -> None:
        self._stage = stage
        self._clock = SystemClock()

    def prepare(self) -> None:
        """A new daemon on a new state directory, and 200 orders at the venue."""
        self._stage.renew()
        self._stage.start_daemon()
        self._stage.fill()

    def measure(self, road: str) -> Run:
        """One run of a road; the daemon is gone after it."""
        stage = self._stage
        try:
            if road == "normal":
                return self._by_socket()
            if road in BY_PROCESS:
                stage.send_signal(signal.SIGKILL if road == "sigkill" else signal.SIGSTOP)
                return self._by_process()
            stage.signal(road)
            stage.until_hung()
            return self._by_socket()
        finally:
            stage.kill_hard()

    def _by_socket(self) -> Run:
        asked = self._clock.now_ns(), self._clock.monotonic_ns()
        return self._judged(*asked, self._stage.kill())

    def _by_process(self) -> Run:
        options = ["--config", str(self._stage.config), "--reason", "bench", "--json"]
        asked = self._clock.now_ns(), self._clock.monotonic_ns()
        done = subprocess.run(
            [sys.executable, "-m", *TOOL, *options],
            cwd=ROOT,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.stdout, done.stderr.decode()
        return self._judged(*asked, json.loads(done.stdout))

    def _judged(self, asked_ns: int, asked_monotonic_ns: int, result: dict[str, Any]) -> Run:
        """The answer's times count from its own start; its clock and ours are the same one."""
        books = self._stage.ledger_since(asked_ns)
        last_ns = max((int(row["ts_ns"]) for row in books["cancels"]), default=asked_ns)
        gate_ms = (int(result["gate_closed_monotonic_ns"]) - asked_monotonic_ns) / NS_PER_MS
        received_ms = float(result["gate_ms"])
        return Run(
            gate_ms=gate_ms,
            received_ms=received_ms,
            cancel_ms=(last_ns - asked_ns) / NS_PER_MS,
            empty_ms=gate_ms + float(result["settled_ms"] or 0) - received_ms,
            open_orders=len(books["open_orders"]),
            verified=bool(result["verified"]),
        )


def measure(roads: Sequence[str], runs: int, tell: Callable[[str], None]) -> list[EndpointKind]:
    """Every chosen road `runs` times, in turn, so that a busy minute strikes them all.

    Each run has a daemon and a state directory of its own; the two stages' venues stay.
    """
    measured = {name: EndpointKind(name, ROADS[name]) for name in roads}
    jobs = [name for _ in range(runs) for name in roads]
    with ExitStack() as stack:
        benches = [Bench(_stage(stack)) for _ in range(min(STAGES, len(jobs)))]
        pool = stack.enter_context(ThreadPoolExecutor(STAGES))
        while jobs:
            turn, jobs = list(zip(benches, jobs, strict=False)), jobs[STAGES:]
            list(pool.map(Bench.prepare, [bench for bench, _ in turn]))
            for bench, name in turn:
                measured[name].runs.append(bench.measure(name))
            tell(f"{sum(len(road.runs) for road in measured.values())} of {runs * len(roads)} runs")
    return list(measured.values())


def _stage(stack: ExitStack) -> StopStage:
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-stop-"))
    return stack.enter_context(StopStage(Path(directory)))


def rows_of(road: EndpointKind) -> list[Row]:
    """The rows of one road against its targets."""
    in_daemon = NORMAL_MS if road.name == "normal" else STUCK_MS
    targets, moonshots = DIRECT_MS if road.name in BY_PROCESS else in_daemon
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
                details={
                    "p99_ms": round(road.figure(step, 0.99), 3),
                    "left_open": road.left_open,
                    **({"received": road.received()} if step == STEPS[0] else {}),
                },
            )
        )
    return made


def rows(*, quick: bool) -> list[Row]:
    """The rows of `make bench`."""
    roads = measure(list(ROADS), 2 if quick else 10, lambda _: None)
    return [row for road in roads for row in rows_of(road)]


def show(roads: Sequence[EndpointKind], console: Console) -> None:
    """Print the table."""
    table = Table(title="stops: 200 orders on 10 symbols, venue 1 ms away; p50 / p99 in ms")
    table.add_column("road")
    table.add_column("gate closed since received", justify="right")
    for step in STEPS:
        table.add_column(step, justify="right")
    for name in ("runs", "open after (ledger)", "targets"):
        table.add_column(name, justify="right")
    for road in roads:
        gate, empty = rows_of(road)
        table.add_row(
            f"{road.name}: {road.what}",
            road.received(),
            *(f"{road.figure(step, 0.5):.2f} / {road.figure(step, 0.99):.2f}" for step in STEPS),
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
    forked.is_executed = True
    sys.exit(main())
