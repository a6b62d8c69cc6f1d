"""Row e, cancel-all: 200 orders on 10 symbols, from the wish to the last cancel at the venue.

The venue keeps the orders and stamps the instant at which none is left. Ours is a real daemon with
a session on, killed over its control socket; the peers are ccxt async, each order by itself and in
bulk by symbol, all requests at once. Rounds are interleaved.
"""

import asyncio
import tempfile
from pathlib import Path
from time import perf_counter_ns

from tests.bench.clients import CcxtClient
from tests.bench.report import Row, at_least, at_most, median
from tests.bench.spin_stage import SpinStage, SpinVenue
from tests.support.stop_stage import ORDERS_PER_SYMBOL, SYMBOLS

ROUNDS = 5
QUICK_ROUNDS = 1
ORDERS = ORDERS_PER_SYMBOL * len(SYMBOLS)
TARGET_MS, MOONSHOT_MS, TARGET_RATIO = 3.0, 1.0, 20.0
DEADLINE_S = 30


class Canceler(CcxtClient):
    """ccxt async with ten markets."""

    async def fill(self) -> list[tuple[str, str]]:
        """Rest the orders; their venue ids and symbols."""
        placed = []
        for symbol in self.symbols():
            answers = await asyncio.gather(
                *(
                    self._exchange.create_order(symbol, "limit", "buy", 0.01, 240.0)
                    for _ in range(ORDERS_PER_SYMBOL)
                )
            )
            placed += [(str(answer["id"]), symbol) for answer in answers]
        return placed

    def symbols(self) -> list[str]:
        """The markets in ccxt's words."""
        return [str(market) for market in self._exchange.markets]

    async def each(self, placed: list[tuple[str, str]]) -> None:
        """Cancel one by one, all at once."""
        await asyncio.gather(*(self._exchange.cancel_order(one, of) for one, of in placed))

    async def bulk(self) -> None:
        """Cancel by symbol, all at once."""
        await asyncio.gather(*(self._exchange.cancel_all_orders(of) for of in self.symbols()))


def emptied_ms(venue: SpinVenue, asked_ns: int) -> float:
    """Milliseconds from `asked_ns` until the venue had nothing left."""
    facts = venue.facts()
    if facts["resting"] or not facts["emptied_ns"]:
        raise RuntimeError(f"{facts['resting']} orders still rest at the venue")
    return float((facts["emptied_ns"] - asked_ns) / 1e6)


def ours(venue: SpinVenue) -> float:
    """A daemon with 200 orders, killed."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-cancel-") as directory,
        SpinStage(Path(directory), venue, orders_per_symbol=ORDERS_PER_SYMBOL) as stage,
    ):
        stage.start_daemon()
        stage.fill()
        venue.facts()
        asked_ns = perf_counter_ns()
        stage.kill("bench")
        return emptied_ms(venue, asked_ns)


async def peers(venue: SpinVenue) -> tuple[float, float]:
    """ccxt, each and bulk."""
    client = Canceler(SYMBOLS)
    await client.connect(venue.port)
    try:
        async with asyncio.timeout(DEADLINE_S):
            placed = await client.fill()
            venue.facts()
            asked_ns = perf_counter_ns()
            await client.each(placed)
            each = emptied_ms(venue, asked_ns)
            await client.fill()
            venue.facts()
            asked_ns = perf_counter_ns()
            await client.bulk()
            return each, emptied_ms(venue, asked_ns)
    finally:
        await client.close()


def rows(*, quick: bool) -> list[Row]:
    """The rows of cancel-all."""
    took: dict[str, list[float]] = {"seatrial": [], "each": [], "bulk": []}
    with SpinVenue("--ticks", "200") as venue:
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            took["seatrial"].append(ours(venue))
            each, bulk = asyncio.run(peers(venue))
            took["each"].append(each)
            took["bulk"].append(bulk)
    return rows_of(took)


def rows_of(took: dict[str, list[float]]) -> list[Row]:
    """Ratios from the figures of one run."""
    mine, each, bulk = (median(took[name]) for name in ("seatrial", "each", "bulk"))
    details = {name: [round(one, 2) for one in values] for name, values in took.items()}
    return [
        Row(
            row="e1",
            name=f"cancel {ORDERS} orders on {len(SYMBOLS)} symbols, last cancel at the venue",
            value=mine,
            unit="ms",
            baseline_name="ccxt bulk by symbol",
            baseline=bulk,
            ratio=bulk / mine,
            target=f"≤ {TARGET_MS:g} ms",
            met=at_most(mine, TARGET_MS),
            moonshot=f"≤ {MOONSHOT_MS:g} ms",
            moonshot_met=at_most(mine, MOONSHOT_MS),
            details=details,
        ),
        Row(
            row="e1",
            name="the same, times faster than ccxt each",
            value=mine,
            unit="ms",
            baseline_name="ccxt each",
            baseline=each,
            ratio=each / mine,
            target=f"≥ {TARGET_RATIO:g} x",
            met=at_least(each / mine, TARGET_RATIO),
        ),
    ]
