"""How full each cap is: for `explain`, for metrics, and for the pre-alert bands.

Rules of this file:
1. It only reads. Numbers are worst case, the same that the rules compare.
2. Caps of a single order (quantity, notional, collar) do not fill up and are not here.
"""

from decimal import ROUND_DOWN, Decimal

from daemon.model.amounts import ZERO
from riskcaps.state.alerts import Alerts, Level
from riskcaps.state.behaviour import Behaviour
from riskcaps.state.risk_books import RiskBooks
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.state.valuation import Valuation, total_of
from riskcaps.state.windows import Windows
from riskcaps.words.caps import UNLIMITED_COUNT
from riskcaps.words.capset import PORTFOLIO_CAPS, SYMBOL_CAPS, CapSet
from riskcaps.words.explain import CapUsage

_RATIO_STEP = Decimal("0.0001")


def usage_of(levels: list[Level]) -> tuple[CapUsage, ...]:
    """Each cap that fills up, for people and metrics."""
    out = []
    for watch, used in levels:
        spec = (SYMBOL_CAPS if watch.symbol else PORTFOLIO_CAPS)[watch.cap]
        if spec.optional and watch.limit == UNLIMITED_COUNT:
            continue
        out.append(CapUsage(watch.cap, watch.symbol, used, watch.limit, spec.unit, spec.clauses))
    return tuple(out)


def ratio_usage(caps: CapSet, windows: Windows, now_ns: int) -> tuple[CapUsage, ...]:
    """Orders of the day for each execution, the next one denied at the limit; unset: no row.

    The orders that are free at the beginning (`order_to_trade_grace_orders`) count as executions
    would, so that the row is full exactly when rule 48 denies.
    """
    limit, grace = caps.order_to_trade_ratio_max, caps.order_to_trade_grace_orders
    if limit <= 0:
        return ()
    orders = windows.orders.counts(now_ns)[3]
    free = max(limit * max(windows.executions.count(now_ns), 1) // 1, Decimal(grace))
    used = orders * limit / free if free else limit
    spec = PORTFOLIO_CAPS["order_to_trade_ratio_max"]
    used = used.quantize(_RATIO_STEP, ROUND_DOWN) if used < limit else used.quantize(_RATIO_STEP)
    return (CapUsage("order_to_trade_ratio_max", "", used, limit, spec.unit, spec.clauses),)


def levels_of(
    books: RiskBooks, valuation: Valuation, windows: Windows, behaviour: Behaviour, alerts: Alerts,
    *, now_ns: int,
) -> list[Level]:  # fmt: skip
    """Each cap that fills up; those that cannot be valued now are left out."""
    seconds, minutes, hours, days = windows.orders.counts(now_ns)
    messages = windows.messages(now_ns)
    worth = valuation.worst_of_all()
    used: dict[str, Decimal | int | None] = {
        "exposure_gross_numeraire_max": worth[0] if worth else None,
        "exposure_net_numeraire_max": max(worth[1], worth[2], ZERO) if worth else None,
        "orders_open_max": len(books.holds),
        "symbols_traded_max": len(books.active),
        "orders_per_second_max": seconds,
        "orders_per_minute_max": minutes,
        "orders_per_hour_max": hours,
        "orders_per_day_max": days,
        "cancels_per_second_max": messages[0] - seconds,
        "messages_per_second_max": messages[0],
        "messages_per_minute_max": messages[1],
        "traded_notional_per_day_numeraire_max": total_of(valuation.turnover(now_ns)),
        "loss_streak_max": behaviour.loss_streak,
        "executions_without_human_max": behaviour.executions_since_human,
        "venue_reject_streak_max": behaviour.reject_streak,
    }
    if valuation.ledger.equity is not None:
        for cap, rule in valuation.ledger.rules.items():
            used[f"{cap}_numeraire_max"] = max(rule.used, ZERO)
    levels: list[Level] = []
    for key, watch in alerts.watch.items():
        value = used.get(key)
        if value is not None:
            levels.append((watch, value))
    for book in books.by_id.values():
        if book.caps is not None:
            levels += _symbol_levels(book, now_ns)
    return levels


def _symbol_levels(book: SymbolBook, now_ns: int) -> list[Level]:
    long_worst, short_worst = max(book.long_worst(), ZERO), max(book.short_worst(), ZERO)
    watch = book.watch
    traded = book.traded.total(now_ns) + book.buys_open + book.sells_open
    levels: list[Level] = [
        (watch["position_long_base_max"], long_worst),
        (watch["position_short_base_max"], short_worst),
        (watch["orders_open_max"], book.open_count),
        (watch["orders_per_minute_max"], book.minute.count(now_ns)),
        (watch["traded_qty_per_day_base_max"], traded),
    ]
    if book.top is not None:
        value = max(long_worst, short_worst) * max(book.px_max(), book.top.ask_px)
        levels.append((watch["exposure_quote_max"], value))
    return levels
