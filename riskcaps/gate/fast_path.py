"""A first look that can only say "inside every bound": what every rule of the table lets pass.

Rules of this file:
1. The table (table.py) is the law and names every denial. An order inside all bounds needs
   no walk through it; any other order goes through it, whole.
2. A row that is `kept` is not written again: its own check is asked once, and its answer holds
   until the version that it depends on moves, or its `until` has passed.
3. Bounds of the other rows are drawn here from the same caps, filters and prices, each at least as
   strict as the rule named beside it, and below the cap's next pre-alert band (`Watch.up`).
4. It looks at plain orders with a limit price on symbols quoted in the numeraire.
5. It is proved against the table, not trusted: a property test puts the same order to both in
   random worlds, and while trading every AUDIT_EVERY-th order goes to both (interceptor.py).
"""

from decimal import Decimal

from daemon.model.amounts import NS_PER_MS, ZERO
from daemon.model.enums import OrderType, Side, TradingState
from daemon.model.ids import InstrumentId
from daemon.model.instrument import SPOT
from daemon.model.intents import PlaceIntent
from riskcaps.gate.gate_inputs import DecisionInputs
from riskcaps.gate.ground import Ground
from riskcaps.gate.rule import Case, Kept, Rule
from riskcaps.gate.table import RULES
from riskcaps.state.behaviour import NEVER_NS, duplicate_key
from riskcaps.state.holds import Account
from riskcaps.state.risk_state import RiskState
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.state.valuation import total_of
from riskcaps.words.caps import UNLIMITED_COUNT
from riskcaps.words.order_kinds import BPS

PRICED_TYPES = (OrderType.LIMIT, OrderType.LIMIT_MAKER)
AUDIT_EVERY = 256
_BUY = Side.BUY  # a look at a member of an enum costs as much as a call on Python 3.11
_HALF = Decimal("0.5")
_WINDOWS = ("second", "minute", "hour", "day")


def _kept(kept: Kept) -> tuple[Rule, ...]:
    return tuple(rule for rule in RULES if rule.kept == kept)


_OF_TERMS, _OF_STANDING = _kept("terms"), _kept("standing")
BOUNDED = frozenset((1, 12, 13, 15, *range(18, 47), 48, 49, 50, 53, 54))
"""The rules whose bounds are drawn here. A row of the table that is neither kept nor one of these
is asked by itself, so that a new rule holds on the fast path from its first day."""
_REST = tuple(rule for rule in RULES if not rule.kept and rule.number not in BOUNDED)
_COUNTED = tuple((rule.of_inputs, rule.cap) for rule in _REST if rule.of_inputs is not None)
_ASKED = tuple(rule for rule in _REST if rule.of_inputs is None)


