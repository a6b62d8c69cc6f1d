"""Rules 1-23: may anything leave, may it leave on this symbol, and is the wish one that may."""

from decimal import Decimal

from daemon.model.amounts import NS_PER_MS, NS_PER_S, ZERO
from daemon.model.enums import SymbolStatus, TradingState
from riskcaps.gate.derive import must_reduce
from riskcaps.gate.extras import denied_feature, malformed_part
from riskcaps.gate.rule import Case, Denial, denial, row
from riskcaps.state.gate_health import drifts
from riskcaps.words.cap_values import MINUTES_PER_WEEK
from riskcaps.words.capset import SymbolCaps
from riskcaps.words.denials import DenyReason
from riskcaps.words.order_kinds import PEOPLE, STOP_TYPES, TIMED_TYPES

MINUTE_NS = 60 * NS_PER_S
EPOCH_MINUTE_OF_WEEK = 3 * 1440
"""1970-01-01 was a Thursday; minutes of the week are counted from Monday."""


def halt_flag(case: Case) -> Denial | None:
    """Rule 1: halted."""
    why = case.given.halt_reason
    return None if why is None else denial(DenyReason.HALT_FLAG_CLOSED, why=why)


def trading_state(case: Case) -> Denial | None:
    """Rule 2: trading_state is HALTED."""
    is_halted = case.risk.health.trading_state is TradingState.HALTED
    return denial(DenyReason.TRADING_HALTED) if is_halted else None


def journal(case: Case) -> Denial | None:
    """Rule 3: not journal_ok."""
    return None if case.risk.health.journal_ok else denial(DenyReason.JOURNAL_UNHEALTHY)


def clock_known(case: Case) -> Denial | None:
    """Rule 4: clock's sampled_at < 0."""
    return denial(DenyReason.CLOCK_UNKNOWN) if case.risk.health.clock_ns < 0 else None


def clock_age(case: Case) -> Denial | None:
    """Rule 5: now - sampled_at > clock_age_ms_max."""
    age_ns, limit_ms = case.now_ns - case.risk.health.clock_ns, case.portfolio.clock_age_ms_max
    if age_ns <= limit_ms * NS_PER_MS:
        return None
    return denial(DenyReason.CLOCK_STALE, age_ns=age_ns, limit_ms=limit_ms)


def clock_age_until(case: Case) -> int:
    """When the clock sample is too old."""
    return case.risk.health.clock_ns + case.portfolio.clock_age_ms_max * NS_PER_MS


def clock_drift(case: Case) -> Denial | None:
    """Rule 6: 2*abs(offset) + round_trip > 2*clock_offset_ms_max."""
    health, limit_ms = case.risk.health, case.portfolio.clock_offset_ms_max
    offset_ns, rtt_ns = health.clock_offset_ns, health.clock_rtt_ns
    if not drifts(offset_ns, rtt_ns, limit_ms):
        return None
    return denial(DenyReason.CLOCK_DRIFT, offset_ns=offset_ns, rtt_ns=rtt_ns, limit_ms=limit_ms)


def symbol_allowed(case: Case) -> Denial | None:
    """Rule 7: caps is null."""
    if _caps(case) is not None:
        return None
    return denial(DenyReason.SYMBOL_NOT_ALLOWED, symbol=case.instrument_id)


def caps_set(case: Case) -> Denial | None:
    """Rule 8: a required cap is zero."""
    caps = _caps(case)
    unset = case.risk.caps_unset + (caps.unset() if caps else ())
    return denial(DenyReason.CAP_NOT_SET, caps=", ".join(unset)) if unset else None


def _caps(case: Case) -> SymbolCaps | None:
    """The caps of an instrument that may be a stranger's."""
    if case.given.told.is_stranger:
        return case.portfolio.for_instrument(case.instrument_id)
    return case.book.caps


def instrument_known(case: Case) -> Denial | None:
    """Rule 9: filters is null."""
    if not case.given.told.is_stranger and case.book.instrument is not None:
        return None
    return denial(DenyReason.INSTRUMENT_UNKNOWN, symbol=case.instrument_id)


def symbol_trading(case: Case) -> Denial | None:
    """Rule 10: filters.status is not TRADING."""
    status = case.filters.status
    if status is SymbolStatus.TRADING:
        return None
    return denial(DenyReason.SYMBOL_NOT_TRADING, status=status)


def symbol_blocked(case: Case) -> Denial | None:
    """Rule 11: blocked is not empty."""
    blocked = case.given.told.blocked
    return denial(DenyReason.SYMBOL_BLOCKED, why=blocked) if blocked else None


def unknown_orders(case: Case) -> Denial | None:
    """Rule 12: unknown_orders > 0."""
    count = case.given.unknown_orders
    return denial(DenyReason.UNKNOWN_ORDER_OPEN, count=count) if count else None


