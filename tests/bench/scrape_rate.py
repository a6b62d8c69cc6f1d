"""Row m: what a scrape costs the main loop.

Turns of 100 µs are timed while nobody looks and while somebody scrapes ten times as often as in
production. A turn that a scrape holds up shows in the tail.
"""

import threading
import time
from collections.abc import Callable

from prometheus_client import generate_latest

from tests.bench.report import Row, at_most, quantile
from tests.support.metrics_table import filled_metrics

TURN_S = 0.000_1
LOOK_PERIOD_S = 0.1


def rows(*, quick: bool) -> list[Row]:
    """One row: the tail while we are scraped, against the tail while nobody looks."""
    seconds = 2.0 if quick else 6.0
    metrics = filled_metrics()
    alone = quantile(_tail(lambda: None, seconds), 0.999)
    ours = quantile(_tail(metrics.render, seconds), 0.999)
    whole = quantile(_tail(lambda: generate_latest(metrics.registry), seconds), 0.999)
    ratio = ours / alone
    return [
        Row(
            row="m",
            name="turn of the main loop while scraped ten times a second, p99.9",
            value=ours * 1e6,
            unit="µs",
            target="<= 2 x nobody looking",
            met=at_most(ratio, 2.0),
            baseline_name="nobody looks",
            baseline=alone * 1e6,
            ratio=ratio,
            details={"rendered in one piece, µs": round(whole * 1e6, 1)},
        )
    ]


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
