"""Order lists: orders that the venue ties together (binance-spot.md §14).

Rules of this file:
1. An order knows its list by `ListLeg`; what else is to be known of a list its orders tell, and it
   is not kept twice.
2. Of an OCO at most one leg trades: its legs are of one side and quantity, and a trade of one ends
   the other.
"""

from dataclasses import dataclass
from enum import StrEnum


class Contingency(StrEnum):
    """FIX ContingencyType (1385): how the orders of a list hang together."""

    OCO = "OCO"
    OTO = "OTO"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLeg:
    """The place of an order in its list."""

    list_id: str
    """FIX ListID (66): ours, as the venue knows it (`ids.list_id_of` the list's first order)."""
    contingency: Contingency
    leg: int
    """0 is the first: of an OCO the leg above the market, 1 the leg below."""
    legs: int
    """How many orders the list has."""
    bot_list_id: str = ""
    """The id under which the bot that owns it knows the list."""
