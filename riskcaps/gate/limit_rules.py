"""Rules 32-54: what an order may be, and what it may make of positions, portfolio, rates, losses.

Rules of this file:
1. Only what raises a risk is measured against its cap: an order that cannot raise the worst case
   of a side is not denied for that side (or nothing could ever be reduced).
2. A cap that fills up is one row made by `cap_row`: what would be used of it.
"""

from collections.abc import Callable
from decimal import Decimal

from daemon.model.amounts import NS_PER_MS, NS_PER_S, ZERO
from riskcaps.gate.gate_inputs import DecisionInputs
from riskcaps.gate.rule import Case, Denial, cap_row, count_row, denial, row
from riskcaps.state.conversion import PAR
from riskcaps.words.denials import DenyReason
from riskcaps.words.order_kinds import BPS

BUDGET_SAMPLE_AGE_NS = 60 * NS_PER_S


def order_qty(case: Case) -> Denial | None:
    """Rule 32: qty > order_qty_base_max."""
    return _over(DenyReason.ORDER_QTY, "order_qty_base_max", case.qty, case.caps.order_qty_base_max)


def order_notional(case: Case) -> Denial | None:
    """Rule 33: qty*max(px, ask) > order_notional_quote_max."""
    value, limit = case.qty * case.order_px, case.caps.order_notional_quote_max
    return _over(DenyReason.ORDER_NOTIONAL, "order_notional_quote_max", value, limit)


def _over(reason: DenyReason, cap: str, used: Decimal, limit: Decimal) -> Denial | None:
    return denial(reason, cap=cap, used=used, limit=limit) if used > limit else None


def price_collar(case: Case) -> Denial | None:
    """Rule 34: abs(px - ref)*10000 > ref*collar_bps_max."""
    px, ref_px, limit = case.px or ZERO, case.ref_px, case.caps.collar_bps_max
    if abs(px - ref_px) * BPS <= ref_px * limit:
        return None
    return denial(
        DenyReason.PRICE_COLLAR, cap="collar_bps_max", price=px, reference=ref_px, limit=limit
    )


def long_side(case: Case) -> Decimal | None:
    """Buys: side = position + buys_open - covered[0] + what qty is more than cover, where > 0"""
    given = case.given
    side = given.position + given.buys_open - given.buys_covered + case.added
    return side if case.is_buy and side > 0 else None


def short_side(case: Case) -> Decimal | None:
    """Sells: side = sells_open - covered[1] - position + what qty is more than cover, where > 0"""
    given = case.given
    side = given.sells_open - given.sells_covered - given.position + case.added
    return side if not case.is_buy and side > 0 else None


def side_value(case: Case) -> Decimal | None:
    """side*value_px, where side > 0"""
    side = long_side(case) if case.is_buy else short_side(case)
    return None if side is None else side * case.value_px


def orders_of_symbol(case: Case) -> int:
    """orders_open[0] + 1"""
    return case.given.orders_open + 1


def orders_of_all(case: Case) -> int:
    """orders_open[2] + 1"""
    return case.given.orders_open_total + 1


def valuation_fresh(case: Case) -> Denial | None:
    """Rule 39: not reducing: rate null, or its oldest_ns (if not 0) < now - valuation_age_ms_max;
    of any of the others the same, or no top, or top_ns older than that.
    """
    if case.reducing:
        return None
    given, books = case.given, case.risk.books
    oldest_ns = case.now_ns - case.portfolio.valuation_age_ms_max * NS_PER_MS
    if given.rate is None:
        return denial(DenyReason.RATE_MISSING, asset=case.book.quote)
    if given.rate is not PAR and given.rate[2] < oldest_ns:
        return denial(DenyReason.VALUATION_STALE, asset=case.book.quote)
    for other_id in given.others:
        other = books.active[other_id]
        rate = books.rates.rate(other.quote)
        if rate is None:
            return denial(DenyReason.RATE_MISSING, asset=other.quote)
        if other.top is None or other.top_ns < oldest_ns or (rate[2] and rate[2] < oldest_ns):
            return denial(DenyReason.VALUATION_STALE, symbol=other.symbol)
    return None


def gross(case: Case) -> Decimal | None:
    """Sum of worst over others and this symbol with the order in it, where the order is not
    reducing and raises max(long, short, 0)
    """
    return case.worth[0] if case.raises else None


def net(case: Case) -> Decimal | None:
    """Not reducing: sum over symbols of s*(hi*rate_high if s > 0 else bid*rate_low), s = long for a
    buy, short for a sell, where it is > 0
    """
    would = case.worth[1] if case.is_buy else case.worth[2]
    return would if would > 0 else None


def balance_known(case: Case) -> Denial | None:
    """Rule 42: balance's free null."""
    if case.given.free is not None and case.px is not None:
        return None
    return denial(DenyReason.BALANCE_UNKNOWN, asset=case.given.asset)


