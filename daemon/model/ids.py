"""Identifiers: distinct types, never plain strings.

Rules of this file:
1. An id is opaque to everybody but the function here that makes it.
2. Ids are deterministic: run + counter + the journal's head, so that a restart recognises its own
   orders and re-stepping a run makes them again.
3. The kind of a client order id stands at a fixed place, so that no id reads as another order's:

       st abc123 o 001 k3x 0000c 1w3f0p9qk2m5v7xz    order 12 of run 1
       st abc123 c 001 k3x 0000c 5d8e2h1rl4n6t0ya    a cancel of that order
       st abc123 l 001 k3x 0000c 1w3f0p9qk2m5v7xz    the order list whose first order that is

   prefix, instance (6), kind (1), run number (3), nonce of the boot (3), counter of the order (5),
   digest (16): all 36 letters that the venue takes. From run 46,656 on the run number has five
   digits and a `-` behind it, and no nonce. Kinds: `o` an order, `c` its cancel, `r` the cancel
   that is a part of a replace, `a` an amend, `k` a cancel of the emergency stop. The nonce keeps
   ids of two boots apart that count the same number, as after a restored backup.
4. The digest is the first 80 bits of the SHA-256 of the journal's last line when the turn began
   that made the id, in base 36. So each order at the venue proves which journal stood before it.
5. Builds before 2026-12 wrote the same without a digest, and older ones `stabc123-1-c` (with `-c`
   behind it for the cancel). Such ids are recognised for ever and never minted.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple, NewType

from daemon.model.records import GENESIS

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
ORDER_KIND, CANCEL_KIND, REPLACE_KIND, AMEND_KIND, STOP_KIND = "o", "c", "r", "a", "k"
_LIST = "l"
_OLD_SEPARATOR = "-"
_KINDS = frozenset({ORDER_KIND, CANCEL_KIND, REPLACE_KIND, AMEND_KIND, STOP_KIND, _OLD_SEPARATOR})
_OLD_CANCEL_SUFFIX = "-c"
_RUN_LENGTH, _NONCE_LENGTH, _COUNTER_LENGTH, _WIDE_RUN_LENGTH = 3, 3, 5, 5
_NO_NONCE = "000"
_COUNTER_HIGH_MAX = 36 ** (_COUNTER_LENGTH - 1)
_STEM_LENGTH, _COUNTER_AT = 20, 15
_HEAD_DIGITS = 20
"""Hex digits of a head that a digest has: 80 bits."""
NO_DIGEST = "0" * 16
"""The digest of an id that was made where no head was known: it proves nothing."""
_PAIRS = tuple(high + low for high in _DIGITS for low in _DIGITS)
_NEW = re.compile(
    r"st([0-9a-z]{6})([ocrak])(?:([0-9a-z]{3})([0-9a-z]{3})|([0-9a-z]{5})-)"
    r"([0-9a-z]{5})([0-9a-z]{16})",
    re.ASCII,
)
# Compiled when they are first needed: a stop waits for every import.
_WITHOUT_DIGEST = r"st([0-9a-z]{6})([oc])([0-9a-z]{3,8})([0-9a-z]{3})([0-9a-z]{5})"
_OLD = r"st([0-9a-z]{6})-([0-9a-z]+)-([0-9a-z]+)(-c)?"
_NUMBER = r"[0-9a-z]+"


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


@lru_cache(maxsize=4096)
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
    return int(parts[1], 36) if len(parts) > 1 and re.fullmatch(_NUMBER, parts[1]) else 0


class ParsedId(NamedTuple):
    """What a client order id of ours says of itself."""

    instance: str
    kind: str
    """`o`, `c`, `r`, `a` or `k`; what it is about is the order with this run and counter."""
    run_number: int
    nonce: str
    counter: int
    digest: str = ""
    """Of the journal's head; empty in ids of older builds."""

    @property
    def is_order(self) -> bool:
        """Whether it is an order's own id, not that of a request about one."""
        return self.kind == ORDER_KIND


