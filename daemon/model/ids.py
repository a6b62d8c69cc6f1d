"""Identifiers: distinct types, never plain strings.

Rules of this file:
1. An id is opaque to everybody but the function here that makes it.
2. Ids are deterministic: run number + counter, so that a restart recognises its own orders.
"""

import unicodedata
from dataclasses import dataclass
from typing import NewType

ClientOrderId = NewType("ClientOrderId", str)
"""FIX ClOrdID (11). Ours; unique for ever within a state directory, never resent."""
VenueOrderId = NewType("VenueOrderId", str)
"""FIX OrderID (37). The venue's; unique per symbol on Binance Spot."""
ExecId = NewType("ExecId", str)
"""FIX ExecID (17). Dedupe key of a fill: `symbol:trade_id:venue_order_id` (a self-trade puts one
trade id on two of our orders, venues/binance-spot.md §13)."""
InstrumentId = NewType("InstrumentId", str)
"""`SYMBOL@venue`, for example `BTCUSDT@binance-spot-testnet`: a symbol *and* the venue it is on."""
StrategyId = NewType("StrategyId", str)
SessionId = NewType("SessionId", str)
RunId = NewType("RunId", str)
"""One boot of the daemon: `<instance>-<run number in base 36>`."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
SYMBOL_CHARS_MAX = 40
CLIENT_ORDER_ID_PREFIX = "st"
CLIENT_ORDER_ID_MAX_LENGTH = 36
"""`^[a-zA-Z0-9-_]{1,36}$`, venues/binance-spot.md §5."""


def base36(number: int) -> str:
    """Write a non-negative integer in base 36, lower case."""
    if number < 0:
        raise ValueError(f"base36 takes a non-negative integer, got {number}")
    out = ""
    while True:
        number, digit = divmod(number, 36)
        out = _DIGITS[digit] + out
        if number == 0:
            return out


def instrument_id(symbol: str, venue: str) -> InstrumentId:
    """Name an instrument: venue symbol (upper case) and venue environment name."""
    if not symbol or "@" in symbol or not venue or "@" in venue:
        raise ValueError(f"not an instrument: symbol {symbol!r}, venue {venue!r}")
    return InstrumentId(f"{symbol}@{venue}")


def is_symbol(text: str) -> bool:
    """Whether a venue may list it: letters and digits of any script, in upper case.

    Streams are named in lower case, so a letter whose case does not come back is none.
    """
    return (
        0 < len(text) <= SYMBOL_CHARS_MAX
        and text.isalnum()
        and text == unicodedata.normalize("NFC", text)
        and text == text.upper() == text.lower().upper()
    )


def symbol_of(instrument: InstrumentId) -> str:
    """The venue symbol of an instrument id."""
    return instrument.partition("@")[0]


def venue_of(instrument: InstrumentId) -> str:
    """The venue environment name of an instrument id."""
    return instrument.partition("@")[2]


def run_id(instance: str, run_number: int) -> RunId:
    """Name a boot: the state directory's instance (6 of [a-z0-9]) and its boot count."""
    if len(instance) != 6 or not all(c in _DIGITS for c in instance):
        raise ValueError(f"an instance name is six of [0-9a-z], got {instance!r}")
    return RunId(f"{instance}-{base36(run_number)}")


def is_ours(client_order_id: str, instance: str) -> bool:
    """Whether an order at the venue carries this state directory's prefix, from any run of it."""
    return client_order_id.startswith(f"{CLIENT_ORDER_ID_PREFIX}{instance}-")


@dataclass(slots=True)
class ClientOrderIdFactory:
    """Mints `st<instance>-<run>-<counter>`; only the interceptor holds one."""

    run: RunId
    counter: int = 0
    _stem: str = ""
    _stem_of: int = -1

    def mint(self) -> ClientOrderId:
        """The next id. Deterministic: replaying a run mints the same ids in the same order."""
        self.counter += 1
        high, low = divmod(self.counter, 36)
        if high != self._stem_of:  # all but the last digit stays for 36 orders
            self._stem = f"{CLIENT_ORDER_ID_PREFIX}{self.run}-{base36(high) if high else ''}"
            self._stem_of = high
            if len(self._stem) >= CLIENT_ORDER_ID_MAX_LENGTH:
                raise ValueError(f"client order id {self._stem!r}… is longer than the venue takes")
        return ClientOrderId(self._stem + _DIGITS[low])
