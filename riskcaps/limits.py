"""The rules that measure: venue filters, order size, collar, positions, exposure, turnover.

Rules of this file are those of `rules.py`. Comparisons multiply instead of dividing, so they are
exact.
"""

from decimal import Decimal

from daemon.model.amounts import NS_PER_MS, ZERO
from riskcaps.denials import DenyReason
from riskcaps.exposure import STOP_TYPES, SymbolBook, Worth
from riskcaps.extras import filter_denial
from riskcaps.keeper import Keeper
from riskcaps.rules import BPS, Case
from riskcaps.usage import book_worth
from riskcaps.valuation import PAR, Rate, worst_value


def check_price_filters(_: Keeper, case: Case) -> DenyReason | None:
    """Rules 24-26: PRICE_FILTER and PERCENT_PRICE, against the venue's own numbers."""
    book = case.book
    intent = case.intent
    price = intent.price
    for px in (price,) if intent.stop_price is None else (price, intent.stop_price):
        if px is None:
            continue
        if not book.price_low <= px <= book.price_high:
            return case.deny(
                DenyReason.FILTER_PRICE, price=px, min=book.price_low, max=book.price_high
            )
        if px % book.tick:
            return case.deny(DenyReason.FILTER_TICK, price=px, tick=book.tick)
    if price is None or not book.has_multipliers or case.ref_px is None:
        return None
    f = case.instrument
    if case.is_buy:
        up, down = f.bid_multiplier_up, f.bid_multiplier_down
    else:
        up, down = f.ask_multiplier_up, f.ask_multiplier_down
    if (up and price > case.ref_px * up) or (down and price < case.ref_px * down):
        return case.deny(DenyReason.FILTER_PERCENT_PRICE, price=price, reference=case.ref_px)
    return None


def check_size_filters(_: Keeper, case: Case) -> DenyReason | None:
    """Rules 27-29: LOT_SIZE, MARKET_LOT_SIZE, NOTIONAL. A notional is rounded against us."""
    f = case.instrument
    book = case.book
    qty = case.qty
    if not book.qty_low <= qty <= book.qty_high:
        return case.deny(DenyReason.FILTER_QTY, qty=qty, min=book.qty_low, max=book.qty_high)
    if qty % book.qty_step:
        return case.deny(DenyReason.FILTER_LOT, qty=qty, lot=book.qty_step)
    extras = case.intent.extras
    if extras is not None:
        reason = filter_denial(case.intent, extras, book, qty)
        if reason is not None:
            return case.deny(reason, trailing_bps=extras.trailing_bps, shown=extras.iceberg_qty)
    px = case.intent.price
    low, high = f.notional_min, f.notional_max
    if px is None:
        px = case.top.bid_px
    if case.is_market:
        if (f.market_qty_min and qty < f.market_qty_min) or (
            f.market_qty_max and qty > f.market_qty_max
        ):
            return case.deny(
                DenyReason.FILTER_QTY, qty=qty, min=f.market_qty_min, max=f.market_qty_max
            )
        if f.market_lot and qty % f.market_lot:
            return case.deny(DenyReason.FILTER_LOT, qty=qty, lot=f.market_lot)
        low = low if f.notional_min_applies_to_market else ZERO
        high = high if f.notional_max_applies_to_market else ZERO
    if low and qty * px < low:
        return case.deny(DenyReason.FILTER_NOTIONAL, qty=qty, px=px, min=low)
    if high and qty * (case.px or ZERO) > high:
        return case.deny(DenyReason.FILTER_NOTIONAL, qty=qty, px=case.px, max=high)
    return None


