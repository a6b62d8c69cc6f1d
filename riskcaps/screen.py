"""A first look that can only say "surely": what every rule of the table would let pass.

Rules of this file:
1. The table (rules.py, limits.py) is the law and names every denial. Here stand bounds drawn from
   the same caps, filters and prices, each at least as strict as the rules named beside it. An
   order inside all of them needs no table; any other order goes through the table, whole.
2. It looks at plain orders with a limit price on symbols quoted in the numeraire, while trading is
   ACTIVE and nothing has tripped (`Standing.clear`: rules 1-6, 8, 23, 47, 51, 52).
3. It also keeps clear of the next pre-alert band (`Watch.up`), so what it passes moves no band.
4. It is proved against the table, not trusted: a property test puts the same order to both in
   random worlds, and while trading every AUDIT_EVERY-th order goes to both (interceptor.py).
"""

from decimal import Decimal

from daemon.model.amounts import NS_PER_MS, ZERO
from daemon.model.enums import OrderType, Side, SymbolStatus
from daemon.model.instrument import SPOT, Instrument
from daemon.model.intents import PlaceIntent
from riskcaps.behaviour import NEVER_NS, DuplicateKey
from riskcaps.cap_values import MINUTES_PER_WEEK
from riskcaps.caps import UNLIMITED_COUNT
from riskcaps.capset import SymbolCaps
from riskcaps.context import context_of
from riskcaps.decision import APPROVED, NOTHING, Inputs, others_of
from riskcaps.exposure import SymbolBook
from riskcaps.holds import Account
from riskcaps.keeper import Keeper
from riskcaps.rules import BPS, EPOCH_MINUTE_OF_WEEK, MINUTE_NS, TIMED_TYPES
from riskcaps.standing import Standing, plain_for
from riskcaps.usage import Turnover, others_worst, total_of, turnover_of
from riskcaps.valuation import PAR

BUY, SELL = Side.BUY, Side.SELL
PRICED_TYPES = (OrderType.LIMIT, OrderType.LIMIT_MAKER)
AUDIT_EVERY = 256


class Lane:
    """Bounds of orders of one instrument, side, type and time in force.

    Drawn when caps, filters, bands or blocks change; `follow` draws those that move with the
    market. Nothing that an order changes stands in here.
    """

    __slots__ = (
        "account", "age_ns", "ask_px", "book", "caps", "floor", "floor_px", "is_buy", "market",
        "minute_up", "open_room", "order_type", "order_value_max", "position_up", "price_high",
        "price_low", "qty_high", "qty_low", "qty_step", "quote", "share_high", "share_low", "tick",
        "time_in_force", "total_room", "traded_qty_up", "until_ns", "value_min", "value_up",
        "window_until_ns",
    )  # fmt: skip

    def __init__(
        self,
        book: SymbolBook,
        caps: SymbolCaps,
        filters: Instrument,
        intent: PlaceIntent,
        *,
        account: Account,
        quote: Account,
        floor: Decimal,
        window_until_ns: int,
    ) -> None:
        self.book, self.caps, self.quote = book, caps, quote
        self.is_buy = is_buy = intent.side is BUY
        self.order_type, self.time_in_force = intent.order_type, intent.time_in_force
        self.account, self.floor = account, floor
        self.window_until_ns = window_until_ns
        self.tick, self.qty_step = book.tick, book.qty_step
        # 13, 27, 32. A multiple of the step that is not below one step is positive and finite.
        self.qty_low = max(book.qty_low, book.qty_step)
        self.qty_high = min(book.qty_high, caps.order_qty_base_max)
        # 29, 33. What is valued at the higher of price and ask is worth no less than at its price.
        self.value_min = filters.notional_min
        notional_max = filters.notional_max or caps.order_notional_quote_max
        self.order_value_max = min(notional_max, caps.order_notional_quote_max)
        watch = book.watch
        side = "position_long_base_max" if is_buy else "position_short_base_max"
        self.position_up = watch[side].up
        self.value_up = watch["exposure_quote_max"].up
        self.traded_qty_up = watch["traded_qty_per_day_base_max"].up
        self.minute_up = watch["orders_per_minute_max"].up
        self.open_room = watch["orders_open_max"].up - 1
        if filters.orders_open_max:
            self.open_room = min(self.open_room, filters.orders_open_max)
        self.total_room = filters.exchange_orders_open_max or UNLIMITED_COUNT
        # 24, 26, 34: factors of the reference. scaleb only moves the point, so they are exact.
        self.age_ns = caps.market_data_age_ms_max * NS_PER_MS
        self.floor_px = max(book.price_low, book.tick)
        low = Decimal(BPS - caps.collar_bps_max).scaleb(-4)
        high = Decimal(BPS + caps.collar_bps_max).scaleb(-4)
        if is_buy:
            up, down = filters.bid_multiplier_up, filters.bid_multiplier_down
        else:
            up, down = filters.ask_multiplier_up, filters.ask_multiplier_down
        self.share_low, self.share_high = max(low, down), min(high, up or high)
        self.market: object = None
        self.until_ns = NEVER_NS
        self.ask_px = self.price_low = self.price_high = ZERO

    def follow(self, book: SymbolBook, market: object) -> None:
        """Rules 17-21, 24, 26, 34: the prices that fit, and until when. `market`: what it saw."""
        self.market = market
        self.until_ns = NEVER_NS
        top, caps = book.top, self.caps
        if top is None:
            return
        bid_px, ask_px = top.bid_px, top.ask_px
        if not 0 < bid_px < ask_px:
            return
        until_ns = min(book.top_ns + self.age_ns, self.window_until_ns)
        if caps.collar_reference == "mid":
            ref_px = (bid_px + ask_px) / 2
        else:
            ref_px = book.last
            until_ns = min(until_ns, book.last_ns + self.age_ns)
            if ref_px <= 0:
                return
        low, high = ref_px * self.share_low, ref_px * self.share_high
        self.price_low = max(self.floor_px, low)
        self.price_high = min(book.price_high, high)
        self.ask_px = ask_px
        self.until_ns = until_ns


