"""The next slice of a position that is to be closed: what caps, filters and balance admit of it.

Rules of this file:
1. It proposes; `Interceptor.review` decides. It only reads, and holds nothing.
2. MARKET first; a LIMIT IOC at the edge of slippage and collar where MARKET may not pass or is too
   coarse (MARKET_LOT_SIZE). A slice never leaves a rest below the filters that it could take along.
3. Dust is what the venue's filters take by no order type, whatever the caps say. A rest that caps,
   balance or the state of the market keep is not dust, and is named for what keeps it.
"""

from decimal import Decimal
from math import lcm

import msgspec

from daemon.model.amounts import NS_PER_MS, ZERO, ceil_to, floor_to, plain
from daemon.model.enums import OrderType, Side, SymbolStatus, TimeInForce
from daemon.model.ids import InstrumentId
from daemon.model.instrument import Instrument
from riskcaps.state.risk_state import RiskState
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.words.capset import SymbolCaps
from riskcaps.words.order_kinds import BPS

PAUSE_NS = 500 * NS_PER_MS


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """An order that takes a part of a position off."""

    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce | None = None


class NoSlice(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing can be taken off now."""

    why: str
    is_dust: bool = False
    until_ns: int = 0
    """When to look again; 0: nothing but people or the venue will change it."""


class _Road(msgspec.Struct, frozen=True):
    """One order type on which a slice may go: its price, and the bounds of its quantity."""

    order_type: OrderType
    price: Decimal | None
    step: Decimal
    low: Decimal
    high: Decimal
    low_name: str
    high_name: str


def slice_of(risk: RiskState, instrument_id: InstrumentId, now_ns: int) -> Slice | NoSlice:
    """The next order that closes a position, or why there is none. No order of ours is open."""
    book = risk.books.by_id[instrument_id]
    caps, instrument = book.caps, book.instrument
    is_sell = book.position > 0
    side = Side.SELL if is_sell else Side.BUY
    why = _closed(risk, book, side)
    if why:
        return NoSlice(why=why)
    if caps is None or instrument is None or book.top is None:
        return NoSlice(why="no market data", until_ns=now_ns + PAUSE_NS)
    again_ns = _paused_until(risk, book, now_ns)
    if again_ns:
        return NoSlice(why=_pause_reason(risk, book, now_ns), until_ns=again_ns)
    room = abs(book.position)
    touch = book.top.bid_px if is_sell else book.top.ask_px
    dust = dust_of(instrument, room, touch)
    if dust:
        return NoSlice(why=dust, is_dust=True)
    roads = _roads(risk, book, caps, instrument, side)
    if not roads:
        return NoSlice(
            why="neither MARKET nor LIMIT with IOC may leave: order_types, times_in_force, collar"
        )
    least = min(road.low for road in roads)
    for road in roads:
        qty = _take(room, road, least)
        if qty > ZERO:
            limit = road.order_type is OrderType.LIMIT
            key = (instrument_id, side is Side.BUY, road.price, qty)
            seen_ns = risk.behaviour.last_seen_ns(key, now_ns)
            if seen_ns >= 0:
                until_ns = seen_ns + caps_window_ns(risk) + 1
                return NoSlice(why="duplicate_window_ms", until_ns=until_ns)
            return Slice(
                side=side,
                order_type=road.order_type,
                qty=qty,
                price=road.price,
                time_in_force=TimeInForce.IOC if limit else None,
            )
    return _kept(roads, room, now_ns)


def caps_window_ns(risk: RiskState) -> int:
    """How long the same order is a duplicate."""
    return risk.behaviour.duplicate_window_ns


def dust_of(instrument: Instrument, qty: Decimal, px: Decimal) -> str:
    """Why the venue takes a quantity by no order type; empty when some does. `px` 0: not known."""
    step = instrument.lot or Decimal(1).scaleb(-instrument.base_precision)
    whole = floor_to(qty, step)
    if whole < instrument.qty_min or whole <= ZERO:
        least = max(instrument.qty_min, step)
        return f"below LOT_SIZE ({plain(least)} {instrument.base})"
    least = instrument.notional_min
    if not instrument.notional_min_applies_to_market and OrderType.MARKET in instrument.order_types:
        step = _step_of(instrument, step)
        whole_market = floor_to(qty, step)
        if whole_market > ZERO and whole_market >= instrument.market_qty_min:
            return ""
    if least and px and whole * px < least:
        return f"below NOTIONAL ({plain(least)} {instrument.quote})"
    return ""


def _closed(risk: RiskState, book: SymbolBook, side: Side) -> str:
    """What only people or the venue can change; empty when nothing."""
    caps, instrument = book.caps, book.instrument
    if caps is None:
        return "the symbol has no table of caps"
    if instrument is None:
        return "the venue's filters for it are not loaded"
    if instrument.status is not SymbolStatus.TRADING:
        return f"the venue says {instrument.status}"
    if side not in caps.sides:
        return f"{side} is not in `sides`"
    if risk.caps_unset or book.unset:
        return f"caps not set: {', '.join(risk.caps_unset + book.unset)}"
    return ""


def _paused_until(risk: RiskState, book: SymbolBook, now_ns: int) -> int:
    return now_ns + PAUSE_NS if _pause_reason(risk, book, now_ns) else 0


def _pause_reason(risk: RiskState, book: SymbolBook, now_ns: int) -> str:
    """What time will change; empty when nothing stands in the way."""
    caps, top = book.caps, book.top
    if caps is None or top is None or not 0 < top.bid_px < top.ask_px:
        return "no market data, or a crossed book"
    if now_ns - book.top_ns > caps.market_data_age_ms_max * NS_PER_MS:
        return "the market data is too old"
    if book.blocked:
        return f"the symbol is blocked: {book.blocked}"
    if book.unknown_count:
        return "an order on it has no known outcome yet"
    watch = risk.alerts.watch
    second, minute = risk.windows.orders.counts(now_ns)[:2]
    messages = risk.windows.messages(now_ns)
    for count, cap, limit in (
        (second, "orders_per_second_max", watch["orders_per_second_max"].limit),
        (minute, "orders_per_minute_max", watch["orders_per_minute_max"].limit),
        (book.minute.count(now_ns), "orders_per_minute_max", caps.orders_per_minute_max),
        (messages[0], "messages_per_second_max", watch["messages_per_second_max"].limit),
        (messages[1], "messages_per_minute_max", watch["messages_per_minute_max"].limit),
    ):
        if count + 1 > limit:
            return f"{cap} is used up"
    return ""


def _roads(
    risk: RiskState, book: SymbolBook, caps: SymbolCaps, f: Instrument, side: Side
) -> list[_Road]:
    """MARKET, then LIMIT IOC, as far as caps and venue let them leave at all."""
    top = book.top
    if top is None:
        return []
    is_sell = side is Side.SELL
    slip, edge = caps.market_slippage_bps, caps.collar_bps_max
    ref = (top.bid_px + top.ask_px) / 2 if caps.collar_reference == "mid" else book.last
    touch = top.bid_px if is_sell else top.ask_px
    worst = touch * (BPS - slip if is_sell else BPS + slip) / BPS
    roads = []
    if OrderType.MARKET in book.order_types and abs(worst - ref) * BPS <= ref * edge:
        roads.append(_road(risk, book, caps, f, kind=OrderType.MARKET, px=worst))
    if OrderType.LIMIT in book.order_types and TimeInForce.IOC in caps.times_in_force:
        if is_sell:
            lowest = max(worst, ref * (BPS - edge) / BPS, ref * f.ask_multiplier_down)
            price = ceil_to(max(lowest, book.price_low), book.tick)
            reaches = price <= touch
        else:
            highest = min(worst, ref * (BPS + edge) / BPS, book.price_high)
            if f.bid_multiplier_up:
                highest = min(highest, ref * f.bid_multiplier_up)
            price = floor_to(highest, book.tick)
            reaches = price >= touch
        if reaches and price > ZERO:
            roads.append(_road(risk, book, caps, f, kind=OrderType.LIMIT, px=price))
    return roads


def _road(
    risk: RiskState,
    book: SymbolBook,
    caps: SymbolCaps,
    f: Instrument,
    *,
    kind: OrderType,
    px: Decimal,
) -> _Road:
    top = book.top
    is_market = kind is OrderType.MARKET
    bid, ask = (top.bid_px, top.ask_px) if top else (px, px)
    value_px = max(px, ask)
    step = _step_of(f, book.qty_step) if is_market else book.qty_step
    lows = [(book.qty_low, "LOT_SIZE"), (step, "LOT_SIZE")]
    highs = [
        (book.qty_high, "LOT_SIZE"),
        (caps.order_qty_base_max, "order_qty_base_max"),
        (caps.order_notional_quote_max / value_px, "order_notional_quote_max"),
        _free(risk, book, px),
    ]
    if is_market:
        lows.append((f.market_qty_min, "MARKET_LOT_SIZE"))
        if f.market_qty_max:
            highs.append((f.market_qty_max, "MARKET_LOT_SIZE"))
    if f.notional_min and (not is_market or f.notional_min_applies_to_market):
        lows.append((ceil_to(f.notional_min / (bid if is_market else px), step), "NOTIONAL"))
    if f.notional_max and (not is_market or f.notional_max_applies_to_market):
        highs.append((f.notional_max / px, "NOTIONAL"))
    low, low_name = max(lows)
    high, high_name = min(highs)
    low = ceil_to(low, step)
    return _Road(
        kind, None if is_market else px, step, low, floor_to(high, step), low_name, high_name
    )


def _step_of(f: Instrument, lot: Decimal) -> Decimal:
    """The step of a MARKET order: a multiple of both LOT_SIZE and MARKET_LOT_SIZE."""
    if not f.market_lot:
        return lot
    scale = min(_exponent(lot), _exponent(f.market_lot))
    units = [int(one.scaleb(-scale)) for one in (lot, f.market_lot)]
    return Decimal(lcm(*units)).scaleb(scale)


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _free(risk: RiskState, book: SymbolBook, px: Decimal) -> tuple[Decimal, str]:
    """What the free balance pays for, in base."""
    is_sell = book.position > 0
    pays_value = book.pays_value(is_buy=not is_sell)
    asset = book.quote if pays_value else book.base
    account = risk.books.accounts.get(asset)
    if account is None or not account.known:
        return ZERO, f"the balance of {asset} is not known"
    floor = risk.capset.balance_free_min.get(asset, ZERO)
    free = max(account.free - account.inflight - account.unsettled - floor, ZERO)
    return free / px if pays_value else free, f"free {asset} ({plain(free)})"


def _take(room: Decimal, road: _Road, least: Decimal) -> Decimal:
    """How much goes by this road now, 0 when nothing; a rest is large enough to go, too."""
    qty = floor_to(min(room, road.high), road.step)
    if qty < road.low:
        return ZERO
    rest = room - qty
    if ZERO < rest < least:
        smaller = floor_to(room - least, road.step)
        if road.low <= smaller and (qty < floor_to(room, road.step)):
            return smaller
    return qty


def _kept(roads: list[_Road], room: Decimal, now_ns: int) -> NoSlice:
    """Every road is closed to what is left: say by what."""
    said = []
    for road in roads:
        if road.high < road.low:
            bound = f"{road.high_name} admits {plain(road.high)}, {road.low_name} {plain(road.low)}"
        else:
            bound = f"below {road.low_name} ({plain(road.low)})"
        said.append(f"{road.order_type}: {bound}")
    waits = any(road.high < road.low <= room for road in roads)
    return NoSlice(why="; ".join(said), until_ns=now_ns + PAUSE_NS if waits else 0)
