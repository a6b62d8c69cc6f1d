"""How full each cap is: for `explain`, for metrics, and for the pre-alert bands.

Rules of this file:
1. It only reads. Numbers are worst case, the same that the rules compare.
2. Caps of a single order (quantity, notional, collar) do not fill up and are not here.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.model.amounts import NS_PER_MS, ZERO
from riskcaps.bands import Watch
from riskcaps.caps import PORTFOLIO_CAPS, SYMBOL_CAPS
from riskcaps.capset import CapSet
from riskcaps.exposure import SymbolBook, Worth
from riskcaps.valuation import PAR, Rate, worst_value

if TYPE_CHECKING:
    from riskcaps.keeper import Keeper


@dataclass(frozen=True, slots=True)
class CapUsage:
    """One cap, what is used of it, and the clauses that it meets."""

    cap: str
    symbol: str
    used: Decimal | int
    limit: Decimal | int
    unit: str
    clause: str


Level = tuple[Watch, Decimal | int]
"""A cap's bands and what is used of it now."""


def portfolio_limits(caps: CapSet) -> dict[str, Decimal | int]:
    """The portfolio caps that fill up. Message limits are what new orders may use."""
    limits: dict[str, Decimal | int] = {
        key: getattr(caps, key)
        for key in (
            "exposure_gross_numeraire_max",
            "exposure_net_numeraire_max",
            "orders_open_max",
            "orders_per_second_max",
            "orders_per_minute_max",
            "orders_per_hour_max",
            "orders_per_day_max",
            "cancels_per_second_max",
            "traded_notional_per_day_numeraire_max",
            "loss_session_numeraire_max",
            "loss_day_numeraire_max",
            "drawdown_numeraire_max",
            "loss_streak_max",
            "executions_without_human_max",
            "venue_reject_streak_max",
        )
    }
    for window in ("second", "minute"):
        key = f"messages_per_{window}_max"
        reserve = getattr(caps, f"messages_per_{window}_cancel_reserve")
        limits[key] = max(getattr(caps, key) - reserve, 0)
    return limits


def portfolio_worth(keeper: "Keeper") -> Worth | None:
    """Worst-case gross and net values now; None while something cannot be valued."""
    gross = net_long = net_short = ZERO
    for book in keeper.books.values():
        if not book.is_active:
            continue
        worth = book_worth(keeper, book)
        if worth is None:
            return None
        gross += worth[0]
        net_long += worth[1]
        net_short += worth[2]
    return gross, net_long, net_short


def book_worth(keeper: "Keeper", book: SymbolBook) -> Worth | None:
    """Worst-case value of one symbol as it stands; kept while its own book does not change."""
    if book.worst is not None:
        return book.worst
    rate = keeper.rates.rate(book.quote)
    top = book.top
    if rate is None or top is None:
        return None
    px = max(book.px_max(), top.ask_px)
    worth = worst_value(book.long_worst(), book.short_worst(), px, top.bid_px, rate)
    if book.at_par:  # else it moves with the tops of other books too
        book.worst = worth
    return worth


def others_worst(keeper: "Keeper", book: SymbolBook, now_ns: int) -> Worth | None:
    """Worst-case values of all symbols but one; None while one has no fresh price."""
    gross = net_long = net_short = ZERO
    oldest_ns = now_ns - keeper.capset.valuation_age_ms_max * NS_PER_MS
    for other in keeper.books.values():
        if other is book or not (other.open_count or other.position):
            continue
        worth = book_worth(keeper, other)
        if worth is None or other.top_ns < oldest_ns:
            return None
        if not other.at_par:
            rate = keeper.rates.rate(other.quote)
            if rate is None or rate[2] < oldest_ns:
                return None
        gross += worth[0]
        net_long += worth[1]
        net_short += worth[2]
    return gross, net_long, net_short


Turnover = tuple[str, Decimal, Decimal, Rate | None]
"""Of one quote asset: its name, traded in 24 hours, open, its rate to the numeraire."""


def turnover_of(keeper: "Keeper", now_ns: int) -> list[Turnover]:
    """Each quote asset that was traded in or is open."""
    rows: list[Turnover] = []
    for asset, account in keeper.quotes.items():
        traded = account.traded.total(now_ns)
        if traded or account.open_notional:
            rows.append((asset, traded, account.open_notional, keeper.rates.rate(asset)))
    return rows


def total_of(turnover: list[Turnover]) -> Decimal | None:
    """Traded plus open, in the numeraire; None while a rate is missing."""
    total = ZERO
    for _, traded, is_open, rate in turnover:
        if rate is None:
            return None
        amount = traded + is_open
        total += amount if rate is PAR else amount * rate[1]
    return total


def usage_of(keeper: "Keeper", now_ns: int) -> tuple[CapUsage, ...]:
    """Each cap that fills up, for people and metrics."""
    out = []
    for watch, used in levels_of(keeper, now_ns):
        spec = (SYMBOL_CAPS if watch.symbol else PORTFOLIO_CAPS)[watch.cap]
        out.append(CapUsage(watch.cap, watch.symbol, used, watch.limit, spec.unit, spec.clauses))
    return tuple(out)


def levels_of(keeper: "Keeper", now_ns: int) -> list[Level]:
    """Each cap that fills up; those that cannot be valued now are left out."""
    seconds, minutes, hours, days = keeper.orders.counts(now_ns)
    messages = keeper.messages(now_ns)
    behaviour = keeper.behaviour
    worth = portfolio_worth(keeper)
    used: dict[str, Decimal | int | None] = {
        "exposure_gross_numeraire_max": worth[0] if worth else None,
        "exposure_net_numeraire_max": max(worth[1], worth[2], ZERO) if worth else None,
        "orders_open_max": len(keeper.holds),
        "orders_per_second_max": seconds,
        "orders_per_minute_max": minutes,
        "orders_per_hour_max": hours,
        "orders_per_day_max": days,
        "cancels_per_second_max": messages[0] - seconds,
        "messages_per_second_max": messages[0],
        "messages_per_minute_max": messages[1],
        "traded_notional_per_day_numeraire_max": total_of(turnover_of(keeper, now_ns)),
        "loss_streak_max": behaviour.loss_streak,
        "executions_without_human_max": behaviour.executions_since_human,
        "venue_reject_streak_max": behaviour.reject_streak,
    }
    if keeper.ledger.equity is not None:
        for cap, rule in keeper.ledger.rules.items():
            used[f"{cap}_numeraire_max"] = max(rule.used, ZERO)
    levels: list[Level] = []
    for key, watch in keeper.watch.items():
        value = used.get(key)
        if value is not None:
            levels.append((watch, value))
    for book in keeper.books.values():
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
