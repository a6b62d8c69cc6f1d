"""The inputs of a decision, so that a third party can decide again from the file alone.

`decision` is a flat dict of plain JSON values; amounts are decimal text, times integer
nanoseconds, and `null` says "not known". Everything is as it stood BEFORE the order was held.

== What was asked
    verdict        "approved", or the DenyReason
    strategy_id, instrument_id, side, order_type, time_in_force, reduce_only
    qty            as wished; `qty_approved` is what may leave (smaller only when a reduce was cut)
    price          limit price, null for MARKET, STOP_LOSS, TAKE_PROFIT
    stop_price     trigger price or null
    extras         {trailing_bps, iceberg_qty, peg, peg_levels}; not there for a plain order
    px             the order's price as rule 20 derives it (null when denied before)
== What was known
    now_ns         engine time of the decision
    context        digest of the line `risk_context` before it (riskcaps/context.py), which holds
                   caps_hash: hash of the whole set of caps; `caps`: the symbol's, null if none,
                   `portfolio_caps`: the others; `filters`: the venue's of the instrument
                   (daemon/model/instrument.py), null if none
    halted         whether the halt flag was closed, halt_reason why
    standing       {trading_state, journal_ok,
                   clock: [offset_ns, round_trip_ns, sampled_at_ns], sampled_at -1: never,
                   streaks: [executions since a human; on the instrument venue rejects, losing
                   orders, in a row],
                   budget: {window: [used, limit]} of the venue, sampled at budget_ns,
                   equity: in the numeraire, null when it cannot be valued,
                   losses: [[used, limit, action, latched] for session, day, drawdown]}
    blocked        why the engine blocked the symbol ("" when not); unknown_orders: their count
    market         {bid, ask, top_ns: when it was received, reference_px, reference_ns: the last
                   trade when the collar refers to it, else null: mid}
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
    digits that 64-digit arithmetic takes -> malformed_order. Extras: a pegged order has no price; a
    trailing one may have no stop_price, and is a stop type; iceberg_qty is above 0 and below qty,
    of a type with a limit price, GTC where it has a time in force; a peg is of such a type, PRIMARY
    for LIMIT_MAKER, GTC for PRIMARY LIMIT; 0..100 peg_levels, and none without a peg
14  side not in sides -> side_not_allowed
15  order_type not in order_types, or not in filters.order_types -> order_type_not_allowed
    extras: TRAILING, ICEBERG or PEGGED not in order_features, or not in filters.features, or
    trailing_bps of a TAKE_PROFIT (no bound) -> order_feature_not_allowed
16  LIMIT, STOP_LOSS_LIMIT, TAKE_PROFIT_LIMIT: time_in_force not in times_in_force -> same name
17  minute of the week of now (Monday 00:00 UTC = 0) in no window -> outside_trading_window
18  no top -> no_market_data      19  now - top_ns > market_data_age_ms_max -> stale_market_data
20  bid >= ask -> crossed_book
    px = price; without one: far*(10000 + or - slippage)/10000, buys +, sells -, where far is ask
    (buy) or bid (sell), for a stop type max(stop, ask) or min(stop, bid), with trailing_bps that
    *(10000 + or - trailing_bps)/10000; a pegged order: ref*(10000 + or - collar_bps_max)/10000
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
    iceberg_qty out of qty_min..qty_max or no multiple of lot: same names; qty > iceberg_qty *
    iceberg_parts_max -> filter_iceberg; orders_open[0] + 1 > iceberg_orders_open_max ->
    filter_orders_open; trailing_bps out of trailing_above_bps_min..max (STOP_LOSS buys, TAKE_PROFIT
    sells, limit types alike) or trailing_below_…  (0: off) -> filter_trailing
29  notional_min > qty*(price or bid), notional_max < qty*px; without price only where the filter
    applies to market -> filter_notional
30  orders_open[0] + 1 > orders_open_max, for stop types orders_open[1] + 1 > algo_orders_open_max;
    orders_open[2] + 1 > exchange_orders_open_max, for stop types exchange_algo_orders_open_max, for
    icebergs exchange_iceberg_orders_open_max (every open order counts) -> filter_orders_open;
    qty > asset_base_max, qty*px > asset_quote_max -> filter_asset
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

from daemon.model.enums import Side
from daemon.model.intents import PlaceIntent
from daemon.model.order_features import OrderExtras
from riskcaps.context import RiskContext, context_of, context_of_stranger
from riskcaps.exposure import SymbolBook
from riskcaps.keeper import Keeper
from riskcaps.rules import Case
from riskcaps.standing import Standing, plain_for
from riskcaps.usage import Turnover, turnover_of
from riskcaps.valuation import PAR, Rate

APPROVED = "approved"
NOTHING: dict[str, Any] = {}
_PAR_TEXT = ["1", "1", 0]
_NO_OWN_PX = [None, None, None]

Plain = dict[str, Any]
Inputs = tuple[
    PlaceIntent, str, Decimal, Decimal | None, int, int, RiskContext,
    bool, str, Plain, Plain | None, str, int,
    Decimal, Decimal, Decimal, Decimal | None, Decimal | None, Decimal | None,
    int, int, int, Rate | None, Plain, str, Decimal | None, Decimal, Decimal, str | None,
    list[int], list[int], int, int, list[Turnover], Decimal,
]  # fmt: skip
"""Every input of one decision, as it stood; `plain_of` names them. Taken before the order is held.

