"""Row c: the journal under load and at rest, against the disk's own fdatasync in the same run.

Load: the pump's pattern, `append` for every line, `flush` once a drain, fdatasync in the background
(group commit). At rest: one fact at a time, from `append` to durable (inputs that have no
consequence may wait for it). The floor is a plain write and fdatasync of one such line on the same
disk, measured between the others.
"""

import asyncio
import os
import tempfile
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import uvloop

from daemon.model.records import EventType
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.process.clock import SystemClock
from tests.bench.report import Row, at_least, at_most, median, quantile

ROOT = Path(__file__).resolve().parents[2]
LINES_A_DRAIN = 64
LOAD_LINES = 150_016
REST_LINES = 500
ROUNDS = 5
QUICK_LINES = 16_000
QUICK_REST_LINES = 60
QUICK_ROUNDS = 2
DURABLE_DEADLINE_S = 20

SESSION = "sim-20260101-000000"
TOP: dict[str, Any] = {
    "input": {
        "type": "MarketData",
        "top": {
            "instrument_id": "BTCUSDT@sim",
            "bid_px": "25000.01",
            "bid_qty": "0.51200",
            "ask_px": "25000.02",
            "ask_qty": "1.20000",
            "update_id": 400_900_217,
            "ts_venue_ns": 0,
            "ts_recv_ns": 1_700_000_000_000_000_000,
        },
    }
}
APPROVED: dict[str, Any] = {
    "client_order_id": "stabc123-1-2s",
    "symbol": "BTCUSDT",
    "instrument_id": "BTCUSDT@sim",
    "strategy_id": "quoter",
    "side": "BUY",
    "order_type": "LIMIT",
    "qty": "0.00100",
    "price": "24999.50",
    "time_in_force": "GTC",
    "stop_price": None,
    "reduce_only": False,
    "reason": "quote",
    "decision": {
        "reference_px": "25000.015",
        "position": "0.00200",
        "working_buy": "0.00100",
        "working_sell": "0.00100",
        "orders_hour": 211,
        "orders_day": 1_804,
        "caps_hash": "9f2c1b7d40e3a855",
    },
}
STATE: dict[str, Any] = {
    "client_order_id": "stabc123-1-2s",
    "symbol": "BTCUSDT",
    "instrument_id": "BTCUSDT@sim",
    "order_id": "283948",
    "old": "SUBMITTED",
    "new": "ACCEPTED",
    "why": "report NEW",
    "cum_qty": "0",
    "venue_cum_qty": "0",
    "source": "stream",
}
MIX = (
    (EventType.INPUT, TOP),
    (EventType.INPUT, TOP),
    (EventType.ORDER_APPROVED, APPROVED),
    (EventType.ORDER_STATE, STATE),
)
"""What a quoting session writes, by and large."""
FACTS = tuple((kind, fields) for kind, fields in MIX if kind is not EventType.INPUT)


class WatchedJournal(Journal):
    """The product's journal, telling when lines became durable."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, run_id="bench1-1", mode="sim", exchange="sim")
        loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self.on_durable = lambda _: loop.call_soon_threadsafe(self._news.set)

    async def wait_durable(self, seq: int) -> None:
        """Return when line `seq` is on the disk."""
        async with asyncio.timeout(DURABLE_DEADLINE_S):
            while self.durable_seq < seq:
                self._news.clear()
                await self._news.wait()


class Figures:
    """One round's figures."""

    def __init__(self) -> None:
        self.lines_per_s: list[float] = []
        self.on_loop_us: list[float] = []
        self.durable_us: list[list[float]] = []
        self.floor_us: list[list[float]] = []


