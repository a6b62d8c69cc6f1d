"""The reference price of a symbol, and its block trades.

Rules of this file:
1. The reference price is the mean of the trade prices of the last minute, kept in buckets of one
   second; the oldest bucket counts for the part of it that is inside the minute.
2. Block trades are made off the book, one every ten seconds at the last price; they move nothing.
"""

from collections import deque
from operator import attrgetter

import msgspec

from daemon.venues.binance_spot.serving.intervals import SECOND_NS
from daemon.venues.binance_spot.serving.units import E8
from daemon.venues.sim.listed_symbols import SymbolSpec
from daemon.venues.sim.newest_rows import Kept
from daemon.venues.sim.past import LISTED_NS

BUCKET_MS = 1_000
BUCKETS = 60
BLOCK_EVERY_NS = 10 * SECOND_NS
BLOCKS_KEPT = 5_000
_BLOCK_SIZE = 50
_SPAN_NS = BUCKETS * SECOND_NS


class ReferencePrice:
    """A moving mean over the last minute's trades."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, int, int]] = deque()
        """(opened, trades, sum of their prices)"""

    def add(self, price: int, ts_ns: int) -> None:
        """Count a trade."""
        open_ns = ts_ns - ts_ns % SECOND_NS
        if self._buckets and self._buckets[-1][0] >= open_ns:
            open_ns, trades, total = self._buckets.pop()
            self._buckets.append((open_ns, trades + 1, total + price))
        else:
            self._buckets.append((open_ns, 1, price))
            self._drop(ts_ns - _SPAN_NS)

    def at(self, now_ns: int) -> int | None:
        """The mean, or None when nothing has traded for a minute."""
        cutoff_ns = now_ns - _SPAN_NS
        self._drop(cutoff_ns)
        weight = total = 0
        for open_ns, trades, prices in self._buckets:
            inside_ns = min(SECOND_NS, open_ns + SECOND_NS - cutoff_ns)
            weight += trades * inside_ns
            total += prices * inside_ns
        return total // weight if weight else None

    def _drop(self, cutoff_ns: int) -> None:
        while self._buckets and self._buckets[0][0] + SECOND_NS <= cutoff_ns:
            self._buckets.popleft()


class BlockTrade(msgspec.Struct, frozen=True):
    """One trade made off the book."""

    block_id: int
    price: int
    qty: int
    ts_ns: int
    buyer_is_maker: bool


class BlockTrades:
    """The block trades of one symbol since the venue was started."""

    def __init__(self, spec: SymbolSpec, now_ns: int) -> None:
        self._spec = spec
        self._next_ns = now_ns - now_ns % BLOCK_EVERY_NS + BLOCK_EVERY_NS
        self.rows: Kept[BlockTrade] = Kept(BLOCKS_KEPT, attrgetter("block_id"))

    def advance(self, now_ns: int, price: int) -> None:
        """Make the block trade that is due; those that a stall has missed are skipped."""
        if now_ns < self._next_ns:
            return
        ts_ns = now_ns - now_ns % BLOCK_EVERY_NS
        self._next_ns = ts_ns + BLOCK_EVERY_NS
        block_id = (ts_ns - LISTED_NS) // BLOCK_EVERY_NS
        spec = self._spec
        share = block_id * 2_654_435_761 % 1_000  # a size that looks random and is not
        qty = spec.typical_notional * _BLOCK_SIZE * (500 + share) // 1_000 * E8 // price
        qty = max(qty - qty % spec.step, spec.step)
        self.rows.append(BlockTrade(block_id, price, qty, ts_ns, share % 2 == 0))
