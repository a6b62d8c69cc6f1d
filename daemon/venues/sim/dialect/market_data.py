"""Public endpoints: time, exchangeInfo, depth, trades, candles, tickers."""

from collections.abc import Callable

from daemon.model.enums import Side
from daemon.venues.sim.dialect.calls import Call
from daemon.venues.sim.dialect.exchange_info import exchange_info as info_row
from daemon.venues.sim.dialect.rows import Row, levels
from daemon.venues.sim.market import Market
from daemon.venues.sim.orders import TradePrint, VenueError
from daemon.venues.sim.tape import DAY_NS, INTERVAL_NS, MINUTE_NS, AggTrade, Candle
from daemon.venues.sim.units import E8, ms_of, quote_of, text_of


def ping(_call: Call) -> Row:
    """GET /ping."""
    return {}


def time(call: Call) -> Row:
    """GET /time: the clock that timestamps are judged by."""
    return {"serverTime": ms_of(call.exchange.clock_ns(call.now_ns))}


def exchange_info(call: Call) -> Row:
    """GET /exchangeInfo."""
    venue = call.exchange.venue
    names = call.params.symbols()
    markets = list(venue.markets.values())
    if names is not None:
        markets = [venue.market(name) for name in names]
    status = call.params.text("symbolStatus")
    if status:
        markets = [market for market in markets if market.status == status]
    clock_ns = call.exchange.clock_ns(call.now_ns)
    return info_row(markets, call.exchange.limiter.rules, clock_ns)


def depth(call: Call) -> Row:
    """GET /depth."""
    market = call.exchange.venue.market(call.params.symbol())
    bids, asks = market.book.snapshot(call.params.limit(100, 5000))
    return {
        "lastUpdateId": market.book.update_id,
        "bids": levels(bids),
        "asks": levels(asks),
    }


def trades(call: Call) -> list[Row]:
    """GET /trades, /historicalTrades."""
    market = call.exchange.venue.market(call.params.symbol())
    limit, from_id = call.params.limit(500, 1000), call.params.integer("fromId")
    rows = [t for t in market.tape.trades if from_id is None or t.trade_id >= from_id]
    return [_public_trade(t) for t in (rows[-limit:] if from_id is None else rows[:limit])]


def agg_trades(call: Call) -> list[Row]:
    """GET /aggTrades."""
    params = call.params
    market = call.exchange.venue.market(params.symbol())
    limit = params.limit(500, 1000)
    from_id, start, end = (params.integer(n) for n in ("fromId", "startTime", "endTime"))
    rows = [
        row
        for row in market.tape.aggregates
        if (from_id is None or row.agg_id >= from_id)
        and (start is None or ms_of(row.ts_ns) >= start)
        and (end is None or ms_of(row.ts_ns) <= end)
    ]
    oldest_first = from_id is not None or start is not None
    return [agg_row(row) for row in (rows[:limit] if oldest_first else rows[-limit:])]


def klines(call: Call) -> list[list[object]]:
    """GET /klines, /uiKlines."""
    params = call.params
    market = call.exchange.venue.market(params.symbol())
    interval = params.required("interval")
    if interval not in INTERVAL_NS:
        raise VenueError(-1120, "Invalid interval.")
    start, end = params.integer("startTime"), params.integer("endTime")
    bars = market.tape.candles(
        interval,
        limit=params.limit(500, 1000),
        start_ns=None if start is None else start * 1_000_000,
        end_ns=None if end is None else end * 1_000_000,
    )
    return [_kline(bar, INTERVAL_NS[interval]) for bar in bars]


def average_price(call: Call) -> Row:
    """GET /avgPrice."""
    market = call.exchange.venue.market(call.params.symbol())
    minutes = market.spec.avg_price_mins
    return {
        "mins": minutes,
        "price": text_of(market.tape.average_price(call.now_ns, minutes)),
        "closeTime": ms_of(call.now_ns),
    }


def ticker_price(call: Call) -> Row | list[Row]:
    """GET /ticker/price."""
    return _per_symbol(
        call,
        lambda market: {
            "symbol": market.spec.symbol,
            "price": text_of(market.tape.last_price),
        },
    )


def ticker_book(call: Call) -> Row | list[Row]:
    """GET /ticker/bookTicker."""
    return _per_symbol(call, _book_row)


def ticker_day(call: Call) -> Row | list[Row]:
    """GET /ticker/24hr (`type` MINI leaves the finer fields out)."""
    mini = call.params.text("type") == "MINI"
    return _per_symbol(call, lambda market: day_row(market, call.now_ns, mini=mini))


def ticker_window(call: Call) -> Row | list[Row]:
    """GET /ticker: a rolling window of minutes, hours or days (`windowSize`, default 1d)."""
    since_ns = call.now_ns - _window_ns(call.params.text("windowSize", "1d"))
    return _since(call, since_ns - since_ns % MINUTE_NS)