async def load(journal: WatchedJournal, lines: int, figures: Figures) -> None:
    """Append `lines` in drains; count until the last is durable."""
    clock = SystemClock()
    on_loop = 0
    start = perf_counter_ns()
    seq = journal.seq
    for first in range(0, lines, LINES_A_DRAIN):
        began = perf_counter_ns()
        ts_ns = clock.now_ns()
        for number in range(first, first + LINES_A_DRAIN):
            kind, fields = MIX[number % len(MIX)]
            seq = journal.append(kind, fields, ts_ns=ts_ns, session_id=SESSION)
        journal.flush()
        on_loop += perf_counter_ns() - began
        await asyncio.sleep(0)
    await journal.wait_durable(seq)
    figures.lines_per_s.append(lines / ((perf_counter_ns() - start) / 1e9))
    figures.on_loop_us.append(on_loop / lines / 1_000)


async def rest(journal: WatchedJournal, floor_fd: int, lines: int, figures: Figures) -> None:
    """One line at a time until durable, beside a plain write and fdatasync."""
    clock = SystemClock()
    plain = b"x" * 700 + b"\n"
    durable, floor = [], []
    for number in range(lines):
        kind, fields = FACTS[number % len(FACTS)]
        start = perf_counter_ns()
        seq = journal.append(kind, fields, ts_ns=clock.now_ns(), session_id=SESSION)
        journal.flush()
        await journal.wait_durable(seq)
        durable.append((perf_counter_ns() - start) / 1_000)
        start = perf_counter_ns()
        os.write(floor_fd, plain)
        os.fdatasync(floor_fd)
        floor.append((perf_counter_ns() - start) / 1_000)
    figures.durable_us.append(sorted(durable))
    figures.floor_us.append(sorted(floor))


async def measure(directory: Path, *, quick: bool) -> Figures:
    """Interleave load, rest and floor."""
    figures = Figures()
    journal = WatchedJournal(directory / "journal")
    floor_fd = os.open(directory / "floor", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(journal.run(), name="journal")
            for _ in range(QUICK_ROUNDS if quick else ROUNDS):
                await load(journal, QUICK_LINES if quick else LOAD_LINES, figures)
                await rest(journal, floor_fd, QUICK_REST_LINES if quick else REST_LINES, figures)
            writer.cancel()
    finally:
        journal.close()
        os.close(floor_fd)
    return figures


def rows(*, quick: bool) -> list[Row]:
    """The rows of the journal. The files stand on the project's own disk, and go afterwards."""
    home = ROOT / "build"
    home.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-journal-", dir=home) as directory:
        figures = uvloop.run(measure(Path(directory), quick=quick))
    return rows_of(figures)


def rows_of(figures: Figures) -> list[Row]:
    """Rows from the figures of one run."""
    rate = median(figures.lines_per_s)
    on_loop = median(figures.on_loop_us)
    durable = median(quantile(took, 0.5) for took in figures.durable_us)
    floor = median(quantile(took, 0.5) for took in figures.floor_us)
    p99 = min(quantile(took, 0.99) for took in figures.durable_us)
    ratio = durable / floor
    return [
        Row(
            row="c",
            name="journal, chained and group-committed",
            value=rate,
            unit="lines/s",
            target="≥ 100k",
            met=at_least(rate, 100_000),
            moonshot="≥ 125k",
            moonshot_met=at_least(rate, 125_000),
            details={"rounds": [round(r) for r in figures.lines_per_s]},
        ),
        Row(
            row="c",
            name="journal, on the loop per line",
            value=on_loop,
            unit="µs",
            target="≤ 8 µs",
            met=at_most(on_loop, 8),
            moonshot="≤ 6 µs",
            moonshot_met=at_most(on_loop, 6),
            details={"rounds": [round(r, 2) for r in figures.on_loop_us]},
        ),
        Row(
            row="c",
            name="journal, append to durable, p50",
            value=durable,
            unit="µs",
            baseline_name="write+fdatasync",
            baseline=floor,
            ratio=ratio,
            target="≤ 4 x",
            met=at_most(ratio, 4),
            moonshot="≤ 3 x",
            moonshot_met=at_most(ratio, 3),
            details={"p99_us": round(p99, 1)},
        ),
    ]
