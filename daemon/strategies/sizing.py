"""Prices and quantities that pass the venue's filters, rounded away from trouble."""

from decimal import Decimal

from daemon.model.amounts import ZERO, ceil_to, floor_to
from daemon.model.enums import Side
from daemon.model.instrument import Instrument

NOTIONAL_MARGIN = Decimal("1.05")
"""A price may move between the wish and the venue's check."""


def passive_price(instrument: Instrument, side: Side, price: Decimal) -> Decimal:
    """The nearest price on the tick that is not better for the market than `price`."""
    tick = instrument.tick or Decimal("1E-8")
    return floor_to(price, tick) if side is Side.BUY else ceil_to(price, tick)


def taking_price(instrument: Instrument, side: Side, price: Decimal) -> Decimal:
    """The nearest price on the tick that is not worse for the market than `price`."""
    return passive_price(instrument, side.opposite, price)


def order_qty(instrument: Instrument, wanted: Decimal, price: Decimal) -> Decimal:
    """`wanted` on the lot, raised to what the filters ask at `price`; zero asks for the least.

    May come out above what a cap admits: then the interceptor denies, and that is right.
    """
    lot = instrument.lot or Decimal("1E-8")
    qty = max(floor_to(wanted, lot), instrument.qty_min)
    if instrument.notional_min and price > 0 and qty * price < instrument.notional_min:
        qty = instrument.notional_min * NOTIONAL_MARGIN / price
    return ceil_to(qty, lot)


def bps_of(price: Decimal, bps: int) -> Decimal:
    """So many hundredths of a percent of a price."""
    return price * bps / 10_000


def signed(side: Side, qty: Decimal) -> Decimal:
    """Positive for a buy, negative for a sell."""
    return qty if side is Side.BUY else ZERO - qty
