"""Row b, market data: bookTicker from the socket into state, against `websockets` and json.

A process on the other core blasts prebuilt frames. Ours takes them in two ways, both
through the product's own stream session and codec:

- stepped: every frame is decoded and is one turn of the engine (no journal, nothing is conflated);
- pumped: the daemon as it ships: of one read only the newest top of a symbol is decoded and told,
  the pump keeps the newest again, the journal is chained and written. It is over when the last
  frame's top is in the engine's state.

The baseline reads with `websockets`, parses every frame with json and keeps floats per symbol.
"""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import uvloop
from websockets.asyncio.client import connect

from daemon.model.effects import ExitDaemon, Reply
from daemon.model.inputs import Input, MarketData, Turn
from daemon.model.market import TopOfBook
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.link.stream_session import MarketSession
from daemon.shell.process.clock import SystemClock
from daemon.shell.pump import Pump
from daemon.venues.binance_spot.codec_stream import stream_names
from daemon.venues.contract import MarketEvent
from daemon.venues.hosts import EndpointKind, check_endpoint
from tests.bench.report import Row, at_least, median
from tests.bench.world import ROOT, SYMBOLS, beside, engine_on
from tests.support.adapters import spot

FRAMES = 100_000
ROUNDS = 5
QUICK_FRAMES = 12_000
QUICK_ROUNDS = 2
DEADLINE_S = 60
TARGET, MOONSHOT = 1.2, 3.0


class Reader:
    """The product's stream session, timing from the first frame to the last."""

    def __init__(self, port: int, on_top: Callable[[TopOfBook], None], *, newest: bool) -> None:
        names = stream_names(SYMBOLS, ["bookTicker"])
        self.session = MarketSession(
            environment="sim",
            endpoint=check_endpoint("sim", EndpointKind.STREAMS, f"ws://127.0.0.1:{port}"),
            names=names,
            newest_of=names if newest else (),
            codec=spot(SYMBOLS).market,
            clock=SystemClock(),
            on_event=self._on_event,
            silence_max_s=DEADLINE_S,
        )
        self.began_ns = 0
        self._on_top = on_top

    def _on_event(self, event: MarketEvent) -> None:
        if not self.began_ns:
            self.began_ns = perf_counter_ns()
        assert isinstance(event, TopOfBook)
        self._on_top(event)

    @property
    def came(self) -> int:
        """Messages so far."""
        return self.session.frames + self.session.superseded

    async def run(self, over: Callable[[], bool]) -> None:
        """Connect and read until it is over."""
        await self.session.open(connect_deadline_s=10, ping_idle_s=60, ping_reply_s=60)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.session.run(), name="session")
            async with asyncio.timeout(DEADLINE_S):
                while not over():  # noqa: ASYNC110 - the last frame is no event
                    await asyncio.sleep(0)
            self.session.close("done")


async def stepped(port: int, count: int) -> dict[str, float]:
    """Every frame is one turn of the engine."""
    clock = SystemClock()
    engine, _, _ = engine_on(clock.now_ns())
    seq = 1

    def on_top(top: TopOfBook) -> None:
        nonlocal seq
        seq += 1
        engine.step(Turn(seq, clock.now_ns(), MarketData(top)))

    reader = Reader(port, on_top, newest=False)
    await reader.run(lambda: reader.came == count)
    return {"rate": rate(count, reader.began_ns), "turns": count}


