"""Identifiers: distinct types, never plain strings.

Rules of this file:
1. An id is opaque to everybody but the function here that makes it.
2. Ids are deterministic: run + counter, so that a restart recognises its own orders.
3. The kind of a client order id stands at a fixed place, so that no id reads as another order's:

       st abc123 o 001 k3x 0000c      order 12 of run 1
       st abc123 c 001 k3x 0000c      the cancel of that order (also as a part of a replace)
       st abc123 l 001 k3x 0000c      the order list whose first order is that order

   prefix, instance (6), kind (1), run number (3 or more), nonce of the boot (3), counter (5). That
   is 20 of the venue's 36 letters; what is appended one day follows a `-`. The nonce keeps ids of
   two boots apart that count the same number, as after a restored backup.
4. Builds before 2026-12 wrote `stabc123-1-c`, and `-c` behind it for the cancel. Where the kind
   stands now they have a `-`; such ids are recognised for ever and never minted.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple, NewType

ClientOrderId = NewType("ClientOrderId", str)
"""FIX ClOrdID (11). Ours; unique for ever within a state directory, never resent."""
VenueOrderId = NewType("VenueOrderId", str)
"""FIX OrderID (37). The venue's; unique per symbol on Binance Spot."""
ExecId = NewType("ExecId", str)
"""FIX ExecID (17). Dedupe key of a fill: `symbol:trade_id:venue_order_id` (a self-trade puts one
trade id on two of our orders, binance-spot.md §13)."""
InstrumentId = NewType("InstrumentId", str)
"""`SYMBOL@venue`, for example `BTCUSDT@binance-spot-testnet`: a symbol *and* the venue it is on."""
StrategyId = NewType("StrategyId", str)
SessionId = NewType("SessionId", str)
RunId = NewType("RunId", str)
"""One boot of the daemon: `<instance>-<run number in base 36>-<nonce>`; old builds had no nonce."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
SYMBOL_CHARS_MAX = 40
CLIENT_ORDER_ID_PREFIX = "st"
CLIENT_ORDER_ID_MAX_LENGTH = 36
"""`^[a-zA-Z0-9-_]{1,36}$`, binance-spot.md §5."""
_KIND_AT = 8
_ORDER, _CANCEL, _LIST, _OLD_SEPARATOR = "o", "c", "l", "-"
_KINDS = frozenset({_ORDER, _CANCEL, _OLD_SEPARATOR})
_OLD_CANCEL_SUFFIX = "-c"
_RUN_LENGTH, _NONCE_LENGTH, _COUNTER_LENGTH = 3, 3, 5
_NO_NONCE = "000"
_COUNTER_HIGH_MAX = 36 ** (_COUNTER_LENGTH - 1)
_NUMBER = re.compile(r"[0-9a-z]+")
_NEW = re.compile(
    r"st([0-9a-z]{6})([oc])([0-9a-z]{3,8})([0-9a-z]{3})([0-9a-z]{5})(?:-[0-9A-Za-z]+)?", re.ASCII
)
_OLD = re.compile(r"st([0-9a-z]{6})-([0-9a-z]+)-([0-9a-z]+)(-c)?", re.ASCII)


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


def instrument_of(name: str, venue: str) -> InstrumentId:
    """A configured instrument: an id as it stands, a bare symbol on `venue`."""
    return InstrumentId(name) if "@" in name else instrument_id(name, venue)


def asset_id(asset: str, venue: str) -> str:
    """An asset of another venue than the first: equal names on two venues are two assets."""
    return f"{asset}@{venue}"


def asset_name(asset: str) -> str:
    """The name of an asset, whichever venue it lies at."""
    return asset.partition("@")[0]


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


def run_id(instance: str, run_number: int, nonce: str = "") -> RunId:
    """Name a boot: the state directory's instance (6 of [a-z0-9]), its boot count, its nonce."""
    if len(instance) != 6 or not all(c in _DIGITS for c in instance):
        raise ValueError(f"an instance name is six of [0-9a-z], got {instance!r}")
    if nonce and (len(nonce) != _NONCE_LENGTH or not all(c in _DIGITS for c in nonce)):
        raise ValueError(f"a nonce is three of [0-9a-z], got {nonce!r}")
    return RunId("-".join([instance, base36(run_number), *([nonce] if nonce else [])]))


def run_number_of(run: str) -> int:
    """The boot count in a run id of any build; 0 where there is none."""
    parts = run.split("-")
    return int(parts[1], 36) if len(parts) > 1 and _NUMBER.fullmatch(parts[1]) else 0


class ParsedId(NamedTuple):
    """What a client order id of ours says of itself."""

    instance: str
    is_cancel: bool
    run_number: int
    nonce: str
    counter: int


