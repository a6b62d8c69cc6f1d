"""Row a: from an intent to its bytes at the venue, against prebuilt bytes, ccxt async and
python-binance.

One spinning venue on one core, every client on the other, rounds interleaved. Times are matched
by client order id; both ends read CLOCK_MONOTONIC.
"""

import asyncio
import contextlib
import gc
import json
import urllib.request
from collections.abc import Callable

from tests.bench.clients import CcxtClient, OrderClient, PythonBinanceClient, RawClient
from tests.bench.our_path import SeatrialClient
from tests.bench.report import Row, at_least, at_most, median, quantile
from tests.bench.world import beside

WARM_UP = 200
ORDERS_A_ROUND = {
    "prebuilt bytes": 1_500, "seatrial": 1_500, "ccxt async": 200, "python-binance": 200,
}  # fmt: skip
ROUNDS = 7
QUICK_ROUNDS = 2
QUICK_SHARE = 4


def spinning_venue(*arguments: str) -> contextlib.AbstractContextManager[int]:
    """The venue on the last core, this process on the others; gives its port."""
    return beside("tests.bench.spin_venue", *arguments)


def arrivals(port: int) -> dict[str, int]:
    """When each order of the last round reached the venue."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/times", timeout=10) as answer:
        found: dict[str, int] = json.load(answer)
    return found


class Samples:
    """Microseconds from intent to venue, by client and round."""

    def __init__(self) -> None:
        self.rounds: dict[str, list[list[float]]] = {}

    def add(self, name: str, began: list[tuple[str, int]], arrived: dict[str, int]) -> None:
        """Match one round; an order that never arrived is an error, not a gap."""
        lost = [made for made, _ in began if made not in arrived]
        if lost:
            raise RuntimeError(f"{name}: {len(lost)} of {len(began)} orders never arrived")
        took = sorted((arrived[made] - start) / 1_000 for made, start in began)
        self.rounds.setdefault(name, []).append(took)

    def p50(self, name: str) -> float:
        """Median over rounds of each round's median."""
        return median(quantile(took, 0.5) for took in self.rounds[name])

    def p99(self, name: str) -> float:
        """p99 of the quietest round: a noisy neighbour is not the client's doing."""
        return min(quantile(took, 0.99) for took in self.rounds[name])


def measure(port: int, makers: list[Callable[[], OrderClient]], *, quick: bool) -> Samples:
    """Run every client in interleaved rounds, each on the event loop that it ships with."""
    samples = Samples()
    share = QUICK_SHARE if quick else 1
    with contextlib.ExitStack() as stack:
        running: list[tuple[OrderClient, asyncio.Runner]] = []
        for make in makers:
            client = make()
            runner = stack.enter_context(asyncio.Runner(loop_factory=client.loop_factory))
            stack.callback(lambda c=client, r=runner: r.run(c.close()))
            runner.run(client.open(port))
            runner.run(client.fire(WARM_UP // share))
            running.append((client, runner))
        gc.collect()
        gc.freeze()
        stack.callback(gc.unfreeze)
        arrivals(port)
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            for client, runner in running:
                began = runner.run(client.fire(ORDERS_A_ROUND[client.name] // share))
                samples.add(client.name, began, arrivals(port))
    return samples


def rows(*, quick: bool) -> list[Row]:
    """The rows of the order path."""
    with spinning_venue() as port:
        samples = measure(port, makers(), quick=quick)
    return rows_of(samples)


def makers() -> list[Callable[[], OrderClient]]:
    """Every client that takes part."""
    return [RawClient, SeatrialClient, CcxtClient, PythonBinanceClient]


def rows_of(samples: Samples) -> list[Row]:
    """Ratios from the samples of one run."""
    raw, peer = samples.p50("prebuilt bytes"), samples.p50("ccxt async")
    other = samples.p50("python-binance")
    details = {
        name: {"p50_us": round(samples.p50(name), 2), "p99_us": round(samples.p99(name), 2)}
        for name in samples.rounds
    }
    ours = samples.p50("seatrial")
    over_raw, under_peer = ours / raw, peer / ours
    return [
        Row(
            row="a",
            name="order path, intent to venue, p50",
            value=ours,
            unit="µs",
            baseline_name="prebuilt bytes",
            baseline=raw,
            ratio=over_raw,
            target="≤ 7 x",
            met=at_most(over_raw, 7),
            moonshot="≤ 3 x",
            moonshot_met=at_most(over_raw, 3),
            details=details,
        ),
        Row(
            row="a",
            name="order path, times faster than ccxt async",
            value=ours,
            unit="µs",
            baseline_name="ccxt async",
            baseline=peer,
            ratio=under_peer,
            target="≥ 5 x",
            met=at_least(under_peer, 5),
            details={"p99_us": details["seatrial"]["p99_us"]},
        ),
        Row(
            row="a",
            name="order path, times faster than python-binance",
            value=ours,
            unit="µs",
            baseline_name="python-binance",
            baseline=other,
            ratio=other / ours,
            target="",
            met=None,
            details={"p99_us": details["seatrial"]["p99_us"]},
        ),
    ]
