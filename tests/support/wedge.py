"""Strategies that fill the venue with resting orders, and then hang the loop that called them.

`Wedge` places `orders` limit orders on each of its symbols, far from the market. At every tick it
looks into the directory `signals`, where a test leaves a file for what is to happen next:

    spin     `while True: pass`
    block    a call that blocks and lets other threads run
    storm    full collections of a large heap, one after the other
    hold     a call into C that never lets another thread run
    wish     such a call for some seconds, and then ten orders
    raise    an exception, with the text of the file
    crash    an exception that nothing in the product catches, with the text of the file
    chatter  a thousand lines at every tick, on standard output, standard error and the log
    place    one more order (for late acknowledgements), then the file is removed

The file `hung` appears when it is about to hang.
"""

import gc
import logging
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from daemon.model.enums import OrderType, Side
from daemon.model.ids import InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent, Wish
from daemon.model.market import TopOfBook
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent
from daemon.strategies.sizing import bps_of, order_qty, passive_price

HEAP_OBJECTS = 300_000
HUNG = "hung"
HOLD_S = 3.0
WISHES = 10


class Wedge(Silent):
    """Rests orders on every symbol; hangs as it is told."""

    def __init__(
        self,
        strategy_id: StrategyId,
        instruments: Mapping[InstrumentId, Instrument],
        *,
        signals: str,
        orders: int = 20,
        away_bps: int = 150,
    ) -> None:
        super().__init__(strategy_id, instruments)
        self._signals = Path(signals)
        self._orders = orders
        self._away_bps = away_bps
        self._full: set[InstrumentId] = set()

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        instrument = view.instruments.get(top.instrument_id)
        if instrument is None or top.is_crossed:
            return ()
        if top.instrument_id not in self._full:
            mine = [o for o in view.open_orders() if o.instrument_id == top.instrument_id]
            if len(mine) < self._orders:
                return tuple(self._ladder(instrument, top, self._orders - len(mine)))
            self._full.add(top.instrument_id)
        for name, hang in HANGS.items():
            if (self._signals / name).exists():
                hang(self._signals / HUNG)
        for name, kind in RAISES.items():
            told = self._signals / name
            if told.exists():
                raise kind(told.read_text())
        wish = self._signals / "wish"
        if wish.exists():
            wish.unlink()
            hold_a_while(self._signals / HUNG)
            return tuple(self._ladder(instrument, top, WISHES))
        place = self._signals / "place"
        if place.exists():
            place.unlink()
            return tuple(self._ladder(instrument, top, 1))
        return ()

    def _ladder(self, instrument: Instrument, top: TopOfBook, orders: int) -> Iterator[Wish]:
        tick = instrument.tick or Decimal("1E-8")
        start = top.bid_px - bps_of(top.bid_px, self._away_bps)
        for step in range(orders):
            price = passive_price(instrument, Side.BUY, start - step * tick)
            yield PlaceIntent(
                strategy_id=self.strategy_id,
                instrument_id=instrument.instrument_id,
                side=Side.BUY,
                order_type=OrderType.LIMIT,
                qty=order_qty(instrument, Decimal(0), price),
                price=price,
                reason="rest",
            )


def spin(hung: Path) -> None:
    hung.touch()
    while True:
        pass


def block(hung: Path) -> None:
    hung.touch()
    time.sleep(3_600)


def storm(hung: Path) -> None:
    heap: list[list[object]] = [[number] for number in range(HEAP_OBJECTS)]
    hung.touch()
    while heap:
        gc.collect()


def hold(hung: Path) -> None:
    hung.touch()
    re.match(r"(a+)+$", "a" * 64 + "b")


def chatter(hung: Path) -> None:
    hung.touch()
    for number in range(1_000):
        print(f"out {number} " + "x" * 100)
        print(f"err {number} " + "x" * 100, file=sys.stderr)
        logging.getLogger("wedge").warning("log %d %s", number, "x" * 100)


def hold_a_while(hung: Path) -> None:
    """One call: a regular expression whose time doubles with every letter."""
    letters, took_s = 16, 0.0
    while took_s < HOLD_S / 20:
        letters += 1
        began_s = time.monotonic()
        re.match(r"(a+)+$", "a" * letters + "b")
        took_s = time.monotonic() - began_s
    hung.touch()
    while took_s < HOLD_S:
        letters, took_s = letters + 1, took_s * 2
    re.match(r"(a+)+$", "a" * letters + "b")


class Crash(BaseException):
    """Passes every `except Exception`."""


RAISES: dict[str, type[BaseException]] = {"raise": RuntimeError, "crash": Crash}
HANGS = {"spin": spin, "block": block, "storm": storm, "hold": hold, "chatter": chatter}
