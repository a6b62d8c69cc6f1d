"""Market streams: subscriptions by name, and the frames that each name gets (binance-spot.md §9).

Rules of this file:
1. A frame is encoded only when somebody listens, and once for all listeners of a name.
2. `on_events` serves what is real time; `on_tick` serves cadences (diff depth, candles, tickers).
"""

from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeAlias

import msgspec
import orjson

from daemon.venues.binance_spot.serving.intervals import WINDOW_NS
from daemon.venues.binance_spot.serving.stream_control import (
    StreamSession,
    control,
    open_streams,
    stream_frame,
)
from daemon.venues.binance_spot.serving.stream_names import CandleName, candle_name
from daemon.venues.sim.book import DepthFeed
from daemon.venues.sim.candles import next_open, open_of
from daemon.venues.sim.dialect import stream_rows as rows
from daemon.venues.sim.sim_orders import BookTop, MarketEvent, TradePrint
from daemon.venues.sim.symbol_market import SymbolMarket
from daemon.venues.sim.venue import SimVenue

P = ParamSpec("P")
_TICK_100MS_NS = 100_000_000
_TICK_1S_NS = 1_000_000_000
_CANDLE_EVERY_NS = 2_000_000_000
"""How often a running candle is sent; one of a second comes every second."""
_CLOSED_AT_ONCE_MAX = 120
"""Candles that have closed during a stall and are still announced."""


class _Watch(msgspec.Struct, eq=False):
    """A candle stream with listeners: when its running candle opened, when it is next sent."""

    market: SymbolMarket
    kind: CandleName
    open_ns: int = -1
    next_ns: int = 0


Frames: TypeAlias = list[tuple[StreamSession, bytes]]