class OrderBounds:
    """Bounds of orders of one instrument, side, type and time in force.

    Nothing that an order changes stands in here.
    """

    __slots__ = (
        "age_ns_max", "alone", "ask_px", "asks_more", "bands_version", "counted", "day", "day_up",
        "exposure", "fills_version", "floor", "gross", "hour", "is_buy", "is_mid",
        "market_until_ns", "market_version", "messages_minute", "messages_second", "minute",
        "net", "notional", "only_quote", "open_of_symbol", "open_total", "order_type",
        "order_value_max", "position", "price_floor", "price_high", "price_low", "qty_high",
        "qty_low", "qty_room", "qty_step", "ratio", "ratio_grace", "second", "share_high",
        "share_low", "side", "standing_until_ns", "standing_version", "symbol_minute",
        "terms_until_ns", "terms_version", "tick", "time_in_force", "traded_qty",
        "until_ns", "value_min", "value_room", "venue_open_of_symbol", "venue_open_total",
    )  # fmt: skip

    def __init__(self, case: Case) -> None:
        book, caps, f, portfolio = case.book, case.caps, case.filters, case.portfolio
        self.terms_version = book.terms_version
        self.is_buy = case.is_buy
        self.side, self.order_type = case.intent.side, case.intent.order_type
        self.time_in_force = case.intent.time_in_force
        self.terms_until_ns = _passes_until(case, _OF_TERMS)
        self.market_version = self.standing_version = -1
        self.value_room: Decimal | int = ZERO
        self.only_quote: Account | None = None
        """As the ground has it: `value_room` is less what was traded in it."""
        # 13, 27, 32. A multiple of the step that is not below one step is positive and finite.
        self.tick, self.qty_step = book.tick, book.qty_step
        self.qty_low = max(book.qty_low, book.qty_step)
        self.qty_high = min(book.qty_high, caps.order_qty_base_max)
        # 29, 33. What is valued at the higher of price and ask is worth no less than at its price.
        self.value_min = f.notional_min
        notional_max = f.notional_max or caps.order_notional_quote_max
        self.order_value_max = min(notional_max, caps.order_notional_quote_max)
        self.venue_open_of_symbol = f.orders_open_max or UNLIMITED_COUNT  # 30
        self.venue_open_total = f.exchange_orders_open_max or UNLIMITED_COUNT
        self.floor = portfolio.balance_free_min.get(case.given.asset, ZERO)  # 43
        self.ratio, self.ratio_grace = (  # 48
            portfolio.order_to_trade_ratio_max,
            portfolio.order_to_trade_grace_orders,
        )
        # 24, 26, 34: factors of the reference. scaleb only moves the point, so they are exact.
        low = Decimal(BPS - caps.collar_bps_max).scaleb(-4)
        high = Decimal(BPS + caps.collar_bps_max).scaleb(-4)
        up = f.bid_multiplier_up if case.is_buy else f.ask_multiplier_up
        down = f.bid_multiplier_down if case.is_buy else f.ask_multiplier_down
        share_low, share_high = max(low, down), min(high, up or high)
        # Of the mid they are factors of bid and ask together.
        self.is_mid = caps.collar_reference == "mid"
        half = _HALF if self.is_mid else 1
        self.share_low, self.share_high = share_low * half, share_high * half
        self.price_floor = max(book.price_low, book.tick)
        self.age_ns_max = caps.market_data_age_ms_max * NS_PER_MS  # 19, 21
        self.bands_version = -1

    def follow_bands(self, risk: RiskState, book: SymbolBook) -> None:
        """The caps' next bands: what an order may not reach."""
        watch, account = book.watch, risk.alerts.watch
        side = "position_long_base_max" if self.is_buy else "position_short_base_max"
        self.position, self.exposure = watch[side].up, watch["exposure_quote_max"].up  # 35, 36
        self.open_of_symbol = min(watch["orders_open_max"].up - 1, self.venue_open_of_symbol)  # 37
        self.open_total = min(account["orders_open_max"].up - 1, self.venue_open_total)  # 38
        self.gross = account["exposure_gross_numeraire_max"].up  # 40
        self.net = account["exposure_net_numeraire_max"].up  # 41
        self.alone = min(self.exposure, self.gross, self.net)
        self.second, self.minute, self.hour, self.day_up = (  # 44
            account[f"orders_per_{window}_max"].up - 1 for window in _WINDOWS
        )
        self.fills_version = -1
        self.symbol_minute = watch["orders_per_minute_max"].up - 1  # 45
        self.messages_second, self.messages_minute = (  # 46
            account[f"messages_per_{window}_max"].up - 1 for window in _WINDOWS[:2]
        )
        self.notional = account["traded_notional_per_day_numeraire_max"].up  # 49
        self.traded_qty = watch["traded_qty_per_day_base_max"].up  # 50
        self.counted = [  # a cap that nobody has set binds nobody
            (count, account[cap].up)
            for count, cap in _COUNTED
            if account[cap].limit < UNLIMITED_COUNT
        ]
        self.asks_more = bool(self.counted or _ASKED)
        self.bands_version = risk.alerts.bands_version

    def follow_fills(self, ground: Ground) -> None:
        """What only fills move, taken out of the bounds that it counts against."""
        self.fills_version = ground.fills_version
        self.qty_room = self.traded_qty - ground.traded_qty  # 50
        self.only_quote = ground.only_quote  # 49
        traded = ZERO if ground.only_quote is None else ground.only_traded
        self.value_room = self.notional - traded
        # 48: a count is above `ratio` where it is beyond its floor.
        free = max(self.ratio_grace, int(self.ratio * (ground.executions or 1)))
        self.day = min(self.day_up, free)

    def follow_market(self, book: SymbolBook) -> None:
        """The prices that an order may have, and until when they are young enough."""
        self.market_version, self.market_until_ns = book.market_version, NEVER_NS
        top = book.top
        if top is None or not 0 < top.bid_px < top.ask_px:  # 18, 20
            return
        reference, oldest_ns = top.bid_px + top.ask_px, book.top_ns
        if not self.is_mid:  # 21: of a last price that is not above 0, no price is low enough
            reference, oldest_ns = book.last, min(oldest_ns, book.last_ns)
        low, high = reference * self.share_low, reference * self.share_high
        self.price_low = max(low, self.price_floor)
        self.price_high = min(high, book.price_high)
        self.ask_px = top.ask_px
        self.market_until_ns = oldest_ns + self.age_ns_max  # 19, 21

    def follow(self, risk: RiskState, book: SymbolBook, given: DecisionInputs) -> None:
        """The market or what stands before every order has moved: ask the kept rules again."""
        ground: Ground = book.ground
        standing_version = ground.verdicts
        if self.bands_version != risk.alerts.bands_version:
            self.follow_bands(risk, book)
        if self.market_version != book.market_version:
            self.follow_market(book)
        if self.standing_version != standing_version:
            self.standing_until_ns = _passes_until(Case(risk, given, book), _OF_STANDING)
            if risk.health.trading_state is TradingState.REDUCING:  # 22
                self.standing_until_ns = NEVER_NS
            self.standing_version = standing_version
        self.until_ns = min(self.terms_until_ns, self.market_until_ns, self.standing_until_ns)
        if self.fills_version != ground.fills_version:
            self.follow_fills(ground)


