"""Row m: what a scrape costs the order path.

- A whole daemon under 900 ticks a second, its metrics scraped over HTTP never, once a second, ten
  times a second, or its page open in ten browsers: from the trigger that leaves the venue to the
  order that arrives there, in interleaved rounds of one daemon's life.
- The main loop alone: turns of 100 µs are timed while nobody looks and while somebody renders ten
  times a second. A turn that a scrape holds up shows in the tail.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import generate_latest

from tests.bench.report import Row, at_most, median, quantile
from tests.bench.spin_stage import TICKS_PER_S, SpinStage, SpinVenue
from tests.bench.whole_path import WARM_UP, triggered
from tests.support.metrics_table import filled_metrics
from tests.support.stop_stage import SYMBOLS

TURN_S = 0.000_1
LOOK_PERIOD_S = 0.1
TRIGGERS = 300
ROUNDS = 5
QUICK_TRIGGERS = 60
QUICK_ROUNDS = 2
PERIODS_S: dict[str, float | None] = {
    "nobody scrapes": None,
    "scraped once a second": 1.0,
    "scraped ten times a second": 0.1,
}
PAGES = "ten pages open"
PAGES_OPEN = 10
P50_TARGET, P99_TARGET = 1.1, 1.5


def rows(*, quick: bool) -> list[Row]:
    """The order path under scrapes, and the main loop's tail."""
    return [*path_rows(order_paths(quick=quick)), tail_row(2.0 if quick else 6.0)]


def order_paths(*, quick: bool) -> dict[str, list[list[float]]]:
    """Microseconds from trigger to order, ordered, by how often the metrics are scraped."""
    count = QUICK_TRIGGERS if quick else TRIGGERS
    took: dict[str, list[list[float]]] = {name: [] for name in (*PERIODS_S, PAGES)}
    strategy = {"class": "tests.bench.trigger:Trigger", "symbols": [SYMBOLS[0]], "params": {}}
    with (
        SpinVenue("--ticks", str(TICKS_PER_S)) as venue,
        tempfile.TemporaryDirectory(prefix="bench-scrape-") as directory,
        SpinStage(Path(directory), venue, settings={"strategies": {"trigger": strategy}}) as stage,
    ):
        stage.start_daemon()
        stage.call("start", reason="bench")
        stage.until(lambda: stage.status()["trading_state"] == "ACTIVE", "a session is on")
        asyncio.run(triggered(venue.port, WARM_UP))
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            for name, period_s in PERIODS_S.items():
                with scraping(stage.metrics_port, period_s):
                    took[name].append(asyncio.run(triggered(venue.port, count)))
            with pages_open(stage.metrics_port):
                took[PAGES].append(asyncio.run(triggered(venue.port, count)))
    return took


@contextlib.contextmanager
def pages_open(port: int) -> Iterator[None]:
    """Read the page's feed as ten browsers do, in a process of its own: its work is not ours."""
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER, str(port), str(PAGES_OPEN)], stdout=subprocess.PIPE
    )
    if reader.stdout is None or reader.stdout.readline() != b"reading\n":
        raise RuntimeError("the pages are not pushed to")
    try:
        yield
    finally:
        reader.kill()
        reader.wait()
        reader.stdout.close()


_READER = """
import selectors, socket, sys
port, count, heard = int(sys.argv[1]), int(sys.argv[2]), set()
chosen = selectors.DefaultSelector()
for number in range(count):
    one = socket.create_connection(("127.0.0.1", port), timeout=60)
    one.sendall(b"GET /page/live HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n")
    chosen.register(one, selectors.EVENT_READ, number)
while True:
    for key, _ in chosen.select():
        data = key.fileobj.recv(1 << 20)
        if not data:
            sys.exit("dropped")
        if b"data: {" in data and len(heard) < count:
            heard.add(key.data)
            if len(heard) == count:
                print("reading", flush=True)
"""


@contextlib.contextmanager
def scraping(port: int, period_s: float | None) -> Iterator[list[int]]:
    """Scrape over HTTP in a thread, as Prometheus does; yields the sizes of the answers."""
    over = threading.Event()
    sizes: list[int] = []

    def scrape() -> None:
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                sizes.append(len(answer.read()))
            if over.wait(period_s):
                return

    if period_s is None:
        yield sizes
        return
    scraper = threading.Thread(target=scrape, daemon=True)
    scraper.start()
    try:
        yield sizes
    finally:
        over.set()
        scraper.join()
    if not all(sizes):
        raise RuntimeError("an empty scrape")


def path_rows(took: dict[str, list[list[float]]]) -> list[Row]:
    """Scraped against not scraped: medians of the rounds' p50, p99 of the quietest round."""
    quiet, *scraped = took
    p50 = {name: median(quantile(one, 0.5) for one in rounds) for name, rounds in took.items()}
    p99 = {name: min(quantile(one, 0.99) for one in rounds) for name, rounds in took.items()}
    return [
        Row(
            row="m",
            name=f"whole daemon, tick to order at the venue, {name}, {what}",
            value=figures[name],
            unit="µs",
            target=f"≤ {target:g} x nobody scraping",
            met=at_most(figures[name] / figures[quiet], target),
            baseline_name=quiet,
            baseline=figures[quiet],
            ratio=figures[name] / figures[quiet],
            details={"rounds": len(took[name]), "orders": sum(map(len, took[name]))},
        )
        for name in scraped
        for what, figures, target in (("p50", p50, P50_TARGET), ("p99", p99, P99_TARGET))
    ]


def tail_row(seconds: float) -> Row:
    """The tail of the main loop's turns while we are scraped, against while nobody looks."""
    metrics = filled_metrics()
    alone = quantile(_tail(lambda: None, seconds), 0.999)
    ours = quantile(_tail(metrics.render, seconds), 0.999)
    whole = quantile(_tail(lambda: generate_latest(metrics.registry), seconds), 0.999)
    ratio = ours / alone
    return Row(
        row="m",
        name="turn of the main loop while scraped ten times a second, p99.9",
        value=ours * 1e6,
        unit="µs",
        target="≤ 2 x nobody looking",
        met=at_most(ratio, 2.0),
        baseline_name="nobody looks",
        baseline=alone * 1e6,
        ratio=ratio,
        details={"rendered in one piece, µs": round(whole * 1e6, 1)},
    )


def _tail(look: Callable[[], object], seconds: float) -> list[float]:
    """Sorted lengths of turns, in seconds, while `look` runs in another thread."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_PERIOD_S):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    took: list[float] = []
    end = time.perf_counter() + seconds
    now = time.perf_counter()
    while now < end:
        begin, now = now, time.perf_counter()
        while now - begin < TURN_S:
            now = time.perf_counter()
        took.append(now - begin)
    over.set()
    watcher.join()
    return sorted(took)
