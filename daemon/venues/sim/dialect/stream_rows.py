"""Payloads of the market streams (binance-spot.md §9)."""

from daemon.venues.binance_spot.serving.intervals import WINDOW_NS
from daemon.venues.binance_spot.serving.shown_rows import Row, levels
from daemon.venues.binance_spot.serving.units import ms_of, text_of
from daemon.venues.sim.candles import Candle
from daemon.venues.sim.dialect.market_data import agg_row, day_row, window_row
from daemon.venues.sim.reference import BlockTrade
from daemon.venues.sim.sim_orders import BookTop, TradePrint
from daemon.venues.sim.symbol_market import SymbolMarket
from daemon.venues.sim.tape import AggTrade


def book_top(event: BookTop) -> Row:
    """The best bid and ask."""
    return {
        "u": event.update_id,
        "s": event.symbol,
        "b": text_of(event.bid_price),
        "B": text_of(event.bid_qty),
        "a": text_of(event.ask_price),
        "A": text_of(event.ask_qty),
    }


def trade(event: TradePrint) -> Row:
    """One trade."""
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


def agg_trade(event: TradePrint, row: AggTrade) -> Row:
    """One aggregate trade."""
    return {"e": "aggTrade", "E": ms_of(event.ts_ns), "s": event.symbol} | agg_row(row)


def diff(
    symbol: str, diff: tuple[int, int, list[tuple[int, int]], list[tuple[int, int]]], now_ns: int
) -> Row:
    """What has changed in the book."""
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


def partial(market: SymbolMarket, size: int) -> Row:
    """The top of the book."""
    bids, asks = market.book.snapshot(size)
    return {"lastUpdateId": market.book.update_id, "bids": levels(bids), "asks": levels(asks)}


def mini_ticker(market: SymbolMarket, now_ns: int) -> Row:
    """The last 24 hours in short."""
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


def ticker(market: SymbolMarket, now_ns: int) -> Row:
    """The last 24 hours."""
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


def average(market: SymbolMarket, now_ns: int) -> Row:
    """The average price."""
    minutes = market.spec.avg_price_mins
    return {
        "e": "avgPrice",
        "E": ms_of(now_ns),
        "s": market.spec.symbol,
        "i": f"{minutes}m",
        "w": text_of(market.tape.average_price(now_ns, minutes)),
        "T": ms_of(now_ns),
    }


def kline(
    market: SymbolMarket, interval: str, bar: Candle, end_ns: int, now_ns: int, *, is_closed: bool
) -> Row:
    """One candle, running or closed."""
    return {
        "e": "kline",
        "E": ms_of(now_ns),
        "s": market.spec.symbol,
        "k": {
            "t": ms_of(bar.open_ns),
            "T": ms_of(end_ns) - 1,
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
            "x": is_closed,
            "q": text_of(bar.quote),
            "V": text_of(bar.taker_base),
            "Q": text_of(bar.taker_quote),
            "B": "0",
        },
    }


def window_ticker(market: SymbolMarket, window: str, now_ns: int) -> Row:
    """A rolling window's statistics; the window opens on a minute."""
    row = window_row(market, now_ns - WINDOW_NS[window], now_ns, mini=False)
    return {
        "e": f"{window}Ticker",
        "E": ms_of(now_ns),
        "s": market.spec.symbol,
        "p": row["priceChange"],
        "P": row["priceChangePercent"],
        "o": row["openPrice"],
        "h": row["highPrice"],
        "l": row["lowPrice"],
        "c": row["lastPrice"],
        "w": row["weightedAvgPrice"],
        "v": row["volume"],
        "q": row["quoteVolume"],
        "O": row["openTime"],
        "C": row["closeTime"],
        "F": row["firstId"],
        "L": row["lastId"],
        "n": row["count"],
    }


def reference_price(market: SymbolMarket, now_ns: int) -> Row:
    """The reference price; null when nothing has traded lately."""
    price = market.reference.at(now_ns)
    return {
        "e": "referencePrice",
        "s": market.spec.symbol,
        "r": None if price is None else text_of(price),
        "t": ms_of(now_ns),
    }


def block_trade(market: SymbolMarket, block: BlockTrade, now_ns: int) -> Row:
    """One block trade."""
    return {
        "e": "blockTrade",
        "E": ms_of(now_ns),
        "s": market.spec.symbol,
        "t": block.block_id,
        "p": text_of(block.price),
        "q": text_of(block.qty),
        "T": ms_of(block.ts_ns),
        "m": block.buyer_is_maker,
    }
