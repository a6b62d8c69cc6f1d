"""Row memory: what the daemon's engine and pump hold after a million events on ten symbols.

A process of its own imports the whole daemon, builds engine, pump and journal as the daemon does,
and feeds the pump: market data, public trades, clock and budget samples. Resident
memory is read at a quarter and at the end; the difference says whether it is flat.

    python -m tests.bench.memory --events 1000000      prints one JSON line
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any

import uvloop

import daemon.app  # the whole daemon is resident, as it is in the field
from daemon.model.enums import Side
from daemon.model.ids import instrument_id
from daemon.model.inputs import BudgetSampled, ClockSampled, MarketData, PublicTrade
from daemon.model.market import TopOfBook, TradeTick
from daemon.shell.health.metrics import Metrics
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.process.clock import SystemClock
from daemon.shell.pump import Pump
from tests.bench.market_rate import NoVenue, ignore_exit, ignore_reply
from tests.bench.report import Row, at_most
from tests.bench.world import ROOT, SYMBOLS, engine_on

EVENTS = 1_000_000
QUICK_EVENTS = 40_000
TRADE_EVERY, SAMPLE_EVERY = 10, 10_000
TARGET_MB, MOONSHOT_MB = 90.0, 65.0
FLAT_MB = 2.0
DEADLINE_S = 240


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def feed(events: int, directory: Path) -> dict[str, Any]:
    """Feed the pump; resident megabytes on the way."""
    clock = SystemClock()
    engine, _, halt = engine_on(clock.now_ns())
    fatal: list[BaseException] = []
    journal = Journal(directory / "j", run_id="bench1-1", mode="sim", exchange="sim")
    pump = Pump(
        engine=engine,
        journal=journal,
        clock=clock,
        halt=halt,
        on_reply=ignore_reply,
        on_exit=ignore_exit,
        on_fatal=fatal.append,
        counters=(Metrics(dict, {}),),
    )
    pump.attach(NoVenue())
    names = [instrument_id(symbol, "sim") for symbol in SYMBOLS]
    gc.collect()
    gc.freeze()  # as the daemon does
    seen: list[tuple[int, float]] = [(0, resident_mb())]
    marks = iter([events // 4, events // 2, events])
    mark, offered, began = next(marks), 0, perf_counter()
    async with asyncio.TaskGroup() as group:
        writer = group.create_task(journal.run(), name="journal")
        while offered < events:
            for name in names:
                offered += 1
                now_ns = clock.now_ns()
                price = Decimal(25_000_00 + offered % 5_000).scaleb(-2)
                if offered % TRADE_EVERY == 3:
                    trade = TradeTick(name, offered, Side.BUY, price, Decimal(1), now_ns, now_ns)
                    pump.offer(PublicTrade(trade))
                elif offered % SAMPLE_EVERY == 0:
                    pump.offer(ClockSampled(1_000, 100_000))
                    pump.offer(BudgetSampled({"ORDERS_10S": 1}, {"ORDERS_10S": 100}))
                else:
                    qty = Decimal("1.5")
                    top = TopOfBook(name, price, qty, price + 1, qty, offered, 0, now_ns)
                    pump.offer(MarketData(top))
            await asyncio.sleep(0)
            if fatal:
                raise fatal[0]
            if offered >= mark:
                seen.append((offered, resident_mb()))
                mark = next(marks, events + 1)
        writer.cancel()
    figures = {
        "rss_mb": {str(count): round(size, 1) for count, size in seen},
        "turns": pump.turns,
        "events_per_s": round(offered / (perf_counter() - began)),
        "modules": len(sys.modules),
        "app": daemon.app.__name__,
    }
    pump.stop()
    journal.close()
    return figures


def rows(*, quick: bool) -> list[Row]:
    """The rows of memory, from a process of their own."""
    events = QUICK_EVENTS if quick else EVENTS
    command = [sys.executable, "-m", "tests.bench.memory", "--events", str(events)]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, timeout=DEADLINE_S, check=True, text=True
    )
    return rows_of(json.loads(done.stdout), events)


def rows_of(figures: dict[str, Any], events: int) -> list[Row]:
    """Rows from what the process said."""
    sizes = list(figures["rss_mb"].values())
    steady, grown = sizes[-1], sizes[-1] - sizes[1]
    return [
        Row(
            row="mem",
            name=f"resident after {events:,} events, 10 symbols",
            value=steady,
            unit="MB",
            baseline_name="before the first",
            baseline=sizes[0],
            ratio=steady / sizes[0],
            target=f"≤ {TARGET_MB:g} MB",
            met=at_most(steady, TARGET_MB),
            moonshot=f"≤ {MOONSHOT_MB:g} MB",
            moonshot_met=at_most(steady, MOONSHOT_MB),
            details=figures,
        ),
        Row(
            row="mem",
            name="grown since a quarter of them",
            value=grown,
            unit="MB",
            target=f"flat: ≤ {FLAT_MB:g} MB",
            met=at_most(grown, FLAT_MB),
        ),
    ]


def main() -> None:
    """Measure in this process, print one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=EVENTS)
    args = parser.parse_args()
    home = ROOT / "build"
    home.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-memory-", dir=home) as directory:
        figures = uvloop.run(feed(args.events, Path(directory)))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
