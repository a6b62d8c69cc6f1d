"""What the venue's books say of a journal: every kind of difference, counted and listed.

Rule of this file: it only keeps. `crosscheck.py` matches orders and fills, `venue_refusals.py` what
was refused, `venue_balances.py` the money.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

LISTED_MAX = 100
Rows = list[Mapping[str, Any]]
SINCE_REPORTS_OF_BEFORE = (
    "other_venue", "refusals_missing_from_journal", "refusals_missing_from_ledger", "kills_differ",
)  # fmt: skip
"""Kinds that older reports do not state; they are left out while there is none."""


class Offenders(msgspec.Struct):
    """One kind of difference: its count and its first ids."""

    count: int = 0
    listed: list[str] = []

    def add(self, what: str) -> None:
        """Count and list one."""
        self.count += 1
        if len(self.listed) < LISTED_MAX:
            self.listed.append(what)

    def plain(self) -> dict[str, Any]:
        """Count and list."""
        return msgspec.structs.asdict(self)


class LedgerComparison(msgspec.Struct):
    """What the venue's books say of the journal. Every `Offenders` must be empty to corroborate."""

    orders_submitted: int = 0
    fills: int = 0
    denied: int = 0
    rejects: int = 0
    is_simulated: bool = False
    orders_missing_from_journal: Offenders = msgspec.field(default_factory=Offenders)
    fills_missing_from_journal: Offenders = msgspec.field(default_factory=Offenders)
    rejects_missing_from_journal: Offenders = msgspec.field(default_factory=Offenders)
    refusals_missing_from_journal: Offenders = msgspec.field(default_factory=Offenders)
    """Of cancels and amends."""
    refusals_missing_from_ledger: Offenders = msgspec.field(default_factory=Offenders)
    kills_differ: Offenders = msgspec.field(default_factory=Offenders)
    orders_missing_from_ledger: Offenders = msgspec.field(default_factory=Offenders)
    fills_missing_from_ledger: Offenders = msgspec.field(default_factory=Offenders)
    orders_differ: Offenders = msgspec.field(default_factory=Offenders)
    fills_differ: Offenders = msgspec.field(default_factory=Offenders)
    duplicate_orders: Offenders = msgspec.field(default_factory=Offenders)
    duplicate_fills: Offenders = msgspec.field(default_factory=Offenders)
    cap_breaches_at_venue: Offenders = msgspec.field(default_factory=Offenders)
    open_orders_at_end: Offenders = msgspec.field(default_factory=Offenders)
    foreign_orders: Offenders = msgspec.field(default_factory=Offenders)
    """On our account, but no id of this state directory's: somebody else trades there."""
    balance_differences: Offenders = msgspec.field(default_factory=Offenders)
    unreadable_rows: Offenders = msgspec.field(default_factory=Offenders)
    other_venue: Offenders = msgspec.field(default_factory=Offenders)
    cap_checks: int = 0
    silent: list[str] = []
    """What the books do not speak of: so far they confirm nothing."""
    remarks: list[str] = []

    def offences(self) -> dict[str, Offenders]:
        """Every kind of difference that was found."""
        found = msgspec.structs.asdict(self)
        return {k: v for k, v in found.items() if isinstance(v, Offenders) and v.count}

    @property
    def is_clean(self) -> bool:
        """Whether the two books agree and no cap was broken."""
        return not self.offences()

    def plain(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        out = {
            name: value.plain() if isinstance(value, Offenders) else value
            for name, value in msgspec.structs.asdict(self).items()
        }
        for name in SINCE_REPORTS_OF_BEFORE:
            if not out[name]["count"]:
                del out[name]
        return out


def rows_of(ledger: Mapping[str, Any], key: str) -> Rows:
    """The rows of one of its lists."""
    value = ledger.get(key)
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []
