"""What an adapter and the shell tell each other of a venue: values, rows, books.

A row (`OrderRow`, `TradeRow`) is the venue's own line, decoded once; the link reads of it what is
declared here and hands it back to the adapter's `reader` for a report.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import msgspec

from daemon.venues.faults import Fault

if TYPE_CHECKING:  # a stop waits for every import
    from daemon.model.enums import Side
    from daemon.model.inputs import Input, RequestKind
    from daemon.model.instrument import Instrument
    from daemon.model.market import TopOfBook, TradeTick
    from daemon.model.position import Balance


# -------------------------------------------------------------------- what a venue can do, and asks
class VenueCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue can do, where the shell acts by it; what it cannot encode it refuses itself."""

    cancel_all: bool
    """Whether one request cancels everything on a symbol."""
    usual_fee_asset: str = ""
    """What fees may be paid in, beside base and quote, where the venue does not say."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What requests on the order connection weigh; REST requests carry their own weight."""

    place: int
    cancel: int
    replace: int
    amend: int
    ping: int
    connect: int
    charged_always: "frozenset[RequestKind]" = frozenset()
    """Kinds that are charged when they succeed, too."""


class RateLimitRow(msgspec.Struct, rename="camel"):
    """One limit of the venue, in the words of the governor; `count` is set in replies only."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int
    count: int | None = None


class RatePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a venue counts us, and how it says that it is enough."""

    documented: tuple[RateLimitRow, ...]
    """Limits until the venue tells its own."""
    header_of: Callable[[RateLimitRow], str]
    """The answer header that carries the count of a limit; empty where none does."""
    scopes: Mapping[int, str]
    """HTTP statuses that refuse for rate without a typed body, and what each is about."""
    retry_at_ms: Callable[[str | None, int], int]
    """`Retry-After` and venue time in ms -> venue epoch ms; 0: nothing usable."""
    until_ms_in: Callable[[str], int]
    """The venue epoch ms that a refusal's text names; 0: none."""


# -------------------------------------------------------------------- rows and answers
class OpenRow(Protocol):
    """Of an open order what a cancel needs."""

    @property
    def symbol(self) -> str:
        """The venue's symbol."""

    @property
    def order_id(self) -> int:
        """The venue's number of the order, ascending within a symbol."""

    @property
    def client_order_id(self) -> str:
        """The id that the venue shows; not always the order's own."""


class OrderRow(OpenRow, Protocol):
    """One order as the venue shows it."""

    @property
    def executed(self) -> bool:
        """Whether any of it was traded. Raises `Undecodable` when its quantity is no amount."""

    @property
    def is_canceled(self) -> bool:
        """Whether it was canceled."""


class TradeRow(Protocol):
    """One trade of the account's history."""

    @property
    def symbol(self) -> str:
        """The venue's symbol."""

    @property
    def id(self) -> int:
        """The trade's number, ascending within a symbol."""

    @property
    def order_id(self) -> int:
        """The number of the order that traded."""


class AccountFacts(NamedTuple):
    """What the venue says of the account; flags describe it, not the key."""

    balances: "tuple[Balance, ...]"
    can_trade: bool
    can_withdraw: bool


NOT_LISTED = "the venue does not list it"


class Listed(NamedTuple):
    """Our symbols as far as the venue lists them."""

    instruments: "tuple[Instrument, ...]"
    absent: dict[str, str]
    """Why the others are not there."""
    limits: tuple[RateLimitRow, ...]
    unknown_filters: tuple[str, ...]
    """Kinds of filters that no rule of ours knows: the venue may refuse what we approve."""


def unknown_text(kinds: Iterable[str]) -> str:
    """What an operator must know of filters without a rule."""
    return (
        f"the venue has filters that this build has no rule for: {', '.join(kinds)}; it may refuse "
        "orders that the caps approve; look for a newer build"
    )


class WsReply(msgspec.Struct, frozen=True):
    """The answer to one request on the order connection; `fault` is set when it is an error."""

    request_id: str
    status: int
    result: msgspec.Raw
    fault: Fault | None
    error_data: Any
    rate_limits: list[RateLimitRow]


class SocketNotice(msgspec.Struct, frozen=True):
    """A frame of the order connection that is neither a reply nor an input of the engine."""

    name: str
    ends: str = ""
    """Why this connection is of no more use; empty: it is."""
    renews: bool = False
    """Whether the venue wants us on a new connection."""


SocketMessage: TypeAlias = "WsReply | Input | SocketNotice"


# -------------------------------------------------------------------- market data
Best = tuple[Decimal, Decimal, Decimal, Decimal]
"""Best bid price and quantity, best ask price and quantity."""


class DepthDiff(msgspec.Struct, frozen=True):
    """One diff: absolute quantities at prices; quantity zero removes."""

    symbol: str
    first_update_id: int
    last_update_id: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    ts_venue_ns: int


class StreamNotice(msgspec.Struct, frozen=True):
    """Anything that is not market data: a command's reply, a shutdown, an unasked kind."""

    name: str
    renews: bool = False
    """Whether the venue wants us on a new connection."""


MarketEvent: TypeAlias = "TopOfBook | TradeTick | DepthDiff | StreamNotice"


class Depth(Protocol):
    """A snapshot of one book."""

    @property
    def last_update_id(self) -> int:
        """Where in the count of the stream's diffs it stands."""

    def top(self, side: "Side") -> tuple[Decimal, Decimal] | None:
        """Best price and quantity of a side; None when it is empty. Raises `Undecodable`."""


class Book(Protocol):
    """One symbol's book of one connection: diffs at once, then a snapshot."""

    bids: dict[Decimal, Decimal]
    asks: dict[Decimal, Decimal]
    update_id: int
    epoch: int
    """How often the book was dropped: a snapshot asked for in an earlier epoch is void."""
    gaps: int
    resets: int

    @property
    def is_synced(self) -> bool:
        """Whether the book may be trusted."""

    def on_diff(self, diff: DepthDiff) -> bool:
        """Take one diff; False when it leaves the book waiting for a snapshot."""

    def on_snapshot(self, snapshot: Any) -> bool:
        """Start from a snapshot; False when it does not fit: fetch another."""

    def restart(self) -> None:
        """Forget the book: the next snapshot starts it anew."""

    def best(self) -> Best | None:
        """Top of both sides; None when not synced."""
