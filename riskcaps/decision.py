"""The inputs of a decision, so that a third party can decide again from the file alone.

`decision` is a flat dict of plain JSON values; amounts are decimal text, times integer
nanoseconds, and `null` says "not known". Everything is as it stood BEFORE the order was held.

== What was asked
    verdict        "approved", or the DenyReason
    strategy_id, instrument_id, side, order_type, time_in_force, reduce_only
    qty            as wished; `qty_approved` is what may leave (smaller only when a reduce was cut)
    price          limit price, null for MARKET, STOP_LOSS, TAKE_PROFIT
    stop_price     trigger price or null
    px             the order's price as rule 20 derives it (null when denied before)
== What was known
    now_ns         engine time of the decision
    caps_hash      hash of the whole set of caps; `caps`: the symbol's, `portfolio_caps`: others
    halted         whether the halt flag was closed, halt_reason why
    standing       {trading_state, journal_ok,
                   clock: [offset_ns, round_trip_ns, sampled_at_ns], sampled_at -1: never,
                   streaks: [executions since a human, venue rejects, losing orders in a row],
                   budget: {window: [used, limit]} of the venue, sampled at budget_ns,
                   equity: in the numeraire, null when it cannot be valued,
                   losses: [[used, limit, action, latched] for session, day, drawdown]}
    blocked        why the engine blocked the symbol ("" when not); unknown_orders: their count
    filters        the venue's filters of the instrument (daemon/model/instrument.py), null if none
    market         {bid, ask, top_ns: when it was received, reference_px, reference_ns: last trade
                   or mark when the collar refers to it, else null: mid}
    position       net traded quantity; buys_open / sells_open: open + in flight + unknown, base
    own_px         [highest open buy, lowest open sell, highest open price of either]; null if none
    orders_open    [symbol, stop orders of symbol, total]
    rate           [low, high, oldest_ns] of the quote asset in the numeraire (oldest_ns 0: itself)
    others         {instrument_id: [position, buys_open, sells_open, highest open price, bid, ask,
                   top_ns, rate low, rate high, rate oldest_ns]} of every other instrument with a
                   position or an open order
    balance        [asset, free, in flight, unsettled] of what it would spend; free null: unknown
    base_total     free + locked of the base asset (null unless MAX_POSITION applies)
    attempts       orders in [second, minute, hour, day]; cancels in [second, minute];
                   messages = orders + cancels of the same window
    symbol_minute  orders on the symbol in the minute
    executions     executions in the day
    turnover       {quote asset: [traded in 24 h, open notional, rate high]}
    traded_qty     base quantity of the symbol traded in 24 h
    duplicate_ns   when the same order (instrument, side, price or else stop_price, approved qty)
                   was last approved within the window, -1: not, or denied by an earlier rule
== The rules, in order; the first that fails is the verdict
    (px, ref, value_px, long, short as defined below; `caps` names as in the config; ms as ns)
 1  halted -> halt_flag_closed                       2  trading_state HALTED -> trading_halted
 3  not journal_ok -> journal_unhealthy              4  sampled_at < 0 -> clock_unknown
 5  now - sampled_at > clock_age_ms_max -> clock_stale
 6  2*|offset| + round_trip > 2*clock_offset_ms_max -> clock_drift
 7  caps null -> symbol_not_allowed                  8  a required cap is zero -> cap_not_set
 9  filters null -> instrument_unknown
10  filters.status != TRADING -> symbol_not_trading
11  blocked -> symbol_blocked                       12  unknown_orders > 0 -> unknown_order_open
13  qty, price, stop_price: finite, positive, present exactly where the type has them, and with
    digits that 64-digit arithmetic takes -> malformed_order
14  side not in sides -> side_not_allowed
15  order_type not in order_types, or not in filters.order_types -> order_type_not_allowed
16  LIMIT, STOP_LOSS_LIMIT, TAKE_PROFIT_LIMIT: time_in_force not in times_in_force -> same name
17  minute of the week of now (Monday 00:00 UTC = 0) in no window -> outside_trading_window
18  no top -> no_market_data      19  now - top_ns > market_data_age_ms_max -> stale_market_data
20  bid >= ask -> crossed_book
    px = price; without one: far*(10000 + or - slippage)/10000, buys +, sells -, where far is ask
    (buy) or bid (sell), for a stop type max(stop, ask) or min(stop, bid)
    ref = (bid+ask)/2, or reference_px
21  reference missing, <= 0, or older than market_data_age_ms_max -> no_reference_price
22  room = -position - buys_open (buy) or position - sells_open (sell); reducing = 0 < qty <= room.
    reduce_only or REDUCING, and not reducing: with reduce_oversized "cut" and floor(room, lot) > 0
    qty becomes that (and is reducing), else -> not_reducing
23  streaks reach their caps (executions, rejects, losses, in this order) -> executions_need_human,
    venue_reject_streak, loss_streak; a reducing order of "operator" or "engine" passes
24  price or stop_price out of price_min..price_max (0: off) -> filter_price
25  price or stop_price no multiple of tick (0: 10^-quote_precision) -> filter_tick
26  price > ref*multiplier_up or < ref*multiplier_down (bid_ for buys, ask_ for sells; 0: off)
    -> filter_percent_price
27  qty out of qty_min..qty_max -> filter_qty      28  no multiple of lot (0: 10^-base_precision)
    -> filter_lot; without price also market_qty_min..max and market_lot, same names
29  notional_min > qty*(price or bid), notional_max < qty*px; without price only where the filter
    applies to market -> filter_notional
30  orders_open_max, for stop types algo_orders_open_max -> filter_orders_open
31  buys, position_max set: base_total + buys_open + qty > position_max -> filter_position
    (base_total null -> balance_unknown)
32  qty > order_qty_base_max -> order_qty
33  qty*max(px, ask) > order_notional_quote_max -> order_notional
34  |px - ref|*10000 > ref*collar_bps_max -> price_collar
    value_px = max(px, ask, own_px[2]); long = position + buys_open; short = sells_open - position;
    side = long + qty (buy) or short + qty (sell)
35  side > position_long_base_max (buy) / position_short_base_max (sell), side > 0
    -> position_long / position_short
36  side*value_px > exposure_quote_max, side > 0 -> exposure_symbol
37  orders_open[0] + 1 > orders_open_max of the symbol -> orders_open_symbol
38  orders_open[2] + 1 > orders_open_max of the portfolio -> orders_open_total
    Rules 39-41 are for orders that are not reducing.
39  rate null -> rate_missing; its oldest_ns (if not 0) < now - valuation_age_ms_max
    -> valuation_stale
    worst(l, s, hi, bid) = max(l, s, 0)*hi*rate_high. Others: rate null -> rate_missing; no top,
    top_ns or rate oldest_ns older than valuation_age_ms_max -> valuation_stale; their hi is
    max(highest open price, ask).
40  gross = sum of worst over others and this symbol with the order in it; where the order raises
    max(long, short, 0): gross > exposure_gross_numeraire_max -> exposure_gross
41  net = sum over symbols of s*(hi*rate_high if s > 0 else bid*rate_low), s = long for a buy,
    short for a sell; net > 0 and net > exposure_net_numeraire_max -> exposure_net
42  balance free null -> balance_unknown
43  need = qty*px (buy) or qty (sell); need + balance_free_min[asset] + in flight + unsettled > free
    -> balance_insufficient
44  attempts + 1 > orders_per_second_max, minute, hour, day -> orders_per_...
45  symbol_minute + 1 > orders_per_minute_max of the symbol -> orders_per_minute_symbol
46  messages + 1 > messages_per_second_max less its cancel reserve (not below 0), minute alike
    -> messages_per_...
47  (used + 1)*100 > limit*venue_budget_percent_max for a window of budget, when
    now - budget_ns <= 60 s -> venue_budget
48  attempts of the day + 1 = n > order_to_trade_grace_orders and n > order_to_trade_ratio_max *
    max(executions, 1) -> order_to_trade_ratio
49  sum over turnover of (traded + open)*rate_high, plus qty*max(px, ask)*rate[1]
    > traded_notional_per_day_numeraire_max -> traded_notional_per_day (a null rate where the
    amount is not zero -> rate_missing)
50  traded_qty + buys_open + sells_open + qty > traded_qty_per_day_base_max -> traded_qty_per_day
51  equity null -> equity_unknown, unless reducing
52  session, day, drawdown: latched, or used >= limit -> loss_session, loss_day, drawdown, unless
    reducing and the action is not "deny"
53  duplicate_ns >= 0 -> duplicate_order
54  an own open order on the other side, and px >= lowest own sell (buy) or <= highest own buy
    (sell), or no limit price -> self_trade
"""

