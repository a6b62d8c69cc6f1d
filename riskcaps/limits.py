"""The rules that measure: venue filters, order size, collar, positions, exposure, turnover.

Rules of this file are those of `rules.py`. Comparisons multiply instead of dividing, so they are
exact.
"""

from decimal import Decimal

from daemon.model.amounts import NS_PER_MS, ZERO
from riskcaps.denials import DenyReason
from riskcaps.exposure import STOP_TYPES, SymbolBook
from riskcaps.keeper import Keeper
from riskcaps.rules import BPS, Case
from riskcaps.usage import book_worth
from riskcaps.valuation import Worth, worst_value


def check_price_filters(_: Keeper, case: Case) -> DenyReason | None:
    """Rules 26-27 and 31: PRICE_FILTER and PERCENT_PRICE, against the venue's own numbers."""
    f = case.instrument
    for px in (case.intent.price, case.intent.stop_price):
        if px is None:
            continue
        if (f.price_min and px < f.price_min) or (f.price_max and px > f.price_max):
            return case.deny(DenyReason.FILTER_PRICE, price=px, min=f.price_min, max=f.price_max)
        if px % case.book.tick:
            return case.deny(DenyReason.FILTER_TICK, price=px, tick=case.book.tick)
    px = case.intent.price
    if px is None or case.ref_px is None:
        return None
    up, down = f.bid_multiplier_up, f.bid_multiplier_down
    if not case.is_buy:
        up, down = f.ask_multiplier_up, f.ask_multiplier_down
    if (up and px > case.ref_px * up) or (down and px < case.ref_px * down):
        return case.deny(DenyReason.FILTER_PERCENT_PRICE, price=px, reference=case.ref_px)
    return None


def check_size_filters(_: Keeper, case: Case) -> DenyReason | None:
    """Rules 28-30: LOT_SIZE, MARKET_LOT_SIZE, NOTIONAL. A notional is rounded against us."""
    f = case.instrument
    qty = case.qty
    low, high = f.qty_min, f.qty_max
    if (low and qty < low) or (high and qty > high):
        return case.deny(DenyReason.FILTER_QTY, qty=qty, min=low, max=high)
    if qty % case.book.qty_step:
        return case.deny(DenyReason.FILTER_LOT, qty=qty, lot=case.book.qty_step)
    px = case.intent.price
    check_min = check_max = True
    if px is None:
        low, high = f.market_qty_min, f.market_qty_max
        if (low and qty < low) or (high and qty > high):
            return case.deny(DenyReason.FILTER_QTY, qty=qty, min=low, max=high)
        if f.market_lot and qty % f.market_lot:
            return case.deny(DenyReason.FILTER_LOT, qty=qty, lot=f.market_lot)
        check_min, check_max = f.notional_min_applies_to_market, f.notional_max_applies_to_market
    if check_min and f.notional_min and qty * (px or case.top.bid_px) < f.notional_min:
        return case.deny(
            DenyReason.FILTER_NOTIONAL, qty=qty, px=px or case.top.bid_px, min=f.notional_min
        )
    if check_max and f.notional_max and qty * (case.px or ZERO) > f.notional_max:
        return case.deny(DenyReason.FILTER_NOTIONAL, qty=qty, px=case.px, max=f.notional_max)
    return None


