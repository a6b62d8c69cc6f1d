"""How many calls an order costs: Python frames and calls of native code, counted and not timed.

    python -m tests.bench.order_calls

A count is the same on a busy machine as on a quiet one, so a test holds it (test_order_calls.py).
"A wish to its bytes" begins with the intent and ends where the frame is handed to the socket; a
report begins with the bytes of its frame and ends with its turn, lines written, metrics counted.
Counted are frames of the product on the path of `our_path.py` and the turns of `stages.py`; the
bench's own few are among them, and the event hub that hears every line, as in the daemon.
"""

import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any, Self

from control.server.line_events import EventHub
from daemon.model.enums import TradingState
from daemon.model.position import Balance
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.link.order_session import OrderSession
from daemon.shell.link.venue_link import LinkConfig, VenueEndpoints, VenueLink
from daemon.venues.hosts import EndpointKind
from tests.bench.our_path import SeatrialClient, top_of_book
from tests.bench.spin_venue import TRIGGER_UPDATE_ID
from tests.bench.stages import TICKS_AN_ORDER, Turns, Watch
from tests.bench.world import SYMBOLS
from tests.support.adapters import spot
from tests.support.builders import instrument

ORDERS = 40
URL = "127.0.0.1:1"


class Calls:
    """Counts the calls of this thread while it is entered."""

    def __init__(self) -> None:
        self.python = self.native = 0
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = sys.getprofile()
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if frame.f_code.co_filename == __file__:
            return
        self.python += event == "call"
        self.native += event == "c_call"


class Wire:
    """A socket that only takes: what is counted ends here."""

    is_disconnected = False

    def __init__(self) -> None:
        self.calls: Calls | None = None
        self.found: list[tuple[int, int]] = []

    def send(self, _kind: object, _payload: bytes) -> None:
        """The bytes leave."""
        if self.calls is not None:
            self.found.append((self.calls.python, self.calls.native))


def usual(found: list[tuple[int, int]]) -> tuple[int, int]:
    """The most frequent pair: now and then a window is tidied up, or time has passed."""
    return Counter(found).most_common(1)[0][0]


def of_an_order(directory: Path) -> list[tuple[int, int]]:
    """From a wish to its bytes."""
    client, wire = SeatrialClient(), Wire()
    clock, halt = client._clock, client._halt
    client._journal = Journal(directory, run_id="bench1-1", mode="sim", exchange="sim")
    client._journal.on_line = EventHub().publish
    adapter = spot(key="k" * 64, secret=b"s" * 64)
    client._link = link = VenueLink(
        endpoints=VenueEndpoints(
            environment="sim", rest=f"http://{URL}", ws_api=f"ws://{URL}", streams=f"ws://{URL}"
        ),
        adapter=adapter,
        config=LinkConfig(symbols=("BTCUSDT",)),
        clock=clock,
        halt=halt,
        deliver=client._deliver,
        rng=random.Random(7),
    )
    orders = link._orders
    session = OrderSession(
        environment="sim",
        endpoint=orders._endpoints.endpoint(EndpointKind.WS_API),
        codec=adapter.order_codec(),
        clock=clock,
        halt=halt,
        on_message=orders._on_message,
        on_lost=orders._on_lost,
    )
    session.on_ws_connected(wire)  # type: ignore[arg-type] # as much of a socket as is needed
    orders.supervisor.current = session
    risk, now_ns = client._interceptor.risk, clock.now_ns()
    risk.on_instruments((instrument(),))
    held = [Balance(one, Decimal(1_000_000), Decimal(0)) for one in ("USDT", "BTC")]
    risk.on_balances(held, now_ns)
    risk.on_top(top_of_book(now_ns), now_ns)
    risk.on_journal_health(ok=True)
    risk.on_clock(0, 1_000, now_ns)
    risk.start_session(now_ns)
    risk.set_trading_state(TradingState.ACTIVE)
    try:
        for number in range(ORDERS):
            with Calls() as wire.calls:
                order = client._send(Decimal(2_500_000 - number).scaleb(-2), Decimal("0.001"))
            risk.on_terminal(order.client_order_id, clock.now_ns())
    finally:
        client._journal.close()
    return wire.found


async def of_turns(directory: Path) -> dict[str, list[tuple[int, int]]]:
    """A tick that is answered, and the three reports of its order."""
    turns, found = Turns(directory, Watch()), dict[str, list[tuple[int, int]]]()
    turns.journal.on_line = EventHub().publish

    def counted(name: str, make: Callable[[], Any]) -> None:
        with Calls() as calls:
            turns._tell(make())
        found.setdefault(name, []).append((calls.python, calls.native))

    try:
        await turns.begin()
        for _ in range(ORDERS):
            for number in range(TICKS_AN_ORDER):
                turns._tell(turns._top(SYMBOLS[1 + number]))
            counted("tick, answered", lambda: turns._top(SYMBOLS[0], TRIGGER_UPDATE_ID))
            turns._orders += 1
            for name, payload in turns._reports(turns.port.sent[-1]):
                counted(name, lambda p=payload: turns._report(p))  # type: ignore[misc]
    finally:
        turns.journal.close()
    return found


def counts() -> dict[str, list[tuple[int, int]]]:
    """(Python calls, native calls) of each time, by what was counted."""
    with tempfile.TemporaryDirectory(prefix="bench-calls-") as name:
        order = of_an_order(Path(name) / "order")
        return {"wish to bytes": order, **asyncio.run(of_turns(Path(name) / "turns"))}


if __name__ == "__main__":
    for what, found in counts().items():
        python, native = usual(found)
        sys.stdout.write(f"{what:24}{python:6}{native:6}\n")