def well_formed(case: Case) -> Denial | None:
    """Rule 13: qty, price, stop_price: not finite, not positive, not present exactly where the
    type has them, or with digits that 64-digit arithmetic does not take. Extras: a pegged order
    has no price; a trailing one may have no stop_price, and is a stop type; iceberg_qty is
    above 0 and below qty, of a type with a limit price, GTC where it has a time in force; a peg
    is of such a type, PRIMARY for LIMIT_MAKER, GTC for PRIMARY LIMIT; 0..100 peg_levels, and
    none without a peg.
    """
    part = _malformed(case)
    if not part:
        return None
    return denial(DenyReason.MALFORMED_ORDER, field=part, value=getattr(case.intent, part))


def _malformed(case: Case) -> str:
    """The field that cannot be, or empty."""
    intent = case.intent
    if not is_amount(intent.qty):
        return "qty"
    if case.is_market or case.is_pegged:
        if intent.price is not None:
            return "price"
    elif not is_amount(intent.price):
        return "price"
    extras, stop = intent.extras, intent.stop_price
    if extras is not None and malformed_part(intent, extras):
        return "extras"
    if intent.order_type not in STOP_TYPES:
        return "" if stop is None else "stop_price"
    # A trailing one without a stop price follows the market at once.
    follows = stop is None and extras is not None and extras.trailing_bps > 0
    return "" if follows or is_amount(stop) else "stop_price"


def is_amount(value: object) -> bool:
    """Whether it is a positive finite Decimal; the type is asked for, not duck-typed."""
    return type(value) is Decimal and value.is_finite() and value > 0


def side_allowed(case: Case) -> Denial | None:
    """Rule 14: side not in sides."""
    side = case.intent.side
    return None if side in case.caps.sides else denial(DenyReason.SIDE_NOT_ALLOWED, side=side)


def type_allowed(case: Case) -> Denial | None:
    """Rule 15: order_type not in order_types, or not in filters.order_types."""
    kind = case.intent.order_type
    if kind in case.book.order_types:
        return None
    return denial(DenyReason.ORDER_TYPE_NOT_ALLOWED, order_type=kind)


def features_allowed(case: Case) -> Denial | None:
    """Rule 15: TRAILING, ICEBERG or PEGGED not in order_features, or not in filters.features;
    trailing_bps of a TAKE_PROFIT (it has no bound).
    """
    extras = case.intent.extras
    if extras is None:
        return None
    feature = denied_feature(case.intent, extras, case.book)
    return denial(DenyReason.ORDER_FEATURE_NOT_ALLOWED, feature=feature) if feature else None


def time_in_force_allowed(case: Case) -> Denial | None:
    """Rule 16: LIMIT, STOP_LOSS_LIMIT, TAKE_PROFIT_LIMIT: time_in_force not in times_in_force."""
    intent = case.intent
    if intent.order_type not in TIMED_TYPES or intent.time_in_force in case.caps.times_in_force:
        return None
    return denial(DenyReason.TIME_IN_FORCE_NOT_ALLOWED, time_in_force=intent.time_in_force)