from decimal import Decimal
from typing import Any

from daemon.model.amounts import ZERO
from riskcaps.exposure import Account, SymbolBook
from riskcaps.keeper import Keeper
from riskcaps.rules import Case
from riskcaps.standing import Standing
from riskcaps.valuation import PAR


def decision_of(keeper: Keeper, case: Case, standing: Standing, verdict: str) -> dict[str, Any]:
    """Write down every input of a decision; to be called before the order is held.

    Parts that many decisions share (caps, filters, market, standing) are made once and never
    changed afterwards. One literal, no helper calls where a value is at hand: this is half of the
    cost of a decision.
    """
    book = keeper.books.get(case.intent.instrument_id)
    if book is None:
        return _without_book(keeper, case, standing, verdict)
    intent = case.intent
    now_ns = case.now_ns
    price, stop, px = intent.price, intent.stop_price, case.px
    buys, sells = book.buy_pxs, book.sell_pxs
    asset = book.quote if case.is_buy else book.base
    account = keeper.accounts.get(asset)
    rate = PAR if book.at_par else keeper.rates.rate(book.quote)
    cancels = keeper.cancels.counts(now_ns)
    qty = str(intent.qty)
    return {
        "verdict": verdict,
        "strategy_id": intent.strategy_id,
        "instrument_id": intent.instrument_id,
        "side": intent.side,
        "order_type": intent.order_type,
        "time_in_force": intent.time_in_force,
        "reduce_only": intent.reduce_only,
        "qty": qty,
        "qty_approved": qty if case.qty is intent.qty else str(case.qty),
        "price": None if price is None else str(price),
        "stop_price": None if stop is None else str(stop),
        "px": None if px is None else str(px),
        "now_ns": now_ns,
        "caps_hash": keeper.caps_hash,
        "portfolio_caps": keeper.caps_plain,
        "caps": book.caps_plain,
        "filters": book.filters,
        "halted": keeper.halt.closed,
        "halt_reason": keeper.halt.reason,
        "standing": standing.plain,
        "market": book.market or book.market_plain(),
        "blocked": book.blocked,
        "unknown_orders": book.unknown_count,
        "position": str(book.position),
        "buys_open": str(book.buys_open),
        "sells_open": str(book.sells_open),
        "own_px": _own_px(buys, sells),
        "orders_open": [book.open_count, book.stops_open, len(keeper.holds)],
        "rate": _PAR_TEXT if rate is PAR else _rate_text(rate),
        "others": _others(keeper, book),
        "balance": _balance(asset, account),
        "base_total": _base_total(keeper, book),
        "attempts": keeper.orders.counts(now_ns),
        "cancels": cancels,
        "symbol_minute": book.minute.counts(now_ns)[0],
        "executions": keeper.executions.counts(now_ns)[0],
        "turnover": _turnover(keeper, now_ns),
        "traded_qty": str(book.traded.total(now_ns)),
        "duplicate_ns": case.seen_ns,
    }