class StreamHub:
    """Who listens to what, and what they get."""

    def __init__(self, venue: SimVenue) -> None:
        self._venue = venue
        self._listeners: dict[str, dict[StreamSession, None]] = {}
        self._next_100ms_ns = 0
        self._next_1s_ns = 0
        self._skip_depth: set[str] = set()
        self._agg_sent: dict[str, int] = {}
        self._blocks_sent: dict[str, int] = {}
        self._changed: set[str] = set()
        """Symbols that have traded since the last news of all markets."""
        self._watches: dict[str, _Watch] = {}
        """The candle streams that somebody listens to."""

    def open(self, session: StreamSession, names: Iterable[str]) -> list[bytes]:
        """Connect with the names of the URL; an error frame for each that looks like a stream."""
        errors = open_streams(session, names, self._venue.markets)
        for name in session.names:
            self._listen(session, name)
        return errors

    def close(self, session: StreamSession) -> None:
        """Forget a connection."""
        for name in session.names:
            self._unlisten(session, name)
        session.names = {}

    def control(self, session: StreamSession, frame: bytes) -> bytes:
        """Answer SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS and the property calls."""
        reply = control(session, frame, self._venue.markets)
        for name in reply.added:
            self._listen(session, name)
        for name in reply.removed:
            self._unlisten(session, name)
        return reply.frame

    def skip_next_depth(self) -> None:
        """A fault: swallow the next diff of every symbol, so that listeners see a gap."""
        self._skip_depth = set(self._venue.markets)

    def on_events(self, events: Iterable[MarketEvent]) -> Frames:
        """Frames of real-time streams: trade, aggTrade, bookTicker."""
        frames: Frames = []
        for event in events:
            symbol = event.symbol.lower()
            if isinstance(event, BookTop):
                self._send(frames, f"{symbol}@bookTicker", rows.book_top, event)
            else:
                self._send(frames, f"{symbol}@trade", rows.trade, event)
                self._send_aggregates(frames, event)
                self._changed.add(event.symbol)
        return frames

    def on_tick(self, now_ns: int) -> Frames:
        """Frames of the cadences that are due."""
        frames: Frames = []
        markets = self._venue.markets.values()
        if now_ns >= self._next_100ms_ns:
            self._next_100ms_ns = now_ns - now_ns % _TICK_100MS_NS + _TICK_100MS_NS
            for market in markets:
                self._depth(frames, market, now_ns, market.feed_100ms, ("@100ms",))
        if now_ns >= self._next_1s_ns:
            self._next_1s_ns = now_ns - now_ns % _TICK_1S_NS + _TICK_1S_NS
            for market in markets:
                self._depth(frames, market, now_ns, market.feed_1000ms, ("", "@1000ms"))
                self._cadences(frames, market, now_ns)
            self._candles(frames, now_ns)
            self._all_markets(frames, now_ns)
        return frames

    def _depth(
        self,
        frames: Frames,
        market: SymbolMarket,
        now_ns: int,
        feed: DepthFeed,
        suffixes: tuple[str, ...],
    ) -> None:
        diff = feed.take()
        symbol = market.spec.symbol
        name = symbol.lower()
        if diff is not None and symbol in self._skip_depth:
            self._skip_depth.discard(symbol)
            diff = None
        for suffix in suffixes:
            if diff is not None:
                self._send(frames, f"{name}@depth{suffix}", rows.diff, symbol, diff, now_ns)
            for size in (5, 10, 20):
                self._send(frames, f"{name}@depth{size}{suffix}", rows.partial, market, size)

    def _cadences(self, frames: Frames, market: SymbolMarket, now_ns: int) -> None:
        name = market.spec.symbol.lower()
        self._send(frames, f"{name}@miniTicker", rows.mini_ticker, market, now_ns)
        self._send(frames, f"{name}@ticker", rows.ticker, market, now_ns)
        self._send(frames, f"{name}@avgPrice", rows.average, market, now_ns)
        self._send(frames, f"{name}@referencePrice", rows.reference_price, market, now_ns)
        for window in WINDOW_NS:
            self._send(
                frames, f"{name}@ticker_{window}", rows.window_ticker, market, window, now_ns
            )
        block = market.blocks.rows.rows[-1] if market.blocks.rows else None
        if block is not None and block.block_id > self._blocks_sent.get(name, 0):
            self._blocks_sent[name] = block.block_id
            self._send(frames, f"{name}@blockTrade", rows.block_trade, market, block, now_ns)

    def _candles(self, frames: Frames, now_ns: int) -> None:
        """Candles that have closed, each once and final, then the running ones."""
        for name, watch in self._watches.items():
            kind = watch.kind
            if watch.open_ns < 0:
                watch.open_ns = open_of(kind.interval, now_ns, kind.offset_ns)
            for _ in range(_CLOSED_AT_ONCE_MAX):
                end_ns = next_open(kind.interval, watch.open_ns, kind.offset_ns)
                if end_ns > now_ns:
                    break
                self._send_candle(frames, name, watch, end_ns, now_ns, is_closed=True)
                watch.open_ns, watch.next_ns = end_ns, 0
            else:
                watch.open_ns = open_of(kind.interval, now_ns, kind.offset_ns)
            if now_ns >= watch.next_ns:
                every_ns = _TICK_1S_NS if kind.interval == "1s" else _CANDLE_EVERY_NS
                watch.next_ns = now_ns - now_ns % _TICK_1S_NS + every_ns
                end_ns = next_open(kind.interval, watch.open_ns, kind.offset_ns)
                self._send_candle(frames, name, watch, end_ns, now_ns, is_closed=False)

    def _send_candle(
        self,
        frames: Frames,
        name: str,
        watch: "_Watch",
        end_ns: int,
        now_ns: int,
        *,
        is_closed: bool,
    ) -> None:
        bar = watch.market.tape.candle(watch.open_ns, end_ns)
        interval = watch.kind.interval
        self._send(
            frames,
            name,
            rows.kline,
            watch.market,
            interval,
            bar,
            end_ns,
            now_ns,
            is_closed=is_closed,
        )

    def _all_markets(self, frames: Frames, now_ns: int) -> None:
        """Only the symbols that have traded since the last time; nothing when none has."""
        changed = [self._venue.markets[symbol] for symbol in sorted(self._changed)]
        self._changed.clear()
        if not changed:
            return
        self._send(
            frames, "!miniTicker@arr", lambda: [rows.mini_ticker(m, now_ns) for m in changed]
        )
        for window in WINDOW_NS:
            self._send(
                frames,
                f"!ticker_{window}@arr",
                lambda window: [rows.window_ticker(m, window, now_ns) for m in changed],
                window,
            )

    def _send_aggregates(self, frames: Frames, event: TradePrint) -> None:
        """Once per aggregate that this trade has closed or opened, at its final size."""
        name = f"{event.symbol.lower()}@aggTrade"
        aggregates = self._venue.markets[event.symbol].tape.aggregates.rows
        if name not in self._listeners or not aggregates:
            return
        last = aggregates[-1]
        # Trades of one batch are already folded: an aggregate is sent with its first trade.
        if self._agg_sent.get(event.symbol, 0) >= last.agg_id and event.trade_id > last.first_id:
            return
        for row in reversed(aggregates):
            if row.first_id <= event.trade_id <= row.last_id:
                if row.agg_id <= self._agg_sent.get(event.symbol, 0):
                    return
                self._agg_sent[event.symbol] = row.agg_id
                self._send(frames, name, rows.agg_trade, event, row)
                return
            if row.last_id < event.trade_id:
                return

    def _send(
        self,
        frames: Frames,
        name: str,
        make: Callable[P, object],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        listeners = self._listeners.get(name)
        if not listeners:
            return
        body = orjson.dumps(make(*args, **kwargs))
        frames.extend((session, stream_frame(session, name, body)) for session in listeners)

    def _listen(self, session: StreamSession, name: str) -> None:
        self._listeners.setdefault(name, {})[session] = None
        kind = candle_name(name)
        if kind is not None and name not in self._watches:
            # The first tick finds out when the running candle opened.
            self._watches[name] = _Watch(self._venue.markets[kind.symbol], kind)

    def _unlisten(self, session: StreamSession, name: str) -> None:
        listeners = self._listeners.get(name)
        if listeners is not None:
            listeners.pop(session, None)
            if not listeners:
                del self._listeners[name]
                self._watches.pop(name, None)
