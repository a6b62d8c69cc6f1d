"""Books from depth diffs, for the symbols that need more than bookTicker (binance-spot.md §9).

Rules of this file:
1. Nothing is told of a book that is not synced: after a gap the symbol is silent until a new
   snapshot fits, and its age shows.
2. One snapshot request a symbol at a time; a failed one is tried again after a backoff.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from decimal import Decimal
from typing import Any

from daemon.errors import SeatrialError
from daemon.model.inputs import Input, MarketData
from daemon.model.market import TopOfBook
from daemon.shell.backoff import Backoff
from daemon.shell.clock import Clock
from daemon.shell.rest_session import HttpReply
from daemon.venues.binance_spot.codec_rest import RestEncoder
from daemon.venues.binance_spot.codec_stream import DepthDiff
from daemon.venues.binance_spot.depth import DepthBook, DepthState, decode_snapshot
from daemon.venues.binance_spot.own_ids import SymbolNames
from daemon.venues.requests import HttpRequest

SNAPSHOT_LEVELS = 1_000
STREAM_KIND = "depth@100ms"
_TRIES_MAX = 8

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]], str], bool]


class DepthFeeds:
    """One book per symbol; tells the engine the best bid and ask whenever they change."""

    def __init__(
        self,
        symbols: Iterable[str],
        *,
        names: SymbolNames,
        encoder: RestEncoder,
        call: Callable[[HttpRequest], Awaitable[HttpReply]],
        clock: Clock,
        deliver: Callable[[Input], None],
        spawn: Spawn,
        make_backoff: Callable[[], Backoff],
    ) -> None:
        self.books = {symbol: DepthBook() for symbol in symbols}
        self._names = names
        self._encoder = encoder
        self._call = call
        self._clock = clock
        self._deliver = deliver
        self._spawn = spawn
        self._make_backoff = make_backoff
        self._asking: set[str] = set()
        self._told: dict[str, tuple[Decimal, Decimal, Decimal, Decimal]] = {}

    def on_diff(self, diff: DepthDiff) -> None:
        """One diff of the stream.

        Raises:
            Undecodable: when its amounts are none; the book was dropped.
        """
        book = self.books.get(diff.symbol)
        if book is None:
            return
        if book.on_diff(diff):
            self._tell(diff.symbol, book, diff.ts_venue_ns)
        elif diff.symbol not in self._asking and self._spawn(
            lambda: self._snapshot(diff.symbol, book), "depth"
        ):
            self._asking.add(diff.symbol)

    def facts(self) -> dict[str, Any]:
        """What status and metrics show."""
        return {
            symbol: {
                "synced": book.state is DepthState.SYNCED,
                "gaps": book.gaps,
                "levels": len(book.bids) + len(book.asks),
            }
            for symbol, book in self.books.items()
        }

    async def _snapshot(self, symbol: str, book: DepthBook) -> None:
        backoff = self._make_backoff()
        try:
            for _ in range(_TRIES_MAX):
                if await self._try_snapshot(symbol, book):
                    self._tell(symbol, book, 0)
                    return
                await asyncio.sleep(backoff.next_s())
        finally:
            self._asking.discard(symbol)  # the next diff asks again

    async def _try_snapshot(self, symbol: str, book: DepthBook) -> bool:
        try:
            reply = await self._call(self._encoder.depth(symbol, SNAPSHOT_LEVELS))
            return reply.status == 200 and book.on_snapshot(decode_snapshot(reply.body))
        except SeatrialError:
            return False

    def _tell(self, symbol: str, book: DepthBook, ts_venue_ns: int) -> None:
        best = book.best()
        if best is None or best == self._told.get(symbol):
            return
        self._told[symbol] = best
        instrument = self._names.instrument(symbol)
        top = TopOfBook(instrument, *best, book.update_id, ts_venue_ns, self._clock.now_ns())
        self._deliver(MarketData(top))
