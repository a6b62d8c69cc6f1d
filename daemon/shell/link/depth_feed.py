"""Books from depth diffs, for the symbols that need more than bookTicker (binance-spot.md §9).

Rules of this file:
1. The books are those of one connection: a new connection has new books, which are synced anew.
2. Nothing is told of a book that is not synced: after a gap, a reset of the venue's ids or a
   crossed book the symbol is silent until a new snapshot fits, and its age shows.
3. An applied diff confirms the top even where it leaves it as it was; that is told once a second.
   A diff that is ignored confirms nothing.
4. One snapshot request a symbol at a time; a failed one is tried again after a backoff.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from daemon.errors import SeatrialError
from daemon.model.market import TopOfBook
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.process.clock import Clock
from daemon.venues.binance_spot.codec_rest import SpotRestEncoder
from daemon.venues.binance_spot.codec_stream import DepthDiff
from daemon.venues.binance_spot.depth import Best, DepthBook, DepthState, decode_snapshot
from daemon.venues.binance_spot.own_ids import SymbolNames
from daemon.venues.requests import HttpRequest

SNAPSHOT_LEVELS = 1_000
STREAM_KIND = "depth@100ms"
CONFIRM_NS = 1_000_000_000
_TRIES_MAX = 8
_NS_PER_MS = 1_000_000

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]], str], bool]


class DepthFeeds:
    """One book per symbol of one connection; tells its best bid and ask."""

    def __init__(
        self,
        symbols: Iterable[str],
        *,
        names: SymbolNames,
        encoder: SpotRestEncoder,
        call: Callable[[HttpRequest], Awaitable[HttpReply]],
        clock: Clock,
        tell: Callable[[TopOfBook], None],
        spawn: Spawn,
        make_backoff: Callable[[], Backoff],
    ) -> None:
        self.books = {symbol: DepthBook() for symbol in symbols}
        self.is_over = False
        """The connection is gone: what is under way for its books is dropped."""
        self._names = names
        self._encoder = encoder
        self._call = call
        self._clock = clock
        self._tell_top = tell
        self._spawn = spawn
        self._make_backoff = make_backoff
        self._asking: set[str] = set()
        self._told: dict[str, Best] = {}
        self._told_ns: dict[str, int] = {}
        self._heard_ns: dict[str, int] = {}
        """When each book was last brought up to date, by a snapshot or by a diff that fits."""

    def on_diff(self, diff: DepthDiff) -> None:
        """One diff of the stream.

        Raises:
            Undecodable: when its amounts are none; the book was dropped.
        """
        book = self.books.get(diff.symbol)
        if book is None:
            return
        before = book.update_id
        if book.on_diff(diff):
            if book.update_id == before:
                return
            best = book.best()
            if best is None or best[0] < best[2]:
                self._tell(diff.symbol, book, best, diff.ts_venue_ns)
                return
            book.restart()  # no true book is crossed: a diff went missing
        if diff.symbol not in self._asking and self._spawn(
            lambda: self._snapshot(diff.symbol, book), "depth"
        ):
            self._asking.add(diff.symbol)

    def facts(self) -> dict[str, Any]:
        """What status and metrics show."""
        now_ns = self._clock.now_ns()
        return {
            symbol: {
                "synced": book.state is DepthState.SYNCED,
                "gaps": book.gaps,
                "resets": book.resets,
                "levels": len(book.bids) + len(book.asks),
                "age_ms": (now_ns - self._heard_ns[symbol]) // _NS_PER_MS
                if symbol in self._heard_ns
                else None,
            }
            for symbol, book in self.books.items()
        }

    async def _snapshot(self, symbol: str, book: DepthBook) -> None:
        backoff = self._make_backoff()
        try:
            for _ in range(_TRIES_MAX):
                if self.is_over:
                    return
                if await self._try_snapshot(symbol, book):
                    self._tell(symbol, book, book.best(), 0)
                    return
                await asyncio.sleep(backoff.next_s())
        finally:
            self._asking.discard(symbol)  # the next diff asks again

    async def _try_snapshot(self, symbol: str, book: DepthBook) -> bool:
        epoch = book.epoch
        try:
            reply = await self._call(self._encoder.depth(symbol, SNAPSHOT_LEVELS))
            if reply.status != 200 or book.epoch != epoch:
                return False
            return book.on_snapshot(decode_snapshot(reply.body))
        except SeatrialError:
            return False

    def _tell(self, symbol: str, book: DepthBook, best: Best | None, ts_venue_ns: int) -> None:
        now_ns = self._clock.now_ns()
        self._heard_ns[symbol] = now_ns
        if best is None or self.is_over:
            return
        if best == self._told.get(symbol) and now_ns - self._told_ns[symbol] < CONFIRM_NS:
            return
        self._told[symbol] = best
        self._told_ns[symbol] = now_ns
        instrument = self._names.instrument(symbol)
        self._tell_top(TopOfBook(instrument, *best, book.update_id, ts_venue_ns, now_ns))
