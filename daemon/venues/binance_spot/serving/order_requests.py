"""Words of an order on the wire, and what a client asks for.

All amounts are ints in units of 1e-8 (units.py).
"""

from enum import StrEnum

import msgspec

from daemon.model.copies import replace
from daemon.model.enums import OrderType, Side, TimeInForce


class Status(StrEnum):
    """Order states on the wire."""

    NEW = "NEW"
    PENDING_NEW = "PENDING_NEW"
    """A list's order whose turn has not come (OTO)."""
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"


OPEN_STATUSES = frozenset({Status.NEW, Status.PENDING_NEW, Status.PARTIALLY_FILLED})


class StpMode(StrEnum):
    """Self-trade prevention; the taker's mode decides."""

    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"
    DECREMENT = "DECREMENT"


class PegType(StrEnum):
    """What a pegged order takes its price from: its own side's best, or the other side's."""

    PRIMARY_PEG = "PRIMARY_PEG"
    MARKET_PEG = "MARKET_PEG"


STOP_TYPES = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT})
TAKE_TYPES = frozenset({OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT})
TRIGGER_TYPES = STOP_TYPES | TAKE_TYPES
LIMIT_WITH_TIF = frozenset(
    {OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT}
)
MARKET_TYPES = frozenset({OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})


class PlaceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks. `client_order_id` empty: the venue invents one."""

    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce = TimeInForce.GTC
    qty: int = 0
    price: int = 0
    quote_order_qty: int = 0
    stop_price: int = 0
    iceberg_qty: int = 0
    trailing_bps: int = 0
    peg: PegType | None = None
    peg_levels: int = 0
    client_order_id: str = ""
    stp_mode: StpMode = StpMode.EXPIRE_MAKER
    strategy_id: int | None = None
    strategy_type: int | None = None
    is_open_sized: bool = False
    """Its quantity is known only when its moment comes (OPO)."""


class ListRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks. `pair` is (above, below) of an OCO, or of an OTO's second phase."""

    symbol: str
    client_id: str = ""
    first: PlaceRequest | None = None
    """The working order of an OTO; None for an OCO."""
    pending: PlaceRequest | None = None
    pair: tuple[PlaceRequest, PlaceRequest] | None = None
    pays: bool = False

    @property
    def requests(self) -> tuple[PlaceRequest, ...]:
        """All orders of the list, in the order in which they get their ids."""
        singles = tuple(one for one in (self.first, self.pending) if one is not None)
        return (*singles, *(self.pair or ()))

    def sized(self, qty: int) -> "ListRequest":
        """The same, with this quantity for all orders behind the first, which pays for them."""
        pair, pending = self.pair, self.pending
        return replace(
            self,
            pending=None if pending is None else replace(pending, qty=qty),
            pair=None if pair is None else (replace(pair[0], qty=qty), replace(pair[1], qty=qty)),
        )
