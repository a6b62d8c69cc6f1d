"""What may leave the house, and our view of an order.

Rule of this file: a `NewOrder`, `NewOrderList`, `CancelOrder`, `ReplaceOrder` or `AmendOrder` is
made by `riskcaps/gate/interceptor.py` and nowhere else (promise P1;
tests/architecture/test_mint.py). Sessions accept nothing else.
"""

from decimal import Decimal
from typing import Annotated

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.bots import ReplaceMode, Tags
from daemon.model.enums import OrderStatus, OrderType, Side, TimeInForce
from daemon.model.ids import ClientOrderId, ExecId, InstrumentId, StrategyId, VenueOrderId
from daemon.model.list_legs import Contingency, ListLeg
from daemon.model.order_features import OrderExtras
from daemon.model.plain_values import OMIT


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue is told of an order beside its shape; no rule of the caps reads it.

    `quote_qty`: a market order for so much in quote, instead of the quantity, which is then the
    bound that the caps hold. `tags`: see `daemon.model.bots.TAGS`.
    """

    quote_qty: Decimal | None = None
    tags: Tags = ()


class NewOrder(msgspec.Struct, frozen=True):
    """FIX NewOrderSingle (D): approved, held against the caps, ready to be journalled and sent."""

    client_order_id: ClientOrderId
    strategy_id: StrategyId
    instrument_id: InstrumentId
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None
    time_in_force: TimeInForce | None
    stop_price: Decimal | None
    reduce_only: bool
    ts_ns: int
    extras: OrderExtras | None = None
    terms: OrderTerms | None = None
    order_list: ListLeg | None = None


class NewOrderList(msgspec.Struct, frozen=True, kw_only=True):
    """FIX NewOrderList (E): the orders of one list, in the order of their legs; all or none."""

    list_id: str
    contingency: Contingency
    orders: tuple[NewOrder, ...]
    pays: bool = False
    """Whether the first order pays for the others: the venue says their quantity (OPO, OPOCO)."""

    @property
    def instrument_id(self) -> InstrumentId:
        """Where all its orders are."""
        return self.orders[0].instrument_id


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """FIX OrderCancelRequest (F). `request_id` is its own id, which the order takes at the venue.

    Empty where the order's id is none of ours to derive one from: the venue makes one up.
    """

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    venue_order_id: VenueOrderId | None
    reason: str
    ts_ns: int
    request_id: str = ""


class ReplaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """FIX OrderCancelReplaceRequest (G): cancel `target`, place `order` in the same request.

    `request_id` is the id of its cancel, as in `CancelOrder`.
    """

    target: ClientOrderId
    target_venue_order_id: VenueOrderId | None
    order: NewOrder
    ts_ns: int
    mode: ReplaceMode = ReplaceMode.STOP_ON_FAILURE
    request_id: str = ""


class AmendOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Amend keep priority: `qty` is the new whole quantity, smaller than the order's own.

    `request_id` as in `CancelOrder`: the order has it at the venue from then on.
    """

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    venue_order_id: VenueOrderId | None
    qty: Decimal
    ts_ns: int
    request_id: str = ""


class Order(msgspec.Struct):
    """Our view of one order: a fold of reports by the lifecycle table. Strategies only read it.

    `qty` follows the venue: an amend makes it smaller. `cum_qty` is the sum of booked fills;
    `venue_cum_qty` is what the venue last claimed. When that is ahead of the sum, fills are missing
    and are fetched (never invented).
    """

    client_order_id: ClientOrderId
    strategy_id: StrategyId
    instrument_id: InstrumentId
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None
    time_in_force: TimeInForce | None
    stop_price: Decimal | None
    status: OrderStatus
    ts_approved_ns: int
    ts_updated_ns: int
    venue_order_id: VenueOrderId | None = None
    cum_qty: Decimal = ZERO
    cum_quote: Decimal = ZERO
    venue_cum_qty: Decimal = ZERO
    exec_ids: set[ExecId] = msgspec.field(default_factory=set)
    reduce_only: bool = False
    extras: OrderExtras | None = None
    """What it was approved with, so that a replace asks for the same again."""
    amends: int = 0
    """How often the venue has made it smaller at our wish."""
    terms: OrderTerms | None = None
    bot_order_id: str = ""
    """The id under which the bot that owns it knows it; empty: no bot does."""
    ts_venue_placed_ns: int = 0
    """A bot's order: when the venue took it, by the venue's clock; 0: not known."""
    ts_venue_ns: int = 0
    """A bot's order: its latest change, by the venue's clock."""
    order_list: Annotated[ListLeg | None, OMIT] = None
    """Its place in a list; None: an order on its own."""
    venue_list_id: Annotated[str | None, OMIT] = None
    """The venue's id of its list, once the venue has said it."""

    @property
    def leaves_qty(self) -> Decimal:
        """Open quantity if the order is live: original less booked fills, never negative."""
        left = self.qty - self.cum_qty
        return left if left > 0 else ZERO

    @property
    def is_open(self) -> bool:
        """Whether the venue may still fill it, as far as we know (UNKNOWN counts as open)."""
        return not self.status.is_terminal
