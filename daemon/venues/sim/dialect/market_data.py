"""Public endpoints: time, exchangeInfo, depth, trades, candles, tickers."""

from collections.abc import Callable
from itertools import islice

import msgspec

from daemon.model.enums import Side
from daemon.venues.binance_spot.serving.dialect_errors import DialectError, combination_invalid
from daemon.venues.binance_spot.serving.intervals import (
    DAY_NS,
    HOUR_NS,
    INTERVAL_NS,
    MINUTE_NS,
)
from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.binance_spot.serving.shown_rows import Row, levels
from daemon.venues.binance_spot.serving.units import (
    E8,
    ms_of,
    quote_of,
    text_of,
)
from daemon.venues.sim.candles import (
    Candle,
    next_open,
    open_of,
    zone_offset_ns,
)
from daemon.venues.sim.dialect.call_handlers import Call
from daemon.venues.sim.dialect.sim_exchange_info import exchange_info as info_row
from daemon.venues.sim.past import PastTrade
from daemon.venues.sim.sim_orders import TradePrint
from daemon.venues.sim.symbol_market import SymbolMarket
from daemon.venues.sim.tape import AggTrade, Tape


def ping(_call: Call) -> Row:
    """GET /ping."""
    return {}


def time(call: Call) -> Row:
    """GET /time: the clock that timestamps are judged by."""
    return {"serverTime": ms_of(call.exchange.clock_ns(call.now_ns))}


def exchange_info(call: Call) -> Row:
    """GET /exchangeInfo."""
    params, venue = call.params, call.exchange.venue
    is_named = params.has("symbol") or params.has("symbols")
    if is_named and (params.has("symbolStatus") or params.has("permissions")):
        raise combination_invalid()
    markets = chosen_markets(call)
    if "SPOT" not in _permissions(params):
        markets = []
    clock_ns = call.exchange.clock_ns(call.now_ns)
    return info_row(
        markets,
        call.exchange.limiter.rules,
        venue.exchange_filters,
        clock_ns,
        with_permissions=params.flag("showPermissionSets", default=True),
    )


def _permissions(params: Params) -> list[str]:
    """`permissions`: one word, or a JSON array of words."""
    text = params.text("permissions", "SPOT")
    if not text.startswith("["):
        return [text]
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.MsgspecError, RecursionError):
        raise DialectError(-1135, "JSON sent for parameter 'permissions' is not valid") from None


def chosen_markets(call: Call) -> list[SymbolMarket]:
    """The markets that `symbol`, `symbols` and `symbolStatus` choose; without any, all."""
    venue, names = call.exchange.venue, call.params.symbols()
    if call.params.has("symbol"):
        return [with_status(call, venue.market(call.params.symbol()))]
    markets = [one for name, one in venue.markets.items() if name not in venue.delisted]
    if names is not None:
        markets = [venue.market(name) for name in names]
    status = call.params.text("symbolStatus")
    return [market for market in markets if not status or market.status == status]


def with_status(call: Call, market: SymbolMarket) -> SymbolMarket:
    """The market, when it has the status that the call asks for.

    Raises:
        DialectError: -1220 when it has another one.
    """
    status = call.params.text("symbolStatus")
    if status and market.status != status:
        raise DialectError(-1220, "The symbol's trading status does not match the one requested.")
    return market


def depth(call: Call) -> Row:
    """GET /depth."""
    market = with_status(call, call.exchange.venue.market(call.params.symbol()))
    bids, asks = market.book.snapshot(call.params.limit(100, 5000))
    return {
        "lastUpdateId": market.book.update_id,
        "bids": levels(bids),
        "asks": levels(asks),
    }


def trades(call: Call) -> list[Row]:
    """GET /trades: the newest."""
    tape = call.exchange.venue.market(call.params.symbol()).tape
    limit = call.params.limit(500, 1000)
    return _trades_before(tape, tape.last_trade_id + 1, limit)


def historical_trades(call: Call) -> list[Row]:
    """GET /historicalTrades: from an id on, or the newest."""
    tape = call.exchange.venue.market(call.params.symbol()).tape
    limit, from_id = call.params.limit(500, 1000), call.params.integer("fromId")
    if from_id is None:
        return _trades_before(tape, tape.last_trade_id + 1, limit)
    return _trades_from(tape, from_id, limit)


def agg_trades(call: Call) -> list[Row]:
    """GET /aggTrades: from an id on, or within times (both ends included)."""
    params = call.params
    tape = call.exchange.venue.market(params.symbol()).tape
    limit = params.limit(500, 1000)
    from_id, start, end = (params.integer(n) for n in ("fromId", "startTime", "endTime"))
    if from_id is not None and (start is not None or end is not None):
        raise combination_invalid()
    low = from_id if start is None else tape.aggregate_at(start * 1_000_000)
    high = tape.last_agg_id + 1 if end is None else tape.aggregate_at((end + 1) * 1_000_000)
    if low is None:
        low = max(1, high - limit)
    return [agg_row(row) for row in tape.aggregates_between(low, min(high, low + limit))]


