"""Order lists: orders that the venue ties together (binance-spot.md §14).

Rules of this file:
1. An order knows its list by `ListLeg`; what else is to be known of a list its orders tell, and it
   is not kept twice.
2. Of an OCO at most one leg trades: its legs are of one side and quantity, and a trade of one ends
   the other. So it is with the pair that is pending behind the first order of an OTO (OTOCO).
3. Where the first order pays for those behind it (OPO, OPOCO), the venue says their quantity when
   it is filled. Until then they have the most that it can be: the first order's own.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

from daemon.model.plain_values import OMIT


class Contingency(StrEnum):
    """FIX ContingencyType (1385): how the orders of a list hang together."""

    OCO = "OCO"
    OTO = "OTO"


class ListLeg(msgspec.Struct, frozen=True, kw_only=True):
    """The place of an order in its list."""

    list_id: str
    """FIX ListID (66): ours, as the venue knows it (`ids.list_id_of` the list's first order)."""
    contingency: Contingency
    leg: int
    """0 is the first: of an OCO the order above the market, of an OTO the working one."""
    legs: int
    """How many orders the list has."""
    bot_list_id: str = ""
    """The id under which the bot that owns it knows the list."""
    is_paid: Annotated[bool, OMIT] = False
    """Whether the first order pays for it: its quantity is a bound until that one is filled."""

    @property
    def is_pending(self) -> bool:
        """Whether it waits for the first order of its list to be filled."""
        return self.contingency is Contingency.OTO and self.leg > 0

    @property
    def excludes_others(self) -> bool:
        """Whether it is one of a pair of which one trades at most."""
        return self.contingency is Contingency.OCO or (self.is_pending and self.legs > 2)
