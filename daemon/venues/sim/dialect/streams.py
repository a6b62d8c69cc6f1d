"""Market streams: subscriptions by name, and the frames that each name gets (binance-spot.md §9).

Rules of this file:
1. A frame is encoded only when somebody listens, and once for all listeners of a name.
2. `on_events` serves what is real time; `on_tick` serves cadences (diff depth, candles, tickers).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeAlias

import msgspec
import orjson

from daemon.venues.sim.dialect.market_data import agg_row, day_row
from daemon.venues.sim.dialect.params import RequestId
from daemon.venues.sim.dialect.rows import Row, levels
from daemon.venues.sim.market import Market
from daemon.venues.sim.orders import BookTop, MarketEvent, TradePrint
from daemon.venues.sim.tape import INTERVAL_NS, AggTrade
from daemon.venues.sim.units import ms_of, text_of
from daemon.venues.sim.venue import SimVenue

STREAMS_MAX = 1_024
P = ParamSpec("P")
_TICK_100MS_NS = 100_000_000
_TICK_1S_NS = 1_000_000_000


class _Control(msgspec.Struct):
    id: RequestId | None = None
    method: str = ""
    params: list[str | bool] = msgspec.field(default_factory=list)


_DECODER = msgspec.json.Decoder(_Control)


@dataclass(slots=True, eq=False)
class StreamSession:
    """One market stream connection."""

    combined: bool
    names: dict[str, None] = field(default_factory=dict)


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

    def open(self, session: StreamSession, names: Iterable[str]) -> None:
        """Connect with the names of the URL; names that are no stream are ignored."""
        for name in names:
            if self._is_stream(name):
                self._listen(session, name)

    def close(self, session: StreamSession) -> None:
        """Forget a connection."""
        for name in session.names:
            self._unlisten(session, name)
        session.names = {}

    def control(self, session: StreamSession, frame: bytes) -> bytes:
        """Answer SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS and the property calls."""
        try:
            request = _DECODER.decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _control_error(3, "Invalid JSON: expected value at line 1 column 1", None)
        names = [name for name in request.params if isinstance(name, str)]
        result: object = None
        match request.method:
            case "SUBSCRIBE":
                known = [name for name in names if self._is_stream(name)]
                if len(session.names) + len(known) > STREAMS_MAX:
                    return _control_error(2, "Too many streams", request.id)
                for name in known:
                    self._listen(session, name)
            case "UNSUBSCRIBE":
                for name in names:
                    session.names.pop(name, None)
                    self._unlisten(session, name)
            case "LIST_SUBSCRIPTIONS":
                result = list(session.names)
            case "SET_PROPERTY":
                session.combined = request.params[-1:] == [True]
            case "GET_PROPERTY":
                result = session.combined
            case _:
                words = f"Invalid request: unknown variant `{request.method}`"
                return _control_error(2, words, request.id)
        return orjson.dumps({"result": result, "id": request.id})

    def skip_next_depth(self) -> None:
        """A fault: swallow the next diff of every symbol, so that listeners see a gap."""
        self._skip_depth = set(self._venue.markets)

    def shutdown_frame(self, session: StreamSession, now_ns: int) -> bytes:
        """`serverShutdown`, wrapped as the connection expects it."""
        body: Row = {"e": "serverShutdown", "E": ms_of(now_ns)}
        return orjson.dumps(
            {"stream": "!serverShutdown", "data": body} if session.combined else body
        )

    def on_events(self, events: Iterable[MarketEvent]) -> Frames:
        """Frames of real-time streams: trade, aggTrade, bookTicker."""
        frames: Frames = []
        for event in events:
            symbol = event.symbol.lower()
            if isinstance(event, BookTop):
                self._send(frames, f"{symbol}@bookTicker", _book_top, event)
            else:
                self._send(frames, f"{symbol}@trade", _trade, event)
                self._send_aggregates(frames, event)
        return frames

    def on_tick(self, now_ns: int) -> Frames:
        """Frames of the cadences that are due."""
        frames: Frames = []
        if now_ns >= self._next_100ms_ns:
            self._next_100ms_ns = now_ns - now_ns % _TICK_100MS_NS + _TICK_100MS_NS
            for market in self._venue.markets.values():
                self._depth(frames, market, now_ns, "@100ms")
        if now_ns >= self._next_1s_ns:
            self._next_1s_ns = now_ns - now_ns % _TICK_1S_NS + _TICK_1S_NS
            for market in self._venue.markets.values():
                self._depth(frames, market, now_ns, "")
                self._cadences(frames, market, now_ns)
            self._all_markets(frames, now_ns)
        return frames

    def _depth(self, frames: Frames, market: Market, now_ns: int, suffix: str) -> None:
        feed = market.feed_100ms if suffix else market.feed_1000ms
        diff = feed.take()
        symbol = market.spec.symbol
        name = symbol.lower()
        if diff is not None:
            if symbol in self._skip_depth:
                self._skip_depth.discard(symbol)
            else:
                self._send(frames, f"{name}@depth{suffix}", _diff, symbol, diff, now_ns)
        for size in (5, 10, 20):
            self._send(frames, f"{name}@depth{size}{suffix}", _partial, market, size)

    def _cadences(self, frames: Frames, market: Market, now_ns: int) -> None:
        name = market.spec.symbol.lower()
        self._send(frames, f"{name}@miniTicker", _mini_ticker, market, now_ns)
        self._send(frames, f"{name}@ticker", _ticker, market, now_ns)
        self._send(frames, f"{name}@avgPrice", _average, market, now_ns)
        for interval in INTERVAL_NS:
            self._send(frames, f"{name}@kline_{interval}", _kline, market, interval, now_ns)

    def _all_markets(self, frames: Frames, now_ns: int) -> None:
        self._send(frames, "!miniTicker@arr", _mini_tickers, self._venue, now_ns)

    def _send_aggregates(self, frames: Frames, event: TradePrint) -> None:
        """Once per aggregate that this trade has closed or opened, at its final size."""
        name = f"{event.symbol.lower()}@aggTrade"
        aggregates = self._venue.markets[event.symbol].tape.aggregates
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
                self._send(frames, name, _agg_trade, event, row)
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
        wrapped = b'{"stream":"%b","data":%b}' % (name.encode(), body)
        frames.extend((s, wrapped if s.combined else body) for s in listeners)

    def _is_stream(self, name: str) -> bool:
        if name == "!miniTicker@arr":
            return True
        symbol, _, kind = name.partition("@")
        if symbol.upper() not in self._venue.markets or symbol != symbol.lower():
            return False
        kind = kind.removesuffix("@100ms")
        plain = {"trade", "aggTrade", "bookTicker", "depth", "miniTicker", "ticker", "avgPrice"}
        depths = {"depth5", "depth10", "depth20"}
        return kind in plain or kind in depths or kind.removeprefix("kline_") in INTERVAL_NS

    def _listen(self, session: StreamSession, name: str) -> None:
        session.names[name] = None
        self._listeners.setdefault(name, {})[session] = None

    def _unlisten(self, session: StreamSession, name: str) -> None:
        listeners = self._listeners.get(name)
        if listeners is not None:
            listeners.pop(session, None)
            if not listeners:
                del self._listeners[name]


def _book_top(event: BookTop) -> Row:
    return {
        "u": event.update_id,
        "s": event.symbol,
        "b": text_of(event.bid_price),
        "B": text_of(event.bid_qty),
        "a": text_of(event.ask_price),
        "A": text_of(event.ask_qty),
    }


def _trade(event: TradePrint) -> Row:
    return {
        "e": "trade",
        "E": ms_of(event.ts_ns),
        "s": event.symbol,
        "t": event.trade_id,
        "p": text_of(event.price),
        "q": text_of(event.qty),
        "T": ms_of(event.ts_ns),
        "m": event.buyer_is_maker,
        "M": True,
    }


def _agg_trade(event: TradePrint, row: AggTrade) -> Row:
    return {"e": "aggTrade", "E": ms_of(event.ts_ns), "s": event.symbol} | agg_row(row)


def _diff(
    symbol: str, diff: tuple[int, int, list[tuple[int, int]], list[tuple[int, int]]], now_ns: int
) -> Row:
    first, last, bids, asks = diff
    return {
        "e": "depthUpdate",
        "E": ms_of(now_ns),
        "s": symbol,
        "U": first,
        "u": last,
        "b": levels(bids),
        "a": levels(asks),
    }


def _mini_tickers(venue: SimVenue, now_ns: int) -> list[Row]:
    return [_mini_ticker(market, now_ns) for market in venue.markets.values()]


def _partial(market: Market, size: int) -> Row:
    bids, asks = market.book.snapshot(size)
    return {"lastUpdateId": market.book.update_id, "bids": levels(bids), "asks": levels(asks)}


def _mini_ticker(market: Market, now_ns: int) -> Row:
    day = day_row(market, now_ns, mini=True)
    return {
        "e": "24hrMiniTicker",
        "E": ms_of(now_ns),
        "s": market.spec.symbol,
        "c": day["lastPrice"],
        "o": day["openPrice"],
        "h": day["highPrice"],
        "l": day["lowPrice"],
        "v": day["volume"],
        "q": day["quoteVolume"],
    }


def _ticker(market: Market, now_ns: int) -> Row:
    day = day_row(market, now_ns, mini=False)
    return {
        "e": "24hrTicker",
        "E": ms_of(now_ns),
        "s": market.spec.symbol,
        "p": day["priceChange"],
        "P": day["priceChangePercent"],
        "w": day["weightedAvgPrice"],
        "x": day["prevClosePrice"],
        "c": day["lastPrice"],
        "Q": day["lastQty"],
        "b": day["bidPrice"],
        "B": day["bidQty"],
        "a": day["askPrice"],
        "A": day["askQty"],
        "o": day["openPrice"],
        "h": day["highPrice"],
        "l": day["lowPrice"],
        "v": day["volume"],
        "q": day["quoteVolume"],
        "O": day["openTime"],
        "C": day["closeTime"],
        "F": day["firstId"],
        "L": day["lastId"],
        "n": day["count"],
    }


def _average(market: Market, now_ns: int) -> Row:
    minutes = market.spec.avg_price_mins
    return {
        "e": "avgPrice",
        "E": ms_of(now_ns),
        "s": market.spec.symbol,
        "i": f"{minutes}m",
        "w": text_of(market.tape.average_price(now_ns, minutes)),
        "T": ms_of(now_ns),
    }


def _kline(market: Market, interval: str, now_ns: int) -> Row:
    bar = market.tape.current(interval, now_ns)
    return {
        "e": "kline",
        "E": ms_of(now_ns),
        "s": market.spec.symbol,
        "k": {
            "t": ms_of(bar.open_ns),
            "T": ms_of(bar.open_ns + INTERVAL_NS[interval]) - 1,
            "s": market.spec.symbol,
            "i": interval,
            "f": bar.first_id,
            "L": bar.last_id,
            "o": text_of(bar.open),
            "c": text_of(bar.close),
            "h": text_of(bar.high),
            "l": text_of(bar.low),
            "v": text_of(bar.volume),
            "n": bar.trades,
            "x": False,
            "q": text_of(bar.quote),
            "V": text_of(bar.taker_base),
            "Q": text_of(bar.taker_quote),
            "B": "0",
        },
    }


def _control_error(code: int, msg: str, request_id: RequestId | None) -> bytes:
    return orjson.dumps({"error": {"code": code, "msg": msg}, "id": request_id})