def _passes_until(case: Case, rules: tuple[Rule, ...]) -> int:
    """The last moment at which all of these rules pass; NEVER_NS when one does not pass now."""
    until_ns = -NEVER_NS
    for rule in rules:
        if rule.check(case) is not None:
            return NEVER_NS
        if rule.until is not None:
            until_ns = min(until_ns, rule.until(case))
    return until_ns


class FastPath:
    """The bounds of each instrument and side, drawn when first asked for."""

    def __init__(self, risk: RiskState) -> None:
        self._risk = risk
        self._buys: dict[InstrumentId, OrderBounds] = {}
        self._sells: dict[InstrumentId, OrderBounds] = {}

    def admits(self, book: SymbolBook, given: DecisionInputs) -> bool:
        """Whether every rule lets the order pass and no band is reached; False: ask the table.

        Here: rules 1, 12, 13, 22, 24-29 and 32-34, which look at the order alone.
        """
        intent, ground = given.intent, book.ground
        qty, price, side = given.qty, given.px, intent.side
        bounds: OrderBounds | None = ground.buys if side is _BUY else ground.sells
        try:
            if (
                bounds is None
                or bounds.order_type is not intent.order_type
                or bounds.time_in_force is not intent.time_in_force
                or bounds.side is not side
            ):
                bounds = self._follow(book, given)
                if bounds is None:
                    return False
            if (
                given.halt_reason is not None  # 1
                or given.unknown_orders  # 12
                or type(qty) is not Decimal  # 13
                or type(price) is not Decimal
                or intent.stop_price is not None
                or intent.extras is not None
                or intent.reduce_only  # 22
                or not bounds.price_low <= price <= bounds.price_high  # 24, 26, 34
                or price % bounds.tick  # 25
                or not bounds.qty_low <= qty <= bounds.qty_high  # 27, 32
                or qty % bounds.qty_step  # 28
            ):
                return False
            cost = qty * price
            return (
                cost >= bounds.value_min  # 29
                and leaves_room(self._risk, bounds, given, price, cost)
                and not (bounds.asks_more and not self._passes_the_rest(bounds, book, given))
            )
        except ArithmeticError:  # the table has the word for such amounts
            return False

    def _passes_the_rest(
        self, bounds: OrderBounds, book: SymbolBook, given: DecisionInputs
    ) -> bool:
        """The rows without a bound: counts that somebody has capped, and what else there is."""
        for count, up in bounds.counted:
            would = count(given)
            if would is not None and would >= up:
                return False
        if not _ASKED:
            return True
        case = Case(self._risk, given, book)
        return all(rule.check(case) is None and not rule.reaches_band(case) for rule in _ASKED)

    def _follow(self, book: SymbolBook, given: DecisionInputs) -> OrderBounds | None:
        """The bounds that hold for a wish on this ground; None where only the table can tell."""
        intent, ground = given.intent, book.ground
        of_side = self._buys if intent.side is _BUY else self._sells
        bounds = of_side.get(book.instrument_id)
        if (
            bounds is None
            or bounds.terms_version != book.terms_version
            or bounds.order_type is not intent.order_type
            or bounds.time_in_force is not intent.time_in_force
            or bounds.side is not intent.side
            or given.now_ns > bounds.terms_until_ns
        ):
            if not _can_be_drawn(book, intent):
                return None
            bounds = of_side[book.instrument_id] = OrderBounds(Case(self._risk, given, book))
        bounds.follow(self._risk, book, given)
        if given.now_ns > bounds.until_ns:
            return None
        ground.until_ns = min(ground.until_ns, bounds.until_ns)
        if bounds.is_buy:
            ground.buys = bounds
        else:
            ground.sells = bounds
        return bounds


