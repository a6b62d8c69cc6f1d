"""Reconciliation, pure: our books against one snapshot of the venue, as classified differences.

Rules of this file:
1. Nothing is repaired here. Missing fills and statuses are venue facts and are booked before; what
   still differs is a `Difference`, with a class: `in_flight` (younger than the question),
   `foreign` (not ours to touch), `wipe` (the testnet began anew), `real`.
2. A difference counts only when the same one stands in two snapshots (`Suspects`): a snapshot is
   several requests, and the venue moves between them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from daemon.core.books import Books, trade_id_of
from daemon.model.amounts import ZERO, plain
from daemon.model.ids import InstrumentId, is_ours, symbol_of
from daemon.model.reports import VenueSnapshot

Kind = Literal["balance", "vanished", "foreign_order", "foreign_fill"]
Class = Literal["in_flight", "foreign", "wipe", "real"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One disagreement between the books and the venue."""

    kind: Kind
    cls: Class
    symbol: str
    client_order_id: str
    ours: str
    venue: str

    @property
    def key(self) -> tuple[str, ...]:
        """What must be the same in two snapshots for the difference to stand."""
        return (self.kind, self.symbol, self.client_order_id, self.gap)

    @property
    def gap(self) -> str:
        """How far apart: for balances the distance, so that flows do not make it another one."""
        if self.kind == "balance":
            return plain(Decimal(self.venue) - Decimal(self.ours))
        return f"{self.ours}|{self.venue}"

    def fields(self) -> dict[str, Any]:
        """The line of this difference in a `reconciled` record."""
        return {
            "kind": self.kind,
            "class": self.cls,
            "symbol": self.symbol,
            "client_order_id": self.client_order_id,
            "ours": self.ours,
            "venue": self.venue,
        }


def compare(
    books: Books,
    snapshot: VenueSnapshot,
    *,
    basis: Mapping[str, Decimal],
    asked_ns: int,
    instance: str,
    settle_ns: int = 0,
    trades_after: Mapping[InstrumentId, int] | None = None,
) -> tuple[Difference, ...]:
    """Every difference that stands after the snapshot's own facts were booked.

    `asked_ns`: when the snapshot was asked for; whatever moved since is in flight, no difference.
    `settle_ns`: a query may miss an order that was shown so recently (the venue's store lags).
    """
    differences = [*_foreign(snapshot, instance), *_vanished(books, snapshot, asked_ns, settle_ns)]
    balances = list(_balances(books, snapshot, basis, asked_ns))
    if balances and _is_wipe(books, snapshot, differences, trades_after or {}):
        differences = [_as_wipe(one) for one in [*differences, *balances]]
    else:
        differences += balances
    return tuple(differences)


def _foreign(snapshot: VenueSnapshot, instance: str) -> Iterable[Difference]:
    for report in snapshot.open_orders:
        if not is_ours(report.client_order_id, instance):
            yield Difference(
                kind="foreign_order",
                cls="foreign",
                symbol=symbol_of(report.instrument_id),
                client_order_id=report.client_order_id,
                ours="",
                venue=f"{report.side} {plain(report.qty)}",
            )


def _vanished(
    books: Books, snapshot: VenueSnapshot, asked_ns: int, settle_ns: int
) -> Iterable[Difference]:
    for absent in snapshot.absent:
        order = books.orders.get(absent.client_order_id)
        if order is None or order.status.is_terminal or order.venue_order_id is None:
            continue
        yield Difference(
            kind="vanished",
            cls="in_flight" if asked_ns - order.ts_updated_ns < settle_ns else "real",
            symbol=symbol_of(order.instrument_id),
            client_order_id=order.client_order_id,
            ours=order.status.value,
            venue="absent",
        )


def _balances(
    books: Books, snapshot: VenueSnapshot, basis: Mapping[str, Decimal], asked_ns: int
) -> Iterable[Difference]:
    if not basis:
        return
    moved = any(
        order.ts_updated_ns >= asked_ns and order.cum_qty > 0 for order in books.orders.values()
    )
    totals = {balance.asset: balance.free + balance.locked for balance in snapshot.balances}
    for asset in sorted({*totals, *basis}):
        ours = basis.get(asset, ZERO) + books.flows.get(asset, ZERO)
        venue = totals.get(asset, ZERO)
        if ours != venue:
            yield Difference(
                kind="balance",
                cls="in_flight" if moved else "real",
                symbol=asset,
                client_order_id="",
                ours=plain(ours),
                venue=plain(venue),
            )


def _is_wipe(
    books: Books,
    snapshot: VenueSnapshot,
    differences: Iterable[Difference],
    trades_after: Mapping[InstrumentId, int],
) -> bool:
    """Money has moved without trades, and the venue no longer knows our last trades or orders.

    venues/binance-spot.md §13, reset detector. History is always fetched from a few ids before our
    last booked trade, so that trade missing from it means that the history itself is another.
    """
    last = {(iid, trade_id) for iid, trade_id in trades_after.items() if trade_id >= 0}
    if last:
        shown = {(fill.instrument_id, trade_id_of(fill.exec_id)) for fill in snapshot.fills}
        return not last & shown
    gone = {one.client_order_id for one in differences if one.kind == "vanished"}
    known = [order for order in books.working() if order.venue_order_id is not None]
    return bool(gone) and all(order.client_order_id in gone for order in known)


def _as_wipe(one: Difference) -> Difference:
    return one if one.kind == "foreign_order" else replace(one, cls="wipe")


class Suspects:
    """Differences seen once; the second time at least `confirm_ns` later they stand."""

    def __init__(self, confirm_ns: int) -> None:
        """Nobody is suspected."""
        self._confirm_ns = confirm_ns
        self._since: dict[tuple[str, ...], tuple[int, Class]] = {}
        self._known: dict[tuple[str, ...], None] = {}

    def weigh(
        self, differences: Iterable[Difference], now_ns: int
    ) -> tuple[tuple[Difference, ...], bool]:
        """The differences that newly stand, and whether any still awaits confirmation."""
        standing: list[Difference] = []
        since: dict[tuple[str, ...], tuple[int, Class]] = {}
        waiting = False
        for one in differences:
            if one.key in self._known:
                continue
            first, seen_as = self._since.get(one.key, (now_ns, one.cls))
            # New trades after a wipe hide its first sign: once seen, it stays one.
            seen = replace(one, cls="wipe") if seen_as == "wipe" else one
            if now_ns - first >= self._confirm_ns and seen.cls != "in_flight":
                standing.append(seen)
                self._known[one.key] = None
            else:
                since[one.key] = (first, seen.cls)
                waiting = True
        self._since = since
        return tuple(standing), waiting

    def forgive(self) -> None:
        """An operator resolved the incident: what stood is accepted; new ones count again."""
        self._known.clear()
        self._since.clear()