def parse_id(shown: str) -> ParsedId | None:
    """Read an id of this build or an old one; None: no seatrial made it."""
    found = _NEW.fullmatch(shown)
    if found is not None:
        instance, kind, run, nonce, counter = found.groups()
        return ParsedId(instance, kind == _CANCEL, int(run, 36), nonce, int(counter, 36))
    found = _OLD.fullmatch(shown)
    if found is None:
        return None
    instance, run, counter, suffix = found.groups()
    return ParsedId(instance, bool(suffix), int(run, 36), "", int(counter, 36))


def is_ours(client_order_id: str, instance: str) -> bool:
    """Whether an order at the venue carries this state directory's name, from any run of it."""
    return (
        client_order_id.startswith(f"{CLIENT_ORDER_ID_PREFIX}{instance}")
        and client_order_id[_KIND_AT : _KIND_AT + 1] in _KINDS
    )


def is_lost(shown: str, instance: str, newest: str) -> bool:
    """Whether an order at the venue is ours and later than `newest`, the last that we know of."""
    seen = parse_id(shown)
    if seen is None or seen.instance != instance or seen.is_cancel:
        return False
    return (seen.run_number, seen.counter) > rank_of(newest)


def rank_of(client_order_id: str) -> tuple[int, int]:
    """Later orders of one state directory rank higher; what is none ranks lowest."""
    seen = parse_id(client_order_id)
    return (0, 0) if seen is None else (seen.run_number, seen.counter)


def cancel_id(client_order_id: str) -> str | None:
    """The id that a cancel of this order carries, or None where it has no room for one."""
    if _NEW.fullmatch(client_order_id):
        return f"{client_order_id[:_KIND_AT]}{_CANCEL}{client_order_id[_KIND_AT + 1 :]}"
    derived = f"{client_order_id}{_OLD_CANCEL_SUFFIX}"
    return derived if len(derived) <= CLIENT_ORDER_ID_MAX_LENGTH else None


def list_id_of(first: str) -> str:
    """The id of the order list whose first order has this id."""
    return f"{first[:_KIND_AT]}{_LIST}{first[_KIND_AT + 1 :]}"


def first_of_list(list_id: str) -> ClientOrderId:
    """The id of the first order of the order list with this id."""
    return ClientOrderId(f"{list_id[:_KIND_AT]}{_ORDER}{list_id[_KIND_AT + 1 :]}")


def own_id_of(shown: str) -> str:
    """The order's own id behind the id that a row shows (a cancel of ours may have renamed it)."""
    seen = parse_id(shown)
    if seen is None or not seen.is_cancel:
        return shown
    if shown[_KIND_AT] == _CANCEL:
        return f"{shown[:_KIND_AT]}{_ORDER}{shown[_KIND_AT + 1 :]}"
    return shown.removesuffix(_OLD_CANCEL_SUFFIX)


def instance_of_order(client_order_id: str) -> str:
    """The state directory's instance that an order's id names; empty for other programs' ids."""
    stem, dash, _ = client_order_id.partition("-")
    instance = stem.removeprefix(CLIENT_ORDER_ID_PREFIX)
    is_made_here = dash and len(instance) == 6 and len(stem) == 8
    return instance if is_made_here and all(c in _DIGITS for c in instance) else ""


@dataclass(slots=True)
class ClientOrderIdFactory:
    """Mints the ids of one run; only the interceptor holds one."""

    run: RunId
    counter: int = 0
    _stem: str = ""
    _stem_of: int = -1

    def mint(self) -> ClientOrderId:
        """The next id. Deterministic: replaying a run mints the same ids in the same order."""
        self.counter += 1
        high, low = divmod(self.counter, 36)
        if high != self._stem_of:  # all but the last digit stays for 36 orders
            if high >= _COUNTER_HIGH_MAX:
                raise ValueError(f"run {self.run} has minted all its ids; restart the daemon")
            self._stem = f"{self._prefix()}{base36(high).rjust(_COUNTER_LENGTH - 1, '0')}"
            self._stem_of = high
        return ClientOrderId(self._stem + _DIGITS[low])

    def upcoming(self) -> ClientOrderId:
        """The id that `mint` gives next; nothing is used up."""
        made = self.mint()
        self.counter -= 1
        return made

    def saw(self, client_order_id: str) -> None:
        """An id was minted before, by this run: the next ones come after it."""
        if client_order_id.startswith(self._prefix()):
            self.counter = max(self.counter, int(client_order_id[-_COUNTER_LENGTH:], 36))

    def _prefix(self) -> str:
        instance, number, *nonce = self.run.split("-")
        return (
            f"{CLIENT_ORDER_ID_PREFIX}{instance}{_ORDER}"
            f"{number.rjust(_RUN_LENGTH, '0')}{nonce[0] if nonce else _NO_NONCE}"
        )
