"""Groups of order types and of senders that several rules ask for."""

from daemon.model.enums import OrderType
from daemon.model.ids import ClientOrderId, first_of_list
from daemon.model.intents import ENGINE, OPERATOR
from daemon.model.list_legs import ListLeg

# Tuples: `in` compares identities, while a set would call Enum.__hash__, which is Python code.
STOP_TYPES = (
    OrderType.STOP_LOSS,
    OrderType.STOP_LOSS_LIMIT,
    OrderType.TAKE_PROFIT,
    OrderType.TAKE_PROFIT_LIMIT,
)
MARKET_TYPES = (OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
"""Types whose fills have no limit price: valued at the touch plus the slippage cap."""
TIMED_TYPES = (OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
"""Types that carry a time in force."""
PEOPLE = (OPERATOR, ENGINE)
"""Senders that are no strategy: they may cancel any order, and reduce while a throttle waits."""
BPS = 10_000
BOT_PREFIX = "bot:"
"""A bot's orders carry the strategy id `bot:NAME`."""


def bot_of(strategy_id: str) -> str:
    """The bot that owns orders of this strategy id; empty: no bot does."""
    return strategy_id.removeprefix(BOT_PREFIX) if strategy_id.startswith(BOT_PREFIX) else ""


def group_of(leg: ListLeg | None) -> str:
    """The id of the list of which one order trades at most, where an order is one of these.

    Of an OCO it is every order, of an OTO the pair that is pending (OTOCO); else it is empty.
    """
    return leg.list_id if leg is not None and leg.excludes_others else ""


def first_before(leg: ListLeg | None) -> ClientOrderId | None:
    """The order that must be filled wholly before this one works; None: it waits for none."""
    return first_of_list(leg.list_id) if leg is not None and leg.is_pending else None