_PAR_TEXT = ["1", "1", 0]


def _without_book(keeper: Keeper, case: Case, standing: Standing, verdict: str) -> dict[str, Any]:
    """A wish for an instrument that nobody has heard of: no rule beyond the seventh is reached."""
    intent = case.intent
    return {
        "verdict": verdict,
        "strategy_id": intent.strategy_id,
        "instrument_id": intent.instrument_id,
        "side": intent.side,
        "order_type": intent.order_type,
        "time_in_force": intent.time_in_force,
        "reduce_only": intent.reduce_only,
        "qty": str(intent.qty),
        "qty_approved": str(intent.qty),
        "price": None if intent.price is None else str(intent.price),
        "stop_price": None if intent.stop_price is None else str(intent.stop_price),
        "px": None,
        "now_ns": case.now_ns,
        "caps_hash": keeper.caps_hash,
        "portfolio_caps": keeper.caps_plain,
        "caps": None,
        "filters": None,
        "halted": keeper.halt.closed,
        "halt_reason": keeper.halt.reason,
        "standing": standing.plain,
    }


def _own_px(buys: list[Decimal], sells: list[Decimal]) -> list[str | None]:
    buy_high = buys[-1] if buys else None
    sell_high = sells[-1] if sells else None
    highest = max(buy_high or ZERO, sell_high or ZERO)
    return [
        None if buy_high is None else str(buy_high),
        str(sells[0]) if sells else None,
        str(highest) if buys or sells else None,
    ]


def _balance(asset: str, account: Account | None) -> list[Any]:
    if account is None:
        return [asset, None, "0", "0"]
    free = str(account.free) if account.known else None
    return [asset, free, str(account.inflight), str(account.unsettled)]


def _base_total(keeper: Keeper, book: SymbolBook) -> str | None:
    if book.instrument is None or not book.instrument.position_max:
        return None
    base = keeper.accounts.get(book.base)
    return str(base.free + base.locked) if base and base.known else None


def _others(keeper: Keeper, book: SymbolBook) -> dict[str, list[Any]]:
    return {
        other.instrument_id: _other(keeper, other)
        for other in keeper.books.values()
        if other is not book and (other.open_count or other.position)
    }


def _rate_text(rate: tuple[Decimal, Decimal, int] | None) -> list[Any] | None:
    return None if rate is None else [str(rate[0]), str(rate[1]), rate[2]]


def _other(keeper: Keeper, book: SymbolBook) -> list[Any]:
    top = book.top
    rate = keeper.rates.rate(book.quote)
    return [
        str(book.position),
        str(book.buys_open),
        str(book.sells_open),
        str(book.px_max()),
        str(top.bid_px) if top else None,
        str(top.ask_px) if top else None,
        book.top_ns,
        str(rate[0]) if rate else None,
        str(rate[1]) if rate else None,
        rate[2] if rate else None,
    ]


def _turnover(keeper: Keeper, now_ns: int) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for asset, account in keeper.quotes.items():
        traded = account.traded.total(now_ns)
        if traded or account.open_notional:
            rate = keeper.rates.rate(asset)
            high = None if rate is None else str(rate[1])
            out[asset] = [str(traded), str(account.open_notional), high]
    return out
