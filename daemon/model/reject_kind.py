"""What a refused placement says about us; a file of its own, for a stop needs no other list."""

from enum import StrEnum


class RejectKind(StrEnum):
    """What a refused placement says about us."""

    FAULT = "fault"
    """The order was faulty, or we may not trade: it counts in streak and storm."""
    FILTER = "filter"
    """It passed the filters that we know: they have moved, and are asked for again. What was on its
    way when they moved is no streak; a storm means that we do not know them."""
    BUSINESS = "business"
    """The market's doing, as an orderly client meets it: post-only would take, the balance went
    elsewhere, the market closed; or a rate or a clock, which have counts of their own."""
