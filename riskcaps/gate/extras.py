"""Trailing, iceberg, pegged: what they must be, and the worst case of each.

Rules of this file:
1. An iceberg may trade whole: all of it counts, whatever is shown.
2. A trailing stop fires a market order: its worst price is the far touch (or where it begins to
   follow, if that is worse), moved by the trail and by the slippage. Only a STOP_LOSS has such a
   bound: a TAKE_PROFIT without a limit price follows the price wherever it goes, and is denied.
3. A pegged order takes any price that the book offers: it counts at the edge of the collar.
"""

from decimal import Decimal

from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent
from daemon.model.order_features import PEG_LEVELS_MAX, OrderExtras, PegPrice
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.words.denials import DenyReason
from riskcaps.words.order_kinds import MARKET_TYPES, STOP_TYPES

_STOP_LOSSES = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
_GTC_ONLY = (OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT)


def malformed_part(intent: PlaceIntent, extras: OrderExtras) -> str:
    """The name of what cannot be, or empty."""
    if type(extras) is not OrderExtras or not extras.features:
        return "extras"
    kind = intent.order_type
    if type(extras.trailing_bps) is not int or extras.trailing_bps < 0:
        return "trailing_bps"
    if extras.trailing_bps and kind not in STOP_TYPES:
        return "trailing_bps"
    shown = extras.iceberg_qty
    if shown is not None:
        if type(shown) is not Decimal or not shown.is_finite() or not 0 < shown < intent.qty:
            return "iceberg_qty"
        if kind in MARKET_TYPES or _must_rest(kind, intent):
            return "iceberg_qty"
    return _malformed_peg(intent, extras)


def _malformed_peg(intent: PlaceIntent, extras: OrderExtras) -> str:
    kind, peg, levels = intent.order_type, extras.peg, extras.peg_levels
    if type(levels) is not int or not 0 <= levels <= PEG_LEVELS_MAX:
        return "peg_levels"
    if peg is None:
        return "peg_levels" if levels else ""
    primary = peg is PegPrice.PRIMARY_PEG
    if kind in MARKET_TYPES or (kind is OrderType.LIMIT_MAKER and not primary):
        return "peg"
    return "peg" if primary and kind is OrderType.LIMIT and _must_rest(kind, intent) else ""


def _must_rest(kind: OrderType, intent: PlaceIntent) -> bool:
    """Whether it would have to be GTC and is not."""
    return kind in _GTC_ONLY and intent.time_in_force is not TimeInForce.GTC


def denied_feature(intent: PlaceIntent, extras: OrderExtras, book: SymbolBook) -> str:
    """The first feature that the caps, the venue or its worst case forbid, or empty."""
    caps, instrument = book.caps, book.instrument
    if caps is None or instrument is None:
        return "extras"
    for feature in extras.features:
        if feature not in caps.order_features or feature not in instrument.features:
            return feature.value
    boundless = intent.order_type is OrderType.TAKE_PROFIT and extras.trailing_bps
    return "TRAILING" if boundless else ""


def filter_denial(
    intent: PlaceIntent, extras: OrderExtras, book: SymbolBook, qty: Decimal
) -> DenyReason | None:
    """ICEBERG_PARTS, MAX_NUM_ICEBERG_ORDERS, TRAILING_DELTA, and LOT_SIZE of what is shown."""
    f = book.instrument
    if f is None:
        return DenyReason.INSTRUMENT_UNKNOWN
    shown = extras.iceberg_qty
    if shown is not None:
        if not book.qty_low <= shown <= book.qty_high:
            return DenyReason.FILTER_QTY
        if shown % book.qty_step:
            return DenyReason.FILTER_LOT
        if f.iceberg_parts_max and qty > shown * f.iceberg_parts_max:
            return DenyReason.FILTER_ICEBERG
        # Every open order counts as an iceberg here: the venue's count is never larger.
        if f.iceberg_orders_open_max and book.open_count + 1 > f.iceberg_orders_open_max:
            return DenyReason.FILTER_ORDERS_OPEN
    if extras.trailing_bps:
        low, high = trailing_bounds(f, intent)
        if extras.trailing_bps < low or (high and extras.trailing_bps > high):
            return DenyReason.FILTER_TRAILING
    return None


def trailing_bounds(f: Instrument, intent: PlaceIntent) -> tuple[int, int]:
    """(min, max) in basis points; STOP_LOSS BUY and TAKE_PROFIT SELL stand above the market."""
    if (intent.order_type in _STOP_LOSSES) == (intent.side is Side.BUY):
        return f.trailing_above_bps_min, f.trailing_above_bps_max
    return f.trailing_below_bps_min, f.trailing_below_bps_max