def balance_free(case: Case) -> Denial | None:
    """Rule 43: need = qty*px (buy) or what qty is more than cover (sell); need +
    balance_free_min[asset] + in flight + unsettled > free.
    """
    given = case.given
    px = case.px or ZERO
    # What a pending sell sells is there when it works; what a pending buy pays is asked for whole.
    spends_value = case.book.pays_value(is_buy=case.is_buy)
    qty = case.qty if spends_value else case.added
    _, need = case.book.model.cost(case.filters, case.intent.side, qty, px)
    floor = case.portfolio.balance_free_min.get(given.asset, ZERO)
    free = (given.free or ZERO) - given.inflight - given.unsettled
    if need + floor <= free:
        return None
    return denial(
        DenyReason.BALANCE_INSUFFICIENT, asset=given.asset, need=need, free=free, floor=floor
    )


def _attempts(place: int) -> Callable[[Case], int]:
    def attempts(case: Case) -> int:
        """Attempts + 1"""
        return case.given.orders[place] + 1

    return attempts


def _messages(place: int) -> Callable[[Case], int]:
    def messages(case: Case) -> int:
        """Messages + 1, against the limit less its cancel reserve (not below 0)"""
        return case.given.orders[place] + case.given.cancels[place] + 1

    return messages


def attempts_on_symbol(case: Case) -> int:
    """symbol_minute + 1"""
    return case.given.symbol_minute + 1


def venue_budget(case: Case) -> Denial | None:
    """Rule 47: (used + 1)*100 > limit*venue_budget_percent_max for a window of budget, when now -
    budget_ns <= 60 s.
    """
    health, share = case.risk.health, case.portfolio.venue_budget_percent_max
    if case.now_ns - health.budget_ns > BUDGET_SAMPLE_AGE_NS:
        return None
    for name, (used, limit) in health.budget.items():
        if (used + 1) * 100 > limit * share:
            return denial(DenyReason.VENUE_BUDGET, window=name, used=used, limit=limit)
    return None


def order_to_trade(case: Case) -> Denial | None:
    """Rule 48: attempts of the day + 1 = n > order_to_trade_grace_orders and n >
    order_to_trade_ratio_max*max(executions, 1).
    """
    orders, executions = case.given.orders[3] + 1, case.given.executions
    limit, grace = (
        case.portfolio.order_to_trade_ratio_max,
        case.portfolio.order_to_trade_grace_orders,
    )
    if orders <= grace or orders <= limit * max(executions, 1):
        return None
    return denial(
        DenyReason.ORDER_TO_TRADE_RATIO, orders=orders, executions=executions, limit=limit
    )


def turnover_valued(case: Case) -> Denial | None:
    """Rule 49: a null rate in turnover where the amount is not zero."""
    asset = case.total
    return denial(DenyReason.RATE_MISSING, asset=asset) if isinstance(asset, str) else None


def traded_notional(case: Case) -> Decimal | None:
    """Sum over turnover of (traded + open)*rate_high, plus qty*max(px, ask)*rate[1]"""
    return case.total if isinstance(case.total, Decimal) else None


def traded_qty(case: Case) -> Decimal:
    """traded_qty + buys_open + sells_open + qty"""
    given = case.given
    return given.traded_qty + given.buys_open + given.sells_open + case.qty


def equity_known(case: Case) -> Denial | None:
    """Rule 51: equity null, unless reducing."""
    if case.reducing or case.risk.ledger.equity is not None:
        return None
    return denial(DenyReason.EQUITY_UNKNOWN, **case.risk.valuation.unvalued())


def losses(case: Case) -> Denial | None:
    """Rule 52: session, day, drawdown: latched, or used >= limit, unless reducing and the action
    is not "deny".
    """
    ledger = case.risk.ledger
    if ledger.equity is None:
        return None
    for rule, reason in zip(ledger.rules.values(), _LOSS_REASONS, strict=True):
        if rule.reached and not (case.reducing and rule.action != "deny"):
            return denial(
                reason, used=rule.used, limit=rule.limit, latched=rule.latched, action=rule.action
            )
    return None


def duplicate(case: Case) -> Denial | None:
    """Rule 53: duplicate_ns >= 0 (a bot's order is compared with that bot's orders only)."""
    seen_ns = case.given.duplicate_ns
    if seen_ns < 0:
        return None
    return denial(DenyReason.DUPLICATE_ORDER, age_ns=case.now_ns - seen_ns)