async def pumped(port: int, count: int) -> dict[str, float]:
    """The daemon's pump with its journal, until the last frame is in the engine's state."""
    clock = SystemClock()
    engine, _, halt = engine_on(clock.now_ns())
    fatal: list[BaseException] = []
    home = ROOT / "build"
    home.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-market-", dir=home) as directory:
        journal = Journal(Path(directory) / "j", run_id="bench1-1", mode="sim", exchange="sim")
        pump = Pump(
            engine=engine,
            journal=journal,
            clock=clock,
            halt=halt,
            on_reply=ignore_reply,
            on_exit=ignore_exit,
            on_fatal=fatal.append,
        )
        pump.attach(NoVenue())
        offer: Callable[[Input], None] = pump.offer
        reader = Reader(port, lambda top: offer(MarketData(top)), newest=True)

        def over() -> bool:
            taken = pump.turns + pump.conflated + reader.session.superseded
            return taken == count or bool(fatal)

        async with asyncio.TaskGroup() as group:
            writer = group.create_task(journal.run(), name="journal")
            await reader.run(over)
            figure = {"rate": rate(count, reader.began_ns), "turns": pump.turns}
            pump.stop()
            writer.cancel()
        journal.close()
    if fatal:
        raise fatal[0]
    return figure


class NoVenue:
    """The engine of this row sends nothing."""

    def perform(self, effect: object) -> None:
        """Refuse."""
        raise AssertionError(f"an engine without strategies sent {effect!r}")


def ignore_reply(reply: Reply) -> None:
    """Nobody asked."""


def ignore_exit(effect: ExitDaemon) -> None:
    """Nobody waits."""


async def peer(port: int, count: int) -> dict[str, float]:
    """`websockets` and json, the state a dict of floats."""
    state: dict[str, tuple[int, float, float, float, float]] = {}
    url = f"ws://127.0.0.1:{port}/stream"
    seen, began_ns = 0, 0
    async with asyncio.timeout(DEADLINE_S), connect(url, compression=None) as socket:
        async for message in socket:
            began_ns = began_ns or perf_counter_ns()
            data: dict[str, Any] = json.loads(message)["data"]
            state[data["s"]] = (
                data["u"],
                float(data["b"]),
                float(data["B"]),
                float(data["a"]),
                float(data["A"]),
            )
            seen += 1
            if seen == count:
                break
        figure = {"rate": rate(count, began_ns), "turns": len(state)}
        socket.transport.abort()
    return figure


def rate(count: int, began_ns: int) -> float:
    """Messages per second since `began_ns`."""
    return count / ((perf_counter_ns() - began_ns) / 1e9)


READERS: dict[str, Callable[[int, int], Awaitable[dict[str, float]]]] = {
    "websockets+json": peer,
    "stepped": stepped,
    "pumped": pumped,
}


def rows(*, quick: bool) -> list[Row]:
    """The market data rows."""
    count = QUICK_FRAMES if quick else FRAMES
    found: dict[str, list[dict[str, float]]] = {name: [] for name in READERS}
    with beside("tests.bench.blaster", "--frames", str(count)) as port:
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            for name, read in READERS.items():
                found[name].append(uvloop.run(_run(read, port, count)))
    return rows_of(found, count)


async def _run(
    read: Callable[[int, int], Awaitable[dict[str, float]]], port: int, count: int
) -> dict[str, float]:
    return await read(port, count)


def rows_of(found: dict[str, list[dict[str, float]]], count: int) -> list[Row]:
    """Rates from the figures of one run."""
    rates = {name: median(one["rate"] for one in figures) for name, figures in found.items()}
    base = rates["websockets+json"]
    return [
        Row(
            row="b1",
            name=what,
            value=rates[name],
            unit="messages/s",
            baseline_name="websockets+json",
            baseline=base,
            ratio=rates[name] / base,
            target=f"≥ {TARGET:g} x",
            met=at_least(rates[name] / base, TARGET),
            moonshot=f"≥ {MOONSHOT:g} x",
            moonshot_met=at_least(rates[name] / base, MOONSHOT),
            details={
                "rounds": [round(one["rate"]) for one in found[name]],
                "turns_per_message": round(median(one["turns"] for one in found[name]) / count, 3),
            },
        )
        for name, what in (
            ("stepped", "bookTicker, network to state, every message a turn"),
            ("pumped", "bookTicker, network to state, pump and journal, newest per symbol"),
        )
    ]