def _trades_from(tape: Tape, from_id: int, limit: int) -> list[Row]:
    past = tape.past_trades(from_id, from_id + limit)
    live = islice(tape.trades.between(from_id, tape.last_trade_id + 1), limit - len(past))
    return [*map(_public_trade, past), *map(_public_trade, live)]


def _trades_before(tape: Tape, id_end: int, limit: int) -> list[Row]:
    return _trades_from(tape, max(1, id_end - limit), limit)


def klines(call: Call) -> list[list[object]]:
    """GET /klines, /uiKlines; times are UTC whatever the time zone of the candles."""
    params = call.params
    tape = call.exchange.venue.market(params.symbol()).tape
    interval = params.required("interval")
    if interval not in INTERVAL_NS:
        raise DialectError(-1120, "Invalid interval.")
    start, end = params.integer("startTime"), params.integer("endTime")
    offset_ns = _offset_ns(params)
    bars = tape.candles(
        interval,
        limit=params.limit(500, 1000),
        start_ns=None if start is None else start * 1_000_000,
        end_ns=None if end is None else end * 1_000_000,
        now_ns=call.now_ns,
        offset_ns=offset_ns,
    )
    return [_kline(bar, next_open(interval, bar.open_ns, offset_ns)) for bar in bars]


def _offset_ns(params: Params) -> int:
    """`timeZone`: UTC when it is not sent.

    Raises:
        DialectError: -1130 for no time zone of the venue.
    """
    offset_ns = zone_offset_ns(params.text("timeZone", "0"))
    if offset_ns is None:
        raise DialectError(-1130, "Data sent for parameter 'timeZone' is not valid.")
    return offset_ns


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
    """GET /ticker/tradingDay: since midnight, in UTC or in `timeZone`."""
    return _since(call, open_of("1d", call.now_ns, _offset_ns(call.params)))


def day_row(market: SymbolMarket, now_ns: int, *, mini: bool) -> Row:
    """The rolling 24 hours of one symbol."""
    row = window_row(market, now_ns - DAY_NS, now_ns, mini=mini)
    if mini:
        return row
    book = _book_row(market)
    last_qty = market.tape.trades.rows[-1].qty if market.tape.trades else 0
    return row | {
        "prevClosePrice": text_of(market.tape.price_before(now_ns - DAY_NS)),
        "lastQty": text_of(last_qty),
        "bidPrice": book["bidPrice"],
        "bidQty": book["bidQty"],
        "askPrice": book["askPrice"],
        "askQty": book["askQty"],
    }


def _since(call: Call, since_ns: int) -> Row | list[Row]:
    mini = call.params.text("type") == "MINI"
    if not call.params.text("symbol") and not call.params.text("symbols"):
        raise DialectError(
            -1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!"
        )
    return _per_symbol(call, lambda market: window_row(market, since_ns, call.now_ns, mini=mini))


def window_row(market: SymbolMarket, since_ns: int, now_ns: int, *, mini: bool) -> Row:
    """Statistics from the minute of `since_ns` on."""
    bar = market.tape.since(since_ns, now_ns)
    row: Row = {
        "symbol": market.spec.symbol,
        "openPrice": text_of(bar.open),
        "highPrice": text_of(bar.high),
        "lowPrice": text_of(bar.low),
        "lastPrice": text_of(bar.close),
        "volume": text_of(bar.volume),
        "quoteVolume": text_of(bar.quote),
        "openTime": ms_of(since_ns),
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
    units = {"m": (59, MINUTE_NS), "h": (23, HOUR_NS), "d": (7, DAY_NS)}
    most, unit_ns = units.get(unit, (0, 0))
    is_number = number.isascii() and number.isdigit() and len(number) <= 2
    if not is_number or not 1 <= int(number) <= most:
        raise DialectError(-1120, "Invalid window size.")
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


def _per_symbol(call: Call, make: Callable[[SymbolMarket], Row]) -> Row | list[Row]:
    rows = [make(market) for market in chosen_markets(call)]
    return rows[0] if call.params.has("symbol") else rows


def _book_row(market: SymbolMarket) -> Row:
    bid, ask = market.book.side(Side.BUY).best(), market.book.side(Side.SELL).best()
    return {
        "symbol": market.spec.symbol,
        "bidPrice": text_of(bid.price if bid else 0),
        "bidQty": text_of(bid.qty if bid else 0),
        "askPrice": text_of(ask.price if ask else 0),
        "askQty": text_of(ask.qty if ask else 0),
    }


def _public_trade(trade: TradePrint | PastTrade) -> Row:
    return {
        "id": trade.trade_id,
        "price": text_of(trade.price),
        "qty": text_of(trade.qty),
        "quoteQty": text_of(quote_of(trade.price, trade.qty)),
        "time": ms_of(trade.ts_ns),
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def _kline(bar: Candle, end_ns: int) -> list[object]:
    return [
        ms_of(bar.open_ns),
        text_of(bar.open),
        text_of(bar.high),
        text_of(bar.low),
        text_of(bar.close),
        text_of(bar.volume),
        ms_of(end_ns) - 1,
        text_of(bar.quote),
        bar.trades,
        text_of(bar.taker_base),
        text_of(bar.taker_quote),
        "0",
    ]