def parse_id(shown: str) -> ParsedId | None:
    """Read an id of this build or an old one; None: no seatrial made it."""
    found = _NEW.fullmatch(shown)
    if found is not None:
        instance, kind, run, nonce, wide_run, counter, digest = found.groups()
        number = int(run or wide_run, 36)
        return ParsedId(instance, kind, number, nonce or "", int(counter, 36), digest)
    found = re.fullmatch(_WITHOUT_DIGEST, shown)
    if found is not None:
        instance, kind, run, nonce, counter = found.groups()
        return ParsedId(instance, kind, int(run, 36), nonce, int(counter, 36))
    found = re.fullmatch(_OLD, shown)
    if found is None:
        return None
    instance, run, counter, suffix = found.groups()
    kind = CANCEL_KIND if suffix else ORDER_KIND
    return ParsedId(instance, kind, int(run, 36), "", int(counter, 36))


def chain_digest(head: str) -> str:
    """What an id carries of a head (64 hex digits): its first 80 bits, 16 digits of base 36."""
    high, low = divmod(int(head[:_HEAD_DIGITS], 16), 36**8)
    return _eight_digits(high) + _eight_digits(low)


def _eight_digits(number: int) -> str:
    high, low = divmod(number, 36**4)
    first, second = divmod(high, 36**2)
    third, fourth = divmod(low, 36**2)
    return _PAIRS[first] + _PAIRS[second] + _PAIRS[third] + _PAIRS[fourth]


def is_ours(client_order_id: str, instance: str) -> bool:
    """Whether an order at the venue carries this state directory's name, from any run of it."""
    return (
        client_order_id.startswith(f"{CLIENT_ORDER_ID_PREFIX}{instance}")
        and client_order_id[_KIND_AT : _KIND_AT + 1] in _KINDS
    )


def is_lost(shown: str, instance: str, newest: str) -> bool:
    """Whether an order at the venue is ours and later than `newest`, the last that we know of."""
    seen = parse_id(shown)
    if seen is None or seen.instance != instance or not seen.is_order:
        return False
    return (seen.run_number, seen.counter) > rank_of(newest)


def rank_of(client_order_id: str) -> tuple[int, int]:
    """Later orders of one state directory rank higher; what is none ranks lowest."""
    seen = parse_id(client_order_id)
    return (0, 0) if seen is None else (seen.run_number, seen.counter)


def later_of(one: str, other: str) -> str:
    """The id of the later order of one state directory; `one` where neither is later."""
    length = CLIENT_ORDER_ID_MAX_LENGTH
    if len(one) == len(other) == length and one[:_COUNTER_AT] == other[:_COUNTER_AT]:
        return max(one, other)  # of one boot: the counters stand at one place, as wide
    return other if rank_of(other) > rank_of(one) else one


def stem_of(client_order_id: str) -> str:
    """What all ids about one order share, written as an order without its digest; empty: not ours.

    The same for the order's own id, its cancels and its amends.
    """
    if _NEW.fullmatch(client_order_id):
        rest = client_order_id[_KIND_AT + 1 : _STEM_LENGTH]
        return f"{client_order_id[:_KIND_AT]}{ORDER_KIND}{rest}"
    seen = parse_id(client_order_id)
    if (
        seen is None
        or seen.counter >= 36**_COUNTER_LENGTH
        or seen.run_number >= 36**_WIDE_RUN_LENGTH
    ):
        return ""
    return (
        f"{CLIENT_ORDER_ID_PREFIX}{seen.instance}{ORDER_KIND}"
        f"{_boot_digits(base36(seen.run_number), seen.nonce)}"
        f"{base36(seen.counter).rjust(_COUNTER_LENGTH, '0')}"
    )


def without_digest(shown: str) -> str:
    """For people and narrow screens: what names the order. Other ids as they are."""
    return shown[:_STEM_LENGTH] if _NEW.fullmatch(shown) else shown


def request_id(kind: str, client_order_id: str, digest: str) -> str | None:
    """The id that a request about an order carries; None where no seatrial made the order's."""
    stem = stem_of(client_order_id)
    return f"{stem[:_KIND_AT]}{kind}{stem[_KIND_AT + 1 :]}{digest}" if stem else None


def list_id_of(first: str) -> str:
    """The id of the order list whose first order has this id."""
    return f"{first[:_KIND_AT]}{_LIST}{first[_KIND_AT + 1 :]}"


