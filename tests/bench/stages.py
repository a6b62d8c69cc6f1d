"""Where an order's time goes: microseconds per stage, for whoever wants to make it quicker.

    python -m tests.bench.stages

First the order path of row a (intent to bytes, and the answer back), against the spinning venue;
then whole turns of the pump, as in row a2, without sockets: ticks of ten symbols, a tick that is
answered with an order, and the three reports of that order. A stage is a function of the product
with a stopwatch around it (about 0.3 µs each, in what contains it too); indented ones are part of
the one above. p10 tells the code, p50 the machine around it.
"""

import asyncio
import contextlib
import gc
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import orjson
import uvloop

from daemon.core.engine import Engine
from daemon.core.engine_config import StrategySpec
from daemon.core.strategy_runner import StrategyRunner
from daemon.core.turn_context import TurnContext
from daemon.model.effects import SendOrder, TakeSnapshot, VenueEffect
from daemon.model.enums import Link
from daemon.model.ids import StrategyId
from daemon.model.inputs import ClockSampled, LinkUp, MarketData, SnapshotTaken, VenueReport
from daemon.model.market import TopOfBook
from daemon.shell import pump as pump_module
from daemon.shell.health.metrics import Metrics
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.link.governor import Governor
from daemon.shell.link.order_session import OrderSession
from daemon.shell.link.venue_link import VenueLink
from daemon.shell.process.clock import SystemClock
from daemon.shell.pump import Pump
from daemon.shell.stop.late_orders import LateOrders
from daemon.venues.binance_spot.codec_stream import StreamReader
from daemon.venues.binance_spot.codec_ws import WsCodec, decode_frame
from daemon.venues.binance_spot.request_signing import HmacSigner
from daemon.venues.binance_spot.user_data import OrderEvent, report_of
from daemon.venues.own_ids import OwnIds, SymbolNames
from riskcaps.gate.interceptor import Interceptor
from riskcaps.state.risk_state import RiskState
from tests.bench.order_path import spinning_venue
from tests.bench.our_path import SeatrialClient
from tests.bench.report import quantile
from tests.bench.spin_venue import TRIGGER_UPDATE_ID, ticker
from tests.bench.trigger import Trigger
from tests.bench.world import ROOT, SYMBOLS, engine_on
from tests.support.adapters import ws_codec
from tests.support.builders import command, snapshot
from tests.support.spot_payloads import BASE, TRADE

ORDERS = 2_000
WARM_UP = 200
TICKS_AN_ORDER = 8
ASSETS = ("USDT", "BTC", "ETH", "BNB", "XRP", "SOL", "LTC", "ADA", "DOGE")
WHOLE = "bytes to the end of the turn"
PATH: tuple[tuple[type, str, str], ...] = (
    (SeatrialClient, "_send", "intent to bytes"),
    (Interceptor, "review", "  cap decision"),
    (Journal, "append", "  line: encode, chain"),
    (Journal, "write", "  write(2)"),
    (VenueLink, "perform", "  venue link"),
    (Governor, "admit", "    governor"),
    (WsCodec, "place", "    encode, sign"),
    (OrderSession, "send", "    socket"),
    (OrderSession, "on_payload", "answer: decode, apply (and bench)"),
)
TURN: tuple[tuple[Any, str, str], ...] = (
    (Engine, "step", "  engine step"),
    (RiskState, "on_top", "    gate: top"),
    (StrategyRunner, "on_market", "    strategy and its wishes"),
    (Interceptor, "review", "      cap decision"),
    (TurnContext, "approve", "      books, record"),
    (RiskState, "on_fill", "    gate: fill"),
    (pump_module, "input_text", "  input's text"),
    (Journal, "append", "  line: encode, chain (each)"),
    (Pump, "_take", "  records, effects"),
    (Journal, "write", "    write(2)"),
    (WsCodec, "place", "    encode, sign"),
)


