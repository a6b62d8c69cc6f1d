"""Row a2: a whole daemon, from the tick that leaves the venue to the order that arrives there.

The spinning venue sends 900 ticks a second on ten symbols; now and then one is a trigger, stamped
as it leaves, and the order that answers it is stamped as it arrives: one clock, one process. In the
daemon lie between them the market stream, the engine's turn, the strategy, every cap, the chained
journal (written before the bytes leave), metrics, and the order connection. The floor answers with
prebuilt bytes without reading the tick; ccxt async reads ticks with `websockets` and json. A last
row has the daemon look for work instead of sleeping (`[process] spin_us`): what sleeping costs.
Only one client is connected at a time; rounds are interleaved.
"""

import asyncio
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvloop
from websockets.asyncio.client import connect

from tests.bench.clients import CcxtClient, RawClient, client_frame, place_payload
from tests.bench.report import Row, at_least, at_most, median, quantile
from tests.bench.spin_stage import TICKS_PER_S, SpinStage, SpinVenue, ask
from tests.bench.spin_venue import TRIGGER_UPDATE_ID
from tests.support.stop_stage import SYMBOLS

TRIGGERS = 300
ROUNDS = 3
QUICK_TRIGGERS = 60
QUICK_ROUNDS = 1
WARM_UP = 20
DEADLINE_S = 30
LOOK_S = 0.02
STREAM_PATH = "/stream?streams=" + "/".join(f"{symbol.lower()}@bookTicker" for symbol in SYMBOLS)
MARK = b'"u":%d' % (TRIGGER_UPDATE_ID // 100_000)
SPIN_US = 3_000
"""Longer than the time between two ticks, so that the main loop never sleeps."""
SPINNING = f"with [process] spin_us = {SPIN_US} (a whole core)"
TARGET_FLOOR, MOONSHOT_FLOOR = 4.0, 2.5
TARGET_PEER, MOONSHOT_PEER = 3.0, 4.5


async def triggered(port: int, count: int) -> list[float]:
    """Have the venue send triggers; microseconds from each to its order, ordered."""
    await asyncio.to_thread(ask, port, "facts")
    await asyncio.to_thread(ask, port, f"triggers/{count}")
    async with asyncio.timeout(DEADLINE_S):
        while True:
            await asyncio.sleep(LOOK_S + count / TICKS_PER_S)
            if (await asyncio.to_thread(ask, port, "left"))["answered"] >= count:
                break
    facts = await asyncio.to_thread(ask, port, "facts")
    sent, arrived = facts["triggered_ns"], facts["placed_ns"]
    if len(sent) != count or len(arrived) != count:
        raise RuntimeError(f"{len(arrived)} orders for {len(sent)} triggers of {count}")
    took = [(b - a) / 1_000 for a, b in zip(sent, arrived, strict=True)]
    if min(took) <= 0:
        raise RuntimeError("an order came before its trigger: they are mixed up")
    return sorted(took)


class RawStream(asyncio.Protocol):
    """Reads nothing but the mark of a trigger."""

    def __init__(self, on_trigger: Callable[[], None]) -> None:
        self._on_trigger = on_trigger

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        request = (
            f"GET {STREAM_PATH} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        cast("asyncio.Transport", transport).write(request.encode())

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(MARK)):
            self._on_trigger()


class RawAnswer(RawClient):
    """Writes the next prebuilt order when it is told."""

    def load(self, count: int) -> None:
        """Prebuild."""
        payloads = [place_payload(f"raw-{one}") for one in range(count)]
        self._frames = [client_frame(one.replace(b'"GTC"', b'"IOC"')) for one in payloads]

    def answer(self) -> None:
        """Write one."""
        assert self._transport is not None
        self._transport.write(self._frames.pop())


class CcxtAnswer(CcxtClient):
    """Orders that do not rest."""

    params = {"timeInForce": "IOC"}  # noqa: RUF012 - nobody writes to it


async def floor(venue: SpinVenue, count: int) -> list[float]:
    """Prebuilt bytes on a raw connection."""
    orders = RawAnswer()
    await orders.open(venue.port)
    orders.load(count + WARM_UP)
    loop = asyncio.get_running_loop()
    stream, _ = await loop.create_connection(
        lambda: RawStream(orders.answer), "127.0.0.1", venue.port
    )
    try:
        await triggered(venue.port, WARM_UP)
        return await triggered(venue.port, count)
    finally:
        stream.abort()
        await orders.close()


async def peer(venue: SpinVenue, count: int) -> list[float]:
    """ccxt async, told of ticks by `websockets` and json."""
    client = CcxtAnswer(SYMBOLS)
    await client.open(venue.port)
    url = f"ws://127.0.0.1:{venue.port}{STREAM_PATH}"
    try:
        async with connect(url, compression=None) as socket, asyncio.TaskGroup() as group:

            async def read() -> None:
                async for message in socket:
                    data: dict[str, Any] = json.loads(message)["data"]
                    if data["u"] >= TRIGGER_UPDATE_ID:
                        group.create_task(client.fire(1), name="order")

            reader = group.create_task(read(), name="ticks")
            await triggered(venue.port, WARM_UP)
            took = await triggered(venue.port, count)
            reader.cancel()
            socket.transport.abort()
        return took
    finally:
        await client.close()


async def ours(venue: SpinVenue, count: int, spin_us: int = 0) -> list[float]:
    """A real daemon process with the bench's strategy."""
    strategy = {"class": "tests.bench.trigger:Trigger", "symbols": [SYMBOLS[0]], "params": {}}
    with tempfile.TemporaryDirectory(prefix="bench-whole-") as directory:
        settings = {"strategies": {"trigger": strategy}, "process": {"spin_us": spin_us}}
        with SpinStage(Path(directory), venue, settings=settings) as stage:
            stage.start_daemon()
            stage.call("start", reason="bench")
            stage.until(lambda: stage.status()["trading_state"] == "ACTIVE", "a session is on")
            await triggered(venue.port, WARM_UP)
            return await triggered(venue.port, count)


def rows(*, quick: bool) -> list[Row]:
    """The rows of the whole path."""
    count = QUICK_TRIGGERS if quick else TRIGGERS
    took: dict[str, list[list[float]]] = {
        "floor": [], "seatrial": [], SPINNING: [], "ccxt async": []
    }  # fmt: skip
    with SpinVenue("--ticks", str(TICKS_PER_S)) as venue:
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            took["floor"].append(uvloop.run(floor(venue, count)))
            took["seatrial"].append(asyncio.run(ours(venue, count)))
            took[SPINNING].append(asyncio.run(ours(venue, count, SPIN_US)))
            took["ccxt async"].append(asyncio.run(peer(venue, count)))
    return rows_of(took)


def rows_of(took: dict[str, list[list[float]]]) -> list[Row]:
    """Ratios from the figures of one run."""
    p50 = {name: median(quantile(one, 0.5) for one in rounds) for name, rounds in took.items()}
    details = {
        name: {
            "p50_us": round(p50[name], 1),
            "p99_us": round(min(quantile(one, 0.99) for one in rounds), 1),
        }
        for name, rounds in took.items()
    }
    mine, bare, slow = p50["seatrial"], p50["floor"], p50["ccxt async"]
    spinning = p50[SPINNING]
    name = f"whole daemon, tick to order at the venue, {TICKS_PER_S} ticks/s, p50"
    return [
        Row(
            row="a2",
            name=name,
            value=mine,
            unit="µs",
            baseline_name="prebuilt bytes",
            baseline=bare,
            ratio=mine / bare,
            target=f"≤ {TARGET_FLOOR:g} x",
            met=at_most(mine / bare, TARGET_FLOOR),
            moonshot=f"≤ {MOONSHOT_FLOOR:g} x",
            moonshot_met=at_most(mine / bare, MOONSHOT_FLOOR),
            details=details,
        ),
        Row(
            row="a2",
            name="the same, times faster than ccxt async",
            value=mine,
            unit="µs",
            baseline_name="ccxt async",
            baseline=slow,
            ratio=slow / mine,
            target=f"≥ {TARGET_PEER:g} x",
            met=at_least(slow / mine, TARGET_PEER),
            moonshot=f"≥ {MOONSHOT_PEER:g} x",
            moonshot_met=at_least(slow / mine, MOONSHOT_PEER),
        ),
        Row(
            row="a2",
            name=f"the same, {SPINNING}",
            value=spinning,
            unit="µs",
            baseline_name="prebuilt bytes",
            baseline=bare,
            ratio=spinning / bare,
            target="",
            met=None,
        ),
    ]