def self_trade(case: Case) -> Denial | None:
    """Rule 54: an own open order on the other side, and px >= lowest own sell (buy) or <= highest
    own buy (sell), or no limit price. Own are all orders of the account, whichever bot's.
    """
    # At the venue all bots are one account: a trade between two of them is a wash trade, and the
    # venue's own prevention (STP) would end an order that neither of them has asked to end.
    given, px = case.given, case.px
    best = given.own_px.sell if case.is_buy else given.own_px.buy
    if best is None or px is None:
        return None
    crosses = px >= best if case.is_buy else px <= best
    return denial(DenyReason.SELF_TRADE, own_px=best) if crosses or case.is_market else None


def symbols(given: DecisionInputs) -> int | None:
    """Symbols among the others, + 1, where this one has no position and no open order"""
    return None if given.position or given.orders_open else len(given.others) + 1


_R = DenyReason
_LOSS_REASONS = (_R.LOSS_SESSION, _R.LOSS_DAY, _R.DRAWDOWN)
_SIDES = "position, buys_open, sells_open, covered, cover, own_px, market"
_WINDOWS = (
    ("second", _R.ORDERS_PER_SECOND),
    ("minute", _R.ORDERS_PER_MINUTE),
    ("hour", _R.ORDERS_PER_HOUR),
    ("day", _R.ORDERS_PER_DAY),
)
_MESSAGE_WINDOWS = (("second", _R.MESSAGES_PER_SECOND), ("minute", _R.MESSAGES_PER_MINUTE))
ORDER_QTY_RULES = (row(32, order_qty, "qty", _R.ORDER_QTY),)
ORDER_RULES = (
    row(33, order_notional, "qty, market", _R.ORDER_NOTIONAL),
    row(34, price_collar, "market", _R.PRICE_COLLAR),
    cap_row(35, long_side, "position, buys_open, covered, cover", _R.POSITION_LONG,
            "position_long_base_max", of_symbol=True),
    cap_row(35, short_side, "position, sells_open, covered, cover", _R.POSITION_SHORT,
            "position_short_base_max", of_symbol=True),
    cap_row(36, side_value, _SIDES, _R.EXPOSURE_SYMBOL, "exposure_quote_max", of_symbol=True),
    cap_row(37, orders_of_symbol, "orders_open", _R.ORDERS_OPEN_SYMBOL, "orders_open_max",
            of_symbol=True),
    cap_row(38, orders_of_all, "orders_open", _R.ORDERS_OPEN_TOTAL, "orders_open_max"),
    row(39, valuation_fresh, "rate, others, now_ns", _R.RATE_MISSING, _R.VALUATION_STALE),
)  # fmt: skip
PORTFOLIO_RULES = (
    cap_row(40, gross, f"{_SIDES}, rate, others", _R.EXPOSURE_GROSS,
            "exposure_gross_numeraire_max"),
    cap_row(41, net, f"{_SIDES}, rate, others", _R.EXPOSURE_NET, "exposure_net_numeraire_max"),
    row(42, balance_known, "balance", _R.BALANCE_UNKNOWN),
    row(43, balance_free, "balance, qty, cover", _R.BALANCE_INSUFFICIENT),
    *(
        cap_row(44, _attempts(place), "attempts", reason, f"orders_per_{window}_max")
        for place, (window, reason) in enumerate(_WINDOWS)
    ),
    cap_row(45, attempts_on_symbol, "symbol_minute", _R.ORDERS_PER_MINUTE_SYMBOL,
            "orders_per_minute_max", of_symbol=True),
    *(
        cap_row(46, _messages(place), "attempts, cancels", reason, f"messages_per_{window}_max")
        for place, (window, reason) in enumerate(_MESSAGE_WINDOWS)
    ),
    row(47, venue_budget, "standing, now_ns", _R.VENUE_BUDGET, kept="standing"),
    row(48, order_to_trade, "attempts, executions", _R.ORDER_TO_TRADE_RATIO),
)  # fmt: skip
TURNOVER_RULES = (
    row(49, turnover_valued, "turnover, rate", _R.RATE_MISSING),
    cap_row(49, traded_notional, "turnover, rate, qty, market", _R.TRADED_NOTIONAL_PER_DAY,
            "traded_notional_per_day_numeraire_max"),
    cap_row(50, traded_qty, "traded_qty, buys_open, sells_open", _R.TRADED_QTY_PER_DAY,
            "traded_qty_per_day_base_max", of_symbol=True),
    row(51, equity_known, "standing", _R.EQUITY_UNKNOWN, kept="standing"),
    row(52, losses, "standing", *_LOSS_REASONS, kept="standing"),
)  # fmt: skip
REPEAT_RULES = (
    row(53, duplicate, "duplicate_ns", _R.DUPLICATE_ORDER),
    row(54, self_trade, "own_px", _R.SELF_TRADE),
    count_row(
        55, symbols, "position, orders_open, others", _R.SYMBOLS_TRADED, "symbols_traded_max"
    ),
)
