"""Wishes. An intent has no order id and may not leave the house; the interceptor answers it."""

from decimal import Decimal
from operator import attrgetter
from types import NoneType

import msgspec

from daemon.model.bots import ReplaceMode, bot_of
from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.model.ids import ClientOrderId, InstrumentId, StrategyId
from daemon.model.list_legs import ListLeg
from daemon.model.order_features import OrderExtras
from daemon.model.orders import OrderTerms

OPERATOR = StrategyId("operator")
"""The strategy id of an operator's own wishes: they take the same route as everybody's."""
ENGINE = StrategyId("engine")
"""The strategy id of recovery and flattening."""


class PlaceIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to place one order. `price` in quote per base (None for MARKET), `qty` in base."""

    strategy_id: StrategyId
    instrument_id: InstrumentId
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce | None = TimeInForce.GTC
    stop_price: Decimal | None = None
    reduce_only: bool = False
    extras: OrderExtras | None = None
    """Trailing, iceberg, pegged; None for a plain order."""
    terms: OrderTerms | None = None
    order_list: ListLeg | None = None
    """Its place in a list; None: an order on its own."""
    reason: str = ""

    @property
    def bot(self) -> str | None:
        """The bot that wishes it; None: a strategy, the operator or the engine."""
        return bot_of(self.strategy_id)


class CancelIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to cancel one of our orders."""

    strategy_id: StrategyId
    client_order_id: ClientOrderId
    reason: str = ""


class ReplaceIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to cancel one order and place another in its stead (caps see the worst of both).

    The new order is `wish`, or without one the old order with another quantity and price.
    """

    strategy_id: StrategyId
    client_order_id: ClientOrderId
    qty: Decimal
    price: Decimal | None
    wish: PlaceIntent | None = None
    mode: ReplaceMode = ReplaceMode.STOP_ON_FAILURE
    reason: str = ""


class AmendIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to make one of our orders smaller; it keeps its id and its place in the queue.

    `qty` is the new whole quantity in base: below the present one, above what has traded.
    """

    strategy_id: StrategyId
    client_order_id: ClientOrderId
    qty: Decimal
    reason: str = ""


class TimerIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to be woken by `on_timer(name)` at or after `at_ns` (engine time)."""

    strategy_id: StrategyId
    name: str
    at_ns: int


Wish = PlaceIntent | CancelIntent | ReplaceIntent | AmendIntent | TimerIntent

_NAMES = {"strategy_id": str, "reason": str}
_SHAPES: dict[type, tuple[tuple[str, type | tuple[type, ...]], ...]] = {
    PlaceIntent: (
        *_NAMES.items(),
        ("instrument_id", str),
        ("side", Side),
        ("order_type", OrderType),
        ("time_in_force", (TimeInForce, NoneType)),
        ("reduce_only", bool),
        ("extras", (OrderExtras, NoneType)),
        ("terms", (OrderTerms, NoneType)),
        ("order_list", NoneType),  # lists are the bots': no strategy wishes one
    ),
    CancelIntent: (*_NAMES.items(), ("client_order_id", str)),
    ReplaceIntent: (
        *_NAMES.items(),
        ("client_order_id", str),
        ("wish", (PlaceIntent, NoneType)),
        ("mode", ReplaceMode),
    ),
    AmendIntent: (*_NAMES.items(), ("client_order_id", str)),
    TimerIntent: (("strategy_id", str), ("name", str), ("at_ns", int)),
}
"""Amounts are not among them: the caps deny what is none (rule 13)."""
_FIELDS = {kind: attrgetter(*(name for name, _ in shape)) for kind, shape in _SHAPES.items()}
_SOUND: dict[type, set[tuple[type, ...]]] = {kind: set() for kind in _SHAPES}
"""The types of fields that were found right before: wishes of one strategy are alike."""
_SOUND_MAX = 64


def misshapen(wish: object) -> str:
    """Which field of a wish has a type that it cannot have, as a sentence; empty: none has.

    A strategy is somebody's own code: it may write "GTC" where a `TimeInForce` belongs, and a text
    would pass comparisons up to the line that takes its `value`.
    """
    shape = _SHAPES.get(type(wish))
    if shape is None:
        return f"not a wish: {type(wish).__name__}"
    types = tuple(map(type, _FIELDS[type(wish)](wish)))
    if types in _SOUND[type(wish)]:
        shape = ()
    for name, kinds in shape:
        found = getattr(wish, name)
        if not isinstance(found, kinds):
            wanted = kinds if isinstance(kinds, type) else kinds[0]
            return f"{type(wish).__name__}.{name}: {found!r:.80} is no {wanted.__name__}"
    if len(_SOUND[type(wish)]) < _SOUND_MAX:
        _SOUND[type(wish)].add(types)
    return misshapen(wish.wish) if isinstance(wish, ReplaceIntent) and wish.wish else ""