def check_account_filters(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rules 30-31: MAX_NUM_ORDERS and its kin, symbol and account; MAX_ASSET; MAX_POSITION."""
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
    total, extras = len(keeper.holds), case.intent.extras
    for limit, counts in (
        (f.exchange_orders_open_max, True),
        # Every open order counts as one of the kind: the venue's count of ours is never larger.
        (f.exchange_algo_orders_open_max, is_stop),
        (f.exchange_iceberg_orders_open_max, extras is not None and extras.iceberg_qty is not None),
    ):
        if limit and counts and total + 1 > limit:
            return case.deny(DenyReason.FILTER_ORDERS_OPEN, open_on_account=total, limit=limit)
    if f.asset_base_max and case.qty > f.asset_base_max:
        return case.deny(DenyReason.FILTER_ASSET, qty=case.qty, limit=f.asset_base_max)
    if f.asset_quote_max and case.qty * (case.px or ZERO) > f.asset_quote_max:
        value = case.qty * (case.px or ZERO)
        return case.deny(DenyReason.FILTER_ASSET, value=value, limit=f.asset_quote_max)
    if f.position_max and case.is_buy:
        account = keeper.accounts.get(book.base)
        if account is None or not account.known:
            return case.deny(DenyReason.BALANCE_UNKNOWN, asset=book.base)
        worst = account.free + account.locked + book.buys_open + case.qty
        if worst > f.position_max:
            return case.deny(DenyReason.FILTER_POSITION, worst=worst, limit=f.position_max)
    return None


def check_order_caps(_: Keeper, case: Case) -> DenyReason | None:
    """Rules 32-34: quantity, value at the worst price, distance from the reference."""
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
    ask = case.top.ask_px
    order_px = ask if ask > px else px  # noqa: FURB136 - a call of max() costs three times as much
    own_px = case.book.px_max()
    case.order_px = order_px
    case.value_px = own_px if own_px > order_px else order_px  # noqa: FURB136 - as above
    notional = case.qty * order_px
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
    """Rules 35-38: worst-case position and value of the side that it adds to; open orders."""
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
    """Rules 39-41: rates, freshness of every valuation, gross and net worst case.

    A strictly reducing order raises none of it and does not need the rest of the portfolio.
    """
    if case.reducing:
        return None
    book = case.book
    oldest_ns = case.now_ns - keeper.capset.valuation_age_ms_max * NS_PER_MS
    found = PAR if book.at_par else keeper.rates.rate(book.quote)
    if found is None:
        return case.deny(DenyReason.RATE_MISSING, asset=book.quote)
    rate: Rate = found
    if rate[2] < oldest_ns and rate is not PAR:
        return case.deny(DenyReason.VALUATION_STALE, asset=book.quote)
    long_worst = book.position + book.buys_open
    short_worst = book.sells_open - book.position
    if case.is_buy:
        raised = long_worst + case.qty > max(short_worst, ZERO)
        long_worst += case.qty
    else:
        raised = short_worst + case.qty > max(long_worst, ZERO)
        short_worst += case.qty
    worth = worst_value(long_worst, short_worst, case.value_px or ZERO, case.top.bid_px, rate)
    gross, net_long, net_short = worth
    for other in keeper.books.values():
        if other is book or not (other.open_count or other.position):
            continue
        value = _other_worth(keeper, case, other, oldest_ns)
        if isinstance(value, DenyReason):
            return value
        gross += value[0]
        net_long += value[1]
        net_short += value[2]
    w = keeper.watch["exposure_gross_numeraire_max"]
    if gross >= w.up and raised:
        if gross > w.limit:
            return case.over(DenyReason.EXPOSURE_GROSS, w, gross)
        keeper.sweep_due = True
    w = keeper.watch["exposure_net_numeraire_max"]
    net = net_long if case.is_buy else net_short
    if net > 0 and net >= w.up:
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
    """Rules 48-50: orders per execution, value and quantity of the day with what is open."""
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
    if isinstance(total, str):
        return case.deny(DenyReason.RATE_MISSING, asset=total)
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


def _traded(keeper: Keeper, case: Case) -> Decimal | str:
    """Value of the day: traded, open, and this order; or the asset that has no rate."""
    this_quote = case.book.quote
    total = ZERO
    for asset, account in keeper.quotes.items():
        amount = account.traded.total(case.now_ns) + account.open_notional
        if asset == this_quote:
            amount += case.qty * case.order_px
        if amount:
            rate = keeper.rates.rate(asset)
            if rate is None:
                return asset
            total += amount if rate is PAR else amount * rate[1]
    return total