def surely(
    keeper: Keeper, book: SymbolBook, intent: PlaceIntent, standing: Standing, now_ns: int
) -> tuple[DuplicateKey, Inputs] | None:
    """The key and the inputs of an order that every rule lets pass; None: only the table can tell.

    The caller has seen that the standing is clear and the halt flag open.

    Raises:
        ArithmeticError: amounts that cannot be computed with; the table has the word for them.
    """
    side = intent.side
    lane = book.buy_lane if side is BUY else book.sell_lane if side is SELL else None
    if (
        lane is None
        or lane.order_type is not intent.order_type
        or lane.time_in_force is not intent.time_in_force
    ):
        lane = _draw(keeper, book, intent, now_ns)
        if lane is None:
            return None
    market = book.market or book.market_plain()
    if lane.market is not market:
        lane.follow(book, market)
    qty, price = intent.qty, intent.price
    if (
        now_ns > lane.until_ns
        or book.unknown_count  # 12
        or type(qty) is not Decimal  # 13
        or type(price) is not Decimal
        or intent.stop_price is not None
        or intent.extras is not None
        or intent.reduce_only  # 22
        or not lane.price_low <= price <= lane.price_high
        or price % lane.tick  # 25
        or not lane.qty_low <= qty <= lane.qty_high
        or qty % lane.qty_step  # 28
        or book.open_count >= lane.open_room  # 30, 37
        or len(keeper.holds) >= keeper.open_room  # 38
        or len(keeper.holds) >= lane.total_room  # 30
    ):
        return None
    cost = qty * price
    value = cost if price >= lane.ask_px else qty * lane.ask_px
    if cost < lane.value_min or value > lane.order_value_max:  # 29, 33
        return None
    account = lane.account
    need = cost if side is BUY else qty
    taken = account.inflight + account.unsettled
    if not account.known or need + lane.floor + taken > account.free:  # 42, 43
        return None
    key = (intent.instrument_id, side is BUY, price, qty)
    behaviour = keeper.behaviour
    if (
        now_ns - behaviour.newest_ns <= behaviour.duplicate_window_ns
        and behaviour.last_seen_ns(key, now_ns) >= 0  # 53
    ):
        return None
    inputs = _room(keeper, lane, intent, standing, price, value=value, now_ns=now_ns)
    return None if inputs is None else (key, inputs)