def check_account_filters(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rules 32-33: MAX_NUM_ORDERS, MAX_NUM_ALGO_ORDERS, MAX_POSITION."""
    f, book = case.instrument, case.book
    if f.orders_open_max and book.open_count + 1 > f.orders_open_max:
        return case.deny(
            DenyReason.FILTER_ORDERS_OPEN, open=book.open_count, limit=f.orders_open_max
        )
    is_stop = case.intent.order_type in STOP_TYPES
    if is_stop and f.algo_orders_open_max and book.stops_open + 1 > f.algo_orders_open_max:
        return case.deny(
            DenyReason.FILTER_ORDERS_OPEN, open=book.stops_open, limit=f.algo_orders_open_max
        )
    if f.position_max and case.is_buy:
        account = keeper.accounts.get(book.base)
        if account is None or not account.known:
            return case.deny(DenyReason.BALANCE_UNKNOWN, asset=book.base)
        worst = account.free + account.locked + book.buys_open + case.qty
        if worst > f.position_max:
            return case.deny(DenyReason.FILTER_POSITION, worst=worst, limit=f.position_max)
    return None


def check_order_caps(_: Keeper, case: Case) -> DenyReason | None:
    """Rules 34-36: quantity, value at the worst price, distance from the reference."""
    caps = case.caps
    if case.qty > caps.order_qty_base_max:
        return case.deny(
            DenyReason.ORDER_QTY,
            cap="order_qty_base_max",
            used=case.qty,
            limit=caps.order_qty_base_max,
        )
    px = case.px or ZERO
    ref_px = case.ref_px or ZERO
    value_px = max(px, case.top.ask_px, case.book.px_max())
    case.value_px = value_px
    notional = case.qty * max(px, case.top.ask_px)
    if notional > caps.order_notional_quote_max:
        return case.deny(
            DenyReason.ORDER_NOTIONAL,
            cap="order_notional_quote_max",
            used=notional,
            limit=caps.order_notional_quote_max,
        )
    if abs(px - ref_px) * BPS > ref_px * caps.collar_bps_max:
        return case.deny(
            DenyReason.PRICE_COLLAR,
            cap="collar_bps_max",
            price=px,
            reference=ref_px,
            limit=caps.collar_bps_max,
        )
    return None


def check_position(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rules 37-41: worst-case position and value of the side that it adds to; open orders."""
    book = case.book
    watch = book.watch
    if case.is_buy:
        side = book.position + book.buys_open + case.qty
        w, reason = watch["position_long_base_max"], DenyReason.POSITION_LONG
    else:
        side = book.sells_open - book.position + case.qty
        w, reason = watch["position_short_base_max"], DenyReason.POSITION_SHORT
    if side > 0 and side >= w.up:
        if side > w.limit:
            return case.over(reason, w, side)
        keeper.sweep_due = True
    w = watch["exposure_quote_max"]
    value = side * (case.value_px or ZERO)
    if side > 0 and value >= w.up:
        if value > w.limit:
            return case.over(DenyReason.EXPOSURE_SYMBOL, w, value)
        keeper.sweep_due = True
    w = watch["orders_open_max"]
    count = book.open_count + 1
    if count >= w.up:
        if count > w.limit:
            return case.over(DenyReason.ORDERS_OPEN_SYMBOL, w, book.open_count)
        keeper.sweep_due = True
    w = keeper.watch["orders_open_max"]
    count = len(keeper.holds) + 1
    if count >= w.up:
        if count > w.limit:
            return case.over(DenyReason.ORDERS_OPEN_TOTAL, w, len(keeper.holds))
        keeper.sweep_due = True
    return None


def check_portfolio(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rules 42-45: rates, freshness of every valuation, gross and net worst case."""
    book = case.book
    rate = keeper.rates.rate(book.quote)
    if rate is None:
        return case.deny(DenyReason.RATE_MISSING, asset=book.quote)
    oldest_ns = case.now_ns - keeper.capset.valuation_age_ms_max * NS_PER_MS
    if rate[2] and rate[2] < oldest_ns:
        return case.deny(DenyReason.VALUATION_STALE, asset=book.quote)
    long_worst, short_worst = book.long_worst(), book.short_worst()
    before = max(long_worst, short_worst, ZERO)
    if case.is_buy:
        long_worst += case.qty
    else:
        short_worst += case.qty
    worth = worst_value(long_worst, short_worst, case.value_px or ZERO, case.top.bid_px, rate)
    gross, net_long, net_short = worth.gross, worth.net_long, worth.net_short
    for other in keeper.books.values():
        if other is book or not other.is_active:
            continue
        value = _other_worth(keeper, case, other, oldest_ns)
        if isinstance(value, DenyReason):
            return value
        gross += value.gross
        net_long += value.net_long
        net_short += value.net_short
    w = keeper.watch["exposure_gross_numeraire_max"]
    if gross >= w.up and max(long_worst, short_worst, ZERO) > before:
        if gross > w.limit:
            return case.over(DenyReason.EXPOSURE_GROSS, w, gross)
        keeper.sweep_due = True
    w = keeper.watch["exposure_net_numeraire_max"]
    net = net_long if case.is_buy else net_short
    if net > 0 and net >= w.up and not case.reducing:
        if net > w.limit:
            return case.over(DenyReason.EXPOSURE_NET, w, net)
        keeper.sweep_due = True
    return None


def _other_worth(
    keeper: Keeper, case: Case, other: SymbolBook, oldest_ns: int
) -> Worth | DenyReason:
    rate = keeper.rates.rate(other.quote)
    if rate is None:
        return case.deny(DenyReason.RATE_MISSING, asset=other.quote)
    if other.top is None or other.top_ns < oldest_ns or (rate[2] and rate[2] < oldest_ns):
        return case.deny(DenyReason.VALUATION_STALE, symbol=other.symbol)
    worth = book_worth(keeper, other)
    if worth is None:
        return case.deny(DenyReason.RATE_MISSING, asset=other.quote)
    return worth


def check_turnover(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rules 56-58: orders per execution, value and quantity of the day with what is open."""
    now_ns = case.now_ns
    caps = keeper.capset
    orders = keeper.orders.counts(now_ns)[-1] + 1
    if orders > caps.order_to_trade_grace_orders:
        executions = keeper.executions.count(now_ns)
        if orders > caps.order_to_trade_ratio_max * max(executions, 1):
            return case.deny(
                DenyReason.ORDER_TO_TRADE_RATIO,
                orders=orders,
                executions=executions,
                limit=caps.order_to_trade_ratio_max,
            )
    total = _traded(keeper, case)
    if total is None:
        return case.deny(DenyReason.RATE_MISSING)
    w = keeper.watch["traded_notional_per_day_numeraire_max"]
    if total >= w.up:
        if total > w.limit:
            return case.over(DenyReason.TRADED_NOTIONAL_PER_DAY, w, total)
        keeper.sweep_due = True
    book = case.book
    w = book.watch["traded_qty_per_day_base_max"]
    qty = book.traded.total(now_ns) + book.buys_open + book.sells_open + case.qty
    if qty >= w.up:
        if qty > w.limit:
            return case.over(DenyReason.TRADED_QTY_PER_DAY, w, qty)
        keeper.sweep_due = True
    return None


def _traded(keeper: Keeper, case: Case) -> Decimal | None:
    """Value of the day in the numeraire: traded, open, and this order."""
    this = case.qty * max(case.px or ZERO, case.top.ask_px)
    total = ZERO
    for account in keeper.accounts.values():
        amount = account.traded.total(case.now_ns) + account.open_notional
        if account.asset == case.book.quote:
            amount += this
            this = ZERO
        if amount:
            rate = keeper.rates.rate(account.asset)
            if rate is None:
                return None
            total += amount * rate[1]
    if this:
        rate = keeper.rates.rate(case.book.quote)
        if rate is None:
            return None
        total += this * rate[1]
    return total
