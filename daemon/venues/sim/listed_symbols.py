"""The venue's own instrument table, in the shape of a modern exchangeInfo.

Rules of this file:
1. `tick * step` is a whole number of 1e-8 (units.py rule 2); `SymbolSpec` refuses anything else.
2. A spec is a value; the venue's live copy (status, changed filters) stands in `symbol_market.py`.
"""

from decimal import Decimal

import msgspec

from daemon.model.instrument import Instrument
from daemon.venues.binance_spot.serving.units import E8, e8_of


class UnknownSymbolError(ValueError):
    """A symbol that is not in the venue's table."""


class ExchangeFilters(msgspec.Struct, frozen=True, kw_only=True):
    """How many open orders an account may have on all symbols together; zero: no limit."""

    orders: int = 1_000
    algo_orders: int = 200
    iceberg_orders: int = 10_000
    order_lists: int = 100


class SymbolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument. Amounts in units of 1e-8; multipliers in units of 1e-8 too."""

    symbol: str
    base: str
    quote: str
    tick: int
    step: int
    start_price: int
    """Where the background flow starts, and the price it is drawn back to."""
    typical_notional: int
    """Size of a usual background order, in quote."""
    spread_ticks: int
    """Usual distance of the background's best bid and ask."""
    min_qty: int
    max_qty: int
    max_market_qty: int
    min_notional: int
    max_notional: int
    max_price: int
    """Of these bounds and the factors below, zero means that there is no such bound."""
    min_price: int = -1
    """Below zero: the tick."""
    percent_up: int = 5 * E8
    percent_down: int = E8 // 5
    range_up: int = 2 * E8
    range_down: int = E8 // 2
    """The price range execution rule: how far from the reference price a taker may trade."""
    avg_price_mins: int = 5
    max_num_orders: int = 200
    max_num_algo_orders: int = 5
    max_num_iceberg_orders: int = 20
    max_num_order_lists: int = 20
    iceberg_parts: int = 100
    trailing_bps_min: int = 10
    trailing_bps_max: int = 2000
    max_position: int = 0
    """Zero: the symbol has no MAX_POSITION filter."""

    @property
    def least_price(self) -> int:
        """What `minPrice` says."""
        return self.tick if self.min_price < 0 else self.min_price

    def __post_init__(self) -> None:
        if self.tick * self.step % E8:
            raise ValueError(f"{self.symbol}: tick x step must be a whole number of 1e-8")


def _spec(
    base: str,
    quote: str,
    *,
    tick: str,
    step: str,
    price: str,
    notional: str,
    min_notional: str,
    spread_ticks: int,
) -> SymbolSpec:
    step_units = e8_of(step)
    return SymbolSpec(
        symbol=base + quote,
        base=base,
        quote=quote,
        tick=e8_of(tick),
        step=step_units,
        start_price=e8_of(price),
        typical_notional=e8_of(notional),
        spread_ticks=spread_ticks,
        min_qty=step_units,
        max_qty=step_units * 900_000_000,
        max_market_qty=step_units * 10_000_000,
        min_notional=e8_of(min_notional),
        max_notional=e8_of("9000000"),
        max_price=e8_of("1000000"),
    )


# Rows are our own; names, ticks and minima follow what the real venue lists today.
SYMBOLS: dict[str, SymbolSpec] = {
    spec.symbol: spec
    for spec in (
        _spec(
            "BTC",
            "USDT",
            tick="0.01",
            step="0.00001",
            price="60000",
            notional="600",
            min_notional="5",
            spread_ticks=100,
        ),
        _spec(
            "ETH",
            "USDT",
            tick="0.01",
            step="0.0001",
            price="3000",
            notional="500",
            min_notional="5",
            spread_ticks=10,
        ),
        _spec(
            "BNB",
            "USDT",
            tick="0.01",
            step="0.001",
            price="600",
            notional="300",
            min_notional="5",
            spread_ticks=4,
        ),
        _spec(
            "币安人生",  # the real venue lists such names
            "USDT",
            tick="0.0001",
            step="0.1",
            price="0.25",
            notional="300",
            min_notional="5",
            spread_ticks=2,
        ),
        _spec(
            "XRP",
            "USDT",
            tick="0.0001",
            step="0.1",
            price="0.6",
            notional="300",
            min_notional="5",
            spread_ticks=2,
        ),
        _spec(
            "SOL",
            "USDT",
            tick="0.01",
            step="0.001",
            price="150",
            notional="300",
            min_notional="5",
            spread_ticks=2,
        ),
        _spec(
            "LTC",
            "USDT",
            tick="0.01",
            step="0.001",
            price="80",
            notional="250",
            min_notional="5",
            spread_ticks=2,
        ),
        _spec(
            "ADA",
            "USDT",
            tick="0.0001",
            step="0.1",
            price="0.45",
            notional="250",
            min_notional="5",
            spread_ticks=2,
        ),
        _spec(
            "DOGE",
            "USDT",
            tick="0.00001",
            step="1",
            price="0.12",
            notional="250",
            min_notional="5",
            spread_ticks=4,
        ),
        _spec(
            "ETH",
            "BTC",
            tick="0.00001",
            step="0.001",
            price="0.05",
            notional="0.02",
            min_notional="0.0001",
            spread_ticks=2,
        ),
        _spec(
            "XRP",
            "ETH",
            tick="0.00000001",
            step="1",
            price="0.00141342",
            notional="0.3",
            min_notional="0.001",
            spread_ticks=90,
        ),
    )
}
DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT", "ETHBTC")


def spec_of(symbol: str) -> SymbolSpec:
    """The table's row.

    Raises:
        UnknownSymbolError: naming the symbols that exist.
    """
    spec = SYMBOLS.get(symbol)
    if spec is None:
        known = ", ".join(SYMBOLS)
        raise UnknownSymbolError(f"symbol {symbol!r} is not in the venue's table; known: {known}")
    return spec


def units_of(amount: Decimal) -> int:
    """An amount in units of 1e-8; what is finer is cut off."""
    return int(amount.scaleb(8))


def spec_from(instrument: Instrument, price: Decimal) -> SymbolSpec:
    """The row of a symbol that another venue lists, with that venue's filters.

    Raises:
        ValueError: tick x step is no whole number of 1e-8.
    """
    step = max(1, units_of(instrument.lot))
    return SymbolSpec(
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        tick=max(1, units_of(instrument.tick)),
        step=step,
        start_price=units_of(price),
        typical_notional=units_of(max(instrument.notional_min, price * instrument.lot)),
        spread_ticks=1,
        min_qty=units_of(instrument.qty_min),
        max_qty=units_of(instrument.qty_max),
        max_market_qty=units_of(instrument.market_qty_max),
        min_notional=units_of(instrument.notional_min),
        max_notional=units_of(instrument.notional_max),
        max_price=units_of(instrument.price_max),
        min_price=units_of(instrument.price_min),
        percent_up=units_of(instrument.bid_multiplier_up),
        percent_down=units_of(instrument.ask_multiplier_down),
        max_num_orders=instrument.orders_open_max,
        max_num_algo_orders=instrument.algo_orders_open_max,
        max_num_iceberg_orders=instrument.iceberg_orders_open_max,
    )
