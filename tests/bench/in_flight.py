"""Row a, CPU: what one order costs this process while 32 are in flight.

The same clients as in `order_path`, against the same spinning venue on the other core; as each
answer comes the next order goes. CPU time is the process's own, threads included (the journal's
fdatasync thread, for instance), over many orders; orders per second come with it.
"""

import asyncio
import contextlib
import gc
from collections.abc import Callable
from decimal import Decimal
from time import perf_counter_ns, process_time_ns
from typing import Protocol

from daemon.model.inputs import Input, VenueReport
from tests.bench.clients import CcxtClient, RawClient, client_frame, place_payload
from tests.bench.order_path import spinning_venue
from tests.bench.our_path import SeatrialClient
from tests.bench.report import Row, at_most, median

IN_FLIGHT = 32
ORDERS = {"prebuilt bytes": 9_600, "seatrial": 6_400, "ccxt async": 640}
ROUNDS = 5
QUICK_ROUNDS = 2
QUICK_SHARE = 8
DEADLINE_S = 30
TARGET_US, MOONSHOT_US = 55.0, 30.0


class Flood(Protocol):
    """A client that keeps 32 orders in flight."""

    name: str
    loop_factory: Callable[[], asyncio.AbstractEventLoop]

    async def open(self, port: int) -> None:
        """Connect."""

    async def flood(self, count: int) -> tuple[float, float]:
        """Send `count` orders: CPU microseconds per order, orders per second."""

    async def close(self) -> None:
        """Disconnect."""


class Stopwatch:
    """CPU and wall time of `count` orders."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._cpu_ns, self._wall_ns = process_time_ns(), perf_counter_ns()

    def read(self) -> tuple[float, float]:
        """CPU microseconds per order, orders per second."""
        cpu_ns = process_time_ns() - self._cpu_ns
        wall_ns = perf_counter_ns() - self._wall_ns
        return cpu_ns / self._count / 1_000, self._count / (wall_ns / 1e9)


class RawFlood(RawClient):
    """Prebuilt bytes; an answer is counted by its request id, and not read."""

    def __init__(self) -> None:
        super().__init__()
        self._left = 0
        self._unsent: list[bytes] = []
        self._done = asyncio.Event()
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        if not self._left:
            super().data_received(data)
            return
        seen = self._tail + data
        answers = seen.count(b'"clientOrderId"')
        self._tail = seen[seen.rfind(b'"clientOrderId"') + 1 :][-20:] if answers else seen[-20:]
        self._left -= answers
        self._send(answers)
        if self._left <= 0:
            self._done.set()

    def _send(self, count: int) -> None:
        assert self._transport is not None
        for _ in range(min(count, len(self._unsent))):
            self._transport.write(self._unsent.pop())

    async def flood(self, count: int) -> tuple[float, float]:
        self._unsent = [client_frame(place_payload(f"raw-{number}")) for number in range(count)]
        self._left, self._tail = count, b""
        self._done.clear()
        watch = Stopwatch(count)
        self._send(IN_FLIGHT)
        async with asyncio.timeout(DEADLINE_S):
            await self._done.wait()
        return watch.read()


class SeatrialFlood(SeatrialClient):
    """The product's order path."""

    def __init__(self) -> None:
        super().__init__()
        self._left = 0
        self._prices: list[Decimal] = []
        self._done = asyncio.Event()
        self._qty = Decimal("0.001")

    def _deliver(self, item: Input) -> None:
        super()._deliver(item)
        if isinstance(item, VenueReport):
            self._left -= 1
            if self._prices:
                self._send(self._prices.pop(), self._qty)
            if self._left == 0:
                self._done.set()

    async def flood(self, count: int) -> tuple[float, float]:
        numbers = range(self._made, self._made + count)  # no price comes twice within a second
        self._prices = [Decimal(2_500_000 - number % 40_000).scaleb(-2) for number in numbers]
        self._made += count
        self._left = count
        self._done.clear()
        watch = Stopwatch(count)
        for _ in range(min(IN_FLIGHT, count)):
            self._send(self._prices.pop(), self._qty)
        async with asyncio.timeout(DEADLINE_S):
            await self._done.wait()
        return watch.read()


class CcxtFlood(CcxtClient):
    """32 tasks, each sending one order after the other."""

    async def flood(self, count: int) -> tuple[float, float]:
        watch = Stopwatch(count)
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(self.fire(count // IN_FLIGHT), name="ccxt")
        return watch.read()


def rows(*, quick: bool) -> list[Row]:
    """The row of CPU per order."""
    makers: list[Callable[[], Flood]] = [RawFlood, SeatrialFlood, CcxtFlood]
    share = QUICK_SHARE if quick else 1
    found: dict[str, list[tuple[float, float]]] = {}
    with spinning_venue() as port, contextlib.ExitStack() as stack:
        running: list[tuple[Flood, asyncio.Runner]] = []
        for make in makers:
            client = make()
            runner = stack.enter_context(asyncio.Runner(loop_factory=client.loop_factory))
            stack.callback(lambda c=client, r=runner: r.run(c.close()))
            runner.run(client.open(port))
            runner.run(client.flood(IN_FLIGHT * 4))
            running.append((client, runner))
        gc.collect()
        gc.freeze()
        stack.callback(gc.unfreeze)
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            for client, runner in running:
                count = ORDERS[client.name] // share // IN_FLIGHT * IN_FLIGHT
                found.setdefault(client.name, []).append(runner.run(client.flood(count)))
    return rows_of(found)


def rows_of(found: dict[str, list[tuple[float, float]]]) -> list[Row]:
    """Ratios from the figures of one run."""
    cpu = {name: median(one for one, _ in rounds) for name, rounds in found.items()}
    ours, peer = cpu["seatrial"], cpu["ccxt async"]
    return [
        Row(
            row="cpu",
            name=f"CPU per order, {IN_FLIGHT} in flight",
            value=ours,
            unit="µs",
            baseline_name="ccxt async",
            baseline=peer,
            ratio=peer / ours,
            target=f"≤ {TARGET_US:g} µs",
            met=at_most(ours, TARGET_US),
            moonshot=f"≤ {MOONSHOT_US:g} µs",
            moonshot_met=at_most(ours, MOONSHOT_US),
            details={
                name: {
                    "cpu_us": round(cpu[name], 1),
                    "orders_per_s": round(median(rate for _, rate in rounds)),
                }
                for name, rounds in found.items()
            },
        )
    ]
