"""The rules of a placement, in their order. Each names the verdict when it is the first to fail.

Rules of this file:
1. A rule reads the keeper and the case; it changes neither, but for `case.qty` (a cut reduce) and
   the prices that later rules share.
2. A missing input is a denial, never a pass.
3. Only what raises a risk is measured against its cap: an order that cannot raise the worst case
   of a side is not denied for that side (or nothing could ever be reduced).
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType

from daemon.model.amounts import NS_PER_MS, NS_PER_S, ZERO, floor_to
from daemon.model.enums import OrderType, Side, SymbolStatus, TradingState
from daemon.model.instrument import Instrument
from daemon.model.intents import ENGINE, OPERATOR, PlaceIntent
from daemon.model.market import TopOfBook
from riskcaps.bands import Watch
from riskcaps.behaviour import DuplicateKey
from riskcaps.cap_values import MINUTES_PER_WEEK
from riskcaps.capset import SymbolCaps
from riskcaps.denials import DenyReason
from riskcaps.equity import unvalued
from riskcaps.exposure import MARKET_TYPES, STOP_TYPES, SymbolBook
from riskcaps.extras import denied_feature, is_pegged, malformed_part
from riskcaps.keeper import Keeper
from riskcaps.standing import drifts

MINUTE_NS = 60 * NS_PER_S
EPOCH_MINUTE_OF_WEEK = 3 * 1440
"""1970-01-01 was a Thursday; minutes of the week are counted from Monday."""
BPS = 10_000
BUDGET_SAMPLE_AGE_NS = 60 * NS_PER_S
TIMED_TYPES = (OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
"""Types that carry a time in force."""
HUMAN_ROADS = (OPERATOR, ENGINE)


_NO_CONTEXT: Mapping[str, str] = MappingProxyType({})


class Case:
    """One wish on its way through the rules, and what they have worked out so far."""

    __slots__ = (
        "book",
        "caps",
        "context",
        "instrument",
        "intent",
        "is_buy",
        "is_market",
        "is_pegged",
        "key",
        "now_ns",
        "order_px",
        "px",
        "qty",
        "reducing",
        "ref_px",
        "seen_ns",
        "top",
        "value_px",
    )

    # Filled by the rules in their order; a later rule only reads what an earlier one has set.
    book: SymbolBook
    caps: SymbolCaps
    instrument: Instrument
    top: TopOfBook

    def __init__(self, intent: PlaceIntent, now_ns: int) -> None:
        self.intent = intent
        self.now_ns = now_ns
        self.qty = intent.qty
        self.is_buy = intent.side is Side.BUY
        self.is_market = intent.order_type in MARKET_TYPES
        self.is_pegged = is_pegged(intent)
        self.px: Decimal | None = None
        """Limit price, or the worst price of an order that has none."""
        self.value_px: Decimal | None = None
        self.ref_px: Decimal | None = None
        self.order_px = ZERO
        self.reducing = False
        """Whether it strictly shrinks the position in the worst case."""
        self.context: Mapping[str, str] = _NO_CONTEXT
        self.key: DuplicateKey | None = None
        self.seen_ns = -1

    def deny(self, reason: DenyReason, **context: object) -> DenyReason:
        """Keep what the operator needs to see, and name the verdict."""
        self.context = {key: str(value) for key, value in context.items()}
        return reason

    def over(self, reason: DenyReason, watch: Watch, used: object) -> DenyReason:
        """A cap would be passed."""
        return self.deny(reason, cap=watch.cap, used=used, limit=watch.limit)


Rule = Callable[[Keeper, Case], DenyReason | None]


def check_gate(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rules 1-6: halt flag, trading state, journal, clock, caps of the portfolio."""
    if keeper.halt.closed:
        return case.deny(DenyReason.HALT_FLAG_CLOSED, why=keeper.halt.reason)
    if keeper.trading_state is TradingState.HALTED:
        return case.deny(DenyReason.TRADING_HALTED)
    if not keeper.journal_ok:
        return case.deny(DenyReason.JOURNAL_UNHEALTHY)
    caps = keeper.capset
    if keeper.clock_ns < 0:
        return case.deny(DenyReason.CLOCK_UNKNOWN)
    age_ns = case.now_ns - keeper.clock_ns
    if age_ns > caps.clock_age_ms_max * NS_PER_MS:
        return case.deny(DenyReason.CLOCK_STALE, age_ns=age_ns, limit_ms=caps.clock_age_ms_max)
    if drifts(keeper):
        return case.deny(
            DenyReason.CLOCK_DRIFT,
            offset_ns=keeper.clock_offset_ns,
            rtt_ns=keeper.clock_rtt_ns,
            limit_ms=caps.clock_offset_ms_max,
        )
    return None