def _room(
    keeper: Keeper,
    lane: Lane,
    intent: PlaceIntent,
    standing: Standing,
    price: Decimal,
    *,
    value: Decimal,
    now_ns: int,
) -> Inputs | None:
    """Rules 35, 36, 39-41, 44-46, 48-50, 54. A side that ends at or below zero raises nothing."""
    book = lane.book
    is_buy, qty = lane.is_buy, intent.qty
    counted = _rates(keeper, lane, now_ns)
    if counted is None:
        return None
    orders, cancels, symbol_minute, executions = counted
    position, buys_open, sells_open = book.position, book.buys_open, book.sells_open
    buys, sells = book.buy_pxs, book.sell_pxs
    buy_px, sell_px = buys[-1] if buys else None, sells[0] if sells else None
    own_px = book.px_max() if buys or sells else None
    if is_buy:
        side = position + buys_open + qty
        crosses = sell_px is not None and price >= sell_px
    else:
        side = sells_open - position + qty
        crosses = buy_px is not None and price <= buy_px
    if crosses or side >= lane.position_up:
        return None
    gross = net = ZERO
    if side > 0:
        high_px = lane.ask_px if price < lane.ask_px else price  # noqa: FURB136 - max() costs thrice
        gross = net = side * (own_px if own_px is not None and own_px > high_px else high_px)
        if gross >= lane.value_up:
            return None
    others = NOTHING
    if len(keeper.holds) != book.open_count or len(keeper.held) != (1 if position else 0):
        worth = others_worst(keeper, book, now_ns)
        if worth is None:
            return None
        gross += worth[0]
        net += worth[1] if is_buy else worth[2]
        others = others_of(keeper, book)
    of_book, of_quote = book.traded, lane.quote.traded
    traded_qty = of_book.kept if now_ns <= of_book.leaves_ns else of_book.total(now_ns)
    quote = lane.quote
    traded = of_quote.kept if now_ns <= of_quote.leaves_ns else of_quote.total(now_ns)
    is_open = quote.open_notional
    total: Decimal | None = traded + is_open
    turnover: list[Turnover] = [(quote.asset, traded, is_open, PAR)] if total else []
    if len(keeper.quotes) > 1:
        turnover = turnover_of(keeper, now_ns)
        total = total_of(turnover)
    if (
        (side > 0 and gross >= keeper.gross.up)
        or net >= keeper.net.up
        or traded_qty + buys_open + sells_open + qty >= lane.traded_qty_up
        or total is None
        or total + value >= keeper.turnover.up
    ):
        return None
    account = lane.account
    return (
        intent, APPROVED, qty, price, now_ns, -1, book.context or context_of(keeper, book),
        False, "", plain_for(keeper, standing, intent.instrument_id), book.market, "", 0,
        position, buys_open, sells_open, buy_px, sell_px, own_px,
        book.open_count, book.stops_open, len(keeper.holds), PAR, others,
        account.asset, account.free, account.inflight, account.unsettled, None,
        orders, cancels, symbol_minute, executions, turnover, traded_qty,
    )  # fmt: skip


def _rates(keeper: Keeper, lane: Lane, now_ns: int) -> tuple[list[int], list[int], int, int] | None:
    """Rules 44-46, 48. What was counted: orders, cancels, orders of the symbol, executions."""
    orders, cancels = keeper.orders.counts(now_ns), keeper.cancels.counts(now_ns)
    second, minute, hour, day = orders
    symbol_minute = lane.book.minute.count(now_ns)
    executions = keeper.executions.count(now_ns)
    ups = keeper.rate_ups
    if (
        second + 1 >= ups[0]
        or minute + 1 >= ups[1]
        or hour + 1 >= ups[2]
        or day + 1 >= ups[3]
        or second + cancels[0] + 1 >= ups[4]
        or minute + cancels[1] + 1 >= ups[5]
        or symbol_minute + 1 >= lane.minute_up
        or (day >= ups[6] and day + 1 > keeper.trade_ratio * (executions or 1))
    ):
        return None
    return orders, cancels, symbol_minute, executions


def _draw(keeper: Keeper, book: SymbolBook, intent: PlaceIntent, now_ns: int) -> Lane | None:
    """Rules 7-11, 14-17: a lane for orders like this one; None where only the table can tell."""
    caps, filters, side, kind = book.caps, book.instrument, intent.side, intent.order_type
    if caps is None or filters is None or book.unset or book.blocked or not book.at_par:
        return None
    timed_out = kind in TIMED_TYPES and intent.time_in_force not in caps.times_in_force
    if (
        filters.status is not SymbolStatus.TRADING
        or filters.kind != SPOT  # what it costs, only its account model knows
        or side not in (BUY, SELL)
        or side not in caps.sides
        or kind not in PRICED_TYPES
        or kind not in book.order_types
        or timed_out
        or filters.position_max  # 31 asks for one more balance
        or filters.asset_base_max  # rare enough for the table
        or filters.asset_quote_max
    ):
        return None
    minute = (now_ns // MINUTE_NS + EPOCH_MINUTE_OF_WEEK) % MINUTES_PER_WEEK
    ends = [end for start, end in book.windows if start <= minute < end]
    if not ends:
        return None
    asset = book.quote if side is BUY else book.base
    account = keeper.accounts.get(asset)
    if account is None:
        return None
    lane = Lane(
        book,
        caps,
        filters,
        intent,
        account=account,
        quote=keeper.quotes[book.quote],
        floor=keeper.capset.balance_free_min.get(asset, ZERO),
        window_until_ns=(now_ns // MINUTE_NS + ends[0] - minute) * MINUTE_NS - 1,
    )
    if side is BUY:
        book.buy_lane = lane
    else:
        book.sell_lane = lane
    return lane