def ticker_trading_day(call: Call) -> Row | list[Row]:
    """GET /ticker/tradingDay: since midnight UTC."""
    return _since(call, call.now_ns - call.now_ns % DAY_NS)


def day_row(market: Market, now_ns: int, *, mini: bool) -> Row:
    """The rolling 24 hours of one symbol."""
    row = _window_row(market, now_ns - DAY_NS, now_ns, mini=mini)
    if mini:
        return row
    book = _book_row(market)
    last_qty = market.tape.trades[-1].qty if market.tape.trades else 0
    return row | {
        "prevClosePrice": row["openPrice"],
        "lastQty": text_of(last_qty),
        "bidPrice": book["bidPrice"],
        "bidQty": book["bidQty"],
        "askPrice": book["askPrice"],
        "askQty": book["askQty"],
    }


def _since(call: Call, since_ns: int) -> Row | list[Row]:
    mini = call.params.text("type") == "MINI"
    if not call.params.text("symbol") and not call.params.text("symbols"):
        raise VenueError(
            -1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!"
        )
    return _per_symbol(call, lambda market: _window_row(market, since_ns, call.now_ns, mini=mini))


def _window_row(market: Market, since_ns: int, now_ns: int, *, mini: bool) -> Row:
    bar = market.tape.since(since_ns)
    row: Row = {
        "symbol": market.spec.symbol,
        "openPrice": text_of(bar.open),
        "highPrice": text_of(bar.high),
        "lowPrice": text_of(bar.low),
        "lastPrice": text_of(bar.close),
        "volume": text_of(bar.volume),
        "quoteVolume": text_of(bar.quote),
        "openTime": ms_of(bar.open_ns),
        "closeTime": ms_of(now_ns),
        "firstId": bar.first_id,
        "lastId": bar.last_id,
        "count": bar.trades,
    }
    if mini:
        return row
    change = bar.close - bar.open
    return row | {
        "priceChange": text_of(change),
        "priceChangePercent": percent_text(change, bar.open),
        "weightedAvgPrice": text_of(bar.quote * E8 // bar.volume if bar.volume else 0),
    }


def _window_ns(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    units = {"m": (59, MINUTE_NS), "h": (23, 60 * MINUTE_NS), "d": (7, DAY_NS)}
    most, unit_ns = units.get(unit, (0, 0))
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= most):
        raise VenueError(-1120, "Invalid window size.")
    return int(number) * unit_ns


def percent_text(part: int, whole: int) -> str:
    """`part` of `whole` in percent, three decimals."""
    thousandths = abs(part) * 100_000 // whole if whole else 0
    sign = "-" if part < 0 and thousandths else ""
    return f"{sign}{thousandths // 1000}.{thousandths % 1000:03d}"


def agg_row(row: AggTrade) -> Row:
    """One aggregate trade."""
    return {
        "a": row.agg_id,
        "p": text_of(row.price),
        "q": text_of(row.qty),
        "f": row.first_id,
        "l": row.last_id,
        "T": ms_of(row.ts_ns),
        "m": row.buyer_is_maker,
        "M": True,
    }


def _per_symbol(call: Call, make: Callable[[Market], Row]) -> Row | list[Row]:
    venue = call.exchange.venue
    if call.params.text("symbol"):
        return make(venue.market(call.params.symbol()))
    names = call.params.symbols()
    if names is not None:
        return [make(venue.market(name)) for name in names]
    return [make(market) for market in venue.markets.values()]


def _book_row(market: Market) -> Row:
    bid, ask = market.book.side(Side.BUY).best(), market.book.side(Side.SELL).best()
    return {
        "symbol": market.spec.symbol,
        "bidPrice": text_of(bid.price if bid else 0),
        "bidQty": text_of(bid.qty if bid else 0),
        "askPrice": text_of(ask.price if ask else 0),
        "askQty": text_of(ask.qty if ask else 0),
    }


def _public_trade(trade: TradePrint) -> Row:
    return {
        "id": trade.trade_id,
        "price": text_of(trade.price),
        "qty": text_of(trade.qty),
        "quoteQty": text_of(quote_of(trade.price, trade.qty)),
        "time": ms_of(trade.ts_ns),
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def _kline(bar: Candle, span_ns: int) -> list[object]:
    return [
        ms_of(bar.open_ns),
        text_of(bar.open),
        text_of(bar.high),
        text_of(bar.low),
        text_of(bar.close),
        text_of(bar.volume),
        ms_of(bar.open_ns + span_ns) - 1,
        text_of(bar.quote),
        bar.trades,
        text_of(bar.taker_base),
        text_of(bar.taker_quote),
        "0",
    ]