class Watch:
    """Stopwatches around functions; figures by section and label, in order of first use."""

    def __init__(self) -> None:
        self.took: dict[str, dict[str, list[float]]] = {}
        self.section = ""

    def note(self, label: str, took_ns: int) -> None:
        """One figure."""
        self.took.setdefault(self.section, {}).setdefault(label, []).append(took_ns / 1_000)

    def around(self, owner: Any, name: str, label: str) -> Callable[[], None]:
        """Time every call of `owner.name`; returns what undoes it."""
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = perf_counter_ns()
            try:
                return inner(*args, **kwargs)
            finally:
                self.note(label, perf_counter_ns() - began)

        setattr(owner, name, timed)
        return lambda: setattr(owner, name, inner)

    @contextlib.contextmanager
    def on(self, stages: tuple[tuple[Any, str, str], ...]) -> Iterator[None]:
        """Time these stages meanwhile."""
        undo = [self.around(*stage) for stage in stages]
        try:
            yield
        finally:
            for one in reversed(undo):
                one()

    def table(self, stages: tuple[tuple[Any, str, str], ...]) -> str:
        """Every section, stages in the order of their list."""
        order = [label for _, _, label in stages]
        lines = []
        for section, labels in self.took.items():
            lines.append(f"\n{section:38}{'p10 µs':>9}{'p50 µs':>9}{'calls':>7}")
            turns = len(labels.get(WHOLE) or labels[order[0]])
            listed = [WHOLE, "  decode", *order]
            for label in sorted(labels, key=listed.index):
                took = sorted(labels[label])
                p10, p50 = quantile(took, 0.1), quantile(took, 0.5)
                lines.append(f"{label:38}{p10:9.1f}{p50:9.1f}{len(took) / turns:7.2g}")
        return "\n".join(lines)


async def order_path(watch: Watch, port: int, orders: int) -> None:
    """Row a, one order after the other."""
    client = SeatrialClient()
    try:
        await client.open(port)
        await client.fire(WARM_UP)
        watch.section = "order path (row a)"
        with watch.on(PATH):
            gc.collect()
            await client.fire(orders)
    finally:
        await client.close()


class Port:
    """The venue of a pump: encodes as the link does, and sends nothing."""

    def __init__(self) -> None:
        self.encoder = ws_codec(
            api_key="k" * 64, signer=HmacSigner(b"s" * 64), recv_window_ms=5_000
        )
        self.sent: list[SendOrder] = []
        self.asked: list[TakeSnapshot] = []

    def perform(self, effect: VenueEffect) -> None:
        """Note it."""
        if isinstance(effect, SendOrder):
            self.encoder.place(effect.order, str(len(self.sent)), 1_700_000_000_000)
            self.sent.append(effect)
        elif isinstance(effect, TakeSnapshot):
            self.asked.append(effect)


