"""Names of market streams: which there are, and what a name means."""

from collections.abc import Container

import msgspec

from daemon.venues.binance_spot.serving.intervals import HOUR_NS, INTERVAL_NS, WINDOW_NS

_PLAIN = frozenset(
    {
        "aggTrade",
        "avgPrice",
        "blockTrade",
        "bookTicker",
        "miniTicker",
        "referencePrice",
        "ticker",
        "trade",
    }
)
_DEPTHS = frozenset({"depth", "depth5", "depth10", "depth20"})
_SPEEDS = frozenset({"", "100ms", "1000ms"})
_ALL_MARKETS = frozenset({"!miniTicker@arr", *(f"!ticker_{window}@arr" for window in WINDOW_NS)})
_EAST_8 = "+08:00"


class CandleName(msgspec.Struct, frozen=True):
    """What `<symbol>@kline_<interval>` and its +08:00 form ask for."""

    symbol: str
    interval: str
    offset_ns: int


def candle_name(name: str) -> CandleName | None:
    """The candles that a stream name asks for; None when it is no candle stream."""
    symbol, _, kind = name.partition("@")
    interval, _, zone = kind.removeprefix("kline_").partition("@")
    if not kind.startswith("kline_") or interval not in INTERVAL_NS or zone not in {"", _EAST_8}:
        return None
    if kind.endswith("@"):
        return None
    return CandleName(symbol.upper(), interval, 8 * HOUR_NS if zone else 0)


def is_stream(name: str, symbols: Container[str]) -> bool:
    """Whether a market stream of this venue is called so; `symbols` holds the listed ones."""
    if name in _ALL_MARKETS:
        return True
    symbol, at, kind = name.partition("@")
    if symbol.upper() not in symbols or symbol != symbol.lower():
        return False
    if kind in _PLAIN or candle_name(name) is not None:
        return True
    kind, at, speed = kind.partition("@")
    if kind in _DEPTHS:
        return speed in _SPEEDS and bool(at) == bool(speed)
    return not at and kind.removeprefix("ticker_") in WINDOW_NS and kind.startswith("ticker_")