def check_symbol(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rules 7-12: known, allowed, complete, trading, not blocked."""
    book = keeper.books.get(case.intent.instrument_id)
    instrument_id = case.intent.instrument_id
    caps = keeper.capset.for_instrument(instrument_id) if book is None else book.caps
    if caps is None:
        return case.deny(DenyReason.SYMBOL_NOT_ALLOWED, symbol=instrument_id)
    unset = keeper.caps_unset + (caps.unset() if book is None else book.unset)
    if unset:
        return case.deny(DenyReason.CAP_NOT_SET, caps=", ".join(unset))
    if book is None or book.instrument is None:
        return case.deny(DenyReason.INSTRUMENT_UNKNOWN, symbol=instrument_id)
    case.book = book
    case.caps = caps
    case.instrument = book.instrument
    if book.instrument.status is not SymbolStatus.TRADING:
        return case.deny(DenyReason.SYMBOL_NOT_TRADING, status=book.instrument.status)
    if book.blocked:
        return case.deny(DenyReason.SYMBOL_BLOCKED, why=book.blocked)
    if book.unknown_count:
        return case.deny(DenyReason.UNKNOWN_ORDER_OPEN, count=book.unknown_count)
    return None


def check_shape(_: Keeper, case: Case) -> DenyReason | None:
    """Rules 13-17: amounts that are amounts; side, type, time in force, trading window."""
    intent = case.intent
    part = _malformed(case)
    if part:
        return case.deny(DenyReason.MALFORMED_ORDER, field=part, value=getattr(intent, part))
    kind, extras, caps = intent.order_type, intent.extras, case.caps
    if intent.side not in caps.sides:
        return case.deny(DenyReason.SIDE_NOT_ALLOWED, side=intent.side)
    if kind not in case.book.order_types:
        return case.deny(DenyReason.ORDER_TYPE_NOT_ALLOWED, order_type=kind)
    if extras is not None and (feature := denied_feature(intent, extras, case.book)):
        return case.deny(DenyReason.ORDER_FEATURE_NOT_ALLOWED, feature=feature)
    if kind in TIMED_TYPES and intent.time_in_force not in caps.times_in_force:
        return case.deny(DenyReason.TIME_IN_FORCE_NOT_ALLOWED, time_in_force=intent.time_in_force)
    minute = (case.now_ns // MINUTE_NS + EPOCH_MINUTE_OF_WEEK) % MINUTES_PER_WEEK
    for start, end in case.book.windows:
        if start <= minute < end:
            return None
    return case.deny(DenyReason.OUTSIDE_TRADING_WINDOW, minute_of_week=minute)


def _malformed(case: Case) -> str:
    """The field that cannot be, or empty. A float, NaN or infinity must not come in."""
    intent = case.intent
    if not _is_amount(intent.qty):
        return "qty"
    if case.is_market or case.is_pegged:
        if intent.price is not None:
            return "price"
    elif not _is_amount(intent.price):
        return "price"
    extras, stop = intent.extras, intent.stop_price
    if extras is not None and malformed_part(intent, extras):
        return "extras"
    if intent.order_type not in STOP_TYPES:
        return "" if stop is None else "stop_price"
    # A trailing one without a stop price follows the market at once.
    follows = stop is None and extras is not None and extras.trailing_bps > 0
    return "" if follows or _is_amount(stop) else "stop_price"


def _is_amount(value: object) -> bool:
    # The type is asked for, not duck-typed.
    return type(value) is Decimal and value.is_finite() and value > 0


def check_market(_: Keeper, case: Case) -> DenyReason | None:
    """Rules 18-21: a fresh, uncrossed book; prices of the order; the collar's reference."""
    reason = _prices(case)
    if reason is None and case.is_pegged and case.ref_px is not None:
        edge = case.caps.collar_bps_max
        case.px = case.ref_px * (BPS + edge if case.is_buy else BPS - edge) / BPS
    return reason


def _prices(case: Case) -> DenyReason | None:
    book = case.book
    top = book.top
    if top is None or top.bid_px <= 0:
        return case.deny(DenyReason.NO_MARKET_DATA)
    case.top = top
    age_limit_ns = case.caps.market_data_age_ms_max * NS_PER_MS
    if case.now_ns - book.top_ns > age_limit_ns:
        return case.deny(DenyReason.STALE_MARKET_DATA, age_ns=case.now_ns - book.top_ns)
    if top.bid_px >= top.ask_px:
        return case.deny(DenyReason.CROSSED_BOOK, bid=top.bid_px, ask=top.ask_px)
    intent = case.intent
    if case.is_market:
        slip = case.caps.market_slippage_bps
        far = top.ask_px if case.is_buy else top.bid_px
        stop = intent.stop_price
        if stop is not None:
            far = max(stop, far) if case.is_buy else min(stop, far)
        if intent.extras is not None:
            trail = intent.extras.trailing_bps
            far = far * (BPS + trail if case.is_buy else BPS - trail) / BPS
        case.px = far * (BPS + slip if case.is_buy else BPS - slip) / BPS
    else:
        case.px = intent.price
    if case.caps.collar_reference == "mid":
        case.ref_px = (top.bid_px + top.ask_px) / 2
        return None
    if book.last <= 0 or case.now_ns - book.last_ns > age_limit_ns:
        return case.deny(DenyReason.NO_REFERENCE_PRICE, reference="last")
    case.ref_px = book.last
    return None


def check_reducing(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rule 22: in REDUCING, and for reduce-only wishes, only a strict shrink in the worst case."""
    room = _reducible(case)
    case.reducing = 0 < case.qty <= room
    must = case.intent.reduce_only or keeper.trading_state is TradingState.REDUCING
    if not must or case.reducing:
        return None
    if room > 0 and keeper.capset.reduce_oversized == "cut":
        cut = floor_to(room, case.book.qty_step)
        if cut > 0:
            case.qty = cut
            case.reducing = True
            return None
    return case.deny(
        DenyReason.NOT_REDUCING, position=case.book.position, reducible=max(room, ZERO)
    )


def check_behaviour(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rule 23: throttles that only a named human opens. People may still reduce."""
    b = keeper.behaviour
    if not b.tripped:
        return None
    if case.reducing and case.intent.strategy_id in HUMAN_ROADS:
        return None
    rejects, losses = b.streaks(case.intent.instrument_id)
    for reason, used, limit in (
        (DenyReason.EXECUTIONS_NEED_HUMAN, b.executions_since_human, b.executions_max),
        (DenyReason.VENUE_REJECT_STREAK, rejects, b.reject_streak_max),
        (DenyReason.LOSS_STREAK, losses, b.loss_streak_max),
    ):
        if used >= limit:
            return case.deny(reason, used=used, limit=limit)
    return None


def check_balance(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rules 42-43: what it spends is known to be free, after holds and the floor."""
    book = case.book
    px = case.px or ZERO
    asset, need = book.model.cost(case.instrument, case.intent.side, case.qty, px)
    account = keeper.accounts.get(asset)
    if account is None or not account.known or case.px is None:
        return case.deny(DenyReason.BALANCE_UNKNOWN, asset=asset)
    floor = keeper.capset.balance_free_min.get(asset, ZERO)
    if need + floor + account.inflight + account.unsettled > account.free:
        free = account.free - account.inflight - account.unsettled
        return case.deny(
            DenyReason.BALANCE_INSUFFICIENT, asset=asset, need=need, free=free, floor=floor
        )
    return None


def check_rates(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rules 44-47: attempts, messages less the cancels' reserve, the venue's own budget."""
    watch = keeper.watch
    now_ns = case.now_ns
    second, minute, hour, day = keeper.orders.counts(now_ns)
    cancels = keeper.cancels.counts(now_ns)
    symbol_minute = case.book.minute.count(now_ns)
    if (
        second + 1 >= watch["orders_per_second_max"].up
        or minute + 1 >= watch["orders_per_minute_max"].up
        or hour + 1 >= watch["orders_per_hour_max"].up
        or day + 1 >= watch["orders_per_day_max"].up
        or symbol_minute + 1 >= case.book.watch["orders_per_minute_max"].up
        or second + cancels[0] + 1 >= watch["messages_per_second_max"].up
        or minute + cancels[1] + 1 >= watch["messages_per_minute_max"].up
    ):
        keeper.sweep_due = True
        for count, w, reason in (
            (second, watch["orders_per_second_max"], DenyReason.ORDERS_PER_SECOND),
            (minute, watch["orders_per_minute_max"], DenyReason.ORDERS_PER_MINUTE),
            (hour, watch["orders_per_hour_max"], DenyReason.ORDERS_PER_HOUR),
            (day, watch["orders_per_day_max"], DenyReason.ORDERS_PER_DAY),
            (
                symbol_minute,
                case.book.watch["orders_per_minute_max"],
                DenyReason.ORDERS_PER_MINUTE_SYMBOL,
            ),
            (second + cancels[0], watch["messages_per_second_max"], DenyReason.MESSAGES_PER_SECOND),
            (minute + cancels[1], watch["messages_per_minute_max"], DenyReason.MESSAGES_PER_MINUTE),
        ):
            if count + 1 > w.limit:
                return case.over(reason, w, count)
    if keeper.budget and now_ns - keeper.budget_ns <= BUDGET_SAMPLE_AGE_NS:
        share = keeper.capset.venue_budget_percent_max
        for name, (used, limit) in keeper.budget.items():
            if (used + 1) * 100 > limit * share:
                return case.deny(DenyReason.VENUE_BUDGET, window=name, used=used, limit=limit)
    return None


def check_loss(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rules 51-52: equity is known, and no loss cap is reached. Reducing passes, but for `deny`."""
    ledger = keeper.ledger
    if ledger.equity is None:
        if case.reducing:
            return None
        return case.deny(DenyReason.EQUITY_UNKNOWN, **unvalued(keeper))
    for rule, reason in zip(ledger.rules.values(), _LOSS_REASONS, strict=True):
        if rule.latched or rule.used >= rule.limit:
            if case.reducing and rule.action != "deny":
                continue
            return case.deny(
                reason, used=rule.used, limit=rule.limit, latched=rule.latched, action=rule.action
            )
    return None


def check_repeat(keeper: Keeper, case: Case) -> DenyReason | None:
    """Rules 53-54: not the same again, and not against ourselves."""
    intent = case.intent
    px = intent.stop_price if intent.price is None else intent.price
    case.key = key = (intent.instrument_id, case.is_buy, px, case.qty)
    seen_ns = case.seen_ns = keeper.behaviour.last_seen_ns(key, case.now_ns)
    if seen_ns >= 0:
        return case.deny(DenyReason.DUPLICATE_ORDER, age_ns=case.now_ns - seen_ns)
    book = case.book
    others = book.sell_pxs if case.is_buy else book.buy_pxs
    if others and case.px is not None:
        best = others[0] if case.is_buy else others[-1]
        crosses = case.px >= best if case.is_buy else case.px <= best
        if crosses or case.is_market:
            return case.deny(DenyReason.SELF_TRADE, own_px=best)
    return None


_LOSS_REASONS = (DenyReason.LOSS_SESSION, DenyReason.LOSS_DAY, DenyReason.DRAWDOWN)


def _reducible(case: Case) -> Decimal:
    """How much this side may still take off the position without ever passing zero."""
    book = case.book
    if case.is_buy:
        return -book.position - book.buys_open
    return book.position - book.sells_open
