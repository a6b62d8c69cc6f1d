"""Rules 24-31: the venue's own filters, so that it is not asked for what it would refuse.

Rule of this file: a notional is rounded against us.
"""

from daemon.model.amounts import ZERO
from riskcaps.gate.extras import filter_denial
from riskcaps.gate.rule import Case, Denial, denial, row
from riskcaps.words.denials import DenyReason
from riskcaps.words.order_kinds import STOP_TYPES


def price_filter(case: Case) -> Denial | None:
    """Rules 24-25: price, then stop_price: out of price_min..price_max (0: off); no multiple of
    tick (0: 10^-quote_precision).
    """
    book = case.book
    for px in (case.intent.price, case.intent.stop_price):
        if px is None:
            continue
        if not book.price_low <= px <= book.price_high:
            return denial(
                DenyReason.FILTER_PRICE, price=px, min=book.price_low, max=book.price_high
            )
        if px % book.tick:
            return denial(DenyReason.FILTER_TICK, price=px, tick=book.tick)
    return None


def percent_price(case: Case) -> Denial | None:
    """Rule 26: price > ref*multiplier_up or < ref*multiplier_down (bid_ for buys, ask_ for sells;
    0: off).
    """
    price, ref_px, f = case.intent.price, case.ref_px, case.filters
    if price is None or not case.book.has_multipliers:
        return None
    up = f.bid_multiplier_up if case.is_buy else f.ask_multiplier_up
    down = f.bid_multiplier_down if case.is_buy else f.ask_multiplier_down
    if (up and price > ref_px * up) or (down and price < ref_px * down):
        return denial(DenyReason.FILTER_PERCENT_PRICE, price=price, reference=ref_px)
    return None


def lot_size(case: Case) -> Denial | None:
    """Rules 27-28: qty out of qty_min..qty_max; no multiple of lot (0: 10^-base_precision)."""
    qty, book = case.qty, case.book
    if not book.qty_low <= qty <= book.qty_high:
        return denial(DenyReason.FILTER_QTY, qty=qty, min=book.qty_low, max=book.qty_high)
    if qty % book.qty_step:
        return denial(DenyReason.FILTER_LOT, qty=qty, lot=book.qty_step)
    return None


def extras_filters(case: Case) -> Denial | None:
    """Rule 28: iceberg_qty out of qty_min..qty_max or no multiple of lot; qty >
    iceberg_qty*iceberg_parts_max; orders_open[0] + 1 > iceberg_orders_open_max; trailing_bps
    out of trailing_above_bps_min..max (STOP_LOSS buys, TAKE_PROFIT sells, limit types alike) or
    trailing_below_… (0: off).
    """
    extras = case.intent.extras
    if extras is None:
        return None
    reason = filter_denial(case.intent, extras, case.book, case.qty)
    if reason is None:
        return None
    return denial(reason, trailing_bps=extras.trailing_bps, shown=extras.iceberg_qty)


def market_lot_size(case: Case) -> Denial | None:
    """Rule 28: without price: qty out of market_qty_min..max, or no multiple of market_lot."""
    if not case.is_market:
        return None
    qty, f = case.qty, case.filters
    low, high = f.market_qty_min, f.market_qty_max
    if (low and qty < low) or (high and qty > high):
        return denial(DenyReason.FILTER_QTY, qty=qty, min=low, max=high)
    if f.market_lot and qty % f.market_lot:
        return denial(DenyReason.FILTER_LOT, qty=qty, lot=f.market_lot)
    return None


def notional(case: Case) -> Denial | None:
    """Rule 29: notional_min > qty*(price or bid), notional_max < qty*px; without price only where
    the filter applies to market.
    """
    qty, f, px = case.qty, case.filters, case.intent.price
    low, high = f.notional_min, f.notional_max
    if px is None:
        px = case.top.bid_px
    if case.is_market:
        low = low if f.notional_min_applies_to_market else ZERO
        high = high if f.notional_max_applies_to_market else ZERO
    if low and qty * px < low:
        return denial(DenyReason.FILTER_NOTIONAL, qty=qty, px=px, min=low)
    if high and qty * (case.px or ZERO) > high:
        return denial(DenyReason.FILTER_NOTIONAL, qty=qty, px=case.px, max=high)
    return None