class Turns:
    """A pump on an engine with a session on."""

    def __init__(self, directory: Path, watch: Watch) -> None:
        self.watch = watch
        self.clock = SystemClock()
        spec = StrategySpec(
            strategy_id=StrategyId("trigger"), symbols=(SYMBOLS[0],), factory=Trigger
        )
        engine, _, halt = engine_on(self.clock.now_ns(), (spec,))
        self.engine = engine
        self.journal = Journal(directory, run_id="bench1-1", mode="sim", exchange="sim")
        self.pump = Pump(
            engine=engine,
            journal=self.journal,
            clock=self.clock,
            halt=halt,
            on_reply=lambda _: None,
            on_exit=lambda _: None,
            on_fatal=self._fatal,
            sinks=(LateOrders(5_000),),
            counters=(Metrics(dict, {}),),
        )
        self.port = Port()
        self.pump.attach(self.port)
        self._names, self._ids = SymbolNames("sim", SYMBOLS), OwnIds()
        self._reader = StreamReader(self._names)
        self._updates = self._orders = 0
        self.fault: BaseException | None = None

    def _fatal(self, error: BaseException) -> None:
        self.fault = error

    async def begin(self) -> None:
        """Links up, books compared, a session on."""
        self._tell(*(LinkUp(link) for link in Link), ClockSampled(0, 1_000))
        while self.port.asked:
            held = dict.fromkeys(ASSETS, "100000")
            asked = self.port.asked.pop()
            self._tell(SnapshotTaken(snapshot(reason=asked.reason, balances=held)))
        for symbol in SYMBOLS:
            self._tell(self._top(symbol))
        self._tell(command("start", reason="bench"))
        await asyncio.sleep(0.05)  # the timer that lets strategies begin
        if self.engine.trading_state != "ACTIVE":
            raise RuntimeError(f"no session: {self.engine.status(self.clock.now_ns())}")

    def _tell(self, *items: Any) -> None:
        for item in items:
            self.pump.offer(item)
        self.pump.take()
        if self.fault is not None:
            raise self.fault

    def _top(self, symbol: str, base: int = 0) -> MarketData:
        self._updates += 1
        top = self._reader.read(ticker(symbol, base + self._updates), self.clock.now_ns())
        assert isinstance(top, TopOfBook)
        return MarketData(top)

    def _timed(self, section: str, make: Callable[[], Any]) -> None:
        self.watch.section = section
        began = perf_counter_ns()
        item = make()
        made = perf_counter_ns()
        self._tell(item)
        self.watch.note("  decode", made - began)
        self.watch.note(WHOLE, perf_counter_ns() - began)

    def life(self) -> None:
        """Ticks of others, a trigger, its order, and the order's three reports."""
        for number in range(TICKS_AN_ORDER):
            self._timed("a tick", lambda n=number: self._top(SYMBOLS[1 + n]))  # type: ignore[misc]
        self._timed("a tick that is answered", lambda: self._top(SYMBOLS[0], TRIGGER_UPDATE_ID))
        self._orders += 1
        if len(self.port.sent) != self._orders:
            raise RuntimeError("the trigger was not answered")
        for section, payload in self._reports(self.port.sent[-1]):
            self._timed(section, lambda p=payload: self._report(p))  # type: ignore[misc]

    def _reports(self, sent: SendOrder) -> list[tuple[str, bytes]]:
        order, number = sent.order, self._orders
        half = {"l": "0.02500000", "L": f"{order.price}", "n": "0.00000000", "N": "USDT"}
        common = {
            "s": SYMBOLS[0], "c": order.client_order_id, "S": order.side.value,
            "q": f"{order.qty}", "p": f"{order.price}", "i": number,
        }  # fmt: skip
        first = {"z": "0.02500000", "Z": "6.2", "t": 2 * number}
        last = {"z": "0.05000000", "Z": "12.4", "t": 2 * number + 1, "X": "FILLED"}
        rows = {
            "report: new": BASE | common,
            "report: partial fill": BASE | TRADE | common | half | first,
            "report: last fill": BASE | TRADE | common | half | last,
        }
        return [
            (name, orjson.dumps({"subscriptionId": 0, "event": row})) for name, row in rows.items()
        ]

    def _report(self, payload: bytes) -> VenueReport:
        event = decode_frame(payload)
        assert isinstance(event, OrderEvent)
        return VenueReport(report_of(event, self._names, self._ids, self.clock.now_ns()))


async def turns(watch: Watch, directory: Path, orders: int) -> None:
    """Whole turns, one order's life after the other."""
    stage = Turns(directory, watch)
    try:
        await stage.begin()
        for _ in range(WARM_UP // 10):
            stage.life()
        watch.took.clear()
        gc.collect()
        with watch.on(TURN):
            for _ in range(orders):
                stage.life()
    finally:
        stage.journal.close()


def main(orders: int = ORDERS) -> int:
    """Measure and print both tables."""
    home = ROOT / "build"
    home.mkdir(exist_ok=True)
    path, turn = Watch(), Watch()
    with spinning_venue() as port:
        uvloop.run(order_path(path, port, orders))
    with tempfile.TemporaryDirectory(prefix="bench-stages-", dir=home) as directory:
        uvloop.run(turns(turn, Path(directory), orders // 8))
    sys.stdout.write(f"{path.table(PATH)}\n{turn.table(TURN)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