def first_of_list(list_id: str) -> ClientOrderId:
    """The id of the first order of the order list with this id."""
    return ClientOrderId(f"{list_id[:_KIND_AT]}{ORDER_KIND}{list_id[_KIND_AT + 1 :]}")


def own_id_of(shown: str) -> str:
    """The order's own id behind the id that a row shows (a request of ours may have renamed it).

    A request's digest is another than its order's, so of an id of this build only the stem is
    known (`stem_of`); who keeps the orders knows the rest.
    """
    seen = parse_id(shown)
    if seen is None or seen.is_order:
        return shown
    if seen.digest:
        return stem_of(shown)
    if shown[_KIND_AT] == CANCEL_KIND:
        return f"{shown[:_KIND_AT]}{ORDER_KIND}{shown[_KIND_AT + 1 :]}"
    return shown.removesuffix(_OLD_CANCEL_SUFFIX)


def instance_of_order(client_order_id: str) -> str:
    """The state directory's instance that an order's id names; empty for other programs' ids."""
    seen = parse_id(client_order_id)
    return "" if seen is None else seen.instance


def _boot_digits(run: str, nonce: str) -> str:
    """Six letters for a boot: run number and nonce, or a long run number alone.

    Raises:
        ValueError: the number has no room.
    """
    if len(run) <= _RUN_LENGTH:
        return f"{run.rjust(_RUN_LENGTH, '0')}{nonce or _NO_NONCE}"
    if len(run) > _WIDE_RUN_LENGTH:
        raise ValueError(f"run number {run} (base 36) has no room in an id; begin a new state_dir")
    return f"{run.rjust(_WIDE_RUN_LENGTH, '0')}-"


class ClientOrderIdFactory:
    """Mints the ids of one run; only the interceptor holds one.

    No struct: each id moves the counter, and to set a struct's field takes eight times as long.
    """

    __slots__ = ("_digest", "_digest_of", "_stem", "_stem_of", "counter", "head", "run")

    def __init__(self, run: RunId, counter: int = 0, head: str = GENESIS) -> None:
        self.run = run
        self.counter = counter
        self.head = head
        """The journal's head when the turn began that mints now; the engine sets it."""
        self._stem, self._stem_of = "", -1
        self._digest, self._digest_of = NO_DIGEST, GENESIS

    def mint(self) -> ClientOrderId:
        """The next id. Deterministic: replaying a run mints the same ids in the same order."""
        self.counter = counter = self.counter + 1
        high = counter // 36
        if high != self._stem_of:  # all but the last digit stays for 36 orders
            if high >= _COUNTER_HIGH_MAX:
                raise ValueError(f"run {self.run} has minted all its ids; restart the daemon")
            self._stem = f"{self._prefix()}{base36(high).rjust(_COUNTER_LENGTH - 1, '0')}"
            self._stem_of = high
        digest = self._digest if self.head == self._digest_of else self.digest
        # ClientOrderId() would be a call, with each order.
        return f"{self._stem}{_DIGITS[counter % 36]}{digest}"  # type: ignore[return-value]

    @property
    def digest(self) -> str:
        """Of the head; worked out once a turn, where a turn makes an id."""
        if self.head != self._digest_of:
            self._digest, self._digest_of = chain_digest(self.head), self.head
        return self._digest

    def of_request(self, kind: str, client_order_id: ClientOrderId) -> str:
        """The id of a request about an order; empty: the venue is to make one up."""
        return request_id(kind, client_order_id, self.digest) or ""

    def upcoming(self) -> ClientOrderId:
        """The id that `mint` gives next; nothing is used up."""
        made = self.mint()
        self.counter -= 1
        return made

    def saw(self, client_order_id: str) -> None:
        """An id was minted before, by this run: the next ones come after it."""
        if client_order_id.startswith(self._prefix()):
            digits = client_order_id[_COUNTER_AT:_STEM_LENGTH]
            self.counter = max(self.counter, int(digits, 36))

    def _prefix(self) -> str:
        instance, number, *nonce = self.run.split("-")
        boot = _boot_digits(number, nonce[0] if nonce else "")
        return f"{CLIENT_ORDER_ID_PREFIX}{instance}{ORDER_KIND}{boot}"