def _can_be_drawn(book: SymbolBook, intent: PlaceIntent) -> bool:
    """Plain orders with a limit price, at par, without the venue's rarer filters (30, 31)."""
    f = book.instrument
    return (
        f is not None
        and f.kind == SPOT  # what another kind costs, only its account model knows
        and book.at_par
        and book.caps is not None
        and intent.order_type in PRICED_TYPES
        and not (f.position_max or f.asset_base_max or f.asset_quote_max)
    )


def leaves_room(
    risk: RiskState, bounds: OrderBounds, given: DecisionInputs, price: Decimal, cost: Decimal
) -> bool:
    """Rules 30, 33, 35-46, 48-50, 53 and 54: what an order adds to. `cost`: at its price.

    A side that ends at or below zero raises nothing. What is mostly zero is not added when it is:
    a look costs a fifth of an operation.
    """
    second, minute, hour, day = given.orders
    cancels_second, cancels_minute = given.cancels
    if (
        given.orders_open >= bounds.open_of_symbol  # 30, 37
        or given.orders_open_total >= bounds.open_total  # 30, 38
        or second >= bounds.second  # 44
        or minute >= bounds.minute
        or hour >= bounds.hour
        or day >= bounds.day  # and 48
        or given.symbol_minute >= bounds.symbol_minute  # 45
        or second + cancels_second >= bounds.messages_second  # 46
        or minute + cancels_minute >= bounds.messages_minute
    ):
        return False
    free, qty, is_buy = given.free, given.qty, bounds.is_buy
    need = cost if is_buy else qty
    if bounds.floor:
        need += bounds.floor
    if free is None or need + given.inflight + given.unsettled > free:  # 42, 43
        return False
    ask_px = bounds.ask_px
    # What is valued at the higher of price and ask is worth no less than at its price.
    value, px = (cost, price) if price >= ask_px else (qty * ask_px, ask_px)
    side = both = qty
    if given.orders_open:
        buys, sells, own = given.buys_open, given.sells_open, given.own_px
        if is_buy:
            side, covered, other_px = qty + buys, given.buys_covered, own.sell
            both, crosses = side + sells, other_px is not None and price >= other_px
        else:
            side, covered, other_px = qty + sells, given.sells_covered, own.buy
            both, crosses = side + buys, other_px is not None and price <= other_px
        if crosses:  # 54
            return False
        if covered:
            side -= covered
        if own.highest is not None and own.highest > px:
            px = own.highest
    if given.position:
        side = side + given.position if is_buy else side - given.position
    only_quote = bounds.only_quote
    open_value = total_of(given.turnover) if only_quote is None else only_quote.open_notional
    if (
        value > bounds.order_value_max  # 33
        or side >= bounds.position  # 35
        or both >= bounds.qty_room  # 50
        or open_value is None  # 49
        or value + open_value >= bounds.value_room
    ):
        return False
    worth = side * px
    # 36, 39-41
    fits = fits_beside(risk, bounds, given, worth) if given.others else worth < bounds.alone
    if not fits:
        return False
    behaviour, now_ns = risk.behaviour, given.now_ns
    if now_ns - behaviour.newest_ns > behaviour.duplicate_window_ns:  # 53
        return True
    name, owner = given.intent.instrument_id, given.owner
    key = duplicate_key(name, owner, price, qty, is_buy=is_buy)
    return behaviour.last_seen_ns(key, now_ns) < 0


def fits_beside(
    risk: RiskState, bounds: OrderBounds, given: DecisionInputs, worth: Decimal
) -> bool:
    """Rules 36 and 39-41 where other symbols weigh, too. `worth`: of the side with the order."""
    others = risk.valuation.worst_of(given.others, given.now_ns)
    if others is None:
        return False
    if worth <= ZERO:
        return others[1 if bounds.is_buy else 2] < bounds.net
    net = worth + others[1 if bounds.is_buy else 2]
    return worth < bounds.exposure and worth + others[0] < bounds.gross and net < bounds.net
