"""Bots: programs of others that trade through the gateway; the values they ask with and are told.

Rules of this file:
1. A bot's orders carry the strategy id `bot:NAME`; so the owner stands wherever a strategy's does.
2. A row is what the fold knows of one order at one moment, under the bot's own ids. It holds all
   that the venue's order rows, trade rows and execution reports need, and nothing of other bots.
3. A denial names a reason of a closed list; what the venue's dialect calls it is the gateway's.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.enums import OrderType, Side, TimeInForce, VenueOrderStatus
from daemon.model.ids import ClientOrderId, InstrumentId, StrategyId, VenueOrderId
from daemon.model.list_legs import ListLeg
from daemon.model.order_features import OrderExtras
from daemon.model.position import Balance

BOT_PREFIX = "bot:"
Tags = tuple[tuple[str, str], ...]
"""Parameters of the venue, names and values, that are passed on with an order as they are."""
TAGS = ("selfTradePreventionMode", "strategyId", "strategyType")
"""What a bot may say of an order that changes neither its price nor its quantity."""


def bot_strategy(bot: str) -> StrategyId:
    """The strategy id of a bot's orders."""
    return StrategyId(f"{BOT_PREFIX}{bot}")


def bot_of(strategy_id: str) -> str | None:
    """The bot that owns orders of this strategy id; None: no bot does."""
    return strategy_id.removeprefix(BOT_PREFIX) if strategy_id.startswith(BOT_PREFIX) else None


class BotState(StrEnum):
    """Whether a bot may place. Its cancels and reads pass in every state."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """By an operator, or by its own streak or loss; durable until it is resumed."""
    REVOKED = "revoked"
    """Its key is gone for good; durable."""
    GONE = "gone"
    """Silent for longer than its `cancel_after`; its next placement makes it active again."""


class ReplaceMode(StrEnum):
    """What a cancelReplace does when its cancel fails."""

    STOP_ON_FAILURE = "STOP_ON_FAILURE"
    ALLOW_FAILURE = "ALLOW_FAILURE"


class DenialSource(StrEnum):
    """Who refused a request."""

    CAPS = "caps"
    """The interceptor: `reason` is a `DenyReason`, `context` names cap, used and limit."""
    DOOR = "door"
    """The bots' own rules before the caps: `reason` is a `DoorReason`."""
    VENUE = "venue"
    """The venue's definite no: `code` and `msg` are its own words."""
    LINK = "link"
    """Proof that the request never left: `msg` says why."""


class BotRefusal(StrEnum):
    """Why a request did not come as far as the caps."""

    DUPLICATE_ORDER_ID = "duplicate_order_id"
    """The bot has an order with this id that is open, in flight or unknown."""
    UNKNOWN_BOT = "unknown_bot"
    UNKNOWN_SYMBOL = "unknown_symbol"
    """Not one of the bot's symbols."""
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    ORDER_NOT_FOUND = "order_not_found"
    """A cancel, replace or amend of an order that the bot does not have, or that has ended."""
    ALLOTMENT_EXCEEDED = "allotment_exceeded"
    """It would spend more than the bot's capital has free."""
    NO_PRICE = "no_price"
    """A quantity in quote needs a quote of the market to be bounded, and there is none."""
    MALFORMED = "malformed"
    """The form has no meaning (both or neither of two quantities, for instance)."""
    IN_PROGRESS = "in_progress"
    """A replace or amend of the same order is under way, or the order is not yet at the venue."""
    NO_LINK = "no_link"
    """An amend or replace cannot leave now, and is not kept."""
    LIST_PENDING = "list_pending"
    """An order of a list whose first order is open, and others wait for it, is not amended."""


class BotDenial(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused. `code` is 0 where no venue spoke."""

    source: DenialSource
    reason: str
    context: Mapping[str, str] = msgspec.field(default_factory=dict)
    code: int = 0
    msg: str = ""


class BotFill(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of a bot's order. `qty` in base, `price` in quote, `fee` in `fee_asset`."""

    trade_id: int
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    ts_venue_ns: int


class BotOrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One order of a bot as the fold has it.

    `status` None: sent, and nothing yet proves that the venue has it (in flight or unknown). An
    order that never left, or is proven absent, is REJECTED. `qty` is the venue's original quantity;
    for a market order by quote quantity it is the bound until the venue has said it. Times are
    nanoseconds, 0: not known. `cancel_client_order_id` is the bot's id of the cancel that ended it.
    """

    bot: str
    client_order_id: str
    own_id: ClientOrderId
    """Ours, as the venue knows it; never shown to the bot."""
    instrument_id: InstrumentId
    venue_order_id: VenueOrderId | None
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce | None
    status: VenueOrderStatus | None
    qty: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    cum_qty: Decimal = ZERO
    cum_quote: Decimal = ZERO
    extras: OrderExtras | None = None
    quote_qty: Decimal | None = None
    tags: Tags = ()
    fills: tuple[BotFill, ...] = ()
    amends: int = 0
    in_doubt: bool = False
    """UNKNOWN to us: what `status` says was true when the venue last said it."""
    cancel_client_order_id: str = ""
    reason: str = ""
    """Why it was refused or ended, where somebody said so."""
    ts_placed_ns: int = 0
    """When the venue took it, by its own clock where it said so."""
    ts_updated_ns: int = 0
    order_list: ListLeg | None = None
    """Its place in a list; None: an order on its own."""
    venue_list_id: str | None = None
    is_pending: bool = False
    """It waits for the first order of its list; its `status` is NEW meanwhile."""


class BotSwitched(msgspec.Struct, frozen=True, kw_only=True):
    """A bot may place, or may not, from now on; `cancel`: its open orders are cancelled."""

    bot: str
    state: BotState
    reason: str
    cancel: bool = False
    by: str = "gateway"
    """The operator's name, where it was one."""


class BotThrottled(msgspec.Struct, frozen=True, kw_only=True):
    """So many requests of a bot were refused for their rate; one such input a second at most."""

    bot: str
    count: int
    window_ms: int


class BotKeyMisused(msgspec.Struct, frozen=True, kw_only=True):
    """A key is in the wrong hands; `what` says how, `bot` whose it is (empty: the daemon's own)."""

    bot: str
    what: str


class BotView(msgspec.Struct, frozen=True, kw_only=True):
    """All that one bot may see, at boot: the gateway's read side begins with it."""

    bot: str
    state: BotState
    reason: str
    symbols: tuple[str, ...]
    orders: tuple[BotOrderRow, ...]
    """Open ones and those that ended and are still kept, oldest first."""
    balances: tuple[Balance, ...]
    public_key: str = ""
    """The key that a session's first line names (PEM); empty: none."""