def orders_open(case: Case) -> Denial | None:
    """Rule 30: orders_open[0] + 1 > orders_open_max, for stop types orders_open[1] + 1 >
    algo_orders_open_max; orders_open[2] + 1 > exchange_orders_open_max, for stop types
    exchange_algo_orders_open_max, for icebergs exchange_iceberg_orders_open_max (every open
    order counts).
    """
    f, given, extras = case.filters, case.given, case.intent.extras
    is_stop = case.intent.order_type in STOP_TYPES
    if f.orders_open_max and given.orders_open + 1 > f.orders_open_max:
        return denial(
            DenyReason.FILTER_ORDERS_OPEN, open=given.orders_open, limit=f.orders_open_max
        )
    if is_stop and f.algo_orders_open_max and given.stops_open + 1 > f.algo_orders_open_max:
        return denial(
            DenyReason.FILTER_ORDERS_OPEN, open=given.stops_open, limit=f.algo_orders_open_max
        )
    total = given.orders_open_total
    for limit, counts in (
        (f.exchange_orders_open_max, True),
        # Every open order counts as one of the kind: the venue's count of ours is never larger.
        (f.exchange_algo_orders_open_max, is_stop),
        (f.exchange_iceberg_orders_open_max, extras is not None and extras.iceberg_qty is not None),
    ):
        if limit and counts and total + 1 > limit:
            return denial(DenyReason.FILTER_ORDERS_OPEN, open_on_account=total, limit=limit)
    return None


def asset_bounds(case: Case) -> Denial | None:
    """Rule 30: qty > asset_base_max, qty*px > asset_quote_max."""
    f = case.filters
    if f.asset_base_max and case.qty > f.asset_base_max:
        return denial(DenyReason.FILTER_ASSET, qty=case.qty, limit=f.asset_base_max)
    if f.asset_quote_max:
        value = case.qty * (case.px or ZERO)
        if value > f.asset_quote_max:
            return denial(DenyReason.FILTER_ASSET, value=value, limit=f.asset_quote_max)
    return None


def position_bound(case: Case) -> Denial | None:
    """Rule 31: buys, position_max set: base_total + buys_open + qty > position_max; base_total
    null -> balance_unknown.
    """
    limit, total = case.filters.position_max, case.given.base_total
    if not limit or not case.is_buy:
        return None
    if total is None:
        return denial(DenyReason.BALANCE_UNKNOWN, asset=case.book.base)
    worst = total + case.given.buys_open + case.qty
    return denial(DenyReason.FILTER_POSITION, worst=worst, limit=limit) if worst > limit else None


_R = DenyReason
FILTER_RULES = (
    row(24, price_filter, "price, stop_price, filters", _R.FILTER_PRICE, _R.FILTER_TICK, last=25),
    row(26, percent_price, "price, market, filters", _R.FILTER_PERCENT_PRICE),
    row(27, lot_size, "qty, filters", _R.FILTER_QTY, _R.FILTER_LOT, last=28),
    row(28, extras_filters, "extras, orders_open, filters",
        _R.FILTER_QTY, _R.FILTER_LOT, _R.FILTER_ICEBERG, _R.FILTER_ORDERS_OPEN, _R.FILTER_TRAILING),
    row(28, market_lot_size, "qty, filters", _R.FILTER_QTY, _R.FILTER_LOT),
    row(29, notional, "qty, price, market, filters", _R.FILTER_NOTIONAL),
    row(30, orders_open, "orders_open, extras, filters", _R.FILTER_ORDERS_OPEN),
    row(30, asset_bounds, "qty, filters", _R.FILTER_ASSET),
    row(31, position_bound, "base_total, buys_open, filters",
        _R.FILTER_POSITION, _R.BALANCE_UNKNOWN),
)  # fmt: skip
