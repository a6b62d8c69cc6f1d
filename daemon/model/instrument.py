"""Instruments: what a venue trades and the filters an order must pass, in the gate's own names.

An adapter translates its venue's words; amounts are in units of base and quote.
"""

from decimal import Decimal
from typing import Annotated

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.enums import OrderType, SymbolStatus
from daemon.model.ids import InstrumentId
from daemon.model.order_features import Feature
from daemon.model.plain_values import OMIT

SPOT = "spot"


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of one venue. All amounts exact; a bound of zero means the rule is off."""

    instrument_id: InstrumentId
    symbol: str
    base: str
    quote: str
    kind: Annotated[str, OMIT] = SPOT
    """Its account model (`daemon.model.account_model`); lines of spot do not say it."""
    status: SymbolStatus
    order_types: frozenset[OrderType]
    base_precision: int
    quote_precision: int
    price_min: Decimal = ZERO
    price_max: Decimal = ZERO
    tick: Decimal = ZERO
    qty_min: Decimal = ZERO
    qty_max: Decimal = ZERO
    lot: Decimal = ZERO
    market_qty_min: Decimal = ZERO
    market_qty_max: Decimal = ZERO
    market_lot: Decimal = ZERO
    notional_min: Decimal = ZERO
    notional_min_applies_to_market: bool = True
    notional_max: Decimal = ZERO
    notional_max_applies_to_market: bool = False
    bid_multiplier_up: Decimal = ZERO
    bid_multiplier_down: Decimal = ZERO
    ask_multiplier_up: Decimal = ZERO
    ask_multiplier_down: Decimal = ZERO
    orders_open_max: int = 0
    algo_orders_open_max: int = 0
    features: frozenset[Feature] = frozenset()
    """What the venue takes on it beyond order types."""
    iceberg_parts_max: int = 0
    iceberg_orders_open_max: int = 0
    trailing_above_bps_min: int = 0
    trailing_above_bps_max: int = 0
    trailing_below_bps_min: int = 0
    trailing_below_bps_max: int = 0
    position_max: Decimal = ZERO
    asset_base_max: Decimal = ZERO
    """Largest quantity of one order (the account's own limit)."""
    asset_quote_max: Decimal = ZERO
    """Largest value of one order (the account's own limit)."""
    amends_max: int = 0
    """How often one order may be amended."""
    exchange_orders_open_max: int = 0
    """Open orders of the account on all symbols; so are the two below, for their kinds."""
    exchange_algo_orders_open_max: int = 0
    exchange_iceberg_orders_open_max: int = 0