def minute_of_week(now_ns: int) -> int:
    """Minutes since Monday 00:00 UTC."""
    return (now_ns // MINUTE_NS + EPOCH_MINUTE_OF_WEEK) % MINUTES_PER_WEEK


def trading_window(case: Case) -> Denial | None:
    """Rule 17: minute of the week of now (Monday 00:00 UTC is 0) in no window."""
    minute = minute_of_week(case.now_ns)
    if any(start <= minute < end for start, end in case.book.windows):
        return None
    return denial(DenyReason.OUTSIDE_TRADING_WINDOW, minute_of_week=minute)


def trading_window_until(case: Case) -> int:
    """When the window closes."""
    minute = minute_of_week(case.now_ns)
    end = next(end for start, end in case.book.windows if start <= minute < end)
    return (case.now_ns // MINUTE_NS + end - minute) * MINUTE_NS - 1


def market_data(case: Case) -> Denial | None:
    """Rule 18: no top of book, or bid <= 0."""
    top = case.book.top
    return denial(DenyReason.NO_MARKET_DATA) if top is None or top.bid_px <= 0 else None


def market_data_age(case: Case) -> Denial | None:
    """Rule 19: now - top_ns > market_data_age_ms_max."""
    age_ns = case.now_ns - case.book.top_ns
    if age_ns <= case.caps.market_data_age_ms_max * NS_PER_MS:
        return None
    return denial(DenyReason.STALE_MARKET_DATA, age_ns=age_ns)


def book_uncrossed(case: Case) -> Denial | None:
    """Rule 20: bid >= ask."""
    top = case.top
    if top.bid_px < top.ask_px:
        return None
    return denial(DenyReason.CROSSED_BOOK, bid=top.bid_px, ask=top.ask_px)


def reference_price(case: Case) -> Denial | None:
    """Rule 21: ref missing, <= 0, or older than market_data_age_ms_max."""
    if case.caps.collar_reference == "mid":
        return None
    book, age_ns_max = case.book, case.caps.market_data_age_ms_max * NS_PER_MS
    if book.last > 0 and case.now_ns - book.last_ns <= age_ns_max:
        return None
    return denial(DenyReason.NO_REFERENCE_PRICE, reference="last")


def reduces(case: Case) -> Denial | None:
    """Rule 22: reduce_only or REDUCING, and not reducing."""
    if case.reducing or not must_reduce(case):
        return None
    reducible = max(case.room, ZERO)
    return denial(DenyReason.NOT_REDUCING, position=case.given.position, reducible=reducible)


def throttles(case: Case) -> Denial | None:
    """Rule 23: a streak reaches its cap (executions, rejects, losses, in this order); a reducing
    order of "operator" or "engine" passes.
    """
    behaviour = case.risk.behaviour
    rejects, losses = behaviour.streaks(case.instrument_id)
    executions = behaviour.executions_since_human
    if case.reducing and case.intent.strategy_id in PEOPLE:
        return None
    for reason, used, limit in (
        (DenyReason.EXECUTIONS_NEED_HUMAN, executions, behaviour.executions_max),
        (DenyReason.VENUE_REJECT_STREAK, rejects, behaviour.reject_streak_max),
        (DenyReason.LOSS_STREAK, losses, behaviour.loss_streak_max),
    ):
        if used >= limit:
            return denial(reason, used=used, limit=limit)
    return None


_R = DenyReason
GATE_RULES = (
    row(1, halt_flag, "halted", _R.HALT_FLAG_CLOSED),
    row(2, trading_state, "standing", _R.TRADING_HALTED, kept="standing"),
    row(3, journal, "standing", _R.JOURNAL_UNHEALTHY, kept="standing"),
    row(4, clock_known, "standing", _R.CLOCK_UNKNOWN, kept="standing"),
    row(5, clock_age, "standing, now_ns", _R.CLOCK_STALE, kept="standing", until=clock_age_until),
    row(6, clock_drift, "standing", _R.CLOCK_DRIFT, kept="standing"),
)  # fmt: skip
SYMBOL_RULES = (
    row(7, symbol_allowed, "caps", _R.SYMBOL_NOT_ALLOWED, kept="terms"),
    row(8, caps_set, "caps, portfolio_caps", _R.CAP_NOT_SET, kept="terms"),
    row(9, instrument_known, "filters", _R.INSTRUMENT_UNKNOWN, kept="terms"),
    row(10, symbol_trading, "filters", _R.SYMBOL_NOT_TRADING, kept="terms"),
    row(11, symbol_blocked, "blocked", _R.SYMBOL_BLOCKED, kept="terms"),
    row(12, unknown_orders, "unknown_orders", _R.UNKNOWN_ORDER_OPEN),
)  # fmt: skip
SHAPE_RULES = (
    row(13, well_formed, "qty, price, stop_price, extras", _R.MALFORMED_ORDER),
    row(14, side_allowed, "side", _R.SIDE_NOT_ALLOWED, kept="terms"),
    row(15, type_allowed, "order_type, filters", _R.ORDER_TYPE_NOT_ALLOWED, kept="terms"),
    row(15, features_allowed, "extras, filters", _R.ORDER_FEATURE_NOT_ALLOWED),
    row(16, time_in_force_allowed, "time_in_force", _R.TIME_IN_FORCE_NOT_ALLOWED, kept="terms"),
    row(17, trading_window, "now_ns",
        _R.OUTSIDE_TRADING_WINDOW, kept="terms", until=trading_window_until),
)  # fmt: skip
BOOK_RULES = (
    row(18, market_data, "market", _R.NO_MARKET_DATA),
    row(19, market_data_age, "market, now_ns", _R.STALE_MARKET_DATA),
    row(20, book_uncrossed, "market", _R.CROSSED_BOOK),
)  # fmt: skip
REFERENCE_RULES = (
    row(21, reference_price, "market, now_ns", _R.NO_REFERENCE_PRICE),
)  # fmt: skip
REDUCING_RULES = (
    row(22, reduces, "reduce_only, standing, position, buys_open, sells_open, covered, cover",
        _R.NOT_REDUCING),
    row(23, throttles, "standing, strategy_id",
        _R.EXECUTIONS_NEED_HUMAN, _R.VENUE_REJECT_STREAK, _R.LOSS_STREAK, kept="standing"),
)  # fmt: skip