Nothing in it changes afterwards: what many decisions share (caps, filters, market, standing) is
made anew when it changes. A bare tuple, because one is taken for every order.
"""


def inputs_of(
    keeper: Keeper, book: SymbolBook, case: Case, standing: Standing, verdict: str
) -> Inputs:
    """Take the inputs of what went through the table."""
    intent, now_ns = case.intent, case.now_ns
    buys, sells = book.buy_pxs, book.sell_pxs
    asset = book.quote if book.pays_value(is_buy=intent.side is Side.BUY) else book.base
    account = keeper.account(asset)
    return (
        intent, verdict, case.qty, case.px, now_ns, case.seen_ns, context_of(keeper, book),
        keeper.halt.closed, keeper.halt.reason,
        plain_for(keeper, standing, book.instrument_id),
        book.market or book.market_plain(), book.blocked, book.unknown_count,
        book.position, book.buys_open, book.sells_open,
        buys[-1] if buys else None, sells[0] if sells else None,
        book.px_max() if buys or sells else None,
        book.open_count, book.stops_open, len(keeper.holds), keeper.rates.rate(book.quote),
        others_of(keeper, book), asset, account.free if account.known else None,
        account.inflight, account.unsettled, _base_total(keeper, book),
        keeper.orders.counts(now_ns), keeper.cancels.counts(now_ns),
        book.minute.count(now_ns), keeper.executions.count(now_ns),
        turnover_of(keeper, now_ns), book.traded.total(now_ns),
    )  # fmt: skip


def plain_of(inputs: Inputs) -> dict[str, Any]:
    """The inputs as a record carries them."""
    (
        intent, verdict, qty, px, now_ns, seen_ns, context, halted, halt_reason, standing,
        market, blocked, unknown_count,
        position, buys_open, sells_open, buy_px, sell_px, own_px,
        open_count, stops_open, open_total, rate, others, asset, free, inflight, unsettled,
        base_total, orders, cancels, symbol_minute, executions, turnover, traded_qty,
    ) = inputs  # fmt: skip
    asked = _asked(intent, verdict, now_ns)
    asked["qty_approved"] = str(qty)
    asked["px"] = _text(px)
    asked |= {
        "context": context.digest,
        "halted": halted,
        "halt_reason": halt_reason,
        "standing": standing,
        "market": market,
        "blocked": blocked,
        "unknown_orders": unknown_count,
        "position": str(position),
        "buys_open": str(buys_open),
        "sells_open": str(sells_open),
        "own_px": _NO_OWN_PX if own_px is None else [_text(buy_px), _text(sell_px), str(own_px)],
        "orders_open": [open_count, stops_open, open_total],
        "rate": _PAR_TEXT if rate is PAR else _rate_text(rate),
        "others": others,
        "balance": [asset, _text(free), str(inflight), str(unsettled)],
        "base_total": base_total,
        "attempts": orders,
        "cancels": cancels,
        "symbol_minute": symbol_minute,
        "executions": executions,
        "turnover": {
            name: [str(traded), str(is_open), None if of is None else str(of[1])]
            for name, traded, is_open, of in turnover
        },
        "traded_qty": str(traded_qty),
        "duplicate_ns": seen_ns,
    }
    return asked


def plain_of_stranger(
    keeper: Keeper, intent: PlaceIntent, standing: Standing, verdict: str, now_ns: int
) -> dict[str, Any]:
    """A wish for an instrument that nobody has heard of: no rule beyond the seventh is reached."""
    return {
        **_asked(intent, verdict, now_ns),
        "qty_approved": str(intent.qty),
        "px": None,
        "context": context_of_stranger(keeper, intent.instrument_id).digest,
        "halted": keeper.halt.closed,
        "halt_reason": keeper.halt.reason,
        "standing": standing.plain,
    }


def _asked(intent: PlaceIntent, verdict: str, now_ns: int) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "verdict": verdict,
        "strategy_id": intent.strategy_id,
        "instrument_id": intent.instrument_id,
        "side": intent.side,
        "order_type": intent.order_type,
        "time_in_force": intent.time_in_force,
        "reduce_only": intent.reduce_only,
        "qty": str(intent.qty),
        "price": _text(intent.price),
        "stop_price": _text(intent.stop_price),
        "now_ns": now_ns,
    }
    if intent.extras is not None:
        asked["extras"] = extras_plain(intent.extras)
    return asked


def extras_plain(extras: OrderExtras) -> dict[str, Any]:
    """As a record carries them; a wish may hold anything, so nothing is assumed of it."""
    return {
        "trailing_bps": extras.trailing_bps,
        "iceberg_qty": None if extras.iceberg_qty is None else str(extras.iceberg_qty),
        "peg": None if extras.peg is None else str(extras.peg),
        "peg_levels": extras.peg_levels,
    }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _base_total(keeper: Keeper, book: SymbolBook) -> str | None:
    if book.instrument is None or not book.instrument.position_max:
        return None
    base = keeper.accounts.get(book.base)
    return str(base.free + base.locked) if base and base.known else None


def others_of(keeper: Keeper, book: SymbolBook) -> dict[str, Any]:
    """Every other instrument with a position or an open order."""
    return {
        other.instrument_id: _other(keeper, other)
        for other in keeper.books.values()
        if other is not book and (other.open_count or other.position)
    }


def _rate_text(rate: Rate | None) -> list[Any] | None:
    return None if rate is None else [str(rate[0]), str(rate[1]), rate[2]]


def _other(keeper: Keeper, book: SymbolBook) -> list[Any]:
    top = book.top
    return [
        str(book.position),
        str(book.buys_open),
        str(book.sells_open),
        str(book.px_max()),
        str(top.bid_px) if top else None,
        str(top.ask_px) if top else None,
        book.top_ns,
        *(_rate_text(keeper.rates.rate(book.quote)) or (None, None, None)),
    ]
